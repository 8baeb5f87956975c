"""« Adresses contactées » and « Par notification »: what stands on them is what the resolver says."""

import csv
import io
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from companies.models import Company, Role, User
from notifications import exports, resolver, selectors, wording
from tests.factories import CompanyFactory, NotificationRuleFactory, ShopFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[[User], Client]
EVERYBODY = {"claire@lumiere.example", "dev@agence.example", "hugo@agence.example", "lyon@lumiere.example"}
TECHNICAL = "n'est destinataire d'aucun e-mail émanant de la plateforme de paiement"


@pytest.fixture
def company() -> Company:
    """Two shops, one with an own address; a rule that also writes to the technical contact, and one to nobody."""
    company = CompanyFactory(
        reference="lumiere",
        manager__email="claire@lumiere.example",
        with_technical=True,
        technical__email="hugo@agence.example",
    )
    paris = ShopFactory(company=company, name="Lumière Paris", site_id="10000001")
    lyon = ShopFactory(company=company, name="Lumière Lyon", site_id="10000002", manager_email="lyon@lumiere.example")
    NotificationRuleFactory(
        shop=paris, reference="ipn-end", ipn=True, recipients=["@shop_manager", "dev@agence.example"]
    )
    NotificationRuleFactory(shop=lyon, reference="ipn-end", ipn=True, recipients=[])
    NotificationRuleFactory(shop=lyon, reference="mail-off", enabled=False, recipients=["hugo@agence.example"])
    return company


@pytest.fixture
def claire(company: Company) -> User:
    return UserFactory(company=company, login="claire", email="claire@lumiere.example")


def text_of(response: Any) -> str:
    assert response.status_code == 200
    text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))
    return text.replace("@ ", "@")


def csv_of(response: Any) -> list[dict[str, str]]:
    body = b"".join(response.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(body)))


def test_the_table_of_each_address_is_what_the_resolver_says(
    client_for: ClientFor, claire: User, company: Company
) -> None:
    client = client_for(claire)
    tables = selectors.delivery_tables(selectors.company_facts(company))
    assert len(tables.addresses) == 4
    for table in tables.addresses:
        response = client.get(reverse("addresses"), {"address": table.email})
        text = text_of(response)
        assert [row.decision for row in response.context["rows"]] == table.receives
        for line in table.receives:
            assert wording.decision_reason(line) in text
            assert wording.notification_label(line.notification) in text
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


def test_csv_holds_every_line_with_the_documented_columns(
    client_for: ClientFor, claire: User, company: Company
) -> None:
    response = client_for(claire).get(reverse("addresses"), {"format": "csv"})
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    lines = csv_of(response)
    assert tuple(lines[0]) == exports.TABLE_HEADER
    tables = selectors.delivery_tables(selectors.company_facts(company))
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
    lines = csv_of(client_for(claire).get(reverse("addresses"), {"format": "csv"}))
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
    assert not [row for row in response.context["rows"] if row.url]
    assert "Un administrateur de votre société peut le changer." in text_of(response)


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
    assert sorted(map(repr, shown)) == sorted(map(repr, resolver.resolve_all(selectors.company_facts(company))))


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
    response = client.get(reverse("addresses"))
    created = [row for row in response.context["rows"] if row.code == "shop_created"]
    assert [len(row.shops) for row in created] == [70]
    assert "70 boutiques" in text_of(response)
    listed = client.get(
        reverse("addresses"), {"address": "claire@reseau.example", "notification": "shop_created", "page": "2"}
    )
    assert len(listed.context["rows"]) == 20
    assert all(row.url for row in listed.context["rows"])
