"""One picture of settings: however it is read, it is the same, and what one shop needs reads one shop."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from backoffice.text.times import short_moment
from companies.models import Company
from notifications import readers, settings_facts
from notifications.core.facts import ConditionFacts
from notifications.models import NotificationRule
from notifications.settings_facts.checked import checked_facts, shop_with_keys
from shops.models import Shop
from tests.factories import NotificationRuleFactory, SftpAccountFactory, ShopFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _settings(company: Company, paris: Shop, lyon: Shop, nice: Shop) -> None:
    """Three shops with the same rules, but for their versions."""
    company.incident_emails = ["a@x.example"]
    company.save()
    for number, shop in enumerate((nice, lyon, paris)):
        NotificationRuleFactory(shop=shop, reference="zoe", label="É « % » \n".strip(), enabled=False)
        NotificationRuleFactory(
            shop=shop,
            reference="appel",
            ipn=True,
            url_test="https://b.example/t",
            rest_url_production="https://b.example/p",
            recipients=["@shop_manager", "dév@bücher.example"],
            conditions=[
                {"variable": "source", "operator": "not_in", "value": ["BO", "REC"]},
                {"variable": "amount", "operator": "gt", "value": 1000},
                {"variable": "instalments", "operator": "eq", "value": True},
            ],
            version=number + 1,
        )
        NotificationRuleFactory(
            shop=shop, reference="vide", ipn=True, recipients=[], emptied_by="Zoé", emptied_at=timezone.now()
        )
        NotificationRuleFactory(shop=shop, reference="gone", archived_at=timezone.now())


def test_shops_read_at_once_are_those_read_one_by_one(company: Company) -> None:
    whole = settings_facts.company_facts(company)
    shops = list(Shop.objects.filter(company=company).order_by("site_id"))
    assert [shop.site_id for shop in whole.shops] == ["10000001", "10000002", "10000003"]
    assert whole == settings_facts.company_facts(company, shops=shops)
    first = whole.shops[0].rules
    assert [rule.reference for rule in first] == ["appel", "vide", "zoe"]
    assert first[0].conditions == (
        ConditionFacts("source", "not_in", ("BO", "REC")),
        ConditionFacts("amount", "gt", 1000),
        ConditionFacts("instalments", "eq", True),
    )
    assert first[0].conditions[2].value is True
    moment = NotificationRule.objects.get(shop=shops[0], reference="vide").emptied_at
    assert moment and first[1].emptied_on == short_moment(moment)


def test_some_shops_of_a_company_bring_their_own_rules_only(company: Company) -> None:
    some = Shop.objects.filter(company=company, site_id__in=["10000001", "10000003"]).order_by("site_id")
    facts = settings_facts.company_facts(company, shops=some)
    whole = settings_facts.company_facts(company)
    assert facts.shops == (whole.shops[0], whole.shops[2])


def test_rules_that_are_alike_are_the_same_facts(company: Company) -> None:
    one, other, _third = settings_facts.company_facts(company).shops
    assert one.rules[2] is other.rules[2]
    assert one.rules[0] is not other.rules[0]


def test_the_number_of_statements_does_not_grow_with_shops(
    company: Company, django_assert_num_queries: Callable[..., object]
) -> None:
    UserFactory(company=company)
    SftpAccountFactory(company=company)
    for _round in range(2):
        with django_assert_num_queries(6):
            settings_facts.company_facts(company)
        ShopFactory(company=company)


def test_linter_and_checks_read_the_facts_of_the_resolver(company: Company) -> None:
    """The same shop, with what only checks look at besides."""
    plain = settings_facts.company_facts(company, accounts=False)
    shop = Shop.objects.get(site_id=plain.shops[0].site_id)
    rules = list(readers.rules_of(shop))
    (linted,) = shop_with_keys(shop, rules, readers.last_deliveries(rules)).shops
    assert set(linted.rules) == set(plain.shops[0].rules)
    checked = checked_facts(company, timezone.now())
    assert [(one.site_id, set(one.rules)) for one in checked.shops] == [
        (one.site_id, set(one.rules)) for one in plain.shops
    ]
    assert (checked.manager_email, checked.incident_emails) == (plain.manager_email, plain.incident_emails)
