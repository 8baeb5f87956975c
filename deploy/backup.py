"""Dump the database into a folder: `python deploy/backup.py /var/backups/backoffice [--keep 14]`.

The dump has its name only once it is whole, checked and on the disk; what a full disk or a kill leaves behind ends in
`.partial` and goes with the next run. Dumps beyond the newest `--keep` go last.
"""

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from database import configured, copy_sqlite, is_sqlite, run

NAME = "backoffice-{moment:%Y%m%dT%H%M%SZ}.{kind}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep", type=int, default=14, help="how many dumps stay (14)")
    options = parser.parse_args()
    # Dumps hold addresses: for their owner alone.
    os.umask(0o077)
    options.folder.mkdir(parents=True, exist_ok=True)
    for left in options.folder.glob("backoffice-*.partial*"):
        left.unlink()
    path = dump(options.folder)
    for old in dumps(options.folder)[options.keep :]:
        old.unlink()
    print(f"{path} {path.stat().st_size}")


def dump(folder: Path) -> Path:
    database = configured()
    kind = "sqlite3" if is_sqlite(database) else "pgdump"
    path = folder / NAME.format(moment=datetime.now(UTC), kind=kind)
    partial = path.with_name(path.name + ".partial")
    try:
        if is_sqlite(database):
            copy_sqlite(Path(database["NAME"]), partial)
        else:
            run(database, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={partial}")
            # Reads the whole table of contents; a cut file has none.
            run(database, "pg_restore", "--list", str(partial))
        with partial.open("rb") as file:
            os.fsync(file.fileno())
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return partial.replace(path)


def dumps(folder: Path) -> list[Path]:
    """Newest first; their names sort by time."""
    found = [path for path in folder.glob("backoffice-*") if path.suffix in (".sqlite3", ".pgdump")]
    return sorted(found, reverse=True)


if __name__ == "__main__":
    main()
