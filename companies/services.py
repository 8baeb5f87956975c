"""Writes on companies, contacts and accounts: one transaction each, audited, announced.

Every function is keyword-only and takes the `actor` that the history names. Each raises
ValidationError with messages by field and then leaves nothing written.
"""

import secrets
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from notifications import addresses
from notifications.services import publish
from shops.models import Shop

from . import audit
from .audit import Actor, Changes, StaleVersion
from .models import Company, Contact, Membership, Role, SftpAccount, User

CONTACT_FIELDS = ("title", "first_name", "last_name", "email", "phone")
# Changes of an account that its owner is told about; a language is not one (DESIGN 3).
_TOLD_FIELDS = frozenset({"login", "first_name", "last_name", "title", "email", "is_active", "role", "shops"})


@transaction.atomic
def company_create(
    *,
    actor: Actor,
    manager_contact: dict[str, str] | None = None,
    technical_contact: dict[str, str] | None = None,
    **fields: Any,
) -> Company:
    """Create a company with its contacts.

    Args:
        manager_contact, technical_contact: CONTACT_FIELDS by name, each with an `email`. A caller
            that leaves the first out saves it in the same transaction: a company has one.
        fields: columns of Company.
    """
    company = Company(**fields)
    company.full_clean()
    company.save()
    audit.record(actor=actor, action="company.created", obj=company, company=company, changes=audit.creation(fields))
    if manager_contact:
        contact_save(company=company, kind=Contact.Kind.MANAGER, actor=actor, **manager_contact)
    if technical_contact:
        contact_save(company=company, kind=Contact.Kind.TECHNICAL, actor=actor, **technical_contact)
    return company


@transaction.atomic
def company_update(*, company: Company, actor: Actor, version: int | None = None, **fields: Any) -> Changes:
    """Change columns of a company; returns what changed, {} when nothing did.

    Args:
        version: the version the writer saw; StaleVersion when the row has moved on.
    """
    company = Company.objects.select_for_update().get(pk=company.pk) if version is not None else company
    if version is not None and company.version != version:
        raise StaleVersion
    if "incident_emails" in fields:
        fields["incident_emails"] = addresses.unique(address.strip() for address in fields["incident_emails"])
    changes = audit.apply(company, fields)
    if changes:
        company.full_clean()
        company.version += 1
        company.save()
        audit.record(actor=actor, action="company.updated", obj=company, company=company, changes=changes)
    return changes


@transaction.atomic
def contact_save(*, company: Company, kind: str, actor: Actor, **fields: str) -> Changes:
    """Create or change one of the two contacts; absent fields stay as they are."""
    contact = Contact.objects.filter(company=company, kind=kind).first() or Contact(company=company, kind=kind)
    created = contact.pk is None
    changes = audit.apply(contact, fields)
    if changes or created:
        contact.full_clean()
        contact.save()
        action = "contact.created" if created else "contact.updated"
        audit.record(actor=actor, action=action, obj=contact, company=company, changes=_prefixed(kind, changes))
        _contacts_changed(company)
    return changes


@transaction.atomic
def technical_contact_remove(*, company: Company, actor: Actor) -> bool:
    """Remove the technical contact; False when there was none."""
    contact = Contact.objects.filter(company=company, kind=Contact.Kind.TECHNICAL).first()
    if contact is None:
        return False
    changes = {f"technical.{name}": [getattr(contact, name), None] for name in CONTACT_FIELDS if getattr(contact, name)}
    audit.record(actor=actor, action="contact.deleted", obj=contact, company=company, changes=changes)
    contact.delete()
    _contacts_changed(company)
    return True


