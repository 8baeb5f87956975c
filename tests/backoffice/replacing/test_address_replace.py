"""`address_replace`: one address in the place of another everywhere, or none in its place."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backoffice.provisioning.applying import provision
from backoffice.replacing.places import places_of
from backoffice.replacing.services import PlacesRefused, Replacement
from backoffice.text import addresses
from companies.audit import Actor
from companies.models import AuditEntry, Company, SftpAccount, User
from notifications.core.facts import CompanyFacts
from notifications.models import Delivery, Event, NotificationRule
from shops.models import Shop
from tests.backoffice.provisioning.documents import company_document
from tests.backoffice.provisioning.test_plan import gaps_of, lines_of
from tests.backoffice.provisioning.test_provision import EXAMPLE
from tests.notifications.core.test_resolver_properties import ADDRESS, companies

pytestmark = pytest.mark.django_db
Run = Callable[..., str]
CLAIRE, NEW = "claire@lumiere.example", "nouvelle@lumiere.example"


@pytest.fixture
def document() -> dict[str, Any]:
    """Claire is the manager, an incident contact and a user; and stands in a rule, beside the shop manager."""
    document = copy.deepcopy(EXAMPLE)
    company = document["companies"][0]
    company["incident_emails"] = ["astreinte@lumiere.example", "Claire@Lumiere.example"]
    company["shops"][0]["rules"][0]["recipients"] = ["@shop_manager", "dev@agence.example", CLAIRE]
    provision(document)
    return document


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that calls the command and returns its last line."""

    def run(*arguments: str) -> str:
        capsys.readouterr()
        call_command("address_replace", "maison-lumiere", *arguments)
        return capsys.readouterr().out.splitlines()[-1]

    return run


def company() -> Company:
    return Company.objects.get(reference="maison-lumiere")


def test_every_place_is_replaced_and_stands_in_the_history(document: Any, run: Run) -> None:
    before = AuditEntry.objects.count()
    assert run("CLAIRE@lumiere.example", NEW).startswith("places=4 changed=4 gained=")
    assert not places_of(company(), CLAIRE)
    assert company().incident_emails == ["astreinte@lumiere.example", NEW]
    assert NotificationRule.objects.get(reference="ipn-end").recipients == ["@shop_manager", "dev@agence.example", NEW]
    assert User.objects.get(login="claire").email == NEW
    entries = AuditEntry.objects.order_by("pk")[before:]
    assert [(entry.action, entry.actor_label) for entry in entries] == [
        ("contact.updated", "address_replace"),
        ("company.updated", "address_replace"),
        ("rule.updated", "address_replace"),
        ("user.updated", "address_replace"),
    ]


def test_a_plan_tells_the_same_and_writes_nothing(document: Any, run: Run) -> None:
    stored = [AuditEntry.objects.count(), lines_of("maison-lumiere"), Event.objects.count()]
    planned = run(CLAIRE, NEW, "--plan", "--notify")
    assert [AuditEntry.objects.count(), lines_of("maison-lumiere"), Event.objects.count()] == stored
    assert planned == run(CLAIRE, NEW).replace("changed=4", "changed=0")


def test_the_new_address_is_merged_where_it_stands_already(document: Any, run: Run) -> None:
    assert run(CLAIRE, "astreinte@lumiere.example").startswith("places=4 changed=4")
    assert company().incident_emails == ["astreinte@lumiere.example"]


def test_the_same_address_changes_its_spelling_only(document: Any, run: Run) -> None:
    assert run(CLAIRE, "Claire@LUMIERE.example") == "places=4 changed=4 gained=0 lost=0 gaps_opened=0"
    assert User.objects.get(login="claire").email == "Claire@LUMIERE.example"


def test_removing_names_the_places_that_need_an_address_and_changes_nothing(document: Any, run: Run) -> None:
    before = AuditEntry.objects.count()
    with pytest.raises(CommandError) as refused:
        run(CLAIRE, "--remove")
    assert refused.value.returncode == 1
    assert [line.partition(" : ")[0] for line in str(refused.value).splitlines()] == [
        "Contact gestionnaire",
        "Compte utilisateur claire",
    ]
    assert AuditEntry.objects.count() == before


def test_removing_empties_what_may_be_empty(document: Any, run: Run) -> None:
    shop = Shop.objects.get()
    Shop.objects.update(manager_email="seul@x.example")
    Company.objects.update(incident_emails=["seul@x.example"])
    NotificationRule.objects.filter(reference="ipn-end").update(recipients=["seul@x.example"])
    assert run("hugo@agence.example", "--remove") == "places=1 changed=1 gained=0 lost=0 gaps_opened=0"
    assert company().technical_contact is None
    assert run("seul@x.example", "--remove").endswith("gaps_opened=2")
    shop.refresh_from_db()
    rule = NotificationRule.objects.get(reference="ipn-end")
    assert (shop.manager_email, company().incident_emails, rule.recipients) == ("", [], [])
    assert (rule.emptied_by, rule.emptied_at is not None) == ("address_replace", True)


