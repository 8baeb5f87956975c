"""Opening a shop: by an administrator of the company and by staff, who is told, and what is left to do."""

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from companies.models import AuditEntry, Membership, Role, User
from notifications import settings_facts
from notifications.models import AddressHealth, Delivery, NotificationRule
from notifications.tables import effects
from notifications.worker import loop
from shops import services
from shops.models import Shop, ShopKey
from tests.factories import CompanyFactory, NotificationRuleFactory, ShopFactory, StaffFactory, UserFactory
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
NEW = "/settings/shops/new/"


@pytest.fixture(autouse=True)
def _has_a_shop(paris: Shop) -> None:
    pass


def text(response: Any) -> str:
    return response.content.decode().replace("&#x27;", "'")


def test_the_page_shows_the_identifier_that_the_shop_will_have(client_for: ClientFor, claire: User) -> None:
    page = client_for(claire).get(NEW)
    assert f"<strong>{page.context['form']['site_id'].value().partition(':')[0]}</strong>" in text(page)


def filled(client: Client, **changed: str) -> dict[str, str]:
    """The form as its page holds it, with a name."""
    signed = client.get(NEW).context["form"]["site_id"].value()
    return {
        "name": "Lumière Nice",
        "url": "",
        "language": "fr",
        "manager_email": "",
        "contracts": "",
        "site_id": signed,
        **changed,
    }


def test_a_shop_is_opened_with_rules_key_and_contracts_and_shows_what_is_left(
    client_for: ClientFor, claire: User
) -> None:
    client = client_for(claire)
    data = filled(client, url="https://nice.lumiere.example", contracts="5785350 cb\n\n 9412077  SEPA \n")
    proposed = data["site_id"].partition(":")[0]
    assert re.fullmatch(r"[1-9][0-9]{7}", proposed)
    answer = client.post(NEW, data)
    assert answer.headers["Location"] == f"/settings/shops/{proposed}/configuration/"
    shop = Shop.objects.get(site_id=proposed)
    assert (shop.company, shop.name, shop.manager_email) == (claire.company, "Lumière Nice", "")
    assert [(one.number, one.network) for one in shop.contracts.all()] == [("5785350", "CB"), ("9412077", "SEPA")]
    assert NotificationRule.objects.filter(shop=shop).count() == 20
    assert [key.kind for key in ShopKey.objects.filter(shop=shop)] == ["test"]
    said = text(client.get(answer.headers["Location"]))
    assert "La boutique Lumière Nice est créée ; un e-mail l'annonce à claire@lumiere.example." in said
    steps = re.findall(r"<li>\s*<span class=\"status status-(\w+)\">", said.split("steps-title")[-1])
    assert steps == ["ok", "ok", "wait", "wait", "wait", "wait"]
    assert AuditEntry.objects.get(action="shop.created").actor == claire


