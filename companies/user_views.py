"""Paramétrage > Société > Utilisateurs and Comptes SFTP."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_safe

from backoffice.forms import add_errors, read_only
from backoffice.paging import paginate, sort_key
from notifications import addresses, exports, impact
from notifications.facts import AccountFacts, CompanyFacts
from notifications.selectors import visible_facts

from . import access, conflicts, history, permissions, selectors, services
from .access import CompanyRequest, company_page, fresh_login_required
from .audit import Actor, StaleVersion
from .forms import FEW_SHOPS, AccountsFilter, SftpAccountForm, UserForm
from .models import Membership, Role, SftpAccount, User

GET_AND_POST = ["GET", "HEAD", "POST"]
SHOP_PAGE_SIZE = 25

# --- Users: the list ------------------------------------------------------------------------------


@company_page(permissions.MANAGE_USERS)
@require_safe
def users(request: CompanyRequest) -> HttpResponseBase:
    """« Utilisateurs »: who has access to the company, with which rights, in which state."""
    asked = AccountsFilter(request.GET, states=User.State)
    wanted = asked.values("q", "state", "role", "shop")
    found = selectors.users_filtered(selectors.users(request.company), request.company, **wanted)
    found = selectors.ordered(found, sort_key(request, selectors.USER_SORTS, default="login"))
    if request.GET.get("format") == "csv":
        return exports.csv_response(
            selectors.user_csv(found, request.company), f"utilisateurs-{request.company.reference}"
        )
    page = paginate(request, found)
    shops = access.shops_of(request.membership).only("site_id", "name")
    context = {
        "page": page,
        "rows": selectors.user_rows(page.object_list, request.company),
        "wanted": wanted,
        "active": any(wanted.values()),
        "asked": asked,
        "shops": shops[: FEW_SHOPS + 1],
        "few_shops": FEW_SHOPS,
    }
    return render(request, "companies/users.html", context)


# --- One user -------------------------------------------------------------------------------------


def _user_or_404(request: CompanyRequest, key: int) -> User:
    return get_object_or_404(selectors.users(request.company), pk=key)


def _membership(request: CompanyRequest, account: User) -> Membership | None:
    return account.memberships.filter(company=request.company).first()


def _covers(editor: Membership, member: Membership | None) -> bool:
    """Whether the editor has all rights of the account; nobody acts on more than they have."""
    return member is None or access.access_of(editor).covers(access.access_of(member))


@company_page(permissions.MANAGE_USERS, when_closed=True)
@fresh_login_required
@require_http_methods(GET_AND_POST)
def user_edit(request: CompanyRequest, key: int | None = None) -> HttpResponse:
    """A user's details and rights; read only where the account has rights that the editor has not."""
    account = _user_or_404(request, key) if key else None
    if "preview" in request.GET:
        return _preview(request, "users", account)
    member = _membership(request, account) if account else None
    may_edit = _covers(request.membership, member) and (member is not None or account is None)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    form = UserForm(request.POST or None, editor=request.membership, account=account)
    if request.method == "POST" and form.is_valid():
        try:
            return _user_save(request, form, account)
        except StaleVersion:
            assert account is not None
            account = User.objects.select_related("company").get(pk=account.pk)
            fresh = UserForm(editor=request.membership, account=account)
            conflicts.tell(request, form, fresh, ("user", account.pk))
        except ValidationError as error:
            add_errors(form, error)
    if not may_edit:
        read_only(form)
    context: dict[str, Any] = {
        "form": form,
        "account": account,
        "member": member,
        "may_edit": may_edit,
        "matrix": _matrix(form),
        "descriptions": permissions.DESCRIPTIONS,
        "panels": _panels(request, [account.email] if account else []),
    }
    if account is not None:
        context |= {
            "actions": [
                (code, action) for code, action in ACTIONS.items() if may_edit and action.fits(request, account)
            ],
            "logins": selectors.last_logins(account),
            "last_change": history.last_change(request.company.pk, ("user", account.pk)),
            "own_shops": sum(own is not None for own in access.access_of(member).shops.values()) if member else 0,
        }
    return render(request, "companies/user.html", context)


