"""Replacing an address and changing shops by a file, in a real browser, wide and narrow, in both languages."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from companies.models import Company, User
from notifications.models import NotificationRule
from shops.models import Shop
from tests.browsing import NARROW, WIDE, violations
from tests.factories import NotificationRuleFactory, UserFactory
from tests.journeys.test_browser_every_page import misfits

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _old_address_at_two_places(company: Company, paris: Shop, lyon: Shop) -> None:
    company.incident_emails = ["ancienne@x.example"]
    company.save()
    paris.manager_email = "ancienne@x.example"
    paris.save()
    NotificationRuleFactory(shop=paris, reference="appel", type="ipn_call", recipients=["dev@x.example"], enabled=True)


def quiet(page: Any) -> None:
    """Nothing for axe, and nothing that scrolls sideways, wide or narrow."""
    for size in (NARROW, WIDE):
        page.set_viewport_size(size)
        assert violations(page) == []
        assert misfits(page) == []


@pytest.mark.parametrize("language", ["fr", "en"])
def test_an_address_is_replaced_and_the_change_taken_back(
    page: Any, log_in_browser: Callable[[User], None], company: Company, language: str
) -> None:
    log_in_browser(UserFactory(company=company, language=language))
    page.set_viewport_size(WIDE)
    page.goto("/notifications/addresses/?address=ancienne@x.example")
    page.locator("a[href^='/notifications/addresses/replace/']").click()
    quiet(page)
    page.locator("#id_new").fill("nouvelle@x.example")
    # The panel follows what is typed, those who lose something first.
    panel = page.locator("#effect-panel .effect-lost", has_text="ancienne@x.example")
    panel.wait_for()
    page.locator("#effect-panel .effect-gained", has_text="nouvelle@x.example").wait_for()
    quiet(page)
    page.locator("#replace-form button.btn-primary").click()
    page.locator(".messages .undo-link").wait_for()
    company.refresh_from_db()
    assert company.incident_emails == ["nouvelle@x.example"]
    quiet(page)
    page.locator(".messages .undo-link").click()
    quiet(page)
    page.locator("main form button.btn-primary").click()
    page.locator(".messages .notice-success").wait_for()
    company.refresh_from_db()
    assert company.incident_emails == ["ancienne@x.example"]


def test_a_gap_is_asked_about_and_what_was_typed_stays(
    page: Any, log_in_browser: Callable[[User], None], company: Company
) -> None:
    log_in_browser(UserFactory(company=company))
    page.goto("/notifications/addresses/replace/?address=ancienne@x.example")
    page.get_by_label("La retirer").check()
    page.locator("#replace-form button.btn-primary").click()
    page.locator(".gap-question").wait_for()
    expect(page.get_by_label("La retirer")).to_be_checked()
    quiet(page)
    page.locator("#confirmed-gaps").check()
    page.locator("#replace-form button.btn-primary").click()
    page.locator(".messages .undo-link").wait_for()
    company.refresh_from_db()
    assert company.incident_emails == []


@pytest.mark.parametrize("language", ["fr", "en"])
def test_shops_go_down_and_up_in_a_file(
    page: Any, log_in_browser: Callable[[User], None], company: Company, language: str
) -> None:
    log_in_browser(UserFactory(company=company, language=language))
    page.set_viewport_size(WIDE)
    page.goto("/settings/shops/bulk/")
    quiet(page)
    rows = b"site_id;manager_email\n10000001;\n10000002;lyon@x.example\n"
    page.locator("#id_file").set_input_files({"name": "b.csv", "mimeType": "text/csv", "buffer": rows})
    page.locator("form[enctype] button[type=submit]").click()
    page.locator("#effect-panel .effect-lost", has_text="ancienne@x.example").wait_for()
    quiet(page)
    page.locator("#sheet-form button.btn-primary").click()
    page.locator(".messages .undo-link").wait_for()
    emails = Shop.objects.order_by("site_id").values_list("manager_email", flat=True)
    assert list(emails) == ["", "lyon@x.example"]


def test_the_panel_follows_typing_on_the_pages_of_settings(
    page: Any, log_in_browser: Callable[[User], None], company: Company
) -> None:
    log_in_browser(UserFactory(company=company))
    page.goto("/settings/shops/10000001/configuration/")
    page.locator("#id_manager_email").fill("lui@x.example")
    page.locator("#effect-panel .effect-lost", has_text="ancienne@x.example").wait_for()
    quiet(page)
    page.goto("/settings/notification-rules/10000001/appel/")
    page.locator("#id_others").fill("ops@x.example")
    page.locator("#impact .effect-gained", has_text="ops@x.example").wait_for()
    assert NotificationRule.objects.get(reference="appel").recipients == ["dev@x.example"]
