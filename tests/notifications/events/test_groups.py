"""Events accepted many at a time: each stands or falls alone, and a group costs by the table, not by the event."""

import io
import sys
from collections import Counter
from typing import Any

import pytest
from django.db import connection
from django.template.base import Template
from django.test.utils import CaptureQueriesContext

from notifications.events import doorbell, hooks, publishing
from notifications.events.intake import EventInvalid, ValidEvent, validate_event
from notifications.events.publishing import GROUP, accept_event, accept_events
from notifications.management.commands import publish as command
from notifications.models import Delivery, Event, Message
from shops.models import Shop
from tests.factories import ContractFactory, NotificationRuleFactory, ShopFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _has_rules(shop: Shop) -> None:
    with_rules(shop)


def with_rules(shop: Shop) -> Shop:
    """The shop with a rule that writes and one that calls, when a payment is accepted."""
    NotificationRuleFactory(shop=shop, reference="mail", recipients=[f"{shop.site_id}@agence.example"])
    NotificationRuleFactory(
        shop=shop, reference="call", type="ipn_call", url_production=f"https://receiver.example/{shop.site_id}"
    )
    return shop


def event(number: int, **given: Any) -> ValidEvent:
    body = {
        "id": f"evt-{number}",
        "type": "payment.accepted",
        "site_id": "10000001",
        "mode": "PRODUCTION",
        "occurred_at": "2026-11-23T10:00:00Z",
        "data": {"amount": 1000 + number, "currency": "EUR", "transaction_id": f"{number:06d}"},
    }
    return validate_event(body | given)


# --- What it costs --------------------------------------------------------------------------------

_opened: list[str] | None = None


def _listen(name: str, arguments: tuple[Any, ...]) -> None:
    if name == "open" and _opened is not None:
        _opened.append(str(arguments[0]))


# A hook stays as long as the process; it notes nothing unless a test asks.
sys.addaudithook(_listen)


class Cost:
    """What accepting some events costs: statements by verb, opened files, compiled templates."""

    def __init__(self, events: list[ValidEvent], monkeypatch: pytest.MonkeyPatch) -> None:
        global _opened
        compiled: list[str] = []
        compile_nodelist = Template.compile_nodelist

        def counted(template: Template) -> Any:
            compiled.append(str(template.name))
            return compile_nodelist(template)

        _opened = []
        try:
            with monkeypatch.context() as patch, CaptureQueriesContext(connection) as queries:
                patch.setattr(Template, "compile_nodelist", counted)
                outcomes = accept_events(valid=events)
            self.opened = [name for name in _opened if "sqlite3" not in name]
        finally:
            _opened = None
        assert [outcome.status for outcome in outcomes] == ["accepted"] * len(events)
        self.compiled = compiled
        # Inside the transaction of a test each transaction is a savepoint.
        self.verbs = Counter(query["sql"].split()[0] for query in queries)


