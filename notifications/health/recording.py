"""Refusals and successes become states of addresses: in the dialogue with a server, by notices, by providers.

A refusal costs a few statements; a mail that is taken costs none, unless its address was in trouble.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q
from django.utils import timezone, translation

from companies import audit, status
from companies.audit import Actor
from companies.models import Company
from notifications.core import address_health, catalogue, wording
from notifications.core.address_health import AddressState, Cause, Gravity
from notifications.core.catalogue import Channel, Scope
from notifications.core.reasons import Reason
from notifications.mail import verify_links
from notifications.models import AddressHealth, AddressSign, Delivery

# Mail that a suppressed address gets all the same, besides the one that verifies it.
STILL_TRIED = frozenset(row.code for row in catalogue.CATALOGUE if row.scope is Scope.ACCOUNT)
# More addresses are not named in a query, SQLite bounds its parameters.
NAMED_ADDRESSES = 500
_NOTICES = (AddressSign.Via.NOTICE, AddressSign.Via.PROVIDER)
_WORDS = AddressHealth._meta.get_field("words").max_length or 300


@dataclass(frozen=True)
class Refusal:
    """A refusal that concerns the address of a delivery.

    Attributes:
        at: when the mail was sent or tried, by the clock of sending.
        is_delay: it says that the mail is late, not that it failed.
    """

    delivery: Delivery
    at: datetime
    code: str
    words: str
    via: str
    is_delay: bool = False

    @property
    def gravity(self) -> Gravity:
        return Gravity.SOFT if self.is_delay else address_health.gravity(self.code)


@dataclass
class Noted:
    """What came of refusals: how many counted as soft, how many addresses they suppressed, how many changed nothing."""

    deliveries: int = 0
    suppressed: int = 0
    soft: int = 0
    ignored: int = 0

    def add(self, other: "Noted") -> None:
        self.deliveries += other.deliveries
        self.suppressed += other.suppressed
        self.soft += other.soft
        self.ignored += other.ignored


@transaction.atomic
def note_refusal(refusal: Refusal) -> Noted:
    """Record a refusal with what it does to its address, in each company that the mail was for.

    A second notice about the same delivery changes nothing more; only a definite refusal after a mere delay counts.
    """
    noted = Noted()
    for company in _companies(refusal.delivery):
        health = held(company, refusal.delivery.normalised_address)
        if refusal.via in _NOTICES and not _is_news(health, refusal):
            continue
        before = health.state
        _apply(health, refusal)
        noted.deliveries = 1
        noted.soft += refusal.gravity is Gravity.SOFT
        noted.suppressed += before != AddressState.SUPPRESSED and health.state == AddressState.SUPPRESSED
    noted.soft = min(noted.soft, 1)
    noted.ignored = 1 - noted.deliveries
    return noted


def _companies(delivery: Delivery) -> list[Company]:
    """The companies that a mail was for: one mail of a broadcast goes for several."""
    mine = Q(pk=delivery.company_id)
    if delivery.broadcast_id:
        mine |= Q(pk__in=Delivery.objects.filter(carried_by=delivery.pk).order_by().values("company"))
    return list(Company.objects.filter(mine).order_by("pk")) if delivery.normalised_address else []


def held(company: Company, normalised: str) -> AddressHealth:
    """The state of an address, locked until the transaction ends; made where there was none."""
    AddressHealth.objects.get_or_create(company=company, normalised_address=normalised)
    rows = AddressHealth.objects.select_for_update(of=("self",)).select_related("company")
    return rows.get(company=company, normalised_address=normalised)


def _is_news(health: AddressHealth, refusal: Refusal) -> bool:
    earlier = list(health.signs.filter(delivery=refusal.delivery, via__in=_NOTICES).values_list("is_delay", flat=True))
    return not earlier or (all(earlier) and refusal.gravity is Gravity.HARD)


def _apply(health: AddressHealth, refusal: Refusal) -> None:
    """Add the sign of a refusal, and change the state by it."""
    words = refusal.words[:_WORDS]
    AddressSign.objects.create(
        health=health,
        delivery=refusal.delivery,
        at=refusal.at,
        kind=refusal.gravity,
        via=refusal.via,
        is_delay=refusal.is_delay,
        code=refusal.code,
        words=words,
    )
    before = AddressState(health.state)
    times = [] if refusal.gravity is Gravity.HARD else soft_times(health)
    after, cause = address_health.after_refusal(before, refusal.gravity, times)
    if before is AddressState.SUPPRESSED:
        return
    health.state, health.cause, health.code, health.words = after, cause, refusal.code, words
    if after is not before:
        # Behind every state that was before it, also where notices come late.
        health.since = max(refusal.at, health.since) if health.since else refusal.at
    if after is AddressState.SUPPRESSED:
        health.verified_at = None
        _stop_waiting(health)
    health.save()
    if after is not before:
        changes = {"state": [before.value, after.value], "code": ["", refusal.code], "reply": ["", words]}
        _told(health, f"address.{after.value}", Actor.command("deliver"), changes)


def soft_times(health: AddressHealth) -> list[datetime]:
    """When soft refusals came since the last mail that arrived.

    A mail that a server took and gave back later did not arrive.
    """
    came_back = AddressSign.objects.filter(
        Q(delivery=OuterRef("pk")) | Q(delivery=OuterRef("carried_by")), via__in=_NOTICES, health=health
    )
    arrived = Delivery.objects.filter(
        ~Exists(came_back),
        company=health.company_id,
        normalised_address=health.normalised_address,
        channel=Channel.EMAIL,
        status=Delivery.Status.SENT,
    ).aggregate(last=Max("sent_at"))["last"]
    signs = health.signs.filter(kind=AddressSign.Kind.SOFT, is_settled=False)
    if arrived is not None:
        signs = signs.filter(at__gt=arrived)
    return list(signs.values_list("at", flat=True))


def _stop_waiting(health: AddressHealth) -> None:
    """What waits for an address that is suppressed now is not sent, for that reason."""
    with translation.override(health.company.language):
        told = wording.reason(Reason.ADDRESS_SUPPRESSED, {})
    waiting = Delivery.objects.filter(
        company=health.company_id,
        normalised_address=health.normalised_address,
        channel=Channel.EMAIL,
        status__in=Delivery.DUE,
        broadcast=None,
    ).exclude(notification__in=STILL_TRIED)
    waiting.exclude(event__type=verify_links.EVENT).update(
        status=Delivery.Status.NOT_SENT, error=told[:500], retry_at=None
    )


def _told(health: AddressHealth, action: str, actor: Actor, changes: audit.Changes) -> None:
    audit.record(actor=actor, action=action, obj=health, company=health.company, changes=changes)


def is_suppressed(delivery: Delivery) -> bool:
    """Whether nothing is sent to the address of a delivery any more; what is about accounts still is."""
    return bool(suppressed_of([delivery]))


def suppressed_of(deliveries: Iterable[Delivery]) -> set[UUID]:
    """Keys of those deliveries to whose address nothing is sent any more, in one query.

    Args:
        deliveries: with their events loaded.
    """
    judged = [
        delivery
        for delivery in deliveries
        if delivery.notification not in STILL_TRIED
        and delivery.company_id is not None
        and delivery.channel == Channel.EMAIL
        and delivery.event.type != verify_links.EVENT
    ]
    return _at_addresses(judged, AddressState.SUPPRESSED)


def _at_addresses(deliveries: Sequence[Delivery], state: AddressState) -> set[UUID]:
    """Keys of those deliveries whose address is in a state; one query, none for no delivery."""
    if not deliveries:
        return set()
    rows = AddressHealth.objects.filter(
        company__in={delivery.company_id for delivery in deliveries if delivery.company_id}, state=state
    )
    named = {delivery.normalised_address for delivery in deliveries}
    if len(named) <= NAMED_ADDRESSES:
        rows = rows.filter(normalised_address__in=named)
    held = set(rows.values_list("company_id", "normalised_address"))
    return {delivery.pk for delivery in deliveries if (delivery.company_id, delivery.normalised_address) in held}


# --- Of the mail worker ---------------------------------------------------------------------------


def in_state(state: AddressState) -> Exists:
    """Whether the address of a delivery is in a state, for the query that loads it."""
    return Exists(
        AddressHealth.objects.filter(
            company=OuterRef("company"), normalised_address=OuterRef("normalised_address"), state=state
        )
    )


def mark_troubled(deliveries: Sequence[Delivery]) -> None:
    """Set `is_troubled` on each: whether its address bounced lately; one statement for all."""
    bouncing = _at_addresses(deliveries, AddressState.BOUNCING)
    for delivery in deliveries:
        delivery.is_troubled = delivery.pk in bouncing  # type: ignore[attr-defined]


def note_successes(deliveries: Iterable[Delivery], at: datetime) -> None:
    """Mails were taken: what bounced is what it was before. For those whose address is, or may be, in trouble."""
    for delivery in deliveries:
        bouncing = AddressHealth.objects.filter(
            normalised_address=delivery.normalised_address, state=AddressState.BOUNCING
        )
        for company in _companies(delivery) if bouncing.exists() else ():
            if bouncing.filter(company=company).exists():
                _recover(held(company, delivery.normalised_address), at)


def _recover(health: AddressHealth, at: datetime) -> None:
    before = AddressState(health.state)
    after = address_health.after_success(before, was_verified=health.verified_at is not None)
    if after is before:
        return
    health.state, health.cause, health.code, health.words = after, Cause.DELIVERED, "", ""
    health.since = max(at, health.since) if health.since else at
    health.save()
    _told(health, "address.recovered", Actor.command("deliver"), {"state": [before.value, after.value]})


# --- By people ------------------------------------------------------------------------------------


@transaction.atomic
def address_reactivate(*, company: Company, normalised: str, actor: Actor) -> bool:
    """Send to an address again that was suppressed; False where it was not.

    What was refused before counts no more; whether the address is right remains to be seen, so it is unverified.
    """
    status.ensure_open(actor=actor, company=company)
    health = AddressHealth.objects.filter(company=company, normalised_address=normalised).first()
    if health is None or health.state != AddressState.SUPPRESSED:
        return False
    health = held(company, normalised)
    if health.state != AddressState.SUPPRESSED:
        return False
    _set_right(health, AddressState.UNVERIFIED, Cause.REACTIVATED, actor.label[:_WORDS])
    _told(health, "address.reactivated", actor, {"state": ["suppressed", "unverified"]})
    return True


@transaction.atomic
def address_verified(*, company: Company, normalised: str, cause: Cause, actor: Actor) -> bool:
    """Record that an address is read; False if that was known. Earlier refusals no longer count."""
    health = held(company, normalised)
    before = health.state
    health.verified_at = timezone.now()
    if before == AddressState.VERIFIED:
        health.save(update_fields=["verified_at"])
        return False
    _set_right(health, AddressState.VERIFIED, cause, "")
    _told(health, "address.verified", actor, {"state": [before, "verified"]})
    return True


def _set_right(health: AddressHealth, state: AddressState, cause: Cause, words: str) -> None:
    health.state, health.cause, health.code, health.words, health.since = state, cause, "", words, timezone.now()
    health.save()
    health.signs.filter(is_settled=False).update(is_settled=True)
