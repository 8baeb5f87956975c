"""What is kept for how long, and the removal of what is older. Nothing open is touched, nor the history."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from companies.models import Session

from .models import ApiToken, Attempt, Delivery, Event, Message

BATCH = 500


def _old_deliveries(now: datetime) -> QuerySet[Delivery]:
    limit = now - timedelta(days=settings.RETENTION_DAYS["deliveries"])
    found = Delivery.objects.filter(status__in=Delivery.FINAL, created_at__lt=limit)
    # What a kept row refers to stays with it.
    kept = Delivery.objects.filter(resend_of=OuterRef("pk"))
    carried = Delivery.objects.filter(carried_by=OuterRef("pk"))
    waits = Attempt.objects.filter(delivery=OuterRef("pk"), notice_due_at__isnull=False)
    return found.exclude(Exists(kept)).exclude(Exists(carried)).exclude(Exists(waits))


def _old_messages(now: datetime) -> QuerySet[Message]:
    limit = now - timedelta(days=settings.RETENTION_DAYS["deliveries"])
    used = Delivery.objects.filter(message=OuterRef("pk"))
    return Message.objects.filter(event__accepted_at__lt=limit, broadcast__isnull=True).exclude(Exists(used))


def _old_events(now: datetime) -> QuerySet[Event]:
    limit = now - timedelta(days=settings.RETENTION_DAYS["events"])
    deliveries, messages = Delivery.objects.filter(event=OuterRef("pk")), Message.objects.filter(event=OuterRef("pk"))
    return Event.objects.filter(accepted_at__lt=limit).exclude(Exists(deliveries)).exclude(Exists(messages))


def _old_sessions(now: datetime) -> QuerySet[Session]:
    return Session.objects.filter(expire_date__lt=now - timedelta(days=settings.RETENTION_DAYS["sessions"]))


def _old_tokens(now: datetime) -> QuerySet[ApiToken]:
    limit = now - timedelta(days=settings.RETENTION_DAYS["tokens"])
    return ApiToken.objects.filter(revoked_at__lt=limit) | ApiToken.objects.filter(expires_at__lt=limit)


# In this order: what refers before what is referred to.
KINDS: dict[str, Callable[[datetime], QuerySet[Any]]] = {
    "deliveries": _old_deliveries,
    "messages": _old_messages,
    "events": _old_events,
    "sessions": _old_sessions,
    "tokens": _old_tokens,
}


def count(now: datetime | None = None) -> dict[str, int]:
    """What a purge would remove now; events count only once their deliveries are gone."""
    return {name: old(now or timezone.now()).count() for name, old in KINDS.items()}


def purge(now: datetime | None = None, progress: Callable[[str, int], None] = lambda name, n: None) -> dict[str, int]:
    """Remove what is older than stated, in short transactions; can be stopped and run again.

    Args:
        progress: called with (kind, rows removed so far) after each batch.
    """
    moment = now or timezone.now()
    removed = dict.fromkeys(KINDS, 0)
    for name, old in KINDS.items():
        while True:
            with transaction.atomic():
                keys = list(old(moment).values_list("pk", flat=True)[:BATCH])
                if not keys:
                    break
                old(moment).model._default_manager.filter(pk__in=keys).delete()
            removed[name] += len(keys)
            progress(name, removed[name])
    return removed
