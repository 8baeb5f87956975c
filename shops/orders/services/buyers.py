"""What a buyer does with an order: report a problem, pay it."""

import secrets
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from notifications.events.publishing import Particulars, publish
from notifications.models import Delivery, Event
from shops.models import PaymentOrder
from shops.orders.services.parts import Kind, lock, must_be_active, note, summary

RESULT_OF_EVENT: dict[str, str] = {
    "payment.accepted": PaymentOrder.Result.ACCEPTED,
    "payment.refused": PaymentOrder.Result.REFUSED,
    "payment.abandoned": PaymentOrder.Result.ABANDONED,
}


@dataclass(frozen=True)
class Report:
    """What became of a reported problem.

    Attributes:
        reference: what the buyer may quote; the same for a form that is sent twice.
        told: whether the message is on its way to somebody.
        repeated: True when this form had been taken before; nothing was sent again.
    """

    reference: str
    told: bool
    repeated: bool


def payment_order_report_problem(*, order: PaymentOrder, name: str, email: str, message: str, nonce: str) -> Report:
    """Pass a buyer's message on to the shop manager, with Reply-To the buyer, once per `nonce`.

    Args:
        nonce: the identity of the form that was filled in, made by us.
    """
    event_id = f"problem-{nonce}"
    reference = f"P-{nonce[:8].upper()}"
    known = Event.objects.filter(company_id=order.shop.company_id, event_id=event_id).first()
    if known is None:
        try:
            with transaction.atomic():
                event = publish(
                    type="payment_order.problem",
                    company=order.shop.company,
                    shop=order.shop,
                    data={
                        **summary(order),
                        "problem": reference,
                        "buyer_name": name,
                        "buyer_email": email,
                        "message": message,
                    },
                    particulars=Particulars(mode=order.mode, event_id=event_id),
                )
                told = event.deliveries.filter(status__in=Delivery.OPEN).exists()
                details: dict[str, Any] = {
                    "reference": reference,
                    "name": name,
                    "email": email,
                    "message": message,
                    "told": told,
                }
                note(order, Kind.PROBLEM, name, event_id=event_id, **details)
            return Report(reference, told, repeated=False)
        except IntegrityError:
            # The same form came in twice at the same moment.
            known = Event.objects.get(company_id=order.shop.company_id, event_id=event_id)
    return Report(reference, known.deliveries.exists(), repeated=True)


def problem_already_reported(*, order: PaymentOrder, nonce: str) -> bool:
    """Whether the form of that nonce was taken before."""
    return Event.objects.filter(company_id=order.shop.company_id, event_id=f"problem-{nonce}").exists()


def payment_order_simulate(*, order: PaymentOrder, result: str, nonce: str) -> PaymentOrder:
    """A payment of the TEST simulator, published as the platform would: rules fire, an accepted one
    finalises the order. Once per `nonce`.

    Raises ValidationError when the order is not one that can be paid in TEST mode.
    """
    types = {value: key for key, value in RESULT_OF_EVENT.items()}
    with transaction.atomic():
        locked = lock(order)
        if Event.objects.filter(company_id=locked.shop.company_id, event_id=f"simulation-{nonce}").exists():
            return locked
        if locked.mode != "TEST" or locked.state != PaymentOrder.Status.IN_PROGRESS:
            raise ValidationError(_("Cet ordre de paiement ne peut pas être payé."))
        must_be_active(locked.shop)
        publish(
            type=types[result],
            company=locked.shop.company,
            shop=locked.shop,
            data={
                "source": locked.source,
                "order_id": locked.reference,
                "payment_order": locked.token,
                "transaction_id": secrets.token_hex(3),
                "amount": locked.amount,
                "currency": locked.currency,
                "network": "CB",
                "instalments": False,
                **({"buyer_email": locked.recipient} if locked.recipient else {}),
            },
            particulars=Particulars(mode="TEST", event_id=f"simulation-{nonce}"),
        )
    return PaymentOrder.objects.select_related("shop__company").get(pk=order.pk)


def payment_event_recorded(event: Event) -> None:
    """Follow the payments of orders: an accepted one finalises, the others are noted.

    Applies to events of source PAYMENT_ORDER or DCF that name the order by `payment_order` (its token) or
    by `order_id` (its reference), whoever published them. A payment that arrives after expiry or
    cancellation counts: the money is there.
    """
    result = RESULT_OF_EVENT.get(event.type)
    if result is None or event.shop is None or event.data.get("source") not in PaymentOrder.Origin.values:
        return
    order = _order_of(event)
    if order is None:
        return
    order = lock(order)
    transaction_id = str(event.data.get("transaction_id") or "")[:64]
    details = {
        name: event.data[name]
        for name in ("amount", "currency", "transaction_id", "network", "reason")
        if event.data.get(name) is not None
    }
    note(order, Kind(result), _("Acheteur"), event_id=event.event_id, at=event.occurred_at, **details)
    if order.status == PaymentOrder.Status.FINALISED:
        return
    order.last_result = result
    order.transaction_id = transaction_id
    if result == PaymentOrder.Result.ACCEPTED:
        order.status = PaymentOrder.Status.FINALISED
        order.finalised_at = event.occurred_at
        order.send_at = None
    order.version += 1
    order.save()


def _order_of(event: Event) -> PaymentOrder | None:
    """The order a payment belongs to: by token, else by reference; where several orders have that,
    one that is open and asks the same amount comes first, then the newest."""
    mine = PaymentOrder.objects.filter(shop=event.shop, mode=event.mode)
    token, reference = event.data.get("payment_order"), event.data.get("order_id")
    if isinstance(token, str) and token:
        by_token = mine.filter(token=token).first()
        if by_token is not None:
            return by_token
    if not isinstance(reference, str) or not reference:
        return None
    paid = (event.data.get("amount"), event.data.get("currency"))
    candidates = list(mine.filter(reference=reference).order_by("-created_at", "-pk")[:50])
    open_ones = [order for order in candidates if order.status in PaymentOrder.OPEN]
    exact = [order for order in open_ones if (order.amount, order.currency) == paid]
    return next(iter([*exact, *open_ones, *candidates]), None)
