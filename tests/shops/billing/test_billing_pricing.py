"""The arithmetic of billing, to the cent, and what an uploaded file must look like."""

from datetime import date
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from shops.billing import pricing, uploads
from shops.billing.pricing import Line

D = Decimal


@pytest.mark.parametrize(
    ("quantity", "price", "currency", "amount"),
    [
        ("26", "0.0025", "EUR", "0.07"),  # 0.065: half up, not to even
        ("1", "0.0050", "EUR", "0.01"),
        ("1", "0.0049", "EUR", "0.00"),
        ("3", "0.3333", "EUR", "1.00"),
        ("1000000", "0.0001", "EUR", "100.00"),
        ("-26", "0.0025", "EUR", "-0.07"),
        ("7", "0.5000", "JPY", "4"),
        ("1", "0.0005", "TND", "0.001"),
    ],
)
def test_a_line_is_rounded_half_up_to_the_smallest_unit(quantity: str, price: str, currency: str, amount: str) -> None:
    found = pricing.line("", "x", D(quantity), D(price), currency).amount
    assert str(found) == amount


def test_the_tax_is_computed_once_on_the_total_of_the_rounded_lines() -> None:
    lines = [pricing.line("", "x", D(1), D("0.0250"), "EUR") for _number in range(3)]
    found = pricing.bill(lines, currency="EUR", tax_rate=D("20.00"))
    # Three lines of 0.03; the tax of each alone would be 0.01, in all 0.03.
    assert (found.net, found.tax, found.gross) == (D("0.09"), D("0.02"), D("0.11"))


def test_what_has_no_price_or_was_not_used_is_not_billed() -> None:
    prices = {"payment.accepted": D("0.0800"), "email": D("0.0025"), "ipn_call": D("0.0010")}
    usage = {"ipn_call": 1500, "payment.accepted": 41, "payment.refused": 7}
    found = pricing.priced(usage, prices, currency="EUR", tax_rate=D("20"))
    assert [(line.code, line.amount) for line in found.lines] == [
        ("payment.accepted", D("3.28")),
        ("ipn_call", D("1.50")),
    ]
    assert (found.net, found.tax, found.gross) == (D("4.78"), D("0.96"), D("5.74"))


money = st.integers(0, 10**7).map(lambda units: D(units).scaleb(-4))


@given(
    st.lists(st.tuples(st.integers(0, 10**6), money), max_size=8),
    st.integers(0, 10**4).map(lambda units: D(units).scaleb(-2)),
)
def test_totals_add_up_and_a_credit_note_brings_them_to_nothing(rows: list[tuple[int, D]], rate: D) -> None:
    lines = [pricing.line("", "x", D(quantity), price, "EUR") for quantity, price in rows]
    found = pricing.bill(lines, currency="EUR", tax_rate=rate)
    assert found.net == sum((line.amount for line in lines), D(0))
    assert found.gross == found.net + found.tax
    assert abs(found.tax - found.net * rate / 100) <= D("0.005")
    assert all(value == value.quantize(D("0.01")) for value in (found.net, found.tax, found.gross))
    back = pricing.negated(found)
    assert (found.net + back.net, found.tax + back.tax, found.gross + back.gross) == (0, 0, 0)
    assert [Line.from_json(line.as_json()) for line in back.lines] == list(back.lines)


@pytest.mark.parametrize(
    ("start", "end", "months"),
    [
        ("2026-10-01", "2026-10-31", 1),
        ("2026-10-01", "2026-10-30", 0),
        ("2026-10-02", "2026-11-29", 0),
        ("2026-10-02", "2026-11-30", 1),
        ("2026-12-01", "2027-01-31", 2),
        ("2026-01-15", "2027-01-14", 11),
        ("2028-02-01", "2028-02-28", 0),
    ],
)
def test_only_whole_calendar_months_count(start: str, end: str, months: int) -> None:
    assert pricing.whole_months(date.fromisoformat(start), date.fromisoformat(end)) == months


# --- CSV ------------------------------------------------------------------------------------------


def told(lines: list[Line]) -> list[tuple[str, str, str, str]]:
    return [(line.label, str(line.quantity), str(line.unit_price), str(line.amount)) for line in lines]


