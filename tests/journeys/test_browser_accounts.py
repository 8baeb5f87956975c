"""From creating a user to that user's first look around, in a real browser and with real mail."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from playwright.sync_api import expect

from companies.models import Company, Role, User
from shops.models import Shop
from tests.browsing import overflow, violations
from tests.factories import PASSWORD, UserFactory
from tests.smtp import SmtpServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
THEIRS = "une-phrase-bien-a-moi"


@pytest.fixture(autouse=True)
def _three_shops_and_no_second_factor(settings: Any, live_server: Any, paris: Shop, lyon: Shop, nice: Shop) -> None:
    settings.MFA_REQUIRED = False
    settings.BASE_URL = live_server.url


def log_in(page: Any, login: str, password: str) -> None:
    page.goto("/accounts/login/")
    page.fill("[name=login]", login)
    page.fill("[name=password]", password)
    page.click("main button[type=submit]")


def test_a_user_is_created_follows_the_mailed_link_and_sees_exactly_what_was_granted(
    browser_context: Any, smtp_server: SmtpServer, claire: User, live_server: Any
) -> None:
    page = browser_context.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
    log_in(page, "claire", PASSWORD)

    # Created, the identity proved in between; what was typed survives that.
    page.goto("/settings/company/users/new/")
    assert violations(page) == []
    page.fill("[name=login]", "nadia")
    page.fill("[name=email]", "nadia@lumiere.example")
    page.check("[name=role][value=viewer]")
    page.check("[name=coverage][value=some]")
    page.check("[name=shops][value='10000002']")
    page.click(".save-bar button[type=submit]")
    assert "/accounts/reauthenticate/" in page.url
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.get_by_text("nadia@lumiere.example reçoit l'identifiant").wait_for()

    # Manager of Paris besides.
    page.click("main table >> text=nadia")
    page.click("text=Droits par boutique")
    assert violations(page) == []
    page.select_option("[name='choice-10000001']", "manager")
    page.click(".save-bar button[type=submit]")
    page.get_by_text("Les droits sur 1 boutique sont enregistrés").wait_for()
    browser_context.clear_cookies()

    call_command("deliver", "--once")
    bodies = [mail.text for mail in smtp_server.received if mail.rcpt_tos == ("nadia@lumiere.example",)]
    links = [found.group() for body in bodies if (found := re.search(r"https?://\S+/accounts/set-password/\S+", body))]
    assert len(bodies) == 2 and len(links) == 1
    assert not any(THEIRS in body or PASSWORD in body for body in bodies)

    theirs = browser_context.new_page()
    theirs.goto(urlsplit(links[0]).path)
    theirs.fill("[name=password]", THEIRS)
    theirs.fill("[name=password_again]", THEIRS)
    theirs.click("main button[type=submit]")
    theirs.goto(urlsplit(links[0]).path)
    expect(theirs.locator("[name=password_again]")).to_have_count(0)
    log_in(theirs, "nadia", THEIRS)
    theirs.goto("/settings/shops/")
    shown = theirs.inner_text("main")
    assert "Paris" in shown and "Lyon" in shown and "Nice" not in shown
    editable = {}
    for site_id in ("10000001", "10000002"):
        theirs.goto(f"/settings/shops/{site_id}/configuration/")
        editable[site_id] = theirs.locator("[name=manager_email]").is_enabled()
    assert editable == {"10000001": True, "10000002": False}
    for path, status in (("/settings/shops/10000003/configuration/", 404), ("/settings/company/users/", 403)):
        answer = theirs.goto(path)
        assert answer is not None and answer.status == status
    assert User.objects.get(login="nadia").state == User.State.ACTIVE
    assert [text for text in refused if "Content Security Policy" in text] == []


@pytest.mark.parametrize("width", [1280, 390])
def test_the_pages_of_accounts_pass_axe_and_do_not_scroll_sideways(
    browser_context: Any, company: Company, claire: User, log_in_browser: Callable[[User], None], width: int
) -> None:
    other = UserFactory(company=company, role=Role.VIEWER, login="paul")
    log_in_browser(claire)
    page = browser_context.new_page()
    page.set_viewport_size({"width": width, "height": 900})
    for path in ("", "new/", f"{other.pk}/", f"{other.pk}/shops/", f"{other.pk}/reset/", f"{other.pk}/disable/"):
        page.goto(f"/settings/company/users/{path}")
        assert violations(page) + overflow(page) == []
    for path in ("/settings/company/sftp-accounts/", "/settings/company/sftp-accounts/new/", "/companies/"):
        page.goto(path)
        assert violations(page) + overflow(page) == []
