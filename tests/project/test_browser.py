"""In a real browser: log-in works as a person does it, and no page breaks the content security policy."""

from collections.abc import Callable
from typing import Any

import pytest

from companies.models import User
from tests import factories

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_user_logs_in_and_arrives_at_home(page: Any) -> None:
    user = factories.UserFactory()
    page.goto("/")
    page.fill("[name=login]", user.login)
    page.fill("[name=password]", factories.PASSWORD)
    page.click("main [type=submit]")
    page.wait_for_url("**/")
    assert page.locator("h1").count() == 1
    assert user.company is not None
    assert user.company.name in page.content()


def test_home_runs_without_console_errors(page: Any, log_in_browser: Callable[[User], None]) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    log_in_browser(factories.UserFactory())
    assert page.goto("/").status == 200
    assert page.locator("html").get_attribute("lang") == "fr"
    assert complaints == []
