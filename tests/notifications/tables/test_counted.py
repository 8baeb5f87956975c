"""What is kept of counts and read one by one is what the rows say."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backoffice.base.per_value import first_of_each
from notifications.models import Delivery, Event
from notifications.tables import address_list, counted
from notifications.tables.pictures import DAYS, month_of
from tests.factories import DeliveryFactory, EventFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    counted.forget()
    yield
    counted.forget()


@pytest.fixture
def event() -> Event:
    event: Event = EventFactory()
    return event


def sent(event: Event, days: float, status: str = "sent", address: str = "x@x.example") -> Delivery:
    delivery: Delivery = DeliveryFactory(event=event, status=status, address=address)
    delivery.created_at = timezone.now() - timedelta(days=days)
    delivery.save(update_fields=["created_at"])
    return delivery


def told_by_rows(event: Event) -> Counter[tuple[object, str]]:
    first = timezone.localdate() - timedelta(days=DAYS - 1)
    rows = ((timezone.localtime(row.created_at).date(), row.status) for row in Delivery.objects.filter(event=event))
    return Counter(row for row in rows if row[0] >= first)


def test_kept_days_say_what_the_rows_say_whatever_happens_to_them(
    event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counted, "WORTH_KEEPING", 3)
    for days in (0, 1, 3, 6, 6, 9, 20, 29, 31):
        sent(event, days)
    given_up, waits, queued = sent(event, 9, "dead"), sent(event, 12, "retry"), sent(event, 15, "queued")
    rows = Delivery.objects.filter(company=event.company)

    def month() -> dict[tuple[object, str], int]:
        return dict(month_of(rows, reader="all").counts)

    assert month() == month() == told_by_rows(event)
    # Sent again by hand; it gets through; one is tried again, one stopped, a new one comes.
    for changed, status in ((given_up, "queued"), (given_up, "sent"), (waits, "sending"), (waits, "dead")):
        Delivery.objects.filter(pk=changed.pk).update(status=status)
        assert month() == month() == told_by_rows(event)
    Delivery.objects.filter(pk=queued.pk).update(status="cancelled")
    sent(event, 0)
    assert month() == month() == told_by_rows(event)


def test_kept_days_are_not_read_again(event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted, "WORTH_KEEPING", 2)
    for days in (1, 9, 9):
        sent(event, days)
    rows = Delivery.objects.filter(company=event.company)
    whole = month_of(rows, reader="all").counts
    # Not what happens; it shows what was read.
    rows.filter(created_at__lt=timezone.now() - timedelta(days=8)).delete()
    with CaptureQueriesContext(connection) as queries:
        assert month_of(rows, reader="all").counts == whole
    assert len(queries) == 1
    assert month_of(rows).counts != whole, "who names no reader counts all"


def test_few_deliveries_are_counted_every_time(event: Event) -> None:
    sent(event, 9)
    rows = Delivery.objects.filter(company=event.company)
    assert sum(month_of(rows, reader="all").counts.values()) == 1
    sent(event, 9)
    assert sum(month_of(rows, reader="all").counts.values()) == 2


def test_the_first_row_of_each_value_is_read_in_one_statement(event: Event) -> None:
    newest = {}
    for address in ("a@x.example", "l'apostrophe@x.example"):
        for days in (5, 2, 7):
            row = sent(event, days, address=address)
            newest[address] = max(newest.get(address, row.created_at), row.created_at)
    rows = Delivery.objects.filter(company=event.company).order_by("-created_at")
    asked = ["nobody@x.example", *newest, *newest]
    with CaptureQueriesContext(connection) as queries:
        assert first_of_each(rows, "normalised_address", asked, "created_at") == newest
        assert first_of_each(rows, "normalised_address", [], "created_at") == {}
    assert len(queries) == 1


def test_the_traffic_of_an_address_tells_its_last_success_and_failure(event: Event) -> None:
    got, refused = sent(event, 3, address="a@x.example"), sent(event, 1, "retry", "a@x.example")
    sent(event, 8, address="a@x.example")
    sent(event, 40, address="b@x.example")
    lost = sent(event, 2, "not_sent", "c@x.example")
    sent(event, 1, address="buyer@x.example")
    asked = ("a@x.example", "b@x.example", "c@x.example", "d@x.example")
    told = address_list.traffic_of(Delivery.objects.filter(company=event.company), asked)
    assert told == {
        "a@x.example": address_list.Traffic(got.created_at, refused.created_at),
        "c@x.example": address_list.Traffic(None, lost.created_at),
    }