@transaction.atomic
def contacts_swap(*, company: Company, actor: Actor) -> Changes:
    """Exchange the Contact gestionnaire and the Contact technique."""
    contacts = {contact.kind: contact for contact in Contact.objects.select_for_update().filter(company=company)}
    manager, technical = contacts.get(Contact.Kind.MANAGER), contacts.get(Contact.Kind.TECHNICAL)
    if manager is None or technical is None:
        raise ValidationError(_("Il faut un contact gestionnaire et un contact technique pour les intervertir."))
    changes: Changes = {}
    for name in CONTACT_FIELDS:
        first, second = getattr(manager, name), getattr(technical, name)
        if first != second:
            setattr(manager, name, second)
            setattr(technical, name, first)
            changes[f"manager.{name}"], changes[f"technical.{name}"] = [first, second], [second, first]
    manager.save()
    technical.save()
    audit.record(actor=actor, action="contacts.swapped", obj=company, company=company, changes=changes)
    _contacts_changed(company)
    return changes


def _prefixed(kind: str, changes: Changes) -> Changes:
    return {f"{kind}.{name}": pair for name, pair in changes.items()}


def _contacts_changed(company: Company) -> None:
    """Contacts are part of what a company's version covers; the instance shows what was just written."""
    Company.objects.filter(pk=company.pk).update(version=F("version") + 1)
    company.version += 1
    getattr(company, "_prefetched_objects_cache", {}).pop("contacts", None)


# --- User accounts ------------------------------------------------------------------------------


@transaction.atomic
def user_create(
    *,
    company: Company,
    actor: Actor,
    login: str,
    email: str,
    role: str = Role.VIEWER,
    all_shops: bool = True,
    shops: list[Shop] | None = None,
    password: str | None = None,
    notify: bool = True,
    **fields: Any,
) -> User:
    """Create a user of a company and, unless `notify` is False, mail the identifier and a link.

    Args:
        password: None gives an unusable one; the link of the mail sets it.
        shops: what the account covers when `all_shops` is False.
    """
    user = User(company=company, login=login, email=email, **fields)
    if password is None:
        user.set_unusable_password()
    else:
        _check_password(password, user)
        user.set_password(password)
    user.full_clean()
    user.save()
    membership = Membership(user=user, company=company, role=role, all_shops=all_shops)
    membership.full_clean()
    membership.save()
    membership.shops.set(shops or [])
    shown = {"login": login, "email": email, "role": role, "shops": _shops_text(membership), **fields}
    audit.record(actor=actor, action="user.created", obj=user, company=company, changes=audit.creation(shown))
    if notify:
        publish(
            type="user_account.created", company=company, account=user, data={"link": not user.has_usable_password()}
        )
    return user


@transaction.atomic
def user_update(
    *,
    user: User,
    actor: Actor,
    company: Company | None = None,
    role: str | None = None,
    all_shops: bool | None = None,
    shops: list[Shop] | None = None,
    notify: bool = True,
    tell_former: bool = True,
    **fields: Any,
) -> Changes:
    """Change an account, its role or its shops.

    The owner is told of every change but the language; when the address changes, the former
    address is told too (DESIGN 4.10) unless `tell_former` is False. Staff accounts (no company) are changed silently.
    """
    company = company or user.company
    former_email = user.email
    was_administered = company is not None and _has_administrator(company)
    changes = audit.apply(user, fields)
    if changes:
        user.full_clean(exclude=["password"])
        user.save()
    membership = Membership.objects.filter(user=user, company=company).first() if company else None
    if membership is not None:
        changes |= _membership_changes(membership, role, all_shops, shops)
    if not changes:
        return changes
    # An operator's file may leave a company without administrator for a while; a person may not.
    if actor.user is not None and company is not None and was_administered and not _has_administrator(company):
        raise ValidationError(
            _("C'est le dernier administrateur actif de la société : il ne peut être ni désactivé ni rétrogradé.")
        )
    audit.record(actor=actor, action="user.updated", obj=user, company=company, changes=changes)
    told = sorted(_TOLD_FIELDS & changes.keys())
    if notify and company is not None and told:
        publish(type="user_account.modified", company=company, account=user, data={"changed": told})
        if tell_former and "email" in changes and addresses.normalise(former_email) != addresses.normalise(user.email):
            publish(
                type="account.address_changed",
                company=company,
                account=user,
                data={"new_address": user.email},
                occasion={"address": former_email, "former": True},
            )
    return changes


