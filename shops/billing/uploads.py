"""Uploaded billing: what a CSV or PDF file must look like. Errors name the line and the column."""

import codecs
import csv
import io
import re
import zlib
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from . import pricing
from .pricing import Line

MAX_CSV = 1024 * 1024
MAX_PDF = 8 * 1024 * 1024
MAX_LINES = 2000
MAX_ERRORS = 20
COLUMNS = ("description", "quantity", "unit_price")
# What a person may say instead, in either language.
_NAMES = {
    "description": "description",
    "libellé": "description",
    "libelle": "description",
    "quantity": "quantity",
    "quantité": "quantity",
    "quantite": "quantity",
    "unit_price": "unit_price",
    "prix_unitaire": "unit_price",
}
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,4})?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# What the columns of a document hold, tax included.
MAX_TOTAL = Decimal(10) ** 11


# Enough for the objects of a document of MAX_PDF; what grows beyond was made to.
_MAX_UNPACKED = 16 * 1024 * 1024
_ACTIVE = re.compile(
    rb"/(JavaScript|JS|Launch|EmbeddedFiles?|RichMedia|XFA|SubmitForm|ImportData|OpenAction|AA)(?![A-Za-z0-9])"
)
_STREAM = re.compile(rb">>\s{0,16}stream\r?\n")


