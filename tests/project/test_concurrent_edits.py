"""Two people on one form: the second to save is told, nothing is silently overwritten.

EDITS has a row for every page that edits something stored. Each row is played: both open the page, the first
saves, the second is refused with a reason in French and the first one's name, what the second typed is back,
the database holds what the first wrote; then the second, who knows now, saves again. A route that takes a
POST and is in no list fails.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from backoffice.admin import OPENED_ON, ReadOnlyAdmin
from companies import services as company_services
from companies.audit import Actor, StaleVersion
from companies.models import AuditEntry, Company, Contact, Membership, Role, SftpAccount, User
from companies.permissions import PERMISSIONS
from notifications import incidents, newsletters
from notifications import services as rule_services
from notifications.models import Incident, Newsletter, NotificationRule
from shops import services as shop_services
from shops.billing.models import PriceList
from shops.dataforms import content, selectors
from shops.dataforms import services as data_form_services
from shops.dataforms.models import DataFormVersion
from shops.models import Contract, Shop, ShopKey
from shops.orders import services as order_services
from shops.orders.models import PaymentOrder, PaymentOrderTemplate
from tests.factories import (
    CompanyFactory,
    ContractFactory,
    DataCollectionFormFactory,
    DataFormVersionFactory,
    MembershipFactory,
    NotificationRuleFactory,
    PaymentOrderFactory,
    SftpAccountFactory,
    ShopFactory,
    ShopKeyFactory,
    StaffFactory,
    UserFactory,
)
from tests.html_forms import form_with
from tests.project.test_walker import ELSEWHERE, routes

pytestmark = pytest.mark.django_db

FIRST_NAME = "Alice Avant"
TOLD = "modifiées par quelqu'un d'autre"


class World:
    """A company with one of everything, and two administrators; objects are made when a row asks for them."""

    def __init__(self, client_for: Callable[..., Client]) -> None:
        self.company = CompanyFactory(reference="mienne", with_technical=True)
        self.shop = ShopFactory(company=self.company, site_id="10000001", name="Boutique d'avant")
        self.alice = UserFactory(company=self.company, first_name="Alice", last_name="Avant")
        self.bruno = UserFactory(company=self.company, first_name="Bruno", last_name="Apres")
        self.first = client_for(self.alice, fresh=True)
        self.second = client_for(self.bruno, fresh=True)
        self.client_for = client_for
        self.kept: dict[str, Any] = {}

    @property
    def actor(self) -> Actor:
        return Actor(self.alice.get_full_name(), self.alice)

    def of(self, name: str, make: Callable[[], Any]) -> Any:
        """One object of the world as it is stored now."""
        if name not in self.kept:
            self.kept[name] = make()
        found = self.kept[name]
        return type(found)._base_manager.get(pk=found.pk)

    @property
    def account(self) -> User:
        return self.of("account", lambda: UserFactory(company=self.company, role=Role.VIEWER, email="u@avant.example"))

    @property
    def disabled(self) -> User:
        return self.of("disabled", lambda: UserFactory(company=self.company, is_active=False))

    @property
    def locked(self) -> User:
        return self.of(
            "locked",
            lambda: UserFactory(company=self.company, locked_until=timezone.now() + timezone.timedelta(hours=1)),
        )

    @property
    def invited(self) -> User:
        def make() -> User:
            user = UserFactory(company=self.company)
            user.set_unusable_password()
            user.save()
            return user

        return self.of("invited", make)

    @property
    def guest(self) -> User:
        def make() -> User:
            user = UserFactory(company=CompanyFactory(reference="autre"))
            MembershipFactory(user=user, company=self.company, role=Role.VIEWER)
            return user

        return self.of("guest", make)

    @property
    def sftp(self) -> SftpAccount:
        return self.of("sftp", lambda: SftpAccountFactory(company=self.company, email="s@avant.example"))

    @property
    def sftp_off(self) -> SftpAccount:
        return self.of("sftp_off", lambda: SftpAccountFactory(company=self.company, is_active=False))

    @property
    def contract(self) -> Contract:
        return self.of("contract", lambda: ContractFactory(shop=self.shop, number="1111"))

    @property
    def key(self) -> ShopKey:
        return self.of("key", lambda: ShopKeyFactory(shop=self.shop))

    @property
    def rule(self) -> NotificationRule:
        return self.of(
            "rule", lambda: NotificationRuleFactory(shop=self.shop, reference="ma-regle", label="Règle d'avant")
        )

    @property
    def order(self) -> PaymentOrder:
        return self.of("order", lambda: PaymentOrderFactory(shop=self.shop, recipient="acheteur@client.example"))

    @property
    def link(self) -> PaymentOrder:
        return self.of("link", lambda: PaymentOrderFactory(shop=self.shop, channel="url"))

    @property
    def cancelled(self) -> PaymentOrder:
        return self.of("cancelled", lambda: PaymentOrderFactory(shop=self.shop, status="cancelled"))

    @property
    def template(self) -> PaymentOrderTemplate:
        return self.of(
            "template",
            lambda: PaymentOrderTemplate.objects.create(
                shop=self.shop, name="Modèle d'avant", language="fr", subject="Objet", body="%url%"
            ),
        )

    @property
    def data_form(self) -> Any:
        return self.of("data_form", lambda: DataCollectionFormFactory(shop=self.shop))

    @property
    def draft(self) -> content.Content:
        return selectors.draft_of(self.data_form)

    def requested(self) -> Any:
        return self.of("version", lambda: DataFormVersionFactory(form=self.data_form, state="requested"))

    def online(self) -> Any:
        return self.of("version", lambda: DataFormVersionFactory(form=self.data_form, state="live"))


@dataclass(frozen=True)
class Edit:
    """One page that edits something.

    Attributes:
        url: the page both open.
        stored: what the page is about, as it is stored.
        second: what the second types into the form they opened, by field; for a question nothing.
        first: what the first types into the same form, or does otherwise.
        expected: `stored` after the first, and after the second has decided knowingly.
        marker: a field that only this form of the page has.
        before: brings the world into the state the page needs.
        by_message: a button of a list: the answer is a message on the fresh list.
    """

    url: Callable[[World], str]
    stored: Callable[[World], Any]
    expected: tuple[Any, Any]
    first: dict[str, Any] | Callable[[World], Any]
    second: dict[str, Any] = field(default_factory=dict)
    marker: str = "version"
    before: Callable[[World], Any] | None = None
    action: Callable[[World], str] | None = None
    by_message: bool = False


def user_url(name: str, end: str = "") -> Callable[[World], str]:
    return lambda w: f"/settings/company/users/{getattr(w, name).pk}/{end}"


def sftp_url(name: str, end: str = "") -> Callable[[World], str]:
    return lambda w: f"/settings/company/sftp-accounts/{getattr(w, name).pk}/{end}"


def shop_url(end: str) -> Callable[[World], str]:
    return lambda w: f"/settings/shops/{w.shop.site_id}/{end}"


def rule_url(end: str = "") -> Callable[[World], str]:
    return lambda w: f"/settings/notification-rules/{w.shop.site_id}/{w.rule.reference}/{end}"


def order_url(name: str, end: str) -> Callable[[World], str]:
    return lambda w: f"/payment-orders/{getattr(w, name).pk}/{end}"


def rename_user(name: str) -> Callable[[World], Any]:
    return lambda w: company_services.user_update(user=getattr(w, name), actor=w.actor, last_name="Premier")


def readdress_sftp(name: str) -> Callable[[World], Any]:
    return lambda w: company_services.sftp_account_update(
        account=getattr(w, name), actor=w.actor, email="premier@sftp.example"
    )


def renumber(w: World) -> Any:
    return shop_services.contract_update(contract=w.contract, actor=w.actor, number="2222", network="CB")


def relabel(w: World) -> Any:
    return rule_services.rule_update(rule=w.rule, actor=w.actor, label="Règle du premier")


def lengthen(name: str) -> Callable[[World], Any]:
    def act(w: World) -> None:
        order = getattr(w, name)
        if order.status == "cancelled":
            # Reactivated and cancelled again: in the state of before, and yet not the one that was looked at.
            order_services.payment_order_reactivate(order=order, actor=w.actor)
            order_services.payment_order_cancel(order=order, actor=w.actor)
            return
        day = order.valid_until - timezone.timedelta(days=1)
        order_services.payment_order_set_validity(order=order, actor=w.actor, version=order.version, valid_until=day)

    return act


def company_of(w: World) -> Company:
    return Company.objects.get(pk=w.company.pk)


def move_office(w: World) -> Any:
    return company_services.contact_save(
        company=company_of(w), kind=Contact.Kind.MANAGER, actor=w.actor, email="premier@mienne.example"
    )


def retitle(w: World) -> Any:
    form = selectors.form_of(w.shop)
    return data_form_services.field_add(shop=w.shop, actor=w.actor, version=form.version, code="city")


def emails(w: World) -> tuple[str, str | None]:
    company = company_of(w)
    technical = company.technical_contact
    manager = company.manager_contact
    assert manager
    return manager.email, technical.email if technical else None


def text_of_rule(w: World) -> Any:
    return w.rule.email_texts.get("fr", {}).get("subject")


def wording_of(w: World) -> Any:
    return w.draft.title.get("fr", "")


def by_hand(subject: str) -> Callable[[World], Any]:
    return lambda w: rule_services.rule_update(
        rule=w.rule, actor=w.actor, email_texts={"fr": {"subject": subject, "body": "Corps"}}
    )


EDITS: dict[str, Edit] = {
    "account/": Edit(
        url=lambda w: "/account/",
        stored=lambda w: User.objects.get(pk=w.bruno.pk).first_name,
        first=lambda w: company_services.user_update(user=w.bruno, actor=w.actor, first_name="Premier"),
        second={"first_name": "Second"},
        expected=("Premier", "Second"),
        marker="first_name",
    ),
    "settings/company/": Edit(
        url=lambda w: "/settings/company/",
        stored=lambda w: (emails(w)[0], company_of(w).incident_emails),
        first={"manager-email": "premier@mienne.example", "incident_emails": "un@mienne.example"},
        second={"manager-email": "second@mienne.example", "incident_emails": "deux@mienne.example"},
        expected=(
            ("premier@mienne.example", ["un@mienne.example"]),
            ("second@mienne.example", ["deux@mienne.example"]),
        ),
    ),
    "settings/company/swap/": Edit(
        url=lambda w: "/settings/company/swap/",
        stored=emails,
        first=move_office,
        expected=(
            ("premier@mienne.example", "technical@mienne.example"),
            ("technical@mienne.example", "premier@mienne.example"),
        ),
        marker="seen",
    ),
    "settings/company/technical/remove/": Edit(
        url=lambda w: "/settings/company/technical/remove/",
        stored=emails,
        first=move_office,
        expected=(("premier@mienne.example", "technical@mienne.example"), ("premier@mienne.example", None)),
        marker="seen",
    ),
    "settings/company/users/<int:key>/": Edit(
        url=user_url("account"),
        stored=lambda w: (w.account.last_name, Membership.objects.get(user=w.account).role),
        first={"last_name": "Premier", "role": Role.MANAGER},
        second={"last_name": "Second", "role": Role.VIEWER},
        expected=(("Premier", Role.MANAGER), ("Second", Role.VIEWER)),
        marker="role",
    ),
    "settings/company/users/<int:key>/shops/": Edit(
        url=user_url("account", "shops/"),
        stored=lambda w: w.account.memberships.get().grants.values_list("permissions", flat=True).first(),
        first={"choice-10000001": "none"},
        second={"choice-10000001": "manager"},
        expected=(frozenset(), PERMISSIONS[Role.MANAGER]),
        marker="choice-10000001",
    ),
    "settings/company/users/<int:key>/invite/": Edit(
        url=user_url("invited", "invite/"),
        stored=lambda w: (w.invited.last_name, AuditEntry.objects.filter(action="user.invited").count()),
        first=rename_user("invited"),
        expected=(("Premier", 0), ("Premier", 1)),
        marker="seen",
    ),
    "settings/company/users/<int:key>/unlock/": Edit(
        url=user_url("locked", "unlock/"),
        stored=lambda w: (w.locked.last_name, w.locked.is_locked),
        first=rename_user("locked"),
        expected=(("Premier", True), ("Premier", False)),
        marker="seen",
    ),
    "settings/company/users/<int:key>/reset/": Edit(
        url=user_url("account", "reset/"),
        stored=lambda w: (w.account.last_name, w.account.has_usable_password()),
        first=rename_user("account"),
        expected=(("Premier", True), ("Premier", False)),
        marker="seen",
    ),
    "settings/company/users/<int:key>/disable/": Edit(
        url=user_url("account", "disable/"),
        stored=lambda w: (w.account.last_name, w.account.is_active),
        first=rename_user("account"),
        expected=(("Premier", True), ("Premier", False)),
        marker="seen",
    ),
    "settings/company/users/<int:key>/enable/": Edit(
        url=user_url("disabled", "enable/"),
        stored=lambda w: (w.disabled.last_name, w.disabled.is_active),
        first=rename_user("disabled"),
        expected=(("Premier", False), ("Premier", True)),
        marker="seen",
    ),
    "settings/company/users/<int:key>/remove/": Edit(
        url=user_url("guest", "remove/"),
        stored=lambda w: [item.role for item in Membership.objects.filter(user=w.guest, company=w.company)],
        first=lambda w: company_services.user_update(user=w.guest, actor=w.actor, company=w.company, role=Role.MANAGER),
        expected=([Role.MANAGER], []),
        marker="seen",
    ),
    "settings/company/sftp-accounts/<uuid:key>/": Edit(
        url=sftp_url("sftp"),
        stored=lambda w: w.sftp.email,
        first={"email": "premier@sftp.example"},
        second={"email": "second@sftp.example"},
        expected=("premier@sftp.example", "second@sftp.example"),
        marker="seen",
    ),
    "settings/company/sftp-accounts/<uuid:key>/reset/": Edit(
        url=sftp_url("sftp", "reset/"),
        stored=lambda w: (w.sftp.email, bool(w.sftp.password_hash)),
        first=readdress_sftp("sftp"),
        expected=(("premier@sftp.example", False), ("premier@sftp.example", True)),
        marker="seen",
    ),
    "settings/company/sftp-accounts/<uuid:key>/disable/": Edit(
        url=sftp_url("sftp", "disable/"),
        stored=lambda w: (w.sftp.email, w.sftp.is_active),
        first=readdress_sftp("sftp"),
        expected=(("premier@sftp.example", True), ("premier@sftp.example", False)),
        marker="seen",
    ),
    "settings/company/sftp-accounts/<uuid:key>/enable/": Edit(
        url=sftp_url("sftp_off", "enable/"),
        stored=lambda w: (w.sftp_off.email, w.sftp_off.is_active),
        first=readdress_sftp("sftp_off"),
        expected=(("premier@sftp.example", False), ("premier@sftp.example", True)),
        marker="seen",
    ),
    "settings/company/authentication/<int:key>/activate/": Edit(
        url=lambda w: f"/settings/company/authentication/{w.contract.pk}/activate/",
        stored=lambda w: (w.contract.number, w.contract.three_d_secure),
        first=renumber,
        expected=(("2222", False), ("2222", True)),
        marker="seen",
    ),
    "settings/shops/<str:site_id>/configuration/": Edit(
        url=shop_url("configuration/"),
        stored=lambda w: Shop.objects.values_list("name", "manager_email").get(pk=w.shop.pk),
        first={"name": "Nom du premier", "manager_email": "premier@boutique.example"},
        second={"name": "Nom du second"},
        expected=(("Nom du premier", "premier@boutique.example"), ("Nom du second", "")),
    ),
    "settings/shops/<str:site_id>/keys/": Edit(
        url=shop_url("keys/"),
        stored=lambda w: Shop.objects.values_list("algorithm_test", "algorithm_production").get(pk=w.shop.pk),
        first={"algorithm_test": "SHA-1"},
        second={"algorithm_production": "SHA-1"},
        expected=(("SHA-1", "HMAC-SHA-256"), ("HMAC-SHA-256", "SHA-1")),
        marker="algorithm_test",
    ),
    "settings/shops/<str:site_id>/contracts/<int:key>/": Edit(
        url=lambda w: f"/settings/shops/{w.shop.site_id}/contracts/{w.contract.pk}/",
        stored=lambda w: w.contract.number,
        first={"number": "2222"},
        second={"number": "3333"},
        expected=("2222", "3333"),
        marker="number",
    ),
    "settings/shops/<str:site_id>/contracts/<int:key>/remove/": Edit(
        url=lambda w: f"/settings/shops/{w.shop.site_id}/contracts/{w.contract.pk}/remove/",
        stored=lambda w: list(Contract.objects.filter(shop=w.shop).values_list("number", flat=True)),
        first=renumber,
        expected=(["2222"], []),
        marker="seen",
    ),
    "settings/notification-rules/<str:site_id>/<slug:reference>/": Edit(
        url=rule_url(),
        stored=lambda w: (w.rule.label, w.rule.recipients),
        first={"label": "Règle du premier", "others": "premier@boutique.example"},
        second={"label": "Règle du second", "others": "second@boutique.example"},
        expected=(
            ("Règle du premier", ["@shop_manager", "premier@boutique.example"]),
            ("Règle du second", ["@shop_manager", "second@boutique.example"]),
        ),
        marker="label",
    ),
    "settings/notification-rules/<str:site_id>/<slug:reference>/switch/": Edit(
        url=lambda w: (
            f"/settings/notification-rules/?shop={w.shop.site_id}&type=merchant_email&rule={w.rule.reference}"
        ),
        action=rule_url("switch/"),
        stored=lambda w: (w.rule.label, w.rule.enabled),
        first=relabel,
        second={"enabled": "0"},
        expected=(("Règle du premier", True), ("Règle du premier", False)),
        by_message=True,
    ),
    "settings/notification-rules/<str:site_id>/<slug:reference>/content/": Edit(
        url=rule_url("content/"),
        stored=text_of_rule,
        first={"subject": "Objet du premier"},
        second={"subject": "Objet du second"},
        expected=("Objet du premier", "Objet du second"),
        marker="subject",
    ),
    "settings/notification-rules/<str:site_id>/<slug:reference>/content/restore/": Edit(
        url=rule_url("content/restore/"),
        before=by_hand("Objet d'avant"),
        stored=text_of_rule,
        first=by_hand("Objet du premier"),
        expected=("Objet du premier", None),
        marker="seen",
    ),
    "settings/notification-rules/<str:site_id>/<slug:reference>/delete/": Edit(
        url=rule_url("delete/"),
        stored=lambda w: (w.rule.label, w.rule.archived_at is not None),
        first=relabel,
        expected=(("Règle du premier", False), ("Règle du premier", True)),
    ),
    "settings/shops/<str:site_id>/data-form/": Edit(
        url=lambda w: f"/settings/shops/{w.data_form.shop.site_id}/data-form/?field=last_name",
        stored=lambda w: w.draft.find("last_name").label.get("fr"),
        first={"label_fr": "Nom du premier"},
        second={"label_fr": "Nom du second"},
        expected=("Nom du premier", "Nom du second"),
        marker="label_fr",
    ),
    "settings/shops/<str:site_id>/data-form/fields/": Edit(
        url=lambda w: f"/settings/shops/{w.data_form.shop.site_id}/data-form/",
        action=shop_url("data-form/fields/"),
        stored=lambda w: [code for code in ("city", "phone") if w.draft.find(code)],
        first={"do": "add:city"},
        second={"do": "add:phone"},
        expected=(["city"], ["city", "phone"]),
        by_message=True,
    ),
    "settings/shops/<str:site_id>/data-form/texts/": Edit(
        url=lambda w: f"/settings/shops/{w.data_form.shop.site_id}/data-form/texts/",
        stored=wording_of,
        first={"title_fr": "Titre du premier"},
        second={"title_fr": "Titre du second"},
        expected=("Titre du premier", "Titre du second"),
        marker="title_fr",
    ),
    "settings/shops/<str:site_id>/data-form/go-live/": Edit(
        url=shop_url("data-form/go-live/"),
        before=lambda w: w.data_form,
        stored=lambda w: (w.draft.find("city") is not None, DataFormVersion.objects.count()),
        first=retitle,
        expected=((True, 0), (True, 1)),
        by_message=True,
    ),
    "settings/shops/<str:site_id>/data-form/copy-live/": Edit(
        url=shop_url("data-form/copy-live/"),
        before=World.online,
        stored=lambda w: w.draft.find("city") is not None,
        first=retitle,
        expected=(True, False),
        marker="seen",
    ),
    "settings/shops/<str:site_id>/data-form/withdraw/": Edit(
        url=shop_url("data-form/withdraw/"),
        before=World.online,
        stored=lambda w: (w.draft.find("city") is not None, w.online().state),
        first=retitle,
        expected=((True, "live"), (True, "withdrawn")),
        marker="seen",
    ),
    "settings/shops/<str:site_id>/data-form/cancel-request/": Edit(
        url=shop_url("data-form/cancel-request/"),
        before=World.requested,
        stored=lambda w: (w.draft.find("city") is not None, w.requested().state),
        first=retitle,
        expected=((True, "requested"), (True, "cancelled")),
        marker="seen",
    ),
    "payment-orders/<uuid:key>/edit/": Edit(
        url=order_url("order", "edit/"),
        stored=lambda w: w.order.buyer_reference,
        first={"buyer_reference": "premier"},
        second={"buyer_reference": "second"},
        expected=("premier", "second"),
        marker="buyer_reference",
    ),
    "payment-orders/<uuid:key>/validity/": Edit(
        url=order_url("order", "validity/"),
        stored=lambda w: (w.order.valid_until - timezone.localdate()).days,
        first={"valid_until": timezone.localdate() + timezone.timedelta(days=11)},
        second={"valid_until": timezone.localdate() + timezone.timedelta(days=22)},
        expected=(11, 22),
        marker="valid_until",
    ),
    "payment-orders/<uuid:key>/resend/": Edit(
        url=order_url("order", "resend/"),
        stored=lambda w: w.order.entries.filter(kind__in=("sent", "resent")).count(),
        first=lengthen("order"),
        expected=(0, 1),
        marker="seen",
    ),
    "payment-orders/<uuid:key>/cancel/": Edit(
        url=order_url("order", "cancel/"),
        stored=lambda w: w.order.status,
        first=lengthen("order"),
        expected=("in_progress", "cancelled"),
        marker="seen",
    ),
    "payment-orders/<uuid:key>/reactivate/": Edit(
        url=order_url("cancelled", "reactivate/"),
        stored=lambda w: w.cancelled.status,
        first=lengthen("cancelled"),
        expected=("cancelled", "in_progress"),
        marker="seen",
    ),
    "payment-orders/<uuid:key>/handed-over/": Edit(
        url=order_url("link", "handed-over/"),
        stored=lambda w: w.link.handed_over_at is not None,
        first=lengthen("link"),
        expected=(False, True),
        marker="seen",
    ),
    "payment-orders/templates/<str:site_id>/<int:key>/": Edit(
        url=lambda w: f"/payment-orders/templates/{w.shop.site_id}/{w.template.pk}/",
        stored=lambda w: w.template.name,
        first={"name": "Modèle du premier"},
        second={"name": "Modèle du second"},
        expected=("Modèle du premier", "Modèle du second"),
        marker="name",
    ),
    "payment-orders/templates/<str:site_id>/<int:key>/delete/": Edit(
        url=lambda w: f"/payment-orders/templates/{w.shop.site_id}/{w.template.pk}/delete/",
        stored=lambda w: list(PaymentOrderTemplate.objects.values_list("name", flat=True)),
        before=lambda w: w.template,
        first=lambda w: order_services.order_template_save(
            shop=w.shop, actor=w.actor, template=w.template, name="Modèle du premier"
        ),
        expected=(["Modèle du premier"], []),
        marker="seen",
    ),
}

NEW = "makes something new; what is stored already stays as it is"
SENDS = "sends what is frozen; it changes no setting"
OWN = "one's own sessions and secrets, for which there is no second writer"
BUYER = "the buyer's page: it adds an answer, a payment or a message and edits nothing"
EXCEPTIONS: dict[str, str] = {
    "account/sessions/<uuid:key>/end/": OWN,
    "account/sessions/end-others/": OWN,
    "settings/company/users/new/": NEW,
    "settings/company/sftp-accounts/new/": NEW,
    "settings/shops/new/": NEW,
    "settings/shops/<str:site_id>/contracts/new/": NEW,
    "settings/notification-rules/create/<str:site_id>/<uuid:draft>/<slug:step>/": NEW + ": one's own draft",
    "settings/notification-rules/<str:site_id>/<slug:reference>/duplicate/": NEW,
    "payment-orders/new/": NEW,
    "payment-orders/preview/<str:site_id>/": "shows a mail and stores nothing",
    "payment-orders/templates/<str:site_id>/new/": NEW,
    "payment-orders/templates/<str:site_id>/<int:key>/duplicate/": NEW,
    "settings/shops/<str:site_id>/keys/<slug:name>/": "names the generation it replaces; see the test below",
    "settings/shops/<str:site_id>/keys/<slug:name>/show/": "shows a key once; the second is told that it was shown",
    "settings/shops/<str:site_id>/keys/tests-done/": "one way, once; the second is told; see the test below",
    "settings/shops/<str:site_id>/data-form/answers/<uuid:key>/erase/": "one way: erased is erased",
    "settings/company/api-tokens/new/": NEW,
    "settings/company/api-tokens/<int:key>/replace/": "once: the second is told that there is a successor",
    "settings/company/api-tokens/<int:key>/revoke/": "one way, and never to be held up: a leak is stopped at once",
    "notifications/journal/<uuid:key>/resend/": SENDS,
    "notifications/journal/<uuid:key>/cancel/": SENDS,
    "notifications/journal/<uuid:key>/replay/": SENDS,
    "notifications/journal/replay/": SENDS,
    "notifications/replays/<uuid:run>/stop/": SENDS,
    "reports/consistency/run/": SENDS,
    "forms/<str:token>/": BUYER,
    "forms/preview/<str:signed>/": BUYER,
    "orders/<str:token>/pay/": BUYER,
    "orders/<str:token>/problem/": BUYER,
    "newsletter/unsubscribe/<str:token>/": "one switch, by whoever holds the link of a mail",
}
_DUMMIES = {"int": "999999", "uuid": "00000000-0000-4000-8000-000000000000", "slug": "x", "str": "99999999"}


def text(response: Any) -> str:
    body = re.sub(r"<(script|style|select)\b.*?</\1>", " ", response.content.decode(), flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


@pytest.fixture
def world(client_for: Callable[..., Client]) -> World:
    return World(client_for)


def test_every_route_that_takes_a_post_is_played_or_excepted_with_a_reason(world: World) -> None:
    unknown = []
    for route in routes():
        if not route or route in EDITS or route in EXCEPTIONS or route.startswith(ELSEWHERE):
            continue
        url = "/" + re.sub(r"<(\w+):\w+>", lambda match: _DUMMIES[match[1]], route)
        if world.second.post(url).status_code != 405:
            unknown.append(route)
    assert unknown == [], "play them in EDITS, or say in EXCEPTIONS why two writers cannot get in each other's way"


def test_no_row_is_left_behind() -> None:
    assert set(EDITS) | set(EXCEPTIONS) <= set(routes())
    assert not set(EDITS) & set(EXCEPTIONS)


def opened(edit: Edit, world: World, client: Client) -> Any:
    response = client.get(edit.url(world))
    assert response.status_code == 200, response.status_code
    return form_with(response, edit.marker, edit.action(world) if edit.action else "")


def typed_back(response: Any, edit: Edit) -> None:
    back = form_with(response, edit.marker).values
    for name, value in edit.second.items():
        assert back.get(name) == [str(value)], name


@pytest.mark.parametrize("route", EDITS)
def test_the_second_is_told_keeps_what_they_typed_and_decides_knowingly(route: str, world: World) -> None:
    edit = EDITS[route]
    if edit.before:
        edit.before(world)
    url = edit.action(world) if edit.action else edit.url(world)
    form = opened(edit, world, world.second)

    if callable(edit.first):
        edit.first(world)
    else:
        done = world.first.post(url, opened(edit, world, world.first).sent(**edit.first))
        assert done.status_code == 302, text(done)
    assert edit.stored(world) == edit.expected[0]

    refused = world.second.post(url, form.sent(**edit.second), follow=edit.by_message)
    said = text(refused)
    assert refused.status_code == 200
    assert TOLD in said and FIRST_NAME in said, said
    assert edit.stored(world) == edit.expected[0]

    if edit.by_message:
        assert "Rien n'a été fait" in said
        again = opened(edit, world, world.second)
    else:
        typed_back(refused, edit)
        again = form_with(refused, edit.marker)
    saved = world.second.post(url, again.sent(**(edit.second if edit.by_message else {})))
    assert saved.status_code == 302, text(saved)
    assert edit.stored(world) == edit.expected[1]


@pytest.mark.parametrize(
    "route",
    [route for route, edit in EDITS.items() if edit.second and not callable(edit.first) and not edit.by_message],
)
def test_the_notice_says_what_differs_and_how_to_start_again_in_english_too(route: str, world: World) -> None:
    edit = EDITS[route]
    User.objects.filter(pk=world.bruno.pk).update(language="en")
    world.second.cookies["django_language"] = "en"
    form = opened(edit, world, world.second)
    assert not callable(edit.first)
    world.first.post(edit.url(world), opened(edit, world, world.first).sent(**edit.first))
    said = text(world.second.post(edit.url(world), form.sent(**edit.second)))
    assert "changed by somebody else" in said and FIRST_NAME in said
    assert "What differs" in said and "Saved now" in said and "Start again from what is saved" in said


def _remove_contract(w: World) -> Any:
    return shop_services.contract_remove(contract=w.contract, actor=w.actor)


def _remove_rule(w: World) -> Any:
    return rule_services.rule_delete(rule=w.rule, actor=w.actor)


def _remove_template(w: World) -> Any:
    return order_services.order_template_delete(template=w.template, actor=w.actor)


REMOVED: dict[str, Callable[[World], Any]] = {
    route: remove
    for start, remove in (
        ("settings/shops/<str:site_id>/contracts/", _remove_contract),
        ("settings/notification-rules/", _remove_rule),
        ("payment-orders/templates/", _remove_template),
    )
    for route in EDITS
    if route.startswith(start)
}


@pytest.mark.parametrize("route", REMOVED)
def test_who_sends_a_page_of_something_removed_reads_who_removed_it(route: str, world: World) -> None:
    edit = EDITS[route]
    if edit.before:
        edit.before(world)
    url = edit.action(world) if edit.action else edit.url(world)
    form = opened(edit, world, world.second)
    REMOVED[route](world)
    answer = world.second.post(url, form.sent(**edit.second), follow=True)
    assert answer.status_code == 200 and "Rien n'est enregistré" in text(answer)
    assert f"par {FIRST_NAME}" in text(answer)
    # Who only looks, or belongs to another company, finds nothing.
    stranger = world.client_for(UserFactory(), fresh=True)
    assert stranger.post(url, form.sent(opened_under=None, **edit.second)).status_code == 404


# --- Keys -----------------------------------------------------------------------------------------


def test_the_second_to_regenerate_a_key_learns_who_was_faster(world: World) -> None:
    url = f"/settings/shops/{world.shop.site_id}/keys/{world.key.kind}/"
    forms = [form_with(client.get(url), "seen") for client in (world.first, world.second)]
    assert world.first.post(url, forms[0].sent(key_format="ALPHANUMERIC")).status_code == 200
    value = world.key.value
    said = text(world.second.post(url, forms[1].sent(key_format="ALPHANUMERIC"), follow=True))
    assert "déjà été générée" in said and FIRST_NAME in said
    assert world.key.value == value


def test_the_second_reason_for_the_end_of_the_tests_does_not_pass_for_the_first(world: World) -> None:
    url = f"/settings/shops/{world.shop.site_id}/keys/"
    forms = [form_with(client.get(url), "reason") for client in (world.first, world.second)]
    world.first.post(f"{url}tests-done/", forms[0].sent(reason="premier motif"))
    said = text(world.second.post(f"{url}tests-done/", forms[1].sent(reason="second motif"), follow=True))
    assert FIRST_NAME in said and "Rien n'a été fait" in said
    assert Shop.objects.get(pk=world.shop.pk).tests_done_reason == "premier motif"


# --- The staff site -------------------------------------------------------------------------------


def _letter(w: World) -> Newsletter:
    return w.of(
        "letter",
        lambda: newsletters.newsletter_create(
            actor=Actor.command("essai"), title_fr="Avant", text_fr="Texte", title_en="Before", text_en="Text"
        ),
    )


def _incident(w: World) -> Incident:
    return w.of(
        "incident",
        lambda: incidents.incident_open(
            actor=Actor.command("essai"),
            title_fr="Avant",
            title_en="Before",
            impact=Incident.Impact.DEGRADED,
            started_at=timezone.now(),
            text_fr="Texte",
            text_en="Text",
        ),
    )


def _prices(w: World) -> PriceList:
    return w.of("prices", lambda: PriceList.objects.filter(is_default=True).get())


@dataclass(frozen=True)
class AdminEdit:
    """One change page of the staff site; `first` and `second` are typed, or `first` is what a merchant does."""

    obj: Callable[[World], Any]
    stored: Callable[[World], Any]
    expected: tuple[Any, Any]
    first: dict[str, Any]
    second: dict[str, Any]
    by_merchant: Callable[[World], Any] | None = None


def merchant_renames_shop(w: World) -> Any:
    return shop_services.shop_update(shop=Shop.objects.get(pk=w.shop.pk), actor=w.actor, name="Premier")


ADMIN_EDITS: dict[str, AdminEdit] = {
    "companies.Company": AdminEdit(
        obj=company_of,
        stored=lambda w: (company_of(w).name, emails(w)[0]),
        first={"name": "Premier", "manager_email": "premier@mienne.example"},
        second={"name": "Second", "manager_email": "second@mienne.example"},
        expected=(("Premier", "premier@mienne.example"), ("Second", "second@mienne.example")),
        by_merchant=lambda w: (
            move_office(w),
            company_services.company_update(company=company_of(w), actor=w.actor, name="Premier"),
        ),
    ),
    "companies.User": AdminEdit(
        obj=lambda w: w.account,
        stored=lambda w: w.account.last_name,
        first={"last_name": "Premier"},
        second={"last_name": "Second"},
        expected=("Premier", "Second"),
        by_merchant=rename_user("account"),
    ),
    "companies.SftpAccount": AdminEdit(
        obj=lambda w: w.sftp,
        stored=lambda w: w.sftp.email,
        first={"email": "premier@sftp.example"},
        second={"email": "second@sftp.example"},
        expected=("premier@sftp.example", "second@sftp.example"),
        by_merchant=readdress_sftp("sftp"),
    ),
    "shops.Shop": AdminEdit(
        obj=lambda w: Shop.objects.get(pk=w.shop.pk),
        stored=lambda w: Shop.objects.get(pk=w.shop.pk).name,
        first={"name": "Premier"},
        second={"name": "Second"},
        expected=("Premier", "Second"),
        by_merchant=merchant_renames_shop,
    ),
    "notifications.NotificationRule": AdminEdit(
        obj=lambda w: w.rule,
        stored=lambda w: w.rule.label,
        first={"label": "Premier"},
        second={"label": "Second"},
        expected=("Premier", "Second"),
        by_merchant=lambda w: rule_services.rule_update(rule=w.rule, actor=w.actor, label="Premier"),
    ),
    "notifications.Newsletter": AdminEdit(
        obj=_letter,
        stored=lambda w: (_letter(w).title_fr, _letter(w).audience),
        first={"title_fr": "Premier", "languages": ["fr"]},
        second={"title_fr": "Second"},
        expected=(("Premier", {"languages": ["fr"]}), ("Second", {})),
    ),
    "notifications.Incident": AdminEdit(
        obj=_incident,
        stored=lambda w: _incident(w).title_fr,
        first={"title_fr": "Premier"},
        second={"title_fr": "Second"},
        expected=("Premier", "Second"),
    ),
    "shops.PriceList": AdminEdit(
        obj=_prices,
        stored=lambda w: (_prices(w).name, str(_prices(w).tax_rate)),
        first={"name": "Premier", "tax_rate": "10.00"},
        second={"name": "Second"},
        expected=(("Premier", "10.00"), ("Second", "20.00")),
    ),
}
ADMIN_EDITS["auth.Group"] = AdminEdit(
    obj=lambda w: w.of("group", lambda: Group.objects.create(name="Avant")),
    stored=lambda w: w.of("group", lambda: None).name,
    first={"name": "Premier"},
    second={"name": "Second"},
    expected=("Premier", "Second"),
)
# The history of the product does not keep them.
WITHOUT_NAME = {"auth.Group"}
ADMIN_EXCEPTIONS: dict[str, str] = {
    "notifications.ApiToken": "nothing of it can be edited; revoking is one way",
    "shops.DataFormVersion": "a decision, once; see the test below",
}


def test_every_change_page_of_the_staff_site_is_played_or_excepted_with_a_reason() -> None:
    ours = {model._meta.label for model, page in admin.site._registry.items() if not isinstance(page, ReadOnlyAdmin)}
    assert ours == set(ADMIN_EDITS) | set(ADMIN_EXCEPTIONS)


def admin_url(obj: Any) -> str:
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[obj.pk])


def _staff(world: World) -> list[Client]:
    names = (("Alice", "Avant"), ("Bruno", "Apres"))
    return [world.client_for(StaffFactory(first_name=one, last_name=two), fresh=True) for one, two in names]


@pytest.mark.parametrize("merchant", [False, True], ids=["staff first", "merchant first"])
@pytest.mark.parametrize("label", ADMIN_EDITS)
def test_staff_who_save_second_are_told_and_overwrite_nothing_unknowingly(
    label: str, merchant: bool, world: World, standard_prices: None
) -> None:
    edit = ADMIN_EDITS[label]
    if merchant and edit.by_merchant is None:
        pytest.skip("no merchant edits this")
    first, second = _staff(world)
    url = admin_url(edit.obj(world))
    form = form_with(second.get(url), OPENED_ON)
    if merchant:
        assert edit.by_merchant
        edit.by_merchant(world)
    else:
        done = first.post(url, form_with(first.get(url), OPENED_ON).sent(**edit.first))
        assert done.status_code == 302, text(done)
    assert edit.stored(world) == edit.expected[0]

    refused = second.post(url, form.sent(**edit.second))
    said = text(refused)
    assert refused.status_code == 200 and TOLD in said, said
    assert FIRST_NAME in said or label in WITHOUT_NAME
    assert edit.stored(world) == edit.expected[0]
    back = form_with(refused, OPENED_ON)
    for name, value in edit.second.items():
        assert back.values[name] == [value]
        assert f"« {value} » est dans ce formulaire" in said

    assert second.post(url, back.sent()).status_code == 302
    assert edit.stored(world) == edit.expected[1]


def test_a_merchant_who_saves_after_staff_is_told(world: World) -> None:
    staff = _staff(world)[0]
    form = opened(EDITS["settings/shops/<str:site_id>/configuration/"], world, world.second)
    url = admin_url(world.shop)
    assert staff.post(url, form_with(staff.get(url), OPENED_ON).sent(name="Premier")).status_code == 302
    page = f"/settings/shops/{world.shop.site_id}/configuration/"
    refused = world.second.post(page, form.sent(name="Second"))
    assert TOLD in text(refused) and FIRST_NAME in text(refused)
    assert Shop.objects.get(pk=world.shop.pk).name == "Premier"


@pytest.mark.parametrize(
    ("label", "change"),
    [
        ("companies.User", lambda w: w.account.memberships.get().grants.create(shop=w.shop)),
        ("shops.Shop", lambda w: shop_services.contract_create(shop=w.shop, actor=w.actor, number="9", network="CB")),
        ("companies.Company", lambda w: ShopFactory(company=w.company)),
        (
            "notifications.Incident",
            lambda w: incidents.incident_tell(
                incident=_incident(w), actor=w.actor, state="identified", text_fr="Trouvé", text_en="Found"
            ),
        ),
        (
            "shops.PriceList",
            lambda w: _prices(w).items.filter(pk=_prices(w).items.first().pk).update(unit_price="9.9900"),
        ),
    ],
)
def test_a_row_changed_below_counts_as_well(
    label: str, change: Callable[[World], Any], world: World, standard_prices: None
) -> None:
    edit, client = ADMIN_EDITS[label], _staff(world)[1]
    url = admin_url(edit.obj(world))
    form = form_with(client.get(url), OPENED_ON)
    before = edit.stored(world)
    change(world)
    assert TOLD in text(client.post(url, form.sent(**edit.second)))
    assert edit.stored(world) == before


def test_the_second_decision_on_a_request_is_told_of_the_first(world: World) -> None:
    first, second = _staff(world)
    url = admin_url(world.requested())
    forms = [form_with(client.get(url), OPENED_ON) for client in (first, second)]
    assert first.post(url, forms[0].sent(decision="refuse", reason="Il manque une adresse.")).status_code == 302
    said = text(second.post(url, forms[1].sent(decision="approve"), follow=True))
    assert TOLD in said and FIRST_NAME in said
    assert world.requested().state == "refused"


def test_a_letter_that_has_left_says_so_to_whoever_still_writes_it(world: World) -> None:
    first, second = _staff(world)
    letter = _letter(world)
    form = form_with(second.get(admin_url(letter)), OPENED_ON)
    newsletters.newsletter_send(newsletter=letter, actor=world.actor, planned=1)
    said = text(second.post(admin_url(letter), form.sent(title_fr="Trop tard"), follow=True))
    assert TOLD in said and FIRST_NAME in said
    assert _letter(world).title_fr == "Avant"


def test_a_letter_that_was_rewritten_does_not_leave_unread(world: World) -> None:
    first, second = _staff(world)
    letter = _letter(world)
    preview = reverse("admin:notifications_newsletter_preview", args=[letter.pk])
    send = reverse("admin:notifications_newsletter_send", args=[letter.pk])
    form = form_with(second.get(preview), OPENED_ON, send)
    first.post(admin_url(letter), form_with(first.get(admin_url(letter)), OPENED_ON).sent(title_fr="Premier"))
    answer = second.post(send, form.sent(), follow=True)
    assert TOLD in text(answer) and FIRST_NAME in text(answer) and "Rien n'a été fait" in text(answer)
    assert not hasattr(_letter(world), "broadcast")
    question = second.post(send, form_with(answer, OPENED_ON, send).sent())
    assert second.post(send, form_with(question, "mass_mail_confirmed").sent()).status_code == 302
    assert _letter(world).broadcast


def test_the_second_to_close_a_company_reads_that_it_is_suspended_first(world: World) -> None:
    first, second = _staff(world)
    url, chosen = reverse("admin:companies_company_changelist"), {"_selected_action": [world.company.pk]}
    form = form_with(second.post(url, {"action": "close", **chosen}), OPENED_ON)
    question = form_with(first.post(url, {"action": "suspend", **chosen}), OPENED_ON)
    first.post(url, question.sent(reason="Impayé"))
    refused = second.post(url, form.sent(reason="Faillite"))
    said = text(refused)
    assert TOLD in said and FIRST_NAME in said and "Impayé" in said
    assert company_of(world).status == "suspended"
    again = form_with(refused, OPENED_ON)
    assert again.values["reason"] == ["Faillite"]
    assert second.post(url, again.sent()).status_code == 302
    assert (company_of(world).status, company_of(world).status_reason) == ("closed", "Faillite")


# --- At the same moment ---------------------------------------------------------------------------

RACES: dict[str, Callable[[World, Actor, str], Any]] = {}


def race(name: str) -> Callable[[Callable[[World, Actor, str], Any]], Callable[[World, Actor, str], Any]]:
    def keep(service: Callable[[World, Actor, str], Any]) -> Callable[[World, Actor, str], Any]:
        RACES[name] = service
        return service

    return keep


@race("company")
def _race_company(w: World, actor: Actor, value: str) -> Any:
    return company_services.company_update(company=company_of(w), actor=actor, version=1, address=value)


@race("swap of contacts")
def _race_swap(w: World, actor: Actor, value: str) -> Any:
    return company_services.contacts_swap(company=company_of(w), actor=actor, version=1)


@race("account")
def _race_account(w: World, actor: Actor, value: str) -> Any:
    return company_services.user_update(
        user=w.account, actor=actor, company=w.company, seen=w.kept["seen of account"], phone=value
    )


@race("SFTP account")
def _race_sftp(w: World, actor: Actor, value: str) -> Any:
    return company_services.sftp_account_update(
        account=w.sftp, actor=actor, seen=w.kept["seen of sftp"], email=f"{value.lower()}@sftp.example"
    )


@race("shop")
def _race_shop(w: World, actor: Actor, value: str) -> Any:
    return shop_services.shop_update(shop=Shop.objects.get(pk=w.shop.pk), actor=actor, version=1, name=value)


@race("contract")
def _race_contract(w: World, actor: Actor, value: str) -> Any:
    return shop_services.contract_update(
        contract=w.contract, actor=actor, seen=w.kept["seen of contract"], number=value, network="CB"
    )


@race("rule")
def _race_rule(w: World, actor: Actor, value: str) -> Any:
    return rule_services.rule_update(rule=w.rule, actor=actor, version=1, label=value)


@race("template")
def _race_template(w: World, actor: Actor, value: str) -> Any:
    return order_services.order_template_save(shop=w.shop, actor=actor, template=w.template, version=1, name=value)


@race("data form")
def _race_data_form(w: World, actor: Actor, value: str) -> Any:
    code = {"Premier": "city", "Second": "phone"}[value]
    return data_form_services.field_add(shop=w.shop, actor=actor, version=1, code=code)


@race("order")
def _race_order(w: World, actor: Actor, value: str) -> Any:
    return order_services.payment_order_update(
        order=w.order, actor=actor, version=1, resend=False, buyer_reference=value
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", RACES)
def test_of_two_writers_at_the_same_moment_exactly_one_wins(name: str, client_for: Callable[..., Client]) -> None:
    world = World(client_for)
    # Made here, so that the threads only write.
    for kept in ("account", "sftp", "contract", "rule", "template", "data_form", "order"):
        getattr(world, kept)
    world.kept["seen of account"] = company_services.fingerprint(world.account, world.company)
    world.kept["seen of sftp"] = company_services.fingerprint(world.sftp)
    world.kept["seen of contract"] = shop_services.contract_stamp(world.contract)
    start, outcomes = threading.Barrier(2), []

    def write(user: User, value: str) -> None:
        try:
            start.wait(timeout=20)
            RACES[name](world, Actor(user.get_full_name(), user), value)
            outcomes.append("saved")
        except StaleVersion:
            outcomes.append("stale")
        except Exception as error:  # any other end is the failure this test looks for
            outcomes.append(repr(error))
        finally:
            connection.close()

    writers = [(world.alice, "Premier"), (world.bruno, "Second")]
    threads = [threading.Thread(target=write, args=writer) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(outcomes) == ["saved", "stale"]


@pytest.mark.django_db(transaction=True)
def test_a_command_and_a_person_at_the_same_moment_lose_neither_ones_columns(client_for: Callable[..., Client]) -> None:
    """Without a version nobody is refused, and yet no old column is saved over a new one."""
    world = World(client_for)
    stale = [Shop.objects.get(pk=world.shop.pk) for _number in range(2)]
    company_of(world)
    shop_services.shop_update(shop=stale[0], actor=world.actor, name="Premier")
    shop_services.shop_update(shop=stale[1], actor=Actor.command("provision"), url="https://second.example")
    assert Shop.objects.values_list("name", "url").get(pk=world.shop.pk) == ("Premier", "https://second.example")

    rules = [NotificationRule.objects.get(pk=world.rule.pk) for _number in range(2)]
    rule_services.rule_update(rule=rules[0], actor=world.actor, label="Premier")
    rule_services.rule_update(rule=rules[1], actor=Actor.command("provision"), enabled=False)
    assert (world.rule.label, world.rule.enabled) == ("Premier", False)

    companies = [company_of(world) for _number in range(2)]
    company_services.company_update(company=companies[0], actor=world.actor, address="Premier")
    company_services.company_update(company=companies[1], actor=Actor.command("provision"), country="BE")
    assert (company_of(world).address, company_of(world).country) == ("Premier", "BE")
    assert company_of(world).version == 3

    users = [User.objects.get(pk=world.account.pk) for _number in range(2)]
    company_services.user_update(user=users[0], actor=world.actor, first_name="Premier")
    company_services.user_update(user=users[1], actor=Actor.command("provision"), phone="+33 1 02 03 04 05")
    assert (world.account.first_name, world.account.phone) == ("Premier", "+33 1 02 03 04 05")

    accounts = [SftpAccount.objects.get(pk=world.sftp.pk) for _number in range(2)]
    company_services.sftp_account_update(account=accounts[0], actor=world.actor, email="premier@sftp.example")
    company_services.sftp_account_update(account=accounts[1], actor=Actor.command("provision"), language="en")
    assert (world.sftp.email, world.sftp.language) == ("premier@sftp.example", "en")


@pytest.mark.django_db(transaction=True)
def test_of_two_members_of_staff_at_the_same_moment_exactly_one_wins(client_for: Callable[..., Client]) -> None:
    world = World(client_for)
    clients = _staff(world)
    url = admin_url(world.shop)
    forms = [form_with(client.get(url), OPENED_ON) for client in clients]
    start, codes = threading.Barrier(2), []

    def write(number: int) -> None:
        try:
            start.wait(timeout=20)
            codes.append(clients[number].post(url, forms[number].sent(name=f"Nom {number}")).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(codes) == [200, 302]
