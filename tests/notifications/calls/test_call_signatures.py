"""Signatures of notification calls, against vectors made by other means than our code."""

from typing import Any
from urllib.parse import parse_qs

import pytest

from notifications.calls import payloads, signing
from notifications.calls.texts import json_text

FIELDS = {
    "vads_amount": "5124",
    "vads_ctx_mode": "TEST",
    "vads_currency": "978",
    "vads_operation_type": "DEBIT",
    "vads_site_id": "12345678",
    "vads_trans_id": "123456",
    "vads_trans_status": "AUTHORISED",
    "vads_version": "V2",
}
KEY = "1122334455667788"


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("HMAC-SHA-256", "6ytyj+IfB/PHK4KcQvbcaE7iV9RWdNA/1NQxwPv6780="),
        ("SHA-1", "37fc79a971a40e3e0c51dadcfb33df0db6aa81c7"),
    ],
)
def test_a_form_call_carries_the_documented_signature(algorithm: str, expected: str) -> None:
    body, content_type = payloads.form_call(FIELDS, check_src="PAY", unique="0" * 64, key=KEY, algorithm=algorithm)
    sent = parse_qs(body.decode("ascii"), strict_parsing=True)
    assert content_type == "application/x-www-form-urlencoded; charset=UTF-8"
    assert sent == {
        **{name: [value] for name, value in FIELDS.items()},
        "vads_hash": ["0" * 64],
        "vads_url_check_src": ["PAY"],
        "signature": [expected],
    }


# Made with `openssl dgst`, not with Python:
#   printf '%s' 'é+a+b+clé' | openssl dgst -sha256 -hmac 'clé' -binary | base64, and -sha1.
@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("HMAC-SHA-256", "xkwVPim9dqnw4xoZkQ2DWyFjbGQT3wAHHM68oqMwJH8="),
        ("SHA-1", "88db88d4674580f4fff5c3128836725de27debd4"),
    ],
)
def test_values_and_key_are_signed_as_utf_8_and_a_plus_in_a_value_stays(algorithm: str, expected: str) -> None:
    fields = {"vads_b": "a+b", "other": "unsigned", "vads_a": "é", "Vads_c": "unsigned", "signature": "unsigned"}
    assert signing.form_signature(fields, "clé", algorithm) == expected


def test_an_unknown_algorithm_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="MD5"):
        signing.form_signature(FIELDS, KEY, "MD5")


# printf '%s' '{"a":"é/\""}' | openssl dgst -sha256 -hmac testpassword_é
def test_the_hash_of_a_rest_call_is_over_the_text_in_utf_8() -> None:
    assert (
        signing.rest_hash('{"a":"é/\\""}', "testpassword_é")
        == "06f28f700816e71e06a7cfc41dbb7ff83fa8313d7a3e1bb198a18cdab86519a9"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": "http://x/é"}, '{"a":"http://x/é"}'),
        # A backslash before a slash would be taken for an escaped slash.
        ({"a": "\\/"}, '{"a":"\\u005c/"}'),
        ({"a": '"\\"\n'}, '{"a":"\\"\\u005c\\"\\n"}'),
        ({"a": [1, None, True]}, '{"a":[1,null,true]}'),
    ],
)
def test_json_never_holds_an_escaped_slash(value: Any, expected: str) -> None:
    assert json_text(value) == expected
