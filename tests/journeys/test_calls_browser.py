"""From the mail about a failed call to its replay, in a real browser: log-in, one press, the result live."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from playwright.sync_api import expect

from companies.models import User
from notifications.events.publishing import publish
from notifications.models import Delivery
from notifications.worker import loop
from shops.models import Shop
from tests.endpoints import Endpoint
from tests.factories import PASSWORD, NotificationRuleFactory, ShopKeyFactory
from tests.smtp import SmtpServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _loopback(settings: Any, live_server: Any) -> None:
    settings.IPN_ALLOW_PRIVATE_NETWORKS = True
    settings.IPN_TIMEOUT = 60.0
    settings.BASE_URL = live_server.url


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        yield server


@pytest.fixture(autouse=True)
def _calls_an_endpoint(shop: Shop, claire: User, endpoint: Endpoint) -> None:
    """Failures of calls are told to Claire: the shop has no address of its own."""
    shop.manager_email = ""
    shop.save()
    ShopKeyFactory(shop=shop, kind="production", value="1122334455667788")
    NotificationRuleFactory(ipn=True, shop=shop, reference="ipn-end", url_production=endpoint.url("/ipn"))


def pay(shop: Shop) -> Delivery:
    with transaction.atomic():
        event = publish(
            type="payment.accepted", company=shop.company, shop=shop, data={"transaction_id": "067925", "amount": 1990}
        )
    call: Delivery = event.deliveries.get(channel="ipn")
    return call


def test_the_link_of_a_failure_mail_leads_through_the_log_in_to_the_replay(
    shop: Shop, endpoint: Endpoint, smtp_server: SmtpServer, page: Any
) -> None:
    endpoint.status = 503
    call = pay(shop)
    loop.deliver_until_idle()
    mail = smtp_server.to("claire@lumiere.example")[0]
    link = re.search(r"http\S+/replay/", mail.text)
    assert link
    page.goto(link.group())
    page.fill("[name=login]", "claire")
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/notifications/journal/{call.pk}/replay/")
    endpoint.status = 200
    page.get_by_role("button", name="Exécuter").click()
    page.wait_for_selector("text=En attente")
    loop.deliver_until_idle()
    page.wait_for_selector("#delivery-state .status-ok")
    expect(page.locator("#delivery-state")).to_contain_text("Envoyé", use_inner_text=True)
    assert len(endpoint.requests) == 2


def test_many_calls_are_replayed_with_a_count_that_moves(
    shop: Shop, endpoint: Endpoint, page: Any, log_in_browser: Any
) -> None:
    endpoint.status = 500
    for _n in range(4):
        pay(shop)
    loop.deliver_until_idle()
    log_in_browser(shop.company.users.get())
    page.goto("/notifications/journal/?channel=ipn&status=failed")
    page.get_by_role("link", name="Rejouer ces appels").click()
    expect(page.locator("main")).to_contain_text("4 appels", use_inner_text=True)
    endpoint.status = 200
    page.get_by_role("button", name="Rejouer").click()
    page.wait_for_selector("text=0 sur 4")
    loop.deliver_until_idle()
    page.wait_for_selector("text=4 sur 4")
    page.wait_for_selector("text=Terminé")


def test_a_rule_is_tested_from_its_form_and_the_outcome_comes_by_itself(
    shop: Shop, endpoint: Endpoint, page: Any, log_in_browser: Any
) -> None:
    log_in_browser(shop.company.users.get())
    page.goto(f"/settings/notification-rules/{shop.site_id}/ipn-end/")
    page.fill("[name=url_production]", endpoint.url("/typed"))
    page.get_by_role("button", name="Essayer en mode PRODUCTION").click()
    page.wait_for_selector("#rule-test .status-wait")
    loop.deliver_until_idle()
    page.wait_for_selector("#rule-test .status-ok")
    assert [request.path for request in endpoint.requests] == ["/typed"]
    expect(page.locator("[name=url_production]")).to_have_value(endpoint.url("/typed"))
