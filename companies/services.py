"""Writes on companies, contacts and accounts: one transaction each, audited, announced.

Every function is keyword-only and takes the `actor` that the history names. Each raises
ValidationError with messages by field and then leaves nothing written.
"""

import secrets
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from notifications import addresses
from notifications.services import publish
from shops.models import Shop

from . import access, audit, permissions, security, status
from .audit import Actor, Changes
from .models import Company, Contact, Membership, MembershipShop, Role, SftpAccount, User
from .permissions import Access

CONTACT_FIELDS = ("title", "first_name", "last_name", "email", "phone")
# Changes of an account that its owner is told about; a language is not one (DESIGN 3).
_TOLD_FIELDS = frozenset({"login", "first_name", "last_name", "title", "email", "is_active", "role", "shops", "rights"})
_USER_FIELDS = ("login", "email", "title", "first_name", "last_name", "phone", "language", "time_zone", "is_active")
_SFTP_FIELDS = ("login", "email", "language", "is_active")
# Shop key → the permissions on that shop, None for those that the membership has in general.
Grants = Mapping[int, frozenset[str] | None]


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
    status.ensure_open(actor=actor, company=company)
    _lock(company)
    audit.check_seen(version, company.version)
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
def company_set_status(*, company: Company, actor: Actor, state: str, reason: str) -> Changes:
    """Suspend, close or open again a company; returns what changed. For the platform's team.

    Args:
        state: one of Status.
        reason: shown to the merchant; required unless the company becomes active.
    """
    company = Company.objects.select_for_update().get(pk=company.pk)
    return status.change(company, company=company, actor=actor, state=state, reason=reason)


@transaction.atomic
def contact_save(*, company: Company, kind: str, actor: Actor, **fields: str) -> Changes:
    """Create or change one of the two contacts; absent fields stay as they are."""
    status.ensure_open(actor=actor, company=company)
    _lock(company)
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
def technical_contact_remove(*, company: Company, actor: Actor, version: int | None = None) -> bool:
    """Remove the technical contact; False when there was none.

    Args:
        version: the company's version that the writer saw; StaleVersion when it has moved on.
    """
    status.ensure_open(actor=actor, company=company)
    _lock(company)
    audit.check_seen(version, company.version)
    contact = Contact.objects.filter(company=company, kind=Contact.Kind.TECHNICAL).first()
    if contact is None:
        return False
    changes = {f"technical.{name}": [getattr(contact, name), None] for name in CONTACT_FIELDS if getattr(contact, name)}
    audit.record(actor=actor, action="contact.deleted", obj=contact, company=company, changes=changes)
    contact.delete()
    _contacts_changed(company)
    return True


@transaction.atomic
def contacts_swap(*, company: Company, actor: Actor, version: int | None = None) -> Changes:
    """Exchange the Contact gestionnaire and the Contact technique.

    Args:
        version: the company's version that the writer saw; StaleVersion when it has moved on.
    """
    status.ensure_open(actor=actor, company=company)
    _lock(company)
    audit.check_seen(version, company.version)
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


