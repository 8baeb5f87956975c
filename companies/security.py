"""What protects an account besides its password: open sessions and second factors.

Writes follow the rules of `services`. The log-in library changes second factors itself and reports
each change through the adapter (`adapters.AccountAdapter.send_notification_mail`).
"""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from notifications.services import publish

from . import audit
from .audit import Actor
from .models import KnownDevice, Session, User

# What happened to a second factor → how history and mail name it. The codes are stored.
FACTOR_CHANGES = ("totp_activated", "totp_deactivated", "webauthn_added", "webauthn_removed", "codes_generated")
# Those that end the other sessions: somebody may have come in without the factor that counts now.
ENDS_SESSIONS = frozenset({"totp_activated", "totp_deactivated", "webauthn_added", "webauthn_removed"})


# --- Sessions -------------------------------------------------------------------------------------


def open_sessions(user: User) -> QuerySet[Session]:
    """The sessions of a user that still open the site, the most recently used first."""
    now = timezone.now()
    return Session.objects.filter(
        user=user,
        expire_date__gt=now,
        seen_at__gt=now - timedelta(seconds=settings.SESSION_IDLE_TIMEOUT),
        created_at__gt=now - timedelta(seconds=settings.SESSION_COOKIE_AGE),
    ).defer("session_data")


@transaction.atomic
def sessions_end(*, user: User, actor: Actor, only: Session | None = None, keep: Session | None = None) -> int:
    """End the sessions of a user: all, `only` one, or all but `keep`. Returns how many were open.

    Takes effect with the next request of each.
    """
    found = open_sessions(user)
    if only is not None:
        found = found.filter(pk=only.pk)
    if keep is not None:
        found = found.exclude(pk=keep.pk)
    ended = found.count()
    sessions_drop(user, keep=keep, only=only)
    if ended:
        audit.record(
            actor=actor,
            action="user.sessions_ended",
            obj=user,
            company=user.company,
            changes={"sessions": [ended, 0]},
        )
    return ended


def sessions_drop(user: User, *, only: Session | None = None, keep: Session | None = None) -> None:
    """The same without an entry of its own, as part of a change that has one."""
    found = Session.objects.filter(user=user)
    if only is not None:
        found = found.filter(pk=only.pk)
    if keep is not None:
        found = found.exclude(pk=keep.pk)
    found.delete()


def access_drop(user: User) -> None:
    """With a new password, or none: no session goes on, and no browser counts as known."""
    sessions_drop(user)
    KnownDevice.objects.filter(user=user).delete()


# --- Second factors -------------------------------------------------------------------------------


@transaction.atomic
def second_factor_changed(*, user: User, actor: Actor, change: str, keep: Session | None = None) -> None:
    """Note a change of a second factor, tell its owner, and end the other sessions where that matters.

    Args:
        change: one of FACTOR_CHANGES.
        keep: the session in which it was made.
    """
    if change not in FACTOR_CHANGES:
        raise ValueError(f"unknown change of a second factor: {change}")
    audit.record(actor=actor, action=f"user.{change}", obj=user, company=user.company)
    if change in ENDS_SESSIONS:
        sessions_drop(user, keep=keep)
    if user.company is not None:
        publish(
            type="account.second_factor_changed", company=user.company, account=user, data={"second_factor": change}
        )


@transaction.atomic
def passkey_renamed(*, user: User, before: str, after: str, actor: Actor) -> None:
    """Note the new name of a passkey; nobody is mailed."""
    if before != after:
        audit.record(
            actor=actor,
            action="user.passkey_renamed",
            obj=user,
            company=user.company,
            changes={"passkey": [before, after]},
        )
