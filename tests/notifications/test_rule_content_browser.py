"""« Contenu de l'e-mail » in a real browser, with scripts and without."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from companies.models import Role, User
from notifications.models import NotificationRule
from tests.factories import CompanyFactory, NotificationRuleFactory, ShopFactory, UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AXE = Axe().axe_script
HOSTILE = "<script>parent.document.title='pris'</script><img src=//pirate.example/x onerror=alert(1)>{{ 7|add:7 }}"


@pytest.fixture
def rule() -> NotificationRule:
    shop = ShopFactory(company=CompanyFactory(manager__email="claire@lumiere.example"), name="Lumière Paris")
    return NotificationRuleFactory(
        shop=shop, buyer=True, reference="buyer-token", label="Alias", triggers=["token.updated", "token.created"]
    )


@pytest.fixture
def logged_in(rule: NotificationRule, log_in_browser: Callable[[User], None]) -> User:
    user = UserFactory(company=rule.shop.company, role=Role.MANAGER)
    log_in_browser(user)
    return user


@pytest.fixture
def complaints(page: Any) -> list[str]:
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("dialog", lambda dialog: heard.append("dialog"))
    page.on("request", lambda request: heard.append(request.url) if "pirate" in request.url else None)
    return heard


def address(rule: NotificationRule) -> str:
    return f"/settings/notification-rules/{rule.shop.site_id}/{rule.reference}/content/"


def violations(page: Any) -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    return page.evaluate(
        """() => axe.run(document, {resultTypes: ["violations"], iframes: false}).then(found => found.violations.flatMap(
             rule => rule.nodes.map(node => `[${rule.id}] ${node.target} ${node.html.slice(0, 160)}`)))"""
    )


def mail(page: Any, title: str = "L'e-mail sur un téléphone") -> Any:
    return page.frame_locator(f'iframe[title="{title}"]')


def test_the_preview_follows_the_typing_and_the_mail_is_saved(
    rule: NotificationRule, logged_in: User, page: Any, complaints: list[str]
) -> None:
    page.goto(address(rule))
    assert "est enregistré chez Lumière Paris" not in mail(page).locator("body").inner_text()
    assert not page.locator(".save-bar").is_visible()
    page.get_by_label("Mode", exact=True).last.select_option("TEST")
    page.locator("#preview-phone strong", has_text="[TEST] Votre moyen de paiement est mis à jour").wait_for()
    assert not page.locator(".save-bar").is_visible(), "what steers the preview is no change"
    page.get_by_label("Événement", exact=True).last.select_option("token.created")
    page.locator("#preview-phone strong", has_text="Votre moyen de paiement est enregistré").wait_for()

    page.locator("#id_subject").fill("Alias ")
    page.get_by_role("button", name="%token%").click()
    assert page.locator("#id_subject").input_value() == "Alias %token%"
    page.locator("#id_body").fill(f"Bonjour\n\n{HOSTILE}")
    page.locator("#preview-phone strong", has_text="Alias 4f2c9e7d").wait_for()
    mail(page).get_by_text("<script>parent").wait_for()
    mail(page, "L'e-mail sur un ordinateur").get_by_text("{{ 7|add:7 }}").wait_for()
    assert "{{ 7|add:7 }}" in page.locator("#preview-wide pre").inner_text()
    assert page.title() != "pris"

    page.locator(".field-list li", has_text="Alias").get_by_label("Alias").check()
    page.get_by_role("button", name="Monter Montant").click()
    assert page.locator(".field-list li").first.locator("label").inner_text().strip() == "Montant"
    page.locator(".save-bar").get_by_role("button", name="Enregistrer").click()
    page.get_by_text("est enregistré.").wait_for()
    rule.refresh_from_db()
    assert rule.email_texts == {"fr": {"subject": "Alias %token%", "body": f"Bonjour\n\n{HOSTILE}"}}
    assert rule.email_fields is not None
    assert rule.email_fields[:2] == ["amount", "date"] and "token" in rule.email_fields

    page.get_by_role("link", name="Restaurer les valeurs par défaut").click()
    page.get_by_role("button", name="Restaurer").click()
    page.get_by_text("Les valeurs par défaut sont restaurées.").wait_for()
    rule.refresh_from_db()
    assert rule.email_texts == {}
    assert not complaints


def test_a_problem_shows_in_the_preview_while_typing(
    rule: NotificationRule, logged_in: User, page: Any, complaints: list[str]
) -> None:
    page.goto(address(rule))
    page.locator("#id_body").fill("Bonjour %prenom%")
    page.locator("#preview-phone", has_text="« %prenom% » n'est pas un champ disponible ici").wait_for()
    page.locator("#id_body").fill("Bonjour %buyer_name%")
    mail(page).get_by_text("Bonjour Jeanne Roy").wait_for()
    assert not complaints


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_accessible_and_narrow_enough(
    rule: NotificationRule, logged_in: User, page: Any, complaints: list[str], width: int, scheme: str
) -> None:
    page.emulate_media(reduced_motion="reduce", color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    for end in ("", "?language=en", "restore/?language=fr"):
        page.goto(address(rule) + end)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert not complaints


def test_without_scripts_texts_are_previewed_fields_moved_and_all_is_saved(
    rule: NotificationRule, logged_in: User, browser: Any, live_server: Any, browser_context: Any
) -> None:
    context = browser.new_context(
        base_url=live_server.url,
        java_script_enabled=False,
        locale="fr-FR",
        viewport={"width": 390, "height": 844},
        storage_state=browser_context.storage_state(),
    )
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.goto(address(rule))
    page.locator("#id_subject").fill("Essai %shop_name%")
    page.get_by_role("button", name="Prévisualiser l'e-mail").click()
    assert page.locator("#preview-phone strong").inner_text() == "Essai Lumière Paris"
    assert page.locator("#id_subject").input_value() == "Essai %shop_name%"
    page.get_by_role("button", name="Monter Montant").click()
    assert page.locator(".field-list li").first.inner_text().strip().startswith("Montant")
    assert page.locator("#id_subject").input_value() == "Essai %shop_name%"
    page.locator("#id_subject").press("Enter")
    assert "est enregistré." in page.locator("main").inner_text()
    context.close()
    rule.refresh_from_db()
    assert rule.email_texts == {"fr": {"subject": "Essai %shop_name%"}}
    assert rule.email_fields is not None and rule.email_fields[:2] == ["amount", "date"]
