"""Every process writes JSON lines, and ids lead from the call of the API to the answer of the mail server."""

import json
import signal
import urllib.request
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from notifications import tokens
from notifications.models import Delivery, Event
from shops.models import Shop
from tests.deploy.processes import answers, json_lines
from tests.factories import ApiTokenFactory, NotificationRuleFactory
from tests.ports import free_port
from tests.smtp import SmtpServer
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_database]
EVENT = {
    "id": "evt-1",
    "type": "payment.accepted",
    "site_id": "10000001",
    "mode": "PRODUCTION",
    "occurred_at": "2026-11-23T10:00:00Z",
    "data": {"amount": 1990, "currency": "EUR"},
}


def stopped(process: Any) -> str:
    """End a process as the system does; what it wrote."""
    process.send_signal(signal.SIGTERM)
    output, _none = process.communicate(timeout=PATIENCE)
    return str(output)


@pytest.fixture(autouse=True)
def _has_a_rule(paris: Shop) -> None:
    NotificationRuleFactory(shop=paris)


def new_token() -> str:
    text = tokens.new_token()
    ApiTokenFactory(token_hash=tokens.token_hash(text), company=None, scopes=["events:write"])
    return text


def post_event(port: int) -> str:
    """Send the event; the id of the request."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/events",
        json.dumps(EVENT).encode(),
        {"Authorization": f"Bearer {new_token()}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        assert answer.status < 300
        return str(answer.headers["X-Request-ID"])


@pytest.mark.slow
def test_ids_lead_from_the_request_to_the_reply_of_the_mail_server(
    smtp_server: SmtpServer, start_process: Callable[..., Any]
) -> None:
    environment = {"EMAIL_URL": f"smtp://127.0.0.1:{smtp_server.port}", "LOG_LEVEL": "INFO", "DEBUG": "false"}
    port = free_port()
    web = start_process(
        "-m",
        "gunicorn",
        "backoffice.wsgi",
        "--config",
        "deploy/gunicorn.conf.py",
        "--bind",
        f"127.0.0.1:{port}",
        **environment,
    )
    assert answers(f"http://127.0.0.1:{port}/livez")
    request_id = post_event(port)
    of_web = json_lines(stopped(web))
    worker = start_process("manage.py", "deliver", "--once", **environment)
    *of_worker, result = worker.communicate(timeout=PATIENCE)[0].splitlines()
    assert result == "sent=1 retry=0 dead=0"

    assert {line["logger"] for line in of_web} >= {"gunicorn.error", "notifications.trail"}
    assert all(line["timestamp"] and line["level"] for line in of_web)
    delivery = Delivery.objects.get()
    (accepted,) = [line for line in of_web if line["event"] == "event_accepted"]
    assert (accepted["request_id"], accepted["event_id"]) == (request_id, "evt-1")
    assert accepted["deliveries"] == [str(delivery.pk)]
    (attempt,) = [line for line in json_lines("\n".join(of_worker)) if line["event"] == "attempt_ended"]
    assert (attempt["request_id"], attempt["event_id"]) == (request_id, "evt-1")
    assert (attempt["delivery_id"], attempt["status"], attempt["code"]) == (str(delivery.pk), "sent", 250)
    (mail,) = smtp_server.received
    assert attempt["delivery_id"] in mail.message["Message-ID"]
    assert "paris@lumiere.example" not in json.dumps([of_web, of_worker])


@pytest.mark.slow
def test_celery_writes_as_the_others_do(start_process: Callable[..., Any]) -> None:
    worker = start_process(
        "-m", "celery", "--quiet", "-A", "backoffice", "worker", "--pool", "solo",
        CELERY_BROKER_URL="memory://", LOG_LEVEL="INFO", DEBUG="false",
    )  # fmt: skip
    ready = next(line for line in worker.stdout if "ready" in line)
    others = [line for line in stopped(worker).splitlines() if not line.startswith("worker: Warm shutdown")]
    assert {line["logger"].split(".")[0] for line in json_lines("\n".join([ready, *others]))} >= {"celery"}


def test_the_answer_names_the_request_as_the_logs_do(client: Any) -> None:
    """An id that the caller makes up is not believed: it could repeat another one, or name somebody."""
    answer = client.post(
        "/api/v1/events",
        json.dumps(EVENT),
        content_type="application/json",
        headers={"Authorization": f"Bearer {new_token()}", "X-Request-ID": "who@x.example"},
    )
    (event,) = Event.objects.all()
    assert answer.headers["X-Request-ID"] == event.request_id
    assert UUID(event.request_id)
    assert client.get("/nowhere/").headers["X-Request-ID"] != event.request_id
