"""What the worker's clock does with orders: deferred sending, expiry."""

from datetime import datetime
from typing import Any

from django.db import transaction

from shops.models import PaymentOrder
from shops.orders import selectors
from shops.orders.services.parts import Kind, lock_by_key, note, send


def payment_orders_tick(now: datetime) -> None:
    """Send what was deferred to before `now`, and note what has expired."""
    due = PaymentOrder.objects.filter(send_at__lte=now).order_by("send_at", "reference")
    for key in list(due.values_list("pk", flat=True)[:500]):
        _send_deferred(key, now)
    over = PaymentOrder.objects.filter(status=PaymentOrder.Status.IN_PROGRESS, expires_at__lte=now)
    for key in list(over.values_list("pk", flat=True)[:500]):
        _expire(key, now)


@transaction.atomic
def _send_deferred(key: Any, now: datetime) -> None:
    order = lock_by_key(key)
    if order.send_at is None or order.send_at > now:
        # Another worker was faster.
        return
    order.send_at = None
    if order.state_at(now) != PaymentOrder.Status.IN_PROGRESS:
        order.save(update_fields=["send_at", "updated_at"])
        note(order, Kind.NOT_SENT, "", at=now, reason="state", state=order.state_at(now))
    elif not selectors.is_open_for_orders(order.shop):
        order.save(update_fields=["send_at", "updated_at"])
        note(order, Kind.NOT_SENT, "", at=now, reason="shop")
    else:
        send(order, Kind.SENT, order.created_by, at=now, deferred=True)


@transaction.atomic
def _expire(key: Any, now: datetime) -> None:
    order = lock_by_key(key)
    if order.status == PaymentOrder.Status.IN_PROGRESS and order.expires_at <= now:
        order.status = PaymentOrder.Status.EXPIRED
        order.save(update_fields=["status", "updated_at"])
        note(order, Kind.EXPIRED, "", at=order.expires_at)