def check_size(size: int) -> None:
    """Refuse what is larger than any file taken here, before it is read."""
    if size > MAX_PDF:
        raise ValidationError(_("Le fichier dépasse %(mib)d Mio.") % {"mib": MAX_PDF // 1024 // 1024})


def kind_of(content: bytes, file_name: str = "") -> str:
    """« pdf » or « csv », told by the content; a name that says the other one is refused.

    Raises ValidationError for anything else.
    """
    named = file_name.lower().rpartition(".")[2]
    if content.startswith(b"%PDF-"):
        if named == "csv":
            raise ValidationError(_("Ce fichier se dit CSV mais contient un PDF."))
        return "pdf"
    if named == "pdf":
        raise ValidationError(_("Ce fichier se dit PDF mais n'en est pas un."))
    utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if not utf_16 and (b"\x00" in content or content[:2] == b"PK"):
        raise ValidationError(_("Ce fichier n'est ni un CSV ni un PDF."))
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValidationError(
            _("Le fichier CSV n'est pas en UTF-8 (octet %(position)d).") % {"position": error.start + 1}
        ) from None
    return "csv"


def check_pdf(content: bytes) -> None:
    """Refuse what is too large, cut off, or runs something when opened."""
    if len(content) > MAX_PDF:
        raise ValidationError(_("Le fichier PDF dépasse %(mib)d Mio.") % {"mib": MAX_PDF // 1024 // 1024})
    if b"%%EOF" not in content[-2048:]:
        raise ValidationError(_("Le fichier PDF est incomplet : sa fin manque."))
    for part in _objects(content):
        if active := _ACTIVE.search(_plain(part)):
            raise ValidationError(
                _("Le fichier PDF contient un élément actif (%(name)s) : enregistrez-le sans script ni pièce jointe.")
                % {"name": active[0].decode()}
            )


def _objects(content: bytes) -> Iterator[bytes]:
    """What a PDF says outside of its streams, and the objects packed into streams; all in one pass.

    Other streams hold any bytes and act on nothing.
    """
    place, left = 0, _MAX_UNPACKED
    while (start := _STREAM.search(content, place)) is not None:
        said = content[place : start.end()]
        yield said
        end = content.find(b"endstream", start.end())
        if end < 0:
            raise ValidationError(_("Le fichier PDF est incomplet : sa fin manque."))
        # The dictionary of the stream is what stands right before it.
        if b"/ObjStm" in _plain(said[said.rfind(b"obj") + 1 :]):
            unpacker = zlib.decompressobj()
            try:
                unpacked = unpacker.decompress(content[start.end() : end], left)
            except zlib.error:
                raise ValidationError(
                    _("Le fichier PDF est protégé, ou compressé d'une façon qui ne se vérifie pas.")
                ) from None
            left -= len(unpacked)
            if unpacker.unconsumed_tail or left <= 0:
                raise ValidationError(_("Le fichier PDF est démesuré une fois décompressé."))
            yield unpacked
        place = end + len(b"endstream")
    yield content[place:]


def _plain(said: bytes) -> bytes:
    """Names as they are meant: any of their characters may be written as #xx."""
    return re.sub(rb"#([0-9A-Fa-f]{2})", lambda found: bytes.fromhex(found[1].decode()), said)


def parse_csv(content: bytes, currency: str) -> list[Line]:
    """The lines of a CSV file with the columns description, quantity, unit_price, in any order.

    Comma or semicolon; with semicolons decimals may have a comma.

    Raises:
        ValidationError: every error found, up to a score, each with its line and column.
    """
    if len(content) > MAX_CSV:
        raise ValidationError(_("Le fichier CSV dépasse %(mib)d Mio.") % {"mib": MAX_CSV // 1024 // 1024})
    text = content.decode("utf-8-sig")
    first = text.partition("\n")[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [_NAMES.get(cell.strip().lower(), cell.strip()) for cell in next(reader, [])]
        missing = [name for name in COLUMNS if header.count(name) != 1]
        if missing:
            raise ValidationError(
                _("Ligne 1 : la colonne « %(name)s » doit figurer une fois. Colonnes attendues : %(all)s.")
                % {"name": missing[0], "all": ", ".join(COLUMNS)}
            )
        lines, errors = [], []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            found = _line(reader.line_num, header, cells, currency, delimiter)
            if isinstance(found, Line):
                lines.append(found)
            else:
                errors += found
            if len(errors) >= MAX_ERRORS:
                break
            if len(lines) > MAX_LINES:
                raise ValidationError(_("Le fichier compte plus de %(n)d lignes.") % {"n": MAX_LINES})
    except csv.Error as error:
        raise ValidationError(
            _("Ligne %(line)d : le CSV est mal formé (%(reason)s).")
            % {"line": reader.line_num, "reason": _reason(error)}
        ) from None
    if errors:
        raise ValidationError(errors)
    if not lines:
        raise ValidationError(_("Le fichier ne contient aucune ligne à facturer."))
    return lines


def _reason(error: csv.Error) -> str:
    """Why the reader gave up, in the active language."""
    if "field limit" in str(error):
        return _("une cellule dépasse %(n)d caractères") % {"n": csv.field_size_limit()}
    return _("un guillemet est mal placé ou n'est pas fermé")


def _line(number: int, header: list[str], cells: list[str], currency: str, delimiter: str) -> Line | list[str]:
    if len(cells) != len(header):
        return [
            _("Ligne %(line)d : %(found)d cellules au lieu de %(wanted)d.")
            % {"line": number, "found": len(cells), "wanted": len(header)}
        ]
    row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
    errors, values = [], {}
    for name in ("quantity", "unit_price"):
        typed = re.sub(r"[\s\u00a0\u202f]", "", row[name])
        if delimiter == ";":
            typed = typed.replace(",", ".")
        try:
            if not _NUMBER.fullmatch(typed):
                raise InvalidOperation
            values[name] = Decimal(typed)
        except InvalidOperation:
            errors.append(
                _(
                    "Ligne %(line)d, colonne « %(name)s » : « %(value)s » n'est pas un nombre positif à 4 décimales au plus."
                )
                % {"line": number, "name": name, "value": row[name][:40]}
            )
    label = "".join(character if character.isprintable() else " " for character in row["description"]).strip()
    if not label or len(label) > 200:
        errors.append(_("Ligne %(line)d, colonne « description » : de 1 à 200 caractères.") % {"line": number})
    elif label.startswith(_FORMULA):
        # A spreadsheet would run it; who means a text writes one.
        errors.append(
            _("Ligne %(line)d, colonne « description » : « %(value)s » commence comme une formule.")
            % {"line": number, "value": label[:40]}
        )
    if errors:
        return errors
    found = pricing.line("", label, values["quantity"], values["unit_price"], currency)
    if found.amount >= MAX_TOTAL:
        return [_("Ligne %(line)d : le montant %(amount)s est trop grand.") % {"line": number, "amount": found.amount}]
    return found
