"""`delivery_tables`: the documented JSON and CSV of one company."""

import csv
import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.factories import CompanyFactory, NotificationRuleFactory, ShopFactory

pytestmark = pytest.mark.django_db
LINE_KEYS = [
    "notification",
    "shop",
    "rule",
    "account",
    "triggers",
    "as",
    "source",
    "condition",
    "reason",
    "configured_at",
]


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Any:
    company = CompanyFactory(reference="x", manager__email="Claire@x.example", with_technical=True)
    shop = ShopFactory(company=company, site_id="10000001")
    NotificationRuleFactory(shop=shop, reference="ipn", ipn=True, recipients=[])

    def run(*options: str) -> str:
        capsys.readouterr()
        call_command("delivery_tables", "x", *options)
        return capsys.readouterr().out

    return run


def test_the_json_has_the_documented_shape(output: Any) -> None:
    document = json.loads(output("--format", "json", "--language", "en"))
    assert list(document) == ["company", "addresses", "gaps"]
    first = document["addresses"][0]
    assert first["email"] == "Claire@x.example"
    assert first["roles"] == ["company_manager", "shop_manager:10000001"]
    assert all(list(line) == LINE_KEYS for line in first["receives"])
    created = next(line for line in first["receives"] if line["notification"] == "shop_created")
    assert (created["shop"], created["as"], created["source"], created["triggers"]) == (
        "10000001",
        "to",
        "shop_manager",
        [],
    )
    assert created["configured_at"] == "/settings/shops/10000001/configuration/"
    assert next(a for a in document["addresses"] if "technical_contact" in a["roles"])["receives"] == []
    assert [(g["notification"], g["rule"], g["on_purpose"]) for g in document["gaps"]] == [
        ("ipn_failure", "ipn", True),
        ("platform_incident", None, False),
    ]


def test_the_csv_has_one_row_a_line_and_one_for_an_address_without_lines(output: Any) -> None:
    document = json.loads(output("--format", "json"))
    rows = list(csv.DictReader(io.StringIO(output("--format", "csv"))))
    assert len(rows) == sum(max(1, len(address["receives"])) for address in document["addresses"])
    technical = [row for row in rows if row["email"].startswith("technical@")]
    assert [row["notification"] for row in technical] == [""]


def test_an_unknown_company_is_refused_by_name() -> None:
    with pytest.raises(CommandError, match="nobody"):
        call_command("delivery_tables", "nobody")
