"""CSV files: how every one is written and handed over; the rows of the delivery tables and of the journal."""

import csv
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone, translation

from .models import ApiToken, Delivery
from .selectors import DeliveryTables, line_json

TABLE_HEADER = (
    "email",
    "roles",
    "notification",
    "shop",
    "rule",
    "account",
    "triggers",
    "as",
    "source",
    "condition",
    "reason",
    "configured_at",
)


def table_rows(tables: DeliveryTables) -> Iterator[list[str]]:
    """Header, then one row a line; an address without lines has one row with an empty notification."""
    yield list(TABLE_HEADER)
    for table in tables.addresses:
        about = [table.email, " ".join(table.roles)]
        if not table.receives:
            yield [*map(neutral, about), *[""] * (len(TABLE_HEADER) - 2)]
        for decision in table.receives:
            line = line_json(decision)
            line["triggers"] = " ".join(line["triggers"])
            cells = [*about, *(line[name] for name in TABLE_HEADER[2:])]
            yield [neutral(cell) for cell in cells]


# What starts a formula: the characters of OWASP's list, the wide and small ones among them, behind anything that shows
# nothing. Not only where a cell starts: a spreadsheet set to semicolons or tabs, as a French one is, cuts our cells there.
_CUTS = r";\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029"
_UNSEEN = r"\x00-\x08\x0e-\x1b\x1f \x7f\"\xa0\xad\u1680\u2000-\u200f\u202f\u205f\u2060\u3000\ufeff"
_STARTERS = r"=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
_FORMULA = re.compile(f"(^|[{_CUTS}])([{_UNSEEN}]*)(?=[{_STARTERS}])")
_CONTROL_FIRST = ("\t", "\r", "\n")


def neutral(cell: Any) -> str:
    """A cell that a spreadsheet shows and never runs: formula starters get a leading apostrophe."""
    text = "" if cell is None else str(cell)
    text = _FORMULA.sub(r"\1\2'", text)
    return "'" + text if text.startswith(_CONTROL_FIRST) else text


JOURNAL_HEADER = (
    "id",
    "event",
    "notification",
    "shop",
    "rule",
    "address",
    "as",
    "channel",
    "mode",
    "status",
    "attempts",
    "created_at",
    "sent_at",
    "retry_at",
    "http_status",
    "error",
)


def journal_rows(found: QuerySet[Delivery]) -> Iterator[list[str]]:
    """Header, then one row a delivery, with the names and values of the API; times in UTC."""
    yield list(JOURNAL_HEADER)
    for delivery in found.iterator(chunk_size=1000):
        cells = (
            delivery.pk,
            delivery.event.event_id,
            delivery.notification,
            delivery.shop.site_id if delivery.shop else "",
            delivery.rule.reference if delivery.rule else "",
            delivery.address,
            delivery.as_,
            delivery.channel,
            delivery.mode,
            delivery.status,
            delivery.attempt_count,
            utc(delivery.created_at),
            utc(delivery.sent_at),
            utc(delivery.retry_at),
            delivery.http_status,
            delivery.error,
        )
        yield [neutral(cell) for cell in cells]


def utc(moment: datetime | None) -> str:
    """A time as the API writes it: UTC, whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


TOKEN_HEADER = (
    "name", "prefix", "scopes", "state", "created_at", "created_by", "expires_at", "last_used_at", "last_used_ip",
    "revoked_at",
)  # fmt: skip


def token_rows(found: QuerySet[ApiToken]) -> Iterator[list[str]]:
    """Header, then one row a token; of the token itself only its beginning."""
    yield list(TOKEN_HEADER)
    for token in found.iterator(chunk_size=1000):
        cells = (
            token.name,
            token.prefix,
            " ".join(token.allowed),
            token.state,
            utc(token.created_at),
            token.created_by.login if token.created_by else "",
            utc(token.expires_at),
            utc(token.last_used_at),
            token.last_used_ip,
            utc(token.revoked_at),
        )
        yield [neutral(cell) for cell in cells]


class _Echo:
    """A file for `csv.writer` that hands each line back."""

    def write(self, line: str) -> str:
        return line


def csv_lines(rows: Iterable[list[str]]) -> Iterator[str]:
    """The rows as lines of a comma-separated file."""
    writer = csv.writer(_Echo())
    for row in rows:
        yield writer.writerow(row)


def csv_response(rows: Iterable[list[str]], stem: str) -> StreamingHttpResponse:
    """A download, written while it is sent, in the language and time zone of the page it is asked on.

    Args:
        rows: the header first, every cell neutralised.
        stem: the name of the file before the date; what does not belong into a name becomes a hyphen.
    """
    # The middleware is done with the request before the first row is written.
    language, zone = translation.get_language(), timezone.get_current_timezone()

    def lines() -> Iterator[str]:
        with translation.override(language), timezone.override(zone):
            yield from csv_lines(rows)

    stem = re.sub("[^A-Za-z0-9._-]+", "-", stem)
    headers = {"Content-Disposition": f'attachment; filename="{stem}-{timezone.localdate():%Y-%m-%d}.csv"'}
    return StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8", headers=headers)
