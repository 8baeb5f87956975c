"""Small disks that fill up."""

import shutil

from tests.faults.laboratory import Laboratory, fill
from tests.faults.registry import fault

LITE, PG = ("sqlite",), ("postgresql",)
FULL = "the disk of the database is full for longer than a lease while results wait to be recorded"


@fault("the disk of SQLite fills up while mails are out, then has room again", databases=LITE, window=FULL)
def _sqlite_full(lab: Laboratory) -> None:
    with lab.small_disk(24) as disk:
        lab.publish(40)
        source = lab.folder / "db/lab.sqlite3"
        for path in source.parent.glob("lab.sqlite3*"):
            shutil.move(path, disk / path.name)
        source.symlink_to(disk / source.name)
        lab.smtp.after = {"END": 0.03}
        lab.worker()
        lab.arrived(3)
        ballast = fill(disk)
        problems = lab.problems()
        assert problems & {"disk", "database"}, problems
        ballast.unlink()
        lab.settled()
        _home(disk, source)


def _home(disk, source) -> None:  # type: ignore[no-untyped-def]
    """Bring the database back where the checker looks for it."""
    source.unlink()
    for path in disk.glob("lab.sqlite3*"):
        shutil.copy(path, source.parent / path.name)


@fault("events are accepted on a full disk: refused, not half kept", databases=LITE)
def _accept_full(lab: Laboratory) -> None:
    with lab.small_disk(24) as disk:
        source = lab.folder / "db/lab.sqlite3"
        for path in source.parent.glob("lab.sqlite3*"):
            shutil.move(path, disk / path.name)
        source.symlink_to(disk / source.name)
        _web, port = lab.web()
        ballast = fill(disk)
        events = lab.events(30)
        answers = [lab.post_event(port, event) for event in events]
        assert any(answer >= 500 for answer in answers), "the disk was not full"
        ballast.unlink()
        for event in events:
            assert 200 <= lab.post_event(port, event) < 300
        lab.worker()
        lab.settled()
        _home(disk, source)


@fault("the disk for mail files is full, then has room again", quick=True)
def _mail_files(lab: Laboratory) -> None:
    with lab.small_disk(1) as disk:
        lab.publish(12)
        ballast = fill(disk, leave=20_000)
        into = {"EMAIL_BACKEND": "backoffice.base.mail.EmlBackend", "EMAIL_FILE_PATH": str(disk)}
        lab.worker(settings=into)
        lab.until(lambda: "No space" in lab.errors(), f"the full disk is not told: {lab.errors()}")
        assert not list(disk.glob("*.partial")), "half a mail is left"
        ballast.unlink()
        lab.settled()
        lab.smtp.mails += [path.read_bytes() for path in disk.glob("*.eml")]


@fault("kill -9 left half a mail file: it is removed")
def _partial(lab: Laboratory) -> None:
    import os
    import time

    folder = lab.folder / "mail"
    folder.mkdir(exist_ok=True)
    half = folder / "20260101T000000000000-x.partial"
    half.write_bytes(b"Subject: ha")
    os.utime(half, (time.time() - 3600, time.time() - 3600))
    lab.publish(2)
    lab.worker(settings={"EMAIL_BACKEND": "backoffice.base.mail.EmlBackend", "EMAIL_FILE_PATH": str(folder)})
    lab.settled()
    assert not half.exists()
    lab.smtp.mails += [path.read_bytes() for path in folder.glob("*.eml")]
    shutil.rmtree(folder)


@fault("the folder for mail files may not be written")
def _unwritable(lab: Laboratory) -> None:
    # A file where the folder should be stops root as well.
    folder = lab.folder / "no-folder"
    folder.write_text("")
    lab.publish(3)
    lab.worker(settings={"EMAIL_BACKEND": "backoffice.base.mail.EmlBackend", "EMAIL_FILE_PATH": str(folder)})
    lab.until(lambda: lab.errors(), "it is not told")
    folder.unlink()
    lab.settled()
    lab.smtp.mails += [path.read_bytes() for path in folder.glob("*.eml")]
    shutil.rmtree(folder)


@fault("the disk of PostgreSQL fills up, then has room again", databases=PG, window=FULL)
def _postgres_full(lab: Laboratory) -> None:
    """A table space on a small disk takes the tables of the queue."""
    with lab.small_disk(12) as disk:
        space = disk / "space"
        space.mkdir()
        shutil.chown(space, "postgres")
        lab._server(f"CREATE TABLESPACE small LOCATION '{space}'")
        try:
            for table in ("attempt", "delivery", "event", "message"):
                lab.execute(f"ALTER TABLE notifications_{table} SET TABLESPACE small")
            _fill_and_send(lab, disk)
        finally:
            lab.end_processes()
            for table in ("attempt", "delivery", "event", "message"):
                lab.execute(f"ALTER TABLE notifications_{table} SET TABLESPACE pg_default")
            lab._server("DROP TABLESPACE small")


def _fill_and_send(lab: Laboratory, disk) -> None:  # type: ignore[no-untyped-def]
    import json

    lab.publish(20)
    ballast = fill(disk)
    events = lab.events(200)
    file = lab.folder / "on-a-full-disk.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    refused = lab.run("publish", str(file), seconds=60)
    assert "accepted=200" not in refused.output, "the disk was not full"
    lab.worker()
    lab.arrived(1)
    ballast.unlink()
    again = lab.run("publish", str(file), seconds=60)
    assert "rejected=0" in again.output, again.output + again.log
    lab.accepted += [event["id"] for event in events]
    lab.settled(60)


@fault("standard output and the log are on a full disk")
def _full_log(lab: Laboratory) -> None:
    lab.publish(6)
    worker = lab.start("deliver", "--watch")
    assert worker
    full = lab.ask({"run": ["deliver", "--watch"], "stdout": "/dev/full", "stderr": "/dev/full"})
    assert full["pid"]
    lab.settled()
    import os
    import signal

    os.killpg(full["pid"], signal.SIGKILL)
