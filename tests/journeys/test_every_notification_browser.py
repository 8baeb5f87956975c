"""Every notification of the catalogue, made to happen through the screens in a real browser.

Each case reads the delivery tables just before, acts as a merchant, a buyer or a member of the team
would, runs the worker, and compares what a real SMTP server received: addresses, To and Cc, language,
Reply-To, TEST mark, and links that open. A row of the catalogue without a case fails.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from playwright.sync_api import expect

from backoffice.provisioning.applying import provision
from backoffice.text.addresses import normalise
from companies.audit import Actor
from companies.models import Company, User
from notifications.core.catalogue import TABLE_ROWS
from shops.billing.services import price_list_save
from shops.dataforms import public as data_form_pages
from shops.models import PaymentOrder, PriceList, Shop
from shops.orders import public as order_pages
from tests.endpoints import Endpoint
from tests.factories import EventFactory
from tests.journeys.stage import (
    BUYER,
    COMPANIES,
    PARIS,
    Promise,
    Stage,
    create_order,
    newest_order,
    pay,
    prove_identity,
    save,
)
from tests.smtp import Received, SmtpServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def stage(
    browser: Any,
    live_server: Any,
    settings: Any,
    client_for: Callable[..., Client],
    smtp_server: SmtpServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stage]:
    settings.BASE_URL = live_server.url
    # A machine fills the form faster than people can; the pause has its own test with the clock.
    for pages in (order_pages, data_form_pages):
        monkeypatch.setattr(pages, "FASTEST_SECONDS", -1)
    provision({"companies": COMPANIES})
    contexts = []

    def open_window(user: User | None) -> Any:
        context = browser.new_context(base_url=live_server.url, locale="fr-FR", viewport={"width": 1280, "height": 900})
        contexts.append(context)
        if user is not None:
            name = django_settings.SESSION_COOKIE_NAME
            session = client_for(user, fresh=True).cookies[name].value
            context.add_cookies([{"name": name, "value": session, "url": live_server.url}])
        return context.new_page()

    found = Stage(open_window, smtp_server, live_server.url)
    found.work()
    yield found
    for context in contexts:
        context.close()


Case = Callable[[Stage], None]
CASES: dict[str, Case] = {}


def case(code: str) -> Callable[[Case], Case]:
    def register(function: Case) -> Case:
        CASES[code] = function
        return function

    return register


def test_every_row_of_the_delivery_tables_has_a_case() -> None:
    assert set(CASES) == {row.code for row in TABLE_ROWS}


@pytest.mark.parametrize("code", [row.code for row in TABLE_ROWS])
def test_it_happens_through_the_screens_and_reaches_exactly_who_the_table_says(code: str, stage: Stage) -> None:
    CASES[code](stage)


# --- Rules ----------------------------------------------------------------------------------------


@case("ipn_failure")
def _ipn_failure(stage: Stage) -> None:
    """A rule is given a URL that answers with an error; a buyer pays; later the URL answers again."""
    with pytest.MonkeyPatch.context() as patch, Endpoint(status=500) as endpoint:
        patch.setattr(django_settings, "IPN_ALLOW_PRIVATE_NETWORKS", True)
        page = stage.merchant
        page.goto(f"/settings/notification-rules/{PARIS}/ipn-end/")
        page.locator("[name=url_test]").fill(endpoint.url())
        page.get_by_placeholder("ajouter une adresse").fill("dev@agence.example; DEV@agence.EXAMPLE")
        save(page)
        promised = stage.promised("ipn_failure", shop=PARIS, rule="ipn-end")
        assert {promise.address for promise in promised} == {"paris@lumiere.example", "dev@agence.example"}
        pay(stage)
        stage.check("ipn_failure", promised, mode="TEST")
        assert len(endpoint.requests) == 1
        endpoint.status = 200
        pay(stage)
        stage.check("ipn_failure", promised, mode="TEST")
        assert len(endpoint.requests) == 2


@case("merchant_email")
def _merchant_email(stage: Stage) -> None:
    page = stage.merchant
    page.goto(f"/settings/notification-rules/?shop={PARIS}&type=merchant_email")
    switch = page.locator("#rule-mail-payment").get_by_role("switch")
    switch.click()
    page.locator("#rule-mail-payment [role=switch][aria-checked=true]").wait_for()
    promised = stage.promised("merchant_email", shop=PARIS, rule="mail-payment")
    pay(stage)
    (mail,) = stage.check("merchant_email", promised, mode="TEST")
    assert "1 249,90 EUR" in mail.text.replace("\u202f", " ").replace("\xa0", " ")


# --- Shops ----------------------------------------------------------------------------------------


@case("shop_created")
def _shop_created(stage: Stage) -> None:
    """By an administrator of the company, then by the team in the admin."""
    page = stage.merchant
    page.goto("/settings/shops/new/")
    page.get_by_label("Nom de la boutique").fill("Lumière Nice")
    page.get_by_label("E-mail gestionnaire").fill("nice@lumiere.example")
    save(page, "Créer la boutique")
    shop = Shop.objects.get(name="Lumière Nice")
    assert shop.rules.filter(enabled=True).count() == 2 and shop.rules.count() == 20
    promised = stage.promised("shop_created", shop=shop.site_id)
    assert {(promise.address, promise.as_) for promise in promised} == {
        ("nice@lumiere.example", "to"),
        ("claire@lumiere.example", "cc"),
    }
    stage.check("shop_created", promised)

    page = stage.staff
    page.goto("/admin/shops/shop/add/")
    page.locator(".select2-selection").first.click()
    page.locator(".select2-search__field").fill("Lumi")
    page.locator(".select2-results__option", has_text="Maison Lumière").click()
    page.locator("[name=name]").fill("Lumière Brest")
    page.locator("select[name=language]").select_option("en")
    page.locator("[name=_save]").click()
    page.wait_for_url("**/admin/shops/shop/")
    brest = Shop.objects.get(name="Lumière Brest")
    promised = stage.promised("shop_created", shop=brest.site_id)
    # Inherited: the Contact gestionnaire is the main recipient, and gets no copy of its own mail.
    assert promised == {Promise("claire@lumiere.example", "to", "en")}
    stage.check("shop_created", promised)


@case("production_key_generated")
def _production_key_generated(stage: Stage) -> None:
    page = stage.merchant
    page.goto(f"/settings/shops/{PARIS}/keys/")
    page.get_by_text("Les tests ont été faits autrement ?").click()
    page.get_by_label("Motif").fill("Même module de paiement que l'ancien site")
    page.get_by_role("button", name="Déclarer la phase de test terminée").click()
    promised = stage.promised("production_key_generated", shop=PARIS)
    keys = []
    for step in ("Générer", "Régénérer"):
        page.get_by_role("link", name=f"{step} Clé de production").click()
        prove_identity(page)
        page.get_by_role("button", name=f"{step} maintenant").click()
        keys.append(page.locator("code.secret").inner_text())
        mails = stage.check("production_key_generated", promised)
        assert not any(key in mail.text + mail.html for key in keys for mail in mails)
        page.goto(f"/settings/shops/{PARIS}/keys/")
    assert keys[0] != keys[1]


@case("three_d_secure_activated")
def _three_d_secure_activated(stage: Stage) -> None:
    page = stage.merchant
    page.goto("/settings/company/authentication/")
    promised = stage.promised("three_d_secure_activated", shop=PARIS)
    page.get_by_role("link", name="Activer 5785350 (CB)").click()
    page.get_by_role("button", name="Activer", exact=True).click()
    page.locator(".messages .notice", has_text="Le 3D Secure est activé").wait_for()
    (mail,) = stage.check("three_d_secure_activated", promised)
    assert "5785350" in mail.text
    expect(page.get_by_role("link", name="Activer 5785350 (CB)"), "there is no way back").to_have_count(0)


# --- Payment orders -------------------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\n.\nBcc: victime@ailleurs.example\n%%LINK%% %url%"


@case("payment_order_problem")
def _payment_order_problem(stage: Stage) -> None:
    """A buyer's message, hostile in every field that takes text."""
    create_order(stage, channel="url", mode="PRODUCTION", to=BUYER)
    promised = stage.promised("payment_order_problem", shop=PARIS)
    order = newest_order()
    buyer = stage.public
    buyer.goto(f"/orders/{order.token}/")
    buyer.get_by_role("link", name="Signaler un problème").click()
    # A hidden control keeps the line breaks that a text field drops.
    inject = "(control, value) => { control.type = 'hidden'; control.value = value }"
    buyer.get_by_label("Votre nom").evaluate(inject, "Jeanne\r\nBcc: victime@ailleurs.example")
    buyer.get_by_label("Votre adresse e-mail").evaluate(inject, f"{BUYER}\r\nBcc: victime@ailleurs.example")
    buyer.get_by_label("Votre message").fill(HOSTILE)
    buyer.get_by_role("button", name="Envoyer à la boutique").click()
    buyer.locator(".error-summary").wait_for()
    assert not stage.receive(), "line breaks are refused in name and address"
    expect(buyer.locator(".error-summary li")).to_have_count(2)
    expect(buyer.get_by_label("Votre message")).to_have_value(HOSTILE)
    buyer.get_by_label("Votre nom").fill("<b>Jeanne</b>")
    buyer.get_by_label("Votre adresse e-mail").fill(BUYER)
    buyer.get_by_role("button", name="Envoyer à la boutique").click()
    buyer.wait_for_url("**/problem/done/**")
    number = buyer.locator(".secret").inner_text()

    (mail,) = stage.check("payment_order_problem", promised, reply_to=BUYER)
    assert number in mail.text
    assert mail.message["Bcc"] is None and mail.message["Cc"] is None
    assert "victime" not in mail.raw.split(b"\r\n\r\n")[0].decode(), "nothing typed is in a header"
    assert "%%LINK%%" not in mail.text and "Bcc: victime@ailleurs.example" in mail.text
    dialogs: list[str] = []
    reader = stage.window("reader", lambda: None)
    reader.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    reader.set_content(mail.html)
    expect(reader.locator("script, img, b")).to_have_count(0)
    expect(reader.locator("body")).to_contain_text("<script>alert(1)</script>", use_inner_text=True)

    page = stage.merchant
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(f"/payment-orders/{order.pk}/?tab=history")
    words = page.locator(".buyer-words")
    assert "<img src=x onerror=alert(2)>" in words.inner_text() and words.locator("script, img").count() == 0
    assert number in page.locator("main").inner_text()
    assert not dialogs


