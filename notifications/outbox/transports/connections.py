"""The connections of a worker to its mail server: one thread holds the dialogues of all of them.

A connection is opened in a thread of its own, because names, certificates and log-ins may take long; so is mail handed
over to what is no mail server. Everything else happens in `collect`, in the thread of the worker: between two mails
there is no hop from one thread to another, and while one server is waited for, the others are served.
"""

import queue
import selectors
import socket
import threading
import time
import uuid
from collections import deque
from contextlib import suppress
from typing import Any

import structlog

from notifications.models import Attempt
from notifications.outbox.transports.base import Parcel, Result
from notifications.outbox.transports.email import Again, EmailTransport
from notifications.outbox.transports.routes import Route
from notifications.outbox.transports.smtp import Steps

log = structlog.get_logger(__name__)

# How long connections are waited for that say goodbye.
GOODBYE_SECONDS = 1.0
_NEVER = float("inf")

Answer = tuple[uuid.UUID, Result | None]


class _Line:
    """An open connection, and the mail it is sending."""

    __slots__ = ("end", "fileno", "parcel", "steps", "transport", "writes")

    def __init__(self, transport: EmailTransport, fileno: int) -> None:
        self.transport, self.fileno = transport, fileno
        self.parcel: Parcel | None = None
        self.steps: Steps[Result | None] | None = None
        self.writes, self.end = False, _NEVER


