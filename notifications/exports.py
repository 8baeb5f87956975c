"""Rows for CSV: the delivery tables and the journal."""

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet

from .models import Delivery
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


def neutral(cell: Any) -> str:
    """A cell that a spreadsheet shows and never runs: formula starters get a leading apostrophe."""
    text = "" if cell is None else str(cell)
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


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


class _Echo:
    """A file for `csv.writer` that hands each line back."""

    def write(self, line: str) -> str:
        return line


def csv_lines(rows: Iterable[list[str]]) -> Iterator[str]:
    """The rows as lines of a comma-separated file."""
    writer = csv.writer(_Echo())
    for row in rows:
        yield writer.writerow(row)
