"""Notification rules in a real browser: the wizard with back and reload, the context menu by keyboard, tokens."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from companies.models import User
from notifications.models import NotificationRule
from shops.models import Shop
from tests.factories import NotificationRuleFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _logged_in(lyon: Shop, paul: User, log_in_browser: Callable[[User], None]) -> None:
    NotificationRuleFactory(shop=lyon, reference="appel", label="Appel maison", ipn=True)
    NotificationRuleFactory(shop=lyon, reference="second", label="Second appel", ipn=True, enabled=False)
    log_in_browser(paul)


LIST = "/settings/notification-rules/?shop=10000002"
RULE = "/settings/notification-rules/10000002/appel/"


def heading(page: Any) -> str:
    return page.locator(".step-current").inner_text()


def test_the_wizard_loses_nothing_on_back_reload_and_in_a_second_tab(page: Any, browser_context: Any) -> None:
    page.goto(LIST)
    page.get_by_role("link", name="Créer une règle").click()
    page.wait_for_url("**/events/")
    page.get_by_label("E-mail envoyé au marchand").check()
    page.get_by_label("Paiement accepté", exact=True).check()
    page.locator("#new-condition").select_option("source")
    page.get_by_role("button", name="Ajouter").click()
    page.get_by_label("Ordre de paiement").check()
    page.get_by_role("button", name="Suivant >").click()
    page.wait_for_url("**/settings/")
    # Typed, and not yet sent by any button.
    with page.expect_response(lambda response: "part=impact" in response.url):
        page.get_by_label("Libellé de la règle").fill("Ordres payés")
    page.wait_for_load_state("networkidle")
    page.go_back()
    page.wait_for_url("**/events/")
    assert (
        page.get_by_label("Paiement accepté", exact=True).is_checked()
        and page.get_by_label("Ordre de paiement").is_checked()
    )
    page.reload()
    expect(page.get_by_label("Ordre de paiement")).to_be_checked()
    page.go_forward()
    page.wait_for_url("**/settings/")
    page.reload()
    expect(page.get_by_label("Libellé de la règle")).to_have_value("Ordres payés")
    second = browser_context.new_page()
    second.goto(page.url)
    expect(second.get_by_label("Libellé de la règle")).to_have_value("Ordres payés")
    # Another rule begun in the second tab stays apart.
    second.goto(LIST)
    second.get_by_role("link", name="Créer une règle").click()
    second.get_by_label("E-mail envoyé à l'acheteur").check()
    second.get_by_label("Paiement refusé").check()
    second.get_by_role("button", name="Suivant >").click()
    second.wait_for_url("**/settings/")
    page.get_by_label("Autres adresses").fill("dev@agence.example;")
    assert page.locator(".token").all_inner_texts()[1].startswith("dev@agence.example")
    page.get_by_role("button", name="Suivant >").click()
    page.wait_for_url("**/summary/")
    summary = " ".join(page.locator("main").inner_text().split())
    assert "Ordres payés" in summary and "est dans la liste Ordre de paiement" in summary
    assert not NotificationRule.objects.filter(label="Ordres payés").exists()
    page.get_by_role("button", name="Créer", exact=True).click()
    page.wait_for_url(f"**{LIST.partition('?')[0]}?**")
    rule = NotificationRule.objects.get(label="Ordres payés")
    assert (rule.type, rule.enabled, rule.triggers) == ("merchant_email", True, ["payment.accepted"])
    assert rule.conditions == [{"variable": "source", "operator": "in", "value": ["PAYMENT_ORDER"]}]
    assert rule.recipients == ["@shop_manager", "dev@agence.example"]
    expect(page.locator(".messages")).to_contain_text("est créée et activée", use_inner_text=True)
    assert heading(second).replace("\xa0", " ") == "Vers qui : destinataires et URL"


@pytest.mark.parametrize("key", ["ContextMenu", "Shift+F10"])
def test_the_context_menu_works_by_keyboard_and_gives_the_focus_back(page: Any, key: str) -> None:
    page.goto(LIST)
    name = page.locator("#rule-appel").get_by_role("link", name="Appel maison", exact=True)
    name.focus()
    page.keyboard.press(key)
    menu = page.get_by_role("menu", name="Appel maison")
    items = menu.get_by_role("menuitem")
    assert items.all_inner_texts() == [
        "Gérer la règle",
        "Désactiver la règle",
        "Ses envois",
        "Dupliquer",
        "Copier vers d'autres boutiques",
        "Supprimer",
    ]

    def focused() -> str:
        return page.evaluate("document.activeElement.textContent")

    assert focused() == "Gérer la règle"
    page.keyboard.press("ArrowUp")
    assert focused() == "Supprimer"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    page.keyboard.press("Home")
    assert focused() == "Gérer la règle"
    page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    assert page.evaluate("document.activeElement.getAttribute('href')") == RULE
    page.keyboard.press(key)
    page.keyboard.press("d")
    assert focused() == "Désactiver la règle"
    page.keyboard.press("Enter")
    page.wait_for_url("**rule=appel**")
    expect(page.locator(".messages")).to_contain_text("est désactivée", use_inner_text=True)
    assert not NotificationRule.objects.get(reference="appel").enabled


def test_a_right_click_opens_the_menu_and_a_double_click_the_rule(page: Any) -> None:
    page.goto(LIST)
    row = page.locator("#rule-second")
    row.locator("td").nth(1).click(button="right")
    menu = page.get_by_role("menu", name="Second appel")
    expect(menu).to_contain_text("Activer la règle", use_inner_text=True)
    page.mouse.click(5, 5)
    expect(menu).to_have_count(0)
    row.locator("td").nth(1).dblclick()
    page.wait_for_url("**/10000002/second/")


def test_tokens_come_and_go_and_the_preview_follows(page: Any) -> None:
    page.goto(RULE)
    expect(page.locator(".save-bar-idle"), "showing tokens is no change").to_have_count(1)
    with page.expect_response(lambda response: "part=impact" in response.url):
        page.get_by_label("Autres adresses").fill("dev@agence.example;")
    page.wait_for_selector("#impact .effect-gained")
    told = " ".join(page.locator("#impact").inner_text().replace("\n", "").split())
    assert re.search(r"\+ ?dev@agence.example ?recevra : ?Échec d'un appel URL de notification", told), told
    page.get_by_role("button", name="Retirer E-mail gestionnaire").click()
    page.wait_for_selector("#impact .effect-lost")
    page.get_by_role("button", name="Enregistrer").last.click()
    page.wait_for_url("**rule=appel**")
    assert NotificationRule.objects.get(reference="appel").recipients == ["dev@agence.example"]


def test_a_row_of_conditions_is_added_without_leaving_the_page(page: Any) -> None:
    page.goto(RULE)
    page.get_by_label("Libellé de la règle").fill("Appel renommé")
    page.locator("#new-condition").select_option("amount")
    page.get_by_role("button", name="Ajouter").click()
    page.locator("[name=condition-0-operator]").select_option("lt")
    page.locator("[name=condition-0-value]").fill("0")
    page.wait_for_selector("#impact :text('ne peut jamais se déclencher')")
    expect(page.get_by_label("Libellé de la règle")).to_have_value("Appel renommé")
    page.locator("[name=condition-0-value]").fill("50,00")
    page.get_by_role("button", name="Enregistrer").last.click()
    page.wait_for_url("**rule=appel**")
    rule = NotificationRule.objects.get(reference="appel")
    assert (rule.label, rule.conditions) == ("Appel renommé", [{"variable": "amount", "operator": "lt", "value": 5000}])