class Connections:
    """Distributes mails to several connections and collects the results."""

    def __init__(self, route: Route | None = None) -> None:
        self._route = route
        self._parcels: deque[Parcel] = deque()
        self._lines: dict[int, _Line] = {}
        self._idle: list[_Line] = []
        # Transports that a thread has in hand, and what has come of those.
        self._apart = 0
        self._back: queue.SimpleQueue[tuple[EmailTransport, Parcel, Result | None]] = queue.SimpleQueue()
        # What is no mail server, and waits for its next mail.
        self._backends: list[EmailTransport] = []
        self._selector: selectors.BaseSelector | None = None
        self._bell: tuple[socket.socket, socket.socket] | None = None
        self._first_end = _NEVER
        self._ended: list[Answer] = []
        self._most = 0

    @property
    def count(self) -> int:
        """Connections that are open, or being opened."""
        return len(self._lines) + self._apart + len(self._backends)

    def put(self, parcel: Parcel) -> None:
        self._parcels.append(parcel)

    def take_back(self) -> list[Parcel]:
        """The mails that no connection has started."""
        parcels = list(self._parcels)
        self._parcels.clear()
        return parcels

    def serve(self, most: int) -> None:
        """Give what waits to idle connections, and open others, up to so many."""
        self._most = most
        while self._parcels and self._idle:
            self._begin(self._idle.pop(), self._parcels.popleft())
        while self._parcels and (self._backends or self.count < most):
            transport = self._backends.pop() if self._backends else EmailTransport(self._route)
            self._apart += 1
            target = threading.Thread(target=self._prepare, args=(transport, self._parcels.popleft()), daemon=True)
            target.start()

    def collect(self, wait: float) -> list[Answer]:
        """What has ended; waits for the first. Connections that become free go on with the next parcel at once."""
        if not self._ended:
            self._look(wait)
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        """Say goodbye on what is open, and leave behind what does not answer in time."""
        for line in self._lines.values():
            if line.steps is not None:
                # In the middle of a mail a goodbye would be part of it.
                line.transport.abandon()
        threads = []
        for transport in [*(line.transport for line in self._lines.values()), *self._backends]:
            threads.append(threading.Thread(target=transport.close, daemon=True))
            threads[-1].start()
        end = time.monotonic() + GOODBYE_SECONDS
        for thread in threads:
            thread.join(max(end - time.monotonic(), 0))
        self._lines.clear()
        self._idle.clear()
        self._backends.clear()
        if self._selector is not None and not self._apart:
            self._selector.close()
            self._selector = None
            for end_of_bell in self._bell or ():
                end_of_bell.close()
            self._bell = None

    # --- Threads of their own -----------------------------------------------------------------------

    def _prepare(self, transport: EmailTransport, parcel: Parcel) -> None:
        try:
            result = transport.prepare(parcel)
        except Exception as error:
            result = _crashed(parcel, error)
        self._back.put((transport, parcel, result))
        bell = self._bell
        if bell is not None:
            with suppress(OSError):
                bell[1].send(b"!")

    # --- The thread of the worker -------------------------------------------------------------------

    def _look(self, wait: float) -> None:
        selector = self._ready_selector()
        now = time.monotonic()
        self._welcome()
        if self._ended:
            wait = 0.0
        for key, _events in selector.select(max(min(wait, self._first_end - now), 0.0)):
            line: _Line | None = key.data
            if line is None:
                self._answer_bell()
            elif line.steps is None:
                assert line.transport.dialogue
                # Nothing is asked of it, so this is a goodbye, unless it is encryption alone that has something to say.
                if line.transport.dialogue.has_ended():
                    line.transport.abandon()
                    self._forget(line)
            else:
                self._go_on(line)
        if self._first_end <= time.monotonic():
            self._end_what_took_too_long()
        if self._parcels:
            self.serve(self._most)

    def _ready_selector(self) -> selectors.BaseSelector:
        if self._selector is None:
            self._selector = selectors.DefaultSelector()
            self._bell = socket.socketpair()
            for end in self._bell:
                end.setblocking(False)
            self._selector.register(self._bell[0], selectors.EVENT_READ, None)
        return self._selector

    def _answer_bell(self) -> None:
        assert self._bell
        with suppress(BlockingIOError):
            self._bell[0].recv(4096)
        self._welcome()

    def _welcome(self) -> None:
        """Take over what threads have done."""
        while not self._back.empty():
            transport, parcel, result = self._back.get_nowait()
            self._apart -= 1
            if transport.dialogue is not None and result is None:
                line = _Line(transport, transport.dialogue.socket.fileno())
                self._lines[line.fileno] = line
                self._ready_selector().register(line.fileno, selectors.EVENT_READ, line)
                self._begin(line, parcel)
                continue
            if transport.is_open:
                self._backends.append(transport)
            self._ended.append((parcel.key, result))

    def _begin(self, line: _Line, parcel: Parcel) -> None:
        line.parcel, line.steps = parcel, line.transport.send(parcel)
        self._go_on(line)

    def _go_on(self, line: _Line, *, is_late: bool = False) -> None:
        """Take a dialogue on until it waits again; when it is over, the next parcel follows."""
        assert line.parcel and line.steps
        try:
            wait = line.steps.throw(TimeoutError("timed out")) if is_late else next(line.steps)
        except StopIteration as stopped:
            self._ended.append((line.parcel.key, stopped.value))
        except Again:
            self._parcels.appendleft(line.parcel)
        except Exception as error:
            self._ended.append((line.parcel.key, _crashed(line.parcel, error)))
        else:
            self._watch(line, *wait)
            return
        line.parcel, line.steps = None, None
        last = self._ended[-1][1] if self._ended else None
        if line.transport.dialogue is None:
            self._forget(line)
            return
        self._watch(line, False, _NEVER)
        if self._parcels and not (last and last.whole_queue):
            self._begin(line, self._parcels.popleft())
        else:
            self._idle.append(line)

    def _watch(self, line: _Line, writes: bool, end: float) -> None:
        line.end = end
        self._first_end = min(self._first_end, end)
        if writes != line.writes:
            # Who writes is not woken by what it will read later, again and again.
            self._ready_selector().modify(line.fileno, selectors.EVENT_WRITE if writes else selectors.EVENT_READ, line)
            line.writes = writes

    def _forget(self, line: _Line) -> None:
        """A connection that was closed."""
        with suppress(KeyError, OSError, ValueError):
            self._ready_selector().unregister(line.fileno)
        self._lines.pop(line.fileno, None)
        if line in self._idle:
            self._idle.remove(line)

    def _end_what_took_too_long(self) -> None:
        now = time.monotonic()
        for line in list(self._lines.values()):
            if line.steps is not None and line.end <= now:
                self._go_on(line, is_late=True)
        self._first_end = min((line.end for line in self._lines.values()), default=_NEVER)


def _crashed(parcel: Parcel, error: Any) -> Result:
    """A defect of ours on one mail must not stop the mail behind it."""
    log.error("attempt_crashed", delivery=str(parcel.key), exc_info=error)
    return Result(Attempt.Outcome.TRANSIENT, reply=f"internal error: {type(error).__name__}")
