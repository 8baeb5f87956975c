"""Every form shows that it is working, and can be used again when its page was never left."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from companies.models import User
from shops.models import Shop
from tests.factories import NotificationRuleFactory, StaffFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
WORKING = re.compile(r"\bworking\b")


@pytest.fixture(autouse=True)
def _logged_in(lyon: Shop, claire: User, log_in_browser: Callable[[User], None]) -> None:
    NotificationRuleFactory(shop=lyon, reference="ma-regle")
    log_in_browser(claire)


# How the page looks when it is left: while an answer is awaited, the browser cannot be asked.
LEFT = """
addEventListener("pagehide", () => {
  const button = document.querySelector(".is-working");
  sessionStorage.setItem("left", JSON.stringify({
    working: document.documentElement.classList.contains("working"),
    text: button?.textContent.trim() ?? "", disabled: button?.disabled ?? false,
    announced: document.getElementById("announce")?.textContent ?? "",
  }));
});
"""


@pytest.fixture
def page(page: Any) -> Any:
    page.add_init_script(LEFT)
    return page


def left(page: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.evaluate("sessionStorage.getItem('left')"))
    return found


def sends_form(request: Any) -> bool:
    """Whether a form is sent; previews of what was typed go by themselves."""
    return bool(request.method == "POST" and request.is_navigation_request())


def posts_of(page: Any) -> list[str]:
    found: list[str] = []
    page.on("request", lambda request: found.append(request.post_data or "") if sends_form(request) else None)
    return found


def change(page: Any) -> Any:
    """Change something in a form; returns its button."""
    page.goto("/settings/shops/10000002/configuration/")
    page.locator("[name=name]").fill("Lyon")
    return page.locator(".save-bar button[type=submit]").first


def test_the_button_says_its_verb_and_the_bar_runs_until_the_answer(page: Any) -> None:
    change(page).click()
    expect(page.locator(".notice-success")).to_have_count(1)
    assert left(page) == {
        "working": True, "text": "Enregistrer…", "disabled": True, "announced": "Traitement en cours…",
    }  # fmt: skip
    expect(page.locator("html")).not_to_have_class(WORKING)


def test_a_form_is_sent_once_however_often_it_is_submitted(page: Any) -> None:
    button, posts = change(page), posts_of(page)
    button.evaluate("button => { button.click(); button.form.requestSubmit(); button.form.requestSubmit(button); }")
    expect(page.locator(".notice-success")).to_have_count(1)
    assert len(posts) == 1


def test_going_back_finds_the_button_ready(page: Any) -> None:
    change(page).click()
    expect(page.locator(".notice-success")).to_have_count(1)
    page.go_back()
    expect(page.locator(".save-bar button[type=submit]").first).to_be_enabled()
    expect(page.locator("html")).not_to_have_class(WORKING)


def test_a_page_that_the_browser_kept_is_ready_again(page: Any) -> None:
    """As after going back: the browser shows the page as it was left, and says so by an event."""
    button = change(page)
    page.route("**/*", lambda route: route.fulfill(status=204) if route.request.method == "POST" else route.continue_())
    button.click()
    expect(button).to_be_disabled()
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(button).to_be_enabled()
    expect(button).to_have_text("Enregistrer")


def test_a_download_leaves_the_form_usable(page: Any) -> None:
    page.clock.install()
    button = change(page)
    answer = {"status": 200, "body": "a;b", "headers": {"Content-Disposition": 'attachment; filename="a.csv"'}}
    page.route("**/*", lambda route: route.fulfill(**answer) if route.request.method == "POST" else route.continue_())
    button.click()
    page.clock.run_for(100)
    expect(button).to_be_disabled()
    page.clock.run_for(9000)
    expect(button).to_be_enabled()
    expect(button).to_have_text("Enregistrer")
    expect(page.locator("html")).not_to_have_class(WORKING)


def test_the_value_of_the_pressed_button_is_sent(page: Any) -> None:
    """It is out of use only once the form was read."""
    page.goto("/settings/shops/10000002/configuration/")
    with page.expect_request(sends_form) as sent:
        page.locator(".save-bar button[type=submit]").first.evaluate(
            "button => { button.name = 'pressed'; button.value = 'yes'; button.click(); }"
        )
    assert "pressed=yes" in sent.value.post_data


def test_what_htmx_sends_shows_it_too(page: Any) -> None:
    page.goto("/settings/notification-rules/10000002/ma-regle/")
    waiting: list[Any] = []
    page.route("**/*", lambda route: waiting.append(route) if route.request.method == "POST" else route.continue_())
    button = page.locator("button[name=test][value=TEST]")
    button.click()
    expect(page.locator("html")).to_have_class(WORKING)
    expect(button).to_be_disabled()
    waiting[0].continue_()
    expect(page.locator("html")).not_to_have_class(WORKING)
    expect(page.locator("button[name=test][value=TEST]")).to_be_enabled()


def test_the_door_the_filters_and_the_admin_do_so_too(page: Any, log_in_browser: Any) -> None:
    page.goto("/notifications/journal/")
    page.locator(".filter-bar button[type=submit]").first.click()
    page.wait_for_url("**/journal/?**")
    assert left(page)["working"]
    page.context.clear_cookies()
    page.goto("/accounts/login/")
    page.locator("[name=login]").fill("personne")
    page.locator("[name=password]").fill("rien du tout 2026")
    page.locator("form button[type=submit]", has_text="Se connecter").first.click()
    expect(page.locator(".error-summary, .field-error, .notice").first).to_be_visible()
    assert left(page) | {"announced": ""} == {
        "working": True, "text": "Se connecter…", "disabled": True, "announced": "",
    }  # fmt: skip
    log_in_browser(StaffFactory(is_superuser=True))
    page.goto("/admin/companies/company/")
    page.locator("#searchbar").fill("rien")
    page.locator("#changelist-search [type=submit]").click()
    page.wait_for_url("**/company/?q=rien**")
    assert left(page)["working"]


def test_every_frame_of_pages_has_the_script() -> None:
    """A page with a form stands in one of them."""
    frames = {
        path.relative_to(TEMPLATES).as_posix()
        for path in TEMPLATES.rglob("*.html")
        if "<html" in (text := path.read_text()) and "working.js" not in text
    }
    assert frames == {
        "error_base.html",
        "notifications/broadcasts/status.html",
        "notifications/mail/message.html",
        "shops/orders/preview_invalid.html",
    }
    for name in frames:
        assert "<form" not in (TEMPLATES / name).read_text(), name
    assert "working.js" in (TEMPLATES / "admin/base_site.html").read_text()
