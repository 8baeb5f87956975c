"""The payment orders that a request may see and act on."""

from uuid import UUID

from django.http import Http404

from companies.rights import access, permissions
from companies.rights.access import CompanyRequest
from shops.models import PaymentOrder, Shop
from shops.orders import selectors


def may_manage(request: CompanyRequest, shop: Shop) -> bool:
    return access.can(request.membership, permissions.MANAGE_PAYMENT_ORDERS, shop)


def order_or_404(request: CompanyRequest, key: UUID, *, manage: bool = False) -> PaymentOrder:
    """An order of the request's membership, a plain 404 for any other; 403 without the right to act."""
    order = selectors.orders(request.membership).filter(pk=key).first()
    if order is None:
        raise Http404
    if manage and not may_manage(request, order.shop):
        raise access.denied(request, order.shop)
    return order
