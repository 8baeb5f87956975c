"""What differs between two delivery tables: lines lost, gained and changed, gaps opened and closed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from backoffice.base.csv_files import neutral
from notifications.core import resolver, wording
from notifications.core.catalogue import RuleType
from notifications.core.facts import CompanyFacts, EventFacts, RuleFacts, ShopFacts
from notifications.core.resolver import Decision
from notifications.tables.compute import DeliveryTables

Key = tuple[Any, ...]


@dataclass
class Difference:
    """What the second tables have that the first had not, and the other way round.

    Attributes:
        changed: (before, after) of lines that stand in both and say something else.
    """

    lost: list[Decision] = field(default_factory=list)
    gained: list[Decision] = field(default_factory=list)
    changed: list[tuple[Decision, Decision]] = field(default_factory=list)
    gaps_opened: list[Decision] = field(default_factory=list)
    gaps_closed: list[Decision] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.lost or self.gained or self.changed or self.gaps_opened or self.gaps_closed)


def line_key(line: Decision) -> Key:
    """What makes a line the same in both tables."""
    return line.normalised, line.notification, line.shop or "", line.rule or "", line.account or "", line.as_


def line_key_in_shop(line: Decision) -> Key:
    """The same, where two shops are compared."""
    return line.normalised, line.notification, line.rule or "", line.account or "", line.as_


def difference(before: DeliveryTables, after: DeliveryTables, key: Callable[[Decision], Key] = line_key) -> Difference:
    """Compare two tables line by line, in the order of addresses and lines."""
    first, second = _by_key(_lines(before), key), _by_key(_lines(after), key)
    first_gaps, second_gaps = _by_key(before.gaps, key), _by_key(after.gaps, key)
    both = [(first[name], line) for name, line in second.items() if name in first]
    return Difference(
        lost=[line for name, line in first.items() if name not in second],
        gained=[line for name, line in second.items() if name not in first],
        changed=[pair for pair in both if _said(pair[0]) != _said(pair[1])],
        gaps_opened=[gap for name, gap in second_gaps.items() if name not in first_gaps],
        gaps_closed=[gap for name, gap in first_gaps.items() if name not in second_gaps],
    )


def _lines(tables: DeliveryTables) -> Iterator[Decision]:
    for table in tables.addresses:
        yield from table.receives


def _by_key(lines: Any, key: Callable[[Decision], Key]) -> dict[Key, Decision]:
    return {key(line): line for line in lines}


def _said(line: Decision) -> Key:
    """The texts of a line besides notification and address."""
    params = {name: value for name, value in line.params.items() if name != "shop"}
    return line.address, line.source, line.reason, params, line.triggers, line.conditions


# --- Parts of a company ---------------------------------------------------------------------------


def of_shop(tables: DeliveryTables, site_id: str) -> DeliveryTables:
    """The lines and gaps of one shop alone."""
    kept = [
        replace(table, receives=[line for line in table.receives if line.shop == site_id], why_not=[])
        for table in tables.addresses
    ]
    return replace(tables, addresses=kept, gaps=[gap for gap in tables.gaps if gap.shop == site_id])


def in_mode(facts: CompanyFacts, mode: str) -> CompanyFacts:
    """The facts with the rules that can act in a mode: by their conditions on it, and by the URLs for it."""
    return replace(facts, shops=tuple(_shop_in_mode(shop, mode) for shop in facts.shops))


def _shop_in_mode(shop: ShopFacts, mode: str) -> ShopFacts:
    return replace(shop, rules=tuple(rule for rule in shop.rules if _acts_in(rule, mode)))


def _acts_in(rule: RuleFacts, mode: str) -> bool:
    if rule.type == RuleType.IPN_CALL and not rule.urls[mode]:
        return False
    event = EventFacts("", mode)
    return all(
        resolver.condition_holds(condition, event) for condition in rule.conditions if condition.variable == "mode"
    )


# --- Files ----------------------------------------------------------------------------------------

CSV_HEADER = ("change", "email", "notification", "shop", "rule", "account", "as", "reason_before", "reason_after")


def csv_rows(differing: Difference) -> Iterator[list[str]]:
    """Header, then one row a line that differs, lost ones first."""
    yield list(CSV_HEADER)
    pairs: list[tuple[str, Decision | None, Decision | None]] = [
        *(("lost", line, None) for line in differing.lost),
        *(("gained", None, line) for line in differing.gained),
        *(("changed", before, after) for before, after in differing.changed),
        *(("gap_opened", None, gap) for gap in differing.gaps_opened),
        *(("gap_closed", gap, None) for gap in differing.gaps_closed),
    ]
    for kind, before, after in pairs:
        line = after or before
        assert line is not None
        reasons = [wording.decision_reason(one) if one else "" for one in (before, after)]
        cells = [kind, line.address, line.notification, line.shop, line.rule, line.account, line.as_, *reasons]
        yield [neutral(cell) for cell in cells]
