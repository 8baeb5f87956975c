"""A dump, a restore, and what was sent in between is not sent again."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from notifications.models import Delivery, Event
from tests.factories import DeliveryFactory, EventFactory, MessageFactory
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)
RESTORED = "test_restored_here"


def script(name: str, *arguments: object, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, f"deploy/{name}.py", *map(str, arguments)]
    return subprocess.run(command, cwd=settings.BASE_DIR, env=env, capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture
def other_env(process_env: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment that names an empty database."""
    if connection.vendor == "sqlite":
        yield {**process_env, "DATABASE_URL": f"sqlite:///{tmp_path}/restored.sqlite3"}
        return
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {RESTORED}")
        cursor.execute(f"CREATE DATABASE {RESTORED}")
    url = process_env["DATABASE_URL"].rpartition("/")[0]
    yield {**process_env, "DATABASE_URL": f"{url}/{RESTORED}"}
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {RESTORED}")


@pytest.fixture
def deliveries() -> list[Delivery]:
    event = EventFactory()
    message = MessageFactory(event=event)
    return [DeliveryFactory(event=event, message=message, address=f"d{n}@x.example") for n in range(3)]


@pytest.mark.slow
def test_a_dump_comes_back_whole(
    process_env: dict[str, str], other_env: dict[str, str], tmp_path: Path, deliveries: list[Delivery]
) -> None:
    folder = tmp_path / "dumps"
    folder.mkdir()
    kind = "sqlite3" if connection.vendor == "sqlite" else "pgdump"
    left_behind = folder / f"backoffice-20200101T000000Z.{kind}.partial"
    older = [folder / f"backoffice-2020010{n}T000000Z.{kind}" for n in (1, 2)]
    for path in (left_behind, *older):
        path.write_bytes(b"cut")
    made = script("backup", folder, "--keep", "2", env=process_env)
    assert made.returncode == 0, made.stderr
    file = Path(made.stdout.split()[0])
    assert file.stat().st_mode & 0o077 == 0, "dumps hold addresses"
    assert sorted(folder.iterdir()) == sorted([file, older[1]]), "the oldest and what was left behind are gone"

    back = script("restore", file, env=other_env)
    assert back.returncode == 0, back.stderr
    listed = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c",
         "from notifications.models import Delivery as D; print(*sorted(str(d.pk) for d in D.objects.all()))"],
        cwd=settings.BASE_DIR, env=other_env, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert listed.stdout.split() == sorted(str(delivery.pk) for delivery in deliveries), listed.stderr
    again = script("restore", file, env=other_env)
    assert (again.returncode, "not empty" in again.stderr) == (1, True)
    assert script("restore", file, "--replace", env=other_env).returncode == 0


def test_a_dump_that_fails_leaves_nothing(process_env: dict[str, str], tmp_path: Path) -> None:
    nowhere = {"sqlite": "sqlite:////nowhere/at/all.sqlite3", "postgresql": "postgres://postgres@127.0.0.1:1/nowhere"}
    env = {**process_env, "DATABASE_URL": nowhere[connection.vendor]}
    if connection.vendor == "sqlite":
        env["DATABASE_URL"] = f"sqlite:///{tmp_path}/absent.sqlite3"
    failed = script("backup", tmp_path / "dumps", env=env)
    assert failed.returncode == 1
    assert list((tmp_path / "dumps").iterdir()) == []


def test_what_was_sent_since_the_dump_is_known_from_the_logs(
    deliveries: list[Delivery], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, of_server, unsent = deliveries
    carried = DeliveryFactory(event=ours.event, message=ours.message, address="d0@x.example", carried_by=ours)
    sent = {"event": "attempt_ended", "status": "sent", "delivery_id": str(ours.pk)}
    failed = {"event": "attempt_ended", "status": "retry", "delivery_id": str(unsent.pk)}
    known = {"event": "event_accepted", "company": ours.event.company_id, "event_id": ours.event.event_id}
    lost = {"event": "event_accepted", "company": ours.event.company_id, "event_id": "evt-lost"}
    log = tmp_path / "worker.log"
    log.write_text(
        "".join(f"Nov 27 web[1]: {json.dumps(line)}\n" for line in (sent, failed, known, lost)) + "{broken\n"
    )
    mail_log = tmp_path / "mail.log"
    mail_log.write_text(f"Nov 27 postfix/cleanup[7]: 4XyZ: message-id=<{of_server.pk}@localhost>\n")

    call_command("after_restore", log, mail_log, "--plan")
    assert capsys.readouterr().out.splitlines()[-1] == "remembered=2 noted=0 open=4 lost_events=1"
    call_command("after_restore", log, mail_log)
    told = capsys.readouterr().out.splitlines()
    assert "event evt-lost" in told and told[-1] == "remembered=2 noted=3 open=1 lost_events=1"
    states = {delivery.pk: delivery.status for delivery in Delivery.objects.all()}
    assert states == {ours.pk: "sent", of_server.pk: "sent", carried.pk: "sent", unsent.pk: "queued"}
    assert "after a restore" in Delivery.objects.get(pk=ours.pk).attempts.get().reply
    call_command("after_restore", log, mail_log)
    assert "noted=0" in capsys.readouterr().out
    assert Event.objects.count() == 1


def test_a_log_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="absent"):
        call_command("after_restore", tmp_path / "absent.log")


def test_restoring_asks_for_a_dump_of_this_kind(process_env: dict[str, str], tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.touch()
    run: Callable[..., Any] = script
    assert "dumps end in" in run("restore", text, env=process_env).stderr
