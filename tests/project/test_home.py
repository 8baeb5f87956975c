"""The home page: what fails now, what is wrong in the settings, what is left to do, and for whose eyes."""

from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backoffice import home
from companies.audit import Actor
from companies.models import Company, Membership, Role
from notifications import incidents
from notifications.consistency_reports import report_run
from notifications.models import CallHealth, Delivery
from shops.models import ShopKey
from shops.orders.models import PaymentOrder
from tests.factories import (
    CompanyFactory,
    DeliveryFactory,
    EventFactory,
    NotificationRuleFactory,
    PaymentOrderFactory,
    ShopFactory,
    ShopKeyFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def company() -> Company:
    return CompanyFactory()


def member(company: Company, role: str = Role.ADMINISTRATOR) -> Membership:
    return UserFactory(company=company, role=role).memberships.get()


def a_failing_url(company: Company, *, hours: int = 3, enabled: bool = True) -> CallHealth:
    rule = NotificationRuleFactory(shop=ShopFactory(company=company), enabled=enabled)
    return CallHealth.objects.create(
        rule=rule, mode="PRODUCTION", failing_since=timezone.now() - timedelta(hours=hours), failure_count=2
    )


def an_unsent_order(company: Company, **fields: object) -> PaymentOrder:
    shop = ShopFactory(company=company)
    event = EventFactory(shop=shop)
    DeliveryFactory(event=event, notification="payment_order", status=Delivery.Status.DEAD)
    return PaymentOrderFactory(shop=shop, sending=event.event_id, **fields)


def page(client: Client) -> str:
    return unescape(client.get("/").content.decode())


def test_a_failing_url_is_named_with_its_shop_and_leads_to_its_rule(
    company: Company, client_for: Callable[..., Client]
) -> None:
    health = a_failing_url(company)
    html = page(client_for(UserFactory(company=company)))
    assert f"/settings/notification-rules/{health.rule.shop.site_id}/{health.rule.reference}/" in html
    assert "aucun appel n'aboutit depuis" in html
    assert "Une URL de notification échoue" in html


def test_urls_that_work_again_or_are_switched_off_or_belong_to_others_are_not_told(company: Company) -> None:
    works = a_failing_url(company)
    works.failing_since = None
    works.save()
    a_failing_url(company, enabled=False)
    a_failing_url(CompanyFactory())
    assert home.failing_urls(member(company)) == []


def test_the_url_that_fails_longest_comes_first(company: Company) -> None:
    shops = [a_failing_url(company, hours=hours).rule.shop.name for hours in (1, 9, 4)]
    assert [item.shop for item in home.failing_urls(member(company))] == [shops[1], shops[2], shops[0]]


def test_orders_that_reached_nobody_are_counted_while_they_can_still_be_paid(
    company: Company, client_for: Callable[..., Client]
) -> None:
    an_unsent_order(company)
    an_unsent_order(company, status=PaymentOrder.Status.CANCELLED)
    an_unsent_order(CompanyFactory())
    html = page(client_for(UserFactory(company=company)))
    assert "1 ordre de paiement n'a pas atteint son acheteur" in html
    assert 'href="/payment-orders/?status=in_progress&sending=failed"' in html


def test_errors_of_the_newest_report_are_counted(company: Company, client_for: Callable[..., Client]) -> None:
    shop = ShopFactory(company=company)
    ShopKeyFactory(shop=shop, kind=ShopKey.Kind.PRODUCTION)
    NotificationRuleFactory(shop=shop, enabled=True, url_production="", url_test="")
    report_run(company=company, actor=Actor.command("test"))
    found = home.settings_errors(member(company))
    assert found and found.errors >= 1
    assert "dans vos réglages" in page(client_for(UserFactory(company=company)))


def test_a_running_incident_stands_on_top_until_it_is_over(company: Company, client_for: Callable[..., Client]) -> None:
    actor = Actor.command("test")
    told = {"text_fr": "Nous cherchons.", "text_en": "We are looking."}
    incident = incidents.incident_open(
        actor=actor,
        title_fr="Appels en retard",
        title_en="Calls are late",
        impact="partial",
        state="investigating",
        **told,
    )
    client = client_for(UserFactory(company=company))
    assert "Panne partielle : Appels en retard" in page(client)
    incidents.incident_tell(incident=incident, actor=actor, state="resolved", **told)
    assert "Appels en retard" not in page(client)


def test_a_company_without_shops_is_led_to_its_first(company: Company, client_for: Callable[..., Client]) -> None:
    assert 'href="/settings/shops/new/"' in page(client_for(UserFactory(company=company, role=Role.ADMINISTRATOR)))
    assert 'href="/settings/shops/new/"' not in page(client_for(UserFactory(company=company, role=Role.VIEWER)))


def test_shops_without_a_production_key_are_still_to_be_opened_by_whoever_may_set_them_up(company: Company) -> None:
    ready, new = ShopFactory(company=company), ShopFactory(company=company)
    ShopKeyFactory(shop=ready, kind=ShopKey.Kind.PRODUCTION)
    ShopKeyFactory(shop=new, kind=ShopKey.Kind.TEST)
    assert home.shops_to_open(member(company)) == [new]
    assert home.shops_to_open(member(company, Role.VIEWER)) == []


def test_home_costs_the_same_for_one_trouble_and_for_many(company: Company, client_for: Callable[..., Client]) -> None:
    client = client_for(UserFactory(company=company))

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get("/")
        return len(queries)

    a_failing_url(company)
    an_unsent_order(company)
    report_run(company=company, actor=Actor.command("test"))
    cost()
    before = cost()
    for _number in range(3):
        a_failing_url(company)
        an_unsent_order(company)
    report_run(company=company, actor=Actor.command("test"))
    assert cost() <= before
