"""Why and why not, and the coverage (docs/rules.md 7.6 and 7.7)."""

from typing import Literal

from pydantic import Field

from backoffice.schemas.base import Shape


class ObstacleOut(Shape):
    """One thing that stands between an address and a notification."""

    code: str
    reason: str
    configured_at: str | None


class AnswerOut(Shape):
    """Whether one notification reaches the address, and everything that stands in the way."""

    notification: str
    shop: str | None
    rule: str | None
    account: str | None
    delivers: bool
    # A word of Python, so no name of an attribute.
    as_: Literal["to", "cc"] | None = Field(alias="as")
    source: str | None
    condition: str | None
    obstacles: list[ObstacleOut]
    instead: list[str]
    reason: str


class ExplainOut(Shape):
    """What answers a question about one address of a company; `at` where it was asked about a past moment."""

    company: str
    at: str | None = None
    address: str
    receives: bool
    roles: list[str]
    answers: list[AnswerOut]


class AcknowledgementOut(Shape):
    """A gap that somebody accepted until a day."""

    by: str
    at: str
    until: str


class CellOut(Shape):
    """One notification of one shop, or of the company."""

    notification: str
    shop: str | None
    state: Literal["nobody", "nobody_on_purpose", "off", "unverified", "single", "covered"]
    addresses: int
    critical: bool
    acknowledged: AcknowledgementOut | None


class CoverageOut(Shape):
    """How well the notifications of a company are covered."""

    company: str
    score: int
    cells: list[CellOut]
