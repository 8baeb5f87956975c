"""`provision --plan`: what a file would do, told without doing it."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import translation
from hypothesis import HealthCheck, given, settings

from backoffice.provisioning import planning
from backoffice.provisioning.applying import provision
from companies.models import AuditEntry, Company
from notifications import settings_facts
from notifications.core.facts import CompanyFacts
from notifications.models import Delivery, Event, NotificationRule
from notifications.tables import compute
from shops.models import Shop
from tests.backoffice.provisioning.documents import company_document
from tests.backoffice.provisioning.test_provision import EXAMPLE
from tests.notifications.core.test_resolver_properties import companies

pytestmark = pytest.mark.django_db
Run = Callable[..., str]
PLAN_KEYS = ["company", "created", "updated", "changes", "gained", "lost", "gaps_opened", "gaps_closed"]


@pytest.fixture
def document() -> dict[str, Any]:
    return copy.deepcopy(EXAMPLE)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that calls `provision --plan` and returns its output."""

    def run(document: Any, *options: str) -> str:
        path = tmp_path / "file.json"
        path.write_text(json.dumps(document))
        capsys.readouterr()
        call_command("provision", str(path), "--plan", *options)
        return capsys.readouterr().out

    return run


def stored() -> tuple[int, ...]:
    models = (Company, Shop, NotificationRule, AuditEntry, Event, Delivery)
    return tuple(model._default_manager.count() for model in models)


def test_the_plan_of_a_new_company_has_the_documented_shape_and_writes_nothing(run: Run, document: Any) -> None:
    told = json.loads(run(document, "--format", "json", "--notify"))
    (company,) = told["companies"]
    assert list(company) == PLAN_KEYS
    assert (company["company"], company["created"], company["updated"]) == ("maison-lumiere", True, False)
    assert company["lost"] == company["gaps_opened"] == company["gaps_closed"] == []
    assert {line["email"] for line in company["gained"]} == {
        "claire@lumiere.example", "dev@agence.example", "astreinte@lumiere.example", "compta@lumiere.example",
    }  # fmt: skip
    assert {"email", "notification", "shop", "rule", "account", "as", "reason"} < set(company["gained"][0])
    assert all(set(change) == {"object", "field", "before", "after"} for change in company["changes"])
    assert stored() == (0,) * 6
    assert mail.outbox == []


def test_a_new_address_that_looks_mistyped_is_told_and_not_refused(run: Run, document: Any) -> None:
    company = document["companies"][0]
    company["manager_contact"]["email"] = "claire@gmial.com"
    company["incident_emails"] = ["astreinte@hotnail.fr", "garde@lumiere.example"]
    (told,) = json.loads(run(document, "--format", "json"))["companies"]
    assert told["slips"] == [
        {"email": "astreinte@hotnail.fr", "meant": "astreinte@hotmail.fr"},
        {"email": "claire@gmial.com", "meant": "claire@gmail.com"},
    ]
    assert "?   claire@gmial.com: Vouliez-vous dire claire@gmail.com ?" in run(document)
    with translation.override("en"):
        assert "?   claire@gmial.com: Did you mean claire@gmail.com?" in run(document)
    provision(document)
    # What the company has already was decided.
    (told,) = json.loads(run(document, "--format", "json"))["companies"]
    assert "slips" not in told