def _user_save(request: CompanyRequest, form: UserForm, account: User | None) -> HttpResponse:
    actor, saved = Actor.of(request), form.saved()
    told = {"email": account.email if account and form.is_guest else form.cleaned_data["email"]}
    if account is None:
        created = services.user_create(company=request.company, actor=actor, login=form.cleaned_data["login"], **saved)
        text = _("Le compte est créé ; %(email)s reçoit l'identifiant et un lien pour choisir le mot de passe.")
        messages.success(request, text % told)
        if not saved["all_shops"] and not saved["grants"]:
            messages.warning(request, _("Choisissez maintenant ses boutiques : ce compte n'en voit encore aucune."))
            return redirect("user_shops", created.pk)
        return redirect("users")
    changes = services.user_update(
        user=User.objects.get(pk=account.pk),
        actor=actor,
        company=request.company,
        seen=form.cleaned_data["seen"],
        **saved,
    )
    if not changes:
        messages.info(request, _("Rien n'a changé."))
        return redirect("user_edit", account.pk)
    text = _("Le compte est enregistré ; son titulaire en est prévenu à %(email)s.") % told
    if "email" in changes:
        text += " " + _("L'ancienne adresse %(old)s l'est aussi.") % {"old": account.email}
    messages.success(request, text)
    if not saved["all_shops"] and not saved["grants"]:
        messages.warning(request, _("Choisissez maintenant ses boutiques : ce compte n'en voit encore aucune."))
        return redirect("user_shops", account.pk)
    return redirect("user_edit", account.pk)


def _matrix(form: UserForm) -> list[dict[str, Any]]:
    """The permissions as rows: which role grants each, and the box for permissions of one's own."""
    boxes = {str(box.data["value"]): box for box in form["own"]}
    return [
        {
            "label": permissions.LABELS[code],
            "description": permissions.DESCRIPTIONS[code],
            "roles": [(role.label, code in permissions.PERMISSIONS[role]) for role in reversed(Role)],
            "box": boxes.get(code),
        }
        for code in permissions.ALL
    ]


# --- What can be done to a user -------------------------------------------------------------------


@dataclass(frozen=True)
class Action:
    """A button of a user's page, confirmed on a page of its own.

    Attributes:
        sentence: what will happen, with the object and the consequence named.
        done: what has happened.
        fits: whether it makes sense for the account now.
    """

    label: Promise
    title: Promise
    sentence: Promise
    done: Promise
    run: Callable[[CompanyRequest, User], object]
    fits: Callable[[CompanyRequest, User], bool]
    danger: bool = False


def _own(request: CompanyRequest, account: User) -> bool:
    return account.company_id == request.company.pk


def _update(request: CompanyRequest, account: User, **fields: Any) -> object:
    return services.user_update(user=account, actor=Actor.of(request), company=request.company, **fields)


ACTIONS: dict[str, Action] = {
    "invite": Action(
        gettext_lazy("Renvoyer l'invitation"),
        gettext_lazy("Renvoyer l'invitation"),
        gettext_lazy(
            "%(email)s reçoit de nouveau l'identifiant %(login)s et un lien à usage unique, valable 48 heures, pour choisir le mot de passe."
        ),
        gettext_lazy("L'invitation repart vers %(email)s."),
        lambda request, account: services.user_invite(user=account, actor=Actor.of(request), company=request.company),
        lambda request, account: _own(request, account) and account.state == User.State.INVITED,
    ),
    "unlock": Action(
        gettext_lazy("Déverrouiller"),
        gettext_lazy("Déverrouiller le compte"),
        gettext_lazy(
            "%(login)s peut de nouveau se connecter tout de suite avec son mot de passe ; %(email)s en est prévenu."
        ),
        gettext_lazy("Le compte %(login)s est déverrouillé."),
        lambda request, account: services.user_unlock(user=account, actor=Actor.of(request), company=request.company),
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
        lambda request, account: services.user_reset(user=account, actor=Actor.of(request), company=request.company),
        lambda request, account: _own(request, account) and account.state in (User.State.ACTIVE, User.State.LOCKED),
    ),
    "disable": Action(
        gettext_lazy("Désactiver"),
        gettext_lazy("Désactiver le compte"),
        gettext_lazy(
            "%(login)s ne peut plus se connecter et ses sessions se ferment. L'adresse %(email)s ne reçoit plus de message sur ce "
            "compte après celui qui l'annonce. Le compte peut être réactivé."
        ),
        gettext_lazy("Le compte %(login)s est désactivé."),
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
            "%(login)s ne voit plus rien de votre société. Son compte, géré par une autre société, reste ouvert ailleurs ; "
            "seule l'équipe de la plateforme peut lui rendre cet accès."
        ),
        gettext_lazy("L'accès de %(login)s est retiré."),
        lambda request, account: services.membership_remove(
            membership=Membership.objects.select_related("user", "company").get(user=account, company=request.company),
            actor=Actor.of(request),
        ),
        lambda request, account: not _own(request, account),
        danger=True,
    ),
}


