"""« Chercher partout »: what each text finds, for whom, at which cost, and the way to all of it."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from backoffice.site import search
from companies.models import Company, Membership, Role, User
from notifications.models import Attempt
from shops.models import Shop
from tests.factories import (
    BillingDocumentFactory,
    CompanyFactory,
    ContractFactory,
    DeliveryFactory,
    EventFactory,
    MessageFactory,
    NotificationRuleFactory,
    PaymentOrderFactory,
    SftpAccountFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


@pytest.fixture
def things(company: Company, claire: User, paris: Shop, lyon: Shop) -> dict[str, Any]:
    """One of each kind, in the shop in Paris."""
    event = EventFactory(
        shop=paris, event_id="evt-77120", data={"transaction_id": "trs9f31", "order_id": "CMD-26092", "amount": 100}
    )
    message = MessageFactory(event=event, subject="Paiement accepté")
    delivery = DeliveryFactory(event=event, message=message, address="acheteur@client.example", status="sent")
    Attempt.objects.create(
        delivery=delivery, number=1, started_at=delivery.created_at, outcome="sent", queue_id="4Q7nTz2k"
    )
    return {
        "delivery": delivery,
        "order": PaymentOrderFactory(
            shop=paris, reference="FC-2611", recipient="odile@client.example", transaction_id="aa55bb"
        ),
        "document": BillingDocumentFactory(shop=paris, number="F-2026-00042"),
        "rule": NotificationRuleFactory(shop=paris, reference="ma-regle", label="Prévenir la compta"),
        "call": NotificationRuleFactory(
            ipn=True, shop=paris, reference="fin", label="Fin", url_production="https://boutique.example/ipn"
        ),
        "contract": ContractFactory(shop=paris, number="5785350"),
        "sftp": SftpAccountFactory(company=company, login="depot-lumiere", email="archives@lumiere.example"),
    }


def groups_of(user: User, text: str) -> dict[str, list[str]]:
    """The labels found, by group."""
    membership = Membership.objects.get(user=user)
    return {group.code: [hit.label for hit in group.hits] for group in search.groups_for(membership, text)}


# text → group → label.
FINDS = {
    "acheteur@client": ("deliveries", "acheteur@client.example"),
    "evt-7712": ("events", "evt-77120"),
    "trs9f31": ("events", "evt-77120"),
    "CMD-26092": ("deliveries", "acheteur@client.example"),
    "4q7ntz2k": ("deliveries", "acheteur@client.example"),
    "Paiement accepté": ("deliveries", "acheteur@client.example"),
    "FC-26": ("orders", "FC-2611"),
    "odile": ("orders", "FC-2611"),
    "aa55bb": ("orders", "FC-2611"),
    "00042": ("billing", "F-2026-00042"),
    "compta": ("rules", "Prévenir la compta"),
    "ma-reg": ("rules", "Prévenir la compta"),
    "boutique.example/ipn": ("urls", "https://boutique.example/ipn"),
    "57853": ("contracts", "5785350"),
    "depot": ("sftp", "depot-lumiere"),
    "morel": ("users", "claire"),
    "hugo@": ("addresses", "hugo@agence.example"),
    "PARIS@": ("addresses", "paris@lumiere.example"),
    "archives": ("addresses", "archives@lumiere.example"),
    "lyon": ("shops", "Lumière Lyon"),
    "1000000": ("shops", "Lumière Paris"),
    "règles de": ("pages", "Règles de notifications"),
}


def test_each_thing_is_found_by_what_people_have_of_it(things: dict[str, Any], claire: User) -> None:
    missing = {text for text, (group, label) in FINDS.items() if label not in groups_of(claire, text).get(group, [])}
    assert missing == set()
    delivery = things["delivery"]
    for text in (str(delivery.pk), f"<{delivery.pk}@backoffice.example>", str(delivery.pk).upper()):
        assert groups_of(claire, text) == {"deliveries": [delivery.address]}
    assert groups_of(claire, str(things["order"].pk)) == {"orders": ["FC-2611"]}
    assert groups_of(claire, str(things["document"].pk)) == {"billing": ["F-2026-00042"]}


def test_the_list_behind_tout_voir_holds_what_was_found(
    things: dict[str, Any], claire: User, client_for: ClientFor
) -> None:
    membership, client = Membership.objects.get(user=claire), client_for(claire)
    delivery = things["delivery"]
    opened = set()
    for text in ("trs9f31", f"<{delivery.pk}@x.example>", str(things["order"].pk), "00042", "boutique.example", "lumi"):
        for group in search.groups_for(membership, text):
            page = re.sub(r"<wbr>|<[^>]*>", "", unescape(client.get(group.url).content.decode()))
            # An event has no row of its own: the journal shows what it led to.
            labels = [delivery.address] if group.code == "events" else [hit.label for hit in group.hits]
            assert any(label in page for label in labels), (text, group.url)
            opened.add(group.code)
    assert opened >= {"addresses", "shops", "urls", "orders", "billing", "users", "sftp", "deliveries", "events"}


def test_nothing_of_another_company_or_shop_is_found(things: dict[str, Any], lyon: Shop) -> None:
    """`tests/http/test_hidden_from_readers.py` asks as every kind of reader."""
    stranger = UserFactory(company=CompanyFactory(), role=Role.ADMINISTRATOR)
    of_lyon = UserFactory(company=lyon.company, role=Role.MANAGER, shops=[lyon])
    for text, (group, label) in FINDS.items():
        if group not in ("pages", "shops") and "hugo" not in text:
            assert label not in groups_of(of_lyon, text).get(group, []), text
    for text in (str(things["delivery"].pk), "lumi", "FC-26", "evt-7712"):
        assert groups_of(stranger, text) == {}
    assert groups_of(of_lyon, str(things["delivery"].pk)) == {}


def test_a_group_has_five_at_most_and_the_newest_first(claire: User, paris: Shop) -> None:
    for number in range(7):
        PaymentOrderFactory(shop=paris, reference=f"NOEL-{number}")
    group = next(one for one in search.groups_for(Membership.objects.get(user=claire), "NOEL") if one.code == "orders")
    assert [hit.label for hit in group.hits] == [f"NOEL-{number}" for number in (6, 5, 4, 3, 2)]
    assert group.has_more


def test_a_whole_identifier_opens_what_it_names(things: dict[str, Any], claire: User, client_for: ClientFor) -> None:
    client, delivery = client_for(claire), things["delivery"]
    answer = client.get(reverse("search"), {"q": f" <{delivery.pk}@x.example> "})
    assert answer.headers["Location"] == reverse("delivery", args=[delivery.pk])
    assert client.get(reverse("search"), {"q": "FC-26"}).status_code == 200, "a part of a reference is no identifier"


def test_the_page_says_the_same_without_scripts(things: dict[str, Any], claire: User, client_for: ClientFor) -> None:
    client = client_for(claire)
    page = unescape(client.get(reverse("search"), {"q": "lumi"}).content.decode())
    for label in ("Adresses contactées", "Boutiques", "Utilisateurs"):
        assert f">{label}</h2>" in page
    assert 'href="/settings/shops/?q=lumi"' in page
    at_once = client.get(reverse("search"), {"q": "lumi"}, headers={"HX-Request": "true"})
    assert "<html" not in at_once.content.decode()
    assert "HX-Request" in at_once.headers["Vary"]
    assert "Rien ne correspond à « zzz »" in unescape(client.get(reverse("search"), {"q": "zzz"}).content.decode())
    assert "Encore un caractère" in unescape(client.get(reverse("search"), {"q": "z"}).content.decode())


@pytest.mark.parametrize("text", ["%00", "%", "_", "'", "<script>", "a" * 5000, "\U0010ffff", "@", "é", "1e999", "\\"])
def test_any_text_may_be_asked_for(text: str, things: dict[str, Any], claire: User, client_for: ClientFor) -> None:
    answer = client_for(claire).get(f"{reverse('search')}?q={text}")
    assert answer.status_code == 200
    assert b"<script>" not in answer.content


def test_lately_asked_texts_are_a_users_own(claire: User, paul: User, company: Company, client_for: ClientFor) -> None:
    client = client_for(claire)
    for text in ("cla", "clai", "claire", "pa", "paul", "rien de tel", "lumi"):
        client.get(reverse("search"), {"q": text}, headers={"HX-Request": "true"})
    mine = Membership.objects.get(user=claire)
    assert list(search.recent(mine)) == ["lumi", "paul", "claire"], (
        "what led to a word gives way, what is not there is not kept"
    )
    assert "claire" in client.get(reverse("search"), headers={"HX-Request": "true"}).content.decode()
    assert list(search.recent(Membership.objects.get(user=paul))) == []
