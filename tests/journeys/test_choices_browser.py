"""What scripts add to forms that stand without them: choices that cannot contradict, and the proposed address."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from companies.models import Company, User
from shops.models import Shop
from tests.factories import StaffFactory, UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LogIn = Callable[[User], None]


@pytest.fixture(autouse=True)
def _two_shops_and_no_second_factor(settings: Any, paris: Shop, lyon: Shop) -> None:
    settings.MFA_REQUIRED = False


def ticked(page: Any, name: str) -> list[str]:
    found: list[str] = page.eval_on_selector_all(f"[name={name}]:checked", "boxes => boxes.map((box) => box.value)")
    return found


def test_boxes_and_the_choice_above_them_follow_each_other(company: Company, page: Any, log_in_browser: LogIn) -> None:
    log_in_browser(UserFactory(company=company))
    page.goto("/settings/company/users/new/")
    # A ticked shop is a choice of shops; all shops take the tick away, and give it back.
    page.check("[name=shops][value='10000002']")
    assert ticked(page, "coverage") == ["some"]
    page.check("[name=coverage][value=all]")
    assert ticked(page, "shops") == []
    page.check("[name=coverage][value=some]")
    assert ticked(page, "shops") == ["10000002"]
    # The same for rights; without any ticked, those of the role are there to start from.
    page.check("[name=role][value=manager]")
    page.check("[name=role][value=custom]")
    assert "manage_rules" in ticked(page, "own") and "manage_users" not in ticked(page, "own")
    page.check("[name=role][value=viewer]")
    assert ticked(page, "own") == []
    page.check("[name=own][value=resend]")
    assert ticked(page, "role") == ["custom"] and ticked(page, "own") == ["resend"]


def test_a_box_of_rights_by_shop_makes_the_choice(company: Company, page: Any, log_in_browser: LogIn) -> None:
    log_in_browser(UserFactory(company=company))
    other = UserFactory(company=company, role="viewer")
    page.goto(f"/settings/company/users/{other.pk}/shops/")
    page.check("[name='own-10000001'][value=resend]")
    expect(page.locator("[name='choice-10000001']")).to_have_value("custom")
    expect(page.locator("[name='choice-10000002']")).to_have_value("general")


def test_the_incident_field_follows_the_managers_address_until_it_is_touched(
    company: Company, page: Any, log_in_browser: LogIn
) -> None:
    log_in_browser(StaffFactory())
    page.goto("/admin/companies/company/add/")
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
    page.fill("[name=manager_email]", "anna@neuve.example")
    expect(page.locator("[name=incident_emails]")).to_have_value("anna@neuve.example")
    page.fill("[name=manager_email]", "anne@neuve.example")
    expect(page.locator("[name=incident_emails]")).to_have_value("anne@neuve.example")
    page.fill("[name=incident_emails]", "")
    page.fill("[name=manager_email]", "eva@neuve.example")
    expect(page.locator("[name=incident_emails]")).to_have_value("")
    page.fill("[name=reference]", "neuve")
    page.fill("[name=name]", "Neuve")
    page.fill("[name=shop_name]", "Neuve")
    page.click("[name=_save]")
    # Emptied after the proposal: meant, so the company is there.
    page.wait_for_url("**/admin/companies/company/")
    assert Company.objects.get(reference="neuve").incident_emails == [] and not refused
