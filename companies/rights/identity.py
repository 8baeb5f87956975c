"""Who may change what an account is, as opposed to what it may do in one company.

Its identity is its address, identifier, names and other details, its state, password, links, second factors
and sessions: whoever changes these can become the account, in every company where it acts. Its rights in one
company are that company's business, see `services`.
"""

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from companies.audit import Actor
from companies.models import Company, User
from companies.rights import access, permissions

MANAGED_ELSEWHERE = _("Ce compte est géré par une autre société : vous ne réglez que ses droits chez vous.")
ACTS_ELSEWHERE = _(
    "Ce compte sert aussi hors de votre société : seuls son titulaire et l'équipe de la plateforme changent ses "
    "coordonnées, son état, son mot de passe et ses liens. Vous ne réglez que ses droits chez vous."
)


def may_change_identity(actor: User | None, user: User) -> bool:
    """Whether the actor may change what an account is: identifier, address, password.

    That is the account itself; an operator's command (no actor); the platform's team, but for its own members,
    who are its superusers' business; and whoever manages the users of the company that the account belongs
    to and has every right of the account in every company, whatever the company's state.
    """
    if actor is None or actor.pk == user.pk:
        return True
    if user.is_staff or user.is_superuser:
        return actor.is_staff and actor.is_superuser
    if actor.is_staff and actor.has_perm("companies.change_user"):
        return True
    mine = {membership.company_id: membership for membership in access.memberships(actor)}
    home = mine.get(user.company_id or 0)
    if home is None or permissions.MANAGE_USERS not in access.general(home):
        return False
    theirs = list(user.memberships.all())
    return all(item.company_id in mine for item in theirs) and all(
        access.access_of(mine[item.company_id]).covers(access.access_of(item)) for item in theirs
    )


def refusal(actor: User | None, user: User, company: Company | None) -> str | None:
    """Why a member of a company cannot change the identity of an account; None if they can."""
    outsider = actor is not None and actor.pk != user.pk and not actor.is_staff
    if outsider and user.company_id != (company.pk if company else None):
        return str(MANAGED_ELSEWHERE)
    return None if may_change_identity(actor, user) else str(ACTS_ELSEWHERE)


def _refusal_of_program(user: User, company: Company | None) -> str | None:
    """Why a program of a company cannot change the identity of an account: only one that acts nowhere else is its own."""
    if company is None or user.company_id != company.pk:
        return str(MANAGED_ELSEWHERE)
    elsewhere = user.memberships.exclude(company=company).exists()
    return str(ACTS_ELSEWHERE) if elsewhere or user.is_staff or user.is_superuser else None


def ensure(actor: Actor, user: User, company: Company | None) -> None:
    """Refuse to change the identity of an account.

    Raises:
        ValidationError: with the sentence that says who may.
    """
    sentence = refusal(actor.user, user, company)
    if actor.merchant:
        sentence = _refusal_of_program(user, company)
    if sentence is not None:
        raise ValidationError(sentence, code="identity")
