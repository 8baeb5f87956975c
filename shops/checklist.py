"""The test phase before the production key: which test payments prove what. Pure.

Four scenarios, two accepted and two refused payments, over the card types of the documentation
(reference, settings screens 4.2). The phase is over once each scenario was played with any card
type; a cell of the table is done when a test payment of its own proves it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

ACCEPTED, REFUSED = "payment.accepted", "payment.refused"


@dataclass(frozen=True)
class Scenario:
    """One row: a payment with the result that `event` tells."""

    code: str
    event: str
    label: Promise


SCENARIOS = (
    Scenario("accepted-1", ACCEPTED, _("Premier paiement accepté")),
    Scenario("accepted-2", ACCEPTED, _("Second paiement accepté")),
    Scenario("refused-1", REFUSED, _("Premier paiement refusé")),
    Scenario("refused-2", REFUSED, _("Second paiement refusé")),
)
# Column → what events call that type of card.
CARD_TYPES: dict[str, frozenset[str]] = {
    "CB/VISA": frozenset({"CB", "VISA", "CB/VISA", "E-CARTEBLEUE", "CARTE BLEUE"}),
    "MASTERCARD": frozenset({"MASTERCARD", "EUROCARD", "EUROCARD-MASTERCARD"}),
    "MAESTRO": frozenset({"MAESTRO"}),
    "VISA ELECTRON": frozenset({"VISA ELECTRON", "ELECTRON"}),
}


@dataclass(frozen=True)
class Payment:
    """A test payment of an event; `card` is None for a type that is in no column."""

    event: str
    card: str | None
    transaction: str
    at: datetime


def card_type(data: dict[str, Any]) -> str | None:
    """The column of a payment: by its card brand, else by its network; None for another means of payment."""
    for name in ("card_brand", "network"):
        told = data.get(name)
        if isinstance(told, str) and told.strip():
            word = told.strip().upper().replace("_", " ")
            return next((column for column, words in CARD_TYPES.items() if word in words), None)
    return None


def progress(payments: Iterable[Payment]) -> dict[tuple[str, str], Payment]:
    """(scenario, card type) → the payment that proves it.

    In the order of the payments, each proves one cell: of a scenario that nothing proves yet, else
    of one that its card type has not played. The same transaction counts once for each result.
    """
    cells: dict[tuple[str, str], Payment] = {}
    seen: set[tuple[str, str]] = set()
    for payment in payments:
        key = (payment.event, payment.transaction)
        if payment.card is None or key in seen:
            continue
        seen.add(key)
        rows = [scenario.code for scenario in SCENARIOS if scenario.event == payment.event]
        played = {code for code, _card in cells}
        free = [code for code in rows if (code, payment.card) not in cells]
        row = next((code for code in free if code not in played), free[0] if free else None)
        if row is not None:
            cells[row, payment.card] = payment
    return cells


def missing(cells: dict[tuple[str, str], Payment]) -> list[Scenario]:
    """The scenarios that no card type has played."""
    played = {code for code, _card in cells}
    return [scenario for scenario in SCENARIOS if scenario.code not in played]
