"""Support: where does an address occur, in which company and in which role, and what did it receive."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from companies.models import User
from notifications.privacy import support
from tests.factories import (
    CompanyFactory,
    DeliveryFactory,
    EventFactory,
    NotificationRuleFactory,
    SftpAccountFactory,
    ShopFactory,
    StaffFactory,
    UserFactory,
)

PAGE = "/admin/support/addresses/"
pytestmark = pytest.mark.django_db


def places(email: str) -> dict[str, list[str]]:
    return {found.company.reference: found.roles for found in support.occurrences(email)}


def test_every_place_is_found_whatever_the_spelling() -> None:
    email = "Dev@Agence.Example"
    CompanyFactory(reference="a", manager__email=email)
    CompanyFactory(reference="b", with_technical=True, technical__email=email)
    CompanyFactory(reference="c", incident_emails=["autre@x.example", email])
    ShopFactory(company=CompanyFactory(reference="d"), site_id="10000004", manager_email=email)
    rule = NotificationRuleFactory(
        shop=ShopFactory(company=CompanyFactory(reference="e"), site_id="10000005"), recipients=["@shop_manager", email]
    )
    UserFactory(company=CompanyFactory(reference="f"), login="dev", email=email)
    SftpAccountFactory(company=CompanyFactory(reference="g"), login="sftp-dev", email=email)
    CompanyFactory(reference="h", manager__email="dev@agence.example.org")
    CompanyFactory(reference="i", manager__email="autredev@agence.example")
    assert places("dev@agence.example") == {
        "a": ["company_manager"],
        "b": ["technical_contact"],
        "c": ["incident_contact"],
        "d": ["shop_manager:10000004"],
        "e": [f"rule:10000005/{rule.reference}"],
        "f": ["user:dev"],
        "g": ["sftp_account:sftp-dev"],
    }


def test_an_international_domain_is_found_in_both_spellings() -> None:
    CompanyFactory(reference="a", manager__email="claire@lumière.example")
    assert places("claire@xn--lumire-6ua.example") == places("CLAIRE@LUMIÈRE.example") == {"a": ["company_manager"]}


@pytest.fixture
def staff(client_for: Callable[..., Client]) -> Client:
    return client_for(StaffFactory())


def test_the_page_tells_places_reasons_and_messages(staff: Client) -> None:
    company = CompanyFactory(reference="lumiere", name="Maison Lumière", manager__email="claire@lumiere.example")
    shop = ShopFactory(company=company, site_id="10000001")
    DeliveryFactory(event=EventFactory(shop=shop), address="claire@lumiere.example", status="sent")
    DeliveryFactory(event=EventFactory(shop=shop), address="paul@lumiere.example")
    said = staff.get(PAGE, {"q": " CLAIRE@lumiere.example "}).content.decode()
    assert "Maison Lumière" in said and "Contact gestionnaire" in said
    assert "1 message" in said and "Paiement accepté" in said and "Envoyé 1" in said
    assert "n'est configurée nulle part" in staff.get(PAGE, {"q": "nul@x.example"}).content.decode()
    assert "pas-une-adresse" in staff.get(PAGE, {"q": "pas-une-adresse"}).content.decode()


def test_the_csv_holds_places_and_messages(staff: Client) -> None:
    company = CompanyFactory(reference="lumiere", manager__email="claire@lumiere.example")
    DeliveryFactory(event=EventFactory(shop=ShopFactory(company=company)), address="claire@lumiere.example")
    response: Any = staff.get(PAGE, {"q": "claire@lumiere.example", "format": "csv", "plain": "1"})
    body = b"".join(response.streaming_content).decode()
    assert body.splitlines()[0] == ",".join(support.CSV_HEADER)
    assert "lumiere,company_manager" in body and "merchant_email" in body and ",queued," in body


def test_a_company_more_costs_a_constant(staff: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            staff.get(PAGE, {"q": "dev@agence.example"})
        return len(found)

    def more() -> None:
        company = CompanyFactory(manager__email="dev@agence.example")
        for _n in range(3):
            NotificationRuleFactory(shop=ShopFactory(company=company))

    more()
    one = queries()
    more()
    two = queries()
    more()
    assert queries() - two == two - one


def test_only_team_members_with_the_right_may_ask(client_for: Callable[..., Client]) -> None:
    assert client_for(UserFactory()).get(PAGE).status_code == 302
    assert client_for(StaffFactory(is_superuser=False)).get(PAGE).status_code == 403
    assert Client().get(PAGE).status_code == 302
    assert User.objects.count() == 2
