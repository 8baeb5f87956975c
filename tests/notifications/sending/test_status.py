"""`manage.py status`, the staff page, `/readyz` and `/metrics` tell the same truth about sending."""

import json
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import OperationalError
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from companies.models import User
from notifications.models import Attempt, Breaker, Delivery, Tick, Worker
from notifications.outbox import holds, leases, parts, signs, state
from notifications.outbox.tally import Tally
from tests.factories import CompanyFactory, DeliveryFactory, ShopKeyFactory, StaffFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def healthy() -> None:
    """A worker that lives, and a clock that ticks."""
    signs.Signs("mail").show(Tally())
    assert signs.elected("test")


def status(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], int]:
    capsys.readouterr()
    code = 0
    try:
        call_command("status", "--format", "json")
    except SystemExit as error:
        code = int(str(error.code))
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document, code


def named(document: dict[str, Any]) -> set[str]:
    return {problem["part"] for problem in document["problems"]}


def dead(count: int, *, hours_ago: int = 1, error: str = "550 5.1.1 unknown user") -> None:
    for _n in range(count):
        row = DeliveryFactory(status="dead", error=error)
        at = timezone.now() - timedelta(hours=hours_ago)
        Attempt.objects.create(delivery=row, number=1, started_at=at, outcome="permanent")


def test_all_is_well(healthy: None, capsys: pytest.CaptureFixture[str], client: Client) -> None:
    document, code = status(capsys)
    assert (document["problems"], code) == ([], 0)
    assert client.get("/readyz").content == b"ok"
    call_command("status")
    assert capsys.readouterr().out.endswith("problems=none\n")


def test_every_key_of_the_document_is_documented(
    healthy: None, capsys: pytest.CaptureFixture[str], settings: Any
) -> None:
    page = (Path(settings.BASE_DIR) / "docs" / "operations.md").read_text()
    DeliveryFactory()
    Breaker.objects.create(relay="mail.example:25", failures=1)
    holds.pause(actor=holds.Actor.command("pause"))
    document, _code = status(capsys)
    names = set(document)
    for key in ("queue", "workers", "paused", "breakers"):
        names |= set(document[key][0])
    assert not {name for name in names if f"`{name}`" not in page}
    for part in parts.PARTS:
        assert f"`{part}`" in page, part


def test_what_waits_is_told_by_channel_lane_and_state(healthy: None) -> None:
    company = CompanyFactory()
    values: dict[str, Any] = {"event__company": company, "company": company, "shop": None}
    long_ago = timezone.now() - timedelta(minutes=5)
    DeliveryFactory(**values, created_at=long_ago)
    DeliveryFactory(**values)
    DeliveryFactory(**values, notification="account_security")
    DeliveryFactory(**values, notification="platform_incident", status="retry", retry_at=timezone.now())
    DeliveryFactory(**values, channel="ipn", endpoint="https://a.example:443", status="sending")
    DeliveryFactory(**values, status="sent")
    queue = {(one.channel, one.lane, one.state): one for one in state.now_stands().queue}
    assert {key: one.count for key, one in queue.items()} == {
        ("email", "mail", "ready"): 2,
        ("email", "account", "ready"): 1,
        ("email", "incident", "waiting"): 1,
        ("ipn", "calls", "sending"): 1,
    }
    assert 299 <= queue["email", "mail", "ready"].oldest_seconds < 360


