"""The loop of the worker, which serves all queues."""

import threading
import time
from collections.abc import Callable
from datetime import datetime

import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone

from notifications.broadcasts import broadcasting as broadcasts
from notifications.events import hooks
from notifications.outbox import call_results, leases, signs
from notifications.outbox.all_mail import AllMail
from notifications.outbox.call_worker import CallWorker
from notifications.outbox.tally import Tally

log = structlog.get_logger(__name__)
Clock = Callable[[], datetime]

# At least this often leases are looked after, and what is due by the clock.
NOTICE_SECONDS = 5.0
# After an error of the database it is left alone for so long.
DATABASE_SECONDS = 5.0


def deliver_until_idle(clock: Clock = timezone.now, stop: Callable[[], bool] = lambda: False) -> Tally:
    """Send until nothing is due: mail, calls, and the mail that calls cause on the way.

    Args:
        clock: tells the time used for "due" and schedules.
        stop: asked between messages; True leaves the rest for later.
    """
    tally = Tally()
    while not stop():
        before = (tally.sent, tally.retry, tally.dead)
        deliver_mail(tally, clock, stop)
        done = deliver_calls(tally, clock, stop)
        if not done and before == (tally.sent, tally.retry, tally.dead):
            break
    return tally


def deliver_mail(
    tally: Tally,
    clock: Clock = timezone.now,
    stop: Callable[[], bool] = lambda: False,
    *,
    pid: int | None = None,
) -> None:
    """Send mail until none is due.

    Args:
        pid: the process that is shown as the worker, which keeps the clock as well; None where a person sends once.
    """
    shown = signs.Signs("mail", pid) if pid else None
    with leases.owner() as owner, AllMail(owner, waits_for_relay=shown is not None) as worker:
        _cycle_of_mail(worker, tally, clock, stop, shown)
        tally.count(worker.finish(clock))
    if shown:
        shown.show(tally, at_once=True)


def _cycle_of_mail(
    worker: AllMail, tally: Tally, clock: Clock, stop: Callable[[], bool], shown: signs.Signs | None
) -> None:
    close_old_connections()
    _look_after(clock, tally, shown)
    looked = time.monotonic()
    while not stop():
        if worker.wants_mail:
            broadcasts.advance_any(urgent=True)
        statuses = worker.step(clock, wait=0.5)
        tally.count(statuses)
        if not worker.in_flight and not statuses.total() and not broadcasts.advance_any():
            worker.disconnect()
            return
        if time.monotonic() - looked > NOTICE_SECONDS:
            # Under steady load, or beside a slow answer, the end of a cycle may be far away.
            _look_after(clock, tally, shown)
            looked = time.monotonic()


def _look_after(clock: Clock, tally: Tally, shown: signs.Signs | None) -> None:
    leases.sweep()
    if shown is None:
        # Once, for a person or a test: there need be no other worker.
        hooks.tick(clock())
        return
    shown.show(tally)
    if signs.elected(shown.name):
        hooks.tick(clock(), routines=True)


def deliver_calls(
    tally: Tally, clock: Clock = timezone.now, stop: Callable[[], bool] = lambda: False, *, pid: int | None = None
) -> int:
    """Make calls until none is due; returns how much was done, since any of it may have caused mail."""
    close_old_connections()
    leases.sweep()
    done = call_results.publish_due_notices(clock())
    with leases.owner() as owner, CallWorker(owner) as worker:
        while True:
            statuses = worker.step(clock, wait=0.5, claim=not stop())
            tally.count(statuses)
            done += statuses.total()
            if not worker.in_flight and not statuses.total():
                break
    if pid:
        signs.Signs("calls", pid).show(tally, at_once=True)
    return done


def watch(stop: Callable[[], bool], pause: float | None = None) -> Tally:
    """Keep delivering until `stop`: mail in this thread, calls in another, neither waits for the other.

    Both survive a database that is away for a while.
    """
    pause = settings.DELIVERY_POLL_SECONDS if pause is None else pause
    total, of_calls = Tally(), Tally()
    ended = threading.Event()

    def stopped() -> bool:
        return ended.is_set() or stop()

    other = threading.Thread(target=_watch_calls, args=(of_calls, stopped, pause), name="call-worker")
    other.start()
    try:
        _watch_mail(total, stopped, pause)
    finally:
        ended.set()
        other.join()
    total.add(of_calls)
    return total


def _watch_mail(tally: Tally, stop: Callable[[], bool], pause: float) -> None:
    """One worker, kept over the cycles: what it could not record while the database was away is not forgotten."""
    shown = signs.Signs("mail")
    with leases.owner() as owner, AllMail(owner) as worker:
        _keep(lambda: _cycle_of_mail(worker, tally, timezone.now, stop, shown), stop, pause)
        tally.count(worker.finish(timezone.now))
    _leave(shown)


def _leave(shown: signs.Signs) -> None:
    try:
        shown.leave()
    except DatabaseError as error:
        log.warning("leave_not_recorded", error=type(error).__name__)


def _watch_calls(tally: Tally, stop: Callable[[], bool], pause: float) -> None:
    """One worker, kept over the cycles, so that connections to endpoints are used again."""
    shown = signs.Signs("calls")
    try:
        with leases.owner() as owner, CallWorker(owner) as worker:
            _keep(lambda: _cycle_of_calls(worker, tally, stop, shown), stop, pause)
            while worker.in_flight:
                tally.count(worker.step(timezone.now, wait=1.0, claim=False))
        _leave(shown)
    finally:
        connection.close()


def _cycle_of_calls(worker: CallWorker, tally: Tally, stop: Callable[[], bool], shown: signs.Signs) -> None:
    close_old_connections()
    leases.sweep()
    shown.show(tally)
    call_results.publish_due_notices(timezone.now())
    swept = time.monotonic()
    while not stop():
        statuses = worker.step(timezone.now, wait=0.1)
        tally.count(statuses)
        if not worker.in_flight and not statuses.total():
            return
        if time.monotonic() - swept > NOTICE_SECONDS:
            # Under steady load the end of a cycle may be far away; notices are due by the clock.
            leases.sweep()
            shown.show(tally)
            call_results.publish_due_notices(timezone.now())
            swept = time.monotonic()


def _keep(work: Callable[[], None], stop: Callable[[], bool], pause: float) -> None:
    """Do `work` again and again, with a pause between, until `stop`."""
    while not stop():
        wait = pause
        try:
            work()
        except DatabaseError as error:
            log.error("database_unavailable", error=type(error).__name__)
            close_old_connections()
            wait = max(pause, DATABASE_SECONDS)
        end = time.monotonic() + wait
        while time.monotonic() < end and not stop():
            time.sleep(0.1)
