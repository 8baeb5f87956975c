"""Personal-data requests of the team: all that is held on an address, and its erasure.

Erasing keeps the proof of sending: that a message left, when, under which rule and with which answer
stays; the address becomes a keyed hash, and the words of the messages to it go. Whoever asks later
whether an address was served can still be answered, because the hash of the same address is the same.
"""

import hashlib
import hmac
import io
import json
import zipfile
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from backoffice.base import csv_files
from backoffice.text import addresses
from backoffice.text.addresses import Mentions
from companies import audit
from companies.audit import Actor
from companies.models import AuditEntry, HistoryErasure
from notifications.core import wording
from notifications.models import (
    AddressHealth,
    Attempt,
    Delivery,
    Event,
    MailRemark,
    Message,
    RecordedSetting,
    SavedFilter,
)
from notifications.privacy import support
from shops.models import DataFormAnswer, PaymentOrder, PaymentOrderEntry

ERASED = "[effacé]"


def address_hash(email: str) -> str:
    """The keyed hash that stands for an erased address; the key is derived from `SECRET_KEY`."""
    key = hashlib.sha256(b"erased addresses:" + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, addresses.normalise(email).encode(), hashlib.sha256).hexdigest()


def stand_in(email: str) -> str:
    """What is stored instead of the address: no address, and the same for the same address."""
    return f"erased-{address_hash(email)[:32]}@erased.invalid"


def _mentions(value: Any, wanted: Mentions) -> bool:
    """Whether an address stands anywhere in JSON-like data, alone or within a text."""
    if isinstance(value, dict):
        return any(_mentions(item, wanted) for pair in value.items() for item in pair)
    if isinstance(value, list):
        return any(_mentions(item, wanted) for item in value)
    return isinstance(value, str) and wanted.within(value)


def _without(value: Any, wanted: Mentions, instead: str) -> Any:
    if isinstance(value, dict):
        return {name: _without(item, wanted, instead) for name, item in value.items()}
    if isinstance(value, list):
        return [_without(item, wanted, instead) for item in value]
    return wanted.replaced(value, instead) if isinstance(value, str) else value


# --- What is held ---------------------------------------------------------------------------------


def _deliveries(email: str) -> QuerySet[Delivery]:
    return Delivery.objects.filter(normalised_address=addresses.normalise(email), channel="email")


def _start(column: str, wanted: Mentions) -> Q:
    """A first look by the database, which finds a few rows too many."""
    condition = Q()
    for start in wanted.starts:
        condition |= Q(**{f"{column}__icontains": start})
    return condition


def _events(email: str) -> QuerySet[Event]:
    """Events whose data name the address, and those of the messages to it."""
    wanted = Mentions(email)
    near = Event.objects.annotate(text=Cast("data", TextField())).filter(_start("text", wanted))
    named = [event.pk for event in near.iterator(chunk_size=500) if _mentions(event.data, wanted)]
    return Event.objects.filter(Q(pk__in=named) | Q(pk__in=_deliveries(email).values("event"))).distinct()


def _entries(email: str) -> QuerySet[AuditEntry]:
    wanted = Mentions(email)
    near = AuditEntry.objects.annotate(text=Cast("changes", TextField())).filter(
        _start("text", wanted) | _start("object_label", wanted) | _start("actor_label", wanted)
    )
    return AuditEntry.objects.filter(
        pk__in=[
            entry.pk
            for entry in near.iterator(chunk_size=500)
            if _mentions([entry.changes, entry.object_label, entry.actor_label], wanted)
        ]
    )


def _recorded(email: str) -> QuerySet[RecordedSetting]:
    """The versions of settings, those in force aside, that name the address."""
    wanted = Mentions(email)
    ended = RecordedSetting.objects.exclude(until=None)
    near = ended.annotate(text=Cast("content", TextField())).filter(_start("text", wanted))
    return RecordedSetting.objects.filter(
        pk__in=[row.pk for row in near.iterator(chunk_size=500) if _mentions(row.content, wanted)]
    )


def _orders(email: str) -> QuerySet[PaymentOrder]:
    return support.orders_to(email, extra_copy=True)


def _answers(email: str) -> QuerySet[DataFormAnswer]:
    wanted = Mentions(email)
    near = DataFormAnswer.objects.filter(_start("search", wanted), erased_at__isnull=True)
    return DataFormAnswer.objects.filter(pk__in=[answer.pk for answer in near if wanted.within(answer.search)])


def _health(email: str) -> QuerySet[AddressHealth]:
    """The states of the address, with the refusals they come from."""
    return AddressHealth.objects.filter(normalised_address=addresses.normalise(email))