@company_page(permissions.MANAGE_USERS, when_closed=True)
@fresh_login_required
@require_http_methods(GET_AND_POST)
def user_action(request: CompanyRequest, key: int, action: str) -> HttpResponse:
    """Asks, then does one of ACTIONS."""
    account = _user_or_404(request, key)
    wanted = ACTIONS[action]
    if not _covers(request.membership, _membership(request, account)):
        raise PermissionDenied
    if not wanted.fits(request, account):
        messages.info(request, _("Cette action n'a plus lieu d'être : l'état du compte a changé."))
        return redirect("user_edit", account.pk)
    words = {"login": account.login, "email": account.email}
    back = reverse("user_edit", args=[account.pk])
    conflict = None
    if request.method == "POST":
        try:
            with transaction.atomic():
                services.account_hold(account, company=request.company, seen=request.POST.get("seen"))
                wanted.run(request, account)
        except StaleVersion:
            conflict = conflicts.conflict(request, ("user", account.pk), is_form=False)
            words = {"login": account.login, "email": account.email}
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
        "seen": services.fingerprint(account, request.company),
        "conflict": conflict,
    }
    return render(request, "companies/confirm.html", context)


# --- Rights by shop -------------------------------------------------------------------------------


@company_page(permissions.MANAGE_USERS)
@fresh_login_required
@require_http_methods(GET_AND_POST)
def user_shops(request: CompanyRequest, key: int) -> HttpResponse:
    """« Droits par boutique »: what an account may do on each shop, a page of shops at a time.

    A save touches the shops of the page shown, or with « appliquer » all that the search finds.
    """
    account = _user_or_404(request, key)
    member = _membership(request, account)
    if member is None:
        raise Http404
    may_edit = _covers(request.membership, member) and member.role != Role.ADMINISTRATOR
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    q, only = request.GET.get("q", "").strip()[:254], request.GET.get("only", "")
    shops = access.shops_of(request.membership)
    if q:
        shops = shops.filter(Q(name__icontains=q) | Q(site_id__contains=q))
    if only == "named":
        shops = shops.filter(pk__in=access.access_of(member).shops)
    page = paginate(request, shops, default=SHOP_PAGE_SIZE)
    problems: list[str] = []
    conflict = None
    if request.method == "POST":
        try:
            return _shops_save(request, account, member, shops)
        except StaleVersion:
            member = _membership(request, account)
            if member is None:
                conflicts.tell_by_message(request, ("user", account.pk))
                return redirect("user_edit", account.pk)
            conflict = conflicts.conflict(
                request,
                ("user", account.pk),
                differences=selectors.shop_differences(page.object_list, member, request.POST),
                reload_url=request.get_full_path(),
            )
        except ValidationError as error:
            problems = error.messages
    context = {
        "account": account,
        "member": member,
        "may_edit": may_edit,
        "page": page,
        "rows": selectors.shop_rows(
            page.object_list, member, request.membership, typed=request.POST if conflict or problems else None
        ),
        "conflict": conflict,
        "last_change": history.last_change(request.company.pk, ("user", account.pk)),
        "columns": [(permissions.LABELS[code], permissions.DESCRIPTIONS[code]) for code in permissions.SHOP_LEVEL],
        "q": q,
        "only": only,
        "seen": services.fingerprint(account, request.company),
        "problems": problems,
        "bulk": [(code, label) for code, label in selectors.CHOICES.items() if code != selectors.OWN_RIGHTS],
        "general": permissions.ordered(access.general(member)),
        "labels": permissions.LABELS,
    }
    return render(request, "companies/user_shops.html", context)


