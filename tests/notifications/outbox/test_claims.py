"""Which deliveries go next: a claim reads what it takes, and nobody stands behind another's thousands."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from companies.models import Company
from notifications.models import Delivery, Event, Lane
from notifications.outbox import claims, leases
from notifications.outbox.claims import CallClaims, MailClaims, wake
from tests.factories import CompanyFactory, DeliveryFactory, EventFactory, MessageFactory

pytestmark = pytest.mark.django_db(transaction=True)


def queue_mails(company: Company, count: int, **values: Any) -> list[Delivery]:
    """Many mails of one company, in one statement."""
    event = EventFactory(company=company, shop=None)
    message = MessageFactory(event=event)
    model = DeliveryFactory.build(event=event, company=company, shop=None, rule=None, message=message, **values)
    return _many(model, count)


def queue_calls(event: Event, endpoint: str, count: int) -> list[Delivery]:
    model = DeliveryFactory.build(
        event=event, company=event.company, shop=event.shop, rule=None, message=None, channel="ipn", endpoint=endpoint
    )
    return _many(model, count)


def _many(model: Delivery, count: int) -> list[Delivery]:
    names = [field.attname for field in Delivery._meta.concrete_fields if field.attname not in ("id", "dedupe_key")]
    values = {name: getattr(model, name) for name in names}
    start = Delivery.objects.count()
    rows = [Delivery(**values, dedupe_key=f"{start + number:064d}") for number in range(count)]
    for number, row in enumerate(rows):
        row.created_at = timezone.now() - timedelta(hours=1) + timedelta(milliseconds=number)
    return Delivery.objects.bulk_create(rows)


def companies_of(keys: list[Any]) -> list[int | None]:
    by_key = dict(Delivery.objects.filter(pk__in=keys).values_list("pk", "company_id"))
    return [by_key[key] for key in keys]


def test_a_single_mail_stands_beside_the_thousands_of_another_company() -> None:
    large, small = CompanyFactory(), CompanyFactory()
    queue_mails(large, 1000)
    worker = MailClaims()
    worker.claim("me", 100)
    (single,) = queue_mails(small, 1)
    keys = worker.claim("me", 100)
    assert single.pk in keys
    assert len(keys) <= 101


def test_companies_take_turns_and_each_goes_by_age() -> None:
    companies = [CompanyFactory() for _n in range(5)]
    rows = {company.pk: queue_mails(company, 4) for company in companies}
    worker, taken = MailClaims(), []
    for _round in range(10):
        taken += worker.claim("me", 2)
    assert len(set(taken)) == 20
    order = companies_of(taken)
    assert sorted(order[:6], key=str) != [companies[0].pk] * 6
    assert set(order[:10]) == {company.pk for company in companies}, "each has had a turn before any has its third"
    for company_id, mine in rows.items():
        assert [key for key in taken if key in {row.pk for row in mine}] == [row.pk for row in mine], company_id


def test_account_mail_and_incidents_have_lanes_of_their_own() -> None:
    company = CompanyFactory()
    queue_mails(company, 200)
    incidents = {row.pk for row in queue_mails(company, 50, notification="platform_incident")}
    accounts = {row.pk for row in queue_mails(company, 50, notification="account_security")}
    keys = MailClaims().claim("me", 40)
    assert set(keys[:20]) <= accounts
    assert set(keys[20:30]) <= incidents
    assert not set(keys[30:]) & (accounts | incidents), "a flood in a lane leaves room for other mail"
    assert len(keys) == 40


def test_a_lane_takes_the_whole_batch_where_nothing_else_waits() -> None:
    queue_mails(CompanyFactory(), 50, notification="user_account")
    assert len(MailClaims().claim("me", 40)) == 40


def test_mail_of_no_company_goes_too() -> None:
    rows = queue_mails(CompanyFactory(), 1)
    Delivery.objects.update(company=None)
    assert MailClaims().claim("me", 10) == [rows[0].pk]


def test_two_workers_never_take_the_same() -> None:
    for _n in range(3):
        queue_mails(CompanyFactory(), 30)
    one, other = MailClaims(), MailClaims()
    mine, theirs = one.claim("me", 40), other.claim("you", 40)
    assert mine and theirs
    assert not set(mine) & set(theirs)


def test_what_waits_for_its_time_is_made_ready_when_that_comes() -> None:
    now = timezone.now()
    early = DeliveryFactory(status="retry", retry_at=now - timedelta(seconds=1))
    late = DeliveryFactory(status="retry", retry_at=now + timedelta(hours=1))
    done = DeliveryFactory(status="sent", retry_at=now - timedelta(hours=1))
    assert MailClaims().claim("me", 10) == []
    assert wake(now) == 1
    assert MailClaims().claim("me", 10) == [early.pk]
    late.refresh_from_db()
    done.refresh_from_db()
    assert (late.status, done.status) == ("retry", "sent")


def test_an_endpoint_gets_no_more_than_it_takes_and_no_other_waits_for_it() -> None:
    event = EventFactory()
    queue_calls(event, "https://a.example", 50)
    queue_calls(event, "https://b.example", 3)
    worker = CallClaims()
    keys = worker.claim("me", 100, lambda endpoint, in_flight: 5 - in_flight)
    assert len(keys) == 8
    assert CallClaims().claim("you", 100, lambda endpoint, in_flight: 5 - in_flight) == []
    queue_calls(event, "https://c.example", 3)
    assert len(worker.claim("me", 2, lambda endpoint, in_flight: 5 - in_flight)) == 2


# --- What a claim reads ---------------------------------------------------------------------------


def plan_of(sql: str, parameters: tuple[Any, ...]) -> str:
    """How the database runs a statement; on PostgreSQL without the whole table, which is quickest while it is small."""
    prefix = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(prefix + sql, parameters)
        return "\n".join(str(row) for row in cursor.fetchall())


def test_every_queue_is_read_along_its_index() -> None:
    queue_mails(CompanyFactory(), 50)
    mail, calls = claims._MAIL_BY_COMPANY, claims._CALLS_BY_ENDPOINT
    together = [(mail.take_all, ([1], [10]), "delivery_ready_mail")] if connection.vendor == "postgresql" else []
    for sql, parameters, index in (
        *together,
        (mail.walk, (-1, 10), "delivery_ready_mail"),
        (mail.take, (1, 10), "delivery_ready_mail"),
        (calls.walk, ("", 10), "delivery_ready_calls"),
        (calls.take, ("https://a.example", 10), "delivery_ready_calls"),
        (claims._LANES[Lane.ACCOUNT], (10,), "delivery_ready_account"),
        (claims._LANES[Lane.INCIDENT], (10,), "delivery_ready_incident"),
    ):
        plan = plan_of(claims._but(sql, [7]), parameters)
        assert index in plan, plan
        assert "TEMP B-TREE" not in plan and "Sort" not in plan, plan
        assert not re.search(r"SCAN notifications_delivery(?! USING)|Seq Scan", plan), plan


@pytest.mark.one_database
def test_a_claim_takes_no_longer_with_more_behind_it() -> None:
    """Counted in steps of SQLite's machine, which do not depend on what else the computer does."""
    if connection.vendor != "sqlite":
        pytest.skip("counts steps of SQLite")
    company = CompanyFactory()
    queue_mails(company, 300)
    few = _steps()
    queue_mails(company, 6000)
    assert _steps() <= few * 1.1


def _steps() -> int:
    """Thousands of steps that one claim takes; what it claims is put back."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    connection.connection.set_progress_handler(count, 10)
    try:
        keys = MailClaims().claim("me", 100)
    finally:
        connection.connection.set_progress_handler(None, 0)
    assert len(keys) == 100
    leases.release("me", keys)
    return counted


def test_nothing_to_claim_takes_no_lock() -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert MailClaims().claim("me", 100) == []
        assert CallClaims().claim("me", 100, lambda endpoint, in_flight: 5) == []
        assert wake(timezone.now()) == 0
    assert not [query for query in queries.captured_queries if not query["sql"].lstrip().startswith(("SELECT", "WITH"))]
