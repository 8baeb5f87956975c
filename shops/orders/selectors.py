"""Reads of payment orders, scoped to a membership; who receives what of an order."""

import math
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import models
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from backoffice.base.searching import identifier
from backoffice.text import addresses
from companies.models import Membership
from companies.rights import access
from notifications.core import resolver, wording
from notifications.core.facts import CompanyFacts, Occasion
from notifications.core.reasons import OF_COMPANY_STATE, OF_SHOP_STATE, Reason
from notifications.core.resolver import Decision
from notifications.models import Delivery
from notifications.readers import deliveries_of_events, newest_of_event
from notifications.settings_facts import company_facts
from shops.models import Mode, PaymentOrder, PaymentOrderEntry, PaymentOrderTemplate, Shop
from shops.orders import money


class SendState(models.TextChoices):
    """« Statut de l'envoi »: of a mail from its newest delivery, of a link from what the merchant says."""

    IN_PROGRESS = "in_progress", pgettext_lazy("order sending", "En cours")
    SENT = "sent", pgettext_lazy("order sending", "Envoyé")
    FAILED = "failed", pgettext_lazy("order sending", "Échec")
    SCHEDULED = "scheduled", pgettext_lazy("order sending", "Différé")
    MANUAL = "manual", pgettext_lazy("order sending", "Envoi manuel")
    CANCELLED = "cancelled", pgettext_lazy("order sending", "Non envoyé")


def orders(membership: Membership) -> QuerySet[PaymentOrder]:
    """The orders of the shops a membership covers, each with the status of its newest delivery and
    whether a buyer reported a problem with it."""
    return with_delivery(
        PaymentOrder.objects.filter(shop__in=access.shops_of(membership)).select_related("shop__company")
    )


def with_delivery(orders: QuerySet[PaymentOrder]) -> QuerySet[PaymentOrder]:
    newest = newest_of_event(OuterRef("shop__company_id"), OuterRef("sending"), "payment_order")
    problems = PaymentOrderEntry.objects.filter(order=OuterRef("pk"), kind=PaymentOrderEntry.Kind.PROBLEM)
    return orders.annotate(delivery_status=Subquery(newest.values("status")[:1]), has_problem=Exists(problems))


def send_state(order: PaymentOrder) -> str:
    """The send state of an order read through `with_delivery`."""
    if order.channel == PaymentOrder.Channel.URL:
        return SendState.SENT if order.handed_over_at else SendState.MANUAL
    if order.send_at:
        return SendState.SCHEDULED
    status = getattr(order, "delivery_status", None)
    if not order.sending or status == Delivery.Status.CANCELLED:
        return SendState.CANCELLED
    if status in Delivery.OPEN:
        return SendState.IN_PROGRESS
    return SendState.SENT if status == Delivery.Status.SENT else SendState.FAILED


def _send_filter(state: str) -> Q:
    """`send_state` as a condition of the database."""
    by_email = Q(channel=PaymentOrder.Channel.EMAIL)
    left = by_email & Q(send_at__isnull=True)
    match state:
        case SendState.MANUAL:
            return Q(channel=PaymentOrder.Channel.URL, handed_over_at__isnull=True)
        case SendState.SCHEDULED:
            return by_email & Q(send_at__isnull=False)
        case SendState.SENT:
            by_hand = Q(channel=PaymentOrder.Channel.URL, handed_over_at__isnull=False)
            return by_hand | (left & Q(delivery_status=Delivery.Status.SENT))
        case SendState.IN_PROGRESS:
            return left & Q(delivery_status__in=Delivery.OPEN)
        case SendState.CANCELLED:
            return left & (Q(sending="") | Q(delivery_status=Delivery.Status.CANCELLED))
    known = (*Delivery.OPEN, Delivery.Status.SENT, Delivery.Status.CANCELLED)
    return left & ~Q(sending="") & (Q(delivery_status__isnull=True) | ~Q(delivery_status__in=known))


