"""Payments of an order, and the problem that its buyer reports."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError

from notifications.events.intake import validate_event
from notifications.events.publishing import accept_event
from notifications.models import Delivery, Event
from notifications.worker import loop
from shops.models import PaymentOrder, Shop
from shops.orders import services
from tests.factories import NotificationRuleFactory, PaymentOrderFactory, ShopFactory
from tests.shops.orders.acting import ACTOR, create, headers, kinds, reread, sends
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db


# --- Payments -------------------------------------------------------------------------------------


def payment(shop: Shop, kind: str = "payment.accepted", **data: Any) -> Event:
    body = {
        "id": f"evt-{Event.objects.count()}",
        "type": kind,
        "site_id": shop.site_id,
        "mode": data.pop("mode", "PRODUCTION"),
        "occurred_at": "2026-11-24T10:00:00Z",
        "data": {"source": "PAYMENT_ORDER", "transaction_id": "a1b2c3", "amount": 24900, "currency": "EUR", **data},
    }
    return accept_event(valid=validate_event(body))[1]


@pytest.mark.parametrize("by", ["token", "reference"])
def test_an_accepted_payment_from_the_platform_finalises_the_order(shop: Shop, by: str) -> None:
    order, other = create(shop)[0], create(shop, reference="CMD-42")[0]
    payment(shop, **({"payment_order": order.token} if by == "token" else {"order_id": "CMD-41"}))
    found = reread(order)
    assert (found.state, found.transaction_id, found.last_result) == ("finalised", "a1b2c3", "accepted")
    assert found.finalised_at == datetime(2026, 11, 24, 10, tzinfo=ZoneInfo("UTC"))
    assert reread(other).state == "in_progress"
    assert kinds(order) == ["created", "sent", "accepted"]
    for act in (services.payment_order_cancel, services.payment_order_resend, services.payment_order_reactivate):
        with pytest.raises(ValidationError):
            act(order=order, actor=ACTOR)


@pytest.mark.parametrize(
    "data",
    [
        {"order_id": "CMD-41", "source": "FORM"},
        {"order_id": "CMD-41", "mode": "TEST"},
        {"order_id": "CMD-4"},
        {"payment_order": ["CMD-41"]},
        {"payment_order": "x" * 43},
        {},
    ],
)
def test_payments_that_are_not_of_this_order_leave_it_alone(shop: Shop, data: dict[str, Any]) -> None:
    order = create(shop)[0]
    payment(shop, **data)
    assert reread(order).state == "in_progress"
    assert kinds(order) == ["created", "sent"]


def test_another_shop_cannot_pay_an_order_by_its_token(shop: Shop) -> None:
    order = create(shop)[0]
    payment(ShopFactory(company=shop.company), payment_order=order.token)
    assert reread(order).state == "in_progress"


def test_of_two_orders_with_one_reference_the_open_one_with_that_amount_is_paid(shop: Shop) -> None:
    paid, same, newer = create(shop)[0], create(shop)[0], create(shop, amount=100)[0]
    PaymentOrder.objects.filter(pk=paid.pk).update(status="finalised")
    payment(shop, order_id="CMD-41")
    assert [reread(order).status for order in (paid, same, newer)] == ["finalised", "finalised", "in_progress"]


@pytest.mark.parametrize(("kind", "result"), [("payment.refused", "refused"), ("payment.abandoned", "abandoned")])
def test_a_refused_or_abandoned_payment_is_noted_and_the_order_stays_open(shop: Shop, kind: str, result: str) -> None:
    order = create(shop)[0]
    payment(shop, kind, order_id="CMD-41")
    found = reread(order)
    assert (found.state, found.last_result) == ("in_progress", result)
    assert kinds(order) == ["created", "sent", result]


def test_money_that_arrives_after_expiry_or_cancellation_still_finalises(shop: Shop) -> None:
    order = create(shop)[0]
    services.payment_order_cancel(order=order, actor=ACTOR)
    payment(shop, order_id="CMD-41")
    assert reread(order).state == "finalised"


@sends
def test_the_simulator_publishes_real_events_that_fire_rules_once_per_form(shop: Shop, smtp_server: SmtpServer) -> None:
    NotificationRuleFactory(shop=shop, triggers=["payment.accepted"], recipients=["compta@lumiere.example"])
    order = create(shop, mode="TEST", channel="url", recipients=[])[0]
    services.payment_order_simulate(order=order, result="refused", nonce="1" * 32)
    assert reread(order).state == "in_progress"
    for _twice in range(2):
        services.payment_order_simulate(order=order, result="accepted", nonce="2" * 32)
    loop.deliver_until_idle()
    assert [str(mail.message["To"]) for mail in smtp_server.received] == ["compta@lumiere.example"]
    event = Event.objects.get(type="payment.accepted")
    assert (event.mode, event.data["source"], event.data["order_id"]) == ("TEST", "PAYMENT_ORDER", "CMD-41")
    assert (event.data["amount"], event.data["currency"]) == (24900, "EUR")
    assert reread(order).state == "finalised"
    with pytest.raises(ValidationError):
        services.payment_order_simulate(order=order, result="accepted", nonce="3" * 32)


def test_a_production_order_is_never_paid_by_the_simulator(shop: Shop) -> None:
    order = create(shop)[0]
    with pytest.raises(ValidationError):
        services.payment_order_simulate(order=order, result="accepted", nonce="1" * 32)
    assert reread(order).state == "in_progress"


# --- A buyer's problem ----------------------------------------------------------------------------


@sends
def test_a_problem_reaches_the_shop_manager_who_answers_the_buyer(shop: Shop, smtp_server: SmtpServer) -> None:
    order = PaymentOrderFactory(shop=shop, reference="CMD-9", language="en")
    report = services.payment_order_report_problem(
        order=order,
        name="Jeanne Roy",
        email="jeanne@acheteur.example",
        message="Le montant est faux.\nMerci de vérifier.",
        nonce="4f1d7a90" + "0" * 24,
    )
    loop.deliver_until_idle()
    assert (report.reference, report.told, report.repeated) == ("P-4F1D7A90", True, False)
    mail = smtp_server.received[0]
    assert headers(mail) == ("payment_order_problem", "paris@lumiere.example", "", "jeanne@acheteur.example")
    assert mail.message["Content-Language"] == "fr"
    assert "CMD-9" in mail.message["Subject"]
    for line in ("Le montant est faux.", "Merci de vérifier.", "Jeanne Roy", "P-4F1D7A90"):
        assert line in mail.text
    entry = order.entries.get()
    assert (entry.kind, entry.details["message"]) == ("problem", "Le montant est faux.\nMerci de vérifier.")


def test_the_same_form_twice_is_one_problem(shop: Shop) -> None:
    order = PaymentOrderFactory(shop=shop)
    values = {"order": order, "name": "J", "email": "j@acheteur.example", "nonce": "b" * 32}
    first = services.payment_order_report_problem(message="Un", **values)
    again = services.payment_order_report_problem(message="Deux", **values)
    assert (again.reference, again.told, again.repeated) == (first.reference, True, True)
    assert Delivery.objects.count() == 1 and order.entries.count() == 1


@sends
def test_what_a_buyer_types_stays_text(shop: Shop, smtp_server: SmtpServer) -> None:
    order = PaymentOrderFactory(shop=shop)
    hostile = "<script>alert(1)</script>\r\nBcc: victime@ailleurs.example\r\n\r\n%%LINK%% %%REASON%% <img src=x>"
    services.payment_order_report_problem(
        order=order,
        name='Eve <b>"\N{RIGHT-TO-LEFT OVERRIDE}',
        email="eve@acheteur.example",
        message=hostile,
        nonce="c" * 32,
    )
    loop.deliver_until_idle()
    mail = smtp_server.received[0]
    assert mail.rcpt_tos == ("paris@lumiere.example",)
    assert mail.message["Bcc"] is None and not mail.message.defects
    assert "<script>" not in mail.html and "<img" not in mail.html and "<b>" not in mail.html
    assert "&lt;script&gt;" in mail.html
    assert "%%LINK%%" not in mail.text and mail.text.count("Vous recevez ce message") == 1
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in mail.text
