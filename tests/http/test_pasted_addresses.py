"""Addresses pasted from a mail program into every field for them: the address kept, the name dropped, and that told."""

from collections.abc import Callable
from typing import Any

import pytest
from django import forms
from django.contrib.messages import get_messages
from django.test import Client

from backoffice.base.fields import EmailListFormField, OneEmailFormField
from backoffice.text import addresses
from companies.models import Contact, SftpAccount, User
from notifications.models import NotificationRule
from shops.models import PaymentOrder, Shop
from tests import walk
from tests.factories import NotificationRuleFactory, StaffFactory, UserFactory
from tests.html_forms import form_with

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
ONE = '"Morel, Claire" <c@x.example>'
LIST = f"{ONE}; Petit, Hugo <h@y.example>;"


def posted(client: Client, path: str, field: str, **typed: str) -> str:
    """The form of a page that holds a field, sent with some fields typed; what the next page says."""
    response = client.post(path, form_with(client.get(path), field).sent(**typed), follow=True)
    assert response.redirect_chain, response.content.decode()
    return response.content.decode()


def test_the_contacts_and_the_incident_list_of_a_company(client_for: Callable[..., Client], shop: Shop) -> None:
    client = client_for(UserFactory(company=shop.company))
    said = posted(client, "/settings/company/", "manager-email", **{"manager-email": ONE, "incident_emails": LIST})
    assert Contact.objects.get(kind="manager").email == "c@x.example"
    shop.company.refresh_from_db()
    assert shop.company.incident_emails == ["c@x.example", "h@y.example"]
    assert "Seule l&#x27;adresse est gardée, sans le nom « Morel, Claire »." in said
    assert "Seules les adresses sont gardées, sans les noms « Morel, Claire », « Petit, Hugo »." in said


def test_the_configuration_of_a_shop(client_for: Callable[..., Client], shop: Shop) -> None:
    client = client_for(UserFactory(company=shop.company))
    path = f"/settings/shops/{shop.site_id}/configuration/"
    said = posted(client, path, "manager_email", manager_email=ONE)
    shop.refresh_from_db()
    assert shop.manager_email == "c@x.example" and "sans le nom « Morel, Claire »" in said
    preview = client.get(path, {"preview": "1", "manager_email": ONE}).content.decode()
    assert "x.example</span>" in preview and "Morel" not in preview


def test_the_recipients_of_a_rule_on_its_page_and_in_the_admin(client_for: Callable[..., Client], shop: Shop) -> None:
    rule = NotificationRuleFactory(shop=shop, reference="mail")
    client = client_for(UserFactory(company=shop.company))
    path = f"/settings/notification-rules/{shop.site_id}/mail/"
    said = posted(client, path, "others", others=LIST)
    assert NotificationRule.objects.get(pk=rule.pk).recipients == ["@shop_manager", "c@x.example", "h@y.example"]
    assert "sans les noms" in said
    staff = client_for(StaffFactory(is_superuser=True), fresh=True)
    page = f"/admin/notifications/notificationrule/{rule.pk}/change/"
    said = posted(staff, page, "recipients", recipients=f"@shop_manager; {ONE}")
    assert NotificationRule.objects.get(pk=rule.pk).recipients == ["@shop_manager", "c@x.example"]
    assert "sans le nom" in said


def test_accounts(client_for: Callable[..., Client], shop: Shop) -> None:
    user = UserFactory(company=shop.company)
    client = client_for(user, fresh=True)
    said = posted(client, "/settings/company/sftp-accounts/new/", "email", login="compta", email=ONE)
    assert SftpAccount.objects.get().email == "c@x.example" and "sans le nom" in said
    said = posted(client, "/settings/company/users/new/", "email", login="neuf", email=ONE)
    assert User.objects.get(login="neuf").email == "c@x.example" and "sans le nom" in said


def test_the_recipients_of_an_order(client_for: Callable[..., Client], shop: Shop) -> None:
    client = client_for(UserFactory(company=shop.company))
    path = f"/payment-orders/new/?shop={shop.site_id}&channel=email&mode=TEST"
    said = posted(
        client,
        path,
        "recipients",
        recipients=LIST,
        amount="19,90",
        with_extra_copy="on",
        extra_copy="Zoé <z@x.example>",
    )
    assert sorted(PaymentOrder.objects.values_list("recipient", "extra_copy")) == [
        ("c@x.example", "z@x.example"), ("h@y.example", "z@x.example"),
    ]  # fmt: skip
    assert "sans les noms" in said and "Zoé" in said


def test_what_is_refused_comes_back_as_it_was_typed_and_nothing_is_told_yet(
    client_for: Callable[..., Client], shop: Shop
) -> None:
    client = client_for(UserFactory(company=shop.company))
    path = f"/settings/shops/{shop.site_id}/configuration/"
    typed = '"Morel" <c@x.example>; "Petit" <h@y.example>'
    page = client.post(path, form_with(client.get(path), "manager_email").sent(manager_email=typed))
    html = page.content.decode()
    assert page.status_code == 200 and "une seule adresse" in html
    assert "&quot;Morel&quot; &lt;c@x.example&gt;" in html
    assert [str(message) for message in get_messages(page.wsgi_request)] == []


def test_every_form_field_for_addresses_is_one_of_the_two_that_understand_it() -> None:
    """A guard: a form with an e-mail field of another make would not."""
    list(walk.routes())
    other, ours = [], 0
    open_: list[type[Any]] = [forms.BaseForm]
    while open_:
        for form in open_.pop().__subclasses__():
            open_.append(form)
            if form.__module__.split(".")[0] not in ("backoffice", "companies", "shops", "notifications"):
                continue
            for name, field in getattr(form, "base_fields", {}).items():
                if isinstance(field, OneEmailFormField | EmailListFormField):
                    ours += 1
                elif isinstance(field, forms.EmailField) or "email" in field.widget.attrs.get("inputmode", ""):
                    other.append(f"{form.__qualname__}.{name}")
    assert other == [] and ours >= 8


@pytest.mark.parametrize("typed", [ONE, "Morel, Claire <c@x.example>", "<c@x.example>", "c@x.example <c@x.example>"])
def test_a_field_gives_the_address_alone(typed: str) -> None:
    assert OneEmailFormField().clean(typed) == "c@x.example"
    assert EmailListFormField().clean(f"{typed}; a@x.example") == ["c@x.example", "a@x.example"]
    assert not OneEmailFormField().has_changed("c@x.example", typed)
    assert addresses.bare(typed) == "c@x.example"
