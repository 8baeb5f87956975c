"""Reading and writing of amounts of money.

An amount is taken when it has one meaning on the page it was typed on. « 1,000 » in dollars is a thousand on an
English page and a question on a French one, where the comma marks decimals and dollars have no third one; the
question names both readings. Spaces and apostrophes group by three or are refused.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

from django.utils.formats import get_format, number_format
from django.utils.translation import gettext as _

from backoffice.text.currencies import CURRENCIES, exponent

# The most that an event may carry, in the smallest unit.
MAX_MINOR = 10**12
_SPACES = " \u00a0\u2009\u202f"
_APOSTROPHES = "'\u2019"
_BY_SPACES = re.compile(
    rf"([1-9][0-9]{{0,2}}(?:[{_SPACES}][0-9]{{3}})+|[1-9][0-9]{{0,2}}(?:[{_APOSTROPHES}][0-9]{{3}})+)(?:[.,]([0-9]+))?"
)
_BY_MARKS = re.compile(
    r"([1-9][0-9]{0,2}(?:,[0-9]{3})+)\.([0-9]+)|([1-9][0-9]{0,2}(?:\.[0-9]{3})+),([0-9]+)"
    r"|([1-9][0-9]{0,2}(?:,[0-9]{3}){2,}|[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,})"
)
_PLAIN = re.compile(r"([0-9]+)(?:([.,])([0-9]+))?")
_NAMED = re.compile(r"(?:([A-Za-z]{3}|[€$£¥])\s*)?(.*?)(?:\s*([A-Za-z]{3}|[€$£¥]))?", re.DOTALL)
_SYMBOLS = {"€": ("EUR",), "£": ("GBP",), "¥": ("JPY",), "$": ("USD", "CAD")}
_DIGITS = 15


class InvalidAmount(ValueError):
    """A typed amount that cannot be taken; the message names it, says why, and what to write instead."""


@dataclass(frozen=True)
class _Typed:
    """What one text is judged under."""

    text: str
    currency: str
    places: int

    @property
    def shown(self) -> str:
        return self.text[:40]


def parse(text: str, currency: str, *, places: int | None = None, signed: bool = False) -> Decimal:
    """The amount that was typed, in units of the currency.

    Args:
        currency: ISO 4217; "" where the amount is of no currency in particular (two decimals).
        places: decimals taken, where they are not those of the currency (prices of a unit).
        signed: whether a minus sign may stand before it.

    Raises:
        InvalidAmount: no amount, or one that may mean two things on a page in the active language.
    """
    typed = _Typed(text.strip(), currency, exponent(currency) if places is None else places)
    body = _without_currency(typed)
    sign = ""
    if signed and body[:1] in ("-", "\u2212"):
        sign, body = "-", body[1:].strip()
    return Decimal(f"{sign}{_number(typed, body)}")


def parse_minor(text: str, currency: str, *, minimum: int | None = 1, maximum: int = MAX_MINOR) -> int:
    """The typed amount in the smallest unit of the currency: "1 234,50" EUR → 123450.

    Args:
        minimum: 1 for what is to be paid; None also takes zero and less, for comparing.
    """
    amount = int(parse(text, currency, signed=minimum is None).scaleb(exponent(currency)))
    if minimum is not None and amount < minimum:
        raise InvalidAmount(_("Le montant doit être supérieur à zéro."))
    if abs(amount) > maximum:
        raise InvalidAmount(_("« %(value)s » : ce montant est trop grand.") % {"value": text.strip()[:40]})
    return amount


def ungrouped(text: str) -> str | None:
    """A number without the spaces and apostrophes that group its digits; None where one of them groups nothing."""
    typed = text.strip()
    if not re.search(rf"[\s{_SPACES}{_APOSTROPHES}]", typed):
        return typed
    return re.sub(rf"[{_SPACES}{_APOSTROPHES}]", "", typed) if _BY_SPACES.fullmatch(typed) else None


def typed_text(value: Decimal, currency: str, *, places: int | None = None) -> str:
    """An amount as it stands in a field: no grouping, the language's decimal mark, never a text with two meanings."""
    natural = exponent(currency)
    shown = max(natural, -int(value.normalize().as_tuple().exponent))
    if places is not None and shown == 3 != natural:
        # Three decimals read like a grouped number.
        shown = 4
    return number_format(value, decimal_pos=shown, use_l10n=True, force_grouping=False)


def typed_minor(amount: int, currency: str) -> str:
    """An amount of the smallest unit as it stands in a field."""
    return typed_text(Decimal(amount).scaleb(-exponent(currency)), currency)


def amount_text(amount: int, currency: str) -> str:
    """An amount of the smallest unit in local form, e.g. 1990 EUR → « 19,90 EUR »."""
    return value_text(Decimal(amount).scaleb(-exponent(currency)), currency)


