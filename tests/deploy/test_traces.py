"""Traces, received by a collector over OTLP: one from the call of the API to the answers of mail server and URL."""

import json
import secrets
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from notifications import tokens
from notifications.models import Delivery, Event
from shops.models import Shop
from tests.collector import Collector, Span
from tests.deploy.processes import answers, json_lines
from tests.endpoints import Endpoint
from tests.factories import ApiTokenFactory, NotificationRuleFactory, ShopKeyFactory
from tests.ports import free_port
from tests.smtp import SmtpServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_database]
SECRETS = ("lumiere.example", "Lumière", "1990", "order-77", "s3cret", "bom_")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as received:
        yield received


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        yield server


@pytest.fixture(autouse=True)
def _paris_is_told(paris: Shop, endpoint: Endpoint) -> None:
    NotificationRuleFactory(shop=paris)
    ShopKeyFactory(shop=paris, kind="production", value="a-key-of-sixteen")
    url = endpoint.url("/ipn?key=s3cret")
    NotificationRuleFactory(shop=paris, ipn=True, url_test=url, url_production=url, http_confirmed=True)


@pytest.fixture
def environment(collector: Collector, smtp_server: SmtpServer) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=ours",
        "EMAIL_URL": f"smtp://127.0.0.1:{smtp_server.port}",
        "IPN_ALLOW_PRIVATE_NETWORKS": "true",
        "LOG_LEVEL": "INFO",
        "DEBUG": "false",
    }


def an_event(number: int = 1) -> dict[str, Any]:
    return {
        "id": f"evt-{number}",
        "type": "payment.accepted",
        "site_id": "10000001",
        "mode": "PRODUCTION",
        "occurred_at": "2026-11-23T10:00:00Z",
        "data": {"amount": 1990, "currency": "EUR", "order_id": "order-77", "transaction_id": "900001"},
    }


def post(port: int, body: Any, **headers: str) -> str:
    """Hand events over; returns the id of the request."""
    text = tokens.new_token()
    ApiTokenFactory(token_hash=tokens.token_hash(text), company=None, scopes=["events:write"])
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/events",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {text}", "Content-Type": "application/json", **headers},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return str(answer.headers["X-Request-ID"])


def stopped(process: Any) -> str:
    process.send_signal(signal.SIGTERM)
    output, _none = process.communicate(timeout=240)
    return str(output)


@pytest.fixture
def web(start_process: Callable[..., Any], environment: dict[str, str]) -> tuple[Any, int]:
    port = free_port()
    process = start_process(
        "-m", "gunicorn", "backoffice.wsgi", "--config", "deploy/gunicorn.conf.py",
        "--bind", f"127.0.0.1:{port}", "--workers", "2", "--threads", "2", **environment,
    )  # fmt: skip
    assert answers(f"http://127.0.0.1:{port}/livez", seconds=180)
    return process, port


def one(spans: list[Span]) -> Span:
    (span,) = spans
    return span


