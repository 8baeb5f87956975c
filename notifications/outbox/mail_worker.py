"""The worker of mail: several connections at once, what has ended is recorded together.

The thread that calls `step` writes the mails, holds the dialogues (`transports/connections.py`) and uses the database: a
connection that becomes free is given the next mail before anything is recorded.

At most `WINDOW` mails are out at a time, that is, handed to the connections and not recorded: a process that is killed
can repeat those that had left of them, and no other (docs/operations.md, "What is guaranteed").
"""

import time
import uuid
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType

import structlog
from django.conf import settings
from django.db import DatabaseError

from notifications import trail
from notifications.models import Attempt, Delivery
from notifications.outbox import leases, mail_results, relays
from notifications.outbox.breakers import Gate
from notifications.outbox.claims import MailClaims, OwnMailClaims, Waker
from notifications.outbox.holds import Holds, Watched
from notifications.outbox.limits import KEPT, Pacer
from notifications.outbox.mail_loading import loaded
from notifications.outbox.mail_results import MailEnded
from notifications.outbox.transports.base import Parcel, Result
from notifications.outbox.transports.connections import Answer, Connections
from notifications.outbox.transports.email import pack
from notifications.outbox.transports.routes import Route, of_platform

log = structlog.get_logger(__name__)
Clock = Callable[[], datetime]
S = Delivery.Status

WINDOW = 32
# Mails claimed beyond those that are out are what the next seconds take: they stand before later mail of others.
AHEAD_SECONDS = 2.0
# To the server of a company.
OWN_CONNECTIONS = 2
# After a claim that found less than it asked for, while mails are out.
ASK_SECONDS = 0.2
# How long the mails that are out may take to end when the worker is asked to stop.
GRACE_SECONDS = 30.0
# Results that come so soon after the first one are recorded with it, half a window at most.
GATHER_SECONDS = 0.005
# After a connection could not be had while others work, another one is tried.
REOPEN_SECONDS = 30.0


