"""Existing entries of the history get their shop and digest; from then on the database guards them."""

import hashlib
import json
import secrets
from typing import Any

from django.db import migrations

from companies.history import guard as history_guard

# object type → model that has a shop
_OF_A_SHOP = {
    "notificationrule": ("notifications", "NotificationRule"),
    "shopkey": ("shops", "ShopKey"),
    "contract": ("shops", "Contract"),
    "paymentorder": ("shops", "PaymentOrder"),
    "paymentordertemplate": ("shops", "PaymentOrderTemplate"),
    "delivery": ("notifications", "Delivery"),
}


def _fill(apps: Any, schema_editor: Any) -> None:
    entries = apps.get_model("companies", "AuditEntry").objects.using(schema_editor.connection.alias)
    shops = set(apps.get_model("shops", "Shop").objects.values_list("pk", flat=True))
    batch: list[Any] = []
    for entry in entries.order_by("pk").iterator(chunk_size=500):
        if entry.object_type == "shop":
            found = int(entry.object_id)
            entry.shop_id = found if found in shops else None
        elif entry.object_type in _OF_A_SHOP:
            model = apps.get_model(*_OF_A_SHOP[entry.object_type])
            entry.shop_id = model.objects.filter(pk=entry.object_id).values_list("shop_id", flat=True).first()
        entry.salt = secrets.token_hex(16)
        words = [entry.salt, entry.actor_label, entry.ip_address, entry.object_label, entry.changes]
        text = json.dumps(words, ensure_ascii=True, sort_keys=True)
        entry.content_digest = hashlib.sha256(text.encode()).hexdigest()
        batch.append(entry)
        if len(batch) == 500:
            entries.bulk_update(batch, ["shop", "salt", "content_digest"])
            batch = []
    entries.bulk_update(batch, ["shop", "salt", "content_digest"])


def _guard(apps: Any, schema_editor: Any) -> None:
    history_guard.GUARD.install(schema_editor.connection)


def _lift(apps: Any, schema_editor: Any) -> None:
    for statement in history_guard.GUARD.removal(schema_editor.connection.vendor):
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [
        ("companies", "0007_append_only_history"),
        ("shops", "0003_payment_orders"),
        ("notifications", "0003_broadcasts"),
    ]

    operations = [
        migrations.RunPython(_fill, migrations.RunPython.noop),
        migrations.RunPython(_guard, _lift),
    ]
