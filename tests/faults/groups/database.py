"""A database that goes away, comes back, refuses writes, is locked or slow."""

import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.faults import checker
from tests.faults.laboratory import Laboratory
from tests.faults.registry import fault

AWAY = "the database is gone for longer than a lease while results wait to be recorded"
PG, LITE = ("postgresql",), ("sqlite",)


def _sending(lab: Laboratory, count: int = 40) -> None:
    lab.smtp.after = {"END": 0.03}
    lab.publish(count)
    lab.worker()
    lab.arrived(4)


@fault("kill -9 of PostgreSQL and all its processes, started again", databases=PG, quick=True)
def _kill(lab: Laboratory) -> None:
    _sending(lab)
    lab.postgresql.kill()
    lab.postgresql.start()
    lab.settled()


@fault("PostgreSQL is away for three seconds", databases=PG)
def _away_short(lab: Laboratory) -> None:
    _sending(lab)
    lab.postgresql.kill()
    time.sleep(3)
    lab.postgresql.start()
    lab.settled()


@fault("PostgreSQL is away for longer than a lease", databases=PG, window=AWAY)
def _away_long(lab: Laboratory) -> None:
    _sending(lab)
    lab.postgresql.kill()
    time.sleep(9)
    lab.postgresql.start()
    lab.settled()


@fault("PostgreSQL is stopped in an orderly way and started again", databases=PG)
def _stopped(lab: Laboratory) -> None:
    _sending(lab)
    lab.postgresql.stop()
    lab.postgresql.start()
    lab.settled()


@fault("kill -9 of one backend: the server ends all connections", databases=PG)
def _kill_backend(lab: Laboratory) -> None:
    _sending(lab)
    (pid,) = lab.sql("SELECT pid FROM pg_stat_activity WHERE datname = 'lab' AND pid <> pg_backend_pid() LIMIT 1")[0]
    os.kill(pid, signal.SIGKILL)
    lab.settled()


@fault("every connection is ended by an administrator, again and again", databases=PG)
def _terminated(lab: Laboratory) -> None:
    _sending(lab)
    for _time in range(4):
        lab.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'lab' AND pid <> pg_backend_pid()"
        )
        time.sleep(0.5)
    lab.settled()


@fault("connections to PostgreSQL are cut by the network", databases=PG)
def _cut(lab: Laboratory) -> None:
    _sending(lab)
    gate = lab.gates["postgresql"]
    gate.is_open = False
    gate.cut()
    time.sleep(2)
    gate.is_open = True
    lab.settled()


@fault("the network to PostgreSQL carries nothing for four seconds", databases=PG)
def _held(lab: Laboratory) -> None:
    _sending(lab)
    gate = lab.gates["postgresql"]
    gate.holds = True
    time.sleep(4)
    gate.holds = False
    lab.settled()


@fault("PostgreSQL is frozen for longer than a lease", databases=PG, window=AWAY)
def _frozen(lab: Laboratory) -> None:
    _sending(lab)
    lab.postgresql.freeze()
    time.sleep(9)
    lab.postgresql.thaw()
    lab.settled()


@fault("PostgreSQL is read-only: health, status and the check say so", databases=PG)
def _read_only(lab: Laboratory) -> None:
    _web, port = lab.web()
    lab.publish(4)
    lab._server("ALTER DATABASE lab SET default_transaction_read_only = on")
    lab.gates["postgresql"].cut()
    lab.worker()
    status, body = lab.get(port, "/readyz")
    assert (status, body) == (503, "database unreachable or read-only"), (status, body)
    assert "database" in lab.problems()
    lab._server("ALTER DATABASE lab SET default_transaction_read_only = off")
    lab.gates["postgresql"].cut()
    lab.settled()
    lab.until(lambda: lab.get(port, "/readyz")[0] == 200, "it does not become ready again")


@fault("the table of deliveries is locked for three seconds", databases=PG)
def _locked(lab: Laboratory) -> None:
    _sending(lab)
    with psycopg.connect(lab.url.replace("postgres://", "postgresql://")) as other:
        other.execute("LOCK TABLE notifications_delivery IN ACCESS EXCLUSIVE MODE")
        time.sleep(3)
    lab.settled()


@fault("somebody else holds rows of the queue", databases=PG)
def _rows_held(lab: Laboratory) -> None:
    lab.publish(20)
    with psycopg.connect(lab.url.replace("postgres://", "postgresql://")) as other:
        other.execute("SELECT id FROM notifications_delivery LIMIT 5 FOR UPDATE")
        lab.worker()
        lab.arrived(15)
    lab.settled()


@fault("new connections are refused for two seconds", databases=PG)
def _too_many(lab: Laboratory) -> None:
    _sending(lab)
    lab.gates["postgresql"].is_open = False
    lab.gates["postgresql"].cut()
    time.sleep(2)
    assert lab.problems() == {"database"}
    lab.gates["postgresql"].is_open = True
    lab.settled()


@fault("statements that take longer than 300 ms are ended", databases=PG)
def _timeout(lab: Laboratory) -> None:
    lab._server("ALTER DATABASE lab SET statement_timeout = '300ms'")
    _sending(lab)
    lab.settled(90)
    lab._server("ALTER DATABASE lab RESET statement_timeout")


