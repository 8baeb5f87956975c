"""Money typed by people: one meaning on the page it is typed on, or a question (`backoffice.amounts`)."""

from decimal import Decimal

import pytest
from django.http import QueryDict
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from backoffice.text import amounts
from backoffice.text.currencies import CURRENCIES, exponent
from notifications.core.condition_money import currencies_of
from notifications.core.facts import ConditionFacts
from notifications.rules.conditions import Conditions

LANGUAGES = ("fr", "en")


def read(text: str, currency: str, language: str) -> int | str:
    """The amount in the smallest unit, or the refusal."""
    with translation.override(language):
        try:
            return amounts.parse_minor(text, currency)
        except amounts.InvalidAmount as error:
            return str(error).replace("\xa0", " ").replace("\u202f", " ")


@pytest.mark.parametrize(
    ("text", "currency", "language", "amount"),
    [
        ("1,000", "USD", "en", 100_000),
        ("12,345", "EUR", "en", 1_234_500),
        ("1.00", "USD", "en", 100),
        ("1,50", "EUR", "fr", 150),
        ("1.50", "EUR", "fr", 150),
        ("1 234,50", "EUR", "fr", 123_450),
        ("12 345 678", "EUR", "en", 1_234_567_800),
        ("1\u2009234.50", "EUR", "en", 123_450),
        ("1’234.50", "CHF", "fr", 123_450),
        ("1.234,50", "EUR", "en", 123_450),
        ("1,234.50", "EUR", "fr", 123_450),
        ("1.234.567", "EUR", "fr", 123_456_700),
        ("1,234,567", "JPY", "fr", 1_234_567),
        ("0,500", "TND", "fr", 500),
        ("1,990", "TND", "fr", 1990),
        ("1.990", "TND", "en", 1990),
        ("1,990", "TND", "en", 1_990_000),
        ("1 990", "JPY", "fr", 1990),
        ("1990,00", "JPY", "fr", 1990),
        ("1,990", "JPY", "en", 1990),
        ("500,00 EUR", "EUR", "fr", 50_000),
        ("500 €", "EUR", "fr", 50_000),
        ("$1,000.50", "USD", "en", 100_050),
        ("EUR 12", "EUR", "en", 1200),
    ],
)
def test_an_amount_with_one_meaning_is_taken(text: str, currency: str, language: str, amount: int) -> None:
    assert read(text, currency, language) == amount


@pytest.mark.parametrize(
    ("text", "currency", "language", "small", "large", "writes"),
    [
        ("1,000", "USD", "fr", "1,00 USD", "1 000,00 USD", ("1,00", "1000,00")),
        ("1.000", "EUR", "fr", "1,00 EUR", "1 000,00 EUR", ("1,00", "1000,00")),
        ("1.000", "EUR", "en", "1.00 EUR", "1,000.00 EUR", ("1.00", "1000.00")),
        ("12,500", "GBP", "fr", "12,50 GBP", "12 500,00 GBP", ("12,50", "12500,00")),
        ("1.000", "TND", "fr", "1,000 TND", "1 000,000 TND", ("1,000", "1000,000")),
        ("5,000", "JPY", "fr", "5 JPY", "5 000 JPY", ("5", "5000")),
    ],
)
def test_what_may_mean_two_things_is_asked_about_with_both(
    text: str, currency: str, language: str, small: str, large: str, writes: tuple[str, str]
) -> None:
    told = read(text, currency, language)
    assert isinstance(told, str) and text in told and small in told and large in told
    # Either proposal is taken, and means what the question said.
    with translation.override(language):
        shown = [amounts.amount_text(int(read(written, currency, language)), currency) for written in writes]
    assert [item.replace("\xa0", " ").replace("\u202f", " ") for item in shown] == [small, large]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("12 50", "EUR"), ("1 2345", "EUR"), ("1  234", "EUR"), ("1\t234", "EUR"), ("12 34 56", "EUR"), ("1 23,45", "EUR"),
        ("0 123", "EUR"), ("1234 567", "EUR"), ("1'23", "CHF"), ("1 234'567", "EUR"), ("1 234.567,00", "EUR"),
        ("12,34,567", "EUR"), ("1,234.567.890", "EUR"), ("1,0000", "EUR"), ("1 234,500", "EUR"), ("0,500", "EUR"),
        ("5 USD", "EUR"), ("5 $", "EUR"), ("€5 €€", "EUR"), ("1,5", "JPY"), ("", "EUR"), ("EUR", "EUR"), ("-5", "EUR"),
        ("٣", "EUR"), ("1e3", "EUR"), ("１２", "EUR"), ("0", "EUR"), ("9" * 40, "EUR"), ("1,2345", "TND"),
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused_naming_it(text: str, currency: str, language: str) -> None:
    told = read(text, currency, language)
    assert isinstance(told, str), told
    assert text.strip()[:40].replace("\xa0", " ") in told or text.strip() == "0"


