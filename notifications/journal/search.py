"""What the search of the top bar finds of deliveries, calls and events."""

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from backoffice.base import endless
from backoffice.base.searching import SHOWN, Group, Hit, few, group, identifier, joined, list_url
from backoffice.text import addresses, times
from companies.models import Membership
from notifications import readers
from notifications.core import wording
from notifications.models import Delivery, Event


def deliveries(membership: Membership, text: str) -> list[Group]:
    """Deliveries by identifier, Message-ID, address or event; by the payment, the subject and the name that the
    receiving server gave among the newest."""
    key = identifier(text)
    visible = readers.deliveries_for(membership)
    ways = [
        endless.begins("normalised_address", addresses.normalise(text)),
        of_event(membership, text),
        *by_identifier(text),
    ]
    keys = endless.first(visible, endless.Wanted(ways, said_by(text)), by="created_at", limit=SHOWN + 1)
    rows = visible.filter(pk__in=keys) if keys else visible.none()
    hits = [_delivery(delivery, text, delivery.pk == key) for delivery in rows.select_related("event", "shop")]
    return [
        *group("deliveries", _("Envois"), hits, list_url("journal", q=text)),
        *_events(membership, visible, text),
    ]


def of_event(membership: Membership, text: str) -> Q:
    """The deliveries of the event with exactly this identifier."""
    return Q(event__in=list(readers.events_named(membership, text).values_list("pk", flat=True)))


def by_identifier(text: str) -> list[Q]:
    """The delivery, or the replay of many, that a text names: by its own identifier or that in its Message-ID."""
    key = identifier(text)
    return [Q(pk=key), Q(run=key)] if key else []


def said_by(text: str) -> Q:
    """What no index finds of a delivery: parts of its address, subject or event, the payment, the server's name."""
    return (
        Q(normalised_address__contains=addresses.normalise(text))
        | Q(message__subject__icontains=text)
        | Q(event__event_id__icontains=text)
        | of_payment(text)
        | Q(Exists(readers.attempts_named(OuterRef("pk"), text)))
    )


def of_payment(text: str) -> Q:
    """Deliveries about the payment with this transaction or order."""
    return Q(event__data__transaction_id=text) | Q(event__data__order_id=text)


def _delivery(delivery: Delivery, text: str, is_named: bool) -> Hit:
    return Hit(
        delivery.address,
        reverse("delivery", args=[delivery.pk]),
        joined(
            wording.notification_label(delivery.notification),
            str(Delivery.Status(delivery.status).label),
            times.short_moment(delivery.created_at),
            delivery.shop.name if delivery.shop else "",
        ),
        is_test=delivery.mode == "TEST",
        is_exact=is_named,
    )


def _events(membership: Membership, visible: QuerySet[Delivery], text: str) -> list[Group]:
    """Events by the beginning of their identifier, or by the payment that they tell of among the newest deliveries."""
    told = endless.newest(visible, by="created_at").filter(of_payment(text)).order_by("-created_at")
    keys = list(dict.fromkeys(told.values_list("event_id", flat=True)[: 4 * SHOWN]))[: SHOWN + 1]
    events = few(readers.events_for(membership).filter(endless.begins("event_id", text) | Q(pk__in=keys)))
    return group("events", _("Événements"), [_event(event, text) for event in events], list_url("journal", q=text))


def _event(event: Event, text: str) -> Hit:
    return Hit(
        event.event_id,
        list_url("journal", event=event.event_id),
        joined(
            wording.trigger_label(event.type),
            times.short_moment(event.occurred_at),
            event.shop.name if event.shop else "",
        ),
        is_test=event.mode == "TEST",
        is_exact=event.event_id == text,
    )
