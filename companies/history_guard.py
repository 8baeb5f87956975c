"""The database's own guard of the history: triggers that refuse UPDATE and DELETE.

They are installed by a migration and looked after once all migrations are done, because SQLite loses
a table's triggers whenever a later migration rebuilds the table.

An entry may be changed in one way only: a row of `HistoryErasure` that is still open names it, and
nothing but its words (author, address, designation, values) differs. That row cannot be removed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper

_ENTRY = "companies_auditentry"
_ERASURE = "companies_historyerasure"
_FROZEN = ("companies_historyseal", "companies_sealedentry")
_TABLES = (_ENTRY, _ERASURE, *_FROZEN)
# What stays as it was written, whatever happens.
_FIXED = (
    "id",
    "at",
    "company_id",
    "actor_id",
    "shop_id",
    "action",
    "object_type",
    "object_id",
    "content_digest",
)
_MESSAGE = "the history is append-only"


def _same(columns: tuple[str, ...], equal: str) -> str:
    return " AND ".join(f'NEW."{name}" {equal} OLD."{name}"' for name in columns)


def _entry_may_change(equal: str, true: str) -> str:
    return (
        f"EXISTS (SELECT 1 FROM {_ERASURE} e WHERE e.id = NEW.erasure_id AND e.is_open = {true})"  # noqa: S608
        f" AND NEW.salt = '' AND {_same(_FIXED, equal)}"
    )


def _erasure_may_change(equal: str, true: str) -> str:
    # Open to closed, once, with its counts.
    fixed = _same(("id", "at", "actor_label", "address_hash"), equal)
    return f"OLD.is_open = {true} AND NOT NEW.is_open AND {fixed}"


def _rules(equal: str, true: str) -> dict[str, str]:
    """table → when a row of it may be updated."""
    rules = dict.fromkeys(_FROZEN, "")
    return {_ENTRY: _entry_may_change(equal, true), _ERASURE: _erasure_may_change(equal, true), **rules}


def statements(vendor: str) -> list[str]:
    """What installs the triggers; repeating it is harmless."""
    if vendor == "sqlite":
        refuse = f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
        found = []
        for table, allowed in _rules("IS", "1").items():
            when = f"WHEN NOT ({allowed}) " if allowed else ""
            found += [
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_delete BEFORE DELETE ON {table} {refuse}",
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_update BEFORE UPDATE ON {table} {when}{refuse}",
            ]
        return found
    found = [
        f"""CREATE OR REPLACE FUNCTION history_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '{_MESSAGE}' USING ERRCODE = 'integrity_constraint_violation'; END $$"""
    ]
    for table, allowed in _rules("IS NOT DISTINCT FROM", "true").items():
        # A trigger's WHEN holds no subquery on PostgreSQL, so the test stands in a function per table.
        test = f"IF {allowed} THEN RETURN NEW; END IF;" if allowed else ""
        found += [
            f"""CREATE OR REPLACE FUNCTION {table}_update() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN {test} RAISE EXCEPTION '{_MESSAGE}' USING ERRCODE = 'integrity_constraint_violation'; END $$""",
            f"CREATE OR REPLACE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {table}_update()",
            f"CREATE OR REPLACE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION history_refuse()",
            f"CREATE OR REPLACE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION history_refuse()",
        ]
    return found


def removal(vendor: str) -> list[str]:
    if vendor == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {table}_no_{verb}" for table in _TABLES for verb in ("update", "delete")]
    verbs = ("update", "delete", "truncate")
    return [f"DROP TRIGGER IF EXISTS {table}_no_{verb} ON {table}" for table in _TABLES for verb in verbs]


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
    verbs = ("update", "delete") if connection.vendor == "sqlite" else ("update", "delete", "truncate")
    return {f"{table}_no_{verb}" for table in _TABLES for verb in verbs} <= names


@contextmanager
def lifted(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Without the guard: for emptying the whole database, never for a change of the history."""
    with connection.cursor() as cursor:
        for statement in removal(connection.vendor):
            cursor.execute(statement)
    try:
        yield
    finally:
        install(connection)
