"""Checking an identifier and a password."""

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from allauth.account.internal.userkit import get_user_by_username
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from notifications import addresses

from . import logins
from .models import User


class LoginBackend(AuthenticationBackend):
    """Log-in by identifier, or by e-mail where exactly one account has that address (DESIGN 7).

    Each try is counted first (`logins.login_begun`), whether or not an account is meant.
    """

    _request: HttpRequest | None = None

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> AbstractBaseUser | None:
        self._request = request
        return super().authenticate(request, **credentials)

    def _authenticate_by_username(self, username: str, password: str) -> User | None:
        user = self._meant(username)
        attempt = logins.login_begun(user=user, typed=username, request=self._request)
        found = self._check_password(user, password) if user is not None else None
        if isinstance(found, User) and attempt.admitted:
            logins.password_was_right(attempt)
            return found
        if not attempt.admitted:
            # Not even « disabled » may be told of a locked account.
            self._stash_user(None)
        logins.password_was_wrong(attempt)
        return None

    def _meant(self, username: str) -> User | None:
        user = get_user_by_username(username)
        if isinstance(user, User):
            return user
        if "@" not in username:
            return None
        wanted = addresses.normalise(username)
        # The stored spelling may differ from the typed one, so the last word is the normal form.
        local = username.strip().rpartition("@")[0]
        candidates = User.objects.filter(email__istartswith=f"{local}@")[:50]
        same = [candidate for candidate in candidates if addresses.normalise(candidate.email) == wanted]
        return same[0] if len(same) == 1 else None
