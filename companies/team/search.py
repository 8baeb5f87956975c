"""What the search of the top bar finds of accounts."""

from django.urls import reverse
from django.utils.translation import gettext as _

from backoffice.base.searching import Group, Hit, few, group, joined, list_url
from companies import selectors
from companies.models import Membership, SftpAccount, User
from companies.rights import readers


def accounts(membership: Membership, text: str) -> list[Group]:
    """Users and SFTP accounts by identifier, name or address, for those who manage users."""
    if not readers.manages_accounts(membership):
        return []
    users = selectors.users_filtered(readers.users_for(membership), membership.company, q=text).order_by("login")
    sftp = selectors.sftp_filtered(readers.sftp_accounts_for(membership), q=text).order_by("login")
    return [
        *group("users", _("Utilisateurs"), [_user(one, text) for one in few(users)], list_url("users", q=text)),
        *group("sftp", _("Comptes SFTP"), [_sftp(one, text) for one in few(sftp)], list_url("sftp_accounts", q=text)),
    ]


def _user(user: User, text: str) -> Hit:
    state = "" if user.state == User.State.ACTIVE else str(User.State(user.state).label)
    return Hit(
        user.login,
        reverse("user_edit", args=[user.pk]),
        joined(user.get_full_name(), user.email, state),
        is_exact=user.login == text,
    )


def _sftp(account: SftpAccount, text: str) -> Hit:
    return Hit(
        account.login,
        reverse("sftp_account_edit", args=[account.pk]),
        account.email,
        is_exact=account.login == text,
    )
