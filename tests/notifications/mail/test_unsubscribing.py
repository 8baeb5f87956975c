"""Out of the letter: by a mailbox's button, by the page, by Infos Société; and back."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from backoffice.text.addresses import normalise
from companies.audit import Actor
from companies.models import AuditEntry, Company, User
from notifications import settings_facts
from notifications.broadcasts import newsletters
from notifications.mail.unsubscribing import make_token
from notifications.tables import compute
from notifications.worker import loop
from tests.factories import CompanyFactory, ContactFactory, UserFactory
from tests.notifications.broadcasts.test_newsletters import ACTOR, letter, unsubscribe_url
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def link(company: Company, address: str = "") -> str:
    token = make_token(company.pk, normalise(address or company.manager_contact.email))
    return f"/newsletter/unsubscribe/{token}/"


def out() -> set[str]:
    return set(Company.objects.filter(newsletter_opt_out=True).values_list("reference", flat=True))


def test_a_mailbox_unsubscribes_by_one_post_without_cookies_and_again_to_the_same_effect(
    smtp_server: SmtpServer,
) -> None:
    company = CompanyFactory(reference="une", manager__email="a@x.example")
    newsletters.newsletter_send(newsletter=letter(), actor=ACTOR)
    loop.deliver_until_idle()
    path = unsubscribe_url(smtp_server).removeprefix("http://localhost:8000")
    mailbox = Client(enforce_csrf_checks=True)
    for _time in range(2):
        answer = mailbox.post(path, ONE_CLICK)
        assert answer.status_code == 200, "no redirect, which RFC 8058 forbids"
        assert out() == {"une"}
    entry = AuditEntry.objects.get(company=company, action="company.updated")
    assert entry.changes == {"newsletter_opt_out": [False, True]} and entry.actor is None
    assert entry.actor_label == "Lien de désabonnement" and entry.ip_address == "127.0.0.1"
    tables = compute.delivery_tables(settings_facts.company_facts(Company.objects.get()))
    table = next(item for item in tables.addresses if item.normalised == "a@x.example")
    assert "newsletter" not in {line.notification for line in table.receives}
    assert [line.reason for line in table.why_not if line.notification == "newsletter"] == ["newsletter_opt_out"]


def test_looking_at_the_page_changes_nothing_and_its_button_unsubscribes() -> None:
    company = CompanyFactory(reference="une", name="Maison Une")
    client = Client(enforce_csrf_checks=True)
    page = client.get(link(company))
    assert page.status_code == 200 and out() == set()
    body = page.content.decode()
    assert "Maison Une" in body and "Se désabonner" in body
    assert "@" not in link(company) and page.headers["Referrer-Policy"] == "no-referrer"
    assert client.head(link(company)).status_code == 200 and out() == set()
    assert "Vous êtes désabonné" in client.post(link(company)).content.decode()
    assert out() == {"une"}
    assert "Se réabonner" in client.get(link(company)).content.decode()


def test_the_way_back_is_offered_and_audited() -> None:
    company = CompanyFactory(reference="une")
    client = Client(enforce_csrf_checks=True)
    client.post(link(company), ONE_CLICK)
    assert "de nouveau abonné" in client.post(link(company), {"action": "resubscribe"}).content.decode()
    assert out() == set()
    changes = [entry.changes for entry in AuditEntry.objects.filter(company=company).order_by("pk")]
    assert changes == [{"newsletter_opt_out": [False, True]}, {"newsletter_opt_out": [True, False]}]


def test_one_click_speaks_for_every_company_of_the_address_and_for_no_other() -> None:
    first = CompanyFactory(reference="une", manager__email="Claire@Bücher.example")
    CompanyFactory(reference="deux", manager__email="claire@xn--bcher-kva.example")
    other = CompanyFactory(reference="trois", manager__email="paul@x.example")
    ContactFactory(company=other, kind="technical", email="claire@bücher.example")
    Client().post(link(first), ONE_CLICK)
    assert out() == {"une", "deux"}


def test_the_link_of_a_former_manager_speaks_for_nobody() -> None:
    company = CompanyFactory(reference="une", manager__email="new@x.example")
    answer = Client().post(link(company, "former@x.example"), ONE_CLICK)
    assert answer.status_code == 200 and out() == set()
    assert "Rien à désabonner" in answer.content.decode()


@pytest.mark.parametrize("token", ["nothing", "1-abc.def", "1-" + "0" * 32 + "." + "x" * 43])
def test_a_link_that_is_not_ours_is_a_plain_404(token: str) -> None:
    CompanyFactory()
    assert Client().get(f"/newsletter/unsubscribe/{token}/").status_code == 404
    assert Client().post(f"/newsletter/unsubscribe/{token}/", ONE_CLICK).status_code == 404
    assert out() == set()


def test_a_token_of_one_address_cannot_be_turned_into_anothers() -> None:
    first = CompanyFactory(manager__email="a@x.example")
    other = CompanyFactory(manager__email="b@x.example")
    mine, theirs = link(first).split("/")[-2], link(other).split("/")[-2]
    forged = theirs.rpartition(".")[0] + "." + mine.rpartition(".")[2]
    assert Client().post(f"/newsletter/unsubscribe/{forged}/", ONE_CLICK).status_code == 404
    assert out() == set()


def test_the_letter_is_refused_and_asked_for_again_in_infos_societe(client_for: Callable[[User], Client]) -> None:
    company = CompanyFactory(reference="une")
    client = client_for(UserFactory(company=company))
    page = client.get("/settings/company/")
    assert "Ne pas recevoir la lettre d&#x27;information" in page.content.decode()
    data: dict[str, Any] = {
        f"{form.prefix}-{name}" if form.prefix else name: form[name].value()
        for form in page.context["forms"].values()
        for name in form.fields
    }
    data = {name: value for name, value in data.items() if value not in (None, False)} | {"incident_emails": ""}
    assert client.post("/settings/company/", {**data, "newsletter_opt_out": "on"}).status_code == 302
    assert out() == {"une"}
    saved = client.get("/settings/company/")
    assert (
        "désabonnée" not in Actor("x").label and saved.context["forms"]["company"]["newsletter_opt_out"].value() is True
    )
    data["version"] = Company.objects.get().version
    assert client.post("/settings/company/", data).status_code == 302
    assert out() == set()
