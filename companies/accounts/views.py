"""Mon compte, passwords, and the pages behind single-use links."""

from collections.abc import Callable
from contextlib import nullcontext

from allauth.account.models import Login
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_safe

from backoffice.base import ratelimit
from backoffice.base.methods import get_and_post
from backoffice.text import addresses
from companies import links, submissions, verified
from companies.accounts import logins
from companies.accounts.forms import AccountForm, PasswordChangeForm, PasswordResetForm, SetPasswordForm
from companies.audit import Actor, StaleVersion
from companies.history import conflicts
from companies.history import entries as history
from companies.login_library import get_rates, perform_login, respond_429
from companies.models import User
from companies.rights import access, permissions
from companies.rights.reauthentication import ask_and_go_on
from companies.security import has_second_factor
from companies.team import services as team_services
from notifications.health import verification

# --- Mon compte -----------------------------------------------------------------------------------


@login_required
@get_and_post
@sensitive_post_parameters("current_password")
def account(request: HttpRequest) -> HttpResponse:
    user = request.user
    assert isinstance(user, User)
    membership = access.current_membership(request)
    if request.method == "POST" and "confirm_address" in request.POST:
        return _confirm_address(request, user)

    def account_form(data: QueryDict | None = None) -> AccountForm:
        # The form compares with what is stored, and a refused save must not change what the page shows.
        stored = User.objects.select_related("company").get(pk=user.pk)
        initial = {name: getattr(stored, name) for name in AccountForm.SAVED}
        initial["language"] = stored.language or request.LANGUAGE_CODE
        initial["seen"] = team_services.fingerprint(stored, stored.company)
        zone = membership.company.time_zone if membership else ""
        return AccountForm(data, initial=initial, request=request, user=stored, company_zone=zone)

    form = account_form(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            changes = team_services.user_update(
                user=form.user, actor=Actor.of(request), seen=form.cleaned_data["seen"] or None, **form.saved()
            )
        except StaleVersion:
            conflicts.tell(request, form, account_form(), ("user", user.pk))
        except ValidationError as error:
            _add_errors(form, error)
        else:
            _tell_account_changes(request, form, set(changes), former_email=user.email)
            return redirect("account")
    context = {
        "form": form,
        "membership": membership,
        "has_second_factor": has_second_factor(user),
        "verified_email": user.verified_email if verified.is_pending(user) else "",
        "last_change": history.last_change(user.company_id, ("user", user.pk)),
        "no_history": membership is None or not access.can(membership, permissions.MANAGE_USERS),
    }
    return render(request, "companies/accounts/account.html", context)


def _confirm_address(request: HttpRequest, user: User) -> HttpResponse:
    """Confirm an address that somebody else has set: links go to it from then on."""
    if (elsewhere := ask_and_go_on(request)) is not None:
        return elsewhere
    if request.POST["confirm_address"] != user.email:
        messages.warning(request, _("L'adresse de votre compte a changé entre-temps : vérifiez-la, puis recommencez."))
    elif verified.address_confirm(user=user, actor=Actor.of(request)):
        messages.success(
            request,
            _("Adresse confirmée : les liens et les messages de sécurité arrivent désormais à %(email)s.")
            % {"email": user.email},
        )
    return redirect("account")


def _tell_account_changes(request: HttpRequest, form: AccountForm, changed: set[str], *, former_email: str) -> None:
    """The notice after saving: what changed, in the language now chosen."""
    with override(form.cleaned_data["language"]):
        if not changed:
            messages.info(request, _("Rien n'a changé."))
            return
        names = ", ".join(str(form.fields[name].label) for name in AccountForm.SAVED if name in changed)
        text = _("Votre compte est enregistré. Modifié : %(names)s.") % {"names": names}
        if "email" in changed:
            told = _(
                "Les messages sur ce compte arrivent désormais à %(new)s ; l'ancienne adresse %(old)s en est prévenue."
            )
            text += " " + told % {"new": form.cleaned_data["email"], "old": former_email}
        messages.success(request, text)


def _add_errors(form: BaseForm, error: ValidationError) -> None:
    """Put a service's refusal beside the fields it names, or on top."""
    if not hasattr(error, "error_dict"):
        form.add_error(None, error)
        return
    for name, problems in error.error_dict.items():
        form.add_error(name if name in form.fields else None, problems)


# --- Passwords ------------------------------------------------------------------------------------


@login_required
@get_and_post
@sensitive_post_parameters()
@sensitive_variables("form")
def password_change(request: HttpRequest) -> HttpResponse:
    user = request.user
    assert isinstance(user, User)
    form = PasswordChangeForm(request.POST or None, request=request, user=user)
    if not user.has_usable_password():
        # Came in by an operator's link: there is no current password to ask for.
        form.fields.pop("current_password")
    if request.method == "POST" and form.is_valid():
        team_services.user_set_password(user=user, password=form.cleaned_data["password"], actor=Actor.of(request))
        update_session_auth_hash(request, user)
        messages.success(request, _("Votre mot de passe est changé. Vos autres sessions sont fermées."))
        return _known_from_here(request, user, redirect("account"))
    return render(request, "account/password_change.html", {"form": form})


def _known_from_here(request: HttpRequest, user: User, response: HttpResponse) -> HttpResponse:
    """Let the browser count as the user's, as after a log-in."""
    logins.know_device(user=user, request=request)
    logins.remember_device(request, response)
    return response


class _Afterwards(HttpResponseRedirect):
    """A redirection that does its work after the answer has been sent, so that the response time reveals nothing."""

    def __init__(self, to: str, work: Callable[[], None]) -> None:
        super().__init__(to)
        self._work = work

    def close(self) -> None:
        work, self._work = self._work, lambda: None
        try:
            work()
        finally:
            super().close()


@get_and_post
def password_reset(request: HttpRequest) -> HttpResponse:
    """Ask for a link. The answer is the same whether or not an account exists."""
    form = PasswordResetForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data["login"].strip()
        key = addresses.normalise(typed)
        if not _link_allowed(request, key):
            refused: HttpResponse = respond_429(request)
            return refused

        def send_links() -> None:
            for user in _accounts_meant(typed):
                team_services.password_reset_request(user=user)

        submissions.answers_later(request)
        return _Afterwards(reverse("account_reset_password_done"), send_links)
    return render(request, "account/password_reset.html", {"form": form})


def _link_allowed(request: HttpRequest, key: str) -> bool:
    """The limits of `ACCOUNT_RATE_LIMITS["reset_password"]`, by address of the visitor and by what was typed."""
    whom = {"ip": ratelimit.visitor(request), "key": key}
    return all(
        ratelimit.Places("reset-password", f"{rate} {whom[rate.per]}", limit=rate.amount, seconds=rate.duration).use()
        for rate in get_rates(app="allauth.account", action="reset_password")
    )


def _accounts_meant(typed: str) -> list[User]:
    """The accounts with a typed identifier or address, verified or not."""
    by_login = User.objects.select_related("company").filter(login__iexact=typed)
    if by_login or "@" not in typed:
        return list(by_login)
    wanted = addresses.normalise(typed)
    local = typed.rpartition("@")[0]
    start = f"{local}@"
    meant = Q(email__istartswith=start) | Q(verified_email__istartswith=start)
    candidates = User.objects.select_related("company").filter(meant, is_active=True)[:50]
    return [
        user for user in candidates if wanted in (addresses.normalise(user.email), addresses.normalise(user.link_email))
    ]


@require_safe
def password_reset_done(request: HttpRequest) -> HttpResponse:
    return render(request, "account/password_reset_done.html")


# --- Single-use links -----------------------------------------------------------------------------
# Mail scanners fetch every link they see, so opening one must never use it up: only a POST does.


def _spent(request: HttpRequest, kind: str) -> HttpResponse:
    return render(request, "account/link_invalid.html", {"kind": kind}, status=410)


@get_and_post
@sensitive_post_parameters()
@sensitive_variables("form")
def set_password(request: HttpRequest, token: str) -> HttpResponse:
    user = links.user_for_password_token(token)
    if user is None:
        return _spent(request, "password")
    form = SetPasswordForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            # Asked again under the lock: of several uses at once, the first has changed what the link was made of.
            user = links.user_for_password_token(token, hold=True)
            if user is None:
                return _spent(request, "password")
            actor = Actor(user.get_full_name(), user, request.META.get("REMOTE_ADDR") or None)
            opened = user.link_email
            team_services.user_set_password(user=user, password=form.cleaned_data["password"], actor=actor)
            verification.opened_by_link(account=user, address=opened, actor=actor)
        messages.success(
            request,
            _("Votre mot de passe est enregistré. Connectez-vous avec l'identifiant %(login)s.")
            % {"login": user.login},
        )
        # Who holds the mailbox gets in even while others keep guessing at the account.
        return _known_from_here(request, user, redirect("account_login"))
    return render(request, "account/set_password.html", {"form": form, "account": user})


@get_and_post
def login_link(request: HttpRequest, token: str) -> HttpResponse:
    """Log in by an operator's link; a second factor, where there is one, is still asked for."""
    if request.method == "POST":
        with transaction.atomic():
            user = links.use_login_token(token)
            return perform_login(request, Login(user=user)) if user is not None else _spent(request, "login")
    user = links.user_for_login_token(token)
    if user is None:
        return _spent(request, "login")
    return render(request, "account/login_link.html", {"account": user})


@get_and_post
@sensitive_variables("password")
def sftp_reveal(request: HttpRequest, token: str) -> HttpResponse:
    password = None
    with transaction.atomic() if request.method == "POST" else nullcontext():
        account = links.sftp_account_for_token(token, hold=request.method == "POST")
        if account is not None and request.method == "POST":
            password = team_services.sftp_reveal(account=account)
            verification.opened_by_link(account=account, address=account.email, actor=Actor(account.login))
    if account is None:
        return _spent(request, "sftp")
    return render(request, "account/sftp_reveal.html", {"account": account, "password": password})
