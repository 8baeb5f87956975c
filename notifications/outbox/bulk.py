"""Many deliveries at once, by an operator: requeued or cancelled, counted first, then in steps.

Each step is a transaction of its own, so that whoever stops half-way has lost nothing and may go on with the same command.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from backoffice.text import addresses
from companies import audit
from companies.audit import Actor, Changes
from companies.models import Company, Status
from notifications.core.address_health import AddressState
from notifications.core.catalogue import SENT_IN_ANY_STATE
from notifications.events import doorbell
from notifications.health import recording
from notifications.models import Delivery
from notifications.outbox import carrying

STEP = 500
S = Delivery.Status


@dataclass(frozen=True)
class Which:
    """Which deliveries are meant; what is empty leaves it open.

    Attributes:
        reason: a part of the error that the delivery shows.
        since, until: when they were accepted.
    """

    statuses: tuple[str, ...]
    reason: str = ""
    company: Company | None = None
    address: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def rows(self) -> QuerySet[Delivery]:
        # Rows that another one carries follow it.
        rows = Delivery.objects.filter(status__in=self.statuses, carried_by=None).order_by()
        if self.reason:
            rows = rows.filter(error__icontains=self.reason)
        if self.company is not None:
            rows = rows.filter(company=self.company)
        if self.address:
            rows = rows.filter(normalised_address=addresses.normalise(self.address))
        if self.since is not None:
            rows = rows.filter(created_at__gte=self.since)
        if self.until is not None:
            rows = rows.filter(created_at__lt=self.until)
        return rows


def requeueable(which: Which) -> QuerySet[Delivery]:
    """Dead ones, and waiting ones that are to go now; nothing of companies and shops that are not active, nor to
    addresses that are suppressed."""
    rows = which.rows().filter(status__in=[S.DEAD, S.RETRY])
    active = (Q(company=None) | Q(company__status=Status.ACTIVE)) & (Q(shop=None) | Q(shop__status=Status.ACTIVE))
    reachable = ~recording.in_state(AddressState.SUPPRESSED) | Q(notification__in=recording.STILL_TRIED)
    return rows.filter(active | Q(notification__in=SENT_IN_ANY_STATE)).filter(reachable)


def cancellable(which: Which) -> QuerySet[Delivery]:
    """What waits; a broadcast is stopped as a whole, but for a company whose state keeps its letters back."""
    kept = Q()
    if which.company is not None and which.company.status != Status.ACTIVE:
        kept = Q(broadcast__isnull=False, notification="newsletter")
    return which.rows().filter(Q(broadcast=None) | kept, status__in=Delivery.DUE)


def counts(rows: QuerySet[Delivery]) -> dict[str, int]:
    """Status → how many."""
    return dict(sorted(Counter(rows.values_list("status", flat=True)).items()))


def requeue(*, which: Which, actor: Actor, progress: Callable[[int], None] = lambda done: None) -> int:
    """Give deliveries a fresh start under their own identity; returns how many."""
    values = {"status": S.QUEUED, "retry_at": None, "error": "", "attempt_count": 0}
    count = _in_steps(requeueable(which), values, "sending.requeued", actor, progress)
    if count:
        doorbell.ring()
    return count


def cancel(*, which: Which, actor: Actor, progress: Callable[[int], None] = lambda done: None) -> int:
    """Stop deliveries that wait; returns how many."""
    values = {"status": S.CANCELLED, "retry_at": None}
    return _in_steps(cancellable(which), values, "sending.cancelled", actor, progress, carrying.leave)


def _in_steps(
    rows: QuerySet[Delivery],
    values: dict[str, Any],
    action: str,
    actor: Actor,
    progress: Callable[[int], None],
    prepare: Callable[[list[Any]], None] = lambda keys: None,
) -> int:
    done = 0
    for keys in _steps(rows):
        with transaction.atomic():
            locked = list(
                rows.filter(pk__in=keys).select_for_update(of=("self",)).values_list("pk", "status", "company_id")
            )
            own = [key for key, _status, _company in locked]
            prepare(own)
            Delivery.objects.filter(Q(pk__in=own) | Q(carried_by__in=own)).update(**values)
            _record([company for _key, _status, company in locked], action, actor)
        done += len(own)
        progress(done)
    return done


def _steps(rows: QuerySet[Delivery]) -> Iterator[list[Any]]:
    """The keys of what is meant now, some at a time: what arrives meanwhile is not."""
    keys = list(rows.values_list("pk", flat=True))
    for start in range(0, len(keys), STEP):
        yield keys[start : start + STEP]


def _record(companies: list[int | None], action: str, actor: Actor) -> None:
    """One entry in the history of each company: how many."""
    numbers = Counter(company for company in companies if company is not None)
    for company in Company.objects.filter(pk__in=numbers):
        changes: Changes = {"deliveries": [None, numbers[company.pk]]}
        audit.record(actor=actor, action=action, obj=company, company=company, changes=changes)
