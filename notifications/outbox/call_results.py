"""Writes of calls: results of attempts, mails about failures and recoveries, calls made on request."""

import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from backoffice.base.inserting import insert
from backoffice.base.rows import Reading
from companies import audit
from companies.audit import Actor
from notifications import trail
from notifications.calls import requests as calls
from notifications.calls.door import Answer
from notifications.core import retry
from notifications.core.catalogue import Channel
from notifications.events import doorbell
from notifications.events.publishing import Particulars, publish
from notifications.models import Attempt, CallHealth, Delivery, dedupe_key
from notifications.outbox import attempts, held
from notifications.outbox.attempts import NewAttempt

log = structlog.get_logger(__name__)
# Asked after every group of calls, nearly always in vain.
_TROUBLED: Reading[CallHealth] = Reading(
    CallHealth, ("id", "rule_id"), by="rule_id", condition=" AND failing_since IS NOT NULL"
)
S = Delivery.Status


@dataclass(frozen=True)
class Ended:
    """An attempt that is over; `answer` None: no call was made for want of a key."""

    delivery: Delivery
    answer: Answer | None
    at: datetime


@dataclass
class _Verdict:
    """What an ended attempt means for its delivery."""

    ended: Ended
    status: str
    retry_at: datetime | None = None
    code: str = ""
    # Of the attempt: as its schedule counts, and as its row says.
    number: int = 0
    row_number: int = 0

    @property
    def delivery(self) -> Delivery:
        return self.ended.delivery

    @property
    def http_status(self) -> int | None:
        return self.ended.answer.status if self.ended.answer else None

    @property
    def is_automatic(self) -> bool:
        return not self.delivery.is_manual and not self.delivery.is_test


def judge(ended: Ended, dice: float) -> _Verdict:
    """The new state of a delivery after an attempt (docs/rules.md 5.3)."""
    answer, delivery = ended.answer, ended.delivery
    if answer is None:
        return _Verdict(ended, S.NOT_SENT, code=calls.NO_KEY)
    policy = calls.policy_of(delivery)
    profile = delivery.call.get("profile", "standard")
    if not answer.error and retry.call_succeeded(answer.status, profile):
        return _Verdict(ended, S.SENT)
    again = retry.next_call_attempt(
        policy,
        delivery.attempt_count + 1,
        ended.at,
        status=answer.status,
        retry_after=answer.retry_after,
        dice=dice,
    )
    code = calls.error_code(answer.error, answer.status)
    return _Verdict(ended, S.RETRY if again else S.DEAD, again, code)


def record(ended: Sequence[Ended], owner: str) -> dict[uuid.UUID, str]:
    """Write attempts and new states of calls whose lease `owner` still holds, in one transaction.

    Failures and recoveries of automatic calls publish their mails in it.

    Returns:
        delivery id → new status, of those still held.
    """
    with transaction.atomic():
        judged = [judge(item, random.random()) for item in ended]
        numbers = _write_states(judged, owner)
        verdicts = [verdict for verdict in judged if verdict.delivery.id in numbers]
        if len(verdicts) < len(ended):
            log.warning("lease_lost", count=len(ended) - len(verdicts))
        _write_attempts(verdicts, numbers)
        _follow_health(verdicts)
        for verdict in verdicts:
            if verdict.delivery.is_manual and verdict.status == S.SENT:
                _stop_retries(verdict.delivery)
    for verdict in verdicts if trail.is_kept() else ():
        told = {"code": verdict.http_status, "reply": verdict.code}
        trail.attempted(verdict.delivery, verdict.status, verdict.row_number, partial(_exchange, verdict), **told)
    return {verdict.delivery.pk: verdict.status for verdict in verdicts}


def _exchange(verdict: _Verdict) -> trail.Exchange:
    """What a trace tells of an attempt."""
    answer, endpoint = verdict.ended.answer, verdict.delivery.endpoint
    if answer is None:
        return trail.Exchange("HTTP", endpoint, 0.0, 0, error=verdict.code)
    return trail.Exchange("HTTP", endpoint, answer.ended, answer.duration_ms, answer.status, verdict.code)


