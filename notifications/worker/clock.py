"""The clock of Celery workers: each of them runs it, and one at a time is elected to advance it.

It hangs on no process in particular, nor on the broker: what is due by the clock is done here, and the tasks are rung for over
a new connection each time, so that a broker that was away is found again as soon as it is back.
"""

import threading
from collections.abc import Callable

import structlog
from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone

from notifications.events import doorbell, hooks
from notifications.outbox import leases, signs
from notifications.outbox.tally import Tally

log = structlog.get_logger(__name__)

# All workers together ring this often.
RING_SECONDS = 15.0
_LOOK_SECONDS = 1.0


def start(stop: Callable[[], bool], pid: int) -> None:
    threading.Thread(target=keep, args=(stop, pid), name="clock", daemon=True).start()


def keep(stop: Callable[[], bool], pid: int) -> None:
    """Look at the clock until `stop`; survives a database or a broker that is away."""
    shown = [signs.Signs(kind, pid) for kind in signs.KINDS]
    pause = threading.Event()
    while not stop():
        try:
            close_old_connections()
            look(shown)
        except DatabaseError as error:
            log.error("database_unavailable", error=type(error).__name__)
        except Exception:
            # Whatever it was, the clock goes on.
            log.exception("clock_failed")
        pause.wait(_LOOK_SECONDS)
    connection.close()


def look(shown: list[signs.Signs]) -> None:
    """Show that the worker is alive, and do what is due unless another worker did."""
    for one in shown:
        one.show(Tally())
    if signs.elected(shown[0].name):
        leases.sweep()
        hooks.tick(timezone.now(), routines=True)
    if signs.elected(shown[0].name, every=RING_SECONDS, clock=signs.BELL):
        doorbell.ring_anew()
