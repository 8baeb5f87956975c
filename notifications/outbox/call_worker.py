"""The worker of calls: many endpoints at once, so many calls at a time to each, none waiting for another.

The database is used by the thread that calls `step`; the network by an event loop in a thread of
its own. Between the two go requests and answers, nothing else.
"""

import asyncio
import queue
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from types import TracebackType

import structlog
from django.conf import settings

from backoffice.base.rows import Reading, join
from notifications import trail
from notifications.calls import credentials as call_credentials
from notifications.calls import requests as calls
from notifications.calls.door import Answer, Door
from notifications.models import Delivery, Event
from notifications.outbox import call_results
from notifications.outbox.call_results import Ended
from notifications.outbox.claims import CallClaims, Waker
from notifications.outbox.holds import Watched
from shops.models import Shop

log = structlog.get_logger(__name__)
Clock = Callable[[], datetime]

PER_ENDPOINT = 5
# Calls in flight in one process. A hanging endpoint takes five of them, then one at a time.
MAX_IN_FLIGHT = 500
# How long to collect answers before they are written together.
GATHER_SECONDS = 0.004

# What a call needs of its row; rule and company are read by the few that fail.
_DELIVERY = (
    "id", "status", "attempt_count", "notification", "channel", "is_manual", "is_test", "mode", "address", "endpoint",
    "call", "rule_id", "company_id", "shop_id", "event_id", "resend_of_id",
)  # fmt: skip
_HELD: Reading[Delivery] = Reading(Delivery, _DELIVERY, condition=' AND "lease_owner" = %s')
_EVENTS: Reading[Event] = Reading(Event, ("id", "type", "event_id", "request_id", "traceparent", "data"))
_SHOPS: Reading[Shop] = Reading(Shop)


class CallWorker:
    """Claims due calls, makes them, records what came of them. A context manager."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._claims, self._wake, self._holds = CallClaims(), Waker(), Watched()
        self._in_flight: dict[uuid.UUID, Delivery] = {}
        self._answers: queue.SimpleQueue[tuple[uuid.UUID, Answer]] = queue.SimpleQueue()
        # Endpoints whose last call timed out: one call at a time until one answers.
        self._slow: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._door: Door | None = None
        # The loop itself holds tasks weakly.
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> "CallWorker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    # --- The thread of the database ---------------------------------------------------------------

    def step(self, clock: Clock, *, wait: float, claim: bool = True) -> Counter[str]:
        """Record the answers that have come, claim and start as many calls as there is room for.

        Args:
            wait: seconds to wait for an answer while calls are in flight.
            claim: False lets the calls in flight end and starts no other.

        Returns:
            How many deliveries got which new status, and under "started" how many calls started.
        """
        tally: Counter[str] = Counter()
        answers = self._collect(wait)
        # One time for all that came together, so that their new state is one statement.
        at = clock()
        ended = [Ended(self._in_flight.pop(key), answer, at) for key, answer in answers]
        for item in ended:
            self._note_speed(item)
        if ended:
            tally.update(call_results.record(ended, self.owner).values())
        room = MAX_IN_FLIGHT - self.in_flight
        if claim and room > 0:
            self._wake(clock())
            asked = time.time()
            keys = self._claims.claim(self.owner, room, self._room_of, self._holds())
            if keys:
                claimed = _loaded(keys, self.owner)
                trail.claimed(claimed, asked)
                tally.update(self._start(claimed, clock))
        return tally

    def _room_of(self, endpoint: str, in_flight: int) -> int:
        """How many more calls an endpoint takes at a time."""
        return (1 if endpoint in self._slow else PER_ENDPOINT) - in_flight

    def _collect(self, wait: float) -> list[tuple[uuid.UUID, Answer]]:
        """The answers that have come; waits for the first, then a moment for those right behind it."""
        if not self._in_flight:
            return []
        try:
            answers = [self._answers.get(timeout=wait)]
        except queue.Empty:
            return []
        pause = threading.Event()
        if len(self._in_flight) > 1:
            pause.wait(GATHER_SECONDS)
        while True:
            try:
                answers.append(self._answers.get_nowait())
            except queue.Empty:
                return answers

    def _start(self, batch: list[Delivery], clock: Clock) -> Counter[str]:
        tally: Counter[str] = Counter()
        keys = calls.keys_of(batch) if batch else {}
        credentials = call_credentials.of_deliveries(batch)
        now = clock()
        started: list[tuple[uuid.UUID, calls.Request]] = []
        not_made = []
        for delivery in batch:
            try:
                request = calls.request_of(delivery, keys, credentials, now)
            except calls.MissingKey:
                not_made.append(Ended(delivery, None, clock()))
                continue
            except calls.PlainHttp:
                refused = Answer("PLAIN_HTTP", None, "", "", "", 0, "http:// in PRODUCTION is not confirmed")
                not_made.append(Ended(delivery, refused, clock()))
                continue
            except Exception as error:
                # A defect of ours on one call must not stop the calls behind it.
                log.exception("request_not_built", delivery=str(delivery.pk))
                failed = Answer("CALL", None, "", "", "", 0, f"internal error: {type(error).__name__}")
                not_made.append(Ended(delivery, failed, clock()))
                continue
            self._in_flight[delivery.pk] = delivery
            started.append((delivery.pk, request))
        if started:
            # The loop is woken once for all of them.
            self._running_loop().call_soon_threadsafe(self._begin, started)
            tally["started"] = len(started)
        if not_made:
            tally.update(call_results.record(not_made, self.owner).values())
        return tally

    def _note_speed(self, item: Ended) -> None:
        if item.answer is not None and item.answer.error == "TIMEOUT":
            self._slow.add(item.delivery.endpoint)
        else:
            self._slow.discard(item.delivery.endpoint)

    def close(self) -> None:
        """End the event loop; calls still in flight are left to their lease."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._shut(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()
        self._loop = self._thread = self._door = None

    # --- The thread of the network ----------------------------------------------------------------

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="calls", daemon=True)
            self._thread.start()
            asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(timeout=10)
        return self._loop

    async def _open(self) -> None:
        door = Door(
            timeout=settings.IPN_TIMEOUT,
            allow_private=settings.IPN_ALLOW_PRIVATE_NETWORKS,
            per_endpoint=PER_ENDPOINT,
        )
        self._door = await door.__aenter__()

    async def _shut(self) -> None:
        if self._door is not None:
            await self._door.__aexit__(None, None, None)

    def _begin(self, started: list[tuple[uuid.UUID, calls.Request]]) -> None:
        loop = asyncio.get_running_loop()
        for key, request in started:
            task = loop.create_task(self._call(key, request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _call(self, key: uuid.UUID, request: calls.Request) -> None:
        assert self._door
        try:
            answer = await self._door.post(request.url, request.body, request.content_type, headers=request.headers)
        except Exception as error:
            log.exception("call_crashed", delivery=str(key))
            answer = Answer("CALL", None, "", "", "", 0, f"internal error: {type(error).__name__}")
        self._answers.put((key, answer))


def _loaded(keys: list[uuid.UUID], owner: str) -> list[Delivery]:
    """The claimed calls in the order of their keys, with what their requests are made of."""
    known = _HELD.by_key(keys, owner)
    calls = [known[key] for key in keys if key in known]
    join(calls, "event", _EVENTS)
    join(calls, "shop", _SHOPS)
    for call in calls:
        # Whether it is, one question about all of them tells.
        call.is_protected = True  # type: ignore[attr-defined]
    return calls
