"""Upgrading without downtime: what migrations do must not stop processes of the version before (expand, then contract)."""

import pytest
from django.db import connection, migrations
from django.db.migrations.loader import MigrationLoader

from notifications.models import Event
from tests.factories import EventFactory

APPS = ("companies", "shops", "notifications")
# The newest of the release before (tests/faults/upgrade.py); what comes later runs beside it.
RELEASE_BEFORE = {"companies": 9, "shops": 7, "notifications": 9}
# Taking away what the version before still uses: only in a release after the one whose code has stopped using it. Whoever
# does so writes the migration here, with that release, and the steps into docs/operations.md.
CONTRACTING: dict[str, str] = {}
TAKES_AWAY = (
    migrations.RemoveField,
    migrations.DeleteModel,
    migrations.RenameField,
    migrations.RenameModel,
    migrations.AlterModelTable,
)


def later_migrations() -> list[migrations.Migration]:
    loader = MigrationLoader(None)
    return [
        migration
        for (app, name), migration in sorted(loader.disk_migrations.items())
        if app in APPS and int(name[:4]) > RELEASE_BEFORE[app]
    ]


@pytest.mark.parametrize("migration", later_migrations(), ids=str)
def test_a_migration_leaves_the_version_before_able_to_work(migration: migrations.Migration) -> None:
    if str(migration) in CONTRACTING:
        return
    for operation in migration.operations:
        assert not isinstance(operation, TAKES_AWAY), operation.describe()
        if isinstance(operation, migrations.AddField) and not operation.field.many_to_many:
            has_value = operation.field.null or operation.field.has_db_default()
            assert has_value, f"{operation.describe()}: rows of the version before have no value for it"


@pytest.mark.django_db
def test_the_version_before_can_still_accept_events() -> None:
    """It names only the columns that it knows."""
    event = EventFactory()
    unknown = {"id", "request_id"}
    names = [field.column for field in Event._meta.concrete_fields if field.column not in unknown]
    values = ["'evt-of-before'" if name == "event_id" else connection.ops.quote_name(name) for name in names]
    columns = ", ".join(connection.ops.quote_name(name) for name in names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO notifications_event ({columns}) SELECT {', '.join(values)} FROM notifications_event "
            "WHERE id = %s",
            [event.pk],
        )
    copy = Event.objects.get(event_id="evt-of-before")
    assert copy.request_id == ""
