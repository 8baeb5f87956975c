"""The table in which limits and used codes go on while the shared cache is gone."""

from django.core.management import call_command
from django.db import migrations


def create_table(apps, schema_editor):
    call_command("createcachetable", "spare_cache", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    dependencies = [("notifications", "0021_silences")]

    operations = [migrations.RunPython(create_table, migrations.RunPython.noop)]