def _health_rows(email: str) -> list[dict[str, str]]:
    """Those states as they are handed out."""
    return [
        {
            "company": row.company.reference,
            "state": row.state,
            "since": csv_files.utc(row.since),
            "reply": row.words,
        }
        for row in _health(email).select_related("company")
    ]


def _remarks(email: str) -> QuerySet[MailRemark]:
    """The remarks that the reader of this address made on its mail."""
    return MailRemark.objects.filter(normalised_address=addresses.normalise(email))


def _kept_filters(email: str) -> QuerySet[SavedFilter]:
    """Saved searches of the journal, of any user, that contain the address."""
    wanted = Mentions(email)
    keys = [
        one.pk
        for one in SavedFilter.objects.iterator(chunk_size=500)
        if wanted.within(unquote_plus(one.query)) or wanted.within(one.name)
    ]
    return SavedFilter.objects.filter(pk__in=keys)


def _message_rows(email: str) -> list[dict[str, Any]]:
    """Every message to the address as it is handed out."""
    return [
        {
            "id": str(delivery.pk),
            "company": delivery.company.reference if delivery.company else None,
            "notification": delivery.notification,
            "as": delivery.as_,
            "status": delivery.status,
            "created_at": csv_files.utc(delivery.created_at),
            "sent_at": csv_files.utc(delivery.sent_at),
            "subject": delivery.message.subject if delivery.message else None,
            "text": delivery.message.text if delivery.message else None,
        }
        for delivery in support.deliveries_to(email)
    ]


def _event_rows(email: str) -> list[dict[str, Any]]:
    """The events that name the address as they are handed out."""
    return [
        {
            "id": event.event_id,
            "type": event.type,
            "accepted_at": csv_files.utc(event.accepted_at),
            "data": event.data,
        }
        for event in _events(email)
    ]