@fault("the database is gone: readiness, log-in page and acceptance", databases=PG, quick=True)
def _gone(lab: Laboratory) -> None:
    _web, port = lab.web()
    (first, second) = lab.events(2)
    assert 200 <= lab.post_event(port, first) < 300
    gate = lab.gates["postgresql"]
    gate.is_open = False
    gate.cut()
    assert lab.get(port, "/readyz")[0] == 503
    assert lab.get(port, "/livez")[0] == 200
    assert lab.post_event(port, second) >= 500, "what cannot be kept must not be acknowledged"
    gate.is_open = True
    assert 200 <= lab.post_event(port, second) < 300
    lab.worker()
    lab.settled()


@fault("PostgreSQL restarts while events are accepted", databases=PG)
def _accepting(lab: Laboratory) -> None:
    _web, port = lab.web()
    events = lab.events(40)

    def send() -> None:
        for event in events:
            for _again in range(60):
                if 200 <= lab.post_event(port, event) < 300:
                    break
                time.sleep(0.2)

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.5)
    lab.postgresql.kill()
    lab.postgresql.start()
    sender.join(60)
    assert len(set(lab.accepted)) == 40, "an event was not accepted after the restart"
    lab.worker()
    lab.settled()


# --- SQLite ---------------------------------------------------------------------------------------


@contextmanager
def _exclusive(lab: Laboratory) -> Iterator[None]:
    link = sqlite3.connect(lab.url.removeprefix("sqlite:///"), isolation_level=None, timeout=10)
    link.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        link.execute("ROLLBACK")
        link.close()


@fault("another program holds the write lock for two seconds", databases=LITE, quick=True)
def _write_lock(lab: Laboratory) -> None:
    _sending(lab)
    with _exclusive(lab):
        time.sleep(2)
    lab.settled()


@fault("another program holds the write lock for longer than a lease", databases=LITE, window=AWAY)
def _write_lock_long(lab: Laboratory) -> None:
    _sending(lab)
    with _exclusive(lab):
        time.sleep(10)
    lab.settled()


@fault("acceptance while another program holds the write lock", databases=LITE)
def _accept_locked(lab: Laboratory) -> None:
    _web, port = lab.web()
    (event,) = lab.events(1)
    with _exclusive(lab):
        status = lab.post_event(port, event)
        assert status >= 500 or status == 0, "what cannot be kept must not be acknowledged"
    assert 200 <= lab.post_event(port, event) < 300
    lab.worker()
    lab.settled()


@fault("the file of the database is copied while everything runs", databases=LITE)
def _copied(lab: Laboratory) -> None:
    _sending(lab)
    source = sqlite3.connect(lab.url.removeprefix("sqlite:///"))
    with sqlite3.connect(lab.folder / "copy.sqlite3") as copy:
        source.backup(copy)
    source.close()
    lab.settled()


# --- Both -----------------------------------------------------------------------------------------


@fault("a table of the version is missing: readiness says so", waits=True)
def _behind(lab: Laboratory) -> None:
    _web, port = lab.web()
    lab.publish(2)
    newest = "SELECT MAX(name) FROM django_migrations WHERE app = 'notifications'"
    lab.execute(f"DELETE FROM django_migrations WHERE app = 'notifications' AND name = ({newest})")
    assert lab.get(port, "/readyz") == (503, "migrations not applied")
    assert lab.problems() == {"migrations"}


@fault("a row that the worker holds is deleted under it")
def _deleted(lab: Laboratory) -> None:
    lab.smtp.after = {"END": 0.3}
    lab.publish(12)
    lab.worker()
    lab.arrived(1)
    rows = "SELECT event_id FROM notifications_event WHERE event_id = 'LAB-000012'"
    assert lab.sql(rows)
    for statement in (
        "DELETE FROM notifications_attempt WHERE delivery_id IN (SELECT d.id FROM notifications_delivery d"
        " JOIN notifications_event e ON e.id = d.event_id WHERE e.event_id = 'LAB-000012')",
        "DELETE FROM notifications_delivery WHERE event_id IN"
        " (SELECT id FROM notifications_event WHERE event_id = 'LAB-000012')",
    ):
        checker.execute(lab.url, statement)
    lab.settled()
    lab.accepted.remove("LAB-000012")
    # Whether it had left before is of no account: nobody asked for it any more.
    lab.smtp.mails[:] = [raw for raw in lab.smtp.mails if b"LAB-000012" not in raw]


@fault("the same events are accepted three times, and with another body")
def _again(lab: Laboratory) -> None:
    lab.publish(5)
    file = lab.folder / "events-5.jsonl"
    assert "duplicate=5" in lab.run("publish", str(file)).output
    changed = [json.loads(line) for line in file.read_text().splitlines()]
    for event in changed:
        event["data"]["amount"] = 1
    other = lab.folder / "changed.jsonl"
    other.write_text("".join(json.dumps(event) + "\n" for event in changed))
    assert "rejected=5" in lab.run("publish", str(other)).output
    lab.worker()
    lab.settled()
