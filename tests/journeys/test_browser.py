"""The site in a real browser: accessibility, console, the paths of a visitor, keyboard, no scripts.

The pages are found by following links from home, so a new page is walked as soon as one leads to it.
"""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.db import transaction
from django.test import Client
from django.urls import Resolver404, resolve
from django.utils import timezone
from playwright.sync_api import expect

from backoffice.provisioning.applying import provision
from backoffice.site import menu
from companies.audit import Actor
from companies.models import User
from notifications.events.publishing import publish
from notifications.models import Attempt, Delivery
from notifications.worker import loop
from shops.models import Shop
from shops.services import shop_update
from tests.browsing import overflow, violations
from tests.factories import PASSWORD, DeliveryFactory, EventFactory, MessageFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ADDRESSES, BY_NOTIFICATION, JOURNAL, HISTORY = (
    "/notifications/addresses/",
    "/notifications/by-notification/",
    "/notifications/journal/",
    "/settings/company/history/",
)
LYON = "/settings/shops/20000002/configuration/"
DOORS = ["/accounts/login/", "/accounts/password/reset/", "/accounts/password/reset/done/", "/accounts/inactive/"]
MISSING = "/nothing-here/"

COMPANY = {
    "reference": "maison-lumiere",
    "name": "Maison Lumière SAS",
    "registration_number": "732829320",
    "address": "1 rue de la Paix, 75002 Paris",
    "country": "FR",
    "manager_contact": {
        "title": "Mme",
        "first_name": "Claire",
        "last_name": "Morel",
        "email": "claire@lumiere.example",
        "phone": "+33102030405",
    },
    "technical_contact": {
        "title": "M.",
        "first_name": "Hugo",
        "last_name": "Petit",
        "email": "hugo@agence.example",
    },
    # Nobody is told of an incident: the gap.
    "incident_emails": [],
    "users": [
        {
            "login": "claire",
            "email": "claire@lumiere.example",
            "first_name": "Claire",
            "last_name": "Morel",
            "role": "administrator",
            "shops": "*",
            "password": PASSWORD,
        },
        {
            "login": "paul",
            "email": "paul@lumiere.example",
            "first_name": "Paul",
            "role": "viewer",
            "shops": ["20000002"],
        },
    ],
    "sftp_accounts": [{"login": "lumiere-compta", "email": "compta@lumiere.example"}],
    "shops": [
        {
            "site_id": "20000001",
            "name": "Lumière Paris",
            "manager_email": None,
            "contracts": [{"number": "5785350", "network": "CB", "three_d_secure": False}],
        },
        {
            "site_id": "20000002",
            "name": "Lumière Lyon",
            "manager_email": "lyon@lumiere.example",
            "rules": [
                {
                    "reference": "ipn-end",
                    "type": "ipn_call",
                    "triggers": ["payment.accepted", "payment.refused"],
                    "label": "URL de notification à la fin du paiement",
                    "url_test": "https://lyon.lumiere.example/ipn-test",
                    "url_production": "https://lyon.lumiere.example/ipn",
                    "recipients": ["@shop_manager", "dev@agence.example"],
                },
                {
                    "reference": "mail-payment",
                    "type": "merchant_email",
                    "trigger": "payment.accepted",
                    "label": "E-mail de confirmation de paiement",
                    "recipients": ["caisse.lyon@lumiere.example", "compta@lumiere.example"],
                },
            ],
        },
        {"site_id": "20000003", "name": "Lumière en ligne", "manager_email": "web+commandes@lumiere.example"},
        {
            "site_id": "20000004",
            "name": "L'Atelier d'été",
            "manager_email": None,
            "rules": [
                {
                    "reference": "ipn-end",
                    "type": "ipn_call",
                    "trigger": "payment.accepted",
                    "label": "URL de notification à la fin du paiement",
                    "url_production": "https://atelier.lumiere.example/ipn",
                    "recipients": [],
                }
            ],
        },
    ],
}


