"""The verified address of an account: the last one that its owner confirmed.

Links that open an account and messages about its security go there, and nowhere else (`docs/security.md`). An address
that somebody else typed becomes the verified one when the owner confirms it after a log-in, or a superuser does.
Otherwise whoever may change accounts could have the link that opens one sent to a mailbox of their own.
"""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from backoffice.text import addresses
from companies import audit
from companies.audit import Actor
from companies.models import Company, User
from notifications.core.facts import Occasion
from notifications.events.publishing import publish


def is_pending(user: User) -> bool:
    """Whether the address of an account waits to be confirmed: links still go to another."""
    return addresses.normalise(user.link_email) != addresses.normalise(user.email)


def is_used(user: User) -> bool:
    """Whether the account has been opened; before that no address is verified."""
    return bool(user.verified_email) or user.has_usable_password() or user.last_login is not None


def address_changed(user: User, *, former: str, actor: Actor) -> None:
    """Set the verified address of an account before its new `email` is saved."""
    if actor.user == user:
        user.verified_email = user.email
    elif not user.verified_email and is_used(user):
        user.verified_email = former


def keep(user: User) -> None:
    """Note the address of an account that is about to lose its password, which shows that it was in use."""
    if not user.verified_email and is_used(user):
        user.verified_email = user.email


def tell_former(user: User, *, company: Company, former: str, link_ended: bool = False) -> None:
    """Mail a former address which one follows, whether links still go to it, and whether the link it has still works."""
    publish(
        type="account.address_changed",
        company=company,
        account=user,
        data={"new_address": user.email, "links_stay": is_pending(user), "link_ended": link_ended},
        occasion=Occasion(former=former),
    )


@transaction.atomic
def address_confirm(*, user: User, actor: Actor) -> bool:
    """Make the present address of an account the verified one; False when it was already.

    The address that was the verified one is told.

    Raises:
        ValidationError: neither the owner nor a superuser.
    """
    if actor.user is not None and actor.user != user and not actor.user.is_superuser:
        raise ValidationError(_("Seul le titulaire du compte, ou un super-utilisateur, confirme cette adresse."))
    user.refresh_from_db(from_queryset=User.objects.select_for_update(of=("self",)).select_related("company"))
    if not is_pending(user):
        return False
    former, user.verified_email = user.verified_email, user.email
    user.save(update_fields=["verified_email"])
    audit.record(
        actor=actor,
        action="user.address_confirmed",
        obj=user,
        company=user.company,
        changes={"verified_email": [former, user.email]},
    )
    if user.company is not None:
        tell_former(user, company=user.company, former=former)
    return True


def publish_link(user: User, *, company: Company, type: str, data: dict[str, object]) -> None:
    """Announce something about an account with a link that opens it, which goes to the verified address alone.

    Args:
        type: `user_account.created` or `user_account.modified`.
        data: what the mail tells, without the link.
    """
    if not is_pending(user):
        publish(type=type, company=company, account=user, data={**data, "link": True})
        return
    publish(type="account.password_reset_requested", company=company, account=user)
    if type != "user_account.created":
        publish(type=type, company=company, account=user, data=data)
