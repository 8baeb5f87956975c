"""Simultaneous requests with one event each share a transaction.

The threads of a process take turns: whoever has the turn accepts what the others have brought meanwhile, so that a commit
and the statements of a group serve all of them. Nobody waits for a group to fill. Each event is accepted or refused
alone, as `publishing.accept_events` does it, and answered after the commit.

SQLite has one writer at a time and lets the others look again and again, for up to 100 ms: processes that accept
stand in a queue of the system's (flock) instead, and each goes on at once when it is its turn.
"""

import fcntl
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import connection
from django.utils import translation

from companies.models import Company
from notifications.events import publishing
from notifications.events.intake import ValidEvent
from notifications.events.publishing import Outcome

# What one turn takes at most: whoever brings an event waits for no more than these.
MOST = 50


class _Brought:
    """An event that one thread has submitted, and its result."""

    __slots__ = ("company", "kind", "outcome", "valid", "with_others")

    def __init__(self, valid: ValidEvent, company: Company | None) -> None:
        self.valid, self.company = valid, company
        # What is told of a refusal is in a language.
        self.kind = company.pk if company else None, translation.get_language()
        self.outcome: Outcome | None = None
        self.with_others = True


class Together:
    """The threads of one process."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._waiting: deque[_Brought] = deque()

    def accept(self, valid: ValidEvent, company: Company | None) -> Outcome:
        """Accept one event, together with what other threads bring; as `publishing.accept_events`.

        Raises:
            what is no refusal: only to whose event it was.
        """
        if connection.in_atomic_block:
            # In the transaction of the caller, which no other event belongs to.
            return publishing.accept_events(valid=[valid], company=company)[0]
        mine = _Brought(valid, company)
        self._waiting.append(mine)
        with self._turn:
            if mine.outcome is None:
                self._lead(mine)
        if mine.outcome is None:
            with self._turn, _queue_of_processes():
                (mine.outcome,) = publishing.accept_events(valid=[valid], company=company)
        return mine.outcome

    def accept_list(self, valid: Sequence[ValidEvent], company: Company | None) -> list[Outcome]:
        """Accept what one request brings; on SQLite in its turn, as there is one writer at a time."""
        if connection.in_atomic_block or connection.vendor != "sqlite" or len(valid) > publishing.GROUP:
            # What takes several transactions does not keep the turn through all of them.
            return publishing.accept_events(valid=valid, company=company)
        with self._turn, _queue_of_processes():
            return publishing.accept_events(valid=valid, company=company)

    def _lead(self, mine: _Brought) -> None:
        """Accept what stands there of the same kind; where that fails, each tries its own alone."""
        if not mine.with_others:
            return
        group = [other for other in list(self._waiting) if other.kind == mine.kind and other is not mine][: MOST - 1]
        group.insert(0, mine)
        for one in group:
            self._waiting.remove(one)
            one.with_others = False
        try:
            with _queue_of_processes():
                outcomes = publishing.accept_events(valid=[one.valid for one in group], company=mine.company)
        except Exception:
            if len(group) == 1:
                raise
            return
        for one, outcome in zip(group, outcomes, strict=True):
            one.outcome = outcome


@contextmanager
def _queue_of_processes() -> Iterator[None]:
    """The place of this process among those that accept, on SQLite; elsewhere the database does that."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor != "sqlite" or "memory" in name:
        yield
        return
    lock = os.open(f"{name}-accepting", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


_threads = Together()
accept = _threads.accept
accept_list = _threads.accept_list
