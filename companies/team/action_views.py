"""What can be done to a user, each on a page that asks first."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backoffice.base.methods import get_and_post
from companies.audit import Actor, StaleVersion
from companies.history import conflicts
from companies.models import User
from companies.rights import access, identity, permissions
from companies.rights import readers as account_readers
from companies.rights.access import CompanyRequest, company_page, fresh_login_required
from companies.team import services as team_services
from companies.team.panels import account_effect
from companies.team.scope import covers, membership_of, user_or_404


@dataclass(frozen=True)
class Action:
    """A button of a user's page, confirmed on a page of its own.

    Attributes:
        sentence: what will happen, with the object and the consequence named.
        done: what has happened.
        fits: whether it makes sense for the account now.
        of_identity: it changes what the account is, in every company, not only its rights here.
    """

    label: Promise
    title: Promise
    sentence: Promise
    done: Promise
    run: Callable[[CompanyRequest, User], object]
    fits: Callable[[CompanyRequest, User], bool]
    danger: bool = False
    of_identity: bool = True


def _own(request: CompanyRequest, account: User) -> bool:
    return account.company_id == request.company.pk


def _can_only_be_removed(request: CompanyRequest, account: User) -> bool:
    """Tell whether an account can only lose its access: it cannot be disabled from here."""
    assert isinstance(request.user, User)
    fixed = identity.refusal(request.user, account, request.company)
    return fixed is not None and membership_of(request, account) is not None


def _update(request: CompanyRequest, account: User, **fields: Any) -> object:
    return team_services.user_update(user=account, actor=Actor.of(request), company=request.company, **fields)


ACTIONS: dict[str, Action] = {
    "invite": Action(
        gettext_lazy("Renvoyer l'invitation"),
        gettext_lazy("Renvoyer l'invitation"),
        gettext_lazy(
            "%(email)s reçoit de nouveau l'identifiant %(login)s et un lien à usage unique, valable 48 heures, pour choisir le mot de passe."
        ),
        gettext_lazy("L'invitation repart vers %(email)s."),
        lambda request, account: team_services.user_invite(
            user=account, actor=Actor.of(request), company=request.company
        ),
        lambda request, account: _own(request, account) and account.state == User.State.INVITED,
    ),
    "unlock": Action(
        gettext_lazy("Déverrouiller"),
        gettext_lazy("Déverrouiller le compte"),
        gettext_lazy(
            "%(login)s peut de nouveau se connecter tout de suite avec son mot de passe ; %(email)s en est prévenu."
        ),
        gettext_lazy("Le compte %(login)s est déverrouillé."),
        lambda request, account: team_services.user_unlock(
            user=account, actor=Actor.of(request), company=request.company
        ),
        lambda request, account: _own(request, account) and account.is_active and account.is_locked,
    ),
    "reset": Action(
        gettext_lazy("Réinitialiser le mot de passe"),
        gettext_lazy("Réinitialiser le mot de passe"),
        gettext_lazy(
            "Le mot de passe actuel de %(login)s ne vaut plus rien et ses sessions se ferment. %(email)s reçoit un lien à usage unique, "
            "valable 48 heures, pour en choisir un autre."
        ),
        gettext_lazy("Le mot de passe de %(login)s est réinitialisé ; le lien part vers %(email)s."),
        lambda request, account: team_services.user_reset(
            user=account, actor=Actor.of(request), company=request.company
        ),
        lambda request, account: _own(request, account) and account.state in (User.State.ACTIVE, User.State.LOCKED),
    ),
    "disable": Action(
        gettext_lazy("Désactiver"),
        gettext_lazy("Désactiver le compte"),
        gettext_lazy(
            "%(login)s ne peut plus se connecter et ses sessions se ferment. L'adresse %(email)s ne reçoit plus de message sur ce "
            "compte après celui qui l'annonce. Le compte peut être réactivé."
        ),
        gettext_lazy("Le compte %(login)s est désactivé ; %(email)s en est prévenu."),
        lambda request, account: _update(request, account, is_active=False),
        lambda request, account: _own(request, account) and account.is_active,
        danger=True,
    ),
    "enable": Action(
        gettext_lazy("Réactiver"),
        gettext_lazy("Réactiver le compte"),
        gettext_lazy("%(login)s peut de nouveau se connecter, avec ses droits d'avant ; %(email)s en est prévenu."),
        gettext_lazy("Le compte %(login)s est réactivé."),
        lambda request, account: _update(request, account, is_active=True),
        lambda request, account: _own(request, account) and not account.is_active,
    ),
    "remove": Action(
        gettext_lazy("Retirer l'accès"),
        gettext_lazy("Retirer l'accès à votre société"),
        gettext_lazy(
            "%(login)s ne voit plus rien de votre société. Son compte reste ouvert ailleurs ; "
            "seule l'équipe de la plateforme peut lui rendre cet accès."
        ),
        gettext_lazy("L'accès de %(login)s est retiré ; %(email)s en est prévenu."),
        lambda request, account: team_services.membership_remove(
            membership=account_readers.memberships_of(request.company)
            .select_related("user", "company")
            .get(user=account),
            actor=Actor.of(request),
        ),
        _can_only_be_removed,
        danger=True,
        of_identity=False,
    ),
}


def _words(account: User, action: str) -> dict[str, str]:
    """What the sentences of an action name; links go to the verified address."""
    with_a_link = action in ("invite", "reset")
    return {"login": account.login, "email": account.link_email if with_a_link else account.email}


@company_page(permissions.MANAGE_USERS, when_closed=True)
@fresh_login_required
@get_and_post
def user_action(request: CompanyRequest, key: int, action: str) -> HttpResponse:
    """Asks, then does one of ACTIONS."""
    account = user_or_404(request, key)
    wanted = ACTIONS[action]
    if not covers(request.membership, membership_of(request, account)):
        raise PermissionDenied
    assert isinstance(request.user, User)
    if wanted.of_identity and (sentence := identity.refusal(request.user, account, request.company)):
        raise access.ToldDenied(sentence)
    if not wanted.fits(request, account):
        messages.info(request, _("Cette action n'a plus lieu d'être : l'état du compte a changé."))
        return redirect("user_edit", account.pk)
    words = _words(account, action)
    back = reverse("user_edit", args=[account.pk])
    conflict = None
    if request.method == "POST":
        try:
            with transaction.atomic():
                team_services.account_hold(account, company=request.company, seen=request.POST.get("seen"))
                wanted.run(request, account)
        except StaleVersion:
            conflict = conflicts.conflict(request, ("user", account.pk), is_form=False)
            words = _words(account, action)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            messages.success(request, str(wanted.done) % words)
            if action == "remove":
                back = reverse("users")
        if conflict is None or not wanted.fits(request, account):
            if conflict is not None:
                conflicts.tell_by_message(request, ("user", account.pk))
            return redirect(back)
    context = {
        "title": wanted.title,
        "sentence": str(wanted.sentence) % words,
        "action": wanted.label,
        "back": back,
        "danger": wanted.danger,
        "effect": account_effect(request, "users", account, active=action == "enable")
        if action in ("disable", "enable") and account.company_id == request.company.pk
        else None,
        "seen": team_services.fingerprint(account, request.company),
        "conflict": conflict,
    }
    return render(request, "companies/confirm.html", context)
