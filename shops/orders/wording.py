"""Sentences about payment orders: what can be done, what it means, and what happened."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from backoffice.text import times
from companies.history.values import field_label
from notifications.mail.composers.base import amount_text
from shops.models import PaymentOrder, PaymentOrderEntry

Kind = PaymentOrderEntry.Kind


def day(value: date) -> str:
    return times.day(value)


def moment(value: datetime) -> str:
    """Day and time of the reader's clock."""
    return times.long_moment(value)


@dataclass(frozen=True)
class Action:
    """One button of an order's page; `main` for the one that is likely next."""

    url: str
    label: str
    main: bool = False
    danger: bool = False


def actions(order: PaymentOrder) -> list[Action]:
    """What can be done with an order in its state, in the order of the trade's menu."""
    state = order.state
    open_ = state in PaymentOrder.OPEN
    pending = state == PaymentOrder.Status.IN_PROGRESS
    by_email = order.channel == PaymentOrder.Channel.EMAIL
    possible: list[Action] = []

    def add(name: str, label: str, **options: Any) -> None:
        possible.append(Action(reverse(name, args=[order.pk]), label, **options))

    if open_:
        add("payment_order_edit", _("Modifier et renvoyer") if by_email else _("Modifier"))
    if pending and by_email:
        label = _("Renvoyer") if order.sending else _("Envoyer maintenant")
        add("payment_order_resend", label, main=True)
    if pending and not by_email and order.handed_over_at is None:
        add("payment_order_handed_over", _("Indiquer comme envoyé"))
    if open_:
        add("payment_order_validity", _("Modifier la date de validité"))
    if pending:
        add("payment_order_cancel", _("Annuler l'ordre"), danger=True)
    if state == PaymentOrder.Status.CANCELLED and order.expires_at > timezone.now():
        add("payment_order_reactivate", _("Réactiver"), main=True)
    possible.append(
        Action(
            f"{reverse('payment_order_new')}?from={order.pk}",
            _("Créer à partir de l'ordre sélectionné"),
            main=not open_,
        )
    )
    return possible


@dataclass(frozen=True)
class Confirmation:
    title: str
    sentence: str
    button: str
    done: str


def confirmation(action: str, order: PaymentOrder) -> Confirmation:
    """What a page asks before it acts: the object, and what follows."""
    names = {
        "reference": order.reference,
        "email": order.recipient,
        "amount": amount_text(order.amount, order.currency),
        "date": day(order.valid_until),
    }
    match action:
        case "resend":
            return Confirmation(
                _("Renvoyer l'ordre %(reference)s ?") % names,
                _("Le message part de nouveau vers %(email)s, avec les copies cochées. Le lien reste le même.") % names,
                _("Renvoyer"),
                _("L'ordre %(reference)s part de nouveau vers %(email)s.") % names,
            )
        case "cancel":
            return Confirmation(
                _("Annuler l'ordre %(reference)s ?") % names,
                _(
                    "L'acheteur ne pourra plus payer %(amount)s par ce lien : il y lira que l'ordre n'est plus valable. "
                    "Un envoi qui n'est pas encore parti est arrêté. Rien n'est envoyé à l'acheteur."
                )
                % names,
                _("Annuler l'ordre"),
                _("L'ordre %(reference)s est annulé.") % names,
            )
        case "reactivate":
            return Confirmation(
                _("Réactiver l'ordre %(reference)s ?") % names,
                _("Le lien fonctionne de nouveau, jusqu'au %(date)s. Rien n'est envoyé à l'acheteur.") % names,
                _("Réactiver"),
                _("L'ordre %(reference)s est de nouveau en cours.") % names,
            )
    return Confirmation(
        _("Indiquer le lien de l'ordre %(reference)s comme envoyé ?") % names,
        _("La plateforme n'envoie pas ce lien : elle retient que vous l'avez transmis.") % names,
        _("Indiquer comme envoyé"),
        _("Le lien de l'ordre %(reference)s est indiqué comme envoyé.") % names,
    )


def entry_sentence(entry: PaymentOrderEntry) -> str:
    """What a line of an order's history adds to its kind."""
    details = entry.details
    match entry.kind:
        case Kind.UPDATED:
            labels = [field_label("paymentorder", name) for name in details.get("fields", [])]
            return _("Modifié : %(names)s.") % {"names": ", ".join(labels)}
        case Kind.VALIDITY:
            return _("Du %(before)s au %(after)s.") % {
                name: day(date.fromisoformat(details[name])) for name in ("before", "after")
            }
        case Kind.NOT_SENT:
            if details.get("reason") == "shop":
                return _("La boutique ou la société n'était plus active à l'heure prévue.")
            return _("L'ordre n'était plus en cours à l'heure prévue.")
        case Kind.SENT:
            return _("Envoi différé, fait par la plateforme.") if details.get("deferred") else ""
        case Kind.ACCEPTED | Kind.REFUSED | Kind.ABANDONED:
            amount = details.get("amount")
            parts = [amount_text(amount, str(details.get("currency") or ""))] if isinstance(amount, int) else []
            if details.get("transaction_id"):
                parts.append(_("transaction %(id)s") % {"id": details["transaction_id"]})
            if details.get("reason"):
                parts.append(str(details["reason"]))
            return " · ".join(parts)
        case Kind.PROBLEM:
            sentence: str = _("%(reference)s, de %(name)s (%(email)s).") % details
            return sentence if details.get("told") else sentence + " " + _("Personne n'a pu être prévenu.")
    return ""
