"""Writes to deliveries whose lease a worker still holds; deliveries of a lost lease are left to their new owner.

Written out, because building these statements for every group took longer than running them. Each tells the number of
the last attempt: by the rows of attempts, since a requeued delivery counts anew and its old attempts stay.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from backoffice.base.rows import as_key, stored

_HELD = "WHERE id IN (<keys>) AND status = 'sending' AND lease_owner = %s"
_NUMBER = "(SELECT MAX(number) FROM notifications_attempt WHERE delivery_id = notifications_delivery.id)"
_SENT = f"""
UPDATE notifications_delivery SET status = 'sent', error = '', sent_at = %s, http_status = %s, retry_at = NULL,
    lease_owner = '', leased_until = NULL, attempt_count = attempt_count + 1
{_HELD} RETURNING id, {_NUMBER}
"""  # noqa: S608 - no value of anybody is in it
_LOCKED = f"SELECT id, {_NUMBER} FROM notifications_delivery {_HELD}"  # noqa: S608


def sent(
    keys: Sequence[uuid.UUID], owner: str, *, at: datetime | None, http_status: int | None = None
) -> dict[uuid.UUID, int]:
    """Mark as sent what `owner` still holds; returns the number of the last attempt of each."""
    return _numbers(_SENT, keys, [connection.ops.adapt_datetimefield_value(at), http_status], owner)


def locked(keys: Sequence[uuid.UUID], owner: str) -> dict[uuid.UUID, int]:
    """Lock what `owner` still holds; returns the number of the last attempt of each."""
    lock = " FOR UPDATE" if connection.features.has_select_for_update else ""
    return _numbers(_LOCKED + lock, keys, [], owner)


def _numbers(sql: str, keys: Sequence[uuid.UUID], before: Sequence[Any], owner: str) -> dict[uuid.UUID, int]:
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(sql.replace("<keys>", ", ".join(["%s"] * len(keys))), [*before, *stored(keys), owner])
        rows = cursor.fetchall()
    return {as_key(key): number or 0 for key, number in rows}
