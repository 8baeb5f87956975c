"""A purge walks from the oldest row on: what it removes, what it passes, what that costs."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from notifications.models import AddressHealth, AddressSign, Attachment, Attempt, Delivery, Event, Message
from notifications.privacy import purging
from tests.factories import DeliveryFactory, EventFactory, MessageFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "BATCH", 3)


def aged(*deliveries: Delivery, days: float = 500) -> None:
    for place, delivery in enumerate(deliveries):
        then = timezone.now() - timedelta(days=days, seconds=-place)
        Delivery.objects.filter(pk=delivery.pk).update(created_at=then)
        Event.objects.filter(pk=delivery.event_id).update(accepted_at=then)


def sent(**kwargs: object) -> Delivery:
    delivery: Delivery = DeliveryFactory(**{"event": EventFactory(), "status": "sent", **kwargs})
    Attempt.objects.create(delivery=delivery, number=1, outcome="sent", started_at=timezone.now())
    return delivery


def test_all_that_hangs_on_an_old_delivery_goes_with_it() -> None:
    old = [sent() for _ in range(7)]
    Attachment.objects.create(
        message=old[0].message, name="a.pdf", content_type="application/pdf", content=b"x", size=1, sha256="0" * 64
    )
    health = AddressHealth.objects.create(company=old[1].company, normalised_address="x@x.example")
    AddressSign.objects.create(health=health, delivery=old[1], kind=AddressSign.Kind.SOFT, at=timezone.now())
    unsent = MessageFactory(event=EventFactory()).event
    aged(*old)
    Event.objects.filter(pk=unsent.pk).update(accepted_at=timezone.now() - timedelta(days=500))
    young = sent()
    assert {kind: n for kind, n in purging.purge().items() if n} == {"deliveries": 7, "messages": 8, "events": 8}
    assert [*Delivery.objects.all()] == [young] and [*Event.objects.all()] == [young.event]
    assert Attempt.objects.count() == Message.objects.count() == 1
    assert not Attachment.objects.exists() and not AddressSign.objects.exists()


def test_what_is_open_or_shared_stays_and_holds_up_nothing_behind_it() -> None:
    waiting = [DeliveryFactory(event=EventFactory()) for _ in range(4)]
    young = sent()
    sharing = sent(message=young.message)
    noticed = sent()
    Attempt.objects.filter(delivery=noticed).update(notice_due_at=timezone.now())
    behind = sent()
    aged(*waiting, sharing, noticed, behind)
    assert purging.purge()["deliveries"] == 2
    assert set(Delivery.objects.all()) == {*waiting, young, noticed}
    assert young.message in Message.objects.all()


def test_one_and_the_one_sent_again_for_it_go_in_one_run() -> None:
    first = sent(status="dead")
    again = sent(event=first.event, message=first.message, resend_of=first)
    third = sent(event=first.event, message=first.message, resend_of=again)
    aged(first, again)
    assert purging.purge()["deliveries"] == 0
    aged(first, again, third)
    assert purging.purge() == {**dict.fromkeys(purging.KINDS, 0), "deliveries": 3, "messages": 1, "events": 1}


def test_a_batch_costs_the_same_however_many_there_are() -> None:
    def statements(number: int) -> int:
        aged(*(sent() for _ in range(number)))
        with CaptureQueriesContext(connection) as queries:
            assert purging.purge()["deliveries"] == number
        return len(queries)

    few, more, most = (statements(3 * batches) for batches in (1, 2, 4))
    assert most - more == 2 * (more - few)