# --- Properties -----------------------------------------------------------------------------------

CODES = st.sampled_from(sorted(CURRENCIES))
AMOUNTS = st.integers(1, amounts.MAX_MINOR)


@given(AMOUNTS, CODES, st.sampled_from(LANGUAGES))
def test_what_a_field_shows_is_read_as_the_same_amount(amount: int, currency: str, language: str) -> None:
    with translation.override(language):
        assert amounts.parse_minor(amounts.typed_minor(amount, currency), currency) == amount


@given(AMOUNTS, CODES, st.sampled_from(LANGUAGES))
def test_what_a_page_shows_can_be_typed_back_or_is_asked_about(amount: int, currency: str, language: str) -> None:
    with translation.override(language):
        assert amounts.parse_minor(amounts.amount_text(amount, currency), currency) == amount


@given(st.decimals(0, 10**8, places=4), st.sampled_from(LANGUAGES))
def test_a_price_with_four_decimals_comes_back_as_it_was(value: Decimal, language: str) -> None:
    with translation.override(language):
        assert amounts.parse(amounts.typed_text(value, "", places=4), "", places=4) == value


@given(
    st.integers(1, 999),
    st.lists(st.integers(0, 999), max_size=3),
    st.text("0123456789", max_size=4),
    st.sampled_from([" ", "\xa0", ",", ".", "'"]),
    st.sampled_from(LANGUAGES),
    st.sampled_from(["EUR", "JPY", "TND"]),
)
def test_a_reading_never_differs_from_what_its_writer_can_have_meant(
    first: int, groups: list[int], fraction: str, mark: str, language: str, currency: str
) -> None:
    """Written with groups, it is that number or refused; a third meaning does not exist."""
    decimal_mark = "," if mark == "." else "."
    whole = str(first) + "".join(f"{mark}{group:03d}" for group in groups)
    text = whole + (decimal_mark + fraction if fraction else "")
    with translation.override(language):
        try:
            found = amounts.parse(text, currency)
        except amounts.InvalidAmount:
            return
    number = Decimal(str(first) + "".join(f"{group:03d}" for group in groups) + "." + (fraction or "0"))
    marks = [character for character in text if character in ",."]
    grouped_otherwise = any(character in text for character in " \xa0'")
    if len(marks) == 1 and len(text.rpartition(marks[0])[2]) == 3 and not grouped_otherwise:
        # One mark before three digits is all that the language and the currency decide.
        decimal = marks[0] == ("," if language == "fr" else ".")
        assert exponent(currency) == 3 if decimal else language == "en"
        number = Decimal(text.replace(",", ".")) if decimal else Decimal(text.replace(",", ""))
    assert found == number


@given(st.text(max_size=20), CODES, st.sampled_from(LANGUAGES))
def test_any_text_is_an_amount_or_a_sentence(text: str, currency: str, language: str) -> None:
    found = read(text, currency, language)
    assert isinstance(found, str) and found or isinstance(found, int) and 0 < found <= amounts.MAX_MINOR


# --- Conditions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "currencies"),
    [
        ([], ("EUR",)),
        ([("currency", "eq", "JPY")], ("JPY",)),
        ([("currency", "in", ("TND", "EUR"))], ("TND", "EUR")),
        ([("currency", "ne", "USD")], ("EUR",)),
        ([("currency", "eq", "???")], ("EUR",)),
        ([("mode", "eq", "TEST"), ("currency", "eq", "USD")], ("USD",)),
    ],
)
def test_the_currency_of_a_rule_is_that_of_its_condition(
    conditions: list[tuple[str, str, object]], currencies: tuple[str, ...]
) -> None:
    assert currencies_of(ConditionFacts(*condition) for condition in conditions) == currencies


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=4), st.sampled_from(["EUR", "JPY", "TND", "USD"]))
def test_stored_amounts_of_conditions_are_shown_and_saved_unchanged(values: list[int], currency: str) -> None:
    values = list(dict.fromkeys(values))
    stored = [
        {"variable": "amount", "operator": "in", "value": values},
        {"variable": "currency", "operator": "eq", "value": currency},
    ]
    for language in LANGUAGES:
        with translation.override(language):
            data = QueryDict(mutable=True)
            for row in Conditions.stored(stored).rows:
                for name in ("variable", "operator", "value"):
                    data[f"{row.prefix}-{name}"] = str(row[name].value())
            posted = Conditions.posted(data)
            assert posted.is_valid(), [row.errors for row in posted.rows]
            assert posted.value() == stored
