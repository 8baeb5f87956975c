"""Infos Société, accounts and history: what each screen saves, refuses and says."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from companies.models import AuditEntry, Company, Contact, Role, User
from tests.factories import ShopFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
PAGE = "/settings/company/"


def text(response: Any) -> str:
    return response.content.decode().replace("&#x27;", "'")


def form(company: Company, **changed: str) -> dict[str, str]:
    company.refresh_from_db()
    return {
        "language": "fr",
        "time_zone": "Europe/Paris",
        "version": str(company.version),
        "manager-title": "Mme",
        "manager-first_name": "Claire",
        "manager-last_name": "Morel",
        "manager-email": "claire@lumiere.example",
        "manager-phone": "",
        "technical-title": "Mme",
        "technical-first_name": "Claire",
        "technical-last_name": "Morel",
        "technical-email": "hugo@agence.example",
        "technical-phone": "",
        "incident_emails": "",
        **changed,
    }


def test_saving_a_new_manager_address_says_what_moves(client_for: ClientFor, company: Company, claire: User) -> None:
    ShopFactory(company=company)
    response = client_for(claire).post(PAGE, form(company, **{"manager-email": "eva@lumiere.example"}), follow=True)
    said = text(response)
    assert "Modifié : Contact gestionnaire." in said
    assert 'notifications vers <a href="/notifications/addresses/?address=eva%40lumiere.example">' in said
    assert "−" in said
    assert company.contacts.get(kind="manager").email == "eva@lumiere.example"
    assert AuditEntry.objects.get(action="contact.updated").actor == claire


def test_saving_nothing_writes_nothing(client_for: ClientFor, company: Company, claire: User) -> None:
    assert "Rien n'a changé." in text(client_for(claire).post(PAGE, form(company), follow=True))
    assert not AuditEntry.objects.exists()


def test_a_bad_incident_address_is_named_and_the_text_kept(
    client_for: ClientFor, company: Company, claire: User
) -> None:
    typed = "ok@x.example; pas-une-adresse"
    response = client_for(claire).post(PAGE, form(company, incident_emails=typed))
    said = text(response)
    assert "« pas-une-adresse » n'est pas une adresse e-mail" in said
    assert typed in said and 'href="#id_incident_emails"' in said
    company.refresh_from_db()
    assert company.incident_emails == []


def test_a_stale_version_is_refused_once_and_keeps_the_text(
    client_for: ClientFor, company: Company, claire: User
) -> None:
    client, old = client_for(claire), form(company, language="en")
    client.post(PAGE, form(company, **{"manager-email": "eva@lumiere.example"}))
    response = client.post(PAGE, old)
    assert "modifiées par quelqu'un d'autre" in text(response)
    assert company.contacts.get(kind="manager").email == "eva@lumiere.example"
    company.refresh_from_db()
    assert f'value="{company.version}"' in text(response)
    assert company.language == "fr"


def test_the_two_contacts_swap_after_a_confirmation(client_for: ClientFor, company: Company, claire: User) -> None:
    client = client_for(claire)
    assert "hugo@agence.example devient Contact gestionnaire" in text(client.get(f"{PAGE}swap/"))
    client.post(f"{PAGE}swap/")
    assert {item.kind: item.email for item in Contact.objects.filter(company=company)} == {
        "manager": "hugo@agence.example",
        "technical": "claire@lumiere.example",
    }
    assert AuditEntry.objects.filter(action="contacts.swapped").exists()


def test_emptying_or_removing_the_technical_contact_deletes_it(
    client_for: ClientFor, company: Company, claire: User
) -> None:
    client_for(claire).post(f"{PAGE}technical/remove/")
    assert not company.contacts.filter(kind="technical").exists()
    assert AuditEntry.objects.filter(action="contact.deleted").exists()


def test_a_viewer_reads_but_cannot_post(client_for: ClientFor, company: Company) -> None:
    client = client_for(UserFactory(company=company, role=Role.VIEWER))
    page = text(client.get(PAGE))
    assert "ne permet pas de les modifier" in page and "save-bar" not in page
    assert client.post(PAGE, form(company)).status_code == 403
    for path in ("swap/", "technical/remove/", "users/", "users/new/", "sftp-accounts/"):
        assert client.get(PAGE + path).status_code == 403


def test_the_panel_answers_for_the_address_being_typed(client_for: ClientFor, company: Company, claire: User) -> None:
    answer = text(client_for(claire).get(PAGE, {"preview": "incident", "incident_emails": "astreinte@x.example"}))
    assert "Incident sur la plateforme de paiement" in answer and "<html" not in answer
    assert "n'est pas une adresse" in text(client_for(claire).get(PAGE, {"preview": "manager", "manager-email": "x"}))


def test_the_history_tells_before_and_after_and_is_searched(
    client_for: ClientFor, company: Company, claire: User
) -> None:
    client = client_for(claire)
    client.post(PAGE, form(company, incident_emails="astreinte@x.example"))
    said = text(client.get(f"{PAGE}history/", {"q": "astreinte@x"}))
    assert "E-mail(s) de contact en cas d'incident" in said and "<ins>astreinte@x.example</ins>" in said
    assert "Aucune modification" in text(client.get(f"{PAGE}history/", {"q": "introuvable"}))
    exported = b"".join(client.get(f"{PAGE}history/", {"format": "csv"}).streaming_content).decode()  # type: ignore[attr-defined]
    assert "company.updated" in exported
