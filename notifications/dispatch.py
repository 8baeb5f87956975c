"""The worker: claim what is due under a lease, hand it over, record what came of it.

Three rules keep the guarantee of DESIGN 5:
1. no transaction is open while the network is used;
2. a result is written only while the claimer still holds the lease;
3. a lease that ends, or whose process is gone, puts the delivery back in the queue.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection, transaction
from django.db.models import F, Max, Q
from django.utils import timezone

from . import broadcasts, call_services, hooks, retry
from .call_worker import CallWorker
from .catalogue import Channel
from .models import Attempt, Delivery
from .transports.base import Result
from .transports.email import EmailTransport

log = structlog.get_logger(__name__)
Clock = Callable[[], datetime]
# At least this often failures are looked for whose mail is due.
NOTICE_SECONDS = 5.0


@dataclass
class Tally:
    """Attempts of a run, by what came of them."""

    sent: int = 0
    retry: int = 0
    dead: int = 0

    def count(self, found: Mapping[str, int]) -> None:
        """Add attempts by the status they led to."""
        self.sent += found.get(Delivery.Status.SENT, 0)
        self.retry += found.get(Delivery.Status.RETRY, 0)
        self.dead += found.get(Delivery.Status.DEAD, 0)

    def add(self, other: "Tally") -> None:
        self.sent, self.retry, self.dead = self.sent + other.sent, self.retry + other.retry, self.dead + other.dead

    def __str__(self) -> str:
        return f"sent={self.sent} retry={self.retry} dead={self.dead}"


# --- Lease owners ---------------------------------------------------------------------------------


def _machine() -> str:
    """Names the kernel and the process namespace: two owners with the same value share process ids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _start_of(pid: int) -> str | None:
    """The start time of a process in kernel ticks: tells a process from a later one of the same id."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def new_owner() -> str:
    """A lease owner: who holds it, in a form that lets others see that it is gone."""
    pid = os.getpid()
    return f"{_machine()} {pid} {_start_of(pid) or ''} {uuid.uuid4().hex[:8]}"


def owner_is_gone(owner: str) -> bool:
    """True only when the owner certainly ended: same kernel and namespace, and no such process."""
    machine, _sep, rest = owner.partition(" ")
    parts = rest.split(" ")
    if machine != _machine() or len(parts) != 3 or not parts[0].isdigit() or not parts[1]:
        return False
    return _start_of(int(parts[0])) != parts[1]


# --- Claiming -------------------------------------------------------------------------------------


def sweep(now: datetime) -> int:
    """Put deliveries whose lease ended, or whose owner is gone, back in the queue; returns how many."""
    stuck = Delivery.objects.filter(status=Delivery.Status.SENDING)
    gone = [
        owner for owner in stuck.order_by().values_list("lease_owner", flat=True).distinct() if owner_is_gone(owner)
    ]
    return stuck.filter(Q(leased_until__lte=now) | Q(lease_owner__in=gone)).update(
        status=Delivery.Status.RETRY, retry_at=now, lease_owner="", leased_until=None
    )


def claim(owner: str, now: datetime, channel: str, limit: int) -> list[Delivery]:
    """Lease up to `limit` due deliveries of a channel to `owner`, oldest first, and load them."""
    due = (
        Delivery.objects.filter(channel=channel, carried_by=None)
        .filter(Q(status=Delivery.Status.QUEUED, retry_at=None) | Q(status__in=Delivery.DUE, retry_at__lte=now))
        .order_by("created_at")
    )
    with transaction.atomic():
        keys = list(due.select_for_update(skip_locked=_skip_locked()).values_list("pk", flat=True)[:limit])
        if not keys:
            return []
        Delivery.objects.filter(pk__in=keys).update(
            status=Delivery.Status.SENDING, lease_owner=owner, leased_until=now + _lease()
        )
    loaded = Delivery.objects.select_related("message", "event", "shop", "rule", "company")
    return list(loaded.filter(pk__in=keys, lease_owner=owner).order_by("created_at"))


def _skip_locked() -> bool:
    return connection.features.has_select_for_update_skip_locked


def _lease() -> timedelta:
    return timedelta(seconds=settings.DELIVERY_LEASE_SECONDS)


def renew(owner: str, keys: list[uuid.UUID], now: datetime) -> None:
    """Extend the lease of the rest of a batch."""
    Delivery.objects.filter(pk__in=keys, status=Delivery.Status.SENDING, lease_owner=owner).update(
        leased_until=now + _lease()
    )


def record(delivery: Delivery, owner: str, result: Result, now: datetime) -> str | None:
    """Write the attempt and the new state, if `owner` still holds the lease.

    Returns:
        The new status, or None when the lease was lost (another worker decides then).
    """
    number = delivery.attempt_count + 1
    changes: dict[str, object] = {"lease_owner": "", "leased_until": None, "error": result.error, "retry_at": None}
    if result.outcome == Attempt.Outcome.SENT:
        changes |= {"status": Delivery.Status.SENT, "sent_at": now}
    else:
        again = (
            retry.next_email_attempt(number, now, settings.EMAIL_RETRY_DELAYS)
            if result.outcome == Attempt.Outcome.TRANSIENT and not delivery.is_test
            else None
        )
        changes |= {"status": Delivery.Status.RETRY if again else Delivery.Status.DEAD, "retry_at": again}
    with transaction.atomic():
        held = Delivery.objects.filter(pk=delivery.pk, status=Delivery.Status.SENDING, lease_owner=owner)
        if not held.update(attempt_count=F("attempt_count") + 1, **changes):
            log.warning("lease_lost", delivery=str(delivery.pk))
            return None
        if delivery.broadcast_id:
            # One message went for several companies: each one's journal takes over what came of it.
            carried = Delivery.objects.filter(carried_by=delivery.pk)
            carried.update(attempt_count=F("attempt_count") + 1, **changes)
        # Numbered by the rows: a requeued delivery counts anew, its old attempts stay.
        last = Attempt.objects.filter(delivery=delivery).aggregate(last=Max("number"))["last"] or 0
        Attempt.objects.create(
            delivery=delivery,
            number=last + 1,
            started_at=now - timedelta(milliseconds=result.duration_ms),
            duration_ms=result.duration_ms,
            outcome=result.outcome,
            code=result.code,
            reply=result.reply,
            queue_id=result.queue_id,
        )
    return str(changes["status"])


# --- Running --------------------------------------------------------------------------------------


def deliver_until_idle(clock: Clock = timezone.now, stop: Callable[[], bool] = lambda: False) -> Tally:
    """Send until nothing is due: mail, calls, and the mail that calls cause on the way.

    Args:
        clock: tells the time used for "due", leases and schedules.
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
    routines: bool = False,
) -> None:
    """Send mail until none is due.

    Args:
        routines: do what the platform does of its own accord as well, see `hooks.on_routine`.
    """
    owner = new_owner()
    close_old_connections()
    sweep(clock())
    hooks.tick(clock(), routines=routines)
    while not stop():
        broadcasts.advance_any(urgent=True)
        batch = claim(owner, clock(), Channel.EMAIL, settings.DELIVERY_BATCH_SIZE)
        if not batch:
            if broadcasts.advance_any():
                continue
            break
        _send_batch(batch, owner, clock, tally, stop)


