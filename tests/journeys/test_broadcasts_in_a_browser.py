"""Letters and incidents through the staff's pages in a real browser, and what they look like outside."""

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import expect

from companies.models import Company, User
from notifications import settings_facts
from notifications.broadcasts import broadcasting as broadcasts
from notifications.models import Broadcast, Incident, Newsletter
from notifications.tables import compute
from notifications.worker import loop
from tests.browsing import overflow, violations
from tests.factories import CompanyFactory
from tests.smtp import SmtpServer
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _logged_in(ines: User, log_in_browser: Callable[[User], None]) -> None:
    log_in_browser(ines)


@pytest.fixture
def worker() -> Iterator[Callable[[], None]]:
    """A function that delivers all there is, in a thread as a worker would."""

    def run() -> None:
        def work() -> None:
            loop.deliver_until_idle()
            connection.close()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(PATIENCE)

    yield run


def assert_accessible(page: Any) -> None:
    assert violations(page) == []
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert overflow(page) == []


def test_a_letter_is_written_tried_sent_watched_and_refused_by_one_who_got_it(
    page: Any, smtp_server: SmtpServer, worker: Callable[[], None], browser: Any, live_server: Any
) -> None:
    first = CompanyFactory(name="Maison Lumière", manager__email="claire@lumiere.example")
    second = CompanyFactory(name="Atelier Boréal", manager__email="nora@boreal.example", language="en")
    promised = {
        table.email
        for company in (first, second)
        for table in compute.delivery_tables(settings_facts.company_facts(company)).addresses
        if any(line.notification == "newsletter" for line in table.receives)
    }
    page.goto("/admin/notifications/newsletter/add/")
    page.get_by_label("Titre en français").fill("Nouveautés d'été")
    page.get_by_label("Texte en français").fill("Bonjour,\n\n- **Apple Pay** arrive")
    page.get_by_label("Titre en anglais").fill("Summer news")
    page.get_by_label("Texte en anglais").fill("Hello,\n\n- **Apple Pay** is here")
    page.get_by_role("button", name="Enregistrer", exact=True).click()
    page.wait_for_url("**/preview/")
    expect(page.frame_locator("iframe").first.get_by_text("Apple Pay", exact=True)).to_be_visible()
    assert_accessible(page)

    page.get_by_role("button", name="M'envoyer un essai").click()
    expect(page.locator(".messagelist")).to_contain_text("ines@plateforme.example", use_inner_text=True)
    page.get_by_role("button", name="Envoyer la lettre…").click()
    expect(page.locator(".mass-mail-count")).to_contain_text("2 adresses", use_inner_text=True)
    expect(page.locator(".mass-mail-sample")).to_contain_text("claire@lumiere.example", use_inner_text=True)
    assert_accessible(page)
    assert not Broadcast.objects.exists(), "nothing is queued before the answer"
    page.get_by_role("button", name="Envoyer la lettre").click()
    page.wait_for_url("**/progress/")
    expect(page.locator("#progress")).to_contain_text("0 sur 2", use_inner_text=True)
    assert_accessible(page)
    worker()
    # The page renews its counts by itself.
    page.locator("#progress", has_text="2 sur 2").wait_for()
    expect(page.locator("#progress")).to_contain_text("Terminé", use_inner_text=True)

    letters = [mail for mail in smtp_server.received if mail.message["X-BOM-Notification"] == "newsletter"]
    assert {mail.rcpt_tos[0] for mail in letters} == promised
    assert len(smtp_server.to("ines@plateforme.example")) == 2

    (mail,) = smtp_server.to("nora@boreal.example")
    link = re.search(r"http://localhost:8000(/newsletter/unsubscribe/\S+)", mail.text)
    assert link and mail.message["Subject"] == "Summer news"
    visitor = browser.new_context(base_url=live_server.url, java_script_enabled=False).new_page()
    visitor.goto(link[1])
    expect(visitor.locator("main")).to_contain_text("Atelier Boréal", use_inner_text=True)
    assert not Company.objects.filter(newsletter_opt_out=True).exists(), "opening the link changes nothing"
    visitor.get_by_role("button", name="Se désabonner").click()
    visitor.get_by_role("heading", name="Vous êtes désabonné").wait_for()
    assert list(Company.objects.filter(newsletter_opt_out=True)) == [second]
    visitor.get_by_role("button", name="Se réabonner").click()
    visitor.get_by_role("heading", name="Vous êtes de nouveau abonné").wait_for()
    assert not Company.objects.filter(newsletter_opt_out=True).exists()
    visitor.context.close()


