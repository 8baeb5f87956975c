"""The history: who changed what. Services write it in the transaction of the change itself."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest
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


def record(
    *, actor: Actor, action: str, obj: models.Model, company: Company | None, changes: Changes | None = None
) -> AuditEntry:
    """Append one entry.

    Args:
        action: `<object>.<verb>`, e.g. `shop.updated`; `wording` of the history page knows it.
        changes: field → [before, after], both fit for JSON; secrets already masked.
    """
    return AuditEntry.objects.create(
        company=company,
        actor=actor.user,
        actor_label=actor.label[:200],
        ip_address=actor.ip_address,
        action=action,
        object_type=obj._meta.model_name or "",
        object_id=str(obj.pk),
        object_label=str(obj)[:200],
        changes=changes or {},
    )


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
