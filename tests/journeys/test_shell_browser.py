"""The shell by keyboard and on a phone: search, shortcuts, folded filters, what a save changes."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from companies.models import User
from shops.models import Shop
from tests.factories import NotificationRuleFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.one_database]


def assert_accessible(page: Any) -> None:
    found = Axe().run(page).response["violations"]
    assert [(item["id"], [node["html"] for node in item["nodes"]]) for item in found] == []


def test_whoever_stays_on_the_keyboard_finds_and_opens(
    page: Any, live_server: Any, claire: User, paris: Shop, lyon: Shop, log_in_browser: Callable[[User], None]
) -> None:
    log_in_browser(claire)
    page.goto(live_server.url)
    page.keyboard.press("/")
    field = page.locator("#shell-search")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("role", "combobox")
    page.keyboard.type("lumière ly")
    option = page.locator("#search-found [role=option]", has_text="Lumière Lyon")
    expect(option).to_be_visible()
    expect(page.locator("#announce")).to_contain_text("résultat")
    page.keyboard.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", option.get_attribute("id"))
    assert_accessible(page)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/settings/shops/{lyon.site_id}/configuration/")
    # Enter without a choice leads to the page of all results.
    page.keyboard.press("Control+k")
    page.keyboard.type("lumière")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search/?q=lumi*")
    page.locator("h1").click()
    page.keyboard.press("?")
    dialog = page.locator("#keyboard-help")
    expect(dialog).to_be_visible()
    expect(dialog.locator("dl")).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("j")
    page.wait_for_url("**/notifications/journal/")


def test_on_a_phone_filters_fold_and_a_bar_tells_what_a_save_changes(
    page: Any, live_server: Any, claire: User, paris: Shop, log_in_browser: Callable[[User], None]
) -> None:
    log_in_browser(claire)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{live_server.url}/settings/company/users/?role=administrator")
    shop = page.locator("#filter-shop")
    expect(page.locator("#filter-q")).to_be_visible()
    expect(shop).to_be_hidden()
    button = page.locator(".filter-fold summary")
    expect(button).to_contain_text("1")
    button.click()
    expect(shop).to_be_visible()
    page.goto(f"{live_server.url}/settings/shops/{paris.site_id}/configuration/")
    page.locator("[name=manager_email]").fill("autre@lumiere.example")
    bar = page.locator(".effect-toggle summary")
    expect(bar).to_be_visible()
    lost = page.locator("#effect-panel .effect-lost", has_text="paris@lumiere.example")
    expect(lost).to_be_hidden()
    bar.click()
    expect(lost).to_be_visible()
    page.locator("[name=name]").fill("Lumière Paris 2")
    # Drawn anew for what was typed since, it stays unfolded.
    expect(lost).to_be_visible()
    assert_accessible(page)
    page.locator(".save-bar .btn-primary").click()
    expect(page.locator(".messages .undo-link")).to_be_visible()


def test_a_link_to_what_lies_in_a_fold_opens_it(
    page: Any, live_server: Any, claire: User, paris: Shop, log_in_browser: Callable[[User], None]
) -> None:
    rule = NotificationRuleFactory(shop=paris)
    log_in_browser(claire)
    page.goto(f"{live_server.url}/settings/notification-rules/{paris.site_id}/{rule.reference}/content/#fields")
    expect(page.locator(".field-list")).to_be_visible()
    fold = page.locator("#fields > summary")
    fold.click()
    expect(page.locator(".field-list")).to_be_hidden()
    page.evaluate("location.hash = 'field-mode'")
    expect(page.locator(".field-list")).to_be_visible()