def _has_administrator(company: Company) -> bool:
    return Membership.objects.filter(company=company, role=Role.ADMINISTRATOR, user__is_active=True).exists()


def _membership_changes(
    membership: Membership, role: str | None, all_shops: bool | None, shops: list[Shop] | None
) -> Changes:
    wanted = {name: value for name, value in (("role", role), ("all_shops", all_shops)) if value is not None}
    before = _shops_text(membership)
    changes = audit.apply(membership, wanted)
    if changes:
        membership.full_clean()
        membership.save()
    changes.pop("all_shops", None)
    if shops is not None:
        membership.shops.set(shops)
    after = _shops_text(membership)
    if before != after:
        changes["shops"] = [before, after]
    return changes


def _shops_text(membership: Membership) -> str:
    if membership.all_shops:
        return "*"
    return ", ".join(membership.shops.order_by("site_id").values_list("site_id", flat=True))


@transaction.atomic
def user_set_password(*, user: User, password: str, actor: Actor, notify: bool = True) -> None:
    """Set a password after checking its strength; ends every open session of the user.

    The account's address is told, unless `notify` is False (the first password of an account).
    """
    _check_password(password, user)
    first = not user.has_usable_password()
    _password_store(user, password, actor, before="" if first else audit.MASK)
    if notify and not first and user.company is not None:
        publish(type="account.password_changed", company=user.company, account=user)


@transaction.atomic
def user_password_provisioned(*, user: User, password: str, actor: Actor, notify: bool) -> None:
    """Set the password an operator's file gives, taken as it is; the owner is told if `notify`."""
    _password_store(user, password, actor, before=audit.MASK)
    if notify and user.company is not None:
        publish(type="user_account.modified", company=user.company, account=user, data={"changed": ["password"]})


def _password_store(user: User, password: str, actor: Actor, *, before: str) -> None:
    """Write a password and its masked history entry."""
    user.set_password(password)
    user.save(update_fields=["password"])
    audit.record(
        actor=actor,
        action="user.password_changed",
        obj=user,
        company=user.company,
        changes={"password": [before, audit.MASK]},
    )


@transaction.atomic
def password_reset_request(*, user: User) -> None:
    """Mail a single-use link to set a new password; silent for accounts that cannot log in."""
    if user.is_active and user.company is not None:
        publish(type="account.password_reset_requested", company=user.company, account=user)


def _check_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValidationError({"password": error.messages}) from error


# --- SFTP accounts ------------------------------------------------------------------------------


@transaction.atomic
def sftp_account_create(
    *, company: Company, actor: Actor, login: str, email: str, notify: bool = True, **fields: Any
) -> SftpAccount:
    """Create an SFTP account with a generated password, revealed once through the mailed link."""
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
    return account


@transaction.atomic
def sftp_account_update(
    *, account: SftpAccount, actor: Actor, notify: bool = True, tell_former: bool = True, **fields: Any
) -> Changes:
    """Change an SFTP account; its address, and unless `tell_former` is False a former one, are told."""
    former_email = account.email
    changes = audit.apply(account, fields)
    if not changes:
        return changes
    account.full_clean()
    account.save()
    audit.record(actor=actor, action="sftp_account.updated", obj=account, company=account.company, changes=changes)
    told = sorted(_TOLD_FIELDS & changes.keys())
    if notify and told:
        publish(type="sftp_account.modified", company=account.company, account=account, data={"changed": told})
        former = addresses.normalise(former_email)
        if tell_former and "email" in changes and former != addresses.normalise(account.email):
            publish(
                type="account.address_changed",
                company=account.company,
                account=account,
                data={"new_address": account.email},
                occasion={"address": former_email, "former": True, "sftp": True},
            )
    return changes


@transaction.atomic
def sftp_password_reset(*, account: SftpAccount, actor: Actor) -> None:
    """Generate a new password and mail a link that reveals it once."""
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
