"""The staff site: writes go through the services, proof stays as it is, lists stay quick."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from companies.models import AuditEntry, Company, Contact, Membership, User
from notifications import tokens as api_auth
from notifications.models import ApiToken, Delivery, Event, NotificationRule
from shops.models import Shop
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client_for: Callable[[User], Client]) -> Client:
    return client_for(factories.StaffFactory(email="equipe@backoffice.example"), fresh=True)


def model_pages(page: str) -> list[str]:
    return [f"admin:{m._meta.app_label}_{m._meta.model_name}_{page}" for m in admin.site._registry]


NEW_COMPANY = {
    "reference": "nouvelle",
    "name": "Nouvelle SARL",
    "country": "FR",
    "language": "fr",
    "time_zone": "Europe/Paris",
    "incident_emails": "astreinte@nouvelle.example; dev+pager@nouvelle.example",
    "manager_first_name": "Anna",
    "manager_email": "anna@nouvelle.example",
    "technical_email": "tech@agence.example",
    "shop_site_id": "77000001",
    "shop_name": "Nouvelle Boutique",
    "shop_language": "fr",
    "shop_manager_email": "boutique@nouvelle.example",
}


def test_one_form_creates_a_company_with_its_contacts_and_first_shop_and_tells_the_right_addresses(staff: Client):
    answer = staff.post(reverse("admin:companies_company_add"), NEW_COMPANY)

    assert answer.status_code == 302, answer.context["errors"]
    company = Company.objects.get(reference="nouvelle")
    assert company.incident_emails == ["astreinte@nouvelle.example", "dev+pager@nouvelle.example"]
    assert {c.kind: c.email for c in company.contacts.all()} == {
        "manager": "anna@nouvelle.example",
        "technical": "tech@agence.example",
    }
    shop = company.shops.get()
    assert shop.rules.exists()
    sent = Delivery.objects.filter(notification="shop_created").values_list("address", "as_field", "shop")
    assert set(sent) == {("boutique@nouvelle.example", "to", shop.pk), ("anna@nouvelle.example", "cc", shop.pk)}
    assert {"company.created", "contact.created", "shop.created"} <= set(
        AuditEntry.objects.values_list("action", flat=True)
    )


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("manager_email", "", "obligatoire"),
        ("manager_email", "anna@", "anna@"),
        ("incident_emails", "bon@a.example; mauvais@", "mauvais@"),
        ("shop_site_id", "1234567", "8 chiffres"),
        ("technical_email", "a@b.example; c@d.example", "une seule"),
    ],
)
def test_a_company_form_with_a_mistake_names_it_and_writes_nothing(staff: Client, field: str, value: str, told: str):
    answer = staff.post(reverse("admin:companies_company_add"), {**NEW_COMPANY, field: value})

    assert answer.status_code == 200
    assert told in " ".join(answer.context["adminform"].form.errors[field])
    assert value in answer.context["adminform"].form[field].value()
    assert (Company.objects.count(), Shop.objects.count(), AuditEntry.objects.count()) == (0, 0, 0)


def company_data(company: Company, **changes: str) -> dict[str, str]:
    return {
        "name": company.name,
        "country": "FR",
        "language": "fr",
        "time_zone": "Europe/Paris",
        "incident_emails": "",
        "manager_email": company.manager_contact.email,
        "shops-TOTAL_FORMS": "0",
        "shops-INITIAL_FORMS": "0",
        **changes,
    }


def test_changing_a_company_audits_only_what_changed_and_an_emptied_technical_contact_goes(staff: Client):
    company = factories.CompanyFactory(
        manager__first_name="", manager__last_name="", manager__title="", with_technical=True
    )
    url = reverse("admin:companies_company_change", args=[company.pk])

    assert staff.post(url, company_data(company, name="Autre nom")).status_code == 302

    company = Company.objects.get()
    assert company.name == "Autre nom"
    assert not Contact.objects.filter(kind="technical").exists()
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {"company.updated", "contact.deleted"}
    assert AuditEntry.objects.get(action="company.updated").changes.keys() == {"name"}


def test_a_shop_added_inline_is_created_by_the_service(staff: Client):
    company = factories.CompanyFactory()
    shop = factories.ShopFactory(company=company, name="Ancien nom")
    data = company_data(company) | {
        "shops-TOTAL_FORMS": "2",
        "shops-INITIAL_FORMS": "1",
        **{f"shops-0-{name}": getattr(shop, name) for name in ("site_id", "url", "language")},
        "shops-0-id": str(shop.pk),
        "shops-0-name": "Nouveau nom",
        "shops-1-site_id": "88000001",
        "shops-1-name": "Seconde",
        "shops-1-language": "fr",
    }
    answer = staff.post(reverse("admin:companies_company_change", args=[company.pk]), data)

    assert answer.status_code == 302
    shop.refresh_from_db()
    assert shop.name == "Nouveau nom"
    assert AuditEntry.objects.get(action="shop.updated").changes == {"name": ["Ancien nom", "Nouveau nom"]}
    assert Event.objects.get(type="shop.created").shop.site_id == "88000001"


def test_the_technical_contact_is_on_the_page_of_the_company_and_of_its_shop(staff: Client):
    company = factories.CompanyFactory(with_technical=True)
    shop = factories.ShopFactory(company=company)
    address = company.technical_contact.email
    for name, key in (("companies_company", company.pk), ("shops_shop", shop.pk)):
        assert address in staff.get(reverse(f"admin:{name}_change", args=[key])).content.decode()


def test_keys_are_never_shown(staff: Client):
    key = factories.ShopKeyFactory(value="SecretQuiNeSortPas")
    page = staff.get(reverse("admin:shops_shop_change", args=[key.shop_id])).content.decode()
    assert "Clé de test" in page
    assert "SecretQuiNeSortPas" not in page


@pytest.mark.parametrize("model", ["companies_company", "shops_shop"])
def test_suspending_asks_for_a_reason_and_is_audited_with_it(staff: Client, model: str):
    shop = factories.ShopFactory()
    target = shop if model == "shops_shop" else shop.company
    url = reverse(f"admin:{model}_changelist")
    asked = {"action": "suspend", "_selected_action": [target.pk]}
    assert "que la société lit" in staff.post(url, asked).content.decode()
    refused = staff.post(url, {**asked, "confirmed": "1", "reason": "  "})
    assert refused.status_code == 200 and "Indiquez le motif" in refused.content.decode()
    target.refresh_from_db()
    assert target.status == "active" and not AuditEntry.objects.exists()

    assert staff.post(url, {**asked, "confirmed": "1", "reason": "Factures impayées"}, follow=True).status_code == 200
    target.refresh_from_db()
    assert (target.status, target.status_reason, target.status_since is not None) == (
        "suspended",
        "Factures impayées",
        True,
    )
    assert AuditEntry.objects.get().changes == {
        "status": ["active", "suspended"],
        "status_reason": ["", "Factures impayées"],
    }
    staff.post(url, {"action": "reactivate", "_selected_action": [target.pk], "confirmed": "1", "reason": "Payé"})
    target.refresh_from_db()
    assert (target.status, target.status_reason) == ("active", "")
    assert AuditEntry.objects.latest("pk").changes["reason"] == [None, "Payé"]


def test_a_merchants_user_cannot_enter(client_for: Callable[[User], Client]):
    client = client_for(factories.UserFactory())
    for name in ("admin:index", *model_pages("changelist")):
        assert client.get(reverse(name), follow=True).status_code == 403, name


def test_every_list_and_every_add_page_opens(staff: Client):
    factories.DeliveryFactory()
    for name in (*model_pages("changelist"), "admin:index"):
        assert staff.get(reverse(name)).status_code == 200, name
        if name.endswith("changelist"):
            assert staff.get(reverse(name), {"q": "lumiere"}).status_code == 200, name
    read_only = {
        "notifications_event",
        "notifications_addresshealth",
        "notifications_delivery",
        "companies_auditentry",
        "shops_paymentorder",
        "shops_dataformversion",
        "shops_billingdocument",
    }
    for name in model_pages("add"):
        expected = 403 if any(part in name for part in read_only) else 200
        assert staff.get(reverse(name)).status_code == expected, name


@pytest.mark.parametrize("status", [("dead", "queued", "requeue"), ("queued", "cancelled", "cancel")])
def test_deliveries_are_requeued_and_cancelled_with_a_trace(staff: Client, status: tuple[str, str, str]):
    before, after, action = status
    delivery = factories.DeliveryFactory(status=before)
    url = reverse("admin:notifications_delivery_changelist")
    staff.post(url, {"action": action, "_selected_action": [str(delivery.pk)]})
    delivery.refresh_from_db()
    assert delivery.status == after
    assert AuditEntry.objects.get().object_id == str(delivery.pk)


def test_a_delivery_is_sent_again_as_a_new_row(staff: Client):
    delivery = factories.DeliveryFactory(status="sent")
    url = reverse("admin:notifications_delivery_changelist")
    staff.post(url, {"action": "resend", "_selected_action": [str(delivery.pk)]})
    assert Delivery.objects.get(resend_of=delivery).status == "queued"


def test_proof_opens_and_cannot_be_changed_or_deleted(staff: Client):
    delivery = factories.DeliveryFactory(status="sent")
    for name, key in (("delivery", delivery.pk), ("event", delivery.event_id)):
        assert staff.get(reverse(f"admin:notifications_{name}_change", args=[key])).status_code == 200
        for page in ("change", "delete"):
            assert (
                staff.post(reverse(f"admin:notifications_{name}_{page}", args=[key]), {"post": "yes"}).status_code
                == 403
            )
    assert Delivery.objects.filter(pk=delivery.pk).exists()


def test_an_api_token_is_shown_once_and_stored_hashed(staff: Client):
    url = reverse("admin:notifications_apitoken_add")
    sent = {"name": "Banque", "company": "", "expires_at_0": "", "expires_at_1": "", "scopes": ["deliveries:read"]}
    answer = staff.post(url, sent, follow=True)
    token = ApiToken.objects.get()
    assert token.allowed == ["deliveries:read"]
    page = answer.content.decode()
    text = page.partition("<code>")[2].partition("</code>")[0]
    assert text.startswith(token.prefix)
    assert token.token_hash == api_auth.token_hash(text)
    assert text not in staff.get(reverse("admin:notifications_apitoken_changelist")).content.decode()
    assert text not in staff.get(reverse("admin:notifications_apitoken_change", args=[token.pk])).content.decode()


def rule_data(rule: NotificationRule, **changes: Any) -> dict[str, Any]:
    return {
        "type": rule.type,
        "label": rule.label,
        "digest": rule.digest,
        "enabled": "on",
        "triggers": ["payment.accepted"],
        "conditions": "[]",
        "recipients": "@shop_manager",
        "profile": "standard",
        **changes,
    }


def test_a_rule_is_changed_through_the_service(staff: Client):
    rule = factories.NotificationRuleFactory()
    url = reverse("admin:notifications_notificationrule_change", args=[rule.pk])
    assert staff.post(url, rule_data(rule, recipients="@shop_manager; dev@agence.example")).status_code == 302
    rule.refresh_from_db()
    assert (rule.recipients, rule.version) == (["@shop_manager", "dev@agence.example"], 2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("recipients", ""),
        ("recipients", "dev@"),
        ("conditions", '[{"variable": "x", "operator": "eq", "value": 1}]'),
        ("url_test", "http://localhost/x"),
        ("url_production", "http://shop.example/x"),
        ("rest_url_production", "http://shop.example/x"),
    ],
)
def test_a_rule_form_refuses_what_the_services_refuse(staff: Client, field: str, value: str):
    rule = factories.NotificationRuleFactory()
    url = reverse("admin:notifications_notificationrule_change", args=[rule.pk])
    answer = staff.post(url, rule_data(rule, **{field: value}))
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors.keys() == {field}


def test_a_new_user_is_invited_and_a_link_can_be_sent(staff: Client):
    company = factories.CompanyFactory()
    data = {"company": company.pk, "login": "marie", "email": "marie@a.example", "role": "manager"}
    assert staff.post(reverse("admin:companies_user_add"), data).status_code == 302
    user = User.objects.get(login="marie")
    assert not user.has_usable_password()
    assert Membership.objects.get(user=user).role == "manager"
    assert Delivery.objects.get().notification == "user_account"
    staff.post(reverse("admin:companies_user_changelist"), {"action": "send_link", "_selected_action": [user.pk]})
    assert Delivery.objects.filter(notification="account_security", address="marie@a.example").exists()


def test_staff_who_are_no_superusers_cannot_take_over_a_superuser(client_for: Callable[[User], Client]):
    boss = factories.StaffFactory()
    helper = factories.StaffFactory(is_superuser=False)
    helper.user_permissions.set(Permission.objects.filter(content_type__app_label="companies"))
    client = client_for(helper)
    url = reverse("admin:companies_user_change", args=[boss.pk])
    assert client.post(url, {"login": boss.login, "email": "moi@a.example"}).status_code == 403
    assert (
        client.post(reverse("admin:companies_user_change", args=[helper.pk]), {"is_superuser": "on"}).status_code == 403
    )


MANY: dict[str, Callable[[], object]] = {
    "companies_company": lambda: factories.ShopFactory(company=factories.CompanyFactory(with_technical=True)),
    "shops_shop": factories.ShopFactory,
    "companies_user": factories.UserFactory,
    "companies_sftpaccount": factories.SftpAccountFactory,
    "notifications_notificationrule": factories.NotificationRuleFactory,
    "notifications_event": factories.EventFactory,
    "notifications_delivery": factories.DeliveryFactory,
    "notifications_apitoken": lambda: factories.ApiTokenFactory(company=factories.CompanyFactory()),
}


@pytest.mark.parametrize("name", MANY)
def test_a_list_takes_as_many_queries_for_50_rows_as_for_5(staff: Client, name: str):
    url = reverse(f"admin:{name}_changelist")

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert staff.get(url).status_code == 200
        return len(captured)

    for _number in range(5):
        MANY[name]()
    few = queries()
    for _number in range(45):
        MANY[name]()
    assert queries() == few
