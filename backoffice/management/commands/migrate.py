"""Migrate beside a web server and workers that go on: what the framework's command does, holding up nobody.

A migration locks tables one after the other, a request takes them in another order: each waits for the other, and
PostgreSQL ends one of the two, under steady load each time. And whoever waits for a busy table holds up everybody behind it. So a
migration of several tables locks all of them before it does anything, and a lock is waited for shortly, less than the second
after which the database looks for somebody to end. Who does not get it lets everything go and tries again, each
time a little more patiently.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import CreateModel, Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.state import ProjectState
from django.utils.translation import gettext as _

Result = TypeVar("Result")

# How long a lock is waited for, at first and at most.
LOCK_SECONDS, MOST_LOCK_SECONDS = 0.1, 1.0
# For how long one piece of work is tried again.
PATIENCE_SECONDS = 600.0
# Between two tries.
PAUSE_SECONDS = 1.0
# Deadlock, no lock in time, two transactions that do not fit together.
_BUSY = ("40P01", "55P03", "40001")


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]

        class Patient(MigrationExecutor):
            def apply_migration(
                this, state: ProjectState, migration: Migration, fake: bool = False, fake_initial: bool = False
            ) -> ProjectState:
                migration.apply = _after_locks(migration)  # type: ignore[method-assign]

                def work() -> ProjectState:
                    # What is undone has changed the state that it was given.
                    return super(Patient, this).apply_migration(state.clone(), migration, fake, fake_initial)

                return self.patiently(connection, work)

        # The framework's command looks it up there.
        place: Any = migrate
        usual, place.MigrationExecutor = place.MigrationExecutor, Patient
        try:
            # What follows the migrations, triggers among it, takes locks as well: then all is looked at once more.
            self.patiently(connection, lambda: super(Command, self).handle(*args, **options))
            _wait_shortly(connection, 0)
        finally:
            place.MigrationExecutor = usual

    def patiently(self, connection: BaseDatabaseWrapper, work: Callable[[], Result]) -> Result:
        """Try until nobody is in the way; raises what is wrong otherwise, or after ten minutes."""
        end = time.monotonic() + PATIENCE_SECONDS
        limit = LOCK_SECONDS
        while True:
            _wait_shortly(connection, limit)
            try:
                return work()
            except OperationalError as error:
                if not is_busy(error) or time.monotonic() > end:
                    raise
                self.stderr.write(_("La base est occupée : nouvel essai."))
            limit = min(limit * 1.5, MOST_LOCK_SECONDS)
            time.sleep(PAUSE_SECONDS)


def _after_locks(migration: Migration) -> Callable[..., ProjectState]:
    """`migration.apply`, which has all of its tables before it begins."""
    apply = migration.apply

    def applied(state: ProjectState, editor: BaseDatabaseSchemaEditor, collect_sql: bool = False) -> ProjectState:
        if editor.connection.vendor == "postgresql" and migration.atomic and not collect_sql:
            tables = sorted(tables_of(migration, state))
            if len(tables) > 1:
                editor.execute(f"LOCK TABLE {', '.join(map(editor.quote_name, tables))} IN ACCESS EXCLUSIVE MODE")
        return apply(state, editor, collect_sql)

    return applied


def tables_of(migration: Migration, state: ProjectState) -> set[str]:
    """Tables that there are and that a migration locks: those it names, and where columns change those that they refer to."""
    models = {model._meta.label_lower: model for model in state.apps.get_models(include_auto_created=True)}
    named: set[str] = set()
    for operation in migration.operations:
        fields: list[Any] = []
        if isinstance(operation, CreateModel):
            fields = [field for _name, field in operation.fields]
        elif model_name := getattr(operation, "model_name", ""):
            named.add(f"{migration.app_label}.{model_name}".lower())
            fields = [field] if (field := getattr(operation, "field", None)) else []
        named |= {str(field.remote_field.model).lower() for field in fields if field.remote_field}
    touched: list[Any] = [models[label] for label in named if label in models]
    if any(isinstance(operation, FieldOperation) for operation in migration.operations):
        touched += [
            field.related_model for model in touched for field in model._meta.local_fields if field.remote_field
        ]
    return {model._meta.db_table for model in touched}


def is_busy(error: OperationalError) -> bool:
    """Whether others were in the way, who will be gone in a moment."""
    return getattr(error.__cause__, "sqlstate", "") in _BUSY or "database is locked" in str(error)


def _wait_shortly(connection: BaseDatabaseWrapper, seconds: float) -> None:
    """For how long a lock is waited for; 0: for ever. In a transaction that has failed nothing can be said any more."""
    if connection.vendor == "postgresql" and not connection.needs_rollback:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{seconds * 1000:.0f}ms"])
