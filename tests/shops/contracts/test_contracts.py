"""Contracts of a shop, and 3D Secure under Paramétrage > Société > Authentification."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from companies.audit import Actor
from companies.models import AuditEntry, Role, User
from notifications.models import Delivery, Event
from notifications.worker import loop
from shops import services
from shops.models import Contract, Shop
from tests.factories import (
    ContractFactory,
    EventFactory,
    NotificationRuleFactory,
    ShopFactory,
    StaffFactory,
    UserFactory,
)
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
ACTOR = Actor("Claire Morel")
AUTHENTICATION = "/settings/company/authentication/"


def url(shop: Shop, *rest: object) -> str:
    return "/".join([f"/settings/shops/{shop.site_id}/contracts", *map(str, rest)]) + "/"


def text(response: Any) -> str:
    return response.content.decode().replace("&#x27;", "'")


# --- Contracts of a shop --------------------------------------------------------------------------


def test_a_contract_is_added_corrected_and_removed(client_for: ClientFor, shop: Shop, paul: User) -> None:
    client = client_for(paul)
    assert "Aucun contrat associé" in text(client.get(url(shop)))
    said = text(client.post(url(shop, "new"), {"number": " 5785350 ", "network": "cb"}, follow=True))
    assert "Le contrat 5785350 (CB) est associé à la boutique." in said
    contract = Contract.objects.get()
    said = text(client.post(url(shop, contract.pk), {"number": "5785351", "network": "VISA"}, follow=True))
    assert "Le contrat 5785351 (VISA) est enregistré." in said
    assert "Rien n'a changé" in text(
        client.post(url(shop, contract.pk), {"number": "5785351", "network": "VISA"}, follow=True)
    )
    asked = text(client.get(url(shop, contract.pk, "remove")))
    assert "5785351 (VISA) n'est plus associé à la boutique Lumière Paris" in asked and Contract.objects.exists()
    client.post(url(shop, contract.pk, "remove"))
    assert not Contract.objects.exists()
    told = AuditEntry.objects.filter(object_type="contract").order_by("pk")
    assert [(entry.action, entry.changes) for entry in told] == [
        ("contract.created", {"number": [None, "5785350"], "network": [None, "CB"]}),
        ("contract.updated", {"number": ["5785350", "5785351"], "network": ["CB", "VISA"]}),
        ("contract.deleted", {"number": ["5785351", None], "network": ["VISA", None]}),
    ]
    assert not Event.objects.exists()


def test_a_twin_is_refused_by_name_and_the_text_kept(client_for: ClientFor, shop: Shop, paul: User) -> None:
    ContractFactory(shop=shop, number="5785350")
    other = ContractFactory(shop=shop, number="5785351")
    ContractFactory(number="5785352")
    client = client_for(paul)
    for path in (url(shop, "new"), url(shop, other.pk)):
        said = text(client.post(path, {"number": "5785350", "network": "CB"}))
        assert "La boutique a déjà le contrat 5785350 sur le réseau CB." in said and 'value="5785350"' in said
    assert client.post(url(shop, "new"), {"number": "5785352", "network": "CB"}).status_code == 302
    assert client.post(url(shop, "new"), {"number": "5785350", "network": "AMEX"}).status_code == 302


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        (lambda contract: EventFactory(shop=contract.shop, data={"contract": contract.number}), "Des paiements"),
        (lambda contract: Contract.objects.update(three_d_secure=True), "3D Secure y est activé"),
        (
            lambda contract: NotificationRuleFactory(
                shop=contract.shop,
                label="Grande règle",
                conditions=[{"variable": "contract", "operator": "in", "value": ["1", contract.number]}],
            ),
            "« Grande règle » le nomme",
        ),
    ],
)
def test_a_contract_in_use_stays_and_says_why(
    client_for: ClientFor, shop: Shop, paul: User, use: Callable[[Contract], Any], reason: str
) -> None:
    contract = ContractFactory(shop=shop, number="5785350")
    EventFactory(shop=shop, data={"contract": "5785351"})
    EventFactory(data={"contract": "5785350"})
    use(contract)
    client = client_for(paul)
    assert reason in text(client.get(url(shop, contract.pk, "remove"), follow=True))
    assert reason in text(client.post(url(shop, contract.pk, "remove"), follow=True))
    assert Contract.objects.filter(pk=contract.pk).exists()


def test_with_3d_secure_the_number_stays_for_merchants_but_not_for_staff(
    client_for: ClientFor, shop: Shop, paul: User
) -> None:
    contract = ContractFactory(shop=shop, number="5785350", three_d_secure=True)
    said = text(client_for(paul).post(url(shop, contract.pk), {"number": "1", "network": "CB"}))
    assert "son numéro et son réseau ne changent plus" in said
    assert Contract.objects.get().number == "5785350"
    services.contract_update(contract=contract, actor=Actor("Équipe", StaffFactory()), number="1", network="CB")
    assert Contract.objects.get().number == "1"


def test_viewers_look_and_strangers_find_nothing(client_for: ClientFor, shop: Shop) -> None:
    contract = ContractFactory(shop=shop)
    viewer = client_for(UserFactory(company=shop.company, role=Role.VIEWER))
    page = text(viewer.get(url(shop)))
    assert contract.number in page and "Associer un contrat" not in page and "/remove/" not in page
    for path in (url(shop, "new"), url(shop, contract.pk), url(shop, contract.pk, "remove")):
        assert viewer.post(path, {"number": "9", "network": "CB"}).status_code == 403, path
    elsewhere = ShopFactory(company=shop.company)
    restricted = client_for(UserFactory(company=shop.company, role=Role.MANAGER, shops=[elsewhere]))
    for client in (client_for(UserFactory()), restricted):
        assert client.get(url(shop)).status_code == 404
        assert client.post(url(shop, contract.pk, "remove")).status_code == 404
    # The contract of one shop is not found under another.
    assert restricted.post(url(elsewhere, contract.pk, "remove")).status_code == 404
    assert Contract.objects.filter(pk=contract.pk).exists()


# --- 3D Secure ------------------------------------------------------------------------------------


def activation(contract: Contract) -> str:
    return f"{AUTHENTICATION}{contract.pk}/activate/"


def test_the_page_lists_the_contracts_of_the_shops_one_covers(client_for: ClientFor, shop: Shop, paul: User) -> None:
    ContractFactory(shop=shop, number="5785350")
    ContractFactory(shop=ShopFactory(company=shop.company, name="Lyon"), number="9412077", network="SEPA")
    ContractFactory(number="1111111")
    client = client_for(paul)
    page = text(client.get(AUTHENTICATION)).split("<tbody>")[1]
    assert "5785350" in page and "9412077" in page and "1111111" not in page
    assert "Sans objet" in page and page.count("/activate/") == 1
    restricted = client_for(UserFactory(company=shop.company, shops=[shop]))
    assert "9412077" not in text(restricted.get(AUTHENTICATION))
    viewer = client_for(UserFactory(company=shop.company, role=Role.VIEWER))
    assert "/activate/" not in text(viewer.get(AUTHENTICATION))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "5785"}, ["5785350", "5785351"]),
        ({"q": "Lyon"}, ["9412077"]),
        ({"network": "SEPA"}, ["9412077"]),
        ({"secure": "yes"}, ["5785351"]),
        ({"secure": "no", "network": "CB"}, ["5785350"]),
        ({"secure": "peut-être"}, ["5785350", "5785351", "9412077"]),
        ({"sort": "-number"}, ["9412077", "5785351", "5785350"]),
        ({"q": "rien"}, []),
    ],
)
def test_search_filters_and_csv_agree(
    client_for: ClientFor, shop: Shop, paul: User, query: dict[str, str], found: list[str]
) -> None:
    ContractFactory(shop=shop, number="5785350")
    ContractFactory(shop=shop, number="5785351", three_d_secure=True)
    ContractFactory(shop=ShopFactory(company=shop.company, name="Lyon"), number="9412077", network="SEPA")
    client = client_for(paul)
    assert [contract.number for contract, _may in client.get(AUTHENTICATION, query).context["rows"]] == found
    answer = client.get(AUTHENTICATION, {**query, "format": "csv", "plain": "1"})
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "number,network,site_id,shop,three_d_secure"
    assert [line.split(",")[0] for line in lines[1:]] == found


def test_a_shops_name_in_the_csv_is_no_formula(client_for: ClientFor, paul: User, shop: Shop) -> None:
    Shop.objects.update(name="=1+1")
    ContractFactory(shop=shop)
    answer = client_for(paul).get(AUTHENTICATION, {"format": "csv", "plain": "1"})
    assert ",'=1+1,false" in b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]


@pytest.mark.django_db(transaction=True)
def test_activation_asks_tells_the_shop_manager_alone_and_never_goes_back(
    client_for: ClientFor, shop: Shop, paul: User, smtp_server: SmtpServer
) -> None:
    contract = ContractFactory(shop=shop, number="5785350")
    client = client_for(paul)
    asked = text(client.get(activation(contract)))
    assert "Vous ne pourrez pas revenir en arrière" in asked and not Contract.objects.get().three_d_secure
    said = text(client.post(activation(contract), follow=True))
    assert "Le 3D Secure est activé sur le contrat 5785350 (CB)" in said and "/activate/" not in said
    assert "déjà activé" in text(client.post(activation(contract), follow=True))
    assert "déjà activé" in text(client.get(activation(contract), follow=True))
    loop.deliver_until_idle()
    assert [mail.rcpt_tos for mail in smtp_server.received] == [("paris@lumiere.example",)]
    mail = smtp_server.received[0]
    assert mail.message["Subject"] == "3D Secure activé : Lumière Paris" and mail.message["Cc"] is None
    assert "5785350" in mail.text and f"http://localhost:8000{AUTHENTICATION}" in mail.text
    entry = AuditEntry.objects.get(action="contract.updated")
    assert (entry.actor, entry.changes) == (paul, {"three_d_secure": [False, True]})


def test_a_viewer_and_a_stranger_do_not_activate(client_for: ClientFor, shop: Shop) -> None:
    contract = ContractFactory(shop=shop)
    assert client_for(UserFactory(company=shop.company, role=Role.VIEWER)).post(activation(contract)).status_code == 403
    assert client_for(UserFactory()).post(activation(contract)).status_code == 404
    assert not Contract.objects.get().three_d_secure


def test_a_direct_debit_contract_has_no_3d_secure(client_for: ClientFor, shop: Shop, paul: User) -> None:
    contract = ContractFactory(shop=shop, network="SEPA")
    assert "ne concerne pas le réseau SEPA" in text(client_for(paul).post(activation(contract), follow=True))
    assert not Contract.objects.get().three_d_secure and not Event.objects.exists()
    with pytest.raises(ValidationError):
        services.three_d_secure_activate(contract=contract, actor=ACTOR)


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_activate_once_and_write_one_mail(shop: Shop) -> None:
    contract = ContractFactory(shop=shop)
    start, results = threading.Barrier(4), []

    def click() -> None:
        mine = Contract.objects.select_related("shop__company").get(pk=contract.pk)
        start.wait()
        results.append(services.three_d_secure_activate(contract=mine, actor=ACTOR))
        connection.close()

    threads = [threading.Thread(target=click) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, False, False, True]
    assert Delivery.objects.filter(notification="three_d_secure_activated").count() == 1


def test_staff_switch_it_off_in_the_admin_and_the_history_says_so(client_for: ClientFor, shop: Shop) -> None:
    contract = ContractFactory(shop=shop, three_d_secure=True)
    staff = client_for(StaffFactory())
    path = f"/admin/shops/shop/{shop.pk}/change/"
    data = {name: value or "" for name, value in staff.get(path).context["adminform"].form.initial.items()}
    data |= {
        "contracts-TOTAL_FORMS": "1",
        "contracts-INITIAL_FORMS": "1",
        "contracts-0-id": str(contract.pk),
        "contracts-0-shop": str(shop.pk),
        "contracts-0-number": contract.number,
        "contracts-0-network": contract.network,
    }
    assert staff.post(path, data).status_code == 302
    assert not Contract.objects.get().three_d_secure
    assert AuditEntry.objects.get(action="contract.updated").changes == {"three_d_secure": [True, False]}
    assert not Delivery.objects.exists()


def test_the_number_of_queries_does_not_grow_with_the_contracts(client_for: ClientFor, shop: Shop, paul: User) -> None:
    client, counts = client_for(paul), []
    ShopFactory(company=shop.company)
    for more in (2, 40):
        for _number in range(more):
            ContractFactory(shop=ShopFactory(company=shop.company) if more == 40 else shop)
        with CaptureQueriesContext(connection) as queries:
            for path in (AUTHENTICATION, url(shop), url(shop, "new")):
                assert client.get(path).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
