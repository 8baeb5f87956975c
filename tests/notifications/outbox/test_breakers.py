"""A server that refuses us is left alone: one mail at a time probes, no delivery is dead for it, all go out afterwards."""

import os
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from notifications.models import Attempt, Breaker, Delivery
from notifications.outbox.breakers import OPENS_AFTER, Gate
from notifications.outbox.tally import Tally
from notifications.outbox.transports.routes import platform_relay
from notifications.worker import loop
from tests.factories import DeliveryFactory, EventFactory, MessageFactory
from tests.odd_smtp import DROP, odd_server

pytestmark = pytest.mark.django_db(transaction=True)


def queue(count: int) -> None:
    event = EventFactory()
    message = MessageFactory(event=event)
    for number in range(count):
        DeliveryFactory(event=event, message=message, address=f"d{number}@x.example")


def work() -> None:
    """One round of a worker that keeps running."""
    loop.deliver_mail(Tally(), pid=os.getpid())


def make_due() -> None:
    """What was postponed is due again."""
    Delivery.objects.filter(status="retry").update(retry_at=None)


def probe_is_due() -> None:
    Breaker.objects.update(probe_at=Now() - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("step", "reply"),
    [
        ("GREETING", "554 5.7.1 no service for you"),
        ("EHLO", "554 go away"),
        ("MAIL", "550 5.7.1 sender is blocked"),
        ("GREETING", "SSH-2.0-OpenSSH_9.2"),
        ("MAIL", "hello"),
        ("GREETING", DROP),
    ],
)
def test_after_some_refusals_of_us_one_mail_probes(settings: Any, step: str, reply: str) -> None:
    queue(8)
    with odd_server(settings, **{step: reply}) as server:
        for _n in range(OPENS_AFTER):
            make_due()
            work()
        row = Breaker.objects.get()
        assert row.opened_at is not None and row.failures >= OPENS_AFTER and row.relay == f"127.0.0.1:{server.port}"
        tried = server.connections
        make_due()
        work()
        assert server.connections == tried, "nothing is tried while it is open"
        assert not Delivery.objects.exclude(status__in=["queued", "retry"]).exists(), "none is dead for it"
        probe_is_due()
        work()
        assert server.connections > tried and Breaker.objects.get().opened_at is not None
        del server.replies[step]
        probe_is_due()
        make_due()
        work()
        make_due()
        work()
        assert len(server.mails) == 8
    assert not Breaker.objects.exists()
    assert not Delivery.objects.exclude(status="sent").exists()
    assert Attempt.objects.filter(outcome="sent").count() == 8


def test_a_refused_recipient_is_no_refusal_of_us(settings: Any) -> None:
    queue(8)
    with odd_server(settings, RCPT="550 5.1.1 unknown user"):
        work()
    assert not Breaker.objects.exists()
    assert set(Delivery.objects.values_list("status", flat=True)) == {"dead"}


def test_of_several_workers_one_probes(settings: Any) -> None:
    Breaker.objects.create(relay=platform_relay(), failures=9, opened_at=Now(), probe_at=Now())
    gates = [Gate() for _n in range(3)]
    assert sorted(gate.most() or 0 for gate in gates) == [0, 0, 1]


def test_a_person_who_sends_now_waits_for_no_breaker(settings: Any) -> None:
    queue(3)
    with odd_server(settings) as server:
        Breaker.objects.create(
            relay=platform_relay(), failures=9, opened_at=Now(), probe_at=Now() + timedelta(seconds=60)
        )
        work()
        assert not server.mails
        loop.deliver_until_idle()
        assert len(server.mails) == 3
    assert not Breaker.objects.exists()
