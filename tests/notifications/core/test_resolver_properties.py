"""Properties of the resolution over generated companies, and: the table is what is queued."""

import random
from dataclasses import replace
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backoffice.text import addresses
from notifications import settings_facts
from notifications.core import resolver
from notifications.core.catalogue import SHOP_MANAGER_SYMBOL, TRIGGERS
from notifications.core.facts import AccountFacts, CompanyFacts, RuleFacts, ShopFacts
from notifications.events.publishing import publish
from notifications.tables import compute
from tests.factories import CompanyFactory, NotificationRuleFactory, ShopFactory

# Few mailboxes in several spellings, so that they meet often.
ADDRESS = st.sampled_from(
    [
        "a@x.example",
        "A@X.example",
        "b@x.example",
        "c@bücher.example",
        "C@xn--bcher-kva.example",
        "d@straße.example",
        "d@strasse.example",
    ]
)
STATUS = st.sampled_from(["active", "active", "active", "suspended", "closed"])
CODES = [trigger.code for trigger in TRIGGERS]


@st.composite
def rules(draw: Any, reference: str) -> RuleFacts:
    kind = draw(st.sampled_from(["ipn_call", "merchant_email", "buyer_email"]))
    recipients: list[str] = []
    if kind != "buyer_email":
        entries = st.one_of(st.just(SHOP_MANAGER_SYMBOL), ADDRESS)
        recipients = draw(st.lists(entries, min_size=1 if kind == "merchant_email" else 0, max_size=4))
    triggers = draw(st.lists(st.sampled_from(CODES), min_size=1, max_size=3))
    digest = draw(st.sampled_from(["each", "each", "hourly", "daily"])) if kind == "merchant_email" else "each"
    on = draw(st.booleans())
    return RuleFacts(reference, kind, reference, on, tuple(triggers), recipients=tuple(recipients), digest=digest)


@st.composite
def companies(draw: Any) -> CompanyFacts:
    shops = tuple(
        ShopFacts(
            f"1000000{n}",
            f"S{n}",
            "fr",
            draw(st.none() | ADDRESS),
            draw(STATUS),
            tuple(draw(rules(f"r{k}")) for k in range(draw(st.integers(0, 3)))),
        )
        for n in range(draw(st.integers(0, 3)))
    )
    accounts = st.lists(st.tuples(ADDRESS, st.booleans()), max_size=3)
    return CompanyFacts(
        "x",
        "X",
        "fr",
        draw(ADDRESS),
        draw(st.none() | ADDRESS),
        tuple(draw(st.lists(ADDRESS, max_size=4))),
        draw(STATUS),
        draw(st.booleans()),
        tuple(AccountFacts(f"u{n}", email, active=on) for n, (email, on) in enumerate(draw(accounts))),
        tuple(AccountFacts(f"s{n}", email, active=on) for n, (email, on) in enumerate(draw(accounts))),
        shops,
    )


def identity(decision: resolver.Decision) -> tuple[Any, ...]:
    return (decision.notification, decision.shop, decision.rule, decision.account, decision.normalised)


@given(companies())
def test_one_notification_reaches_an_address_once_and_to_beats_cc(company: CompanyFacts) -> None:
    found = resolver.resolve_all(company)
    delivered = [identity(decision) for decision in found if decision.delivers]
    assert len(delivered) == len(set(delivered))
    main = {identity(d) for d in found if d.as_ == "to"}
    assert not [d for d in found if d.delivers and d.as_ == "cc" and identity(d) in main]


@given(companies())
def test_every_configured_address_is_listed_and_only_those_receive(company: CompanyFacts) -> None:
    written = [company.manager_email, company.technical_email, *company.incident_emails]
    written += [account.email for account in (*company.users, *company.sftp_accounts)]
    for shop in company.shops:
        written += [
            shop.manager_email,
            *(e for rule in shop.rules for e in rule.recipients if e != SHOP_MANAGER_SYMBOL),
        ]
    expected = {addresses.normalise(address) for address in written if address}
    tables = compute.delivery_tables(company)
    assert [table.normalised for table in tables.addresses] == sorted(expected)
    assert all(table.roles for table in tables.addresses)


