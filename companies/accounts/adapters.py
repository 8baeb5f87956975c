"""The adapters of the log-in library: sign-up closed, mails sent by us, secrets of second factors encrypted."""

from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from backoffice.base import crypto, ratelimit
from backoffice.text import user_agents
from companies import security, verified
from companies.accounts import guessing, logins
from companies.audit import Actor
from companies.models import User
from companies.sessions import session_of

# The library's name of what happened → ours.
_FACTOR_CHANGES = {
    "mfa/email/totp_activated": "totp_activated",
    "mfa/email/totp_deactivated": "totp_deactivated",
    "mfa/email/webauthn_added": "webauthn_added",
    "mfa/email/webauthn_removed": "webauthn_removed",
    "mfa/email/recovery_codes_generated": "codes_generated",
}


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": _(
            "Identifiant ou mot de passe incorrect. Si plusieurs comptes partagent votre adresse e-mail, "
            "connectez-vous avec l'identifiant."
        ),
        "too_many_login_attempts": guessing.TOO_MANY,
        "incorrect_password": _("Ce mot de passe n'est pas le bon."),
        "incorrect_code": _("Ce code n'est pas le bon. Prenez le code affiché à l'instant par votre application."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Accounts are created by administrators and staff only."""
        return False

    def post_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> HttpResponse:
        """Every log-in ends here, also one by a link or with a second factor."""
        logins.login_succeeded(user=user, request=request)
        if verified.is_pending(user):
            messages.warning(
                request,
                _("L'adresse de votre compte a été changée par quelqu'un d'autre : confirmez-la dans Mon compte."),
            )
        response: HttpResponse = super().post_login(request, user, **kwargs)
        logins.remember_device(request, response)
        return response

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Nothing: `auth.LoginBackend` counts each try where it looks at it.

        The library's own counter takes a lock it could not get for a limit that is reached, and counts
        right passwords while they are looked at.
        """

    def get_client_ip(self, request: HttpRequest) -> str:
        """Whom limits by address count for, in the library too."""
        return ratelimit.visitor(request)

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


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": _("Ce code n'est pas le bon. Prenez le code affiché à l'instant par votre application."),
    }

    def get_totp_label(self, user: Any) -> str:
        """The identifier: an address may be shared by several accounts."""
        return str(user.login)

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Bind passkeys to the configured host, not to that of the request."""
        return {"id": urlsplit(settings.BASE_URL).hostname or "", "name": settings.PLATFORM_NAME}

    def get_public_key_credential_user_entity(self, user: Any) -> dict[str, Any]:
        return {**super().get_public_key_credential_user_entity(user), "name": user.login}

    def generate_authenticator_name(self, user: Any, type: Any) -> str:
        """The name of a passkey without a typed one: that of the device in use."""
        return user_agents.describe(self.request.headers.get("User-Agent", "")) if self.request else ""

    # The library stores secrets as they are until these two are given.
    def encrypt(self, text: str) -> str:
        return crypto.encrypt(text, "mfa_authenticator")

    def decrypt(self, encrypted_text: str) -> str:
        return crypto.decrypt(encrypted_text, "mfa_authenticator")
