"""Every field where people type money reads it alike: orders, forms, filters, prices, uploads, conditions."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone, translation

from notifications.rules.conditions import ConditionForm
from shops import dataform_content as content
from shops.billing import uploads
from shops.billing.forms import UnitPriceField, UploadForm
from shops.dataforms.forms import AnswerForm, SettingsForm
from shops.models import PriceList, Shop
from shops.orders.forms import OrderForm, SearchForm
from tests.factories import CompanyFactory, PaymentOrderFactory, ShopFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_prices"), pytest.mark.one_database]

SEARCHES = [("amount_min=1000", {"A"}), ("amount_min=1000,5", set()), ("amount_max=12", {"J", "T"})]


@dataclass
class Field:
    """One field for money: what it makes of a text, and the message where it refuses."""

    read: Callable[[str], tuple[Any, str]]
    scale: int = 0


def _of_form(form: Any, name: str) -> tuple[Any, str]:
    form.is_valid()
    errors = " ".join(map(str, form.errors.get(name, [])))
    return (None, errors) if errors else (form.cleaned_data.get(name), "")


def _order(text: str) -> tuple[Any, str]:
    shop = Shop.objects.first() or ShopFactory()
    return _of_form(OrderForm({"amount": text, "currency": "EUR"}, shop=shop, channel="url", templates=[]), "amount")


def _bound(name: str) -> Callable[[str], tuple[Any, str]]:
    return lambda text: _of_form(
        SettingsForm({name: text, "currency": "EUR", "amount_kind": "free"}, draft=content.default("X")), name
    )


def _answer(text: str) -> tuple[Any, str]:
    form = AnswerForm({"amount": text}, shape=content.default("X"), shop_name="X")
    return _of_form(form, "amount")


def _net(text: str) -> tuple[Any, str]:
    price_list = PriceList.objects.get(is_default=True)
    return _of_form(UploadForm({"net": text, "price_list": price_list.pk}), "net")


def _price(text: str) -> tuple[Any, str]:
    try:
        return UnitPriceField().clean(text), ""
    except ValidationError as error:
        return None, " ".join(error.messages)


def _condition(text: str) -> tuple[Any, str]:
    data = {"c-0-variable": "amount", "c-0-operator": "gt", "c-0-value": text}
    return _of_form(ConditionForm(data, prefix="c-0", code="amount"), "value")


def _search(name: str) -> Callable[[str], tuple[Any, str]]:
    return lambda text: _of_form(SearchForm({name: text}), name)


FIELDS = {
    "order": Field(_order, 2),
    "fixed": Field(_bound("fixed"), 2),
    "minimum": Field(_bound("minimum"), 2),
    "maximum": Field(_bound("maximum"), 2),
    "buyer": Field(_answer, 2),
    "condition": Field(_condition, 2),
    "search from": Field(_search("amount_min")),
    "search to": Field(_search("amount_max")),
    "billed": Field(_net),
    "price": Field(_price),
}


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize(
    ("language", "text", "value"),
    [
        ("fr", "1 234,50", "1234.50"), ("fr", "1234.50", "1234.50"), ("en", "1,234.50", "1234.50"), ("en", "1,000", "1000"),
        ("fr", "12", "12"), ("en", "1.234.567", "1234567"),
    ],
)  # fmt: skip
def test_one_meaning_is_taken_in_every_field(name: str, language: str, text: str, value: str) -> None:
    field = FIELDS[name]
    with translation.override(language):
        found, problem = field.read(text)
    assert not problem and Decimal(found) == Decimal(value).scaleb(field.scale)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize(("language", "text"), [("fr", "1,000"), ("fr", "1.000"), ("en", "1.000"), ("fr", "2.500")])
def test_two_meanings_are_asked_about_in_every_field(name: str, language: str, text: str) -> None:
    with translation.override(language):
        found, problem = FIELDS[name].read(text)
    assert found is None and text in problem and problem.count(text[0]) >= 5, problem


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("text", ["12 50", "1 2345", "1,2,3", "abc", "1e3"])
def test_what_is_no_amount_is_refused_in_every_field(name: str, text: str) -> None:
    found, problem = FIELDS[name].read(text)
    assert found is None and text in problem


@pytest.mark.parametrize("text", ["12 50", "1 2345", "1 23"])
def test_a_billing_file_with_a_space_that_groups_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        uploads.parse_csv(f"description;quantity;unit_price\nConseil;1;{text}\n".encode(), "EUR")
    (line,) = uploads.parse_csv(b"description;quantity;unit_price\nConseil;1 000;12,5\n", "EUR")
    assert (line.quantity, line.unit_price) == (Decimal(1000), Decimal("12.5"))


def test_an_upload_takes_the_decimals_of_the_currency_of_its_price_list() -> None:
    yen = PriceList.objects.create(name="Yen", currency="JPY", tax_rate=0)
    dinar = PriceList.objects.create(name="Dinar", currency="TND", tax_rate=0)
    file = {"file": SimpleUploadedFile("a.pdf", b"%PDF-")}
    assert "décimale" in _of_form(UploadForm({"net": "1,5", "price_list": yen.pk}, file), "net")[1]
    assert _of_form(UploadForm({"net": "1,505", "price_list": dinar.pk}, file), "net")[0] == Decimal("1.505")


# --- Pages ----------------------------------------------------------------------------------------


@pytest.fixture
def client(client_for: Callable[..., Client]) -> Client:
    company = CompanyFactory()
    shop = ShopFactory(company=company, site_id="10000001")
    for reference, amount, currency in (
        ("A", 100_000, "EUR"),
        ("J", 12, "JPY"),
        ("T", 11_999, "TND"),
        ("E", 1300, "EUR"),
    ):
        PaymentOrderFactory(shop=shop, reference=f"ORD-{reference}", amount=amount, currency=currency)
    return client_for(UserFactory(company=company))


@pytest.mark.parametrize(("query", "found"), SEARCHES)
def test_a_bound_of_the_search_means_units_of_each_currency(client: Client, query: str, found: set[str]) -> None:
    page = client.get(f"/payment-orders/?{query}").content.decode()
    assert {reference for reference in "AJTE" if f"ORD-{reference}" in page} == found


def test_a_bound_with_two_meanings_filters_nothing_and_is_asked_about_beside_it(client: Client) -> None:
    page = unescape(client.get("/payment-orders/?amount_min=1.000").content.decode()).replace("\xa0", " ")
    assert "« 1.000 » peut se lire 1,00 ou 1 000,00" in page and 'value="1.000"' in page
    assert 'id="filter-amount-min-error"' in page and "ORD-E" in page


def test_an_order_asked_about_keeps_all_that_was_typed_and_sends_nothing(client: Client) -> None:
    data = {
        "reference": "CMD-41", "amount": "1,000", "currency": "USD", "recipients": "jeanne@acheteur.example",
        "valid_until": (timezone.localdate() + timedelta(days=20)).isoformat(), "language": "fr", "subject": "Votre commande",
        "body": "Bonjour,\n\n%url%",
    }  # fmt: skip
    page = unescape(client.post("/payment-orders/new/?shop=10000001", data).content.decode()).replace("\xa0", " ")
    assert "« 1,000 » peut se lire 1,00 USD ou 1 000,00 USD" in page
    assert 'value="1,000"' in page and 'value="CMD-41"' in page and "ORD" not in page
