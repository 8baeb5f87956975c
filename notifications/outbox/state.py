"""How sending stands, in figures: what waits, what died, who works, what is paused.

Counted along the partial indexes of the outbox, so it costs what is open, not what was ever sent. Times of rows that
processes compare are those of the database, so ages are too.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Min, Q
from django.db.models.functions import Now
from django.utils import timezone

from notifications.core import failures
from notifications.core.catalogue import Channel
from notifications.models import Breaker, Delivery, Hold, Tick, Worker
from notifications.outbox import claims, leases, limits, relays, signs, waits
from notifications.outbox.holds import CALLS, queue_of

# Deliveries that died within this time are told by status, metrics and alerts.
DEAD_WITHIN = timedelta(hours=24)
# No mail lives longer than its schedule, which bounds the look for those that died lately.
_LONGEST_LIFE = timedelta(days=5)
RATE_MINUTES = 5
# The queues that the state of a company or shop stops.
_KEPT_BY_STATE = ("mail", CALLS)


@dataclass(frozen=True)
class Queue:
    """Open deliveries of one kind: `state` is ready, kept (its company or shop is not active), waiting (for its time) or sending."""

    channel: str
    lane: str
    state: str
    count: int
    oldest_seconds: int


@dataclass(frozen=True)
class WorkerState:
    name: str
    kind: str
    seen_seconds: int
    is_silent: bool


@dataclass(frozen=True)
class HoldState:
    id: int
    company: str | None
    channel: str
    lane: str
    endpoint: str
    reason: str
    since: str
    by: str


@dataclass(frozen=True)
class BreakerState:
    relay: str
    failures: int
    is_open: bool
    open_seconds: int
    reply: str
    company: str | None = None


@dataclass(frozen=True)
class State:
    """All figures of `manage.py status`; the keys of its JSON are those of this class."""

    checked_at: str
    queue: list[Queue]
    dead: dict[str, int]
    workers: list[WorkerState]
    tick_seconds: int | None
    tick_worker: str
    leases: dict[str, int]
    per_minute: dict[str, float]
    paused: list[HoldState]
    breakers: list[BreakerState]
    waiting_for_settings: dict[str, int]
    limits: list[limits.LimitState]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def working(self) -> list[WorkerState]:
        return [worker for worker in self.workers if not worker.is_silent]

    @property
    def is_ticking(self) -> bool:
        return self.tick_seconds is not None and self.tick_seconds <= signs.SILENT_SECONDS

    @property
    def open_breakers(self) -> list[BreakerState]:
        """Those of the platform's servers: a company's own is for the company to mend."""
        return [breaker for breaker in self.breakers if breaker.is_open and breaker.company is None]


def _seconds(now: datetime, then: datetime | None) -> int:
    return max(int((now - then).total_seconds()), 0) if then else 0


def _ready(now: datetime) -> list[Queue]:
    """What a worker may take now; one look along each partial index."""
    queues = []
    for name, condition in claims.READY.items():
        channel = Channel.IPN if name == CALLS else Channel.EMAIL
        with connection.cursor() as cursor:
            # The conditions are constants of ours, written out for the sake of the indexes.
            kept = claims.KEPT if name in _KEPT_BY_STATE else "FALSE"
            cursor.execute(
                f"SELECT {kept}, COUNT(*), MIN(created_at) FROM notifications_delivery WHERE {condition} GROUP BY 1 ORDER BY 1"  # noqa: S608
            )
            for is_kept, count, oldest in cursor.fetchall():
                state = "kept" if is_kept else "ready"
                queues.append(Queue(channel, name, state, count, _seconds(now, _moment(oldest))))
    return queues


def _moment(value: Any) -> datetime | None:
    """A time as this database gives it to a bare statement."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime) and value.tzinfo is None:
        value = timezone.make_aware(value, timezone.get_fixed_timezone(0))
    return value if isinstance(value, datetime) else None


