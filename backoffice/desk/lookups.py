"""Which objects match a word of a search; large tables are asked by an index only."""

import re
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Left

from backoffice.base import endless
from companies.models import Company
from notifications.models import Attempt, Event
from notifications.models.events import PAYMENT_KEY
from shops.models import PaymentOrder, Shop

# More rows than that are no search any more.
NAMED = 50
_KEY = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.I)


def companies_named(word: str) -> list[int]:
    """The keys of companies whose name or reference has the word."""
    named = Company.objects.filter(Q(name__icontains=word) | Q(reference__icontains=word))
    return list(named.order_by("name").values_list("pk", flat=True)[:NAMED])


def shops_named(word: str) -> list[int]:
    """The keys of shops whose identifier begins so."""
    return list(Shop.objects.filter(site_id__startswith=word).values_list("pk", flat=True)[:NAMED])


def events_named(word: str) -> list[int]:
    """Events of exactly this identifier: a look into the index for each company, and for what has none."""
    everywhere = Q(company__in=Company.objects.order_by().values("pk")) | Q(company__isnull=True)
    return list(Event.objects.filter(everywhere, event_id=word).order_by().values_list("pk", flat=True)[:NAMED])


def events_of_payment(word: str) -> list[int]:
    """Events of the payment with exactly this transaction or order, newest first.

    An index serves each on PostgreSQL; an embedded database has the newest events looked through.
    """
    keys: set[int] = set()
    for name in ("data__transaction_id", "data__order_id"):
        said = _newest_events().annotate(start=Left(KT(name), PAYMENT_KEY)).filter(start=word[:PAYMENT_KEY])
        keys |= set(said.filter(**{name: word}).values_list("pk", flat=True)[:NAMED])
    return sorted(keys, reverse=True)[:NAMED]


def _newest_events() -> QuerySet[Event]:
    if connection.vendor == "postgresql":
        return Event.objects.order_by()
    newest = Event.objects.order_by("-accepted_at", "-pk").values("pk")[: endless.CEILING]
    return Event.objects.filter(pk__in=newest).order_by()


def orders_named(word: str) -> list[UUID]:
    """Payment orders of exactly this reference: a look into the index for each shop."""
    in_shops = Q(shop__in=Shop.objects.order_by().values("pk"))
    return list(PaymentOrder.objects.filter(in_shops, reference=word).order_by().values_list("pk", flat=True)[:NAMED])


def orders_paid_in(events: list[int]) -> list[UUID]:
    """The payment orders that the payments of these events were for."""
    paid = Event.objects.filter(pk__in=events, shop__isnull=False).values_list("shop", "data")
    of_any = Q(pk__in=[])
    for shop, data in paid:
        if isinstance(reference := data.get("order_id"), str):
            of_any |= Q(shop=shop, reference=reference)
    return list(PaymentOrder.objects.filter(of_any).order_by().values_list("pk", flat=True)[:NAMED])


def deliveries_queued_as(word: str) -> list[UUID]:
    """Deliveries that a mail server took under exactly this identifier of its queue."""
    taken = Attempt.objects.filter(queue_id=word).order_by().values_list("delivery", flat=True)
    return list(taken[:NAMED])


def key_in(word: str) -> UUID | None:
    """The key of a delivery in a word: itself, a Message-ID, the address of a page."""
    match = _KEY.search(word)
    return UUID(match[0]) if match else None