def unsent(membership: Membership) -> QuerySet[PaymentOrder]:
    """The PRODUCTION orders that could still be paid, but whose message did not get through."""
    waiting = orders(membership).filter(mode=Mode.PRODUCTION)
    return filtered(
        waiting, Search(state=PaymentOrder.Status.IN_PROGRESS, sending=SendState.FAILED), now=timezone.now()
    )


def state_filter(state: str, now: datetime) -> Q:
    """`PaymentOrder.state_at` as a condition of the database."""
    if state == PaymentOrder.Status.IN_PROGRESS:
        return Q(status__in=PaymentOrder.OPEN, expires_at__gt=now)
    if state == PaymentOrder.Status.EXPIRED:
        return Q(status__in=PaymentOrder.OPEN, expires_at__lte=now)
    return Q(status=state)


@dataclass(frozen=True, kw_only=True)
class Search:
    """The criteria of the search tool; what is empty does not narrow.

    Attributes:
        q: a text in the reference, recipient or buyer reference.
        amount_min, amount_max: in units of each order's own currency.
    """

    q: str = ""
    mode: str = ""
    shop: str = ""
    channel: str = ""
    state: str = ""
    sending: str = ""
    created_from: datetime | None = None
    created_until: datetime | None = None
    expires_from: date | None = None
    expires_until: date | None = None
    amount_min: Decimal | None = None
    amount_max: Decimal | None = None


def filtered(orders: QuerySet[PaymentOrder], search: Search, *, now: datetime) -> QuerySet[PaymentOrder]:
    """Narrow to what a search asks for."""
    if q := search.q:
        key = identifier(q)
        orders = orders.filter(
            (Q(pk=key) if key else Q(pk=None))
            | Q(reference__icontains=q)
            | Q(recipient__icontains=q)
            | Q(recipient__iexact=addresses.normalise(q))
            | Q(buyer_reference__icontains=q)
            | Q(transaction_id__iexact=q)
        )
    for name, value in (("mode", search.mode), ("shop__site_id", search.shop), ("channel", search.channel)):
        if value:
            orders = orders.filter(**{name: value})
    if search.state:
        orders = orders.filter(state_filter(search.state, now))
    if search.sending:
        orders = orders.filter(_send_filter(search.sending))
    bounds = {
        "created_at__gte": search.created_from,
        "created_at__lt": search.created_until,
        "valid_until__gte": search.expires_from,
        "valid_until__lte": search.expires_until,
    }
    orders = orders.filter(**{name: value for name, value in bounds.items() if value is not None})
    if search.amount_min is not None:
        orders = orders.filter(_amount_filter("amount__gte", search.amount_min))
    if search.amount_max is not None:
        orders = orders.filter(_amount_filter("amount__lte", search.amount_max))
    return orders


def _amount_filter(lookup: str, value: Decimal) -> Q:
    """A bound in units, as a condition on stored amounts: their unit is smaller by the decimals of the currency."""
    wanted = Q(pk__in=[])
    for decimals in set(money.DECIMALS.values()):
        codes = [code for code, places in money.DECIMALS.items() if places == decimals]
        exact = value.scaleb(decimals)
        whole = math.ceil(exact) if lookup.endswith("gte") else math.floor(exact)
        wanted |= Q(currency__in=codes, **{lookup: whole})
    return wanted


def templates(shop: Shop) -> QuerySet[PaymentOrderTemplate]:
    return PaymentOrderTemplate.objects.filter(shop=shop)


def default_template(shop: Shop, language: str) -> PaymentOrderTemplate | None:
    return templates(shop).filter(language=language, is_default=True).first()


# --- Who receives what ----------------------------------------------------------------------------


@dataclass(frozen=True)
class AudienceRow:
    """One line of « Qui recevra quoi »: a decision of the resolver in words."""

    decision: Decision
    what: str
    address: str
    delivers: bool
    reason: str
    reply_to: str = ""


