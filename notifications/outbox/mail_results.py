"""Writes of mail: results of attempts; all that ended since the last commit are recorded in one transaction."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F

from notifications import trail
from notifications.core import address_health, retry
from notifications.events.digests import DIGEST
from notifications.health import recording
from notifications.health.recording import Refusal
from notifications.models import AddressSign, Attempt, Delivery
from notifications.outbox import attempts, held
from notifications.outbox.attempts import NewAttempt
from notifications.outbox.transports import routes
from notifications.outbox.transports.base import Result

log = structlog.get_logger(__name__)
S = Delivery.Status

# A mail that may have arrived is not sent again before whoever was slow has surely delivered it or forgotten it.
UNKNOWN_WAIT = timedelta(minutes=10)


@dataclass(frozen=True)
class MailEnded:
    """An attempt that is over."""

    delivery: Delivery
    result: Result
    at: datetime
    # The company's own server that was tried; empty: the platform's.
    relay: str = ""


@dataclass(frozen=True)
class NewState:
    """The new state of a delivery; those that are alike are written together."""

    status: str
    error: str = ""
    sent_at: datetime | None = None
    retry_at: datetime | None = None
    counts: bool = True

    def values(self) -> dict[str, Any]:
        values: dict[str, Any] = {"status": self.status, "error": self.error, "retry_at": self.retry_at}
        if self.status == S.SENT:
            values["sent_at"] = self.sent_at
        if self.counts:
            values["attempt_count"] = F("attempt_count") + 1
        return values


def judge(ended: MailEnded) -> NewState:
    """The new state of a delivery after an attempt (docs/rules.md 5.3)."""
    result, delivery, at = ended.result, ended.delivery, ended.at
    if result.outcome == Attempt.Outcome.SENT:
        return NewState(S.SENT, sent_at=at)
    if result.waits_for:
        # Ours to mend: the message waits as long as that takes, and the attempt is none of its schedule.
        until = None if result.goes_elsewhere else at + wait_for_settings()
        return NewState(S.RETRY, result.error, retry_at=until, counts=False)
    again = None
    if result.outcome == Attempt.Outcome.TRANSIENT and not delivery.is_test:
        again = retry.next_email_attempt(delivery.attempt_count + 1, at, settings.EMAIL_RETRY_DELAYS)
    if again is not None and result.is_unknown:
        again = max(again, at + UNKNOWN_WAIT)
    return NewState(S.RETRY if again else S.DEAD, result.error, retry_at=again)


def record(ended: Sequence[MailEnded], owner: str) -> dict[uuid.UUID, str]:
    """Write attempts and new states of the mails whose lease `owner` still holds, in one transaction.

    Returns:
        delivery id → new status, of those still held; of the others another worker decides.
    """
    groups: dict[NewState, list[MailEnded]] = defaultdict(list)
    for item in ended:
        groups[judge(item)].append(item)
    statuses: dict[uuid.UUID, str] = {}
    made: list[tuple[MailEnded, int]] = []
    with transaction.atomic():
        for change, items in groups.items():
            numbers = _write([item.delivery for item in items], change, owner)
            made += [(item, numbers[item.delivery.id] + 1) for item in items if item.delivery.id in numbers]
            statuses |= dict.fromkeys(numbers, change.status)
        attempts.write([_attempt(item, number) for item, number in made])
        _tell_health([item for item, _number in made])
    if len(made) < len(ended):
        log.warning("lease_lost", count=len(ended) - len(made))
    if trail.is_kept():
        for item, number in made:
            result, delivery = item.result, item.delivery
            told = {"code": result.code, "reply": result.reply, "queue_id": result.queue_id}
            told["duration_ms"] = result.duration_ms
            trail.attempted(delivery, statuses[delivery.id], number, partial(_exchange, item), **told)
    return statuses


def _exchange(item: MailEnded) -> trail.Exchange:
    """What a trace tells of an attempt."""
    result = item.result
    error = "" if result.outcome == Attempt.Outcome.SENT else str(result.code or result.waits_for or "no_answer")
    kind = "SMTP" if item.relay or routes.speaks_smtp() else ""
    server = item.relay or routes.platform_relay()
    return trail.Exchange(kind, server, result.ended, result.duration_ms, result.code, error)


def _tell_health(made: Sequence[MailEnded]) -> None:
    """What the attempts say of their addresses."""
    for item in made:
        result, delivery = item.result, item.delivery
        if result.of_recipient and result.outcome != Attempt.Outcome.SENT:
            code = address_health.enhanced_code(f"{result.code} {result.reply}")
            told = result.reply.removeprefix(code).strip()
            recording.note_refusal(Refusal(delivery, item.at, code or str(result.code), told, AddressSign.Via.SMTP))
        elif result.outcome == Attempt.Outcome.SENT and (
            delivery.broadcast_id or getattr(delivery, "is_troubled", False)
        ):
            recording.note_successes([delivery], item.at)


def _write(deliveries: list[Delivery], change: NewState, owner: str) -> dict[uuid.UUID, int]:
    """Write one new state; returns the number of the last attempt of those that `owner` still holds."""
    keys = [delivery.id for delivery in deliveries]
    values = change.values()
    if change.status == S.SENT:
        numbers = held.sent(keys, owner, at=change.sent_at)
    else:
        numbers = held.locked(keys, owner)
        Delivery.objects.filter(pk__in=numbers).update(lease_owner="", leased_until=None, **values)
    carrying = [
        delivery.id
        for delivery in deliveries
        if delivery.id in numbers and (delivery.broadcast_id or delivery.event.type == DIGEST)
    ]
    if carrying:
        # One message went for several companies, or for all events of a digest: each row takes over what came of it.
        Delivery.objects.filter(carried_by__in=carrying).update(**values)
    return numbers


def _attempt(ended: MailEnded, number: int) -> NewAttempt:
    result = ended.result
    return NewAttempt(
        delivery_id=ended.delivery.id,
        number=number,
        started_at=ended.at - timedelta(milliseconds=result.duration_ms),
        duration_ms=result.duration_ms,
        outcome=result.outcome,
        code=result.code,
        reply=result.error if result.is_unknown else result.reply,
        queue_id=result.queue_id,
        relay=ended.relay,
    )


def postpone(deliveries: Sequence[Delivery], owner: str, error: str, until: datetime) -> int:
    """Let mails wait that would meet what another one just met, untried; returns how many."""
    with transaction.atomic():
        return len(_write(list(deliveries), NewState(S.RETRY, error, retry_at=until, counts=False), owner))


def wait_for_settings() -> timedelta:
    """How long the queue waits before it is tried again with settings that may have been corrected."""
    return timedelta(seconds=settings.EMAIL_WAIT_SECONDS)
