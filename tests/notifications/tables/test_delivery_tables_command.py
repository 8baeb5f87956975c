"""`delivery_tables`: the documented JSON and CSV of one company."""

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from notifications import settings_facts
from notifications.tables import compute
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
    "digest",
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


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("shops", [0, 2])
def test_the_pieces_of_the_document_are_its_text(indent: int | None, shops: int) -> None:
    company = CompanyFactory(name='Zoé "quotée"\n[]', incident_emails=[] if shops else ["a@x.example"])
    for _number in range(shops):
        NotificationRuleFactory(shop=ShopFactory(company=company), ipn=True, recipients=[])
    facts = settings_facts.company_facts(company)
    for shown in (facts, replace(facts, reference='["a", []]')):
        tables = compute.delivery_tables(shown, why_not=False)
        document = compute.delivery_tables_json(tables)
        assert "".join(compute.json_chunks(tables, indent=indent)) == json.dumps(
            document, ensure_ascii=False, indent=indent
        )
    assert "".join(compute.json_chunks(compute.DeliveryTables(facts, [], []), indent=indent)) == json.dumps(
        {"company": facts.reference, "addresses": [], "gaps": []}, ensure_ascii=False, indent=indent
    )


def test_what_is_not_received_is_left_out_where_nobody_reads_it() -> None:
    shop = ShopFactory(manager_email="paris@x.example")
    NotificationRuleFactory(shop=shop, enabled=False)
    facts = settings_facts.company_facts(shop.company)
    whole, lean = compute.delivery_tables(facts), compute.delivery_tables(facts, why_not=False)
    assert any(table.why_not for table in whole.addresses)
    assert not any(table.why_not for table in lean.addresses)
    assert compute.delivery_tables_json(whole) == compute.delivery_tables_json(lean)
    assert list(compute.table_rows(whole)) == list(compute.table_rows(lean))


def test_a_row_counts_the_roles_of_an_address_that_many_shops_inherit() -> None:
    rows = [["company_manager", *(f"shop_manager:{number:08}" for number in range(count))] for count in (20, 21)]
    tables = [compute.AddressTable("a@x.example", "a@x.example", roles) for roles in rows]
    facts = settings_facts.company_facts(CompanyFactory())
    _header, few, many = compute.table_rows(compute.DeliveryTables(facts, tables, []))
    assert few[1] == " ".join(rows[0])
    assert many[1] == "company_manager shop_manager×21"
