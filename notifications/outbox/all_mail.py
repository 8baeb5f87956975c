"""All workers of mail of one process: that of the platform's server, and one for each company's own that has mail.

None waits for another: a server that hangs or refuses holds up the mail of its company only.
"""

import time
from collections import Counter
from types import TracebackType

from notifications.outbox import relays
from notifications.outbox.mail_worker import Clock, MailWorker
from notifications.outbox.transports.routes import Route

# Servers of companies that one process talks to at the same time.
MOST = 32
# How often it is looked whether companies with a server of their own have mail.
LOOK_SECONDS = 0.5


class AllMail:
    """Steps and ends like one `MailWorker`. A context manager."""

    def __init__(self, owner: str, *, waits_for_relay: bool = True) -> None:
        self.owner, self._waits = owner, waits_for_relay
        self._platform = MailWorker(owner, waits_for_relay=waits_for_relay)
        self._relays = relays.WatchedRelays()
        self._own: dict[int, tuple[Route, MailWorker]] = {}
        self._look_at = 0.0

    def __enter__(self) -> "AllMail":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._platform.close()
        for _route, worker in self._own.values():
            worker.close()

    @property
    def in_flight(self) -> int:
        return self._platform.in_flight + sum(worker.in_flight for _route, worker in self._own.values())

    @property
    def wants_mail(self) -> bool:
        return self._platform.wants_mail

    def step(self, clock: Clock, *, wait: float) -> Counter[str]:
        """As `MailWorker.step`, for each of them."""
        # Whoever has something out is waited for, the others are asked in passing.
        busy = any(worker.in_flight for _route, worker in self._own.values())
        tally = self._platform.step(clock, wait=min(wait, 0.05) if busy else wait)
        self._look()
        for company, (_route, worker) in list(self._own.items()):
            tally.update(worker.step(clock, wait=0.0 if self._platform.in_flight else 0.05))
            if worker.foreign:
                self._platform.adopt(worker.foreign, clock)
                worker.foreign = []
            if not worker.in_flight and not worker.wants_more:
                worker.close()
                del self._own[company]
        return tally

    def _look(self) -> None:
        """A worker for each server that has mail; who types other settings gets another one."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_SECONDS
        for route in self._relays.ready():
            assert route.company is not None
            known = self._own.get(route.company)
            if known is not None and known[0] is not route and not known[1].in_flight:
                known[1].close()
                known = None
            if known is None and len(self._own) < MOST:
                self._own[route.company] = (route, MailWorker(self.owner, waits_for_relay=self._waits, route=route))

    def finish(self, clock: Clock) -> Counter[str]:
        """As `MailWorker.finish`, for each of them."""
        tally = self._platform.finish(clock)
        for _route, worker in self._own.values():
            tally.update(worker.finish(clock))
        return tally

    def disconnect(self) -> None:
        """As `MailWorker.disconnect`, for each of them."""
        self._platform.disconnect()
        for _route, worker in self._own.values():
            worker.close()
        self._own.clear()
