"""Lists of any length: pages by cursor, counts within bounds, searches that each have their index."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backoffice.base import endless
from notifications.models import Delivery
from tests.factories import DeliveryFactory, EventFactory, ShopFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Bounds that a test reaches."""

    def bound(ceiling: int = 10, parts: int = 5) -> None:
        monkeypatch.setattr(endless, "CEILING", ceiling)
        monkeypatch.setattr(endless, "READ_FOR_PARTS", parts)

    return bound


def deliveries(count: int, **extra: Any) -> list[Delivery]:
    """Deliveries of one event, the newest first."""
    event = EventFactory(shop=ShopFactory())
    made = [DeliveryFactory(event=event, address=f"a{number:02d}@x.example", **extra) for number in range(count)]
    now = timezone.now()
    for number, one in enumerate(made):
        # In twos at the same moment, so that keys decide between them.
        one.created_at = now - timedelta(minutes=number // 2)
        one.save(update_fields=["created_at"])
    return list(Delivery.objects.order_by("-created_at", "-pk"))


def page(rows: Any = None, **query: Any) -> Any:
    wanted = query.pop("wanted", ())
    sort = query.pop("sort", "")
    request = RequestFactory().get("/", query)
    every = Delivery.objects.all() if rows is None else rows
    return endless.paginate(request, every, by="created_at", sort=sort, wanted=wanted, default=4)


def test_a_list_within_the_bound_is_counted_and_paged_as_any(few: Any) -> None:
    few(ceiling=10)
    every = deliveries(10)
    first = page()
    assert (first.paginator.count, first.paginator.is_more) == (10, False)
    assert [one.pk for number in (1, 2, 3) for one in page(page=number)] == [one.pk for one in every]
    assert page(page=3).paginator.older(page(page=3)) == ""


def test_beyond_the_bound_it_goes_on_from_the_last_row_and_leaves_none_out(few: Any) -> None:
    few(ceiling=8)
    every = deliveries(19)
    read: list[Any] = []
    before = ""
    while True:
        for number in range(1, page(before=before).paginator.num_pages + 1):
            shown = page(before=before, page=number)
            read += [one.pk for one in shown]
        before = shown.paginator.older(shown)
        if not before:
            break
        assert shown.paginator.is_more and shown.paginator.count == 8
    assert read == [one.pk for one in every]


def test_another_order_sorts_the_newest_rows_alone(few: Any) -> None:
    few(ceiling=8)
    every = deliveries(12)
    shown = page(sort="normalised_address")
    newest = sorted(every[:8], key=lambda one: one.normalised_address)
    assert [one.pk for one in shown] == [one.pk for one in newest[:4]]
    assert shown.paginator.older(shown) == ""


@pytest.mark.parametrize("text", ["x", "é", "a" * 300, "AAAA", "MjAyNiBub3BlIGFi", "////"])
def test_a_cursor_that_makes_no_sense_gives_the_first_page(text: str) -> None:
    every = deliveries(5)
    assert page(before=text).object_list[0].pk == every[0].pk


def test_a_page_costs_three_statements_and_a_search_two() -> None:
    deliveries(9)
    with CaptureQueriesContext(connection) as plain:
        list(page())
    wanted = [endless.Wanted([endless.begins("normalised_address", "a0")])]
    with CaptureQueriesContext(connection) as search:
        list(page(wanted=wanted))
    assert (len(plain), len(search)) == (3, 2)


def test_a_search_finds_beginnings_everywhere_and_parts_among_the_newest(few: Any) -> None:
    few(ceiling=10, parts=3)
    every = deliveries(8)
    oldest, newest = every[-1], every[0]

    def found(text: str) -> set[Any]:
        one = endless.Wanted([endless.begins("normalised_address", text)], Q(normalised_address__contains=text))
        keys = endless.search(Delivery.objects.all(), [one], by="created_at")
        assert set(keys) == {row.pk for row in endless.matching(Delivery.objects.all(), [one], by="created_at")}
        return set(keys)

    assert found(oldest.normalised_address[:3]) == {oldest.pk}
    assert found(newest.normalised_address[1:]) == {newest.pk}
    assert found(oldest.normalised_address[1:]) == set()


def test_a_search_is_shown_newest_first_or_in_another_order() -> None:
    every = deliveries(9)
    wanted = [endless.Wanted([Q(notification="x"), endless.begins("normalised_address", "a")])]
    assert [one.pk for one in page(wanted=wanted)] == [one.pk for one in every[:4]]
    told = [one.normalised_address for one in page(wanted=wanted, sort="-normalised_address")]
    assert told == sorted((one.normalised_address for one in every), reverse=True)[:4]


def test_all_that_is_wanted_must_fit() -> None:
    deliveries(4)
    wanted = [endless.Wanted([endless.begins("normalised_address", text)]) for text in ("a0", "a02")]
    assert len(endless.matching(Delivery.objects.all(), wanted, by="created_at")) == 1
    assert len(endless.matching(Delivery.objects.all(), [], by="created_at")) == 4
    nothing = [endless.Wanted([Q(pk__in=[])])]
    assert not endless.matching(Delivery.objects.all(), nothing, by="created_at")


@pytest.mark.parametrize("text", ["%", "_", "\\", "'", "Z", ""])
def test_a_beginning_is_taken_literally(text: str) -> None:
    deliveries(2)
    assert not Delivery.objects.filter(endless.begins("normalised_address", text))


def among_others(every: list[Delivery]) -> None:
    """Newer deliveries of other companies to the same addresses, so many that only the right index is cheap."""
    now = timezone.now()
    for _company in range(12):
        event = EventFactory(shop=ShopFactory())
        Delivery.objects.bulk_create(
            Delivery(
                event=event,
                company_id=event.company_id,
                shop_id=event.shop_id,
                notification=one.notification,
                address=one.address,
                normalised_address=one.normalised_address,
                mode="PRODUCTION",
                status=one.status,
                dedupe_key=uuid.uuid4().hex,
                created_at=now,
            )
            for one in every * 3
        )


def plan(rows: Any) -> str:
    """The plan of a query where the whole table is no choice."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
    return str(rows.explain())


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("company", "delivery_company_newest"),
        ("everything", "delivery_newest"),
        ("address", "delivery_address_newest"),
        ("anywhere", "delivery_address_anywhere"),
        ("failed", "delivery_company_troubled"),
    ],
)
def test_each_list_is_read_from_its_index(name: str, index: str) -> None:
    every = deliveries(30)
    company = every[0].company_id
    among_others(every)
    rows = Delivery.objects.order_by("-created_at", "-pk").values("pk")
    asked = {
        "company": rows.filter(company=company)[:5],
        "everything": rows[:50],
        "address": rows.filter(endless.begins("normalised_address", "a01"), company=company)[:50],
        "anywhere": rows.filter(endless.begins("normalised_address", "a01"))[:50],
        "failed": rows.filter(company=company, status__in=["dead", "not_sent"])[:50],
    }
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE notifications_delivery")
    elif name == "failed":
        pytest.skip("SQLite takes a partial index for literals only")
    assert index in plan(asked[name])
