"""Who is told what: the source document as a table of its own, and each rule of resolution by name.

The expected values here are written from the document, not read from the catalogue.
"""

from dataclasses import replace
from typing import Any

import pytest

from notifications.core import resolver, wording
from notifications.core.facts import (
    AccountFacts,
    CompanyFacts,
    ConditionFacts,
    EventFacts,
    Occasion,
    RuleFacts,
    ShopFacts,
)
from notifications.tables import compute

MANAGER, SHOP, TECH, INCIDENT = "claire@x.example", "paris@x.example", "hugo@x.example", "astreinte@x.example"


def rule(**fields: Any) -> RuleFacts:
    return RuleFacts(
        **{
            "reference": "r",
            "type": "merchant_email",
            "label": "R",
            "enabled": True,
            "triggers": ("payment.accepted",),
            "recipients": ("@shop_manager",),
            **fields,
        }
    )


def shop(**fields: Any) -> ShopFacts:
    rules = (
        rule(reference="ipn", type="ipn_call"),
        rule(reference="mail"),
        rule(reference="buyer", type="buyer_email", recipients=()),
    )
    return ShopFacts(
        **{"site_id": "10000001", "name": "Paris", "language": "fr", "manager_email": SHOP, "rules": rules, **fields}
    )


def company(**fields: Any) -> CompanyFacts:
    return CompanyFacts(
        **{
            "reference": "x",
            "name": "X",
            "language": "fr",
            "manager_email": MANAGER,
            "technical_email": TECH,
            "incident_emails": (INCIDENT,),
            "users": (AccountFacts("alice", "alice@x.example"),),
            "sftp_accounts": (AccountFacts("depot", "depot@x.example"),),
            "shops": (shop(),),
            **fields,
        }
    )


Line = tuple[str, str | None, str | None, str | None, str, str]


def lines(facts: CompanyFacts) -> dict[str, set[Line]]:
    """What reaches each address: (notification, shop, rule, account, to or cc, source)."""
    found: dict[str, set[Line]] = {}
    for table in compute.delivery_tables(facts).addresses:
        rows = [(d.notification, d.shop, d.rule, d.account, d.as_, str(d.source)) for d in table.receives]
        assert len(rows) == len(set(rows))
        found[table.email] = set(rows)
    return found


S = "10000001"
DOCUMENT: dict[str, set[Line]] = {
    # « E-mail gestionnaire boutique »
    SHOP: {
        ("ipn_failure", S, "ipn", None, "to", "shop_manager"),
        ("merchant_email", S, "mail", None, "to", "shop_manager"),
        ("shop_created", S, None, None, "to", "shop_manager"),
        ("production_key_generated", S, None, None, "to", "shop_manager"),
        ("three_d_secure_activated", S, None, None, "to", "shop_manager"),
        ("payment_order_problem", S, None, None, "to", "shop_manager"),
        ("payment_order_copy", S, None, None, "to", "shop_manager"),
    },
    # « E-mail Contact gestionnaire société »
    MANAGER: {
        ("shop_created", S, None, None, "cc", "company_manager"),
        ("production_key_generated", S, None, None, "cc", "company_manager"),
        ("data_form_go_live", S, None, None, "to", "company_manager"),
        ("data_form_go_live_confirmation", S, None, None, "to", "company_manager"),
        ("detailed_billing", S, None, None, "to", "company_manager"),
        ("consistency_report", None, None, None, "to", "company_manager"),
        ("newsletter", None, None, None, "to", "company_manager"),
    },
    # « Cette adresse n'est destinataire d'aucun e-mail »
    TECH: set(),
    # « Notifications en cas d'incident sur la plateforme de paiement »
    INCIDENT: {("platform_incident", None, None, None, "to", "incident_contact")},
    # « E-mail de l'utilisateur connecté », du SFTP
    "alice@x.example": {("user_account", None, None, "alice", "to", "user")},
    "depot@x.example": {("sftp_account", None, None, "depot", "to", "sftp_account")},
}


def test_every_section_of_the_source_document_is_told_exactly() -> None:
    assert lines(company()) == DOCUMENT


