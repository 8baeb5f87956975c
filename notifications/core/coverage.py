"""Coverage: for each notification and shop, whether anybody is told, as states, and one score over all of them.

Computed from the decisions of the resolver. Pure: no database, no settings, no clock.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from fractions import Fraction
from typing import Any

from notifications.core import resolver
from notifications.core.address_health import AddressState
from notifications.core.catalogue import BY_CODE, NOTIFICATION_OF_RULE_TYPE, ORDER, TABLE_ROWS, Notification, Scope
from notifications.core.facts import CompanyFacts, RuleFacts, ShopFacts
from notifications.core.reasons import Reason
from notifications.core.resolver import Decision


class CoverageState(StrEnum):
    """How well one cell is covered, worst first."""

    NOBODY = "nobody"
    NOBODY_ON_PURPOSE = "nobody_on_purpose"
    OFF = "off"
    # Where the company has its addresses verified: none of them is.
    UNVERIFIED = "unverified"
    SINGLE = "single"
    COVERED = "covered"


_BADNESS = {state: position for position, state in enumerate(CoverageState)}

WEIGHTS = {True: 3, False: 1}
CREDITS: dict[CoverageState, Fraction] = {
    CoverageState.NOBODY: Fraction(0),
    CoverageState.NOBODY_ON_PURPOSE: Fraction(1),
    CoverageState.UNVERIFIED: Fraction(1, 2),
    CoverageState.SINGLE: Fraction(4, 5),
    CoverageState.COVERED: Fraction(1),
}

# (notification, site_id or None): what names a cell.
CellKey = tuple[str, str | None]


@dataclass(frozen=True)
class Acknowledgement:
    """That a gap is known and accepted until a day, that day included."""

    by: str
    at: datetime
    until: date


@dataclass(frozen=True)
class Cell:
    """One notification of one shop, or of the company.

    Attributes:
        addresses: how many distinct ones it reaches.
        rules: the references of the enabled rules behind it, the worst first.
        is_without_rule: it is about rules, and the shop has none of the kind, not even a disabled one.
    """

    notification: str
    shop: str | None
    state: CoverageState
    addresses: int
    acknowledged: Acknowledgement | None = None
    rules: tuple[str, ...] = ()
    is_without_rule: bool = False

    @property
    def key(self) -> CellKey:
        return self.notification, self.shop

    @property
    def is_critical(self) -> bool:
        return BY_CODE[self.notification].critical

    @property
    def weight(self) -> int:
        return WEIGHTS[self.is_critical]

    @property
    def counts(self) -> bool:
        """Whether the cell counts for the score: what is off does not."""
        return self.state is not CoverageState.OFF

    @property
    def credit(self) -> Fraction:
        return Fraction(1) if self.is_accepted else CREDITS.get(self.state, Fraction(0))

    @property
    def is_accepted(self) -> bool:
        """A gap that somebody acknowledged."""
        return self.state is CoverageState.NOBODY and self.acknowledged is not None

    @property
    def is_gap(self) -> bool:
        return self.state in (CoverageState.NOBODY, CoverageState.NOBODY_ON_PURPOSE)


@dataclass(frozen=True)
class Coverage:
    """The cells of a company in table order, and their score."""

    company: str
    cells: tuple[Cell, ...]

    @property
    def score(self) -> int:
        return score(self.cells)

    @property
    def points(self) -> Fraction:
        return sum((cell.weight * cell.credit for cell in self.cells if cell.counts), Fraction(0))

    @property
    def total(self) -> int:
        return sum(cell.weight for cell in self.cells if cell.counts)


def score(cells: Iterable[Cell]) -> int:
    """100 × Σ weight × credit ÷ Σ weight over what is on, rounded half up; 100 where nothing is on."""
    counted = [cell for cell in cells if cell.counts]
    total = sum(cell.weight for cell in counted)
    if not total:
        return 100
    share = 100 * sum((cell.weight * cell.credit for cell in counted), Fraction(0)) / total
    return int(share + Fraction(1, 2))


def coverage(company: CompanyFacts, acknowledged: Mapping[CellKey, Acknowledgement] | None = None) -> Coverage:
    """The coverage of a company, or of the part of it that its reader sees.

    Args:
        acknowledged: the acknowledgements in force.
    """
    known = acknowledged or {}
    cells: list[Cell] = []
    for row in TABLE_ROWS:
        if row.scope is Scope.COMPANY:
            cells.append(_company_cell(company, row, known))
        elif row.scope is not Scope.ACCOUNT:
            cells += [_shop_cell(company, row, shop, known) for shop in company.shops]
    return Coverage(
        company.reference, tuple(sorted(cells, key=lambda cell: (ORDER[cell.notification], cell.shop or "")))
    )


def _company_cell(company: CompanyFacts, row: Notification, known: Mapping[CellKey, Acknowledgement]) -> Cell:
    decisions = resolver.resolve(company, row.code)
    off = company.status != "active" or any(decision.reason is Reason.NEWSLETTER_OPT_OUT for decision in decisions)
    return _cell(row, None, CoverageState.OFF if off else _state(company, decisions), decisions, known)


def _shop_cell(
    company: CompanyFacts, row: Notification, shop: ShopFacts, known: Mapping[CellKey, Acknowledgement]
) -> Cell:
    if company.status != "active" or shop.status != "active":
        return _cell(row, shop, CoverageState.OFF, (), known)
    if row.scope is Scope.SHOP:
        decisions = resolver.resolve(company, row.code, shop=shop)
        return _cell(row, shop, _state(company, decisions), decisions, known)
    by_rule = {
        rule.reference: resolver.resolve(company, row.code, shop=shop, rule=rule) for rule in _enabled(shop, row)
    }
    states = {reference: _state(company, decisions) for reference, decisions in by_rule.items()}
    worst = min(states.values(), key=_BADNESS.__getitem__, default=CoverageState.OFF)
    everything = [decision for decisions in by_rule.values() for decision in decisions]
    references = tuple(sorted(states, key=lambda reference: (_BADNESS[states[reference]], reference)))
    cell = _cell(row, shop, worst, everything, known, references)
    has_rule = any(NOTIFICATION_OF_RULE_TYPE[rule.type] == row.code for rule in shop.rules)
    return cell if has_rule else replace(cell, is_without_rule=True)


def _enabled(shop: ShopFacts, row: Notification) -> Iterator[RuleFacts]:
    return (rule for rule in shop.rules if rule.enabled and NOTIFICATION_OF_RULE_TYPE[rule.type] == row.code)


def _cell(
    row: Notification,
    shop: ShopFacts | None,
    state: CoverageState,
    decisions: Sequence[Decision],
    known: Mapping[CellKey, Acknowledgement],
    rules: tuple[str, ...] = (),
) -> Cell:
    site_id = shop.site_id if shop else None
    noted = known.get((row.code, site_id))
    is_gap = state in (CoverageState.NOBODY, CoverageState.NOBODY_ON_PURPOSE)
    return Cell(row.code, site_id, state, len(_reached(decisions)), noted if is_gap else None, rules)


def _reached(decisions: Iterable[Decision]) -> set[str]:
    return {decision.normalised for decision in decisions if decision.delivers}


def _state(company: CompanyFacts, decisions: Sequence[Decision]) -> CoverageState:
    reached = _reached(decisions)
    if reached:
        if company.verify_addresses and not any(_is_verified(company, key) for key in reached):
            return CoverageState.UNVERIFIED
        return CoverageState.SINGLE if len(reached) == 1 else CoverageState.COVERED
    if any(decision.reason is Reason.NOBODY_ON_PURPOSE for decision in decisions):
        return CoverageState.NOBODY_ON_PURPOSE
    return CoverageState.NOBODY


def _is_verified(company: CompanyFacts, normalised: str) -> bool:
    return company.health_of(normalised).state is AddressState.VERIFIED


# --- Shown ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Term:
    """Equal cells of the score's sum: how many, of which state and weight, and what they bring."""

    state: CoverageState
    is_accepted: bool
    weight: int
    credit: Fraction
    cells: int

    @property
    def points(self) -> Fraction:
        return self.cells * self.weight * self.credit

    @property
    def most(self) -> int:
        return self.cells * self.weight


