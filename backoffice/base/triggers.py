"""Tables that the database itself guards: triggers that refuse UPDATE, DELETE and TRUNCATE.

A guard is installed by a migration and looked after once all migrations are done, because SQLite loses
a table's triggers whenever a later migration rebuilds the table.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

# table → when a row of it may be updated, in SQL over NEW and OLD; nothing: never.
Rules = Mapping[str, str]


@dataclass(frozen=True)
class Guard:
    """The triggers of some tables.

    Attributes:
        name: begins the names of what is shared by the tables.
        message: what the database says when it refuses.
        rules: vendor (`sqlite` or `postgresql`) → the rules in its words.
    """

    name: str
    message: str
    rules: Callable[[str], Rules]

    def statements(self, vendor: str) -> list[str]:
        """What installs the triggers; repeating it is harmless."""
        return self._on_sqlite() if vendor == "sqlite" else self._on_postgresql()

    def _on_sqlite(self) -> list[str]:
        refuse = f"BEGIN SELECT RAISE(ABORT, '{self.message}'); END"
        statements = []
        for table, allowed in self.rules("sqlite").items():
            when = f"WHEN NOT ({allowed}) " if allowed else ""
            statements += [
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_delete BEFORE DELETE ON {table} {refuse}",
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_update BEFORE UPDATE ON {table} {when}{refuse}",
            ]
        return statements

    def _on_postgresql(self) -> list[str]:
        refuse = f"RAISE EXCEPTION '{self.message}' USING ERRCODE = 'integrity_constraint_violation';"
        statements = [_function(f"{self.name}_refuse", refuse)]
        for table, allowed in self.rules("postgresql").items():
            # A trigger's WHEN holds no subquery there, so the test stands in a function per table.
            test = f"IF {allowed} THEN RETURN NEW; END IF; " if allowed else ""
            statements += [
                _function(f"{table}_update", test + refuse),
                f"CREATE OR REPLACE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
                f"FOR EACH ROW EXECUTE FUNCTION {table}_update()",
                f"CREATE OR REPLACE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
                f"FOR EACH ROW EXECUTE FUNCTION {self.name}_refuse()",
                f"CREATE OR REPLACE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {self.name}_refuse()",
            ]
        return statements

    def _triggers(self, vendor: str) -> dict[str, str]:
        """name of each trigger → its table"""
        verbs = ("update", "delete") if vendor == "sqlite" else ("update", "delete", "truncate")
        return {f"{table}_no_{verb}": table for table in self.rules(vendor) for verb in verbs}

    def removal(self, vendor: str) -> list[str]:
        """What takes the triggers away."""
        return [
            f"DROP TRIGGER IF EXISTS {name}" + ("" if vendor == "sqlite" else f" ON {table}")
            for name, table in self._triggers(vendor).items()
        ]

    def install(self, connection: BaseDatabaseWrapper) -> None:
        _run(connection, self.statements(connection.vendor))

    def look_after(self, connection: BaseDatabaseWrapper) -> None:
        """Install it again after migrations, unless they were walked back to before its tables."""
        if set(self.rules(connection.vendor)) <= set(connection.introspection.table_names()):
            self.install(connection)

    def step_aside(self, connection: BaseDatabaseWrapper) -> None:
        """Nothing, before migrations are walked back: the migration that brought the guard takes it away."""

    def remove(self, connection: BaseDatabaseWrapper) -> None:
        _run(connection, self.removal(connection.vendor))

    def is_installed(self, connection: BaseDatabaseWrapper) -> bool:
        """Whether all triggers of the guard are in place."""
        query = (
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            if connection.vendor == "sqlite"
            else "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D'"
        )
        with connection.cursor() as cursor:
            cursor.execute(query)
            names = {row[0] for row in cursor.fetchall()}
        return set(self._triggers(connection.vendor)) <= names

    @contextmanager
    def lifted(self, connection: BaseDatabaseWrapper) -> Iterator[None]:
        """Context without the triggers, for emptying the whole database only."""
        self.remove(connection)
        try:
            yield
        finally:
            self.install(connection)


def _function(name: str, body: str) -> str:
    return f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"


def _run(connection: BaseDatabaseWrapper, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