def test_an_empty_shop_manager_address_is_inherited_live_from_the_company() -> None:
    found = lines(company(manager_email="new@x.example", shops=(shop(manager_email=None),)))
    assert SHOP not in found
    codes = {(line[0], line[4], line[5]) for line in found["new@x.example"]}
    assert ("shop_created", "to", "shop_manager") in codes
    assert ("shop_created", "cc", "company_manager") not in codes, "no copy to the address that has it already"
    assert all(
        d.inherited for d in resolver.resolve(company(), "shop_created", shop=shop(manager_email=None)) if d.as_ == "to"
    )


@pytest.mark.parametrize(
    "same",
    ["Claire@X.example", " claire@x.example ", "CLAIRE@X.EXAMPLE"],
)
def test_the_copy_is_merged_into_the_main_recipient_when_the_address_is_the_same(same: str) -> None:
    to, cc = resolver.resolve(company(), "shop_created", shop=shop(manager_email=same))
    assert (to.as_, to.delivers) == ("to", True)
    assert (cc.as_, cc.delivers, cc.reason, cc.params["address"]) == ("cc", False, "same_address", same)
    assert same in wording.decision_reason(cc)


def test_the_copy_is_merged_across_spellings_of_an_international_domain() -> None:
    facts = company(manager_email="c@bücher.example")
    decisions = resolver.resolve(facts, "production_key_generated", shop=shop(manager_email="C@xn--bcher-kva.example"))
    assert [d.delivers for d in decisions] == [True, False]


def test_a_rule_that_names_the_shop_manager_twice_has_one_line_from_the_shop_manager() -> None:
    found = resolver.resolve(
        company(), "merchant_email", shop=shop(), rule=rule(recipients=(SHOP.upper(), "@shop_manager"))
    )
    delivered = [d for d in found if d.delivers]
    assert [(d.address, d.source, d.reason) for d in delivered] == [(SHOP, "shop_manager", "rule_shop_manager")]
    assert [d.reason for d in found if not d.delivers] == ["same_address"]


def test_explicit_recipients_replace_or_join_the_shop_manager() -> None:
    replaced = resolver.resolve(
        company(), "ipn_failure", shop=shop(), rule=rule(type="ipn_call", recipients=("a@y.example",))
    )
    assert [(d.address, d.source) for d in replaced] == [("a@y.example", "rule")]
    joined = resolver.resolve(
        company(), "ipn_failure", shop=shop(), rule=rule(recipients=("a@y.example", "@shop_manager"))
    )
    assert {d.address for d in joined if d.delivers} == {SHOP, "a@y.example"}


def test_an_empty_list_is_nobody_on_purpose_with_who_and_when() -> None:
    emptied = rule(type="ipn_call", recipients=(), emptied_by="Alice", emptied_on="12/03/2026 10:00")
    (gap,) = resolver.resolve(company(), "ipn_failure", shop=shop(), rule=emptied)
    assert (gap.gap, gap.delivers, gap.address) == (True, False, "")
    assert "Alice" in wording.decision_reason(gap)
    assert "12/03/2026 10:00" in wording.decision_reason(gap)


def test_a_disabled_rule_sends_nothing_says_so_and_leaves_no_gap() -> None:
    off = rule(enabled=False)
    assert [(d.delivers, d.reason) for d in resolver.resolve(company(), "merchant_email", shop=shop(), rule=off)] == [
        (False, "rule_disabled")
    ]
    empty = rule(type="ipn_call", enabled=False, recipients=())
    assert not [d for d in resolver.resolve(company(), "ipn_failure", shop=shop(), rule=empty) if d.gap]


def test_two_rules_to_one_address_are_two_notifications() -> None:
    two = shop(rules=(rule(reference="a"), rule(reference="b")))
    assert {line[2] for line in lines(company(shops=(two,)))[SHOP] if line[0] == "merchant_email"} == {"a", "b"}


def test_a_rule_without_url_keeps_its_lines_and_is_no_gap() -> None:
    facts = company(shops=(shop(rules=(rule(reference="ipn", type="ipn_call", form_urls=("", "")),)),))
    assert ("ipn_failure", S, "ipn", None, "to", "shop_manager") in lines(facts)[SHOP]
    assert compute.delivery_tables(facts).gaps == []


