"""What protects an account besides its password: open sessions and second factors.

Writes follow the rules of `services`. The log-in library changes second factors itself and reports
each change through the adapter (`adapters.AccountAdapter.send_notification_mail`).
"""

from datetime import timedelta

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from companies import audit
from companies.audit import Actor
from companies.models import KnownDevice, Session, User
from companies.rights import identity
from notifications.events.publishing import publish

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

    Raises:
        ValidationError: the account is not the actor's to change (`identity`).
    """
    identity.ensure(actor, user, user.company)
    sessions = open_sessions(user)
    if only is not None:
        sessions = sessions.filter(pk=only.pk)
    if keep is not None:
        sessions = sessions.exclude(pk=keep.pk)
    ended = sessions.count()
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
    sessions = Session.objects.filter(user=user)
    if only is not None:
        sessions = sessions.filter(pk=only.pk)
    if keep is not None:
        sessions = sessions.exclude(pk=keep.pk)
    sessions.delete()


def access_drop(user: User) -> None:
    """End all sessions and forget known browsers, after a password changed or was removed."""
    sessions_drop(user)
    KnownDevice.objects.filter(user=user).delete()


# --- Second factors -------------------------------------------------------------------------------


@transaction.atomic
def second_factor_changed(*, user: User, actor: Actor, change: str, keep: Session | None = None) -> None:
    """Note a change of a second factor, tell its owner, and end the other sessions where that matters.

    Args:
        change: one of FACTOR_CHANGES.
        keep: the session in which it was made.

    Raises:
        ValidationError: the account is not the actor's to change (`identity`).
    """
    identity.ensure(actor, user, user.company)
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
def second_factors_remove(*, user: User, actor: Actor) -> bool:
    """Take every second factor from an account, end its sessions and tell its owner; False when it had none."""
    if not Authenticator.objects.filter(user=user).delete()[0]:
        return False
    audit.record(
        actor=actor,
        action="user.updated",
        obj=user,
        company=user.company,
        changes={"second_factor": [audit.MASK, None]},
    )
    sessions_drop(user)
    if user.company is not None:
        publish(
            type="account.second_factor_changed", company=user.company, account=user, data={"second_factor": "removed"}
        )
    return True


@transaction.atomic
def passkey_renamed(*, user: User, before: str, after: str, actor: Actor) -> None:
    """Record the new name of a passkey; sends no mail."""
    if before != after:
        audit.record(
            actor=actor,
            action="user.passkey_renamed",
            obj=user,
            company=user.company,
            changes={"passkey": [before, after]},
        )


def has_second_factor(user: User) -> bool:
    """Whether something besides the password is asked at log-in; recovery codes alone are none."""
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
    return bool(Authenticator.objects.filter(user=user, type__in=kinds).exists())
