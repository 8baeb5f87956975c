"""Limits of mail, per domain of recipients and per mail server, over all workers together.

A rate is counted in one row of the limit, window by window. A mail over it gets the time of its turn as `retry_at`, booked one
after the other, so that thousands of them are written once and not again in each window; companies that wait share the
rate. What was booked goes before what is new. Account and security mail and messages on incidents book nothing:
a tenth of each window is kept for them.

Connections are rows that a worker holds for a while and renews: no row, no mail to that domain, or no connection.
Without limits nothing of this costs more than a statement every two seconds.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Case, F, Max, Q, When
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from backoffice.text import addresses, hosts
from companies import audit
from companies.audit import Actor
from notifications.core.retry import LIMIT_MARK
from notifications.models import Delivery, Lane, LimitSlot, LimitTurn, SendingLimit
from notifications.outbox import leases
from notifications.outbox.holds import queue_of

log = structlog.get_logger(__name__)

# How old a worker's view of the limits may get.
READ_SECONDS = 2.0
# A mail whose domain has no connection free is looked at again after this time.
BUSY = timedelta(seconds=5)
# So many that wait for a connection to their domain are kept at hand.
KEPT = 2


def domain_of(delivery: Delivery) -> str:
    """The domain that a mail goes to, as on the wire."""
    return delivery.normalised_address.rpartition("@")[2].lower() or delivery.address.rpartition("@")[2].lower()


@dataclass
class Pacer:
    """The limits as one worker of mail sees them, for the mail server `relay`."""

    owner: str
    relay: str
    _limits: dict[str, SendingLimit] = field(default_factory=dict)
    _slots: Counter[str] = field(default_factory=Counter)
    _read_until: float = 0.0
    _renew_at: float = 0.0

    def _known(self) -> dict[str, SendingLimit]:
        if time.monotonic() >= self._read_until:
            self._limits = {limit.name: limit for limit in SendingLimit.objects.order_by()}
            self._read_until = time.monotonic() + READ_SECONDS
        return self._limits

    # --- Rate -----------------------------------------------------------------------------------------

    def admit(self, rows: Sequence[Delivery], now: datetime) -> list[Delivery]:
        """Those of some claimed mails that may go now; the others are booked for later and given back, untried."""
        if not any(limit.per_minute for limit in self._known().values()):
            return list(rows)
        kept = list(rows)
        for name, meant in self._by_limit(rows).items():
            limit = self._limits[name]
            meant = [row for row in meant if row in kept]
            if limit.per_minute and meant:
                with transaction.atomic():
                    later = _booked(limit, meant, now)
                    _put_off(later, self.owner, name)
                kept = [row for row in kept if row not in {one for some in later.values() for one in some}]
        return kept

    def _by_limit(self, rows: Iterable[Delivery]) -> dict[str, list[Delivery]]:
        """The limits that some mails meet, domains before the server: what waits for its domain uses up no turn of it."""
        groups: dict[str, list[Delivery]] = defaultdict(list)
        for row in rows:
            if (name := domain_of(row)) in self._limits:
                groups[name].append(row)
        if self.relay in self._limits:
            groups[self.relay] = list(rows)
        return groups

    # --- Connections ----------------------------------------------------------------------------------

    def connections(self, wanted: int) -> int:
        """How many of so many connections to the server may be open; asks for those that are missing."""
        limit = self._known().get(self.relay)
        if limit is None or not limit.connections:
            return wanted
        return self._held(limit, wanted)

    def may_leave(self, delivery: Delivery, out: Iterable[Delivery]) -> bool:
        """Whether one more mail may be on its way to its domain."""
        limit = self._known().get(domain_of(delivery))
        if limit is None or not limit.connections:
            return True
        wanted = 1 + sum(domain_of(other) == limit.name for other in out)
        return self._held(limit, wanted) >= wanted

    def _held(self, limit: SendingLimit, wanted: int) -> int:
        assert limit.connections
        while self._slots[limit.name] < min(wanted, limit.connections) and _take_slot(limit, self.owner):
            self._slots[limit.name] += 1
        return min(self._slots[limit.name], limit.connections, wanted)

    def postpone(self, rows: Sequence[Delivery], now: datetime) -> None:
        """Give back mails whose domain has no connection free."""
        groups: dict[str, list[Delivery]] = defaultdict(list)
        for row in rows:
            groups[domain_of(row)].append(row)
        for name, meant in groups.items():
            # Not all at once again.
            later = {now + BUSY * (1 + start // 20): meant[start : start + 20] for start in range(0, len(meant), 20)}
            with transaction.atomic():
                _put_off(later, self.owner, name)
                # They have not used up their turn.
                SendingLimit.objects.filter(name__in=[name, self.relay]).update(
                    used=Case(When(used__gte=len(meant), then=F("used") - len(meant)), default=0)
                )

    def renew(self) -> None:
        """Renew the leases of connections in use."""
        length = leases.of_mail()
        if not self._slots or time.monotonic() < self._renew_at:
            return
        LimitSlot.objects.filter(owner=self.owner).update(until=Now() + length)
        kept = LimitSlot.objects.filter(owner=self.owner).values_list("limit__name", flat=True)
        self._slots = Counter(kept)
        self._renew_at = time.monotonic() + length.total_seconds() / 5

    def free(self) -> None:
        """Let others have the connections."""
        if self._slots:
            LimitSlot.objects.filter(owner=self.owner).update(owner="", until=None)
            self._slots.clear()


def _take_slot(limit: SendingLimit, owner: str) -> bool:
    """Take one of the free connection slots, if there is one."""
    with transaction.atomic():
        numbers = range(limit.connections or 0)
        if LimitSlot.objects.filter(limit=limit).count() < len(numbers):
            LimitSlot.objects.bulk_create([LimitSlot(limit=limit, number=n) for n in numbers], ignore_conflicts=True)
        rows = LimitSlot.objects.filter(limit=limit, number__lt=len(numbers)).order_by("number")
        rows = rows.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
        gone = {row.owner for row in rows if row.owner and leases.owner_is_gone(row.owner)}
        key = rows.filter(Q(owner="") | Q(owner__in=gone) | Q(until__lte=Now())).values_list("pk", flat=True).first()
        return bool(
            LimitSlot.objects.filter(pk__in=[] if key is None else [key]).update(
                owner=owner, until=Now() + leases.of_mail()
            )
        )


def _booked(limit: SendingLimit, rows: Sequence[Delivery], now: datetime) -> dict[datetime, list[Delivery]]:
    """Count what may go now; of the others, when each has its turn. In the transaction of the caller.

    Args:
        now: the worker's clock, which `retry_at` goes by; windows go by that of the database.
    """
    seen = SendingLimit.objects.select_for_update().filter(name=limit.name).first()
    if seen is None or not seen.capacity:
        return {}
    limit = seen
    today = leases.database_now()
    if limit.window_at is None or limit.window_at + limit.window <= today or limit.window_at > today:
        limit.window_at, limit.used = today, 0
        LimitTurn.objects.filter(limit=limit, next_at__lte=today).delete()
    end = limit.window_at + limit.window
    companies = {row.company_id or 0 for row in rows}
    turns = dict(LimitTurn.objects.filter(limit=limit, company__in=companies).values_list("company", "next_at"))
    before = dict(turns)
    waiting = LimitTurn.objects.filter(limit=limit).exclude(company__in=companies).count()
    later: dict[datetime, list[Delivery]] = defaultdict(list)
    for row in rows:
        is_urgent = queue_of(row) != Lane.MAIL
        room = limit.capacity - (0 if is_urgent else limit.capacity // 10)
        has_turn = is_urgent or row.error.startswith(LIMIT_MARK)
        company = row.company_id or 0
        if limit.used < room and (has_turn or turns.get(company, today) <= today):
            limit.used += 1
            continue
        moment = end
        if not has_turn:
            moment = max(turns.get(company, end), end)
            # Companies that wait share the rate.
            share = max(waiting + len(turns.keys() | {company}), 1)
            turns[company] = moment + limit.window * share / max(limit.capacity - limit.capacity // 10, 1)
        windows = (moment - end) // limit.window
        later[now + (end - today) + limit.window * windows].append(row)
    changed = [LimitTurn(limit=limit, company=one, next_at=at) for one, at in turns.items() if before.get(one) != at]
    LimitTurn.objects.bulk_create(
        changed, update_conflicts=True, unique_fields=["limit", "company"], update_fields=["next_at"]
    )
    limit.save(update_fields=["window_at", "used"])
    return later


def _put_off(later: dict[datetime, list[Delivery]], owner: str, name: str) -> None:
    """Give mails back that wait for their turn; no attempt is counted, and a first one stays queued."""
    for moment, rows in later.items():
        for status in Delivery.DUE:
            keys = [row.pk for row in rows if (row.attempt_count > 0) == (status == Delivery.Status.RETRY)]
            held = Delivery.objects.filter(pk__in=keys, status=Delivery.Status.SENDING, lease_owner=owner)
            change = {"error": f"{LIMIT_MARK}{name}]"} if name else {}
            if keys:
                held.update(status=status, retry_at=moment, lease_owner="", leased_until=None, **change)


# --- By hand --------------------------------------------------------------------------------------


def clean_name(typed: str) -> str:
    """The name of a limit as it is stored: a domain in ASCII, or a mail server as host:port. Raises ValidationError."""
    host, colon, port = typed.strip().rpartition(":")
    try:
        if not colon:
            addresses.validate_single(f"x@{port}")
            return hosts.to_ascii(port)
        if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(port)
        return f"{hosts.to_ascii(host)}:{int(port)}"
    except (addresses.InvalidAddress, ValueError) as error:
        raise ValidationError(
            _("« %(name)s » n'est ni un domaine (gmail.com) ni un serveur d'envoi (smtp.example:587).")
            % {"name": typed}
        ) from error


@transaction.atomic
def set_limit(*, actor: Actor, name: str, per_minute: int | None, connections: int | None) -> SendingLimit:
    """Set both limits of a name; None leaves that one open.

    Raises:
        ValidationError: no such name, a number out of bounds, or nothing limited.
    """
    name = clean_name(name)
    if per_minute is None and connections is None:
        raise ValidationError(_("Indiquez un nombre d'e-mails par minute, un nombre de connexions, ou les deux."))
    limit = SendingLimit.objects.select_for_update().filter(name=name).first() or SendingLimit(name=name)
    before = [limit.per_minute, limit.connections]
    limit.per_minute, limit.connections = per_minute, connections
    limit.full_clean(validate_unique=False)
    if limit.pk and before == [per_minute, connections]:
        return limit
    if before[0] != per_minute:
        # Turns were booked by the former rate; what waits is woken as it was booked.
        limit.window_at, limit.used = None, 0
        if limit.pk:
            limit.turns.all().delete()
    is_new = limit.pk is None
    limit.save()
    changes: audit.Changes = {"per_minute": [before[0], per_minute], "connections": [before[1], connections]}
    changes = {key: pair for key, pair in changes.items() if pair[0] != pair[1]}
    audit.record(actor=actor, action="sending.limited", obj=limit, company=None, changes=changes)
    if not is_new:
        wake(limit.name)
    return limit


@transaction.atomic
def remove_limit(*, actor: Actor, name: str) -> bool:
    """Remove a limit; deliveries that waited for it are sent at once. False if there was none."""
    limit = SendingLimit.objects.select_for_update().filter(name=name).first()
    if limit is None:
        return False
    changes: audit.Changes = {"per_minute": [limit.per_minute, None], "connections": [limit.connections, None]}
    audit.record(actor=actor, action="sending.unlimited", obj=limit, company=None, changes=changes)
    limit.delete()
    wake(name)
    return True


def wake(name: str) -> int:
    """Make ready what waits for its turn under a limit; returns how many."""
    waiting = Delivery.objects.filter(
        retry_at__isnull=False, status__in=Delivery.DUE, digest_at=None, error__startswith=f"{LIMIT_MARK}{name}]"
    )
    return waiting.update(retry_at=None)


# --- As it stands ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class LimitState:
    """One limit, what is used of it, and up to when its rate is booked."""

    name: str
    per_minute: int | None
    connections: int | None
    connections_in_use: int
    backlog_seconds: int


def states(now: datetime) -> list[LimitState]:
    """The limits as they stand, by name."""
    rows = []
    for limit in SendingLimit.objects.order_by("name"):
        in_use = limit.slots.filter(until__gt=now).exclude(owner="").count()
        last = limit.turns.aggregate(last=Max("next_at"))["last"]
        backlog = max(int((last - now).total_seconds()), 0) if last else 0
        rows.append(LimitState(limit.name, limit.per_minute, limit.connections, in_use, backlog))
    return rows
