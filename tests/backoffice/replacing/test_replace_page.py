"""« Remplacer ou retirer cette adresse »: places by right, the panel before saving, one save, « Annuler »."""

import html
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from companies.models import AuditEntry, Company, Role, SftpAccount
from notifications.models import Delivery, NotificationRule
from shops.models import Shop
from tests.factories import CompanyFactory, NotificationRuleFactory, ShopFactory, UserFactory

pytestmark = pytest.mark.django_db
OLD, NEW = "ancienne@x.example", "nouvelle@x.example"
ALL = ["incident_contact", "shop_manager:10000001", "rule:10000001/appel"]


@pytest.fixture(autouse=True)
def _old_address_at_three_places(company: Company, paris: Shop) -> None:
    company.incident_emails = [OLD]
    company.save()
    paris.manager_email = OLD
    paris.save()
    NotificationRuleFactory(shop=paris, reference="appel", type="ipn_call", recipients=[OLD], enabled=True)


@pytest.fixture
def administrator(company: Company) -> Client:
    return logged_in(company, Role.ADMINISTRATOR)


def logged_in(company: Company, role: str) -> Client:
    client = Client()
    client.force_login(UserFactory(company=company, role=role, email=f"{role}@x.example"))
    return client


def url(address: str = OLD, **more: str) -> str:
    extra = "".join(f"&{name}={value}" for name, value in more.items())
    return f"{reverse('address_replace')}?address={address}{extra}"


def sent(client: Client, **given: Any) -> dict[str, Any]:
    """What the form holds as the page shows it, with these values."""
    page = client.get(url()).content.decode()
    seen = re.search(r'name="seen" value="(\w+)"', page)
    assert seen is not None
    return {"what": "replace", "new": NEW, "places": ALL, "seen": seen[1], **given}


def text_of(response: Any) -> str:
    """What the page says, in one line."""
    page = response.content.decode().replace('<wbr><span class="domain">', "")
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def test_one_save_replaces_it_everywhere_and_tells_both(company: Company, administrator: Client) -> None:
    response = administrator.post(url(), sent(administrator, notify="on"), follow=True)
    text = text_of(response)
    assert f"{OLD} est remplacée par {NEW} à 3 endroits" in text
    company.refresh_from_db()
    assert company.incident_emails == [NEW]
    assert Shop.objects.get().manager_email == NEW
    assert NotificationRule.objects.get().recipients == [NEW]
    told = Delivery.objects.filter(notification="address_replaced").values_list("address", flat=True)
    assert sorted(told) == [OLD, NEW]


def test_only_the_ticked_places_change_and_nobody_is_told_without_the_box(
    company: Company, administrator: Client
) -> None:
    administrator.post(url(), sent(administrator, places=["incident_contact"]))
    company.refresh_from_db()
    assert (company.incident_emails, Shop.objects.get().manager_email) == ([NEW], OLD)
    assert not Delivery.objects.exists()


def test_the_panel_shows_what_changes_and_saves_nothing(company: Company, administrator: Client) -> None:
    before = AuditEntry.objects.count()
    page = administrator.post(url(), sent(administrator, show_effect="1"))
    text = text_of(page)
    assert f"{OLD} ne recevra plus :" in text and f"{NEW} recevra :" in text
    assert text.index("ne recevra plus") < text.index(f"{NEW} recevra")
    assert "Incident sur la plateforme de paiement" in text
    # What was typed is still there.
    assert f'value="{NEW}"' in page.content.decode()
    alone = administrator.post(url(part="effect"), sent(administrator), headers={"hx-request": "true"})
    assert "<h2" in alone.content.decode() and "<form" not in alone.content.decode()
    assert (AuditEntry.objects.count(), Delivery.objects.count()) == (before, 0)
    company.refresh_from_db()
    assert company.incident_emails == [OLD]


def test_a_critical_gap_is_asked_about_by_name_and_the_answer_is_kept(company: Company, administrator: Client) -> None:
    data = sent(administrator, what="remove", new="")
    page = administrator.post(url(), data)
    text = text_of(page)
    assert "personne ne sera prévenu" in text and "Incident sur la plateforme de paiement" in text
    assert "Échec d'un appel URL de notification" in text and "Paris" in text
    company.refresh_from_db()
    assert company.incident_emails == [OLD]
    stamp = re.search(r'name="confirmed_gaps" value="(\w+)"', page.content.decode())
    assert stamp is not None
    # The answer to another question is none.
    administrator.post(url(), {**data, "confirmed_gaps": "0" * 20})
    company.refresh_from_db()
    assert company.incident_emails == [OLD]
    administrator.post(url(), {**data, "confirmed_gaps": stamp[1]})
    company.refresh_from_db()
    assert company.incident_emails == []
    kept = AuditEntry.objects.filter(action="gap.confirmed")
    assert {entry.changes["notification"][1] for entry in kept} == {"platform_incident", "ipn_failure"}
    assert all(entry.actor is not None for entry in kept)
    history = text_of(administrator.get(reverse("company_history")))
    assert "Manque confirmé en enregistrant" in history


def undo_url(response: Any) -> str:
    link = re.search(r'class="undo-link" href="([^"]+)"', response.content.decode())
    assert link is not None
    return html.unescape(link[1])


