"""Whoever sees one shop reads nothing of another, and who manages no users nothing of accounts: on no page,
in no file, by no search, in no mail of the journal. Every address is opened as each of them and searched."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import unquote, urlencode

import pytest
from django.test import Client
from django.utils import timezone

from companies.audit import Actor, record
from companies.models import AuditEntry, Company, Membership, Role, SftpAccount, User
from companies.rights import permissions
from companies.team import services as team_services
from notifications import tokens
from notifications.consistency import reports as consistency_reports
from notifications.models import Attachment, CallHealth, Delivery, NotificationRule
from shops.models import BillingDocument, PaymentOrder, PaymentOrderTemplate, Shop, ShopKey
from tests.factories import (
    BillingDocumentFactory,
    CompanyFactory,
    ContractFactory,
    DataCollectionFormFactory,
    DataFormAnswerFactory,
    DataFormVersionFactory,
    DeliveryFactory,
    EventFactory,
    MessageFactory,
    NotificationRuleFactory,
    PaymentOrderFactory,
    ShopFactory,
    ShopKeyFactory,
    UserFactory,
)
from tests.walk import makers_of, put, routes

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
TEAM = Actor.command("test")

VIEW, USERS, ORDERS = permissions.VIEW, permissions.MANAGE_USERS, permissions.MANAGE_PAYMENT_ORDERS
HIDDEN_SITE = "20000002"
# What is planted in the shop that most readers do not see, and in people who only see that one…
SHOP_MARKS = (
    HIDDEN_SITE,
    "zz-nom",
    "zz-gerant",
    "zz-site",
    "zz-regle",
    "zz-destinataire",
    "zz-url",
    "zz-contrat",
    "zz-ordre",
    "zz-acheteur",
    "zz-modele",
    "zz-reponse",
    "zz-facture",
    "zz-objet",
    "zz-texte",
    "zz-html",
    "zz-piece",
    "zz-appel",
    "zz-echec",
    "zz-rejeu",
    "zz-login",
    "zz-personne",
    "zz-prenom",
    "zz-historique",
)
# … in accounts of the company, and in its API tokens.
ACCOUNT_MARKS = ("yy-login", "yy-personne", "yy-sftp", "yy-coffre", "yy-inactif")
TOKEN_MARKS = ("ww-jeton",)


@dataclass
class World:
    company: Company
    mine: Shop
    hidden: Shop
    keys: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def world() -> World:
    company = CompanyFactory(reference="mienne", with_technical=True)
    # By its identifier after the hidden one: of a contract in both, the finding stands with this shop.
    mine = ShopFactory(company=company, site_id="30000003", name="Ouverte")
    hidden = ShopFactory(
        company=company,
        site_id=HIDDEN_SITE,
        name="zz-nom",
        manager_email="zz-gerant@hidden.example",
        url="https://zz-site.example",
    )
    found = World(company, mine, hidden)
    _plant_accounts(found)
    _plant_shop(found)
    # Errors and warnings that name the hidden shop, its address and accounts, and the mail about them.
    company.incident_emails = ["astreinte@mienne.example", "ancien@mienne.example"]
    company.save()
    consistency_reports.report_run(company=company, actor=TEAM)
    return found


def _plant_accounts(world: World) -> None:
    company = world.company
    boss = UserFactory(company=company, login="patronne", email="patronne@mienne.example")
    UserFactory(company=company, login="yy-login", email="yy-personne@mienne.example", role=Role.VIEWER)
    UserFactory(company=company, login="yy-inactif", email="ancien@mienne.example", is_active=False)
    only_hidden = UserFactory(
        company=company,
        login="zz-login",
        email="zz-personne@hidden.example",
        first_name="zz-prenom",
        role=Role.VIEWER,
        shops=[world.hidden],
    )
    both = UserFactory(company=company, login="deux", email="deux@mienne.example", role=Role.VIEWER, shops=[world.mine])
    actor = Actor(boss.get_full_name(), boss)
    # Told by mail and kept in the history, with the shops and rights by name.
    team_services.user_update(user=only_hidden, actor=actor, phone="01")
    team_services.user_update(
        user=both,
        actor=actor,
        rights=team_services.Rights(grants={world.mine.pk: None, world.hidden.pk: frozenset({VIEW, ORDERS})}),
    )
    team_services.user_reset(user=only_hidden, actor=actor, company=company)
    team_services.sftp_account_create(company=company, actor=actor, login="yy-sftp", email="yy-coffre@mienne.example")
    record(actor=actor, action="user.locked", obj=only_hidden, company=company)
    record(actor=actor, action="user.locked", obj=User.objects.get(login="yy-login"), company=company)
    ending = timezone.now() + timedelta(days=10)
    tokens.token_create(company=company, actor=actor, name="ww-jeton", expires_at=ending)
    for login in ("yy-sftp", "zz-login"):
        mail = Delivery.objects.filter(company=company, account=login)[0]
        record(actor=actor, action="delivery.resent", obj=mail, company=company)


def _plant_shop(world: World) -> None:
    shop, company = world.hidden, world.company
    rule = NotificationRuleFactory(
        shop=shop,
        reference="zz-regle",
        label="zz-regle",
        recipients=["@shop_manager", "zz-destinataire@hidden.example"],
    )
    call_rule = NotificationRuleFactory(
        ipn=True, shop=shop, label="zz-regle appel", url_production="https://zz-url.example/ipn", recipients=[]
    )
    CallHealth.objects.create(rule=call_rule, mode="PRODUCTION", failing_since=timezone.now(), failure_count=2)
    NotificationRuleFactory(shop=world.mine, label="Règle ouverte")
    ShopKeyFactory(shop=shop, kind=ShopKey.Kind.PRODUCTION)
    contract = ContractFactory(shop=shop, number="zz-contrat")
    # The same contract in both shops: a finding of the open one would name the other.
    ContractFactory(shop=world.mine, number="5785350", network="CB")
    ContractFactory(shop=shop, number="5785350", network="CB")
    order = PaymentOrderFactory(
        shop=shop, reference="zz-ordre", recipient="zz-acheteur@hidden.example", subject="zz-objet", sending="evt-ordre"
    )
    template = PaymentOrderTemplate.objects.create(shop=shop, name="zz-modele", subject="zz-objet", body="%url%")
    version = DataFormVersionFactory(form=DataCollectionFormFactory(shop=shop))
    values = [{"code": "last_name", "label": "Nom", "value": "zz-reponse"}]
    answer = DataFormAnswerFactory(version=version, values=values, order__reference="zz-ordre-2")
    document = BillingDocumentFactory(shop=shop, number="zz-facture")
    message = MessageFactory(
        event=EventFactory(shop=shop), subject="zz-objet", text="zz-texte", html="<p>zz-html</p>", has_attachments=True
    )
    Attachment.objects.create(
        message=message, name="zz-piece.pdf", content_type="application/pdf", content=b"%PDF", size=4
    )
    address = "zz-destinataire@hidden.example"
    sent = DeliveryFactory(event=message.event, message=message, rule=rule, address=address, status="dead")
    DeliveryFactory(
        event=EventFactory(shop=shop, event_id="evt-ordre"),
        notification="payment_order",
        address="zz-acheteur@hidden.example",
        status="dead",
        error="zz-echec",
    )
    DeliveryFactory(
        event=EventFactory(shop=shop),
        channel="ipn",
        notification="ipn_call",
        rule=call_rule,
        message=None,
        address="https://zz-url.example/ipn",
        call={"format": "form", "fields": {"vads_cust_name": "zz-appel"}, "profile": "standard"},
        error="zz-echec",
        status="dead",
    )
    world.keys["run"] = uuid.uuid4()
    DeliveryFactory(
        event=EventFactory(shop=shop),
        channel="ipn",
        notification="ipn_call",
        rule=call_rule,
        message=None,
        address="https://zz-rejeu.example/ipn",
        is_manual=True,
        run=world.keys["run"],
    )
    DeliveryFactory(event=EventFactory(shop=world.mine), address="ouverte@mienne.example")
    changes = {"label": ["zz-historique", "zz-historique 2"]}
    for obj in (shop, rule, contract, order, template, document, sent, answer.form):
        name = {"notificationrule": "rule"}.get(obj._meta.model_name or "", obj._meta.model_name)
        record(actor=TEAM, action=f"{name}.updated", obj=obj, company=company, changes=changes)
    world.keys |= {"order": order, "template": template, "answer": answer, "document": document, "contract": contract}


# --- The walk -------------------------------------------------------------------------------------

LIMITED = frozenset({VIEW, USERS})
# name → (arguments of the account, marks hidden from it). « all_but » sees every shop but the hidden one.
READERS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "viewer of one shop": ({"role": Role.VIEWER}, (*SHOP_MARKS, *ACCOUNT_MARKS, *TOKEN_MARKS)),
    "manager of one shop": ({"role": Role.MANAGER}, (*SHOP_MARKS, *ACCOUNT_MARKS, *TOKEN_MARKS)),
    "administrator of one shop": ({"role": Role.ADMINISTRATOR}, (*SHOP_MARKS, *TOKEN_MARKS)),
    "manager of users, one shop": ({"own": frozenset({VIEW, USERS})}, (*SHOP_MARKS, *TOKEN_MARKS)),
    "orders only": ({"own": frozenset({VIEW, ORDERS})}, (*SHOP_MARKS, *ACCOUNT_MARKS, *TOKEN_MARKS)),
    "manager of all but one shop": (
        {"role": Role.MANAGER, "all_but": True},
        (*SHOP_MARKS, *ACCOUNT_MARKS, *TOKEN_MARKS),
    ),
    "viewer of all shops": ({"role": Role.VIEWER, "everywhere": True}, (*ACCOUNT_MARKS, *TOKEN_MARKS)),
}


def reader(world: World, *, own: Any = None, all_but: bool = False, everywhere: bool = False, **fields: Any) -> User:
    where: dict[str, Any] = {"shops": [world.mine]}
    if all_but or everywhere:
        where = {"grants": {world.hidden: frozenset()}} if all_but else {}
    user = UserFactory(company=world.company, login="lecteur", email="lecteur@mienne.example", **fields, **where)
    if own is not None:
        Membership.objects.filter(user=user).update(permissions=own, role=Role.VIEWER)
    return user


NOT_OF_A_COMPANY = ("admin/", "accounts/", "api/", "static/", "livez", "readyz", "metrics", "language/", "company/")
# Parts of the marks: a page may repeat what was searched for, and shows the whole mark only if it found something.
SEARCHED = ("zz-", "yy-", "2000000")
LISTS = (
    "/notifications/addresses/",
    "/notifications/by-notification/",
    "/notifications/compare/",
    "/notifications/coverage/",
    "/notifications/why/",
    "/notifications/journal/",
    "/settings/company/history/",
    "/settings/company/users/",
    "/settings/company/sftp-accounts/",
    "/settings/company/api-tokens/",
    "/settings/company/authentication/",
    "/settings/notification-rules/all/",
    "/settings/notification-rules/",
    "/settings/shops/",
    "/payment-orders/",
    "/billing/",
    "/reports/consistency/",
    "/search/",
)


def pages(world: World) -> list[str]:
    """Every row there is, every list searched and as a file, every address of the open shop.

    The addresses of the hidden shop are 404 for whoever does not see it: `test_walker` opens them all.
    """
    found = [*_objects(world), *_searches()]
    makers = makers_of(world.company, world.mine)
    found += [put(route, makers) for route in routes() if not route.startswith(NOT_OF_A_COMPANY)]
    return list(dict.fromkeys(found))


def _searches() -> Iterator[str]:
    for path in LISTS:
        yield f"{path}?format=csv"
        yield from (f"{path}?{urlencode({'q': text})}" for text in SEARCHED)
    for query in (
        {"print": "1"},
        {"address": "zz-destinataire@hidden.example"},
        {"role": "user"},
        {"shop": HIDDEN_SITE},
    ):
        yield f"/notifications/addresses/?{urlencode(query)}"
        yield f"/notifications/why/?{urlencode(query)}"
    for query in ({"address": "x@mienne.example"}, {"notification": "shop_created"}, {"notification": "user_account"}):
        yield f"/notifications/why/?{urlencode(query)}"
        yield f"/notifications/why/?{urlencode(query)}&format=csv"
    for name, value in (
        ("shop", HIDDEN_SITE),
        ("address", "hidden.example"),
        ("rule", "zz-regle"),
        ("event", "evt-ordre"),
        ("notification", "consistency_report"),
        ("notification", "user_account"),
        ("channel", "ipn"),
    ):
        yield f"/notifications/journal/?{urlencode({name: value})}"
    for name, value in (
        ("shop", HIDDEN_SITE),
        ("object", "user"),
        ("field", "role"),
        ("about", "user"),
        ("object", "delivery"),
    ):
        yield f"/settings/company/history/?{urlencode({name: value})}"
    yield f"/settings/company/users/?{urlencode({'shop': HIDDEN_SITE})}"
    yield f"/payment-orders/?{urlencode({'shop': HIDDEN_SITE, 'mode': 'PRODUCTION'})}"
    yield f"/billing/?{urlencode({'shop': HIDDEN_SITE})}"
    yield f"/settings/company/?{urlencode({'preview': 'manager', 'manager-email': 'zz-gerant@hidden.example'})}"
    yield f"/notifications/journal/replay/?{urlencode({'channel': 'ipn'})}"


def _objects(world: World) -> Iterator[str]:
    """Each single row that is there, whoever may see it."""
    for delivery in Delivery.objects.filter(company=world.company):
        base = f"/notifications/journal/{delivery.pk}/"
        yield from (base, f"{base}html/", f"{base}resend/", f"{base}cancel/", f"{base}replay/")
        files = delivery.message.attachments.all() if delivery.message else ()
        yield from (f"{base}attachments/{file.pk}/" for file in files)
    for entry in AuditEntry.objects.filter(company=world.company):
        yield f"/settings/company/history/{entry.pk}/"
    for user in User.objects.filter(company=world.company):
        yield from (f"/settings/company/users/{user.pk}/", f"/settings/company/users/{user.pk}/shops/")
    for account in SftpAccount.objects.filter(company=world.company):
        yield f"/settings/company/sftp-accounts/{account.pk}/"
    for order in PaymentOrder.objects.filter(shop__company=world.company):
        for tab in ("", "?tab=message", "?tab=history"):
            yield f"/payment-orders/{order.pk}/{tab}"
    for template in PaymentOrderTemplate.objects.filter(shop__company=world.company):
        yield f"/payment-orders/templates/{template.shop.site_id}/{template.pk}/"
    for document in BillingDocument.objects.filter(company=world.company):
        yield from (
            f"/billing/{document.pk}/",
            f"/billing/{document.pk}/?format=csv",
            f"/billing/{document.pk}/download/",
        )
    for rule in NotificationRule.objects.filter(shop=world.hidden):
        yield f"/settings/notification-rules/{HIDDEN_SITE}/{rule.reference}/"
    for part in ("configuration", "keys", "contracts", "data-form"):
        yield f"/settings/shops/{HIDDEN_SITE}/{part}/"
    answer = world.keys["answer"]
    yield f"/settings/shops/{HIDDEN_SITE}/data-form/answers/{answer.pk}/"
    yield f"/settings/shops/{HIDDEN_SITE}/data-form/answers/?format=csv"
    yield f"/notifications/replays/{world.keys['run']}/"
    # By its identifier each is found by whoever sees it, and by nobody else.
    hidden = Delivery.objects.filter(shop=world.hidden).values_list("pk", flat=True)[:3]
    keys = (*hidden, world.keys["order"].pk, world.keys["document"].pk, world.keys["run"])
    yield from (f"/search/?q={text}" for text in (*keys, "evt-ordre", "hidden.example", "5785350"))


def shown_on(client: Client, url: str) -> str:
    """All that an address answers: the page or file, and where it leads."""
    answer = client.get(url)
    assert answer.status_code < 500, url
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[arg-type,attr-defined]
    place = answer.headers.get("Location", "")
    # The way back after a log-in repeats the address itself.
    place = "" if url in unquote(place) else place
    return unescape(body.decode(errors="replace")) + unquote(place)


def marks_on(client: Client, urls: list[str], marks: tuple[str, ...]) -> dict[str, str]:
    """The marks that stand somewhere, each with the first address that shows it."""
    found: dict[str, str] = {}
    for url in urls:
        asked = unquote(url)
        text = shown_on(client, url)
        for mark in marks:
            # What stands in the address may be repeated; what was not asked for may not appear.
            if mark in text and mark not in asked and mark not in found:
                found[mark] = url
    return found


@pytest.mark.parametrize("name", READERS)
def test_a_reader_finds_nothing_that_is_hidden_from_them(
    name: str, world: World, client_for: Callable[..., Client]
) -> None:
    fields, marks = READERS[name]
    client = client_for(reader(world, **fields), fresh=True)
    assert marks_on(client, pages(world), marks) == {}


def test_an_administrator_finds_every_mark(world: World, client_for: Callable[..., Client]) -> None:
    """What the other test searches for is really there, on pages that it opens."""
    client = client_for(UserFactory(company=world.company), fresh=True)
    marks = (*SHOP_MARKS, *ACCOUNT_MARKS, *TOKEN_MARKS)
    assert set(marks_on(client, pages(world), marks)) == set(marks)
