"""The tasks of the Celery worker: mail and calls apart, so that neither waits for the other."""

import os
from multiprocessing.sharedctypes import RawValue
from typing import Any

from celery import signals

from backoffice.base import tracing
from backoffice.celery import app
from notifications.outbox.tally import Tally
from notifications.worker import clock, loop

# Shared with the processes of the pool, which are forked later and are told of no signal.
_stopping = RawValue("b", 0)
# The process that was started, whichever of its pool does the work.
_MAIN = os.getpid()


def is_stopping() -> bool:
    """Whether this worker was asked to stop: mails in progress are finished, no other is started."""
    return bool(_stopping.value)


@app.task(name="notifications.tasks.deliver_due")  # type: ignore[untyped-decorator]
def deliver_due() -> None:
    """Send the mail that is due now; several workers may do so at the same time."""
    loop.deliver_mail(Tally(), stop=is_stopping, pid=_MAIN)


@app.task(name="notifications.tasks.call_due")  # type: ignore[untyped-decorator]
def call_due() -> None:
    """Make the calls that are due now, and announce failures whose mail is due."""
    loop.deliver_calls(Tally(), stop=is_stopping, pid=_MAIN)


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop(**kwargs: Any) -> None:
    _stopping.value = 1


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def _begin_traces(**kwargs: Any) -> None:
    tracing.start()


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]
@signals.worker_shutdown.connect  # type: ignore[untyped-decorator]
def _end_traces(**kwargs: Any) -> None:
    """Processes of a pool end without the last words of Python."""
    tracing.stop()


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def _keep_the_clock(**kwargs: Any) -> None:
    clock.start(is_stopping, _MAIN)
