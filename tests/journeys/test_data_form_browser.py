"""A data collection form from its first field to a paid order, in a browser; mails from a real SMTP server."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from companies.models import User
from notifications.settings_facts import company_facts
from notifications.tables.compute import delivery_tables
from notifications.worker import loop
from shops.dataforms import public
from shops.models import DataFormAnswer, PaymentOrder, Shop
from tests.browsing import overflow, violations
from tests.factories import CompanyFactory, DataFormVersionFactory, ShopFactory, StaffFactory, UserFactory
from tests.smtp import SmtpServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def expected(shop: Shop, *notifications: str) -> list[tuple[str, str]]:
    """(address, to or cc) of these notifications of a shop, as the delivery tables have them now."""
    tables = delivery_tables(company_facts(shop.company))
    return sorted(
        (table.email, line.as_)
        for table in tables.addresses
        for line in table.receives
        if line.notification in notifications and line.shop == shop.site_id
    )


def received(server: SmtpServer) -> list[tuple[str, str]]:
    """(envelope recipient, to or cc) of what arrived since the last look."""
    loop.deliver_until_idle()
    found = sorted((mail.rcpt_tos[0], str(mail.message["X-BOM-As"])) for mail in server.received)
    server.received.clear()
    return found


def test_a_form_is_built_confirmed_by_staff_filled_in_and_paid(
    page: Any,
    browser: Any,
    browser_context: Any,
    live_server: Any,
    log_in_browser: Callable[[User], None],
    smtp_server: SmtpServer,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.BASE_URL = live_server.url
    # The browser is faster than a person.
    monkeypatch.setattr(public, "FASTEST_SECONDS", -1)
    company = CompanyFactory(manager__email="claire@lumiere.example")
    shop = ShopFactory(company=company, name="Lumière Nice", manager_email="nice@lumiere.example")
    asked_for = expected(shop, "data_form_go_live")
    confirmed = expected(shop, "data_form_go_live_confirmation")
    assert asked_for == confirmed == [("claire@lumiere.example", "to")]
    merchant = UserFactory(company=company)
    log_in_browser(merchant)

    # Built: a field of the list, one of one's own, moved, required, configured. The page is not loaded again.
    page.goto("/")
    page.get_by_role("link", name="Configuration du formulaire de collecte de données").click()
    page.get_by_role("heading", name="Liste des champs disponibles").wait_for()
    page.evaluate("window.sameDocument = true")
    page.get_by_role("button", name="Ajouter Ville").click()
    page.get_by_text("« Ville » est ajouté aux champs facultatifs.").wait_for()
    page.get_by_role("button", name="Monter « Ville »").click()
    page.get_by_text("« Ville » monte d'une place.").wait_for()
    assert page.evaluate("document.activeElement.id") in ("up-city", ""), "the keyboard stays where it was"
    page.get_by_label("Nom du champ").fill("Date souhaitée")
    page.get_by_role("button", name="Créer le champ").click()
    page.get_by_text("« Date souhaitée » est ajouté aux champs facultatifs.").wait_for()
    page.locator("#flip-own1").click()
    page.get_by_text("« Date souhaitée » est obligatoire.").wait_for()
    assert page.evaluate("window.sameDocument"), "buttons change the page in place"
    assert violations(page) == []
    page.get_by_role("link", name="Date souhaitée").click()
    page.get_by_label("Infobulle (français)").fill("Un jour de semaine")
    page.get_by_label("Longueur minimale").fill("6")
    page.get_by_role("button", name="Enregistrer").click()
    page.get_by_text("Champ « Date souhaitée » enregistré.").wait_for()
    expect(page.get_by_role("link", name="Demander la mise en ligne")).to_have_count(0)

    page.get_by_role("link", name="Textes et montant").click()
    page.get_by_label("Titre (français)").fill("Votre rendez-vous")
    page.get_by_label("Montant minimal").fill("5")
    page.get_by_label("Adresse de votre politique").fill("https://nice.lumiere.example/donnees")
    page.get_by_role("button", name="Enregistrer").click()
    page.get_by_text("Textes et montant enregistrés.").wait_for()
    assert violations(page) == []

    # Seen as the buyer sees it, then asked for.
    page.get_by_role("link", name="Aperçu du brouillon").click()
    page.get_by_text("vos clients ne voient pas cette page").wait_for()
    page.get_by_label("Date souhaitée").wait_for()
    page.goto(f"/settings/shops/{shop.site_id}/data-form/")
    page.get_by_role("link", name="Demander la mise en ligne").click()
    assert violations(page) == []
    page.get_by_role("button", name="Demander la mise en ligne").click()
    page.get_by_text("l'équipe de la plateforme la relit").wait_for()
    assert received(smtp_server) == asked_for

    # Staff confirm.
    staff_context = browser.new_context(base_url=live_server.url, locale="fr-FR")
    browser_context.clear_cookies()
    log_in_browser(StaffFactory())
    staff_context.add_cookies(browser_context.cookies())
    staff = staff_context.new_page()
    staff.goto("/admin/shops/dataformversion/")
    staff.get_by_role("link", name="Lumière Nice").first.click()
    staff.get_by_label("Mettre en ligne").check()
    staff.get_by_role("button", name="Enregistrer", exact=True).click()
    staff.get_by_text("Le formulaire est en ligne").wait_for()
    staff_context.close()
    loop.deliver_until_idle()
    link = next(line for line in smtp_server.received[0].text.splitlines() if "/forms/" in line).split()[-1]
    assert received(smtp_server) == confirmed

    # A buyer, without log-in and without scripts.
    buyer_context = browser.new_context(locale="fr-FR", java_script_enabled=False)
    buyer = buyer_context.new_page()
    buyer.goto(link)
    for label, value in (
        ("Nom", "Roy"),
        ("Prénom", "Jeanne"),
        ("Adresse e-mail, une seconde fois", "jeanne@acheteur.example"),
        ("Date souhaitée", "lundi"),
        ("Montant (EUR)", "49,90"),
    ):
        buyer.get_by_label(label, exact=True).fill(value)
    buyer.get_by_label("Adresse e-mail", exact=True).fill("jeane@acheteur.example")
    buyer.get_by_label("J'ai lu et j'accepte").check()
    buyer.get_by_role("button", name="Continuer vers le paiement").click()
    buyer.get_by_text("« lundi » : Date souhaitée compte au moins 6 caractères, pas 5.").first.wait_for()
    buyer.get_by_text("n'est pas égal à « jeane@acheteur.example »").first.wait_for()
    expect(buyer.get_by_label("Nom", exact=True)).to_have_value("Roy")
    buyer.get_by_label("Adresse e-mail", exact=True).fill("jeanne@acheteur.example")
    buyer.get_by_label("Date souhaitée").fill("lundi 7 décembre")
    buyer.get_by_role("button", name="Continuer vers le paiement").click()
    buyer.get_by_role("heading", name="Lumière Nice vous demande 49,90 EUR").wait_for()
    buyer_context.close()
    order = PaymentOrder.objects.get()
    assert (order.source, order.mode, order.amount, order.recipient) == (
        "DCF", "PRODUCTION", 4990, "jeanne@acheteur.example",
    )  # fmt: skip
    assert DataFormAnswer.objects.get().value("own1") == "lundi 7 décembre"

    # The merchant reads it, and publishes the next version alone: both notifications leave.
    browser_context.clear_cookies()
    log_in_browser(merchant)
    page.goto(f"/settings/shops/{shop.site_id}/data-form/answers/")
    page.get_by_role("cell", name="Jeanne Roy").wait_for()
    assert violations(page) == []
    page.get_by_role("link", name="Construire le formulaire").click()
    page.get_by_role("button", name="Retirer Ville").click()
    page.get_by_text("« Ville » est retiré du formulaire.").wait_for()
    page.goto(f"/settings/shops/{shop.site_id}/data-form/")
    page.get_by_role("link", name="Mettre en ligne").click()
    page.get_by_role("button", name="Mettre en ligne").click()
    page.get_by_text("La version 2 du formulaire est en ligne").wait_for()
    assert received(smtp_server) == sorted([*asked_for, *confirmed])


def test_the_buyers_page_passes_axe_and_fits_a_phone(browser: Any, live_server: Any) -> None:
    version = DataFormVersionFactory()
    context = browser.new_context(base_url=live_server.url, viewport={"width": 390, "height": 800})
    page = context.new_page()
    for language in ("fr", "en"):
        page.goto(f"/forms/{version.form.token}/?lang={language}")
        assert violations(page) == []
        assert overflow(page) == []
    context.close()
