"""Incidents: one mail per address and message, in one conversation; the public page and its feed."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from companies.audit import Actor
from companies.models import Company, User
from notifications import settings_facts
from notifications.broadcasts import broadcasting as broadcasts
from notifications.broadcasts import incidents
from notifications.journal import selectors as journal_selectors
from notifications.models import Broadcast, Delivery, Incident, IncidentUpdate
from notifications.tables import compute
from notifications.worker import loop
from tests.factories import CompanyFactory, StaffFactory, UserFactory
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)

ACTOR = Actor("Équipe")
OPENING = {"text_fr": "Les paiements échouent.", "text_en": "Payments fail."}


def open_incident(**fields: Any) -> Incident:
    values = {"title_fr": "Paiements CB", "title_en": "CB payments", "impact": "partial", **OPENING, **fields}
    return incidents.incident_open(actor=ACTOR, **values)


def tell(incident: Incident, state: str = "identified", text: str = "suite") -> IncidentUpdate:
    return incidents.incident_tell(
        incident=incident, actor=ACTOR, state=state, text_fr=f"{text} (fr)", text_en=f"{text} (en)"
    )


def received(server: SmtpServer) -> list[str]:
    return sorted(mail.rcpt_tos[0] for mail in server.received)


def test_an_opening_reaches_exactly_the_addresses_of_the_tables_one_message_each(smtp_server: SmtpServer) -> None:
    found = [
        CompanyFactory(incident_emails=["Astreinte@x.example", "dev@agence.example"]),
        CompanyFactory(incident_emails=["astreinte@X.example"], language="en"),
        CompanyFactory(incident_emails=["nuit@y.example"], language="en"),
        CompanyFactory(incident_emails=[]),
        CompanyFactory(incident_emails=["zzz@z.example"], status="suspended"),
    ]
    promised = {
        table.normalised
        for company in found
        for table in compute.delivery_tables(settings_facts.company_facts(company)).addresses
        for line in table.receives
        if line.notification == "platform_incident"
    }
    open_incident()
    loop.deliver_until_idle()
    assert received(smtp_server) == ["Astreinte@x.example", "dev@agence.example", "nuit@y.example"]
    assert {address.lower() for address in received(smtp_server)} == promised
    for mail in smtp_server.received:
        assert mail.message["To"] == mail.rcpt_tos[0] and mail.message["Cc"] is None
        others = set(received(smtp_server)) - {mail.rcpt_tos[0]}
        assert not any(other.lower() in mail.raw.decode().lower() for other in others)
    (english,) = smtp_server.to("nuit@y.example")
    assert english.message["Subject"] == "Incident: CB payments" and "Payments fail." in english.text
    assert english.message["Precedence"] is None and english.message["List-Unsubscribe"] is None
    assert [journal_selectors.deliveries(company).count() for company in found] == [2, 1, 1, 0, 0]
    assert journal_selectors.deliveries(found[1]).get().status == "sent"


def test_news_of_an_incident_stands_in_one_conversation_per_address(smtp_server: SmtpServer) -> None:
    CompanyFactory(incident_emails=["a@x.example", "b@x.example"])
    incident = open_incident()
    tell(incident)
    tell(incident, "monitoring")
    tell(incident, "resolved", "fini")
    loop.deliver_until_idle()
    for address in ("a@x.example", "b@x.example"):
        mails = [mail.message for mail in smtp_server.to(address)]
        by_id = sorted(mails, key=lambda mail: len((mail["References"] or "").split()))
        ids = [mail["Message-ID"] for mail in by_id]
        assert len(set(ids)) == 4
        assert by_id[0]["References"] is None and by_id[0]["In-Reply-To"] is None
        for position, mail in enumerate(by_id[1:], start=1):
            assert mail["References"].split() == ids[:position]
            assert mail["In-Reply-To"] == ids[position - 1]
        subjects = [mail["Subject"] for mail in by_id]
        assert subjects == ["Incident : Paiements CB"] * 3 + ["Résolu : Paiements CB"], (
            "the last one says that it is over"
        )
    roots = {mail.message["References"].split()[0] for mail in smtp_server.received if mail.message["References"]}
    assert len(roots) == 2, "no conversation is shared between addresses"


def test_an_address_added_later_gets_the_rest_and_a_removed_one_gets_no_more(smtp_server: SmtpServer) -> None:
    company = CompanyFactory(incident_emails=["a@x.example", "gone@x.example"])
    incident = open_incident()
    loop.deliver_until_idle()
    Company.objects.filter(pk=company.pk).update(incident_emails=["a@x.example", "late@x.example"])
    tell(incident)
    loop.deliver_until_idle()
    tell(incident, "resolved")
    loop.deliver_until_idle()
    assert received(smtp_server) == ["a@x.example"] * 3 + ["gone@x.example"] + ["late@x.example"] * 2
    late = [mail.message for mail in smtp_server.to("late@x.example")]
    assert late[0]["References"] is None
    assert late[1]["References"] == late[0]["Message-ID"]


def test_what_one_transaction_does_not_hold_the_worker_queues_before_any_letter(smtp_server: SmtpServer) -> None:
    Company.objects.bulk_create(
        [
            Company(reference=f"c{n}", name="x", incident_emails=["shared@x.example", f"i{n}@x.example"])
            for n in range(broadcasts.STEP + 50)
        ]
    )
    incident = open_incident()
    assert Delivery.objects.filter(carried_by=None).count() == broadcasts.STEP + 1
    tally = loop.deliver_until_idle()
    assert tally.sent == broadcasts.STEP + 51 == len(set(received(smtp_server)))
    tell(incident, "resolved")
    loop.deliver_until_idle()
    for address in ("shared@x.example", "i0@x.example", f"i{broadcasts.STEP + 49}@x.example"):
        first, second = (mail.message for mail in smtp_server.to(address))
        assert second["References"] == first["Message-ID"]
    assert journal_selectors.deliveries(Company.objects.get(reference=f"c{broadcasts.STEP + 49}")).count() == 4


def test_two_incidents_are_two_conversations(smtp_server: SmtpServer) -> None:
    CompanyFactory(incident_emails=["a@x.example"])
    first, second = open_incident(), open_incident(title_fr="Autre")
    tell(second)
    loop.deliver_until_idle()
    mails = {mail.message["Message-ID"]: mail for mail in smtp_server.received}
    answer = next(mail for mail in smtp_server.received if mail.message["References"])
    assert "Autre" in mails[answer.message["References"]].message["Subject"]
    assert first.pk != second.pk


def test_a_resolved_incident_takes_no_further_message_and_says_when_it_ended(smtp_server: SmtpServer) -> None:
    CompanyFactory(incident_emails=["a@x.example"])
    incident = open_incident()
    tell(incident, "resolved", "fini")
    incident.refresh_from_db()
    assert incident.resolved_at is not None
    with pytest.raises(ValidationError):
        tell(incident)
    assert IncidentUpdate.objects.count() == 2 and Broadcast.objects.count() == 2
    loop.deliver_until_idle()
    last = next(mail for mail in smtp_server.received if "fini" in mail.text)
    assert last.text.startswith("Incident résolu : Paiements CB") and "Fin" in last.text


def test_what_staff_type_arrives_inert(smtp_server: SmtpServer) -> None:
    CompanyFactory(incident_emails=["a@x.example"])
    open_incident(
        title_fr="Panne Bcc: victim@x.example",
        text_fr="<script>alert(1)</script> %%LINK%% [x](javascript:alert(1)) [ok](https://x.example/?a=1&b=2)",
    )
    loop.deliver_until_idle()
    (mail,) = smtp_server.received
    assert mail.message["Bcc"] is None and mail.rcpt_tos == ("a@x.example",)
    assert "<script>" not in mail.html and "&lt;script&gt;" in mail.html
    assert 'href="javascript' not in mail.html and 'href="https://x.example/?a=1&amp;b=2"' in mail.html
    assert "%%LINK%%" not in mail.text


# --- The public page ------------------------------------------------------------------------------


def test_the_status_page_tells_the_state_in_both_languages_without_log_in(client: Client) -> None:
    assert "Tous les services fonctionnent" in client.get("/status/").content.decode()
    CompanyFactory(name="Secrète", incident_emails=["a@x.example"])
    running = open_incident(impact="major")
    tell(running, "identified", "cause")
    french, english = (client.get(f"/status/?language={code}").content.decode() for code in ("fr", "en"))
    assert "Panne générale en cours" in french and "cause (fr)" in french and '<html lang="fr">' in french
    assert "Paiements CB" in french and "CB payments" not in french
    assert "CB payments" in english and "cause (en)" in english and '<html lang="en">' in english
    tell(running, "resolved", "fini")
    body = client.get("/status/").content.decode()
    assert "Tous les services fonctionnent" in body and "fini (fr)" in body
    for secret in ("a@x.example", "Secrète", "Équipe", "csrf"):
        assert secret not in body


def test_incidents_leave_the_page_after_ninety_days(client: Client) -> None:
    for title, days in (("Récent", 89), ("Ancien", 91)):
        incident = open_incident(title_fr=title)
        tell(incident, "resolved")
        Incident.objects.filter(pk=incident.pk).update(resolved_at=timezone.now() - timedelta(days=days))
    old = open_incident(title_fr="Interminable", started_at=timezone.now() - timedelta(days=200))
    body = client.get("/status/").content.decode()
    assert "Récent" in body and "Ancien" not in body and old.title_fr in body


def test_the_page_is_the_same_for_everybody_and_may_be_cached(
    client: Client, client_for: Callable[[User], Client]
) -> None:
    incident = open_incident()
    anonymous = client.get("/status/?language=fr")
    member = client_for(UserFactory(language="en")).get("/status/?language=fr")
    assert anonymous.headers["Cache-Control"] == member.headers["Cache-Control"] == "public, max-age=60"
    assert anonymous.headers["ETag"] == member.headers["ETag"]
    assert not anonymous.cookies and "Alice" not in member.content.decode()
    again = client.get("/status/?language=fr", headers={"If-None-Match": anonymous.headers["ETag"]})
    assert again.status_code == 304 and again.content == b""
    incidents.incident_correct(incident=incident, actor=ACTOR, title_fr="Corrigé")
    corrected = client.get("/status/?language=fr", headers={"If-None-Match": anonymous.headers["ETag"]})
    assert corrected.status_code == 200 and "Corrigé" in corrected.content.decode()
    tell(incident)
    assert client.get("/status/?language=fr").headers["ETag"] not in (
        anonymous.headers["ETag"],
        corrected.headers["ETag"],
    )


def test_the_page_costs_the_same_few_queries_however_much_happened(client: Client) -> None:
    counts = []
    for _round in range(2):
        for _number in range(4):
            tell(open_incident())
        with CaptureQueriesContext(connection) as seen:
            client.get("/status/?language=fr")
        counts.append(len(seen))
    assert counts == [2, 2]


ATOM = {"a": "http://www.w3.org/2005/Atom"}


@pytest.mark.parametrize(
    ("language", "title", "state"), [("fr", "Paiements CB", "Cause identifiée"), ("en", "CB payments", "Identified")]
)
def test_the_feed_is_valid_atom_with_an_entry_per_message(
    client: Client, language: str, title: str, state: str
) -> None:
    incident = open_incident()
    update = tell(incident, "identified", "a < b")
    answer = client.get(f"/status/feed/?language={language}")
    assert answer.headers["Content-Type"] == "application/atom+xml; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    root = ET.fromstring(answer.content)
    assert root.tag == "{http://www.w3.org/2005/Atom}feed"
    assert root.attrib["{http://www.w3.org/XML/1998/namespace}lang"] == language
    # What RFC 4287 demands of a feed and of its entries.
    for name in ("a:id", "a:title", "a:updated", "a:author/a:name"):
        assert len(root.findall(name, ATOM)) == 1, name
    links = {link.get("rel"): link.get("href") for link in root.findall("a:link", ATOM)}
    assert links["self"] == f"http://localhost:8000/status/feed/?language={language}"
    entries = root.findall("a:entry", ATOM)
    assert len(entries) == 2
    for entry in entries:
        for name in ("a:id", "a:title", "a:updated", "a:link"):
            assert len(entry.findall(name, ATOM)) == 1, name
    newest = entries[0]
    assert newest.findtext("a:title", namespaces=ATOM) == f"{title} · {state}"
    assert parse_datetime(newest.findtext("a:updated", namespaces=ATOM)) == update.at
    assert root.findtext("a:updated", namespaces=ATOM) == newest.findtext("a:updated", namespaces=ATOM)
    summary = newest.find("a:summary", ATOM)
    assert summary.get("type") == "html" and "a &lt; b" in summary.text
    assert len({entry.findtext("a:id", namespaces=ATOM) for entry in entries}) == 2


def test_an_empty_feed_is_valid_and_stays_the_same(client: Client) -> None:
    first, second = client.get("/status/feed/"), client.get("/status/feed/")
    assert ET.fromstring(first.content).findtext("a:updated", namespaces=ATOM)
    assert first.content == second.content


# --- Staff pages ----------------------------------------------------------------------------------


@pytest.fixture
def staff(client_for: Callable[[User], Client]) -> Client:
    return client_for(StaffFactory())


ADD = "/admin/notifications/incident/add/"
FORM = {
    "title_fr": "Paiements CB",
    "title_en": "CB payments",
    "impact": "partial",
    "started_at": "2026-01-02T10:00",
    "state": "investigating",
    **OPENING,
}


def test_staff_open_tell_and_resolve(staff: Client, smtp_server: SmtpServer) -> None:
    CompanyFactory(incident_emails=["a@x.example"])
    assert staff.post(ADD, FORM).status_code == 302
    incident = Incident.objects.get()
    change = f"/admin/notifications/incident/{incident.pk}/change/"
    corrected = {**FORM, "title_fr": "Paiements CB et Visa", "text_fr": "", "text_en": ""}
    assert staff.post(change, corrected).status_code == 302
    assert IncidentUpdate.objects.count() == 1, "a correction tells nobody"
    told = {**corrected, "state": "resolved", "text_fr": "Fini.", "text_en": "Over."}
    assert staff.post(change, told).status_code == 302
    incident.refresh_from_db()
    assert incident.resolved_at and incident.title_fr == "Paiements CB et Visa"
    shown = staff.get(change).content.decode()
    assert "Fini." in shown and 'name="text_fr"' not in shown
    loop.deliver_until_idle()
    assert received(smtp_server) == ["a@x.example"] * 2


def test_a_message_in_one_language_only_or_a_silent_new_state_is_refused(staff: Client) -> None:
    half = staff.post(ADD, {**FORM, "text_en": ""})
    assert half.status_code == 200 and "Les paiements échouent." in half.content.decode()
    incident = open_incident()
    change = f"/admin/notifications/incident/{incident.pk}/change/"
    silent = staff.post(change, {**FORM, "state": "monitoring", "text_fr": "", "text_en": ""})
    assert silent.status_code == 200 and "accompagne d" in silent.content.decode()
    assert IncidentUpdate.objects.count() == 1


def test_an_incident_does_not_start_in_the_future_but_a_maintenance_does(staff: Client) -> None:
    later = {**FORM, "started_at": "2099-01-02T10:00"}
    assert staff.post(ADD, later).status_code == 200
    assert not Incident.objects.exists()
    assert staff.post(ADD, {**later, "impact": "maintenance"}).status_code == 302
    body = Client().get("/status/").content.decode()
    assert "prévu le" in body and "Tous les services fonctionnent" in body


def test_more_than_a_hundred_addresses_are_asked_about_before_anything_is_queued(
    staff: Client, smtp_server: SmtpServer
) -> None:
    CompanyFactory(name="Cent", incident_emails=[f"a{n}@x.example" for n in range(100)])
    assert staff.post(ADD, FORM).status_code == 302, "a hundred are not more than a hundred"
    assert Delivery.objects.count() == 100
    CompanyFactory(name="Une de plus", incident_emails=["one@more.example"])
    question = staff.post(ADD, {**FORM, "title_fr": "Second"})
    body = question.content.decode()
    assert question.status_code == 200 and Incident.objects.count() == 1 and Delivery.objects.count() == 100
    assert "<strong>101 adresses</strong>" in body and "one@more.example" in body and "a0@x.example" in body
    assert 'name="title_fr" value="Second"' in body, "the question repeats what was typed"
    assert staff.post(ADD, {**FORM, "title_fr": "Second", "mass_mail_confirmed": "100"}).status_code == 200
    assert staff.post(ADD, {**FORM, "title_fr": "Second", "mass_mail_confirmed": "101"}).status_code == 302
    assert Incident.objects.count() == 2 and Delivery.objects.count() == 201
