"""Gestion > Ordres de paiement: the list, and one order."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from backoffice.base.csv_files import csv_response, is_plain
from backoffice.base.paging import paginate, sort_key
from companies.rights import access, permissions
from companies.rights.access import CompanyRequest, company_page, shops_of
from notifications.models import Delivery
from shops.models import Mode, PaymentOrder
from shops.orders import exports, selectors, text, wording
from shops.orders.forms import SearchForm
from shops.orders.scope import may_manage, order_or_404

SORTS = {
    "reference": "reference",
    "recipient": "recipient",
    "amount": "amount",
    "created": "created_at",
    "until": "valid_until",
    "shop": "shop__name",
}


@company_page()
@require_safe
def orders(request: CompanyRequest) -> HttpResponseBase:
    """The orders of one mode, newest first, with the search tool."""
    asked = SearchForm(request.GET)
    rows = selectors.filtered(selectors.orders(request.membership), asked.search(), now=timezone.now())
    rows = rows.order_by(sort_key(request, SORTS, default="-created_at"), "reference", "pk")
    if request.GET.get("format") == "csv":
        return csv_response(
            exports.order_rows(rows),
            f"ordres-{asked.wanted_mode.lower()}-{request.company.reference}",
            plain=is_plain(request),
        )
    page = paginate(request, rows)
    for order in page.object_list:
        order.sending_state = selectors.send_state(order)
    context = {
        "page": page,
        "asked": asked,
        "mode": asked.wanted_mode,
        "modes": Mode.choices,
        "active": asked.is_active(),
        "more": asked.shows_more(),
        "shops": shops_of(request.membership).only("site_id", "name"),
        "may_create": access.can_somewhere(request.membership, permissions.MANAGE_PAYMENT_ORDERS),
    }
    return render(request, "shops/orders/orders.html", context)


@company_page()
@require_safe
def order(request: CompanyRequest, key: UUID) -> HttpResponse:
    """Tabs Détails, Message and Historique of one order."""
    current = order_or_404(request, key)
    tab = request.GET.get("tab", "")
    tab = tab if tab in ("message", "history") else "details"
    facts = selectors.shop_facts(current.shop)
    contact = selectors.shop_contact(facts)
    deliveries = list(selectors.order_deliveries(current)) if tab in ("message", "history") else []
    context: dict[str, Any] = {
        "order": current,
        "shop": current.shop,
        "tab": tab,
        "sending_state": selectors.send_state(current),
        "url": text.public_url(current),
        "contact": contact,
        "closed": selectors.closed_reason(current.shop),
        "actions": wording.actions(current) if may_manage(request, current.shop) else [],
        "deliveries": deliveries,
    }
    if tab == "details":
        context["audience"] = selectors.audience(
            facts,
            recipients=[current.recipient] if current.recipient else [],
            copy_to_manager=current.copy_to_manager,
            extra_copy=current.extra_copy,
            by_email=current.channel == PaymentOrder.Channel.EMAIL,
        )
    elif tab == "message":
        context["filled"] = text.filled(current, contact)
        context["sent"] = next((item for item in deliveries if item.notification == "payment_order"), None)
    else:
        by_event: dict[str, list[Delivery]] = {}
        for delivery in deliveries:
            by_event.setdefault(delivery.event.event_id, []).append(delivery)
        context["entries"] = [
            (entry, wording.entry_sentence(entry), by_event.get(entry.event_id, []) if entry.event_id else [])
            for entry in current.entries.all()
        ]
    return render(request, "shops/orders/order.html", context)