@case("payment_order_copy")
def _payment_order_copy(stage: Stage) -> None:
    """Two buyers at once are two orders and two copies; unticked, no copy; a second address besides."""
    promised = stage.promised("payment_order_copy", shop=PARIS)
    create_order(stage, channel="email", mode="PRODUCTION", to=BUYER, copy_to_manager=True)
    also = {"payment_order", "payment_order_extra_copy"}
    (mail,) = stage.check("payment_order_copy", promised, also=also)
    (order,) = stage.server.to(BUYER)
    assert order.message["Reply-To"] == "paris@lumiere.example" and mail not in stage.server.to(BUYER)
    (link,) = {found for found in stage.links(order.text) if "/orders/" in found}
    assert stage.opens(link)

    create_order(
        stage,
        channel="email",
        mode="TEST",
        to=f"{BUYER} ; paul@acheteur.example",
        reference="DUO",
        copy_to_manager=True,
    )
    codes = [
        (str(mail.message["X-BOM-Notification"]), mail.rcpt_tos[0], str(mail.message["Subject"])[:7])
        for mail in stage.receive()
    ]
    assert sorted(codes) == sorted(
        [
            ("payment_order", BUYER, "[TEST] "),
            ("payment_order", "paul@acheteur.example", "[TEST] "),
            *[("payment_order_copy", "paris@lumiere.example", "[TEST] ")] * 2,
        ]
    )
    assert set(PaymentOrder.objects.values_list("reference", flat=True)) >= {"DUO-001", "DUO-002"}

    create_order(
        stage, channel="email", mode="PRODUCTION", to=BUYER, copy_to_manager=False, with_extra_copy=True,
        extra_copy="compta@lumiere.example",
    )  # fmt: skip
    assert sorted(mail.rcpt_tos[0] for mail in stage.receive()) == ["compta@lumiere.example", BUYER]


