"""Retention: how long each kind of row is kept, and the removal of older ones. Open rows and the history are never
removed.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from companies.models import Session, Submission
from notifications.models import (
    AddressSign,
    ApiToken,
    Attachment,
    Attempt,
    Delivery,
    Event,
    MailRemark,
    Message,
)

# Rows of one transaction.
BATCH = 1000


def _old_deliveries(now: datetime) -> QuerySet[Delivery]:
    limit = now - timedelta(days=settings.RETENTION_DAYS["deliveries"])
    deliveries = Delivery.objects.filter(status__in=Delivery.FINAL, created_at__lt=limit)
    # What a kept row refers to stays with it.
    kept = Delivery.objects.filter(resend_of=OuterRef("pk"))
    carried = Delivery.objects.filter(carried_by=OuterRef("pk"))
    waits = Attempt.objects.filter(delivery=OuterRef("pk"), notice_due_at__isnull=False)
    return deliveries.exclude(Exists(kept)).exclude(Exists(carried)).exclude(Exists(waits))


def _old_messages(now: datetime) -> QuerySet[Message]:
    limit = now - timedelta(days=settings.RETENTION_DAYS["deliveries"])
    used = Delivery.objects.filter(message=OuterRef("pk"))
    return Message.objects.filter(event__accepted_at__lt=limit, broadcast__isnull=True).exclude(Exists(used))


def _old_events(now: datetime) -> QuerySet[Event]:
    limit = now - timedelta(days=settings.RETENTION_DAYS["events"])
    deliveries, messages = Delivery.objects.filter(event=OuterRef("pk")), Message.objects.filter(event=OuterRef("pk"))
    return Event.objects.filter(accepted_at__lt=limit).exclude(Exists(deliveries)).exclude(Exists(messages))


def _old_remarks(now: datetime) -> QuerySet[MailRemark]:
    limit = now - timedelta(days=settings.RETENTION_DAYS["deliveries"])
    return MailRemark.objects.filter(created_at__lt=limit)


def _old_sessions(now: datetime) -> QuerySet[Session]:
    return Session.objects.filter(expire_date__lt=now - timedelta(days=settings.RETENTION_DAYS["sessions"]))


def _old_tokens(now: datetime) -> QuerySet[ApiToken]:
    limit = now - timedelta(days=settings.RETENTION_DAYS["tokens"])
    return ApiToken.objects.filter(revoked_at__lt=limit) | ApiToken.objects.filter(expires_at__lt=limit)


def _old_submissions(now: datetime) -> QuerySet[Submission]:
    return Submission.objects.filter(started_at__lt=now - timedelta(days=settings.RETENTION_DAYS["submissions"]))


# In this order: what refers before what is referred to.
KINDS: dict[str, Callable[[datetime], QuerySet[Any]]] = {
    "deliveries": _old_deliveries,
    "messages": _old_messages,
    "events": _old_events,
    "sessions": _old_sessions,
    "tokens": _old_tokens,
    "submissions": _old_submissions,
    "remarks": _old_remarks,
}


def count(now: datetime | None = None) -> dict[str, int]:
    """What a purge would remove now; events count only once their deliveries are gone."""
    return {name: old(now or timezone.now()).count() for name, old in KINDS.items()}


Progress = Callable[[str, int], None]


def purge(now: datetime | None = None, progress: Progress = lambda name, n: None) -> dict[str, int]:
    """Remove what is older than stated, in short transactions; can be stopped and run again.

    Deliveries and events go from the oldest on, each batch after the one before it, so that the whole takes time in
    proportion to what it removes, however much stays.

    Args:
        progress: called with (kind, rows removed so far) after each batch.
    """
    moment = now or timezone.now()
    removed = dict.fromkeys(KINDS, 0)

    def note(numbers: dict[str, int]) -> int:
        for name, number in numbers.items():
            if number:
                removed[name] += number
                progress(name, removed[name])
        return sum(numbers.values())

    # What a later delivery referred to may go once that one is gone: until a round finds nothing.
    while sum([note(numbers) for numbers in _walk(_final_deliveries(moment), "created_at", _remove_deliveries)]):
        pass
    for numbers in _walk(_accepted_events(moment), "accepted_at", _remove_events):
        note(numbers)
    for name, old in KINDS.items():
        if name not in ("deliveries", "messages", "events"):
            while note({name: _remove_some(old(moment))}):
                pass
    return removed


def _remove_some(rows: QuerySet[Any]) -> int:
    with transaction.atomic():
        keys = list(rows.values_list("pk", flat=True)[:BATCH])
        if keys:
            rows.model._default_manager.filter(pk__in=keys).delete()
    return len(keys)


def _walk(rows: QuerySet[Any], column: str, remove: Callable[[list[Any]], dict[str, int]]) -> Iterator[dict[str, int]]:
    """Pass the keys of all rows to `remove`, oldest first, one batch a transaction; yields its results.

    Args:
        column: a moment, indexed together with the key.
    """
    rest = rows.order_by(column, "pk")
    while True:
        with transaction.atomic():
            batch = list(rest.values_list("pk", column)[:BATCH])
            numbers = remove([key for key, _moment in batch])
        yield numbers
        if len(batch) < BATCH:
            return
        key, moment = batch[-1]
        # The first condition is what the index begins at.
        after = Q(**{f"{column}__gt": moment}) | Q(**{column: moment, "pk__gt": key})
        rest = rows.filter(**{f"{column}__gte": moment}).filter(after).order_by(column, "pk")


def _final_deliveries(now: datetime) -> QuerySet[Delivery]:
    limit = now - timedelta(days=settings.RETENTION_DAYS["deliveries"])
    return Delivery.objects.filter(status__in=Delivery.FINAL, created_at__lt=limit)


def _accepted_events(now: datetime) -> QuerySet[Event]:
    return Event.objects.filter(accepted_at__lt=now - timedelta(days=settings.RETENTION_DAYS["events"]))


def _remove_deliveries(keys: list[Any]) -> dict[str, int]:
    """Remove what nothing refers to of some final deliveries, with their attempts and the messages that nobody else got.

    Each table takes one statement, its rows are not loaded; the database sees to it that nothing refers to what goes.
    """
    kept = {
        *Delivery.objects.filter(resend_of__in=keys).order_by().values_list("resend_of", flat=True),
        *Delivery.objects.filter(carried_by__in=keys).order_by().values_list("carried_by", flat=True),
        *Attempt.objects.filter(delivery__in=keys, notice_due_at__isnull=False).values_list("delivery", flat=True),
    }
    asked = [key for key in keys if key not in kept]
    rows = Delivery.objects.filter(pk__in=asked).order_by()
    content = set(rows.filter(message__broadcast=None).values_list("message", flat=True)) - {None}
    # One that was sent again by hand meanwhile stays.
    number = _delete(rows.filter(status__in=Delivery.FINAL))
    gone = asked if number == len(asked) else list(set(asked) - set(rows.values_list("pk", flat=True)))
    _delete(AddressSign.objects.filter(delivery__in=gone))
    _delete(Attempt.objects.filter(delivery__in=gone))
    return {"deliveries": number, "messages": _remove_messages(Message.objects.filter(pk__in=content))}


def _remove_messages(messages: QuerySet[Message]) -> int:
    """Remove those of some messages that no delivery has."""
    used = Delivery.objects.filter(message=OuterRef("pk"))
    unused = list(messages.exclude(Exists(used)).values_list("pk", flat=True))
    _delete(Attachment.objects.filter(message__in=unused))
    return _delete(Message.objects.filter(pk__in=unused))


def _remove_events(keys: list[Any]) -> dict[str, int]:
    """Remove those of some events that have no delivery, with their messages."""
    told = Delivery.objects.filter(event__in=keys).order_by().values_list("event", flat=True)
    gone = list(set(keys) - set(told))
    messages = _remove_messages(Message.objects.filter(event__in=gone))
    # A message that went out with the delivery of another event keeps its own.
    carried = set(Message.objects.filter(event__in=gone).values_list("event", flat=True))
    return {"messages": messages, "events": _delete(Event.objects.filter(pk__in=set(gone) - carried))}


def _delete(rows: QuerySet[Any]) -> int:
    """Delete in one statement, without reading the rows for what refers to them."""
    return rows._raw_delete(rows.db) or 0
