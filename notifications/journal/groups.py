"""The rows of the journal under the events that led to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count

from backoffice.text.amounts import amount_text
from backoffice.text.currencies import CURRENCIES
from companies.models import Membership
from notifications import readers
from notifications.core import wording
from notifications.models import Delivery, Event


@dataclass
class Group:
    """Rows that stand together.

    Attributes:
        event: what led to them; None where they are not grouped.
        count: how many the event led to in all, as far as the reader sees them.
    """

    rows: list[Delivery]
    event: Event | None = None
    count: int = 0

    @property
    def title(self) -> str:
        return wording.trigger_label(self.event.type) if self.event else ""

    @property
    def about(self) -> str:
        """Order and amount, where the event is one of a shop and names them; else its identifier."""
        return about(self.event) if self.event else ""


def about(event: Event) -> str:
    """What an event is about, in short: « CMD-12 · 19,90 EUR »; the identifiers that we give say nothing to people."""
    data: dict[str, Any] = event.data if event.shop_id else {}
    order, amount, currency = data.get("order_id"), data.get("amount"), data.get("currency", "EUR")
    parts = [order] if isinstance(order, str) and order else []
    if isinstance(amount, int) and not isinstance(amount, bool) and currency in CURRENCIES:
        parts.append(amount_text(amount, currency))
    return " · ".join(parts) or (event.event_id if event.external else "")


def grouped(membership: Membership, rows: Sequence[Delivery]) -> list[Group]:
    """The rows of a page by event, in the order of the newest of each; one query."""
    groups: dict[int, Group] = {}
    for row in rows:
        groups.setdefault(row.event_id, Group([], row.event)).rows.append(row)
    counted = readers.deliveries_for(membership).filter(event__in=groups).order_by().values_list("event")
    for event_id, count in counted.annotate(n=Count("pk")):
        groups[event_id].count = count
    return list(groups.values())
