"""« Adresses contactées » and « Par notification »: what stands on them is what the resolver says."""

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from companies.models import Company, Role, User
from notifications import settings_facts
from notifications.core import resolver, wording
from notifications.models import AddressHealth, Delivery
from notifications.tables import compute
from shops.models import Shop
from tests.factories import (
    CompanyFactory,
    DeliveryFactory,
    EventFactory,
    NotificationRuleFactory,
    ShopFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
ClientFor = Callable[[User], Client]
EVERYBODY = {"claire@lumiere.example", "dev@agence.example", "hugo@agence.example", "lyon@lumiere.example"}
TECHNICAL = "n'est destinataire d'aucun e-mail émanant de la plateforme de paiement"


@pytest.fixture(autouse=True)
def _settings(company: Company, paris: Shop, lyon: Shop) -> None:
    """Two shops, one with an own address; a rule that also writes to the technical contact, and one to nobody."""
    Shop.objects.filter(pk=paris.pk).update(manager_email="")
    Shop.objects.filter(pk=lyon.pk).update(manager_email="lyon@lumiere.example")
    NotificationRuleFactory(
        shop=paris, reference="ipn-end", ipn=True, recipients=["@shop_manager", "dev@agence.example"]
    )
    NotificationRuleFactory(shop=lyon, reference="ipn-end", ipn=True, recipients=[])
    NotificationRuleFactory(shop=lyon, reference="mail-off", enabled=False, recipients=["hugo@agence.example"])


def text_of(response: Any) -> str:
    assert response.status_code == 200
    text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))
    return text.replace("@ ", "@")


def sites_of(row: Any) -> list[str | None]:
    return [site_id for site_id, _name in row.shops] or [None]


def csv_of(response: Any) -> list[dict[str, str]]:
    body = b"".join(response.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(body)))


def test_the_table_of_each_address_is_what_the_resolver_says(
    client_for: ClientFor, claire: User, company: Company
) -> None:
    client = client_for(claire)
    tables = compute.delivery_tables(settings_facts.company_facts(company))
    assert len(tables.addresses) == 4
    for table in tables.addresses:
        response = client.get(reverse("addresses"), {"address": table.email})
        text = text_of(response)
        rows = response.context["rows"]
        # A row stands for the shops that it names, whose lines are equal.
        told = [(row.code, row.decision.rule, row.decision.as_, site) for row in rows for site in sites_of(row)]
        lines = [(line.notification, line.rule, line.as_, line.shop) for line in table.receives]
        assert sorted(told, key=str) == sorted(lines, key=str)
        for row in rows:
            assert row.reason in text and row.label in text
            assert len(row.shops) > 1 or row.reason == wording.decision_reason(row.decision)
        for line in table.receives:
            assert wording.configured_at(line).replace("&", "&amp;") in response.content.decode()
        for line in table.why_not:
            assert wording.decision_reason(line) in text


def test_an_address_is_found_in_any_spelling(client_for: ClientFor, claire: User) -> None:
    response = client_for(claire).get(reverse("addresses"), {"address": " CLAIRE@Lumiere.example "})
    assert response.context["chosen"].email == "claire@lumiere.example"


def test_an_unknown_address_is_said_to_be_configured_nowhere(client_for: ClientFor, claire: User) -> None:
    text = text_of(client_for(claire).get(reverse("addresses"), {"address": "x@ailleurs.example"}))
    assert "L'adresse x@ailleurs.example n'est configurée nulle part" in text


def test_the_technical_contact_is_said_to_receive_nothing(client_for: ClientFor, claire: User) -> None:
    text = text_of(client_for(claire).get(reverse("addresses"), {"address": "hugo@agence.example"}))
    assert TECHNICAL in text
    assert "Les lignes ci-dessous" not in text
    assert "Lieu de configuration" in text
    assert "Informations envoyées à cette adresse e-mail" in text


def test_the_technical_contact_is_told_so_also_beside_lines_of_another_role(
    client_for: ClientFor, claire: User, company: Company
) -> None:
    company.incident_emails = ["hugo@agence.example"]
    company.save()
    text = text_of(client_for(claire).get(reverse("addresses"), {"address": "hugo@agence.example"}))
    assert TECHNICAL in text
    assert "Les lignes ci-dessous lui parviennent à un autre titre." in text
    assert "Incident sur la plateforme de paiement" in text


