"""The buyer's pages of a payment order: what they say, the simulator, and the way a problem takes."""

import re
import subprocess
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from backoffice.base import ratelimit
from companies.audit import Actor
from notifications.models import Delivery, Event
from shops.models import PaymentOrder, Shop
from shops.orders import public, services
from tests.factories import PaymentOrderFactory, UserFactory
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db
ACTOR = Actor("Claire Morel")
TYPED = {"name": "Jeanne Roy", "email": "jeanne@acheteur.example", "message": "Le montant est faux.", "website": ""}


@pytest.fixture
def order(shop: Shop) -> PaymentOrder:
    return PaymentOrderFactory(shop=shop, reference="CMD-7")


def page(order: PaymentOrder, end: str = "", client: Client | None = None) -> Any:
    return (client or Client()).get(f"/orders/{order.token}/{end}")


def hidden(response: Any, name: str = "form") -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', response.content.decode())
    assert found
    return unescape(found[1])


def report(order: PaymentOrder, *, wait: int = 10, client: Client | None = None, **changes: str) -> Any:
    """Open the form, take `wait` seconds to fill it in, send it."""
    client = client or Client()
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        form = hidden(page(order, "problem/", client))
    with time_machine.travel(now + timedelta(seconds=wait), tick=False):
        return client.post(f"/orders/{order.token}/problem/", {**TYPED, "form": form, **changes})


# --- The page -------------------------------------------------------------------------------------


def test_the_page_says_what_is_asked_by_whom_until_when_and_whom_to_contact(order: PaymentOrder) -> None:
    response = page(order)
    text = response.content.decode()
    assert response.status_code == 200
    for fact in ("Lumière Paris", "49,90", "CMD-7", "paris@", f"{order.valid_until.day} "):
        assert fact in text
    assert "jeanne@" not in text, "whoever holds the link does not learn the buyer's address"
    # The link is the key to the order: the shop's site that it links to does not learn of it.
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response.headers or "sessionid" not in response.headers["Set-Cookie"]


@pytest.mark.parametrize("address", ["x", "x" * 43, "%00", "..%2f..%2f", "é"])
def test_an_unknown_order_is_a_plain_404(order: PaymentOrder, address: str) -> None:
    plain = Client().get("/nothing-here/")
    for end in ("", "problem/", "problem/done/"):
        response = Client().get(f"/orders/{address}/{end}")
        assert (response.status_code, response.content) == (404, plain.content)


def test_the_language_is_the_orders_until_the_buyer_switches(shop: Shop) -> None:
    order = PaymentOrderFactory(shop=shop, language="en")
    response = page(order)
    assert response.headers["Content-Language"] == "en"
    assert b'<html lang="en">' in response.content and b"Report a problem" in response.content
    switched = page(order, "?lang=fr")
    assert switched.headers["Content-Language"] == "fr"
    assert b"Signaler un probl" in switched.content
    assert f"/orders/{order.token}/problem/?lang=fr" in switched.content.decode(), "the choice stays on the way"
    assert page(order, "?lang=de").headers["Content-Language"] == "en"


def test_a_logged_in_merchant_sees_what_the_buyer_sees(order: PaymentOrder, client_for: Callable[..., Client]) -> None:
    client = client_for(UserFactory(company=order.shop.company))
    assert b"side-menu" not in page(order, client=client).content


@pytest.mark.parametrize(
    ("state", "status", "says"),
    [
        ("expired", 410, "a expiré"),
        ("cancelled", 410, "plus valable"),
        ("finalised", 200, "est payé"),
    ],
)
def test_an_order_that_cannot_be_paid_says_why_and_offers_no_payment(
    shop: Shop, state: str, status: int, says: str
) -> None:
    order = PaymentOrderFactory(shop=shop, mode="TEST", status=state, finalised_at=timezone.now())
    if state == "expired":
        PaymentOrder.objects.update(expires_at=timezone.now() - timedelta(seconds=1), status="in_progress")
    response = page(order)
    text = response.content.decode()
    assert response.status_code == status
    assert says in text and "Simulateur" not in text
    assert "Signaler un problème" in text


