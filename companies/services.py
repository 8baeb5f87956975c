"""Writes on companies, contacts and accounts: one transaction each, audited, announced.

Every function is keyword-only and takes the `actor` that the history names. Each raises
ValidationError with messages by field and then leaves nothing written.
"""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from backoffice.base import limits
from backoffice.text import addresses
from companies import announcements, audit, status
from companies.audit import Actor, Changes
from companies.models import Company, Contact
from notifications.health import verification

CONTACT_FIELDS = ("title", "first_name", "last_name", "email", "phone")


@transaction.atomic
def company_create(
    *,
    actor: Actor,
    manager_contact: Mapping[str, Any] | None = None,
    technical_contact: Mapping[str, Any] | None = None,
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
    verification.addresses_saved(company=company, saved=company.incident_emails, actor=actor)
    if manager_contact:
        contact_save(company=company, kind=Contact.Kind.MANAGER, actor=actor, **manager_contact)
    if technical_contact:
        contact_save(company=company, kind=Contact.Kind.TECHNICAL, actor=actor, **technical_contact)
    return company


@transaction.atomic
def company_update(*, company: Company, actor: Actor, seen: int | None = None, **fields: Any) -> Changes:
    """Change columns of a company; returns what changed, {} when nothing did.

    Args:
        seen: the version the writer saw; StaleVersion when the row has moved on.
    """
    status.ensure_open(actor=actor, company=company)
    _lock(company)
    audit.check_seen(seen, company.version)
    if "incident_emails" in fields:
        if len(fields["incident_emails"]) > limits.MAX_ADDRESSES:
            raise ValidationError({"incident_emails": limits.too_many(len(fields["incident_emails"]))})
        fields["incident_emails"] = addresses.unique(address.strip() for address in fields["incident_emails"])
    changes = audit.apply(company, fields)
    if changes:
        company.full_clean()
        company.version += 1
        company.save()
        audit.record(actor=actor, action="company.updated", obj=company, company=company, changes=changes)
    if "incident_emails" in changes:
        before, after = changes["incident_emails"]
        verification.addresses_saved(company=company, saved=set(after) - set(before), actor=actor)
    return changes


@transaction.atomic
def company_set_status(*, company: Company, actor: Actor, state: str, reason: str, notify: bool = True) -> Changes:
    """Suspend, close or open again a company; returns what changed. For the platform's team.

    Tells the Contact gestionnaire and the managers of its shops, unless `notify` is False.

    Args:
        state: one of Status.
        reason: shown to the merchant; required unless the company becomes active.
    """
    company = Company.objects.select_for_update().get(pk=company.pk)
    changes = status.change(company, company=company, actor=actor, state=state, reason=reason)
    if notify:
        announcements.company_status_changed(company, changes)
    return changes


@transaction.atomic
def contact_save(*, company: Company, kind: str, actor: Actor, notify: bool = True, **fields: Any) -> Changes:
    """Create or change one of the two contacts; absent fields stay as they are.

    Where the address of the Contact gestionnaire is replaced, the former and the new one are told, unless
    `notify` is False.
    """
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
        if notify and not created and kind == Contact.Kind.MANAGER and "email" in changes:
            announcements.manager_replaced(company, changes["email"], actor)
    if created or "email" in changes:
        verification.addresses_saved(company=company, saved=[contact.email], actor=actor)
    return changes


@transaction.atomic
def technical_contact_remove(*, company: Company, actor: Actor, seen: int | None = None) -> bool:
    """Remove the technical contact; False when there was none.

    Args:
        seen: the company's version that the writer saw; StaleVersion when it has moved on.
    """
    status.ensure_open(actor=actor, company=company)
    _lock(company)
    audit.check_seen(seen, company.version)
    contact = Contact.objects.filter(company=company, kind=Contact.Kind.TECHNICAL).first()
    if contact is None:
        return False
    changes = {f"technical.{name}": [getattr(contact, name), None] for name in CONTACT_FIELDS if getattr(contact, name)}
    audit.record(actor=actor, action="contact.deleted", obj=contact, company=company, changes=changes)
    contact.delete()
    _contacts_changed(company)
    return True


@transaction.atomic
def contacts_swap(*, company: Company, actor: Actor, seen: int | None = None) -> Changes:
    """Exchange the Contact gestionnaire and the Contact technique; both addresses are told.

    Args:
        seen: the company's version that the writer saw; StaleVersion when it has moved on.
    """
    status.ensure_open(actor=actor, company=company)
    _lock(company)
    audit.check_seen(seen, company.version)
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
    if "manager.email" in changes:
        announcements.manager_replaced(company, changes["manager.email"], actor)
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


# --- Rights ---------------------------------------------------------------------------------------


# --- SFTP accounts ------------------------------------------------------------------------------
