"""Every route of the site, and an address for each: what the walks through all pages share."""

import hashlib
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

from backoffice.text.addresses import normalise
from companies import links
from companies.audit import Actor, record
from companies.models import AuditEntry, Company, Membership, Role, Session, SftpAccount, User
from notifications.broadcasts import incidents, newsletters
from notifications.mail import verify_links, why_links
from notifications.mail.unsubscribing import make_token
from notifications.models import (
    AddressHealth,
    ApiToken,
    Attachment,
    Delivery,
    Event,
    Hold,
    Incident,
    Newsletter,
    NotificationRule,
    SavedFilter,
    SendingLimit,
)
from shops.dataforms.selectors import preview_token
from shops.models import (
    BillingDocument,
    BillingDraft,
    DataCollectionForm,
    DataFormVersion,
    PaymentOrder,
    PaymentOrderTemplate,
    PriceList,
    Shop,
    ShopKey,
)
from tests.factories import (
    ApiTokenFactory,
    BillingDocumentFactory,
    CompanyFactory,
    ContractFactory,
    DataCollectionFormFactory,
    DataFormAnswerFactory,
    DataFormVersionFactory,
    DeliveryFactory,
    EventFactory,
    MailRemarkFactory,
    NotificationRuleFactory,
    PaymentOrderFactory,
    SftpAccountFactory,
    ShopKeyFactory,
    UserFactory,
)

TEAM = Actor.command("test")
# Part of a route → what stands there in an address; the first part that occurs is replaced first.
Makers = Mapping[str, Callable[[], str]]


def routes(patterns: Any = None, prefix: str = "", *, admin: bool = False) -> Iterator[str]:
    """The routes as the URL configuration writes them; the Django admin as one, or with `admin=True` in full."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns") and (admin or path != "admin/"):
            yield from routes(pattern.url_patterns, path, admin=admin)
        else:
            # The framework writes the names of the admin's apps into one route, in no order.
            yield re.sub(r"(?<=\(\?P<app_label>)[^)]*", lambda names: "|".join(sorted(names[0].split("|"))), path)


def put(route: str, makers: Makers) -> str:
    """The address that the objects of the makers give a route. Fails when part of the route is left."""
    for mark, make in makers.items():
        if mark in route:
            route = route.replace(mark, make())
    assert "<" not in route, route
    return "/" + route


def _entry(shop: Shop) -> AuditEntry:
    return record(actor=TEAM, action="shop.updated", obj=shop, company=shop.company)


def _run(shop: Shop, **fields: Any) -> uuid.UUID:
    run = uuid.uuid4()
    DeliveryFactory(
        event=EventFactory(shop=shop), channel="ipn", notification="ipn_call", run=run, message=None, **fields
    )
    return run


def a_session() -> uuid.UUID:
    """The key of somebody's open session."""
    Client().force_login(UserFactory())
    return Session.objects.latest("created_at").pk


def _attachment(shop: Shop) -> str:
    delivery = DeliveryFactory(event=EventFactory(shop=shop))
    file = Attachment.objects.create(
        message=delivery.message, name="a.pdf", content_type="application/pdf", content=b"%PDF", size=4
    )
    return f"journal/{delivery.pk}/attachments/{file.pk}"


def _filter(company: Company) -> int:
    """A filter that somebody else has kept."""
    kept = SavedFilter.objects.create(
        company=company, user=UserFactory(company=company), name="Échecs", query="status=dead"
    )
    return kept.pk


def _order_template(shop: Shop) -> PaymentOrderTemplate:
    return PaymentOrderTemplate.objects.create(
        shop=shop, name=f"Modèle {uuid.uuid4().hex[:6]}", subject="Objet", body="%url%"
    )


def _form(shop: Shop) -> DataCollectionForm:
    """The data collection form of the shop: it has one at most."""
    return DataCollectionForm.objects.filter(shop=shop).first() or DataCollectionFormFactory(shop=shop)


def _live(shop: Shop) -> DataFormVersion:
    live = DataFormVersion.objects.filter(form__shop=shop, state=DataFormVersion.State.LIVE).first()
    return live or DataFormVersionFactory(form=_form(shop))


