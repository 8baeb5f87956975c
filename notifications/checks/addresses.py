"""Checks of the addresses of important notifications: a single address, a domain that is not the merchant's, a private
mailbox.

Pure: no database, no settings, no clock.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from django.utils.translation import gettext_lazy as _

from backoffice.text import addresses
from notifications.checks.accounts import gone_addresses
from notifications.checks.company import configured
from notifications.checks.findings import Check, FindingScope, Hit, Place, Severity, all_of_company, is_bad, of_company
from notifications.core.address_health import AddressState
from notifications.core.catalogue import SHOP_MANAGER_SYMBOL, RuleType
from notifications.core.facts import CompanyFacts, RuleFacts, ShopFacts
from notifications.core.resolver import shop_manager_address

# Hosts of private mailboxes: whoever leaves takes theirs along.
WEBMAIL = frozenset(
    {
        "aol.com", "bbox.fr", "free.fr", "gmail.com", "gmx.com", "gmx.de", "gmx.fr", "googlemail.com", "hotmail.com",
        "hotmail.fr", "icloud.com", "laposte.net", "live.com", "live.fr", "mac.com", "me.com", "msn.com", "neuf.fr",
        "orange.fr", "outlook.com", "outlook.fr", "proton.me", "protonmail.com", "sfr.fr", "wanadoo.fr", "web.de",
        "yahoo.com", "yahoo.fr", "ymail.com",
    }
)  # fmt: skip


def _one_incident_address(company: CompanyFacts) -> bool | Hit:
    told = {addresses.normalise(address) for address in company.incident_emails}
    # That it is the manager's is said by a check of its own.
    if len(told) == 1 and told != {addresses.normalise(company.manager_email)}:
        return {"address": company.incident_emails[0]}
    return False


def _told(company: CompanyFacts, shop: ShopFacts, rule: RuleFacts) -> dict[str, str]:
    """The addresses of a rule: compared form → as typed."""
    manager = shop_manager_address(company, shop)[0]
    entries = (manager if entry == SHOP_MANAGER_SYMBOL else entry for entry in rule.recipients)
    return {addresses.normalise(entry): entry for entry in entries if entry}


def _failures_told_to_one(company: CompanyFacts) -> Iterator[Hit]:
    counts: Counter[str] = Counter()
    spelled: dict[str, str] = {}
    for shop in _in_production(company):
        alone: set[str] = set()
        for rule in shop.rules:
            if rule.enabled and rule.type == RuleType.IPN_CALL and rule.has_url:
                told = _told(company, shop, rule)
                if len(told) == 1:
                    spelled = told | spelled
                    alone |= told.keys()
        counts.update(alone)
    for normalised in sorted(counts):
        yield {"address": spelled[normalised], "shops": counts[normalised]}


def _key_told_to_one(company: CompanyFacts) -> bool | Hit:
    main = addresses.normalise(company.manager_email)
    alone = [
        shop
        for shop in _in_production(company)
        if main and addresses.normalise(shop_manager_address(company, shop)[0]) == main
    ]
    return {"address": company.manager_email, "shops": len(alone)} if alone else False


def _in_production(company: CompanyFacts) -> list[ShopFacts]:
    return [shop for shop in company.shops if shop.in_production and shop.status == "active"]


def _owned_by_nobody(company: CompanyFacts) -> Iterator[Hit]:
    owned = {addresses.normalise(user.email) for user in company.users if user.active}
    owned |= {addresses.normalise(address) for address in (company.manager_email, company.technical_email) if address}
    gone = gone_addresses(company)
    if not any(user.active for user in company.users):
        return
    seen: set[str] = set()
    for address in _critical(company):
        normalised = addresses.normalise(address)
        # Of a disabled account, or unable to receive anything: other checks say so.
        if normalised not in owned | seen | gone.keys() and not is_bad(address):
            seen.add(normalised)
            yield {"address": address}


def _critical(company: CompanyFacts) -> Iterator[str]:
    """Every address that was typed for something critical."""
    yield from company.incident_emails
    for shop in company.shops:
        yield from filter(None, (shop.manager_email,))
        for rule in shop.rules:
            if rule.enabled and rule.type == RuleType.IPN_CALL:
                yield from rule.typed_recipients


def _in_state(company: CompanyFacts, state: AddressState, addresses_of: Iterable[str]) -> dict[str, str]:
    """Those of some addresses that are in a state: compared form → as typed first."""
    told: dict[str, str] = {}
    for address in addresses_of:
        told.setdefault(addresses.normalise(address), address)
    return {key: address for key, address in told.items() if company.health_of(key).state is state}


def _suppressed(company: CompanyFacts) -> Iterator[Hit]:
    for address in _in_state(company, AddressState.SUPPRESSED, configured(company)).values():
        yield {"address": address}


def _bouncing(company: CompanyFacts) -> Iterator[Hit]:
    for key, address in _in_state(company, AddressState.BOUNCING, configured(company)).items():
        # That nothing at all arrives is said by a check of its own.
        if key not in company.bouncing:
            yield {"address": address}


def _unverified(company: CompanyFacts) -> Iterator[Hit]:
    if company.verify_addresses:
        critical = filter(None, (company.manager_email, *_critical(company)))
        for address in _in_state(company, AddressState.UNVERIFIED, critical).values():
            yield {"address": address}


def _private_incident_addresses(company: CompanyFacts) -> Iterator[Hit]:
    for address in company.incident_emails:
        if addresses.normalise(address).rpartition("@")[2] in WEBMAIL:
            yield {"address": address}


CHECKS: tuple[Check, ...] = (
    Check(
        "incidents_told_to_one",
        Severity.WARNING,
        FindingScope.COMPANY,
        _("%(address)s est la seule adresse prévenue d'un incident : en son absence, personne ne le sait."),
        _("Ajoutez une seconde adresse dans Infos Société."),
        Place.COMPANY,
        of_company(_one_incident_address),
    ),
    Check(
        "failures_told_to_one",
        Severity.WARNING,
        FindingScope.COMPANY,
        _("%(address)s est seule prévenue des appels d'URL en échec (boutiques en production : %(shops)s)."),
        _("Ajoutez un second destinataire à ces règles."),
        Place.ADDRESS,
        all_of_company(_failures_told_to_one),
    ),
    Check(
        "key_told_to_one",
        Severity.WARNING,
        FindingScope.COMPANY,
        _("%(address)s est seule prévenue d'une nouvelle clé de production (boutiques : %(shops)s)."),
        _("Donnez à ces boutiques un e-mail gestionnaire autre que celui du Contact gestionnaire."),
        Place.ADDRESS,
        of_company(_key_told_to_one),
    ),
    Check(
        "address_without_owner",
        Severity.WARNING,
        FindingScope.COMPANY,
        _("%(address)s est prévenue de ce qui est critique, mais aucun compte utilisateur actif n'a cette adresse."),
        _("Vérifiez qui lit cette boîte ; donnez un compte à cette personne, ou remplacez l'adresse."),
        Place.ADDRESS,
        all_of_company(_owned_by_nobody),
    ),
    Check(
        "address_suppressed",
        Severity.ERROR,
        FindingScope.COMPANY,
        _("%(address)s ne reçoit plus rien : son serveur l'a refusée pour de bon."),
        _("Remplacez l'adresse, ou réactivez-la une fois la boîte rétablie."),
        Place.ADDRESS,
        all_of_company(_suppressed),
    ),
    Check(
        "address_bouncing",
        Severity.WARNING,
        FindingScope.COMPANY,
        _("Les derniers messages à %(address)s ont été refusés pour l'instant ; elle risque de ne plus rien recevoir."),
        _("Demandez à la personne de vérifier sa boîte, ou remplacez l'adresse."),
        Place.ADDRESS,
        all_of_company(_bouncing),
    ),
    Check(
        "critical_address_unverified",
        Severity.WARNING,
        FindingScope.COMPANY,
        _("%(address)s est prévenue de ce qui est critique et n'a pas encore été vérifiée."),
        _("Demandez à la personne d'ouvrir le lien de vérification, ou envoyez-en un nouveau."),
        Place.ADDRESS,
        all_of_company(_unverified),
    ),
    Check(
        "incident_webmail",
        Severity.WARNING,
        FindingScope.COMPANY,
        _("%(address)s est une boîte personnelle : qui quitte la société emporte les messages d'incident."),
        _("Indiquez une adresse de la société, lue par plusieurs personnes."),
        Place.COMPANY,
        all_of_company(_private_incident_addresses),
    ),
)