# --- Data collection forms ------------------------------------------------------------------------


def ask_to_go_live(stage: Stage) -> None:
    """Complete the draft that every shop has, and ask to put it online."""
    page = stage.merchant
    page.goto(f"/settings/shops/{PARIS}/data-form/")
    page.get_by_role("link", name="Textes et montant").click()
    page.get_by_label("Titre (français)").fill("Votre rendez-vous")
    page.get_by_label("Montant minimal").fill("5")
    page.get_by_label("Adresse de votre politique").fill("https://paris.lumiere.example/donnees")
    save(page)
    page.goto(f"/settings/shops/{PARIS}/data-form/")
    page.get_by_role("link", name="Demander la mise en ligne").click()
    page.get_by_role("button", name="Demander la mise en ligne").click()
    page.get_by_text("l'équipe de la plateforme la relit").wait_for()


@case("data_form_go_live")
def _data_form_go_live(stage: Stage) -> None:
    promised = stage.promised("data_form_go_live", shop=PARIS)
    assert promised == {Promise("claire@lumiere.example", "to", "fr")}
    ask_to_go_live(stage)
    stage.check("data_form_go_live", promised)


@case("data_form_go_live_confirmation")
def _data_form_go_live_confirmation(stage: Stage) -> None:
    """Confirmed by the team in the admin; the form that the mail leads to creates a payment order."""
    promised = stage.promised("data_form_go_live_confirmation", shop=PARIS)
    ask_to_go_live(stage)
    stage.receive()
    page = stage.staff
    page.goto("/admin/shops/dataformversion/")
    page.locator("#result_list").get_by_role("link", name="Lumière Paris").click()
    page.get_by_label("Mettre en ligne").check()
    page.get_by_role("button", name="Enregistrer", exact=True).click()
    page.get_by_text("Le formulaire est en ligne").wait_for()
    (mail,) = stage.check("data_form_go_live_confirmation", promised)
    (link,) = (found for found in stage.links(mail.text) if "/forms/" in found)
    buyer = stage.public
    buyer.goto(link)
    for label, value in (
        ("Nom", "Roy"),
        ("Prénom", "Jeanne"),
        ("Adresse e-mail", BUYER),
        ("Adresse e-mail, une seconde fois", BUYER),
        ("Montant (EUR)", "49,90"),
    ):
        buyer.get_by_label(label, exact=True).fill(value)
    buyer.get_by_label("J'ai lu et j'accepte").check()
    buyer.get_by_role("button", name="Continuer vers le paiement").click()
    buyer.get_by_role("heading", name="Lumière Paris vous demande 49,90 EUR").wait_for()
    assert (newest_order().recipient, newest_order().source) == (BUYER, "DCF")


