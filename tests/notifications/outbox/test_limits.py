"""Limits of rate and connections, per domain and per mail server: kept over all workers, without an attempt."""

import os
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db.models.functions import Now
from django.utils import timezone

from companies.audit import Actor
from companies.models import Company
from notifications.models import Attempt, Delivery, LimitSlot, LimitTurn, SendingLimit
from notifications.outbox import leases, limits, state
from notifications.outbox.mail_worker import MailWorker
from notifications.outbox.tally import Tally
from notifications.outbox.transports.routes import platform_relay
from notifications.worker import loop
from tests.factories import CompanyFactory, DeliveryFactory, EventFactory, MessageFactory
from tests.odd_smtp import odd_server

pytestmark = pytest.mark.django_db(transaction=True)
OPERATOR = Actor.command("limit")


def queue(count: int, domain: str = "gmail.com", company: Company | None = None, **values: Any) -> None:
    event = EventFactory(**({"company": company} if company else {}))
    message = MessageFactory(event=event)
    for number in range(count):
        address = f"d{number}@{domain}"
        DeliveryFactory(
            event=event, company=event.company, message=message, address=address, normalised_address=address, **values
        )


def limit(name: str = "gmail.com", per_minute: int | None = None, connections: int | None = None) -> SendingLimit:
    return limits.set_limit(actor=OPERATOR, name=name, per_minute=per_minute, connections=connections)


def work() -> None:
    loop.deliver_mail(Tally(), pid=os.getpid())


def later() -> None:
    """The window is over, and what is booked for the next one is due."""
    first = Delivery.objects.filter(retry_at__isnull=False).order_by("retry_at").values_list("retry_at", flat=True)[0]
    assert first is not None
    by = first - timezone.now() + timedelta(seconds=1)
    SendingLimit.objects.update(window_at=Now() - timedelta(minutes=2))
    for row in LimitTurn.objects.all():
        LimitTurn.objects.filter(pk=row.pk).update(next_at=row.next_at - by)
    for delivery in Delivery.objects.filter(retry_at__isnull=False):
        assert delivery.retry_at
        Delivery.objects.filter(pk=delivery.pk).update(retry_at=delivery.retry_at - by)


def sent(domain: str = "gmail.com") -> int:
    return Delivery.objects.filter(status="sent", address__endswith=f"@{domain}").count()


def test_a_rate_is_kept_and_what_is_over_it_waits_untried_for_its_turn(settings: Any) -> None:
    limit(per_minute=10)
    queue(25)
    queue(5, "free.example")
    with odd_server(settings):
        work()
        assert (sent(), sent("free.example")) == (9, 5), "a tenth is kept for security mail"
        waiting = Delivery.objects.filter(status="queued", retry_at__isnull=False)
        assert waiting.count() == 16 and set(waiting.values_list("attempt_count", "error")) == {
            (0, "[limit gmail.com]")
        }
        assert not Attempt.objects.filter(delivery__in=waiting).exists()
        moments = [row.retry_at for row in waiting if row.retry_at]
        windows = {round((moment - min(moments)).total_seconds() / 60) for moment in moments}
        assert windows == {0, 1}, "booked over the next windows, once"
        work()
        assert sent() == 9, "another worker counts the same"
        queue(1, notification="account_security")
        work()
        assert sent() == 10, "security mail has the room that was kept"
        later()
        work()
        assert sent() == 19
        later()
        work()
        assert sent() == 26
    assert not Delivery.objects.exclude(status="sent").exists()


def test_companies_that_wait_share_the_rate(settings: Any) -> None:
    limit(per_minute=10)
    queue(60)
    with odd_server(settings):
        work()
        queue(1, company=CompanyFactory())
        work()
    alone = Delivery.objects.latest("created_at")
    assert alone.retry_at and alone.status == "queued"
    assert alone.retry_at <= min(
        Delivery.objects.exclude(retry_at=None).values_list("retry_at", flat=True)
    ) + timedelta(seconds=61)


def test_the_rate_of_a_mail_server_holds_for_all_domains(settings: Any) -> None:
    with odd_server(settings) as server:
        limit(platform_relay(), per_minute=10)
        queue(8)
        queue(8, "free.example")
        work()
        assert len(server.mails) == 9
        limits.remove_limit(actor=OPERATOR, name=platform_relay())
        work()
        assert len(server.mails) == 16, "without the limit nothing waits any more"


def test_connections_to_a_domain_and_to_a_server_are_bounded_over_all_workers(settings: Any) -> None:
    settings.SMTP_CONNECTIONS = 4
    limit(connections=1)
    queue(12)
    with odd_server(settings, after={"END": 0.02}) as server:
        limit(platform_relay(), connections=2)
        queue(12, "free.example")
        with (
            leases.owner() as one,
            leases.owner() as two,
            MailWorker(one) as first,
            MailWorker(two) as second,
        ):
            while sent("free.example") < 12 or sent() < 6:
                for worker in (first, second):
                    worker.step(timezone.now, wait=0.05)
                out = [row for worker in (first, second) for row, _parcel in worker._out.values()]
                assert sum(limits.domain_of(row) == "gmail.com" for row in out) <= 1
                assert LimitSlot.objects.exclude(owner="").count() <= 3
                Delivery.objects.filter(status="queued").update(retry_at=None)
            stands = {one.name: one for one in state.now_stands().limits}
            assert stands["gmail.com"].connections_in_use <= 1 and stands[platform_relay()].connections_in_use == 2
        assert server.connections == 2
    assert not LimitSlot.objects.exclude(owner="").exists(), "given back"
    assert not Attempt.objects.exclude(outcome="sent").exists()


def test_the_connection_of_a_worker_that_died_is_free_for_others() -> None:
    one = limit(connections=1)
    dead = leases.new_owner()
    assert limits._take_slot(one, dead) and not limits._take_slot(one, "other")
    leases._working.discard(dead)
    assert limits._take_slot(one, "other")


@pytest.mark.parametrize("name", ["", "gmail", "no domain", "smtp.example:0", "smtp.example:x", ":25", "a@b.example"])
def test_what_names_neither_a_domain_nor_a_server_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        limit(name, per_minute=1)


def test_names_are_kept_as_they_go_on_the_wire() -> None:
    assert limit("Bücher.Example", per_minute=1).name == "xn--bcher-kva.example"
    assert limit("SMTP.example:587", connections=1).name == "smtp.example:587"
    with pytest.raises(ValidationError):
        limit("gmail.com")
