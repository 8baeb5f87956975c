"""Rows of attempts, the most written rows of all: one statement for a group, without an object for each."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from django.db import connection

_COLUMNS = (
    "delivery_id", "number", "started_at", "duration_ms", "outcome", "code", "reply", "queue_id", "url", "error_code",
    "location", "relay",
)  # fmt: skip
_values = attrgetter(*_COLUMNS)
_INSERT = f"INSERT INTO notifications_attempt ({', '.join(_COLUMNS)}) VALUES "  # noqa: S608 - names of columns
_ROW = f"({', '.join(['%s'] * len(_COLUMNS))})"
# SQLite bounds the parameters of a statement.
_AT_ONCE = 500


@dataclass(slots=True)
class NewAttempt:
    """An attempt to be written; the names are those of its columns."""

    delivery_id: uuid.UUID
    number: int
    started_at: datetime
    duration_ms: int
    outcome: str
    code: int | None
    reply: str
    queue_id: str = ""
    url: str = ""
    error_code: str = ""
    location: str = ""
    relay: str = ""


def write(attempts: Sequence[NewAttempt]) -> None:
    """Insert attempts, in the transaction of the new states of their deliveries."""
    native = connection.features.has_native_uuid_field
    moment = connection.ops.adapt_datetimefield_value
    for start in range(0, len(attempts), _AT_ONCE):
        group = attempts[start : start + _AT_ONCE]
        parameters: list[Any] = []
        for attempt in group:
            key, number, started_at, *others = _values(attempt)
            parameters += (key if native else key.hex, number, moment(started_at), *others)
        with connection.cursor() as cursor:
            cursor.execute(_INSERT + ", ".join([_ROW] * len(group)), parameters)
