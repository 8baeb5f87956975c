"""Paramétrage > Société > Comptes SFTP."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from backoffice.base import csv_files
from backoffice.base.forms import add_errors, only_asks, wants_part
from backoffice.base.methods import get_and_post
from backoffice.base.paging import paginate, sort_key
from companies import selectors
from companies.audit import Actor, StaleVersion
from companies.history import conflicts
from companies.history import entries as history
from companies.models import SftpAccount
from companies.rights import permissions
from companies.rights import readers as account_readers
from companies.rights.access import CompanyRequest, company_page, fresh_login_required
from companies.team import services as team_services
from companies.team import words as user_words
from companies.team.forms import AccountsFilter, SftpAccountForm
from companies.team.panels import account_effect, panels_of, preview
from notifications.tables import effects
from notifications.tables.effects import EffectPanel


@company_page(permissions.MANAGE_USERS)
@require_safe
def sftp_accounts(request: CompanyRequest) -> HttpResponseBase:
    """« Comptes SFTP »: each account, its address and the state of its password."""
    asked = AccountsFilter(request.GET, states=SftpAccount.State)
    wanted = asked.values("q", "state")
    accounts = selectors.sftp_filtered(account_readers.sftp_accounts_for(request.membership), **wanted)
    accounts = selectors.ordered(accounts, sort_key(request, selectors.SFTP_SORTS, default="login"))
    if request.GET.get("format") == "csv":
        return csv_files.csv_response(
            selectors.sftp_csv(accounts), f"comptes-sftp-{request.company.reference}", plain=csv_files.is_plain(request)
        )
    context = {"page": paginate(request, accounts), "wanted": wanted, "active": any(wanted.values()), "asked": asked}
    return render(request, "companies/team/sftp_accounts.html", context)


def _sftp_account_or_404(request: CompanyRequest, key: UUID) -> SftpAccount:
    return get_object_or_404(account_readers.sftp_accounts_for(request.membership), pk=key)


@company_page(permissions.MANAGE_USERS)
@get_and_post
def sftp_account_edit(request: CompanyRequest, key: UUID | None = None) -> HttpResponseBase:
    """One SFTP account, or a new one."""
    # What only asks changes nothing, and takes no proof of identity.
    return _sftp_effect(request, key) if only_asks(request) else _sftp_account_edit(request, key)


def _sftp_effect(request: CompanyRequest, key: UUID | None) -> HttpResponse:
    """What saving the form would change; it is not saved."""
    account = _sftp_account_or_404(request, key) if key else None
    form = SftpAccountForm(request.POST, account=account)
    effect = effects.refused()
    if form.is_valid():
        effect = account_effect(request, "sftp_accounts", account, email=form.cleaned_data["email"])
    if wants_part(request):
        return effects.panel_alone(request, effect)
    return _sftp_page(request, form, account, effect)


@fresh_login_required
def _sftp_account_edit(request: CompanyRequest, key: UUID | None) -> HttpResponse:
    account = _sftp_account_or_404(request, key) if key else None
    if "preview" in request.GET:
        return preview(request, "sftp_accounts", account)
    form = SftpAccountForm(request.POST or None, account=account)
    if request.method == "POST" and form.is_valid():
        try:
            return _sftp_save(request, form, account)
        except StaleVersion:
            assert account is not None
            account = _sftp_account_or_404(request, account.pk)
            conflicts.tell(request, form, SftpAccountForm(account=account), ("sftpaccount", account.pk))
        except ValidationError as error:
            add_errors(form, error)
    return _sftp_page(request, form, account, effects.EMPTY)


def _sftp_page(
    request: CompanyRequest, form: SftpAccountForm, account: SftpAccount | None, effect: EffectPanel
) -> HttpResponse:
    context: dict[str, Any] = {
        "form": form,
        "effect": effect,
        "account": account,
        "panels": panels_of(request, [account.email] if account else []),
        "panels_are_saved": True,
    }
    if account is not None:
        context["last_change"] = history.last_change(request.company.pk, ("sftpaccount", account.pk))
    return render(request, "companies/team/sftp_account.html", context)


def _sftp_save(request: CompanyRequest, form: SftpAccountForm, account: SftpAccount | None) -> HttpResponse:
    actor, saved = Actor.of(request), form.saved()
    if account is None:
        account = team_services.sftp_account_create(
            company=request.company, actor=actor, login=form.cleaned_data["login"], **saved
        )
        text = _(
            "Le compte SFTP est créé ; %(email)s reçoit l'identifiant et un lien qui montre le mot de passe une fois."
        )
        messages.success(request, text % saved)
        return redirect("sftp_accounts")
    changes = team_services.sftp_account_update(
        account=_sftp_account_or_404(request, account.pk),
        actor=actor,
        seen=form.cleaned_data["seen"],
        **saved,
    )
    if changes:
        saved_account = _sftp_account_or_404(request, account.pk)
        messages.success(request, user_words.saved_sentence(saved_account, account.email, changes))
    else:
        messages.info(request, _("Rien n'a changé."))
    return redirect("sftp_account_edit", account.pk)


@company_page(permissions.MANAGE_USERS, when_closed=True)
@fresh_login_required
@get_and_post
def sftp_account_action(request: CompanyRequest, key: UUID, action: str) -> HttpResponse:
    """Asks, then resets the password, disables or enables an SFTP account."""
    account = _sftp_account_or_404(request, key)
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
                team_services.account_hold(account, company=request.company, seen=request.POST.get("seen"))
                if action == "reset":
                    team_services.sftp_password_reset(account=account, actor=actor)
                else:
                    team_services.sftp_account_update(account=account, actor=actor, is_active=action == "enable")
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
        "effect": account_effect(request, "sftp_accounts", account, active=action == "enable")
        if action != "reset"
        else None,
        "seen": team_services.fingerprint(account),
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
            _("Le compte %(login)s est désactivé ; %(email)s en est prévenu."),
        )
    return (
        _("Réactiver"),
        _("Le compte SFTP %(login)s fonctionne de nouveau avec son mot de passe ; %(email)s en est prévenu."),
        _("Le compte %(login)s est réactivé."),
    )
