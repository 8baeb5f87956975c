"""Sentences that were false in some state of the data."""

from collections.abc import Callable
from html import unescape

import pytest
from django.test import Client

from companies.audit import Actor
from companies.models import Contact, Role
from notifications.core.catalogue import RuleType
from notifications.models import Delivery
from notifications.rules.wizard import STEPS
from shops import services as shop_services
from tests.factories import (
    CompanyFactory,
    ContactFactory,
    DeliveryFactory,
    EventFactory,
    NotificationRuleFactory,
    ShopFactory,
    UserFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
ClientFor = Callable[..., Client]
NOTHING = "ne reçoit aucun e-mail"


def shown(client: Client, url: str) -> str:
    return " ".join(unescape(client.get(url).content.decode()).split())


def test_nothing_reaches_a_technical_contact_as_such_only(client_for: ClientFor) -> None:
    company = CompanyFactory(manager__email="claire@lumiere.example")
    ContactFactory(company=company, kind=Contact.Kind.TECHNICAL, email="claire@lumiere.example")
    client = client_for(UserFactory(company=company, role=Role.ADMINISTRATOR))
    for url in (
        "/settings/company/",
        "/notifications/addresses/?address=claire@lumiere.example",
        "/settings/company/?preview=technical&technical-email=claire@lumiere.example",
    ):
        html = shown(client, url)
        for sentence in html.split(NOTHING)[:-1]:
            assert "En tant que Contact technique" in sentence[-120:], url


def test_the_empty_list_of_rules_counts_the_steps_of_the_wizard(client_for: ClientFor) -> None:
    shop = ShopFactory(site_id="20000001")
    client = client_for(UserFactory(company=shop.company, role=Role.ADMINISTRATOR))
    assert len(STEPS) == 3
    assert "en trois étapes" in shown(client, "/settings/notification-rules/?shop=20000001")


def test_a_pair_of_rules_is_remarked_on_once_in_the_list_and_on_each_page(client_for: ClientFor) -> None:
    shop = ShopFactory(site_id="20000001", manager_email="boutique@lumiere.example")
    for name in ("un", "deux"):
        NotificationRuleFactory(
            shop=shop,
            type=RuleType.MERCHANT_EMAIL,
            reference=name,
            label=f"Règle {name}",
            triggers=["payment.accepted"],
        )
    client = client_for(UserFactory(company=shop.company, role=Role.ADMINISTRATOR))
    html = shown(client, "/settings/notification-rules/?shop=20000001")
    assert html.count("reçoit deux e-mails pour") == 1
    assert "1 remarque sur ces règles" in html
    for name, other in (("un", "deux"), ("deux", "un")):
        page = shown(client, f"/settings/notification-rules/20000001/{name}/")
        assert f"celui de la règle « Règle {other} »" in page.replace("\xa0", " "), name


def test_the_last_change_of_a_list_names_its_object(client_for: ClientFor) -> None:
    shop = ShopFactory(site_id="20000001")
    alice = Actor.command("provision")
    shop_services.contract_create(shop=shop, actor=alice, number="5785350", network="CB")
    client = client_for(UserFactory(company=shop.company, role=Role.ADMINISTRATOR))
    html = shown(client, "/settings/shops/20000001/contracts/")
    note = html.split("last-change")[1].split("</p>")[0]
    assert "modifié par Chargement d'un fichier" in note
    assert "5785350" in note
    assert "créé par" not in note


def test_the_keys_page_does_not_claim_a_change_of_something_else(client_for: ClientFor) -> None:
    shop = ShopFactory(site_id="20000001", name="Avant")
    shop_services.shop_update(shop=shop, actor=Actor("Alice Avant"), name="Après")
    client = client_for(UserFactory(company=shop.company, role=Role.ADMINISTRATOR), fresh=True)
    assert "Alice Avant" not in shown(client, "/settings/shops/20000001/keys/")
    shop.refresh_from_db()
    shop_services.shop_update(shop=shop, actor=Actor("Bruno Bien"), algorithm_test="SHA-1")
    assert "Bruno Bien" in shown(client, "/settings/shops/20000001/keys/")
    assert "Alice Avant" in shown(client, "/settings/shops/20000001/configuration/")


# --- Replay of many calls -------------------------------------------------------------------------

REPLAY = "/notifications/journal/replay/?channel=ipn"


@pytest.fixture
def calls() -> dict[str, Delivery]:
    shop = ShopFactory(site_id="20000001")
    rule = NotificationRuleFactory(
        shop=shop, type=RuleType.IPN_CALL, reference="r", url_production="https://neuf.example/ipn", recipients=[]
    )

    def call(**fields: object) -> Delivery:
        return DeliveryFactory(
            event=EventFactory(shop=shop, mode="PRODUCTION"), rule=rule, channel="ipn", notification="ipn_call",
            mode="PRODUCTION", message=None, **{"status": Delivery.Status.DEAD, **fields},
        )  # fmt: skip

    old = {"address": "https://ancien.example/ipn", "call": {"format": "form", "fields": {}}}
    return {
        "failed": call(**old),
        "without url": call(address="", status=Delivery.Status.NOT_SENT, error="NO_URL"),
        "test": call(**old, is_test=True),
        "manual": call(**old, is_manual=True),
        "running": call(**old, status=Delivery.Status.RETRY),
    }


def test_a_replay_says_before_what_goes_where_and_what_stays(calls: dict[str, Delivery], client_for: ClientFor) -> None:
    client = client_for(UserFactory(company=calls["failed"].company, role=Role.ADMINISTRATOR))
    html = shown(client, REPLAY)
    assert "L'URL d'origine de chaque appel : 1 appel" in html
    assert "L'URL actuelle de chaque règle : 2 appels" in html
    assert "https://ancien.example/ipn" in html and "https://neuf.example/ipn" in html
    assert "1 appel ne part pas" in html
    for told in ("1 essai d'une règle", "1 appel déjà fait à la demande", "1 appel encore en cours"):
        assert told in html
    client.post(REPLAY, {"url": "original"})
    assert Delivery.objects.filter(run__isnull=False, is_manual=True).count() == 1


def test_what_cannot_be_replayed_is_not_offered(calls: dict[str, Delivery], client_for: ClientFor) -> None:
    calls["failed"].delete()
    calls["without url"].rule.__class__.objects.update(url_production="")
    client = client_for(UserFactory(company=calls["test"].company, role=Role.ADMINISTRATOR))
    html = shown(client, REPLAY)
    assert "Rejouer</button>" not in html
    assert html.count("disabled") >= 2


def test_the_current_url_is_advised_only_where_there_is_one(calls: dict[str, Delivery], client_for: ClientFor) -> None:
    call = calls["without url"]
    client = client_for(UserFactory(company=call.company, role=Role.ADMINISTRATOR))
    one = f"/notifications/journal/{call.pk}/replay/"
    assert "choisissez l'URL actuelle" in shown(client, REPLAY) and "choisissez l'URL actuelle" in shown(client, one)
    assert call.rule
    call.rule.url_production = ""
    call.rule.save()
    for page in (shown(client, REPLAY), shown(client, one)):
        assert "Cet appel n'a pas d'URL d'origine." in page
        assert "choisissez l'URL actuelle" not in page