@pytest.mark.parametrize(("ticked", "reason"), [(True, "shop_manager"), (False, "copy_not_ticked")])
def test_the_copy_of_a_payment_order_depends_on_the_tick(ticked: bool, reason: str) -> None:
    (found,) = resolver.resolve(company(), "payment_order_copy", shop=shop(), occasion=Occasion(copy_ticked=ticked))
    assert (found.delivers, found.reason) == (ticked, reason)


def test_the_line_of_a_payment_order_copy_always_carries_its_condition() -> None:
    (found,) = resolver.resolve(company(), "payment_order_copy", shop=shop())
    assert found.delivers
    assert "cochée" in str(wording.condition_sentence(found))


def test_the_newsletter_opt_out_moves_the_line_to_why_not_and_makes_no_gap() -> None:
    tables = compute.delivery_tables(company(newsletter_opt_out=True))
    claire = next(table for table in tables.addresses if table.email == MANAGER)
    assert "newsletter" not in {d.notification for d in claire.receives}
    assert [d.reason for d in claire.why_not if d.notification == "newsletter"] == ["newsletter_opt_out"]
    assert tables.gaps == []


def test_without_incident_address_there_is_a_gap_and_no_fallback() -> None:
    tables = compute.delivery_tables(company(incident_emails=()))
    assert [(gap.notification, gap.shop, gap.rule) for gap in tables.gaps] == [("platform_incident", None, None)]
    assert "platform_incident" not in {line[0] for rows in lines(company(incident_emails=())).values() for line in rows}
    (gap,) = compute.delivery_tables_json(tables)["gaps"]
    assert gap["on_purpose"] is False


def test_twin_incident_addresses_receive_one_message() -> None:
    found = resolver.resolve(
        company(incident_emails=("A@x.example", "a@x.example", "b@x.example")), "platform_incident"
    )
    assert [d.address for d in found if d.delivers] == ["A@x.example", "b@x.example"]


def test_a_disabled_user_keeps_the_role_but_has_no_line() -> None:
    facts = company(users=(AccountFacts("alice", "alice@x.example", active=False),))
    table = next(t for t in compute.delivery_tables(facts).addresses if t.email == "alice@x.example")
    assert table.roles == ["user:alice"]
    assert table.receives == []
    assert [d.reason for d in table.why_not] == ["account_disabled"]


@pytest.mark.parametrize("status", ["suspended", "closed"])
def test_a_suspended_or_closed_shop_sends_only_account_mail(status: str) -> None:
    facts = company(shops=(shop(status=status),))
    codes = {line[0] for rows in lines(facts).values() for line in rows}
    assert codes == {"consistency_report", "newsletter", "platform_incident", "user_account", "sftp_account"}
    stopped = [d for d in resolver.resolve_all(facts) if d.shop and not d.delivers]
    assert {d.reason for d in stopped} - {"rule_disabled", "same_address"} == {f"shop_{status}"}
    assert all("Paris" in wording.decision_reason(d) for d in stopped)


@pytest.mark.parametrize("status", ["suspended", "closed"])
def test_a_suspended_or_closed_company_sends_only_account_mail(status: str) -> None:
    codes = {line[0] for rows in lines(company(status=status)).values() for line in rows}
    assert codes == {"user_account", "sftp_account"}
    (security,) = resolver.resolve(
        company(status=status), "account_security", account=AccountFacts("alice", "alice@x.example")
    )
    assert security.delivers


def test_the_technical_contact_receives_nothing_by_that_role() -> None:
    facts = company(technical_email=SHOP)
    assert lines(facts)[SHOP] == DOCUMENT[SHOP]
    table = next(t for t in compute.delivery_tables(facts).addresses if t.email == SHOP)
    assert "technical_contact" in table.roles


