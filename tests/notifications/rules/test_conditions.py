"""Conditions of rules over an event (docs/rules.md 4b)."""

from typing import Any

import pytest

from notifications.core.facts import ConditionFacts, EventFacts
from notifications.core.resolver import condition_holds
from notifications.rules.services import condition_error


@pytest.mark.parametrize(
    ("variable", "operator", "value", "data", "holds"),
    [
        ("amount", "eq", 10, {"amount": 10}, True),
        ("amount", "ne", 10, {"amount": 11}, True),
        ("amount", "gt", 10, {"amount": 10}, False),
        ("amount", "gt", 10, {"amount": 11}, True),
        ("amount", "lt", 10, {"amount": 9}, True),
        ("amount", "in", (1, 2), {"amount": 2}, True),
        ("amount", "not_in", (1, 2), {"amount": 3}, True),
        # A missing variable makes any condition false, negative ones included.
        ("amount", "ne", 10, {}, False),
        ("amount", "not_in", (1,), {}, False),
        ("network", "ne", "CB", {}, False),
        ("currency", "not_in", ("EUR",), {"currency": None}, False),
        # Except instalments, absent = false, and source, absent = FORM.
        ("instalments", "eq", False, {}, True),
        ("instalments", "eq", True, {}, False),
        ("instalments", "ne", True, {}, True),
        ("instalments", "eq", False, {"instalments": None}, True),
        ("instalments", "eq", True, {"instalments": True}, True),
        ("source", "eq", "FORM", {}, True),
        ("source", "eq", "FORM", {"source": None}, True),
        ("source", "not_in", ("BO", "BATCH", "REC"), {}, True),
        ("source", "not_in", ("BO", "BATCH", "REC"), {"source": "BO"}, False),
        ("network", "in", ("SEPA",), {"network": "SEPA"}, True),
        ("network", "in", ("SEPA",), {"network": "sepa"}, False),
        ("mode", "eq", "TEST", {}, True),
        ("mode", "eq", "PRODUCTION", {"mode": "PRODUCTION"}, False),
        # A boolean is no number.
        ("amount", "eq", 1, {"amount": True}, False),
    ],
)
def test_a_condition_compares_one_variable(
    variable: str, operator: str, value: Any, data: dict[str, Any], holds: bool
) -> None:
    event = EventFacts("payment.accepted", "TEST", data)
    assert condition_holds(ConditionFacts(variable, operator, value), event) is holds


@pytest.mark.parametrize(
    "condition",
    [
        {"variable": "amount", "operator": "gt"},
        {"variable": "amount", "operator": "gt", "value": 1, "and": 2},
        {"variable": "colour", "operator": "eq", "value": "red"},
        {"variable": ["amount"], "operator": "eq", "value": 1},
        {"variable": "amount", "operator": ["gt"], "value": 1},
        {"variable": "amount", "operator": "contains", "value": 1},
        {"variable": "amount", "operator": "gt", "value": "10"},
        {"variable": "amount", "operator": "gt", "value": True},
        {"variable": "amount", "operator": "in", "value": 5},
        {"variable": "amount", "operator": "in", "value": []},
        {"variable": "network", "operator": "gt", "value": "CB"},
        {"variable": "instalments", "operator": "eq", "value": "true"},
        {"variable": "source", "operator": "eq", "value": "FAX"},
        {"variable": "source", "operator": "in", "value": [["BO"]]},
        {"variable": "mode", "operator": "eq", "value": "LIVE"},
    ],
)
def test_an_impossible_condition_is_refused_with_a_sentence(condition: dict[str, Any]) -> None:
    assert condition_error(condition)


@pytest.mark.parametrize(
    "condition",
    [
        {"variable": "amount", "operator": "gt", "value": 1000},
        {"variable": "source", "operator": "not_in", "value": ["BO", "BATCH"]},
        {"variable": "instalments", "operator": "ne", "value": True},
    ],
)
def test_a_possible_condition_is_accepted(condition: dict[str, Any]) -> None:
    assert condition_error(condition) is None
