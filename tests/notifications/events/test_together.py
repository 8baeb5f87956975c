"""Requests that come at the same time share a transaction, and each gets its own answer."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from django.db import connection

from notifications.events import publishing, together
from notifications.events.intake import EventConflict, EventInvalid, ValidEvent, validate_event
from notifications.events.publishing import Outcome
from notifications.models import Event
from tests.factories import ShopFactory

pytestmark = pytest.mark.django_db(transaction=True)


def event(shop: Any, name: str, **data: Any) -> dict[str, Any]:
    return {
        "id": name, "type": "payment.accepted", "site_id": shop.site_id, "mode": "PRODUCTION",
        "occurred_at": "2026-11-23T10:00:00Z", "data": {"amount": 1990, "currency": "EUR", "order_id": "C-1", **data},
    }  # fmt: skip


@contextmanager
def groups(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """The ids of what was accepted in one go, in the order in which that began."""
    seen: list[list[str]] = []
    accept = publishing.accept_events

    def noted(*, valid: Any, company: Any = None) -> list[Outcome]:
        seen.append([one.id for one in valid])
        return accept(valid=valid, company=company)

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "accept_events", noted)
        yield seen


def all_at_once(bring: Callable[[dict[str, Any]], Any], bodies: list[dict[str, Any]]) -> list[Any]:
    """What came of events that stand there while another one has the turn, each brought by a thread and request of its own."""
    threads = together.Together()
    answers: list[Any] = [None] * len(bodies)

    def run(place: int) -> None:
        structlog.contextvars.bind_contextvars(request_id=f"request-{bodies[place]['id']}")
        try:
            answers[place] = threads.accept(bring(bodies[place]), None)
        except Exception as error:
            answers[place] = error
        finally:
            connection.close()

    workers = [threading.Thread(target=run, args=(place,)) for place in range(len(bodies))]
    with threads._turn:
        for worker in workers:
            worker.start()
        while len(threads._waiting) < len(bodies):
            threading.Event().wait(0.001)
    for worker in workers:
        worker.join()
    return answers


def test_what_waits_for_a_turn_is_accepted_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = ShopFactory()
    bodies = [event(shop, f"e{number}") for number in range(6)]
    with groups(monkeypatch) as seen:
        answers = all_at_once(validate_event, bodies)
    assert [one.status for one in answers] == ["accepted"] * 6
    assert [len(ids) for ids in seen] == [6]
    assert [one.event.event_id for one in answers] == [body["id"] for body in bodies]
    for stored in Event.objects.all():
        assert stored.request_id == f"request-{stored.event_id}", "each keeps the request that brought it"


def test_each_event_of_a_turn_stands_alone() -> None:
    shop = ShopFactory()
    stranger = event(shop, "unknown") | {"site_id": "99999999"}
    bodies = [event(shop, "one"), event(shop, "one"), event(shop, "one", amount=5), stranger, event(shop, "two")]
    answers = all_at_once(validate_event, bodies)
    said = sorted((one.status, type(one.error).__name__) for one in answers)
    # Whichever of the first three comes first counts; the others repeat or contradict it.
    assert said.count(("accepted", "NoneType")) == 2
    assert {EventInvalid.__name__, EventConflict.__name__} <= {name for _status, name in said}
    assert set(Event.objects.values_list("event_id", flat=True)) == {"one", "two"}


def test_what_fails_fails_for_its_own_request_only() -> None:
    shop = ShopFactory()

    class Broken(ValidEvent):
        @property
        def body_hash(self) -> str:
            raise RuntimeError("a defect on one event")

    def bring(body: dict[str, Any]) -> ValidEvent:
        valid = validate_event(body)
        return Broken(**vars(valid)) if valid.id == "bad" else valid

    answers = all_at_once(bring, [event(shop, "a"), event(shop, "bad"), event(shop, "b"), event(shop, "c")])
    assert [type(one) for one in answers] == [Outcome, RuntimeError, Outcome, Outcome]
    assert set(Event.objects.values_list("event_id", flat=True)) == {"a", "b", "c"}
