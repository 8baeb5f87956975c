"""Rows of the CSV of payment orders."""

from collections.abc import Iterator
from decimal import Decimal

from django.db.models import QuerySet

from backoffice.base.csv_files import Figure, neutral, utc
from shops.models import PaymentOrder
from shops.orders import money
from shops.orders.selectors import send_state

HEADER = (
    "reference",
    "shop",
    "mode",
    "channel",
    "recipient",
    "buyer_reference",
    "amount",
    "currency",
    "status",
    "sending",
    "language",
    "created_at",
    "valid_until",
    "send_at",
    "finalised_at",
    "transaction_id",
    "created_by",
)


def order_rows(orders: QuerySet[PaymentOrder]) -> Iterator[list[str]]:
    """Header, then one row an order; amounts as decimals with a point, times in UTC."""
    yield list(HEADER)
    for order in orders.iterator(chunk_size=1000):
        decimals = money.DECIMALS.get(order.currency, 2)
        cells = (
            order.reference,
            order.shop.site_id,
            order.mode,
            order.channel,
            order.recipient,
            order.buyer_reference,
            Figure(f"{Decimal(order.amount).scaleb(-decimals):.{decimals}f}"),
            order.currency,
            order.state,
            send_state(order),
            order.language,
            utc(order.created_at),
            order.valid_until.isoformat(),
            utc(order.send_at),
            utc(order.finalised_at),
            order.transaction_id,
            order.created_by,
        )
        yield [neutral(cell) for cell in cells]
