"""Runs what other apps do with recorded events and by the worker's clock.

What runs, and in which order, stands in one table: EVENT_LISTENERS, CLOCK_WORK and CLOCK_ROUTINES of
`backoffice/settings.py`. They are dotted names, looked up at the first use, so nothing here imports another app.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.utils.module_loading import import_string

from notifications.models import Event

log = structlog.get_logger(__name__)

Listener = Callable[[Event], None]
Tick = Callable[[datetime], None]


@cache
def _found(names: tuple[str, ...]) -> list[Callable[[Any], None]]:
    return [import_string(name) for name in names]


def listeners() -> list[Listener]:
    """Called with every recorded event, in the transaction that records it.

    What one raises refuses the event, so it must cope with any data that the intake lets pass.
    """
    return _found(tuple(settings.EVENT_LISTENERS))


def clock_work() -> list[Tick]:
    """Called with the worker's time before each look at the outbox, outside any transaction.

    It may run in several workers at the same time, and about every second: it has to be cheap and
    to claim what it works on.
    """
    return _found(tuple(settings.CLOCK_WORK))


def clock_routines() -> list[Tick]:
    """As `clock_work`, but only in workers that keep running.

    For what the platform does of its own accord, such as the checks of every morning: a single
    `deliver --once` sends what is due and starts nothing new.
    """
    return _found(tuple(settings.CLOCK_ROUTINES))


def event_recorded(event: Event) -> None:
    for listen in listeners():
        listen(event)


def tick(now: datetime, *, routines: bool = False) -> None:
    """Run every scheduled function; a defect in one must not hold up the mail behind it.

    Args:
        routines: the routines too.
    """
    for run in [*clock_work(), *(clock_routines() if routines else [])]:
        try:
            run(now)
        except DatabaseError:
            raise
        except Exception:
            log.exception("tick_failed", function=f"{run.__module__}.{run.__qualname__}")