def arithmetic(cells: Iterable[Cell]) -> list[Term]:
    """The sum behind the score, its terms worst first and heavy before light."""
    counted = Counter((cell.state, cell.is_accepted, cell.weight) for cell in cells if cell.counts)
    terms = [
        Term(state, accepted, weight, Fraction(1) if accepted else CREDITS[state], n)
        for (state, accepted, weight), n in counted.items()
    ]
    return sorted(terms, key=lambda term: (_BADNESS[term.state], term.is_accepted, -term.weight))


@dataclass(frozen=True)
class Fix:
    """Cells of one notification that one kind of change would mend, and by how many points the score rises."""

    notification: str
    state: CoverageState
    cells: tuple[Cell, ...]
    gain: Fraction


def fixes(covered: Coverage) -> list[Fix]:
    """What to mend, the most worth first: cells below full credit, those of one notification and state together."""
    groups: dict[tuple[str, CoverageState], list[Cell]] = {}
    for cell in covered.cells:
        if cell.counts and cell.credit < 1:
            groups.setdefault((cell.notification, cell.state), []).append(cell)
    if not groups:
        return []
    made = [
        Fix(
            code,
            state,
            tuple(cells),
            100 * sum((c.weight * (1 - c.credit) for c in cells), Fraction(0)) / covered.total,
        )
        for (code, state), cells in groups.items()
    ]
    return sorted(made, key=lambda fix: (_BADNESS[fix.state], -fix.gain, ORDER[fix.notification]))


