"""A worker killed at any moment loses nothing (DESIGN 5)."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from notifications.models import Delivery
from tests.factories import DeliveryFactory, EventFactory, MessageFactory
from tests.smtp import SmtpServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_mail_survives_workers_that_are_killed(smtp_server: SmtpServer, start_process: Callable[..., Any]) -> None:
    event = EventFactory()
    message = MessageFactory(event=event)
    for n in range(150):
        DeliveryFactory(event=event, message=message, address=f"d{n}@x.example")
    environment = {"EMAIL_URL": f"smtp://127.0.0.1:{smtp_server.port}", "DEBUG": "false"}
    dice = random.Random(7)
    for _round in range(3):
        enough = len(smtp_server.received) + dice.randint(1, 15)
        worker = start_process("manage.py", "deliver", "--watch", **environment)
        assert wait_until(lambda wanted=enough: len(smtp_server.received) >= wanted, 20), "the worker sends"
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    stranded = Delivery.objects.filter(status="sending").count()
    assert stranded, "the kill came in the middle of a batch"
    last = start_process("manage.py", "deliver", "--once", **environment)
    output, _none = last.communicate(timeout=60)
    assert last.returncode == 0, output
    assert Delivery.objects.exclude(status="sent").count() == 0, "leases of a dead process are taken over at once"
    arrived = Counter(mail.rcpt_tos[0] for mail in smtp_server.received)
    assert set(arrived) == {f"d{n}@x.example" for n in range(150)}
    for address, times in arrived.items():
        if times > 1:
            assert len({mail.message["Message-ID"] for mail in smtp_server.to(address)}) == 1
    assert sum(arrived.values()) <= 150 + 3, "at most the message in hand is repeated at each kill"
