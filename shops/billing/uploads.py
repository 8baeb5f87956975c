"""Uploaded billing: what a CSV or PDF file must look like. Errors name the line and the column."""

import codecs
import csv
import io
import re
from decimal import Decimal, InvalidOperation

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from backoffice.base.csv_reading import delimiter_of, read_text, reason
from backoffice.text import amounts, characters
from shops.billing import pdf_guard, pricing
from shops.billing.pricing import Line

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
    if utf_16:
        raise ValidationError(_("Le fichier CSV n'est pas en UTF-8 (octet %(position)d).") % {"position": 1})
    read_text(content)
    return "csv"


def check_pdf(content: bytes) -> None:
    """Refuse what is too large, cut off, protected, or runs something when opened."""
    if len(content) > MAX_PDF:
        raise ValidationError(_("Le fichier PDF dépasse %(mib)d Mio.") % {"mib": MAX_PDF // 1024 // 1024})
    pdf_guard.check(content)


def parse_csv(content: bytes, currency: str) -> list[Line]:
    """The lines of a CSV file with the columns description, quantity, unit_price, in any order.

    Comma or semicolon; with semicolons decimals may have a comma.

    Raises:
        ValidationError: every error found, up to a score, each with its line and column.
    """
    if len(content) > MAX_CSV:
        raise ValidationError(_("Le fichier CSV dépasse %(mib)d Mio.") % {"mib": MAX_CSV // 1024 // 1024})
    text = read_text(content)
    delimiter = delimiter_of(text)
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
            line = _line(reader.line_num, header, cells, currency, delimiter)
            if isinstance(line, Line):
                lines.append(line)
            else:
                errors += line
            if len(errors) >= MAX_ERRORS:
                break
            if len(lines) > MAX_LINES:
                raise ValidationError(_("Le fichier compte plus de %(n)d lignes.") % {"n": MAX_LINES})
    except csv.Error as error:
        raise ValidationError(
            _("Ligne %(line)d : le CSV est mal formé (%(reason)s).")
            % {"line": reader.line_num, "reason": reason(error)}
        ) from None
    if errors:
        raise ValidationError(errors)
    if not lines:
        raise ValidationError(_("Le fichier ne contient aucune ligne à facturer."))
    return lines


def _line(number: int, header: list[str], cells: list[str], currency: str, delimiter: str) -> Line | list[str]:
    if len(cells) != len(header):
        return [
            _("Ligne %(line)d : %(found)d cellules au lieu de %(wanted)d.")
            % {"line": number, "found": len(cells), "wanted": len(header)}
        ]
    row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
    errors, values = [], {}
    for name in ("quantity", "unit_price"):
        # A space groups digits by three; one that groups nothing is a slip.
        typed = amounts.ungrouped(row[name]) or ""
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
    label = characters.legible(row["description"]).strip()
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
    line = pricing.line("", label, values["quantity"], values["unit_price"], currency)
    if line.amount >= MAX_TOTAL:
        return [_("Ligne %(line)d : le montant %(amount)s est trop grand.") % {"line": number, "amount": line.amount}]
    return line
