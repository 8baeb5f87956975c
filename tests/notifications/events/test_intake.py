"""Events from outside: strict JSON, every rule of the form, one digest for equal contents."""

import json
from typing import Any

import pytest

from notifications.events.intake import EventInvalid, NotJson, parse_json, validate_event

GOOD: dict[str, Any] = {
    "id": "evt-1",
    "type": "payment.accepted",
    "site_id": "10000001",
    "mode": "PRODUCTION",
    "occurred_at": "2026-11-23T10:00:00Z",
    "data": {"amount": 1990, "currency": "EUR", "anything": [1, {"deep": None}]},
}


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": "\\u0000"}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b"[" * 100_000,
        b"[" * 60 + b"]" * 60,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_not_strict_json_is_refused_with_a_reason(raw: bytes) -> None:
    with pytest.raises(NotJson) as caught:
        parse_json(raw)
    assert str(caught.value)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"id": "x" * 201}, "id"),
        ({"type": "payment.exploded"}, "type"),
        ({"type": "production_key.regenerated"}, "type"),
        ({"type": "shop.created"}, "type"),
        ({"site_id": "1000001"}, "site_id"),
        ({"site_id": 10000001}, "site_id"),
        ({"site_id": "١٠٠٠٠٠٠١"}, "site_id"),
        ({"mode": "production"}, "mode"),
        ({"occurred_at": "2026-11-23T10:00:00"}, "occurred_at"),
        ({"occurred_at": "2026-13-40T10:00:00Z"}, "occurred_at"),
        ({"version": 2}, "version"),
        ({"version": True}, "version"),
        ({"surprise": 1}, "surprise"),
        ({"data": []}, "data"),
        ({"data": {"amount": "19"}}, "data.amount"),
        ({"data": {"amount": 19.0}}, "data.amount"),
        ({"data": {"amount": True}}, "data.amount"),
        ({"data": {"amount": -1}}, "data.amount"),
        ({"data": {"currency": "eur"}}, "data.currency"),
        ({"data": {"source": "MOON"}}, "data.source"),
        ({"data": {"instalments": 3}}, "data.instalments"),
        ({"data": {"buyer_email": 3}}, "data.buyer_email"),
    ],
)
def test_a_refusal_names_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(EventInvalid) as caught:
        validate_event({**GOOD, **change})
    assert [name for name, _message in caught.value.errors] == [field]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"id": 7}, "« 7 »"),
        ({"type": "payment.exploded"}, "« payment.exploded »"),
        ({"type": "shop.created"}, "« shop.created »"),
        ({"site_id": "1000001"}, "« 1000001 »"),
        ({"mode": "production"}, "« production »"),
        ({"occurred_at": "hier"}, "« hier »"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "« 0001-01-01T00:00:00+14:00 »"),
        ({"version": 2}, "version 2"),
        ({"data": {"amount": 10**12 + 1}}, "« 1000000000001 »"),
        ({"data": {"amount": 19.5}}, "« 19.5 »"),
        ({"data": {"currency": "eur"}}, "« eur »"),
        ({"data": {"source": ["MOON"]}}, '« ["MOON"] »'),
        ({"data": {"instalments": 3}}, "« 3 »"),
        ({"data": {"contract": 5785350}}, "« 5785350 »"),
        ({"mode": "a\nb"}, "« a\ufffdb »"),
        ({"mode": "x" * 150}, "x" * 99 + "…"),
    ],
)
def test_a_refusal_names_the_value(change: dict[str, Any], named: str) -> None:
    with pytest.raises(EventInvalid) as caught:
        validate_event({**GOOD, **change})
    ((_name, message),) = caught.value.errors
    assert named in message


@pytest.mark.parametrize("body", [None, [], "evt", 7, True])
def test_an_event_is_an_object(body: Any) -> None:
    with pytest.raises(EventInvalid):
        validate_event(body)


def test_all_errors_are_told_at_once() -> None:
    with pytest.raises(EventInvalid) as caught:
        validate_event({"id": "", "mode": "X"})
    assert {name for name, _message in caught.value.errors} == {"id", "type", "site_id", "mode", "occurred_at"}


def test_unknown_keys_of_data_are_kept() -> None:
    assert validate_event(GOOD).data["anything"] == [1, {"deep": None}]


def test_equal_contents_have_one_digest_and_others_another() -> None:
    first = validate_event(GOOD).body_hash
    turned = json.loads(json.dumps(dict(reversed(GOOD.items())), indent=4))
    assert validate_event(turned).body_hash == first
    assert validate_event({**GOOD, "occurred_at": "2026-11-23T11:00:00+01:00", "version": 1}).body_hash == first
    assert validate_event({**GOOD, "data": {**GOOD["data"], "amount": 1991}}).body_hash != first
    assert validate_event({**GOOD, "mode": "TEST"}).body_hash != first


def test_the_spelling_of_the_bytes_does_not_change_the_digest() -> None:
    compact = b'{"id":"evt-1","type":"payment.accepted","site_id":"10000001","mode":"TEST",'
    compact += b'"occurred_at":"2026-11-23T10:00:00Z","data":{"order_id":"\\u00e9t\\u00e9","amount":5}}'
    spaced = """
        { "data": { "amount" : 5, "order_id" : "été" }, "occurred_at": "2026-11-23T05:00:00-05:00",
          "mode": "TEST", "site_id": "10000001", "type": "payment.accepted", "id": "evt-1" }
    """.encode()
    digests = {validate_event(parse_json(raw)).body_hash for raw in (compact, spaced)}
    assert len(digests) == 1