@pytest.fixture
def merchant() -> User:
    """The administrator of a company of four shops: one gap, one address whose mails fail, a mail to nobody."""
    provision({"companies": [COMPANY]})
    lyon = Shop.objects.get(site_id="20000002")
    with transaction.atomic():
        publish(
            type="payment.accepted",
            company=lyon.company,
            shop=lyon,
            data={"transaction_id": "a1b2c3", "order_id": "L-1", "amount": 1990, "currency": "EUR"},
        )
    loop.deliver_until_idle()
    event = EventFactory(shop=lyon)
    failed = DeliveryFactory(
        event=event,
        message=MessageFactory(event=event),
        address="caisse.lyon@lumiere.example",
        status=Delivery.Status.DEAD,
        attempt_count=1,
        error="550 5.1.1 mailbox unavailable",
    )
    Attempt.objects.create(
        delivery=failed,
        number=1,
        started_at=timezone.now() - timedelta(minutes=5),
        outcome=Attempt.Outcome.PERMANENT,
        code=550,
        reply="5.1.1 mailbox unavailable",
    )
    DeliveryFactory(
        event=event,
        message=None,
        notification="buyer_email",
        address="",
        status=Delivery.Status.NOT_SENT,
        error="L'événement ne donne pas d'adresse e-mail d'acheteur.",
    )
    return User.objects.get(login="claire")


@pytest.fixture
def logged_in(merchant: User, log_in_browser: Callable[[User], None]) -> User:
    log_in_browser(merchant)
    return merchant


def text_of(locator: Any) -> str:
    """The visible text on one line: long addresses are broken after their at sign."""
    return locator.inner_text().replace("\n", "")


# --- Which pages ----------------------------------------------------------------------------------


def pages_reached_from_home(client: Client) -> list[str]:
    """One path per view, found by following the links of the pages; no downloads, no administration."""
    found: dict[str, str] = {}
    queue = ["/"]
    while queue:
        path = queue.pop(0)
        try:
            view = resolve(urlsplit(path).path).view_name
        except Resolver404:
            continue
        if view in found or view.startswith("admin:") or re.search(r"csv|download|openapi", path):
            continue
        response = client.get(path)
        if response.status_code != 200 or not response.headers["Content-Type"].startswith("text/html"):
            continue
        found[view] = path
        body = response.content.decode()
        for href in re.findall(r'<a\b[^>]*?\bhref="([^"#]+)', body):
            target = urljoin(path, unescape(href))
            if target.startswith("/"):
                queue.append(target)
    return list(found.values())


def test_every_page_of_the_menu_is_among_the_walked_ones(merchant: User, client_for: Callable[..., Client]) -> None:
    reached = {urlsplit(path).path for path in pages_reached_from_home(client_for(merchant))}
    installed = {entry.path for section in menu.MENU for entry in section.entries}
    assert installed <= reached
    assert "/account/" in reached


# --- Accessibility, console, width ----------------------------------------------------------------


def given_up(request: Any) -> bool:
    """A panel that follows the typing gives up its question when another one is asked or the page is left."""
    return request.failure == "net::ERR_ABORTED" and request.resource_type in ("xhr", "fetch")


@pytest.fixture
def complaints(page: Any) -> list[str]:
    """What the console and the scripts of the page complain about, as it happens."""
    heard: list[str] = []

    def hear(message: Any) -> None:
        if message.type in ("error", "warning") and "status of 404" not in message.text:
            heard.append(f"{page.url}: {message.text}")

    page.on("console", hear)
    page.on("pageerror", lambda error: heard.append(f"{page.url}: {error}"))
    page.on("requestfailed", lambda request: given_up(request) or heard.append(f"{request.url}: {request.failure}"))
    return heard


def inspect(page: Any, path: str, *, dark: bool) -> list[str]:
    """Everything wrong with one page: wide, narrow and, where asked, dark."""
    # Colours in the middle of a transition are nobody's.
    page.emulate_media(reduced_motion="reduce")
    response = page.goto(path)
    assert response.status == (404 if path == MISSING else 200), path
    wrong = violations(page)
    page.set_viewport_size({"width": 390, "height": 844})
    wrong += violations(page) + overflow(page)
    if dark:
        page.emulate_media(color_scheme="dark")
        wrong += [f"dark: {line}" for line in violations(page)]
        page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})
    return wrong


def test_pages_of_a_merchant_are_accessible_quiet_and_narrow_enough(
    logged_in: User, page: Any, complaints: list[str], client_for: Callable[..., Client]
) -> None:
    # The session of the browser itself, and another one for the pages that end sessions.
    client_for(logged_in)
    walker = Client()
    walker.cookies.load({cookie["name"]: cookie["value"] for cookie in page.context.cookies()})
    wrong: list[str] = []
    for number, path in enumerate(pages_reached_from_home(walker)):
        wrong += inspect(page, path, dark=path in ("/", ADDRESSES, LYON) or number % 3 == 0)
    assert not wrong, "\n".join(wrong)
    assert not complaints


