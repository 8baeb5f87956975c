"""Many rules in one save: a rule copied to other shops, an address in or out of many rules."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from companies.models import AuditEntry, Company, Role, User
from notifications.models import NotificationRule
from shops.models import Shop
from tests.factories import NotificationRuleFactory, ShopFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
ADDRESS = "/settings/notification-rules/address/"


@pytest.fixture
def client(client_for: ClientFor, claire: User) -> Client:
    return client_for(claire)


@pytest.fixture
def rule(paris: Shop) -> NotificationRule:
    return NotificationRuleFactory(
        shop=paris, reference="encaissements", label="Encaissements", recipients=["@shop_manager", "compta@x.example"]
    )


def text_of(response: Any) -> str:
    assert response.status_code == 200
    shown = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))
    return shown.replace("@ ", "@")


def copy_of(rule: NotificationRule) -> str:
    return f"/settings/notification-rules/{rule.shop.site_id}/{rule.reference}/copy/"


def seen(client: Client, **query: str) -> str:
    found = re.search(r'name="seen" value="(\w+)"', client.get(ADDRESS, query).content.decode())
    assert found
    return found[1]


def undo(client: Client, answer: Any) -> None:
    link = re.search(r'class="undo-link" href="([^"]+)"', answer.content.decode())
    assert link
    client.post(link[1])


# --- A rule in other shops ------------------------------------------------------------------------


def test_a_rule_is_copied_to_the_shops_chosen_and_taken_back(
    client: Client, rule: NotificationRule, lyon: Shop, nice: Shop
) -> None:
    theirs = NotificationRuleFactory(shop=nice, reference="encaissements", label="Autre", enabled=False)
    chosen = {"shops": [lyon.site_id, nice.site_id]}
    shown = text_of(client.post(copy_of(rule), {**chosen, "show_effect": "1"}))
    assert "Lumière Lyon : la règle y est créée" in shown
    assert "Lumière Nice : la règle du même nom y est mise aux mêmes réglages" in shown
    assert "compta@x.example recevra :" in shown
    assert NotificationRule.objects.filter(shop=lyon).count() == 0, "asking is not doing"
    answer = client.post(copy_of(rule), chosen, follow=True)
    assert "est copiée vers 2 boutiques" in text_of(answer)
    made = NotificationRule.objects.get(shop=lyon)
    assert (made.reference, made.label, made.recipients, made.enabled) == (
        "encaissements", "Encaissements", ["@shop_manager", "compta@x.example"], True,
    )  # fmt: skip
    theirs.refresh_from_db()
    assert (theirs.label, theirs.enabled, theirs.version) == ("Encaissements", True, 2)
    again = text_of(client.post(copy_of(rule), chosen, follow=True))
    assert "Rien n'a changé" in again and NotificationRule.objects.count() == 3
    undo(client, answer)
    theirs.refresh_from_db()
    made.refresh_from_db()
    assert (theirs.label, theirs.enabled) == ("Autre", False) and made.archived_at is not None


def test_urls_are_copied_only_where_it_is_asked_for(client: Client, paris: Shop, lyon: Shop) -> None:
    rule = NotificationRuleFactory(shop=paris, ipn=True, reference="appel", url_production="https://paris.example/ipn")
    theirs = NotificationRuleFactory(shop=lyon, ipn=True, reference="appel", url_production="https://lyon.example/ipn")
    client.post(copy_of(rule), {"shops": [lyon.site_id]})
    theirs.refresh_from_db()
    assert theirs.url_production == "https://lyon.example/ipn"
    client.post(copy_of(rule), {"shops": [lyon.site_id], "with_urls": "on"})
    theirs.refresh_from_db()
    assert theirs.url_production == "https://paris.example/ipn"


def test_shops_without_the_right_are_not_offered(
    client_for: ClientFor, company: Company, rule: NotificationRule, paris: Shop, lyon: Shop
) -> None:
    foreign = ShopFactory()
    manager = client_for(UserFactory(company=company, role=Role.MANAGER, shops=[paris]))
    assert "Aucune autre boutique" in text_of(manager.get(copy_of(rule)))
    for shop in (lyon, foreign):
        manager.post(copy_of(rule), {"shops": [shop.site_id]})
        assert not NotificationRule.objects.filter(shop=shop).exists()
    assert client_for(UserFactory()).get(copy_of(rule)).status_code == 404


# --- An address in many rules ---------------------------------------------------------------------


def test_an_address_joins_many_rules_in_one_save_and_leaves_again(
    client: Client, rule: NotificationRule, lyon: Shop
) -> None:
    other = NotificationRuleFactory(shop=lyon, recipients=["COMPTA@x.example"])
    NotificationRuleFactory(shop=lyon, buyer=True)
    third = NotificationRuleFactory(shop=lyon, ipn=True)
    form = {
        "change": "add", "email": "neuf@x.example", "rules": [str(rule.pk), str(third.pk)], "seen": seen(client),
    }  # fmt: skip
    panel = text_of(client.post(f"{ADDRESS}?part=effect", form))
    assert "neuf@x.example recevra :" in panel and "Lumière Lyon" in panel
    answer = client.post(ADDRESS, form, follow=True)
    assert "neuf@x.example est ajoutée à 2 règles" in text_of(answer)
    rule.refresh_from_db()
    assert rule.recipients == ["@shop_manager", "compta@x.example", "neuf@x.example"]
    assert AuditEntry.objects.filter(action="rule.updated").count() == 2
    undo(client, answer)
    rule.refresh_from_db()
    assert rule.recipients == ["@shop_manager", "compta@x.example"]
    # Whoever comes with the address finds those that have it ticked, to be taken out.
    page = client.get(ADDRESS, {"address": "compta@x.example"}).content.decode()
    assert all(f'value="{one.pk}"' in page for one in (rule, other)) and 'value="remove" ' in page
    refused = client.post(
        ADDRESS,
        {"change": "remove", "email": "compta@x.example", "rules": [rule.pk, other.pk], "seen": seen(client)},
    )
    assert "a au moins un destinataire" in text_of(refused)
    rule.refresh_from_db()
    assert "compta@x.example" in rule.recipients, "all or none"


def test_a_page_that_is_out_of_date_saves_nothing(client: Client, rule: NotificationRule) -> None:
    form = {"change": "add", "email": "neuf@x.example", "rules": [str(rule.pk)], "seen": seen(client)}
    NotificationRule.objects.filter(pk=rule.pk).update(version=7)
    assert "modifiées par quelqu'un d'autre" in text_of(client.post(ADDRESS, form))
    rule.refresh_from_db()
    assert rule.recipients == ["@shop_manager", "compta@x.example"]


def test_a_manager_of_one_shop_changes_its_rules_only(
    client_for: ClientFor, company: Company, rule: NotificationRule, paris: Shop, lyon: Shop
) -> None:
    hidden = NotificationRuleFactory(shop=lyon)
    manager = client_for(UserFactory(company=company, role=Role.MANAGER, shops=[paris]))
    page = manager.get(ADDRESS).content.decode()
    assert f'value="{rule.pk}"' in page and f'value="{hidden.pk}"' not in page
    assert client_for(UserFactory(company=company, role=Role.VIEWER)).get(ADDRESS).status_code == 403


def test_the_pages_cost_the_same_for_many_rules(client: Client, rule: NotificationRule, company: Company) -> None:
    counts = []
    for more in (1, 6):
        shops = [ShopFactory(company=company) for _n in range(more)]
        for shop in shops:
            NotificationRuleFactory(shop=shop)
        with CaptureQueriesContext(connection) as queries:
            client.get(ADDRESS)
            client.post(copy_of(rule), {"shops": [shop.site_id for shop in shops], "show_effect": "1"})
        counts.append(len(queries))
    assert counts[0] == counts[1]
