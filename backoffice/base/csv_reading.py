"""Reading of uploaded CSV files: any usual encoding, separator and spelling of numbers."""

import csv
import io
from collections.abc import Iterator

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _


def read_text(content: bytes) -> str:
    """A CSV file as text: UTF-8 with or without its mark, else Windows-1252, as spreadsheets under Windows write it.

    Raises ValidationError for what is neither.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        try:
            return content.decode("cp1252")
        except UnicodeDecodeError:
            # Told is where it stops being UTF-8, which the product itself writes.
            raise ValidationError(
                _("Le fichier CSV n'est pas en UTF-8 (octet %(position)d).") % {"position": error.start + 1}
            ) from None


def delimiter_of(text: str) -> str:
    """Semicolon or comma: what the first line has more of."""
    first = text.partition("\n")[0]
    return ";" if first.count(";") > first.count(",") else ","


def numbered_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of each row that is not empty, the header included.

    Raises ValidationError naming the line that is malformed.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text), strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise ValidationError(
            _("Ligne %(line)d : le CSV est mal formé (%(reason)s).")
            % {"line": reader.line_num, "reason": reason(error)}
        ) from None


def reason(error: csv.Error) -> str:
    """Why the reader gave up, in the active language."""
    if "field limit" in str(error):
        return _("une cellule dépasse %(n)d caractères") % {"n": csv.field_size_limit()}
    return _("un guillemet est mal placé ou n'est pas fermé")