def test_a_group_costs_by_the_table_and_not_by_the_event(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shops = [shop, *(with_rules(ShopFactory()) for _ in range(9))]
    accept_event(valid=event(0))

    single = Cost([event(1)], monkeypatch)
    group = Cost([event(100 + n, site_id=shops[n % 10].site_id) for n in range(100)], monkeypatch)

    # Shops, companies, ids, rules, contacts, suppressed addresses, contracts.
    assert group.verbs["SELECT"] == single.verbs["SELECT"] == 7
    # Events, messages, deliveries; SQLite takes about a thousand values in a statement.
    assert single.verbs["INSERT"] == 3
    # PostgreSQL takes the deliveries by COPY.
    assert group.verbs["INSERT"] == 2 if connection.vendor == "postgresql" else group.verbs["INSERT"] <= 12
    assert group.verbs["SAVEPOINT"] == single.verbs["SAVEPOINT"] == 1
    assert group.verbs["UPDATE"] == group.verbs["DELETE"] == 0
    assert single.opened == group.opened == []
    assert single.compiled == group.compiled == []
    assert Message.objects.count() == 102
    assert Delivery.objects.count() == 204


def test_the_transactions_of_many_events_are_their_groups(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Cost([event(n) for n in range(GROUP + 1)], monkeypatch).verbs["SAVEPOINT"] == 2


def test_many_events_of_unknown_shops_open_no_transaction(shop: Shop) -> None:
    events = [event(n, site_id=f"{n:08d}") for n in range(3 * GROUP)] + [event(1)]
    with CaptureQueriesContext(connection) as queries:
        outcomes = accept_events(valid=events)
    assert [outcome.status for outcome in outcomes] == ["rejected"] * 3 * GROUP + ["accepted"]
    assert "00000007" in str(outcomes[7].error)
    assert sum(query["sql"].startswith("SAVEPOINT") for query in queries) == 1


def test_a_stranger_learns_of_no_shop_by_sending_many_events(shop: Shop) -> None:
    other = ShopFactory().company
    outcomes = accept_events(valid=[event(n) for n in range(GROUP + 1)], company=other)
    assert {outcome.status for outcome in outcomes} == {"rejected"}
    (unknown,) = accept_events(valid=[event(1)], company=other)
    assert str(outcomes[0].error) == str(unknown.error)


def test_the_doorbell_rings_once_for_a_group(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    rings: list[int] = []
    monkeypatch.setattr(doorbell, "ring", lambda: rings.append(1))
    with django_capture_on_commit_callbacks(execute=True):
        accept_events(valid=[event(n) for n in range(GROUP)])
    assert len(rings) == 1


# --- Each on its own ------------------------------------------------------------------------------


def test_each_event_of_a_group_is_judged_alone(shop: Shop) -> None:
    accept_event(valid=event(1))
    given = [event(1), event(1, mode="TEST"), event(2), event(2), event(2, mode="TEST"), event(3, site_id="99999999")]
    outcomes = accept_events(valid=[*given, event(4)])
    said = [outcome.status for outcome in outcomes]
    assert said == ["duplicate", "rejected", "accepted", "duplicate", "rejected", "rejected", "accepted"]
    assert outcomes[2].event == outcomes[3].event
    assert [type(outcome.error).__name__ for outcome in outcomes if outcome.error] == [
        "EventConflict", "EventConflict", "EventInvalid",
    ]  # fmt: skip
    assert Event.objects.count() == 3
    assert Delivery.objects.count() == 6


def test_every_shop_of_a_group_follows_its_own_settings(shop: Shop) -> None:
    other = with_rules(ShopFactory(site_id="10000002"))
    ContractFactory(shop=other, number="5785350")
    accept_events(valid=[event(1), event(2, site_id="10000002"), event(3)])
    rows = Delivery.objects.order_by("created_at").values_list("event__event_id", "channel", "address")
    assert list(rows) == [
        ("evt-1", "email", "10000001@agence.example"),
        ("evt-1", "ipn", "https://receiver.example/10000001"),
        ("evt-2", "email", "10000002@agence.example"),
        ("evt-2", "ipn", "https://receiver.example/10000002"),
        ("evt-3", "email", "10000001@agence.example"),
        ("evt-3", "ipn", "https://receiver.example/10000001"),
    ]
    called = Delivery.objects.filter(channel="ipn").order_by("created_at")
    assert ["5785350" in str(row.call) for row in called] == [False, True, False]


@pytest.mark.parametrize("place", [0, 137, 299])
def test_what_a_listener_refuses_touches_no_other_event(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    def listener(recorded: Event) -> None:
        if recorded.event_id == f"evt-{place}":
            raise EventInvalid([("data", "non")])

    monkeypatch.setattr(hooks, "listeners", lambda: [listener])
    outcomes = accept_events(valid=[event(n) for n in range(300)])
    assert [n for n, outcome in enumerate(outcomes) if outcome.status != "accepted"] == [place]
    assert str(outcomes[place].error) == "data: non"
    assert Event.objects.count() == 299
    assert Delivery.objects.exclude(event__event_id=f"evt-{place}").count() == Delivery.objects.count() == 598


def test_a_defect_is_raised_when_all_others_are_through(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def listener(recorded: Event) -> None:
        if recorded.event_id == "evt-1":
            raise ZeroDivisionError

    monkeypatch.setattr(hooks, "listeners", lambda: [listener])
    with pytest.raises(ZeroDivisionError):
        accept_events(valid=[event(n) for n in range(10)])
    assert sorted(Event.objects.values_list("event_id", flat=True)) == [f"evt-{n}" for n in range(10) if n != 1]


def test_ids_that_another_process_has_just_accepted_are_duplicates(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    accept_events(valid=[event(n) for n in range(3)])
    looks: list[int] = []
    known_events = publishing._known_events

    def late(*arguments: Any) -> Any:
        looks.append(1)
        return {} if len(looks) == 1 else known_events(*arguments)

    monkeypatch.setattr(publishing, "_known_events", late)
    outcomes = accept_events(valid=[event(n) for n in range(5)])
    assert [outcome.status for outcome in outcomes] == ["duplicate"] * 3 + ["accepted"] * 2
    assert Delivery.objects.count() == 10


# --- Lines of a file ------------------------------------------------------------------------------


class Trickle(io.RawIOBase):
    """A pipe that brings its pieces one at a time."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self.pieces.pop(0) if self.pieces else b""
        buffer[: len(piece)] = piece
        return len(piece)


def groups_of(*pieces: bytes) -> Any:
    return list(command._groups(io.BufferedReader(Trickle(*pieces), 1 << 20)))


def test_what_a_pipe_brings_waits_for_nothing() -> None:
    assert groups_of(b"a\nb\n", b"c", b"d\n", b"\r\ne") == [
        [(1, b"a"), (2, b"b")],
        [(3, b"cd")],
        [(4, b"\r")],
        [(5, b"e")],
    ]
    assert groups_of() == []


def test_no_group_is_larger_than_the_limit() -> None:
    assert [len(group) for group in groups_of(b"x\n" * (2 * GROUP + 1))] == [GROUP, GROUP, 1]


def test_a_line_over_the_limit_is_skipped_whole(settings: Any) -> None:
    settings.API_MAX_BODY_BYTES = 4
    assert groups_of(b"1234\r\n", b"12345\n", b"123", b"456789", b"0\nok\n", b"99999") == [
        [(1, b"1234\r")],
        [(2, None)],
        [(3, None), (4, b"ok")],
        [(5, None)],
    ]
