"""Delivery tables (docs/rules.md 7.1)."""

from typing import Literal

from pydantic import Field

from backoffice.schemas.base import Shape


class LineOut(Shape):
    """One notification that reaches an address, and why."""

    notification: str
    shop: str | None
    rule: str | None
    account: str | None
    triggers: list[str]
    # A word of Python, so no name of an attribute.
    as_: Literal["to", "cc"] = Field(alias="as")
    source: str
    condition: str | None
    reason: str
    configured_at: str | None
    # How the mails of the rule are put together; null for what no rule of mail to merchants writes.
    digest: Literal["each", "hourly", "daily"] | None


class AddressOut(Shape):
    """One address of a company: its roles, its state (docs/rules.md 7.9), and what reaches it."""

    email: str
    roles: list[str]
    state: Literal["unverified", "verified", "bouncing", "suppressed"]
    state_since: str | None
    state_reason: str | None
    receives: list[LineOut]


class GapOut(Shape):
    """A notification that reaches nobody."""

    notification: str
    shop: str | None
    rule: str | None
    on_purpose: bool
    reason: str


class TablesOut(Shape):
    """Who receives what in a company; `at` where it was so at a past moment."""

    company: str
    at: str | None = None
    addresses: list[AddressOut]
    gaps: list[GapOut]


class PlannedLineOut(LineOut):
    """A line outside of its address."""

    email: str
