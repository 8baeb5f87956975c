"""The history: nobody changes or removes an entry, a removal shows, and every entry can be found again."""

import csv
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone, translation

from companies import services
from companies.audit import Actor, record
from companies.history import guard as history_guard
from companies.history import seals
from companies.models import AuditEntry, Company, Contact, HistoryErasure, HistorySeal, Role, SealedEntry, User
from shops.models import Shop
from tests.factories import CompanyFactory, NotificationRuleFactory, ShopFactory, UserFactory

PAGE = "/settings/company/history/"
pytestmark = pytest.mark.django_db


def entry(**given: Any) -> AuditEntry:
    shop = given.pop("shop", None) or ShopFactory()
    return record(
        **{
            "actor": Actor("Claire Morel", None, "192.0.2.7"),
            "action": "shop.updated",
            "obj": shop,
            "company": shop.company,
            "changes": {"name": ["Avant", "Après"]},
            **given,
        }
    )


def refused(action: Callable[[], Any]) -> bool:
    try:
        with transaction.atomic():
            action()
    except IntegrityError as error:
        return "append-only" in str(error)
    return False


# --- Append-only ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column", ["actor_label", "at", "action", "changes", "object_label", "ip_address", "content_digest", "company"]
)
def test_the_database_refuses_to_change_an_entry(column: str) -> None:
    found = AuditEntry.objects.filter(pk=entry().pk)
    values = {"at": timezone.now(), "changes": {}, "ip_address": None, "company": CompanyFactory()}
    assert refused(lambda: found.update(**{column: values.get(column, "autre")}))


def test_the_database_refuses_to_remove_an_entry_in_any_way() -> None:
    written = entry()

    def raw(statement: str) -> Callable[[], Any]:
        def run() -> None:
            with connection.cursor() as cursor:
                cursor.execute(statement)

        return run

    assert refused(AuditEntry.objects.all().delete)
    assert refused(raw(f"DELETE FROM companies_auditentry WHERE id = {written.pk}"))
    assert refused(raw(f"UPDATE companies_auditentry SET id = {written.pk + 100} WHERE id = {written.pk}"))
    if connection.vendor == "postgresql":
        raw("SET CONSTRAINTS ALL IMMEDIATE")()
        assert refused(raw("TRUNCATE companies_auditentry CASCADE"))
    assert AuditEntry.objects.filter(pk=written.pk).exists()


def test_seals_and_erasures_cannot_be_changed_either() -> None:
    entry()
    assert seals.seal_entries() == 1
    erasure = HistoryErasure.objects.create(actor_label="équipe", address_hash="a" * 64, is_open=False)
    assert refused(HistorySeal.objects.all().delete) or refused(SealedEntry.objects.all().delete)
    assert refused(SealedEntry.objects.all().delete)
    assert refused(lambda: HistorySeal.objects.update(digest="x"))
    assert refused(lambda: SealedEntry.objects.update(digest="x"))
    assert refused(lambda: HistoryErasure.objects.filter(pk=erasure.pk).update(is_open=True))
    assert refused(HistoryErasure.objects.all().delete)


def test_an_open_erasure_changes_the_words_of_an_entry_and_nothing_else() -> None:
    written = entry()
    erasure = HistoryErasure.objects.create(actor_label="équipe", address_hash="a" * 64)
    found = AuditEntry.objects.filter(pk=written.pk)
    assert refused(lambda: found.update(erasure=erasure, salt="", action="shop.created"))
    assert refused(lambda: found.update(erasure=erasure, salt="", at=timezone.now()))
    assert refused(lambda: found.update(erasure=erasure, actor_label="x"))
    assert found.update(erasure=erasure, salt="", actor_label="(effacé)", changes={}) == 1
    HistoryErasure.objects.filter(pk=erasure.pk).update(is_open=False)
    assert refused(lambda: found.update(actor_label="encore"))


@pytest.mark.django_db(transaction=True)
def test_emptying_the_whole_database_still_works_and_leaves_the_guard() -> None:
    entry()
    call_command("flush", interactive=False, verbosity=0)
    assert not AuditEntry.objects.exists()
    assert history_guard.GUARD.is_installed(connection)


def test_accounts_and_companies_with_a_history_stay() -> None:
    shop = ShopFactory()
    user = UserFactory(company=shop.company)
    entry(shop=shop, actor=Actor("Alice", user))
    from django.db.models import ProtectedError

    for thing in (user, shop.company):
        with pytest.raises(ProtectedError):
            thing.delete()


# --- Seals ----------------------------------------------------------------------------------------


def verified() -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    with suppress(CommandError):
        call_command("verify_history", stdout=out, stderr=err)
    return out.getvalue().strip(), err.getvalue()


def test_an_untouched_history_verifies() -> None:
    for _n in range(3):
        entry()
    assert verified() == ("entries=3 sealed=3 seals=1 erased=0 problems=0", "")
    entry(actor=Actor("IPv6", None, "::ffff:192.0.2.1"))
    assert verified() == ("entries=4 sealed=4 seals=2 erased=0 problems=0", "")


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM companies_auditentry WHERE id = {key}", "entry {key}: removed"),
        ("UPDATE companies_auditentry SET action = 'x' WHERE id = {key}", "entry {key}: altered"),
        ("UPDATE companies_auditentry SET actor_label = 'x' WHERE id = {key}", "entry {key}: its words were altered"),
        ("DELETE FROM companies_sealedentry WHERE entry_id = {key}", "does not follow"),
        ("UPDATE companies_historyseal SET digest = 'x'", "does not follow"),
    ],
)
def test_what_the_owner_of_the_database_does_behind_the_guard_shows(statement: str, told: str) -> None:
    entry()
    key = entry().pk
    entry()
    seals.seal_entries()
    with history_guard.GUARD.lifted(connection), connection.cursor() as cursor:
        cursor.execute(statement.format(key=key))
    assert told.format(key=key) in verified()[1]


