"""Delivery tables for companies of 10 to 10,000 shops: time, statements and memory, beside fetching and writing alone.

Statements must not grow with the shops, and the time per shop must stay about the same. « alone » is what no program
can do without: the same columns of the same rows, and `json.dumps` of the document.
"""

import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.environment import fresh_database, machine

if TYPE_CHECKING:
    from companies.models import Company

SIZES = (10, 100, 1000, 10_000)
REPEATS = 3
# What is to be kept at the largest size: against the work alone, and of memory.
RATIO, KIB_PER_SHOP = 3.0, 20.0


def company_with(shops: int) -> "Company":
    from companies.models import Company, Contact
    from notifications.core.catalogue import DEFAULT_RULES
    from notifications.models import NotificationRule
    from shops.models import Shop

    company = Company.objects.create(
        reference=f"bench-{shops}", name=f"Bench {shops}", incident_emails=["astreinte@bench.example"]
    )
    Contact.objects.create(company=company, kind=Contact.Kind.MANAGER, email="gestion@bench.example")
    made = Shop.objects.bulk_create(
        Shop(
            company=company,
            site_id=f"{len(str(shops))}{number:07d}",
            name=f"Boutique {number}",
            manager_email="" if number % 2 else f"boutique{number}@bench.example",
        )
        for number in range(shops)
    )
    # Every shop has the documented default rules, as a new shop has.
    NotificationRule.objects.bulk_create(
        NotificationRule(
            shop=shop,
            reference=rule.reference,
            type=rule.type,
            label=str(rule.label),
            enabled=rule.enabled,
            triggers=list(rule.triggers),
            conditions=[
                {"variable": name, "operator": operator, "value": list(value) if isinstance(value, tuple) else value}
                for name, operator, value in rule.conditions
            ],
            recipients=[] if rule.type == "buyer_email" else ["@shop_manager"],
        )
        for shop in made
        for rule in DEFAULT_RULES
    )
    return company


def best_of(work: Callable[[], object]) -> float:
    """Seconds of this process for the quickest of a few runs."""
    times = []
    for _repeat in range(REPEATS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def fetched(company: "Company") -> list[object]:
    """The rows that the tables are made of."""
    from notifications.models import NotificationRule
    from shops.models import Shop

    rules = NotificationRule.objects.filter(shop__company=company, archived_at__isnull=True).values_list(
        "shop_id", "reference", "type", "label", "enabled", "triggers", "conditions", "recipients", "version",
        "url_test", "url_production", "rest_url_test", "rest_url_production", "emptied_by", "emptied_at",
    )  # fmt: skip
    shops = Shop.objects.filter(company=company)
    return [list(rules), list(shops.values_list("pk", "site_id", "name", "language", "manager_email", "status"))]


@dataclass
class Measured:
    """One line of the table.

    Attributes:
        seconds: for the written document, from the database on.
        alone: for the same rows and `json.dumps` alone.
        memory: peak of bytes, with the whole document held.
    """

    shops: int
    lines: int
    queries: int
    seconds: float
    alone: float
    memory: int

    @property
    def row(self) -> str:
        per_shop = f"{self.seconds * 1000 / self.shops:>8.3f} {self.alone * 1000 / self.shops:>8.3f}"
        ends = f"{self.seconds / self.alone:>6.2f} {self.memory / 1024 / self.shops:>9.1f}"
        return f"{self.shops:>6} {self.lines:>7} {self.queries:>8} {per_shop} {ends}"


def measured(size: int) -> Measured:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from notifications import settings_facts
    from notifications.tables import compute

    company = company_with(size)

    def document() -> dict[str, Any]:
        return compute.delivery_tables_json(compute.delivery_tables(settings_facts.company_facts(company)))

    def written() -> int:
        tables = compute.delivery_tables(settings_facts.company_facts(company), why_not=False)
        return sum(map(len, compute.json_chunks(tables)))

    known = document()
    alone = best_of(lambda: fetched(company)) + best_of(lambda: json.dumps(known))
    lines = sum(len(address["receives"]) for address in known["addresses"])
    known.clear()
    seconds = best_of(written)
    with CaptureQueriesContext(connection) as captured:
        written()
    tracemalloc.start()
    document()
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return Measured(size, lines, len(captured), seconds, alone, peak)


def main() -> None:
    print(f"Delivery tables (JSON), default rules on every shop; CPU, best of {REPEATS}. {machine()}")
    print(f"{'shops':>6} {'lines':>7} {'queries':>8} {'ms/shop':>8} {'alone':>8} {'ratio':>6} {'KiB/shop':>9}")
    results = []
    for size in SIZES:
        results.append(measured(size))
        print(results[-1].row, flush=True)
    _ten, hundred, *_others, last = results
    linearity = last.seconds / last.shops / (hundred.seconds / hundred.shops)
    print(f"linearity (time per shop, {last.shops} against {hundred.shops}): {linearity:.2f}")
    costly = last.seconds > RATIO * last.alone or last.memory > KIB_PER_SHOP * 1024 * last.shops
    if len({one.queries for one in results}) > 1 or linearity > 1.5 or costly:
        sys.exit("grows faster than the number of shops, or costs more than it should")


if __name__ == "__main__":
    with fresh_database():
        main()
