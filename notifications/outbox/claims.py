"""Claims: which deliveries a worker takes next. The cost of a claim does not depend on how much is waiting.

A delivery is ready when it is open and has no `retry_at`; `wake` takes that away from those whose time has come, a few
at a time. Ready deliveries stand in one of the queues below, each with a partial index in its order:

- mail about accounts and their security, and messages about incidents: lanes of their own, oldest first;
- all other mail: companies take turns, each gets its share of a batch, so that one company's thousands of mails
  stand in nobody's way;
- calls: endpoints take turns, and none gets more than may be in flight to it.

Whose turn it is, is found by stepping from one company (or endpoint) to the next in the index. What is paused
(`holds`) is stepped over, so that it costs the same however much of it waits.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from backoffice.base.rows import as_key, stored
from notifications.models import Delivery, Lane
from notifications.models.deliveries import ACCOUNT_MAIL, INCIDENT_MAIL
from notifications.outbox import leases
from notifications.outbox.holds import CALLS, Holds

# Deliveries whose time has come that are made ready together: short locks, however many there are.
WAKE = 500
# How often a worker that has enough to do looks for more of them.
WAKE_SECONDS = 0.5
# Any fixed number: the advisory lock of PostgreSQL under which calls are claimed.
_CALL_LOCK = 0x424F4D43


@dataclass(frozen=True)
class _Queue:
    """Statements of a queue whose turns go by a column.

    Attributes:
        walk: up to so many places that come after a given one.
        take: keys of the first so many deliveries of one place.
        take_all: keys of the first so many deliveries of each of many places, locked; for PostgreSQL.
        start: comes before every place.
    """

    walk: str
    take: str
    take_all: str
    start: int | str


def _words(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


# Written out as the conditions of the indexes are: a parameter in its place would keep SQLite from using them.
_MAIL = "status IN ('queued', 'retry') AND retry_at IS NULL AND channel = 'email' AND carried_by_id IS NULL"
READY = {
    "mail": f"{_MAIL} AND NOT (notification IN ({_words((*ACCOUNT_MAIL, *INCIDENT_MAIL))}))",
    "account": f"{_MAIL} AND notification IN ({_words(ACCOUNT_MAIL)})",
    "incident": f"{_MAIL} AND notification IN ({_words(INCIDENT_MAIL)})",
    "calls": "status IN ('queued', 'retry') AND retry_at IS NULL AND channel = 'ipn'",
}
_WALK = """
WITH RECURSIVE turn(place, number) AS (
    SELECT (SELECT <place> FROM notifications_delivery WHERE <ready> AND <place> > %s ORDER BY <place> LIMIT 1), 1
    UNION ALL
    SELECT (SELECT <place> FROM notifications_delivery WHERE <ready> AND <place> > turn.place ORDER BY <place> LIMIT 1),
        turn.number + 1
    FROM turn WHERE turn.place IS NOT NULL AND turn.number < %s
)
SELECT place FROM turn WHERE place IS NOT NULL
"""
_TAKE = "SELECT id FROM notifications_delivery WHERE <ready> AND <place> = %s<but> ORDER BY created_at LIMIT %s"
_TAKE_ALL = """
SELECT taken.id FROM unnest(%s::<type>[], %s::int[]) AS turn(place, room) CROSS JOIN LATERAL (
    SELECT id FROM notifications_delivery WHERE <ready> AND <place> = turn.place<but>
    ORDER BY created_at LIMIT turn.room FOR UPDATE SKIP LOCKED
) AS taken
"""
_OLDEST = "SELECT id FROM notifications_delivery WHERE <ready><but> ORDER BY created_at LIMIT %s"
# A company has many shops, so each delivery asks for the state of its own. A value asked for row by row, which the planner
# takes for true of most: a join, or a rare condition, would have it read and sort all that is ready of a place first.
_SHOP_ACTIVE = (
    " AND (SELECT status <> 'active' FROM shops_shop WHERE shops_shop.id = notifications_delivery.shop_id) IS NOT TRUE"
)
# Calls of many companies may share an endpoint: those ask for the state of the company as well.
_COMPANY_ACTIVE = (
    " AND (SELECT status <> 'active' FROM companies_company"
    " WHERE companies_company.id = notifications_delivery.company_id) IS NOT TRUE"
)
# How long an endpoint of which all calls are kept back is not looked at again.
BARREN_SECONDS = 1.0


def _sql(text: str, ready: str, place: str = "", type: str = "") -> str:
    return text.replace("<ready>", READY[ready]).replace("<place>", place).replace("<type>", type)


def _queue(ready: str, place: str, type: str, start: int | str, condition: str = "") -> _Queue:
    return _Queue(
        walk=_sql(_WALK, ready, place),
        take=_sql(_TAKE, ready, place).replace("<but>", f"{condition}<but>"),
        take_all=_sql(_TAKE_ALL, ready, place, type).replace("<but>", f"{condition}<but>"),
        start=start,
    )


_MAIL_BY_COMPANY = _queue("mail", "COALESCE(company_id, 0)", "bigint", -1, _SHOP_ACTIVE)
_CALLS_BY_ENDPOINT = _queue("calls", "endpoint", "text", "", _COMPANY_ACTIVE + _SHOP_ACTIVE)
# What the state of its company or shop keeps in the queue, although it is ready.
KEPT = f"NOT (TRUE{_COMPANY_ACTIVE}{_SHOP_ACTIVE})"
_LANES = {Lane.ACCOUNT: _sql(_OLDEST, "account"), Lane.INCIDENT: _sql(_OLDEST, "incident")}


def _but(sql: str, companies: Iterable[int]) -> str:
    """A statement that leaves out what belongs to some companies."""
    numbers = ", ".join(str(int(company)) for company in sorted(companies))
    return sql.replace("<but>", f" AND COALESCE(company_id, 0) NOT IN ({numbers})" if numbers else "")


def _column(sql: str, *parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return [row[0] for row in cursor.fetchall()]


def _keys(values: Iterable[Any]) -> list[uuid.UUID]:
    return [as_key(value) for value in values]


def _is_postgresql() -> bool:
    return connection.vendor == "postgresql"


class Turns:
    """Whose turn it is in a queue; each worker goes round on its own."""

    def __init__(self, queue: _Queue) -> None:
        self._queue = queue
        self._last = queue.start

    def places(self, count: int) -> list[Any]:
        """Up to `count` places that have something ready, from where the last round ended."""
        places = _column(self._queue.walk, self._last, count)
        if len(places) < count and self._last != self._queue.start:
            first = _column(self._queue.walk, self._queue.start, count - len(places))
            places += [place for place in first if place not in set(places)]
        self._last = places[-1] if len(places) == count else self._queue.start
        return places

    def free_places(self, count: int, held: Callable[[list[Any]], set[Any]]) -> list[Any]:
        """As `places`, without those that `held` names; reads on until there are enough, or the round is over."""
        free: list[Any] = []
        seen: set[Any] = set()
        while len(free) < count:
            next_ones = self.places(count)
            places = [place for place in next_ones if place not in seen]
            if not places:
                break
            seen.update(places)
            stopped = held(places)
            free += [place for place in places if place not in stopped]
            if len(next_ones) < count:
                # These were all there are.
                break
        return free[:count]

    def take(self, rooms: Mapping[Any, int], but: Iterable[int] = ()) -> list[uuid.UUID]:
        """Keys of what is ready: of each place no more than its room, oldest first.

        Args:
            but: companies of which nothing is taken.
        """
        if not rooms:
            return []
        if _is_postgresql():
            return _keys(_column(_but(self._queue.take_all, but), list(rooms), list(rooms.values())))
        take = _but(self._queue.take, but)
        return _keys(key for place, room in rooms.items() for key in _column(take, place, room))


def wake(now: datetime) -> int:
    """Make some deliveries ready whose time has come; returns how many."""
    # What waits for a digest becomes ready in it, or never (`events/digests.py`).
    waiting = Delivery.objects.filter(retry_at__lte=now, status__in=Delivery.DUE, digest_at=None)
    due = waiting.order_by("retry_at")
    if not due.exists():
        return 0
    with transaction.atomic():
        locked = due.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
        keys = list(locked.values_list("pk", flat=True)[:WAKE])
        return Delivery.objects.filter(pk__in=keys).update(retry_at=None)


class Waker:
    """Marks due deliveries as ready, for one worker; after a small result it waits before it asks again."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, now: datetime) -> None:
        if time.monotonic() >= self._next and wake(now) < WAKE:
            self._next = time.monotonic() + WAKE_SECONDS