def _shops_save(request: CompanyRequest, account: User, member: Membership, shops: Any) -> HttpResponse:
    """Save what was chosen; ValidationError when refused."""
    held = access.access_of(member)
    grants = dict(held.shops)
    everything = request.POST.get("apply")
    if everything:
        choice = request.POST.get("all", "")
        if choice not in selectors.CHOICES or choice == selectors.OWN_RIGHTS:
            raise ValidationError(_("Choisissez les droits à appliquer."))
        for shop in shops:
            selectors.with_choice(grants, shop.pk, choice, permissions.NOTHING, all_shops=held.all_shops)
    else:
        by_site = {shop.site_id: shop for shop in shops.filter(site_id__in=request.POST.getlist("shop"))}
        for site_id in request.POST.getlist("shop"):
            choice = request.POST.get(f"choice-{site_id}", "")
            ticked = frozenset(request.POST.getlist(f"own-{site_id}")) & set(permissions.SHOP_LEVEL)
            if site_id not in by_site or choice not in selectors.CHOICES:
                raise Http404
            if choice == selectors.OWN_RIGHTS and not ticked:
                text = _("Cochez au moins un droit pour la boutique %(shop)s, ou choisissez « Pas d'accès ».")
                raise ValidationError(text % {"shop": by_site[site_id].name})
            selectors.with_choice(grants, by_site[site_id].pk, choice, ticked, all_shops=held.all_shops)
    changes = services.user_update(
        user=account, actor=Actor.of(request), company=request.company, grants=grants, seen=request.POST.get("seen", "")
    )
    if changes:
        n = max(1, sum(name.startswith("rights.") for name in changes))
        text = ngettext(
            "Les droits sur %(n)d boutique sont enregistrés", "Les droits sur %(n)d boutiques sont enregistrés", n
        )
        told = _("%(email)s en est prévenu.") % {"email": account.email}
        messages.success(request, f"{text % {'n': n}} ; {told}")
    else:
        messages.info(request, _("Rien n'a changé."))
    return redirect(request.get_full_path())


# --- SFTP accounts --------------------------------------------------------------------------------


@company_page(permissions.MANAGE_USERS)
@require_safe
def sftp_accounts(request: CompanyRequest) -> HttpResponseBase:
    """« Comptes SFTP »: each account, its address and the state of its password."""
    asked = AccountsFilter(request.GET, states=SftpAccount.State)
    wanted = asked.values("q", "state")
    found = selectors.sftp_accounts(request.company, **wanted)
    found = selectors.ordered(found, sort_key(request, selectors.SFTP_SORTS, default="login"))
    if request.GET.get("format") == "csv":
        return exports.csv_response(selectors.sftp_csv(found), f"comptes-sftp-{request.company.reference}")
    context = {"page": paginate(request, found), "wanted": wanted, "active": any(wanted.values()), "asked": asked}
    return render(request, "companies/sftp_accounts.html", context)


@company_page(permissions.MANAGE_USERS)
@fresh_login_required
@require_http_methods(GET_AND_POST)
def sftp_account_edit(request: CompanyRequest, key: UUID | None = None) -> HttpResponse:
    account = get_object_or_404(SftpAccount, pk=key, company=request.company) if key else None
    if "preview" in request.GET:
        return _preview(request, "sftp_accounts", account)
    form = SftpAccountForm(request.POST or None, account=account)
    if request.method == "POST" and form.is_valid():
        try:
            return _sftp_save(request, form, account)
        except StaleVersion:
            assert account is not None
            account = SftpAccount.objects.get(pk=account.pk)
            conflicts.tell(request, form, SftpAccountForm(account=account), ("sftpaccount", account.pk))
        except ValidationError as error:
            add_errors(form, error)
    context: dict[str, Any] = {
        "form": form,
        "account": account,
        "panels": _panels(request, [account.email] if account else []),
    }
    if account is not None:
        context["last_change"] = history.last_change(request.company.pk, ("sftpaccount", account.pk))
    return render(request, "companies/sftp_account.html", context)


def _sftp_save(request: CompanyRequest, form: SftpAccountForm, account: SftpAccount | None) -> HttpResponse:
    actor, saved = Actor.of(request), form.saved()
    if account is None:
        account = services.sftp_account_create(
            company=request.company, actor=actor, login=form.cleaned_data["login"], **saved
        )
        text = _(
            "Le compte SFTP est créé ; %(email)s reçoit l'identifiant et un lien qui montre le mot de passe une fois."
        )
        messages.success(request, text % saved)
        return redirect("sftp_accounts")
    changes = services.sftp_account_update(
        account=SftpAccount.objects.select_related("company").get(pk=account.pk),
        actor=actor,
        seen=form.cleaned_data["seen"],
        **saved,
    )
    if changes:
        text = _("Le compte est enregistré ; son titulaire en est prévenu à %(email)s.") % saved
        if "email" in changes:
            text += " " + _("L'ancienne adresse %(old)s l'est aussi.") % {"old": account.email}
        messages.success(request, text)
    else:
        messages.info(request, _("Rien n'a changé."))
    return redirect("sftp_account_edit", account.pk)


