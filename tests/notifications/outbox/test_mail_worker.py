"""The worker of mail when things go wrong around it: database, leases, a stop."""

import threading
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from notifications.models import Attempt, Delivery
from notifications.outbox import leases, mail_results, mail_worker
from notifications.outbox.mail_worker import WINDOW, MailWorker
from tests.factories import DeliveryFactory, EventFactory, MessageFactory
from tests.odd_smtp import odd_server
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)


def queue(count: int) -> list[Delivery]:
    event = EventFactory()
    message = MessageFactory(event=event)
    return [DeliveryFactory(event=event, message=message, address=f"d{n}@x.example") for n in range(count)]


def run(worker: MailWorker) -> None:
    while True:
        statuses = worker.step(timezone.now, wait=1.0)
        if not worker.in_flight and not statuses.total():
            return


def statuses() -> set[str]:
    return set(Delivery.objects.values_list("status", flat=True))


def test_never_more_is_out_than_the_window(settings: Any) -> None:
    queue(120)
    most = 0
    with odd_server(settings) as server, leases.owner() as owner, MailWorker(owner) as worker:
        while statuses() != {"sent"}:
            worker.step(timezone.now, wait=1.0)
            most = max(most, worker.in_flight)
    assert len(server.mails) == 120
    assert 1 < most <= WINDOW


def test_what_could_not_be_recorded_is_recorded_later_and_sent_once(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(10)
    record, failures = mail_results.record, iter([True, True])

    def fails_twice(*arguments: Any) -> Any:
        if next(failures, False):
            raise OperationalError("gone")
        return record(*arguments)

    monkeypatch.setattr(mail_results, "record", fails_twice)
    with odd_server(settings) as server, leases.owner() as owner, MailWorker(owner) as worker:
        for _n in range(2):
            with pytest.raises(OperationalError):
                run(worker)
        run(worker)
    assert statuses() == {"sent"}
    assert (len(server.mails), Attempt.objects.count()) == (10, 10)


def test_one_error_of_the_database_keeps_no_mail_waiting_for_its_lease(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(40)

    def fails(*arguments: Any) -> Any:
        raise OperationalError("gone")

    with odd_server(settings) as server:
        with (
            pytest.raises(OperationalError),
            leases.owner() as owner,
            MailWorker(owner) as worker,
            monkeypatch.context() as broken,
        ):
            broken.setattr(mail_results, "record", fails)
            run(worker)
        leases.sweep()
        assert not Delivery.objects.filter(status="sending").exists()
        with leases.owner() as owner, MailWorker(owner) as worker:
            run(worker)
    assert statuses() == {"sent"}
    assert 40 <= len(server.mails) <= 40 + WINDOW


def test_mail_whose_lease_was_lost_is_not_handed_over(settings: Any) -> None:
    settings.SMTP_CONNECTIONS = 1
    queue(20)
    with odd_server(settings, after={"END": 0.02}) as server, leases.owner() as owner, MailWorker(owner) as worker:
        while not server.mails:
            worker.step(timezone.now, wait=0.1)
        Delivery.objects.exclude(status="sent").update(status="sending", lease_owner="another")
        worker._held_until = 0.0
        before = len(server.mails)
        run(worker)
    assert len(server.mails) <= before + 1, "the one that was leaving"
    assert Delivery.objects.filter(lease_owner="another").count() >= 20 - len(server.mails)


def test_a_worker_out_of_touch_with_the_database_hands_nothing_over(settings: Any) -> None:
    queue(3)
    with odd_server(settings) as server, leases.owner() as owner, MailWorker(owner) as worker:
        worker._is_ours = lambda: False  # type: ignore[method-assign]
        run(worker)
        assert server.mails == []
    leases.sweep()
    assert statuses() == {"retry"}


def test_a_worker_that_is_stopped_ends_what_is_out_and_gives_the_rest_back(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SMTP_CONNECTIONS = 2
    monkeypatch.setattr(mail_worker, "GRACE_SECONDS", PATIENCE)
    queue(60)
    with odd_server(settings) as server, leases.owner() as owner, MailWorker(owner) as worker:
        stopped, take_back = threading.Event(), worker._take_back

        def stop() -> None:
            take_back()
            stopped.set()

        worker._take_back = stop  # type: ignore[method-assign]
        # What is out by then is answered once the worker has been stopped, however late that is.
        server.until["END"] = lambda: len(server.mails) < 4 or stopped.is_set()
        while len(server.mails) < 4:
            worker.step(timezone.now, wait=0.1)
        worker.finish(timezone.now)
        sent = len(server.mails)
    assert sent < 20
    assert Delivery.objects.filter(status="sent").count() == sent
    assert Delivery.objects.filter(status="queued").count() == 60 - sent


def test_an_answer_that_does_not_come_before_the_end_is_told_as_unknown(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_worker, "GRACE_SECONDS", 0.3)
    (row,) = queue(1)
    with odd_server(settings, after={"END": 3600}) as server, leases.owner() as owner, MailWorker(owner) as worker:
        while not server.mails:
            worker.step(timezone.now, wait=0.1)
        row.refresh_from_db()
        assert row.status == "sending", "its answer may still come"
        worker.finish(timezone.now)
    row.refresh_from_db()
    assert (row.status, row.attempt_count) == ("retry", 1)
    assert row.error.startswith("[answer unknown]")
    assert row.retry_at and (row.retry_at - timezone.now()).total_seconds() > 540


def test_leases_are_renewed_while_a_slow_server_answers(settings: Any) -> None:
    settings.DELIVERY_LEASE_SECONDS = 1.5
    queue(1)
    with odd_server(settings, after={"END": 4}) as server, leases.owner() as owner, MailWorker(owner) as worker:
        while statuses() != {"sent"}:
            worker.step(timezone.now, wait=0.2)
            assert leases.sweep() == 0
    assert len(server.mails) == 1
