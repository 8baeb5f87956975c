"""Rows for CSV: the delivery tables and the journal."""

from collections.abc import Iterator
from typing import Any

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
