"""A shop without a rule that calls: nobody is told of a failure because nothing is called, and the pages say so."""

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client

from companies.models import Company, Role, Status
from notifications.core.catalogue import RuleType
from shops.selectors import next_steps
from tests.factories import NotificationRuleFactory, ShopFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
WHO = "/notifications/by-notification/"


@pytest.fixture(autouse=True)
def _shops_with_and_without_calls(company: Company) -> None:
    called = ShopFactory(company=company, name="Appelée", site_id="20000001")
    NotificationRuleFactory(shop=called, type=RuleType.IPN_CALL, reference="a")
    off = ShopFactory(company=company, name="Éteinte", site_id="20000002")
    NotificationRuleFactory(shop=off, type=RuleType.IPN_CALL, reference="b", enabled=False)
    mail = ShopFactory(company=company, name="Muette", site_id="20000003")
    NotificationRuleFactory(shop=mail, type=RuleType.MERCHANT_EMAIL, reference="c")
    ShopFactory(company=company, name="Fermée", site_id="20000004", status=Status.CLOSED)


def shown(client: Client, url: str) -> str:
    return unescape(client.get(url).content.decode())


def part(html: str) -> str:
    return html.split('class="uncalled"')[1].split("</ul>")[0]


def test_each_shop_has_a_row_with_the_link_that_mends_it(company: Any, client_for: ClientFor) -> None:
    client = client_for(UserFactory(company=company, role=Role.ADMINISTRATOR))
    row = part(shown(client, WHO).split('id="ipn_failure"')[1])
    assert "Muette" in row
    assert 'href="/settings/notification-rules/create/20000003/"' in row
    assert 'href="/settings/notification-rules/?shop=20000002"' in row
    assert "20000001" not in row
    assert "20000004" not in row, "a closed shop sends nothing, which is told elsewhere"


@pytest.mark.parametrize("query", ["?shop=20000003", "?notification=ipn_failure&shop=20000003", "?q=muette"])
def test_the_row_is_there_whatever_is_asked_for(company: Any, client_for: ClientFor, query: str) -> None:
    client = client_for(UserFactory(company=company, role=Role.ADMINISTRATOR))
    assert "create/20000003/" in part(shown(client, WHO + query))


def test_the_links_lead_to_pages(company: Any, client_for: ClientFor) -> None:
    client = client_for(UserFactory(company=company, role=Role.ADMINISTRATOR))
    for url in ("/settings/notification-rules/create/20000003/", "/settings/notification-rules/?shop=20000002"):
        assert client.get(url, follow=True).status_code == 200


def test_they_are_told_beside_the_gaps_and_are_none(company: Any, client_for: ClientFor) -> None:
    client = client_for(UserFactory(company=company, role=Role.ADMINISTRATOR))
    html = shown(client, "/notifications/addresses/")
    assert "2 boutiques n'appellent aucune URL de notification" in html
    gaps = html.split('id="gaps"')[1].split("</section>")[0] if 'id="gaps"' in html else ""
    assert "Muette" not in gaps
    home = shown(client, "/")
    assert "Muette n'appelle aucune URL de notification" in home
    assert "Éteinte n'appelle aucune URL de notification" in home
    assert 'href="/settings/notification-rules/create/20000003/"' in home


def test_who_may_not_mend_it_is_told_who_may(company: Any, client_for: ClientFor) -> None:
    row = part(shown(client_for(UserFactory(company=company, role=Role.VIEWER)), WHO))
    assert "Muette" in row
    assert "/create/" not in row
    assert "Un administrateur de votre société peut le changer." in row


def test_the_next_step_never_names_a_rule_that_the_shop_lacks(company: Any) -> None:
    for shop in company.shops.all():
        rules = {rule.reference for rule in shop.rules.all()}
        for step in next_steps(shop, manager_email="a@b.example", may_manage_keys=True):
            named = step.url.partition("rule=")[2]
            assert not named or named in rules, step


def test_the_configuration_of_such_a_shop_says_it(company: Any, client_for: ClientFor) -> None:
    client = client_for(UserFactory(company=company, role=Role.ADMINISTRATOR))
    assert "Aucune règle d'appel" in shown(client, "/settings/shops/20000003/configuration/")
