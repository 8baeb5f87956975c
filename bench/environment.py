"""A temporary database, and the framework on it: SQLite, or PostgreSQL with `BENCH_DATABASE_URL`."""

import os
import platform
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit


@contextmanager
def fresh_database(**environment: str) -> Iterator[None]:
    """Set the framework up on an empty database with all tables, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _database(folder) as url:
        os.environ.update(
            DJANGO_SETTINGS_MODULE="bench.settings",
            # DEBUG only to do without secrets; it is switched off below, as it keeps every query.
            DEBUG="true",
            DATABASE_URL=url,
            CELERY_BROKER_URL="",
            EMAIL_URL="",
            LOG_LEVEL="ERROR",
            **environment,
        )
        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command
        from django.db import connections

        settings.DEBUG = False
        call_command("migrate", verbosity=0)
        yield
        connections.close_all()


@contextmanager
def _database(folder: str) -> Iterator[str]:
    server = os.environ.get("BENCH_DATABASE_URL", "")
    if not server:
        yield f"sqlite:///{folder}/bench.sqlite3"
        return
    import psycopg
    from psycopg import sql

    name = f"bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def database() -> str:
    """The database of this run, by its name."""
    return "PostgreSQL" if os.environ.get("BENCH_DATABASE_URL") else "SQLite"


def machine() -> str:
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
