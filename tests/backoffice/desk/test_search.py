"""One field finds what a caller reads out; who may look at little finds little."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from companies.models import Company, User
from notifications.mail import emails
from notifications.models import AddressHealth, Attempt, Delivery
from shops.models import PaymentOrder, Shop
from tests import factories

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
SEARCH = "/admin/search/"


@pytest.fixture
def staff(client_for: ClientFor) -> Client:
    return client_for(factories.StaffFactory())


@pytest.fixture
def paid(paris: Shop) -> Delivery:
    """The mail of a payment of an order, taken by a mail server."""
    factories.PaymentOrderFactory(shop=paris, reference="CMD-7")
    event = factories.EventFactory(
        shop=paris, event_id="evt-lu-7", data={"transaction_id": "9f3a1b", "order_id": "CMD-7", "amount": 500}
    )
    delivery = factories.DeliveryFactory(event=event, address="Buyer@Client.example", status="sent")
    Attempt.objects.create(
        delivery=delivery, number=1, started_at=timezone.now(), outcome="sent", code=250, queue_id="4XbQ2k1Zz"
    )
    return delivery


def found(client: Client, text: str) -> set[str]:
    """The pages that the hits of a search lead to, without the site's prefix."""
    answer = client.get(SEARCH, {"q": text})
    assert answer.status_code == 200
    return {hit.url.removeprefix("/admin/") for group in answer.context["groups"] for hit in group.hits}


def page(obj: Any) -> str:
    return f"{obj._meta.app_label}/{obj._meta.model_name}/{obj.pk}/change/"


@pytest.mark.parametrize(
    "of",
    [
        "key", "message_id", "queue_id", "event_id", "transaction", "order", "address", "address_start", "page",
    ],
)  # fmt: skip
def test_a_delivery_is_found_by_each_of_its_identifiers(staff: Client, paid: Delivery, of: str) -> None:
    text = {
        "key": str(paid.pk),
        "message_id": emails.message_id(paid),
        "queue_id": "4XbQ2k1Zz",
        "event_id": "evt-lu-7",
        "transaction": "9f3a1b",
        "order": "CMD-7",
        "address": "buyer@CLIENT.example",
        "address_start": "buyer@",
        "page": f"https://bo.example/notifications/journal/{paid.pk}/",
    }[of]
    hits = found(staff, f"  {text} ")
    assert page(paid) in hits
    others = {hit for hit in hits if hit.startswith("notifications/delivery/")} - {page(paid)}
    assert others == set()


def test_a_payment_leads_to_its_order_and_its_event(staff: Client, paid: Delivery) -> None:
    order = PaymentOrder.objects.get()
    assert {page(order), page(paid.event), page(paid)} == found(staff, "9f3a1b")
    assert found(staff, "CMD-7") == found(staff, "9f3a1b")
    assert found(staff, "CMD-") == set()


def test_companies_shops_and_accounts_are_found_by_what_people_call_them(
    staff: Client, paris: Shop, claire: User
) -> None:
    company = paris.company
    assert page(company) in found(staff, "lumiere") & found(staff, "Maison")
    assert found(staff, "1000000") == found(staff, "10000001") == {page(paris)}
    assert found(staff, "CLAIRE") == found(staff, "morel") == {page(claire)}
    health = AddressHealth.objects.create(company=company, normalised_address="claire@lumiere.example")
    assert found(staff, "claire@lumiere.example") == {
        page(claire), page(health), "support/addresses/?q=claire%40lumiere.example",
    }  # fmt: skip


def test_who_may_look_at_little_finds_only_that(client_for: ClientFor, paid: Delivery, claire: User) -> None:
    def reader(*codes: str) -> Client:
        user = factories.StaffFactory(is_superuser=False)
        user.user_permissions.set(Permission.objects.filter(codename__in=codes))
        return client_for(user)

    assert found(reader("view_event"), "9f3a1b") == {page(paid.event)}
    assert found(reader("view_user"), "claire") == {page(claire)}
    nothing = reader()
    for text in ("9f3a1b", "claire", "lumiere", str(paid.pk), "buyer@client.example"):
        assert found(nothing, text) == set()
    text = nothing.get(SEARCH, {"q": "claire"}).content.decode()
    assert "Rien de ce que vous pouvez consulter" in text


def test_merchants_do_not_reach_it(client_for: ClientFor, claire: User) -> None:
    assert client_for(claire).get(SEARCH, {"q": "claire"}, follow=True).status_code == 403


@pytest.mark.parametrize("text", ["", " ", "\0", "<>", "@", "a@b@c", "x" * 5000, "%_'\"", "-" * 36, "é" * 300])
def test_odd_words_find_nothing_and_break_nothing(staff: Client, paid: Delivery, text: str) -> None:
    assert found(staff, text) == set()


def test_a_search_costs_the_same_however_much_there_is(staff: Client, company: Company) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            staff.get(SEARCH, {"q": "destinataire@lumiere.example"})
            staff.get(SEARCH, {"q": "CMD-9"})
        return len(captured)

    def rows(number: int) -> None:
        shop = factories.ShopFactory(company=company)
        for _count in range(number):
            event = factories.EventFactory(shop=shop, data={"order_id": "CMD-9"})
            factories.DeliveryFactory(event=event, address="destinataire@lumiere.example")
            factories.PaymentOrderFactory(shop=shop, reference="CMD-9")

    rows(2)
    few = statements()
    rows(12)
    assert statements() == few
    answer = staff.get(SEARCH, {"q": "CMD-9"})
    assert {len(group.hits) for group in answer.context["groups"]} == {10}
    assert "Tous les voir" in staff.get(SEARCH, {"q": "destinataire@lumiere.example"}).content.decode()


def test_every_staff_page_has_the_field(staff: Client) -> None:
    for url in ("/admin/", "/admin/companies/company/", "/admin/sending/", SEARCH):
        text = staff.get(url).content.decode()
        assert text.count('action="/admin/search/"') == 1, url
