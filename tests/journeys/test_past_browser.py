"""The past in a real browser: a date on the addresses, two dates compared, a rule tried on an edited event."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from companies.models import User
from notifications.models import Delivery
from shops.models import Shop
from tests.browsing import overflow, violations
from tests.factories import (
    DeliveryFactory,
    EventFactory,
    MessageFactory,
    NotificationRuleFactory,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _logged_in(lyon: Shop, claire: User, log_in_browser: Callable[[User], None]) -> None:
    """Claire, in a shop that sent a mail of a rule with conditions."""
    conditions = [{"variable": "amount", "operator": "gt", "value": 50000}]
    rule = NotificationRuleFactory(shop=lyon, reference="mail", label="Gros paiements", conditions=conditions)
    event = EventFactory(shop=lyon, data={"amount": 60000, "currency": "EUR", "order_id": "CMD-1"})
    DeliveryFactory(
        event=event,
        message=MessageFactory(event=event),
        rule=rule,
        address="claire@lumiere.example",
        notification="merchant_email",
        status="sent",
        resolution={"source": "shop_manager", "reason": "rule_shop_manager_inherited", "inherited": True,
                    "params": {"rule": "Gros paiements", "shop": "Lumière Lyon"}, "rule_version": 1},
    )  # fmt: skip
    log_in_browser(claire)


def faultless(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert violations(page) + overflow(page) == []


@pytest.mark.parametrize("width", [1280, 390])
def test_two_dates_are_compared_from_the_page_of_a_past_date(width: int, page: Any) -> None:
    then = timezone.now().isoformat()
    Shop.objects.update(manager_email="boutique@lumiere.example", name="Lumière Nord")
    page.goto(f"/notifications/addresses/?at={then.replace('+', '%2B')}")
    assert "et non ceux d'aujourd" in page.locator("main").inner_text().replace("’", "'")
    faultless(page, width)
    page.goto(f"/notifications/compare/?by=dates&from={then.replace('+', '%2B')}")
    assert "lignes perdues" in page.locator("main").inner_text().replace("\xa0", " ")
    faultless(page, width)


@pytest.mark.parametrize("width", [1280, 390])
def test_then_and_now_of_a_delivery_mark_what_differs(width: int, page: Any) -> None:
    Shop.objects.update(manager_email="claire@lumiere.example")
    page.goto(f"/notifications/journal/{Delivery.objects.get().pk}/")
    assert page.locator("tr[data-differs]").count() >= 2
    faultless(page, width)


def test_the_conditions_are_tried_on_an_edited_event(page: Any) -> None:
    page.goto("/settings/notification-rules/10000002/mail/")
    panel = page.locator("#impact")
    assert "1 événement, 1 aurait correspondu" in panel.inner_text().replace("\xa0", " ")
    with page.expect_response(lambda response: "part=impact" in response.url):
        page.locator("[name=condition-0-value]").fill("700,00")
    panel.get_by_text(re.compile("0 auraient correspondu")).wait_for()
    page.get_by_text("L'événement d'exemple").click()
    page.locator("[name=sample-amount]").fill("900")
    page.get_by_role("button", name="Tester les conditions").click()
    page.locator("#rule-test").get_by_text("Cet événement déclencherait la règle").wait_for()
    for width in (1280, 390):
        faultless(page, width)
    assert Delivery.objects.count() == 1
