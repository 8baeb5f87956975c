"""The table of checks, row by row: a healthy company, one thing wrong, exactly that finding."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.urls import resolve
from django.utils import translation

from notifications.checks import addresses as address_checks
from notifications.checks import words as consistency_words
from notifications.checks.consistency import BY_CODE, CHECKS, findings
from notifications.checks.findings import Finding, Severity, digest
from notifications.consistency.reports import PLACES
from notifications.core.address_health import AddressState, HealthFacts
from notifications.core.facts import AccountFacts, CompanyFacts, ConditionFacts, ContractFacts, RuleFacts, ShopFacts

CALL = RuleFacts(
    "ipn-end",
    "ipn_call",
    "Fin du paiement",
    True,
    ("payment.accepted",),
    recipients=("claire@lumiere.example", "paul@lumiere.example"),
    form_urls=("https://lumiere.example/t", "https://lumiere.example/p"),
)
MAIL = RuleFacts(
    "mail-payment",
    "merchant_email",
    "Paiement",
    True,
    ("payment.accepted",),
    recipients=("claire@lumiere.example",),
)
PARIS = ShopFacts(
    site_id="10000001",
    name="Paris",
    language="fr",
    manager_email="paul@lumiere.example",
    url="https://lumiere.example",
    keys=frozenset({"test", "production"}),
    algorithms=(("TEST", "HMAC-SHA-256"), ("PRODUCTION", "HMAC-SHA-256")),
    contracts=(ContractFacts("5785350", "CB", True),),
    rules=(CALL, MAIL),
)
LYON = replace(PARIS, site_id="10000002", name="Lyon", contracts=(ContractFacts("5785351", "CB", True),))
HEALTHY = CompanyFacts(
    reference="lumiere",
    name="Lumière",
    language="fr",
    registration_number="732829320",
    address="1 rue de la Paix",
    manager_email="claire@lumiere.example",
    technical_email="hugo@agence.example",
    incident_emails=("astreinte@lumiere.example", "paul@lumiere.example"),
    users=(
        AccountFacts("claire", "claire@lumiere.example", administrator=True),
        AccountFacts("paul", "paul@lumiere.example", administrator=True),
        AccountFacts("astreinte", "astreinte@lumiere.example"),
    ),
    sftp_accounts=(AccountFacts("compta", "compta@lumiere.example"),),
    shops=(PARIS, LYON),
)


def company(**fields: Any) -> CompanyFacts:
    return replace(HEALTHY, **fields)


def shop(**fields: Any) -> CompanyFacts:
    return replace(HEALTHY, shops=(replace(PARIS, **fields), LYON))


def call(**fields: Any) -> CompanyFacts:
    return shop(rules=(replace(CALL, **fields), MAIL))


# A key for tests only, and a URL for them only.
TEST_PHASE: dict[str, Any] = {
    "keys": frozenset({"test"}),
    "rules": (replace(CALL, form_urls=("https://lumiere.example/t", "")), MAIL),
}
# What cannot be wrong without something else being so: a rule is without address while the company has no manager.
IMPLIED = {"no_address": ["company_without_manager"]}
# What a change of another kind often brings along: one address less, or one more.
OF_ADDRESSES = {check.code for check in address_checks.CHECKS}
GONE = (*HEALTHY.users, AccountFacts("marc", "Marc@Lumiere.example", active=False))

# code → (company, where and values of the one finding)
CASES: dict[str, tuple[CompanyFacts, dict[str, Any]]] = {
    "company_without_manager": (company(manager_email=""), {}),
    "contact_address_invalid": (company(technical_email="hugo@agence"), {"address": "hugo@agence"}),
    "no_incident_address": (company(incident_emails=()), {}),
    "address_bounces": (
        company(bouncing=frozenset({"astreinte@lumiere.example", "autre@ailleurs.example"})),
        {"address": "astreinte@lumiere.example"},
    ),
    "time_zone_unknown": (company(time_zone_known=False), {}),
    "no_administrator": (company(users=(AccountFacts("lea", "lea@lumiere.example"),)), {}),
    "one_administrator": (company(users=HEALTHY.users[:1]), {"login": "claire"}),
    "administrators_never_logged_in": (
        company(users=tuple(replace(user, logged_in=False) for user in HEALTHY.users)),
        {},
    ),
    "contacts_same_address": (
        company(technical_email="CLAIRE@lumiere.example"),
        {"address": "claire@lumiere.example"},
    ),
    "incidents_reach_manager_only": (
        company(incident_emails=("Claire@Lumiere.example",)),
        {"address": "Claire@Lumiere.example"},
    ),
    "incident_address_of_disabled_user": (
        company(incident_emails=("astreinte@lumiere.example", "marc@lumiere.example"), users=GONE),
        {"address": "marc@lumiere.example", "login": "marc"},
    ),
    "incidents_told_to_one": (
        company(incident_emails=("astreinte@lumiere.example",)),
        {"address": "astreinte@lumiere.example"},
    ),
    "failures_told_to_one": (
        call(recipients=("Claire@lumiere.example", "claire@lumiere.example")),
        {"address": "claire@lumiere.example", "shops": 1},
    ),
    "key_told_to_one": (shop(manager_email=None), {"address": "claire@lumiere.example", "shops": 1}),
    "address_without_owner": (
        call(recipients=("claire@lumiere.example", "dev@agence.example", "Dev@agence.example")),
        {"address": "dev@agence.example"},
    ),
    "address_suppressed": (
        company(
            health={"astreinte@lumiere.example": HealthFacts(AddressState.SUPPRESSED)},
            bouncing=frozenset({"astreinte@lumiere.example"}),
        ),
        {"address": "astreinte@lumiere.example"},
    ),
    "address_bouncing": (
        company(health={"paul@lumiere.example": HealthFacts(AddressState.BOUNCING)}),
        {"address": "paul@lumiere.example"},
    ),
    "critical_address_unverified": (
        company(
            verify_addresses=True,
            health={
                key: HealthFacts(AddressState.VERIFIED) for key in ("claire@lumiere.example", "paul@lumiere.example")
            },
        ),
        {"address": "astreinte@lumiere.example"},
    ),
    "incident_webmail": (
        company(
            incident_emails=("paul@lumiere.example", "jeanne@GMAIL.com"),
            users=(*HEALTHY.users, AccountFacts("jeanne", "jeanne@gmail.com")),
        ),
        {"address": "jeanne@GMAIL.com"},
    ),
    "no_registration_number": (company(registration_number=" "), {}),
    "no_postal_address": (company(address=""), {}),
    "language_unlike_shops": (company(language="en"), {"language": "en", "shops_language": "fr"}),
    "account_address_invalid": (
        company(sftp_accounts=(AccountFacts("compta", "compta@"),)),
        {"account": "compta", "address": "compta@"},
    ),
    "sftp_password_never_shown": (
        company(sftp_accounts=(AccountFacts("compta", "compta@lumiere.example", unrevealed_days=7),)),
        {"account": "compta"},
    ),
    "api_token_ends_soon": (company(ending_tokens=("ERP",)), {"token": "ERP"}),
    "shop_without_test_key": (
        shop(keys=frozenset({"production"}), rules=(replace(CALL, form_urls=("", "https://lumiere.example/p")), MAIL)),
        {"shop": "10000001"},
    ),
    "production_without_contract": (shop(contracts=()), {"shop": "10000001"}),
    "manager_address_invalid": (
        shop(manager_email="paris@@lumiere.example"),
        {"shop": "10000001", "address": "paris@@lumiere.example"},
    ),
    "shop_without_contract": (shop(contracts=(), **TEST_PHASE), {"shop": "10000001"}),
    "long_test_phase": (shop(age_days=60, **TEST_PHASE), {"shop": "10000001", "days": 60}),
    "shop_without_url": (shop(url=""), {"shop": "10000001"}),
    "shop_url_in_clear": (shop(url="HTTP://lumiere.example"), {"shop": "10000001", "url": "HTTP://lumiere.example"}),
    "old_signature_algorithm": (
        shop(algorithms=(("TEST", "SHA-1"), ("PRODUCTION", "SHA-1"))),
        {"shop": "10000001", "modes": "TEST, PRODUCTION"},
    ),
    "no_call_rule": (
        shop(rules=(replace(CALL, enabled=False), MAIL)),
        {"shop": "10000001"},
    ),
    "shop_without_call_rule": (shop(rules=(MAIL,)), {"shop": "10000001"}),
    "contract_without_three_d_secure": (
        shop(contracts=(ContractFacts("5785350", "CB", False),)),
        {"shop": "10000001", "contract": "5785350 (CB)"},
    ),
    "contract_in_two_shops": (
        shop(contracts=LYON.contracts),
        {"shop": "10000002", "contract": "5785351 (CB)", "other": "Paris"},
    ),
    "production_without_url": (
        call(form_urls=("https://lumiere.example/t", "")),
        {"shop": "10000001", "rule": "ipn-end", "label": "Fin du paiement"},
    ),
    "url_refused": (
        call(refused_urls=("https://10.0.0.1/p",)),
        {"shop": "10000001", "rule": "ipn-end", "label": "Fin du paiement", "url": "https://10.0.0.1/p"},
    ),
    "recipient_invalid": (
        call(recipients=("dev@agence",)),
        {"shop": "10000001", "rule": "ipn-end", "label": "Fin du paiement", "address": "dev@agence"},
    ),
    "never_fires": (
        call(conditions=(ConditionFacts("amount", "gt", 10), ConditionFacts("amount", "lt", 5))),
        {
            "shop": "10000001",
            "rule": "ipn-end",
            "label": "Fin du paiement",
            "condition": {"variable": "amount", "operator": "lt", "value": 5},
        },
    ),
    "trigger_never_fires": (
        call(
            triggers=("payment.accepted", "production_key.regenerated"),
            conditions=(ConditionFacts("network", "eq", "CB"),),
        ),
        {
            "shop": "10000001",
            "rule": "ipn-end",
            "label": "Fin du paiement",
            "trigger": "production_key.regenerated",
        },
    ),
    "no_key": (
        shop(
            rules=(replace(CALL, rest_urls=("", "https://lumiere.example/r")), MAIL),
            keys=frozenset({"test", "production"}),
        ),
        {"shop": "10000001", "rule": "ipn-end", "label": "Fin du paiement", "mode": "PRODUCTION"},
    ),
    "javascript_without_rest_url": (
        call(conditions=(ConditionFacts("source", "eq", "JS"),)),
        {"shop": "10000001", "rule": "ipn-end", "label": "Fin du paiement"},
    ),
    "no_address": (
        replace(
            HEALTHY,
            manager_email="",
            shops=(
                replace(PARIS, manager_email=None, rules=(replace(CALL, recipients=("@shop_manager",)), MAIL)),
                LYON,
            ),
        ),
        {"shop": "10000001", "rule": "ipn-end", "label": "Fin du paiement"},
    ),
    "test_without_url": (
        shop(keys=frozenset({"test"}), rules=(replace(CALL, form_urls=("", "")), MAIL)),
        {"shop": "10000001", "rule": "ipn-end", "label": "Fin du paiement"},
    ),
    "calls_failing": (
        call(failing=(("TEST", 0), ("PRODUCTION", 3))),
        {"shop": "10000001", "rule": "ipn-end", "label": "Fin du paiement", "mode": "PRODUCTION", "days": 3},
    ),
    "nobody_told_of_failures": (
        call(recipients=()),
        {"shop": "10000001", "rule": "ipn-end", "label": "Fin du paiement"},
    ),
    "recipient_of_disabled_user": (
        replace(call(recipients=("marc@lumiere.example",)), users=GONE),
        {
            "shop": "10000001",
            "rule": "ipn-end",
            "label": "Fin du paiement",
            "address": "marc@lumiere.example",
            "login": "marc",
        },
    ),
    "http_in_production": (
        call(form_urls=("https://lumiere.example/t", "http://lumiere.example/p")),
        {"shop": "10000001", "rule": "ipn-end", "label": "Fin du paiement", "url": "http://lumiere.example/p"},
    ),
    "same_url_in_both_modes": (
        call(form_urls=("https://lumiere.example/p", "https://lumiere.example/p")),
        {"shop": "10000001", "rule": "ipn-end", "label": "Fin du paiement", "url": "https://lumiere.example/p"},
    ),
    "url_redirects": (
        call(last_http_status=301),
        {"shop": "10000001", "rule": "ipn-end", "label": "Fin du paiement", "status": 301},
    ),
    "told_twice": (
        shop(rules=(CALL, MAIL, replace(MAIL, reference="mail-2", label="Double"))),
        {
            "shop": "10000001",
            "rule": "mail-payment",
            "label": "Paiement",
            "other": "Double",
            "address": "claire@lumiere.example",
            "trigger": "payment.accepted",
        },
    ),
    "called_twice": (
        shop(rules=(CALL, MAIL, replace(CALL, reference="ipn-2", label="Double"))),
        {
            "shop": "10000001",
            "rule": "ipn-end",
            "label": "Fin du paiement",
            "other": "Double",
            "url": "https://lumiere.example/t",
            "trigger": "payment.accepted",
        },
    ),
    "buyer_told_twice": (
        shop(
            rules=(
                CALL,
                replace(MAIL, type="buyer_email", reference="b-1", label="Un"),
                replace(MAIL, type="buyer_email", reference="b-2", label="Deux"),
            )
        ),
        {"shop": "10000001", "rule": "b-1", "label": "Un", "other": "Deux", "trigger": "payment.accepted"},
    ),
    "algorithms_differ": (
        shop(algorithms=(("TEST", "HMAC-SHA-512"), ("PRODUCTION", "HMAC-SHA-256"))),
        {"shop": "10000001", "test": "HMAC-SHA-512", "production": "HMAC-SHA-256"},
    ),
}


def flat(finding: Finding) -> dict[str, Any]:
    place = {name: getattr(finding, name) for name in ("shop", "contract", "rule", "account")}
    return {**{name: value for name, value in place.items() if value}, **finding.params}


def test_a_healthy_company_has_no_finding() -> None:
    assert findings(HEALTHY) == []


def test_every_check_has_a_case() -> None:
    assert set(CASES) == set(BY_CODE)
    assert len(CHECKS) == len(BY_CODE) >= 20


@pytest.mark.parametrize("code", CASES)
def test_one_thing_wrong_is_one_finding(code: str) -> None:
    sheet, expected = CASES[code]
    besides = {*IMPLIED.get(code, ()), *(OF_ADDRESSES - {code})}
    told = [finding for finding in findings(sheet) if finding.code not in besides]
    assert [(finding.code, flat(finding)) for finding in told] == [(code, expected)]


# What a healthy neighbour of each borderline looks like.
FINE: dict[str, CompanyFacts] = {
    "the manager besides others in the incident list": company(
        incident_emails=("claire@lumiere.example", "astreinte@lumiere.example")
    ),
    "a disabled user whose address the company still uses": company(
        users=(*HEALTHY.users, AccountFacts("ancien", "astreinte@lumiere.example", active=False)),
        manager_email="astreinte@lumiere.example",
        incident_emails=("astreinte@lumiere.example", "b@lumiere.example"),
    ),
    "an SFTP password that waits for six days": company(
        sftp_accounts=(AccountFacts("compta", "compta@lumiere.example", unrevealed_days=6),)
    ),
    "a disabled account with a broken address": company(
        users=(*HEALTHY.users, AccountFacts("ancien", "casse@", active=False))
    ),
    "SHA-1 of a mode without key": replace(
        HEALTHY,
        shops=(
            replace(PARIS, algorithms=(("TEST", "HMAC-SHA-256"), ("PRODUCTION", "SHA-1")), **TEST_PHASE),
            LYON,
        ),
    ),
    "59 days of test": shop(age_days=59, **TEST_PHASE),
    "a direct debit contract without 3D Secure": shop(
        contracts=(ContractFacts("941", "SEPA", False, takes_cards=False),)
    ),
    "the same number with another network": shop(contracts=(ContractFacts("5785351", "AMEX", True),)),
    "a rule that is off": shop(
        rules=(
            CALL,
            MAIL,
            replace(
                CALL,
                enabled=False,
                reference="x",
                form_urls=("", ""),
                recipients=("casse@",),
                refused_urls=("https://10.0.0.1",),
                failing=(("TEST", 9),),
            ),
        )
    ),
    "REST only in production": shop(
        rules=(replace(CALL, form_urls=("", ""), rest_urls=("https://a.example/t", "https://a.example/p")), MAIL),
        keys=frozenset({"test", "production", "rest_test", "rest_production"}),
    ),
    "a rule for TEST only without PRODUCTION URL": call(
        form_urls=("https://a.example/t", ""), conditions=(ConditionFacts("mode", "eq", "TEST"),)
    ),
    "an address that bounces and is configured nowhere": company(bouncing=frozenset({"x@y.example"})),
    "a company without shops in another language": company(shops=(), language="en"),
}


@pytest.mark.parametrize("name", FINE)
def test_what_is_fine_is_not_a_finding(name: str) -> None:
    assert [one for one in findings(FINE[name]) if one.code not in OF_ADDRESSES] == []


def test_errors_come_first() -> None:
    found = findings(company(registration_number="", incident_emails=()))
    assert [finding.severity for finding in found] == [Severity.ERROR, Severity.WARNING]


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("code", CASES)
def test_every_finding_reads_in_both_languages(code: str, language: str) -> None:
    finding = findings(CASES[code][0])[0]
    with translation.override("fr"):
        french = consistency_words.sentence(finding), consistency_words.advice(finding)
    with translation.override(language):
        sentence, advice = consistency_words.sentence(finding), consistency_words.advice(finding)
    assert sentence
    assert advice
    assert "%(" not in sentence
    if language == "en":
        assert (sentence, advice) != french
        assert sentence != french[0]
    for name in ("address", "url"):
        if name in finding.params:
            assert finding.params[name] in sentence


def test_every_finding_survives_json() -> None:
    import json

    for sheet, _expected in CASES.values():
        for finding in findings(sheet):
            assert Finding.from_json(json.loads(json.dumps(finding.as_json()))) == finding


def test_every_place_has_a_page_and_a_right() -> None:
    assert {check.place for check in CHECKS} <= set(PLACES)
    for sheet, _expected in CASES.values():
        for finding in findings(sheet):
            assert resolve(urlsplit(PLACES[BY_CODE[finding.code].place].url(finding)).path)


def change(finding: Finding, **fields: Any) -> Finding:
    return replace(finding, **fields)


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (lambda found: change(found, params={**found.params, "days": 9}), True),
        (lambda found: change(found, params={**found.params, "mode": "TEST"}), False),
        (lambda found: change(found, shop="10000002"), False),
        (lambda found: change(found, rule="ipn-2"), False),
        (lambda found: change(found, code="never_fires"), False),
    ],
)
def test_a_digest_tells_whether_the_same_is_wrong(changed: Callable[[Finding], Finding], same: bool) -> None:
    finding = findings(CASES["calls_failing"][0])[0]
    assert (digest([finding]) == digest([changed(finding)])) is same


def test_a_digest_does_not_depend_on_the_order() -> None:
    found = findings(company(registration_number="", incident_emails=(), address=""))
    assert digest(found) == digest(reversed(found))
    assert digest(found) != digest(found[1:])
