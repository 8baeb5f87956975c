"""The staff form that creates a company, and what removing the last incident address says."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from companies.models import AuditEntry, Company, User
from notifications.models import Delivery
from notifications.settings_facts import company_facts
from notifications.tables.compute import delivery_tables
from shops.models import Shop
from tests.factories import CompanyFactory, ShopFactory, StaffFactory, UserFactory
from tests.html_forms import Form, form_with

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
ADD = "/admin/companies/company/add/"


@pytest.fixture
def staff(client_for: ClientFor) -> Client:
    return client_for(StaffFactory(), fresh=True)


def text(response: Any) -> str:
    return response.content.decode().replace("&#x27;", "'").replace("\xa0", " ")


def filled(client: Client, **more: Any) -> dict[str, list[str]]:
    """The form as it is opened, with what a company needs."""
    needed = {"reference": "neuve", "name": "Neuve", "manager_email": "anna@neuve.example", "shop_name": "Neuve Paris"}
    return form_with(client.get(ADD), "reference").sent(**{**needed, **more})


def gaps(company: Company) -> list[str]:
    return [gap.notification for gap in delivery_tables(company_facts(company)).gaps]


# --- Incident addresses -----------------------------------------------------------------------------


def test_an_empty_incident_field_comes_back_with_the_managers_address_as_a_plain_value(staff: Client) -> None:
    answer = staff.post(ADD, filled(staff, incident_emails=""))
    assert answer.status_code == 200 and not Company.objects.exists()
    form: Form = form_with(answer, "reference")
    assert form.values["incident_emails"] == ["anna@neuve.example"] and form.values["name"] == ["Neuve"]
    assert "n'est alors annoncé à personne" in text(answer)
    assert staff.post(ADD, form.sent()).status_code == 302
    assert Company.objects.get().incident_emails == ["anna@neuve.example"]
    # A plain value: it does not follow the contact.
    assert gaps(Company.objects.get()) == []


def test_emptied_after_the_proposal_it_stays_empty_and_the_page_says_so(staff: Client) -> None:
    form: Form = form_with(staff.post(ADD, filled(staff, incident_emails="")), "reference")
    page = text(staff.post(ADD, form.sent(incident_emails=""), follow=True))
    assert Company.objects.get().incident_emails == [] and gaps(Company.objects.get()) == ["platform_incident"]
    assert "un incident de la plateforme n'est annoncé à personne" in page


def test_a_typed_incident_address_is_not_asked_about(staff: Client) -> None:
    assert staff.post(ADD, filled(staff, incident_emails="astreinte@neuve.example")).status_code == 302
    assert Company.objects.get().incident_emails == ["astreinte@neuve.example"]


def test_removing_the_last_incident_address_is_told_before_and_after(client_for: ClientFor, staff: Client) -> None:
    company = CompanyFactory(incident_emails=["a@x.example"])
    client = client_for(UserFactory(company=company), fresh=True)
    page = client.get("/settings/company/")
    assert "Laissé vide, un incident de la plateforme n'est annoncé à personne." in text(page)
    preview = text(client.get("/settings/company/", {"preview": "incident", "incident_emails": ""}))
    assert "n'est annoncé à personne" in preview
    asked = client.post("/settings/company/", form_with(page, "incident_emails").sent(incident_emails=""))
    assert "Vous retirez la dernière adresse en cas d'incident" in text(asked)
    assert Company.objects.get().incident_emails == ["a@x.example"]
    # The empty field is part of what is sent.
    sent = form_with(asked, "incident_emails").sent() | {"incident_emails": ""}
    done = text(client.post("/settings/company/", sent, follow=True))
    assert Company.objects.get().incident_emails == []
    assert "Aucune adresse en cas d'incident" in done
    assert AuditEntry.objects.filter(action="company.updated").count() == 1


def test_removing_the_last_incident_address_in_the_admin_is_told_before_and_after(staff: Client) -> None:
    company = CompanyFactory(incident_emails=["a@x.example"])
    url = f"/admin/companies/company/{company.pk}/change/"
    page = staff.get(url)
    assert "Laissé vide, un incident de la plateforme n'est annoncé à personne." in text(page)
    asked = staff.post(url, form_with(page, "incident_emails").sent(incident_emails="") | {"incident_emails": ""})
    assert asked.status_code == 200 and "Vous retirez la dernière adresse" in text(asked)
    sent = form_with(asked, "manager_email").sent() | {"incident_emails": ""}
    assert "Aucune adresse en cas d'incident" in text(staff.post(url, sent, follow=True))
    assert Company.objects.get().incident_emails == []


def test_a_company_that_has_no_incident_address_is_not_asked_again(client_for: ClientFor) -> None:
    company = CompanyFactory()
    client = client_for(UserFactory(company=company), fresh=True)
    form = form_with(client.get("/settings/company/"), "incident_emails")
    assert client.post("/settings/company/", form.sent(language="en")).status_code == 302


# --- The first shop and the first user ---------------------------------------------------------------------


def test_the_identifier_of_the_first_shop_is_proposed_and_can_be_replaced(staff: Client) -> None:
    sent = filled(staff, incident_emails="a@x.example")
    (proposed,) = sent["shop_site_id"]
    assert len(proposed) == 8 and not Shop.objects.filter(site_id=proposed).exists()
    assert staff.post(ADD, sent).status_code == 302
    assert Shop.objects.get().site_id == proposed and Shop.objects.get().manager_email == ""
    taken = filled(staff, incident_emails="a@x.example", reference="autre", shop_site_id=proposed)
    answer = staff.post(ADD, taken)
    assert answer.status_code == 200 and answer.context["adminform"].form.errors.keys() == {"shop_site_id"}


def test_an_empty_manager_address_of_the_shop_is_explained_beside_it(staff: Client) -> None:
    page = text(staff.get(ADD))
    assert "Laissé vide : l'adresse du Contact gestionnaire de la société est utilisée" in page


def test_the_first_user_is_an_administrator_invited_at_the_managers_address(staff: Client) -> None:
    data = filled(staff, incident_emails="a@x.example", user_login="anna", manager_first_name="Anna")
    page = text(staff.post(ADD, data, follow=True))
    user = User.objects.get(login="anna")
    assert (user.email, user.first_name, user.state) == ("anna@neuve.example", "Anna", User.State.INVITED)
    assert user.memberships.get().role == "administrator" and user.company == Company.objects.get()
    assert Delivery.objects.get(notification="user_account").address == "anna@neuve.example"
    assert "Le compte administrateur anna est créé" in page


def test_without_an_identifier_nobody_is_created_and_the_page_says_so(staff: Client) -> None:
    page = text(staff.post(ADD, filled(staff, incident_emails="a@x.example"), follow=True))
    assert "personne de la société ne peut encore se connecter" in page
    assert not User.objects.filter(company__isnull=False).exists()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"user_login": "PRIS"}, "user_login"),
        ({"user_login": "à b"}, "user_login"),
        ({"user_login": "anna", "user_email": "anna@"}, "user_email"),
        ({"user_email": "anna@neuve.example"}, "user_login"),
        ({"user_last_name": "Petit"}, "user_login"),
    ],
)
def test_a_first_user_that_cannot_be_is_refused_beside_its_field(
    staff: Client, values: dict[str, str], field: str
) -> None:
    UserFactory(login="pris", company=None)
    answer = staff.post(ADD, filled(staff, incident_emails="a@x.example", **values))
    assert answer.status_code == 200 and answer.context["adminform"].form.errors.keys() == {field}
    assert not Company.objects.exists()
    kept = form_with(answer, "reference").values
    assert {name: [value] for name, value in values.items()}.items() <= kept.items()


def test_staff_who_may_not_add_users_create_none_with_a_company(client_for: ClientFor) -> None:
    member = StaffFactory(is_superuser=False)
    member.user_permissions.set(Permission.objects.filter(codename__in=["add_company", "view_company", "add_shop"]))
    client = client_for(member, fresh=True)
    assert "Premier utilisateur" not in text(client.get(ADD))
    data = filled(client, incident_emails="a@x.example") | {"user_login": "anna"}
    assert client.post(ADD, data).status_code == 302
    assert Company.objects.exists() and not User.objects.filter(login="anna").exists()


def test_a_shop_is_opened_by_staff_under_a_proposed_identifier(staff: Client) -> None:
    ShopFactory()
    (proposed,) = form_with(staff.get("/admin/shops/shop/add/"), "site_id").values["site_id"]
    assert len(proposed) == 8 and proposed.isdigit()
