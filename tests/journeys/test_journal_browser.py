"""The journal by keyboard alone: from row to row, boxes, the preview, the proof."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from companies.models import User
from notifications.models import Delivery
from shops.models import Shop
from tests.factories import DeliveryFactory, EventFactory, MessageFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


def test_rows_are_reached_ticked_and_opened_without_a_mouse(
    log_in_browser: Callable[[User], None], claire: User, shop: Shop, page: Any
) -> None:
    log_in_browser(claire)
    for n in range(3):
        event = EventFactory(shop=shop)
        DeliveryFactory(event=event, message=MessageFactory(event=event), address=f"a{n}@x.example", status="sent")
    page.goto("/notifications/journal/")
    for key in ("j", "j", "k", "x", "j", "x"):
        page.keyboard.press(key)
    expect(page.locator("tr.row-current a")).to_have_text("a1@x.example", use_inner_text=True)
    expect(page.locator("[data-ticked]")).to_have_text("2 lignes cochées", use_inner_text=True)
    # Letters that are typed stay letters.
    page.get_by_label("Recherche").fill("")
    page.get_by_label("Recherche").press_sequentially("jx")
    expect(page.get_by_label("Recherche")).to_have_value("jx")
    page.get_by_role("button", name="Renvoyer").click()
    page.wait_for_load_state()
    expect(page.locator("main")).to_contain_text("2 messages partent de nouveau", use_inner_text=True)
    page.get_by_role("button", name="Renvoyer").click()
    page.wait_for_url("**/replays/**")
    assert Delivery.objects.filter(resend_of__isnull=False).count() == 2
    page.goto("/notifications/journal/")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/notifications/journal/*-*/")
