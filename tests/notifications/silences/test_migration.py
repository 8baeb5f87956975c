"""The rule for silences reaches shops that were there before it: those with all the rules that came with a shop then."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from companies.audit import Actor
from companies.models import Company
from notifications.core.catalogue import DEFAULT_RULES
from notifications.models import NotificationRule
from notifications.rules.services import default_rules_create
from shops.models import Shop
from tests.factories import NotificationRuleFactory, ShopFactory

pytestmark = pytest.mark.django_db
migration = import_module("notifications.migrations.0021_silences")


def silence_rules(shop: Shop) -> list[NotificationRule]:
    return list(NotificationRule.objects.filter(shop=shop, reference="mail-silence", archived_at=None))


def test_shops_with_all_former_rules_get_it_switched_off_and_no_other(company: Company) -> None:
    whole, changed, without_one, own, having = ShopFactory.create_batch(5, company=company)
    for shop in (whole, changed, without_one, having):
        default_rules_create(shop=shop, actor=Actor("test"))
    NotificationRule.objects.filter(shop__in=(whole, changed, without_one), reference="mail-silence").delete()
    NotificationRule.objects.filter(shop=changed, reference="mail-payment").update(
        enabled=False, recipients=["x@y.example"], label="Autre libellé"
    )
    NotificationRule.objects.filter(shop=without_one, reference="mail-token").update(archived_at=timezone.now())
    NotificationRuleFactory(shop=own, reference="mail-payment")
    kept = silence_rules(having)

    migration._give(apps, SimpleNamespace(connection=connection))

    fresh = NotificationRule()
    for shop in (whole, changed):
        (rule,) = silence_rules(shop)
        assert (rule.type, rule.enabled, rule.triggers, rule.conditions, rule.recipients) == (
            "merchant_email", False, ["payment.silence"], [], ["@shop_manager"],
        )  # fmt: skip
        assert (rule.version, rule.digest) == (fresh.version, "each")
        assert (rule.label, rule.triggers) == (kept[0].label, kept[0].triggers)
    assert silence_rules(without_one) == silence_rules(own) == []
    assert silence_rules(having) == kept

    migration._give(apps, SimpleNamespace(connection=connection))
    assert len(silence_rules(whole)) == 1


def test_the_former_rules_are_those_of_today_without_it() -> None:
    assert {rule.reference for rule in DEFAULT_RULES} - {"mail-silence"} == migration.FORMER
