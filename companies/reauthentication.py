"""Proving once more who one is before an operation that cannot be taken back."""

from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate, get_reauthentication_flows
from allauth.core.exceptions import ReauthenticationRequired
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _


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
