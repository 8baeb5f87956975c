"""Paramétrage > Société > Utilisateurs: the list, and one account."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from backoffice.base import csv_files
from backoffice.base.forms import add_errors, only_asks, read_only, wants_part
from backoffice.base.methods import get_and_post
from backoffice.base.paging import paginate, sort_key
from companies import selectors, verified
from companies.audit import Actor, StaleVersion
from companies.history import conflicts
from companies.history import entries as history
from companies.models import Membership, Role, User
from companies.rights import access, permissions
from companies.rights import readers as account_readers
from companies.rights.access import CompanyRequest, company_page, fresh_login_required
from companies.team import services as team_services
from companies.team import words as user_words
from companies.team.action_views import ACTIONS
from companies.team.forms import FEW_SHOPS, AccountsFilter, UserForm
from companies.team.panels import account_effect, panels_of, preview
from companies.team.scope import covers, membership_of, user_or_404
from notifications.tables import effects
from notifications.tables.effects import EffectPanel


@company_page(permissions.MANAGE_USERS)
@require_safe
def users(request: CompanyRequest) -> HttpResponseBase:
    """« Utilisateurs »: who has access to the company, with which rights, in which state."""
    asked = AccountsFilter(request.GET, states=User.State)
    wanted = asked.values("q", "state", "role", "shop")
    reader = request.membership
    accounts = selectors.users_filtered(account_readers.users_for(reader), request.company, reader=reader, **wanted)
    accounts = selectors.ordered(accounts, sort_key(request, selectors.USER_SORTS, default="login"))
    if request.GET.get("format") == "csv":
        return csv_files.csv_response(
            selectors.user_csv(accounts, reader),
            f"utilisateurs-{request.company.reference}",
            plain=csv_files.is_plain(request),
        )
    page = paginate(request, accounts)
    shops = access.shops_of(request.membership).only("site_id", "name")
    context = {
        "page": page,
        "rows": selectors.user_rows(page.object_list, reader),
        "wanted": wanted,
        "active": any(wanted.values()),
        "asked": asked,
        "shops": shops[: FEW_SHOPS + 1],
        "few_shops": FEW_SHOPS,
    }
    return render(request, "companies/team/users.html", context)


@company_page(permissions.MANAGE_USERS, when_closed=True)
@get_and_post
def user_edit(request: CompanyRequest, key: int | None = None) -> HttpResponseBase:
    """A user's details and rights; read only where the account has rights that the editor has not."""
    # What only asks changes nothing, and takes no proof of identity.
    return _user_effect(request, key) if only_asks(request) else _user_edit(request, key)


def _user_effect(request: CompanyRequest, key: int | None) -> HttpResponse:
    """What saving the form would change; it is not saved."""
    account = user_or_404(request, key) if key else None
    member = membership_of(request, account) if account else None
    if not covers(request.membership, member) or (member is None and account is not None):
        raise PermissionDenied
    form = UserForm(request.POST, editor=request.membership, account=account)
    effect = effects.refused()
    if form.is_valid():
        effect = account_effect(request, "users", account, email=form.cleaned_data.get("email", ""))
    if wants_part(request):
        return effects.panel_alone(request, effect)
    return _user_page(request, form, account, member, effect)


@fresh_login_required
def _user_edit(request: CompanyRequest, key: int | None) -> HttpResponse:
    account = user_or_404(request, key) if key else None
    if "preview" in request.GET:
        return preview(request, "users", account)
    member = membership_of(request, account) if account else None
    may_edit = covers(request.membership, member) and (member is not None or account is None)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    form = UserForm(request.POST or None, editor=request.membership, account=account)
    if request.method == "POST" and form.is_valid():
        try:
            return _user_save(request, form, account)
        except StaleVersion:
            assert account is not None
            account = user_or_404(request, account.pk)
            fresh = UserForm(editor=request.membership, account=account)
            conflicts.tell(request, form, fresh, ("user", account.pk))
        except ValidationError as error:
            add_errors(form, error)
    if not may_edit:
        read_only(form)
    return _user_page(request, form, account, member, effects.EMPTY)


def _user_page(
    request: CompanyRequest, form: UserForm, account: User | None, member: Membership | None, effect: EffectPanel
) -> HttpResponse:
    may_edit = covers(request.membership, member) and (member is not None or account is None)
    context: dict[str, Any] = {
        "form": form,
        "effect": effect,
        "account": account,
        "member": member,
        "may_edit": may_edit,
        "matrix": _matrix(form),
        "role_choices": [(radio, permissions.SENTENCES[radio.data["value"]]) for radio in form["role"]],
        "descriptions": permissions.DESCRIPTIONS,
        "panels": panels_of(request, [account.email] if account else []),
        "panels_are_saved": True,
    }
    if account is not None:
        context |= {
            "actions": [
                (code, action)
                for code, action in ACTIONS.items()
                if may_edit and not (action.of_identity and form.fixed) and action.fits(request, account)
            ],
            "links_email": account.link_email if verified.is_pending(account) else "",
            "logins": selectors.last_logins(account),
            "last_change": history.last_change(request.company.pk, ("user", account.pk)),
            "own_shops": selectors.own_rights(member, request.membership).count() if member else 0,
        }
    return render(request, "companies/team/user.html", context)


def _user_save(request: CompanyRequest, form: UserForm, account: User | None) -> HttpResponse:
    actor, rights = Actor.of(request), form.rights()
    told = {"email": account.email if account and form.fixed else form.cleaned_data["email"]}
    if account is None:
        created = team_services.user_create(
            company=request.company, actor=actor, login=form.cleaned_data["login"], rights=rights, **form.saved()
        )
        text = _("Le compte est créé ; %(email)s reçoit l'identifiant et un lien pour choisir le mot de passe.") % told
        messages.success(request, f"{text} {_rights_sentence(request, created)}")
        if rights.sees_no_shop:
            messages.warning(request, _("Choisissez maintenant ses boutiques : ce compte n'en voit encore aucune."))
            return redirect("user_shops", created.pk)
        return redirect("users")
    fresh = user_or_404(request, account.pk)
    changes = team_services.user_update(
        user=fresh,
        actor=actor,
        company=request.company,
        rights=rights,
        seen=form.cleaned_data["seen"],
        **form.saved(),
    )
    if not changes:
        messages.info(request, _("Rien n'a changé."))
        return redirect("user_edit", account.pk)
    saved_account = user_or_404(request, account.pk)
    text = user_words.saved_sentence(saved_account, account.email, changes)
    messages.success(request, f"{text} {_rights_sentence(request, saved_account)}")
    if rights.sees_no_shop:
        messages.warning(request, _("Choisissez maintenant ses boutiques : ce compte n'en voit encore aucune."))
        return redirect("user_shops", account.pk)
    return redirect("user_edit", account.pk)


def _rights_sentence(request: CompanyRequest, account: User) -> str:
    member = membership_of(request, account)
    return user_words.rights_sentence(member, request.membership) if member is not None else ""


def _matrix(form: UserForm) -> list[dict[str, Any]]:
    """The permissions as rows: which role grants each, and the box for permissions of one's own."""
    boxes = {str(box.data["value"]): box for box in form["own"]}
    return [
        {
            "label": permissions.LABELS[code],
            "description": permissions.DESCRIPTIONS[code],
            "roles": [(role.label, code in permissions.PERMISSIONS[role]) for role in reversed(Role)],
            "box": boxes.get(code),
            "granted": " ".join(role for role in Role.values if code in permissions.PERMISSIONS[role]),
        }
        for code in permissions.ALL
    ]
