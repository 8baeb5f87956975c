"""`publish`: one event a line, each its own transaction; what is refused, what counts as the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from notifications.models import Delivery, Event
from shops.models import Shop
from tests.factories import NotificationRuleFactory

pytestmark = pytest.mark.django_db


def event(**fields: Any) -> dict[str, Any]:
    return {
        "id": "evt-1",
        "type": "payment.accepted",
        "site_id": "10000001",
        "mode": "PRODUCTION",
        "occurred_at": "2026-11-23T10:00:00Z",
        "data": {"amount": 1990, "currency": "EUR"},
        **fields,
    }


@pytest.fixture
def publish(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that publishes lines and returns (exit code, last line, standard error)."""

    def run(*lines: Any) -> tuple[int, str, str]:
        path = tmp_path / "events.jsonl"
        path.write_bytes(b"\n".join(x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines) + b"\n")
        capsys.readouterr()
        code = 0
        try:
            call_command("publish", str(path))
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return code, said.out.splitlines()[-1], said.err

    return run


@pytest.fixture(autouse=True)
def _has_a_rule(shop: Shop) -> None:
    NotificationRuleFactory(shop=shop, reference="mail", recipients=["@shop_manager", "b@x.example"])


def test_an_event_is_accepted_once_and_its_twin_sends_nothing(publish: Any) -> None:
    shuffled = json.dumps(dict(reversed(event(occurred_at="2026-11-23T11:00:00+01:00").items())), indent=None).encode()
    assert publish(event(), b"", shuffled)[:2] == (0, "accepted=1 duplicate=1 rejected=0")
    assert publish(event())[1] == "accepted=0 duplicate=1 rejected=0"
    assert Delivery.objects.count() == 2


def test_the_same_id_with_another_body_is_a_conflict(publish: Any) -> None:
    code, last, said = publish(event(), event(data={"amount": 1991, "currency": "EUR"}))
    assert (code, last) == (1, "accepted=1 duplicate=0 rejected=1")
    assert said.startswith("line 2: id")
    assert Event.objects.get().data["amount"] == 1990


def test_a_bad_line_does_not_stop_the_good_ones(publish: Any) -> None:
    code, last, said = publish(
        event(id="a"), b"{nope", event(id="b"), b"\xff", event(id="c", site_id="99999999"), event(id="d")
    )
    assert (code, last) == (1, "accepted=3 duplicate=0 rejected=3")
    assert [line.split(":")[0] for line in said.splitlines()] == ["line 2", "line 4", "line 5"]


def test_a_line_over_two_mebibytes_is_refused_and_the_next_is_read(publish: Any) -> None:
    code, last, said = publish(event(id="big", data={"x": "y" * 10_000_000}), event(id="after"))
    assert (code, last) == (1, "accepted=1 duplicate=0 rejected=1")
    assert said.startswith("line 1: ")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"colour": "red"}, "colour"),
        ({"version": 2}, "version"),
        ({"version": True}, "version"),
        ({"id": ""}, "id"),
        ({"id": 5}, "id"),
        ({"id": "x" * 201}, "id"),
        ({"type": "payment.exploded"}, "type"),
        ({"type": "shop.created"}, "type"),
        ({"type": "production_key.regenerated"}, "type"),
        ({"site_id": 10000001}, "site_id"),
        ({"site_id": "1000001"}, "site_id"),
        ({"mode": "test"}, "mode"),
        ({"occurred_at": "2026-11-23T10:00:00"}, "occurred_at"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at"),
        ({"data": []}, "data"),
        ({"data": {"amount": 19.0}}, "data.amount"),
        ({"data": {"amount": "19"}}, "data.amount"),
        ({"data": {"amount": True}}, "data.amount"),
        ({"data": {"amount": -1}}, "data.amount"),
        ({"data": {"currency": "eur"}}, "data.currency"),
        ({"data": {"source": "FAX"}}, "data.source"),
        ({"data": {"instalments": "yes"}}, "data.instalments"),
        ({"data": {"buyer_email": 5}}, "data.buyer_email"),
    ],
)
def test_a_wrong_field_is_named(publish: Any, change: dict[str, Any], name: str) -> None:
    code, last, said = publish(event(**change))
    assert (code, last) == (1, "accepted=0 duplicate=0 rejected=1")
    assert f"{name}: " in said
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "raw",
    [
        b"[]",
        b"null",
        json.dumps(event()).replace("1990", "NaN").encode(),
        json.dumps(event()).replace("1990", "1e999").encode(),
        json.dumps(event(id="a\x00b")).encode(),
        json.dumps(event()).replace("EUR", "\\ud800").encode(),
        b"[" * 100_000,
        b'{"id": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_event_is_refused_without_a_trace(publish: Any, raw: bytes) -> None:
    code, last, said = publish(raw)
    assert (code, last) == (1, "accepted=0 duplicate=0 rejected=1")
    assert said.startswith("line 1: ")
    assert "Traceback" not in said


def test_unknown_data_is_kept(publish: Any) -> None:
    publish(event(data={"colour": {"deep": [1, None, "é"]}}))
    assert Event.objects.get().data == {"colour": {"deep": [1, None, "é"]}}


@pytest.mark.parametrize(
    ("buyer", "status"),
    [
        ("b@x.example", "queued"),
        (None, "not_sent"),
        ("", "not_sent"),
        ("a@x.example; b@x.example", "not_sent"),
        ("x" * 500, "not_sent"),
        ("İ" * 500, "not_sent"),
        ("a@" + "é." * 240 + "example", "not_sent"),
    ],
)
def test_a_buyer_mail_without_a_usable_address_is_journaled_as_not_sent(
    publish: Any, shop: Shop, buyer: Any, status: str
) -> None:
    NotificationRuleFactory(shop=shop, reference="buyer", buyer=True)
    assert publish(event(data={"buyer_email": buyer}))[1] == "accepted=1 duplicate=0 rejected=0"
    row = Delivery.objects.get(notification="buyer_email")
    assert row.status == status
    assert bool(row.error) is (status == "not_sent")
    assert Delivery.objects.filter(notification="merchant_email", status="queued").count() == 2
