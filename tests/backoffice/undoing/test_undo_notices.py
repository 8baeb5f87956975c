"""« Annuler » in the notice after a save: works while nothing else has changed, and only where all of it can go back."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from companies.models import Company, Contact, User
from notifications.models import NotificationRule
from shops.models import Shop
from tests.factories import NotificationRuleFactory
from tests.html_forms import form_with

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser_of_claire(claire: User, client_for: Callable[..., Client]) -> Client:
    return client_for(claire)


def save(client: Client, url: str, field: str, **typed: Any) -> Any:
    return client.post(url, form_with(client.get(url), field).sent(**typed), follow=True)


def undo_of(page: Any) -> str | None:
    link = re.search(r'class="undo-link" href="([^"]+)"', page.content.decode())
    return html.unescape(link[1]) if link else None


def taken_back(client: Client, page: Any) -> Any:
    link = undo_of(page)
    assert link is not None
    assert client.get(link).status_code == 200
    return client.post(link, follow=True)


def test_a_shop_goes_back_to_its_values_and_to_its_page(browser_of_claire: Client, paris: Shop) -> None:
    page = reverse("shop_configuration", args=[paris.site_id])
    saved = save(browser_of_claire, page, "manager_email", manager_email="autre@lumiere.example", name="Autre nom")
    after = taken_back(browser_of_claire, saved)
    assert after.redirect_chain[-1][0] == page
    paris.refresh_from_db()
    assert (paris.manager_email, paris.name) == ("paris@lumiere.example", "Lumière Paris")


def test_contacts_and_incident_addresses_go_back_together(browser_of_claire: Client, company: Company) -> None:
    page = reverse("company_settings")
    typed = {"technical-email": "autre@agence.example", "incident_emails": "astreinte@lumiere.example"}
    after = taken_back(browser_of_claire, save(browser_of_claire, page, "manager-email", **typed))
    assert after.redirect_chain[-1][0] == page
    company.refresh_from_db()
    assert company.incident_emails == []
    assert Contact.objects.get(company=company, kind="technical").email == "hugo@agence.example"


def test_a_contact_that_was_added_goes_again(browser_of_claire: Client, company: Company) -> None:
    Contact.objects.filter(company=company, kind="technical").delete()
    new = {"technical-first_name": "Ada", "technical-last_name": "Roy", "technical-email": "ada@agence.example"}
    saved = save(browser_of_claire, reverse("company_settings"), "manager-email", **new)
    assert Contact.objects.filter(company=company, kind="technical").exists()
    taken_back(browser_of_claire, saved)
    assert not Contact.objects.filter(company=company, kind="technical").exists()


def test_a_rule_goes_back_after_its_switch_and_after_its_form(browser_of_claire: Client, paris: Shop) -> None:
    rule = NotificationRuleFactory(
        shop=paris, reference="compta", label="Compta", recipients=["compta@lumiere.example"]
    )
    switch = reverse("rule_switch", args=[paris.site_id, rule.reference])
    off = browser_of_claire.post(switch, {"enabled": "0", "version": rule.version}, follow=True)
    taken_back(browser_of_claire, off)
    rule.refresh_from_db()
    assert rule.enabled
    page = reverse("rule", args=[paris.site_id, rule.reference])
    saved = save(browser_of_claire, page, "others", others="paie@lumiere.example", label="Paie")
    assert NotificationRule.objects.get(pk=rule.pk).recipients == ["paie@lumiere.example"]
    after = taken_back(browser_of_claire, saved)
    assert after.redirect_chain[-1][0] == f"{reverse('rules')}?shop={paris.site_id}&rule=compta"
    rule.refresh_from_db()
    assert (rule.recipients, rule.label) == (["compta@lumiere.example"], "Compta")


def test_what_was_changed_again_stays(browser_of_claire: Client, paris: Shop) -> None:
    page = reverse("shop_configuration", args=[paris.site_id])
    link = undo_of(save(browser_of_claire, page, "manager_email", manager_email="un@lumiere.example"))
    save(browser_of_claire, page, "manager_email", manager_email="deux@lumiere.example")
    assert link is not None
    assert "a changé depuis" in browser_of_claire.post(link, follow=True).content.decode()
    paris.refresh_from_db()
    assert paris.manager_email == "deux@lumiere.example"


def test_a_save_with_a_secret_in_it_offers_no_half_undo(browser_of_claire: Client, paris: Shop) -> None:
    rule = NotificationRuleFactory(ipn=True, shop=paris, reference="fin", url_production="https://b.example/ipn")
    page = reverse("rule", args=[paris.site_id, rule.reference])
    names = form_with(browser_of_claire.get(page), "url_production").values
    secret = {name: "secret" for name in names if "password" in name or "username" in name}
    assert secret, "the form has fields for a protected page"
    assert undo_of(save(browser_of_claire, page, "url_production", label="Autre", **secret)) is None


def test_nothing_changed_offers_nothing(browser_of_claire: Client, paris: Shop) -> None:
    page = reverse("shop_configuration", args=[paris.site_id])
    assert undo_of(save(browser_of_claire, page, "manager_email")) is None
