"""The currencies an order may ask for, and amounts as people type them (`backoffice.amounts`)."""

from backoffice.text.amounts import InvalidAmount, parse_minor, typed_minor
from backoffice.text.currencies import exponent

__all__ = ["DECIMALS", "InvalidAmount", "parse_amount", "typed_amount"]

# Currencies an order may ask for, with their decimals (ISO 4217).
DECIMALS: dict[str, int] = {
    code: exponent(code) for code in ("EUR", "CAD", "CHF", "GBP", "JPY", "MAD", "TND", "USD", "XAF", "XOF", "XPF")
}


def parse_amount(text: str, currency: str) -> int:
    """What is to be paid, in the smallest unit: "1 234,50" EUR → 123450. InvalidAmount otherwise."""
    return parse_minor(text, currency)


def typed_amount(amount: int, currency: str) -> str:
    """An amount as it stands in a form field."""
    return typed_minor(amount, currency)
