"""Celery as doorbell: a broker wakes the worker, and its absence costs nothing."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from notifications.models import Delivery
from tests import factories
from tests.smtp import SmtpServer
from tests.waiting import PATIENCE, wait_until

BROKERS = [
    pytest.param("amqp://guest:guest@127.0.0.1:5672//", id="rabbitmq", marks=pytest.mark.rabbitmq),
    pytest.param("redis://127.0.0.1:6379/7", id="redis", marks=pytest.mark.redis),
]
Start = Callable[..., "subprocess.Popen[str]"]

RING = """
import json, sys, threading
from types import SimpleNamespace
import django
django.setup()
from notifications.events import doorbell
waits, join = [], threading.Thread.join
def waited(thread, seconds):
    waits[-1].append(seconds)
    join(thread, seconds)
threading.Thread.join = waited
# Its clock stands still: however long this takes, the second ring comes right after the first one.
doorbell.time = SimpleNamespace(monotonic=lambda: 1000.0)
for _ in range(2):
    waits.append([])
    doorbell.ring()
print(json.dumps({"waits": list(waits), "silent": doorbell._silent_until > 1000, "celery": "celery" in sys.modules}))
"""


def ring(broker: str) -> dict[str, object]:
    """Ring twice in a process of its own.

    Returns:
        waits: the limits, in seconds, of what each ring waited for.
        silent: whether the next ring would wait for nothing.
        celery: whether Celery was loaded.
    """
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "backoffice.settings", "CELERY_BROKER_URL": broker}
    environment["PYTHONPATH"] = str(settings.BASE_DIR)
    done = subprocess.run(
        [sys.executable, "-c", RING], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_without_a_broker_celery_is_not_even_loaded() -> None:
    assert ring("") == {"waits": [[], []], "silent": False, "celery": False}


@pytest.mark.parametrize("scheme", ["amqp", "redis"])
def test_a_dead_broker_fails_nothing_and_costs_no_time(scheme: str) -> None:
    result = ring(f"{scheme}://127.0.0.1:1/")
    assert (result["waits"], result["silent"]) == ([[2.0], []], True)


@pytest.mark.parametrize("scheme", ["amqp", "redis"])
def test_a_silent_broker_is_waited_for_two_seconds_once(scheme: str, silent_port: int) -> None:
    result = ring(f"{scheme}://127.0.0.1:{silent_port}/")
    assert (result["waits"], result["silent"]) == ([[2.0], []], True)


def worker(start_process: Start, broker: str, smtp: SmtpServer, *options: str) -> "subprocess.Popen[str]":
    return start_process(
        "-m", "celery", "-A", "backoffice", "worker", "--pool", "solo", "--loglevel", "WARNING", *options,
        CELERY_BROKER_URL=broker,
        EMAIL_URL=f"smtp://127.0.0.1:{smtp.port}",
    )  # fmt: skip


@pytest.mark.parametrize("broker", BROKERS)
def test_an_accepted_event_wakes_the_celery_worker(
    broker: str, start_process: Start, smtp_server: SmtpServer, tmp_path: Path
) -> None:
    shop = factories.ShopFactory(manager_email="boutique@lumiere.example")
    factories.NotificationRuleFactory(shop=shop)
    start_process("-m", "celery", "-A", "backoffice", "purge", "-f", CELERY_BROKER_URL=broker).wait(PATIENCE)
    worker(start_process, broker, smtp_server)
    event = {
        "id": "evt-1", "type": "payment.accepted", "site_id": shop.site_id, "mode": "PRODUCTION",
        "occurred_at": "2026-11-23T10:00:00Z", "data": {"amount": 1990, "currency": "EUR"},
    }  # fmt: skip
    file = tmp_path / "events.jsonl"
    file.write_text(json.dumps(event) + "\n")
    published = start_process("manage.py", "publish", str(file), CELERY_BROKER_URL=broker)
    output, _ = published.communicate(timeout=PATIENCE)
    assert output.splitlines()[-1] == "accepted=1 duplicate=0 rejected=0"
    # No clock runs in this worker, so only the doorbell can have woken it.
    assert wait_until(lambda: bool(smtp_server.received))
    (mail,) = smtp_server.to("boutique@lumiere.example")
    assert mail.message["X-BOM-Notification"] == "merchant_email"
    assert wait_until(lambda: Delivery.objects.get().status == Delivery.Status.SENT)


@pytest.mark.slow
@pytest.mark.rabbitmq
def test_the_clock_alone_delivers_what_nobody_rang_for(
    start_process: Start, smtp_server: SmtpServer, tmp_path: Path
) -> None:
    delivery = factories.DeliveryFactory(address="seul@lumiere.example")
    clock = ("--beat", "--schedule", str(tmp_path / "schedule"))
    worker(start_process, "amqp://guest:guest@127.0.0.1:5672//", smtp_server, *clock)
    assert wait_until(lambda: bool(smtp_server.received))
    assert smtp_server.to("seul@lumiere.example")
    assert wait_until(lambda: Delivery.objects.get(pk=delivery.pk).status == Delivery.Status.SENT)
