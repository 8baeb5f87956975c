"""SFTP accounts and their generated passwords."""

import secrets
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone

from backoffice.text import addresses
from companies import audit, status
from companies.audit import Actor, Changes
from companies.models import Company, SftpAccount
from companies.team.services.accounts import awaits_first_login, fingerprint, lock_account, told_changes
from notifications.core.facts import Occasion
from notifications.events.publishing import publish
from notifications.health import verification


@transaction.atomic
def sftp_account_create(
    *, company: Company, actor: Actor, login: str, email: str, notify: bool = True, **fields: Any
) -> SftpAccount:
    """Create an SFTP account with a generated password, revealed once through the mailed link."""
    status.ensure_open(actor=actor, company=company)
    account = SftpAccount(company=company, login=login, email=email, **fields)
    _generate_sftp_password(account)
    account.full_clean()
    account.save()
    shown = {"login": login, "email": email, **fields}
    audit.record(
        actor=actor, action="sftp_account.created", obj=account, company=company, changes=audit.creation(shown)
    )
    if notify:
        publish(type="sftp_account.created", company=company, account=account, data={"link": True})
    verification.addresses_saved(company=company, saved=[account.email], actor=actor)
    return account


@transaction.atomic
def sftp_account_update(
    *,
    account: SftpAccount,
    actor: Actor,
    notify: bool = True,
    tell_former: bool = True,
    seen: str | None = None,
    **fields: Any,
) -> Changes:
    """Change an SFTP account; its address, and unless `tell_former` is False a former one, are told.

    While nobody has seen the password, a new address gets the link that reveals it; the former link ends.

    Args:
        seen: the `fingerprint` of what the writer saw; StaleVersion when the account has changed since.
    """
    lock_account(account)
    audit.check_seen(seen, fingerprint(account))
    former_email, was_active = account.email, account.is_active
    changes = audit.apply(account, fields)
    if not changes:
        return changes
    if changes != {"is_active": [True, False]}:
        status.ensure_open(actor=actor, company=account.company)
    needs_link = awaits_first_login(account) and not {"email", "is_active"}.isdisjoint(changes)
    if needs_link:
        # Nobody has seen it, so another one costs nobody anything: no copy of the former link shows it.
        _generate_sftp_password(account)
    account.full_clean()
    account.save()
    audit.record(actor=actor, action="sftp_account.updated", obj=account, company=account.company, changes=changes)
    told = told_changes(changes)
    if notify and told:
        publish(
            type="sftp_account.modified",
            company=account.company,
            account=account,
            data={"changed": told, **({"link": True} if needs_link else {})},
            occasion=Occasion(was_active=was_active),
        )
        former = addresses.normalise(former_email)
        if tell_former and "email" in changes and former != addresses.normalise(account.email):
            publish(
                type="account.address_changed",
                company=account.company,
                account=account,
                data={"new_address": account.email, "link_ended": needs_link},
                occasion=Occasion(former=former_email),
            )
    if "email" in changes:
        verification.addresses_saved(company=account.company, saved=[account.email], actor=actor)
    return changes


@transaction.atomic
def sftp_password_reset(*, account: SftpAccount, actor: Actor) -> None:
    """Generate a new password and mail a link that reveals it once; the former one stops working."""
    status.ensure_open(actor=actor, company=account.company)
    _generate_sftp_password(account)
    account.save()
    audit.record(
        actor=actor,
        action="sftp_account.password_reset",
        obj=account,
        company=account.company,
        changes={"password": [audit.MASK, audit.MASK]},
    )
    publish(
        type="sftp_account.modified",
        company=account.company,
        account=account,
        data={"changed": ["password"], "link": True},
    )


@transaction.atomic
def sftp_reveal(*, account: SftpAccount) -> str | None:
    """The password waiting to be revealed, forgotten by the same act; None when already revealed."""
    account = SftpAccount.objects.select_for_update().get(pk=account.pk)
    password: str = account.unrevealed_password
    if not password:
        return None
    account.unrevealed_password = ""
    account.save()
    audit.record(actor=Actor(account.login), action="sftp_account.revealed", obj=account, company=account.company)
    return password


def _generate_sftp_password(account: SftpAccount) -> None:
    password = secrets.token_urlsafe(18)
    account.unrevealed_password = password
    account.password_hash = make_password(password)
    account.password_set_at = timezone.now()