@pytest.mark.parametrize(
    "text",
    [
        "description,quantity,unit_price\nConseil,2,49.9000\n",
        "quantity,description,unit_price\r\n2,Conseil,49.9000\r\n\r\n",
        "\ufeffLibellé;Quantité;Prix_unitaire\nConseil;2;49,9000\n",
    ],
)
def test_a_csv_may_have_any_order_of_columns_and_either_separator(text: str) -> None:
    assert told(uploads.parse_csv(text.encode(), "EUR")) == [("Conseil", "2", "49.9000", "99.80")]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("Conseil,deux,1", "Ligne 2, colonne « quantity » : « deux » n'est pas un nombre positif"),
        ("Conseil,1,1.00001", "Ligne 2, colonne « unit_price » : « 1.00001 »"),
        ("Conseil,-1,1", "Ligne 2, colonne « quantity » : « -1 »"),
        ("Conseil,1e3,1", "Ligne 2, colonne « quantity » : « 1e3 »"),
        ("Conseil,NaN,1", "Ligne 2, colonne « quantity » : « NaN »"),
        ("Conseil,1,", "Ligne 2, colonne « unit_price »"),
        (",1,1", "Ligne 2, colonne « description » : de 1 à 200 caractères."),
        ("=1+1,1,1", "Ligne 2, colonne « description » : « =1+1 » commence comme une formule."),
        ("@SUM(A1),1,1", "« @SUM(A1) » commence comme une formule."),
        ("Conseil,1", "Ligne 2 : 2 cellules au lieu de 3."),
        ('"Conseil,1,1', "Ligne 2 : le CSV est mal formé"),
        ("", "Le fichier ne contient aucune ligne à facturer."),
    ],
)
def test_an_error_of_a_csv_names_its_line_and_column(body: str, message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        uploads.parse_csv(f"description,quantity,unit_price\n{body}\n".encode(), "EUR")
    assert message in " ".join(refused.value.messages)


def test_all_errors_of_a_csv_are_told_at_once() -> None:
    text = "description,quantity,unit_price\na,x,1\nb,1,1\nc,1,y\n"
    with pytest.raises(ValidationError) as refused:
        uploads.parse_csv(text.encode(), "EUR")
    assert [message[:7] for message in refused.value.messages] == ["Ligne 2", "Ligne 4"]


@pytest.mark.parametrize("header", ["description,quantity", "description,quantity,quantity,unit_price", "a;b;c"])
def test_a_csv_without_its_columns_is_refused(header: str) -> None:
    with pytest.raises(ValidationError, match="Ligne 1 : la colonne"):
        uploads.parse_csv(f"{header}\n1,2,3\n".encode(), "EUR")


def test_a_csv_has_its_limits() -> None:
    head = "description,quantity,unit_price\n"
    with pytest.raises(ValidationError, match="plus de 2000 lignes"):
        uploads.parse_csv((head + "a,1,1\n" * 2001).encode(), "EUR")
    with pytest.raises(ValidationError, match="dépasse 1 Mio"):
        uploads.parse_csv(b"x" * (1024 * 1024 + 1), "EUR")


# --- Type by content ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 zip", "ni un CSV ni un PDF"),
        (b"MZ\x00\x00", "ni un CSV ni un PDF"),
        (b"description\x81,1", "octet 12"),
    ],
)
def test_other_kinds_of_files_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        uploads.kind_of(content)
    assert message in refused.value.messages[0]


def test_the_content_tells_the_kind() -> None:
    assert uploads.kind_of(b"%PDF-1.7\n") == "pdf"
    assert uploads.kind_of(b"description,quantity,unit_price\n") == "csv"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"1 0 obj <</OpenAction 2 0 R>>\n%%EOF", "/OpenAction"),
        (b"<</S /JavaScript /JS (app.alert)>>\n%%EOF", "/JavaScript"),
        (b"<</Type /EmbeddedFile>>\n%%EOF", "/EmbeddedFile"),
        (b"1 0 obj", "incomplet"),
        (b"x" * (8 * 1024 * 1024) + b"%%EOF", "dépasse 8 Mio"),
    ],
)
def test_a_pdf_that_acts_or_is_cut_off_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        uploads.check_pdf(b"%PDF-1.4\n" + body)
    assert message in refused.value.messages[0]


def test_bytes_of_a_stream_are_no_action() -> None:
    uploads.check_pdf(b"%PDF-1.4\n1 0 obj <<>> stream\n\x01/JS \x02/AA\nendstream\nendobj\n%%EOF")
