"""« Comparer », the tables of a past moment on their page, and signed copies."""

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from companies.models import Company, Contact, Role, User
from notifications.tables.compute import delivery_tables
from notifications.tables.difference import difference
from notifications.timeline import reading
from shops.models import Shop
from tests.factories import NotificationRuleFactory, ShopFactory, UserFactory
from tests.notifications.tables.test_address_pages import csv_of, text_of

pytestmark = pytest.mark.django_db
ClientFor = Callable[[User], Client]
COMPARE, ADDRESSES = "/notifications/compare/", "/notifications/addresses/"


@pytest.fixture(autouse=True)
def _rules(lyon: Shop, nice: Shop) -> None:
    NotificationRuleFactory(
        shop=lyon, reference="mail", label="Mail", recipients=["@shop_manager", "dev@agence.example"]
    )
    NotificationRuleFactory(shop=nice, reference="mail", label="Mail", recipients=["@shop_manager"])
    NotificationRuleFactory(
        shop=nice,
        reference="essais",
        recipients=["essais@agence.example"],
        conditions=[{"variable": "mode", "operator": "eq", "value": "TEST"}],
    )


def test_two_dates_show_what_is_lost_first(company: Company, claire: User, client_for: ClientFor) -> None:
    then = timezone.now().isoformat()
    Shop.objects.filter(site_id="10000002").update(manager_email="lyon@lumiere.example", name="Lyon Nord")
    client = client_for(claire)
    page = text_of(client.get(COMPARE, {"by": "dates", "from": then}))
    assert page.index("lignes perdues", page.index("lignes perdues") + 1) < page.index("lyon@lumiere.example")
    rows = csv_of(client.get(COMPARE, {"by": "dates", "from": then, "format": "csv", "plain": "1"}))
    gained = {(row["email"], row["notification"], row["as"]) for row in rows if row["change"] == "gained"}
    assert ("lyon@lumiere.example", "three_d_secure_activated", "to") in gained
    assert ("claire@lumiere.example", "shop_created", "cc") in gained
    assert {row["email"] for row in rows if row["change"] == "lost"} == {"claire@lumiere.example"}


def test_a_line_that_only_says_something_else_is_changed(company: Company, claire: User, client_for: ClientFor) -> None:
    then = timezone.now().isoformat()
    Contact.objects.filter(company=company, kind="manager").update(email="Claire@lumiere.example")
    rows = csv_of(client_for(claire).get(COMPARE, {"by": "dates", "from": then, "format": "csv", "plain": "1"}))
    assert {row["change"] for row in rows} == {"changed"}
    assert "Lignes changées" in text_of(client_for(claire).get(COMPARE, {"by": "dates", "from": then}))


def test_dates_the_wrong_way_round_are_turned(company: Company, claire: User, client_for: ClientFor) -> None:
    first = timezone.now()
    Company.objects.update(incident_emails=["astreinte@lumiere.example"])
    asked = {"by": "dates", "from": timezone.now().isoformat(), "to": first.isoformat()}
    rows = csv_of(client_for(claire).get(COMPARE, {**asked, "format": "csv", "plain": "1"}))
    assert {row["change"] for row in rows} == {"gained", "gap_closed"}
    assert "Atteignent de nouveau quelqu'un" in text_of(client_for(claire).get(COMPARE, asked))


def test_two_shops_differ_by_their_own_lines(company: Company, claire: User, client_for: ClientFor) -> None:
    asked = {"by": "shops", "shop": "10000002", "other": "10000003"}
    rows = csv_of(client_for(claire).get(COMPARE, {**asked, "format": "csv", "plain": "1"}))
    assert [(row["change"], row["email"], row["rule"]) for row in rows] == [
        ("lost", "dev@agence.example", "mail"),
        ("gained", "essais@agence.example", "essais"),
    ]
    assert client_for(claire).get(COMPARE, {**asked, "other": "99999999"}).status_code == 404


def test_a_rule_of_one_mode_differs_between_the_modes(company: Company, claire: User, client_for: ClientFor) -> None:
    rows = csv_of(client_for(claire).get(COMPARE, {"by": "modes", "format": "csv", "plain": "1"}))
    assert [(row["change"], row["email"]) for row in rows] == [("lost", "essais@agence.example")]
    assert "1 ligne perdue" in text_of(client_for(claire).get(COMPARE, {"by": "modes"}))


def test_nothing_that_differs_is_said(company: Company, claire: User, client_for: ClientFor) -> None:
    asked = {"by": "dates", "from": timezone.now().isoformat()}
    assert "Aucune différence" in text_of(client_for(claire).get(COMPARE, asked))
    assert "Aucune différence" not in text_of(client_for(claire).get(COMPARE))


@pytest.mark.parametrize(("path", "name"), [(COMPARE, "from"), (ADDRESSES, "at")])
@pytest.mark.parametrize("typed", ["hier", "2999-01-01T00:00", "2001-01-01T00:00:00Z", "0001-01-01T00:00"])
def test_a_date_that_nobody_knows_of_is_told_on_the_page(
    path: str, name: str, typed: str, company: Company, claire: User, client_for: ClientFor
) -> None:
    response = client_for(claire).get(path, {name: typed})
    assert response.status_code == 200
    assert 'role="alert"' in response.content.decode()


