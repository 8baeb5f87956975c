"""How the log-in library behaves here: sign-up closed, its mails sent by us, MFA secrets encrypted."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.http import HttpRequest

from backoffice import crypto


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Accounts are created by administrators and staff only."""
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Every mail of the platform goes through the outbox; the library's own are replaced."""
        from companies import services

        user = context.get("user")
        if template_prefix.endswith("password_reset_key") and user is not None:
            services.password_reset_request(user=user)


class MFAAdapter(DefaultMFAAdapter):
    """The library stores secrets as they are until these two are given."""

    def encrypt(self, text: str) -> str:
        return crypto.encrypt(text, "mfa_authenticator")

    def decrypt(self, encrypted_text: str) -> str:
        return crypto.decrypt(encrypted_text, "mfa_authenticator")
