from typing import Any

from django.db import migrations

# What a token without scopes opened until there were settings to write.
FORMER = frozenset({"events:write", "tables:read", "deliveries:read"})


def keep_what_they_opened(apps: Any, schema_editor: Any) -> None:
    """Tokens that were made for everything go on opening what there was: nobody meant them to change settings."""
    apps.get_model("notifications", "ApiToken").objects.filter(scopes__isnull=True).update(scopes=FORMER)


class Migration(migrations.Migration):

    dependencies = [
        ("notifications", "0011_idna_2008"),
    ]

    operations = [
        migrations.RunPython(keep_what_they_opened, migrations.RunPython.noop),
    ]
