"""The database of the release before, taken over: nothing of it is lost, and that release could go on working on it.

`before/` holds dumps made by the release before (tests/faults/upgrade.py names it; it plays the whole upgrade where the
history is at hand): the demonstration (SQLite alone), what the laboratory of faults seeds, and its events LAB-000001 to 8, of
which the first four were sent. A release that is published replaces them by its own.
"""

import lzma
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.db.backends.sqlite3 import _functions

from tests.faults import checker
from tests.odd_smtp import odd_server

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
BEFORE = Path(__file__).parent / "before"
NAME = "test_release_before"
# Under which the dumps are encrypted, and when they were made.
KEYS, MADE_AT = "lab:bGFib3JhdG9yeS1maWVsZC1rZXktMzItYnl0ZXMtMDE=", "2026-11-27T23:30:00Z"
WAITED = [f"LAB-{number:06d}" for number in (5, 6, 7, 8)]

COLUMNS = {
    "sqlite": (
        'SELECT m.name, p.name, p."notnull", p.dflt_value IS NOT NULL OR p.pk FROM sqlite_master m '
        "JOIN pragma_table_info(m.name) p WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
    ),
    "postgresql": (
        "SELECT table_name, column_name, is_nullable = 'NO', column_default IS NOT NULL OR is_identity = 'YES' "
        "FROM information_schema.columns WHERE table_schema = 'public'"
    ),
}
UNIQUE = {
    "sqlite": (
        "SELECT m.name, (SELECT group_concat(i.name) FROM pragma_index_info(l.name) i) FROM sqlite_master m "
        "JOIN pragma_index_list(m.name) l WHERE m.type = 'table' AND l.\"unique\" AND l.origin <> 'pk'"
    ),
    "postgresql": (
        "SELECT c.relname, (SELECT string_agg(a.attname, ',' ORDER BY k.place) FROM unnest(i.indkey) WITH ORDINALITY k(num, place) "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.num) FROM pg_index i "
        "JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE i.indisunique AND NOT i.indisprimary AND n.nspname = 'public'"
    ),
}  # fmt: skip


def framework_alone(path: str) -> sqlite3.Connection:
    """A connection with the functions of the framework, and none of this release."""
    link = sqlite3.connect(path)
    _functions.register(link)
    return link


@pytest.fixture
def url(process_env: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """A database as the release before left it."""
    dump = lzma.decompress((BEFORE / f"{connection.vendor}.sql.xz").read_bytes()).decode()
    if connection.vendor == "sqlite":
        link = framework_alone(f"{tmp_path}/before.sqlite3")
        link.executescript(dump)
        link.close()
        yield f"sqlite:///{tmp_path}/before.sqlite3"
        return
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {NAME}")
        cursor.execute(f"CREATE DATABASE {NAME}")
    address = f"{process_env['DATABASE_URL'].rpartition('/')[0]}/{NAME}"
    checker.execute(address, dump)
    yield address
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {NAME} WITH (FORCE)")


def manage(url: str, environment: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *words], cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=600,
        env={**os.environ, **environment, "DATABASE_URL": url, "FIELD_ENCRYPTION_KEYS": KEYS},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def columns(url: str) -> dict[tuple[str, str], tuple[bool, bool]]:
    """(table, column) → whether it takes no NULL, and whether it has a value by itself."""
    found: list[Any] = checker.rows(url, COLUMNS[connection.vendor])
    return {(table, column): (bool(strict), bool(given)) for table, column, strict, given in found}


def unique(url: str) -> set[tuple[str, str]]:
    return {(table, names or "") for table, names in checker.rows(url, UNIQUE[connection.vendor])}


def counted(url: str, tables: set[str]) -> dict[str, int]:
    return {table: int(checker.rows(url, f'SELECT COUNT(*) FROM "{table}"')[0][0]) for table in tables}


def test_what_the_release_before_left_is_kept_sent_and_open_to_it(url: str, process_env: dict[str, str]) -> None:
    before, keys = columns(url), unique(url)
    tables = {table for table, _column in before}
    # The framework writes these itself.
    kept = {table for table in tables if not table.startswith(("django_", "auth_permission"))}
    rows = counted(url, kept)
    assert rows["notifications_delivery"] and rows["shops_shop"]

    manage(url, process_env, "migrate", "--verbosity", "0")

    after = columns(url)
    assert not before.keys() - after.keys(), "the release before still uses these columns"
    # Rules that every shop has from now on may be added.
    assert not [table for table, count in counted(url, kept).items() if count < rows[table]]
    # A row that the release before writes names the columns that it knows, and nothing else.
    missing = [
        place for place, (strict, given) in after.items()
        if place[0] in tables and place not in before and strict and not given
    ]  # fmt: skip
    assert not missing, "its rows have no value for these columns: give them a db_default"
    assert not [place for place, (strict, _given) in before.items() if after[place][0] and not strict], (
        "NULL is refused"
    )
    assert {key for key in unique(url) if key[0] in tables} <= keys, "what it writes may be taken for a repetition"
    if connection.vendor == "sqlite":
        triggers_work_for_everybody(url, before)

    with odd_server(SimpleNamespace()) as server:
        mail = {**process_env, "EMAIL_URL": f"smtp://127.0.0.1:{server.port}", "IPN_ALLOW_PRIVATE_NETWORKS": "true"}
        manage(url, mail, "deliver", "--once", "--at", MADE_AT)
        count = checker.count(url, WAITED, server.mails)
        orders = sorted(order for _identity, order in map(checker.orders_in_mail, server.mails) if order)
    # Two are mails, two are calls of a URL at which nobody listens.
    assert (count.accepted, count.arrived, count.waiting, count.wrong) == (4, 2, 2, [])
    assert orders == WAITED[:2], "what the release before had sent is not sent again"


def triggers_work_for_everybody(url: str, before: dict[tuple[str, str], tuple[bool, bool]]) -> None:
    """Also for connections of the release before."""
    link = framework_alone(url.removeprefix("sqlite:///"))
    for table in sorted({table for table, _column in before}):
        names = ", ".join(f'"{column}"' for where, column in before if where == table)
        same = ", ".join(f'"{column}" = "{column}"' for where, column in before if where == table)
        for statement in (
            f'INSERT INTO "{table}" ({names}) SELECT {names} FROM "{table}"',
            f'UPDATE "{table}" SET {same}',
            f'DELETE FROM "{table}"',
        ):
            link.execute(f"EXPLAIN {statement}")
    link.close()
