"""What a rule would have matched lately, and the sample event its conditions are tried on."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from companies.models import User
from notifications.models import Delivery, Event, NotificationRule
from notifications.rules import backtest as backtests
from notifications.rules.backtest import backtest
from shops.models import Shop
from tests.factories import EventFactory, NotificationRuleFactory, ShopFactory
from tests.notifications.rules.test_rule_tests import typed, url_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def rule(shop: Shop) -> NotificationRule:
    rule: NotificationRule = NotificationRuleFactory(
        shop=shop,
        reference="gros-paiements",
        triggers=["payment.accepted"],
        conditions=[{"variable": "amount", "operator": "gt", "value": 50000}],
    )
    return rule


@pytest.fixture
def manager(paul: User, client_for: Callable[..., Client]) -> Client:
    return client_for(paul)


def events(shop: Shop, *amounts: int, **fields: Any) -> list[Event]:
    return [EventFactory(shop=shop, data={"amount": amount, "currency": "EUR"}, **fields) for amount in amounts]


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def test_the_events_of_thirty_days_are_judged(shop: Shop, rule: NotificationRule) -> None:
    events(shop, 100, 60000, 70000)
    events(shop, 80000, type="payment.refused")
    events(shop, 90000, occurred_at=timezone.now() - timedelta(days=31))
    events(shop, 90000, external=False)
    events(ShopFactory(company=shop.company), 90000)
    found = backtest(rule)
    assert (found.seen, found.matched, found.is_partial) == (3, 2, False)
    assert found.sentence == "Ces 30 derniers jours : 3 événements, 2 auraient correspondu."
    assert {event.amount.replace("\xa0", " ") for event in found.events} == {"600,00 EUR", "700,00 EUR"}


def test_events_of_the_back_office_itself_count_for_its_own_triggers(shop: Shop, rule: NotificationRule) -> None:
    rule.triggers, rule.conditions = ["production_key.regenerated"], []
    EventFactory(shop=shop, type="production_key.regenerated", external=False)
    assert backtest(rule).matched == 1


def test_no_event_at_all_is_said(rule: NotificationRule) -> None:
    assert "aucun de ces événements" in backtest(rule).sentence


def test_a_busy_shop_is_judged_by_its_newest_events(
    shop: Shop, rule: NotificationRule, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(backtests, "MOST_READ", 3)
    monkeypatch.setattr(backtests, "NAMED", 1)
    for age, amount in enumerate((60000, 1, 60000, 60000)):
        events(shop, amount, occurred_at=timezone.now() - timedelta(hours=age + 1))
    with django_assert_num_queries(1):
        found = backtest(rule)
    assert (found.seen, found.matched, found.more, found.is_partial) == (3, 2, 1, True)
    assert "les plus récents" in found.sentence


def test_the_panel_judges_the_conditions_being_typed(shop: Shop, rule: NotificationRule, manager: Client) -> None:
    events(shop, 100, 60000, 70000)
    assert "3 événements, 2 auraient correspondu" in text(manager.get(url_of(rule)))
    values = {
        **typed(rule),
        "with_conditions": "1",
        "condition-0-variable": "amount",
        "condition-0-operator": "gt",
        "condition-0-value": "650,00",
    }
    panel = manager.post(url_of(rule) + "?part=impact", values, headers={"HX-Request": "true"})
    assert "3 événements, 1 aurait correspondu" in text(panel)
    rule.refresh_from_db()
    assert rule.conditions[0]["value"] == 50000, "nothing was saved"


def sample(**fields: str) -> dict[str, str]:
    values = {"mode": "PRODUCTION", "amount": "", "currency": "EUR", "source": "", "network": "", **fields}
    return {f"sample-{name}": value for name, value in {"instalments": "", "contract": "", **values}.items()}


@pytest.mark.parametrize(("amount", "verdict"), [("500,01", "déclencherait"), ("500,00", "ne déclencherait pas")])
def test_conditions_are_tried_on_the_sample_event_and_nothing_leaves(
    amount: str, verdict: str, rule: NotificationRule, manager: Client
) -> None:
    answer = manager.post(url_of(rule), {**typed(rule), "test": "CONDITIONS", **sample(amount=amount)})
    assert f"Cet événement {verdict} la règle" in text(answer)
    assert not Delivery.objects.exists() and not Event.objects.exists()


def test_each_condition_says_whether_it_is_met(rule: NotificationRule, manager: Client) -> None:
    rule.conditions = [*rule.conditions, {"variable": "mode", "operator": "eq", "value": "TEST"}]
    rule.save()
    tried = {**typed(rule), "test": "CONDITIONS", **sample(amount="600", mode="PRODUCTION")}
    shown = text(manager.post(url_of(rule), tried, headers={"HX-Request": "true"}))
    assert shown.count("non remplie") == 1 and " remplie " in shown


def test_a_sample_that_cannot_be_read_is_told_by_field(rule: NotificationRule, manager: Client) -> None:
    tried = {**typed(rule), "test": "CONDITIONS", **sample(amount="beaucoup", currency="XYZ")}
    shown = text(manager.post(url_of(rule), tried, headers={"HX-Request": "true"}))
    assert "XYZ" in shown and "Devise" in shown
    assert not Event.objects.exists()


def test_what_is_sent_says_what_the_sample_says(rule: NotificationRule, manager: Client) -> None:
    manager.post(url_of(rule), {**typed(rule), "test": "TEST", **sample(amount="612,50", network="SEPA")})
    data = Event.objects.get().data
    assert (data["amount"], data["network"], data["order_id"]) == (61250, "SEPA", "TEST")


def test_the_form_proposes_a_sample_that_its_equalities_let_pass(rule: NotificationRule, manager: Client) -> None:
    rule.conditions = [
        {"variable": "network", "operator": "in", "value": ["SEPA", "CB"]},
        {"variable": "instalments", "operator": "eq", "value": True},
    ]
    rule.save()
    page = manager.get(url_of(rule)).content.decode()
    assert 'name="sample-network" value="SEPA"' in page
    assert re.search(r'name="sample-instalments".*?value="true" selected', page, re.S)
