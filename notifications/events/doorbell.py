"""Wakes remote workers when something was queued; nothing to do without a broker.

A ring that does not arrive costs at most one tick of the Celery clock: the outbox is the truth.
So a broker that is down, silent or unknown must never fail or slow down what was just saved.
"""

import threading
import time

import structlog
from django.conf import settings

logger = structlog.get_logger(__name__)

MAX_WAIT_SECONDS = 2.0
# After a failure nobody waits for the broker again for a while; the clock of the workers goes on.
SILENCE_SECONDS = 10.0
EXPIRES_SECONDS = 15
# By name, so that the way in does not depend on the worker; `notifications.worker.tasks` defines them.
TASKS = ("notifications.tasks.deliver_due", "notifications.tasks.call_due")

_slots = threading.BoundedSemaphore(4)
_silent_until = 0.0


def ring() -> None:
    """Ask a worker to look at the outbox now.

    Returns within about MAX_WAIT_SECONDS and never raises.
    """
    if not settings.CELERY_BROKER_URL or time.monotonic() < _silent_until:
        return
    if not _slots.acquire(blocking=False):
        return
    # Name resolution and handshakes have time-outs of their own, or none; this one bounds them all.
    thread = threading.Thread(target=_send, name="doorbell", daemon=True)
    thread.start()
    thread.join(MAX_WAIT_SECONDS)
    if thread.is_alive():
        _fall_silent("no answer in time")


def _send() -> None:
    try:
        from backoffice.celery import app

        for task in TASKS:
            app.send_task(task, expires=EXPIRES_SECONDS, retry=False)
    except Exception as error:  # whatever a broker or its client may raise: the event is saved already
        _fall_silent(f"{type(error).__name__}: {error}")
    finally:
        _slots.release()


def ring_anew() -> bool:
    """Ring over a connection of its own, for the clock of workers. Returns whether the broker accepted it.

    A pooled connection that died with the broker would fail for ever.
    """
    from backoffice.celery import app

    try:
        with app.connection_for_write() as link:
            for task in TASKS:
                app.send_task(task, expires=EXPIRES_SECONDS, retry=False, connection=link)
    except Exception as error:  # whatever a broker or its client may raise
        _say_that_it_did_not_ring(f"{type(error).__name__}: {error}")
        return False
    return True


def _fall_silent(reason: str) -> None:
    global _silent_until
    _silent_until = time.monotonic() + SILENCE_SECONDS
    _say_that_it_did_not_ring(reason)


def _say_that_it_did_not_ring(reason: str) -> None:
    logger.warning("doorbell_not_rung", reason=reason[:300])
