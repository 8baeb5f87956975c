"""Heartbeats of the processes that send, and the clock that any of them advances.

All times here are those of the database. The clock is one row: whoever moves it on does what is due (`elected`), so that no
process is needed for it but one that works.
"""

import os
import socket
import time
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from notifications.models import Tick, Worker
from notifications.outbox.tally import Tally

# A worker shows itself this often, and the clock ticks.
BEAT_SECONDS = 5.0
# After this long a process is not counted as a worker any more, and a clock as stopped.
SILENT_SECONDS = 30
KINDS = ("mail", "calls")
MINUTES_KEPT = 15
_FORGOTTEN = timedelta(hours=1)


# The rows of clocks: what is due by the time of day, and the ringing for tasks.
CLOCK, BELL = 1, 2


def own_name(kind: str, pid: int | None = None) -> str:
    """The name of a worker, for operators: machine, process id and kind."""
    return f"{machine_prefix()}{pid or os.getpid()}/{kind}"


def machine_prefix() -> str:
    """How the names of this machine's processes begin."""
    return f"{socket.gethostname()[:150]}:"


def elected(worker: str, *, every: float = BEAT_SECONDS, clock: int = CLOCK) -> bool:
    """Move a clock on; True for the one worker that did, and does what is due."""
    # A time to come is that of a clock that was put back since.
    due = Tick.objects.filter(
        Q(at__lte=Now() - timedelta(seconds=every)) | Q(at__gt=Now() + timedelta(seconds=every)), pk=clock
    )
    if due.update(at=Now(), worker=worker):
        return True
    if Tick.objects.filter(pk=clock).exists():
        return False
    with transaction.atomic():
        # The first one of all; of two that come at once, one.
        Tick.objects.bulk_create([Tick(pk=clock, at=Now(), worker="")], ignore_conflicts=True)
        return bool(Tick.objects.filter(pk=clock, worker="").update(worker=worker))


class Signs:
    """The heartbeats of one worker, written no more often than needed. A process may have several."""

    def __init__(self, kind: str, pid: int | None = None) -> None:
        self.name, self._kind = own_name(kind, pid), kind
        self._next = 0.0
        self._told = Tally()

    def show(self, tally: Tally, *, at_once: bool = False) -> None:
        """Say that this worker is here, and what it has done so far.

        Args:
            tally: of its whole life.
            at_once: it is the last time.
        """
        now = time.monotonic()
        if now < self._next and not at_once:
            return
        done = [getattr(tally, name) - getattr(self._told, name) for name in _COUNTED]
        with transaction.atomic():
            row = Worker.objects.select_for_update().filter(name=self.name).first()
            if row is None:
                new = Worker(name=self.name, kind=self._kind, started_at=Now(), seen_at=Now(), minutes=_with({}, done))
                Worker.objects.bulk_create([new], ignore_conflicts=True)
                Worker.objects.filter(seen_at__lte=Now() - _FORGOTTEN).delete()
            else:
                Worker.objects.filter(pk=row.pk).update(seen_at=Now(), minutes=_with(row.minutes, done))
        self._told = Tally(tally.sent, tally.retry, tally.dead)
        self._next = now + BEAT_SECONDS

    def leave(self) -> None:
        """Remove the heartbeat of a worker that ends in order, so that it is not reported as missing."""
        Worker.objects.filter(name=self.name).delete()


_COUNTED = ("sent", "retry", "dead")


def _with(minutes: dict[str, list[int]], done: list[int]) -> dict[str, list[int]]:
    """What was done in the last minutes, with what has been done since."""
    minute = int(time.time() // 60)
    kept = {name: counts for name, counts in minutes.items() if int(name) > minute - MINUTES_KEPT}
    if any(done):
        before = kept.get(str(minute), [0, 0, 0])
        kept[str(minute)] = [one + other for one, other in zip(before, done, strict=True)]
    return kept
