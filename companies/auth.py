"""Checking an identifier and a password."""

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from allauth.account.internal.userkit import get_user_by_username
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from notifications import addresses

from . import services
from .models import User


class LoginBackend(AuthenticationBackend):
    """Log-in by identifier, or by e-mail where exactly one account has that address (DESIGN 7).

    Wrong passwords are counted by account, in the database and so over all processes and addresses.
    """

    _ip_address: str | None = None

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> AbstractBaseUser | None:
        self._ip_address = (request.META.get("REMOTE_ADDR") or None) if request is not None else None
        return super().authenticate(request, **credentials)

    def _check_password(self, user: AbstractBaseUser | None, password: str) -> User | None:
        if not isinstance(user, User):
            return None
        self._did_check_password = True
        right = user.check_password(password)
        # A locked account answers like a wrong password, whatever was typed.
        if not right or user.is_locked:
            services.login_failed(user=user, ip_address=self._ip_address)
            return None
        if not self.user_can_authenticate(user):
            self._stash_user(user)
            return None
        return user

    def _authenticate_by_username(self, username: str, password: str) -> User | None:
        user = get_user_by_username(username)
        if user is None and "@" in username:
            wanted = addresses.normalise(username)
            # The stored spelling may differ from the typed one, so the last word is the normal form.
            local = username.strip().rpartition("@")[0]
            candidates = User.objects.filter(email__istartswith=f"{local}@")[:50]
            same = [candidate for candidate in candidates if addresses.normalise(candidate.email) == wanted]
            user = same[0] if len(same) == 1 else None
        return self._check_password(user, password)