def test_nothing_waits_for_a_commit_that_never_comes(document: Any, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks() as waiting:
        planning.plan(document, notify=True)
    assert waiting == []
    with django_capture_on_commit_callbacks() as waiting:
        provision(document, notify=True)
    assert waiting != []


def test_no_secret_stands_in_a_plan(run: Run, document: Any) -> None:
    for output in (run(document), run(document, "--format", "json")):
        for secret in ("1111111111111111", "2222222222222222", "testpassword_abc", "optional"):
            assert secret not in output
    provision(document)
    document["companies"][0]["shops"][0]["keys"]["production"] = "3333333333333333"
    document["companies"][0]["users"][0]["password"] = "another-one"
    (company,) = json.loads(run(document, "--format", "json"))["companies"]
    assert {(change["object"], change["field"]) for change in company["changes"]} == {
        ("shop:10000001", "keys.production"),
        ("user:claire", "password"),
    }
    assert "3333333333333333" not in json.dumps(company) and "another-one" not in json.dumps(company)


def test_an_unchanged_company_is_listed_with_empty_lists(run: Run, document: Any) -> None:
    provision(document)
    (company,) = json.loads(run(document, "--format", "json"))["companies"]
    assert company == {
        "company": "maison-lumiere", "created": False, "updated": False, "changes": [],
        "gained": [], "lost": [], "gaps_opened": [], "gaps_closed": [],
    }  # fmt: skip
    assert run(document).splitlines() == [
        "  maison-lumiere",
        "companies=1 created=0 updated=0 unchanged=4 gained=0 lost=0 gaps_opened=0 gaps_closed=0",
    ]


def test_lines_move_with_an_address_and_gaps_open_and_close(run: Run, document: Any) -> None:
    provision(document)
    company = document["companies"][0]
    company["incident_emails"] = []
    company["shops"][0]["manager_email"] = "paris@lumiere.example"
    company["shops"][0]["rules"][0]["recipients"] = []
    before = stored()
    (told,) = json.loads(run(document, "--format", "json"))["companies"]
    assert stored() == before
    assert Shop.objects.get().manager_email == ""
    assert (told["created"], told["updated"]) == (False, True)
    assert {
        "object": "shop:10000001",
        "field": "manager_email",
        "before": "",
        "after": "paris@lumiere.example",
    } in told["changes"]
    assert {"object": "company", "field": "incident_emails", "before": ["astreinte@lumiere.example"], "after": []} in (
        told["changes"]
    )
    assert [(line["email"], line["notification"]) for line in told["lost"] if line["rule"] is None][0] == (
        "astreinte@lumiere.example", "platform_incident",
    )  # fmt: skip
    gained = {(line["email"], line["notification"], line["as"]) for line in told["gained"]}
    # What was one message to the manager of both is now two.
    assert ("paris@lumiere.example", "shop_created", "to") in gained
    assert ("claire@lumiere.example", "shop_created", "cc") in gained
    assert [(gap["notification"], gap["rule"], gap["on_purpose"]) for gap in told["gaps_opened"]] == [
        ("ipn_failure", "ipn-end", True),
        ("platform_incident", None, False),
    ]
    text = run(document).splitlines()
    assert text[0] == "~ maison-lumiere"
    assert {line[0] for line in text[:-1]} == {"~", "-", "+"}
    assert text[-1].startswith("companies=1 created=0 updated=3 unchanged=1 gained=")
    assert text[-1].endswith("gaps_opened=2 gaps_closed=0")
    provision(document)
    company["incident_emails"] = ["astreinte@lumiere.example"]
    (told,) = json.loads(run(document, "--format", "json"))["companies"]
    assert [gap["notification"] for gap in told["gaps_closed"]] == ["platform_incident"]


def test_what_provision_refuses_the_plan_refuses_in_the_same_words(run: Run, document: Any) -> None:
    document["companies"][0]["shops"][0]["rules"][0]["recipients"] = ["dev@"]
    with pytest.raises(CommandError) as planned:
        run(document)
    with pytest.raises(Exception) as refused:
        provision(document)
    assert str(planned.value) == str(refused.value)
    assert planned.value.returncode == 1
    assert stored() == (0,) * 6


def test_only_what_differs_makes_a_line_another_one(run: Run, document: Any) -> None:
    """The spelling of an address, and a reason that reads otherwise, are no gain and no loss."""
    provision(document)
    document["companies"][0]["manager_contact"]["email"] = "CLAIRE@lumiere.example"
    document["companies"][0]["shops"][0]["name"] = "Lumière Rivoli"
    last = run(document).splitlines()[-1]
    assert last == "companies=1 created=0 updated=2 unchanged=2 gained=0 lost=0 gaps_opened=0 gaps_closed=0"


def lines_of(reference: str) -> set[tuple[Any, ...]]:
    company = Company.objects.filter(reference=reference).first()
    if company is None:
        return set()
    tables = compute.delivery_tables(settings_facts.company_facts(company))
    return {
        (table.normalised, line.notification, line.shop, line.rule, line.account, line.as_)
        for table in tables.addresses
        for line in table.receives
    }


def gaps_of(reference: str) -> set[tuple[Any, ...]]:
    company = Company.objects.filter(reference=reference).first()
    tables = compute.delivery_tables(settings_facts.company_facts(company)) if company else None
    return {(gap.notification, gap.shop, gap.rule) for gap in tables.gaps} if tables else set()


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(companies(), companies())
def test_what_is_predicted_is_what_happens(first: CompanyFacts, second: CompanyFacts) -> None:
    """Gained and lost are the difference of the tables before and after the real provisioning."""
    with transaction.atomic():
        for facts in (first, second):
            document = {"companies": [company_document(facts)]}
            before, gaps_before = lines_of("x"), gaps_of("x")
            count = stored()
            told = planning.plan(document)
            assert stored() == count
            report = provision(document)
            after, gaps_after = lines_of("x"), gaps_of("x")
            (plan,) = told.document.companies
            assert {planning.line_identity(line.email, line) for line in plan.gained} == after - before
            assert {planning.line_identity(line.email, line) for line in plan.lost} == before - after
            assert {(gap.notification, gap.shop, gap.rule) for gap in plan.gaps_opened} == gaps_after - gaps_before
            assert {(gap.notification, gap.shop, gap.rule) for gap in plan.gaps_closed} == gaps_before - gaps_after
            assert (told.report, plan.created) == (report, facts is first)
        transaction.set_rollback(True)