@given(companies())
def test_gaps_arise_only_where_documented(company: CompanyFacts) -> None:
    expected = set()
    if company.status == "active":
        if not company.incident_emails:
            expected.add(("platform_incident", None, None))
        expected |= {
            ("ipn_failure", shop.site_id, rule.reference)
            for shop in company.shops
            if shop.status == "active"
            for rule in shop.rules
            if rule.type == "ipn_call" and rule.enabled and not rule.recipients
        }
    gaps = [(gap.notification, gap.shop, gap.rule) for gap in compute.delivery_tables(company).gaps]
    assert len(gaps) == len(set(gaps))
    assert set(gaps) == expected


@given(companies())
def test_what_a_page_computes_is_what_the_whole_says(company: CompanyFacts) -> None:
    """Gaps alone, addresses alone, the table of one address: the same as in the whole."""
    whole = compute.delivery_tables(company)
    assert resolver.gaps(company) == whole.gaps
    outline = compute.outline(company)
    assert outline.gaps == whole.gaps
    assert [(one.email, one.roles) for one in outline.addresses] == [(one.email, one.roles) for one in whole.addresses]
    for table in whole.addresses:
        asked = compute.tables_of(company, [table.email]).addresses
        assert next(one for one in asked if one.normalised == table.normalised) == table
    lean = compute.delivery_tables(company, why_not=False)
    assert [(one.email, one.receives) for one in lean.addresses] == [
        (one.email, one.receives) for one in whole.addresses
    ]


@given(companies(), st.randoms(use_true_random=False))
def test_the_order_in_which_things_were_entered_changes_no_line(company: CompanyFacts, dice: random.Random) -> None:
    def mixed(items: Any) -> Any:
        found = list(items)
        dice.shuffle(found)
        return tuple(found)

    other = replace(
        company,
        incident_emails=mixed(company.incident_emails),
        users=mixed(company.users),
        sftp_accounts=mixed(company.sftp_accounts),
        shops=mixed(
            replace(shop, rules=mixed(replace(rule, recipients=mixed(rule.recipients)) for rule in shop.rules))
            for shop in company.shops
        ),
    )

    def lines(facts: CompanyFacts) -> Any:
        return [
            (t.normalised, t.roles, [(*identity(d), d.as_, d.source, d.reason) for d in t.receives])
            for t in compute.delivery_tables(facts).addresses
        ]

    assert lines(company) == lines(other)


@given(companies())
def test_lines_stand_in_the_documented_order(company: CompanyFacts) -> None:
    for table in compute.delivery_tables(company).addresses:
        keys = [decision.sort_key for decision in table.receives]
        assert keys == sorted(keys)


@pytest.mark.django_db
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(companies())
def test_the_table_is_what_is_queued(facts: CompanyFacts) -> None:
    """Each shop's creation and each trigger: the rows of the outbox are the lines of the table."""
    with transaction.atomic():
        company = CompanyFactory(manager__email=facts.manager_email, status=facts.status)
        shops = []
        for shop in facts.shops:
            row = ShopFactory(company=company, manager_email=shop.manager_email or "", status=shop.status)
            shops.append(row)
            for rule in shop.rules:
                NotificationRuleFactory(
                    shop=row,
                    reference=rule.reference,
                    type=rule.type,
                    enabled=rule.enabled,
                    triggers=list(rule.triggers),
                    recipients=list(rule.recipients),
                )
        table = [
            (line.notification, line.shop, line.rule, line.triggers, line.normalised, line.as_)
            for entry in compute.delivery_tables(settings_facts.company_facts(company)).addresses
            for line in entry.receives
        ]
        for shop in shops:
            for type in ("shop.created", "payment.accepted", "form.invalid", "token.created"):
                event = publish(type=type, company=company, shop=shop)
                queued = {
                    (row.notification, row.rule.reference if row.rule else None, row.normalised_address, row.as_field)
                    for row in event.deliveries.select_related("rule")
                    if row.notification not in ("buyer_email", "ipn_call")
                }
                wanted = {
                    (notification, rule, address, as_)
                    for notification, site_id, rule, triggers, address, as_ in table
                    if site_id == shop.site_id
                    and (
                        (notification == "shop_created" and type == "shop.created")
                        or (notification == "merchant_email" and type in triggers)
                    )
                }
                assert queued == wanted
        transaction.set_rollback(True)
