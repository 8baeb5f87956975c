"""Seals over the history: a chain of digests that shows whether an entry was removed or altered.

The database refuses both (`history_guard`); whoever owns the database can switch that off, but not
without breaking the chain. Entries are sealed by the worker's clock some seconds after they were
written, so that no two writers ever wait for each other.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.db.models import Max

from companies.audit import content_digest
from companies.models import AuditEntry, HistorySeal, SealedEntry

BATCH = 500
EVERY = timedelta(minutes=1)
# A transaction may commit entries below keys that are sealed already; so far back they are looked for.
_LOOK_BACK = 10_000
_LOCK = 0x5EA1

_last_tick: datetime | None = None


def entry_digest(entry: AuditEntry) -> str:
    """The digest of all columns of an entry, its texts by their own digest."""
    said = [
        entry.pk,
        entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        entry.company_id,
        entry.actor_id,
        entry.shop_id,
        entry.action,
        entry.object_type,
        entry.object_id,
        entry.content_digest,
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _seal_digest(before: str, lines: list[tuple[int, str]]) -> str:
    return hashlib.sha256(json.dumps([before, sorted(lines)]).encode()).hexdigest()


def seal_entries() -> int:
    """Seal what is not sealed yet; returns how many entries that were."""
    total = 0
    while True:
        with transaction.atomic():
            if connection.vendor == "postgresql":
                # One sealer at a time; SQLite has only one writer anyway.
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            newest = SealedEntry.objects.aggregate(newest=Max("pk"))["newest"] or 0
            known = SealedEntry.objects.filter(pk__gt=newest - _LOOK_BACK).values("pk")
            unsealed = AuditEntry.objects.filter(pk__gt=newest - _LOOK_BACK).exclude(pk__in=known).order_by("pk")
            lines = [(entry.pk, entry_digest(entry)) for entry in unsealed[:BATCH]]
            if not lines:
                return total
            last = HistorySeal.objects.order_by("-pk").first()
            digest = _seal_digest(last.digest if last else "", lines)
            seal = HistorySeal.objects.create(count=len(lines), digest=digest)
            SealedEntry.objects.bulk_create([SealedEntry(pk=key, seal=seal, digest=value) for key, value in lines])
            total += len(lines)


def tick(now: datetime) -> None:
    """Seal once a minute, from the worker's clock."""
    global _last_tick
    if _last_tick is not None and timedelta(0) <= now - _last_tick < EVERY:
        return
    _last_tick = now
    seal_entries()


@dataclass
class Verification:
    """What `verify` found: counts, and a line for each thing that is wrong."""

    entries: int = 0
    sealed: int = 0
    seals: int = 0
    erased: int = 0
    problems: list[str] = field(default_factory=list)


def verify() -> Verification:
    """Check the whole history against its seals."""
    result = Verification()
    before = ""
    for seal in HistorySeal.objects.order_by("pk").iterator(chunk_size=500):
        lines = list(seal.entries.values_list("pk", "digest"))
        result.seals += 1
        result.sealed += len(lines)
        if len(lines) != seal.count or _seal_digest(before, lines) != seal.digest:
            result.problems.append(f"seal {seal.pk}: does not follow from its entries and the seal before")
        before = seal.digest
        entries = AuditEntry.objects.in_bulk([key for key, _digest in lines])
        for key, digest in lines:
            if key not in entries:
                result.problems.append(f"entry {key}: removed")
            elif entry_digest(entries[key]) != digest:
                result.problems.append(f"entry {key}: altered")
    for entry in _all_entries():
        result.entries += 1
        if entry.erasure_id is not None:
            result.erased += 1
        elif content_digest(entry) != entry.content_digest:
            result.problems.append(f"entry {entry.pk}: its words were altered")
    return result


def _all_entries() -> Iterator[AuditEntry]:
    return AuditEntry.objects.order_by("pk").iterator(chunk_size=1000)
