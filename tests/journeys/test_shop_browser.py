"""From a new shop to its production key in a real browser, the mails read from a real SMTP server."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from companies.models import User
from notifications.events.intake import validate_event
from notifications.events.publishing import accept_event
from notifications.settings_facts import company_facts
from notifications.tables.compute import delivery_tables
from notifications.worker import loop
from shops.models import Shop, ShopKey
from tests.browsing import violations
from tests.factories import PASSWORD, CompanyFactory, ShopFactory, UserFactory
from tests.smtp import SmtpServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def expected(shop: Shop, notification: str) -> set[tuple[str, str]]:
    """(address, to or cc) of the lines of a shop's notification, as the delivery tables have them now."""
    tables = delivery_tables(company_facts(shop.company))
    return {
        (table.email, line.as_)
        for table in tables.addresses
        for line in table.receives
        if line.notification == notification and line.shop == shop.site_id
    }


def received(server: SmtpServer) -> set[tuple[str, str]]:
    """(envelope recipient, to or cc) of what arrived since the last look."""
    loop.deliver_until_idle()
    found = {(mail.rcpt_tos[0], str(mail.message["X-BOM-As"])) for mail in server.received}
    server.received.clear()
    return found


def test_a_shop_is_opened_tested_and_given_its_production_key(
    page: Any, log_in_browser: Callable[[User], None], smtp_server: SmtpServer
) -> None:
    company = CompanyFactory(manager__email="claire@lumiere.example")
    ShopFactory(company=company)
    log_in_browser(UserFactory(company=company))

    page.goto("/settings/shops/?page=1")
    page.get_by_role("link", name="Créer une boutique").click()
    page.get_by_label("Nom de la boutique").fill("Lumière Nice")
    page.get_by_label("E-mail gestionnaire").fill("nice@lumiere.example")
    page.locator("#address-panel", has_text="Création de la boutique").filter(has_text="nice@").wait_for()
    page.get_by_label("Contrats (MID)").fill("5785350 CB")
    page.get_by_role("button", name="Créer la boutique").click()
    page.locator(".messages .notice").wait_for()
    shop = Shop.objects.select_related("company").get(name="Lumière Nice")
    assert page.url.endswith(f"/settings/shops/{shop.site_id}/configuration/")
    assert (
        received(smtp_server)
        == expected(shop, "shop_created")
        == {
            ("nice@lumiere.example", "to"),
            ("claire@lumiere.example", "cc"),
        }
    )

    steps = page.locator(".steps li")
    assert [step.split("\n")[0].strip() for step in steps.all_inner_texts()].count("À faire") == 4
    page.get_by_role("link", name="Phase de test").click()
    page.get_by_text("Tests faits : 0 sur 4").wait_for()
    expect(page.get_by_role("link", name="Générer Clé de production")).to_have_count(0)

    # The merchant plays the tests on their site; the page follows by itself.
    for number, kind in enumerate(("accepted", "accepted", "refused", "refused")):
        body = {
            "id": f"essai-{number}",
            "type": f"payment.{kind}",
            "site_id": shop.site_id,
            "mode": "TEST",
            "occurred_at": timezone.now().isoformat(),
            "data": {"transaction_id": f"t{number:05d}", "card_brand": "VISA"},
        }
        accept_event(valid=validate_event(body))
    page.get_by_role("link", name="Générer la clé de production").wait_for()
    page.get_by_role("link", name="Générer la clé de production").click()

    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Confirmer").click()
    page.get_by_label("NUMERIC : chiffres seulement").check()
    page.get_by_role("button", name="Générer maintenant").click()
    key = page.locator("code.secret").inner_text()
    assert re.fullmatch("[0-9]{16}", key)
    assert ShopKey.objects.get(shop=shop, kind="production").value == key
    assert violations(page) == []
    assert (
        received(smtp_server)
        >= expected(shop, "production_key_generated")
        == {
            ("nice@lumiere.example", "to"),
            ("claire@lumiere.example", "cc"),
        }
    )

    # Sending the same form again makes no other key and gets the same answer; later pages do not show it any more.
    page.reload()
    expect(page.locator("code.secret")).to_have_text(key, use_inner_text=True)
    page.goto(f"/settings/shops/{shop.site_id}/keys/")
    page.get_by_role("link", name="Régénérer Clé de production").wait_for()
    assert key not in page.content()
    page.goto("/")
    page.go_back()
    page.wait_for_load_state()
    assert key not in page.content()
    assert ShopKey.objects.get(shop=shop, kind="production").generation == 1

    page.goto(f"/settings/shops/{shop.site_id}/contracts/")
    page.get_by_role("link", name="Authentification").last.click()
    page.get_by_role("link", name="Activer 5785350 (CB)").click()
    page.get_by_role("button", name="Activer").click()
    page.locator(".messages .notice", has_text="Le 3D Secure est activé").wait_for()
    assert received(smtp_server) == expected(shop, "three_d_secure_activated") == {("nice@lumiere.example", "to")}