@dataclass(frozen=True)
class Column:
    """Shops whose cells are equal, as one column of the matrix."""

    shops: tuple[ShopFacts, ...]
    cells: dict[str, Cell]

    @property
    def first(self) -> ShopFacts:
        return self.shops[0]


def columns(company: CompanyFacts, covered: Coverage) -> list[Column]:
    """The shops of the matrix, those with equal cells folded into one; those that miss something come first."""
    by_shop: dict[str, dict[str, Cell]] = {}
    for cell in covered.cells:
        if cell.shop:
            by_shop.setdefault(cell.shop, {})[cell.notification] = cell
    groups: dict[tuple[Any, ...], list[ShopFacts]] = {}
    for shop in sorted(company.shops, key=lambda item: item.site_id):
        groups.setdefault(_looks(by_shop[shop.site_id]), []).append(shop)
    made = [Column(tuple(shops), by_shop[shops[0].site_id]) for shops in groups.values()]
    return sorted(made, key=_misses, reverse=True)


def _looks(cells: Mapping[str, Cell]) -> tuple[Any, ...]:
    return tuple((code, cell.state, cell.addresses, cell.acknowledged) for code, cell in cells.items())


def _misses(column: Column) -> Fraction:
    return sum((cell.weight * (1 - cell.credit) for cell in column.cells.values() if cell.counts), Fraction(0))


def document(covered: Coverage) -> dict[str, Any]:
    """The coverage as the command and the API give it (docs/rules.md 7.7)."""
    return {"company": covered.company, "score": covered.score, "cells": [cell_json(cell) for cell in covered.cells]}


def cell_json(cell: Cell) -> dict[str, Any]:
    noted = cell.acknowledged
    return {
        "notification": cell.notification,
        "shop": cell.shop,
        "state": cell.state.value,
        "addresses": cell.addresses,
        "critical": cell.is_critical,
        "acknowledged": acknowledgement_json(noted) if noted else None,
    }


def acknowledgement_json(noted: Acknowledgement) -> dict[str, str]:
    at = noted.at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    return {"by": noted.by, "at": f"{at}Z", "until": noted.until.isoformat()}


CSV_HEADER = ("notification", "shop", "state", "addresses", "critical", "acknowledged")


def csv_rows(covered: Coverage) -> Iterator[list[str]]:
    """Header, then one row a cell; an acknowledgement stands as its last day."""
    yield list(CSV_HEADER)
    for cell in covered.cells:
        noted = cell.acknowledged.until.isoformat() if cell.acknowledged else ""
        yield [cell.notification, cell.shop or "", cell.state, str(cell.addresses), str(int(cell.is_critical)), noted]
