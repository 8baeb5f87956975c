"""Celery workers: the clock hangs on no process and no broker, and SIGTERM ends after what is in hand."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from notifications.models import Delivery, Tick, Worker
from notifications.outbox import signs
from notifications.worker import clock
from tests import factories
from tests.odd_smtp import odd_server
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
BROKER = "amqp://guest:guest@127.0.0.1:5672//"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    told: list[float] = []
    monkeypatch.setattr(clock.doorbell, "ring_anew", lambda: told.append(time.monotonic()))
    return told


def test_any_worker_keeps_the_clock_and_one_at_a_time(rings: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: list[bool] = []
    elected = signs.elected

    def seldom(worker: str, *, every: float = signs.BEAT_SECONDS, clock: int = signs.CLOCK) -> bool:
        """A hundred times as long between two turns, so that none comes while a busy machine is at this test."""
        return elected(worker, every=100 * every, clock=clock)

    monkeypatch.setattr(clock.signs, "elected", seldom)
    monkeypatch.setattr(clock.hooks, "tick", lambda now, routines: ticks.append(routines))
    workers = [[signs.Signs(kind, pid) for kind in signs.KINDS] for pid in (11, 12)]
    for _n in range(3):
        for worker in workers:
            clock.look(worker)
    assert (ticks, len(rings)) == ([True], 1)
    assert Worker.objects.count() == 4
    # The one that was elected dies; the other goes on.
    Tick.objects.update(at=Now() - timedelta(seconds=2000))
    clock.look(workers[1])
    assert (ticks, len(rings)) == ([True, True], 2)
    assert Tick.objects.get(pk=signs.CLOCK).worker.endswith(":12/mail")


def test_the_clock_survives_what_fails(rings: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([RuntimeError("a defect"), clock.DatabaseError("gone")])

    def fails_twice(*_arguments: Any, **_named: Any) -> None:
        if (failure := next(failures, None)) is not None:
            raise failure

    monkeypatch.setattr(clock, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(clock.leases, "sweep", fails_twice)
    monkeypatch.setattr(signs, "BEAT_SECONDS", 0.0)
    monkeypatch.setattr(clock.signs, "elected", lambda *_a, **_n: True)
    thread = threading.Thread(target=clock.keep, args=(lambda: len(rings) >= 2, os.getpid()))
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.slow
@pytest.mark.rabbitmq
@pytest.mark.parametrize("pool", ["solo", "prefork"])
def test_sigterm_ends_after_the_mail_in_hand(settings: Any, start_process: Start, pool: str) -> None:
    event = factories.EventFactory()
    message = factories.MessageFactory(event=event)
    for n in range(200):
        factories.DeliveryFactory(event=event, message=message, address=f"d{n}@x.example")
    with odd_server(settings, after={"END": 0.3}) as server:
        worker = start_process(
            "-m", "celery", "-A", "backoffice", "worker", "--pool", pool, "--concurrency", "1", "--loglevel", "WARNING",
            CELERY_BROKER_URL=BROKER, EMAIL_URL=f"smtp://127.0.0.1:{server.port}", SMTP_CONNECTIONS="1",
        )  # fmt: skip
        # Nobody rings here: the clock of the worker does.
        assert wait_until(lambda: len(server.mails) >= 3), "the worker sends"
        worker.send_signal(signal.SIGTERM)
        worker.wait(PATIENCE)
        assert len(server.mails) < 200
    assert not Delivery.objects.filter(status="sending").exists()
    assert Delivery.objects.filter(status="sent").count() == len(server.mails)


class Gate:
    """Stands before the broker and can be shut, as a broker that restarts."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]
        self.is_open = True
        self._pairs: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self.server.accept()
            except OSError:
                return
            if not self.is_open:
                client.close()
                continue
            inner = socket.create_connection(("127.0.0.1", 5672))
            self._pairs += [client, inner]
            for one, other in ((client, inner), (inner, client)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    @staticmethod
    def _pump(one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            end.close()

    def shut(self) -> None:
        self.is_open = False
        for end in self._pairs:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()


@pytest.mark.slow
@pytest.mark.rabbitmq
def test_after_an_outage_of_the_broker_the_clock_goes_on(settings: Any, start_process: Start) -> None:
    gate = Gate()
    with odd_server(settings) as server:
        start_process(
            "-m", "celery", "-A", "backoffice", "worker", "--pool", "solo", "--loglevel", "WARNING",
            CELERY_BROKER_URL=f"amqp://guest:guest@127.0.0.1:{gate.port}//",
            EMAIL_URL=f"smtp://127.0.0.1:{server.port}",
        )  # fmt: skip
        assert wait_until(lambda: Tick.objects.filter(pk=signs.BELL).exists())
        gate.shut()
        later = timezone.now() + timedelta(seconds=25)
        assert wait_until(lambda: Tick.objects.get(pk=signs.CLOCK).at > later), "it ticks without a broker"
        delivery = factories.DeliveryFactory(address="seul@lumiere.example")
        gate.is_open = True
        assert wait_until(lambda: Delivery.objects.get(pk=delivery.pk).status == "sent")
    gate.server.close()
