"""All uses of the log-in library's internals, in one module.

allauth promises nothing of its `internal` packages and of names that begin with an underscore: an update may move
or change them. Everybody else takes them from here (`tests/guards/test_login_library.py` holds that), so that an
update of the library is read against this file. Each use has a reason:

- proof of identity: asking for it in a form of ours, and knowing how somebody may give one;
- passkeys: the ceremony, with each try counted and answers of any shape refused;
- one-time codes: a code that proved something is worthless afterwards, whatever it proved;
- counters: its rates in the notation of the settings, its page « too many »;
- log-in: by a link of ours; by an address that is unique.
"""

from collections.abc import Callable
from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from allauth.account.internal.flows.login import get_authentication_records, perform_login
from allauth.account.internal.flows.reauthentication import (
    STATE_SESSION_KEY,
    did_recently_reauthenticate,
    get_reauthentication_flows,
)
from allauth.account.internal.userkit import get_user_by_username
from allauth.core.internal.httpkit import serialize_request
from allauth.core.internal.ratelimit import Rate, get_rates, respond_429
from allauth.mfa.internal.flows.add import validate_can_add_authenticator
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, validate_totp_code
from allauth.mfa.webauthn.internal import auth as passkey_ceremony
from allauth.mfa.webauthn.internal.flows import perform_passwordless_login
from django.contrib.auth.base_user import AbstractBaseUser

__all__ = [
    "STATE_SESSION_KEY",
    "PasswordBackend",
    "Rate",
    "did_recently_reauthenticate",
    "get_authentication_records",
    "get_rates",
    "get_reauthentication_flows",
    "get_user_by_username",
    "mark_code_used",
    "passkey_ceremony",
    "perform_login",
    "perform_passwordless_login",
    "respond_429",
    "serialize_request",
    "validate_can_add_authenticator",
    "validate_totp_code",
]


class PasswordBackend(AuthenticationBackend):  # type: ignore[misc]
    """The library's check of identifier and password; a subclass says who has them, by `user_with`."""

    def _authenticate_by_username(self, username: str, password: str) -> AbstractBaseUser | None:
        return self.user_with(username, lambda user: self._check_password(user, password) is not None)

    def user_with(self, identifier: str, has_password: Callable[[AbstractBaseUser], bool]) -> AbstractBaseUser | None:
        """Who has this identifier, and the password.

        Args:
            has_password: looks at the password of an account; False for an account that is off, which is remembered
                so that the page may say so.
        """
        raise NotImplementedError

    def tell_nothing(self) -> None:
        """Forget that the password was right for an account that is off."""
        self._stash_user(None)


def mark_code_used(authenticator: Authenticator, code: str) -> bool:
    """Make a one-time code worthless; False when it was so before."""
    library: Any = TOTP(authenticator)
    return bool(library._mark_code_used(code))