def value_text(value: Decimal, currency: str) -> str:
    """An amount in units of its currency in local form, with its code."""
    places = max(exponent(currency), -int(value.normalize().as_tuple().exponent))
    return f"{number_format(value, decimal_pos=places, use_l10n=True, force_grouping=True)} {currency}".strip()


# --- Reading --------------------------------------------------------------------------------------


def _without_currency(typed: _Typed) -> str:
    """Strip the currency from a typed amount; it must be the expected one."""
    match = _NAMED.fullmatch(typed.text)
    named = [name for name in (match[1], match[3]) if name] if match else []
    for name in named:
        meant = _SYMBOLS.get(name, (name.upper(),))
        if not typed.currency or not set(meant) & CURRENCIES.keys():
            raise _no_amount(typed)
        if typed.currency not in meant:
            raise InvalidAmount(
                _("« %(value)s » : le montant est en %(currency)s ici.")
                % {"value": typed.shown, "currency": typed.currency}
            )
    return match[2] if match and named else typed.text


def _number(typed: _Typed, body: str) -> str:
    """The digits of the one reading, with a point."""
    if match := _BY_SPACES.fullmatch(body) or _BY_MARKS.fullmatch(body):
        parts = [part for part in match.groups() if part]
        return _checked(typed, re.sub(r"[^0-9]", "", parts[0]), parts[1] if len(parts) > 1 else "")
    plain = _PLAIN.fullmatch(body)
    if plain is None or not body.isascii():
        raise _no_amount(typed)
    whole, mark, fraction = plain[1], plain[2] or "", plain[3] or ""
    if len(fraction) == 3 and len(whole) <= 3 and not whole.startswith("0"):
        return _three_digits(typed, whole, mark, fraction)
    return _checked(typed, whole, fraction)


def _three_digits(typed: _Typed, whole: str, mark: str, fraction: str) -> str:
    """« 1,000 » and the like: grouped, or with three decimals, as far as the language and the currency tell."""
    decimal_mark = get_format("DECIMAL_SEPARATOR")
    if mark != decimal_mark and mark == get_format("THOUSAND_SEPARATOR"):
        return _checked(typed, whole + fraction, "")
    if mark == decimal_mark and exponent(typed.currency) == 3:
        return _checked(typed, whole, fraction)
    grouped = Decimal(whole + fraction)
    if len(fraction.rstrip("0")) > typed.places:
        raise InvalidAmount(
            _("%(problem)s Pour %(amount)s, écrivez %(text)s.")
            % {
                "problem": _too_precise(typed),
                "amount": value_text(grouped, typed.currency),
                "text": typed_text(grouped, typed.currency),
            }
        )
    exact = Decimal(f"{whole}.{fraction}").normalize()
    raise InvalidAmount(
        _(
            "« %(value)s » peut se lire %(small)s ou %(large)s : écrivez %(small_text)s ou %(large_text)s selon ce que vous "
            "voulez dire."
        )
        % {
            "value": typed.shown,
            "small": value_text(exact, typed.currency),
            "large": value_text(grouped, typed.currency),
            "small_text": typed_text(exact, typed.currency, places=typed.places),
            "large_text": typed_text(grouped, typed.currency),
        }
    )


def _checked(typed: _Typed, whole: str, fraction: str) -> str:
    if len(whole) > _DIGITS or len(fraction) > _DIGITS:
        raise _no_amount(typed)
    # « 1990,00 » is fine for a currency without decimals; more zeros than that are a slip.
    if len(fraction.rstrip("0")) > typed.places or len(fraction) > max(typed.places, 2):
        raise InvalidAmount(_too_precise(typed))
    return f"{whole}.{fraction or 0}"


def _too_precise(typed: _Typed) -> str:
    if not typed.currency or typed.places != exponent(typed.currency):
        return _("« %(value)s » compte plus de %(decimals)d décimales.") % {
            "value": typed.shown,
            "decimals": typed.places,
        }
    return _("« %(value)s » : la devise %(currency)s compte au plus %(decimals)d décimale(s).") % {
        "value": typed.shown,
        "currency": typed.currency,
        "decimals": typed.places,
    }


def _no_amount(typed: _Typed) -> InvalidAmount:
    return InvalidAmount(
        _("« %(value)s » n'est pas un montant : écrivez par exemple %(example)s.")
        % {"value": typed.shown, "example": typed_minor(1990, typed.currency)}
    )


def decimal_text(value: Decimal, currency: str) -> str:
    """An amount in whole units, 1234.5 EUR, in local form: « 1 234,50 EUR »."""
    return f"{number_format(value, decimal_pos=exponent(currency), use_l10n=True, force_grouping=True)} {currency}"
