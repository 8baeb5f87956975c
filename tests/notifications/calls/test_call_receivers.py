"""Calls against receivers: real servers written from the documentation accept ours and refuse a changed byte."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.calls import payloads
from notifications.calls.fields import FIELDS, CallFacts
from notifications.core.catalogue import SOURCES_OF_EVENT, TRIGGERS
from tests.ports import free_port
from tests.receivers import Receiver
from tests.waiting import PATIENCE

OCCURRED = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
PHP = Path(__file__).parents[2] / "receivers" / "receiver.php"
ALGORITHMS = ("HMAC-SHA-256", "SHA-1")
HOSTILE = (
    "Éloïse Žižka", "東京 🎉👩‍🚀", "a+b=c&d=e%20%2B", "line 1\r\nline 2\ttab", 'say "hi" it\'s', "C:\\dir\\/x", "\\\\/", "</script>",
    "https://x.example/?a=1&b=2", "\\u0041\\n", "{}[]#;", "\x7f\x01", "e\u0301\u2028\ufeff", "''\\'",
)  # fmt: skip


def call_facts(mode: str = "TEST", **data: Any) -> CallFacts:
    return CallFacts("payment.accepted", mode, "10000001", OCCURRED, "evt-1", data)


def form_body(facts: CallFacts, receiver: Receiver, **options: Any) -> tuple[bytes, str]:
    return payloads.form_call(
        payloads.form_fields(facts), check_src="PAY", unique="0f" * 32, key=receiver.keys[facts.mode],
        algorithm=receiver.algorithm, **options,
    )  # fmt: skip


def rest_body(facts: CallFacts, receiver: Receiver) -> tuple[bytes, str]:
    answer = payloads.rest_answer(facts, server_date=OCCURRED)
    return payloads.rest_call(answer, password=receiver.passwords[facts.mode])


def post(port: int, path: str, body: bytes, content_type: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("POST", path, body, {"Content-Type": content_type})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def tampered(body: bytes, value: str) -> bytes:
    """The body with one character of one value changed; everything else, signature included, as it was."""
    old, new = quote_plus(value), quote_plus(f"{value[:-1]}{'y' if value[-1] != 'y' else 'z'}")
    assert body.count(old.encode()) >= 1
    return body.replace(old.encode(), new.encode())


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.mark.parametrize("mode", ["TEST", "PRODUCTION"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_receiver_accepts_form_calls_and_reads_what_was_meant(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, mode: str, algorithm: str
) -> None:
    monkeypatch.setattr(receiver, "algorithm", algorithm)
    for text in HOSTILE:
        body, content_type = form_body(call_facts(mode, order_id=f"x{text}x"), receiver)
        assert post(receiver.port, "/form", body, content_type) == (200, "OK")
        assert receiver.calls[-1].parameters["vads_order_id"] == f"x{text}x"
        changed = tampered(body, f"x{text}x")
        assert post(receiver.port, "/form", changed, content_type) == (400, "signature")


@pytest.mark.parametrize("mode", ["TEST", "PRODUCTION"])
def test_a_receiver_accepts_rest_calls_and_reads_what_was_meant(receiver: Receiver, mode: str) -> None:
    for text in HOSTILE:
        body, content_type = rest_body(call_facts(mode, order_id=f"x{text}x", amount=1990), receiver)
        assert post(receiver.port, "/rest", body, content_type) == (200, "OK")
        assert receiver.calls[-1].answer["orderDetails"]["orderId"] == f"x{text}x"
        changed = body.replace(b"1990", b"1991")
        assert post(receiver.port, "/rest", changed, content_type) == (400, "kr-hash")


def test_the_key_of_another_mode_or_algorithm_is_refused(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = payloads.form_fields(call_facts("TEST"))
    keys = {"check_src": "PAY", "unique": "0f" * 32}
    for key, algorithm in [(receiver.keys["PRODUCTION"], "HMAC-SHA-256"), (receiver.keys["TEST"], "SHA-1")]:
        body, content_type = payloads.form_call(fields, **keys, key=key, algorithm=algorithm)  # type: ignore[arg-type]
        assert receiver.take("form", body, content_type).refusal == "signature"
    answer = payloads.rest_answer(call_facts("TEST"), server_date=OCCURRED)
    body, content_type = payloads.rest_call(answer, password=receiver.passwords["PRODUCTION"])
    assert receiver.take("rest", body, content_type).refusal == "mode"


# --- Any event -----------------------------------------------------------------------------------

# What intake lets through: no NUL, no half surrogate pair.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
ANY = st.one_of(
    TEXT, st.sampled_from(HOSTILE), st.integers(-(10**18), 10**18), st.booleans(), st.none(), st.floats(allow_nan=False),
    st.lists(TEXT, max_size=3), st.dictionaries(TEXT, TEXT, max_size=3),
)  # fmt: skip
KEYS = st.one_of(
    st.sampled_from([key for field in FIELDS for key in field.keys]),
    st.from_regex(r"ext_info_[A-Za-z0-9_]{1,8}", fullmatch=True),
    TEXT.filter(lambda key: key != "source"),
)
EVENTS = st.builds(
    lambda trigger, mode, data, source: CallFacts(
        trigger, mode, "10000001", OCCURRED, "evt-1", {**data, **({"source": source} if source else {})}
    ),
    st.sampled_from([trigger.code for trigger in TRIGGERS]),
    st.sampled_from(["TEST", "PRODUCTION"]),
    st.dictionaries(KEYS, ANY, max_size=12),
    st.sampled_from([None, *SOURCES_OF_EVENT]),
)


@given(facts=EVENTS, algorithm=st.sampled_from(ALGORITHMS), first=st.booleans(), chosen=st.data())
@settings(max_examples=200, deadline=None)
def test_any_event_gives_a_form_call_that_is_accepted_and_no_byte_of_it_can_change(
    facts: CallFacts, algorithm: str, first: bool, chosen: st.DataObject
) -> None:
    receiver = Receiver(algorithm=algorithm)
    body, content_type = form_body(facts, receiver, first=first)
    call = receiver.take("form", body, content_type)
    assert call.refusal == ""
    stored = payloads.form_fields(facts)
    assert stored == json.loads(json.dumps(stored))
    assert all(value and name.startswith("vads_") for name, value in stored.items())
    assert receiver.take("form", _change_a_byte(call.parameters, chosen, "vads_"), content_type).refusal != ""


@given(facts=EVENTS, chosen=st.data())
@settings(max_examples=200, deadline=None)
def test_any_event_gives_a_rest_call_that_is_accepted_and_no_byte_of_it_can_change(
    facts: CallFacts, chosen: st.DataObject
) -> None:
    receiver = Receiver()
    body, content_type = rest_body(facts, receiver)
    call = receiver.take("rest", body, content_type)
    assert call.refusal == ""
    assert call.answer == payloads.rest_answer(facts, server_date=OCCURRED)
    assert "\\/" not in call.parameters["kr-answer"]
    assert receiver.take("rest", _change_a_byte(call.parameters, chosen, "kr-answer"), content_type).refusal != ""


def _change_a_byte(parameters: dict[str, str], chosen: st.DataObject, prefix: str) -> bytes:
    """The call with one byte of one signed value replaced by another byte."""
    name = chosen.draw(st.sampled_from([name for name in parameters if name.startswith(prefix)]))
    value = bytearray(parameters[name].encode())
    position = chosen.draw(st.integers(0, len(value) - 1))
    value[position] ^= chosen.draw(st.integers(1, 255))
    pairs = {**{key: text.encode() for key, text in parameters.items()}, name: bytes(value)}
    return "&".join(f"{quote_plus(key)}={quote_plus(text)}" for key, text in pairs.items()).encode()


# --- PHP -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=ALGORITHMS)
def php(request: pytest.FixtureRequest) -> Iterator[tuple[int, Receiver]]:
    """A PHP server, and the keys it was given."""
    if not shutil.which("php"):
        pytest.skip("php is not installed")
    keys = Receiver(algorithm=request.param)
    port = free_port()
    environment = {
        **os.environ,
        "RECEIVER_KEY": keys.keys["TEST"],
        "RECEIVER_PASSWORD": keys.passwords["TEST"],
        "RECEIVER_ALGORITHM": request.param,
    }
    server = subprocess.Popen(
        ["php", "-n", "-S", f"127.0.0.1:{port}", str(PHP)], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port, server)
        yield port, keys
    finally:
        server.terminate()
        server.wait(PATIENCE)


def _wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert server.poll() is None
        try:
            socket.create_connection(("127.0.0.1", port), timeout=30).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the PHP server does not answer")


def test_php_accepts_form_calls_and_refuses_a_changed_byte(php: tuple[int, Receiver]) -> None:
    port, keys = php
    for text in HOSTILE:
        body, content_type = form_body(call_facts(order_id=f"x{text}x", ext_info_Plus="1+1"), keys)
        status, answer = post(port, "/", body, content_type)
        assert (status, json.loads(answer)) == (200, {"order": f"x{text}x", "status": "AUTHORISED"})
        assert post(port, "/", tampered(body, f"x{text}x"), content_type) == (400, "signature")


@pytest.mark.parametrize("path", ["/", "/?escaped"])
def test_php_accepts_rest_calls_and_refuses_a_changed_byte(php: tuple[int, Receiver], path: str) -> None:
    port, keys = php
    for text in HOSTILE:
        body, content_type = rest_body(call_facts(order_id=f"x{text}x", amount=1990), keys)
        status, answer = post(port, path, body, content_type)
        assert (status, json.loads(answer)) == (200, {"order": f"x{text}x", "status": "PAID"})
        assert post(port, path, body.replace(b"1990", b"1991"), content_type) == (400, "kr-hash")
