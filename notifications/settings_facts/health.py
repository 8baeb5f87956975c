"""The states of addresses, read with the facts of their company: one query."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from backoffice.base.rows import Reading
from backoffice.text.addresses import normalise
from companies.models import Company
from notifications.core.address_health import AddressState, HealthFacts
from notifications.core.catalogue import SHOP_MANAGER_SYMBOL
from notifications.core.facts import CompanyFacts
from notifications.models import AddressHealth

# More addresses are not named in the query, SQLite bounds its parameters: all of the company's are read.
NAMED_ADDRESSES = 500


def added(company: Company, facts: CompanyFacts, also: Iterable[str] = ()) -> CompanyFacts:
    """The facts with the states of the addresses that they name, and of some others."""
    return replace(facts, health=states(company, wanted(facts, also)))


def wanted(facts: CompanyFacts, also: Iterable[str] = ()) -> set[str]:
    """The normal forms of the addresses that the facts name, and of some others."""
    return {normalise(address) for address in {*_named(facts), *also} if address and address != SHOP_MANAGER_SYMBOL}


def _named(facts: CompanyFacts) -> Iterator[str]:
    yield facts.manager_email
    yield facts.technical_email or ""
    yield from facts.incident_emails
    for shop in facts.shops:
        yield shop.manager_email or ""
        for rule in shop.rules:
            yield from rule.recipients
    for account in (*facts.users, *facts.sftp_accounts):
        yield account.email


def suppressed_of(companies: Iterable[Company], addresses: Iterable[str]) -> dict[int, dict[str, HealthFacts]]:
    """Company → those of these addresses that nothing is sent to in it; one query for all."""
    keys = {normalise(address) for address in addresses if address and address != SHOP_MANAGER_SYMBOL}
    of = sorted({company.pk for company in companies})
    if not of:
        return {}
    rows: Iterable[AddressHealth]
    if len(keys) <= NAMED_ADDRESSES:
        rows = _suppressed(", ".join(map(str, of))).all(keys)
    else:
        rows = AddressHealth.objects.filter(company__in=of, state=AddressState.SUPPRESSED)
    by_company: dict[int, dict[str, HealthFacts]] = {}
    for row in rows:
        if row.normalised_address in keys:
            by_company.setdefault(row.company_id, {})[row.normalised_address] = row.facts
    return by_company


@lru_cache(maxsize=256)
def _suppressed(companies: str) -> Reading[AddressHealth]:
    """The suppressed addresses of some companies, named by their numbers."""
    condition = f" AND company_id IN ({companies}) AND state = '{AddressState.SUPPRESSED}'"
    return Reading(AddressHealth, by="normalised_address", condition=condition)


def states(company: Company, keys: set[str]) -> dict[str, HealthFacts]:
    """Normal form → state, of those of these addresses of which something is known."""
    rows = AddressHealth.objects.filter(company=company)
    if len(keys) <= NAMED_ADDRESSES:
        rows = rows.filter(normalised_address__in=keys)
    return {row.normalised_address: row.facts for row in rows if row.normalised_address in keys}
