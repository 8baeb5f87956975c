"""Checking an identifier and a password."""

from allauth.account.auth_backends import AuthenticationBackend
from allauth.account.internal.userkit import get_user_by_username

from notifications import addresses

from .models import User


class LoginBackend(AuthenticationBackend):
    """Log-in by identifier, or by e-mail where exactly one account has that address (DESIGN 7)."""

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
