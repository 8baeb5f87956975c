"""What a change of settings does: lines gained and lost, gaps opened and closed.

Compares what the resolver says of the settings before and after. Pure: no database, no settings, no clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from notifications.core import resolver
from notifications.core.catalogue import BY_CODE
from notifications.core.facts import CompanyFacts
from notifications.core.resolver import Decision

LineKey = tuple[str, str, str | None, str | None, str | None, str]
GapKey = tuple[str, str | None, str | None]


@dataclass(frozen=True)
class Effect:
    """The difference of two pictures of the settings, each list in table order."""

    lost: tuple[Decision, ...] = ()
    gained: tuple[Decision, ...] = ()
    gaps_opened: tuple[Decision, ...] = ()
    gaps_closed: tuple[Decision, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.lost or self.gained or self.gaps_opened or self.gaps_closed)

    @property
    def critical(self) -> tuple[Decision, ...]:
        """The opened gaps of critical notifications, which a save has to have confirmed."""
        return tuple(gap for gap in self.gaps_opened if BY_CODE[gap.notification].critical)


def line_key(line: Decision) -> LineKey:
    """What makes a line the same one before and after."""
    return line.normalised, line.notification, line.shop, line.rule, line.account, line.as_


def gap_key(gap: Decision) -> GapKey:
    return gap.notification, gap.shop, gap.rule


def compare(before: CompanyFacts, after: CompanyFacts) -> Effect:
    """What becomes of lines and gaps where the settings of `before` become those of `after`."""
    return difference(*(resolver.resolve_all(facts, why_not=False) for facts in (before, after)))


def difference(had: Iterable[Decision], has: Iterable[Decision]) -> Effect:
    """The same for decisions that were made already; those that deliver nothing and are no gap do not count."""
    had, has = list(had), list(has)
    lines_before, lines_after = _lines(had), _lines(has)
    gaps_before, gaps_after = _gaps(had), _gaps(has)
    return Effect(
        lost=tuple(line for key, line in lines_before.items() if key not in lines_after),
        gained=tuple(line for key, line in lines_after.items() if key not in lines_before),
        gaps_opened=tuple(gap for key, gap in gaps_after.items() if key not in gaps_before),
        gaps_closed=tuple(gap for key, gap in gaps_before.items() if key not in gaps_after),
    )


def _lines(decisions: Iterable[Decision]) -> dict[LineKey, Decision]:
    return {line_key(decision): decision for decision in decisions if decision.delivers}


def _gaps(decisions: Iterable[Decision]) -> dict[GapKey, Decision]:
    return {gap_key(decision): decision for decision in decisions if decision.gap}
