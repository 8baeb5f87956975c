"""Paramétrage > Boutique > Configuration."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from companies.models import AuditEntry, Role, User
from notifications import settings_facts
from notifications.core import resolver
from notifications.core.facts import CompanyFacts, ShopFacts
from notifications.tables import impact
from notifications.tables.compute import delivery_tables
from shops.models import Shop
from tests.factories import NotificationRuleFactory, ShopFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


def url(shop: Shop) -> str:
    return f"/settings/shops/{shop.site_id}/configuration/"


def form(shop: Shop, **changed: str) -> dict[str, str]:
    version = str(Shop.objects.get(pk=shop.pk).version)
    return {"name": shop.name, "url": "", "language": "fr", "manager_email": "", "version": version, **changed}


def text(response: Any) -> str:
    return response.content.decode().replace("&#x27;", "'")


def test_an_inherited_address_is_plain_and_own_one_reversible(client_for: ClientFor, lyon: Shop, paul: User) -> None:
    client = client_for(paul)
    assert 'placeholder="hérité du Contact gestionnaire : claire@lumiere.example"' in text(client.get(url(lyon)))
    said = text(client.post(url(lyon), form(lyon, manager_email="paris@lumiere.example"), follow=True))
    assert "Modifié : E-mail gestionnaire." in said and "Reprendre l'adresse du Contact gestionnaire" in said
    lyon.refresh_from_db()
    assert lyon.manager_email == "paris@lumiere.example"
    client.post(url(lyon), form(lyon, manager_email="paris@lumiere.example", inherit="1"))
    lyon.refresh_from_db()
    assert lyon.manager_email == ""
    assert AuditEntry.objects.filter(action="shop.updated", actor=paul).count() == 2


def test_several_addresses_are_refused_by_name_and_kept(client_for: ClientFor, lyon: Shop, paul: User) -> None:
    said = text(client_for(paul).post(url(lyon), form(lyon, manager_email="a@x.example; b@x.example")))
    assert "ce champ contient une seule adresse" in said and 'value="a@x.example; b@x.example"' in said
    assert not AuditEntry.objects.exists()


def test_a_stale_version_keeps_the_text(client_for: ClientFor, lyon: Shop, paul: User) -> None:
    client, old = client_for(paul), form(lyon, name="Autre nom")
    client.post(url(lyon), form(lyon, name="Premier"))
    said = text(client.post(url(lyon), old))
    assert "modifiées par quelqu'un d'autre" in said and 'value="Autre nom"' in said
    lyon.refresh_from_db()
    assert lyon.name == "Premier"


def test_a_viewer_reads_only_and_strangers_find_nothing(client_for: ClientFor, lyon: Shop, paul: User) -> None:
    viewer = client_for(UserFactory(company=lyon.company, role=Role.VIEWER))
    assert viewer.get(url(lyon)).status_code == 200
    assert viewer.post(url(lyon), form(lyon)).status_code == 403
    assert client_for(paul).get(url(ShopFactory())).status_code == 404


def test_the_panel_answers_for_the_text_typed(client_for: ClientFor, lyon: Shop, paul: User) -> None:
    said = text(client_for(paul).get(url(lyon), {"preview": "manager", "manager_email": "neuf@x.example"}))
    assert "neuf@x.example" in re.sub("<[^>]+>", "", said) and "Activation du 3D Secure" in said


def test_one_shop_is_chosen_at_once_and_several_are_searched(client_for: ClientFor, lyon: Shop, paul: User) -> None:
    client = client_for(paul)
    assert client.get("/settings/shops/").headers["Location"] == url(lyon)
    ShopFactory(company=lyon.company, name="Brest")
    assert "Brest" not in text(client.get("/settings/shops/", {"q": "Lyon"})).split("<tbody>")[1]


def test_the_state_of_the_end_of_payment_url_and_a_closed_shop_show(
    client_for: ClientFor, lyon: Shop, paul: User
) -> None:
    NotificationRuleFactory(shop=lyon, ipn=True, reference="ipn-end", url_test="", url_production="")
    Shop.objects.filter(pk=lyon.pk).update(status="closed")
    said = text(client_for(paul).get(url(lyon)))
    assert "URL non définie" in said and "est fermée" in said


def test_the_number_of_queries_is_the_same_for_5_and_60_shops(client_for: ClientFor, lyon: Shop, paul: User) -> None:
    client, counts = client_for(paul), []
    for more in (4, 55):
        ShopFactory.create_batch(more, company=lyon.company)
        with CaptureQueriesContext(connection) as queries:
            for path in (url(lyon), "/settings/shops/", "/settings/company/", "/settings/notification-rules/"):
                assert client.get(path).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def _with_many_shops(shop: Shop) -> None:
    """500 shops with their own addresses; a rule of the third one writes to the address of the first."""
    names = range(500)
    more = Shop.objects.bulk_create(
        Shop(
            company=shop.company,
            site_id=f"{20_000_000 + n}",
            name=f"Boutique {n}",
            manager_email=f"b{n}@lumiere.example",
        )
        for n in names
    )
    NotificationRuleFactory(shop=more[2], recipients=["@shop_manager", "B0@lumiere.example"])


def test_saving_one_shop_of_500_resolves_that_shop(
    client_for: ClientFor, lyon: Shop, paul: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_many_shops(lyon)
    resolved: set[str] = set()
    resolve = resolver._resolve_shop

    def noted(company: CompanyFacts, shop: ShopFacts, *arguments: Any) -> None:
        resolved.add(shop.site_id)
        resolve(company, shop, *arguments)

    monkeypatch.setattr(resolver, "_resolve_shop", noted)
    client, first = client_for(paul), Shop.objects.get(site_id="20000000")

    response = client.post(url(first), form(first, manager_email="b7@lumiere.example"))
    assert response.status_code == 302 and resolved == {"20000000"}

    resolved.clear()
    said = text(client.get(url(first)))
    # Those that write to the address shown, by whichever setting.
    assert resolved == {"20000000", "20000007"}
    assert "vers <a" in said and "b7@lumiere.example" in said and "b0@lumiere.example" in said

    resolved.clear()
    client.get(url(first), {"preview": "manager", "manager_email": "b0@lumiere.example"})
    assert resolved == {"20000000", "20000002"}


def test_the_panel_of_some_shops_is_that_of_all(shop: Shop) -> None:
    _with_many_shops(shop)
    Shop.objects.filter(site_id__gte="20000005").delete()
    facts = settings_facts.company_facts(shop.company)
    whole = delivery_tables(facts)
    configured = [email for email, _names in resolver.roles(facts).values()]
    for email in [*configured, "personne@x.example", "rien"]:
        assert impact.panels(facts, [email]) == [impact.panel(whole, email)]
