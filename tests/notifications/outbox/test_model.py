"""A model of the outbox, explored whole: two workers, one mail, everything that may happen in any order.

What decides is the product's: `mail_results.judge` (what an answer leads to), `Parcel.begin` (whether a mail may still
leave), `leases._silent` (whether an ended lease is taken) and the named groups of statuses. What the model holds by itself are the conditions of the statements in
`claims.py`, `leases.py` and `mail_results.record`: who may take, renew, take over and write.
"""

import sys
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import pytest

from notifications.models import Attempt, Delivery
from notifications.outbox import leases, mail_results
from notifications.outbox.mail_results import MailEnded
from notifications.outbox.transports.base import Parcel, Result

S = Delivery.Status
NOW = datetime(2026, 11, 27, tzinfo=UTC)
NOBODY, GONE = -1, 9
# Ticks that a lease holds after it was taken or renewed.
LEASE = 2
# Beyond these a state is not followed: kills and lost answers could go on for ever.
MOST_COPIES = 2
RESULTS = {
    "taken": Result(Attempt.Outcome.SENT, 250, "2.0.0 Ok"),
    "later": Result(Attempt.Outcome.TRANSIENT, 451, "4.3.0 later"),
    "never": Result(Attempt.Outcome.PERMANENT, 550, "5.1.1 unknown"),
    "unknown": Result(Attempt.Outcome.TRANSIENT, None, "connection lost", is_unknown=True),
}


@dataclass(frozen=True)
class Worker:
    """`doing`: idle, holding, leaving (its first byte is out), arrived (the server has it), or what was answered."""

    doing: str = "idle"
    # Ticks for which it believes in its lease, without asking.
    believes: int = 0
    # Whether the server has taken the mail from it.
    made_copy: bool = False


@dataclass(frozen=True)
class World:
    status: str = S.QUEUED
    owner: int = NOBODY
    lease: int = 0
    waits: bool = False
    attempts: int = 0
    copies: int = 0
    # How often the clock of the database may still jump.
    jumps: int = 1
    # Times that a copy more is excused by the documents ("What is guaranteed"), counted as far as copies are.
    excused: int = 0
    workers: tuple[Worker, ...] = (Worker(), Worker())


@cache
def judged(attempts: int, answer: str) -> Any:
    delivery = Delivery(pk=UUID(int=1), attempt_count=attempts, is_test=False)
    return mail_results.judge(MailEnded(delivery, RESULTS[answer], NOW))


@cache
def may_leave(worker: Worker) -> bool:
    return Parcel(UUID(int=1), b"", b"", b"", is_ours=lambda: worker.believes > 0).begin()


def with_worker(world: World, n: int, worker: Worker, **changes: Any) -> World:
    workers = tuple(worker if m == n else other for m, other in enumerate(world.workers))
    return replace(world, workers=workers, **changes)


def steps(world: World) -> Iterator[tuple[str, World]]:
    """Everything that may happen next."""
    workers = tuple(replace(worker, believes=max(worker.believes - 1, 0)) for worker in world.workers)
    yield "time passes", replace(world, lease=max(world.lease - 1, 0), waits=False, workers=workers)
    if world.jumps and world.status == S.SENDING:
        # The clock of the database jumps: the lease is over, and no worker knows.
        yield "clock jumps", replace(world, lease=0, jumps=world.jumps - 1)
    yield from sweeps(world)
    for n, worker in enumerate(world.workers):
        yield from steps_of(world, n, worker)


def sweeps(world: World) -> Iterator[tuple[str, World]]:
    """An ended lease is watched: meanwhile its owner renews it, or stands still, or is no more."""
    swept = replace(world, status=S.RETRY, waits=False, owner=NOBODY)
    if world.status != S.SENDING:
        return
    if world.owner == GONE:
        yield "sweep", swept
        return
    if world.lease:
        return
    owner = world.workers[world.owner]
    busy = owner.doing not in ("idle", "holding", "later", "never")
    if is_swept(renewed=False):
        # Its owner stood still; that it believes in its lease all the same takes a clock that jumped as well.
        yield "sweep", replace(swept, excused=world.excused + (busy or owner.believes > 0))
    if is_swept(renewed=True):
        yield "sweep of who lives", replace(swept, excused=world.excused + busy)


@cache
def is_swept(*, renewed: bool) -> bool:
    """Whether an ended lease is taken after it was watched, as the product decides."""
    owner = f"machine 1 1 {renewed}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leases, "_seen_ended", {})
        now = time.monotonic()
        patch.setattr(leases.time, "monotonic", lambda: now)
        assert leases._silent({owner: NOW}) == []
        patch.setattr(leases.time, "monotonic", lambda: now + leases._grace())
        return bool(leases._silent({owner: NOW + timedelta(seconds=renewed)}))


