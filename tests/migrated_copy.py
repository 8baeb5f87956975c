"""The migrated test database, made once and copied: walking the migrations costs every worker five seconds.

The copy is kept under a digest of all migrations, of the modules of ours that they import and of the versions of our
dependencies, so a change of any of them walks the migrations again. `make clean` forgets it.
"""

import ast
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.backends.postgresql.creation import DatabaseCreation as Postgresql
from django.db.backends.sqlite3.creation import DatabaseCreation as Sqlite
from django.db.backends.utils import strip_quotes

ROOT = Path(settings.BASE_DIR)
APPS = ("backoffice", "companies", "notifications", "shops")
# What other checkouts on this machine keep on the same PostgreSQL server stays, up to this many.
KEPT = 8


@contextmanager
def _alone(creation: Any) -> Iterator[None]:
    """One process at a time: the first walks, the others find the copy.

    Of this checkout, whose copy stands in its own folder; on a server that several checkouts use, of this machine.
    """
    shared = Path(tempfile.gettempdir()) / f"backoffice-tests-{os.getuid()}.lock"
    own = Path(settings.VAR_DIR) / "test-migrated.lock"
    with (shared if isinstance(creation, Postgresql) else own).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- When the copy is the same ------------------------------------------------------------------


def _modules_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file_of(module: str) -> Path | None:
    base = ROOT / module.replace(".", "/")
    files = (path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file())
    return next(files, None) if module.partition(".")[0] in APPS else None


def sources() -> list[Path]:
    """The migrations, and what of ours they import, however indirectly."""
    waiting = [path for app in APPS for path in (ROOT / app).rglob("migrations/*.py")]
    needed: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path not in needed:
            needed.add(path)
            waiting += [file for module in _modules_in(path) if (file := _file_of(module))]
    return sorted(needed)


@cache
def digest() -> str:
    texts = [*sources(), ROOT / "requirements.txt", ROOT / "backoffice" / "settings.py"]
    seen = hashlib.sha256()
    for path in texts:
        seen.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return seen.hexdigest()[:16]


# --- SQLite -------------------------------------------------------------------------------------


def _sqlite_copy() -> Path:
    return Path(settings.VAR_DIR) / f"test-migrated-{digest()}.sqlite3"


def _sqlite_file(make: Callable[..., str]) -> Callable[..., str]:
    """Django only takes the former file away; the copy then stands in its place."""

    @wraps(make)
    def _create_test_db(self: Sqlite, *args: Any, **options: Any) -> str:
        name = make(self, *args, **options)
        if _sqlite_copy().exists():
            # What a run that was killed left beside its file belongs to no other.
            for journal in ("-wal", "-shm", "-journal"):
                Path(f"{name}{journal}").unlink(missing_ok=True)
            shutil.copyfile(_sqlite_copy(), name)
        return name

    return _create_test_db


def _keep_sqlite(creation: Sqlite) -> None:
    copy = _sqlite_copy()
    if copy.exists():
        return
    for former in copy.parent.glob("test-migrated-*"):
        former.unlink()
    with creation.connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [f"{copy}.new"])
    Path(f"{copy}.new").rename(copy)


# --- PostgreSQL ---------------------------------------------------------------------------------


def _postgresql_copies(creation: Postgresql) -> list[str]:
    """The newest first."""
    with creation._nodb_cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE 'backoffice_migrated_%%' ORDER BY oid DESC")
        return [name for (name,) in cursor.fetchall()]


def _keep_postgresql(creation: Postgresql) -> None:
    name = f"backoffice_migrated_{digest()}"
    copies = _postgresql_copies(creation)
    if name in copies:
        return
    # A database with a session cannot be copied.
    creation.connection.close()
    with creation._nodb_cursor() as cursor:
        for former in copies[KEPT - 1 :]:
            cursor.execute(f"DROP DATABASE IF EXISTS {creation._quote_name(former)}")
        source = creation._quote_name(strip_quotes(creation.connection.settings_dict["NAME"]))
        cursor.execute(f"CREATE DATABASE {creation._quote_name(name)} TEMPLATE {source}")
    creation.connection.ensure_connection()


# --- Both ---------------------------------------------------------------------------------------


def _copying(create: Callable[..., str], keep: Callable[[Any], None]) -> Callable[..., str]:
    @wraps(create)
    def create_test_db(self: Any, *args: Any, **options: Any) -> str:
        with _alone(self):
            if isinstance(self, Postgresql) and f"backoffice_migrated_{digest()}" in _postgresql_copies(self):
                self.connection.settings_dict["TEST"]["TEMPLATE"] = f"backoffice_migrated_{digest()}"
            name = create(self, *args, **options)
            keep(self)
            return name

    return create_test_db


def install() -> None:
    """Called once per process, before its database is made."""
    if hasattr(Sqlite.create_test_db, "__wrapped__"):
        return
    Sqlite._create_test_db = _sqlite_file(Sqlite._create_test_db)
    Sqlite.create_test_db = _copying(Sqlite.create_test_db, _keep_sqlite)
    Postgresql.create_test_db = _copying(Postgresql.create_test_db, _keep_postgresql)