def test_roles_come_in_the_documented_order_and_spelling() -> None:
    one = "Same@x.example"
    everything = company(
        manager_email=one,
        technical_email=one.lower(),
        incident_emails=(one,),
        users=(AccountFacts("zoe", one), AccountFacts("bob", one, active=False)),
        sftp_accounts=(AccountFacts("depot", one),),
        shops=(
            shop(site_id="10000002", manager_email=None, rules=()),
            shop(
                manager_email=one,
                rules=(rule(reference="b", recipients=(one,), enabled=False), rule(reference="a", recipients=(one,))),
            ),
        ),
    )
    (table,) = compute.delivery_tables(everything).addresses
    assert table.email == one
    assert table.roles == [
        "company_manager",
        "technical_contact",
        "incident_contact",
        "shop_manager:10000001",
        "shop_manager:10000002",
        "rule:10000001/a",
        "rule:10000001/b",
        "user:bob",
        "user:zoe",
        "sftp_account:depot",
    ]


def test_addresses_sort_by_normal_form_and_lines_by_catalogue_then_shop_then_rule() -> None:
    facts = company(shops=(shop(site_id="10000002", rules=(rule(reference="b"), rule(reference="a"))), shop()))
    tables = compute.delivery_tables(facts)
    assert [t.normalised for t in tables.addresses] == sorted(t.normalised for t in tables.addresses)
    mine = next(t for t in tables.addresses if t.email == SHOP)
    assert [(d.notification, d.shop, d.rule) for d in mine.receives][:5] == [
        ("ipn_failure", "10000001", "ipn"),
        ("merchant_email", "10000001", "mail"),
        ("merchant_email", "10000002", "a"),
        ("merchant_email", "10000002", "b"),
        ("shop_created", "10000001", None),
    ]


def test_triggers_of_a_line_follow_the_documented_order_without_repeats() -> None:
    twice = rule(triggers=("token.created", "payment.accepted", "token.updated", "token.created"))
    (found,) = resolver.resolve(company(), "merchant_email", shop=shop(), rule=twice)
    assert found.triggers == ("payment.accepted", "token.updated", "token.created")


def test_every_decision_has_a_sentence_in_both_languages() -> None:
    from django.utils import translation

    facts = company(
        newsletter_opt_out=True, incident_emails=(), shops=(shop(), shop(site_id="10000002", status="closed"))
    )
    for decision in resolver.resolve_all(facts):
        for language in ("fr", "en"):
            with translation.override(language):
                sentence = wording.decision_reason(decision)
                assert sentence
                assert "%(" not in sentence


def test_a_buyer_mail_needs_the_address_of_the_occasion() -> None:
    buyer = rule(type="buyer_email", recipients=())
    (none,) = resolver.resolve(company(), "buyer_email", shop=shop(), rule=buyer, occasion=Occasion())
    assert (none.delivers, none.reason) == (False, "no_buyer_address")
    (given,) = resolver.resolve(
        company(), "buyer_email", shop=shop(), rule=buyer, occasion=Occasion(address="b@y.example")
    )
    assert (given.delivers, given.address) == (True, "b@y.example")
    assert "buyer_email" not in {d.notification for d in resolver.resolve_all(company())}


def test_a_former_address_is_told_by_account_security() -> None:
    account = replace(AccountFacts("alice", "new@x.example"))
    (found,) = resolver.resolve(
        company(), "account_security", account=account, occasion=Occasion(former="old@x.example")
    )
    assert (found.address, found.reason, found.delivers) == ("old@x.example", "former_address", True)


def test_conditions_of_a_rule_are_read_in_the_line() -> None:
    over = rule(conditions=(ConditionFacts("amount", "gt", 1000), ConditionFacts("currency", "in", ("EUR", "USD"))))
    (found,) = resolver.resolve(company(), "merchant_email", shop=shop(), rule=over)
    sentence = str(wording.condition_sentence(found))
    assert "10,00\xa0EUR" in sentence or "10,00 EUR" in sentence
    assert "EUR, USD" in sentence
    assert not resolver.rule_matches(over, EventFacts("payment.accepted", "TEST", {"amount": 1000, "currency": "EUR"}))
    assert resolver.rule_matches(over, EventFacts("payment.accepted", "TEST", {"amount": 1001, "currency": "EUR"}))