def _write_states(verdicts: list[_Verdict], owner: str) -> dict[uuid.UUID, int]:
    """One update for all calls that were sent alike; failures differ and are few.

    Returns:
        delivery id → number of its last attempt, of those that `owner` still holds.
    """
    alike: dict[tuple[int | None, datetime], list[uuid.UUID]] = defaultdict(list)
    others: list[_Verdict] = []
    for verdict in verdicts:
        if verdict.status == S.SENT:
            alike[verdict.http_status, verdict.ended.at].append(verdict.delivery.id)
        else:
            others.append(verdict)
    numbers = held.locked([verdict.delivery.id for verdict in others], owner)
    for verdict in others:
        if verdict.delivery.id in numbers:
            Delivery.objects.filter(pk=verdict.delivery.id).update(
                status=verdict.status,
                retry_at=verdict.retry_at,
                error=_error_text(verdict),
                http_status=verdict.http_status,
                attempt_count=F("attempt_count") + int(verdict.ended.answer is not None),
                lease_owner="",
                leased_until=None,
            )
    for (http_status, at), keys in alike.items():
        numbers |= held.sent(keys, owner, at=at, http_status=http_status)
    return numbers


def _error_text(verdict: _Verdict) -> str:
    detail = verdict.ended.answer.detail if verdict.ended.answer else ""
    return " ".join(filter(None, [verdict.code, detail]))[:500]


_OUTCOMES = {S.SENT: Attempt.Outcome.SENT, S.RETRY: Attempt.Outcome.TRANSIENT}


def _write_attempts(verdicts: list[_Verdict], numbers: dict[uuid.UUID, int]) -> None:
    made = [verdict for verdict in verdicts if verdict.ended.answer is not None]
    rows = []
    for verdict in made:
        answer, delivery = verdict.ended.answer, verdict.delivery
        assert answer
        verdict.number = delivery.attempt_count + 1
        verdict.row_number = numbers[delivery.id] + 1
        rows.append(
            NewAttempt(
                delivery_id=delivery.id,
                number=verdict.row_number,
                started_at=verdict.ended.at,
                duration_ms=answer.duration_ms,
                outcome=_OUTCOMES.get(S(verdict.status), Attempt.Outcome.PERMANENT),
                code=answer.status,
                reply=answer.text or answer.detail,
                url=delivery.address,
                error_code=verdict.code,
                location=answer.location,
            )
        )
    attempts.write(rows)


def _stop_retries(manual: Delivery) -> None:
    """A manual call that went through ends the automatic retry of the same call (docs/ipn.md, "Retry and replay")."""
    root = manual.resend_of_id
    if root is None:
        return
    Delivery.objects.filter(pk=root, status__in=Delivery.DUE).update(
        status=S.CANCELLED, retry_at=None, error="MANUAL_CALL_SENT"
    )


# --- Health, failure and recovery mails -----------------------------------------------------------


def _follow_health(verdicts: list[_Verdict]) -> None:
    """Keep the health of rules, and announce failures and recoveries (docs/rules.md 5.4)."""
    relevant = [verdict for verdict in verdicts if verdict.is_automatic]
    rules = {verdict.delivery.rule_id for verdict in relevant}
    failing_now = any(verdict.status != S.SENT for verdict in relevant)
    if not failing_now and not _TROUBLED.all(rules):
        return
    known = CallHealth.objects.filter(rule__in=rules)
    if not failing_now:
        known = known.filter(failing_since__isnull=False)
    health = {(row.rule_id, row.mode): row for row in known.select_for_update()}
    for verdict in relevant:
        delivery = verdict.delivery
        row = health.get((delivery.rule_id, delivery.mode))  # type: ignore[arg-type]
        if verdict.status == S.SENT:
            if row is not None and row.failing_since is not None:
                since, row.failing_since, row.failure_count = row.failing_since, None, 0
                row.save()
                _announce("ipn.recovered", delivery, [_told(verdict)], verdict.ended.at, since=since)
            continue
        if row is None:
            assert delivery.rule
            row = CallHealth.objects.create(rule=delivery.rule, mode=delivery.mode)
            health[row.rule_id, row.mode] = row
        slot = retry.slot_of(verdict.ended.at)
        row.failing_since = row.failing_since or verdict.ended.at
        row.failure_count += 1
        at_once = row.mailed_slot != slot
        if at_once:
            row.mailed_slot = slot
        row.save()
        if at_once or not verdict.row_number:
            _announce("ipn.failed", delivery, [_told(verdict)], verdict.ended.at)
        else:
            attempt = Attempt.objects.filter(delivery=delivery, number=verdict.row_number)
            attempt.update(notice_due_at=slot + retry.QUARTER)