def test_the_dead_of_a_day_are_told_by_reason(healthy: None, settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    dead(3)
    dead(1, error="552 5.2.2 mailbox full")
    dead(5, hours_ago=30)
    document, code = status(capsys)
    assert sorted(document["dead"].values()) == [1, 3]
    assert code == 0
    settings.STATUS_DEAD_THRESHOLD = 3
    document, code = status(capsys)
    assert (named(document), code) == ({"dead"}, 1)


def test_a_worker_that_falls_silent_is_missed(
    healthy: None, capsys: pytest.CaptureFixture[str], client: Client
) -> None:
    Worker.objects.update(seen_at=Now() - timedelta(seconds=40))
    Tick.objects.update(at=Now() - timedelta(seconds=40))
    document, code = status(capsys)
    assert (named(document), code) == ({"worker", "tick"}, 1)
    assert [worker["is_silent"] for worker in document["workers"]] == [True]
    response = client.get("/readyz")
    assert (response.status_code, response.content) == (200, b"degraded: tick worker")


def test_rates_are_those_of_the_last_minutes() -> None:
    shown, tally = signs.Signs("mail"), Tally()
    shown.show(tally)
    tally.sent, tally.dead = 50, 5
    shown._next = 0
    shown.show(tally)
    assert state.now_stands().per_minute == {"sent": 10.0, "retry": 0.0, "dead": 1.0}


def test_an_open_breaker_needs_a_person(healthy: None, capsys: pytest.CaptureFixture[str]) -> None:
    Breaker.objects.create(relay="mail.example:25", failures=9, opened_at=timezone.now(), reply="554 go away")
    document, code = status(capsys)
    assert (named(document), code) == ({"breaker"}, 1)
    assert document["breakers"][0]["is_open"]


def test_a_broken_cache_is_named_and_visitors_are_served(
    healthy: None, monkeypatch: pytest.MonkeyPatch, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(*_args: Any, **_kwargs: Any) -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(type(cache._connections[cache._alias]), "set", gone)
    response = client.get("/readyz")
    assert (response.status_code, response.content) == (200, b"degraded: cache")
    assert named(status(capsys)[0]) == {"cache"}


def test_a_broker_that_does_not_listen_is_named(
    healthy: None, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings.CELERY_BROKER_URL = f"amqp://127.0.0.1:{free.getsockname()[1]}//"
        assert named(status(capsys)[0]) == {"broker"}
        free.listen()
        assert named(status(capsys)[0]) == set()


def test_a_wrong_field_key_is_named(healthy: None, settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    ShopKeyFactory()
    settings.FIELD_ENCRYPTION_KEYS = dict.fromkeys(settings.FIELD_ENCRYPTION_KEYS, b"x" * 32)
    assert named(status(capsys)[0]) == {"field_key"}


def test_a_full_disk_is_named(
    healthy: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parts, "FREE_BYTES", 2**60)
    assert named(status(capsys)[0]) == {"disk"}


def test_a_database_that_is_gone_is_told(
    monkeypatch: pytest.MonkeyPatch, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(*_args: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(parts.MigrationRecorder, "applied_migrations", gone)
    monkeypatch.setattr(leases, "database_now", gone)
    document, code = status(capsys)
    assert (named(document), code) == ({"database"}, 1)
    assert client.get("/readyz").status_code == 503


def test_a_read_only_database_is_told(healthy: None, monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    monkeypatch.setattr(parts, "_is_read_only", lambda: True)
    assert client.get("/readyz").status_code == 503


def test_the_figures_are_measured_when_they_are_asked_for(healthy: None, client_for: Callable[[User], Client]) -> None:
    DeliveryFactory()
    holds.pause(actor=holds.Actor.command("pause"))
    text = client_for(StaffFactory(is_superuser=True)).get("/metrics").content.decode()
    assert 'bom_queue_deliveries{channel="email",lane="mail",state="ready"} 1.0' in text
    assert "bom_pauses 1.0" in text and 'bom_workers{kind="mail"} 1.0' in text
    Delivery.objects.update(status="sent")
    text = client_for(StaffFactory(is_superuser=True)).get("/metrics").content.decode()
    assert "bom_queue_deliveries{" not in text


def test_the_staff_page_costs_the_same_however_much_waits(
    healthy: None, client_for: Callable[[User], Client], django_assert_max_num_queries: Any
) -> None:
    staff = client_for(StaffFactory(is_superuser=True))
    DeliveryFactory()
    staff.get("/admin/sending/")
    for _n in range(10):
        DeliveryFactory()
        holds.pause(actor=holds.Actor.command("pause"), company=CompanyFactory())
    with django_assert_max_num_queries(45):
        assert staff.get("/admin/sending/").status_code == 200
    part = staff.get("/admin/sending/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part and 'id="sending-state"' in part


def test_one_worker_at_a_time_is_elected_and_the_next_after_it() -> None:
    assert signs.elected("one", every=600)
    assert not signs.elected("one", every=600) and not signs.elected("other", every=600)
    Tick.objects.update(at=Now() - timedelta(seconds=601))
    assert signs.elected("other", every=600)
    assert Tick.objects.get().worker == "other"


def test_a_container_asks_for_its_own_worker_only(healthy: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("status", "--worker")
    assert capsys.readouterr().out == "worker=1\n"
    Worker.objects.update(name="elsewhere:1/mail")
    with pytest.raises(SystemExit):
        call_command("status", "--worker")


def test_a_sign_of_life_from_the_future_is_none(healthy: None, client: Client) -> None:
    """The clock of the database was put back after the worker died."""
    Worker.objects.update(seen_at=Now() + timedelta(hours=1))
    Tick.objects.update(at=Now() + timedelta(hours=1))
    assert "worker" in client.get("/readyz").content.decode()
    assert signs.elected("test"), "the clock goes on"