def _key(shop: Shop) -> ShopKey:
    return ShopKey.objects.filter(shop=shop, kind=ShopKey.Kind.TEST).first() or ShopKeyFactory(shop=shop)


def makers_of(company: Company, shop: Shop) -> dict[str, Callable[[], str]]:
    """What stands in the addresses of a company's pages. Objects are made when asked for."""
    rule = NotificationRuleFactory(shop=shop, reference="ma-regle")
    return {
        "journal/<uuid:key>/attachments/<int:number>": lambda: _attachment(shop),
        "billing/<uuid:key>": lambda: f"billing/{BillingDocumentFactory(shop=shop).pk}",
        "users/<int:key>": lambda: f"users/{UserFactory(company=company).pk}",
        "sftp-accounts/<uuid:key>": lambda: f"sftp-accounts/{SftpAccountFactory(company=company).pk}",
        "api-tokens/<int:key>": lambda: f"api-tokens/{ApiTokenFactory(company=company).pk}",
        "sessions/<uuid:key>": lambda: f"sessions/{a_session()}",
        "history/<int:key>": lambda: f"history/{_entry(shop).pk}",
        "filters/<int:key>": lambda: f"filters/{_filter(company)}",
        "journal/<uuid:key>": lambda: f"journal/{DeliveryFactory(event=EventFactory(shop=shop)).pk}",
        "payment-orders/<uuid:key>": lambda: f"payment-orders/{PaymentOrderFactory(shop=shop).pk}",
        "orders/<str:token>": lambda: f"orders/{PaymentOrderFactory(shop=shop).token}",
        "answers/<uuid:key>": lambda: f"answers/{DataFormAnswerFactory(version=_live(shop)).pk}",
        "forms/<str:token>": lambda: f"forms/{_live(shop).form.token}",
        "addresses/replace/": lambda: f"addresses/replace/?{urlencode({'address': _manager(company)})}",
        "addresses/undo/<str:token>": lambda: "addresses/undo/aucun",
        "bounces/<slug:provider>": lambda: "bounces/sendgrid",
        "verify/<str:token>": lambda: f"verify/{_verify_token(shop)}",
        "why/<str:token>": lambda: f"why/{why_links.make_token(DeliveryFactory(event=EventFactory(shop=shop)).pk)}",
        "coverage/company/<slug:notification>": lambda: "coverage/company/platform_incident",
        "<str:site_id>/<slug:notification>": lambda: f"{shop.site_id}/ipn_failure",
        "remarks/<int:key>": lambda: f"remarks/{MailRemarkFactory(shop=shop).pk}",
        "<str:signed>": lambda: preview_token(_form(shop)),
        "<str:token>": lambda: _unsubscribing(company),
        "help/<slug:name>": lambda: "help/journal",
        "contracts/<int:key>": lambda: f"contracts/{ContractFactory(shop=shop).pk}",
        "authentication/<int:key>": lambda: f"authentication/{ContractFactory(shop=shop).pk}",
        "keys/<slug:name>": lambda: f"keys/{_key(shop).kind}",
        "<str:site_id>/<int:key>": lambda: f"{shop.site_id}/{_order_template(shop).pk}",
        "<uuid:draft>/<slug:step>": lambda: f"{uuid.uuid4()}/events",
        "replays/<uuid:run>": lambda: f"replays/{_run(shop)}",
        "tests/<uuid:run>": lambda: f"tests/{_run(shop, is_test=True)}",
        "<str:site_id>": lambda: shop.site_id,
        "<slug:reference>": lambda: rule.reference,
        "<reference>": lambda: company.reference,
    }


def _verify_token(shop: Shop) -> str:
    return verify_links.url(DeliveryFactory(event=EventFactory(shop=shop))).rstrip("/").rsplit("/", 1)[1]


def _manager(company: Company) -> str:
    assert company.manager_contact
    return company.manager_contact.email


def _unsubscribing(company: Company) -> str:
    return make_token(company.pk, normalise(_manager(company)))


# --- Pages that belong to no company --------------------------------------------------------------