@company_page(permissions.MANAGE_USERS, when_closed=True)
@fresh_login_required
@require_http_methods(GET_AND_POST)
def sftp_account_action(request: CompanyRequest, key: UUID, action: str) -> HttpResponse:
    """Asks, then resets the password, disables or enables an SFTP account."""
    account = get_object_or_404(SftpAccount.objects.select_related("company"), pk=key, company=request.company)
    title, sentence, done = _sftp_words(action)
    words = {"login": account.login, "email": account.email}
    if account.is_active is (action == "enable"):
        messages.info(request, _("Cette action n'a plus lieu d'être : l'état du compte a changé."))
        return redirect("sftp_account_edit", account.pk)
    conflict = None
    if request.method == "POST":
        actor = Actor.of(request)
        try:
            with transaction.atomic():
                services.account_hold(account, company=request.company, seen=request.POST.get("seen"))
                if action == "reset":
                    services.sftp_password_reset(account=account, actor=actor)
                else:
                    services.sftp_account_update(account=account, actor=actor, is_active=action == "enable")
        except StaleVersion:
            conflict = conflicts.conflict(request, ("sftpaccount", account.pk), is_form=False)
            words = {"login": account.login, "email": account.email}
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            messages.success(request, done % words)
        if conflict is None or account.is_active is (action == "enable"):
            if conflict is not None:
                conflicts.tell_by_message(request, ("sftpaccount", account.pk))
            return redirect("sftp_account_edit", account.pk)
    context = {
        "title": title,
        "sentence": sentence % words,
        "action": title,
        "back": reverse("sftp_account_edit", args=[account.pk]),
        "danger": action == "disable",
        "seen": services.fingerprint(account),
        "conflict": conflict,
    }
    return render(request, "companies/confirm.html", context)


def _sftp_words(action: str) -> tuple[str, str, str]:
    """Title, question and answer of an action on an SFTP account."""
    if action == "reset":
        return (
            _("Réinitialiser le mot de passe"),
            _(
                "Le mot de passe actuel de %(login)s cesse de fonctionner tout de suite : les échanges de fichiers s'arrêtent jusqu'à ce "
                "que le nouveau y soit saisi. %(email)s reçoit un lien qui le montre une seule fois, pendant 48 heures."
            ),
            _("Le mot de passe de %(login)s est réinitialisé ; le lien part vers %(email)s."),
        )
    if action == "disable":
        return (
            _("Désactiver"),
            _(
                "Le compte SFTP %(login)s ne peut plus échanger de fichiers ; %(email)s en est prévenu. Il peut être réactivé."
            ),
            _("Le compte %(login)s est désactivé."),
        )
    return (
        _("Réactiver"),
        _("Le compte SFTP %(login)s fonctionne de nouveau avec son mot de passe ; %(email)s en est prévenu."),
        _("Le compte %(login)s est réactivé."),
    )


# --- What the address receives --------------------------------------------------------------------


def _panels(request: CompanyRequest, emails: list[str]) -> list[impact.Panel]:
    return impact.panels(visible_facts(request.company, request.membership), emails) if emails else []


def _preview(request: CompanyRequest, kind: str, account: User | SftpAccount | None) -> HttpResponse:
    """The panel for the address being typed, as if the account were saved with it."""
    typed = request.GET.get("email", "").strip()
    panels: list[impact.Panel] = []
    if typed:
        try:
            addresses.validate_single(typed)
        except addresses.InvalidAddress as error:
            panels = [impact.Panel(typed, [], error=str(error))]
        else:
            facts = visible_facts(request.company, request.membership)
            panels = impact.panels(_with_account(facts, kind, account, typed), [typed])
    return render(request, "companies/address_panel.html", {"panels": panels})


def _with_account(facts: CompanyFacts, kind: str, account: User | SftpAccount | None, email: str) -> CompanyFacts:
    """The facts as they would be with this address of an account, or with a new account."""
    login = account.login if account else ""
    others = [item for item in getattr(facts, kind) if item.login != login]
    active = account.is_active if account else True
    moved = (*others, AccountFacts(login or "?", email, facts.language, active))
    return replace(facts, users=moved) if kind == "users" else replace(facts, sftp_accounts=moved)