# --- Billing --------------------------------------------------------------------------------------


@case("detailed_billing")
def _detailed_billing(stage: Stage) -> None:
    """Issued by the team after a look at the figures; the page gives the document that was mailed."""
    shop = Shop.objects.get(site_id=PARIS)
    EventFactory(shop=shop, occurred_at=timezone.now() - timedelta(days=10))
    price_list_save(
        price_list=PriceList(),
        prices={"payment.accepted": Decimal("0.0800")},
        actor=Actor.command("test"),
        name="Tarif 2026",
        currency="EUR",
        tax_rate=Decimal("20.00"),
        is_default=True,
    )
    promised = stage.promised("detailed_billing", shop=PARIS)
    assert promised == {Promise("claire@lumiere.example", "to", "fr")}
    today = timezone.localdate()
    page = stage.staff
    page.goto("/admin/shops/billingdocument/issue/")
    page.locator("[name=site_ids]").fill(PARIS)
    page.locator("[name=start]").fill((today - timedelta(days=20)).isoformat())
    page.locator("[name=end]").fill((today - timedelta(days=2)).isoformat())
    page.get_by_role("button", name="Voir l'aperçu").click()
    page.get_by_role("button", name="Émettre et envoyer").click()
    page.get_by_text("1 document est émis et part par e-mail.").wait_for()
    (mail,) = stage.check("detailed_billing", promised)
    (attached,) = mail.message.iter_attachments()
    assert attached.get_content_type() == "application/pdf"
    (link,) = (found for found in stage.links(mail.text) if "/billing/" in found)
    stage.merchant.goto(link)
    with stage.merchant.expect_download() as download:
        stage.merchant.get_by_role("link", name="Télécharger le PDF").click()
    assert Path(download.value.path()).read_bytes() == attached.get_content()


# --- The whole platform ---------------------------------------------------------------------------


