"""Typical slips in addresses are asked about once, with the correction, and never refused."""

import pytest
from django.test import Client

from backoffice.text import slips
from companies.models import Company, User
from tests.html_forms import form_with

pytestmark = pytest.mark.one_database


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("claire@gmial.com", "claire@gmail.com"),
        ("claire@GMIAL.com", "claire@gmail.com"),
        ("claire@hotnail.fr", "claire@hotmail.fr"),
        ("claire@gmail.con", "claire@gmail.com"),
        ("claire@lumiere.con", "claire@lumiere.com"),
        ("claire@gmal.cmo", "claire@gmail.com"),
        ("claire@gmailcom", "claire@gmail.com"),
        ("claire@lumierefr", "claire@lumiere.fr"),
        ("claire@wanado.fr", "claire@wanadoo.fr"),
        ("claire@iclouud.com", "claire@icloud.com"),
        ("claire@gmail.com", None),
        ("claire@hotmail.fr", None),
        ("claire@mail.com", None),
        ("claire@lumiere.example", None),
        ("claire@a.fr", None),
        ("gmial.com", None),
        ("", None),
    ],
)
def test_a_slip_is_known_with_what_was_meant(typed: str, meant: str | None) -> None:
    assert slips.suggestion(typed) == meant


@pytest.mark.django_db
@pytest.mark.parametrize(("choice", "saved"), [("fix", "astreinte@gmail.com"), ("keep", "astreinte@gmial.com")])
def test_a_form_asks_once_and_saves_what_is_chosen(
    choice: str, saved: str, client: Client, claire: User, company: Company
) -> None:
    client.force_login(claire)
    form = form_with(client.get("/settings/company/"), "incident_emails")
    response = client.post("/settings/company/", form.sent(incident_emails="astreinte@gmial.com; nuit@lumiere.example"))
    assert "Vouliez-vous dire astreinte@gmail.com" in response.content.decode()
    company.refresh_from_db()
    assert company.incident_emails == []
    again = form_with(response, "incident_emails")
    assert again.values["incident_emails"] == ["astreinte@gmial.com; nuit@lumiere.example"]
    assert again.values["incident_emails-slip-of"] == ["astreinte@gmial.com"]
    client.post("/settings/company/", again.sent(**{"incident_emails-slip": choice}))
    company.refresh_from_db()
    assert company.incident_emails == [saved, "nuit@lumiere.example"]
