"""Writes on deliveries by hand: resend, requeue, cancel; one, or many at once."""

import uuid
from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from backoffice.base.inserting import insert
from companies import audit, status
from companies.audit import Actor
from companies.models import Company
from notifications.core import catalogue, wording
from notifications.core.reasons import Reason
from notifications.events import doorbell
from notifications.health import recording
from notifications.models import Delivery, dedupe_key

# Rows of one statement.
_STEP = 500


@transaction.atomic
def delivery_resend(*, delivery: Delivery, actor: Actor) -> Delivery:
    """Queue the frozen message of a delivery copy, to the same recipient, as a new row.

    Raises ValidationError when the delivery is still open or has no message, and for all but account
    and security mail when the company or the shop is not active, or the address is suppressed.
    """
    if delivery.notification not in catalogue.SENT_IN_ANY_STATE:
        status.ensure_active(company=delivery.company, shop=delivery.shop)
    if recording.is_suppressed(delivery):
        raise ValidationError(wording.reason(Reason.ADDRESS_SUPPRESSED, {}))
    if not delivery.is_resendable:
        raise ValidationError(_("Cet envoi ne peut pas être renvoyé : il est encore en cours, ou n'a pas de contenu."))
    copy = _again(Delivery.objects.get(pk=delivery.pk))
    copy.save(force_insert=True)
    audit.record(
        actor=actor,
        action="delivery.resent",
        obj=delivery,
        company=delivery.company,
        changes={"delivery": [str(delivery.pk), str(copy.pk)]},
    )
    transaction.on_commit(doorbell.ring, robust=True)
    return copy


def _again(copy: Delivery) -> Delivery:
    """Turn the instance of a delivery into a new row that sends its message again; not saved."""
    copy.resend_of_id = copy.pk
    copy.pk = uuid.uuid4()
    copy._state.adding = True
    copy.status, copy.error = Delivery.Status.QUEUED, ""
    copy.attempt_count = 0
    copy.created_at = timezone.now()
    copy.sent_at = copy.retry_at = copy.digest_at = copy.leased_until = copy.http_status = None
    copy.lease_owner = ""
    # Whoever asks, this message goes out: it is nobody else's, and no part of a broadcast's or replay's count.
    copy.carried_by = copy.broadcast = copy.run = None
    copy.dedupe_key = dedupe_key(copy.dedupe_key, "resend", copy.pk)
    return copy


def may_go_out(delivery: Delivery) -> bool:
    """Whether the state of its company and shop lets a message out, see `docs/rules.md` 4.12."""
    if delivery.notification in catalogue.SENT_IN_ANY_STATE or delivery.company is None:
        return True
    return status.is_active(company=delivery.company, shop=delivery.shop)


@transaction.atomic
def deliveries_resend(*, deliveries: Iterable[Delivery], actor: Actor, company: Company) -> tuple[uuid.UUID, int]:
    """Queue the frozen messages of deliveries again, all under one run that can be watched.

    What cannot be sent again by now is left out.

    Args:
        deliveries: of this company, with their shop loaded.

    Returns:
        (id of the run, messages queued)
    """
    run = uuid.uuid4()
    listed = list(deliveries)
    held = recording.suppressed_of(listed)
    rows = [
        _again(delivery)
        for delivery in listed
        if delivery.is_resendable and may_go_out(delivery) and delivery.pk not in held
    ]
    for row in rows:
        row.run = run
    insert(rows)
    if rows:
        audit.record(
            actor=actor,
            action="deliveries.resent",
            obj=company,
            company=company,
            changes={"deliveries": [None, len(rows)], "run": [None, str(run)]},
        )
        transaction.on_commit(doorbell.ring, robust=True)
    return run, len(rows)


@transaction.atomic
def deliveries_cancel(*, deliveries: Iterable[Delivery], actor: Actor, company: Company) -> int:
    """Stop deliveries that wait; how many were stopped. Also in a closed shop: nothing leaves by it."""
    status.ensure_open(actor=actor, company=company)
    keys = [delivery.pk for delivery in deliveries]
    stopped = 0
    # SQLite bounds the parameters of a statement.
    for start in range(0, len(keys), _STEP):
        waiting = Delivery.objects.filter(
            pk__in=keys[start : start + _STEP], status__in=Delivery.DUE, broadcast=None, company=company
        )
        stopped += waiting.update(status=Delivery.Status.CANCELLED, retry_at=None)
    if stopped:
        audit.record(
            actor=actor,
            action="deliveries.cancelled",
            obj=company,
            company=company,
            changes={"deliveries": [None, stopped]},
        )
    return stopped


@transaction.atomic
def delivery_requeue(*, delivery: Delivery, actor: Actor) -> bool:
    """Give a dead delivery a fresh start under its own identity; False when it is not dead.

    False as well for all but account and security mail when the company or the shop is not active, or its address is
    suppressed. One that another delivery carries starts that one again, and all that it carries.
    """
    if not may_go_out(delivery):
        return False
    if recording.is_suppressed(delivery):
        return False
    carrier = delivery.carried_by_id or delivery.pk
    changed = Delivery.objects.filter(Q(pk=carrier) | Q(carried_by=carrier), status=Delivery.Status.DEAD).update(
        status=Delivery.Status.QUEUED, retry_at=None, error="", attempt_count=0
    )
    if changed:
        audit.record(
            actor=actor,
            action="delivery.requeued",
            obj=delivery,
            company=delivery.company,
            changes={"status": ["dead", "queued"]},
        )
        transaction.on_commit(doorbell.ring, robust=True)
    return bool(changed)


@transaction.atomic
def run_cancel(*, deliveries: QuerySet[Delivery], run: uuid.UUID, actor: Actor, company: Company) -> int:
    """Stop what waits of a run; returns how many calls or messages that were. Also in a closed shop: nothing leaves by it."""
    status.ensure_open(actor=actor, company=company)
    stopped = deliveries.filter(run=run, status__in=Delivery.DUE).order_by().values_list("pk", flat=True)
    calls = deliveries.filter(run=run, channel=catalogue.Channel.IPN).exists()
    count = Delivery.objects.filter(pk__in=list(stopped), status__in=Delivery.DUE).update(
        status=Delivery.Status.CANCELLED, retry_at=None
    )
    if count:
        audit.record(
            actor=actor,
            action="calls.replay_stopped" if calls else "deliveries.cancelled",
            obj=company,
            company=company,
            changes={"calls" if calls else "deliveries": [count, 0], "run": [str(run), None]},
        )
    return count


@transaction.atomic
def delivery_cancel(*, delivery: Delivery, actor: Actor) -> bool:
    """Stop a delivery that waits; False when it is being sent or final already, in a digest, or part of a broadcast.

    Also in a closed shop: nothing leaves by it.
    """
    if delivery.company is not None:
        status.ensure_open(actor=actor, company=delivery.company)
    waiting = Delivery.objects.filter(pk=delivery.pk, status__in=Delivery.DUE, broadcast=None, carried_by=None)
    changed = waiting.update(status=Delivery.Status.CANCELLED, retry_at=None)
    if changed:
        # A digest is its events: they follow it.
        Delivery.objects.filter(carried_by=delivery.pk, status__in=Delivery.DUE).update(
            status=Delivery.Status.CANCELLED, retry_at=None
        )
    if changed:
        audit.record(
            actor=actor,
            action="delivery.cancelled",
            obj=delivery,
            company=delivery.company,
            changes={"status": [delivery.status, "cancelled"]},
        )
    return bool(changed)