def _told(verdict: _Verdict) -> dict[str, Any]:
    last = verdict.status != S.RETRY
    return _call_json(verdict.delivery, verdict.number or 1, verdict.code, last, verdict.retry_at, verdict.http_status)


def _call_json(
    delivery: Delivery, number: int, code: str, last: bool, retry_at: datetime | None, http_status: int | None
) -> dict[str, Any]:
    """One call as a failure or recovery event lists it."""
    data = delivery.event.data
    return {
        "delivery": str(delivery.pk),
        "event": delivery.event.event_id,
        "trigger": delivery.event.type,
        "url": delivery.address,
        "number": number,
        "last": last,
        "retry_at": retry_at.isoformat() if retry_at else None,
        "code": code,
        "http_status": http_status,
        **{name: data[name] for name in ("transaction_id", "order_id", "amount", "currency") if data.get(name)},
    }


def _announce(type: str, delivery: Delivery, told: list[dict[str, Any]], at: datetime, **more: datetime) -> None:
    assert delivery.rule and delivery.shop
    publish(
        type=type,
        company=delivery.company,
        shop=delivery.shop,
        rule=delivery.rule,
        data={
            "rule": delivery.rule.reference,
            "calls": told,
            **{name: moment.isoformat() for name, moment in more.items()},
        },
        particulars=Particulars(mode=delivery.mode, occurred_at=at),
    )


@transaction.atomic
def publish_due_notices(now: datetime) -> int:
    """Announce the failures whose quarter of an hour has ended, one mail a rule, mode and quarter.

    Returns the number of announcements.
    """
    due = (
        Attempt.objects.filter(notice_due_at__lte=now)
        .select_for_update(of=("self",), skip_locked=connection.features.has_select_for_update_skip_locked)
        .select_related("delivery__event", "delivery__rule", "delivery__shop", "delivery__company")
        .order_by("started_at", "pk")
    )
    groups: dict[tuple[Any, ...], list[Attempt]] = defaultdict(list)
    for attempt in due:
        delivery = attempt.delivery
        groups[delivery.rule_id, delivery.mode, attempt.notice_due_at].append(attempt)
    for group in groups.values():
        told = []
        for attempt in group:
            delivery = attempt.delivery
            waits = delivery.retry_at if delivery.status == S.RETRY else None
            last = attempt.outcome == Attempt.Outcome.PERMANENT
            told.append(_call_json(delivery, attempt.number, attempt.error_code, last, waits, attempt.code))
        _announce("ipn.failed", group[0].delivery, told, group[0].notice_due_at or now)
        Attempt.objects.filter(pk__in=[attempt.pk for attempt in group]).update(notice_due_at=None)
    return len(groups)


# --- Calls on request -----------------------------------------------------------------------------


def replay_target(delivery: Delivery, url: str) -> calls.Target:
    """Where a replay goes: "original", as frozen, or "current", as the rule says now.

    Raises ValidationError when there is no such URL.
    """
    if url == "original":
        if not delivery.address or not delivery.call:
            raise ValidationError(_no_original(delivery))
        return calls.Target(delivery.call["format"], delivery.address)
    return _current_target(delivery)


def _no_original(delivery: Delivery) -> str:
    """Why a replay cannot go to the original URL; it advises the current one only where there is one."""
    try:
        _current_target(delivery)
    except ValidationError:
        return _("Cet appel n'a pas d'URL d'origine.")
    return _("Cet appel n'a pas d'URL d'origine : choisissez l'URL actuelle de la règle.")


def _current_target(delivery: Delivery) -> calls.Target:
    rule = delivery.rule
    assert rule
    if rule.archived_at is not None:
        raise ValidationError(_("La règle « %(rule)s » a été supprimée.") % {"rule": rule.display_label})
    target = calls.target(rule, delivery.mode, delivery.event.data.get("source"))
    if not target.url:
        raise ValidationError(
            _("La règle « %(rule)s » n'a pas d'URL pour ce mode.") % {"rule": rule.display_label}, code="no_url"
        )
    return target


