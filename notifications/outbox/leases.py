"""Leases: for how long a worker owns a delivery, and how deliveries of dead workers are taken back.

Three rules keep the guarantee of docs/rules.md 5.1:
1. no transaction is open while the network is used;
2. a result is written only while the claimer still holds the lease;
3. a lease that ends and is not renewed, or whose worker is gone, puts the delivery back in the queue.

Leases go by the clock of the database, which all workers share; the clock of `deliver --at` and of machines that are
fast or slow does not touch them. Even that clock may jump, so an ended lease is watched for a moment before it is taken.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max, Q
from django.db.models.functions import Now
from django.utils import timezone

from notifications.models import Delivery

# The owners of this process whose work goes on.
_working: set[str] = set()
# Owners whose leases were seen to have ended → until when they held, and since when we have seen that.
_seen_ended: dict[str, tuple[datetime, float]] = {}
_looking = threading.Lock()


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
    """The owner of a new lease: host, process and its start time, by which others see whether the process has ended."""
    pid = os.getpid()
    owner = f"{_machine()} {pid} {_start_of(pid) or ''} {uuid.uuid4().hex[:8]}"
    _working.add(owner)
    return owner


@contextmanager
def owner() -> Iterator[str]:
    """A lease owner for as long as the block lasts; what it still holds then is free for others."""
    name = new_owner()
    try:
        yield name
    finally:
        _working.discard(name)


def owner_is_gone(owner: str) -> bool:
    """True only when the owner certainly ended: it is none of this process's, or its process is no more.

    Certain for the same kernel and namespace of processes only; of any other owner the end of the lease decides.
    """
    parts = _parts(owner)
    if parts is None or parts[0] != _machine() or not parts[2]:
        return False
    if _start_of(parts[1]) != parts[2]:
        return True
    return parts[1] == os.getpid() and owner not in _working


def _parts(owner: str) -> tuple[str, int, str] | None:
    """Machine, process and its start, of an owner as `new_owner` makes them."""
    parts = owner.split(" ")
    return (parts[0], int(parts[1]), parts[2]) if len(parts) == 4 and parts[1].isdigit() else None


def sweep() -> int:
    """Put deliveries whose lease ended, or whose owner is gone, back in the queue; returns how many."""
    held = Delivery.objects.filter(status=Delivery.Status.SENDING)
    owners = held.order_by().values_list("lease_owner", flat=True).distinct()
    gone = [owner for owner in owners if owner_is_gone(owner)]
    ended = held.filter(leased_until__lte=Now())
    silent = _silent(dict(ended.order_by().values_list("lease_owner").annotate(Max("leased_until"))))
    if not gone and not silent:
        return 0
    free = held.filter(Q(lease_owner__in=silent, leased_until__lte=Now()) | Q(lease_owner__in=gone))
    with transaction.atomic():
        # An owner that was frozen in a transaction keeps its rows locked: nobody waits for it.
        skips = connection.features.has_select_for_update_skip_locked
        keys = list(free.order_by().select_for_update(skip_locked=skips).values_list("pk", flat=True))
        return Delivery.objects.filter(pk__in=keys).update(
            status=Delivery.Status.RETRY, retry_at=None, lease_owner="", leased_until=None
        )


def _grace() -> float:
    """The extra time before a lease counts as lost: longer than a renewal takes, and than any call lasts."""
    return float(max(settings.DELIVERY_LEASE_SECONDS / 4, settings.IPN_TIMEOUT + 1))


def _silent(ended: dict[str, datetime]) -> list[str]:
    """Those of the owners of ended leases that have not renewed them since we first saw them ended.

    A clock that jumps ends leases whose owners live; these renew them meanwhile. What an owner of another kind than ours holds is
    taken at once.
    """
    now = time.monotonic()
    with _looking:
        for owner in [owner for owner, (until, _since) in _seen_ended.items() if ended.get(owner) != until]:
            del _seen_ended[owner]
        for owner, until in ended.items():
            _seen_ended.setdefault(owner, (until, now))
        return [owner for owner in ended if now - _seen_ended[owner][1] >= (_grace() if _parts(owner) else 0)]


def renew(owner: str, keys: Collection[uuid.UUID], length: timedelta) -> set[uuid.UUID]:
    """Extend the lease of deliveries; returns those that `owner` holds no longer."""
    held = Delivery.objects.filter(pk__in=keys, status=Delivery.Status.SENDING, lease_owner=owner)
    if held.update(leased_until=Now() + length) == len(keys):
        return set()
    return set(keys) - set(held.values_list("pk", flat=True))


def release(owner: str, keys: Collection[uuid.UUID]) -> None:
    """Give deliveries that were not tried back at once."""
    if keys:
        Delivery.objects.filter(pk__in=keys, status=Delivery.Status.SENDING, lease_owner=owner).update(
            status=Delivery.Status.QUEUED, retry_at=None, lease_owner="", leased_until=None
        )


def database_now() -> datetime:
    """The time of the database."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT clock_timestamp()")
            moment: datetime = cursor.fetchone()[0]
            return moment
    # An embedded database has the clock of this machine.
    return timezone.now()


def of_mail() -> timedelta:
    """Bounds how long a worker may be out of touch with the database; renewed as long as it works."""
    return timedelta(seconds=settings.DELIVERY_LEASE_SECONDS)


def of_calls() -> timedelta:
    """The length of a lease of calls: longer than any attempt, whatever the time-out is set to."""
    return timedelta(seconds=max(settings.DELIVERY_LEASE_SECONDS, settings.IPN_TIMEOUT + 15))
