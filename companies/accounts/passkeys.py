"""Passkeys (WebAuthn): as a second factor, and to log in without a password.

The ceremonies are the log-in library's; forms, pages and scripts are ours. A passkey that checks its
owner (fingerprint, face, PIN) opens the account by itself, any other one only after the password:
the library asks for the owner's verification in the first case.
"""

import struct
from typing import Any

from allauth.account.models import Login
from allauth.account.utils import get_next_redirect_url
from allauth.core import context
from allauth.mfa.base import views as base
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn import forms as library_forms
from allauth.mfa.webauthn import views as library
from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _

from backoffice.base import limits
from backoffice.base.fields import StrictJSONField
from companies import security
from companies.accounts import guessing
from companies.accounts.second_factors import alone
from companies.audit import Actor
from companies.login_library import passkey_ceremony, perform_passwordless_login

NAME_LENGTH = 60
_REFUSED = _("Cette clé d'accès n'a pas été reconnue. Recommencez, ou utilisez un autre moyen.")


def _name_field() -> forms.CharField:
    return forms.CharField(
        label=_("Nom de la clé"),
        max_length=NAME_LENGTH,
        help_text=_("Pour la reconnaître plus tard : « Téléphone de Claire », « Clé USB du bureau »."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


# What the library lets through of an answer that no browser made.
_MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError, struct.error)


def _credential_field() -> StrictJSONField:
    return StrictJSONField(required=True, widget=forms.HiddenInput, longest=limits.LONGEST_TEXT)


class _AnswerMixin:
    """An answer of any shape is refused as a wrong one, never an error of ours. Tries are counted by `guessing`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["credential"] = _credential_field()  # type: ignore[attr-defined]

    def clean_credential(self: Any) -> Authenticator:
        # With a passkey alone, the account is read from the answer: whoever sends it must not lock others out.
        meant, credential = self.user, self.cleaned_data["credential"]
        with guessing.counted(context.request, user=meant, of_account=meant is not None, locks=False) as guess:
            try:
                passkey_ceremony.parse_authentication_response(credential)
                user = meant or passkey_ceremony.extract_user_from_response(credential)
                passkey: Authenticator = passkey_ceremony.complete_authentication(user, credential)
            except _MALFORMED:
                raise ValidationError(_REFUSED) from None
            # Its challenge lies in the session, of which each of several requests at once has a copy.
            if not guess.answer(guessing.first_use("passkey", credential["response"]["signature"])):
                raise ValidationError(_REFUSED)
        return passkey


class PasskeyLoginForm(_AnswerMixin, library_forms.LoginWebAuthnForm):  # type: ignore[misc]
    """Log-in by passkey alone."""


class PasskeyAuthenticateForm(_AnswerMixin, library_forms.AuthenticateWebAuthnForm):  # type: ignore[misc]
    """The second step of a log-in."""


class PasskeyReauthenticateForm(_AnswerMixin, library_forms.ReauthenticateWebAuthnForm):  # type: ignore[misc]
    """Before a protected operation."""


class AddForm(library_forms.AddWebAuthnForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        # What a passkey can do is for the device to say, not for a box to tick.
        self.fields.pop("passwordless", None)
        self.fields["name"] = _name_field()
        self.fields["credential"] = _credential_field()
        # The ceremony is over once the form arrives: a forgotten name must not waste it.
        self.fields["name"].required = False

    def clean(self) -> dict[str, Any]:
        try:
            data: dict[str, Any] = super().clean()
        except _MALFORMED:
            raise ValidationError(_REFUSED) from None
        return data


class RenameForm(library_forms.EditWebAuthnForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        self.fields["name"] = _name_field()


# The change, the history and the notice to the owner: all or nothing, and one at a time.
@method_decorator(alone, name="post")
class AddView(library.AddWebAuthnView):  # type: ignore[misc]
    def form_valid(self, form: forms.Form) -> HttpResponse:
        key = form.cleaned_data["credential"].get("id")
        if Authenticator.objects.filter(user=self.request.user.pk, data__credential__id=key).exists():
            # The same form, once more.
            return redirect("mfa_list_webauthn")
        response: HttpResponse = super().form_valid(form)
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        selection = context["js_data"]["creation_options"]["publicKey"].setdefault("authenticatorSelection", {})
        # « Preferred »: a simple security key may join as a second factor all the same.
        selection.update(residentKey="preferred", requireResidentKey=False, userVerification="preferred")
        return context


@method_decorator(alone, name="post")
class RenameView(library.EditWebAuthnView):  # type: ignore[misc]
    def form_valid(self, form: forms.Form) -> HttpResponse:
        before = self.object.wrap().name
        response: HttpResponse = super().form_valid(form)
        security.passkey_renamed(
            user=self.object.user, before=before, after=form.cleaned_data["name"], actor=Actor.of(self.request)
        )
        return response


class LoginView(library.LoginWebAuthnView):  # type: ignore[misc]
    """Log-in by passkey, leading back to the page that was asked for."""

    def form_valid(self, form: forms.Form) -> HttpResponse:
        passkey: Authenticator = form.cleaned_data["credential"]
        login = Login(user=passkey.user, redirect_url=get_next_redirect_url(self.request))
        response: HttpResponse = perform_passwordless_login(self.request, passkey, login)
        return response

    def form_invalid(self, form: forms.Form) -> HttpResponse:
        messages.error(self.request, _REFUSED)
        return redirect("account_login")


class ReauthenticateView(library.ReauthenticateWebAuthnView):  # type: ignore[misc]
    def form_invalid(self, form: forms.Form) -> HttpResponse:
        messages.error(self.request, _REFUSED)
        return redirect(self.passthrough_next_url(self.request.path))


@method_decorator(alone, name="post")
class RemoveView(library.RemoveWebAuthnView):  # type: ignore[misc]
    """Taking a passkey away."""


class AuthenticateView(base.AuthenticateView):  # type: ignore[misc]
    """The second step of a log-in: shows only what the account really has."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        user = self.stage.login.user
        kinds = set(Authenticator.objects.filter(user=user).values_list("type", flat=True))
        context["has_passkey"] = Authenticator.Type.WEBAUTHN in kinds
        if Authenticator.Type.TOTP not in kinds:
            context["form"].fields["code"].label = _("Code de secours")
        return context


authenticate = AuthenticateView.as_view()
listing = library.list_webauthn
add = AddView.as_view()
rename = RenameView.as_view()
remove = RemoveView.as_view()
login = LoginView.as_view()
reauthenticate = ReauthenticateView.as_view()