@case("consistency_report")
def _consistency_report(stage: Stage) -> None:
    """The incident addresses are emptied, an error; the checks are run twice, the mail goes out once."""
    page = stage.merchant
    page.goto("/settings/company/")
    page.locator("[name=incident_emails]").fill("")
    # The last address goes: the page asks once, and saves what is sent again.
    page.locator(".save-bar").get_by_role("button", name="Enregistrer", exact=True).click()
    page.get_by_text("n'est annoncé à personne").first.wait_for()
    save(page)
    mine = Company.objects.filter(reference="maison-lumiere")
    promised = stage.promised("consistency_report", of=mine)
    assert promised == {Promise("claire@lumiere.example", "to", "en")}
    page.goto("/reports/consistency/")
    page.get_by_role("button", name="Vérifier maintenant").first.click()
    page.locator(".messages .notice", has_text="Vérification faite").wait_for()
    (mail,) = stage.check("consistency_report", promised)
    assert "incident" in mail.text
    page.goto("/reports/consistency/")
    page.get_by_role("button", name="Vérifier maintenant").first.click()
    page.locator(".messages .notice", has_text="pas de nouvel e-mail").wait_for()
    assert not stage.receive()


@case("newsletter")
def _newsletter(stage: Stage) -> None:
    promised = stage.promised("newsletter")
    assert promised == {
        Promise("claire@lumiere.example", "to", "en"),
        Promise("nora@boreal.example", "to", "fr"),
    }
    page = stage.staff
    page.goto("/admin/notifications/newsletter/add/")
    page.get_by_label("Titre en français").fill("Nouveautés d'été")
    page.get_by_label("Texte en français").fill("Bonjour,\n\n- **Apple Pay** arrive")
    page.get_by_label("Titre en anglais").fill("Summer news")
    page.get_by_label("Texte en anglais").fill("Hello,\n\n- **Apple Pay** is here")
    page.get_by_role("button", name="Enregistrer", exact=True).click()
    page.get_by_role("button", name="Envoyer la lettre…").click()
    page.get_by_role("button", name="Envoyer la lettre").click()
    page.wait_for_url("**/progress/")
    mails = stage.check("newsletter", promised)
    assert {str(mail.message["Subject"]) for mail in mails} == {"Summer news", "Nouveautés d'été"}
    for mail in mails:
        assert str(mail.message["List-Unsubscribe"]).strip(" <>") in stage.links(mail.text)
        assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"

    # A mailbox's button is a POST and nothing else; the table follows at once.
    (nora,) = (mail for mail in mails if mail.rcpt_tos[0] == "nora@boreal.example")
    one_click = str(nora.message["List-Unsubscribe"]).strip(" <>")
    answer = stage.public.request.post(one_click, form={"List-Unsubscribe": "One-Click"})
    assert answer.ok
    assert stage.promised("newsletter") == {Promise("claire@lumiere.example", "to", "en")}


@case("platform_incident")
def _platform_incident(stage: Stage) -> None:
    """Opened and resolved by the team: one message for each address, threaded."""
    promised = stage.promised("platform_incident")
    assert {promise.address for promise in promised} == {
        "astreinte@lumiere.example",
        normalise("secours@café-lumière.example"),
        "nora@boreal.example",
    }
    page = stage.staff
    page.goto("/admin/notifications/incident/add/")
    page.get_by_label("Titre en français").fill("Paiements CB refusés")
    page.get_by_label("Titre en anglais").fill("CB payments refused")
    page.get_by_label("Gravité").select_option("major")
    page.get_by_label("Message en français").fill("Nous cherchons.")
    page.get_by_label("Message en anglais").fill("We are looking.")
    page.get_by_role("button", name="Enregistrer", exact=True).click()
    page.wait_for_url("**/notifications/incident/")
    opened = stage.check("platform_incident", promised)
    first = {mail.rcpt_tos[0]: str(mail.message["Message-ID"]) for mail in opened}
    assert all(str(mail.message["To"]).count("@") == 1 for mail in opened), "addresses are not disclosed"

    page.locator("#result_list").get_by_role("link", name="Paiements CB refusés").click()
    page.get_by_label("Nouvel état").select_option("resolved")
    page.get_by_label("Message en français").fill("C'est fini.")
    page.get_by_label("Message en anglais").fill("It is over.")
    page.get_by_role("button", name="Enregistrer", exact=True).click()
    page.wait_for_url("**/notifications/incident/")
    resolved = stage.check("platform_incident", stage.promised("platform_incident"))
    assert {mail.rcpt_tos[0]: str(mail.message["References"]) for mail in resolved} == first
    stage.public.goto("/status/")
    expect(stage.public.locator("main")).to_contain_text("C'est fini.", use_inner_text=True)


