"""Why and why not: answers equal an independent oracle, and the resolver's own verdict."""

from typing import Any

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from backoffice.text import addresses
from notifications.core import obstacle_wording, obstacles, resolver
from notifications.core.facts import AccountFacts, CompanyFacts, ConditionFacts, EventFacts, RuleFacts, ShopFacts
from notifications.core.obstacles import ObstacleCode, Question
from tests.notifications.answers.companies import (
    DATA,
    companies_with_conditions,
    expected_answer,
    expected_gaps,
    lines,
)
from tests.notifications.core.test_resolver_properties import ADDRESS, CODES

ASKED = st.one_of(ADDRESS, st.just("nobody@x.example"))
EVENT = st.none() | st.builds(EventFacts, st.just(""), st.sampled_from(["TEST", "PRODUCTION"]), DATA)


def shown(company: CompanyFacts, question: Question) -> list[dict[str, Any]]:
    """The answers of the document, obstacles as codes, without the sentences."""
    roles = resolver.roles(company).get(addresses.normalise(question.address), ("", []))[1]
    found = obstacle_wording.document(company, question, roles, obstacles.answers(company, question))
    return [
        {
            name: [item["code"] for item in value] if name == "obstacles" else value
            for name, value in answer.items()
            if name not in ("reason", "condition")
        }
        for answer in found["answers"]
    ]


@given(companies_with_conditions(), ASKED, st.none() | st.sampled_from(CODES), EVENT, st.none() | st.booleans())
def test_answers_are_those_of_the_oracle_complete_and_in_order(
    company: CompanyFacts, address: str, trigger: str | None, event: EventFacts | None, ticked: bool | None
) -> None:
    question = Question(address, trigger=trigger, event=event, copy_ticked=ticked)
    wanted = [line for line in lines(company) if trigger is None or line["code"] in ("ipn_failure", "merchant_email")]
    expected = [expected_answer(company, line, address, trigger=trigger, event=event, ticked=ticked) for line in wanted]
    assert shown(company, question) == expected


@given(companies_with_conditions(), ASKED)
def test_it_delivers_exactly_where_the_resolver_does(company: CompanyFacts, address: str) -> None:
    key = addresses.normalise(address)
    resolved = {
        (line.notification, line.shop, line.rule, line.account, line.as_, line.source)
        for line in resolver.resolve_all(company)
        if line.delivers and line.normalised == key
    }
    told = {
        (a["notification"], a["shop"], a["rule"], a["account"], a["as"], a["source"])
        for a in shown(company, Question(address))
        if a["delivers"]
    }
    assert told == resolved


@given(companies_with_conditions())
def test_gaps_are_those_of_the_oracle_however_they_are_asked(company: CompanyFacts) -> None:
    expected = sorted(expected_gaps(company), key=str)
    for found in ([d for d in resolver.resolve_all(company) if d.gap], resolver.gaps(company)):
        assert sorted(((gap.notification, gap.shop, gap.rule) for gap in found), key=str) == expected


@given(companies_with_conditions(), ASKED, EVENT, st.sampled_from(["fr", "en"]))
def test_every_obstacle_has_a_sentence_and_its_place(
    company: CompanyFacts, address: str, event: EventFacts | None, language: str
) -> None:
    question = Question(address, trigger="payment.accepted", event=event)
    everything = Question(address, event=event)
    with translation.override(language):
        for asked in (question, everything):
            for answer in obstacle_wording.document(company, asked, [], obstacles.answers(company, asked))["answers"]:
                assert answer["reason"].endswith(".")
                for obstacle in answer["obstacles"]:
                    assert obstacle["reason"].endswith(".")
                    assert "%(" not in obstacle["reason"]
                    is_state = obstacle["code"].startswith(("company_", "shop_"))
                    assert (obstacle["configured_at"] is None) is is_state
                if answer["obstacles"]:
                    assert answer["reason"] == answer["obstacles"][0]["reason"]


# --- Single cases ---------------------------------------------------------------------------------

RULE = RuleFacts(
    "mail", "merchant_email", "Paiements", True, ("payment.accepted",), (ConditionFacts("amount", "gt", 1000),),
    ("@shop_manager",),
)  # fmt: skip
CALL = RuleFacts("ipn", "ipn_call", "Fin du paiement", True, ("payment.accepted",))
SHOP = ShopFacts("10000001", "Paris", "fr", "paris@x.example", rules=(RULE, CALL))
LYON = ShopFacts("10000002", "Lyon", "fr")
COMPANY = CompanyFacts(
    "x", "X", "fr", "claire@x.example", "hugo@agence.example", users=(AccountFacts("claire", "claire@x.example"),),
    shops=(SHOP, LYON),
)  # fmt: skip


