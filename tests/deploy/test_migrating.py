"""`migrate` beside processes that go on: it waits shortly, lets others pass and tries again."""

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.db.migrations.loader import MigrationLoader

from backoffice.management.commands import migrate

pytestmark = pytest.mark.django_db(transaction=True)


class Cause(Exception):
    def __init__(self, sqlstate: str) -> None:
        self.sqlstate = sqlstate


def failure(sqlstate: str = "", text: str = "") -> OperationalError:
    error = OperationalError(text)
    error.__cause__ = Cause(sqlstate)
    return error


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """How long it let others pass, which no test waits for."""
    taken: list[float] = []
    monkeypatch.setattr(migrate.time, "sleep", taken.append)
    yield taken
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = 0")


@pytest.mark.parametrize("error", [failure("40P01"), failure("55P03"), failure(text="database is locked")], ids=str)
def test_who_is_in_the_way_is_let_pass(error: OperationalError, pauses: list[float]) -> None:
    outcomes: list[Any] = [error, error, "done"]

    def work() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return str(outcome)

    out = StringIO()
    assert migrate.Command(stderr=out).patiently(connection, work) == "done"
    assert len(pauses) == 2
    assert len(out.getvalue().splitlines()) == 2


def test_what_is_wrong_is_said_at_once(pauses: list[float]) -> None:
    def work() -> None:
        raise failure("42P01", "no such table")

    with pytest.raises(OperationalError, match="no such table"):
        migrate.Command().patiently(connection, work)
    assert not pauses


def test_it_gives_up_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "PATIENCE_SECONDS", -1.0)

    def work() -> None:
        raise failure("55P03", "no lock")

    with pytest.raises(OperationalError, match="no lock"):
        migrate.Command().patiently(connection, work)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one lock for everything")
def test_a_table_that_others_hold_is_waited_for_shortly(process_env: dict[str, str], pauses: list[float]) -> None:
    import psycopg

    other = psycopg.connect(process_env["DATABASE_URL"].replace("postgres://", "postgresql://"))
    other.execute("LOCK TABLE companies_company IN ACCESS SHARE MODE")

    def work() -> str:
        if pauses:
            other.close()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE companies_company IN ACCESS EXCLUSIVE MODE")
        return "done"

    assert migrate.Command(stderr=StringIO()).patiently(connection, work) == "done"
    assert len(pauses) >= 1


def test_a_migration_knows_its_tables() -> None:
    loader = MigrationLoader(None)

    def tables(*name: str) -> set[str]:
        migration = loader.graph.nodes[name]  # type: ignore[index]
        return migrate.tables_of(migration, loader.project_state(name, at_end=False))

    assert tables("companies", "0013_lists_at_size") == {"companies_auditentry"}
    assert tables("companies", "0011_login_links_used") == {"companies_user", "companies_company"}
    # What it makes is in nobody's way, what that refers to is.
    assert tables("notifications", "0010_call_credentials") == {"notifications_notificationrule"}


def test_the_command_does_what_the_framework_does() -> None:
    out = StringIO()
    call_command("migrate", stdout=out, verbosity=1)
    assert "No migrations to apply" in out.getvalue()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            assert cursor.fetchone() == ("0",)