def test_it_can_be_taken_back_once(company: Company, administrator: Client) -> None:
    undo = undo_url(administrator.post(url(), sent(administrator), follow=True))
    page = administrator.get(undo)
    assert f"{NEW} → {OLD}" in text_of(page)
    assert "C'est annulé" in text_of(administrator.post(undo, follow=True))
    company.refresh_from_db()
    assert (company.incident_emails, Shop.objects.get().manager_email) == ([OLD], OLD)
    assert NotificationRule.objects.get().recipients == [OLD]
    assert "Rien n'est annulé" in text_of(administrator.post(undo, follow=True))


def test_a_removed_technical_contact_comes_back_whole(administrator: Client, company: Company) -> None:
    company.contacts.filter(kind="technical").update(first_name="Hugo", phone="+33102030405")
    address = "hugo@agence.example"
    page = administrator.get(url(address)).content.decode()
    seen = re.search(r'name="seen" value="(\w+)"', page)
    assert seen is not None
    data = {"what": "remove", "new": "", "places": ["technical_contact"], "seen": seen[1]}
    undo = undo_url(administrator.post(url(address), data, follow=True))
    assert not company.contacts.filter(kind="technical").exists()
    administrator.post(undo)
    contact = company.contacts.get(kind="technical")
    assert (contact.first_name, contact.email, contact.phone) == ("Hugo", address, "+33102030405")


def test_what_was_changed_since_is_not_taken_back(company: Company, administrator: Client) -> None:
    undo = undo_url(administrator.post(url(), sent(administrator), follow=True))
    Shop.objects.update(manager_email="autre@x.example")
    assert "a changé depuis" in text_of(administrator.post(undo, follow=True))
    company.refresh_from_db()
    assert company.incident_emails == [NEW]


def test_the_link_to_take_back_is_for_whoever_made_the_change(company: Company, administrator: Client) -> None:
    undo = undo_url(administrator.post(url(), sent(administrator), follow=True))
    other = Client()
    other.force_login(UserFactory(company=company, role=Role.ADMINISTRATOR))
    assert other.get(undo).status_code == 404
    assert administrator.get(reverse("undo", args=["faux:jeton"])).status_code == 404


def test_places_are_offered_by_right(company: Company) -> None:
    manager = logged_in(company, Role.MANAGER)
    page = manager.get(url()).content.decode()
    assert 'value="shop_manager:10000001"' in page and 'value="incident_contact"' not in page
    assert "que votre rôle ne permet pas de modifier" in page
    # A place that was not offered is refused by name, not skipped.
    response = manager.post(url(), sent(manager))
    assert response.status_code == 200
    assert Shop.objects.get().manager_email == OLD
    assert logged_in(company, Role.VIEWER).get(url()).status_code == 403
    # Nothing of the manager's address is theirs to change: it stands in no shop itself.
    assert manager.get(url("claire@lumiere.example")).status_code == 403
    assert (
        "address_replace" not in manager.get(f"{reverse('addresses')}?address=claire@lumiere.example").content.decode()
    )


def test_an_address_of_another_company_is_like_an_unknown_one(company: Company, administrator: Client) -> None:
    CompanyFactory(manager__email="voisin@y.example")
    assert administrator.get(url("voisin@y.example")).status_code == 404
    assert administrator.get(url("inconnu@y.example")).status_code == 404


def test_accounts_ask_for_a_proof_of_identity(company: Company, administrator: Client) -> None:
    SftpAccount.objects.create(company=company, login="compta", email=OLD)
    response = administrator.post(url(), sent(administrator, places=["sftp_account:compta"]))
    assert response.status_code == 302 and "/notifications/addresses/" not in response["Location"].split("?")[0]
    assert SftpAccount.objects.get().email == OLD


def test_who_opened_the_page_before_a_change_is_told(company: Company, administrator: Client) -> None:
    data = sent(administrator)
    NotificationRule.objects.update(recipients=["dev@x.example"])
    # The place is gone: what the page offered is refused.
    page = administrator.post(url(), data)
    assert page.status_code == 200
    assert Shop.objects.get().manager_email == OLD
    again = {**data, "places": ALL[:2]}
    page = administrator.post(url(), again)
    assert "modifiées par quelqu'un d'autre" in text_of(page)
    assert Shop.objects.get().manager_email == OLD


def test_the_page_of_an_address_leads_here(administrator: Client) -> None:
    page = administrator.get(f"{reverse('addresses')}?address={OLD}").content.decode()
    assert html.escape(f"{reverse('address_replace')}?address=ancienne%40x.example") in page


def test_without_an_address_the_page_lets_one_choose_among_those_one_may_change(
    company: Company, administrator: Client
) -> None:
    ShopFactory(company=company, site_id="10000002", name="Lyon")
    page = administrator.get(reverse("address_replace"))
    text = text_of(page)
    # A shop that inherits is no place of the Contact gestionnaire.
    assert f"{OLD} 3 endroits" in text and "claire@lumiere.example 1 endroit" in text
    assert f'href="{url()}"'.replace("@", "%40") in page.content.decode()
    assert [email for email, _count in administrator.get(f"{reverse('address_replace')}?q=CLAIRE").context["page"]] == [
        "claire@lumiere.example"
    ]
    assert "Aucune adresse ne correspond" in text_of(administrator.get(f"{reverse('address_replace')}?q=zzz"))
    assert logged_in(company, Role.VIEWER).get(reverse("address_replace")).status_code == 403
