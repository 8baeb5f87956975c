"""A temporary database, and the framework on it."""

import os
import platform
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def fresh_database(**environment: str) -> Iterator[None]:
    """Set the framework up on an empty database with all tables, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        os.environ.update(
            DJANGO_SETTINGS_MODULE="bench.settings",
            # DEBUG only to do without secrets; it is switched off below, as it keeps every query.
            DEBUG="true",
            DATABASE_URL=f"sqlite:///{folder}/bench.sqlite3",
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


def machine() -> str:
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
