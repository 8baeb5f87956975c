"""Pauses: deliveries that stay in the queue although they are ready, by order of an operator or because their company
or shop is suspended.

The workers read this about every second, so a pause holds within moments, and so does the state of a company. Nothing of a
paused delivery changes: when the pause ends, it goes on where it stood.
"""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from companies import audit
from companies.audit import Actor
from companies.models import Company, Status
from notifications.core.catalogue import SENT_IN_ANY_STATE, Channel
from notifications.models import Delivery, Hold, Lane
from notifications.models.deliveries import ACCOUNT_MAIL, INCIDENT_MAIL
from shops.models import Shop

# How old a worker's view of pauses may get.
READ_SECONDS = 1.0
CALLS = "calls"


def queue_of(delivery: Delivery) -> str:
    """The lane of a mail; calls stand in a queue of their own."""
    if delivery.channel == Channel.IPN:
        return CALLS
    if delivery.notification in ACCOUNT_MAIL:
        return Lane.ACCOUNT
    return Lane.INCIDENT if delivery.notification in INCIDENT_MAIL else Lane.MAIL


@dataclass
class Holds:
    """The pauses as they stand, and which of some companies are not active."""

    rows: Collection[Hold] = ()
    # Companies, and shops, that were asked about → whether their state keeps mail and calls back.
    _stopped: dict[int, bool] = field(default_factory=dict)
    _stopped_shops: dict[int, bool] = field(default_factory=dict)

    def _of(self, queue: str) -> Iterable[Hold]:
        channel = Channel.IPN if queue == CALLS else Channel.EMAIL
        for hold in self.rows:
            if hold.channel in ("", channel) and hold.lane in ("", queue) and (queue == CALLS or not hold.endpoint):
                yield hold

    def is_stopped(self, queue: str, endpoint: str = "") -> bool:
        """Whether a queue is paused for all companies; of calls, what goes to an endpoint."""
        return any(hold.company_id is None and hold.endpoint in ("", endpoint) for hold in self._of(queue))

    def companies(self, queue: str, endpoint: str = "") -> set[int]:
        """The companies whose part of a queue is paused by hand."""
        return {hold.company_id for hold in self._of(queue) if hold.company_id and hold.endpoint in ("", endpoint)}

    def inactive(self, companies: Iterable[int]) -> set[int]:
        """Those of some companies that are suspended or closed."""
        return _not_active(Company.objects.all(), companies, self._stopped)

    def inactive_shops(self, shops: Iterable[int]) -> set[int]:
        """Those of some shops that are suspended or closed."""
        return _not_active(Shop.objects.all(), shops, self._stopped_shops)

    def held(self, queue: str, companies: Iterable[int], endpoint: str = "") -> set[int]:
        """Those of the given companies of which nothing may be sent from a queue, whatever the reason."""
        companies = set(companies)
        if self.is_stopped(queue, endpoint):
            return companies
        held = self.companies(queue, endpoint) & companies
        # Account and security mail goes out in any state; a message on an incident may be that of several companies.
        return held | (self.inactive(companies) if queue in (Lane.MAIL, CALLS) else set())

    def is_held(self, delivery: Delivery) -> bool:
        queue = queue_of(delivery)
        if queue in (Lane.MAIL, CALLS) and self.inactive_shops({delivery.shop_id or 0}):
            return True
        return bool(self.held(queue, {delivery.company_id or 0}, delivery.endpoint))


def _not_active(rows: QuerySet[Any], keys: Iterable[int], known: dict[int, bool]) -> set[int]:
    """Those of some companies or shops that are not active; asks for each once."""
    asked = set(keys) - {0}
    new = asked - known.keys()
    if new:
        stopped = set(rows.filter(pk__in=new).exclude(status=Status.ACTIVE).values_list("pk", flat=True))
        known.update({key: key in stopped for key in new})
    return {key for key in asked if known[key]}


class Watched:
    """The pauses as one worker sees them, read again when they may have changed."""

    def __init__(self) -> None:
        self._holds = Holds()
        self._until = 0.0

    def __call__(self) -> Holds:
        if time.monotonic() >= self._until:
            self._holds = Holds(tuple(Hold.objects.order_by()))
            self._until = time.monotonic() + READ_SECONDS
        return self._holds


# --- By hand --------------------------------------------------------------------------------------


@transaction.atomic
def pause(
    *,
    actor: Actor,
    reason: str = "",
    company: Company | None = None,
    channel: str = "",
    lane: str = "",
    endpoint: str = "",
) -> Hold:
    """Pause what matches from now on; the same pause twice is one.

    Raises:
        ValidationError: these do not go together, or one is no channel, no lane or too long.
    """
    if endpoint and (lane or channel == Channel.EMAIL):
        raise ValidationError(_("Un serveur appelé ne se met en pause que pour les appels d'URL."))
    if lane and channel == Channel.IPN:
        raise ValidationError(_("Les appels d'URL n'ont pas de file : une file est celle d'e-mails."))
    what = {"company": company, "channel": channel, "lane": lane, "endpoint": endpoint}
    if (same := Hold.objects.filter(**what).first()) is not None:
        return same
    hold = Hold(**what, reason=reason, created_by=actor.label[:200])
    hold.full_clean(validate_unique=False, validate_constraints=False)
    try:
        with transaction.atomic():
            hold.save(force_insert=True)
    except IntegrityError:
        # Somebody else was as fast.
        return Hold.objects.get(**what)
    changes = audit.creation({"channel": channel, "lane": lane, "endpoint": endpoint, "reason": reason})
    audit.record(actor=actor, action="sending.paused", obj=hold, company=company, changes=changes)
    return hold


@transaction.atomic
def resume(*, actor: Actor, holds: QuerySet[Hold]) -> list[Hold]:
    """End pauses; returns those that were there."""
    ended = list(holds.select_for_update(of=("self",)).select_related("company"))
    for hold in ended:
        changes: dict[str, list[Any]] = {"reason": [hold.reason, None]}
        audit.record(actor=actor, action="sending.resumed", obj=hold, company=hold.company, changes=changes)
    Hold.objects.filter(pk__in=[hold.pk for hold in ended]).delete()
    return ended


def of_company(company: Company) -> QuerySet[Hold]:
    """The pauses that hold deliveries of a company back."""
    return Hold.objects.filter(Q(company=company) | Q(company=None)).order_by("created_at")


def keeping(delivery: Delivery) -> Hold | None:
    """The pause that holds a waiting delivery back; None if there is none."""
    if delivery.status not in Delivery.OPEN or delivery.company is None:
        return None
    queue = queue_of(delivery)
    for hold in of_company(delivery.company):
        one = Holds((hold,))
        if one.is_stopped(queue, delivery.endpoint) or one.companies(queue, delivery.endpoint):
            return hold
    return None


def keeps_state(delivery: Delivery) -> bool:
    """Whether a waiting delivery stays because its company or its shop is suspended or closed.

    Also what waits for a digest, which ends there if that is still so when the digest is due.
    """
    if delivery.status not in Delivery.OPEN or delivery.company is None or delivery.notification in SENT_IN_ANY_STATE:
        return False
    shop_is_active = delivery.shop is None or delivery.shop.status == Status.ACTIVE
    return queue_of(delivery) != Lane.INCIDENT and not (delivery.company.status == Status.ACTIVE and shop_is_active)
