"""How the log-in library behaves here: sign-up closed, its mails sent by us, MFA secrets encrypted."""

from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from backoffice import crypto

from . import logins, security, user_agents
from .audit import Actor
from .models import User
from .sessions import session_of

# The library's name of what happened → ours.
_FACTOR_CHANGES = {
    "mfa/email/totp_activated": "totp_activated",
    "mfa/email/totp_deactivated": "totp_deactivated",
    "mfa/email/webauthn_added": "webauthn_added",
    "mfa/email/webauthn_removed": "webauthn_removed",
    "mfa/email/recovery_codes_generated": "codes_generated",
}


class AccountAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": _(
            "Identifiant ou mot de passe incorrect. Si plusieurs comptes partagent votre adresse e-mail, "
            "connectez-vous avec l'identifiant."
        ),
        "too_many_login_attempts": _("Trop d'essais infructueux. Attendez quelques minutes avant de réessayer."),
        "incorrect_password": _("Ce mot de passe n'est pas le bon."),
        "incorrect_code": _("Ce code n'est pas le bon. Prenez le code affiché à l'instant par votre application."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Accounts are created by administrators and staff only."""
        return False

    def post_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> HttpResponse:
        """Every log-in ends here, also one by a link or with a second factor."""
        logins.login_succeeded(user=user, request=request)
        response = super().post_login(request, user, **kwargs)
        logins.remember_device(request, response)
        return response

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Guesses are limited by account, and apart from the rest in a browser that the account knows."""
        typed = logins.normalised(str(credentials.get("username", "")))
        device = logins.device_of(request)
        return f"{typed}:{device}" if logins.is_known(device, typed) else typed

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Every mail of the platform goes through the outbox; the library's own are not sent.

        The password link is asked for by our own view (`account_views.password_reset`).
        """

    def send_notification_mail(
        self, template_prefix: str, user: Any, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """The library reports a change of a second factor here: history, mail and sessions follow."""
        if change := _FACTOR_CHANGES.get(template_prefix):
            account = User.objects.select_related("company").get(pk=user.pk)
            security.second_factor_changed(
                user=account, actor=Actor.of(self.request), change=change, keep=session_of(self.request).row
            )


class MFAAdapter(DefaultMFAAdapter):
    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": _("Ce code n'est pas le bon. Prenez le code affiché à l'instant par votre application."),
    }

    def get_totp_label(self, user: Any) -> str:
        """The identifier: an address may be shared by several accounts."""
        return str(user.login)

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Passkeys belong to the configured host, whatever the request calls itself."""
        return {"id": urlsplit(settings.BASE_URL).hostname or "", "name": settings.PLATFORM_NAME}

    def get_public_key_credential_user_entity(self, user: Any) -> dict[str, Any]:
        return {**super().get_public_key_credential_user_entity(user), "name": user.login}

    def generate_authenticator_name(self, user: Any, type: Any) -> str:
        """A name for who gave none: the device that is at hand."""
        return user_agents.describe(self.request.headers.get("User-Agent", "")) if self.request else ""

    # The library stores secrets as they are until these two are given.
    def encrypt(self, text: str) -> str:
        return crypto.encrypt(text, "mfa_authenticator")

    def decrypt(self, encrypted_text: str) -> str:
        return crypto.decrypt(encrypted_text, "mfa_authenticator")
