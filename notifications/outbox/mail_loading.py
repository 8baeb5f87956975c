"""What the mails of claimed deliveries are made of: read by the group, without what no mail needs."""

import uuid
from collections.abc import Sequence
from typing import Any

from backoffice.base.rows import Reading, join
from notifications.health import recording
from notifications.models import Delivery, Event, Message, NotificationRule
from shops.models import Shop

_DELIVERY = (
    "id", "status", "attempt_count", "notification", "as_field", "mode", "address", "normalised_address", "account",
    "to_addresses", "cc_addresses", "resolution", "headers", "is_test", "error", "broadcast_id", "carried_by_id", "company_id",
    "shop_id", "rule_id", "event_id", "channel", "endpoint", "message_id",
)  # fmt: skip
_EVENT = ("id", "event_id", "request_id", "traceparent", "type")
_MESSAGE = ("id", "language", "subject", "text", "html", "reply_to", "headers", "has_attachments")
_SHOP = ("id", "site_id", "name")
_RULE = ("id", "reference")

_HELD: Reading[Delivery] = Reading(Delivery, _DELIVERY, condition=' AND "lease_owner" = %s')
_JOINED: dict[str, Reading[Any]] = {
    "message": Reading(Message, _MESSAGE),
    "event": Reading(Event, _EVENT),
    "shop": Reading(Shop, _SHOP),
    "rule": Reading(NotificationRule, _RULE),
}


def loaded(keys: Sequence[uuid.UUID], owner: str) -> list[Delivery]:
    """The deliveries that `owner` holds, in the order of their keys, with their message, event, shop and rule."""
    known = _HELD.by_key(keys, owner)
    deliveries = [known[key] for key in keys if key in known]
    for name, read in _JOINED.items():
        join(deliveries, name, read)
    recording.mark_troubled(deliveries)
    return deliveries
