"""Facts without the rules that nothing depends on give the same tables, roles, gaps and shops that call nothing."""

import itertools

import pytest

from notifications import settings_facts
from notifications.core import resolver
from notifications.models import NotificationRule
from notifications.tables import compute, screens
from tests.factories import CompanyFactory, NotificationRuleFactory, ShopFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_the_tables_of_lean_facts_are_those_of_all_facts() -> None:
    company = CompanyFactory(incident_emails=["astreinte@x.example"])
    reader = UserFactory(company=company, role="administrator").memberships.get()
    lists = (["@shop_manager"], ["@shop_manager", "dev@x.example"], ["a@x.example"], [])
    rules = [
        (kind, enabled, recipients)
        for kind, enabled, recipients in itertools.product(("ipn_call", "merchant_email"), (True, False), lists)
        if recipients or kind == "ipn_call"
    ]
    for number, (kind, enabled, recipients) in enumerate([*rules, ("buyer_email", True, [])] * 2):
        shop = ShopFactory(company=company, manager_email=f"b{number % 3}@x.example" if number % 3 else "")
        NotificationRuleFactory(shop=shop, reference="une", type=kind, enabled=enabled, recipients=recipients)
        if number % 2:
            NotificationRuleFactory(shop=shop, reference="autre", type="ipn_call", enabled=False)
    ShopFactory(company=company)

    whole = settings_facts.visible_facts(company, reader)
    lean = settings_facts.visible_facts(company, reader, why_not=False)
    kept = sum(len(shop.rules) for shop in lean.shops)
    assert kept < NotificationRule.objects.count()

    every, few = (
        compute.delivery_tables_json(compute.delivery_tables(facts, why_not=False)) for facts in (whole, lean)
    )
    assert few == every
    assert resolver.roles(lean) == resolver.roles(whole)
    assert resolver.gaps(lean) == resolver.gaps(whole)
    assert screens.uncalled(lean, reader) == screens.uncalled(whole, reader)
