"""The table of the database cache: rate limits and used one-time codes live in it, so a database
that is migrated is ready to serve."""

from django.core.management import call_command
from django.db import migrations


def create_table(apps, schema_editor):
    call_command("createcachetable", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    dependencies = [("companies", "0002_initial")]

    operations = [migrations.RunPython(create_table, migrations.RunPython.noop)]
