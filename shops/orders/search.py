"""What the search of the top bar finds of payment orders."""

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from backoffice.base import endless
from backoffice.base.searching import SHOWN, Group, Hit, group, identifier, joined, list_url
from backoffice.text import addresses, amounts
from companies.models import Membership
from shops.models import Mode, PaymentOrder
from shops.orders import selectors


def orders(membership: Membership, text: str) -> list[Group]:
    """Orders by their identifier, reference or transaction; by a part of the reference or buyer among the newest."""
    orders = selectors.orders(membership)
    key = identifier(text)
    ways = [
        endless.begins("reference", text),
        Q(recipient__iexact=addresses.normalise(text)) | Q(transaction_id__iexact=text),
        *([Q(pk=key)] if key else []),
    ]
    parts = Q(reference__icontains=text) | Q(recipient__icontains=text) | Q(buyer_reference__icontains=text)
    keys = endless.first(orders, endless.Wanted(ways, parts), by="created_at", limit=SHOWN + 1)
    # The newest first; its state is not told here, so the deliveries are not asked for.
    named = orders.filter(pk__in=keys).order_by("-created_at", "-pk") if keys else orders.none()
    hits = [_hit(order, text, order.pk == key) for order in named]
    mode = {"mode": Mode.TEST.value} if hits and all(hit.is_test for hit in hits) else {}
    return group("orders", _("Ordres de paiement"), hits, list_url("payment_orders", q=text, **mode))


def _hit(order: PaymentOrder, text: str, is_named: bool) -> Hit:
    return Hit(
        order.reference,
        reverse("payment_order", args=[order.pk]),
        joined(amounts.amount_text(order.amount, order.currency), order.state_label, order.recipient, order.shop.name),
        is_test=order.mode == Mode.TEST,
        is_exact=is_named or text in (order.reference, order.transaction_id),
    )
