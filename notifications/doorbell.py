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
        from .tasks import call_due, deliver_due  # Celery is loaded by processes that have a broker only

        for task in (deliver_due, call_due):
            task.apply_async(expires=EXPIRES_SECONDS, retry=False)
    except Exception as error:  # whatever a broker or its client may raise: the event is saved already
        _fall_silent(f"{type(error).__name__}: {error}")
    finally:
        _slots.release()


def _fall_silent(reason: str) -> None:
    global _silent_until
    _silent_until = time.monotonic() + SILENCE_SECONDS
    logger.warning("doorbell_not_rung", reason=reason[:300])