# --- Accounts -------------------------------------------------------------------------------------


def single_use(stage: Stage, mail: Received) -> str:
    (link,) = (found for found in stage.links(mail.text) if "/accounts/" in found)
    return link


@case("user_account")
def _user_account(stage: Stage) -> None:
    """Created, the link used once, and its address changed: the former address is told too."""
    page = stage.merchant
    page.goto("/settings/company/users/new/")
    page.locator("[name=login]").fill("nadia")
    page.locator("[name=email]").fill("nadia@lumiere.example")
    page.locator("select[name=language]").select_option("fr")
    page.check("[name=role][value=viewer]")
    page.check("[name=coverage][value=all]")
    save(page)
    promised = stage.promised("user_account", account="nadia")
    assert promised == {Promise("nadia@lumiere.example", "to", "fr")}
    (mail,) = stage.check("user_account", promised)
    assert "nadia" in mail.text
    link = single_use(stage, mail)
    theirs = stage.public
    theirs.goto(link)
    theirs.locator("[name=password]").fill("une-phrase-bien-a-moi")
    theirs.locator("[name=password_again]").fill("une-phrase-bien-a-moi")
    theirs.get_by_role("button", name="Enregistrer le mot de passe").click()
    used = theirs.goto(link)
    assert used.status == 410
    expect(theirs.locator("h1")).to_have_text("Ce lien ne sert plus", use_inner_text=True)
    stage.receive()

    page.goto(f"/settings/company/users/{User.objects.get(login='nadia').pk}/")
    page.locator("[name=email]").fill("nadia.roy@lumiere.example")
    save(page)
    promised = stage.promised("user_account", account="nadia")
    stage.check("user_account", promised, also={"account_security"})
    (told,) = stage.server.to("nadia@lumiere.example")
    assert told.message["X-BOM-Notification"] == "account_security"
    assert not any("/accounts/set-password/" in found for found in stage.links(told.text))


@case("sftp_account")
def _sftp_account(stage: Stage) -> None:
    page = stage.merchant
    page.goto("/settings/company/sftp-accounts/new/")
    page.locator("[name=login]").fill("lumiere-compta")
    page.locator("[name=email]").fill("compta@lumiere.example")
    save(page)
    promised = stage.promised("sftp_account", account="lumiere-compta")
    assert promised == {Promise("compta@lumiere.example", "to", "en")}
    (mail,) = stage.check("sftp_account", promised)
    link = single_use(stage, mail)
    theirs = stage.public
    theirs.goto(link)
    theirs.locator("form.entrance-form button").click()
    assert theirs.locator("#sftp-password").inner_text().strip()
    assert theirs.goto(link).status == 410
    expect(theirs.locator("h1")).to_have_text("Ce lien ne sert plus", use_inner_text=True)

    page.goto("/settings/company/sftp-accounts/")
    page.get_by_role("link", name="lumiere-compta").click()
    page.locator("[name=email]").fill("tresorerie@lumiere.example")
    save(page)
    promised = stage.promised("sftp_account", account="lumiere-compta")
    stage.check("sftp_account", promised, also={"account_security"})
    (told,) = stage.server.to("compta@lumiere.example")
    assert told.message["X-BOM-Notification"] == "account_security"


# --- Copies ---------------------------------------------------------------------------------------


