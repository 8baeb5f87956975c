"""Checking an identifier and a password."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from backoffice.text import addresses
from companies.accounts import guessing
from companies.login_library import PasswordBackend, get_user_by_username
from companies.models import User


class LoginBackend(PasswordBackend):
    """Log-in by identifier, or by e-mail where exactly one account has that address (docs/rules.md 7.4).

    Each try is counted first (`guessing.counted`), whether or not an account is meant.
    """

    _request: HttpRequest | None = None

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> AbstractBaseUser | None:
        self._request = request
        user: User | None = super().authenticate(request, **credentials)
        return user

    def user_with(self, identifier: str, has_password: Callable[[AbstractBaseUser], bool]) -> User | None:
        user = self._meant(identifier)
        with guessing.counted(self._request, user=user, typed=identifier) as guess:
            if user is not None and has_password(user) and guess.answer(right=True):
                return user
            if not guess.admitted:
                # Not even « disabled » may be told of a locked account.
                self.tell_nothing()
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
