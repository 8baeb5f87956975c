"""A payment order from end to end in a real browser, with the mails read from a real SMTP server."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from companies.models import User
from notifications.models import Event
from notifications.worker import loop
from shops.models import PaymentOrder, Shop
from shops.orders import public
from tests.browsing import overflow, violations
from tests.journeys.test_browser import complaints
from tests.smtp import SmtpServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
__all__ = ["complaints"]  # a fixture


@pytest.fixture(autouse=True)
def _has_a_site(paris: Shop) -> None:
    paris.url = "https://paris.lumiere.example"
    paris.save()


@pytest.fixture(autouse=True)
def _logged_in(claire: User, log_in_browser: Callable[[User], None]) -> None:
    log_in_browser(claire)


def looks_right(page: Any) -> None:
    page.emulate_media(reduced_motion="reduce")
    wrong = violations(page)
    page.set_viewport_size({"width": 390, "height": 844})
    wrong += violations(page) + overflow(page)
    page.emulate_media(color_scheme="dark")
    wrong += violations(page)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})
    assert not wrong + overflow(page), "\n".join(wrong)


def link_in(text: str, live_server: Any) -> str:
    """The order's link as it stands in the mail, on the address of the test's server."""
    found = re.search(r"http://localhost:8000(/orders/\S+)", text)
    assert found
    return live_server.url + found[1]


def create_test_order(page: Any) -> None:
    page.goto("/payment-orders/?mode=TEST")
    page.get_by_role("link", name="Créer un ordre via e-mail").first.click()
    page.get_by_label("Référence de la commande").fill("CMD-77")
    page.get_by_label("Montant").fill("1 249,90")
    page.get_by_label("À", exact=True).fill("jeanne@acheteur.example")
    page.get_by_label("E-mail gestionnaire").check()


def test_an_order_is_created_paid_in_test_mode_and_its_problem_reaches_the_shop(
    page: Any,
    complaints: list[str],
    live_server: Any,
    smtp_server: SmtpServer,
    browser: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A machine is as fast as a machine; how long a person needs is tested with the clock.
    monkeypatch.setattr(public, "FASTEST_SECONDS", -1)
    create_test_order(page)
    page.locator("#audience li", has_text="jeanne@").get_by_text("Reçoit", exact=True).wait_for()
    page.get_by_role("button", name="Mettre à jour l'aperçu").click()
    preview = page.frame_locator("iframe[name=order-preview]")
    preview.get_by_text("1 249,90 EUR").first.wait_for()
    expect(preview.get_by_text("CMD-77", exact=True).first).to_be_visible()
    looks_right(page)
    page.get_by_role("button", name="Envoyer", exact=True).click()
    page.wait_for_url(re.compile(r"/payment-orders/[0-9a-f-]{36}/$"))
    order_url = page.url
    looks_right(page)

    loop.deliver_until_idle()
    received = {
        mail.message["X-BOM-Notification"]: (str(mail.message["To"]), str(mail.message["Reply-To"] or ""))
        for mail in smtp_server.received
    }
    assert received == {
        "payment_order": ("jeanne@acheteur.example", "paris@lumiere.example"),
        "payment_order_copy": ("paris@lumiere.example", ""),
    }
    mail = smtp_server.to("jeanne@acheteur.example")[0]
    assert re.sub(r"\s", " ", mail.message["Subject"]) == "[TEST] Lumière Paris : ordre de paiement de 1 249,90 EUR"

    # The buyer: another browser, without any log-in.
    context = browser.new_context(base_url=live_server.url, locale="fr-FR", viewport={"width": 1280, "height": 900})
    buyer = context.new_page()
    buyer.goto(link_in(mail.text, live_server))
    assert buyer.locator("h1").inner_text().startswith("Lumière Paris vous demande")
    looks_right(buyer)
    buyer.get_by_role("link", name="English").click()
    buyer.get_by_role("heading", name="Payment simulator").wait_for()
    buyer.get_by_role("link", name="Français").click()

    buyer.get_by_role("link", name="Signaler un problème").click()
    looks_right(buyer)
    buyer.get_by_label("Votre nom").fill("Jeanne Roy")
    buyer.get_by_label("Votre adresse e-mail").fill("jeanne@@acheteur")
    buyer.get_by_label("Votre message").fill("Le montant est faux.")
    buyer.get_by_role("button", name="Envoyer à la boutique").click()
    buyer.locator(".error-summary").wait_for()
    expect(buyer.get_by_label("Votre message")).to_have_value("Le montant est faux.")
    looks_right(buyer)
    buyer.get_by_label("Votre adresse e-mail").fill("jeanne@acheteur.example")
    buyer.get_by_role("button", name="Envoyer à la boutique").click()
    buyer.wait_for_url("**/problem/done/**")
    number = buyer.locator(".secret").inner_text()
    looks_right(buyer)
    loop.deliver_until_idle()
    problem = smtp_server.received[-1]
    assert problem.rcpt_tos == ("paris@lumiere.example",)
    assert problem.message["Reply-To"] == "jeanne@acheteur.example"
    assert number in problem.text and "Le montant est faux." in problem.text

    buyer.get_by_role("link", name="Revenir à l'ordre de paiement").click()
    buyer.get_by_role("button", name="Paiement refusé").click()
    buyer.get_by_text("Paiement refusé (simulation)").wait_for()
    buyer.get_by_role("button", name="Paiement accepté").click()
    buyer.get_by_role("heading", name="Cet ordre de paiement est payé").wait_for()
    looks_right(buyer)
    assert [event.type for event in Event.objects.filter(type__startswith="payment.").order_by("pk")] == [
        "payment.refused",
        "payment.accepted",
    ]
    context.close()

    page.goto(order_url + "?tab=history")
    told = page.locator("main").inner_text()
    for line in ("Finalisé", "Paiement accepté", "Paiement refusé", "Problème signalé", number, "Le montant est faux."):
        assert line in told
    looks_right(page)
    for path in ("?tab=message", "../", "../?mode=TEST", "../templates/", "../templates/10000001/new/"):
        page.goto(order_url + path)
        looks_right(page)
    assert not complaints


def test_without_scripts_an_order_is_created_cancelled_and_its_page_says_so(
    browser: Any, live_server: Any, browser_context: Any
) -> None:
    context = browser.new_context(
        base_url=live_server.url,
        java_script_enabled=False,
        locale="fr-FR",
        viewport={"width": 390, "height": 844},
        storage_state=browser_context.storage_state(),
    )
    page = context.new_page()
    create_test_order(page)
    page.get_by_label("Montant").fill("douze")
    page.get_by_role("button", name="Envoyer", exact=True).click()
    page.locator(".error-summary").wait_for()
    expect(page.get_by_label("Montant")).to_have_value("douze")
    page.get_by_label("Montant").fill("12")
    page.get_by_role("button", name="Envoyer", exact=True).click()
    page.get_by_role("link", name="Annuler l'ordre").click()
    page.get_by_role("button", name="Annuler l'ordre").click()
    order = PaymentOrder.objects.get()
    assert order.status == "cancelled"
    answer = page.goto(f"/orders/{order.token}/")
    assert answer.status == 410
    expect(page.locator("h1")).to_contain_text("n'est plus valable", use_inner_text=True)
    context.close()