def test_a_production_order_says_honestly_where_payment_happens_and_has_no_simulator(order: PaymentOrder) -> None:
    text = page(order).content.decode()
    assert "page de paiement de la plateforme" in text and "/pay/" not in text


@pytest.mark.parametrize("whose", ["shop", "company"])
def test_a_suspended_shop_takes_neither_payments_nor_messages_and_says_so(shop: Shop, whose: str) -> None:
    order = PaymentOrderFactory(shop=shop, mode="TEST")
    form = hidden(page(order))
    target = shop if whose == "shop" else shop.company
    target.status = "suspended"
    target.save()
    assert b"/pay/" not in page(order).content
    Client().post(f"/orders/{order.token}/pay/", {"form": form, "result": "accepted"})
    assert PaymentOrder.objects.get().state == "in_progress"
    response = page(order, "problem/")
    assert b"<form" not in response.content and "paris@lumiere.example" in response.content.decode()


def test_opening_and_head_change_nothing(order: PaymentOrder) -> None:
    for end in ("", "problem/"):
        page(order, end)
        assert Client().head(f"/orders/{order.token}/{end}").status_code == 200
    assert not order.entries.exists() and not Event.objects.exists()


def test_the_pages_cost_a_constant_number_of_queries(order: PaymentOrder, django_assert_max_num_queries: Any) -> None:
    for end in ("", "problem/"):
        with django_assert_max_num_queries(4):
            page(order, end)


# --- The simulator --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "state", "says"),
    [
        ("accepted", "finalised", "est payé"),
        ("refused", "in_progress", "Paiement refusé (simulation)"),
        ("abandoned", "in_progress", "Paiement abandonné (simulation)"),
    ],
)
def test_the_simulator_gives_each_outcome_and_the_page_says_it(shop: Shop, result: str, state: str, says: str) -> None:
    order = PaymentOrderFactory(shop=shop, mode="TEST")
    client = Client()
    answer = client.post(f"/orders/{order.token}/pay/", {"form": hidden(page(order)), "result": result}, follow=True)
    assert says in answer.content.decode()
    assert PaymentOrder.objects.get().state == state
    assert [event.type for event in Event.objects.all()] == [f"payment.{result}"]


def test_a_form_of_the_simulator_pays_once_and_a_paid_link_says_so(shop: Shop) -> None:
    order = PaymentOrderFactory(shop=shop, mode="TEST")
    form, later = hidden(page(order)), hidden(page(order))
    for sent in (form, form, later):
        answer = Client().post(f"/orders/{order.token}/pay/", {"form": sent, "result": "accepted"}, follow=True)
        assert "est payé" in answer.content.decode()
    assert Event.objects.count() == 1


@pytest.mark.parametrize("form", ["", "x", "forged:signature:value", "other"])
def test_a_forged_or_foreign_form_pays_nothing(shop: Shop, form: str) -> None:
    order = PaymentOrderFactory(shop=shop, mode="TEST")
    if form == "other":
        form = hidden(page(PaymentOrderFactory(shop=shop, mode="TEST")))
    answer = Client().post(f"/orders/{order.token}/pay/", {"form": form, "result": "accepted"})
    assert answer.status_code == 302
    assert not Event.objects.exists()


@pytest.mark.parametrize("result", ["", "pending", "accepted "])
def test_only_the_three_outcomes_exist(shop: Shop, result: str) -> None:
    order = PaymentOrderFactory(shop=shop, mode="TEST")
    Client().post(f"/orders/{order.token}/pay/", {"form": hidden(page(order)), "result": result})
    assert not Event.objects.exists()


def test_a_result_in_the_address_alone_is_not_believed(shop: Shop) -> None:
    order = PaymentOrderFactory(shop=shop, mode="TEST")
    assert "simulation)" not in page(order, "?result=refused").content.decode()


def test_the_simulator_is_limited_per_order(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public, "SIMULATIONS_PER_ORDER", 2)
    order = PaymentOrderFactory(shop=shop, mode="TEST")
    answers = [
        Client().post(f"/orders/{order.token}/pay/", {"form": hidden(page(order)), "result": "refused"}).status_code
        for _time in range(3)
    ]
    assert answers == [302, 302, 429]
    assert Event.objects.count() == 2