def test_a_rule_that_writes_to_the_merchant_is_never_left_empty(document: Any, run: Run) -> None:
    NotificationRule.objects.update(type="merchant_email", recipients=["seul@x.example"], enabled=False)
    with pytest.raises(CommandError, match="E-mail envoyé au marchand"):
        run("seul@x.example", "--remove")
    assert NotificationRule.objects.first().recipients == ["seul@x.example"]  # type: ignore[union-attr]


def test_disabled_accounts_and_rules_count_and_inheriting_shops_do_not(document: Any, run: Run) -> None:
    NotificationRule.objects.update(enabled=False)
    SftpAccount.objects.update(is_active=False, email=CLAIRE)
    assert run(CLAIRE, NEW).startswith("places=5 changed=5")
    assert Shop.objects.get().manager_email == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("inconnue@x.example", NEW), "inconnue@x.example"),
        ((CLAIRE, "pas une adresse"), "pas une adresse"),
        ((CLAIRE,), "--remove"),
        ((CLAIRE, NEW, "--remove"), "--remove"),
    ],
)
def test_bad_input_is_named(document: Any, run: Run, arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(CommandError, match=told) as refused:
        run(*arguments)
    assert refused.value.returncode == 1


def test_nobody_is_told_unless_asked_and_then_both_are(document: Any, run: Run) -> None:
    run(CLAIRE, NEW)
    assert not Event.objects.exists()
    run(NEW, CLAIRE, "--notify")
    told = Delivery.objects.filter(notification="address_replaced").order_by("created_at", "pk")
    assert {delivery.address for delivery in told} == {NEW, CLAIRE}
    assert all(NEW in delivery.message.subject and CLAIRE in delivery.message.subject for delivery in told)
    # Each alone, and the address of an account is told of its account as always.
    assert Delivery.objects.filter(notification="user_account", address=CLAIRE).count() == 1
    assert not Delivery.objects.filter(notification="account_security").exists()


def replaced_document(document: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """The document with one address in the place of another, as an editor would search and replace it."""
    wanted = addresses.normalise(old)

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: walk(item) for name, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        return new if isinstance(value, str) and "@" in value and addresses.normalise(value) == wanted else value

    replaced: dict[str, Any] = walk(document)
    return replaced


def settings_of() -> list[Any]:
    contacts = Company.objects.get(reference="x").contacts.order_by("kind").values_list("kind", "email")
    return [
        list(contacts),
        list(Company.objects.filter(reference="x").values_list("incident_emails", flat=True)),
        list(Shop.objects.order_by("site_id").values_list("site_id", "manager_email")),
        list(NotificationRule.objects.order_by("shop", "reference").values_list("reference", "recipients")),
        list(User.objects.order_by("login").values_list("login", "email")),
        list(SftpAccount.objects.order_by("login").values_list("login", "email")),
    ]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(companies(), st.data())
def test_replacing_is_provisioning_the_replaced_file(facts: CompanyFacts, data: st.DataObject) -> None:
    """The same settings, the same tables, and the plan says what happened."""
    old, new = data.draw(ADDRESS), data.draw(st.one_of(ADDRESS, st.just("neuve@x.example")))
    document = company_document(facts)
    with transaction.atomic():
        provision({"companies": [document]})
        before, gaps_before = lines_of("x"), gaps_of("x")
        places = places_of(Company.objects.get(reference="x"), old)
        outcomes = []
        for way in ("file", "command"):
            with transaction.atomic():
                if way == "file":
                    provision({"companies": [replaced_document(document, old, new)]})
                elif places:
                    replacement = Replacement(Company.objects.get(reference="x"), old, new, Actor.command("test"))
                    planned = replacement.plan()
                    done = replacement.carry_out()
                    assert planned.effect == done.effect
                    assert (len(done.effect.gained), len(done.effect.lost)) == (
                        len(lines_of("x") - before),
                        len(before - lines_of("x")),
                    )
                    assert len(done.effect.gaps_opened) == len(gaps_of("x") - gaps_before)
                    assert len(done.places) == len(places)
                outcomes.append((settings_of(), lines_of("x"), gaps_of("x")))
                transaction.set_rollback(True)
        if places:
            assert outcomes[0] == outcomes[1]
        transaction.set_rollback(True)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(companies(), ADDRESS)
def test_removing_leaves_the_address_nowhere_or_changes_nothing(facts: CompanyFacts, old: str) -> None:
    with transaction.atomic():
        provision({"companies": [company_document(facts)]})
        company = Company.objects.get(reference="x")
        places, before = places_of(company, old), settings_of()
        if places:
            must_stay = [place for place in places if place.cannot_be_emptied]
            try:
                Replacement(company, old, None, Actor.command("test")).carry_out()
            except PlacesRefused as refused:
                assert len(refused.problems) == len(must_stay) > 0
                assert settings_of() == before
            else:
                assert not must_stay
                assert not places_of(Company.objects.get(reference="x"), old)
        transaction.set_rollback(True)
