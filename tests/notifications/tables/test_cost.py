"""What the delivery tables cost: a large company has a hundred thousand lines, and none of them is to weigh much."""

import tracemalloc

from notifications.core.catalogue import DEFAULT_RULES, SHOP_MANAGER_SYMBOL, RuleType
from notifications.core.facts import CompanyFacts, ConditionFacts, RuleFacts, ShopFacts
from notifications.tables import compute

SHOPS = 300
KIB_PER_SHOP = 20


def company(shops: int) -> CompanyFacts:
    """Shops with the default rules, every other one with an address of its own."""
    rules = tuple(
        RuleFacts(
            rule.reference,
            rule.type,
            str(rule.label),
            rule.enabled,
            rule.triggers,
            tuple(ConditionFacts(*condition) for condition in rule.conditions),
            () if rule.type is RuleType.BUYER_EMAIL else (SHOP_MANAGER_SYMBOL,),
        )
        for rule in DEFAULT_RULES
    )
    return CompanyFacts(
        "x",
        "X",
        "fr",
        "claire@x.example",
        shops=tuple(
            ShopFacts(
                f"{10000000 + number}", f"S{number}", "fr", f"s{number}@x.example" if number % 2 else None, rules=rules
            )
            for number in range(shops)
        ),
    )


def test_a_shop_weighs_little_in_the_whole_document() -> None:
    facts = company(SHOPS)
    compute.delivery_tables_json(compute.delivery_tables(company(2)))
    tracemalloc.start()
    try:
        compute.delivery_tables_json(compute.delivery_tables(facts))
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / 1024 / SHOPS < KIB_PER_SHOP


def test_the_file_grows_with_the_lines_and_not_with_their_square() -> None:
    def size(shops: int) -> int:
        rows = compute.table_rows(compute.delivery_tables(company(shops), why_not=False))
        return sum(len(cell) for row in rows for cell in row)

    assert size(4 * 60) < 4.5 * size(60)