# --- Reporting a problem --------------------------------------------------------------------------


def test_a_problem_is_acknowledged_with_a_number_and_stands_in_the_history(order: PaymentOrder) -> None:
    answer = report(order)
    assert answer.status_code == 302
    done = Client().get(answer.headers["Location"])
    number = re.search(r"P-[0-9A-F]{8}", done.content.decode())
    assert number and "part à la boutique" in done.content.decode()
    entry = order.entries.get()
    assert (entry.kind, entry.actor, entry.details["reference"]) == ("problem", "Jeanne Roy", number[0])
    delivery = Delivery.objects.get()
    assert (delivery.notification, delivery.address) == ("payment_order_problem", "paris@lumiere.example")
    assert delivery.message and delivery.message.reply_to == "jeanne@acheteur.example"
    english = Client().get(answer.headers["Location"] + "&lang=en")
    assert number[0] in english.content.decode() and b"on its way" in english.content


def test_a_replayed_form_is_acknowledged_again_and_sends_nothing(order: PaymentOrder) -> None:
    client, now = Client(), timezone.now()
    with time_machine.travel(now, tick=False):
        form = hidden(page(order, "problem/", client))
    answers = []
    for seconds in (10, 20, 30):
        with time_machine.travel(now + timedelta(seconds=seconds), tick=False):
            sent = client.post(f"/orders/{order.token}/problem/", {**TYPED, "form": form})
            answers.append(client.get(sent.headers["Location"]).content.decode())
    assert len({re.search(r"P-[0-9A-F]{8}", text)[0] for text in answers}) == 1  # type: ignore[index]
    assert Delivery.objects.count() == 1 and order.entries.count() == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"name": ""}, "Votre nom"),
        ({"email": "pas une adresse"}, "pas une adresse"),
        ({"email": "a@b.example; c@d.example"}, "une seule adresse"),
        ({"email": "a@b.example\r\nBcc: x@y.example"}, "Bcc"),
        ({"message": " "}, "Votre message"),
        ({"message": "x" * 3001}, "3000"),
        ({"name": "Eve\r\nBcc: x@y.example"}, "une ligne"),
        ({"message": "a\x00b"}, "Votre message"),
        ({"website": "https://spam.example"}, "invisible"),
    ],
)
def test_what_is_wrong_is_named_what_was_typed_is_kept_and_nothing_leaves(
    order: PaymentOrder, changes: dict[str, str], named: str
) -> None:
    response = report(order, **changes)
    text = response.content.decode()
    assert response.status_code == 200
    assert named in unescape(text)
    for name, value in {**TYPED, **changes}.items():
        if value.strip() and name != "message" and "\r" not in value:
            assert escape(value) in text, name
    assert not Event.objects.exists() and not order.entries.exists()


def test_a_form_filled_in_faster_than_a_person_can_comes_back_and_the_second_try_goes_through(
    order: PaymentOrder,
) -> None:
    first = report(order, wait=1)
    assert first.status_code == 200 and "trop vite" in first.content.decode()
    assert "Le montant est faux." in first.content.decode() and not Event.objects.exists()
    with time_machine.travel(timezone.now() + timedelta(seconds=20), tick=False):
        again = Client().post(f"/orders/{order.token}/problem/", {**TYPED, "form": hidden(first)})
    assert again.status_code == 302 and Event.objects.count() == 1


@pytest.mark.parametrize("form", ["", "forged", "another order"])
def test_a_form_that_is_not_ours_or_too_old_comes_back_with_what_was_typed(order: PaymentOrder, form: str) -> None:
    if form == "another order":
        form = hidden(page(PaymentOrderFactory(shop=order.shop), "problem/"))
    responses = [report(order, form=form), report(order, wait=25 * 3600)]
    for response in responses:
        assert response.status_code == 200
        assert "Le montant est faux." in response.content.decode()
    assert not Event.objects.exists()
    # The page that came back carries a form of its own.
    with time_machine.travel(timezone.now() + timedelta(seconds=20), tick=False):
        again = Client().post(f"/orders/{order.token}/problem/", {**TYPED, "form": hidden(responses[0])})
    assert again.status_code == 302