def test_pages_without_log_in_are_accessible_quiet_and_narrow_enough(page: Any, complaints: list[str]) -> None:
    wrong: list[str] = []
    for path in [*DOORS, MISSING, "/status/"]:
        wrong += inspect(page, path, dark=path in (DOORS[0], MISSING))
    assert not wrong, "\n".join(wrong)
    assert not complaints


# --- The first visitor ----------------------------------------------------------------------------


def test_a_user_logs_in_and_arrives_at_home(merchant: User, page: Any, complaints: list[str]) -> None:
    page.goto("/")
    page.get_by_label("Identifiant").fill(merchant.login)
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Se connecter", exact=True).click()
    page.wait_for_url("**/")
    expect(page.locator("h1")).to_have_text("Accueil", use_inner_text=True)
    expect(page.locator(".top-bar")).to_contain_text("Maison Lumière SAS", use_inner_text=True)
    assert not complaints


def test_a_first_visitor_learns_who_is_told_when_a_url_fails_and_where_to_change_it(
    logged_in: User, page: Any, complaints: list[str]
) -> None:
    page.goto("/")
    page.get_by_role("link", name="Qui est prévenu si une URL de notification échoue").click()
    page.wait_for_url(f"**{BY_NOTIFICATION}**")
    lines = page.locator("main tr", has_text="Lumière Lyon").filter(has_text="agence.example")
    expect(lines.first).to_be_visible()
    told = text_of(page.locator("main"))
    for address in (
        "claire@lumiere.example",
        "lyon@lumiere.example",
        "dev@agence.example",
        "web+commandes@lumiere.example",
    ):
        assert address in told
    assert "Atelier" in told, "the shop where nobody is told is named as well"
    # The second click leads to where it is changed.
    lines.first.get_by_role("link", name=re.compile("modifier", re.IGNORECASE)).first.click()
    page.wait_for_url(lambda address: urlsplit(address).path.startswith("/settings/"))
    expect(page.locator("main")).to_contain_text("Lumière Lyon", use_inner_text=True)
    assert not complaints


# --- Changing an address --------------------------------------------------------------------------


def change_manager_address(page: Any, typed: str) -> None:
    page.get_by_label("E-mail gestionnaire").first.fill(typed)
    page.get_by_role("button", name="Enregistrer").first.click()


def assert_the_error_names(page: Any, typed: str) -> None:
    expect(page.get_by_label("E-mail gestionnaire").first).to_have_value(typed)
    assert typed in page.locator("main .error-summary").inner_text()
    assert Shop.objects.get(site_id="20000002").manager_email == "lyon@lumiere.example"


def assert_the_change_is_told(page: Any, address: str) -> None:
    assert address in text_of(page.locator(".messages"))
    assert Shop.objects.get(site_id="20000002").manager_email == address
    page.goto(ADDRESSES + "?q=nouvelle")
    assert address in text_of(page.locator("main"))
    page.goto(HISTORY)
    assert address in text_of(page.locator("main"))


def test_whoever_saves_second_reads_why_sees_their_words_and_has_the_button_to_go_on(
    logged_in: User, page: Any, complaints: list[str]
) -> None:
    page.goto(LYON)
    page.get_by_label("Nom de la boutique").fill("Nom du second")
    actor = Actor("Alice Avant")
    shop_update(shop=Shop.objects.get(site_id="20000002"), actor=actor, name="Nom du premier")
    page.get_by_role("button", name="Enregistrer").first.click()
    page.wait_for_selector(".conflict:focus")
    expect(page.locator(".conflict")).to_contain_text("Alice Avant", use_inner_text=True)
    expect(page.get_by_label("Nom de la boutique")).to_have_value("Nom du second")
    assert Shop.objects.get(site_id="20000002").name == "Nom du premier"
    # Nothing was typed since, and yet there is something to save.
    page.get_by_role("button", name="Enregistrer").first.click()
    page.locator(".messages").wait_for()
    assert Shop.objects.get(site_id="20000002").name == "Nom du second"


def test_a_bad_manager_address_comes_back_with_its_error_and_a_good_one_is_told(
    logged_in: User, page: Any, complaints: list[str]
) -> None:
    page.goto(LYON)
    change_manager_address(page, "lyon@@lumiere")
    assert_the_error_names(page, "lyon@@lumiere")
    page.wait_for_selector(".error-summary:focus, [aria-invalid=true]:focus")
    change_manager_address(page, "nouvelle.lyon@lumiere.example")
    assert_the_change_is_told(page, "nouvelle.lyon@lumiere.example")
    assert not complaints


