"""Conditions on amounts as money: in which currency a rule means them.

Stored, sent and compared they are integers of the smallest unit; people type and read « 500,00 EUR ».
"""

from collections.abc import Iterable

from backoffice.text.amounts import amount_text
from backoffice.text.currencies import CURRENCIES
from notifications.core.facts import ConditionFacts

DEFAULT_CURRENCY = "EUR"


def currencies_of(conditions: Iterable[ConditionFacts]) -> tuple[str, ...]:
    """The currencies that the conditions of a rule let pass; euros where they name none."""
    for condition in conditions:
        if condition.variable == "currency" and condition.operator in ("eq", "in"):
            listed = condition.value if isinstance(condition.value, (tuple, list)) else (condition.value,)
            known = tuple(dict.fromkeys(code for code in map(str, listed) if code in CURRENCIES))
            if known:
                return known
    return (DEFAULT_CURRENCY,)


def money_text(amount: int, currencies: tuple[str, ...]) -> str:
    """One stored amount as money, in each currency that it may be of."""
    return " / ".join(amount_text(amount, code) for code in currencies[:4])
