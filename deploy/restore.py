"""Put a dump into the database that the settings name: `python deploy/restore.py FILE [--replace]`.

Only into an empty database, unless `--replace` says that what it holds may go. Web and workers are stopped meanwhile, and
the workers stay so until `manage.py after_restore` has told what was sent since the dump (docs/operations.md).
"""

import argparse
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from database import configured, copy_sqlite, fail, is_sqlite, run

COUNT = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--replace", action="store_true", help="what the database holds may go")
    options = parser.parse_args()
    database = configured()
    if not options.file.is_file():
        fail(f"{options.file} is no file.")
    wanted = ".sqlite3" if is_sqlite(database) else ".pgdump"
    if options.file.suffix != wanted:
        fail(f"The settings name a database whose dumps end in {wanted}.")
    if not options.replace and not is_empty(database):
        fail("The database is not empty. --replace says that what it holds may go.")
    if is_sqlite(database):
        restore_sqlite(options.file, Path(database["NAME"]))
    else:
        restore_postgresql(options.file, database)
    print("Restored. Next: manage.py migrate, then manage.py after_restore, then start web and workers.")


def is_empty(database: dict[str, Any]) -> bool:
    if is_sqlite(database):
        path = Path(database["NAME"])
        if not path.exists():
            return True
        with closing(sqlite3.connect(path)) as connection:
            return not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    return run(database, "psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command", COUNT).strip() == "0"


def restore_sqlite(file: Path, path: Path) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    copy_sqlite(file, partial)
    # The former database's log of writes would be taken for the new one's.
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    partial.replace(path)


def restore_postgresql(file: Path, database: dict[str, Any]) -> None:
    """All or nothing: one transaction."""
    name = str(database["NAME"])
    run(
        database, "pg_restore", "--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction",
        "--exit-on-error", f"--dbname={name}", str(file),
    )  # fmt: skip


if __name__ == "__main__":
    main()
