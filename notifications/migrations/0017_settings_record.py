"""The record of the settings. Its triggers are put in place once all migrations are done (DATABASE_GUARDS): then it
begins with what the settings hold at that moment."""

from typing import Any

from django.db import migrations, models
from django.db.models import Q

from notifications.timeline import recording


def _lift(apps: Any, schema_editor: Any) -> None:
    recording.RECORD.remove(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [
        ("companies", "0012_verified_address"),
        ("shops", "0008_former_keys"),
        ("notifications", "0016_lists_at_size"),
    ]

    operations = [
        migrations.CreateModel(
            name="RecordedSetting",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("company", "Company"),
                            ("contact", "Contact"),
                            ("shop", "Shop"),
                            ("rule", "Rule"),
                            ("user", "User"),
                            ("sftp", "Sftp Account"),
                        ],
                        editable=False,
                        max_length=10,
                    ),
                ),
                ("object_key", models.CharField(editable=False, max_length=36)),
                ("parent", models.BigIntegerField(null=True)),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField(null=True)),
                ("content", models.JSONField(editable=False)),
            ],
            options={
                "verbose_name": "réglage conservé",
                "verbose_name_plural": "réglages conservés",
                "indexes": [
                    models.Index(fields=["kind", "parent", "since"], name="recorded_of_parent"),
                    models.Index(
                        condition=Q(("until__isnull", True)), fields=["kind", "object_key"], name="recorded_in_force"
                    ),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                condition=Q(("shop__isnull", False)), fields=["shop", "-occurred_at"], name="event_shop_newest"
            ),
        ),
        migrations.RunPython(migrations.RunPython.noop, _lift),
    ]
