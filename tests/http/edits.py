"""Every page that edits something, with two changes of it: one by the first user to save, one by the second."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.test import Client
from django.utils import timezone

from companies import services as company_services
from companies.audit import Actor
from companies.models import AuditEntry, Company, Contact, Membership, Role, SftpAccount, User
from companies.rights.permissions import PERMISSIONS
from companies.team import services as team_services
from notifications.models import NotificationRule
from notifications.rules import services as rule_services
from shops import dataform_content as content
from shops import services as shop_services
from shops.dataforms import selectors
from shops.dataforms import services as data_form_services
from shops.models import Contract, DataFormVersion, PaymentOrder, PaymentOrderTemplate, Shop, ShopKey
from shops.orders import services as order_services
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
    UserFactory,
)

FIRST_NAME = "Alice Avant"
TOLD = "modifiées par quelqu'un d'autre"
# The day that the dates below count from: a run may go on past midnight.
BEGAN = timezone.localdate()


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
    return lambda w: team_services.user_update(user=getattr(w, name), actor=w.actor, last_name="Premier")


def readdress_sftp(name: str) -> Callable[[World], Any]:
    return lambda w: team_services.sftp_account_update(
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
        order_services.payment_order_set_validity(order=order, actor=w.actor, seen=order.version, valid_until=day)

    return act


def company_of(w: World) -> Company:
    return Company.objects.get(pk=w.company.pk)


def move_office(w: World) -> Any:
    return company_services.contact_save(
        company=company_of(w), kind=Contact.Kind.MANAGER, actor=w.actor, email="premier@mienne.example"
    )


def retitle(w: World) -> Any:
    form = selectors.form_of(w.shop)
    return data_form_services.field_add(shop=w.shop, actor=w.actor, seen=form.version, code="city")


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
        first=lambda w: team_services.user_update(user=w.bruno, actor=w.actor, first_name="Premier"),
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
        first=lambda w: team_services.user_update(
            user=w.guest, actor=w.actor, company=w.company, rights=team_services.Rights(role=Role.MANAGER)
        ),
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
        stored=lambda w: (w.order.valid_until - BEGAN).days,
        first={"valid_until": BEGAN + timezone.timedelta(days=11)},
        second={"valid_until": BEGAN + timezone.timedelta(days=22)},
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
