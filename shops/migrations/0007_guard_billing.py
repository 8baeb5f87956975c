"""From here on the database itself refuses to change or remove issued billing."""

from typing import Any

from django.db import migrations

from shops.billing import guard


def _guard(apps: Any, schema_editor: Any) -> None:
    guard.GUARD.install(schema_editor.connection)


def _lift(apps: Any, schema_editor: Any) -> None:
    for statement in guard.GUARD.removal(schema_editor.connection.vendor):
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("shops", "0006_data_collection_forms")]

    operations = [migrations.RunPython(_guard, _lift)]
