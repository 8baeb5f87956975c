"""Writes on shops: one transaction each, audited, announced through `publish`."""

import secrets
from typing import Any

from django.db import transaction

from companies import audit
from companies.audit import Actor, Changes, StaleVersion
from companies.models import Company
from notifications.services import default_rules_create, publish

from .models import Contract, Shop, ShopKey


@transaction.atomic
def shop_create(
    *, company: Company, actor: Actor, notify: bool = True, default_rules: bool = True, **fields: Any
) -> Shop:
    """Create a shop with its test key and, unless told otherwise, its default rules.

    Publishes `shop_created` unless `notify` is False.
    """
    shop = Shop(company=company, **fields)
    shop.full_clean()
    shop.save()
    audit.record(actor=actor, action="shop.created", obj=shop, company=company, changes=audit.creation(fields))
    key_save(shop=shop, kind=ShopKey.Kind.TEST, value=generate_key(), actor=actor)
    if default_rules:
        default_rules_create(shop=shop, actor=actor)
    if notify:
        publish(type="shop.created", company=company, shop=shop)
    return shop


@transaction.atomic
def shop_update(*, shop: Shop, actor: Actor, version: int | None = None, **fields: Any) -> Changes:
    """Change columns of a shop; returns what changed.

    Args:
        version: the version the writer saw; StaleVersion when the row has moved on.
        manager_email: empty means inherited from the company's Contact gestionnaire.
    """
    if version is not None:
        shop = Shop.objects.select_for_update().select_related("company").get(pk=shop.pk)
        if shop.version != version:
            raise StaleVersion
    changes = audit.apply(shop, fields)
    if changes:
        shop.full_clean()
        shop.version += 1
        shop.save()
        audit.record(actor=actor, action="shop.updated", obj=shop, company=shop.company, changes=changes)
    return changes


@transaction.atomic
def contract_save(
    *, shop: Shop, actor: Actor, number: str, network: str, three_d_secure: bool | None = None, notify: bool = True
) -> Changes:
    """Create or change a contract (MID) of a shop, known by its number and network.

    Activating 3D Secure publishes `three_d_secure_activated`, unless `notify` is False. A contract
    that is created with 3D Secure on was not activated here, so it publishes nothing.
    """
    contract = Contract.objects.filter(shop=shop, number=number, network=network).first()
    created = contract is None
    contract = contract or Contract(shop=shop, number=number, network=network)
    wanted = {} if three_d_secure is None else {"three_d_secure": three_d_secure}
    changes = audit.apply(contract, wanted)
    if created:
        changes = audit.creation({"number": number, "network": network, **wanted})
    if not changes:
        return changes
    contract.full_clean()
    contract.save()
    action = "contract.created" if created else "contract.updated"
    audit.record(actor=actor, action=action, obj=contract, company=shop.company, changes=changes)
    if notify and not created and changes.get("three_d_secure") == [False, True]:
        publish(
            type="three_d_secure.activated",
            company=shop.company,
            shop=shop,
            data={"contract": number, "network": network},
        )
    return changes


@transaction.atomic
def key_save(*, shop: Shop, kind: str, value: str, actor: Actor) -> bool:
    """Store a secret of a shop; True when it differs from the stored one. Never logged in plain."""
    key = ShopKey.objects.filter(shop=shop, kind=kind).first()
    if key is not None and key.value == value:
        return False
    before = audit.MASK if key else None
    key = key or ShopKey(shop=shop, kind=kind)
    key.value = value
    key.full_clean()
    key.save()
    audit.record(
        actor=actor, action="key.saved", obj=key, company=shop.company, changes={f"key.{kind}": [before, audit.MASK]}
    )
    return True


@transaction.atomic
def key_remove(*, shop: Shop, kind: str, actor: Actor) -> bool:
    """Delete a secret of a shop; False when there was none."""
    key = ShopKey.objects.filter(shop=shop, kind=kind).first()
    if key is None:
        return False
    audit.record(
        actor=actor, action="key.deleted", obj=key, company=shop.company, changes={f"key.{kind}": [audit.MASK, None]}
    )
    key.delete()
    return True


def generate_key() -> str:
    """A new form key: 16 letters and digits."""
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
    return "".join(secrets.choice(alphabet) for _ in range(16))
