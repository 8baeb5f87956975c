"""The CSV file of the shops: its columns, and the changes that an uploaded one contains, row by row."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from backoffice.base import csv_files, limits
from backoffice.base.csv_reading import numbered_rows, read_text
from backoffice.text import addresses
from companies.audit import Changes
from shops.models import Shop

KEY = "site_id"
FIELDS = ("name", "url", "manager_email", "language")
COLUMNS = (KEY, *FIELDS)


@dataclass(frozen=True)
class SheetRow:
    """What one row changes of its shop: column → value."""

    line: int
    shop: Shop
    fields: dict[str, Any]

    @property
    def changes(self) -> Changes:
        return {name: [getattr(self.shop, name), value] for name, value in self.fields.items()}


@dataclass(frozen=True)
class Sheet:
    """A file that came back: what it changes, or why it is refused."""

    rows: list[SheetRow]
    problems: list[str]
    read: int = 0


def csv_rows(shops: Iterable[Shop]) -> Iterator[list[str]]:
    """Header, then one row a shop."""
    yield list(COLUMNS)
    for shop in shops:
        yield [csv_files.neutral(getattr(shop, name)) for name in COLUMNS]


def text_of(content: bytes) -> str:
    """The text of an uploaded file. Raises ValidationError for what is no text, or too much of it."""
    if b"\x00" in content or content[:2] == b"PK":
        raise ValidationError(_("Ce fichier n'est pas un CSV : enregistrez-le au format CSV depuis votre tableur."))
    text = read_text(content)
    if len(text) > limits.LONGEST_ECHO:
        raise ValidationError(
            _("Le fichier compte %(count)s caractères, %(most)s au plus : partagez-le en plusieurs.")
            % {"count": limits.grouped(len(text)), "most": limits.grouped(limits.LONGEST_ECHO)}
        )
    return text


def read_sheet(text: str, shops: Mapping[str, Shop], *, closed: Collection[str] = ()) -> Sheet:
    """Read the changes that a file contains.

    Args:
        shops: those that the user may change, by identifier.
        closed: identifiers of shops that the user sees and may not change.
    """
    try:
        listed = list(numbered_rows(text))
    except ValidationError as error:
        return Sheet([], error.messages)
    if not listed:
        return Sheet([], [_("Le fichier est vide.")])
    header = [cell.lower() for cell in listed[0][1]]
    if problems := _header_problems(header):
        return Sheet([], problems)
    reading = _Reading(header, shops, closed)
    rows = [row for line, cells in listed[1:] if (row := reading.row(line, cells)) is not None]
    return Sheet([row for row in rows if row.fields], limits.told(reading.problems), len(listed) - 1)


def _header_problems(header: list[str]) -> list[str]:
    expected = ", ".join(COLUMNS)
    if header.count(KEY) != 1:
        return [
            _("Ligne 1 : la colonne « %(name)s » doit figurer une fois. Colonnes attendues : %(all)s.")
            % {"name": KEY, "all": expected}
        ]
    unknown = [name for name in header if name not in COLUMNS]
    twice = [name for name in header if header.count(name) > 1]
    if unknown or twice:
        return [
            _("Ligne 1 : la colonne « %(name)s » est inconnue ou figure deux fois. Colonnes attendues : %(all)s.")
            % {"name": (unknown or twice)[0][:60], "all": expected}
        ]
    return []


class _Reading:
    """One file while it is read: the problems so far, and the shops met."""

    def __init__(self, header: list[str], shops: Mapping[str, Shop], closed: Collection[str]) -> None:
        self.header, self.shops, self.closed = header, shops, closed
        self.problems: list[str] = []
        self._met: dict[str, int] = {}

    def row(self, line: int, cells: list[str]) -> SheetRow | None:
        """One row; None after refusing it."""
        if len(cells) != len(self.header):
            told = {"line": line, "count": len(cells), "wanted": len(self.header)}
            self._refuse(_("Ligne %(line)d : %(count)d cellules au lieu de %(wanted)d.") % told)
            return None
        given = dict(zip(self.header, cells, strict=True))
        shop = self._shop(line, given.pop(KEY))
        if shop is None:
            return None
        fields = {name: value for name, value in given.items() if not _is_same(value, shop, name)}
        return SheetRow(line, shop, fields) if self._is_valid(line, shop, fields) else None

    def _shop(self, line: int, typed: str) -> Shop | None:
        # A spreadsheet takes it for a number and drops the zeros it starts with.
        site_id = typed.zfill(8) if typed.isascii() and typed.isdigit() else typed
        told = {"line": line, "value": typed[:40], "first": self._met.get(site_id)}
        if site_id in self._met:
            self._refuse(_("Ligne %(line)d : la boutique %(value)s est déjà à la ligne %(first)d.") % told)
            return None
        self._met[site_id] = line
        if site_id in self.closed:
            self._refuse(
                _("Ligne %(line)d : la boutique %(value)s est fermée, ou vous ne pouvez pas la modifier.") % told
            )
            return None
        if site_id not in self.shops:
            self._refuse(_("Ligne %(line)d : aucune de vos boutiques ne porte l'identifiant « %(value)s ».") % told)
            return None
        return self.shops[site_id]

    def _is_valid(self, line: int, shop: Shop, fields: dict[str, Any]) -> bool:
        if not fields:
            return True
        candidate = copy(shop)
        for name, value in fields.items():
            setattr(candidate, name, value)
        unasked = [field.name for field in Shop._meta.fields if field.name not in fields]
        try:
            candidate.clean_fields(exclude=unasked)
        except ValidationError as error:
            for name, messages in error.message_dict.items():
                for message in messages:
                    told = {"line": line, "name": name, "message": message}
                    self._refuse(_("Ligne %(line)d, colonne « %(name)s » : %(message)s") % told)
            return False
        return True

    def _refuse(self, message: str) -> None:
        self.problems.append(message)


def _is_same(cell: str, shop: Shop, name: str) -> bool:
    """Whether a cell equals the present value of the shop."""
    stored = str(getattr(shop, name))
    same_address = name == "manager_email" and addresses.bare(cell) == stored
    return same_address or csv_files.is_spelling_of(cell, stored)
