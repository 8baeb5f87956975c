"""The form of every page that takes one, with values that change something."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from companies import submissions
from companies.models import Company, Role, User
from notifications.models import AcknowledgedGap, AddressHealth, CompanyRelay, Delivery, NotificationRule, SavedFilter
from shops.models import DataFormVersion, PaymentOrder, PriceList, Shop
from tests.codes import code_of
from tests.factories import (
    PASSWORD,
    CompanyFactory,
    DataCollectionFormFactory,
    DataFormVersionFactory,
    DeliveryFactory,
    EventFactory,
    MailRemarkFactory,
    MessageFactory,
    NotificationRuleFactory,
    PaymentOrderFactory,
    ShopFactory,
    StaffFactory,
    UserFactory,
)
from tests.html_forms import forms_in
from tests.http.many_at_once import rows_of, undo_link
from tests.http.test_walker_methods import ALL, POSTS, STAFF
from tests.http.typed import ANSWERED, INCIDENT, LETTER, NEW_COMPANY, ORDER
from tests.walk import a_passkey, account_makers, admin_makers, makers_of, put, state_makers

ClientFor = Callable[..., Client]
ADDRESS_PAGE = "/notifications/addresses/?address=boutique@mienne.example"
Typed = dict[str, Any]


class World:
    """A company with a shop, its administrator, a member of the team, and an address for each route."""

    def __init__(self, client_for: ClientFor) -> None:
        self.company: Company = CompanyFactory(with_technical=True)
        self.shop: Shop = ShopFactory(company=self.company, manager_email="boutique@mienne.example")
        self.administrator: User = UserFactory(company=self.company, role=Role.ADMINISTRATOR)
        self.staff: User = StaffFactory(language="fr")
        self.name = uuid.uuid4().hex[:8]
        self.client_for = client_for
        self.makers = {
            **account_makers(self.administrator),
            **state_makers(self.company),
            **admin_makers(self.shop),
            **makers_of(self.company, self.shop),
        }

    def client(self, route: str) -> Client:
        """Who sends the form of a route."""
        if route.startswith(PUBLIC):
            return Client()
        return self.client_for(self.staff if route.startswith("admin/") else self.administrator, fresh=True)

    def put(self, route: str) -> str:
        return put(route, self.makers)

    def delivery(self, **fields: Any) -> Delivery:
        event = EventFactory(shop=self.shop)
        return DeliveryFactory(event=event, message=MessageFactory(event=event), **fields)

    def call(self) -> Delivery:
        """A call to a notification URL that failed for good."""
        rule = NotificationRuleFactory(shop=self.shop, ipn=True)
        event = EventFactory(shop=self.shop)
        return DeliveryFactory(
            event=event, message=None, channel="ipn", notification="ipn_call", rule=rule, status="dead",
            address=rule.url_production, mode="PRODUCTION", call={"url": rule.url_production, "format": "form"},
        )  # fmt: skip

    def gap(self) -> str:
        """Where the gap of a rule without recipients is accepted."""
        NotificationRuleFactory(shop=self.shop, ipn=True, recipients=[])
        return f"{COVERAGE}{self.shop.site_id}/ipn_failure/accept/"

    def accepted(self, about: str, notification: str) -> str:
        """Where an accepted gap is counted again."""
        AcknowledgedGap.objects.create(
            company=self.company, shop=None if about == "company" else self.shop, notification=notification,
            until=timezone.localdate() + timedelta(days=9), acknowledged_by="Alice",
        )  # fmt: skip
        return f"{COVERAGE}{about}/{notification}/reopen/"

    def suppressed(self) -> str:
        """An address that its page reactivates."""
        AddressHealth.objects.update_or_create(
            company=self.company, normalised_address=self.shop.manager_email, defaults={"state": "suppressed"}
        )
        return "/notifications/addresses/reactivate/"

    def remark(self) -> int:
        """A remark that stands: its line is still in the tables."""
        return MailRemarkFactory(shop=self.shop, address="boutique@mienne.example").pk

    def kept_filter(self) -> int:
        kept = SavedFilter.objects.create(
            company=self.company, user=self.administrator, name="Échecs", query="status=dead"
        )
        return kept.pk

    def order(self, **fields: Any) -> PaymentOrder:
        return PaymentOrderFactory(shop=self.shop, **fields)

    def version(self, **fields: Any) -> DataFormVersion:
        return DataFormVersionFactory(form__shop=self.shop, **fields)

    def rule(self) -> NotificationRule:
        return NotificationRuleFactory(shop=self.shop)


PUBLIC = (
    "forms/", "orders/", "newsletter/", "why/", "verify/", "accounts/password/reset/", "accounts/set-password/",
    "accounts/login-link/", "accounts/sftp-reveal/",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """How the form of a route is found and filled in.

    Attributes:
        typed: what is typed, from the world and the page.
        at: where the form stands, when the objects of `tests.walk` are not in the state it needs.
        page: where the form is opened, when not at the route itself.
        marker: a field of the form, where the page has several.
    """

    typed: Callable[[World, Any], Typed] = lambda world, page: {}
    at: Callable[[World, Client], str] | None = None
    page: Callable[[str], str] | None = None
    marker: str = ""


def says(**typed: Any) -> Case:
    return Case(lambda world, page: typed)


def day(days: int) -> str:
    return (timezone.localdate() + timedelta(days=days)).isoformat()


def billed(world: World, page: Any) -> Typed:
    EventFactory(shop=world.shop, occurred_at=timezone.now() - timedelta(days=10))
    return {"start": day(-20), "end": day(-2), "price_list": PriceList.objects.get(is_default=True).pk}


def one_time_code(world: World, page: Any) -> Typed:
    secret = page.context["form"].secret
    return {"code": code_of(secret)}


def wizard(world: World, client: Client) -> str:
    first = client.get(f"/settings/notification-rules/create/{world.shop.site_id}/").headers["Location"]
    client.post(first, {"type": "merchant_email", "triggers": "payment.accepted", "go": "next"})
    client.post(
        first.replace("/events/", "/settings/"), {"label": f"Ma règle {world.name}", "to_manager": "on", "go": "next"}
    )
    return first.replace("/events/", "/summary/")


def with_a_form(world: World, *path: str, **version: Any) -> str:
    if version:
        world.version(**version)
    else:
        DataCollectionFormFactory(shop=world.shop)
    return f"/settings/shops/{world.shop.site_id}/data-form/{''.join(path)}"


RULE = "settings/notification-rules/<str:site_id>/<slug:reference>/"
FORM = "settings/shops/<str:site_id>/data-form/"
COVERAGE = "/notifications/coverage/"
NEWSLETTER = "admin/notifications/newsletter/"
BILLING = "admin/shops/billingdocument/"


def other_shop(world: World) -> Shop:
    """The second shop of the company."""
    return Shop.objects.exclude(pk=world.shop.pk).filter(company=world.company).first() or ShopFactory(
        company=world.company
    )


def site_id(world: World) -> str:
    return f"7{int(world.name, 16) % 10_000_000:07d}"


def chosen(action: str, make: Callable[[World], Any], **typed: Any) -> Case:
    """An action of a list of the Django admin, on one object."""
    return Case(lambda world, page: {"action": action, "_selected_action": [str(make(world).pk)], **typed})


def order_by(channel: str) -> Case:
    return Case(
        lambda world, page: {**ORDER, "reference": f"CMD-{world.name}", "valid_until": day(20)},
        at=lambda world, client: f"/payment-orders/new/?shop={world.shop.site_id}&channel={channel}",
    )


def own_server(world: World) -> CompanyRelay:
    return CompanyRelay.objects.create(company=world.company, host="smtp.lumiere.example")


CASES: dict[str, Case | list[Case]] = {
    "account/": says(first_name="Autre"),
    "accounts/password/change/": says(
        current_password=PASSWORD, password="une-autre-phrase-2027", password_again="une-autre-phrase-2027"
    ),
    "accounts/password/reset/": Case(lambda world, page: {"login": world.administrator.login}),
    "accounts/set-password/<str:token>/": says(
        password="une-autre-phrase-2027", password_again="une-autre-phrase-2027"
    ),
    "accounts/mfa/totp/activate/": Case(one_time_code),
    "accounts/mfa/passkeys/<int:pk>/rename/": says(name="Autre téléphone"),
    "accounts/mfa/recovery-codes/generate/": Case(
        at=lambda world, client: (a_passkey(world.administrator), "/accounts/mfa/recovery-codes/generate/")[1]
    ),
    "admin/auth/group/add/": Case(lambda world, page: {"name": f"Groupe {world.name}"}),
    "admin/companies/company/add/": Case(
        lambda world, page: {
            **NEW_COMPANY,
            "reference": f"nouvelle-{world.name}",
            "shop_site_id": site_id(world),
            "shop_name": "Nouvelle Boutique",
            "shop_language": "fr",
        }  # fmt: skip
    ),
    "admin/companies/company/": chosen("suspend", lambda world: world.company, confirmed="1", reason="Impayés"),
    "admin/shops/shop/": chosen("suspend", lambda world: world.shop, confirmed="1", reason="Impayés"),
    "admin/companies/sftpaccount/add/": Case(
        lambda world, page: {"company": world.company.pk, "login": f"sftp-{world.name}", "email": "s@x.example"}
    ),
    "admin/companies/user/add/": Case(
        lambda world, page: {
            "company": world.company.pk,
            "login": f"marie-{world.name}",
            "email": "m@x.example",
            "role": "manager",
        }  # fmt: skip
    ),
    "admin/companies/user/": chosen("send_link", lambda world: UserFactory(company=world.company)),
    "admin/companies/user/<int:key>/view-as/": says(reason="Demande 7"),
    "admin/notifications/apitoken/add/": says(
        name="Banque", company="", expires_at_0="", expires_at_1="", scopes=["deliveries:read"]
    ),
    "admin/notifications/delivery/": chosen("resend", lambda world: world.delivery(status="sent")),
    "admin/notifications/incident/add/": says(**INCIDENT),
    "admin/notifications/incident/<path:object_id>/change/": says(
        state="monitoring", text_fr="Nous observons.", text_en="We are watching."
    ),
    NEWSLETTER + "add/": says(**LETTER),
    NEWSLETTER + "<int:key>/send/": Case(
        lambda world, page: {"mass_mail_confirmed": "9999"}, page=lambda url: url.replace("/send/", "/preview/")
    ),
    NEWSLETTER + "<int:key>/cancel/": says(confirmed="1"),
    "admin/notifications/notificationrule/add/": Case(
        lambda world, page: {
            "shop": world.shop.pk,
            "reference": "equipe",
            "type": "merchant_email",
            "label": "De l'équipe",
            "triggers": ["payment.accepted"],
            "conditions": "[]",
            "recipients": "@shop_manager",
            "profile": "standard",
            "enabled": "on",
        }  # fmt: skip
    ),
    BILLING + "issue/": Case(
        lambda world, page: {**billed(world, page), "references": world.company.reference, "issue": "1"}
    ),
    BILLING + "upload/": Case(
        lambda world, page: {
            **billed(world, page),
            "site_id": world.shop.site_id,
            "file": SimpleUploadedFile("facture.csv", b"description,quantity,unit_price\nConseil,3,33.3333\n"),
        }
    ),
    BILLING + "drafts/<uuid:key>/": says(issue="1"),
    "admin/shops/dataformversion/<path:object_id>/change/": says(decision="approve"),
    "admin/shops/pricelist/add/": Case(
        lambda world, page: {
            "name": f"Tarif {world.name}",
            "currency": "EUR",
            "tax_rate": "20",
            "items-TOTAL_FORMS": "1",
            "items-INITIAL_FORMS": "0",
            "items-0-code": "payment.accepted",
            "items-0-unit_price": "0.0450",
        }  # fmt: skip
    ),
    "admin/shops/pricelist/<path:object_id>/change/": says(
        **{
            "items-TOTAL_FORMS": "1",
            "items-0-code": "payment.accepted",
            "items-0-unit_price": "0.0450",
        }
    ),  # fmt: skip
    "admin/shops/shop/add/": Case(
        lambda world, page: {
            "company": world.company.pk,
            "site_id": site_id(world),
            "name": "Seconde",
            "language": "fr",
        }  # fmt: skip
    ),
    "admin/sending/limits/": Case(
        lambda world, page: {"limit-name": f"{world.name}.example", "limit-per_minute": "10"},
        page=lambda url: "/admin/sending/",
        marker="limit-name",
    ),
    "settings/company/mail-server/remove/": Case(
        at=lambda world, client: (own_server(world), "/settings/company/mail-server/remove/")[1],
        page=lambda url: "/settings/company/mail-server/",
        marker="seen",
    ),
    "admin/sending/": Case(lambda world, page: {"endpoint": f"https://{world.name}.example/", "reason": "Panne"}),
    "admin/support/erase/": Case(lambda world, page: {"q": f"parti-{world.name}@acheteur.example"}),
    "forms/<str:token>/": says(**ANSWERED),
    "forms/preview/<str:signed>/": says(**ANSWERED),
    "newsletter/unsubscribe/<str:token>/": Case(),
    "notifications/journal/<uuid:key>/resend/": Case(
        at=lambda world, client: f"/notifications/journal/{world.delivery(status='sent').pk}/resend/"
    ),
    "notifications/journal/<uuid:key>/replay/": Case(
        at=lambda world, client: f"/notifications/journal/{world.call().pk}/replay/"
    ),
    "notifications/journal/replay/": Case(
        at=lambda world, client: (world.call(), "/notifications/journal/replay/?notification=ipn_call")[1]
    ),
    "notifications/journal/many/": Case(
        lambda world, page: {"do": "resend", "all": "1", "confirm": "1"},
        at=lambda world, client: (world.delivery(status="sent"), "/notifications/journal/many/")[1],
        page=lambda url: "/notifications/journal/",
        marker="as_of",
    ),
    "notifications/journal/filters/": Case(
        lambda world, page: {"name": f"Échecs {world.name}"},
        page=lambda url: "/notifications/journal/?status=dead",
        marker="name",
    ),
    "notifications/journal/filters/<int:key>/delete/": Case(
        at=lambda world, client: f"/notifications/journal/filters/{world.kept_filter()}/delete/",
        page=lambda url: "/notifications/journal/",
    ),
    "settings/notification-rules/address/": Case(
        lambda world, page: {
            "email": "autre@mienne.example",
            "change": "add",
            "rules": [str(world.shop.rules.first().pk)],
        },
        marker="email",
    ),
    RULE + "copy/": Case(
        lambda world, page: {"shops": [other_shop(world).site_id]},
        at=lambda world, client: (other_shop(world), world.put(RULE + "copy/"))[1],
        marker="shops",
    ),
    "notifications/addresses/replace/": says(new="autre@mienne.example"),
    "notifications/addresses/verify/": Case(page=lambda url: ADDRESS_PAGE, marker="address"),
    "notifications/addresses/reactivate/": Case(
        at=lambda world, client: world.suppressed(), page=lambda url: ADDRESS_PAGE, marker="address"
    ),
    "notifications/addresses/undo/<str:token>/": Case(
        at=lambda world, client: undo_link(world.administrator, world.shop)
    ),
    "settings/shops/bulk/": Case(lambda world, page: rows_of(world.shop)),
    "notifications/coverage/company/<slug:notification>/accept/": Case(lambda world, page: {"until": day(30)}),
    "notifications/coverage/company/<slug:notification>/reopen/": Case(
        at=lambda world, client: world.accepted("company", "platform_incident"), page=lambda url: COVERAGE
    ),
    "notifications/coverage/<str:site_id>/<slug:notification>/accept/": Case(
        lambda world, page: {"until": day(30)}, at=lambda world, client: world.gap()
    ),
    "notifications/coverage/<str:site_id>/<slug:notification>/reopen/": Case(
        at=lambda world, client: (world.gap(), world.accepted(world.shop.site_id, "ipn_failure"))[1],
        page=lambda url: COVERAGE,
    ),
    "notifications/coverage/remarks/<int:key>/close/": Case(
        at=lambda world, client: f"{COVERAGE}remarks/{world.remark()}/close/", page=lambda url: COVERAGE
    ),
    "orders/<str:token>/pay/": Case(
        lambda world, page: {"result": "accepted"},
        at=lambda world, client: f"/orders/{world.order(mode='TEST').token}/pay/",
        page=lambda url: url.replace("/pay/", "/"),
    ),
    "orders/<str:token>/problem/": says(
        name="Jeanne Roy", email="jeanne@acheteur.example", message="Le montant est faux."
    ),
    "payment-orders/new/": [order_by("email"), order_by("url")],
    "payment-orders/<uuid:key>/handed-over/": Case(
        at=lambda world, client: f"/payment-orders/{world.order(channel='url').pk}/handed-over/"
    ),
    "payment-orders/<uuid:key>/reactivate/": Case(
        at=lambda world, client: f"/payment-orders/{world.order(status='cancelled').pk}/reactivate/"
    ),
    "payment-orders/<uuid:key>/validity/": Case(lambda world, page: {"valid_until": day(40)}),
    "payment-orders/templates/<str:site_id>/new/": Case(
        lambda world, page: {"name": f"Relance {world.name}", "language": "fr", "subject": "Objet", "body": "%url%"}
    ),
    "payment-orders/templates/<str:site_id>/<int:key>/": says(subject="Autre objet"),
    "settings/company/": says(**{"manager-email": "autre@mienne.example"}),
    "settings/company/api-tokens/new/": says(name="ERP", scopes=["deliveries:read"]),
    "settings/company/sftp-accounts/new/": Case(
        lambda world, page: {"login": f"sftp-{world.name}", "email": "s@mienne.example"}
    ),
    "settings/company/sftp-accounts/<uuid:key>/": says(email="autre@mienne.example"),
    "settings/company/users/new/": Case(
        lambda world, page: {
            "login": f"bob-{world.name}",
            "email": "bob@mienne.example",
            "role": "viewer",
            "coverage": "all",
        }  # fmt: skip
    ),
    "settings/company/users/<int:key>/": says(first_name="Autre"),
    RULE: [
        Case(lambda world, page: {"label": "Autre nom"}, marker="label"),
        # « Essayer la règle » is a button of the same form.
        Case(lambda world, page: {"test": "TEST"}, marker="label"),
    ],
    RULE + "content/": Case(lambda world, page: {"subject": "Un autre objet"}, marker="subject"),
    RULE + "content/restore/": Case(
        at=lambda world, client: "/settings/notification-rules/{}/{}/content/restore/".format(
            world.shop.site_id,
            NotificationRuleFactory(
                shop=world.shop, email_texts={"fr": {"subject": "Mon objet", "body": "Mon texte"}}
            ).reference,
        )
    ),
    RULE + "switch/": Case(lambda world, page: {"enabled": "0"}),
    "settings/notification-rules/create/<str:site_id>/<uuid:draft>/<slug:step>/": Case(
        lambda world, page: {"go": "create"}, at=wizard
    ),
    "settings/shops/<str:site_id>/configuration/": says(name="Autre nom"),
    "settings/shops/<str:site_id>/contracts/new/": Case(lambda world, page: {"number": "5785999", "network": "CB"}),
    "settings/shops/<str:site_id>/contracts/<int:key>/": says(number="5785998"),
    FORM: Case(
        lambda world, page: {"help_fr": "Comme sur la carte."},
        marker="help_fr",
        at=lambda w, client: with_a_form(w, "?field=last_name"),
    ),
    FORM + "fields/": Case(
        lambda world, page: {"do": "add:city"},
        at=lambda w, client: with_a_form(w, "fields/"),
        page=lambda url: url.replace("fields/", ""),
    ),
    FORM + "texts/": Case(
        lambda world, page: {"title_fr": "Autre titre"}, at=lambda w, client: with_a_form(w, "texts/")
    ),
    FORM + "go-live/": Case(at=lambda w, client: with_a_form(w, "go-live/")),
    FORM + "cancel-request/": Case(
        at=lambda w, client: with_a_form(w, "cancel-request/", state="requested", live_at=None)
    ),
    FORM + "withdraw/": Case(at=lambda w, client: with_a_form(w, "withdraw/", state="live")),
    "settings/shops/<str:site_id>/keys/": Case(
        lambda world, page: {"algorithm_test": "SHA-1"}, marker="algorithm_test"
    ),
    "settings/shops/<str:site_id>/keys/tests-done/": says(reason="Site déjà testé"),
    "settings/shops/new/": says(name="Lumière Nice"),
}
# Log-in and its factors, preferences, pages that only ask, list pages without an action, exports.
WITHOUT_EFFECT = {
    # Keeps what a real server has taken: tests/notifications/sending/test_relays.py.
    "settings/company/mail-server/edit/",
    "account/sessions/end-others/",
    "accounts/login/",
    "accounts/login-link/<str:token>/",
    "accounts/logout/",
    "accounts/mfa/authenticate/",
    "accounts/mfa/passkeys/add/",
    "accounts/mfa/passkeys/login/",
    "accounts/mfa/passkeys/reauthenticate/",
    "accounts/mfa/reauthenticate/",
    "accounts/reauthenticate/",
    "admin/",
    "admin/^(?P<app_label>auth|companies|notifications|shops)/$",
    *(
        f"admin/{name}/"
        for name in (
            "auth/group",
            "companies/auditentry",
            "companies/sftpaccount",
            "notifications/addresshealth",
            "notifications/apitoken",
            "notifications/event",
            "notifications/incident",
            "notifications/newsletter",
            "notifications/notificationrule",
            "shops/billingdocument",
            "shops/dataformversion",
            "shops/paymentorder",
            "shops/pricelist",
        )
    ),  # fmt: skip
    "admin/password_change/",
    "admin/support/export/",
    NEWSLETTER + "<int:key>/resume/",
    "language/",
    "payment-orders/preview/<str:site_id>/",
    FORM + "copy-live/",
    "view-as/stop/",
}


def sendable(route: str) -> bool:
    if route in CASES:
        return True
    if route.startswith("admin/"):
        ends = ("/history/", "<path:object_id>/")
        return STAFF.get(route, (0, 404))[1] not in (403, 404, 405) and not route.endswith(ends)
    return not route.startswith("api/") and any(
        answer not in (401, 403, 404, 405, "login") for answer in POSTS.get(route, ())
    )


ROUTES = [route for route in ALL if sendable(route)]


def cases(route: str) -> list[Case]:
    found = CASES.get(route, Case())
    return found if isinstance(found, list) else [found]


@dataclass
class Filled:
    """A form that is filled in, and may be sent any number of times."""

    client: Client
    url: str
    data: Typed

    def send(self, client: Client | None = None) -> Any:
        for value in self.data.values():
            if isinstance(value, SimpleUploadedFile):
                value.seek(0)
        return (client or self.client).post(self.url, self.data)


def filled(world: World, route: str, case: Case) -> Filled:
    """Open the form of a route as a browser does, and fill it in."""
    client = world.client(route)
    url = case.at(world, client) if case.at else world.put(route)
    opened = case.page(url) if case.page else url
    page = client.get(opened)
    found: Typed = {}
    if page.status_code == 200 and not page.streaming and "Content-Disposition" not in page.headers:
        path = url.partition("?")[0]
        for form in forms_in(page):
            here = form.action.partition("?")[0] in ((path, "") if path == opened.partition("?")[0] else (path,))
            if here and (not case.marker or case.marker in form.values):
                found = form.sent()
                break
    # Buttons that stand on pages of other objects post alone.
    found.setdefault(submissions.FIELD, [submissions.new_identity()])
    typed = case.typed(world, page)
    return Filled(client, url, {**found, **typed})
