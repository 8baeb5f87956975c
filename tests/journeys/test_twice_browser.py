"""Buttons pressed twice in a real browser, and forms sent again after going back."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from companies.models import User
from notifications.models import Delivery
from shops.models import PaymentOrder, Shop
from tests.factories import NotificationRuleFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
NEW = "/payment-orders/new/?shop=10000001&channel=email"
RULE = "/settings/notification-rules/10000001/ma-regle/"


@pytest.fixture(autouse=True)
def _logged_in(paris: Shop, paul: User, log_in_browser: Callable[[User], None]) -> None:
    NotificationRuleFactory(shop=paris, reference="ma-regle")
    log_in_browser(paul)


def fill(page: Any) -> Any:
    """Fill in the form of a new order; returns its button."""
    page.goto(NEW)
    page.locator("[name=reference]").fill("CMD-1")
    page.locator("[name=amount]").fill("49,90")
    page.locator("[name=valid_until]").fill((timezone.localdate() + timedelta(days=20)).isoformat())
    page.locator("[name=recipients]").fill("jeanne@acheteur.example")
    return page.locator(".save-bar button[type=submit]").first


def test_a_double_click_creates_one_order_and_shows_it(page: Any) -> None:
    fill(page).dblclick()
    page.wait_for_url(lambda url: "/new/" not in url)
    order = PaymentOrder.objects.get()
    assert str(order.pk) in page.url
    expect(page.locator(".notice-success")).to_have_count(1)
    assert Delivery.objects.filter(notification="payment_order").count() == 1


def test_a_rule_is_tested_as_often_as_its_button_is_pressed(page: Any) -> None:
    page.goto(RULE)
    for times in (1, 2):
        with page.expect_response(lambda response: response.request.method == "POST"):
            page.locator("button[name=test][value=TEST]").click()
        page.wait_for_load_state("networkidle")
        assert len(set(Delivery.objects.filter(is_test=True).values_list("run", flat=True))) == times
    # A new identity is no change of the form.
    page.locator("[name=label]").press("ArrowRight")
    page.locator("[name=label]").dispatch_event("input")
    assert "save-bar-idle" in (page.locator(".save-bar").first.get_attribute("class") or "")
