"""The outbox row of a message to a single address."""

from typing import Any

from notifications.core.catalogue import Channel
from notifications.core.resolver import Decision, resolution_json
from notifications.models import Delivery, Event, Message


def mail_to_one(event: Event, decision: Decision, message: Message | None, **more: Any) -> Delivery:
    """Return the row, not saved; `more` are further columns."""
    return Delivery(
        event=event,
        company=event.company,
        notification=decision.notification,
        address=decision.address,
        normalised_address=decision.normalised,
        channel=Channel.EMAIL,
        mode=event.mode,
        message=message,
        to_addresses=[decision.address],
        resolution=resolution_json(decision),
        **more,
    )
