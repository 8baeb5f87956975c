"""Forms of log-in, passwords and Mon compte."""

from typing import Any

from allauth.account.forms import LoginForm as LibraryLoginForm
from allauth.account.forms import ReauthenticateForm as LibraryReauthenticateForm
from django import forms
from django.contrib.auth import password_validation
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backoffice.base import limits
from backoffice.base.fields import OneEmailFormField
from backoffice.text import addresses, zones
from companies.accounts import guessing
from companies.models import Language, User


def text_input(**attrs: str) -> forms.TextInput:
    return forms.TextInput(attrs=attrs)


def password_input(autocomplete: str) -> forms.PasswordInput:
    """A field whose content can be looked at, where scripts run (`static/backoffice.js`)."""
    reveal = {"data-reveal": _("Afficher"), "data-conceal": _("Masquer")}
    return forms.PasswordInput(attrs={"autocomplete": autocomplete, **reveal})


class LoginForm(LibraryLoginForm):  # type: ignore[misc]
    """Identifier or e-mail address, and password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        # The library's field is as long as an identifier; an address may be longer.
        self.fields["login"] = forms.CharField(
            label=_("Identifiant ou adresse e-mail"),
            max_length=254,
            widget=text_input(autocomplete="username", autocapitalize="off", spellcheck="false"),
        )
        self.fields["password"] = forms.CharField(
            label=_("Mot de passe"), strip=False, max_length=1024, widget=password_input("current-password")
        )


class PasswordProofForm(LibraryReauthenticateForm):  # type: ignore[misc]
    """The password once more, before a protected operation."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"] = forms.CharField(
            label=_("Mot de passe"), strip=False, max_length=1024, widget=password_input("current-password")
        )


class PasswordResetForm(forms.Form):
    login = forms.CharField(
        label=_("Identifiant ou adresse e-mail"),
        max_length=254,
        widget=text_input(autocomplete="username", autocapitalize="off", spellcheck="false"),
    )


class SetPasswordForm(forms.Form):
    """A new password, twice. The password's strength is judged for `user`."""

    password = forms.CharField(
        label=_("Nouveau mot de passe"),
        strip=False,
        max_length=1024,
        widget=password_input("new-password"),
        help_text=_(
            "12 caractères au moins, espaces et lettres accentuées compris. Quatre ou cinq mots sans rapport entre eux sont "
            "faciles à retenir et difficiles à deviner."
        ),
    )
    password_again = forms.CharField(
        label=_("Nouveau mot de passe, une seconde fois"),
        strip=False,
        max_length=1024,
        widget=password_input("new-password"),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        password_validation.validate_password(password, self.user)
        return password

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "password" in data and "password_again" in data and data["password"] != data["password_again"]:
            self.add_error("password_again", _("Les deux saisies diffèrent."))
        return data


class CurrentPasswordMixin(forms.Form):
    """Checks the field `current_password` against `user`; each try is counted."""

    user: User
    request: HttpRequest

    def check_current(self) -> None:
        try:
            right = guessing.is_password(self.request, self.user, self.cleaned_data.get("current_password", ""))
        except guessing.TooManyGuesses as error:
            self.add_error("current_password", error)
            return
        if not right:
            self.add_error("current_password", _("Ce n'est pas votre mot de passe actuel."))


class PasswordChangeForm(CurrentPasswordMixin, SetPasswordForm):
    current_password = forms.CharField(
        label=_("Mot de passe actuel"), strip=False, max_length=1024, widget=password_input("current-password")
    )
    field_order = ["current_password", "password", "password_again"]

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if "current_password" in data:
            self.check_current()
        return data


class AccountForm(CurrentPasswordMixin):
    """Mon compte. A new address asks for the current password."""

    title = forms.CharField(
        label=_("Civilité"), max_length=20, required=False, widget=text_input(autocomplete="honorific-prefix")
    )
    first_name = forms.CharField(
        label=_("Prénom"), max_length=100, required=False, widget=text_input(autocomplete="given-name")
    )
    last_name = forms.CharField(
        label=_("Nom"), max_length=100, required=False, widget=text_input(autocomplete="family-name")
    )
    phone = forms.CharField(
        label=_("Téléphone"), max_length=30, required=False, widget=text_input(autocomplete="tel", inputmode="tel")
    )
    email = OneEmailFormField(
        label=_("Adresse e-mail"),
        max_length=254,
        help_text=_(
            "Reçoit les messages sur ce compte : création, modification, lien pour le mot de passe. "
            "Si vous la changez, l'ancienne adresse en est prévenue."
        ),
    )
    current_password = forms.CharField(
        label=_("Mot de passe actuel"),
        strip=False,
        max_length=1024,
        required=False,
        widget=password_input("current-password"),
        help_text=_("Demandé seulement pour changer l'adresse e-mail."),
    )
    language = forms.ChoiceField(label=_("Langue"), choices=Language.choices)
    time_zone = forms.ChoiceField(label=_("Fuseau horaire"), required=False)

    # What the form was opened on; see `services.fingerprint`.
    seen = forms.CharField(max_length=limits.LONGEST_HIDDEN, widget=forms.HiddenInput, required=False)

    SAVED = ("title", "first_name", "last_name", "phone", "email", "language", "time_zone")

    def __init__(self, *args: Any, request: HttpRequest, user: User, company_zone: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.user = user
        nothing = (
            gettext("Celui de la société (%(zone)s)") % {"zone": company_zone}
            if company_zone
            else gettext("Par défaut")
        )
        offered = zones.offered()
        if user.time_zone and user.time_zone not in offered:
            offered = [user.time_zone, *offered]
        self.fields["time_zone"].choices = [("", nothing), *((zone, zone.replace("_", " ")) for zone in offered)]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        # Another spelling of the same address needs no proof of identity.
        if data.get("email") and addresses.normalise(data["email"]) != _normalised(self.user.email):
            if not data.get("current_password"):
                self.add_error(
                    "current_password", _("Indiquez votre mot de passe actuel pour changer l'adresse e-mail.")
                )
            else:
                self.check_current()
        return data

    def saved(self) -> dict[str, Any]:
        """The values to store, by column of User."""
        return {name: self.cleaned_data[name] for name in self.SAVED}


def _normalised(email: str) -> str:
    return addresses.normalise(email) if email else ""