def test_gaps_stand_on_top_with_what_to_do(client_for: ClientFor, claire: User) -> None:
    response = client_for(claire).get(reverse("addresses"))
    text = text_of(response)
    assert "2 notifications n'atteignent personne" in text
    assert 'href="/settings/notification-rules/?shop=10000002&amp;rule=ipn-end"' in response.content.decode()
    assert "Renseigner une adresse d'incident" in text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"q": "dev@"}, {"dev@agence.example"}),
        ({"q": "LUMIERE LYON"}, {"claire@lumiere.example", "hugo@agence.example", "lyon@lumiere.example"}),
        ({"q": "10000001"}, {"claire@lumiere.example", "dev@agence.example"}),
        ({"q": "lettre d'information"}, {"claire@lumiere.example"}),
        ({"notification": "ipn_failure"}, {"claire@lumiere.example", "dev@agence.example"}),
        ({"role": "technical_contact"}, {"hugo@agence.example"}),
        # The Contact gestionnaire manages the other shop, and has copies of this one's mail.
        ({"role": "shop_manager", "shop": "10000002"}, {"claire@lumiere.example", "lyon@lumiere.example"}),
        ({"q": "introuvable"}, set()),
        ({"notification": "no-such-thing"}, EVERYBODY),
    ],
)
def test_search_and_filters_narrow_the_addresses(
    client_for: ClientFor, claire: User, query: dict[str, str], expected: set[str]
) -> None:
    response = client_for(claire).get(reverse("addresses"), query)
    found = {table.email for table in response.context["tables"].addresses}
    assert found == expected


def test_addresses_are_filtered_by_their_health_on_the_page_and_in_the_file(
    client_for: ClientFor, claire: User, company: Company
) -> None:
    for address, state in (("lyon@lumiere.example", "verified"), ("dev@agence.example", "suppressed")):
        AddressHealth.objects.create(company=company, normalised_address=address, state=state)
    client = client_for(claire)
    found = {
        state: {table.email for table in client.get(reverse("addresses"), {"state": state}).context["tables"].addresses}
        for state in ("verified", "suppressed", "unverified", "bouncing", "none-such")
    }
    rest = EVERYBODY - {"lyon@lumiere.example", "dev@agence.example"}
    assert found["verified"] == {"lyon@lumiere.example"} and found["suppressed"] == {"dev@agence.example"}
    assert found["unverified"] == rest and found["bouncing"] == set() and found["none-such"] == EVERYBODY
    lines = csv_of(client.get(reverse("addresses"), {"format": "csv", "plain": "1", "state": "suppressed"}))
    assert [(line["email"], line["notification"], line["state"]) for line in lines] == [
        ("dev@agence.example", "", "suppressed")
    ]
    whole = csv_of(client.get(reverse("addresses"), {"format": "csv", "plain": "1"}))
    assert {line["state"] for line in whole if line["email"] == "lyon@lumiere.example"} == {"verified"}
    page = client.get(reverse("addresses"), {"address": "dev@agence.example"})
    # Its state stands there once.
    assert text_of(page).count("Neutralisée") == 1


def test_csv_holds_every_line_with_the_documented_columns(
    client_for: ClientFor, claire: User, company: Company
) -> None:
    response = client_for(claire).get(reverse("addresses"), {"format": "csv", "plain": "1"})
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    lines = csv_of(response)
    assert tuple(lines[0]) == compute.TABLE_HEADER
    tables = compute.delivery_tables(settings_facts.company_facts(company))
    expected = [
        (table.email, line.notification, line.shop or "", line.as_)
        for table in tables.addresses
        for line in table.receives
    ]
    written = [
        (line["email"], line["notification"], line["shop"], line["as"]) for line in lines if line["notification"]
    ]
    assert written == expected
    assert [line["email"] for line in lines if not line["notification"]] == ["hugo@agence.example"]


def test_csv_cells_never_start_a_formula(client_for: ClientFor, company: Company, claire: User) -> None:
    company.incident_emails = ["=cmd@lumiere.example", "+33@lumiere.example"]
    company.save()
    lines = csv_of(client_for(claire).get(reverse("addresses"), {"format": "csv", "plain": "1"}))
    assert {line["email"] for line in lines} >= {"'=cmd@lumiere.example", "'+33@lumiere.example"}
    assert not [cell for line in lines for cell in line.values() if cell[:1] in "=+-@" and cell]


def test_the_print_page_has_a_section_for_every_address(client_for: ClientFor, claire: User) -> None:
    response = client_for(claire).get(reverse("addresses"), {"print": "1"})
    assert [item["chosen"].email for item in response.context["sections"]] == [
        "claire@lumiere.example",
        "dev@agence.example",
        "hugo@agence.example",
        "lyon@lumiere.example",
    ]
    assert TECHNICAL in text_of(response)


