"""Writes of payment orders: one transaction each, audited, announced through `publish`.

Two functions are called by the notification side: with each recorded event (a payment that belongs
to an order finalises it), and with the worker's clock (deferred sending, expiry).
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from companies import audit, status
from companies.audit import Actor, Changes, StaleVersion
from notifications import hooks
from notifications.models import Delivery, Event
from notifications.services import delivery_cancel, publish
from shops.models import Shop

from . import selectors, text
from .models import (
    DEFAULT_VALIDITY_DAYS,
    MAX_VALIDITY_DAYS,
    PaymentOrder,
    PaymentOrderEntry,
    PaymentOrderTemplate,
    end_of_day,
)

# One form creates at most so many orders; each is a transaction's worth of mails.
MAX_RECIPIENTS = 500
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
RESULT_OF_EVENT: dict[str, str] = {
    "payment.accepted": PaymentOrder.Result.ACCEPTED,
    "payment.refused": PaymentOrder.Result.REFUSED,
    "payment.abandoned": PaymentOrder.Result.ABANDONED,
}


# --- Creating and changing ------------------------------------------------------------------------


@transaction.atomic
def payment_order_create(
    *,
    shop: Shop,
    actor: Actor,
    mode: str,
    channel: str,
    amount: int,
    currency: str,
    recipients: Sequence[str] = (),
    reference: str = "",
    valid_until: date | None = None,
    send_at: datetime | None = None,
    subject: str = "",
    body: str = "",
    **fields: Any,
) -> list[PaymentOrder]:
    """Create an order per recipient and, by e-mail, send each: now, or at `send_at` by the worker.

    Args:
        amount: integer in the smallest unit of `currency`.
        channel: "email", or "url" for a link that the merchant hands over (0 or 1 recipient).
        reference: made here when empty; with several recipients the orders get it with -001, -002…
        valid_until: the last day; 30 days from now by default, at most 90.
        subject, body: placeholders included; the shop's default template, else ours, when empty.
        fields: other columns of EDITABLE; `source`, "DCF" for an order made by a data collection form.

    Raises ValidationError by field; nothing is written then.
    """
    now = timezone.now()
    _must_be_active(shop)
    if channel == PaymentOrder.Channel.EMAIL and not recipients:
        raise ValidationError({"recipients": _("Indiquez au moins une adresse e-mail d'acheteur.")})
    if len(recipients) > MAX_RECIPIENTS:
        raise ValidationError(
            {
                "recipients": _("%(n)d adresses : un envoi en compte au plus %(max)d.")
                % {"n": len(recipients), "max": MAX_RECIPIENTS}
            }
        )
    if channel == PaymentOrder.Channel.URL and len(recipients) > 1:
        raise ValidationError({"recipients": _("Un lien est destiné à un seul acheteur : indiquez une seule adresse.")})
    if channel == PaymentOrder.Channel.URL and send_at:
        raise ValidationError(
            {"send_at": _("Un lien n'est pas envoyé par la plateforme : il ne peut pas être différé.")}
        )
    language = fields.pop("language", "") or shop.language
    if not subject.strip() or not body.strip():
        ready = selectors.default_template(shop, language)
        default_subject, default_body = (
            (ready.subject, ready.body)
            if ready
            else text.default_texts(language, by_email=channel == PaymentOrder.Channel.EMAIL, shop_url=shop.url)
        )
        subject, body = subject.strip() or default_subject, body.strip() or default_body
    reference = reference.strip() or new_reference(now)
    several = len(recipients) > 1
    created = []
    for number, recipient in enumerate(recipients or [""], start=1):
        order = PaymentOrder(
            shop=shop,
            mode=mode,
            channel=channel,
            amount=amount,
            currency=currency,
            recipient=recipient,
            reference=f"{reference}-{number:03d}" if several else reference,
            valid_until=valid_until or _today(shop) + timedelta(days=DEFAULT_VALIDITY_DAYS),
            language=language,
            subject=subject,
            body=body,
            send_at=send_at,
            created_by=actor.label[:200],
            created_at=now,
            **fields,
        )
        _check(order, now=now, dated=True)
        order.save(force_insert=True)
        given = {name: getattr(order, name) for name in ("mode", "channel", *EDITABLE, "send_at")}
        audit.record(
            actor=actor,
            action="payment_order.created",
            obj=order,
            company=shop.company,
            changes=audit.creation({name: value for name, value in given.items() if value is not False}),
        )
        _note(order, Kind.CREATED, actor.label)
        if channel == PaymentOrder.Channel.EMAIL and not send_at:
            _send(order, Kind.SENT, actor.label)
        created.append(order)
    return created


def new_reference(now: datetime) -> str:
    """A reference for an order that was given none: OP-, the day, six letters or digits."""
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    return f"OP-{now:%y%m%d}-" + "".join(secrets.choice(alphabet) for _number in range(6))


@transaction.atomic
def payment_order_update(
    *, order: PaymentOrder, actor: Actor, version: int, resend: bool = True, **fields: Any
) -> tuple[PaymentOrder, Changes]:
    """« Modifier et renvoyer »: change what the order asks; its link stays. By e-mail it leaves again.

    Raises StaleVersion, or ValidationError when the order is finalised or cancelled, or by field.
    """
    now = timezone.now()
    order = _locked(order)
    if order.version != version:
        raise StaleVersion
    _must_be_active(order.shop)
    if order.state_at(now) not in PaymentOrder.OPEN:
        raise ValidationError(_("Cet ordre est finalisé ou annulé : il ne peut plus être modifié."))
    expired = order.state_at(now) == PaymentOrder.Status.EXPIRED
    changes = audit.apply(order, fields)
    _check(order, now=now, dated=expired or "valid_until" in changes)
    if expired:
        order.status = PaymentOrder.Status.IN_PROGRESS
    order.version += 1
    order.save()
    if changes:
        audit.record(
            actor=actor, action="payment_order.updated", obj=order, company=order.shop.company, changes=changes
        )
        _note(order, Kind.UPDATED, actor.label, fields=sorted(changes))
    if resend and order.channel == PaymentOrder.Channel.EMAIL:
        _cancel_waiting(order, actor)
        _send(order, Kind.RESENT if order.sending else Kind.SENT, actor.label)
    return order, changes


@transaction.atomic
def payment_order_set_validity(*, order: PaymentOrder, actor: Actor, version: int, valid_until: date) -> PaymentOrder:
    """« Modifier la date de validité »: nothing is sent; the buyer may use the link again."""
    now = timezone.now()
    order = _locked(order)
    status.ensure_open(actor=actor, company=order.shop.company, shop=order.shop)
    if order.version != version:
        raise StaleVersion
    if order.state_at(now) not in PaymentOrder.OPEN:
        raise ValidationError(_("Cet ordre est finalisé ou annulé : sa date de validité ne peut plus changer."))
    before = order.valid_until
    order.valid_until = valid_until
    _check(order, now=now, dated=True)
    if before == valid_until:
        return order
    order.status = PaymentOrder.Status.IN_PROGRESS
    order.version += 1
    order.save()
    changes = {"valid_until": [audit.plain(before), audit.plain(valid_until)]}
    audit.record(actor=actor, action="payment_order.updated", obj=order, company=order.shop.company, changes=changes)
    _note(order, Kind.VALIDITY, actor.label, before=before.isoformat(), after=valid_until.isoformat())
    return order


@transaction.atomic
def payment_order_resend(*, order: PaymentOrder, actor: Actor, version: int | None = None) -> PaymentOrder:
    """« Renvoyer »: the same order leaves again, to today's recipients of its copies.

    Args:
        version: the version the writer saw, here and in the acts below; StaleVersion when it has moved on.
    """
    order = _locked(order)
    audit.check_seen(version, order.version)
    _must_be_active(order.shop)
    if order.channel != PaymentOrder.Channel.EMAIL:
        raise ValidationError(_("Cet ordre est un lien : c'est à vous de le transmettre."))
    if order.state != PaymentOrder.Status.IN_PROGRESS:
        raise ValidationError(_("Seul un ordre en cours peut être renvoyé."))
    _cancel_waiting(order, actor)
    _send(order, Kind.RESENT if order.sending else Kind.SENT, actor.label)
    audit.record(actor=actor, action="payment_order.resent", obj=order, company=order.shop.company)
    return order


@transaction.atomic
def payment_order_cancel(*, order: PaymentOrder, actor: Actor, version: int | None = None) -> PaymentOrder:
    """« Annuler »: the link no longer leads to a payment; mails that still wait are stopped."""
    order = _locked(order)
    status.ensure_open(actor=actor, company=order.shop.company, shop=order.shop)
    audit.check_seen(version, order.version)
    if order.state != PaymentOrder.Status.IN_PROGRESS:
        raise ValidationError(_("Seul un ordre en cours peut être annulé."))
    order.status = PaymentOrder.Status.CANCELLED
    order.send_at = None
    order.version += 1
    order.save()
    _cancel_waiting(order, actor)
    audit.record(
        actor=actor,
        action="payment_order.cancelled",
        obj=order,
        company=order.shop.company,
        changes={"status": ["in_progress", "cancelled"]},
    )
    _note(order, Kind.CANCELLED, actor.label)
    return order


@transaction.atomic
def payment_order_reactivate(*, order: PaymentOrder, actor: Actor, version: int | None = None) -> PaymentOrder:
    """« Réactiver » a cancelled order whose date is not over; nothing is sent."""
    order = _locked(order)
    audit.check_seen(version, order.version)
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
    _note(order, Kind.REACTIVATED, actor.label)
    return order


@transaction.atomic
def payment_order_handed_over(*, order: PaymentOrder, actor: Actor, version: int | None = None) -> PaymentOrder:
    """The merchant says that the link was handed over: its send state becomes « Envoyé »."""
    order = _locked(order)
    audit.check_seen(version, order.version)
    status.ensure_open(actor=actor, company=order.shop.company, shop=order.shop)
    if order.channel == PaymentOrder.Channel.URL and order.handed_over_at is None:
        order.handed_over_at = timezone.now()
        order.save(update_fields=["handed_over_at", "updated_at"])
        audit.record(actor=actor, action="payment_order.handed_over", obj=order, company=order.shop.company)
        _note(order, Kind.HANDED_OVER, actor.label)
    return order


# --- What the buyer does --------------------------------------------------------------------------


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
                    mode=order.mode,
                    event_id=event_id,
                    data={
                        **_told(order),
                        "problem": reference,
                        "buyer_name": name,
                        "buyer_email": email,
                        "message": message,
                    },
                )
                told = event.deliveries.filter(status__in=Delivery.OPEN).exists()
                details: dict[str, Any] = {
                    "reference": reference,
                    "name": name,
                    "email": email,
                    "message": message,
                    "told": told,
                }
                _note(order, Kind.PROBLEM, name, event_id=event_id, **details)
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
        locked = _locked(order)
        if Event.objects.filter(company_id=locked.shop.company_id, event_id=f"simulation-{nonce}").exists():
            return locked
        if locked.mode != "TEST" or locked.state != PaymentOrder.Status.IN_PROGRESS:
            raise ValidationError(_("Cet ordre de paiement ne peut pas être payé."))
        _must_be_active(locked.shop)
        publish(
            type=types[result],
            company=locked.shop.company,
            shop=locked.shop,
            mode="TEST",
            event_id=f"simulation-{nonce}",
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
        )
    return PaymentOrder.objects.select_related("shop__company").get(pk=order.pk)


@hooks.on_event
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
    order = _locked(order)
    transaction_id = str(event.data.get("transaction_id") or "")[:64]
    details = {
        name: event.data[name]
        for name in ("amount", "currency", "transaction_id", "network", "reason")
        if event.data.get(name) is not None
    }
    _note(order, Kind(result), _("Acheteur"), event_id=event.event_id, at=event.occurred_at, **details)
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
        found = mine.filter(token=token).first()
        if found is not None:
            return found
    if not isinstance(reference, str) or not reference:
        return None
    paid = (event.data.get("amount"), event.data.get("currency"))
    candidates = list(mine.filter(reference=reference).order_by("-created_at", "-pk")[:50])
    open_ones = [order for order in candidates if order.status in PaymentOrder.OPEN]
    exact = [order for order in open_ones if (order.amount, order.currency) == paid]
    return next(iter([*exact, *open_ones, *candidates]), None)


# --- The worker's clock ---------------------------------------------------------------------------


@hooks.on_tick
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
    order = _locked_by_key(key)
    if order.send_at is None or order.send_at > now:
        # Another worker was faster.
        return
    order.send_at = None
    if order.state_at(now) != PaymentOrder.Status.IN_PROGRESS:
        order.save(update_fields=["send_at", "updated_at"])
        _note(order, Kind.NOT_SENT, "", at=now, reason="state", state=order.state_at(now))
    elif not selectors.is_open_for_orders(order.shop):
        order.save(update_fields=["send_at", "updated_at"])
        _note(order, Kind.NOT_SENT, "", at=now, reason="shop")
    else:
        _send(order, Kind.SENT, order.created_by, at=now, deferred=True)


@transaction.atomic
def _expire(key: Any, now: datetime) -> None:
    order = _locked_by_key(key)
    if order.status == PaymentOrder.Status.IN_PROGRESS and order.expires_at <= now:
        order.status = PaymentOrder.Status.EXPIRED
        order.save(update_fields=["status", "updated_at"])
        _note(order, Kind.EXPIRED, "", at=order.expires_at)


# --- Pieces ---------------------------------------------------------------------------------------


def _locked(order: PaymentOrder) -> PaymentOrder:
    return _locked_by_key(order.pk)


def _locked_by_key(key: Any) -> PaymentOrder:
    return PaymentOrder.objects.select_for_update(of=("self",)).select_related("shop__company").get(pk=key)


def _today(shop: Shop) -> date:
    return timezone.now().astimezone(ZoneInfo(shop.company.time_zone)).date()


def _must_be_active(shop: Shop) -> None:
    if reason := selectors.closed_reason(shop):
        raise ValidationError(_("Aucun ordre de paiement ne peut partir. %(reason)s") % {"reason": reason})


def _check(order: PaymentOrder, *, now: datetime, dated: bool) -> None:
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
                "date": date_format(order.valid_until, "SHORT_DATE_FORMAT"),
                "last": date_format(last, "SHORT_DATE_FORMAT"),
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


def _told(order: PaymentOrder) -> dict[str, Any]:
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
        **_told(order),
        "subject": filled.subject,
        "paragraphs": filled.paragraphs,
        "url": text.public_url(order),
        "contact": contact,
    }


def _send(order: PaymentOrder, kind: str, label: str, *, at: datetime | None = None, deferred: bool = False) -> None:
    """Publish one sending of the order and make it the newest."""
    facts = selectors.shop_facts(order.shop)
    event = publish(
        type="payment_order.sent",
        company=order.shop.company,
        shop=order.shop,
        mode=order.mode,
        data=sending_data(order, selectors.shop_contact(facts)),
        occasions=selectors.occasions(
            facts,
            recipient=order.recipient,
            language=order.language,
            copy_to_manager=order.copy_to_manager,
            extra_copy=order.extra_copy,
        ),
    )
    order.sending = event.event_id
    order.send_at = None
    order.save(update_fields=["sending", "send_at", "updated_at"])
    _note(order, kind, label, at=at, event_id=event.event_id, **({"deferred": True} if deferred else {}))


def _cancel_waiting(order: PaymentOrder, actor: Actor) -> None:
    """Stop the mails of the newest sending that have not left yet."""
    if not order.sending:
        return
    waiting = Delivery.objects.filter(
        event__company_id=order.shop.company_id, event__event_id=order.sending, status__in=Delivery.DUE
    ).select_related("company")
    for delivery in waiting:
        delivery_cancel(delivery=delivery, actor=actor)


def _note(
    order: PaymentOrder, kind: str, label: str, *, at: datetime | None = None, event_id: str = "", **details: Any
) -> PaymentOrderEntry:
    return PaymentOrderEntry.objects.create(
        order=order, kind=kind, at=at or timezone.now(), actor=label[:200], event_id=event_id, details=details
    )


# --- Message templates ----------------------------------------------------------------------------

TEMPLATE_FIELDS = ("language", "name", "subject", "body", "is_default")


def _check_template(template: PaymentOrderTemplate) -> None:
    errors: dict[str, list[str]] = {}
    for name in ("subject", "body"):
        try:
            text.check_text(getattr(template, name))
        except ValidationError as error:
            errors[name] = error.messages
    try:
        template.full_clean(exclude=list(errors))
    except ValidationError as error:
        for name, messages in error.message_dict.items():
            errors.setdefault("name" if name == "__all__" else name, []).extend(messages)
    if errors:
        raise ValidationError(errors)


@transaction.atomic
def order_template_save(
    *, shop: Shop, actor: Actor, template: PaymentOrderTemplate | None = None, version: int | None = None, **fields: Any
) -> PaymentOrderTemplate:
    """Create a template, or change one; a new default takes the place of the former of its language.

    Raises StaleVersion, or ValidationError by field.
    """
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    created = template is None
    if template is None:
        template = PaymentOrderTemplate(shop=shop)
    else:
        found = PaymentOrderTemplate.objects.select_for_update(of=("self",)).filter(pk=template.pk, shop=shop).first()
        if found is None:
            raise StaleVersion
        template = found
        audit.check_seen(version, template.version)
    changes = audit.apply(template, fields)
    if not created and not changes:
        return template
    if template.is_default:
        PaymentOrderTemplate.objects.filter(shop=shop, language=template.language, is_default=True).exclude(
            pk=template.pk
        ).update(is_default=False)
    _check_template(template)
    if not created:
        template.version += 1
    template.save()
    audit.record(
        actor=actor,
        action="payment_order_template.created" if created else "payment_order_template.updated",
        obj=template,
        company=shop.company,
        changes=audit.creation(fields) if created else changes,
    )
    return template


@transaction.atomic
def order_template_duplicate(*, template: PaymentOrderTemplate, actor: Actor) -> PaymentOrderTemplate:
    """A copy under a free name, not the default."""
    taken = set(
        PaymentOrderTemplate.objects.filter(shop_id=template.shop_id, language=template.language).values_list(
            "name", flat=True
        )
    )
    stem = _("%(name)s (copie)") % {"name": template.name[:80]}
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem} {number}", number + 1
    return order_template_save(
        shop=template.shop,
        actor=actor,
        language=template.language,
        name=name,
        subject=template.subject,
        body=template.body,
        is_default=False,
    )


@transaction.atomic
def order_template_delete(*, template: PaymentOrderTemplate, actor: Actor, version: int | None = None) -> None:
    """Delete a template; orders keep their text.

    Args:
        version: the version the writer saw; StaleVersion when it has moved on, or is deleted.
    """
    status.ensure_open(actor=actor, company=template.shop.company, shop=template.shop)
    found = PaymentOrderTemplate.objects.select_for_update(of=("self",)).filter(pk=template.pk).first()
    if found is None:
        raise StaleVersion
    audit.check_seen(version, found.version)
    audit.record(
        actor=actor,
        action="payment_order_template.deleted",
        obj=template,
        company=template.shop.company,
        changes={"name": [template.name, None]},
    )
    template.delete()
