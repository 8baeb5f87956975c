"""Issued billing in the database: nothing changes or removes it, and two at once leave one document."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction

from companies.audit import Actor
from notifications.models import Event
from shops.billing import services
from shops.billing.guard import GUARD
from shops.models import BillingDocument, BillingDraft, NumberSeries, PriceList, Shop
from tests.factories import BillingDocumentFactory, CompanyFactory, EventFactory, ShopFactory
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_prices")]
OCTOBER = {"start": date(2026, 10, 1), "end": date(2026, 10, 31)}
NOW = datetime(2026, 11, 3, 9, tzinfo=UTC)


def run(sql: str, *values: Any) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)


def refused(act: Callable[[], object]) -> bool:
    try:
        with transaction.atomic():
            act()
    except IntegrityError as error:
        return GUARD.message in str(error)
    return False


COLUMNS = [field.column for field in BillingDocument._meta.concrete_fields]


@pytest.mark.parametrize("column", COLUMNS)
def test_no_column_of_an_issued_document_is_changed_by_sql(column: str) -> None:
    document = BillingDocumentFactory()
    other = BillingDocumentFactory(number="F2026-000900")
    key = BillingDocument._meta.pk.get_db_prep_value(document.pk, connection)  # type: ignore[union-attr]
    told = BillingDocument._meta.pk.get_db_prep_value(other.pk, connection)  # type: ignore[union-attr]
    # To the value of another row, which fits the column; and to the same one, which is no change but is none of ours.
    change = f'UPDATE shops_billingdocument SET "{column}" = (SELECT "{column}" FROM shops_billingdocument WHERE id = %s) WHERE id = %s'
    assert refused(lambda: run(change, told, key))
    assert refused(lambda: run(change, key, key))


def test_no_issued_document_is_removed_by_sql() -> None:
    BillingDocumentFactory()
    assert refused(lambda: run("DELETE FROM shops_billingdocument"))
    assert BillingDocument.objects.count() == 1


def test_what_goes_past_save_and_delete_is_refused_as_well() -> None:
    document = BillingDocumentFactory()
    found = BillingDocument.objects.filter(pk=document.pk)
    assert refused(lambda: found.update(gross=1))
    assert refused(lambda: BillingDocument.objects.bulk_update([document], ["number"]))
    assert refused(lambda: found.delete())
    assert refused(lambda: found._raw_delete(found.db))
    with pytest.raises(ValidationError, match="ne change plus"):
        document.save()
    with pytest.raises(ValidationError, match="n'est pas supprimé"):
        document.delete()


@pytest.mark.postgres
def test_the_tables_are_not_truncated() -> None:
    BillingDocumentFactory()
    # Checks that wait for the end of the transaction would refuse before the guard does.
    connection.check_constraints()
    assert refused(lambda: run("TRUNCATE shops_billingdocument CASCADE"))
    assert refused(lambda: run("TRUNCATE shops_numberseries"))


def test_a_series_counts_on_by_one_and_in_no_other_way() -> None:
    series = NumberSeries.objects.create(kind="invoice", year=2026, last=7)
    found = NumberSeries.objects.filter(pk=series.pk)
    for values in (
        {"last": 6},
        {"last": 9},
        {"last": 7},
        {"year": 2027, "last": 8},
        {"kind": "credit_note", "last": 8},
    ):
        assert refused(lambda values=values: found.update(**values)), values
    assert refused(lambda: run("UPDATE shops_numberseries SET last = 0"))
    assert refused(lambda: run("DELETE FROM shops_numberseries"))
    assert found.update(last=8) == 1


def test_the_guard_is_missed_when_one_of_its_triggers_is() -> None:
    assert GUARD.is_installed(connection)
    with GUARD.lifted(connection):
        assert not GUARD.is_installed(connection)
        run("UPDATE shops_numberseries SET last = 0")
    assert GUARD.is_installed(connection)
    run(GUARD.removal(connection.vendor)[0])
    assert not GUARD.is_installed(connection)
    GUARD.install(connection)


@pytest.mark.django_db(transaction=True)
def test_emptying_the_whole_database_still_works_and_leaves_the_guard() -> None:
    BillingDocumentFactory()
    call_command("flush", interactive=False, verbosity=0)
    assert not BillingDocument.objects.exists()
    assert GUARD.is_installed(connection)


@pytest.mark.django_db(transaction=True)
def test_the_migration_is_walked_back_and_forth() -> None:
    call_command("migrate", "shops", "0006", verbosity=0)
    # Walked back it is gone from the migrations, but a complete migrate puts it in place again.
    call_command("migrate", verbosity=0)
    assert GUARD.is_installed(connection)
    BillingDocumentFactory()
    assert refused(lambda: run("DELETE FROM shops_billingdocument"))


# --- Two at the same moment -----------------------------------------------------------------------


def at_once(acts: list[Callable[[], object]]) -> tuple[list[Any], list[BaseException]]:
    """Run each in a thread of its own, let go together; (results, errors)."""
    start, done, failed = threading.Barrier(len(acts)), [], []

    def work(act: Callable[[], object]) -> None:
        try:
            start.wait(PATIENCE)
            done.append(act())
        except (ValidationError, DatabaseError) as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * PATIENCE)
    return done, failed


def paid_shop(**fields: Any) -> Shop:
    shop = ShopFactory(company=CompanyFactory(), **fields)
    EventFactory(shop=shop, occurred_at=datetime(2026, 10, 15, 10, tzinfo=UTC))
    return shop


def issuing(shop: Shop) -> Callable[[], BillingDocument]:
    prices = PriceList.objects.get(is_default=True)
    return lambda: services.billing_issue(
        shop=Shop.objects.select_related("company").get(pk=shop.pk),
        price_list=prices,
        actor=Actor.command("test"),
        now=NOW,
        **OCTOBER,  # type: ignore[arg-type]
    )


def numbers() -> list[str]:
    return list(BillingDocument.objects.order_by("number").values_list("number", flat=True))


@pytest.mark.django_db(transaction=True)
def test_the_same_billing_issued_twice_at_once_gives_one_document() -> None:
    shop = paid_shop()
    done, failed = at_once([issuing(shop)] * 4)
    assert len(done) == 1
    assert len(failed) == 3
    assert all(isinstance(error, ValidationError) and "F2026-000001" in str(error) for error in failed), failed
    assert numbers() == ["F2026-000001"]
    assert NumberSeries.objects.get(kind="invoice", year=2026).last == 1
    assert Event.objects.filter(type="billing.issued").count() == 1


@pytest.mark.django_db(transaction=True)
def test_different_billings_at_once_take_numbers_without_gap_or_double() -> None:
    shops = [paid_shop() for _number in range(6)]
    done, failed = at_once([issuing(shop) for shop in shops])
    assert failed == []
    assert len(done) == 6
    assert numbers() == [f"F2026-{n:06d}" for n in range(1, 7)]
    assert NumberSeries.objects.get(kind="invoice", year=2026).last == 6


@pytest.mark.django_db(transaction=True)
def test_a_draft_issued_and_an_invoice_cancelled_twice_at_once_give_one_document_each() -> None:
    shop = paid_shop()
    draft = services.draft_create(
        shop=shop,
        price_list=PriceList.objects.get(is_default=True),
        upload=services.Upload(b"description,quantity,unit_price\nConseil,1,5\n", "x.csv"),
        actor=Actor.command("test"),
        now=NOW,
        **OCTOBER,  # type: ignore[arg-type]
    )
    done, failed = at_once([lambda: services.draft_issue(draft=draft, actor=Actor.command("test"), now=NOW)] * 3)
    assert (len(done), len(failed)) == (1, 2)
    assert all(isinstance(error, ValidationError) for error in failed), failed
    assert not BillingDraft.objects.exists()
    invoice = BillingDocument.objects.get()
    done, failed = at_once(
        [lambda: services.credit_note_issue(document=invoice, actor=Actor.command("test"), now=NOW)] * 3
    )
    assert (len(done), len(failed)) == (1, 2)
    assert all(isinstance(error, ValidationError) for error in failed), failed
    assert numbers() == ["A2026-000001", "F2026-000001"]


@pytest.mark.django_db(transaction=True)
def test_an_issue_that_fails_leaves_no_hole_in_the_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that breaks off late, between two that do not: the numbers follow each other."""
    first, broken, last = (paid_shop() for _number in range(3))
    issuing(first)()
    original = services.publish

    def publish_and_break(**values: Any) -> Any:
        original(**values)
        raise DatabaseError("the database went away")

    monkeypatch.setattr(services, "publish", publish_and_break)
    with pytest.raises(DatabaseError):
        issuing(broken)()
    monkeypatch.setattr(services, "publish", original)
    issuing(last)()
    assert numbers() == ["F2026-000001", "F2026-000002"]
