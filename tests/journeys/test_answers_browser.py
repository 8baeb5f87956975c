"""« Pourquoi ? » and « Couverture » in a real Chromium: by keyboard, on a phone, without scripts, nothing for axe-core."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import expect

from companies.models import User
from notifications.mail import why_links
from notifications.models import AcknowledgedGap, MailRemark
from shops.models import Shop
from tests.browsing import overflow, violations
from tests.factories import (
    DeliveryFactory,
    EventFactory,
    NotificationRuleFactory,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WHY, COVERAGE = "/notifications/why/", "/notifications/coverage/"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(autouse=True)
def _two_shops_and_rules(paris: Shop, lyon: Shop) -> None:
    NotificationRuleFactory(shop=paris, reference="appel", ipn=True, recipients=[])
    NotificationRuleFactory(shop=paris, reference="mail", label="Paiements", enabled=False)


@pytest.fixture(params=[(WIDE, "fr"), (PHONE, "fr"), (WIDE, "en"), (PHONE, "en")], ids=str)
def page(request: pytest.FixtureRequest, browser: Any, live_server: Any, claire: User) -> Iterator[Any]:
    """A page of Claire in one language and width; complaints of the console fail the test."""
    size, language = request.param
    User.objects.filter(pk=claire.pk).update(language=language)
    client = Client()
    client.force_login(claire)
    context = browser.new_context(viewport=size, base_url=live_server.url)
    context.add_cookies([{"name": "session", "value": client.cookies["session"].value, "url": live_server.url}])
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield opened
    assert complaints == []
    context.close()


def checked(page: Any) -> None:
    """Nothing for axe-core, nothing wider than the screen."""
    assert violations(page) + overflow(page) == []


def test_the_pages_are_clean_at_both_widths_in_both_languages(page: Any, claire: User) -> None:
    delivery = DeliveryFactory(event=EventFactory(shop=claire.company.shops.get(site_id="10000001")))
    for address in (
        WHY,
        f"{WHY}?address=claire@lumiere.example",
        f"{WHY}?address=paris@lumiere.example&verdict=others",
        f"{WHY}?notification=ipn_failure",
        f"{WHY}?address=x&shop=1",
        COVERAGE,
        f"{COVERAGE}company/platform_incident/accept/",
        f"/why/{why_links.make_token(delivery.pk)}/",
    ):
        assert page.goto(address).status == 200
        checked(page)


def test_a_question_is_asked_and_a_gap_accepted_by_keyboard_alone(browser: Any, live_server: Any, claire: User) -> None:
    client = Client()
    client.force_login(claire)
    # Without scripts: what a question and an answer need is in the page.
    context = browser.new_context(viewport=PHONE, base_url=live_server.url, java_script_enabled=False)
    context.add_cookies([{"name": "session", "value": client.cookies["session"].value, "url": live_server.url}])
    page = context.new_page()
    page.goto(WHY)
    page.locator("#ask-address").focus()
    page.keyboard.type("paris@lumiere.example")
    page.keyboard.press("Enter")
    page.wait_for_url("**address=paris%40lumiere.example**")
    expect(page.locator("#answer-title")).to_contain_text("paris@lumiere.example reçoit", use_inner_text=True)
    expect(page.locator(".hurdles").first).to_contain_text("est désactivée", use_inner_text=True)
    page.goto(COVERAGE)
    page.get_by_role("link", name="Accepter").last.focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Accepter ce manque").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{COVERAGE}")
    assert AcknowledgedGap.objects.count() == 1
    expect(page.locator("main")).to_contain_text("Manque accepté jusqu'au", use_inner_text=True)
    context.close()


def test_a_reader_without_an_account_says_that_a_mail_should_not_come(
    browser: Any, live_server: Any, claire: User
) -> None:
    delivery = DeliveryFactory(event=EventFactory(shop=claire.company.shops.get(site_id="10000001")))
    context = browser.new_context(viewport=PHONE, base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"/why/{why_links.make_token(delivery.pk)}/")
    page.get_by_role("button", name="Je ne devrais pas recevoir ces messages").click()
    expect(page.locator("main")).to_contain_text("Votre remarque est transmise", use_inner_text=True)
    assert MailRemark.objects.count() == 1
    context.close()