def test_the_copy_goes_out_only_where_the_addresses_differ(stage: Stage) -> None:
    """Equal, in other letters, an international domain in both its forms, and different."""
    page = stage.merchant
    page.goto("/settings/company/")
    page.locator("[name=manager-email]").fill("Claire@Café-Lumière.example")
    save(page)
    stage.receive()
    # What is typed as the shop's address → copies to the Contact gestionnaire.
    copies = {
        "Claire@Café-Lumière.example": 0,
        "cLAIRE@café-lumière.EXAMPLE": 0,
        "claire@" + "café-lumière".encode("idna").decode() + ".example": 0,
        "": 0,
        "claire@café-lumière.example.org": 1,
        "claire+nice@café-lumière.example": 1,
    }
    for number, typed in enumerate(copies):
        page.goto("/settings/shops/new/")
        page.get_by_label("Nom de la boutique").fill(f"Lumière {number}")
        page.get_by_label("E-mail gestionnaire").fill(typed)
        save(page, "Créer la boutique")
    names = {shop.site_id: shop.name for shop in Shop.objects.filter(name__startswith="Lumière ")}
    mails = stage.receive()
    for number, (typed, count) in enumerate(copies.items()):
        (site_id,) = (site_id for site_id, name in names.items() if name == f"Lumière {number}")
        mine = [mail for mail in mails if mail.message["X-BOM-Shop"] == site_id]
        got = {Promise(normalise(mail.rcpt_tos[0]), str(mail.message["X-BOM-As"]), "en") for mail in mine}
        assert len(mine) == 1 + count, typed
        assert {(one.address, one.as_) for one in got} == {
            (one.address, one.as_) for one in stage.promised("shop_created", shop=site_id)
        }, typed
        for mail in mine:
            assert bool(mail.message["Cc"]) == bool(count), typed
            assert mail.rcpt_tos[0].isascii(), "the envelope carries the ASCII form of the domain"


# --- Pages at the end of a link -------------------------------------------------------------------


def test_an_expired_cancelled_or_unknown_order_and_a_replayed_form_have_proper_pages(stage: Stage) -> None:
    create_order(stage, channel="url", mode="TEST")
    expired = newest_order()
    create_order(stage, channel="url", mode="TEST")
    cancelled = newest_order()
    create_order(stage, channel="url", mode="TEST")
    live = newest_order()
    page, buyer = stage.merchant, stage.public
    page.goto(f"/payment-orders/{cancelled.pk}/")
    page.get_by_role("link", name="Annuler l'ordre").click()
    page.get_by_role("button", name="Annuler l'ordre").click()
    PaymentOrder.objects.filter(pk=expired.pk).update(expires_at=timezone.now())
    for order, title in (
        (expired, "Cet ordre de paiement a expiré"),
        (cancelled, "Cet ordre de paiement n'est plus valable"),
    ):
        for language, lang in (("fr", ""), ("en", "?lang=en")):
            answer = buyer.goto(f"/orders/{order.token}/{lang}")
            assert answer.status == 410
            with translation.override(language):
                assert buyer.locator("h1").inner_text().startswith(_(title))
            expect(buyer.locator("form")).to_have_count(0)
    for path in (
        f"/orders/{'x' * 32}/",
        f"/orders/{'x' * 32}/problem/",
        f"/orders/{live.token}/problem/done/?report=x",
    ):
        answer = buyer.goto(path)
        assert answer.status == 404 and buyer.locator("h1").inner_text() == "Cette page n'existe pas", path

    # The same form twice, as by the back button: one message, one answer.
    buyer.goto(f"/orders/{live.token}/problem/")
    buyer.get_by_label("Votre nom").fill("Jeanne Roy")
    buyer.get_by_label("Votre adresse e-mail").fill(BUYER)
    buyer.get_by_label("Votre message").fill("Le montant est faux.")
    with buyer.expect_request(lambda request: request.method == "POST") as sent:
        buyer.get_by_role("button", name="Envoyer à la boutique").click()
    buyer.wait_for_url("**/problem/done/**")
    number = buyer.locator(".secret").inner_text()
    again = buyer.request.post(
        sent.value.url, data=sent.value.post_data_buffer, headers={"Content-Type": sent.value.headers["content-type"]}
    )
    assert again.ok and number in again.text()
    (mail,) = stage.receive()
    assert mail.message["X-BOM-Notification"] == "payment_order_problem" and number in mail.text

    # One payment, however often its form is sent.
    buyer.goto(f"/orders/{live.token}/")
    with buyer.expect_request(lambda request: request.method == "POST") as sent:
        buyer.get_by_role("button", name="Paiement accepté").click()
    buyer.get_by_role("heading", name="Cet ordre de paiement est payé").wait_for()
    again = buyer.request.post(
        sent.value.url, data=sent.value.post_data_buffer, headers={"Content-Type": sent.value.headers["content-type"]}
    )
    assert again.ok and "Cet ordre de paiement est payé" in again.text()
    assert live.entries.filter(kind="accepted").count() == 1
