"""Lines, amounts and periods in the active language."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.encoding import force_str
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from backoffice.text import times
from backoffice.text.amounts import decimal_text
from backoffice.text.currencies import exponent
from shops.billing.pricing import BY_CODE, Line
from shops.models import BillingDocument


def amount(value: Decimal, currency: str) -> str:
    """An amount of money: 1 234,50 EUR."""
    return decimal_text(value, currency)


def unit_price(value: Decimal, currency: str) -> str:
    """A price with all its decimals, at least those of the currency."""
    places = max(exponent(currency), -int(value.normalize().as_tuple().exponent))
    return f"{number_format(value, decimal_pos=places, use_l10n=True, force_grouping=True)} {currency}"


def quantity(value: Decimal) -> str:
    places = max(0, -int(value.normalize().as_tuple().exponent))
    return number_format(value, decimal_pos=places, use_l10n=True, force_grouping=True)


def rate(value: Decimal) -> str:
    return f"{quantity(value)}\N{NO-BREAK SPACE}%"


def label(line: Line) -> str:
    """The service in the active language, or the words typed."""
    service = BY_CODE.get(line.code)
    return line.label or (force_str(service.label) if service else line.code)


def period(start: date, end: date) -> str:
    return _("du %(start)s au %(end)s") % {"start": times.day(start), "end": times.day(end)}


def title(document: BillingDocument) -> str:
    kind = force_str(BillingDocument.Kind(document.kind).label)
    return f"{kind} {document.number}"


def rows(lines: list[dict[str, Any]], currency: str) -> list[dict[str, str]]:
    """The lines of a document for a page."""
    return [row(Line.from_json(item), currency) for item in lines]


def row(line: Line, currency: str) -> dict[str, str]:
    return {
        "label": label(line),
        "quantity": quantity(line.quantity),
        "unit_price": unit_price(line.unit_price, currency),
        "amount": amount(line.amount, currency),
    }


def customer_lines(customer: Mapping[str, str]) -> list[str]:
    """The addressee as it stands on the document."""
    lines = [customer.get("company", ""), *customer.get("address", "").splitlines(), customer.get("country", "")]
    if customer.get("registration_number"):
        lines.append(_("N° d'immatriculation : %(number)s") % {"number": customer["registration_number"]})
    return [item for item in lines if item]
