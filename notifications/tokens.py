"""Writes of API tokens: making one, revoking one, noting its use."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from companies import audit
from companies.audit import Actor
from companies.models import Company

from . import api_auth
from .models import ApiToken

# A busy token would otherwise write a row per request.
USE_NOTED_EVERY = timedelta(minutes=1)


@transaction.atomic
def token_create(
    *, name: str, company: Company | None, actor: Actor, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Make a token for the platform (`company` None) or for one company.

    Returns:
        The stored token and its text, which exists nowhere else and is shown once.

    Raises:
        ValidationError: the name is empty or too long.
    """
    text = api_auth.new_token()
    token = ApiToken(
        name=name.strip(),
        company=company,
        token_hash=api_auth.token_hash(text),
        prefix=text[: api_auth.SHOWN_PREFIX],
        created_by=actor.user,
        expires_at=expires_at,
    )
    token.full_clean()
    token.save(force_insert=True)
    changes = audit.creation({"name": token.name, "prefix": token.prefix, "expires_at": expires_at})
    audit.record(actor=actor, action="api_token.created", obj=token, company=company, changes=changes)
    return token, text


@transaction.atomic
def token_revoke(*, token: ApiToken, actor: Actor) -> bool:
    """End a token at once; False when it was revoked before."""
    now = timezone.now()
    if not ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=now):
        return False
    token.revoked_at = now
    audit.record(
        actor=actor,
        action="api_token.revoked",
        obj=token,
        company=token.company,
        changes={"revoked_at": [None, now.isoformat()]},
    )
    return True


def token_note_use(*, token: ApiToken, now: datetime) -> None:
    """Keep when the token was last used, to the minute."""
    if token.last_used_at is not None and now - token.last_used_at < USE_NOTED_EVERY:
        return
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - USE_NOTED_EVERY)
    ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