def test_the_worker_seals_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "_last_tick", None)
    now = timezone.now()
    entry()
    seals.tick(now)
    entry()
    seals.tick(now + seals.EVERY / 2)
    assert SealedEntry.objects.count() == 1
    seals.tick(now + seals.EVERY)
    assert SealedEntry.objects.count() == 2


# --- Finding again --------------------------------------------------------------------------------


@pytest.fixture
def client(claire: User, client_for: Callable[..., Client]) -> Client:
    return client_for(claire)


def shown(client: Client, **query: str) -> list[int]:
    return [row.pk for row, _changes in client.get(PAGE, query).context["rows"]]


def test_each_filter_finds_its_entries(client: Client, paris: Shop, lyon: Shop) -> None:
    one = entry(shop=paris, changes={"manager_email": ["", "régie@lumiere.example"]})
    two = entry(shop=lyon, actor=Actor("Paul Girard"), changes={"name": ["Lyon", "Lyon Part-Dieu"]})
    rule = NotificationRuleFactory(shop=paris, label="Alerte")
    three = entry(
        shop=paris, obj=rule, action="rule.updated", changes={"recipients": [["@shop_manager"], ["dev@agence.example"]]}
    )
    assert shown(client) == [three.pk, two.pk, one.pk]
    assert shown(client, q="régie@") == [one.pk]
    assert shown(client, q="part-dieu") == [two.pk]
    assert shown(client, who="Paul Girard") == [two.pk]
    assert shown(client, object="notificationrule") == [three.pk]
    assert shown(client, field="recipients") == [three.pk]
    assert shown(client, field="email") == [one.pk]
    assert shown(client, shop=paris.site_id) == [three.pk, one.pk]
    today = timezone.localdate().isoformat()
    assert len(shown(client, since=today, until=today)) == 3
    assert shown(client, until="2020-01-01") == []


def test_a_contact_is_named_in_the_readers_language(company: Company, claire: User) -> None:
    services.contact_save(
        company=company,
        kind=Contact.Kind.MANAGER,
        actor=Actor("x", claire),
        email="eva@lumiere.example",
    )
    written = AuditEntry.objects.get(action="contact.updated")
    assert written.object_label == "manager : eva@lumiere.example"
    from companies.history import sentences as wording

    with translation.override("en"):
        assert wording.entry_sentence(written).endswith("Admin contact : eva@lumiere.example")
    with translation.override("fr"):
        assert wording.entry_sentence(written).endswith("Contact gestionnaire : eva@lumiere.example")


def test_who_sees_one_shop_sees_its_entries_only(client_for: Callable[..., Client]) -> None:
    company = CompanyFactory()
    seen, hidden = ShopFactory(company=company), ShopFactory(company=company)
    one, two = entry(shop=seen), entry(shop=hidden)
    client = client_for(UserFactory(company=company, role=Role.MANAGER, shops=[seen]))
    assert shown(client) == [one.pk]
    assert client.get(f"{PAGE}{one.pk}/").status_code == 200
    assert client.get(f"{PAGE}{two.pk}/").status_code == 404


def test_an_entry_has_a_page_with_before_and_after(client: Client, paris: Shop) -> None:
    written = entry(shop=paris, changes={"name": ["Avant <b>", "Après"]})
    said = client.get(f"{PAGE}{written.pk}/").content.decode()
    assert "<del>Avant &lt;b&gt;</del>" in said and "<ins>Après</ins>" in said
    assert "192.0.2.7" in said and "Claire Morel" in said


def test_the_csv_has_a_row_per_field_and_runs_nothing(client: Client, paris: Shop) -> None:
    entry(shop=paris, changes={"name": ["=1+1", "b"], "url": ["", "https://x.example"]})
    response = client.get(PAGE, {"format": "csv", "plain": "1"})
    body = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    rows = list(csv.DictReader(StringIO(body)))
    assert {(row["before"], row["after"]) for row in rows} == {("'=1+1", "b"), ("(vide)", "https://x.example")}
    assert rows[0]["actor"] == "Claire Morel" and rows[0]["ip_address"] == "192.0.2.7"


def test_the_page_costs_the_same_however_many_entries(
    client: Client, claire: User, paris: Shop, django_assert_num_queries: Any
) -> None:
    from django.test.utils import CaptureQueriesContext

    entry(shop=paris)
    client.get(PAGE)
    with CaptureQueriesContext(connection) as few:
        client.get(PAGE)
    for _n in range(30):
        entry(shop=paris, actor=Actor("Alice", claire))
    with CaptureQueriesContext(connection) as many:
        client.get(PAGE)
    assert len(many) == len(few)


def test_a_change_belongs_to_the_shop_of_its_object() -> None:
    shop = ShopFactory()
    rule = NotificationRuleFactory(shop=shop)
    assert record(actor=Actor("x"), action="rule.updated", obj=rule, company=shop.company).shop == shop
    assert record(actor=Actor("x"), action="company.updated", obj=shop.company, company=shop.company).shop is None
