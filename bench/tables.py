"""Delivery tables for companies of 10, 100 and 1,000 shops: time and number of queries.

Queries must not grow with the shops, and the time per shop must stay about the same.
"""

import sys
import time

from bench.environment import fresh_database, machine

SIZES = (10, 100, 1000)
REPEATS = 3


def company_with(shops: int) -> object:
    from companies.models import Company, Contact
    from notifications.catalogue import DEFAULT_RULES
    from notifications.models import NotificationRule
    from shops.models import Shop

    company = Company.objects.create(
        reference=f"bench-{shops}", name=f"Bench {shops}", incident_emails=["astreinte@bench.example"]
    )
    Contact.objects.create(company=company, kind=Contact.Kind.MANAGER, email="gestion@bench.example")
    made = Shop.objects.bulk_create(
        Shop(
            company=company,
            site_id=f"{shops:04d}{number:04d}",
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


def main() -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from notifications import selectors

    print(f"Delivery tables (JSON), default rules on every shop; best of {REPEATS}. {machine()}")
    print(f"{'shops':>6} {'lines':>7} {'queries':>8} {'ms':>9} {'ms/shop':>8}")
    per_shop, queries = [], []
    for size in SIZES:
        company = company_with(size)
        best = float("inf")
        for _repeat in range(REPEATS):
            start = time.perf_counter()
            document = selectors.delivery_tables_json(selectors.delivery_tables(selectors.company_facts(company)))
            best = min(best, time.perf_counter() - start)
        with CaptureQueriesContext(connection) as captured:
            selectors.delivery_tables(selectors.company_facts(company))
        lines = sum(len(address["receives"]) for address in document["addresses"])
        print(f"{size:>6} {lines:>7} {len(captured):>8} {best * 1000:>9.1f} {best * 1000 / size:>8.3f}")
        per_shop.append(best / size)
        queries.append(len(captured))
    linearity = per_shop[-1] / per_shop[1]
    print(f"linearity (time per shop, {SIZES[-1]} against {SIZES[1]}): {linearity:.2f}")
    if len(set(queries)) > 1 or linearity > 1.5:
        sys.exit("grows faster than the number of shops")


if __name__ == "__main__":
    with fresh_database():
        main()
