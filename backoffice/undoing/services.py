"""Reverting a set of changes by the former values in their history entries.

The notice after a change links to its entries, see `companies/history/taking_back.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from companies import audit, services
from companies.audit import Actor
from companies.history import sentences
from companies.models import AuditEntry, Company, Contact, Membership, SftpAccount, User
from companies.rights import access, permissions
from companies.services import CONTACT_FIELDS
from companies.team import services as team_services
from notifications.models import NotificationRule
from notifications.readers import rules_of
from notifications.rules import services as rule_services
from shops import services as shop_services
from shops.models import Shop

# What a change of this kind takes, and so taking it back.
PERMISSIONS = {
    "contact": permissions.MANAGE_COMPANY,
    "company": permissions.MANAGE_COMPANY,
    "shop": permissions.EDIT_SETTINGS,
    "notificationrule": permissions.MANAGE_RULES,
    "user": permissions.MANAGE_USERS,
    "sftpaccount": permissions.MANAGE_USERS,
}
OF_ACCOUNTS = ("user", "sftpaccount")


class ChangedSince(ValidationError):
    """Something was changed again: nothing is taken back."""


# --- Taking back ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Step:
    """One entry with its object as it is now, and the columns to set back: name → (before, after)."""

    entry: AuditEntry
    obj: Any
    columns: dict[str, tuple[Any, Any]]

    @property
    def is_as_left(self) -> bool:
        """Whether the object still has what this entry gave it."""
        if self.entry.action == "contact.deleted":
            return self.obj is None
        return self.obj is not None and all(
            audit.plain(getattr(self.obj, name)) == after for name, (_before, after) in self.columns.items()
        )

    @property
    def before(self) -> dict[str, Any]:
        return {name: before for name, (before, _after) in self.columns.items()}


def may_undo(membership: Membership, entries: Sequence[AuditEntry]) -> bool:
    """Whether the user still has every right that the changes took."""
    shops = {shop.pk: shop for shop in Shop.objects.filter(company_id=membership.company_id)}
    return all(
        access.can(membership, PERMISSIONS[entry.object_type], shops.get(entry.shop_id or 0)) for entry in entries
    )


@transaction.atomic
def undo(*, company: Company, entries: Sequence[AuditEntry], actor: Actor) -> None:
    """Set everything back, or nothing; owners of accounts and the Contact gestionnaire are told as of any change.

    Raises:
        ChangedSince: naming what has been changed meanwhile.
    """
    company = Company.objects.select_for_update().get(pk=company.pk)
    steps = [_step(company, entry) for entry in reversed(entries)]
    changed = [
        sentences.object_label(step.entry.object_type, step.entry.object_label) for step in steps if not step.is_as_left
    ]
    if changed:
        told = _("Rien n'est annulé : %(objects)s a changé depuis.") % {
            "objects": ", ".join(dict.fromkeys(changed[:5]))
        }
        raise ChangedSince(told)
    for step in steps:
        _set_back(company, step, actor)


def _step(company: Company, entry: AuditEntry) -> _Step:
    columns = {name: (pair[0], pair[1]) for name, pair in entry.changes.items()}
    if entry.object_type == "contact":
        kind = next(iter(columns)).partition(".")[0]
        named = {name.partition(".")[2]: pair for name, pair in columns.items()}
        return _Step(entry, Contact.objects.filter(company=company, kind=kind).first(), named)
    obj = _object(company, entry)
    # What follows from a column, as the verified address does from that of an account, is no column set here.
    return _Step(entry, obj, {name: pair for name, pair in columns.items() if obj is None or hasattr(obj, name)})


def _object(company: Company, entry: AuditEntry) -> Any:
    match entry.object_type:
        case "company":
            return company
        case "shop":
            return Shop.objects.select_related("company").filter(company=company, pk=entry.object_id).first()
        case "notificationrule":
            return _rule(company, entry)
        case "user":
            return User.objects.filter(company=company, pk=entry.object_id).first()
    return SftpAccount.objects.select_related("company").filter(company=company, pk=entry.object_id).first()


def _rule(company: Company, entry: AuditEntry) -> NotificationRule | None:
    shop = Shop.objects.select_related("company").filter(company=company, pk=entry.shop_id or 0).first()
    rule = rules_of(shop).filter(pk=entry.object_id).first() if shop else None
    if rule is not None and shop is not None:
        rule.shop = shop
    return rule


def _set_back(company: Company, step: _Step, actor: Actor) -> None:
    match step.entry.object_type:
        case "contact":
            _contact_back(company, step, actor)
        case "company":
            services.company_update(company=company, actor=actor, **step.before)
        case "shop":
            shop_services.shop_update(shop=step.obj, actor=actor, **step.before)
        case "notificationrule" if step.entry.action == "rule.created":
            rule_services.rule_archive(rule=step.obj, actor=actor)
        case "notificationrule":
            rule_services.rule_update(rule=step.obj, actor=actor, **step.before)
        case "user":
            team_services.user_update(user=step.obj, company=company, actor=actor, **step.before)
        case _sftp:
            team_services.sftp_account_update(account=step.obj, actor=actor, **step.before)


def _contact_back(company: Company, step: _Step, actor: Actor) -> None:
    if step.entry.action == "contact.created":
        services.technical_contact_remove(company=company, actor=actor)
        return
    kind = step.obj.kind if step.obj is not None else Contact.Kind.TECHNICAL
    fields: dict[str, Any] = {name: value or "" for name, value in step.before.items() if name in CONTACT_FIELDS}
    services.contact_save(company=company, kind=kind, actor=actor, **fields)


def page_of(company: Company, entries: Sequence[AuditEntry]) -> str:
    """Where what was changed stands: the page of the one object, or the addresses it all is about."""
    objects = {(entry.object_type, entry.object_id) for entry in entries}
    if {kind for kind, _key in objects} <= {"company", "contact"}:
        return reverse("company_settings")
    entry = entries[0]
    if len(objects) == 1 and entry.object_type == "shop" and entry.shop:
        return reverse("shop_configuration", args=[entry.shop.site_id])
    if len(objects) == 1 and entry.object_type == "notificationrule" and (rule := _rule(company, entry)):
        return f"{reverse('rules')}?{urlencode({'shop': rule.shop.site_id, 'rule': rule.reference})}"
    return reverse("addresses")