def a_passkey(user: User) -> Authenticator:
    """A passkey as a device would have registered it; nobody has its private half."""
    public = ES256({1: 2, 3: -7, -1: 1, -2: b"x" * 32, -3: b"y" * 32})
    credential = AttestedCredentialData.create(bytes(16), uuid.uuid4().bytes, public)
    authenticator = AuthenticatorData.create(hashlib.sha256(b"localhost").digest(), 0x45, 0, credential)
    answer = {
        "clientDataJSON": websafe_encode(
            b'{"type": "webauthn.create", "challenge": "YQ", "origin": "http://localhost"}'
        ),
        "attestationObject": websafe_encode(AttestationObject.create("none", authenticator, {})),
    }
    key = websafe_encode(credential.credential_id)
    data = {"id": key, "rawId": key, "type": "public-key", "response": answer}
    return Authenticator.objects.create(
        user=user,
        type=Authenticator.Type.WEBAUTHN,
        data={"name": "Téléphone", "credential": {**data, "clientExtensionResults": {"credProps": {"rk": True}}}},
    )


def account_makers(user: User) -> dict[str, Callable[[], str]]:
    """What stands in the addresses of the account pages: single-use links, and passkeys of the user."""

    def link(url: str) -> str:
        return url.rstrip("/").rsplit("/", 1)[1]

    def passkey() -> str:
        return f"passkeys/{a_passkey(user).pk}"

    def sftp() -> str:
        account = SftpAccountFactory(unrevealed_password="secret-sftp", password_set_at=timezone.now())
        return f"sftp-reveal/{link(links.make_sftp_link(account))}"

    return {
        "set-password/<str:token>": lambda: f"set-password/{link(links.make_password_link(UserFactory()))}",
        "login-link/<str:token>": lambda: f"login-link/{link(links.make_login_link(UserFactory()))}",
        "sftp-reveal/<str:token>": sftp,
        "passkeys/<int:pk>": passkey,
    }


# --- The Django admin -----------------------------------------------------------------------------


def a_newsletter(*, sent: bool = False) -> Newsletter:
    letter = newsletters.newsletter_create(
        actor=TEAM, title_fr="Nouveautés", text_fr="Bonjour\n\n- un", title_en="News", text_en="Hello\n\n- one"
    )
    if sent:
        newsletters.newsletter_send(newsletter=letter, actor=TEAM)
    return letter


def an_incident() -> Incident:
    return incidents.incident_open(
        actor=TEAM,
        title_fr="Retards d'envoi",
        title_en="Delays",
        impact=Incident.Impact.DEGRADED,
        started_at=timezone.now(),
        text_fr="Nous cherchons.",
        text_en="We are looking.",
    )


def _price_list() -> PriceList:
    return PriceList.objects.create(name=f"Tarif {uuid.uuid4().hex[:6]}")


def _draft(shop: Shop) -> BillingDraft:
    today = timezone.localdate()
    return BillingDraft.objects.create(
        shop=shop,
        price_list=_price_list(),
        source=BillingDocument.Source.PDF,
        period_start=today.replace(day=1) - timedelta(days=31),
        period_end=today.replace(day=1) - timedelta(days=1),
        net="10.00",
        file=b"%PDF-1.4 essai",
        file_name="facture.pdf",
        actor_label="Équipe",
    )


def _mailed_file(shop: Shop) -> str:
    return _attachment(shop).replace("journal/", "delivery/").replace("/attachments/", "/files/")


def objects_of_the_admin(shop: Shop) -> dict[type[Any], Callable[[], Any]]:
    """One object of each model that the Django admin shows."""
    company = shop.company
    return {
        Group: lambda: Group.objects.create(name=f"Support {uuid.uuid4().hex[:6]}"),
        Company: lambda: company,
        User: lambda: UserFactory(company=company),
        SftpAccount: lambda: SftpAccountFactory(company=company),
        AuditEntry: lambda: _entry(shop),
        Shop: lambda: shop,
        PaymentOrder: lambda: PaymentOrderFactory(shop=shop),
        DataFormVersion: lambda: DataFormVersionFactory(
            form__shop__company=company, state=DataFormVersion.State.REQUESTED, live_at=None
        ),
        PriceList: _price_list,
        BillingDocument: lambda: BillingDocumentFactory(shop=shop),
        NotificationRule: lambda: NotificationRuleFactory(shop=shop),
        Event: lambda: DeliveryFactory(event=EventFactory(shop=shop)).event,
        Delivery: lambda: DeliveryFactory(event=EventFactory(shop=shop)),
        ApiToken: lambda: ApiTokenFactory(),
        AddressHealth: lambda: AddressHealth.objects.create(
            company=company, normalised_address=f"{uuid.uuid4().hex[:8]}@lumiere.example"
        ),
        Newsletter: a_newsletter,
        Incident: an_incident,
    }


