"""Permissions of their own for a membership and for each of its shops.

The table that joined memberships and shops becomes a model and keeps its rows.
"""

import django.db.models.deletion
from django.db import migrations, models

import backoffice.base.fields


class Migration(migrations.Migration):
    dependencies = [
        ("companies", "0003_shared_cache"),
        ("shops", "0001_initial"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE companies_membership_shops RENAME TO companies_membershipshop",
                    "ALTER TABLE companies_membershipshop RENAME TO companies_membership_shops",
                ),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="MembershipShop",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        (
                            "membership",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="grants",
                                to="companies.membership",
                                verbose_name="accès",
                            ),
                        ),
                        (
                            "shop",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="+",
                                to="shops.shop",
                                verbose_name="boutique",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "droits sur une boutique",
                        "verbose_name_plural": "droits par boutique",
                        "unique_together": {("membership", "shop")},
                    },
                ),
                migrations.AlterField(
                    model_name="membership",
                    name="shops",
                    field=models.ManyToManyField(
                        blank=True,
                        related_name="+",
                        through="companies.MembershipShop",
                        to="shops.shop",
                        verbose_name="boutiques",
                    ),
                ),
            ],
        ),
        # The joining table's own uniqueness gives way to a named one.
        migrations.AlterUniqueTogether(name="membershipshop", unique_together=set()),
        migrations.AddConstraint(
            model_name="membershipshop",
            constraint=models.UniqueConstraint(fields=("membership", "shop"), name="grant_once_per_shop"),
        ),
        migrations.AddField(
            model_name="membership",
            name="permissions",
            field=backoffice.base.fields.CodeSetField(
                blank=True, default=None, max_length=500, null=True, verbose_name="droits particuliers"
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(("role", "administrator"), _negated=True) | models.Q(("permissions__isnull", True)),
                name="membership_administrator_is_whole",
            ),
        ),
        migrations.AddField(
            model_name="membershipshop",
            name="permissions",
            field=backoffice.base.fields.CodeSetField(
                blank=True, default=None, max_length=500, null=True, verbose_name="droits sur la boutique"
            ),
        ),
    ]
