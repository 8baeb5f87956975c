"""What users and SFTP accounts have in common: what a form was opened on, locks, what is told."""

from typing import Any

from companies import audit
from companies.audit import Changes
from companies.models import Company, Membership, SftpAccount, User
from companies.rights import access
from companies.team.services.rights import lock_companies

# Changes of an account that its owner is told about; a language is not one (docs/rules.md 3).
_TOLD_FIELDS = frozenset(
    {"access", "login", "first_name", "last_name", "title", "email", "is_active", "role", "shops", "rights"}
)
_USER_FIELDS = ("login", "email", "title", "first_name", "last_name", "phone", "language", "time_zone", "is_active")
_SFTP_FIELDS = ("login", "email", "language", "is_active")


def told_changes(changes: Changes) -> list[str]:
    """The part of a change that the owner of the account is notified of."""
    return sorted({name.partition(".")[0] for name in changes} & _TOLD_FIELDS)


def awaits_first_login(account: User | SftpAccount) -> bool:
    """Whether the account waits for its owner to choose, or see, the password behind a mailed link."""
    if not account.is_active:
        return False
    return bool(account.unrevealed_password) if isinstance(account, SftpAccount) else not account.has_usable_password()


def fingerprint(account: User | SftpAccount, company: Company | None = None) -> str:
    """A stamp of the account as a form shows it, to detect a change by another user; a short text.

    Covers the fields of the account and, with `company`, its rights there.
    """
    names = _SFTP_FIELDS if isinstance(account, SftpAccount) else _USER_FIELDS
    state: list[Any] = [getattr(account, name) for name in names]
    if company is not None and isinstance(account, User):
        membership = Membership.objects.filter(user=account, company=company).first()
        if membership is not None:
            grants = sorted(
                (shop, sorted(codes) if codes is not None else None)
                for shop, codes in access.access_of(membership).shops.items()
            )
            state += [membership.role, sorted(access.general(membership)), membership.all_shops, grants]
    return audit.stamp(*state)


def account_hold(account: User | SftpAccount, *, company: Company | None, seen: str | None) -> None:
    """Lock an account that is about to be acted upon, and refuse where it is not the one that was looked at.

    Call it in the transaction of the act; the instance is brought up to date.

    Args:
        seen: the `fingerprint` of what the writer saw, None where nobody looked.

    Raises:
        StaleVersion: the account or its rights have changed since.
    """
    if isinstance(account, User):
        lock_companies(account, company)
    lock_account(account)
    if seen is not None:
        audit.check_seen(seen, fingerprint(account, company))


def lock_account(account: User | SftpAccount) -> None:
    rows: Any = account._meta.model._default_manager.select_for_update(of=("self",)).select_related("company")
    account.refresh_from_db(from_queryset=rows)
