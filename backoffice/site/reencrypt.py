"""Moving every stored secret under the first of the `FIELD_ENCRYPTION_KEYS`.

Row by row and idempotent: a run that was killed is simply run again. A row that changes meanwhile is
left to its writer, who encrypts under the first key anyway.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from allauth.mfa.models import Authenticator
from django.apps import apps
from django.conf import settings
from django.db import models

from backoffice.base import crypto
from companies.models import Session

BATCH = 200
MFA_CONTEXT = "mfa_authenticator"
SESSION_CONTEXT = "companies_session"


@dataclass
class Result:
    """rewritten: now under the first key; current: were already; unreadable: `table:key` of what no key opens."""

    rewritten: int = 0
    current: int = 0
    unreadable: list[str] = field(default_factory=list)


def current_key_id() -> str:
    return next(iter(settings.FIELD_ENCRYPTION_KEYS))


def is_current(stored: str) -> bool:
    return stored.partition(":")[0] == current_key_id()


def _again(stored: str, context: str) -> str:
    """The same secret under the first key, read back to be sure."""
    plain = crypto.decrypt(stored, context)
    sealed = crypto.encrypt(plain, context)
    if crypto.decrypt(sealed, context) != plain:
        raise crypto.DecryptionError(f"the secret of {context} did not survive")
    return sealed


def encrypted_fields() -> list[tuple[type[models.Model], crypto.EncryptedTextField]]:
    """Every encrypted field of every model: a new one is found without being listed anywhere."""
    return [
        (model, one)
        for model in apps.get_models()
        for one in model._meta.local_fields
        if isinstance(one, crypto.EncryptedTextField)
    ]


Progress = Callable[[str, int, int], None]


def reencrypt(progress: Progress = lambda label, done, total: None) -> Result:
    """Rewrite every value that is not under the first key; commits batch by batch.

    Args:
        progress: called with (table and column, rows done, rows in all) after each batch.
    """
    result = Result()
    for model, one in encrypted_fields():
        label = f"{model._meta.db_table}.{one.column}"
        rows = model._base_manager.exclude(**{one.attname: ""})
        _walk(label, rows, progress, partial(_field_row, model, one, result))
    mfa, sessions = Authenticator.objects.all(), Session.objects.all()
    _walk("mfa_authenticator.data", mfa, progress, partial(_mfa_row, result))
    _walk("companies_session.session_data", sessions, progress, partial(_session_row, result))
    return result


def _walk(label: str, rows: Any, progress: Progress, rewrite: Callable[[Any], None]) -> None:
    total, done = rows.count(), 0
    for batch in _batches(rows):
        for key in batch:
            rewrite(key)
        done += len(batch)
        progress(label, done, total)


def _batches(rows: Any) -> Iterator[list[Any]]:
    """Primary keys in order, by position after the last one: rows added meanwhile do no harm."""
    last: Any = None
    while True:
        batch = rows if last is None else rows.filter(pk__gt=last)
        keys = list(batch.order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not keys:
            return
        yield keys
        last = keys[-1]


def _field_row(model: Any, one: crypto.EncryptedTextField, result: Result, key: Any) -> None:
    instance = model._base_manager.filter(pk=key).first()
    cell = instance.__dict__[one.attname] if instance is not None else None
    stored = getattr(cell, "text", "")
    if not stored:
        return
    if is_current(stored):
        result.current += 1
        return
    try:
        sealed = _again(stored, one.context(instance))
    except crypto.DecryptionError:
        result.unreadable.append(f"{model._meta.db_table}:{key}")
        return
    # Only while it still is what was read.
    same = model._base_manager.filter(pk=key, **{one.attname: crypto.stored(stored)})
    result.rewritten += same.update(**{one.attname: crypto.stored(sealed)})


def _mfa_row(result: Result, key: Any) -> None:
    row = Authenticator.objects.filter(pk=key).first()
    if row is None:
        return
    counts = {"stale": 0, "current": 0}

    def renewed(value: Any) -> Any:
        if isinstance(value, list):
            return [renewed(item) for item in value]
        if not isinstance(value, str) or value.partition(":")[0] not in settings.FIELD_ENCRYPTION_KEYS:
            return value
        if is_current(value):
            counts["current"] += 1
            return value
        counts["stale"] += 1
        return _again(value, MFA_CONTEXT)

    before = row.data
    try:
        after = {name: renewed(value) for name, value in before.items()}
    except crypto.DecryptionError:
        result.unreadable.append(f"mfa_authenticator:{key}")
        return
    secret = before.get("secret") or before.get("seed")
    if isinstance(secret, str) and ":" in secret and secret.partition(":")[0] not in settings.FIELD_ENCRYPTION_KEYS:
        result.unreadable.append(f"mfa_authenticator:{key}")
    elif counts["stale"]:
        result.rewritten += Authenticator.objects.filter(pk=key, data=before).update(data=after)
    else:
        result.current += bool(counts["current"])


def _session_row(result: Result, key: Any) -> None:
    stored = Session.objects.filter(pk=key).values_list("session_data", flat=True).first()
    if not stored:
        return
    if is_current(stored):
        result.current += 1
        return
    try:
        sealed = _again(stored, SESSION_CONTEXT)
    except crypto.DecryptionError:
        # A session under a key that is gone is over, which is no loss.
        return
    result.rewritten += Session.objects.filter(pk=key, session_data=stored).update(session_data=sealed)
