"""Suppressed addresses of critical notifications: those that were configured for mail whose loss costs money."""

from collections import defaultdict

from backoffice.text import addresses
from companies.models import Company, Contact, Status
from notifications.core.address_health import AddressState
from notifications.models import AddressHealth
from shops.models import Shop

# So many of those suppressed last are looked at.
LOOKED_AT = 500


def critical_suppressed() -> list[int]:
    """The keys of suppressed addresses of active companies that are a contact: of the company, of incidents, of a shop.

    Four statements, however many companies.
    """
    rows = AddressHealth.objects.filter(state=AddressState.SUPPRESSED, company__status=Status.ACTIVE)
    suppressed = list(rows.order_by("-since", "-pk").values_list("pk", "company", "normalised_address")[:LOOKED_AT])
    known = _contacts({company for _key, company, _address in suppressed})
    return [key for key, company, address in suppressed if address in known[company]]


def _contacts(companies: set[int]) -> dict[int, set[str]]:
    """Company → the compared form of each of its contacts."""
    known: dict[int, set[str]] = defaultdict(set)
    if not companies:
        return known
    managers = Contact.objects.filter(company__in=companies, kind=Contact.Kind.MANAGER)
    shops = Shop.objects.filter(company__in=companies, status=Status.ACTIVE).exclude(manager_email="")
    typed = [*managers.values_list("company", "email"), *shops.order_by().values_list("company", "manager_email")]
    for company, listed in Company.objects.filter(pk__in=companies).values_list("pk", "incident_emails"):
        typed += [(company, email) for email in listed]
    for company, email in typed:
        known[company].add(addresses.normalise(email))
    return known