class MailWorker:
    """Claims ready mail, sends it and records the results. A context manager.

    Args:
        waits_for_relay: False for who was told by a person to send now.
        route: the mail server of one company, of whose mail it takes care; without one that of the platform.
    """

    def __init__(self, owner: str, *, waits_for_relay: bool = True, route: Route | None = None) -> None:
        self.owner, self._route = owner, route
        self._claims = MailClaims() if route is None else OwnMailClaims(route.company or 0)
        self._wake = Waker()
        self._holds, self._gate = Watched(), Gate(route.breaker if route else "", waits=waits_for_relay)
        self._relays = relays.WatchedRelays()
        self._pacer = Pacer(owner, self._way.name)
        # Mail of the platform's own that was found among that of the company.
        self.foreign: list[Delivery] = []
        # So many of those that wait do so for a connection to their domain.
        self._busy = 0
        # The view of pauses that what waits here was compared with.
        self._looked_at: Holds | None = None
        self._waiting: deque[Delivery] = deque()
        self._out: dict[uuid.UUID, tuple[Delivery, Parcel | None]] = {}
        self._ended: list[MailEnded] = []
        self._connections = Connections(route)
        # Until a connection is known to work, one mail at a time shows whether it does.
        self._works = False
        # What the last mail met that every other would meet; until the next cycle no other is tried.
        self._closed: Result | None = None
        self._reopen_at = 0.0
        self._limit = 0
        self._claimed_at = self._ask_at = 0.0
        self._held_until = 0.0

    def __enter__(self) -> "MailWorker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def in_flight(self) -> int:
        """Mails that are out, and results that are not written yet."""
        return len(self._out)

    @property
    def wants_more(self) -> bool:
        """Whether mail is in progress, or the last claim returned some."""
        return bool(self._waiting or self._ended) or time.monotonic() - self._claimed_at < 2 * ASK_SECONDS

    @property
    def _way(self) -> Route:
        return self._route or of_platform()

    @property
    def wants_mail(self) -> bool:
        """Whether to claim more; after a claim that emptied the queue, not at once."""
        is_short = len(self._waiting) - self._busy < max(self._limit // 2, 1)
        return is_short and (not self._out or time.monotonic() >= self._ask_at)

    # --- A step ---------------------------------------------------------------------------------------

    def step(self, clock: Clock, *, wait: float, claim: bool = True) -> Counter[str]:
        """Record what has ended, claim and hand over as much as there is room for.

        Args:
            wait: seconds to wait for a result while mails are out.
            claim: False takes nothing new from the queue; what was claimed and not handed over goes back.

        Returns:
            How many deliveries got which new status.
        """
        tally: Counter[str] = Counter()
        self._collect(wait, clock)
        tally.update(self._record(clock))
        self._renew()
        self._give_back_held()
        if not claim:
            self._give_back()
        elif self.wants_mail:
            self._claim(clock)
            tally[S.RETRY] += self._postpone(clock)
        self._hand_over(clock)
        if self._ended:
            # What could not even be put into bytes.
            tally.update(self._record(clock))
        return tally

    def finish(self, clock: Clock) -> Counter[str]:
        """Let what is out end, for a while, and give everything else back."""
        tally: Counter[str] = Counter()
        self._take_back()
        end = time.monotonic() + GRACE_SECONDS
        while self.in_flight and time.monotonic() < end:
            tally.update(self.step(clock, wait=0.2, claim=False))
        for key, (delivery, parcel) in list(self._out.items()):
            if parcel is None:
                continue
            if parcel.withdraw():
                leases.release(self.owner, [key])
                del self._out[key]
            else:
                stopped = Result(Attempt.Outcome.TRANSIENT, reply="the worker was stopped", is_unknown=True)
                self._ended.append(self._over(delivery, stopped, clock()))
        tally.update(self._record(clock))
        self._give_back()
        return tally

    def close(self) -> None:
        """Let the connections end and give back what is not sent."""
        self.disconnect()
        try:
            if self._ended:
                mail_results.record(self._ended, self.owner)
            free = [key for key, (_delivery, parcel) in self._out.items() if parcel is not None and parcel.withdraw()]
            leases.release(self.owner, [*free, *(delivery.id for delivery in [*self._waiting, *self.foreign])])
            self._pacer.free()
        except DatabaseError as error:
            # Whoever sweeps finds that this owner works no longer.
            log.error("not_given_back", error=type(error).__name__)
        self._waiting.clear()
        self.foreign.clear()

    def disconnect(self) -> None:
        """Close the connections; the next mail opens one again."""
        self._connections.close()
        self._works, self._closed = False, None
        try:
            self._pacer.free()
        except DatabaseError as error:
            # They end with their time.
            log.warning("connections_not_freed", error=type(error).__name__)

    # --- Results --------------------------------------------------------------------------------------

    def _collect(self, wait: float, clock: Clock) -> None:
        """Take the results that have come; waits for the first one only."""
        if not self._out or self._ended:
            return
        answers = self._gathered(wait)
        at = clock()
        for key, result in answers:
            delivery, _parcel = self._out.get(key, (None, None))
            if delivery is None:
                continue
            if result is None or (result.opening and self._connections.count):
                # Not tried; or another connection is open, and takes it.
                self._reopen_at = time.monotonic() + REOPEN_SECONDS
                del self._out[key]
                if result is not None:
                    self._waiting.appendleft(delivery)
                continue
            self._works = not result.whole_queue
            if self._works:
                self._closed = None
            self._ended.append(self._over(delivery, result, at))
            if result.whole_queue:
                self._take_back()

    def _over(self, delivery: Delivery, result: Result, at: datetime) -> MailEnded:
        return MailEnded(delivery, result, at, self._route.name if self._route else "")

    def _gathered(self, wait: float) -> list[Answer]:
        """The results that have arrived, and those that follow the first one closely; sending goes on meanwhile."""
        answers = self._connections.collect(wait)
        end = time.monotonic() + GATHER_SECONDS
        while answers and len(answers) < min(len(self._out), WINDOW // 2) and (rest := end - time.monotonic()) > 0:
            answers += self._connections.collect(rest)
        return answers

    def _record(self, clock: Clock) -> Counter[str]:
        """Write what has ended; what cannot be written now is kept for the next time."""
        ended = self._ended
        if not ended:
            return Counter()
        statuses = mail_results.record(ended, self.owner)
        self._ended = []
        for item in ended:
            self._out.pop(item.delivery.id, None)
        tally = Counter(statuses.values())
        for item in ended:
            if item.result.waits_for:
                log.error("mail_waits", setting=item.result.waits_for, code=item.result.code)
        self._closed = next((item.result for item in ended if item.result.whole_queue), self._closed)
        self._gate.note([item.result for item in ended])
        tally[S.RETRY] += self._postpone(clock)
        return tally

    def _postpone(self, clock: Clock) -> int:
        """While the breaker is open, postpone waiting mail: each would fail in the same way, perhaps after a time-out."""
        if self._closed is None or not self._waiting:
            return 0
        if self._closed.goes_elsewhere:
            self._give_back()
            return 0
        pause = mail_results.wait_for_settings() if self._closed.waits_for else _first_delay()
        count = mail_results.postpone(self._waiting, self.owner, self._closed.error, clock() + pause)
        self._waiting.clear()
        return count

    # --- Leases ---------------------------------------------------------------------------------------

    def _is_ours(self) -> bool:
        """Whether the leases still hold, as far as this process can tell without the database."""
        return time.monotonic() < self._held_until

    def _renew(self) -> None:
        """The heartbeat: extend all leases as long as this process works."""
        self._pacer.renew()
        length = leases.of_mail()
        if time.monotonic() < self._held_until - 0.8 * length.total_seconds():
            return
        held = [*self._out, *(delivery.id for delivery in self._waiting)]
        if not held:
            return
        asked = time.monotonic()
        lost = leases.renew(self.owner, held, length)
        self._held_until = asked + length.total_seconds()
        if not lost:
            return
        log.warning("lease_lost", count=len(lost))
        self._waiting = deque(delivery for delivery in self._waiting if delivery.id not in lost)
        for key in lost & self._out.keys():
            parcel = self._out[key][1]
            if parcel is not None and parcel.withdraw():
                del self._out[key]

    # --- Handing over ---------------------------------------------------------------------------------

    def _claim(self, clock: Clock) -> None:
        self._wake(clock())
        most = self._gate.most()
        if most == 0 or self._pacer.connections(1) == 0:
            return
        asked = time.monotonic()
        # As much as was used up since the last claim shows what the next seconds take.
        since = asked - self._claimed_at
        if since < AHEAD_SECONDS / 2:
            self._limit *= 2
        elif since > AHEAD_SECONDS:
            self._limit //= 2
        self._limit = min(max(self._limit, 2 * self._most_connections), settings.DELIVERY_BATCH_SIZE)
        limit = most or self._limit
        skipped = frozenset() if self._route else self._relays.skipped()
        keys = self._claims.claim(self.owner, limit, self._holds(), skipped)
        if len(keys) < limit:
            self._ask_at = asked + ASK_SECONDS
        if not keys:
            return
        self._gate.probing()
        self._claimed_at = asked
        if not self._out and not self._waiting:
            self._held_until = asked + leases.of_mail().total_seconds()
        rows = loaded(keys, self.owner)
        trail.claimed(rows, time.time() - (time.monotonic() - asked))
        self._take(rows, clock)

    def _take(self, rows: list[Delivery], clock: Clock) -> None:
        """Keep claimed mail that may be sent now; mail over a limit waits for its turn."""
        if self._route is not None:
            # Letters come from the platform, whoever reads them.
            self.foreign += [row for row in rows if row.broadcast_id]
            rows = [row for row in rows if not row.broadcast_id]
        self._waiting.extend(self._pacer.admit(rows, clock()))

    def adopt(self, rows: list[Delivery], clock: Clock) -> None:
        """Take over mail that another worker of the same owner has claimed."""
        if self._gate.most() == 0:
            leases.release(self.owner, [row.id for row in rows])
            return
        if not self._out and not self._waiting:
            # It has just been claimed; the heartbeat follows at once.
            self._held_until = time.monotonic() + 0.5 * leases.of_mail().total_seconds()
        self._waiting.extend(self._pacer.admit(rows, clock()))
        self._hand_over(clock)

    @property
    def _most_connections(self) -> int:
        return (
            int(settings.SMTP_CONNECTIONS) if self._route is None else min(settings.SMTP_CONNECTIONS, OWN_CONNECTIONS)
        )

    def _hand_over(self, clock: Clock) -> None:
        most = min(WINDOW, max(self._limit // 2, 2 * self._most_connections)) if self._works else 1
        room = most - len(self._out)
        aside: list[Delivery] = []
        while room > 0 and self._waiting:
            delivery = self._waiting.popleft()
            if not self._pacer.may_leave(delivery, (other for other, _parcel in self._out.values())):
                aside.append(delivery)
                continue
            packed = self._packed(delivery)
            if isinstance(packed, Parcel):
                self._out[delivery.id] = delivery, packed
                self._connections.put(packed)
                room -= 1
                continue
            self._out[delivery.id] = delivery, None
            self._ended.append(self._over(delivery, packed, clock()))
            if packed.whole_queue:
                break
        if aside or self._busy:
            self._put_aside(aside, clock)
        self._connect()

    def _put_aside(self, rows: list[Delivery], clock: Clock) -> None:
        """Keep a few mails whose domain has no free connection; the others are tried again later."""
        self._busy = min(len(rows), KEPT)
        self._waiting.extendleft(reversed(rows[:KEPT]))
        self._pacer.postpone(rows[KEPT:], clock())

    def _packed(self, delivery: Delivery) -> Parcel | Result:
        """A mail in bytes; a defect of ours on one message must not stop the mail behind it."""
        try:
            return pack(delivery, self._is_ours, self._route)
        except DatabaseError:
            self._waiting.appendleft(delivery)
            raise
        except Exception as error:
            log.exception("attempt_crashed", delivery=str(delivery.id))
            return Result(Attempt.Outcome.TRANSIENT, reply=f"internal error: {type(error).__name__}")

    def _connect(self) -> None:
        """As many connections as there are mails out, within the setting; the first shows whether others may follow."""
        most = self._most_connections if self._works and self._way.is_smtp else 1
        count = self._connections.count
        if count and time.monotonic() < self._reopen_at:
            most = count
        self._connections.serve(self._pacer.connections(min(most, max(count, len(self._out)))))

    def _take_back(self) -> None:
        """Return to the waiting mails what no connection has started."""
        for parcel in reversed(self._connections.take_back()):
            if parcel.key in self._out:
                self._waiting.appendleft(self._out.pop(parcel.key)[0])

    def _give_back_held(self) -> None:
        """What was claimed before a pause and has not left goes back to the queue."""
        if not self._waiting or (holds := self._holds()) is self._looked_at:
            return
        self._looked_at = holds
        holds.inactive(delivery.company_id or 0 for delivery in self._waiting)
        holds.inactive_shops(delivery.shop_id or 0 for delivery in self._waiting)
        held = [delivery for delivery in self._waiting if holds.is_held(delivery)]
        if held:
            leases.release(self.owner, [delivery.id for delivery in held])
            kept_back = {delivery.id for delivery in held}
            self._waiting = deque(delivery for delivery in self._waiting if delivery.id not in kept_back)

    def _give_back(self) -> None:
        leases.release(self.owner, [delivery.id for delivery in self._waiting])
        self._waiting.clear()


def _first_delay() -> timedelta:
    return timedelta(seconds=settings.EMAIL_RETRY_DELAYS[0])
