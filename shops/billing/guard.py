"""The database's own guard of billing: an issued document is neither changed nor removed, a series only counts on.

`BillingDocument.save` and `delete` say so in words; these triggers hold whatever goes past them: a bulk
update, a console, another program. They are installed by a migration and looked after once all
migrations are done, because SQLite loses a table's triggers whenever a later migration rebuilds the table.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper

_DOCUMENT = "shops_billingdocument"
_SERIES = "shops_numberseries"
# table → when a row of it may be updated; nothing: never.
_RULES = {
    _DOCUMENT: "",
    _SERIES: 'NEW.id = OLD.id AND NEW.kind = OLD.kind AND NEW.year = OLD.year AND NEW."last" = OLD."last" + 1',
}
TABLES = tuple(_RULES)
MESSAGE = "issued billing is never changed or removed"


def statements(vendor: str) -> list[str]:
    """What installs the triggers; repeating it is harmless."""
    found = []
    if vendor == "sqlite":
        refuse = f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
        for table, allowed in _RULES.items():
            when = f"WHEN NOT ({allowed}) " if allowed else ""
            found += [
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_delete BEFORE DELETE ON {table} {refuse}",
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_update BEFORE UPDATE ON {table} {when}{refuse}",
            ]
        return found
    found = [
        f"""CREATE OR REPLACE FUNCTION billing_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'integrity_constraint_violation'; END $$"""
    ]
    for table, allowed in _RULES.items():
        when = f"WHEN (NOT ({allowed})) " if allowed else ""
        found += [
            f"CREATE OR REPLACE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
            f"FOR EACH ROW {when}EXECUTE FUNCTION billing_refuse()",
            f"CREATE OR REPLACE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION billing_refuse()",
            f"CREATE OR REPLACE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse()",
        ]
    return found


def _triggers(vendor: str) -> dict[str, str]:
    """name of each trigger → its table"""
    verbs = ("update", "delete") if vendor == "sqlite" else ("update", "delete", "truncate")
    return {f"{table}_no_{verb}": table for table in TABLES for verb in verbs}


def removal(vendor: str) -> list[str]:
    return [
        f"DROP TRIGGER IF EXISTS {name}" + ("" if vendor == "sqlite" else f" ON {table}")
        for name, table in _triggers(vendor).items()
    ]


def install(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        for statement in statements(connection.vendor):
            cursor.execute(statement)


def is_installed(connection: BaseDatabaseWrapper) -> bool:
    """Whether all triggers of the guard are in place."""
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if connection.vendor == "sqlite"
        else "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D'"
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        names = {row[0] for row in cursor.fetchall()}
    return set(_triggers(connection.vendor)) <= names


@contextmanager
def lifted(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Without the guard: for emptying the whole database, never for a change of a document."""
    with connection.cursor() as cursor:
        for statement in removal(connection.vendor):
            cursor.execute(statement)
    try:
        yield
    finally:
        install(connection)