def test_who_may_not_edit_sees_no_edit_link(client_for: ClientFor, company: Company) -> None:
    lea = UserFactory(company=company, role=Role.VIEWER)
    response = client_for(lea).get(reverse("addresses"), {"address": "claire@lumiere.example"})
    assert len(response.context["rows"]) > 5
    assert not [row for row in response.context["rows"] if row.url or any(row.urls)]
    assert "Remplacer ou retirer" not in text_of(response)
    listed = client_for(lea).get(reverse("addresses"))
    assert "Un administrateur de votre société peut le changer." in text_of(listed)


def test_a_user_of_some_shops_sees_those_only(client_for: ClientFor, company: Company) -> None:
    lyon = company.shops.get(site_id="10000002")
    user = UserFactory(company=company, shops=[lyon])
    for page in ("addresses", "by_notification"):
        text = text_of(client_for(user).get(reverse(page)))
        assert "Lumière Lyon" in text
        assert "Lumière Paris" not in text
    assert client_for(user).get(reverse("by_notification"), {"shop": "10000001"}).status_code == 404


def test_by_notification_tells_who_hears_of_a_failing_url_of_a_shop(client_for: ClientFor, claire: User) -> None:
    response = client_for(claire).get(reverse("by_notification"), {"shop": "10000001"})
    section = next(item for item in response.context["sections"] if item["section"].row.code == "ipn_failure")
    assert [row.address for row in section["rows"]] == ["claire@lumiere.example", "dev@agence.example"]
    assert {row.url for row in section["rows"]} == {"/settings/notification-rules/?shop=10000001&rule=ipn-end"}
    assert 'id="ipn_failure"' in response.content.decode()


def test_by_notification_tells_where_nobody_is_told(client_for: ClientFor, claire: User) -> None:
    response = client_for(claire).get(reverse("by_notification"), {"shop": "10000002", "notification": "ipn_failure"})
    assert [item["section"].row.code for item in response.context["sections"]] == ["ipn_failure"]
    assert "Personne n'est prévenu" in text_of(response)


def test_by_notification_has_every_decision_once(client_for: ClientFor, claire: User, company: Company) -> None:
    response = client_for(claire).get(reverse("by_notification"))
    shown = [
        decision
        for item in response.context["sections"]
        for decision in (*item["section"].receives, *item["section"].why_not, *item["section"].gaps)
    ]
    assert sorted(map(repr, shown)) == sorted(map(repr, resolver.resolve_all(settings_facts.company_facts(company))))


@pytest.mark.parametrize("page", ["addresses", "by_notification"])
def test_the_number_of_queries_does_not_grow_with_the_shops(client_for: ClientFor, page: str) -> None:
    counts = []
    for shops in (3, 60):
        company = CompanyFactory()
        for shop in ShopFactory.create_batch(shops, company=company):
            NotificationRuleFactory(shop=shop, ipn=True)
        client = client_for(UserFactory(company=company))
        with CaptureQueriesContext(connection) as queries:
            assert client.get(reverse(page)).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_many_shops_share_one_row_and_have_a_paged_list(client_for: ClientFor) -> None:
    company = CompanyFactory(manager__email="claire@reseau.example")
    for shop in ShopFactory.create_batch(70, company=company):
        NotificationRuleFactory(shop=shop, ipn=True, reference="ipn-end")
    client = client_for(UserFactory(company=company, email="claire@reseau.example"))
    response = client.get(reverse("addresses"), {"address": "claire@reseau.example"})
    created = [row for row in response.context["rows"] if row.code == "shop_created"]
    assert [len(row.shops) for row in created] == [70]
    assert "70 boutiques" in text_of(response)
    listed = client.get(
        reverse("addresses"), {"address": "claire@reseau.example", "notification": "shop_created", "page": "3"}
    )
    assert len(listed.context["rows"]) == 20
    assert all(row.url for row in listed.context["rows"])


# --- The list -------------------------------------------------------------------------------------


def listed(client: Client, **query: str) -> list[str]:
    return [row.email for row in client.get(reverse("addresses"), query).context["rows"]]