def export(email: str) -> bytes:
    """A ZIP of JSON and CSV: where the address is configured, every message to it, orders, history."""
    data = {
        "address": email,
        "exported_at": csv_files.utc(timezone.now()),
        "configured": [{"company": one.company.reference, "roles": one.roles} for one in support.occurrences(email)],
        "messages": _message_rows(email),
        "payment_orders": [
            {"reference": order.reference, "shop": order.shop.site_id, "created_at": csv_files.utc(order.created_at)}
            for order in _orders(email).select_related("shop")
        ],
        "form_answers": [
            {"created_at": csv_files.utc(answer.created_at), "values": answer.values} for answer in _answers(email)
        ],
        "remarks": [
            {"notification": remark.notification, "created_at": csv_files.utc(remark.created_at)}
            for remark in _remarks(email)
        ],
        "health": _health_rows(email),
        "saved_filters": [
            {"name": one.name, "created_at": csv_files.utc(one.created_at)} for one in _kept_filters(email)
        ],
        "events": _event_rows(email),
        "settings": [
            {"kind": row.kind, "since": csv_files.utc(row.since), "until": csv_files.utc(row.until), **row.content}
            for row in _recorded(email)
        ],
        "history": [
            {"at": csv_files.utc(entry.at), "action": entry.action, "changes": entry.changes}
            for entry in _entries(email)
        ],
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("donnees.json", json.dumps(data, ensure_ascii=False, indent=2))
        archive.writestr(
            "adresse.csv",
            "".join(csv_files.csv_lines(support.csv_rows(email), csv_files.spelling_of(translation.get_language()))),
        )
    return packed.getvalue()


def note_export(*, email: str, actor: Actor) -> None:
    """Record in the history that the data of an address was exported, by its hash."""
    noted = HistoryErasure(actor_label=actor.label[:200], address_hash=address_hash(email))
    audit.record(actor=actor, action="address.exported", obj=noted, company=None)


# --- Erasing --------------------------------------------------------------------------------------


@dataclass
class Plan:
    """What erasing an address would touch; with `reasons`, why it is refused now."""

    counts: dict[str, int]
    reasons: list[str] = field(default_factory=list)


def plan(email: str) -> Plan:
    reasons = [
        _("%(company)s : encore configurée (%(roles)s).")
        % {
            "company": one.company.name,
            "roles": ", ".join(wording.role_label(one.facts, role) for role in one.roles),
        }
        for one in support.occurrences(email)
    ]
    reasons += [_("Compte de l'équipe : %(login)s.") % {"login": user.login} for user in support.staff_accounts(email)]
    reasons += [
        _("Compte %(login)s : les liens y arrivent encore, la nouvelle adresse n'est pas confirmée.")
        % {"login": user.login}
        for user in support.accounts_verified_at(email)
    ]
    waiting = _deliveries(email).filter(status__in=Delivery.OPEN).count()
    if waiting:
        reasons.append(_("%(n)d message(s) en attente d'envoi.") % {"n": waiting})
    open_orders = sum(order.state_at(timezone.now()) == PaymentOrder.Status.IN_PROGRESS for order in _orders(email))
    if open_orders:
        reasons.append(_("%(n)d ordre(s) de paiement en cours.") % {"n": open_orders})
    counts = {
        "deliveries": _deliveries(email).count(),
        "events": _events(email).count(),
        "payment_orders": _orders(email).count(),
        "form_answers": _answers(email).count(),
        "history": _entries(email).count(),
        "settings": _recorded(email).count(),
    }
    return Plan(counts, reasons)


@transaction.atomic
def erase(*, email: str, actor: Actor) -> HistoryErasure:
    """Replace an address by its keyed hash everywhere, keeping the proof of sending.

    Raises:
        ValidationError: it is still configured or something to it is under way, with the reasons.
    """
    planned = plan(email)
    if planned.reasons:
        raise ValidationError(planned.reasons)
    erasure = HistoryErasure.objects.create(
        actor_label=actor.label[:200], address_hash=address_hash(email), counts=planned.counts
    )
    _erase_messages(email)
    _erase_orders(email)
    _answers(email).update(values=[], search="", erased_at=timezone.now())
    _remarks(email).delete()
    _health(email).delete()
    _kept_filters(email).delete()
    _erase_history(email, erasure)
    _scrub(_recorded(email), Mentions(email), stand_in(email))
    HistoryErasure.objects.filter(pk=erasure.pk).update(is_open=False)
    erasure.is_open = False
    audit.record(
        actor=actor,
        action="address.erased",
        obj=erasure,
        company=None,
        changes={name: [n, 0] for name, n in planned.counts.items()},
    )
    return erasure


def _erase_messages(email: str) -> None:
    """Remove the address from events, deliveries and their messages."""
    wanted, instead = Mentions(email), stand_in(email)
    events = list(_events(email))
    deliveries = list(_deliveries(email))
    messages = {delivery.message_id for delivery in deliveries if delivery.message_id}
    # A message shared with others keeps its words, which are theirs too; the address in it goes.
    own = Message.objects.filter(pk__in=messages).exclude(
        pk__in=Delivery.objects.filter(message__in=messages)
        .exclude(normalised_address=addresses.normalise(email))
        .values("message")
    )
    own.update(subject=ERASED, text=ERASED, html="", reply_to="", headers={})
    _scrub(Message.objects.filter(Q(pk__in=messages) | Q(event__in=[event.pk for event in events])), wanted, instead)
    for delivery in deliveries:
        # What the other server answered may abbreviate the address: the whole answer goes.
        Attempt.objects.filter(_start("reply", wanted), delivery=delivery).update(reply=ERASED)
    _scrub(Delivery.objects.filter(event__in=[event.pk for event in events]), wanted, instead)
    _deliveries(email).update(address=instead, normalised_address=instead, error="")
    for event in events:
        if _mentions(event.data, wanted):
            Event.objects.filter(pk=event.pk).update(data=_without(event.data, wanted, instead))


def _erase_orders(email: str) -> None:
    """Remove the address from payment orders and their history."""
    wanted, instead = Mentions(email), stand_in(email)
    orders = list(_orders(email))
    _scrub(PaymentOrder.objects.filter(pk__in=[order.pk for order in orders]), wanted, instead)
    _scrub(PaymentOrderEntry.objects.filter(order__in=orders), wanted, instead)
    for order in orders:
        changed = {
            name: instead
            for name in ("recipient", "extra_copy")
            if addresses.normalise(getattr(order, name)) == addresses.normalise(email)
        }
        PaymentOrder.objects.filter(pk=order.pk).update(**changed)


def _erase_history(email: str, erasure: HistoryErasure) -> None:
    """Take the address out of the history; the erasure is what allows it."""
    wanted = Mentions(email)
    for entry in _entries(email):
        AuditEntry.objects.filter(pk=entry.pk).update(
            erasure=erasure,
            salt="",
            actor_label=_without(entry.actor_label, wanted, ERASED),
            object_label=_without(entry.object_label, wanted, ERASED),
            changes=_without(entry.changes, wanted, ERASED),
        )


def _scrub(rows: QuerySet[Any], wanted: Mentions, instead: str) -> None:
    """Take the address out of the texts and lists of rows that also concern others."""
    names = [
        one.name
        for one in rows.model._meta.local_fields
        if one.get_internal_type() in ("CharField", "TextField", "JSONField") and not one.primary_key and not one.unique
    ]
    for row in rows:
        changed = {
            name: _without(getattr(row, name), wanted, instead)
            for name in names
            if _mentions(getattr(row, name), wanted)
        }
        if changed:
            rows.model._default_manager.filter(pk=row.pk).update(**changed)