def test_messages_are_limited_per_order_and_what_was_typed_is_kept(order: PaymentOrder) -> None:
    answers = [report(order, REMOTE_ADDR=f"192.0.2.{number}") for number in range(public.PROBLEMS_PER_ORDER + 1)]
    assert [answer.status_code for answer in answers] == [302] * public.PROBLEMS_PER_ORDER + [429]
    last = answers[-1].content.decode()
    assert "Le montant est faux." in last and "paris@lumiere.example" in last
    assert answers[-1].headers["Retry-After"] == "3600"
    assert Event.objects.count() == public.PROBLEMS_PER_ORDER
    assert report(PaymentOrderFactory(shop=order.shop)).status_code == 302, "another order has its own count"


def test_messages_are_limited_per_address(shop: Shop) -> None:
    orders = [PaymentOrderFactory(shop=shop) for _number in range(public.PROBLEMS_PER_ADDRESS + 1)]
    answers = [report(order).status_code for order in orders]
    assert answers == [302] * public.PROBLEMS_PER_ADDRESS + [429]


def test_mistakes_do_not_count_towards_the_limit(order: PaymentOrder) -> None:
    for _time in range(public.PROBLEMS_PER_ORDER + 2):
        report(order, email="pas une adresse")
    assert report(order).status_code == 302


def test_the_acknowledgement_cannot_be_forged(order: PaymentOrder) -> None:
    location = report(order).headers["Location"]
    other = PaymentOrderFactory(shop=order.shop)
    for url in (
        f"/orders/{order.token}/problem/done/?report=P-00000000",
        location.replace(order.token, other.token),
    ):
        assert Client().get(url).status_code == 404


def test_without_a_manager_address_the_message_is_kept_and_the_page_does_not_promise(shop: Shop) -> None:
    shop.manager_email = ""
    shop.save()
    shop.company.contacts.all().delete()
    order = PaymentOrderFactory(shop=shop)
    done = Client().get(report(order).headers["Location"]).content.decode()
    assert "est enregistré" in done and "part à la boutique" not in done
    assert order.entries.get().details["told"] is False


# --- The limit, over processes --------------------------------------------------------------------

TAKE = """
import django; django.setup()
from backoffice.base import ratelimit
print(sum(ratelimit.allow("test", "somebody", limit=10, seconds=3600, clock=lambda: 1_800_000_000) for _ in range(8)))
"""


@pytest.mark.django_db(transaction=True)
def test_two_processes_share_the_places_of_a_limit(start_process: Callable[..., subprocess.Popen[str]]) -> None:
    # The suite's own cache is of one process; the product's is a table.
    assert start_process("manage.py", "createcachetable", DEBUG="true", REDIS_URL="").wait(timeout=PATIENCE) == 0
    processes = [start_process("-c", TAKE, DEBUG="true", REDIS_URL="") for _number in range(2)]
    taken = [int(process.communicate(timeout=PATIENCE)[0].strip().splitlines()[-1]) for process in processes]
    assert sum(taken) == 10, taken


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_a_visitor_is_an_address_or_a_whole_ipv6_network(address: str, expected: str) -> None:
    assert ratelimit.network_of(address) == expected


def test_a_limit_opens_again_in_the_next_window() -> None:
    def take(now: float) -> bool:
        return ratelimit.allow("test", "x", limit=2, seconds=60, clock=lambda: now)

    assert [take(now) for now in (0, 59, 59.9, 60)] == [True, True, False, True]
    assert ratelimit.allow("test", "y", limit=2, seconds=60, clock=lambda: 59)
    assert ratelimit.allow("other", "x", limit=2, seconds=60, clock=lambda: 59)


def test_a_report_of_two_processes_at_the_same_moment_is_one(order: PaymentOrder) -> None:
    values = {"order": order, "name": "J", "email": "j@acheteur.example", "message": "M", "nonce": "d" * 32}
    first = services.payment_order_report_problem(**values)
    assert services.problem_already_reported(order=order, nonce="d" * 32)
    assert services.payment_order_report_problem(**values).reference == first.reference
    assert Delivery.objects.count() == 1
