"""Dumps of the database, PostgreSQL and SQLite alike, for `backup.py` and `restore.py`."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backoffice.settings")


def configured() -> dict[str, Any]:
    """The database that the product's settings name."""
    from django.conf import settings

    database: dict[str, Any] = settings.DATABASES["default"]
    return database


def is_sqlite(database: dict[str, Any]) -> bool:
    return str(database["ENGINE"]).endswith("sqlite3")


def run(database: dict[str, Any], program: str, *arguments: str) -> str:
    """Run a client program of PostgreSQL on the database; its output. Ends with its message where it fails."""
    places = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "NAME"}
    # In the environment: other accounts of the machine see arguments.
    given = {variable: str(database[key]) for variable, key in places.items() if database.get(key)}
    try:
        done = subprocess.run(
            [program, *arguments], env={**os.environ, **given}, capture_output=True, text=True, check=True
        )
    except FileNotFoundError:
        fail(f"{program} is not installed (Debian: apt-get install postgresql-client).")
    except subprocess.CalledProcessError as error:
        fail(f"{program} failed: {error.stderr.strip()}")
    return done.stdout


def copy_sqlite(source: Path, target: Path) -> None:
    """A consistent copy, also while others write; a broken one ends the program."""
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE")
        # Conditions of rows call functions that only the product brings; they are not what a copy can damage.
        new.execute("PRAGMA ignore_check_constraints=ON")
        (verdict,) = new.execute("PRAGMA integrity_check").fetchone()
    if verdict != "ok":
        fail(f"The copy is damaged: {verdict}")


def fail(sentence: str) -> NoReturn:
    sys.stderr.write(sentence + "\n")
    raise SystemExit(1)
