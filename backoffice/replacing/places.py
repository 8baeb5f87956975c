"""Where an address stands in the settings of a company: each field or list is one place.

A shop that inherits is no place. Disabled rules and accounts are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from django.utils.translation import gettext as _

from backoffice.text import addresses
from companies.models import Company, Contact, Membership, SftpAccount, User
from companies.rights import access, permissions
from companies.rights import readers as account_readers
from notifications import readers
from notifications.core import wording
from notifications.core.catalogue import SHOP_MANAGER_SYMBOL, RuleType
from notifications.models import NotificationRule
from shops.models import Shop

# As the history has an object: type of object, key.
Key = tuple[str, str]


class PlaceKind(StrEnum):
    """The kinds of places, in the order of the roles of the delivery tables."""

    MANAGER = "company_manager"
    TECHNICAL = "technical_contact"
    INCIDENT = "incident_contact"
    SHOP = "shop_manager"
    RULE = "rule"
    USER = "user"
    SFTP = "sftp_account"


PERMISSIONS = {
    PlaceKind.MANAGER: permissions.MANAGE_COMPANY,
    PlaceKind.TECHNICAL: permissions.MANAGE_COMPANY,
    PlaceKind.INCIDENT: permissions.MANAGE_COMPANY,
    PlaceKind.SHOP: permissions.EDIT_SETTINGS,
    PlaceKind.RULE: permissions.MANAGE_RULES,
    PlaceKind.USER: permissions.MANAGE_USERS,
    PlaceKind.SFTP: permissions.MANAGE_USERS,
}
# Account mail opens the account: whoever redirects it proves who they are.
OF_ACCOUNTS = (PlaceKind.USER, PlaceKind.SFTP)


@dataclass(frozen=True)
class Place:
    """One field or list in which an address stands.

    Attributes:
        obj: whose field it is.
        shop: the shop it belongs to, if any.
        value: what the field or list holds.
    """

    kind: PlaceKind
    obj: Any
    value: str | tuple[str, ...]
    shop: Shop | None = None

    @property
    def role(self) -> str:
        """Its name, as the roles of the delivery tables have it."""
        match self.kind:
            case PlaceKind.SHOP:
                return f"{self.kind}:{self.obj.site_id}"
            case PlaceKind.RULE:
                assert self.shop is not None
                return f"{self.kind}:{self.shop.site_id}/{self.obj.reference}"
            case PlaceKind.USER | PlaceKind.SFTP:
                return f"{self.kind}:{self.obj.login}"
        return self.kind.value

    @property
    def label(self) -> str:
        """Its name on screens."""
        match self.kind:
            case PlaceKind.MANAGER:
                return _("Contact gestionnaire")
            case PlaceKind.TECHNICAL:
                return _("Contact technique")
            case PlaceKind.INCIDENT:
                return _("E-mail(s) de contact en cas d'incident")
            case PlaceKind.SHOP:
                return _("E-mail gestionnaire de la boutique %(shop)s") % {"shop": self.obj.name}
            case PlaceKind.RULE:
                assert self.shop is not None
                told = {"rule": wording.rule_label(self.obj.label), "shop": self.shop.name}
                return _("Règle « %(rule)s » de la boutique %(shop)s") % told
            case PlaceKind.USER:
                return _("Compte utilisateur %(login)s") % {"login": self.obj.login}
        return _("Compte SFTP %(login)s") % {"login": self.obj.login}

    @property
    def must_hold_one(self) -> bool:
        """Whether the field cannot be left without an address."""
        return self.kind in (PlaceKind.MANAGER, *OF_ACCOUNTS)

    @property
    def cannot_be_emptied(self) -> bool:
        """Whether removing its only address is refused: also of a rule that writes to the merchant."""
        is_mail = self.kind is PlaceKind.RULE and self.obj.type == RuleType.MERCHANT_EMAIL
        return self.must_hold_one or (is_mail and len(self.value) == 1)


@lru_cache(maxsize=4096)
def _key(address: str) -> str:
    return addresses.normalise(address)


def _is(address: str, wanted: str) -> bool:
    return bool(address) and address != SHOP_MANAGER_SYMBOL and _key(address) == wanted


def places_of(company: Company, address: str, *, reader: Membership | None = None) -> list[Place]:
    """Every place where an address stands, compared as everywhere, in the order of the roles.

    Args:
        company: as it is now.
        reader: only what this user may know of; None for all.
    """
    wanted = _key(addresses.bare(address))
    return [
        *_of_company(company, wanted),
        *_of_shops(company, wanted, reader),
        *_of_accounts(company, wanted, reader),
    ]


def _of_company(company: Company, wanted: str) -> Iterator[Place]:
    contacts = {contact.kind: contact for contact in Contact.objects.filter(company=company)}
    for kind, contact_kind in (
        (PlaceKind.MANAGER, Contact.Kind.MANAGER),
        (PlaceKind.TECHNICAL, Contact.Kind.TECHNICAL),
    ):
        contact = contacts.get(contact_kind)
        if contact is not None and _is(contact.email, wanted):
            yield Place(kind, contact, contact.email)
    if any(_is(address, wanted) for address in company.incident_emails):
        yield Place(PlaceKind.INCIDENT, company, tuple(company.incident_emails))


def _of_shops(company: Company, wanted: str, reader: Membership | None) -> Iterator[Place]:
    seen = Shop.objects.filter(company=company) if reader is None else access.shops_of(reader)
    shops = {shop.pk: shop for shop in seen.order_by("site_id")}
    for shop in shops.values():
        shop.company = company
        if _is(shop.manager_email, wanted):
            yield Place(PlaceKind.SHOP, shop, shop.manager_email, shop)
    for rule in sorted(_rules(company, shops, wanted), key=lambda rule: (shops[rule.shop_id].site_id, rule.reference)):
        rule.shop = shops[rule.shop_id]
        yield Place(PlaceKind.RULE, rule, tuple(rule.recipients), rule.shop)


def _rules(company: Company, shops: dict[int, Shop], wanted: str) -> Iterator[NotificationRule]:
    """The rules in use that name the address; thousands of others are looked at without being loaded."""
    rules = readers.live_rules(company, None)
    listed = rules.order_by().values_list("pk", "shop_id", "recipients")
    keys = [
        key
        for key, shop, recipients in listed.iterator()
        if shop in shops and any(_is(one, wanted) for one in recipients)
    ]
    for start in range(0, len(keys), 500):
        yield from rules.defer(None).filter(pk__in=keys[start : start + 500])


def _of_accounts(company: Company, wanted: str, reader: Membership | None) -> Iterator[Place]:
    users, sftp = User.objects.all(), SftpAccount.objects.all()
    if reader is not None:
        users, sftp = account_readers.users_for(reader), account_readers.sftp_accounts_for(reader)
    for user in users.filter(company=company).order_by("login"):
        if _is(user.email, wanted):
            yield Place(PlaceKind.USER, user, user.email)
    for account in sftp.filter(company=company).order_by("login"):
        if _is(account.email, wanted):
            yield Place(PlaceKind.SFTP, account, account.email)


def may_change(membership: Membership, place: Place) -> bool:
    """Whether a user may change what stands at a place."""
    return access.can(membership, PERMISSIONS[place.kind], place.shop)


def replaced(place: Place, old: str, new: str | None) -> str | list[str]:
    """What the field or list holds once `new` stands where `old` does; None removes it."""
    if isinstance(place.value, str):
        return new or ""
    wanted = _key(addresses.bare(old))
    kept = [new if _is(one, wanted) else one for one in place.value]
    return addresses.unique(one for one in kept if one is not None)
