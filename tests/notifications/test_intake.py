"""Events from outside: strict JSON, every rule of the form, one digest for equal contents."""

import json
from typing import Any

import pytest

from notifications.intake import EventInvalid, NotJson, parse_json, validate_event

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