@pytest.mark.slow
def test_one_trace_leads_from_the_call_of_the_api_to_the_reply_of_the_mail_server(
    web: tuple[Any, int],
    collector: Collector,
    environment: dict[str, str],
    endpoint: Endpoint,
    start_process: Callable[..., Any],
    smtp_server: SmtpServer,
) -> None:
    process, port = web
    trace_id, caller = secrets.token_hex(16), secrets.token_hex(8)
    request_id = post(port, an_event(), traceparent=f"00-{trace_id}-{caller}-01", tracestate="who=them")
    of_web = json_lines(stopped(process))
    worker = start_process("manage.py", "deliver", "--once", **environment)
    *of_worker, result = worker.communicate(timeout=240)[0].splitlines()
    assert result == "sent=2 retry=0 dead=0", of_worker
    collector.wait(lambda received: len(received.named("deliver outbox")) == 2)

    asked = one(collector.named("POST /api/v1/events"))
    made = one(collector.named("publish outbox"))
    assert (asked.kind, asked.trace_id, asked.parent_id) == ("SERVER", trace_id, caller), "the caller's trace goes on"
    assert (made.kind, made.trace_id, made.parent_id) == ("PRODUCER", trace_id, asked.span_id)
    assert asked.attributes["http.response.status_code"] == 202
    assert asked.attributes["bom.request_id"] == request_id

    delivered = {span.attributes["bom.channel"]: span for span in collector.named("deliver outbox")}
    for span in delivered.values():
        assert (span.kind, span.trace_id, span.parent_id) == ("CONSUMER", trace_id, made.span_id)
        assert span.attributes["bom.status"] == "sent" and not span.failed
    claims = collector.named("claim outbox")
    assert {(claim.trace_id, claim.span_id) for claim in claims} == {
        link for s in delivered.values() for link in s.links
    }
    assert all((trace_id, made.span_id) in claim.links for claim in claims)

    smtp = one(collector.named("SMTP"))
    assert (smtp.kind, smtp.trace_id, smtp.parent_id) == ("CLIENT", trace_id, delivered["email"].span_id)
    assert smtp.attributes["smtp.reply.code"] == 250 and smtp.attributes["server.port"] == smtp_server.port
    called = one(collector.named("POST"))
    assert (called.kind, called.trace_id, called.parent_id) == ("CLIENT", trace_id, delivered["ipn"].span_id)
    assert called.attributes["http.response.status_code"] == 200 and called.attributes["server.port"] == endpoint.port
    for inner, outer in ((smtp, delivered["email"]), (called, delivered["ipn"]), (made, asked)):
        assert outer.start <= inner.start <= inner.end <= outer.end, inner.name

    # The logs lead to the spans, and the spans to the rows.
    (accepted,) = [line for line in of_web if line["event"] == "event_accepted"]
    assert (accepted["trace_id"], accepted["span_id"]) == (trace_id, made.span_id)
    attempts = [line for line in json_lines("\n".join(of_worker)) if line["event"] == "attempt_ended"]
    assert {(line["trace_id"], line["span_id"], line["delivery_id"]) for line in attempts} == {
        (trace_id, span.span_id, span.attributes["messaging.message.id"]) for span in delivered.values()
    }
    assert {str(delivery.pk) for delivery in Delivery.objects.all()} == {line["delivery_id"] for line in attempts}

    # Nobody outside learns of it, and no span tells of anybody.
    (call,) = endpoint.requests
    (mail,) = smtp_server.received
    outside = " ".join([*call.headers, str(call.headers), call.body.decode(), mail.raw.decode("utf-8", "replace")])
    for inside in ("traceparent", "tracestate", "baggage", trace_id):
        assert inside not in outside.lower()
    written = " ".join(span.raw for span in collector.spans)
    assert [secret for secret in SECRETS if secret in written] == []
    assert set(collector.paths) == {"/v1/traces"}
    assert {headers["x-tenant"] for headers in collector.headers} == {"ours"}
    assert {span.resource["service.name"] for span in collector.spans} == {"back-office-marchand"}
    assert len({span.resource["process.pid"] for span in collector.spans}) == 2, "web and worker"


def published(events: list[dict[str, Any]], start_process: Callable[..., Any], tmp_path: Path, **env: str) -> None:
    """Hand events over by the command line."""
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    output = start_process("manage.py", "publish", str(path), **env).communicate(timeout=240)[0]
    assert f"accepted={len(events)} duplicate=0 rejected=0" in output, output


@pytest.mark.slow
def test_a_failure_is_told_by_its_class_and_a_later_attempt_belongs_to_the_same_trace(
    collector: Collector,
    environment: dict[str, str],
    endpoint: Endpoint,
    start_process: Callable[..., Any],
    smtp_server: SmtpServer,
    tmp_path: Path,
) -> None:
    endpoint.status = 503
    smtp_server.answer("paris@lumiere.example", "451 4.3.0 paris@lumiere.example: later")
    published([an_event(1), an_event(2)], start_process, tmp_path, **environment)
    start_process("manage.py", "deliver", "--once", **environment).communicate(timeout=240)
    smtp_server.behave()
    # What no span recorded is recorded by none that follows.
    Event.objects.filter(event_id="evt-2").update(traceparent=f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00")
    Delivery.objects.filter(status="retry").update(retry_at=None)
    start_process("manage.py", "deliver", "--once", **environment).communicate(timeout=240)

    accepted = one(
        [span for span in collector.named("publish outbox") if "messaging.batch.message_count" in span.attributes]
    )
    assert accepted.attributes["messaging.batch.message_count"] == 2
    told = [
        span for span in collector.named("deliver outbox") if span.attributes["bom.notification"] == "merchant_email"
    ]
    told.sort(key=lambda span: span.start)
    assert [span.attributes["bom.status"] for span in told] == ["retry", "retry", "sent"]
    assert [span.attributes.get("error.type") for span in told] == ["451", "451", None]
    assert {(span.trace_id, span.parent_id) for span in told} == {(accepted.trace_id, accepted.span_id)}
    failed = [span for span in collector.named("POST") if span.failed]
    assert failed and {span.attributes["error.type"] for span in failed} == {"FAILED_SERVER_503_ERROR"}
    assert [secret for secret in SECRETS if secret in " ".join(span.raw for span in collector.spans)] == []


@pytest.mark.slow
def test_processes_of_a_pool_of_celery_export_what_they_did(
    collector: Collector, environment: dict[str, str], start_process: Callable[..., Any], tmp_path: Path
) -> None:
    """They are forked, and end without the last words of Python."""
    published([an_event()], start_process, tmp_path, **environment)
    folder = tmp_path / "broker"
    folder.mkdir()
    # A broker of files; processes of the pool are forked from the one that reads it.
    script = f"""
import django
django.setup()
from backoffice.celery import app
from notifications.worker import tasks
app.conf.broker_transport_options = {{"data_folder_in": {str(folder)!r}, "data_folder_out": {str(folder)!r}}}
tasks.deliver_due.delay()
app.worker_main(["--quiet", "worker", "--pool", "prefork", "--concurrency", "1"])
"""
    worker = start_process("-c", script, CELERY_BROKER_URL="filesystem://", **environment)
    collector.wait(lambda received: bool(received.named("SMTP")), seconds=240)
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=240)
    assert {span.resource["process.pid"] for span in collector.named("SMTP")} != {worker.pid}
    assert len(collector.named("deliver outbox")) >= 1


