"""Passwords of users: set, provisioned, reset; links and locks."""

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from companies import audit, security, status, verified
from companies.audit import Actor
from companies.models import Company, Membership, User
from companies.rights import access, identity
from companies.team.services.rights import may_grant, refuse_beyond
from notifications.events.publishing import publish


@transaction.atomic
def user_invite(*, user: User, actor: Actor, company: Company | None = None) -> None:
    """Mail identifier and a new link to a user without a password.

    Raises:
        ValidationError: the account has a password, or cannot log in.
    """
    company = company or user.company
    assert company is not None
    _may_act_on(actor, user, company)
    status.ensure_open(actor=actor, company=company)
    if user.state != User.State.INVITED:
        raise ValidationError(_("Ce compte n'attend pas d'invitation : il a un mot de passe, ou il est désactivé."))
    audit.record(actor=actor, action="user.invited", obj=user, company=company)
    verified.publish_link(user, company=company, type="user_account.created", data={})


@transaction.atomic
def user_reset(*, user: User, actor: Actor, company: Company | None = None) -> None:
    """Withdraw the password of an account, end its sessions, and mail a link to choose another.

    The link goes to the verified address.

    Raises:
        ValidationError: the account is disabled.
    """
    company = company or user.company
    assert company is not None
    _may_act_on(actor, user, company)
    if not user.is_active:
        raise ValidationError(_("Ce compte est désactivé : réactivez-le d'abord."))
    had_one = user.has_usable_password()
    verified.keep(user)
    user.set_unusable_password()
    unlocked(user)
    user.save(update_fields=["password", "failed_logins", "locked_until", "verified_email"])
    security.access_drop(user)
    changes = {"password": [audit.MASK if had_one else "", ""]}
    audit.record(actor=actor, action="user.password_reset", obj=user, company=company, changes=changes)
    verified.publish_link(user, company=company, type="user_account.modified", data={"changed": ["password"]})


@transaction.atomic
def user_unlock(*, user: User, actor: Actor, company: Company | None = None) -> bool:
    """Let a locked account try again at once; False when it was not locked."""
    company = company or user.company
    if company is not None:
        _may_act_on(actor, user, company)
    else:
        identity.ensure(actor, user, None)
    if not user.is_locked:
        return False
    unlocked(user)
    user.save(update_fields=["failed_logins", "locked_until"])
    audit.record(actor=actor, action="user.unlocked", obj=user, company=company)
    if company is not None:
        publish(type="user_account.modified", company=company, account=user, data={"changed": ["is_active"]})
    return True


def unlocked(user: User) -> None:
    user.failed_logins, user.locked_until = 0, None


def _may_act_on(actor: Actor, user: User, company: Company) -> None:
    """Refuse to act on an account that has rights beyond the actor's, here or anywhere, or that others manage."""
    identity.ensure(actor, user, company)
    membership = Membership.objects.filter(user=user, company=company).first()
    if membership is not None and actor.user != user:
        refuse_beyond(may_grant(actor, company), access.access_of(membership))


@transaction.atomic
def user_set_password(*, user: User, password: str, actor: Actor, notify: bool = True) -> None:
    """Set a password after checking its strength; ends every open session of the user.

    The account's address is told, unless `notify` is False (the first password of an account).
    """
    identity.ensure(actor, user, user.company)
    refuse_weak_password(password, user)
    first = not user.has_usable_password()
    _password_store(user, password, actor, before="" if first else audit.MASK)
    if notify and not first and user.company is not None:
        publish(type="account.password_changed", company=user.company, account=user)


@transaction.atomic
def user_password_provisioned(*, user: User, password: str, actor: Actor, notify: bool) -> None:
    """Set the password an operator's file gives, taken as it is; the owner is told if `notify`."""
    _password_store(user, password, actor, before=audit.MASK)
    if notify and user.company is not None:
        publish(type="user_account.modified", company=user.company, account=user, data={"changed": ["password"]})


def _password_store(user: User, password: str, actor: Actor, *, before: str) -> None:
    """Write a password and its masked history entry; proof of the address opens a lock."""
    user.set_password(password)
    unlocked(user)
    user.save(update_fields=["password", "failed_logins", "locked_until"])
    security.access_drop(user)
    audit.record(
        actor=actor,
        action="user.password_changed",
        obj=user,
        company=user.company,
        changes={"password": [before, audit.MASK]},
    )


@transaction.atomic
def password_reset_request(*, user: User) -> None:
    """Mail a single-use link to set a new password; silent for accounts that cannot log in."""
    if user.is_active and user.company is not None:
        publish(type="account.password_reset_requested", company=user.company, account=user)


def refuse_weak_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValidationError({"password": error.messages}) from error
