"""Reads of the journal: deliveries of a company that its reader may see, searched and filtered, and their CSV."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from backoffice.base.csv_files import neutral, utc
from backoffice.text import addresses
from companies.models import Company, Membership
from notifications import readers
from notifications.core.catalogue import Channel
from notifications.models import Delivery

# Errors of calls that were never to be made, for want of a URL.
NOT_CALLED = ("NO_URL", "FORM_URLS_ONLY")


def deliveries(company: Company, membership: Membership | None = None) -> QuerySet[Delivery]:
    """The deliveries that a user of the company may see, or without one all of them; newest first."""
    return readers.deliveries_of(company) if membership is None else readers.deliveries_for(membership)


@dataclass(frozen=True)
class Search:
    """What deliveries are narrowed to; an empty value does not filter.

    Attributes:
        status: any of these.
        uncalled: whether calls count that were never to be made, for want of a URL.
        address: a whole address (compared by its normal form), or where nothing went to it, a part of one.
        event: event id, or a part of it.
        digest: event id of a mail: the events that it tells of.
    """

    status: Sequence[str] = ()
    uncalled: bool = True
    notification: str = ""
    channel: str = ""
    rule: str = ""
    shop: str = ""
    address: str = ""
    event: str = ""
    digest: str = ""
    mode: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def columns(self) -> dict[str, Any]:
        """Return the lookups of columns that a delivery has to fit."""
        lookups = {
            "status__in": self.status,
            "notification": self.notification,
            "channel": self.channel,
            "rule__reference": self.rule,
            "shop__site_id": self.shop,
            "event__event_id__icontains": self.event,
            "carried_by__event__event_id": self.digest,
            "mode": self.mode,
            "created_at__gte": self.since,
            "created_at__lt": self.until,
        }
        return {lookup: value for lookup, value in lookups.items() if value}


def deliveries_filtered(deliveries: QuerySet[Delivery], search: Search) -> QuerySet[Delivery]:
    """Narrow deliveries to those that a search asks for."""
    deliveries = deliveries.filter(**search.columns())
    if not search.uncalled:
        deliveries = without_uncalled(deliveries)
    if search.digest:
        deliveries = deliveries.filter(broadcast=None)
    if search.address:
        deliveries = _to_address(deliveries, search.address)
    return deliveries


def without_uncalled(deliveries: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Leave out calls that were never to be made because the rule has no URL; the page of the rule shows that."""
    return deliveries.exclude(channel=Channel.IPN, error__in=NOT_CALLED)


def _to_address(deliveries: QuerySet[Delivery], address: str) -> QuerySet[Delivery]:
    """Narrow to an address; a complete one matches only itself, not longer addresses that contain it."""
    wanted = addresses.normalise(address)
    if "@" in wanted:
        exact = deliveries.filter(normalised_address=wanted)
        if exact.exists():
            return exact
    return deliveries.filter(Q(normalised_address__contains=wanted) | Q(address__icontains=address.strip()))


def failing_addresses(recent: QuerySet[Delivery]) -> list[dict[str, Any]]:
    """Addresses with failed deliveries among `recent`, worst first.

    `only_failures` tells an address to which nothing at all got through in that time.
    """
    failed = (Delivery.Status.DEAD, Delivery.Status.NOT_SENT, Delivery.Status.RETRY)
    rows = list(
        recent.order_by()
        .filter(status__in=failed)
        .exclude(normalised_address="")
        .values("normalised_address")
        .annotate(count=Count("pk"))
        .order_by("-count", "normalised_address")[:5]
    )
    if not rows:
        return []
    # Asked of these few addresses alone, which an index serves; what got through to others does not matter.
    named = recent.filter(normalised_address__in=[row["normalised_address"] for row in rows]).order_by()
    newest_first = Window(
        RowNumber(), partition_by="normalised_address", order_by=[F("created_at").desc(), F("pk").desc()]
    )
    reached = named.filter(status=Delivery.Status.SENT, normalised_address=OuterRef("normalised_address"))
    refused = named.filter(status__in=failed).annotate(place=newest_first, is_reached=Exists(reached))
    newest = {last.normalised_address: last for last in refused.filter(place=1)}
    failing = []
    for row in rows:
        last = newest[row["normalised_address"]]
        failing.append(
            {
                "address": last.address,
                "count": row["count"],
                "only_failures": not last.is_reached,
                "last": last,
                "last_at": last.created_at,
            }
        )
    return failing


JOURNAL_HEADER = (
    "id",
    "event",
    "notification",
    "shop",
    "rule",
    "address",
    "as",
    "channel",
    "mode",
    "status",
    "attempts",
    "created_at",
    "sent_at",
    "retry_at",
    "http_status",
    "error",
    "digest_at",
    "carried_by",
)


def journal_rows(deliveries: QuerySet[Delivery]) -> Iterator[list[str]]:
    """Header, then one row a delivery, with the names and values of the API; times in UTC."""
    yield list(JOURNAL_HEADER)
    for delivery in deliveries.iterator(chunk_size=1000):
        cells = (
            delivery.pk,
            delivery.event.event_id,
            delivery.notification,
            delivery.shop.site_id if delivery.shop else "",
            delivery.rule.reference if delivery.rule else "",
            delivery.address,
            delivery.as_,
            delivery.channel,
            delivery.mode,
            delivery.status,
            delivery.attempt_count,
            utc(delivery.created_at),
            utc(delivery.sent_at),
            "" if delivery.digest_at else utc(delivery.retry_at),
            delivery.http_status,
            delivery.error,
            utc(delivery.digest_at),
            delivery.carried_by_id if delivery.in_digest else "",
        )
        yield [neutral(cell) for cell in cells]
