"""CSV files: how every one is written and handed over, with formulas made inert."""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone, translation

# What starts a formula: the characters of OWASP's list, the wide and small ones among them, behind anything that shows
# nothing. Not only where a cell starts: a spreadsheet set to semicolons or tabs, as a French one is, cuts our cells there.
_CUTS = r";\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029"
_UNSEEN = r"\x00-\x08\x0e-\x1b\x1f \x7f\"\xa0\xad\u1680\u2000-\u200f\u202f\u205f\u2060\u3000\ufeff"
_STARTERS = r"=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
_FORMULA = re.compile(f"(^|[{_CUTS}])([{_UNSEEN}]*)(?=[{_STARTERS}])")
# In a file of semicolons a comma parts nothing and is not quoted for its sake; a spreadsheet set to commas cuts there.
_AFTER_COMMA = re.compile(f"(,[{_UNSEEN}]*)(?=[{_STARTERS}])")
_CONTROL_FIRST = ("\t", "\r", "\n")


class Figure(str):
    """A decimal number of ours, written with a point; what is handed over has the point or the comma of its reader."""

    __slots__ = ()


def neutral(cell: Any) -> str:
    """A cell that a spreadsheet shows and never runs: formula starters get a leading apostrophe; figures stay numbers."""
    if isinstance(cell, Figure):
        return cell
    text = "" if cell is None else str(cell)
    text = _FORMULA.sub(r"\1\2'", text)
    return "'" + text if text.startswith(_CONTROL_FIRST) else text


def is_spelling_of(cell: str, value: str) -> bool:
    """Whether a cell that comes back from a spreadsheet is what we wrote for this value."""
    written = neutral(value)
    return cell in {value, written.strip(), *(_spelled(written, spelling).strip() for spelling in SPELLINGS.values())}


def utc(moment: datetime | None) -> str:
    """A time as the API writes it: UTC, whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


class _Echo:
    """A file object for `csv.writer` whose `write` returns the line."""

    def write(self, line: str) -> str:
        return line


@dataclass(frozen=True)
class Spelling:
    """How a file is written.

    Attributes:
        mark: stands in front of all, so that a spreadsheet takes the file for UTF-8.
    """

    delimiter: str = ","
    decimal: str = "."
    mark: str = ""


# RFC 4180 in UTF-8, for programs: what commands print, and what a page gives with `plain=1`.
PLAIN = Spelling()
# What a spreadsheet of people who speak the language takes in with a double click.
SPELLINGS = {"fr": Spelling(";", ",", "\ufeff"), "en": Spelling(mark="\ufeff")}


def spelling_of(language: str | None) -> Spelling:
    return SPELLINGS.get(language or "", SPELLINGS["fr"])


def csv_lines(rows: Iterable[list[str]], spelling: Spelling = PLAIN) -> Iterator[str]:
    """The rows as lines of a file."""
    writer = csv.writer(_Echo(), delimiter=spelling.delimiter)
    mark = spelling.mark
    for row in rows:
        yield mark + writer.writerow([_spelled(cell, spelling) for cell in row])
        mark = ""


def _spelled(cell: str, spelling: Spelling) -> str:
    if isinstance(cell, Figure):
        return cell.replace(".", spelling.decimal)
    return cell if spelling.delimiter == "," else _AFTER_COMMA.sub(r"\1'", cell)


def is_plain(request: HttpRequest) -> bool:
    """Whether a page is asked for the file that programs read, `?format=csv&plain=1`."""
    return request.GET.get("plain") == "1"


def csv_response(rows: Iterable[list[str]], stem: str, *, plain: bool = False) -> StreamingHttpResponse:
    """A download, written while it is sent, in the language and time zone of the page it is asked on.

    Args:
        rows: the header first, every cell neutralised.
        stem: the name of the file before the date; what does not belong into a name becomes a hyphen.
        plain: for a program, see `is_plain`; otherwise as spreadsheets of the page's language take it.
    """
    # The middleware is done with the request before the first row is written.
    language, zone = translation.get_language(), timezone.get_current_timezone()
    spelling = PLAIN if plain else spelling_of(language)

    def lines() -> Iterator[str]:
        with translation.override(language), timezone.override(zone):
            yield from csv_lines(rows, spelling)

    stem = re.sub("[^A-Za-z0-9._-]+", "-", stem)
    headers = {"Content-Disposition": f'attachment; filename="{stem}-{timezone.localdate():%Y-%m-%d}.csv"'}
    return StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8", headers=headers)