def _lock(company: Company) -> None:
    """Hold the row until the transaction ends, and bring the instance up to date: a stale one saves nothing old."""
    company.refresh_from_db(from_queryset=Company.objects.select_for_update())


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
    own: frozenset[str] | None = None,
    grants: Grants | None = None,
    password: str | None = None,
    notify: bool = True,
    **fields: Any,
) -> User:
    """Create a user of a company and, unless `notify` is False, mail the identifier and a link.

    Args:
        password: None gives an unusable one; the link of the mail sets it.
        role, own, all_shops, shops, grants: the rights, see `user_update`.

    Raises:
        ValidationError: also when the actor would grant a right that they do not have.
    """
    status.ensure_open(actor=actor, company=company)
    user = User(company=company, login=login, email=email, **fields)
    if password is None:
        user.set_unusable_password()
    else:
        _check_password(password, user)
        user.set_password(password)
    user.full_clean()
    user.save()
    membership = Membership(user=user, company=company)
    rights = _rights_save(membership, role=role, own=own, all_shops=all_shops, shops=shops or [], grants=grants)
    _refuse_beyond(_may_grant(actor, company), access.access_of(membership))
    # A new account has no rights to have changed from: the history shows what it starts with.
    started = {"login": login, "email": email, "role": role, "shops": _shops_text(membership), **fields}
    own_rights = {name: pair for name, pair in rights.items() if name.startswith("rights")}
    audit.record(
        actor=actor, action="user.created", obj=user, company=company, changes=audit.creation(started) | own_rights
    )
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
    own: frozenset[str] | None = None,
    grants: Grants | None = None,
    notify: bool = True,
    tell_former: bool = True,
    seen: str | None = None,
    **fields: Any,
) -> Changes:
    """Change an account, its role or its shops.

    The owner is told of every change but the language; when the address changes, the former
    address is told too (DESIGN 4.10) unless `tell_former` is False. Staff accounts (no company) are changed silently.

    Args:
        role: gives what the role grants and takes back any permissions of one's own.
        own: permissions instead of those of the role; only together with `role`.
        all_shops: whether the rights hold on every shop, also those still to come.
        shops: the shops covered, with the rights in general.
        grants: instead of `shops`, shop key → permissions on that shop (None: those in general).
        seen: the `fingerprint` of what the writer saw; StaleVersion when the account has changed since.

    Raises:
        ValidationError: also when the actor acts on, or would grant, a right that they do not have,
            and when the company would lose its last active administrator.
    """
    company = company or user.company
    asks_rights = any(value is not None for value in (role, all_shops, shops, grants))
    watched = _lock_companies(user, company) if asks_rights or "is_active" in fields or seen is not None else []
    _lock_account(user)
    if seen is not None:
        audit.check_seen(seen, fingerprint(user, company))
    former_email = user.email
    membership = Membership.objects.filter(user=user, company=company).first() if company else None
    limit = _may_grant(actor, company)
    if membership is not None and actor.user != user:
        _refuse_beyond(limit, access.access_of(membership))
    changes = audit.apply(user, fields)
    if changes:
        user.full_clean(exclude=["password"])
        user.save()
        if not user.is_active:
            security.sessions_drop(user)
    if membership is not None and asks_rights:
        changes |= _rights_save(membership, role=role, own=own, all_shops=all_shops, shops=shops, grants=grants)
        _refuse_beyond(limit, access.access_of(membership))
    if not changes:
        return changes
    if company is not None and actor.user != user and changes != {"is_active": [True, False]}:
        status.ensure_open(actor=actor, company=company)
    _keep_an_administrator(actor, watched)
    audit.record(actor=actor, action="user.updated", obj=user, company=company, changes=changes)
    told = sorted({name.partition(".")[0] for name in changes} & _TOLD_FIELDS)
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