_LEASE = """
UPDATE notifications_delivery SET status = 'sending', lease_owner = %s, leased_until = <until> WHERE id IN (<keys>)
"""
# The clock of the database, as `Now` has it.
_UNTIL = {
    "postgresql": "statement_timestamp() + make_interval(secs => %s)",
    "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', julianday('now') + %s / 86400.0)",
}
# Along the index of what is in flight: a parameter in place of a word would have SQLite read all deliveries.
_BUSY = """
SELECT endpoint, COUNT(*) FROM notifications_delivery WHERE status = 'sending' AND channel = 'ipn' GROUP BY endpoint
"""


def _lease(keys: list[uuid.UUID], owner: str, length: timedelta) -> None:
    places = ", ".join(["%s"] * len(keys))
    with connection.cursor() as cursor:
        sql = _LEASE.replace("<until>", _UNTIL[connection.vendor]).replace("<keys>", places)
        cursor.execute(sql, [owner, length.total_seconds(), *stored(keys)])


def _in_flight() -> dict[str, int]:
    """Calls in flight of all workers, by endpoint."""
    with connection.cursor() as cursor:
        cursor.execute(_BUSY)
        return dict(cursor.fetchall())


class MailClaims:
    """The claims of one worker of mail."""

    def __init__(self) -> None:
        self._turns = Turns(_MAIL_BY_COMPANY)

    def claim(
        self, owner: str, limit: int, holds: Holds | None = None, skipped: frozenset[int] = frozenset()
    ) -> list[uuid.UUID]:
        """Lease up to about `limit` mails to `owner`; returns their keys in the order they should go.

        Args:
            skipped: companies whose own mail goes through a server of theirs.
        """
        holds = holds or Holds()
        # Asked without a lock first: mostly nothing is ready.
        lanes = [self._of_lane(lane, limit, holds) for lane in _LANES]
        places = []
        if not holds.is_stopped(Lane.MAIL):
            places = self._turns.free_places(limit, lambda some: holds.held(Lane.MAIL, some) | (skipped & set(some)))
        if not places and not any(lanes):
            return []
        with transaction.atomic():
            keys = self._taken(lanes, places, limit)
            if keys:
                _lease(keys, owner, leases.of_mail())
        return keys

    def _of_lane(self, lane: Lane, limit: int, holds: Holds) -> list[uuid.UUID]:
        if holds.is_stopped(lane):
            return []
        return _keys(_column(_but(_LANES[lane], holds.companies(lane)), limit))

    def _taken(self, lanes: list[list[uuid.UUID]], places: list[Any], limit: int) -> list[uuid.UUID]:
        # A lane goes first; as long as other mail waits it takes half of what is left, never all.
        keys: list[uuid.UUID] = []
        for lane in lanes:
            room = limit - len(keys)
            keys += _still_ready(lane[: room // 2 if places else room])
        if places:
            share = -(-(limit - len(keys)) // len(places))
            keys += self._turns.take(dict.fromkeys(places, max(share, 1)))
        return keys


class OwnMailClaims:
    """The claims of one worker for the mail that goes through the server of one company."""

    def __init__(self, company: int) -> None:
        self._company = company

    def claim(
        self, owner: str, limit: int, holds: Holds | None = None, skipped: frozenset[int] = frozenset()
    ) -> list[uuid.UUID]:
        """As `MailClaims.claim`, for one company and without the lanes of the platform's own mail."""
        if (holds or Holds()).held(Lane.MAIL, [self._company]):
            return []
        with transaction.atomic():
            keys = Turns(_MAIL_BY_COMPANY).take({self._company: limit})
            if keys:
                _lease(keys, owner, leases.of_mail())
        return keys


def _still_ready(keys: list[uuid.UUID]) -> list[uuid.UUID]:
    """Lock those of some deliveries that no other worker has taken meanwhile; in their order."""
    if not keys:
        return []
    ready = Delivery.objects.filter(pk__in=keys, status__in=Delivery.DUE, retry_at=None).order_by()
    free = set(
        ready.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked).values_list(
            "pk", flat=True
        )
    )
    return [key for key in keys if key in free]


class CallClaims:
    """The claims of one worker of calls."""

    def __init__(self) -> None:
        self._turns = Turns(_CALLS_BY_ENDPOINT)
        # Endpoints that had nothing to take, although something waits → until when.
        self._barren: dict[str, float] = {}

    def claim(
        self, owner: str, room: int, room_of: Callable[[str, int], int], holds: Holds | None = None
    ) -> list[uuid.UUID]:
        """Lease up to `room` calls to `owner`.

        The calls in flight of all workers count, so one at a time claims.

        Args:
            room_of: how many more calls an endpoint takes, from its name and the calls in flight to it.
        """
        holds = holds or Holds()
        now = time.monotonic()
        self._barren = {place: until for place, until in self._barren.items() if until > now}
        # Asked without a lock first; endpoints that take no more are stepped over.
        places = self._turns.free_places(
            2 * room,
            lambda some: {place for place in some if place in self._barren or holds.is_stopped(CALLS, place)},
        )
        if not places:
            return []
        with transaction.atomic():
            if _is_postgresql():
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CALL_LOCK])
            busy = _in_flight()
            rooms = {place: n for place in places if (n := room_of(place, busy.get(place, 0))) > 0}
            keys = self._taken(rooms, holds, now)[:room]
            if keys:
                _lease(keys, owner, leases.of_calls())
        return keys

    def _taken(self, rooms: Mapping[str, int], holds: Holds, now: float) -> list[uuid.UUID]:
        paused = {place: companies for place in rooms if (companies := holds.companies(CALLS, place))}
        keys = self._turns.take({place: n for place, n in rooms.items() if place not in paused})
        for place, companies in paused.items():
            keys += self._turns.take({place: rooms[place]}, companies)
        if rooms and not keys:
            self._barren.update(dict.fromkeys(rooms, now + BARREN_SECONDS))
        return keys
