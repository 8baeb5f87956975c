"""The delivery tables of a company: per address what reaches it and why, and the gaps; as JSON and as rows of CSV."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from backoffice.base.csv_files import neutral
from backoffice.text.addresses import bare, normalise
from notifications.core import resolver, wording
from notifications.core.address_health import UNKNOWN, HealthFacts
from notifications.core.facts import CompanyFacts, ShopFacts
from notifications.core.health_wording import health_json
from notifications.core.reasons import Reason
from notifications.core.resolver import Decision
from notifications.timeline.moments import written


@dataclass
class AddressTable:
    """One address: its roles, what reaches it, and what does not although it could."""

    email: str
    normalised: str
    roles: list[str]
    health: HealthFacts = UNKNOWN
    receives: list[Decision] = field(default_factory=list)
    why_not: list[Decision] = field(default_factory=list)


@dataclass
class DeliveryTables:
    """The delivery tables of a company: every address, and the gaps; `at` where they are those of a past moment."""

    company: CompanyFacts
    addresses: list[AddressTable]
    gaps: list[Decision]
    at: datetime | None = None


def delivery_tables(facts: CompanyFacts, *, why_not: bool = True, at: datetime | None = None) -> DeliveryTables:
    """Group every decision under its address (docs/rules.md 7.1).

    Args:
        why_not: without it, what an address does not receive is left out, as in files and answers.
        at: the moment that the facts are of; None for now.
    """
    tables = {table.normalised: table for table in _addresses(facts)}
    # An address is typed in a few spellings and receives thousands of lines.
    spelled: dict[str, AddressTable] = {}
    gaps = []
    for decision in resolver.resolve_all(facts, why_not=why_not):
        if decision.gap:
            gaps.append(decision)
        elif decision.address:
            table = spelled.get(decision.address)
            if table is None:
                table = spelled[decision.address] = tables[decision.normalised]
            (table.receives if decision.delivers else table.why_not).append(decision)
    return DeliveryTables(facts, list(tables.values()), gaps, at)


def outline(facts: CompanyFacts) -> DeliveryTables:
    """The addresses with their roles, and the gaps, without any line."""
    return DeliveryTables(facts, _addresses(facts), resolver.gaps(facts))


def _addresses(facts: CompanyFacts) -> list[AddressTable]:
    """Every configured address with its roles and its state, still without lines."""
    return [
        AddressTable(email, key, names, facts.health_of(key)) for key, (email, names) in resolver.roles(facts).items()
    ]


def tables_of(facts: CompanyFacts, emails: Iterable[str]) -> DeliveryTables:
    """Tables in which those of these addresses are whole; only the shops that may write to one are resolved."""
    return delivery_tables(writing_to(facts, emails))


def writing_to(facts: CompanyFacts, emails: Iterable[str]) -> CompanyFacts:
    """The facts without the shops that can write to none of these addresses.

    A shop writes to its manager, to the recipients of its rules, and to the company's manager, whom every shop's
    matters are copied to.
    """
    wanted = {normalise(bare(email)) for email in emails}
    if normalise(facts.manager_email) in wanted:
        return facts
    # Thousands of shops write to few different addresses.
    spelled: dict[str, bool] = {}

    def is_wanted(email: str) -> bool:
        if email not in spelled:
            spelled[email] = normalise(email) in wanted
        return spelled[email]

    return replace(facts, shops=tuple(shop for shop in facts.shops if any(map(is_wanted, _written_to(shop)))))


def _written_to(shop: ShopFacts) -> Iterator[str]:
    if shop.manager_email:
        yield shop.manager_email
    for rule in shop.rules:
        yield from rule.recipients


def delivery_tables_json(tables: DeliveryTables) -> dict[str, Any]:
    """The tables in the shape of docs/rules.md 7.1, in the active language."""
    return {
        **_head(tables),
        "addresses": [address_json(table) for table in tables.addresses],
        "gaps": [gap_json(gap) for gap in tables.gaps],
    }


def _head(tables: DeliveryTables) -> dict[str, str]:
    """What the tables are of: the company and, for those of the past, the moment."""
    about = {"company": tables.company.reference}
    return about if tables.at is None else {**about, "at": written(tables.at)}


def json_chunks(tables: DeliveryTables, *, indent: int | None = None) -> Iterator[str]:
    """The text of `delivery_tables_json` piece by piece: what is written need not be held."""
    line, inner = ("", "") if indent is None else ("\n" + " " * indent, "\n" + " " * 2 * indent)
    comma = "," + (line or " ")
    head = comma.join(f'"{name}": {json.dumps(value, ensure_ascii=False)}' for name, value in _head(tables).items())
    yield f'{{{line}{head}{comma}"addresses": ['
    yield from _items(map(address_json, tables.addresses), indent, inner)
    yield f'{line if tables.addresses else ""}]{comma}"gaps": ['
    yield from _items(map(gap_json, tables.gaps), indent, inner)
    yield f"{line if tables.gaps else ''}]{line[:1]}}}"


def _items(items: Iterable[dict[str, Any]], indent: int | None, line: str) -> Iterator[str]:
    """The text of the items of a list, each on a line of that depth where there are lines."""
    comma = ""
    for item in items:
        text = json.dumps(item, ensure_ascii=False, indent=indent)
        # No string of JSON holds a line end of its own.
        yield f"{comma}{line}{text.replace(chr(10), line)}"
        comma = "," if line else ", "


def address_json(table: AddressTable) -> dict[str, Any]:
    return {
        "email": table.email,
        "roles": table.roles,
        **health_json(table.health),
        "receives": [line_json(line) for line in table.receives],
    }


def gap_json(gap: Decision) -> dict[str, Any]:
    return {
        "notification": gap.notification,
        "shop": gap.shop,
        "rule": gap.rule,
        "on_purpose": gap.reason is Reason.NOBODY_ON_PURPOSE,
        "reason": wording.decision_reason(gap),
    }


def line_json(decision: Decision) -> dict[str, Any]:
    return {
        "notification": decision.notification,
        "shop": decision.shop,
        "rule": decision.rule,
        "account": decision.account,
        "triggers": list(decision.triggers),
        "as": decision.as_,
        "source": decision.source,
        "condition": wording.condition_sentence(decision),
        "reason": wording.decision_reason(decision),
        "configured_at": wording.configured_at(decision),
        "digest": decision.digest,
    }


# Roles of one kind that a row names; more are counted.
NAMED_ROLES = 20

TABLE_HEADER = (
    "email",
    "roles",
    "notification",
    "shop",
    "rule",
    "account",
    "triggers",
    "as",
    "source",
    "condition",
    "reason",
    "configured_at",
    "digest",
    "state",
)


def table_rows(tables: DeliveryTables) -> Iterator[list[str]]:
    """Header, then one row a line; an address without lines has one row with an empty notification."""
    yield list(TABLE_HEADER)
    for table in tables.addresses:
        about = [neutral(table.email), neutral(_roles_cell(table.roles))]
        if not table.receives:
            yield [*about, *[""] * (len(TABLE_HEADER) - 3), table.health.state]
        for decision in table.receives:
            line = {**line_json(decision), "state": table.health.state}
            line["triggers"] = " ".join(line["triggers"])
            yield [*about, *(neutral(line[name]) for name in TABLE_HEADER[2:])]


def _roles_cell(roles: list[str]) -> str:
    """The roles of an address in a cell; more than a few of one kind are counted.

    An address that thousands of shops inherit has thousands of roles, and the cell stands on each of its lines.
    """
    kinds: dict[str, list[str]] = {}
    for role in roles:
        kinds.setdefault(role.partition(":")[0], []).append(role)
    return " ".join(f"{kind}×{len(own)}" if len(own) > NAMED_ROLES else " ".join(own) for kind, own in kinds.items())
