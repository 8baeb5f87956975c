"""Services of shops: keys, contracts, default rules."""

import json

import pytest
from django.db import connection

from backoffice.base.crypto import DecryptionError
from companies.audit import Actor
from companies.models import AuditEntry
from notifications.models import Delivery, NotificationRule
from shops import services
from shops.models import Contract, ShopKey
from tests.factories import CompanyFactory, ShopFactory

pytestmark = pytest.mark.django_db
ACTOR = Actor("Claire Morel")


def test_a_new_shop_has_a_test_key_and_the_documented_rules_and_is_announced() -> None:
    company = CompanyFactory(manager__email="claire@lumiere.example")
    shop = services.shop_create(company=company, actor=ACTOR, site_id="10000001", name="Paris")
    assert [key.kind for key in shop.keys.all()] == ["test"]
    assert len(shop.keys.get().value) == 16
    rules = NotificationRule.objects.filter(shop=shop)
    assert rules.count() == 20
    assert set(rules.filter(enabled=True).values_list("reference", flat=True)) == {"ipn-end", "mail-form-error"}
    assert {tuple(rule.recipients) for rule in rules.exclude(type="buyer_email")} == {("@shop_manager",)}
    delivery = Delivery.objects.get()
    assert (delivery.notification, delivery.address, delivery.as_) == ("shop_created", "claire@lumiere.example", "to")


def test_activating_3d_secure_is_announced_once() -> None:
    shop = ShopFactory(manager_email="paris@lumiere.example")
    services.contract_save(shop=shop, actor=ACTOR, number="5785350", network="CB", three_d_secure=False)
    assert not Delivery.objects.exists()
    for _again in range(2):
        services.contract_save(shop=shop, actor=ACTOR, number="5785350", network="CB", three_d_secure=True)
    assert [delivery.notification for delivery in Delivery.objects.all()] == ["three_d_secure_activated"]


def test_a_contract_that_arrives_with_3d_secure_was_not_activated_here() -> None:
    services.contract_save(shop=ShopFactory(), actor=ACTOR, number="5785350", network="CB", three_d_secure=True)
    assert Contract.objects.get().three_d_secure and not Delivery.objects.exists()


def test_a_key_is_encrypted_in_its_column_and_masked_in_the_history() -> None:
    shop = ShopFactory()
    services.key_save(shop=shop, kind=ShopKey.Kind.PRODUCTION, value="clef-tres-secrete", actor=ACTOR)
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM shops_shopkey")
        stored = cursor.fetchone()[0]
    assert "secrete" not in stored and ":" in stored
    assert ShopKey.objects.get().value == "clef-tres-secrete"
    assert "secrete" not in json.dumps(list(AuditEntry.objects.values_list("changes", flat=True)))


def test_the_same_key_again_writes_nothing() -> None:
    shop = ShopFactory()
    assert services.key_save(shop=shop, kind=ShopKey.Kind.TEST, value="1122334455667788", actor=ACTOR)
    entries = AuditEntry.objects.count()
    assert not services.key_save(shop=shop, kind=ShopKey.Kind.TEST, value="1122334455667788", actor=ACTOR)
    assert AuditEntry.objects.count() == entries


def test_a_ciphertext_moved_to_another_row_does_not_decrypt() -> None:
    first, second = ShopFactory(), ShopFactory()
    for shop in (first, second):
        services.key_save(shop=shop, kind=ShopKey.Kind.TEST, value=f"secret-of-{shop.site_id}", actor=ACTOR)
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM shops_shopkey WHERE shop_id = %s", [first.pk])
        stolen = cursor.fetchone()[0]
        cursor.execute("UPDATE shops_shopkey SET value = %s WHERE shop_id = %s", [stolen, second.pk])
    with pytest.raises(DecryptionError):
        ShopKey.objects.get(shop=second).value  # noqa: B018
