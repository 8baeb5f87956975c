"""Proving once more who one is before an operation that cannot be taken back."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate, get_reauthentication_flows
from allauth.core.exceptions import ReauthenticationRequired
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from .sessions import session_of


def nothing_to_prove_with(request: HttpRequest) -> HttpResponse | None:
    """Where to send somebody who came in by an operator's link and has neither password nor second factor yet."""
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
