"""Staff are mailed when sending needs a person: once per window, and when it is over."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from notifications.models import Breaker, Delivery, Event, StaffAlert
from notifications.sending import alerts
from notifications.worker import loop
from tests.factories import StaffFactory
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()


def break_relay() -> None:
    Breaker.objects.create(relay="mail.example:25", failures=9, opened_at=NOW, probe_at=NOW, reply="554 go away")


def mend_relay() -> None:
    Breaker.objects.all().delete()


def told() -> list[tuple[list[str], list[str]]]:
    events = Event.objects.filter(type="sending.needs_a_person").order_by("pk")
    return [tuple([one["part"] for one in event.data[name]] for name in ("new", "over")) for event in events]


def at(**passed: int) -> Any:
    return NOW + timedelta(**passed)


def test_what_needs_a_person_is_told_once_per_window_and_when_it_is_over(settings: Any) -> None:
    settings.ALERT_EMAILS = ["astreinte@platform.example"]
    alerts.look(NOW)
    assert told() == []
    break_relay()
    for minutes in range(5):
        alerts.look(at(minutes=minutes))
    assert told() == [(["breaker"], [])]
    alerts.look(at(hours=7))
    assert told() == [(["breaker"], [])] * 2
    mend_relay()
    for minutes in range(3):
        alerts.look(at(hours=8, minutes=minutes))
    assert told() == [(["breaker"], [])] * 2 + [([], ["breaker"])]


def test_what_comes_and_goes_is_not_told_again_and_again(settings: Any) -> None:
    settings.ALERT_EMAILS = ["astreinte@platform.example"]
    for minutes in range(0, 20, 2):
        break_relay()
        alerts.look(at(minutes=minutes))
        mend_relay()
        alerts.look(at(minutes=minutes + 1))
    assert told() == [(["breaker"], []), ([], ["breaker"])]


def test_it_arrives_at_the_superusers_where_nobody_is_named(settings: Any, smtp_server: SmtpServer) -> None:
    StaffFactory(is_superuser=True, email="claire@platform.example")
    StaffFactory(is_superuser=False, email="autre@platform.example")
    break_relay()
    alerts.look(NOW)
    loop.deliver_until_idle()
    assert [mail.rcpt_tos for mail in smtp_server.received] == [("claire@platform.example",)]
    (mail,) = smtp_server.received
    assert mail.message["X-BOM-Notification"] == "staff_alert"
    assert "breaker" in mail.message["Subject"] and "554 go away" in mail.text and "/admin/sending/" in mail.text
    assert Delivery.objects.get().resolution["reason"] == "staff_alert_addressee"


def test_without_anybody_to_tell_it_is_kept_all_the_same() -> None:
    break_relay()
    alerts.look(NOW)
    assert StaffAlert.objects.get().part == "breaker" and not Delivery.objects.exists()


def test_of_all_workers_one_looks_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Any] = []
    monkeypatch.setattr(alerts, "look", looks.append)
    for _n in range(3):
        alerts.tick(NOW)
    assert len(looks) == 1