def _others(now: datetime) -> list[Queue]:
    """The deliveries that wait for their time, and those in progress."""
    open_ones = {
        "waiting": Delivery.objects.filter(retry_at__isnull=False, status__in=Delivery.DUE),
        "sending": Delivery.objects.filter(status=Delivery.Status.SENDING),
    }
    queues = []
    for state, deliveries in open_ones.items():
        rows = deliveries.order_by().values_list("channel", "notification").annotate(Count("pk"), Min("created_at"))
        counts: Counter[tuple[str, str]] = Counter()
        oldest: dict[tuple[str, str], datetime] = {}
        for channel, notification, count, since in rows:
            key = (channel, queue_of(Delivery(channel=channel, notification=notification)))
            counts[key] += count
            oldest[key] = min(since, oldest.get(key, since))
        queues += [Queue(*key, state, count, _seconds(now, oldest[key])) for key, count in sorted(counts.items())]
    return queues


def dead(now: datetime) -> dict[str, int]:
    """Reason → how many died of it lately, most frequent first."""
    lately = Delivery.objects.filter(status=Delivery.Status.DEAD, created_at__gte=now - _LONGEST_LIFE, carried_by=None)
    lately = lately.filter(attempts__started_at__gte=now - DEAD_WITHIN).order_by()
    reasons: Counter[str] = Counter()
    for error, count in lately.values_list("error").annotate(n=Count("pk", distinct=True)):
        reasons[failures.sentence(error, Delivery.Status.DEAD) or error] += count
    return dict(reasons.most_common())


def workers(now: datetime) -> list[WorkerState]:
    rows = []
    for row in Worker.objects.order_by("name"):
        # A sign of life from the future is that of a clock that was put back since.
        age = abs(int((now - row.seen_at).total_seconds()))
        rows.append(WorkerState(row.name, row.kind, age, age > signs.SILENT_SECONDS))
    return rows


def per_minute(now: datetime) -> dict[str, float]:
    """What all workers did in a minute, over the last few."""
    this = int(now.timestamp() // 60)
    sums = [0, 0, 0]
    for minutes in Worker.objects.values_list("minutes", flat=True):
        for minute, done in minutes.items():
            if this - RATE_MINUTES <= int(minute) <= this:
                sums = [total + part for total, part in zip(sums, done, strict=True)]
    return {name: round(total / RATE_MINUTES, 1) for name, total in zip(("sent", "retry", "dead"), sums, strict=True)}


def _leases() -> dict[str, int]:
    held = Delivery.objects.filter(status=Delivery.Status.SENDING).order_by()
    counts = held.aggregate(held=Count("pk"), ended=Count("pk", filter=Q(leased_until__lte=Now())))
    return {"held": counts["held"], "ended": counts["ended"]}


def paused() -> list[HoldState]:
    return [
        HoldState(
            id=hold.pk,
            company=hold.company.reference if hold.company else None,
            channel=hold.channel,
            lane=hold.lane,
            endpoint=hold.endpoint,
            reason=hold.reason,
            since=hold.created_at.isoformat(),
            by=hold.created_by,
        )
        for hold in Hold.objects.select_related("company").order_by("created_at")
    ]


def breakers(now: datetime) -> list[BreakerState]:
    owners = relays.references()
    return [
        BreakerState(
            relay=row.relay,
            failures=row.failures,
            is_open=row.opened_at is not None,
            open_seconds=_seconds(now, row.opened_at),
            reply=row.reply,
            company=owners.get(row.relay),
        )
        for row in Breaker.objects.order_by("relay")
    ]


def now_stands() -> State:
    """How sending stands at this moment."""
    now = leases.database_now()
    tick = Tick.objects.filter(pk=1).first()
    return State(
        checked_at=now.isoformat(),
        queue=[*_ready(now), *_others(now)],
        dead=dead(now),
        workers=workers(now),
        tick_seconds=_seconds(now, tick.at) if tick else None,
        tick_worker=tick.worker if tick else "",
        leases=_leases(),
        per_minute=per_minute(now),
        paused=paused(),
        breakers=breakers(now),
        waiting_for_settings={one.setting: one.count for one in waits.waiting()},
        limits=limits.states(now),
    )