def test_a_running_letter_is_paused_and_stopped_for_good_after_a_question(page: Any) -> None:
    from tests.notifications.broadcasts.test_newsletters import ACTOR, letter, newsletters

    CompanyFactory()
    newsletters.newsletter_send(newsletter=letter(), actor=ACTOR)
    page.goto(f"/admin/notifications/newsletter/{Newsletter.objects.get().pk}/progress/")
    page.get_by_role("button", name="Mettre en pause").click()
    page.get_by_role("button", name="Reprendre").wait_for()
    assert Broadcast.objects.get().status == "paused"
    page.get_by_role("button", name="Arrêter définitivement…").click()
    page.get_by_role("heading", name="Arrêter l'envoi ?").wait_for()
    assert_accessible(page)
    page.get_by_role("button", name="Arrêter définitivement").click()
    page.locator("#progress", has_text="Arrêté").wait_for()
    assert Broadcast.objects.get().status == "cancelled"
    assert broadcasts.progress(Broadcast.objects.get()).is_over


def test_an_incident_is_opened_told_and_resolved_and_the_public_page_follows(
    page: Any, smtp_server: SmtpServer, worker: Callable[[], None], browser: Any, live_server: Any
) -> None:
    CompanyFactory(incident_emails=["astreinte@lumiere.example"])
    outside = browser.new_context(base_url=live_server.url, locale="fr-FR").new_page()
    page.goto("/admin/notifications/incident/add/")
    assert_accessible(page)
    page.get_by_label("Titre en français").fill("Paiements CB refusés")
    page.get_by_label("Titre en anglais").fill("CB payments refused")
    page.get_by_label("Gravité").select_option("major")
    page.get_by_label("Message en français").fill("Nous cherchons.")
    page.get_by_label("Message en anglais").fill("We are looking.")
    page.get_by_role("button", name="Enregistrer", exact=True).click()
    page.wait_for_url("**/notifications/incident/")
    worker()
    outside.goto("/status/")
    expect(outside.locator("main")).to_contain_text("Panne générale en cours", use_inner_text=True)
    expect(outside.locator("main")).to_contain_text("Nous cherchons.", use_inner_text=True)
    assert_accessible(outside)

    page.locator("#result_list").get_by_role("link", name="Paiements CB refusés").click()
    page.get_by_label("Nouvel état").select_option("resolved")
    page.get_by_label("Message en français").fill("C'est fini.")
    page.get_by_label("Message en anglais").fill("It is over.")
    assert_accessible(page)
    page.get_by_role("button", name="Enregistrer", exact=True).click()
    page.wait_for_url("**/notifications/incident/")
    worker()
    outside.goto("/status/")
    outside.get_by_role("link", name="English").click()
    outside.wait_for_selector("html[lang=en]")
    expect(outside.locator("main")).to_contain_text("All services are working", use_inner_text=True)
    expect(outside.locator("main")).to_contain_text("It is over.", use_inner_text=True)
    assert Incident.objects.get().resolved_at is not None
    outside.context.close()

    first, second = (mail.message for mail in smtp_server.to("astreinte@lumiere.example"))
    assert second["In-Reply-To"] == first["Message-ID"]
    assert (first["Subject"], second["Subject"]) == ("Incident : Paiements CB refusés", "Résolu : Paiements CB refusés")
