"""Paramétrage > Boutique > Configuration."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from companies.models import AuditEntry, Role, User
from shops.models import Shop
from tests.factories import CompanyFactory, NotificationRuleFactory, ShopFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


@pytest.fixture
def shop() -> Shop:
    return ShopFactory(company=CompanyFactory(manager__email="claire@lumiere.example"), name="Lumière Paris")


@pytest.fixture
def user(shop: Shop) -> User:
    return UserFactory(company=shop.company, role=Role.MANAGER)


def url(shop: Shop) -> str:
    return f"/settings/shops/{shop.site_id}/configuration/"


def form(shop: Shop, **changed: str) -> dict[str, str]:
    version = str(Shop.objects.get(pk=shop.pk).version)
    return {"name": shop.name, "url": "", "language": "fr", "manager_email": "", "version": version, **changed}


def text(response: Any) -> str:
    return response.content.decode().replace("&#x27;", "'")


def test_an_inherited_address_is_plain_and_own_one_reversible(client_for: ClientFor, shop: Shop, user: User) -> None:
    client = client_for(user)
    assert 'placeholder="hérité du Contact gestionnaire : claire@lumiere.example"' in text(client.get(url(shop)))
    said = text(client.post(url(shop), form(shop, manager_email="paris@lumiere.example"), follow=True))
    assert "Modifié : E-mail gestionnaire." in said and "Reprendre l'adresse du Contact gestionnaire" in said
    shop.refresh_from_db()
    assert shop.manager_email == "paris@lumiere.example"
    client.post(url(shop), form(shop, manager_email="paris@lumiere.example", inherit="1"))
    shop.refresh_from_db()
    assert shop.manager_email == ""
    assert AuditEntry.objects.filter(action="shop.updated", actor=user).count() == 2


def test_several_addresses_are_refused_by_name_and_kept(client_for: ClientFor, shop: Shop, user: User) -> None:
    said = text(client_for(user).post(url(shop), form(shop, manager_email="a@x.example; b@x.example")))
    assert "ce champ contient une seule adresse" in said and 'value="a@x.example; b@x.example"' in said
    assert not AuditEntry.objects.exists()


def test_a_stale_version_keeps_the_text(client_for: ClientFor, shop: Shop, user: User) -> None:
    client, old = client_for(user), form(shop, name="Autre nom")
    client.post(url(shop), form(shop, name="Premier"))
    said = text(client.post(url(shop), old))
    assert "modifiées par quelqu'un d'autre" in said and 'value="Autre nom"' in said
    shop.refresh_from_db()
    assert shop.name == "Premier"


def test_a_viewer_reads_only_and_strangers_find_nothing(client_for: ClientFor, shop: Shop, user: User) -> None:
    viewer = client_for(UserFactory(company=shop.company, role=Role.VIEWER))
    assert viewer.get(url(shop)).status_code == 200
    assert viewer.post(url(shop), form(shop)).status_code == 403
    assert client_for(user).get(url(ShopFactory())).status_code == 404


def test_the_panel_answers_for_the_text_typed(client_for: ClientFor, shop: Shop, user: User) -> None:
    said = text(client_for(user).get(url(shop), {"preview": "manager", "manager_email": "neuf@x.example"}))
    assert "neuf@x.example" in re.sub("<[^>]+>", "", said) and "Activation du 3D Secure" in said


def test_one_shop_is_chosen_at_once_and_several_are_searched(client_for: ClientFor, shop: Shop, user: User) -> None:
    client = client_for(user)
    assert client.get("/settings/shops/").headers["Location"] == url(shop)
    ShopFactory(company=shop.company, name="Lyon")
    assert "Lyon" not in text(client.get("/settings/shops/", {"q": "Paris"})).split("<tbody>")[1]


def test_the_state_of_the_end_of_payment_url_and_a_closed_shop_show(
    client_for: ClientFor, shop: Shop, user: User
) -> None:
    NotificationRuleFactory(shop=shop, ipn=True, reference="ipn-end", url_test="", url_production="")
    Shop.objects.filter(pk=shop.pk).update(status="closed")
    said = text(client_for(user).get(url(shop)))
    assert "URL non définie" in said and "est fermée" in said


def test_the_number_of_queries_is_the_same_for_5_and_60_shops(client_for: ClientFor, shop: Shop, user: User) -> None:
    client, counts = client_for(user), []
    for more in (4, 55):
        ShopFactory.create_batch(more, company=shop.company)
        with CaptureQueriesContext(connection) as queries:
            for path in (url(shop), "/settings/shops/", "/settings/company/", "/settings/notification-rules/"):
                assert client.get(path).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
