"""What the writes of payment orders share: locks, checks, one sending, a line of the order's own history."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from backoffice.text import times
from companies.audit import Actor
from notifications.events.publishing import Particulars, publish
from notifications.models import Delivery
from notifications.outbox.services import delivery_cancel
from shops.models import MAX_VALIDITY_DAYS, PaymentOrder, PaymentOrderEntry, Shop, end_of_day
from shops.orders import selectors, text

EDITABLE = (
    "reference",
    "amount",
    "currency",
    "recipient",
    "buyer_reference",
    "language",
    "subject",
    "body",
    "valid_until",
    "copy_to_manager",
    "extra_copy",
    "validation",
    "capture_delay",
)
Kind = PaymentOrderEntry.Kind


def lock(order: PaymentOrder) -> PaymentOrder:
    return lock_by_key(order.pk)


def lock_by_key(key: Any) -> PaymentOrder:
    return PaymentOrder.objects.select_for_update(of=("self",)).select_related("shop__company").get(pk=key)


def today_of(shop: Shop) -> date:
    return timezone.now().astimezone(ZoneInfo(shop.company.time_zone)).date()


def must_be_active(shop: Shop) -> None:
    if reason := selectors.closed_reason(shop):
        raise ValidationError(_("Aucun ordre de paiement ne peut partir. %(reason)s") % {"reason": reason})


def check_order(order: PaymentOrder, *, now: datetime, dated: bool) -> None:
    """Validate an order whole and set the end of its validity; ValidationError by field.

    Args:
        dated: whether the date of validity was chosen now, so that its bounds apply.
    """
    errors: dict[str, list[str]] = {}
    shop = order.shop
    order.expires_at = end_of_day(order.valid_until, shop.company.time_zone)
    today = now.astimezone(ZoneInfo(shop.company.time_zone)).date()
    last = today + timedelta(days=MAX_VALIDITY_DAYS)
    if dated and not today <= order.valid_until <= last:
        errors["valid_until"] = [
            _("« %(date)s » : la date de validité va d'aujourd'hui au %(last)s (%(days)d jours au plus).")
            % {
                "date": times.short_day(order.valid_until),
                "last": times.short_day(last),
                "days": MAX_VALIDITY_DAYS,
            }
        ]
    if order.send_at is not None:
        if order.send_at <= now:
            errors["send_at"] = [_("L'envoi différé doit être dans le futur.")]
        elif order.send_at >= order.expires_at:
            errors["send_at"] = [_("L'envoi différé doit précéder la fin de la validité.")]
    for name in ("subject", "body"):
        try:
            text.check_text(getattr(order, name))
        except ValidationError as error:
            errors[name] = error.messages
    try:
        order.full_clean(exclude=["shop", *errors])
    except ValidationError as error:
        for name, messages in error.message_dict.items():
            errors.setdefault("recipients" if name == "recipient" and order._state.adding else name, []).extend(
                messages
            )
    if errors:
        raise ValidationError(errors)


def summary(order: PaymentOrder) -> dict[str, Any]:
    """What mails about an order say of it."""
    return {
        "order": str(order.pk),
        "order_id": order.reference,
        "amount": order.amount,
        "currency": order.currency,
        "recipient": order.recipient,
        "valid_until": order.valid_until.isoformat(),
    }


def sending_data(order: PaymentOrder, contact: str) -> dict[str, Any]:
    """What the mails of one sending say: used for the sending itself and for the preview."""
    filled = text.filled(order, contact)
    return {
        **summary(order),
        "subject": filled.subject,
        "paragraphs": filled.paragraphs,
        "link_after": filled.link_after,
        "url": text.public_url(order),
        "contact": contact,
    }


def send(order: PaymentOrder, kind: str, label: str, *, at: datetime | None = None, deferred: bool = False) -> None:
    """Publish one sending of the order and make it the newest."""
    facts = selectors.shop_facts(order.shop)
    event = publish(
        type="payment_order.sent",
        company=order.shop.company,
        shop=order.shop,
        data=sending_data(order, selectors.shop_contact(facts)),
        occasion=selectors.occasions(
            facts,
            recipient=order.recipient,
            language=order.language,
            copy_to_manager=order.copy_to_manager,
            extra_copy=order.extra_copy,
        ),
        particulars=Particulars(mode=order.mode),
    )
    order.sending = event.event_id
    order.send_at = None
    order.save(update_fields=["sending", "send_at", "updated_at"])
    note(order, kind, label, at=at, event_id=event.event_id, **({"deferred": True} if deferred else {}))


def cancel_waiting(order: PaymentOrder, actor: Actor) -> None:
    """Stop the mails of the newest sending that have not left yet."""
    if not order.sending:
        return
    waiting = Delivery.objects.filter(
        event__company_id=order.shop.company_id, event__event_id=order.sending, status__in=Delivery.DUE
    ).select_related("company")
    for delivery in waiting:
        delivery_cancel(delivery=delivery, actor=actor)


def note(
    order: PaymentOrder, kind: str, label: str, *, at: datetime | None = None, event_id: str = "", **details: Any
) -> PaymentOrderEntry:
    return PaymentOrderEntry.objects.create(
        order=order, kind=kind, at=at or timezone.now(), actor=label[:200], event_id=event_id, details=details
    )