def shop_facts(shop: Shop) -> CompanyFacts:
    """The facts of a company with this one shop, without rules and accounts."""
    return company_facts(shop.company, shops=[shop], live_rules=[], accounts=False)


def shop_contact(facts: CompanyFacts) -> str:
    """The shop manager's address: printed in orders, and where an answer to them goes."""
    return resolver.shop_manager_address(facts, facts.shops[0])[0]


def occasions(
    facts: CompanyFacts, *, recipient: str, language: str, copy_to_manager: bool, extra_copy: str
) -> dict[str, Occasion]:
    """Return the occasions of sending one order, by notification, for `publish`.

    A second address that is the buyer's, or the shop manager's while the copy is ticked, already
    receives the order: it is left out (docs/rules.md 4.5).
    """
    told = {
        "payment_order": Occasion(address=recipient, language=language),
        "payment_order_copy": Occasion(copy_ticked=copy_to_manager),
    }
    if extra_copy and not _twin(facts, recipient, copy_to_manager, extra_copy):
        told["payment_order_extra_copy"] = Occasion(address=extra_copy)
    return told


def _twin(facts: CompanyFacts, recipient: str, copy_to_manager: bool, extra_copy: str) -> str:
    """The address that receives the order already and equals the second one; empty for none."""
    others = [recipient, *([shop_contact(facts)] if copy_to_manager else [])]
    key = addresses.normalise(extra_copy)
    return next((other for other in others if other and addresses.normalise(other) == key), "")


def audience(
    facts: CompanyFacts,
    *,
    recipients: list[str],
    copy_to_manager: bool,
    extra_copy: str,
    by_email: bool = True,
) -> list[AudienceRow]:
    """Who receives what of an order, resolved by the function that decides the sending."""
    shop = facts.shops[0]
    contact = shop_contact(facts)
    rows: list[AudienceRow] = []

    def add(notification: str, occasion: Occasion | None, what: str, reply_to: str = "") -> None:
        for decision in resolver.resolve(facts, notification, shop=shop, occasion=occasion):
            reason = wording.reason(decision.reason, decision.params)
            rows.append(AudienceRow(decision, what, decision.address, decision.delivers, reason, reply_to))

    if by_email:
        for recipient in recipients:
            add("payment_order", Occasion(address=recipient), _("L'ordre de paiement, avec son lien"), contact)
        add("payment_order_copy", Occasion(copy_ticked=copy_to_manager), _("Une copie de chaque ordre, à part"))
        if extra_copy:
            twins = (_twin(facts, one, copy_to_manager, extra_copy) for one in recipients or [""])
            twin = next(filter(None, twins), "")
            add("payment_order_extra_copy", Occasion(address=extra_copy), _("Une copie de chaque ordre, à part"))
            if twin and rows[-1].delivers:
                reason = wording.reason(Reason.SAME_ADDRESS, {"address": twin})
                rows[-1] = AudienceRow(rows[-1].decision, rows[-1].what, extra_copy, False, reason)
    add("payment_order_problem", None, _("Le message d'un acheteur qui signale un problème"), _("l'acheteur"))
    return rows


def is_open_for_orders(shop: Shop) -> bool:
    """A suspended or closed shop or company sends no order and takes no payment (docs/rules.md 4.12)."""
    return shop.status == "active" and shop.company.status == "active"


def closed_reason(shop: Shop) -> str:
    """Why nothing is sent, in a sentence; empty while the shop is active."""
    if shop.company.status != "active":
        return wording.reason(OF_COMPANY_STATE[shop.company.status], {})
    if shop.status != "active":
        return wording.reason(OF_SHOP_STATE[shop.status], {"shop": shop.name})
    return ""


def order_deliveries(order: PaymentOrder) -> QuerySet[Delivery]:
    """Every mail of an order, from all its sendings and reported problems, newest first."""
    events = [entry for entry in order.entries.values_list("event_id", flat=True) if entry]
    return deliveries_of_events(order.shop.company_id, events).filter(notification__startswith="payment_order")
