"""After a restore: deliveries sent since the dump, found in the logs, are marked as sent.

A dump holds deliveries as open that have arrived since. Our own lines (`notifications/trail.py`) name those that were
sent, and a mail server's log names every Message-ID that it took, of which the first half is the delivery's id.
"""

import json
import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from notifications.models import Attempt, Delivery, Event

_MESSAGE_ID = re.compile(r"message-id=<([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@", re.IGNORECASE)
_AT_ONCE = 500
T = TypeVar("T")
NOTE = "taken from the log after a restore"


@dataclass
class Remembered:
    """What logs know: deliveries that were sent, and events that were accepted, as company id and event id."""

    sent: set[uuid.UUID] = field(default_factory=set)
    events: set[tuple[int, str]] = field(default_factory=set)


def read(lines: Iterable[str]) -> Remembered:
    """Gather what log lines know; lines of other kinds are passed over."""
    remembered = Remembered()
    for line in lines:
        if match := _MESSAGE_ID.search(line):
            remembered.sent.add(uuid.UUID(match[1]))
        elif "attempt_ended" in line or "event_accepted" in line:
            _read_ours(line, remembered)
    return remembered


def _read_ours(line: str, remembered: Remembered) -> None:
    # The system's journal and containers put something in front.
    try:
        told = json.loads(line[line.index("{") :])
    except ValueError:
        return
    if told.get("event") == "attempt_ended" and told.get("status") == Delivery.Status.SENT:
        remembered.sent.add(uuid.UUID(told["delivery_id"]))
    elif told.get("event") == "event_accepted" and told.get("company") is not None:
        remembered.events.add((told["company"], told["event_id"]))


def forgotten_sends(remembered: Remembered) -> list[Delivery]:
    """The open deliveries that were sent all the same, those that another one carries included."""
    rows: list[Delivery] = []
    for keys in _groups(sorted(remembered.sent)):
        open_ones = Delivery.objects.filter(Q(pk__in=keys) | Q(carried_by__in=keys), status__in=Delivery.OPEN)
        rows += open_ones.order_by("created_at", "pk")
    return rows


def forgotten_events(remembered: Remembered) -> list[str]:
    """The ids of accepted events that the database does not know; their senders repeat them."""
    lost: list[str] = []
    for pairs in _groups(sorted(remembered.events)):
        rows = Event.objects.filter(event_id__in=[event_id for _company, event_id in pairs]).order_by()
        known = set(rows.values_list("company_id", "event_id"))
        lost += [event_id for company, event_id in pairs if (company, event_id) not in known]
    return lost


def _groups(items: list[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while group := list(islice(rest, _AT_ONCE)):
        yield group


@transaction.atomic
def note_sent(deliveries: list[Delivery]) -> int:
    """Note deliveries as sent, with an attempt that says where that is known from; returns how many."""
    now = timezone.now()
    count = 0
    for delivery in deliveries:
        changed = Delivery.objects.filter(pk=delivery.pk, status__in=Delivery.OPEN).update(
            status=Delivery.Status.SENT, sent_at=now, retry_at=None, error="", lease_owner="", leased_until=None
        )
        if not changed:
            continue
        last = delivery.attempts.order_by("-number").values_list("number", flat=True).first() or 0
        Attempt.objects.create(
            delivery=delivery, number=last + 1, started_at=now, outcome=Attempt.Outcome.SENT, reply=NOTE
        )
        count += 1
    return count