@pytest.fixture
def sent(company: Company) -> None:
    """What left in the last days: to dev@ nothing got through, to lyon@ all did, to claire@ a mail long ago failed."""
    event = EventFactory(shop=company.shops.get(site_id="10000001"))
    for address, status, days in (
        ("dev@agence.example", "dead", 1),
        ("lyon@lumiere.example", "sent", 2),
        ("claire@lumiere.example", "dead", 9),
        ("claire@lumiere.example", "sent", 3),
    ):
        delivery = DeliveryFactory(event=event, address=address, status=status)
        Delivery.objects.filter(pk=delivery.pk).update(created_at=timezone.localtime() - timedelta(days=days))


def test_the_failing_addresses_and_the_readers_own_come_first(client_for: ClientFor, claire: User, sent: None) -> None:
    client = client_for(claire)
    assert listed(client)[:2] == ["dev@agence.example", "claire@lumiere.example"]
    rows = {row.email: row for row in client.get(reverse("addresses")).context["rows"]}
    states = {email: str(row.state.label) for email, row in rows.items()}
    assert states["dev@agence.example"] == "Ne reçoit rien"
    assert states["lyon@lumiere.example"] == states["claire@lumiere.example"] == "Reçoit"
    assert states["hugo@agence.example"] == "Sans envoi"
    assert rows["claire@lumiere.example"].is_mine


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        ("address", "claire@lumiere.example"),
        ("-address", "lyon@lumiere.example"),
        ("-lines", "claire@lumiere.example"),
        ("lines", "hugo@agence.example"),
        ("-sent", "lyon@lumiere.example"),
        ("-failed", "dev@agence.example"),
        ("state", "dev@agence.example"),
    ],
)
def test_the_list_is_sorted_by_each_of_its_columns(
    client_for: ClientFor, claire: User, sent: None, sort: str, first: str
) -> None:
    assert listed(client_for(claire), sort=sort)[0] == first


def test_the_number_of_a_row_is_that_of_its_lines(client_for: ClientFor, claire: User, company: Company) -> None:
    rows = client_for(claire).get(reverse("addresses")).context["rows"]
    tables = compute.delivery_tables(settings_facts.company_facts(company))
    assert {row.email: row.lines for row in rows} == {table.email: len(table.receives) for table in tables.addresses}


def test_the_page_of_an_address_shows_its_month_and_what_to_do(client_for: ClientFor, claire: User, sent: None) -> None:
    client = client_for(claire)
    html = client.get(reverse("addresses"), {"address": "dev@agence.example"}).content.decode()
    assert "Ne reçoit rien" in html and 'role="img"' in html
    assert "/notifications/addresses/replace/?address=dev%40agence.example" in html
    assert "/notifications/why/?address=dev%40agence.example" in html
    day = (timezone.localtime() - timedelta(days=1)).date().isoformat()
    assert f"address=dev%40agence.example&amp;since={day}&amp;until={day}" in html


# --- The map --------------------------------------------------------------------------------------


def test_the_map_has_a_curve_for_each_notification_and_address(
    client_for: ClientFor, claire: User, company: Company
) -> None:
    response = client_for(claire).get(reverse("sending_map"))
    rows = {(row.label, row.values[0]): row.values[1] for row in response.context["map"].rows}
    lines: dict[tuple[str, str], int] = {}
    for decision in resolver.resolve_all(settings_facts.company_facts(company), why_not=False):
        key = (wording.notification_label(decision.notification), decision.address or "Personne")
        lines[key] = lines.get(key, 0) + 1
    assert rows == lines
    html = response.content.decode()
    assert html.count('class="flow-node') == len({name for name, _to in lines}) + len({to for _name, to in lines})
    assert "style=" not in html.split('class="chart chart-flow"')[1].split("</figure>")[0]


def test_addresses_that_receive_the_same_share_a_name_on_the_map_of_many_shops(client_for: ClientFor) -> None:
    company = CompanyFactory()
    for number, shop in enumerate(ShopFactory.create_batch(40, company=company)):
        Shop.objects.filter(pk=shop.pk).update(manager_email=f"b{number}@x.example")
    response = client_for(UserFactory(company=company)).get(reverse("sending_map"))
    names = {row.values[0] for row in response.context["map"].rows}
    assert "40 adresses (e-mail gestionnaire de la boutique)" in names
    assert not [name for name in names if name.startswith("b1@")]


def test_who_sees_one_shop_sees_its_part_of_the_map(client_for: ClientFor, company: Company) -> None:
    user = UserFactory(company=company, role=Role.VIEWER, shops=[company.shops.get(site_id="10000002")])
    html = client_for(user).get(reverse("sending_map")).content.decode()
    assert "lyon@lumiere.example" in html
    assert "dev@agence.example" not in html
