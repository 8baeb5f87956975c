"""The history: who changed what. Services write it in the transaction of the change itself."""

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from companies.models import AuditEntry, Company, User

MASK = "••••••"


@dataclass(frozen=True)
class Actor:
    """Who acts: a logged-in user, or a command of an operator or a program (`user` None)."""

    label: str
    user: User | None = None
    ip_address: str | None = None
    # A program that speaks for a merchant: what binds merchants binds it, although nobody is logged in.
    merchant: bool = False

    @classmethod
    def of(cls, request: HttpRequest) -> "Actor":
        """The logged-in user of a request."""
        user = request.user
        assert isinstance(user, User)
        return cls(user.get_full_name(), user, request.META.get("REMOTE_ADDR") or None)

    @classmethod
    def command(cls, name: str) -> "Actor":
        """A command line, e.g. `provision`."""
        return cls(name)

    @classmethod
    def program(cls, name: str, *, ip_address: str | None, merchant: bool) -> "Actor":
        """A program with a token of the API; `merchant` where the token is of one company."""
        return cls(name, ip_address=ip_address, merchant=merchant)


class StaleVersion(ValidationError):
    """Another user saved the same object after the form was opened."""

    def __init__(self) -> None:
        super().__init__(
            _(
                "Ces informations ont été modifiées par quelqu'un d'autre entre-temps. Vérifiez puis enregistrez de nouveau."
            ),
            code="stale",
        )


Changes = dict[str, list[Any]]


def stamp(*values: Any) -> str:
    """A short text for the state a page was opened on; it differs after any save."""
    return hashlib.sha256(repr(values).encode()).hexdigest()[:20]


def check_seen(seen: str | int | None, now: str | int) -> None:
    """Refuse a write that was decided on something else; call it with the row locked.

    Args:
        seen: the version or stamp that the writer saw; None where nobody looked at anything: commands.
        now: the present one.

    Raises:
        StaleVersion: they differ.
    """
    if seen is not None and seen != now:
        raise StaleVersion


_clock: ContextVar[datetime | None] = ContextVar("history_clock", default=None)


@contextmanager
def written_at(moment: datetime) -> Iterator[None]:
    """Entries of the block carry this time instead of now: believable histories for demonstrations."""
    token = _clock.set(moment)
    try:
        yield
    finally:
        _clock.reset(token)


_collected: ContextVar[list[tuple[AuditEntry, models.Model]] | None] = ContextVar("history_collected", default=None)


@contextmanager
def collected() -> Iterator[list[tuple[AuditEntry, models.Model]]]:
    """Collect the entries that the block writes, each with its object."""
    entries: list[tuple[AuditEntry, models.Model]] = []
    token = _collected.set(entries)
    try:
        yield entries
    finally:
        _collected.reset(token)


_gathered: ContextVar[list[AuditEntry] | None] = ContextVar("history_gathered", default=None)


@contextmanager
def gathered() -> Iterator[None]:
    """The entries of the block are written together at its end, for changes of many objects; none if it fails."""
    entries: list[AuditEntry] = []
    token = _gathered.set(entries)
    try:
        yield
    finally:
        _gathered.reset(token)
    AuditEntry.objects.bulk_create(entries, batch_size=500)


def record(
    *, actor: Actor, action: str, obj: models.Model, company: Company | None, changes: Changes | None = None
) -> AuditEntry:
    """Append one entry. The shop it is about is the object itself or the one it belongs to.

    Args:
        action: `<object>.<verb>`, e.g. `shop.updated`; `wording` of the history page knows it.
        changes: field → [before, after], both fit for JSON; secrets already masked.
    """
    is_shop = obj._meta.label_lower == "shops.shop"
    entry = AuditEntry(
        company=company,
        shop_id=obj.pk if is_shop else getattr(obj, "shop_id", None),
        actor=actor.user,
        actor_label=actor.label[:200],
        # As the column will give it back, for the digest.
        ip_address=AuditEntry._meta.get_field("ip_address").to_python(actor.ip_address),
        at=_clock.get() or timezone.now(),
        action=action,
        object_type=obj._meta.model_name or "",
        object_id=str(obj.pk),
        object_label=str(getattr(obj, "history_label", obj))[:200],
        changes=changes or {},
        salt=secrets.token_hex(16),
    )
    entry.content_digest = content_digest(entry)
    gathering = _gathered.get()
    if gathering is None:
        entry.save(force_insert=True)
    else:
        gathering.append(entry)
    collecting = _collected.get()
    if collecting is not None:
        collecting.append((entry, obj))
    return entry


def content_digest(entry: AuditEntry) -> str:
    """The digest of an entry's words under its salt: what erasing an address takes away."""
    words = [entry.salt, entry.actor_label, entry.ip_address, entry.object_label, entry.changes]
    return hashlib.sha256(json.dumps(words, ensure_ascii=True, sort_keys=True).encode()).hexdigest()


def plain(value: Any) -> Any:
    """A field value as the history stores it."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, models.Model):
        return str(value)
    return value


def apply(instance: models.Model, fields: dict[str, Any], *, secret: frozenset[str] = frozenset()) -> Changes:
    """Set the fields that differ on the instance (not saved) and return what changed.

    Values in `secret` fields are masked in the result.
    """
    changes: Changes = {}
    for name, value in fields.items():
        before = getattr(instance, name)
        if before == value:
            continue
        setattr(instance, name, value)
        changes[name] = [MASK if before else "", MASK] if name in secret else [plain(before), plain(value)]
    return changes


def creation(fields: dict[str, Any]) -> Changes:
    """The changes entry of a new object: every given field, from nothing."""
    return {name: [None, plain(value)] for name, value in fields.items() if value not in (None, "", [], {})}