# --- Without scripts ------------------------------------------------------------------------------


@pytest.fixture
def scriptless_page(logged_in: User, browser: Any, live_server: Any, browser_context: Any) -> Iterator[Any]:
    """A page of a telephone's browser with JavaScript off, logged in."""
    context = browser.new_context(
        base_url=live_server.url,
        java_script_enabled=False,
        locale="fr-FR",
        viewport={"width": 390, "height": 844},
        storage_state=browser_context.storage_state(),
    )
    yield context.new_page()
    context.close()


def test_without_scripts_the_form_names_the_error_and_saves(scriptless_page: Any) -> None:
    scriptless_page.goto(LYON)
    change_manager_address(scriptless_page, "lyon@@lumiere")
    assert_the_error_names(scriptless_page, "lyon@@lumiere")
    change_manager_address(scriptless_page, "nouvelle.lyon@lumiere.example")
    assert_the_change_is_told(scriptless_page, "nouvelle.lyon@lumiere.example")


def test_without_scripts_the_menu_opens_and_the_journal_filters(scriptless_page: Any) -> None:
    page = scriptless_page
    page.goto("/")
    expect(page.locator("#side-menu")).not_to_be_visible()
    page.get_by_role("button", name="Menu", exact=True).click()
    page.locator("#side-menu").get_by_role("link", name="Journal").click()
    page.wait_for_url(f"**{JOURNAL}")
    rows = page.locator("main tbody tr")
    assert rows.count() >= 3
    # On a telephone the filters fold; what unfolds them is HTML.
    page.locator("main .filter-fold > summary").click()
    page.locator("main select[name=status]").select_option("dead")
    page.locator("main form:has(select[name=status]) button[type=submit]").first.click()
    page.wait_for_url("**status=dead**")
    expect(rows).to_have_count(1)
    assert "caisse.lyon@lumiere.example" in text_of(rows.first)
    rows.first.locator("a[href^='/notifications/journal/']").first.click()
    expect(page.locator("main")).to_contain_text("mailbox unavailable", use_inner_text=True)


# --- Keyboard -------------------------------------------------------------------------------------


def focused(page: Any) -> str:
    return page.evaluate("(document.activeElement.innerText || document.activeElement.name || '').trim()")


def tab_to(page: Any, wanted: Callable[[], bool], limit: int = 60) -> None:
    for _press in range(limit):
        page.keyboard.press("Tab")
        if wanted():
            return
    pytest.fail(f"not reached within {limit} presses of Tab; focus is on {focused(page)!r}")


def test_the_keyboard_alone_skips_to_the_content_walks_the_menu_and_submits(logged_in: User, page: Any) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    assert focused(page) == "Aller au contenu"
    assert page.locator(".skip-link").bounding_box()["y"] >= 0, "the skip link shows while it has the focus"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"

    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/account/")
    tab_to(page, lambda: page.evaluate("document.activeElement.matches('.menu-button')"))
    page.keyboard.press("Enter")
    expect(page.locator("#side-menu")).to_be_visible()
    tab_to(page, lambda: focused(page) == "Accueil", limit=5)
    page.keyboard.press("Escape")
    expect(page.locator("#side-menu")).not_to_be_visible()
    assert page.evaluate("document.activeElement.matches('.menu-button')"), "focus comes back to the button"

    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto("/account/")
    tab_to(page, lambda: focused(page) == "first_name")
    page.keyboard.press("Control+A")
    page.keyboard.type("Clara")
    page.keyboard.press("Enter")
    page.locator(".messages .notice").wait_for()
    assert User.objects.get(login="claire").first_name == "Clara"


# --- Language -------------------------------------------------------------------------------------


def test_the_language_switch_stays_on_the_page_and_translates_it(logged_in: User, page: Any) -> None:
    filtered = f"{JOURNAL}?status=dead"
    page.goto("/account/")
    french = page.locator("main .lead-sentence").inner_text()
    page.goto(filtered)
    page.get_by_role("button", name="English").click()
    page.wait_for_selector("html[lang=en]")
    assert page.url.endswith(filtered)
    expect(page.locator(".skip-link")).to_have_text("Skip to content")
    page.goto("/account/")
    assert page.locator("main .lead-sentence").inner_text() not in ("", french)
    page.get_by_role("button", name="Français").click()
    page.wait_for_selector("html[lang=fr]")
    expect(page.locator("main .lead-sentence")).to_have_text(french, use_inner_text=True)