def test_a_form_sent_twice_opens_one_shop(client_for: ClientFor, claire: User) -> None:
    client = client_for(claire)
    data = filled(client)
    first, second = client.post(NEW, data), client.post(NEW, data)
    assert first.headers["Location"] == second.headers["Location"]
    assert Shop.objects.filter(name="Lumière Nice").count() == 1
    assert Delivery.objects.filter(notification="shop_created").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_form_sent_twice_at_once_opens_one_shop(client_for: ClientFor, claire: User) -> None:
    clients = [client_for(claire) for _number in range(3)]
    data, start, places = filled(clients[0]), threading.Barrier(3), []

    def send(client: Client) -> None:
        start.wait()
        places.append(client.post(NEW, data).headers.get("Location"))
        connection.close()

    threads = [threading.Thread(target=send, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shop = Shop.objects.get(name="Lumière Nice")
    assert places == [f"/settings/shops/{shop.site_id}/configuration/"] * 3
    assert Delivery.objects.filter(notification="shop_created").count() == 1


@pytest.mark.parametrize("site_id", ["", "12345678", "12345678:1abc:forged"])
def test_nobody_chooses_the_identifier(client_for: ClientFor, claire: User, site_id: str) -> None:
    client = client_for(claire)
    answer = client.post(NEW, filled(client, site_id=site_id))
    assert not Shop.objects.filter(site_id="12345678").exists()
    if answer.status_code == 302:
        assert Shop.objects.filter(name="Lumière Nice").count() == 1


def test_an_identifier_signed_for_another_company_is_not_taken(client_for: ClientFor, claire: User) -> None:
    other = filled(client_for(UserFactory()))
    client = client_for(claire)
    client.post(NEW, other)
    assert not Shop.objects.filter(site_id=other["site_id"].partition(":")[0]).exists()


def test_an_identifier_taken_meanwhile_is_an_error_beside_a_fresh_one(client_for: ClientFor, claire: User) -> None:
    client = client_for(claire)
    data = filled(client)
    ShopFactory(site_id=data["site_id"].partition(":")[0])
    answer = client.post(NEW, data)
    assert answer.status_code == 200 and 'value="Lumière Nice"' in text(answer)
    taken, fresh = data["site_id"].partition(":")[0], answer.context["form"]["site_id"].value()
    assert f"L'identifiant {taken} vient d'être pris : en voici un autre." in text(answer)
    assert not Shop.objects.filter(name="Lumière Nice").exists()
    assert client.post(NEW, {**data, "site_id": fresh}).status_code == 302
    assert Shop.objects.get(name="Lumière Nice").site_id == fresh.partition(":")[0] != taken


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": ""}, "Ce champ est obligatoire"),
        ({"url": "pas une url"}, "URL valide"),
        ({"manager_email": "a@x.example; b@x.example"}, "une seule adresse"),
        ({"contracts": "5785350"}, "« 5785350 » : indiquez le numéro du contrat puis son réseau."),
        ({"contracts": "1 CB\n1 cb"}, "Le contrat 1 (CB) est indiqué deux fois."),
        ({"contracts": "1" * 41 + " CB"}, "dépasse 40 caractères"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(
    client_for: ClientFor, claire: User, changed: dict[str, str], message: str
) -> None:
    client = client_for(claire)
    said = text(client.post(NEW, filled(client, **changed)))
    assert message in said
    for value in changed.values():
        assert value.splitlines()[0] in said if value else True
    assert Shop.objects.count() == 1 and not Delivery.objects.exists()


def test_only_administrators_open_shops(client_for: ClientFor, claire: User) -> None:
    for role in (Role.VIEWER, Role.MANAGER):
        client = client_for(UserFactory(company=claire.company, role=role))
        assert client.post(NEW, {"name": "x"}).status_code == 403
        assert "Créer une boutique" not in text(client.get("/settings/shops/10000001/configuration/"))


def test_a_company_that_is_not_active_opens_none(client_for: ClientFor, claire: User) -> None:
    client = client_for(claire)
    data = filled(client)
    assert claire.company is not None
    type(claire.company).objects.update(status="suspended")
    assert "elle ne peut pas ouvrir de boutique" in text(client.post(NEW, data))
    assert Shop.objects.count() == 1


def test_an_administrator_of_some_shops_gets_the_new_one_as_well(client_for: ClientFor) -> None:
    company = CompanyFactory()
    mine = ShopFactory(company=company)
    ShopFactory(company=company)
    admin = UserFactory(company=company, shops=[mine])
    client = client_for(admin)
    answer = client.post(NEW, filled(client))
    new = Shop.objects.get(name="Lumière Nice")
    assert set(Membership.objects.get(user=admin).shops.all()) == {mine, new}
    assert client.get(answer.headers["Location"]).status_code == 200
    told = AuditEntry.objects.get(action="user.updated").changes
    assert told == {"shops": [mine.site_id, f"{mine.site_id}, {new.site_id}"]}


def test_the_panel_answers_for_the_address_with_the_new_shop(client_for: ClientFor, claire: User) -> None:
    client = client_for(claire)
    said = re.sub("<[^>]+>", "", text(client.get(NEW, {"preview": "manager", "manager_email": "nice@lumiere.example"})))
    assert "nice@lumiere.example" in said
    for line in ("Création de la boutique", "E-mail envoyé au marchand", "Échec d'un appel URL de notification"):
        assert line in said
    assert "Rapport de consistance" not in said
    bad = text(client.get(NEW, {"preview": "manager", "manager_email": "nice@@x"}))
    assert "nice@@x" in bad and not Shop.objects.filter(name="Nouvelle boutique").exists()
    assert "claire@" in text(client.get(NEW, {"preview": "manager", "manager_email": ""}))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("contact", "own", "recipients", "cc"),
    [
        ("claire@lumiere.example", "", ["claire@lumiere.example"], None),
        ("claire@lumiere.example", "CLAIRE@lumiere.EXAMPLE", ["claire@lumiere.example"], None),
        ("claire@lumière.example", "claire@xn--lumire-6ua.example", ["claire@xn--lumire-6ua.example"], None),
        (
            "claire@lumiere.example",
            "nice@lumiere.example",
            ["claire@lumiere.example", "nice@lumiere.example"],
            "claire@lumiere.example",
        ),
    ],
)
def test_the_copy_of_the_mail_depends_on_the_address(
    client_for: ClientFor,
    claire: User,
    smtp_server: SmtpServer,
    contact: str,
    own: str,
    recipients: list[str],
    cc: str | None,
) -> None:
    assert claire.company is not None
    claire.company.contacts.update(email=contact)
    client = client_for(claire)
    assert client.post(NEW, filled(client, manager_email=own)).status_code == 302
    loop.deliver_until_idle()
    assert sorted(mail.rcpt_tos[0].lower() for mail in smtp_server.received) == recipients
    assert {mail.message["Cc"] for mail in smtp_server.received} == {cc}
    shop = Shop.objects.get(name="Lumière Nice")
    for mail in smtp_server.received:
        assert mail.message["Subject"] == "Votre boutique Lumière Nice est créée"
        assert shop.site_id in mail.text and f"/settings/shops/{shop.site_id}/configuration/" in mail.text


def test_staff_get_a_free_identifier_and_announce_the_shop_the_same_way(client_for: ClientFor, claire: User) -> None:
    staff = client_for(StaffFactory())
    form = staff.get("/admin/shops/shop/add/").context["adminform"].form
    site_id = form.initial["site_id"]
    assert re.fullmatch(r"[1-9][0-9]{7}", site_id)
    data = {
        "company": str(claire.company_id),
        "site_id": site_id,
        "name": "Lumière Nice",
        "url": "",
        "language": "fr",
        "manager_email": "nice@lumiere.example",
        "status": "active",
        "algorithm_test": "HMAC-SHA-256",
        "algorithm_production": "HMAC-SHA-256",
    }
    assert staff.post("/admin/shops/shop/add/", data).status_code == 302
    told = Delivery.objects.filter(notification="shop_created").order_by("-as_field")
    assert list(told.values_list("address", "as_field")) == [
        ("nice@lumiere.example", "to"),
        ("claire@lumiere.example", "cc"),
    ]
    assert NotificationRule.objects.filter(shop__site_id=site_id).count() == 20


def test_drawn_identifiers_avoid_the_taken_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    ShopFactory(site_id="10000000")
    draws = iter([0, 0, 5])
    monkeypatch.setattr(services.secrets, "randbelow", lambda limit: next(draws))
    assert services.free_site_id() == "10000005"


def test_the_steps_leave_once_everything_is_done(client_for: ClientFor, claire: User) -> None:
    shop = Shop.objects.get()
    url = f"/settings/shops/{shop.site_id}/configuration/"
    client = client_for(claire)
    assert "Prochaines étapes" in text(client.get(url))
    NotificationRuleFactory(shop=shop, reference="ipn-end", ipn=True)
    shop.contracts.create(number="1", network="CB")
    services.key_save(shop=shop, kind="production", value="x" * 16, actor=services.Actor("provision"))
    assert "Prochaines étapes" not in text(client.get(url))


def test_the_selector_keeps_the_tab_and_refuses_strangers(client_for: ClientFor, claire: User) -> None:
    ShopFactory(company=claire.company, site_id="10000002")
    client = client_for(claire)
    for tab in ("configuration", "keys", "contracts"):
        answer = client.get("/settings/shops/", {"shop": "10000002", "tab": tab})
        assert answer.headers["Location"] == f"/settings/shops/10000002/{tab}/"
        page = text(client.get(answer.headers["Location"]))
        assert 'aria-current="page"' in page.split("shop-tabs")[1]
    assert client.get("/settings/shops/", {"shop": ShopFactory().site_id}).status_code == 404
    assert client.get("/settings/shops/keys/").status_code == 200
    assert "/settings/shops/10000002/contracts/" in text(client.get("/settings/shops/contracts/"))


# --- What it changes ------------------------------------------------------------------------------


def test_the_panel_tells_what_opening_the_shop_does_and_only_of_this_shop(client_for: ClientFor, claire: User) -> None:
    client = client_for(claire)
    data = filled(client, manager_email="nice@lumiere.example")
    panel = client.post(f"{NEW}?part=effect", data, headers={"hx-request": "true"})
    told = panel.context["effect"]
    assert "<form" not in text(panel) and not Shop.objects.filter(name="Lumière Nice").exists()
    step = client.post(NEW, {**data, "show_effect": "1"})
    assert step.context["effect"] == told and not Shop.objects.filter(name="Lumière Nice").exists()
    assert 'value="nice@lumiere.example"' in text(step)

    before = settings_facts.company_facts(claire.company, shops=[], accounts=False)
    client.post(NEW, data)
    shop = Shop.objects.get(name="Lumière Nice")
    after = settings_facts.company_facts(claire.company, shops=[shop], accounts=False)
    assert told == effects.compared(before, after)
    assert [item.email for item in told.addresses] == ["claire@lumiere.example", "nice@lumiere.example"]
    assert all(line.shops == ("Lumière Nice",) for item in told.addresses for line in item.gained)


def test_a_new_shop_that_would_tell_nobody_asks_first(client_for: ClientFor, claire: User) -> None:
    AddressHealth.objects.create(company=claire.company, normalised_address="nice@lumiere.example", state="suppressed")
    client = client_for(claire)
    data = filled(client, manager_email="nice@lumiere.example")
    panel = client.post(f"{NEW}?part=effect", data, headers={"hx-request": "true"})
    assert "Échec d'un appel URL de notification" in text(panel)
    asked = client.post(NEW, data)
    assert not Shop.objects.filter(name="Lumière Nice").exists()
    stamp = re.search(r'name="confirmed_gaps" value="(\w+)"', text(asked))
    assert stamp and 'value="nice@lumiere.example"' in text(asked)
    answer = client.post(NEW, {**data, "confirmed_gaps": stamp[1]})
    shop = Shop.objects.get(name="Lumière Nice")
    assert answer.headers["Location"] == f"/settings/shops/{shop.site_id}/configuration/"
    assert AuditEntry.objects.get(action="gap.confirmed").actor == claire
