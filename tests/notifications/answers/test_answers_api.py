"""`explain` and `coverage`, on the command line and over HTTP: the same document, the same refusals."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from companies.models import Company, User
from notifications.models import NotificationRule
from shops.models import Shop
from tests.factories import (
    CompanyFactory,
    NotificationRuleFactory,
    SftpAccountFactory,
)
from tests.notifications.api.test_api import Caller

pytestmark = pytest.mark.django_db

TABLES = "/api/v1/companies/lumiere/delivery-tables"
EXPLAIN, COVERAGE = "/api/v1/companies/lumiere/explain", "/api/v1/companies/lumiere/coverage"
KEYS = [
    "notification",
    "shop",
    "rule",
    "account",
    "delivers",
    "as",
    "source",
    "condition",
    "obstacles",
    "instead",
    "reason",
]


@pytest.fixture(autouse=True)
def _settings(company: Company, lyon: Shop, claire: User) -> None:
    NotificationRuleFactory(
        shop=lyon,
        reference="gros",
        triggers=["payment.accepted"],
        conditions=[{"variable": "amount", "operator": "gt", "value": 1000}],
    )
    SftpAccountFactory(company=company, login="compta")


@pytest.fixture
def explain(company: Company, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*options: str, address: str = "claire@lumiere.example") -> Any:
        capsys.readouterr()
        call_command("explain", "lumiere", "--address", address, "--format", "json", *options)
        return json.loads(capsys.readouterr().out)

    return run


def test_the_document_has_the_described_shape(explain: Any) -> None:
    document = explain("--language", "en")
    assert list(document) == ["company", "address", "receives", "roles", "answers"]
    assert document["roles"][:2] == ["company_manager", "shop_manager:10000002"]
    assert document["receives"] is True
    assert all(list(answer) == KEYS for answer in document["answers"])
    # One for each shop row, the shop's rule, the missing kind of rule, three of the company, two accounts.
    assert len(document["answers"]) == 8 + 1 + 1 + 3 + 2


def test_the_api_gives_the_document_of_the_command(explain: Any, company: Company) -> None:
    for caller in (Caller(company), Caller()):
        answer = caller.get(EXPLAIN, {"address": "claire@lumiere.example"})
        assert answer.status_code == 200
        assert answer.json() == explain()
    english = Caller(company).get(EXPLAIN, {"address": "claire@lumiere.example"}, language="en")
    assert english.headers["Content-Language"] == "en"


def test_an_address_that_is_configured_nowhere_is_answered_too(explain: Any) -> None:
    document = explain("--notification", "shop_created", address="nobody@x.example")
    assert (document["receives"], document["roles"]) == (False, [])
    assert document["answers"][0]["instead"] == ["claire@lumiere.example"]


def test_mode_or_data_test_the_conditions(explain: Any) -> None:
    rule = ("--notification", "merchant_email")
    assert explain(*rule)["answers"][0]["condition"]
    codes = [item["code"] for item in explain(*rule, "--mode", "TEST")["answers"][0]["obstacles"]]
    assert codes == ["condition_false"]
    assert explain(*rule, "--data", '{"amount": 1001}')["answers"][0]["delivers"] is True
    other = explain(*rule, "--trigger", "form.invalid", "--data", "{}")["answers"][0]["obstacles"]
    assert [item["code"] for item in other] == ["trigger_not_in_rule", "condition_false"]


def test_one_order_is_asked_about_by_its_choice(explain: Any) -> None:
    copy = ("--notification", "payment_order_copy")
    assert explain(*copy, "--data", '{"copy_ticked": false}')["answers"][0]["obstacles"][0]["code"] == "copy_not_ticked"
    assert explain(*copy, "--data", '{"copy_ticked": true}')["answers"][0]["delivers"] is True
    assert explain(*copy, "--data", "{}")["answers"][0]["condition"]


def test_states_are_no_obstacle_to_accounts(explain: Any, company: Company) -> None:
    company.status, company.status_reason = "suspended", "Impayé"
    company.save()
    by_code = {answer["notification"]: answer for answer in explain()["answers"]}
    assert by_code["user_account"]["delivers"] is True
    assert by_code["newsletter"]["obstacles"] == [
        {
            "code": "company_suspended",
            "reason": "La société est suspendue : seuls les e-mails de compte et de sécurité partent.",
            "configured_at": None,
        }
    ]


BAD = [
    ({"address": "hugo"}, "address", "hugo"),
    ({"notification": "nothing"}, "notification", "nothing"),
    ({"trigger": "payment.dreamt"}, "trigger", "payment.dreamt"),
    ({"shop": "99999999"}, "shop", "99999999"),
    ({"rule": "absente"}, "rule", "absente"),
    ({"account": "personne"}, "account", "personne"),
    ({"mode": "REAL"}, "mode", "REAL"),
    ({"data": "[1]"}, "data", "[1]"),
    ({"data": "{"}, "data", "{"),
    ({"shop": ""}, "shop", ""),
]


@pytest.mark.parametrize(("given", "name", "value"), BAD)
@pytest.mark.parametrize("language", ["fr", "en"])
def test_what_cannot_be_asked_is_refused_by_name_and_value(
    given: dict[str, str], name: str, value: str, language: str, company: Company
) -> None:
    asked = {"address": "claire@lumiere.example", **given}
    options = [part for key, text in asked.items() for part in (f"--{key}", text)]
    with pytest.raises(CommandError) as refused:
        call_command("explain", "lumiere", *options, "--language", language)
    assert f"--{name}" in str(refused.value) and value in str(refused.value)
    assert refused.value.returncode == 1
    answer = Caller(company).get(EXPLAIN, asked, language=language)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [name]


def test_the_address_is_needed_and_unknown_parameters_are_named(company: Company) -> None:
    with pytest.raises(CommandError, match="--address"):
        call_command("explain", "lumiere")
    caller = Caller(company)
    assert [error["field"] for error in caller.get(EXPLAIN).json()["errors"]] == ["address"]
    errors = caller.get(EXPLAIN, {"address": "a@x.example", "when": "2026-01-01T00:00:00Z"}).json()["errors"]
    assert [error["field"] for error in errors] == ["when"]


def test_a_question_about_a_past_moment_is_answered_as_it_was_then(company: Company, explain: Any) -> None:
    asked = {"address": "claire@lumiere.example"}
    then, before = timezone.now(), explain()
    NotificationRule.objects.filter(shop__company=company).update(enabled=False)
    Company.objects.filter(pk=company.pk).update(status="suspended")
    at = then.isoformat()
    document = explain("--at", at)
    assert document.pop("at") == at.replace("+00:00", "Z")
    assert document == before != explain()
    answered = Caller(company).get(EXPLAIN, asked | {"at": at}).json()
    assert answered.pop("at") and answered == before


@pytest.mark.parametrize("at", ["2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "2026-01-01T00:00:00", "hier"])
def test_a_moment_that_nobody_knows_of_is_refused_by_its_value(at: str, company: Company) -> None:
    with pytest.raises(CommandError, match=f"--at.*{at}"):
        call_command("explain", "lumiere", "--address", "a@x.example", "--at", at)
    for path, asked in ((EXPLAIN, {"address": "a@x.example"}), (TABLES, {})):
        refused = Caller(company).get(path, {**asked, "at": at})
        assert refused.status_code == 422
        assert [error["field"] for error in refused.json()["errors"]] == ["at"]


def test_the_tables_of_a_past_moment_over_http_are_those_of_the_command(company: Company) -> None:
    then, out, caller = timezone.now().isoformat(), StringIO(), Caller(company)
    Company.objects.filter(pk=company.pk).update(incident_emails=["neuf@x.example"])
    call_command("delivery_tables", "lumiere", "--at", then, "--format", "json", stdout=out)
    document = caller.get(TABLES, {"at": then}).json()
    assert document == json.loads(out.getvalue()) and "at" in document
    assert "at" not in caller.get(TABLES).json()


@pytest.mark.parametrize("command", ["explain", "coverage"])
def test_an_unknown_company_is_named(command: str) -> None:
    with pytest.raises(CommandError, match="nobody"):
        call_command(command, "nobody", *(["--address", "a@x.example"] if command == "explain" else []))


@pytest.mark.parametrize("path", [EXPLAIN + "?address=a@x.example", COVERAGE])
def test_another_company_reads_like_none(path: str, company: Company) -> None:
    stranger = Caller(CompanyFactory())
    none = stranger.get(path.replace("lumiere", "nobody"))
    theirs = stranger.get(path)
    assert (theirs.status_code, theirs.content) == (404, none.content)


def test_the_text_ends_with_its_counts(company: Company, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("explain", "lumiere", "--address", "claire@lumiere.example")
    assert capsys.readouterr().out.splitlines()[-1].startswith("answers=15 delivers=")


def test_coverage_is_the_same_on_the_command_line_and_over_http(
    company: Company, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("coverage", "lumiere", "--format", "json")
    document = json.loads(capsys.readouterr().out)
    assert Caller(company).get(COVERAGE).json() == document
    assert Caller(company).get(COVERAGE, {"x": "1"}).status_code == 422
