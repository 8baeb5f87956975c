"""A closed shop is offered nowhere to go on with, and its pages give the closure as the reason."""

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client

from companies.models import Company, Status, User
from shops.models import Shop
from tests.factories import NotificationRuleFactory, ShopFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
OPEN, CLOSED = "10000001", "10000009"
ROLE = "votre rôle ne permet pas"


@pytest.fixture
def shops(company: Company) -> tuple[Shop, Shop, Shop]:
    return (
        ShopFactory(company=company, site_id=OPEN, name="Ouverte"),
        ShopFactory(company=company, site_id="10000002", name="Suspendue", status=Status.SUSPENDED),
        ShopFactory(company=company, site_id=CLOSED, name="Ancienne", status=Status.CLOSED),
    )


def text(response: Any) -> str:
    return unescape(response.content.decode())


def offered(page: str) -> set[str]:
    """The shops among the options and boxes of a page."""
    return {site_id for site_id in (OPEN, CLOSED) if f'value="{site_id}"' in page}


@pytest.mark.parametrize(
    "path",
    [
        "/payment-orders/new/",
        f"/payment-orders/templates/?shop={OPEN}",
        f"/settings/notification-rules/?shop={OPEN}",
        f"/settings/shops/{OPEN}/configuration/",
        f"/settings/shops/{OPEN}/keys/",
        f"/settings/shops/{OPEN}/contracts/",
        "/settings/company/users/new/",
    ],
)
@pytest.mark.usefixtures("shops")
def test_a_closed_shop_is_not_offered(client_for: ClientFor, claire: User, path: str) -> None:
    assert offered(text(client_for(claire, fresh=True).get(path))) == {OPEN}


@pytest.mark.usefixtures("shops")
def test_the_choice_of_a_shop_for_its_rules_or_keys_leaves_closed_ones_out(client_for: ClientFor, claire: User) -> None:
    client = client_for(claire, fresh=True)
    for path in ("/settings/notification-rules/", "/settings/shops/keys/"):
        page = text(client.get(path))
        assert OPEN in page and CLOSED not in page, path


def test_a_closed_shop_that_an_account_holds_can_be_taken_back(
    client_for: ClientFor, company: Company, claire: User, shops: tuple[Shop, Shop, Shop]
) -> None:
    other = UserFactory(company=company, role="viewer", shops=[shops[2]])
    assert CLOSED in offered(text(client_for(claire, fresh=True).get(f"/settings/company/users/{other.pk}/")))


@pytest.mark.usefixtures("shops")
@pytest.mark.parametrize(
    "path", ["configuration/", "contracts/", "data-form/", "data-form/texts/", "keys/", "contracts/new/"]
)
def test_a_page_of_a_closed_shop_gives_the_closure_as_the_reason(
    client_for: ClientFor, claire: User, path: str
) -> None:
    page = text(client_for(claire, fresh=True).get(f"/settings/shops/{CLOSED}/{path}"))
    assert "La boutique Ancienne est fermée" in page
    assert ROLE not in page.lower()


def test_a_rule_and_an_order_of_a_closed_shop_give_the_closure_as_the_reason(
    client_for: ClientFor, claire: User, shops: tuple[Shop, Shop, Shop]
) -> None:
    rule = NotificationRuleFactory(shop=shops[2], ipn=True, reference="appel")
    client = client_for(claire, fresh=True)
    for path in (
        f"/settings/notification-rules/{CLOSED}/{rule.reference}/",
        f"/payment-orders/new/?shop={CLOSED}",
        f"/payment-orders/templates/?shop={CLOSED}",
    ):
        page = text(client.get(path))
        assert "La boutique Ancienne est fermée" in page and ROLE not in page.lower(), path


@pytest.mark.parametrize("path", ["/payment-orders/new/", "/payment-orders/templates/", "/settings/shops/keys/"])
def test_where_every_shop_is_closed_the_closure_is_the_reason(
    client_for: ClientFor, company: Company, claire: User, path: str
) -> None:
    for _number in range(2):
        ShopFactory(company=company, status=Status.CLOSED)
    page = text(client_for(claire, fresh=True).get(path))
    assert "Vos boutiques sont fermées" in page and ROLE not in page.lower()
    Company.objects.filter(pk=company.pk).update(status=Status.CLOSED)
    page = text(client_for(claire, fresh=True).get(path))
    assert "La société Maison Lumière est fermée" in page and ROLE not in page.lower()
