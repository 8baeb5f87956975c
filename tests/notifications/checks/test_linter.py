"""Remarks on rules: each check says what it must, and nothing about rules that are fine."""

from typing import Any

import pytest
from django.utils import translation

from notifications.checks import linter
from notifications.checks.linter import RuleFinding, contradiction
from notifications.core.catalogue import DEFAULT_RULES, RuleType
from notifications.core.facts import CompanyFacts, ConditionFacts, EventFacts, RuleFacts, ShopFacts
from notifications.core.resolver import condition_holds

C = ConditionFacts
KEYS = frozenset({"test", "production", "rest_test", "rest_production"})
NOBODY = CompanyFacts("x", "X", "fr", manager_email="")


def call(reference: str = "appel", **given: Any) -> RuleFacts:
    fine: dict[str, Any] = {
        "type": RuleType.IPN_CALL,
        "label": reference.title(),
        "enabled": True,
        "triggers": ("payment.accepted",),
        "recipients": ("dev@agence.example",),
        "form_urls": ("https://b.example/test", "https://b.example/ipn"),
    }
    return RuleFacts(reference, **{**fine, **given})


def mail(reference: str = "courriel", **given: Any) -> RuleFacts:
    return call(reference, **{"type": RuleType.MERCHANT_EMAIL, "form_urls": ("", ""), **given})


def findings(*rules: RuleFacts, keys: frozenset[str] = KEYS) -> list[RuleFinding]:
    return linter.findings(NOBODY, ShopFacts("10000001", "Paris", "fr", keys=keys, rules=rules))


def codes(*rules: RuleFacts) -> list[tuple[str, str]]:
    return [(item.reference, item.code) for item in findings(*rules)]


def test_rules_that_are_fine_are_left_alone() -> None:
    assert codes(call(), mail(triggers=("payment.refused",))) == []


def test_a_new_shop_hears_of_its_missing_url_and_nothing_else() -> None:
    rules = [
        call(
            rule.reference,
            type=rule.type,
            enabled=rule.enabled,
            triggers=rule.triggers,
            conditions=tuple(C(*condition) for condition in rule.conditions),
            recipients=() if rule.type == RuleType.BUYER_EMAIL else ("claire@lumiere.example",),
            form_urls=("", ""),
        )
        for rule in DEFAULT_RULES
    ]
    assert codes(*rules) == [("ipn-end", "enabled_without_url")]


def test_default_calls_do_not_overlap_once_all_are_on_with_the_same_url() -> None:
    rules = [
        call(rule.reference, triggers=rule.triggers, conditions=tuple(C(*item) for item in rule.conditions))
        for rule in DEFAULT_RULES
        if rule.type == RuleType.IPN_CALL
    ]
    assert len(rules) == 7 and codes(*rules) == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"form_urls": ("", "")}, "enabled_without_url"),
        ({"form_urls": ("https://b.example/t", "HTTP://b.example/ipn")}, "http_in_production"),
        ({"rest_urls": ("", "http://b.example/ipn")}, "http_in_production"),
        ({"form_urls": ("https://b.example/ipn", "https://b.example/ipn")}, "same_url_in_both_modes"),
        ({"rest_urls": ("https://b.example/r", "https://b.example/r")}, "same_url_in_both_modes"),
        ({"form_urls": ("https://b.example/t", "")}, "mode_without_url"),
        ({"form_urls": ("", "https://b.example/ipn")}, "mode_without_url"),
        ({"conditions": (C("source", "eq", "JS"),)}, "javascript_without_rest_url"),
        ({"last_http_status": 301}, "url_redirects"),
        ({"last_http_status": 308}, "url_redirects"),
        ({"recipients": ()}, "nobody_told"),
        ({"recipients": ("@shop_manager",)}, "no_address"),
        ({"conditions": (C("mode", "eq", "TEST"), C("mode", "eq", "PRODUCTION"))}, "never_fires"),
        ({"triggers": ("production_key.regenerated",), "conditions": (C("amount", "gt", 1),)}, "trigger_never_fires"),
    ],
)
def test_each_check_finds_its_case(given: dict[str, Any], code: str) -> None:
    assert codes(call(**given)) == [("appel", code)]


@pytest.mark.parametrize(("kind", "mode"), [("test", "TEST"), ("production", "PRODUCTION")])
def test_a_url_without_the_key_that_signs_its_calls_is_told(kind: str, mode: str) -> None:
    (finding,) = findings(call(), keys=KEYS - {kind})
    assert (finding.code, dict(finding.params)) == ("no_key", {"mode": mode})
    assert findings(call(), keys=KEYS - {f"rest_{kind}"}) == []
    (rest,) = findings(call(rest_urls=("https://b.example/r1", "https://b.example/r2")), keys=KEYS - {f"rest_{kind}"})
    assert (rest.code, dict(rest.params)) == ("no_key", {"mode": mode})


@pytest.mark.parametrize("status", [None, 200, 204, 300, 304, 404, 500])
def test_other_answers_are_no_redirection(status: int | None) -> None:
    assert codes(call(last_http_status=status)) == []


def test_a_test_url_over_http_is_nobodys_concern() -> None:
    assert codes(call(form_urls=("http://b.example/t", "https://b.example/ipn"))) == []


def test_a_rule_for_one_mode_needs_no_url_for_the_other() -> None:
    assert codes(call(form_urls=("https://b.example/t", ""), conditions=(C("mode", "eq", "TEST"),))) == []


def test_a_disabled_rule_is_only_told_what_enabling_would_not_mend() -> None:
    off = call(enabled=False, form_urls=("", ""), recipients=())
    assert codes(off) == []
    assert findings(call(enabled=False), keys=frozenset()) == []
    never = call(enabled=False, conditions=(C("amount", "lt", 0),))
    assert codes(never) == [("appel", "never_fires")]


