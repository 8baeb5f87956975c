"""What tests of payment orders share."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from companies.audit import Actor
from shops.models import PaymentOrder, Shop
from shops.orders import selectors, services
from tests.smtp import Received

ACTOR = Actor("Claire Morel")
PARIS = ZoneInfo("Europe/Paris")
# The worker closes and opens its connections, as it does between its looks at the outbox.
sends = pytest.mark.django_db(transaction=True)


def create(shop: Shop, **fields: Any) -> list[PaymentOrder]:
    values: dict[str, Any] = {
        "mode": "PRODUCTION",
        "channel": "email",
        "amount": 24900,
        "currency": "EUR",
        "recipients": ["jeanne@acheteur.example"],
        "reference": "CMD-41",
        **fields,
    }
    return services.payment_order_create(shop=shop, actor=ACTOR, new=services.NewOrder(**values))


def reread(order: PaymentOrder) -> PaymentOrder:
    return selectors.with_delivery(PaymentOrder.objects.select_related("shop__company")).get(pk=order.pk)


def headers(mail: Received) -> tuple[str, str, str, str]:
    message = mail.message
    return (
        message["X-BOM-Notification"],
        str(message["To"]),
        str(message["Cc"] or ""),
        str(message["Reply-To"] or ""),
    )


def kinds(order: PaymentOrder) -> list[str]:
    return list(order.entries.order_by("pk").values_list("kind", flat=True))
