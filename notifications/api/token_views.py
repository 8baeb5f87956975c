"""Paramétrage > Société > Jetons d'API: the list, making one, replacing one, revoking one."""

from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_safe

from backoffice.base import csv_files
from backoffice.base.forms import add_errors
from backoffice.base.methods import get_and_post
from backoffice.base.paging import paginate, sort_key
from companies.audit import Actor
from companies.history import entries as history
from companies.rights import access, permissions
from companies.rights.access import CompanyRequest, company_page
from companies.rights.reauthentication import ask_again
from companies.selectors import ordered
from notifications import tokens
from notifications.api.token_forms import LifetimeForm, TokenForm, TokensFilter
from notifications.models import ApiToken
from notifications.tokens import TOKEN_MARK


def _ensure_whole(request: CompanyRequest) -> None:
    """Require the right to manage keys on every shop: a token covers the whole company.

    Raises PermissionDenied.
    """
    if not access.whole(request.membership, permissions.MANAGE_KEYS):
        raise PermissionDenied


def _token_or_404(request: CompanyRequest, key: int) -> ApiToken:
    return get_object_or_404(tokens.api_tokens(request.company), pk=key)


@company_page(permissions.MANAGE_KEYS)
@require_safe
def listing(request: CompanyRequest) -> HttpResponseBase:
    """« Jetons d'API »: the tokens of the company, with expiry and last use."""
    _ensure_whole(request)
    asked = TokensFilter(request.GET)
    wanted = asked.values()
    if wanted["q"].startswith(TOKEN_MARK) and len(wanted["q"]) > ApiToken.SHOWN:
        # A whole token was pasted: its beginning finds it, and the rest shall not stay in the address.
        return redirect(f"{request.path}?{urlencode({'q': wanted['q'][: ApiToken.SHOWN]})}")
    rows = tokens.api_tokens(request.company, **wanted)
    rows = ordered(rows, sort_key(request, tokens.TOKEN_SORTS, default="-created_at"))
    if request.GET.get("format") == "csv":
        return csv_files.csv_response(
            tokens.token_rows(rows), f"jetons-{request.company.reference}", plain=csv_files.is_plain(request)
        )
    context = {
        "page": paginate(request, rows),
        "wanted": wanted,
        "active": any(wanted.values()),
        "asked": asked,
        "expiring": tokens.api_tokens(request.company, state=ApiToken.State.EXPIRING).count(),
        "expiring_state": ApiToken.State.EXPIRING,
        "may_create": access.can(request.membership, permissions.MANAGE_KEYS),
    }
    return render(request, "notifications/api/list.html", context)


@company_page(permissions.MANAGE_KEYS)
@require_safe
def detail(request: CompanyRequest, key: int) -> HttpResponse:
    """One token: what it opens, who made it, its last use, and what can be done to it."""
    _ensure_whole(request)
    token = _token_or_404(request, key)
    valid = token.is_valid(timezone.now())
    may_create = access.can(request.membership, permissions.MANAGE_KEYS)
    context = {
        "token": token,
        "valid": valid,
        "replaceable": valid and token.replaced_at is None and may_create,
        "last_change": history.last_change(request.company.pk, ("apitoken", token.pk)),
    }
    return render(request, "notifications/api/detail.html", context)


@company_page(permissions.MANAGE_KEYS)
@get_and_post
@sensitive_variables("text")
def create(request: CompanyRequest) -> HttpResponse:
    """Prove who one is, name the program, choose what it may do; the answer to the form shows the token, once."""
    _ensure_whole(request)
    if (first := ask_again(request)) is not None:
        # Where the page only opens again, what was typed comes back with it; nothing of it is secret.
        again = request.method == "POST" and first.headers["Location"] == request.get_full_path()
        return redirect(f"{request.path}?{_typed(request)}") if again else first
    form = TokenForm(request.POST if request.method == "POST" else None, initial=TokenForm.typed_before(request.GET))
    if request.method == "POST" and form.is_valid():
        try:
            token, text = tokens.token_create(
                name=form.cleaned_data["name"],
                company=request.company,
                actor=Actor.of(request),
                scopes=form.cleaned_data["scopes"],
                expires_at=_end(form.cleaned_data["lifetime"]),
            )
        except ValidationError as error:
            add_errors(form, error)
        else:
            return _shown(request, token, text)
    return render(request, "notifications/api/create.html", {"form": form})


@company_page(permissions.MANAGE_KEYS)
@get_and_post
@sensitive_variables("text")
def replace(request: CompanyRequest, key: int) -> HttpResponse:
    """Make a successor, shown once; the old token works for another day."""
    _ensure_whole(request)
    token = _token_or_404(request, key)
    if (first := ask_again(request)) is not None:
        return first
    form = LifetimeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            successor, text = tokens.token_replace(
                token=token, actor=Actor.of(request), expires_at=_end(form.cleaned_data["lifetime"])
            )
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect("api_token", token.pk)
        return _shown(request, successor, text)
    if not token.is_valid(timezone.now()) or token.replaced_at is not None:
        messages.info(request, _("Ce jeton ne peut plus être remplacé : il a déjà un successeur, ou il a pris fin."))
        return redirect("api_token", token.pk)
    return render(request, "notifications/api/replace.html", {"form": form, "token": token})


@company_page(permissions.MANAGE_KEYS, when_closed=True)
@get_and_post
def revoke(request: CompanyRequest, key: int) -> HttpResponse:
    """End a token at once. No further proof of identity is asked for: a leak must be stopped in seconds."""
    _ensure_whole(request)
    token = _token_or_404(request, key)
    if request.method == "POST":
        if tokens.token_revoke(token=token, actor=Actor.of(request)):
            messages.success(
                request, _("Le jeton « %(name)s » est révoqué : il n'ouvre plus rien.") % {"name": token.name}
            )
        else:
            messages.info(request, _("Ce jeton était déjà révoqué."))
        return redirect("api_tokens")
    if token.revoked_at is not None:
        messages.info(request, _("Ce jeton était déjà révoqué."))
        return redirect("api_token", token.pk)
    context = {
        "title": _("Révoquer le jeton"),
        "sentence": _(
            "Le programme qui utilise « %(name)s » (%(prefix)s…) est refusé dès maintenant. Cela ne se défait pas : "
            "il lui faudra un autre jeton."
        )
        % {"name": token.name, "prefix": token.prefix},
        "action": _("Révoquer"),
        "back": reverse("api_token", args=[token.pk]),
        "danger": True,
    }
    return render(request, "companies/confirm.html", context)


def _typed(request: HttpRequest) -> str:
    return urlencode([(name, value) for name in TokenForm.field_order for value in request.POST.getlist(name)])


def _end(days: int) -> datetime:
    return timezone.now() + timedelta(days=days)


def _shown(request: HttpRequest, token: ApiToken, text: str) -> HttpResponse:
    """The one page that holds a token in plain."""
    response = render(request, "notifications/api/shown.html", {"token": token, "text": text})
    response.headers["Cache-Control"] = "no-store, private"
    return response
