"""One-time and recovery codes: forms whose tries are counted, and pages on which each thing happens once.

The steps are the log-in library's. What it leaves open when the same form arrives several times at once is
closed by `alone`: requests that change or show an account's second factors wait for one another.
"""

from collections.abc import Callable
from copy import deepcopy
from functools import wraps
from typing import Any

from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import forms as library
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes import views as recovery_views
from allauth.mfa.totp import forms as totp_forms
from allauth.mfa.totp import views as totp_views
from allauth.mfa.utils import is_mfa_enabled
from django import forms
from django.contrib import messages
from django.core.validators import MaxLengthValidator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from companies.accounts import guessing
from companies.login_library import validate_can_add_authenticator
from companies.models import User

# --- Forms ----------------------------------------------------------------------------------------


class _CodeMixin:
    """Takes a code through `guessing`, which counts each try, instead of the library's own limits."""

    def clean_code(self: Any) -> str:
        code: str = self.cleaned_data["code"]
        authenticator = guessing.authenticator_of(context.request, self.user, code)
        if authenticator is None:
            raise get_adapter().validation_error("incorrect_code")
        authenticator.user = self.user
        self.authenticator = authenticator
        return code


class AuthenticateForm(_CodeMixin, library.AuthenticateForm):  # type: ignore[misc]
    """The second step of a log-in."""


class ReauthenticateForm(_CodeMixin, library.ReauthenticateForm):  # type: ignore[misc]
    """Before a protected operation."""


class ActivateForm(totp_forms.ActivateTOTPForm):  # type: ignore[misc]
    """The first code of a secret that is about to become a second factor."""

    def clean_code(self) -> str:
        validate_can_add_authenticator(self.user)
        code: str = self.cleaned_data["code"]
        if not guessing.is_code_of_secret(context.request, self.user, self.secret, code):
            raise get_adapter().validation_error("incorrect_code")
        return code


# Longer than any code, one-time or recovery.
LONGEST_CODE = 64


class _CodeInput(forms.TextInput):
    """Never shows a code that was sent."""

    def format_value(self, value: Any) -> None:
        return None


def _own_field(form: type[forms.Form], label: Any) -> None:
    """Give the field of the code a label and a bound: the library's has a placeholder, and is open."""
    field = deepcopy(form.base_fields["code"])
    field.label = label
    field.widget = _CodeInput(attrs={"autocomplete": "one-time-code", "maxlength": "20", "spellcheck": "false"})
    field.max_length = LONGEST_CODE  # type: ignore[attr-defined]
    field.validators.append(MaxLengthValidator(LONGEST_CODE))
    form.base_fields = {**form.base_fields, "code": field}


_own_field(AuthenticateForm, gettext_lazy("Code"))
_own_field(ReauthenticateForm, gettext_lazy("Code"))
_own_field(ActivateForm, gettext_lazy("Code à 6 chiffres"))


# --- Pages ----------------------------------------------------------------------------------------


def hold(user: Any) -> None:
    """Lock an account and its second factors until the transaction ends."""
    User.objects.select_for_update().only("pk").get(pk=user.pk)
    list(Authenticator.objects.select_for_update().filter(user=user.pk).only("pk").order_by("pk"))


def alone(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Run a page in one transaction that holds the second factors of the account.

    Not for pages that take a code or password: their tries wait for one another outside of any transaction.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return view(request, *args, **kwargs)
        with transaction.atomic():
            hold(request.user)
            return view(request, *args, **kwargs)

    return wrapped


class ActivateView(totp_views.ActivateTOTPView):  # type: ignore[misc]
    """Switching the one-time codes on: once, however often the form arrives, and its code opens nothing more."""

    def form_valid(self, form: Any) -> HttpResponse:
        with transaction.atomic():
            hold(self.request.user)
            if is_mfa_enabled(self.request.user, [Authenticator.Type.TOTP]):
                messages.info(self.request, _("La double authentification est déjà active."))
                return redirect("mfa_index")
            response: HttpResponse = super().form_valid(form)
            activated = Authenticator.objects.get(user=self.request.user.pk, type=Authenticator.Type.TOTP)
            guessing.use_up(activated, form.cleaned_data["code"])
        return response


activate_totp = ActivateView.as_view()
deactivate_totp = alone(totp_views.deactivate_totp)
view_recovery_codes = alone(recovery_views.view_recovery_codes)
download_recovery_codes = alone(recovery_views.download_recovery_codes)
generate_recovery_codes = alone(recovery_views.generate_recovery_codes)