def steps_of(world: World, n: int, worker: Worker) -> Iterator[tuple[str, World]]:
    is_owner = world.status == S.SENDING and world.owner == n
    if worker.doing == "idle":
        if world.status in Delivery.DUE and not world.waits:
            yield (
                f"{n} claims",
                with_worker(world, n, Worker("holding", LEASE), status=S.SENDING, owner=n, lease=LEASE, waits=False),
            )
        return
    if is_owner:
        yield f"{n} renews", with_worker(world, n, replace(worker, believes=LEASE), lease=LEASE)
    elif worker.doing == "holding":
        yield f"{n} has lost it", with_worker(world, n, Worker())
    yield (
        f"{n} is killed",
        with_worker(
            world,
            n,
            Worker(),
            owner=GONE if is_owner else world.owner,
            excused=world.excused + (is_owner and worker.made_copy),
        ),
    )
    if worker.doing == "holding":
        begun = replace(worker, doing="leaving") if may_leave(worker) else Worker()
        yield f"{n} begins", with_worker(world, n, begun)
        if is_owner:
            yield f"{n} gives back", with_worker(world, n, Worker(), status=S.QUEUED, owner=NOBODY, lease=0)
    elif worker.doing == "leaving":
        arrived = replace(worker, doing="arrived", made_copy=True)
        yield f"{n} arrives", with_worker(world, n, arrived, copies=world.copies + 1)
        for answer in ("later", "never", "unknown"):
            yield f"{n}: {answer}", with_worker(world, n, replace(worker, doing=answer))
    elif worker.doing == "arrived":
        for answer in ("taken", "unknown"):
            yield f"{n}: {answer}", with_worker(world, n, replace(worker, doing=answer))
    else:
        yield f"{n} records", recorded(world, n, worker)


def recorded(world: World, n: int, worker: Worker) -> World:
    if world.status != S.SENDING or world.owner != n:
        return with_worker(world, n, Worker())
    change = judged(world.attempts, worker.doing)
    return with_worker(
        world,
        n,
        Worker(),
        status=change.status,
        owner=NOBODY,
        lease=0,
        waits=change.retry_at is not None,
        attempts=world.attempts + change.counts,
        excused=world.excused + (worker.doing == "unknown" and worker.made_copy),
    )


Graph = dict[World, list[tuple[str, World]]]


def explored() -> Graph:
    """Every world that can be reached, with what may happen in it."""
    seen: Graph = {}
    for _world in reached(seen):
        pass
    return seen


def reached(seen: Graph | None = None) -> Iterator[World]:
    """Every world that can be reached, the nearest first; `seen` takes what may happen in each."""
    seen = {} if seen is None else seen
    waiting = deque([World()])
    while waiting:
        world = waiting.popleft()
        if world in seen:
            continue
        seen[world] = [] if world.copies > MOST_COPIES else list(bounded(world))
        yield world
        waiting.extend(after for _name, after in seen[world])


def bounded(world: World) -> Iterator[tuple[str, World]]:
    """Excuses beyond what copies can need tell nothing more, and would go on for ever."""
    for name, after in steps(world):
        yield name, replace(after, excused=min(after.excused, MOST_COPIES))


def without_excuse(graph: Graph) -> list[World]:
    return [world for world in graph if world.copies > 1 + world.excused]


def finds_one_without_excuse() -> bool:
    """As `without_excuse` of all that can be reached; stops at the first one."""
    return any(world.copies > 1 + world.excused for world in reached())


@pytest.fixture(autouse=True)
def _two_attempts(settings: Any) -> Iterator[None]:
    settings.EMAIL_RETRY_DELAYS = [60]
    judged.cache_clear()
    yield
    judged.cache_clear()


_graph: Graph = {}


@pytest.fixture
def graph() -> Graph:
    """Explored once for the tests that only look at it."""
    if not _graph:
        _graph.update(explored())
    return _graph


def test_in_no_world_a_mail_is_lost_or_doubled_without_excuse(graph: Graph) -> None:
    assert len(graph) > 5_000, "the model has not fallen asleep"
    assert without_excuse(graph) == []
    for world in graph:
        assert world.status in (*Delivery.OPEN, S.SENT, S.DEAD)
        assert world.status != S.SENT or world.copies, "sent means that a server has taken it"
        assert world.status != S.DEAD or world.attempts, "given up only after an answer"


def test_from_every_world_a_way_leads_to_a_final_state(graph: Graph) -> None:
    before: dict[World, list[World]] = defaultdict(list)
    for world, following in graph.items():
        for _name, after in following:
            before[after].append(world)
    ends = deque(world for world in graph if world.status in Delivery.FINAL or not graph[world])
    known = set(ends)
    while ends:
        for world in before[ends.popleft()]:
            if world not in known:
                known.add(world)
                ends.append(world)
    assert set(graph) == known


def test_the_model_sees_a_worker_that_sends_what_it_holds_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the question that `Parcel.begin` asks, there are doubles that no document excuses."""
    monkeypatch.setattr(sys.modules[__name__], "may_leave", lambda worker: True)
    assert finds_one_without_excuse()


def test_the_model_sees_a_lease_that_is_taken_as_soon_as_a_clock_says_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without watching it for a while, a clock that jumps makes doubles."""
    monkeypatch.setattr(sys.modules[__name__], "is_swept", lambda renewed: True)
    assert finds_one_without_excuse()


def test_the_model_sees_an_answer_that_is_written_without_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result of a former owner that is written all the same sends the mail of the new owner again."""

    def careless(world: World, n: int, worker: Worker) -> World:
        change = judged(world.attempts, worker.doing)
        waits = change.retry_at is not None
        return with_worker(world, n, Worker(), status=change.status, owner=NOBODY, lease=0, waits=waits)

    monkeypatch.setattr(sys.modules[__name__], "recorded", careless)
    assert finds_one_without_excuse()
