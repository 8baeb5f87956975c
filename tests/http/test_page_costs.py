"""What a page costs does not grow with the company: statements stay few, and the same for one shop as for many."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from companies import audit
from companies.audit import Actor
from companies.models import Company
from notifications.core.catalogue import DEFAULT_RULES
from notifications.models import Delivery
from shops.models import Shop
from tests.factories import (
    CompanyFactory,
    DeliveryFactory,
    EventFactory,
    NotificationRuleFactory,
    ShopFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

MOST = 15
# A search asks each room that finds something.
ALLOWED = {"/search/?q=boutique": 36}
PAGES = (
    "/",
    "/notifications/addresses/",
    "/notifications/addresses/?address=boutique1@x.example",
    "/notifications/addresses/?sort=-lines",
    "/notifications/addresses/map/",
    "/notifications/by-notification/",
    "/notifications/coverage/",
    "/notifications/journal/",
    "/notifications/journal/?q=boutique",
    "/notifications/journal/?status=failed",
    "/search/?q=boutique",
    "/settings/company/history/",
    "/settings/company/history/?q=boutique",
    "/settings/shops/10000001/configuration/",
    "/settings/shops/",
    "/settings/notification-rules/",
)


def grow(company: Company, first: int, last: int) -> None:
    """Shops of these numbers, each with the default rules, deliveries of every state and an entry of the history."""
    for number in range(first, last + 1):
        own = f"boutique{number}@x.example" if number % 2 else ""
        shop = ShopFactory(company=company, site_id=f"{10_000_000 + number}", manager_email=own)
        for rule in DEFAULT_RULES:
            NotificationRuleFactory(
                shop=shop,
                reference=rule.reference,
                type=rule.type,
                enabled=rule.enabled,
                recipients=[] if rule.type == "buyer_email" else ["@shop_manager"],
            )
        event = EventFactory(shop=shop)
        for status in Delivery.Status.values:
            DeliveryFactory(event=event, status=status, address=f"boutique{number}@x.example")
        changes: audit.Changes = {"manager_email": ["", own]}
        audit.record(actor=Actor(label="Essai"), action="shop.updated", obj=shop, company=company, changes=changes)


def statements(client: Client, url: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return [query["sql"] for query in captured]


def test_a_page_takes_few_statements_and_no_more_for_many_shops(client_for: Callable[..., Client]) -> None:
    company = CompanyFactory()
    client = client_for(UserFactory(company=company, role="administrator"))
    grow(company, 1, 3)
    client.get("/")
    few = {url: statements(client, url) for url in PAGES}
    grow(company, 4, 12)
    assert Shop.objects.filter(company=company).count() == 12
    many = {url: statements(client, url) for url in PAGES}
    told: dict[str, Any] = {url: (len(few[url]), len(many[url])) for url in PAGES}
    assert {url: pair for url, pair in told.items() if pair[1] > pair[0] or pair[1] > ALLOWED.get(url, MOST)} == {}
