"""Amounts as people type them. Stored amounts are integers of the smallest unit."""

import re
from decimal import Decimal, InvalidOperation

from django.utils.translation import gettext as _

from notifications.intake import MAX_AMOUNT

# Currencies an order may ask for, with their decimals (ISO 4217).
DECIMALS: dict[str, int] = {
    "EUR": 2,
    "CAD": 2,
    "CHF": 2,
    "GBP": 2,
    "JPY": 0,
    "MAD": 2,
    "TND": 3,
    "USD": 2,
    "XAF": 0,
    "XOF": 0,
    "XPF": 0,
}


class InvalidAmount(ValueError):
    """A typed amount that cannot be taken; the message names it and says why."""


def parse_amount(text: str, currency: str) -> int:
    """The typed amount in the smallest unit: "1 234,50" or "1234.50" EUR → 123450.

    Spaces group digits; where both a comma and a point stand, the last one is the decimal mark.
    """
    typed = text.strip()
    compact = re.sub(r"[\s\u00a0\u202f']", "", typed)
    mark = max(compact.rfind(","), compact.rfind("."))
    whole, fraction = (compact, "") if mark < 0 else (compact[:mark], compact[mark + 1 :])
    if "," in whole or "." in whole:
        separators = set(re.findall(r"[,.]", whole))
        if len(separators) > 1 or compact[mark] in separators or not re.fullmatch(r"\d{1,3}([,.]\d{3})+", whole):
            raise InvalidAmount(
                _("« %(value)s » n'est pas un montant : écrivez par exemple 19,90.") % {"value": typed[:40]}
            )
        whole = re.sub(r"[,.]", "", whole)
    if not re.fullmatch(r"[0-9]{1,13}", whole) or (mark >= 0 and not re.fullmatch(r"[0-9]{1,6}", fraction)):
        raise InvalidAmount(
            _("« %(value)s » n'est pas un montant : écrivez par exemple 19,90.") % {"value": typed[:40]}
        )
    decimals = DECIMALS.get(currency, 2)
    if len(fraction.rstrip("0")) > decimals:
        raise InvalidAmount(
            _("« %(value)s » : la devise %(currency)s compte au plus %(decimals)d décimale(s).")
            % {"value": typed[:40], "currency": currency, "decimals": decimals}
        )
    try:
        amount = int(Decimal(f"{whole}.{fraction or 0}").scaleb(decimals))
    except InvalidOperation as error:  # pragma: no cover - the patterns above leave only digits
        raise InvalidAmount(typed) from error
    if amount <= 0:
        raise InvalidAmount(_("Le montant doit être supérieur à zéro."))
    if amount > MAX_AMOUNT:
        raise InvalidAmount(_("« %(value)s » : ce montant est trop grand.") % {"value": typed[:40]})
    return amount


def typed_amount(amount: int, currency: str) -> str:
    """An amount as it stands in a form field: no grouping, a comma where the language has one."""
    from django.utils.formats import number_format

    decimals = DECIMALS.get(currency, 2)
    return number_format(Decimal(amount).scaleb(-decimals), decimal_pos=decimals, use_l10n=True, force_grouping=False)