def admin_makers(shop: Shop) -> dict[str, Callable[[], str]]:
    """What stands in the addresses of the Django admin."""

    def of(model: type[Any], make: Callable[[], Any]) -> Callable[[], str]:
        return lambda: f"admin/{model._meta.app_label}/{model._meta.model_name}/{make().pk}"

    def newsletter(part: str, **how: Any) -> tuple[str, Callable[[], str]]:
        return (f"newsletter/<int:key>/{part}/", lambda: f"newsletter/{a_newsletter(**how).pk}/{part}/")

    made = objects_of_the_admin(shop)
    return {
        **{f"admin/{m._meta.app_label}/{m._meta.model_name}/<path:object_id>": of(m, make) for m, make in made.items()},
        **dict([newsletter("progress", sent=True), newsletter("pause", sent=True), newsletter("resume", sent=True)]),
        **dict([newsletter("cancel", sent=True)]),
        "newsletter/<int:key>": lambda: f"newsletter/{a_newsletter().pk}",
        "sending/<int:key>": lambda: (
            f"sending/{Hold.objects.create(reason=uuid.uuid4().hex, company=CompanyFactory()).pk}"
        ),
        "sending/limits/<int:key>": lambda: (
            f"sending/limits/{SendingLimit.objects.create(name=f'{uuid.uuid4().hex[:8]}.example', per_minute=5).pk}"
        ),
        "atelier/<str:key>": lambda: "atelier/shop_created-shop.created",
        "<str:language>": lambda: "fr",
        "user/<int:key>/view-as": lambda: f"user/{UserFactory(company=shop.company).pk}/view-as",
        "drafts/<uuid:key>": lambda: f"drafts/{_draft(shop).pk}",
        "billingdocument/<uuid:key>": lambda: f"billingdocument/{BillingDocumentFactory(shop=shop).pk}",
        "delivery/<uuid:key>/files/<int:number>": lambda: _mailed_file(shop),
        "delivery/<uuid:key>": lambda: f"delivery/{DeliveryFactory(event=EventFactory(shop=shop)).pk}",
        "^(?P<app_label>auth|companies|notifications|shops)/$": lambda: "companies/",
        "r/<path:content_type_id>/<path:object_id>": lambda: "r/1/1",
        "(?P<url>.*)$": lambda: "nothing-here/",
    }


# --- Accounts in each state -----------------------------------------------------------------------


def state_makers(company: Company) -> dict[str, Callable[[], str]]:
    """Accounts in the state that each page of an action asks for."""

    def user(**fields: Any) -> User:
        return UserFactory(company=company, **fields)

    def invited() -> User:
        invited = user()
        invited.set_unusable_password()
        invited.save()
        return invited

    def guest() -> User:
        """Managed by another company, with a look at this one."""
        visitor = UserFactory(company=CompanyFactory())
        Membership.objects.create(user=visitor, company=company, role=Role.VIEWER)
        return visitor

    return {
        "users/<int:key>/invite": lambda: f"users/{invited().pk}/invite",
        "users/<int:key>/unlock": lambda: f"users/{user(locked_until=timezone.now() + timedelta(hours=1)).pk}/unlock",
        "users/<int:key>/enable": lambda: f"users/{user(is_active=False).pk}/enable",
        "users/<int:key>/remove": lambda: f"users/{guest().pk}/remove",
        "sftp-accounts/<uuid:key>/enable": lambda: (
            f"sftp-accounts/{SftpAccountFactory(company=company, is_active=False).pk}/enable"
        ),
    }
