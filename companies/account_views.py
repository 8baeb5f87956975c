"""Mon compte, passwords, and the pages behind single-use links."""

from collections.abc import Callable

from allauth.account.internal.flows.login import perform_login
from allauth.account.models import Login
from allauth.core import ratelimit
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from backoffice.middleware import has_second_factor
from notifications import addresses

from . import access, conflicts, history, links, logins, permissions, services
from .account_forms import AccountForm, PasswordChangeForm, PasswordResetForm, SetPasswordForm
from .audit import Actor, StaleVersion
from .models import User

GET_AND_POST = ["GET", "HEAD", "POST"]


# --- Mon compte -----------------------------------------------------------------------------------


@login_required
@require_http_methods(GET_AND_POST)
@sensitive_post_parameters("current_password")
def account(request: HttpRequest) -> HttpResponse:
    user = request.user
    assert isinstance(user, User)
    membership = access.current_membership(request)

    def account_form(data: QueryDict | None = None) -> AccountForm:
        # The form compares with what is stored, and a refused save must not change what the page shows.
        stored = User.objects.select_related("company").get(pk=user.pk)
        initial = {name: getattr(stored, name) for name in AccountForm.SAVED}
        initial["language"] = stored.language or request.LANGUAGE_CODE
        initial["seen"] = services.fingerprint(stored, stored.company)
        zone = membership.company.time_zone if membership else ""
        return AccountForm(data, initial=initial, user=stored, company_zone=zone)

    form = account_form(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            changes = services.user_update(
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
        "last_change": history.last_change(user.company_id, ("user", user.pk)),
        "no_history": membership is None or not access.can(membership, permissions.MANAGE_USERS),
    }
    return render(request, "companies/account.html", context)


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
@require_http_methods(GET_AND_POST)
@sensitive_post_parameters()
@sensitive_variables("form")
def password_change(request: HttpRequest) -> HttpResponse:
    user = request.user
    assert isinstance(user, User)
    if (limited := ratelimit.consume_or_429(request, action="change_password", user=user)) is not None:
        return limited
    form = PasswordChangeForm(request.POST or None, user=user)
    if not user.has_usable_password():
        # Came in by an operator's link: there is no current password to ask for.
        form.fields.pop("current_password")
    if request.method == "POST" and form.is_valid():
        services.user_set_password(user=user, password=form.cleaned_data["password"], actor=Actor.of(request))
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
    """A redirection that does its work once the visitor has it: how long that takes tells nothing."""

    def __init__(self, to: str, work: Callable[[], None]) -> None:
        super().__init__(to)
        self._work = work

    def close(self) -> None:
        work, self._work = self._work, lambda: None
        try:
            work()
        finally:
            super().close()


@require_http_methods(GET_AND_POST)
def password_reset(request: HttpRequest) -> HttpResponse:
    """Ask for a link. The answer is the same whether or not an account exists."""
    form = PasswordResetForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data["login"].strip()
        key = addresses.normalise(typed)
        if (limited := ratelimit.consume_or_429(request, action="reset_password", key=key)) is not None:
            return limited

        def send_links() -> None:
            for user in _accounts_meant(typed):
                services.password_reset_request(user=user)

        return _Afterwards(reverse("account_reset_password_done"), send_links)
    return render(request, "account/password_reset.html", {"form": form})


def _accounts_meant(typed: str) -> list[User]:
    """The accounts somebody may mean: the one with that identifier, else all with that address."""
    by_login = User.objects.select_related("company").filter(login__iexact=typed)
    if by_login or "@" not in typed:
        return list(by_login)
    wanted = addresses.normalise(typed)
    local = typed.rpartition("@")[0]
    candidates = User.objects.select_related("company").filter(email__istartswith=f"{local}@", is_active=True)[:50]
    return [user for user in candidates if addresses.normalise(user.email) == wanted]


@require_safe
def password_reset_done(request: HttpRequest) -> HttpResponse:
    return render(request, "account/password_reset_done.html")


# --- Single-use links -----------------------------------------------------------------------------
# Mail scanners fetch every link they see, so opening one must never use it up: only a POST does.


@require_http_methods(GET_AND_POST)
@sensitive_post_parameters()
@sensitive_variables("form")
def set_password(request: HttpRequest, token: str) -> HttpResponse:
    user = links.user_for_password_token(token)
    if user is None:
        return render(request, "account/link_invalid.html", {"kind": "password"}, status=410)
    form = SetPasswordForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        actor = Actor(user.get_full_name(), user, request.META.get("REMOTE_ADDR") or None)
        services.user_set_password(user=user, password=form.cleaned_data["password"], actor=actor)
        messages.success(
            request,
            _("Votre mot de passe est enregistré. Connectez-vous avec l'identifiant %(login)s.")
            % {"login": user.login},
        )
        # Who holds the mailbox gets in even while others keep guessing at the account.
        return _known_from_here(request, user, redirect("account_login"))
    return render(request, "account/set_password.html", {"form": form, "account": user})


@require_http_methods(GET_AND_POST)
def login_link(request: HttpRequest, token: str) -> HttpResponse:
    """Log in by an operator's link; a second factor, where there is one, is still asked for."""
    user = links.user_for_login_token(token)
    if user is None:
        return render(request, "account/link_invalid.html", {"kind": "login"}, status=410)
    if request.method == "POST":
        return perform_login(request, Login(user=user))
    return render(request, "account/login_link.html", {"account": user})


@require_http_methods(GET_AND_POST)
@sensitive_variables("password")
def sftp_reveal(request: HttpRequest, token: str) -> HttpResponse:
    account = links.sftp_account_for_token(token)
    if account is None:
        return render(request, "account/link_invalid.html", {"kind": "sftp"}, status=410)
    password = None
    if request.method == "POST":
        password = services.sftp_reveal(account=account)
        if password is None:
            # Another window was faster between the check above and the lock.
            return render(request, "account/link_invalid.html", {"kind": "sftp"}, status=410)
    return render(request, "account/sftp_reveal.html", {"account": account, "password": password})
