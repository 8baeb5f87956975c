"""What was sent."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from backoffice.schemas.base import Shape


class DeliveryOut(Shape):
    """One message or call for one recipient; times in UTC."""

    id: str
    event: str
    notification: str
    shop: str | None
    rule: str | None
    address: str
    as_: Literal["to", "cc"] = Field(alias="as")
    channel: Literal["email", "ipn"]
    mode: Literal["TEST", "PRODUCTION"]
    status: Literal["queued", "sending", "sent", "retry", "dead", "cancelled", "not_sent"]
    attempts: int
    created_at: datetime
    sent_at: datetime | None
    retry_at: datetime | None
    http_status: int | None
    error: str | None
    # When the digest is due that the event waits for; the delivery whose mail tells of it, from then on.
    digest_at: datetime | None
    carried_by: str | None


class DeliveriesOut(Shape):
    """A page of deliveries; `next` is the cursor of the following one."""

    results: list[DeliveryOut]
    next: str | None