def fingerprint(account: User | SftpAccount, company: Company | None = None) -> str:
    """What a form was opened on, to tell a second writer that it has changed; a short text.

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
        _lock_companies(account, company)
    _lock_account(account)
    if seen is not None:
        audit.check_seen(seen, fingerprint(account, company))


def _lock_account(account: User | SftpAccount) -> None:
    rows: Any = account._meta.model._default_manager.select_for_update(of=("self",)).select_related("company")
    account.refresh_from_db(from_queryset=rows)


@transaction.atomic
def user_invite(*, user: User, actor: Actor, company: Company | None = None) -> None:
    """Mail the identifier and a new link to somebody who has not chosen a password yet.

    Raises:
        ValidationError: the account has a password, or cannot log in.
    """
    company = company or user.company
    assert company is not None
    _may_act_on(actor, user, company)
    status.ensure_open(actor=actor, company=company)
    if user.state != User.State.INVITED:
        raise ValidationError(_("Ce compte n'attend pas d'invitation : il a un mot de passe, ou il est désactivé."))
    audit.record(actor=actor, action="user.invited", obj=user, company=company)
    publish(type="user_account.created", company=company, account=user, data={"link": True})


@transaction.atomic
def user_reset(*, user: User, actor: Actor, company: Company | None = None) -> None:
    """Make the password of an account worthless at once, end its sessions, and mail a link to choose another.

    Raises:
        ValidationError: the account is disabled.
    """
    company = company or user.company
    assert company is not None
    _may_act_on(actor, user, company)
    if not user.is_active:
        raise ValidationError(_("Ce compte est désactivé : réactivez-le d'abord."))
    had_one = user.has_usable_password()
    user.set_unusable_password()
    _unlocked(user)
    user.save(update_fields=["password", "failed_logins", "locked_until"])
    security.access_drop(user)
    changes = {"password": [audit.MASK if had_one else "", ""]}
    audit.record(actor=actor, action="user.password_reset", obj=user, company=company, changes=changes)
    publish(type="user_account.modified", company=company, account=user, data={"changed": ["password"], "link": True})


@transaction.atomic
def user_unlock(*, user: User, actor: Actor, company: Company | None = None) -> bool:
    """Let a locked account try again at once; False when it was not locked."""
    company = company or user.company
    if company is not None:
        _may_act_on(actor, user, company)
    if not user.is_locked:
        return False
    _unlocked(user)
    user.save(update_fields=["failed_logins", "locked_until"])
    audit.record(actor=actor, action="user.unlocked", obj=user, company=company)
    if company is not None:
        publish(type="user_account.modified", company=company, account=user, data={"changed": ["is_active"]})
    return True


def _unlocked(user: User) -> None:
    user.failed_logins, user.locked_until = 0, None


def _may_act_on(actor: Actor, user: User, company: Company) -> None:
    """Refuse to act on an account that has rights beyond the actor's, or that another company manages."""
    if actor.user is not None and not actor.user.is_staff and user.company_id != company.pk:
        raise ValidationError(_("Ce compte est géré par une autre société : vous ne réglez que ses droits chez vous."))
    membership = Membership.objects.filter(user=user, company=company).first()
    if membership is not None and actor.user != user:
        _refuse_beyond(_may_grant(actor, company), access.access_of(membership))


@transaction.atomic
def membership_remove(*, membership: Membership, actor: Actor) -> None:
    """Take back the access of an account to a company; the account itself stays.

    Raises:
        ValidationError: the actor has not all of its rights, or it is the last active administrator.
    """
    user, company = membership.user, membership.company
    watched = _lock_companies(user, company)
    _refuse_beyond(_may_grant(actor, company), access.access_of(membership))
    changes: Changes = {"access": [str(company), None], "role": [membership.role, None]}
    membership.delete()
    _keep_an_administrator(actor, watched)
    audit.record(actor=actor, action="user.access_removed", obj=user, company=company, changes=changes)


# --- Rights ---------------------------------------------------------------------------------------


def _may_grant(actor: Actor, company: Company | None) -> Access | None:
    """What the actor may grant in a company, read before anything changes; None: not bound by rights.

    Operators' commands and the platform's team are not bound.
    """
    if actor.user is None or actor.user.is_staff:
        return None
    mine = Membership.objects.filter(user=actor.user, company=company).first()
    return access.access_of(mine) if mine else Access(permissions.NOTHING, all_shops=False)


def _refuse_beyond(limit: Access | None, wanted: Access) -> None:
    """Refuse rights beyond `limit`: nobody grants, or acts upon, more than they have themselves."""
    if limit is not None and not limit.covers(wanted):
        raise ValidationError(
            _("Ce compte aurait, ou a, des droits que vous n'avez pas vous-même. Demandez à un administrateur."),
            code="beyond",
        )


def _lock_companies(user: User, company: Company | None) -> list[tuple[Company, bool]]:
    """Lock the companies whose administrators a change may concern, each with whether it has one now.

    Two people who disable each other at the same moment wait for one another here.
    """
    keys = set(Membership.objects.filter(user=user, role=Role.ADMINISTRATOR).values_list("company_id", flat=True))
    if company is not None:
        keys.add(company.pk)
    locked = Company.objects.select_for_update().filter(pk__in=keys).order_by("pk")
    return [(found, _has_administrator(found)) for found in locked]


def _keep_an_administrator(actor: Actor, watched: list[tuple[Company, bool]]) -> None:
    """Refuse a change that takes its last active administrator from a company.

    An operator's file may leave a company without one for a while; a person may not.
    """
    if actor.user is None:
        return
    if any(had_one and not _has_administrator(company) for company, had_one in watched):
        raise ValidationError(
            _("C'est le dernier administrateur actif de la société : il ne peut être ni désactivé ni rétrogradé."),
            code="last_administrator",
        )