def deliver_calls(tally: Tally, clock: Clock = timezone.now, stop: Callable[[], bool] = lambda: False) -> int:
    """Make calls until none is due; returns how much was done, since any of it may have caused mail."""
    close_old_connections()
    sweep(clock())
    done = call_services.publish_due_notices(clock())
    with CallWorker(new_owner()) as worker:
        while True:
            found = worker.step(clock, wait=0.5, claim=not stop())
            tally.count(found)
            done += found.total()
            if not worker.in_flight and not found.total():
                return done


def _send_batch(batch: list[Delivery], owner: str, clock: Clock, tally: Tally, stop: Callable[[], bool]) -> None:
    renewed = time.monotonic()
    with EmailTransport() as transport:
        for position, delivery in enumerate(batch):
            if stop():
                _release(owner, [item.pk for item in batch[position:]])
                return
            if time.monotonic() - renewed > settings.DELIVERY_LEASE_SECONDS / 5:
                renew(owner, [item.pk for item in batch[position:]], clock())
                renewed = time.monotonic()
            status = record(delivery, owner, _attempt(transport, delivery), clock())
            if status is not None:
                tally.count({status: 1})


def _attempt(transport: EmailTransport, delivery: Delivery) -> Result:
    """One attempt; a defect of ours on one message must not stop the mail behind it."""
    try:
        return transport.send(delivery)
    except Exception as error:
        log.exception("attempt_crashed", delivery=str(delivery.pk))
        return Result(Attempt.Outcome.TRANSIENT, reply=f"internal error: {type(error).__name__}")


def _release(owner: str, keys: list[uuid.UUID]) -> None:
    """Give unsent deliveries back at once, when the worker is asked to stop."""
    Delivery.objects.filter(pk__in=keys, status=Delivery.Status.SENDING, lease_owner=owner).update(
        status=Delivery.Status.QUEUED, retry_at=None, lease_owner="", leased_until=None
    )


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
        _keep(lambda: deliver_mail(total, stop=stopped, routines=True), stopped, pause)
    finally:
        ended.set()
        other.join()
    total.add(of_calls)
    return total


def _watch_calls(tally: Tally, stop: Callable[[], bool], pause: float) -> None:
    """One worker, kept over the cycles, so that connections to endpoints are used again."""
    try:
        with CallWorker(new_owner()) as worker:
            _keep(lambda: _cycle_of_calls(worker, tally, stop), stop, pause)
            while worker.in_flight:
                tally.count(worker.step(timezone.now, wait=1.0, claim=False))
    finally:
        connection.close()


def _cycle_of_calls(worker: CallWorker, tally: Tally, stop: Callable[[], bool]) -> None:
    close_old_connections()
    sweep(timezone.now())
    call_services.publish_due_notices(timezone.now())
    swept = time.monotonic()
    while not stop():
        found = worker.step(timezone.now, wait=0.1)
        tally.count(found)
        if not worker.in_flight and not found.total():
            return
        if time.monotonic() - swept > NOTICE_SECONDS:
            # Under steady load the end of a cycle may be far away; notices are due by the clock.
            sweep(timezone.now())
            call_services.publish_due_notices(timezone.now())
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
            wait = max(pause, 5.0)
        end = time.monotonic() + wait
        while time.monotonic() < end and not stop():
            time.sleep(0.1)
