"""The migration that compares international addresses anew: what changes is computed and told, what was typed stays."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from backoffice.text import addresses
from notifications.models import Delivery
from shops.models import Shop
from tests.factories import CompanyFactory, DeliveryFactory, NotificationRuleFactory, ShopFactory

pytestmark = pytest.mark.django_db
MIGRATION = import_module("notifications.migrations.0011_idna_2008")


def run() -> None:
    with connection.schema_editor(atomic=False) if connection.vendor == "postgresql" else _Editor() as editor:
        MIGRATION.compare_anew(apps, editor)


class _Editor:
    """SQLite's own wants foreign keys off, which the transaction of a test cannot."""

    connection = connection

    def __enter__(self) -> "_Editor":
        return self

    def __exit__(self, *_told: object) -> None:
        return


def test_addresses_are_compared_anew_and_what_changes_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    changed = DeliveryFactory(address="a@Straße.example", normalised_address="a@strasse.example")
    kept = DeliveryFactory(address="a@bücher.example", normalised_address="a@xn--bcher-kva.example")
    plain = DeliveryFactory(address="a@strasse.example", normalised_address="a@strasse.example")
    erased = DeliveryFactory(address="a@straße.example", normalised_address="[effacée 1]")
    ShopFactory(manager_email="b@faß.example")
    CompanyFactory(incident_emails=["c@☃.example", "d@x.example"])
    NotificationRuleFactory(recipients=["@shop_manager", "e@ﬁn.example"])
    run()
    stored = dict(Delivery.objects.values_list("pk", "normalised_address"))
    assert stored == {
        changed.pk: "a@xn--strae-oqa.example",
        kept.pk: "a@xn--bcher-kva.example",
        plain.pk: "a@strasse.example",
        erased.pk: "[effacée 1]",
    }
    assert Delivery.objects.get(pk=changed.pk).address == "a@Straße.example"
    assert Shop.objects.exclude(manager_email="").get().manager_email == "b@faß.example"
    told = capsys.readouterr().out
    assert (
        "a@Straße.example is compared as a@xn--strae-oqa.example, not as a@strasse.example any more (1 deliveries)"
        in told
    )
    assert "b@faß.example is compared as and mailed to b@xn--fa-hia.example, not b@fass.example any more" in told
    assert "c@☃.example" in told and "none under IDNA 2008" in told
    assert "e@ﬁn.example holds ﬁ" in told
    assert "bücher" not in told and "d@x.example" not in told


def test_a_second_run_changes_and_tells_nothing_of_the_journal(capsys: pytest.CaptureFixture[str]) -> None:
    DeliveryFactory(address="a@straße.example", normalised_address="a@strasse.example")
    run()
    capsys.readouterr()
    run()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "address",
    [
        "A@Straße.example",
        "a@bücher。example",
        "a@ﬁn.example",
        "a@☃.example",
        "a@xn--n3h.example",
        "a@" + "é" * 300,
        "é@x..y",
        "a@βόλος.gr",
    ],
)
def test_the_migration_computes_what_the_product_does(address: str) -> None:
    assert MIGRATION._normalised(address) == addresses.normalise(address)
