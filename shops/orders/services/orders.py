"""What a merchant does with an order: create, change, send again, cancel, reactivate."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from companies import audit, status
from companies.audit import Actor, Changes, StaleVersion
from shops.models import DEFAULT_VALIDITY_DAYS, PaymentOrder, Shop
from shops.orders import selectors, text
from shops.orders.services.parts import (
    EDITABLE,
    Kind,
    cancel_waiting,
    check_order,
    lock,
    must_be_active,
    note,
    send,
    today_of,
)

# One form creates at most so many orders; each is a transaction's worth of mails.
MAX_RECIPIENTS = 500


@dataclass(frozen=True, kw_only=True)
class NewOrder:
    """What a merchant asks for with a new order.

    Attributes:
        channel: "email", or "url" for a link that the merchant hands over (0 or 1 recipient).
        amount: integer in the smallest unit of `currency`.
        recipients: an order is made for each.
        send_at: when the worker is to send it; None: at once.
        reference: made here when empty; with several recipients the orders get it with -001, -002…
        valid_until: the last day; 30 days from now by default, at most 90.
        language: that of the shop when empty.
        subject, body: placeholders included; the shop's default template, else ours, when empty.
    """

    mode: str
    channel: str
    amount: int
    currency: str
    recipients: Sequence[str] = ()
    send_at: datetime | None = None
    reference: str = ""
    valid_until: date | None = None
    language: str = ""
    subject: str = ""
    body: str = ""
    buyer_reference: str = ""
    copy_to_manager: bool = False
    extra_copy: str = ""
    validation: str = ""
    capture_delay: int | None = None
    source: str = PaymentOrder.Origin.PAYMENT_ORDER

    @property
    def by_email(self) -> bool:
        return self.channel == PaymentOrder.Channel.EMAIL

    def check_recipients(self) -> None:
        """Refuse recipients, and a time, that the channel cannot have."""
        if self.by_email and not self.recipients:
            raise ValidationError({"recipients": _("Indiquez au moins une adresse e-mail d'acheteur.")})
        if len(self.recipients) > MAX_RECIPIENTS:
            counted = {"n": len(self.recipients), "max": MAX_RECIPIENTS}
            text = _("%(n)d adresses : un envoi en compte au plus %(max)d.") % counted
            raise ValidationError({"recipients": text})
        if self.channel != PaymentOrder.Channel.URL:
            return
        if len(self.recipients) > 1:
            raise ValidationError(
                {"recipients": _("Un lien est destiné à un seul acheteur : indiquez une seule adresse.")}
            )
        if self.send_at:
            raise ValidationError(
                {"send_at": _("Un lien n'est pas envoyé par la plateforme : il ne peut pas être différé.")}
            )

    def completed(self, shop: Shop, now: datetime) -> "NewOrder":
        """The same with all that the shop decides where nothing was asked."""
        language = self.language or shop.language
        subject, body = self.subject.strip(), self.body.strip()
        if not subject or not body:
            template = selectors.default_template(shop, language)
            default_subject, default_body = (
                (template.subject, template.body)
                if template
                else text.default_texts(language, by_email=self.by_email, shop_url=shop.url)
            )
            subject, body = subject or default_subject, body or default_body
        else:
            subject, body = self.subject, self.body
        return replace(
            self,
            language=language,
            subject=subject,
            body=body,
            reference=self.reference.strip() or new_reference(now),
            valid_until=self.valid_until or today_of(shop) + timedelta(days=DEFAULT_VALIDITY_DAYS),
        )

    def orders(self, shop: Shop, actor: Actor, now: datetime) -> Iterator[PaymentOrder]:
        """The orders, not stored."""
        columns = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "recipients"}
        several = len(self.recipients) > 1
        for number, recipient in enumerate(self.recipients or [""], start=1):
            columns |= {"recipient": recipient}
            if several:
                columns |= {"reference": f"{self.reference}-{number:03d}"}
            yield PaymentOrder(shop=shop, created_by=actor.label[:200], created_at=now, **columns)


@transaction.atomic
def payment_order_create(*, shop: Shop, actor: Actor, new: NewOrder) -> list[PaymentOrder]:
    """Create an order per recipient and, by e-mail, send each: now, or at `send_at` by the worker.

    Raises ValidationError by field; nothing is written then.
    """
    now = timezone.now()
    must_be_active(shop)
    new.check_recipients()
    created = []
    for order in new.completed(shop, now).orders(shop, actor, now):
        check_order(order, now=now, dated=True)
        order.save(force_insert=True)
        given = {name: getattr(order, name) for name in ("mode", "channel", *EDITABLE, "send_at")}
        audit.record(
            actor=actor,
            action="payment_order.created",
            obj=order,
            company=shop.company,
            changes=audit.creation({name: value for name, value in given.items() if value is not False}),
        )
        note(order, Kind.CREATED, actor.label)
        if new.by_email and not new.send_at:
            send(order, Kind.SENT, actor.label)
        created.append(order)
    return created


def new_reference(now: datetime) -> str:
    """A reference for an order that was given none: OP-, the day, six letters or digits."""
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    return f"OP-{now:%y%m%d}-" + "".join(secrets.choice(alphabet) for _number in range(6))


@transaction.atomic
def payment_order_update(
    *, order: PaymentOrder, actor: Actor, seen: int, resend: bool = True, **values: Any
) -> tuple[PaymentOrder, Changes]:
    """« Modifier et renvoyer »: change what the order asks; its link stays. By e-mail it leaves again.

    Raises StaleVersion, or ValidationError when the order is finalised or cancelled, or by field.
    """
    now = timezone.now()
    order = lock(order)
    if order.version != seen:
        raise StaleVersion
    must_be_active(order.shop)
    if order.state_at(now) not in PaymentOrder.OPEN:
        raise ValidationError(_("Cet ordre est finalisé ou annulé : il ne peut plus être modifié."))
    expired = order.state_at(now) == PaymentOrder.Status.EXPIRED
    changes = audit.apply(order, values)
    check_order(order, now=now, dated=expired or "valid_until" in changes)
    if expired:
        order.status = PaymentOrder.Status.IN_PROGRESS
    order.version += 1
    order.save()
    if changes:
        audit.record(
            actor=actor, action="payment_order.updated", obj=order, company=order.shop.company, changes=changes
        )
        note(order, Kind.UPDATED, actor.label, fields=sorted(changes))
    if resend and order.channel == PaymentOrder.Channel.EMAIL:
        cancel_waiting(order, actor)
        send(order, Kind.RESENT if order.sending else Kind.SENT, actor.label)
    return order, changes


@transaction.atomic
def payment_order_set_validity(*, order: PaymentOrder, actor: Actor, seen: int, valid_until: date) -> PaymentOrder:
    """« Modifier la date de validité »: nothing is sent; the buyer may use the link again."""
    now = timezone.now()
    order = lock(order)
    status.ensure_open(actor=actor, company=order.shop.company, shop=order.shop)
    if order.version != seen:
        raise StaleVersion
    if order.state_at(now) not in PaymentOrder.OPEN:
        raise ValidationError(_("Cet ordre est finalisé ou annulé : sa date de validité ne peut plus changer."))
    before = order.valid_until
    order.valid_until = valid_until
    check_order(order, now=now, dated=True)
    if before == valid_until:
        return order
    order.status = PaymentOrder.Status.IN_PROGRESS
    order.version += 1
    order.save()
    changes = {"valid_until": [audit.plain(before), audit.plain(valid_until)]}
    audit.record(actor=actor, action="payment_order.updated", obj=order, company=order.shop.company, changes=changes)
    note(order, Kind.VALIDITY, actor.label, before=before.isoformat(), after=valid_until.isoformat())
    return order


@transaction.atomic
def payment_order_resend(*, order: PaymentOrder, actor: Actor, seen: int | None = None) -> PaymentOrder:
    """« Renvoyer »: the same order leaves again, to today's recipients of its copies.

    Args:
        seen: the version the writer saw, here and in the acts below; StaleVersion when it has moved on.
    """
    order = lock(order)
    audit.check_seen(seen, order.version)
    must_be_active(order.shop)
    if order.channel != PaymentOrder.Channel.EMAIL:
        raise ValidationError(_("Cet ordre est un lien : c'est à vous de le transmettre."))
    if order.state != PaymentOrder.Status.IN_PROGRESS:
        raise ValidationError(_("Seul un ordre en cours peut être renvoyé."))
    cancel_waiting(order, actor)
    send(order, Kind.RESENT if order.sending else Kind.SENT, actor.label)
    audit.record(actor=actor, action="payment_order.resent", obj=order, company=order.shop.company)
    return order


@transaction.atomic
def payment_order_cancel(*, order: PaymentOrder, actor: Actor, seen: int | None = None) -> PaymentOrder:
    """« Annuler »: the link no longer leads to a payment; mails that still wait are stopped."""
    order = lock(order)
    status.ensure_open(actor=actor, company=order.shop.company, shop=order.shop)
    audit.check_seen(seen, order.version)
    if order.state != PaymentOrder.Status.IN_PROGRESS:
        raise ValidationError(_("Seul un ordre en cours peut être annulé."))
    order.status = PaymentOrder.Status.CANCELLED
    order.send_at = None
    order.version += 1
    order.save()
    cancel_waiting(order, actor)
    audit.record(
        actor=actor,
        action="payment_order.cancelled",
        obj=order,
        company=order.shop.company,
        changes={"status": ["in_progress", "cancelled"]},
    )
    note(order, Kind.CANCELLED, actor.label)
    return order


@transaction.atomic
def payment_order_reactivate(*, order: PaymentOrder, actor: Actor, seen: int | None = None) -> PaymentOrder:
    """« Réactiver » a cancelled order whose date is not over; nothing is sent."""
    order = lock(order)
    audit.check_seen(seen, order.version)
    status.ensure_open(actor=actor, company=order.shop.company, shop=order.shop)
    if order.status != PaymentOrder.Status.CANCELLED:
        raise ValidationError(_("Seul un ordre annulé peut être réactivé."))
    if order.expires_at <= timezone.now():
        raise ValidationError(_("La date de validité de cet ordre est passée : il ne peut plus être réactivé."))
    order.status = PaymentOrder.Status.IN_PROGRESS
    order.version += 1
    order.save()
    audit.record(
        actor=actor,
        action="payment_order.reactivated",
        obj=order,
        company=order.shop.company,
        changes={"status": ["cancelled", "in_progress"]},
    )
    note(order, Kind.REACTIVATED, actor.label)
    return order


@transaction.atomic
def payment_order_handed_over(*, order: PaymentOrder, actor: Actor, seen: int | None = None) -> PaymentOrder:
    """The merchant says that the link was handed over: its send state becomes « Envoyé »."""
    order = lock(order)
    audit.check_seen(seen, order.version)
    status.ensure_open(actor=actor, company=order.shop.company, shop=order.shop)
    if order.channel == PaymentOrder.Channel.URL and order.handed_over_at is None:
        order.handed_over_at = timezone.now()
        order.save(update_fields=["handed_over_at", "updated_at"])
        audit.record(actor=actor, action="payment_order.handed_over", obj=order, company=order.shop.company)
        note(order, Kind.HANDED_OVER, actor.label)
    return order