def one(address: str, roles: tuple[str, ...] = (), **asked: Any) -> dict[str, Any]:
    question = Question(address, **asked)
    found = obstacle_wording.document(COMPANY, question, list(roles), obstacles.answers(COMPANY, question))["answers"]
    assert len(found) == 1
    return found[0]


def test_a_technical_contact_reads_that_this_role_receives_nothing() -> None:
    answer = one("hugo@agence.example", ("technical_contact",), notification="shop_created", shop="10000001")
    assert [item["code"] for item in answer["obstacles"]] == ["not_addressed"]
    assert answer["reason"].startswith("À titre de Contact technique")
    assert answer["instead"] == ["claire@x.example", "paris@x.example"]
    assert answer["obstacles"][0]["configured_at"] == "/settings/shops/10000001/configuration/"


def test_an_address_that_is_to_and_cc_delivers_once_and_the_merge_is_told() -> None:
    answer = one("claire@x.example", notification="shop_created", shop="10000002")
    assert (answer["delivers"], answer["as"], answer["source"]) == (True, "to", "shop_manager")
    assert "Même adresse que claire@x.example" in answer["reason"]


def test_conditions_are_told_until_an_event_tests_them() -> None:
    asked: dict[str, Any] = {"notification": "merchant_email", "shop": "10000001"}
    general = one("paris@x.example", **asked)
    assert general["delivers"] and "10,00" in general["condition"]
    small = one("paris@x.example", **asked, event=EventFacts("", "PRODUCTION", {"amount": 900}))
    assert small["condition"] is None
    assert [item["code"] for item in small["obstacles"]] == ["condition_false"]
    assert "9,00" in small["reason"]
    silent = one("paris@x.example", **asked, event=EventFacts("", "PRODUCTION", {}))
    assert "ne le dit pas" in silent["reason"]
    assert one("paris@x.example", **asked, event=EventFacts("", "PRODUCTION", {"amount": 1001}))["delivers"]


def test_the_copy_of_an_order_is_asked_about_only_where_that_is_said() -> None:
    asked: dict[str, Any] = {"notification": "payment_order_copy", "shop": "10000001"}
    assert one("paris@x.example", **asked)["condition"]
    unticked = one("paris@x.example", **asked, copy_ticked=False)
    assert [item["code"] for item in unticked["obstacles"]] == ["copy_not_ticked"]
    ticked = one("paris@x.example", **asked, copy_ticked=True)
    assert ticked["delivers"] and ticked["condition"] is None


def test_a_shop_without_a_rule_of_a_kind_says_so_and_where_to_create_one() -> None:
    answer = one("claire@x.example", notification="ipn_failure", shop="10000002")
    assert answer["rule"] is None and answer["instead"] == []
    assert answer["obstacles"] == [
        {
            "code": "no_rule",
            "reason": "La boutique Lyon n'a aucune règle de type « Appel URL de notification ».",
            "configured_at": "/settings/notification-rules/create/10000002/",
        }
    ]
    question = Question("claire@x.example", trigger="payment.accepted", shop="10000002")
    codes = [answer.obstacles[0].code for answer in obstacles.answers(COMPANY, question)]
    assert codes == [ObstacleCode.NO_RULE, ObstacleCode.NO_RULE]


def test_a_rule_for_nobody_says_that_it_is_on_purpose() -> None:
    answer = one("claire@x.example", rule="ipn")
    assert [item["code"] for item in answer["obstacles"]] == ["not_addressed"]
    assert "par choix" in answer["reason"] and answer["instead"] == []


def test_incidents_without_any_address_say_that_nobody_is_told() -> None:
    assert "personne n'est prévenu" in one("claire@x.example", notification="platform_incident")["reason"]


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"account": "claire"}, 1),
        ({"notification": "buyer_email"}, 0),
        ({"notification": "shop_created"}, 2),
        ({"shop": "10000002"}, 10),
        ({"trigger": "form.invalid"}, 4),
        ({"rule": "mail", "shop": "10000002"}, 0),
    ],
)
def test_filters_keep_the_rows_they_fit(asked: dict[str, Any], count: int) -> None:
    assert len(obstacles.answers(COMPANY, Question("claire@x.example", **asked))) == count
