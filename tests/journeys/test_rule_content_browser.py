"""« Contenu de l'e-mail » in a real browser, with scripts and without."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from companies.models import User
from notifications.models import NotificationRule
from shops.models import Shop
from tests.browsing import overflow, violations
from tests.factories import NotificationRuleFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

HOSTILE = "<script>parent.document.title='pris'</script><img src=//pirate.example/x onerror=alert(1)>{{ 7|add:7 }}"


@pytest.fixture
def rule(lyon: Shop) -> NotificationRule:
    return NotificationRuleFactory(
        shop=lyon, buyer=True, reference="buyer-token", label="Alias", triggers=["token.updated", "token.created"]
    )


@pytest.fixture(autouse=True)
def _logged_in(paul: User, log_in_browser: Callable[[User], None]) -> None:
    log_in_browser(paul)


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


def mail(page: Any, title: str = "L'e-mail sur un téléphone") -> Any:
    return page.frame_locator(f'iframe[title="{title}"]')


def unfold(page: Any, title: str) -> None:
    page.locator("summary", has_text=title).click()


def test_the_preview_follows_the_typing_and_the_mail_is_saved(
    rule: NotificationRule, page: Any, complaints: list[str]
) -> None:
    page.goto(address(rule))
    assert "est enregistré chez Lumière Lyon" not in mail(page).locator("body").inner_text()
    expect(page.locator(".save-bar")).not_to_be_visible()
    page.get_by_label("Mode", exact=True).last.select_option("TEST")
    page.locator("#preview-phone strong", has_text="mise à jour d'un alias").wait_for()
    expect(page.locator(".save-bar"), "what steers the preview is no change").not_to_be_visible()
    page.get_by_label("Événement", exact=True).last.select_option("token.created")
    page.locator("#preview-phone strong", has_text="création d'un alias").wait_for()

    page.locator("#id_subject").fill("Alias ")
    unfold(page, "Champs utilisables dans l'objet et le corps")
    page.get_by_role("button", name="%token%").click()
    expect(page.locator("#id_subject")).to_have_value("Alias %token%")
    page.locator("#id_body").fill(f"Bonjour\n\n{HOSTILE}")
    page.locator("#preview-phone strong", has_text="Alias 4f2c9e7d").wait_for()
    mail(page).get_by_text("<script>parent").wait_for()
    unfold(page, "Sur un ordinateur, et en texte seul")
    mail(page, "L'e-mail sur un ordinateur").get_by_text("{{ 7|add:7 }}").wait_for()
    expect(page.locator("#preview-wide pre")).to_contain_text("{{ 7|add:7 }}", use_inner_text=True)
    assert page.title() != "pris"

    unfold(page, "Champs à inclure")
    page.locator(".field-list li", has_text="Alias").get_by_label("Alias").check()
    page.get_by_role("button", name="Monter Montant").click()
    expect(page.locator(".field-list li").first.locator("label")).to_have_text("Montant", use_inner_text=True)
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


def test_a_problem_shows_in_the_preview_while_typing(rule: NotificationRule, page: Any, complaints: list[str]) -> None:
    page.goto(address(rule))
    page.locator("#id_body").fill("Bonjour %prenom%")
    page.locator("#preview-phone", has_text="« %prenom% » n'est pas un champ disponible ici").wait_for()
    page.locator("#id_body").fill("Bonjour %buyer_name%")
    mail(page).get_by_text("Bonjour Jeanne Roy").wait_for()
    assert not complaints


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_accessible_and_narrow_enough(
    rule: NotificationRule, page: Any, complaints: list[str], width: int, scheme: str
) -> None:
    page.emulate_media(reduced_motion="reduce", color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    for end in ("", "?language=en", "restore/?language=fr"):
        page.goto(address(rule) + end)
        assert violations(page) + overflow(page) == []
    assert not complaints


def test_without_scripts_texts_are_previewed_fields_moved_and_all_is_saved(
    rule: NotificationRule, browser: Any, live_server: Any, browser_context: Any
) -> None:
    context = browser.new_context(
        base_url=live_server.url,
        java_script_enabled=False,
        locale="fr-FR",
        viewport={"width": 390, "height": 844},
        storage_state=browser_context.storage_state(),
    )
    page = context.new_page()
    page.goto(address(rule))
    page.locator("#id_subject").fill("Essai %shop_name%")
    page.get_by_role("button", name="Prévisualiser l'e-mail").click()
    expect(page.locator("#preview-phone strong")).to_have_text("Essai Lumière Lyon", use_inner_text=True)
    expect(page.locator("#id_subject")).to_have_value("Essai %shop_name%")
    unfold(page, "Champs à inclure")
    page.get_by_role("button", name="Monter Montant").click()
    # The page is another one now: it goes on where one was.
    expect(page.locator("#fields")).to_have_attribute("open", "")
    expect(page.locator(".field-list li").first).to_have_text(re.compile(r"^\s*Montant"), use_inner_text=True)
    expect(page.locator("#id_subject")).to_have_value("Essai %shop_name%")
    page.locator("#id_subject").press("Enter")
    expect(page.locator("main")).to_contain_text("est enregistré.", use_inner_text=True)
    context.close()
    rule.refresh_from_db()
    assert rule.email_texts == {"fr": {"subject": "Essai %shop_name%"}}
    assert rule.email_fields is not None and rule.email_fields[:2] == ["amount", "date"]
