"""`deliver --watch --processes N`: several at work, a dead one is started again, none is left behind."""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from notifications.models import Delivery, Worker
from tests.factories import DeliveryFactory, EventFactory, MessageFactory
from tests.smtp import SmtpServer
from tests.waiting import PATIENCE, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def children(process: "subprocess.Popen[str]") -> set[int]:
    return {int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()}


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def workers(smtp_server: SmtpServer, start_process: Callable[..., Any]) -> "subprocess.Popen[str]":
    process = start_process(
        "manage.py", "deliver", "--watch", "--processes", "2", EMAIL_URL=f"smtp://127.0.0.1:{smtp_server.port}"
    )
    assert wait_until(lambda: Worker.objects.filter(kind="mail").count() == 2), "both work"
    return process  # type: ignore[no-any-return]


def test_both_send_a_dead_one_comes_back_and_all_end_together(
    workers: "subprocess.Popen[str]", smtp_server: SmtpServer
) -> None:
    before = children(workers)
    os.kill(min(before), signal.SIGKILL)
    assert wait_until(lambda: len(children(workers) - before) == 1), "another one is started"
    event = EventFactory()
    message = MessageFactory(event=event)
    for n in range(40):
        DeliveryFactory(event=event, message=message, address=f"d{n}@x.example")
    assert wait_until(lambda: not Delivery.objects.exclude(status="sent").exists())
    assert set(Counter(mail.rcpt_tos[0] for mail in smtp_server.received).values()) == {1}
    now = children(workers)
    workers.terminate()
    output, _none = workers.communicate(timeout=PATIENCE)
    assert output.splitlines()[-1] == "restarts=1", output
    assert workers.returncode == 0 and not any(map(lives, now))


def test_no_process_outlives_the_one_that_started_it(workers: "subprocess.Popen[str]") -> None:
    pids = children(workers)
    workers.kill()
    workers.wait()
    assert wait_until(lambda: not any(map(lives, pids)))


@pytest.mark.parametrize("arguments", [("--watch", "--processes", "0"), ("--once", "--processes", "2")])
def test_a_number_that_makes_no_sense_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        call_command("deliver", *arguments)