def _has_administrator(company: Company) -> bool:
    return Membership.objects.filter(company=company, role=Role.ADMINISTRATOR, user__is_active=True).exists()


def _rights_save(
    membership: Membership,
    *,
    role: str | None,
    own: frozenset[str] | None,
    all_shops: bool | None,
    shops: list[Shop] | None,
    grants: Grants | None,
) -> Changes:
    """Write the rights of a membership; what changed, as the history shows it."""
    before, before_text = _rights_shown(membership), _shops_text(membership)
    changes: Changes = {}
    if role is not None:
        changes |= audit.apply(membership, {"role": role})
        membership.permissions = None if own is None else permissions.complete(own)
    if all_shops is not None:
        membership.all_shops = all_shops
    membership.full_clean()
    membership.save()
    if grants is None and (shops is not None or role is not None):
        # Without rights of their own: a role and a list of shops mean exactly that.
        kept = (
            [shop.pk for shop in shops] if shops is not None else list(membership.grants.values_list("shop", flat=True))
        )
        grants = dict.fromkeys(kept)
    if grants is not None:
        _grants_save(membership, grants)
    access.forget(membership)
    after, after_text = _rights_shown(membership), _shops_text(membership)
    if before_text != after_text:
        changes["shops"] = [before_text, after_text]
    changes |= {
        name: [before.get(name), after.get(name)]
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }
    return changes


def _grants_save(membership: Membership, grants: Grants) -> None:
    known = set(Shop.objects.filter(company_id=membership.company_id).values_list("pk", flat=True))
    if not known.issuperset(grants):
        raise ValidationError({"shops": _("Les boutiques choisies doivent être celles de la société.")})
    wanted = {shop: None if codes is None else permissions.complete(codes) for shop, codes in grants.items()}
    if membership.role == Role.ADMINISTRATOR and any(codes is not None for codes in wanted.values()):
        raise ValidationError(_("Un administrateur a tous les droits sur chacune de ses boutiques."))
    stored = dict(membership.grants.values_list("shop_id", "permissions"))
    if membership.all_shops:
        # Named shops are exceptions there; one without rights of its own is none.
        wanted = {shop: codes for shop, codes in wanted.items() if codes is not None}
    membership.grants.exclude(shop__in=wanted).delete()
    differing = [shop for shop, codes in wanted.items() if shop not in stored or stored[shop] != codes]
    membership.grants.filter(shop__in=differing).delete()
    MembershipShop.objects.bulk_create(
        MembershipShop(membership=membership, shop_id=shop, permissions=wanted[shop]) for shop in differing
    )


def _rights_shown(membership: Membership) -> dict[str, list[str]]:
    """Permissions of one's own as the history keeps them: `rights`, and `rights.<site_id>` by shop."""
    if membership._state.adding:
        return {}
    named = membership.grants.filter(permissions__isnull=False).values_list("shop__site_id", "permissions")
    shown = {f"rights.{site_id}": permissions.ordered(codes or ()) for site_id, codes in named}
    if membership.permissions is not None:
        shown["rights"] = permissions.ordered(membership.permissions)
    return shown


def _shops_text(membership: Membership) -> str:
    if membership.all_shops:
        return "*"
    if membership._state.adding:
        return ""
    return ", ".join(membership.grants.order_by("shop__site_id").values_list("shop__site_id", flat=True))


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
    """Write a password and its masked history entry; whoever proves to own the address opens a lock."""
    user.set_password(password)
    _unlocked(user)
    user.save(update_fields=["password", "failed_logins", "locked_until"])
    security.access_drop(user)
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

    Args:
        seen: the `fingerprint` of what the writer saw; StaleVersion when the account has changed since.
    """
    _lock_account(account)
    audit.check_seen(seen, fingerprint(account))
    former_email = account.email
    changes = audit.apply(account, fields)
    if not changes:
        return changes
    if changes != {"is_active": [True, False]}:
        status.ensure_open(actor=actor, company=account.company)
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
