"""The lists of rules: one shop's, and those of all shops."""

import csv
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from companies.models import Role, User
from notifications.models import Delivery, NotificationRule
from shops.models import Shop
from tests.factories import (
    DeliveryFactory,
    EventFactory,
    NotificationRuleFactory,
    ShopFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
LIST, ALL = "/settings/notification-rules/", "/settings/notification-rules/all/"


@pytest.fixture
def client(paul: User, client_for: ClientFor) -> Client:
    return client_for(paul)


def text(response: Any) -> str:
    return response.content.decode().replace("&#x27;", "'").replace("<wbr>", "")


def rows(response: Any) -> list[str]:
    """References of the rules in the table."""
    return re.findall(r'<tr id="rule-([a-z0-9-]+)"', text(response))


def table(response: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))


def test_the_last_call_is_shown_with_its_outcome_and_leads_to_the_journal(client: Client, lyon: Shop) -> None:
    rule = NotificationRuleFactory(shop=lyon, ipn=True)
    old = DeliveryFactory(
        event=EventFactory(shop=lyon), rule=rule, channel="ipn", notification="ipn_call", status="sent"
    )
    newest = DeliveryFactory(
        event=EventFactory(shop=lyon), rule=rule, channel="ipn", notification="ipn_call", status="dead", http_status=503
    )
    told = DeliveryFactory(event=EventFactory(shop=lyon), rule=rule, notification="ipn_failure", status="sent")
    test = DeliveryFactory(
        event=EventFactory(shop=lyon), rule=rule, channel="ipn", notification="ipn_call", status="sent", is_test=True
    )
    said = text(client.get(LIST, {"shop": lyon.site_id}))
    assert f"/notifications/journal/{newest.pk}/" in said and "code 503" in said and "Abandonné" in said
    assert not any(f"/notifications/journal/{other.pk}/" in said for other in (old, told, test))


def test_search_and_state_narrow_the_tab(client: Client, lyon: Shop) -> None:
    a = NotificationRuleFactory(shop=lyon, reference="a", label="Encaissements d'été", recipients=["caisse@b.example"])
    b = NotificationRuleFactory(shop=lyon, reference="b", label="Refus", enabled=False, triggers=["payment.refused"])
    base = {"shop": lyon.site_id, "type": "merchant_email"}
    assert rows(client.get(LIST, base)) == [a.reference, b.reference]
    assert rows(client.get(LIST, {**base, "q": "ete"})) == ["a"]
    assert rows(client.get(LIST, {**base, "q": "CAISSE@"})) == ["a"]
    assert rows(client.get(LIST, {**base, "q": "paiement refusé"})) == ["b"]
    assert rows(client.get(LIST, {**base, "state": "off"})) == ["b"]
    assert rows(client.get(LIST, {**base, "state": "on"})) == ["a"]
    assert rows(client.get(LIST, {**base, "state": "nonsense"})) == ["a", "b"]
    none = client.get(LIST, {**base, "q": "introuvable"})
    assert rows(none) == [] and "Aucune règle ne correspond" in text(none)


def test_a_search_without_a_tab_opens_the_tab_that_answers(client: Client, lyon: Shop) -> None:
    NotificationRuleFactory(shop=lyon, ipn=True, reference="appel")
    NotificationRuleFactory(shop=lyon, reference="courriel", recipients=["caisse@b.example"])
    assert rows(client.get(LIST, {"shop": lyon.site_id, "q": "caisse"})) == ["courriel"]


def test_enabled_calls_without_url_are_one_filter_away(client: Client, lyon: Shop) -> None:
    empty = {"url_test": "", "url_production": ""}
    NotificationRuleFactory(shop=lyon, ipn=True, reference="sans", **empty)
    NotificationRuleFactory(shop=lyon, ipn=True, reference="eteinte", enabled=False, **empty)
    NotificationRuleFactory(shop=lyon, ipn=True, reference="avec")
    found = client.get(LIST, {"shop": lyon.site_id, "state": "without_url"})
    assert rows(found) == ["sans"]
    assert "n'a pas d'URL : rien n'est appelé" in text(found)


def test_custom_rules_alone_can_be_deleted(client: Client, lyon: Shop) -> None:
    NotificationRuleFactory(shop=lyon, reference="mail-payment", label="E-mail de confirmation de paiement")
    NotificationRuleFactory(shop=lyon, reference="maison", label="Maison")
    said = text(client.get(LIST, {"shop": lyon.site_id, "type": "merchant_email"}))
    assert f"/{lyon.site_id}/maison/delete/" in said and f"/{lyon.site_id}/mail-payment/delete/" not in said
    assert f"/{lyon.site_id}/mail-payment/duplicate/" in said