def _replay_row(delivery: Delivery, target: calls.Target) -> Delivery:
    row = Delivery(
        event=delivery.event,
        company=delivery.company,
        shop=delivery.shop,
        notification=delivery.notification,
        rule=delivery.rule,
        channel=Channel.IPN,
        mode=delivery.mode,
        resolution=delivery.resolution,
        is_manual=True,
        is_test=delivery.is_test,
        # Flat: every replay refers to the automatic call, which a success stops.
        resend_of_id=delivery.resend_of_id or delivery.pk,
    )
    calls.aim(row, target)
    same = delivery.call.get("format") == target.format
    row.call = {
        "profile": delivery.call.get("profile", "standard"),
        "auto_retry": False,
        "http_confirmed": bool(delivery.rule and delivery.rule.http_confirmed),
        **(
            {name: delivery.call[name] for name in ("format", "fields", "answer") if name in delivery.call}
            if same
            else calls.content(delivery.event, target.format)
        ),
    }
    row.dedupe_key = dedupe_key(delivery.dedupe_key, "manual", row.pk)
    return row


def _check_replayable(delivery: Delivery) -> None:
    company, shop = delivery.company, delivery.shop
    if company.status != "active" or (shop and shop.status != "active"):
        raise ValidationError(_("La société ou la boutique est suspendue ou fermée : rien n'est appelé."))
    if delivery.channel != Channel.IPN:
        raise ValidationError(_("Cet envoi n'est pas un appel d'URL."))
    if delivery.status == S.SENDING:
        raise ValidationError(_("Cet appel est en cours."))


@transaction.atomic
def call_replay(*, delivery: Delivery, actor: Actor, url: str = "original") -> Delivery:
    """« Exécuter l'URL de notification »: queue one manual attempt of a call, as a new row.

    It is never repeated and leaves the health of the rule alone; when it is sent, the automatic
    retry of the same call stops.

    Args:
        url: "original" or "current".

    Raises ValidationError when it cannot be made.
    """
    _check_replayable(delivery)
    row = _replay_row(delivery, replay_target(delivery, url))
    row.save(force_insert=True)
    audit.record(
        actor=actor,
        action="call.replayed",
        obj=delivery,
        company=delivery.company,
        changes={"delivery": [str(delivery.pk), str(row.pk)], "url": [delivery.address, row.address]},
    )
    transaction.on_commit(doorbell.ring, robust=True)
    return row


@dataclass(frozen=True)
class ReplayPlan:
    """Which calls one choice of URL would make, and why not the others: sentence → how many."""

    calls: list[tuple[Delivery, calls.Target]]
    left_out: dict[str, int]


def replay_plan(deliveries: Iterable[Delivery], url: str) -> ReplayPlan:
    """Judge each of these calls as a replay to the "original" or "current" URL would."""
    can: list[tuple[Delivery, calls.Target]] = []
    left_out: Counter[str] = Counter()
    for delivery in deliveries:
        try:
            _check_replayable(delivery)
            can.append((delivery, replay_target(delivery, url)))
        except ValidationError as error:
            left_out[" ".join(error.messages)] += 1
    return ReplayPlan(can, dict(left_out))


@transaction.atomic
def calls_replay(*, deliveries: Iterable[Delivery], actor: Actor, url: str = "original") -> tuple[uuid.UUID, int, int]:
    """Queue one manual attempt of each of these calls, all under one run that can be watched.

    Returns:
        (id of the run, calls queued, calls left out because they cannot be made)
    """
    run = uuid.uuid4()
    plan = replay_plan(deliveries, url)
    rows = [_replay_row(delivery, target) for delivery, target in plan.calls]
    company = plan.calls[0][0].company if plan.calls else None
    left_out = sum(plan.left_out.values())
    for row in rows:
        row.run = run
    insert(rows)
    if rows and company is not None:
        audit.record(
            actor=actor,
            action="calls.replayed",
            obj=rows[0],
            company=company,
            changes={"calls": [None, len(rows)], "run": [None, str(run)]},
        )
        transaction.on_commit(doorbell.ring, robust=True)
    return run, len(rows), left_out
