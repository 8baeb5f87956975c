"""The record of the settings: every way to change one is kept, in its transaction; the past is told as it was."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from companies.models import Company, Contact, User
from notifications import settings_facts
from notifications.models import AddressHealth, NotificationRule, RecordedSetting
from notifications.timeline import reading
from notifications.timeline.recording import RECORD, RECORDED, Recorded
from shops.models import Shop
from tests.factories import CompanyFactory, NotificationRuleFactory, SftpAccountFactory, ShopFactory, UserFactory

pytestmark = pytest.mark.django_db


def printed(company: Company, **options: Any) -> dict[str, Any]:
    out = StringIO()
    call_command("delivery_tables", company.reference, format="json", stdout=out, **options)
    document: dict[str, Any] = json.loads(out.getvalue())
    return document


def printed_at(company: Company, moment: datetime) -> dict[str, Any]:
    document = printed(company, at=moment.isoformat())
    assert document.pop("at") == moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return document


@pytest.fixture(autouse=True)
def _settings_of_each_kind(company: Company, paris: Shop, claire: User) -> None:
    NotificationRuleFactory(shop=paris, reference="ma-regle", recipients=["@shop_manager", "dev@agence.example"])
    account = SftpAccountFactory(company=company)
    AddressHealth.objects.create(company=company, normalised_address=account.email)


def object_of(one: Recorded, company: Company) -> Any:
    objects = one.model._default_manager
    if one.model is Company:
        return company
    return objects.filter(**{"shop__company" if one.parent == "shop_id" else "company": company}).earliest("pk")


# Another valid value of each recorded column.
OTHERS: dict[str, Any] = {
    "reference": "autre-reference",
    "name": "Autre nom",
    "language": "en",
    "incident_emails": ["astreinte@lumiere.example"],
    "status": "suspended",
    "newsletter_opt_out": True,
    "verify_addresses": True,
    "normalised_address": "astreinte@lumiere.example",
    "state": "bouncing",
    "since": datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    "cause": "soft",
    "code": "4.2.2",
    "words": "Mailbox full",
    "kind": Contact.Kind.TECHNICAL,
    "email": "autre@lumiere.example",
    "verified_email": "prouvee@lumiere.example",
    "site_id": "99999999",
    "manager_email": "boutique@lumiere.example",
    "type": "merchant_email",
    "label": "Autre libellé",
    "enabled": False,
    "triggers": ["payment.refused", "token.created"],
    "conditions": [{"variable": "amount", "operator": "in", "value": [1, 2]}],
    "recipients": [],
    "digest": "daily",
    "version": 7,
    "emptied_by": "Claire",
    "emptied_at": datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC),
    "archived_at": datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    "login": "autre-login",
    "is_active": False,
    **dict.fromkeys(NotificationRule.URL_FIELDS, "https://boutique.example/ipn"),
}
COLUMNS = [(one, name) for one in RECORDED for name in one.columns]


@pytest.mark.parametrize("one", RECORDED, ids=lambda one: one.kind)
def test_every_field_of_a_setting_is_recorded_or_left_out_on_purpose(one: Recorded) -> None:
    fields = [field.name for field in one.model._meta.concrete_fields]
    assert sorted([*one.columns, *one.left_out]) == sorted(fields)


@pytest.mark.parametrize("way", ["save", "update", "sql"])
@pytest.mark.parametrize(("one", "name"), COLUMNS, ids=[f"{one.kind}.{name}" for one, name in COLUMNS])
def test_each_column_is_kept_by_whatever_way_it_changes(one: Recorded, name: str, way: str, company: Company) -> None:
    if name == "kind":
        Contact.objects.filter(company=company, kind=Contact.Kind.TECHNICAL).delete()
    changed = object_of(one, company)
    before, then = settings_facts.company_facts(company), timezone.now()
    if way == "save":
        setattr(changed, name, OTHERS[name])
        changed.save()
    elif way == "update":
        one.model._default_manager.filter(pk=changed.pk).update(**{name: OTHERS[name]})
    else:
        field = one.model._meta.get_field(name)
        value = field.get_db_prep_save(OTHERS[name], connection)  # type: ignore[union-attr]
        key = one.model._meta.pk.get_db_prep_value(changed.pk, connection)  # type: ignore[union-attr]
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {one.table} SET {name} = %s WHERE id = %s", [value, key])
    company.refresh_from_db()
    assert reading.facts_at(company, then) == before
    assert reading.facts_at(company, timezone.now()) == settings_facts.company_facts(company)


@pytest.mark.parametrize("one", RECORDED, ids=lambda one: one.kind)
def test_what_the_tables_do_not_depend_on_costs_no_row(one: Recorded, company: Company) -> None:
    changed, count = object_of(one, company), RecordedSetting.objects.count()
    changed.save()
    assert RecordedSetting.objects.count() == count


def test_a_change_costs_the_rows_that_changed_whatever_the_size_of_the_company(company: Company) -> None:
    shops = [ShopFactory(company=company) for _ in range(5)]
    count = RecordedSetting.objects.count()
    shops[0].manager_email = "boutique@lumiere.example"
    shops[0].save()
    assert RecordedSetting.objects.count() == count + 1


def test_objects_made_many_at_once_and_removed_are_kept(company: Company) -> None:
    shop = Shop.objects.get(company=company)
    moments = [timezone.now()]
    documents = [printed(company)]
    NotificationRule.objects.bulk_create(
        NotificationRule(shop=shop, reference=f"r{n}", type="ipn_call", label=f"R{n}", triggers=["payment.accepted"])
        for n in range(3)
    )
    moments.append(timezone.now())
    documents.append(printed(company))
    NotificationRule.objects.filter(shop=shop, reference="r1").delete()
    Contact.objects.filter(company=company, kind=Contact.Kind.TECHNICAL).delete()
    assert [printed_at(company, moment) for moment in moments] == documents
    assert printed_at(company, timezone.now()) == printed(company) != documents[1]


def test_an_account_that_moves_to_another_company_is_told_where_it_was(company: Company) -> None:
    user, other = UserFactory(company=company), CompanyFactory()
    then = timezone.now()
    user.company = other
    user.save()
    assert user.login in {account.login for account in reading.facts_at(company, then).users}
    assert reading.facts_at(other, then).users == ()
    assert [account.login for account in reading.facts_at(other, timezone.now()).users] == [user.login]


def test_what_is_rolled_back_leaves_no_trace(company: Company) -> None:
    count = RecordedSetting.objects.count()
    with pytest.raises(RuntimeError), transaction.atomic():
        Shop.objects.filter(company=company).update(name="Jamais")
        raise RuntimeError
    assert RecordedSetting.objects.count() == count


def test_no_moment_falls_between_two_versions(company: Company) -> None:
    Shop.objects.filter(company=company).update(name="Deux")
    first, second = RecordedSetting.objects.filter(kind="shop", parent=company.pk).order_by("pk")
    assert first.until == second.since
    assert [shop.name for shop in reading.facts_at(company, second.since).shops] == ["Deux"]


def test_one_object_has_one_version_in_force(company: Company) -> None:
    for number in range(3):
        Shop.objects.filter(company=company).update(name=f"N{number}")
    assert RecordedSetting.objects.filter(kind="shop", parent=company.pk, until=None).count() == 1


# --- The start of the record ----------------------------------------------------------------------


def _as_migrated_now() -> None:
    """The database as it was before the record, then migrated."""
    RecordedSetting.objects.all().delete()
    RECORD.look_after(connection)


def test_migrating_a_database_that_exists_starts_the_record(company: Company) -> None:
    before = timezone.now()
    Company.objects.update(created_at=before - timedelta(days=30))
    _as_migrated_now()
    company.refresh_from_db()
    assert reading.facts_at(company, timezone.now()) == settings_facts.company_facts(company)
    with pytest.raises(reading.NotRecorded, match="conservés que depuis le"):
        reading.facts_at(company, before)
    with pytest.raises(reading.NotRecorded, match="n'existait pas encore"):
        reading.facts_at(company, before - timedelta(days=31))


def test_what_migrations_changed_without_the_triggers_is_caught_up(company: Company) -> None:
    then = timezone.now()
    before = reading.facts_at(company, then)
    with RECORD.lifted(connection):
        Shop.objects.filter(company=company).update(name="Migrée")
        NotificationRule.objects.filter(shop__company=company).delete()
    assert RECORD.is_installed(connection)
    RECORD.look_after(connection)
    count = RecordedSetting.objects.count()
    assert reading.facts_at(company, then) == before
    assert reading.facts_at(company, timezone.now()) == settings_facts.company_facts(company)
    RECORD.look_after(connection)
    assert RecordedSetting.objects.count() == count, "nothing is left to catch up"


def test_triggers_of_a_former_version_are_replaced(company: Company) -> None:
    name = "shops_shop_recorded" + ("_update" if connection.vendor == "sqlite" else "")
    on = "" if connection.vendor == "sqlite" else " ON shops_shop"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {name}{on}")
    assert not RECORD.is_installed(connection)
    RECORD.look_after(connection)
    assert RECORD.is_installed(connection)


# --- The command ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("hier", "n'est pas une date"),
        ("2026-03-01T09:30:00", "sans décalage"),
        ("2026-03-01", "sans décalage"),
        ("2999-01-01T00:00:00Z", "futur"),
        ("0001-01-01T00:00:00+14:00", "date"),
        ("2001-01-01T00:00:00Z", "n'existait pas encore"),
    ],
)
def test_a_moment_that_cannot_be_answered_for_is_refused_with_the_reason(at: str, told: str, company: Company) -> None:
    with pytest.raises(CommandError, match=told):
        call_command("delivery_tables", company.reference, at=at)


def test_the_document_of_now_carries_no_moment(company: Company) -> None:
    assert list(printed(company)) == ["company", "addresses", "gaps"]
    assert list(printed(company, at=timezone.now().isoformat())) == ["company", "at", "addresses", "gaps"]


@pytest.mark.parametrize("form", ["table", "csv"])
def test_other_formats_tell_the_moment_too(form: str, company: Company) -> None:
    out, then = StringIO(), timezone.now()
    Contact.objects.filter(company=company).update(email="apres@lumiere.example")
    call_command("delivery_tables", company.reference, format=form, at=then.isoformat(), stdout=out)
    assert "apres@lumiere.example" not in out.getvalue()
    assert "claire@lumiere.example" in out.getvalue()
