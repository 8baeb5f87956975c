"""Rows written by the group are those that `bulk_create` writes, to the last column."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction

from backoffice.base.inserting import insert, made
from notifications.models import Delivery, Event, Message
from tests.factories import DeliveryFactory, EventFactory, MessageFactory

pytestmark = pytest.mark.django_db

ODD = "é\t\\N \\ \"'\n{%s} %(x)s \U0001f600"


def values(row: models.Model) -> dict[str, Any]:
    """What the database has of a row, without what is new each time."""
    left_out = {"id", "created_at", "accepted_at", "dedupe_key", "event_id"}
    stored = type(row)._default_manager.get(pk=row.pk)
    return {
        field.attname: getattr(stored, field.attname)
        for field in row._meta.concrete_fields
        if field.attname not in left_out
    }


def full(event: Event, message: Message, number: int) -> Delivery:
    return DeliveryFactory.build(
        event=event, company=event.company, shop=event.shop, message=message, dedupe_key=f"{uuid.uuid4().hex}",
        address=ODD, normalised_address=f"a{number}@x.example", to_addresses=[ODD, "b"], resolution={"reason": ODD, "n": [1, None, True]},
        headers={"a": ODD}, call={}, is_test=True, run=uuid.UUID(int=7), status=Delivery.Status.RETRY, attempt_count=3,
        error=ODD[:200], http_status=503, retry_at=datetime(2026, 11, 27, 10, 0, 0, 123456, tzinfo=UTC),
    )  # fmt: skip


@pytest.mark.parametrize("count", [1, 40])
def test_a_group_is_written_as_the_framework_does_it(count: int) -> None:
    event = EventFactory()
    message = MessageFactory(event=event)
    theirs = full(event, message, 0)
    Delivery.objects.bulk_create([theirs])
    ours = [full(event, message, 0) for _n in range(count)]
    insert(ours)
    for row in (ours[0], ours[-1]):
        assert values(row) == values(theirs)
        assert not row._state.adding and row.created_at == Delivery.objects.get(pk=row.pk).created_at
    assert Delivery.objects.count() == count + 1


def test_rows_with_automatic_keys_get_them_in_their_order() -> None:
    company = EventFactory().company
    events = [EventFactory.build(company=company, shop=None, data={"n": n, "text": ODD}) for n in range(30)]
    insert(events)
    messages = [Message(event=event, language="fr", subject=str(event.pk), text=ODD, html="") for event in events]
    insert(messages)
    assert len({event.pk for event in events}) == 30
    for event, message in zip(events, messages, strict=True):
        assert Event.objects.get(pk=event.pk).data == {"n": event.data["n"], "text": ODD}
        stored = Message.objects.get(pk=message.pk)
        assert (stored.event_id, stored.subject, stored.text) == (event.pk, str(event.pk), ODD)


def test_a_key_that_came_after_the_row_was_made_is_used() -> None:
    event = EventFactory.build(company=EventFactory().company, shop=None)
    message = Message(event=event, language="fr", subject="x", text="x", html="")
    insert([event])
    insert([message])
    assert Message.objects.get(pk=message.pk).event_id == event.pk


def test_a_conflict_leaves_nothing_of_the_group() -> None:
    event = EventFactory()
    message = MessageFactory(event=event)
    rows = [full(event, message, n) for n in range(30)]
    rows[29].dedupe_key = rows[3].dedupe_key
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(rows)
    assert not Delivery.objects.exists()


def test_no_rows_cost_no_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        insert([])


def test_a_large_group_is_a_handful_of_statements() -> None:
    event = EventFactory()
    message = MessageFactory(event=event)
    rows = [full(event, message, n) for n in range(300)]
    connection.force_debug_cursor = True
    try:
        before = len(connection.queries_log)
        insert(rows)
        assert len(connection.queries_log) - before <= 2
    finally:
        connection.force_debug_cursor = False


@pytest.mark.parametrize("model", [Event, Message, Delivery])
def test_a_row_that_is_made_is_the_one_the_model_makes(model: type[Any]) -> None:
    event = EventFactory()
    given: dict[str, Any] = {
        Event: {"company": event.company, "shop": None, "event_id": "e-1", "data": {"a": 1}},
        Message: {"event": event, "language": "fr", "subject": ODD},
        Delivery: {"event": event, "company": event.company, "shop": event.shop, "rule": None, "to_addresses": ["a"]},
    }[model]
    ours, theirs = made(model, **given), model(**given)
    left_out = {"_state", "id", "created_at"}
    assert {**vars(ours), **dict.fromkeys(left_out)} == {**vars(theirs), **dict.fromkeys(left_out)}
    assert list(map(type, vars(ours).values())) == [type(vars(theirs)[name]) for name in vars(ours)]
    assert vars(ours).keys() == vars(theirs).keys()
    assert ours._state.adding and ours._state.db is None
    assert ours._state.fields_cache == theirs._state.fields_cache
    # What can be changed belongs to one row alone.
    assert made(model, **given).__dict__.get("headers") is not ours.__dict__.get("headers") or model is Event


def test_a_row_is_not_made_of_what_is_no_column() -> None:
    with pytest.raises(TypeError, match="no adress"):
        made(Delivery, adress="a@b.example")
