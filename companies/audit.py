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

from .models import AuditEntry, Company, User

MASK = "••••••"


@dataclass(frozen=True)
class Actor:
    """Who acts: a logged-in user, or a command of an operator (`user` None)."""

    label: str
    user: User | None = None
    ip_address: str | None = None

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


class StaleVersion(ValidationError):
    """Somebody else saved the same object since the form was opened."""

    def __init__(self) -> None:
        super().__init__(
            _(
                "Ces informations ont été modifiées par quelqu'un d'autre entre-temps. Vérifiez puis enregistrez de nouveau."
            ),
            code="stale",
        )


Changes = dict[str, list[Any]]


def stamp(*values: Any) -> str:
    """What a page was opened on, as a short text: another text means that somebody has saved since."""
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
    entry.save(force_insert=True)
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
