"""What a document would do to the settings, and to who receives what."""

from typing import Any

from pydantic import Field

from backoffice.schemas.base import Shape
from backoffice.schemas.tables import GapOut, PlannedLineOut


class ChangeOut(Shape):
    """One value that differs. Of secrets only that they change."""

    object: str
    field: str
    before: Any
    after: Any


class SlipOut(Shape):
    """An address that looks mistyped, and what was probably meant; told, never refused."""

    email: str
    meant: str


class CompanyPlanOut(Shape):
    """What would become of one company: its settings, the lines of its delivery tables, its gaps, and new addresses
    that look mistyped."""

    company: str
    created: bool
    updated: bool
    changes: list[ChangeOut]
    gained: list[PlannedLineOut]
    lost: list[PlannedLineOut]
    gaps_opened: list[GapOut]
    gaps_closed: list[GapOut]
    # Absent where there is none.
    slips: list[SlipOut] = Field(default_factory=list, exclude_if=lambda slips: not slips)


class PlanOut(Shape):
    """What a provisioning file would do."""

    companies: list[CompanyPlanOut]