def test_the_page_of_addresses_shows_a_past_moment(company: Company, claire: User, client_for: ClientFor) -> None:
    then, client = timezone.now().isoformat(), client_for(claire)
    Shop.objects.filter(site_id="10000002").update(name="Lyon Nord")
    NotificationRuleFactory(shop=Shop.objects.get(site_id="10000002"), recipients=["neuf@agence.example"])
    past = text_of(client.get(ADDRESSES, {"at": then}))
    assert "et non ceux d'aujourd'hui" in past and "neuf@agence.example" not in past and "Lyon Nord" not in past
    assert "neuf@agence.example" in text_of(client.get(ADDRESSES))
    rows = csv_of(client.get(ADDRESSES, {"at": then, "format": "csv", "plain": "1"}))
    assert "neuf@agence.example" not in {row["email"] for row in rows}


def test_a_field_without_offset_is_on_the_clock_of_the_reader(
    company: Company, claire: User, client_for: ClientFor
) -> None:
    Company.objects.update(created_at=timezone.now() - timedelta(days=1))
    here = timezone.localtime(timezone.now()).replace(tzinfo=None).isoformat()
    assert "et non ceux d'aujourd'hui" in text_of(client_for(claire).get(ADDRESSES, {"at": here}))


def test_who_sees_one_shop_sees_its_past_only(company: Company, client_for: ClientFor) -> None:
    user = UserFactory(company=company, role=Role.VIEWER, shops=[Shop.objects.get(site_id="10000003")])
    then = timezone.now().isoformat()
    Company.objects.update(incident_emails=["astreinte@lumiere.example"])
    for response in (
        client_for(user).get(ADDRESSES, {"at": then}),
        client_for(user).get(COMPARE, {"by": "dates", "from": then}),
        client_for(user).get(COMPARE, {"by": "modes"}),
    ):
        text = text_of(response)
        assert "dev@agence.example" not in text and "Lyon" not in text
    other = {"by": "shops", "shop": "10000002", "other": "10000003"}
    assert client_for(user).get(COMPARE, other).status_code == 404


def test_pages_of_the_past_cost_the_same_for_many_shops(company: Company, claire: User, client_for: ClientFor) -> None:
    client = client_for(claire)
    counts = []
    for _round in range(2):
        then = timezone.now().isoformat()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get(ADDRESSES, {"at": then})
            client.get(COMPARE, {"by": "dates", "from": then})
        counts.append(len(queries))
        for _shop in range(4):
            NotificationRuleFactory(shop=ShopFactory(company=company))
    assert counts[0] == counts[1]


def test_comparing_a_company_with_itself_gives_nothing(company: Company) -> None:
    facts = reading.facts_of(company, None)
    assert not difference(delivery_tables(facts), delivery_tables(reading.facts_at(company, timezone.now())))


# --- Signed copies --------------------------------------------------------------------------------


def signed(form: str) -> str:
    out = StringIO()
    call_command("delivery_tables", "lumiere", "--signed", "--format", form, stdout=out)
    return out.getvalue()


def verified(path: Path) -> str:
    out = StringIO()
    call_command("verify_tables", str(path), stdout=out)
    return out.getvalue().splitlines()[-1]


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_a_signed_copy_is_verified_and_a_changed_one_is_not(form: str, company: Company, tmp_path: Path) -> None:
    copy = tmp_path / "tables"
    copy.write_text(signed(form), encoding="utf-8")
    assert verified(copy).startswith("valid=1 signed_at=")
    copy.write_text(signed(form).replace("dev@agence.example", "dex@agence.example"), encoding="utf-8")
    with pytest.raises(CommandError, match="signature est fausse"):
        verified(copy)


def test_json_is_signed_by_its_content_whatever_its_spacing(company: Company, tmp_path: Path) -> None:
    copy = tmp_path / "tables.json"
    document: dict[str, Any] = json.loads(signed("json"))
    copy.write_text(json.dumps(dict(reversed(document.items()))), encoding="utf-8")
    assert verified(copy) == f"valid=1 signed_at={document['signed_at']}"
    copy.write_text(json.dumps({**document, "signed_at": "2026-01-01T00:00:00Z"}), encoding="utf-8")
    with pytest.raises(CommandError, match="signature est fausse"):
        verified(copy)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b"email,roles\n", b'{"signature": 1}'])
def test_what_is_not_signed_is_refused(content: bytes, tmp_path: Path) -> None:
    copy = tmp_path / "other"
    copy.write_bytes(content)
    with pytest.raises(CommandError):
        verified(copy)
    with pytest.raises(CommandError):
        verified(tmp_path / "absent")


def test_the_rows_of_a_signed_csv_stay_readable(company: Company) -> None:
    rows = list(csv.DictReader(io.StringIO(signed("csv").rpartition("# signed_at")[0])))
    assert rows[0]["email"] == "claire@lumiere.example"
