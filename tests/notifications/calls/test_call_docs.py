"""docs/ipn.md against the code: its tables are complete and its examples work."""

import base64
import hmac
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from notifications.calls import fields, payloads
from notifications.core.catalogue import SOURCES_OF_EVENT
from tests.waiting import PATIENCE

TEXT = (Path(__file__).parents[3] / "docs" / "ipn.md").read_text(encoding="utf-8")
FACTS = fields.CallFacts(
    "payment.accepted", "TEST", "10000001", datetime(2026, 11, 23, tzinfo=UTC), "evt-1",
    {"order_id": "é+/\\/\"'", "cust_name": "Zoé & Cie"},
)  # fmt: skip
KEY = "1122334455667788"


def section(title: str) -> str:
    return TEXT.split(f"## {title}\n")[1].split("\n## ")[0]


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def form() -> dict[str, str]:
    body, _ = payloads.form_call(
        payloads.form_fields(FACTS), check_src="PAY", unique="0" * 64, key=KEY, algorithm="HMAC-SHA-256"
    )
    return dict(parse_qsl(body.decode("ascii"), strict_parsing=True))


def rest() -> dict[str, str]:
    body, _ = payloads.rest_call(payloads.rest_answer(FACTS, server_date=FACTS.occurred_at), password=KEY)
    return dict(parse_qsl(body.decode("ascii"), strict_parsing=True))


def test_every_field_and_no_other_is_documented() -> None:
    documented = set(re.findall(r"`vads_([A-Za-z0-9_]+)`", section("Form V1/V2: the fields")))
    own = {"site_id", "ctx_mode", "version", "url_check_src", "hash"}
    assert documented - {"product_amountN"} == own | {field.name for field in fields.FIELDS}


def test_every_other_name_of_a_value_is_documented() -> None:
    text = section("Form V1/V2: the fields")
    others = {(key, field.name) for field in fields.FIELDS for key in field.keys if key != field.name}
    assert {key for key, name in others} == {"transaction_id", "buyer_email", "contract", "network"}
    assert all(re.search(rf"`{key}`\s(is\ssent\sunchanged\s)?as\s`vads_{name}`", text) for key, name in others)


def test_the_meanings_of_the_triggers_are_documented() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| (\S+) \| (\S+) \| (\S+) \|$", TEXT, re.MULTILINE)
    documented = {code: tuple(cell.strip("`–") for cell in cells) for code, *cells in rows}
    assert documented == {
        code: (meaning.status, meaning.operation, meaning.page_action) for code, meaning in fields.MEANINGS.items()
    }


def test_every_source_of_a_call_is_documented() -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", section("Form V1/V2: why was it sent?"), re.MULTILINE))
    made = {fields.check_source(code, source) for code in fields.MEANINGS for source in (None, *SOURCES_OF_EVENT)}
    assert documented == made | {"RETRY", "BO"}


@pytest.mark.parametrize(("number", "fields", "signed"), [(0, form(), "vads_order_id"), (1, rest(), "kr-answer")])
def test_the_python_example_believes_a_call_and_no_changed_one(
    number: int, fields: dict[str, str], signed: str
) -> None:
    names: dict[str, Any] = {"base64": base64, "hmac": hmac}
    exec(examples("python")[number], names)
    assert names["is_genuine"](fields, KEY) is True
    assert names["is_genuine"]({**fields, signed: fields[signed] + " "}, KEY) is False
    assert names["is_genuine"](fields, "another") is False


@pytest.mark.parametrize(("number", "fields", "signed"), [(0, form(), "vads_order_id"), (1, rest(), "kr-answer")])
def test_the_php_example_believes_a_call_and_no_changed_one(number: int, fields: dict[str, str], signed: str) -> None:
    if not shutil.which("php"):
        pytest.skip("php is not installed")

    def run(post: dict[str, str]) -> str:
        start = "$_POST = json_decode(file_get_contents('php://stdin'), true); $key = $password = '" + KEY + "';"
        script = f"{start}{examples('php')[number]} echo 'genuine';"
        done = subprocess.run(
            ["php", "-n", "-r", script], input=json.dumps(post), capture_output=True, text=True, timeout=PATIENCE
        )
        return done.stdout

    assert run(fields) == "genuine"
    assert run({**fields, signed: fields[signed] + " "}) == ("kr-hash" if number else "signature")
