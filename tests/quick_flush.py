"""Emptying the database after a test with real transactions.

Three things make the framework's way slow. It makes content types and permissions again, model by model: here they
stay, as the migrations left them. On PostgreSQL TRUNCATE makes new files for every table and index, 0.4 s for ours; a
test leaves a few rows, which DELETE takes away in milliseconds. And the guards of history, bills and settings are taken
away and put back; on PostgreSQL all triggers rest meanwhile, so that the order of the tables does not matter either.
"""

from contextlib import ExitStack
from typing import Any

from django.conf import settings
from django.core.management.color import no_style
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase
from django.utils.module_loading import import_string

# What belongs to the models, not to a test.
KEPT = frozenset({"django_content_type", "auth_permission"})
_may_rest_triggers: dict[str, bool] = {}


def _tables(connection: BaseDatabaseWrapper) -> list[str]:
    names = connection.introspection.django_table_names(only_existing=False, include_views=False)
    return sorted(set(names) - KEPT)


def _superuser(connection: BaseDatabaseWrapper) -> bool:
    if connection.vendor != "postgresql":
        return False
    if connection.alias not in _may_rest_triggers:
        with connection.cursor() as cursor:
            cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
            _may_rest_triggers[connection.alias] = bool(cursor.fetchone()[0])
    return _may_rest_triggers[connection.alias]


def _empty(connection: BaseDatabaseWrapper) -> None:
    if _superuser(connection):
        deletions = " ".join(f"DELETE FROM {connection.ops.quote_name(name)};" for name in _tables(connection))
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL session_replication_role = replica; {deletions}")  # one round trip
        return
    with ExitStack() as lifted:
        for name in settings.DATABASE_GUARDS.values():
            lifted.enter_context(import_string(name).lifted(connection))
        connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), _tables(connection)))


def _fixture_teardown(case: Any) -> None:
    for alias in case._databases_names(include_mirrors=False):
        _empty(connections[alias])


def install() -> None:
    TransactionTestCase._fixture_teardown = _fixture_teardown
