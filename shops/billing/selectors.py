"""Reads of billing: what a shop used in a period, and the documents a user may see."""

import zoneinfo
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from backoffice.base.searching import identifier
from backoffice.text import zones
from companies.models import Company, Membership
from companies.rights import access
from notifications.models import Attempt, Delivery, Event
from shops.billing import pricing
from shops.models import BillingDocument, Shop

# Mails that are a service to the merchant; what the platform tells on its own account is not billed.
BILLED_MAIL = ("merchant_email", "buyer_email", "payment_order")


def bounds(company: Company, start: date, end: date) -> tuple[datetime, datetime]:
    """The first moment of the period and the first one after it, in the company's time."""
    zone = zoneinfo.ZoneInfo(zones.known(company.time_zone, "UTC"))
    return datetime.combine(start, time.min, zone), datetime.combine(end + timedelta(days=1), time.min, zone)


def usage(shop: Shop, start: date, end: date) -> dict[str, int]:
    """How often each service was used in PRODUCTION, both days included; unused ones are absent."""
    since, until = bounds(shop.company, start, end)
    counts: dict[str, int] = {"monthly_fee": pricing.whole_months(start, end)}
    rows = (
        Event.objects.filter(
            shop=shop,
            mode="PRODUCTION",
            external=True,
            type__in=pricing.EVENT_CODES,
            occurred_at__gte=since,
            occurred_at__lt=until,
        )
        .order_by()
        .values_list("type")
        .annotate(n=Count("pk"))
    )
    counts.update(dict(rows))
    counts["email"] = Delivery.objects.filter(
        shop=shop,
        mode="PRODUCTION",
        channel="email",
        is_test=False,
        status=Delivery.Status.SENT,
        notification__in=BILLED_MAIL,
        sent_at__gte=since,
        sent_at__lt=until,
    ).count()
    counts["ipn_call"] = Attempt.objects.filter(
        delivery__shop=shop,
        delivery__channel="ipn",
        delivery__mode="PRODUCTION",
        delivery__is_test=False,
        started_at__gte=since,
        started_at__lt=until,
    ).count()
    return {code: count for code, count in counts.items() if count}


def overlapping(shop: Shop, start: date, end: date) -> BillingDocument | None:
    """An invoice computed from events that covers part of the period and was not cancelled."""
    return (
        BillingDocument.objects.filter(
            shop=shop,
            kind=BillingDocument.Kind.INVOICE,
            source=BillingDocument.Source.EVENTS,
            credit_note__isnull=True,
            period_start__lte=end,
            period_end__gte=start,
        )
        .order_by("period_start")
        .first()
    )


def documents(membership: Membership) -> QuerySet[BillingDocument]:
    """The documents of the shops a user sees, newest first, without their files."""
    return (
        BillingDocument.objects.filter(company_id=membership.company_id, shop__in=access.shops_of(membership))
        .select_related("shop", "credits", "credit_note")
        .defer("file", "lines")
        .order_by("-issued_at", "-number")
    )


def filtered(
    documents: QuerySet[BillingDocument],
    *,
    q: str = "",
    kind: str = "",
    currency: str = "",
    shop: str = "",
    since: date | None = None,
    until: date | None = None,
) -> QuerySet[BillingDocument]:
    """Narrow by number or shop, type, currency, shop, and period (documents whose period touches it)."""
    if q:
        key = identifier(q)
        named = Q(pk=key) if key else Q(number__icontains=q)
        documents = documents.filter(named | Q(shop__name__icontains=q) | Q(shop__site_id__contains=q))
    if kind:
        documents = documents.filter(kind=kind)
    if currency:
        documents = documents.filter(currency=currency)
    if shop:
        documents = documents.filter(shop__site_id=shop)
    if since:
        documents = documents.filter(period_end__gte=since)
    if until:
        documents = documents.filter(period_start__lte=until)
    return documents


@dataclass(frozen=True)
class Totals:
    """What a list adds up to in one currency."""

    currency: str
    count: int
    net: Decimal
    tax: Decimal
    gross: Decimal


def totals(documents: QuerySet[BillingDocument]) -> list[Totals]:
    """One row a currency; credit notes count negative."""
    rows: Any = (
        documents.order_by()
        .values("currency")
        .annotate(count=Count("pk"), net=Sum("net"), tax=Sum("tax"), gross=Sum("gross"))
        .order_by("currency")
    )
    return [Totals(**row) for row in rows]