def test_two_mails_of_one_event_to_one_address_are_said_of_both_rules() -> None:
    first, second = mail("un"), mail("deux", triggers=("payment.refused", "payment.accepted"))
    found = findings(first, second)
    assert [(item.reference, item.code, item.other) for item in found] == [
        ("un", "told_twice", "deux"),
        ("deux", "told_twice", "un"),
    ]
    with translation.override("fr"):
        assert str(found[0]) == (
            "dev@agence.example reçoit deux e-mails pour « Paiement accepté » : celui-ci et celui de la règle « Deux »."
        )


@pytest.mark.parametrize(
    "other",
    [
        {"enabled": False},
        {"recipients": ("autre@agence.example",)},
        {"triggers": ("payment.refused",)},
        {"conditions": (C("mode", "eq", "PRODUCTION"),)},
        {"type": RuleType.BUYER_EMAIL, "recipients": ()},
    ],
)
def test_rules_that_never_meet_are_not_a_pair(other: dict[str, Any]) -> None:
    assert codes(mail("un", conditions=(C("mode", "eq", "TEST"),)), mail("deux", **other)) == []


def test_two_calls_share_an_address_or_a_url() -> None:
    elsewhere = {"form_urls": ("https://c.example/test", "https://c.example/ipn")}
    assert codes(call("un"), call("deux", **elsewhere)) == [
        ("un", "failure_told_twice"),
        ("deux", "failure_told_twice"),
    ]
    apart = {"recipients": ("autre@agence.example",)}
    assert codes(call("un"), call("deux", **apart)) == [("un", "called_twice"), ("deux", "called_twice")]
    assert codes(call("un"), call("deux", **elsewhere, **apart)) == []


def test_a_buyer_is_not_to_be_told_twice() -> None:
    buyer = {"type": RuleType.BUYER_EMAIL, "recipients": ()}
    assert codes(mail("un", **buyer), mail("deux", **buyer)) == [
        ("un", "buyer_told_twice"),
        ("deux", "buyer_told_twice"),
    ]


def test_the_gravest_comes_first() -> None:
    found = findings(call("a", recipients=()), call("b", form_urls=("", ""), triggers=("form.invalid",)))
    assert [item.severity for item in found] == [linter.RuleSeverity.ERROR, linter.RuleSeverity.INFO]


def test_every_check_has_two_languages_and_fills_its_sentence() -> None:
    for check in linter.CHECKS:
        with translation.override("fr"):
            french = (str(check.sentence), str(check.advice))
        with translation.override("en"):
            english = (str(check.sentence), str(check.advice))
        assert all(a != b for a, b in zip(french, english, strict=True)), check.code
    assert len({check.code for check in linter.CHECKS}) == len(linter.CHECKS)


CONTRADICTORY = [
    [C("amount", "gt", 10), C("amount", "lt", 5)],
    [C("amount", "gt", 10), C("amount", "lt", 11)],
    [C("amount", "gt", 10), C("amount", "lt", 12), C("amount", "ne", 11)],
    [C("amount", "in", (1, 2)), C("amount", "not_in", (2, 1))],
    [C("amount", "eq", -1)],
    [C("currency", "eq", "eur")],
    [C("currency", "eq", "EUR"), C("currency", "in", ("USD", "CHF"))],
    [C("network", "eq", "CB"), C("network", "ne", "CB")],
    [C("source", "in", ("BO",)), C("source", "not_in", ("BO", "FORM"))],
    [C("source", "ne", "FORM"), C("mode", "ne", "TEST"), C("mode", "ne", "PRODUCTION")],
    [C("instalments", "eq", True), C("instalments", "ne", True)],
]
POSSIBLE = [
    [],
    [C("amount", "gt", 10), C("amount", "lt", 12)],
    [C("amount", "not_in", (0, 1, 2, 3)), C("amount", "lt", 5)],
    [C("amount", "ne", 0)],
    [C("currency", "not_in", ("EUR", "USD"))],
    [C("network", "in", ("CB", "VISA")), C("network", "ne", "CB")],
    [C("source", "not_in", ("BO", "BATCH", "REC"))],
    [C("instalments", "ne", False)],
    [C("mode", "in", ("TEST", "PRODUCTION"))],
    [C("contract", "eq", "5785350"), C("network", "eq", "5785350")],
]


@pytest.mark.parametrize("conditions", CONTRADICTORY)
def test_contradictions_are_named(conditions: list[ConditionFacts]) -> None:
    assert contradiction(conditions) is conditions[-1]


@pytest.mark.parametrize("conditions", POSSIBLE)
def test_what_some_event_can_meet_is_no_contradiction(conditions: list[ConditionFacts]) -> None:
    assert contradiction(conditions) is None


@pytest.mark.parametrize("conditions", [*CONTRADICTORY, *POSSIBLE])
def test_the_answer_is_that_of_the_resolver_over_many_events(conditions: list[ConditionFacts]) -> None:
    amounts, networks = range(20), ("CB", "VISA", "5785350", "SEPA")
    events = [
        EventFacts("payment.accepted", mode, {"amount": amount, "currency": currency, "network": network, "source": source, "instalments": many, "contract": "5785350"})
        for mode in ("TEST", "PRODUCTION")
        for amount in amounts
        for currency in ("EUR", "USD", "CHF", "JPY")
        for network in networks
        for source in ("FORM", "BO", "JS")
        for many in (True, False)
    ]  # fmt: skip
    met = any(all(condition_holds(condition, event) for condition in conditions) for event in events)
    assert met is (contradiction(conditions) is None)
