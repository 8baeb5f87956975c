"""Template tags of payment orders: amounts and states in words."""

from datetime import datetime

from django import template
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from backoffice.base.shell import badge
from notifications.mail.composers.base import amount_text
from shops.models import PaymentOrder
from shops.orders import wording
from shops.orders.selectors import SendState

register = template.Library()

_STATES = {
    PaymentOrder.Status.IN_PROGRESS: ("wait", "clock"),
    PaymentOrder.Status.FINALISED: ("ok", "check"),
    PaymentOrder.Status.EXPIRED: ("off", "clock"),
    PaymentOrder.Status.CANCELLED: ("off", "minus"),
}
_SENDINGS = {
    SendState.IN_PROGRESS: ("wait", "send"),
    SendState.SENT: ("ok", "check"),
    SendState.FAILED: ("fail", "cross"),
    SendState.SCHEDULED: ("wait", "clock"),
    SendState.MANUAL: ("info", "info"),
    SendState.CANCELLED: ("off", "minus"),
}


@register.simple_tag
def money(amount: int, currency: str) -> str:
    """An amount of the smallest unit in local form, with its currency."""
    return amount_text(amount, currency)


@register.simple_tag
def order_badge(order: PaymentOrder) -> SafeString:
    """« En cours », « Finalisé »…; an open order whose last payment was refused says so."""
    state = order.state
    kind, icon_name = _STATES[PaymentOrder.Status(state)]
    label = order.state_label
    if state == PaymentOrder.Status.IN_PROGRESS and order.last_result == PaymentOrder.Result.REFUSED:
        return badge("warn", _("%(state)s, dernier paiement refusé") % {"state": label}, "alert")
    return badge(kind, label, icon_name)


@register.simple_tag
def sending_badge(state: str) -> SafeString:
    """« Envoyé », « Échec »…"""
    kind, icon_name = _SENDINGS[SendState(state)]
    return badge(kind, str(SendState(state).label), icon_name)


@register.filter
def order_moment(value: datetime | None) -> str:
    return wording.moment(value) if value else ""