@pytest.mark.slow
def test_a_collector_that_does_not_answer_keeps_nothing_from_being_done(
    environment: dict[str, str], start_process: Callable[..., Any], tmp_path: Path, smtp_server: SmtpServer
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        published([an_event()], start_process, tmp_path, **environment)
        worker = start_process("manage.py", "deliver", "--once", **environment)
        assert "sent=2 retry=0 dead=0" in worker.communicate(timeout=240)[0]
        assert worker.returncode == 0


def test_without_an_endpoint_nothing_of_it_is_imported(process_env: dict[str, str]) -> None:
    script = """
import sys, django
django.setup()
import backoffice.wsgi, notifications.worker.loop, notifications.worker.tasks
from backoffice.base import tracing
from notifications.models import Event
with tracing.span("x", "SERVER", {}) as span:
    assert span is None
assert Event().traceparent == "" and tracing.ids() == {} and tracing.start() is None
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=process_env,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == "[]", done.stderr
    assert not any("racing" in name for name in settings.MIDDLEWARE)


ABSENT = """
import sys
for name in ("opentelemetry", "opentelemetry.sdk", "opentelemetry.sdk.trace"):
    sys.modules[name] = None
"""


def test_packages_that_are_missing_are_told_once_and_break_nothing(
    process_env: dict[str, str], collector: Collector
) -> None:
    script = f"""{ABSENT}
import django
django.setup()
from django.core.checks import run_checks
from django.test import Client
print([check.id for check in run_checks(include_deployment_checks=True) if check.id == "backoffice.tracing"])
for _turn in range(2):
    print(Client(headers={{"host": "localhost"}}).get("/status/").status_code)
"""
    env = {**process_env, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "LOG_LEVEL": "ERROR"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=240
    )
    assert done.stdout.split() == ["['backoffice.tracing']", "200", "200"], done.stderr
    assert done.stderr.count("tracing_packages_missing") == 1 and "requirements-tracing.txt" in done.stderr


NO_CONTEXT = ("", "x", f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'a' * 31}-{'1' * 16}-01", "<script>" * 900)


def test_what_is_no_trace_context_begins_a_trace_of_its_own(process_env: dict[str, str], collector: Collector) -> None:
    script = f"""
import django
django.setup()
from django.test import Client
for sent in {NO_CONTEXT!r}:
    print(Client(headers={{"host": "localhost", "traceparent": sent}}).get("/status/").status_code)
print(Client(headers={{"host": "localhost"}}).get("/livez").status_code)
"""
    env = {**process_env, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=240
    )
    assert done.stdout.split() == ["200"] * (len(NO_CONTEXT) + 1), done.stderr
    # The end of the process waits for them to be taken.
    asked = collector.named("GET /status/")
    assert [(span.kind, span.parent_id) for span in asked] == [("SERVER", "")] * len(NO_CONTEXT)
    assert len({span.trace_id for span in asked}) == len(NO_CONTEXT)
    assert len(collector.spans) == len(NO_CONTEXT), "probes are not told"
