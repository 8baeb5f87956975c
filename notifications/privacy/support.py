"""Where an address occurs on the whole platform, and what it received: for the team and for personal-data requests.

The places are those of `resolver.roles`, the reasons those of the delivery tables: nothing here knows
a second time where addresses are configured, except to find the companies worth asking.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet, TextField
from django.db.models.functions import Cast

from backoffice.base import csv_files
from backoffice.text import addresses
from companies.models import Company, Contact, SftpAccount, User
from notifications.core import wording
from notifications.core.facts import CompanyFacts
from notifications.core.resolver import Decision
from notifications.models import Delivery, NotificationRule
from notifications.settings_facts import company_facts
from notifications.tables.compute import delivery_tables
from shops.models import PaymentOrder, Shop


@dataclass(frozen=True)
class Occurrence:
    """An address in one company: its roles there, what reaches it and what does not, with reasons."""

    company: Company
    roles: list[str]
    receives: list[Decision]
    why_not: list[Decision]
    facts: CompanyFacts


def companies_with(email: str) -> QuerySet[Company]:
    """The companies where the address may be configured, a few too many: compare them by `occurrence`.

    The part before the @ is ASCII (docs/rules.md 4.4), so the databases compare it without regard to case.
    """
    local = addresses.normalise(email).rpartition("@")[0]
    start = f"{local}@"
    # Lists are stored as JSON; the address stands in them between quotes.
    listed = NotificationRule.objects.filter(archived_at__isnull=True).annotate(text=Cast("recipients", TextField()))
    in_lists = Company.objects.annotate(text=Cast("incident_emails", TextField())).filter(text__icontains=start)
    return Company.objects.filter(
        Q(pk__in=Contact.objects.filter(email__istartswith=start).values("company"))
        | Q(pk__in=Shop.objects.filter(manager_email__istartswith=start).values("company"))
        | Q(pk__in=listed.filter(text__icontains=start).values("shop__company"))
        | Q(pk__in=User.objects.filter(email__istartswith=start, company__isnull=False).values("company"))
        | Q(pk__in=SftpAccount.objects.filter(email__istartswith=start).values("company"))
        | Q(pk__in=in_lists.values("pk"))
    ).order_by("name", "pk")


def occurrence(company: Company, email: str) -> Occurrence | None:
    """The address in one company, None where it is not configured; a constant number of queries."""
    wanted = addresses.normalise(email)
    facts = company_facts(company)
    tables = delivery_tables(facts)
    own = next((table for table in tables.addresses if table.normalised == wanted), None)
    return Occurrence(company, own.roles, own.receives, own.why_not, facts) if own else None


def occurrences(email: str, companies: QuerySet[Company] | list[Company] | None = None) -> Iterator[Occurrence]:
    for company in companies_with(email) if companies is None else companies:
        here = occurrence(company, email)
        if here is not None:
            yield here


def staff_accounts(email: str) -> list[User]:
    """Accounts of the team (no company) that have the address."""
    wanted = addresses.normalise(email)
    start = f"{wanted.rpartition('@')[0]}@"
    users = User.objects.filter(company__isnull=True, email__istartswith=start)
    return [user for user in users if addresses.normalise(user.email) == wanted]


def accounts_verified_at(email: str) -> list[User]:
    """Accounts of companies whose links still go to the address, though another is configured."""
    wanted = addresses.normalise(email)
    start = f"{wanted.rpartition('@')[0]}@"
    users = User.objects.filter(company__isnull=False, verified_email__istartswith=start).select_related("company")
    return [
        user for user in users if addresses.normalise(user.verified_email) == wanted != addresses.normalise(user.email)
    ]


def deliveries_to(email: str) -> QuerySet[Delivery]:
    """Every message to the address, over all companies, newest first."""
    deliveries = Delivery.objects.filter(normalised_address=addresses.normalise(email), channel="email")
    return deliveries.select_related("company", "shop", "rule", "event", "message").order_by("-created_at", "-pk")


def delivery_counts(email: str) -> dict[str, int]:
    """status → messages to the address."""
    deliveries = Delivery.objects.filter(normalised_address=addresses.normalise(email), channel="email")
    return dict(deliveries.order_by().values_list("status").annotate(Count("pk")))


def orders_to(email: str, *, extra_copy: bool = False) -> QuerySet[PaymentOrder]:
    """Payment orders with the address as buyer, in any spelling.

    Args:
        extra_copy: also those that send it their further copy.
    """
    wanted = addresses.normalise(email)
    start = f"{wanted.rpartition('@')[0]}@"
    near = Q(recipient__istartswith=start)
    if extra_copy:
        near |= Q(extra_copy__istartswith=start)
    keys = [
        key
        for key, *named in PaymentOrder.objects.filter(near).values_list("pk", "recipient", "extra_copy")
        if wanted in map(addresses.normalise, named[: 1 + extra_copy])
    ]
    return PaymentOrder.objects.filter(pk__in=keys).select_related("shop__company").order_by("-created_at")


CSV_HEADER = ("company", "role", "notification", "shop", "as", "delivers", "reason", "status", "created_at")


def csv_rows(email: str) -> Iterator[list[str]]:
    """Header; a row for each line of the delivery tables; a row for each message."""
    yield list(CSV_HEADER)
    for here in occurrences(email):
        roles = " ".join(here.roles)
        for decision in (*here.receives, *here.why_not):
            cells = (
                here.company.reference,
                roles,
                decision.notification,
                decision.shop or "",
                decision.as_,
                "yes" if decision.delivers else "no",
                wording.reason(decision.reason, decision.params),
            )
            yield [*(csv_files.neutral(cell) for cell in cells), "", ""]
        if not (here.receives or here.why_not):
            yield [csv_files.neutral(here.company.reference), csv_files.neutral(roles), *[""] * 7]
    for delivery in deliveries_to(email).iterator(chunk_size=1000):
        message = (
            delivery.company.reference if delivery.company else "",
            "",
            delivery.notification,
            delivery.shop.site_id if delivery.shop else "",
            delivery.as_,
            "",
            delivery.reason,
            delivery.status,
            csv_files.utc(delivery.created_at),
        )
        yield [csv_files.neutral(cell) for cell in message]
