"""Proving once more who one is before an operation that cannot be taken back."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.core.exceptions import ReauthenticationRequired
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from companies.login_library import (
    STATE_SESSION_KEY,
    did_recently_reauthenticate,
    get_authentication_records,
    get_reauthentication_flows,
    serialize_request,
)
from companies.sessions import session_of


def nothing_to_prove_with(request: HttpRequest) -> HttpResponse | None:
    """Redirect a user without password and second factor, who came by an operator's link."""
    if get_reauthentication_flows(request.user):
        return None
    messages.warning(request, _("Choisissez d'abord un mot de passe : il vous sera demandé pour cette opération."))
    return redirect("account_change_password")


def ask_again(request: HttpRequest) -> HttpResponse | None:
    """None when the person gave password or second factor within the last minutes; else where to send them.

    The proof holds for ACCOUNT_REAUTHENTICATION_TIMEOUT seconds; a log-in is none. A form whose
    proof ran out is not sent on afterwards: its page opens again, to be confirmed with open eyes.

    Raises ReauthenticationRequired, which the log-in library turns into its page and back.
    """
    if (elsewhere := nothing_to_prove_with(request)) is not None:
        return elsewhere
    if did_recently_reauthenticate(request):
        return None
    if request.method == "POST":
        return redirect(request.get_full_path())
    raise ReauthenticationRequired


def ask_and_go_on(request: HttpRequest) -> HttpResponse | None:
    """The same for what can be taken back: what was sent is kept and done once the proof is given.

    The library keeps a request too, and forgets it where its address has a query: it compares the address with
    the path. So the path alone is named here; the query is part of what is kept.
    """
    if (elsewhere := nothing_to_prove_with(request)) is not None:
        return elsewhere
    if did_recently_reauthenticate(request):
        return None
    request.session[STATE_SESSION_KEY] = {"request": serialize_request(request)}
    proof = get_adapter().get_reauthentication_methods(request.user)[0]["url"]
    return redirect(f"{proof}?{urlencode({REDIRECT_FIELD_NAME: request.path})}")


# In an address: the page is to be opened by somebody who has just proved who they are.
_PROVE = "prove"


def ask_before_saving(request: HttpRequest, page: str, typed: Sequence[str]) -> HttpResponse | None:
    """Ask for a proof as `ask_again` does, for a form on a page that may be read without one.

    A form that comes without one leads to the page under an address that asks for it (`asked_to_prove`) and carries
    what was typed, to be confirmed with open eyes afterwards.

    Args:
        page: the path of the page that shows the form.
        typed: the names of the fields to carry; nothing of them is secret.
    """
    if request.method != "POST" or (get_reauthentication_flows(request.user) and did_recently_reauthenticate(request)):
        return None
    if (elsewhere := nothing_to_prove_with(request)) is not None:
        return elsewhere
    carried = [(name, value) for name in typed for value in request.POST.getlist(name)]
    return redirect(f"{page}?{urlencode([(_PROVE, '1'), *carried])}")


def asked_to_prove(request: HttpRequest, typed: Sequence[str]) -> dict[str, str] | None:
    """What was typed before the proof, by field; None where the page was opened as usual.

    Raises ReauthenticationRequired while the proof is missing.
    """
    if request.method == "POST" or _PROVE not in request.GET or not get_reauthentication_flows(request.user):
        return None
    if not did_recently_reauthenticate(request):
        raise ReauthenticationRequired
    return {name: request.GET[name] for name in typed if name in request.GET}


def renewing(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A page of the log-in library that takes a proof of identity: one that it took renews the cookie.

    What somebody read of the former cookie then opens neither the session nor what the proof opens.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        before = _proofs(request)
        response = view(request, *args, **kwargs)
        if request.user.is_authenticated and _proofs(request) != before:
            session_of(request).renew()
        return response

    return wrapped


def _proofs(request: HttpRequest) -> list[float]:
    records = get_authentication_records(request, request.user if request.user.is_authenticated else None)
    return [record["at"] for record in records if record.get("reauthenticated")]
