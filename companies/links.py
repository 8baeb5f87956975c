"""Single-use links that open an account, valid 48 hours (docs/rules.md 4.10).

Stateless: a token is signed over state that its use changes (the password, the number of log-in links used, the secret
waiting to be revealed), so using it once makes every copy of it worthless. Who uses one asks with `hold`, in
the transaction of the use: of several at the same moment the first one's change is seen by the others.
Tokens are made when a mail is sent, never stored.
"""

import uuid

from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.urls import reverse
from django.utils.crypto import salted_hmac
from django.utils.http import base36_to_int, int_to_base36

from companies.models import SftpAccount, User


class _SftpTokenGenerator(PasswordResetTokenGenerator):
    key_salt = "companies.links.sftp"

    def _make_hash_value(self, account: SftpAccount, timestamp: int) -> str:  # type: ignore[override]
        waiting = salted_hmac("sftp-secret", account.unrevealed_password or "", algorithm="sha256").hexdigest()
        return f"{account.pk}{account.password_hash}{waiting}{account.email}{timestamp}"


class _LoginTokenGenerator(PasswordResetTokenGenerator):
    key_salt = "companies.links.login"

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        # The log-in that follows changes the rest of it only once a second factor was given, and by whole seconds.
        return f"{user.login_links_used}-{super()._make_hash_value(user, timestamp)}"


_password_tokens = PasswordResetTokenGenerator()
_sftp_tokens = _SftpTokenGenerator()
_login_tokens = _LoginTokenGenerator()


def _split(token: str) -> tuple[str, str]:
    who, _sep, rest = token.partition("-")
    return who, rest


def make_password_link(user: User) -> str:
    """Absolute URL of the page where `user` sets a password."""
    token = f"{int_to_base36(user.pk)}-{_password_tokens.make_token(user)}"
    return settings.BASE_URL + reverse("account_set_password", args=[token])


def user_for_password_token(token: str, *, hold: bool = False) -> User | None:
    """The user a token was made for, or None when it is altered, used or older than 48 hours.

    Args:
        hold: lock the account until the transaction ends, as its use does.
    """
    return _user(token, _password_tokens, hold)


def make_login_link(user: User) -> str:
    """Absolute URL that logs `user` in once, for operators."""
    token = f"{int_to_base36(user.pk)}-{_login_tokens.make_token(user)}"
    return settings.BASE_URL + reverse("account_login_link", args=[token])


def user_for_login_token(token: str) -> User | None:
    return _user(token, _login_tokens)


def use_login_token(token: str) -> User | None:
    """The same, and the link is used up, also where a second factor is still to come.

    Call it in the transaction of the log-in.
    """
    user = _user(token, _login_tokens, hold=True)
    if user is not None:
        user.login_links_used += 1
        user.save(update_fields=["login_links_used"])
    return user


def _user(token: str, generator: PasswordResetTokenGenerator, hold: bool = False) -> User | None:
    who, rest = _split(token)
    users = User.objects.select_for_update() if hold else User.objects.all()
    try:
        user = users.filter(pk=base36_to_int(who), is_active=True).first()
    except (ValueError, OverflowError):
        return None
    return user if user is not None and generator.check_token(user, rest) else None


def make_sftp_link(account: SftpAccount) -> str:
    """Absolute URL of the page that reveals the password of an SFTP account once."""
    return settings.BASE_URL + reverse("sftp_reveal", args=[f"{account.pk.hex}-{_sftp_tokens.make_token(account)}"])  # type: ignore[arg-type]


def sftp_account_for_token(token: str, *, hold: bool = False) -> SftpAccount | None:
    """The account whose password the token reveals, or None when used, altered or too old.

    Args:
        hold: lock the account until the transaction ends, as its use does.
    """
    who, rest = _split(token)
    accounts = SftpAccount.objects.select_for_update() if hold else SftpAccount.objects.all()
    try:
        account = accounts.filter(pk=uuid.UUID(hex=who), is_active=True).first()
    except ValueError:
        return None
    if account is None or not account.unrevealed_password:
        return None
    return account if _sftp_tokens.check_token(account, rest) else None  # type: ignore[arg-type]