def test_viewers_get_the_list_without_the_buttons(client_for: ClientFor, lyon: Shop) -> None:
    NotificationRuleFactory(shop=lyon, reference="maison")
    said = text(
        client_for(UserFactory(company=lyon.company, role=Role.VIEWER)).get(
            LIST, {"shop": lyon.site_id, "type": "merchant_email"}
        )
    )
    assert "Voir la règle" in said
    assert not any(word in said for word in ("Désactiver", "Dupliquer", "Supprimer", "Créer une règle"))


def test_the_csv_of_a_shop_holds_every_type_and_neutralises_formulas(client: Client, lyon: Shop) -> None:
    NotificationRuleFactory(shop=lyon, ipn=True, reference="appel", label="=cmd()")
    NotificationRuleFactory(
        shop=lyon,
        reference="courriel",
        conditions=[{"variable": "mode", "operator": "eq", "value": "TEST"}],
        recipients=["@shop_manager", "dev@agence.example"],
    )
    first, second = table(client.get(LIST, {"shop": lyon.site_id, "format": "csv", "plain": "1"}))
    assert (first["reference"], first["label"], first["url_production"]) == (
        "appel",
        "'=cmd()",
        "https://boutique.example/ipn",
    )
    assert second["recipients"] == "'@shop_manager; dev@agence.example"
    assert second["shop_manager"] == "claire@lumiere.example"
    assert second["conditions"] == "mode est égal à TEST" and second["triggers"] == "payment.accepted"


def test_support_finds_the_rules_that_write_to_an_address_in_any_shop(client: Client, lyon: Shop) -> None:
    other = ShopFactory(company=lyon.company, name="Brest", manager_email="brest@lumiere.example")
    NotificationRuleFactory(shop=lyon, reference="a", recipients=["Dev@Agence.example"])
    NotificationRuleFactory(shop=lyon, reference="b")
    NotificationRuleFactory(shop=other, reference="c")
    NotificationRuleFactory(shop=other, reference="d", buyer=True)
    NotificationRuleFactory(reference="e", recipients=["dev@agence.example"])

    def found(**asked: str) -> list[str]:
        return [row["reference"] for row in table(client.get(ALL, {**asked, "format": "csv", "plain": "1"}))]

    assert found() == ["a", "b", "c", "d"]
    assert found(address="dev@AGENCE.example") == ["a"]
    assert found(address="claire@lumiere.example") == ["b"], "the inherited manager counts"
    assert found(address="lumiere.example") == ["b", "c"]
    assert found(type="buyer_email") == ["d"]
    assert found(q="brest", type="merchant_email") == ["c"]
    said = text(client.get(ALL, {"address": "dev@agence.example"}))
    assert f"/{lyon.site_id}/a/" in said and f"/{other.site_id}/c/" not in said


def test_a_user_of_one_shop_finds_only_its_rules(client_for: ClientFor, lyon: Shop) -> None:
    other = ShopFactory(company=lyon.company)
    NotificationRuleFactory(shop=other, reference="autre")
    NotificationRuleFactory(shop=lyon, reference="mienne")
    user: User = UserFactory(company=lyon.company, role=Role.VIEWER, shops=[lyon])
    found = table(client_for(user).get(ALL, {"format": "csv", "plain": "1"}))
    assert [row["reference"] for row in found] == ["mienne"]


@pytest.mark.parametrize("path", [LIST, ALL])
def test_more_rules_and_deliveries_cost_no_more_queries(client: Client, lyon: Shop, path: str) -> None:
    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as caught:
            assert client.get(path, {"shop": lyon.site_id}).status_code == 200
        return len(caught)

    def add(number: int) -> None:
        for _ in range(number):
            rule: NotificationRule = NotificationRuleFactory(shop=lyon, ipn=True)
            DeliveryFactory(event=EventFactory(shop=lyon), rule=rule, channel="ipn", notification="ipn_call")

    add(2)
    count()
    before = count()
    add(12)
    assert count() == before
    assert Delivery.objects.count() == 14


def test_remarks_lead_to_where_they_are_put_right(client: Client, lyon: Shop) -> None:
    rule = NotificationRuleFactory(shop=lyon, ipn=True, reference="appel", label="Appel")
    other = NotificationRuleFactory(shop=lyon, ipn=True, reference="second", label="Second")
    call = DeliveryFactory(
        event=EventFactory(shop=lyon), rule=rule, channel="ipn", notification="ipn_call", status="sent", http_status=302
    )
    said = text(client.get(LIST, {"shop": lyon.site_id}))
    assert "Le dernier appel a été redirigé (code 302)" in said
    assert f'<a href="/notifications/journal/{call.pk}/">Voir cet appel</a>' in said
    assert f'<a href="/settings/shops/{lyon.site_id}/keys/">Clés de la boutique</a>' in said
    assert f"est appelée deux fois pour « Paiement accepté » : par cette règle et par « {other.label} »." in said
    assert f'<a href="/settings/notification-rules/{lyon.site_id}/second/">Second</a>' in said
    state = client.get(LIST, {"shop": lyon.site_id, "state": "remarks"})
    assert rows(state) == ["appel", "second"]
