"""What is billed, and the arithmetic of a document. Pure: no database, no settings, no clock.

Amounts are exact decimals. A line is quantity × unit price, rounded half up to the smallest unit of the
currency; the net total is the sum of the rounded lines; the tax is computed once, on that total, so that
net + tax of the document is what a reader who checks it with the printed figures finds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from backoffice.text.currencies import exponent


@dataclass(frozen=True)
class Service:
    """One thing that is billed."""

    code: str
    label: Promise


SERVICES: tuple[Service, ...] = (
    Service("monthly_fee", _("Abonnement mensuel de la boutique")),
    Service("payment.accepted", _("Paiement accepté")),
    Service("payment.refused", _("Paiement refusé")),
    Service("transaction.refunded", _("Remboursement")),
    Service("token.created", _("Création d'un alias")),
    Service("subscription.instalment_created", _("Échéance d'un abonnement")),
    Service("email", _("E-mail envoyé au marchand ou à l'acheteur")),
    Service("ipn_call", _("Appel URL de notification")),
)
BY_CODE: dict[str, Service] = {service.code: service for service in SERVICES}
# Billed by the event itself; the others are counted elsewhere.
EVENT_CODES = tuple(code for code in BY_CODE if "." in code)
CHOICES = [(service.code, service.label) for service in SERVICES]


@dataclass(frozen=True)
class Line:
    """One line: an exact quantity, an exact price, the rounded amount. `code` is empty for typed lines."""

    code: str
    label: str
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal

    def as_json(self) -> dict[str, str]:
        return {
            "code": self.code,
            "label": self.label,
            "quantity": text(self.quantity),
            "unit_price": text(self.unit_price),
            "amount": text(self.amount),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Line":
        numbers = {name: Decimal(data[name]) for name in ("quantity", "unit_price", "amount")}
        return cls(code=data["code"], label=data["label"], **numbers)


@dataclass(frozen=True)
class Bill:
    """The figures of a document."""

    currency: str
    tax_rate: Decimal
    lines: tuple[Line, ...]
    net: Decimal
    tax: Decimal
    gross: Decimal


def text(value: Decimal) -> str:
    """Without an exponent: 1E+2 is stored as 100."""
    return format(value, "f")


def rounded(value: Decimal, currency: str) -> Decimal:
    """To the smallest unit of the currency, half away from zero."""
    return value.quantize(Decimal(1).scaleb(-exponent(currency)), rounding=ROUND_HALF_UP)


def line(code: str, label: str, quantity: Decimal, unit_price: Decimal, currency: str) -> Line:
    return Line(code, label, quantity, unit_price, rounded(quantity * unit_price, currency))


def bill(lines: Iterable[Line], *, currency: str, tax_rate: Decimal) -> Bill:
    """Total the lines; the tax once, on the total."""
    kept = tuple(lines)
    net = sum((item.amount for item in kept), rounded(Decimal(0), currency))
    return total(net, currency=currency, tax_rate=tax_rate, lines=kept)


def total(net: Decimal, *, currency: str, tax_rate: Decimal, lines: tuple[Line, ...] = ()) -> Bill:
    """The figures of a document whose net total is known."""
    net = rounded(net, currency)
    tax = rounded(net * tax_rate / 100, currency)
    return Bill(currency, tax_rate, lines, net, tax, net + tax)


def priced(usage: Mapping[str, int], prices: Mapping[str, Decimal], *, currency: str, tax_rate: Decimal) -> Bill:
    """The bill of what was used, in the order of the services; what has no price is not billed."""
    return bill(
        (
            line(service.code, "", Decimal(usage[service.code]), prices[service.code], currency)
            for service in SERVICES
            if usage.get(service.code) and service.code in prices
        ),
        currency=currency,
        tax_rate=tax_rate,
    )


def negated(original: Bill) -> Bill:
    """Return the figures of the credit note: the same lines with opposite quantities."""
    lines = tuple(Line(item.code, item.label, -item.quantity, item.unit_price, -item.amount) for item in original.lines)
    return Bill(original.currency, original.tax_rate, lines, -original.net, -original.tax, -original.gross)


def whole_months(start: date, end: date) -> int:
    """How many calendar months lie wholly within the period, both days included."""
    count = 0
    first = start if start.day == 1 else _next_month(start)
    while (following := _next_month(first)) - timedelta(days=1) <= end:
        count += 1
        first = following
    return count


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)
