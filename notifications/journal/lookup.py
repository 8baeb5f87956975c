"""What the pages of the journal share: the delivery asked for, search, and what a call shows."""

from dataclasses import replace
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils.encoding import force_str
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backoffice.base import endless
from backoffice.text import addresses as address_rules
from companies.models import Membership
from companies.rights import access, permissions
from companies.rights.access import CompanyRequest
from notifications import readers
from notifications.calls import requests as calls
from notifications.core import failures
from notifications.core.catalogue import TABLE_ROWS, Channel
from notifications.journal import proofs
from notifications.journal import selectors as journal_selectors
from notifications.journal.filters import JournalFilter
from notifications.journal.search import by_identifier, said_by
from notifications.models import Delivery
from notifications.tables import screens

HIDDEN_CONTENT = gettext_lazy(
    "Ce message concerne toute la société : il nomme des boutiques ou des comptes que vous ne voyez pas. Seules les "
    "personnes qui voient toutes les boutiques et les comptes en lisent le contenu."
)


def failure_words(delivery: Delivery) -> str:
    """Why a message or a call did not arrive, as a sentence; empty where nothing failed."""
    if delivery.channel == Channel.IPN:
        return calls.status_label(delivery) if delivery.error else ""
    return failures.sentence(delivery.error, delivery.status, delivery.resolution)


def searched(deliveries: QuerySet[Delivery], text: str) -> QuerySet[Delivery]:
    """Deliveries whose address, shop, notification, subject or event matches the text."""
    if not text:
        return deliveries
    needle = screens.folded(text)
    codes = [row.code for row in TABLE_ROWS if needle in screens.folded(force_str(row.label))]
    return deliveries.filter(
        Q(normalised_address__contains=address_rules.normalise(text))
        | Q(address__icontains=text)
        | Q(shop__name__icontains=text)
        | Q(shop__site_id__contains=text)
        | Q(notification__in=codes)
        | reduce(or_, by_identifier(text), said_by(text))
    )


def shown(membership: Membership, asked: JournalFilter) -> tuple[QuerySet[Delivery], list[endless.Wanted]]:
    """The deliveries of a page under its filters, and what is searched for among them.

    As `deliveries_filtered` and `searched`, but within bounds.

    Whole addresses and identifiers, beginnings of addresses, shops and notifications are found over all time. What
    is only a part of a word is found among the newest rows of the period chosen; files have all of them.
    """
    search, text = asked.search(), asked.value("q").strip()
    address, event = search.address, search.event
    others = replace(search, address="", event="")
    deliveries = journal_selectors.deliveries_filtered(readers.deliveries_for(membership), others)
    wanted: list[endless.Wanted] = []
    if address:
        whole = deliveries.filter(normalised_address=address_rules.normalise(address))
        if "@" in address and whole.exists():
            # A whole address opens its own deliveries, not those of a longer one that begins alike.
            deliveries = whole
        else:
            wanted.append(endless.Wanted([_beginning(address)], _in_address(address)))
    if event:
        wanted.insert(0, endless.Wanted([_of_event(membership, event)], Q(event__event_id__icontains=event)))
    if text:
        wanted.append(_anything(membership, text))
    return deliveries, wanted


def _anything(membership: Membership, text: str) -> endless.Wanted:
    """What a text of the search may be."""
    needle = screens.folded(text)
    codes = [row.code for row in TABLE_ROWS if needle in screens.folded(force_str(row.label))]
    return endless.Wanted(
        [
            _beginning(text),
            _of_event(membership, text),
            Q(shop__in=_shops(membership, text)),
            Q(notification__in=codes),
            *by_identifier(text),
        ],
        _in_address(text) | said_by(text),
    )


def _beginning(text: str) -> Q:
    return endless.begins("normalised_address", address_rules.normalise(text))


def _in_address(text: str) -> Q:
    return Q(normalised_address__contains=address_rules.normalise(text)) | Q(address__icontains=text.strip())


def _of_event(membership: Membership, event_id: str) -> Q:
    """Those of the event with exactly this identifier, of which a company has one."""
    return Q(event__in=list(readers.events_named(membership, event_id).values_list("pk", flat=True)))


def _shops(membership: Membership, text: str) -> list[int]:
    shops = access.shops_of(membership).order_by()
    return list(shops.filter(Q(name__icontains=text) | Q(site_id__contains=text)).values_list("pk", flat=True))


def delivery_or_404(request: CompanyRequest, key: UUID, permission: str = permissions.VIEW) -> Delivery:
    """A delivery the user may see; anything else is a plain 404.

    Raises:
        PermissionDenied: the user sees it but lacks `permission` on its shop, or may not read what it says.
    """
    deliveries = readers.deliveries_for(request.membership)
    delivery = (
        deliveries.select_related("event", "shop", "rule", "message", "resend_of", "company", "carried_by")
        .filter(pk=key)
        .first()
    )
    if delivery is None:
        raise Http404
    if permission != permissions.VIEW:
        if not access.can(request.membership, permission, delivery.shop):
            raise access.denied(request, delivery.shop)
        if not proofs.may_read(request.membership, delivery):
            raise PermissionDenied
    return delivery


def call_context(delivery: Delivery) -> dict[str, Any]:
    """What the page of a delivery shows of a call besides."""
    call = delivery.call or {}
    fields = call.get("fields") or {}
    return {
        "call_label": calls.status_label(delivery),
        "call_format": {"form": _("API formulaire V2"), "rest": _("API REST V4")}.get(call.get("format", ""), ""),
        "call_fields": sorted(fields.items()),
        "call_answer": call.get("answer"),
        "can_replay": delivery.status != Delivery.Status.SENDING and delivery.rule_id is not None,
        "profile": call.get("profile", ""),
    }
