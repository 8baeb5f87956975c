"""Shops are watched for silence; those that have all default rules get the new one, switched off."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

REFERENCE = "mail-silence"
# The rules that every shop was given before; one that was provisioned with rules of its own keeps exactly those.
FORMER = {
    "ipn-end", "ipn-recurring", "ipn-batch-authorisation", "ipn-batch-change", "ipn-cancellation", "ipn-back-office",
    "ipn-pending", "mail-payment", "mail-subscription", "mail-instalment-refused", "mail-deferred-refused", "mail-key",
    "mail-sepa-file", "mail-token", "mail-form-error", "buyer-payment", "buyer-subscription", "buyer-token", "buyer-sepa",
}  # fmt: skip


def _give(apps: Any, schema_editor: Any) -> None:
    rules = apps.get_model("notifications", "NotificationRule")
    live = rules.objects.using(schema_editor.connection.alias).filter(archived_at__isnull=True)
    having = live.filter(reference=REFERENCE).order_by().values("shop")
    whole = live.filter(reference__in=FORMER).exclude(shop__in=having).order_by().values_list("shop")
    shops = [shop for shop, count in whole.annotate(models.Count("pk")) if count == len(FORMER)]
    live.bulk_create(
        [
            rules(
                shop_id=shop,
                reference=REFERENCE,
                type="merchant_email",
                label="E-mail d'alerte en l'absence de paiement",
                enabled=False,
                triggers=["payment.silence"],
                conditions=[],
                recipients=["@shop_manager"],
            )
            for shop in shops
        ],
        batch_size=500,
    )


class Migration(migrations.Migration):

    dependencies = [
        ("notifications", "0020_digests"),
        ("shops", "0008_former_keys"),
    ]

    operations = [
        migrations.CreateModel(
            name="SilenceWatch",
            fields=[
                (
                    "shop",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="silence_watch",
                        serialize=False,
                        to="shops.shop",
                    ),
                ),
                ("look_at", models.DateTimeField()),
                ("told_since", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "surveillance des paiements",
                "verbose_name_plural": "surveillances des paiements",
                "indexes": [models.Index(fields=["look_at"], name="silence_look")],
            },
        ),
        migrations.RunPython(_give, migrations.RunPython.noop),
    ]
