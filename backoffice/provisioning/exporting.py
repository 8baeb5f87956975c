"""The settings of a company as a document that `provision` takes back without changing anything."""

import hashlib
import json
from typing import Any

from django.db.models import Prefetch

from backoffice.schemas.settings import CompanyDocument
from companies.models import Company, Contact, Membership, SftpAccount, User
from companies.rights import permissions
from companies.services import CONTACT_FIELDS
from notifications.models import CompanyRelay, NotificationRule
from notifications.outbox import relays
from shops.models import Shop, ShopKey

# Given with `with_secrets`; the other keys, and all passwords, never leave.
_GIVEN_KEYS = (ShopKey.Kind.TEST, ShopKey.Kind.PRODUCTION, ShopKey.Kind.REST_TEST, ShopKey.Kind.REST_PRODUCTION)
_COMPANY = (
    "reference", "name", "registration_number", "address", "country", "language", "time_zone", "status",
    "status_reason", "newsletter_opt_out", "verify_addresses",
)  # fmt: skip
_SHOP = ("site_id", "name", "url", "language", "manager_email", "status", "status_reason")
_USER = ("login", "email", "title", "first_name", "last_name", "phone", "language", "time_zone")
_SFTP = ("login", "email", "language")
_RULE = (
    "reference", "type", "label", "enabled", "triggers", "conditions", "recipients", *NotificationRule.URL_FIELDS,
    "http_confirmed", "auto_retry", "profile",
)  # fmt: skip


def export(company: Company, *, with_secrets: bool = False) -> CompanyDocument:
    """The document of a company, in a number of queries that does not grow with its shops.

    Args:
        with_secrets: with the form and REST keys of each shop; passwords stay out in any case.
    """
    contacts = {contact.kind: contact for contact in Contact.objects.filter(company=company)}
    document = _values(company, _COMPANY)
    for kind, key in ((Contact.Kind.MANAGER, "manager_contact"), (Contact.Kind.TECHNICAL, "technical_contact")):
        if contact := contacts.get(kind):
            document[key] = _values(contact, CONTACT_FIELDS)
        elif kind == Contact.Kind.TECHNICAL:
            document[key] = None
    document["incident_emails"] = company.incident_emails
    document["mail_server"] = _mail_server(company)
    document["users"] = user_documents(company)
    document["sftp_accounts"] = sftp_documents(company)
    document["shops"] = [
        _shop(shop, with_secrets=with_secrets) for shop in _shops(company, *(["keys"] if with_secrets else []))
    ]
    return CompanyDocument.of(document)


def _mail_server(company: Company) -> dict[str, Any] | None:
    """Without its password, which never leaves."""
    relay = relays.of_company(company)
    return _values(relay, relays.FIELDS) if relay is not None else None


def hold(company: Company) -> None:
    """Lock the rows that a document of the company contains until the transaction ends."""
    for rows in (
        Company.objects.filter(pk=company.pk),
        Contact.objects.filter(company=company),
        User.objects.filter(company=company),
        SftpAccount.objects.filter(company=company),
        CompanyRelay.objects.filter(company=company),
        Shop.objects.filter(company=company),
        NotificationRule.objects.filter(shop__company=company, archived_at__isnull=True),
    ):
        # In one order, so that two of them wait for each other in turn.
        list(rows.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))


def plain(document: CompanyDocument) -> dict[str, Any]:
    """A document as JSON has it."""
    return document.model_dump(mode="json", exclude_unset=True)


def etag(document: CompanyDocument) -> str:
    """What a document is known by: another text as soon as anything in it differs."""
    text = json.dumps(plain(document), sort_keys=True, separators=(",", ":"))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def _values(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _users(company: Company) -> list[User]:
    memberships = Membership.objects.filter(company=company).prefetch_related("grants__shop")
    users = User.objects.filter(company=company).order_by("login")
    return list(users.prefetch_related(Prefetch("memberships", memberships, to_attr="here")))


def user_documents(company: Company) -> list[dict[str, Any]]:
    """The user accounts of a company as a document has them, by login; a constant number of statements."""
    return [_user(user, company) for user in _users(company)]


def sftp_documents(company: Company) -> list[dict[str, Any]]:
    """The SFTP accounts of a company as a document has them, by login."""
    return [
        {**_values(account, _SFTP), "enabled": account.is_active}
        for account in SftpAccount.objects.filter(company=company).order_by("login")
    ]


def _user(user: User, company: Company) -> dict[str, Any]:
    document = {**_values(user, _USER), "enabled": user.is_active}
    membership: Membership | None = next(iter(user.here), None)  # type: ignore[attr-defined]
    if membership is None:
        return document
    grants = {grant.shop.site_id: grant.permissions for grant in membership.grants.all()}
    document |= {"role": membership.role, "shops": "*" if membership.all_shops else sorted(grants)}
    if membership.permissions is not None:
        document["permissions"] = permissions.ordered(membership.permissions)
    own = {site_id: permissions.ordered(codes) for site_id, codes in sorted(grants.items()) if codes is not None}
    return {**document, "shop_permissions": own} if own else document


def _shops(company: Company, *also: str) -> list[Shop]:
    rules = NotificationRule.objects.filter(archived_at__isnull=True).order_by("pk")
    shops = Shop.objects.filter(company=company).order_by("site_id")
    return list(shops.prefetch_related("contracts", *also, Prefetch("rules", rules, to_attr="live_rules")))


def _shop(shop: Shop, *, with_secrets: bool) -> dict[str, Any]:
    keys = {"algorithm_test": shop.algorithm_test, "algorithm_production": shop.algorithm_production}
    if with_secrets:
        keys |= {key.kind: key.value for key in shop.keys.all() if key.kind in _GIVEN_KEYS}
    return {
        **_values(shop, _SHOP),
        "contracts": [_values(contract, ("number", "network", "three_d_secure")) for contract in shop.contracts.all()],
        "keys": keys,
        "rules": [_rule(rule) for rule in shop.live_rules],  # type: ignore[attr-defined]
    }


def _rule(rule: NotificationRule) -> dict[str, Any]:
    document = _values(rule, _RULE)
    if rule.type != NotificationRule.Type.IPN_CALL:
        if rule.type == NotificationRule.Type.MERCHANT_EMAIL:
            document["digest"] = rule.digest
        document |= {"email_texts": rule.email_texts or None, "email_fields": rule.email_fields}
    return document
