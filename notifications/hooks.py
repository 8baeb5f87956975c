"""Where other apps attach to accepted events and to the worker's clock.

They import this module; nothing here imports them, so that the directions of imports hold. An app
registers its functions when it is ready.
"""

from collections.abc import Callable
from datetime import datetime

import structlog
from django.db import DatabaseError

from .models import Event

log = structlog.get_logger(__name__)

Listener = Callable[[Event], None]
Tick = Callable[[datetime], None]
_listeners: list[Listener] = []
_ticks: list[Tick] = []
_routines: list[Tick] = []


def on_event(function: Listener) -> Listener:
    """Call `function` with every recorded event, in the transaction that records it.

    What it raises refuses the event, so it must cope with any data that the intake lets pass.
    """
    if function not in _listeners:
        _listeners.append(function)
    return function


def on_tick(function: Tick) -> Tick:
    """Call `function` with the worker's time before each look at the outbox, outside any transaction.

    It may run in several workers at the same time, and about every second: it has to be cheap and
    to claim what it works on.
    """
    if function not in _ticks:
        _ticks.append(function)
    return function


def on_routine(function: Tick) -> Tick:
    """Call `function` like `on_tick` does, but only in workers that keep running.

    For what the platform does of its own accord, such as the checks of every morning: a single
    `deliver --once` sends what is due and starts nothing new.
    """
    if function not in _routines:
        _routines.append(function)
    return function


def event_recorded(event: Event) -> None:
    for listen in _listeners:
        listen(event)


def tick(now: datetime, *, routines: bool = False) -> None:
    """Run every scheduled function; a defect in one must not hold up the mail behind it.

    Args:
        routines: the routines too.
    """
    for run in [*_ticks, *(_routines if routines else [])]:
        try:
            run(now)
        except DatabaseError:
            raise
        except Exception:
            log.exception("tick_failed", function=f"{run.__module__}.{run.__qualname__}")
