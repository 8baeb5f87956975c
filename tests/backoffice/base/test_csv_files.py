"""Every CSV file of the site: what a spreadsheet makes of it, whose rows are in it, and that none is forgotten."""

import ast
import codecs
import csv
import inspect
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone, translation

from backoffice.base import csv_files
from companies.audit import Actor, record
from companies.models import Role, User
from notifications.journal import selectors as journal_selectors
from notifications.models import ConsistencyReport, Delivery
from notifications.tables import compute
from shops.models import Shop
from tests.factories import (
    ApiTokenFactory,
    BillingDocumentFactory,
    CompanyFactory,
    ContractFactory,
    DataCollectionFormFactory,
    DataFormAnswerFactory,
    DataFormVersionFactory,
    DeliveryFactory,
    EventFactory,
    NotificationRuleFactory,
    PaymentOrderFactory,
    SftpAccountFactory,
    ShopFactory,
    StaffFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
ROOT = Path(settings.BASE_DIR)
APPS = ("backoffice", "companies", "notifications", "shops")


@dataclass(frozen=True)
class Export:
    """A CSV file.

    Attributes:
        template: where its link stands.
        columns: those that hold what somebody typed; each must be found with the planted text in it.
        narrow: filters that leave some rows out.
        none: filters that leave all out.
        query: what its page is asked for, without the format.
        staff: asked for by the platform's team, over all companies.
    """

    template: str
    columns: tuple[str, ...]
    narrow: dict[str, str]
    none: dict[str, str]
    query: str = ""
    staff: bool = False


NOTHING = {"q": "rien-de-tel"}
# Given for what is ticked: rows and columns are those of the journal's own file (tests/notifications/journal/test_many.py).
BY_POST = {"notifications/journal/many/"}
EXPORTS: dict[str, Export] = {
    "settings/company/users/": Export(
        "companies/team/users.html",
        ("login", "title", "first_name", "last_name", "email"),
        {"role": Role.VIEWER},
        NOTHING,
    ),
    "settings/company/sftp-accounts/": Export(
        "companies/team/sftp_accounts.html", ("login", "email"), {"q": "deuxieme"}, NOTHING
    ),
    "settings/company/api-tokens/": Export(
        "notifications/api/list.html", ("name", "created_by"), {"state": "revoked"}, NOTHING
    ),
    "settings/company/history/": Export(
        "companies/history/history.html", ("actor", "sentence", "before", "after"), {"object": "shop"}, NOTHING
    ),
    "settings/company/authentication/": Export(
        "shops/contracts/authentication.html", ("number", "network", "shop"), {"network": "CB"}, NOTHING
    ),
    "settings/notification-rules/": Export(
        "notifications/rules/rules.html",
        ("shop_name", "label", "recipients", "shop_manager", "url_test", "url_production", "conditions"),
        {"state": "off"},
        NOTHING,
        query="shop={site_id}",
    ),
    "settings/notification-rules/all/": Export(
        "notifications/rules/all.html",
        ("shop_name", "label", "recipients", "shop_manager", "url_test", "url_production", "conditions"),
        {"state": "off"},
        NOTHING,
    ),
    "settings/shops/<str:site_id>/data-form/answers/": Export(
        "shops/dataforms/answers.html", ("order", "Nom", "Prénom", "Adresse e-mail"), {"q": "deuxieme"}, NOTHING
    ),
    "notifications/addresses/": Export("notifications/tables/addresses.html", ("email",), {"q": "deuxieme"}, NOTHING),
    "notifications/coverage/": Export("notifications/answers/coverage.html", (), {}, {}),
    "notifications/why/": Export("notifications/answers/why.html", (), {}, {}, query="address={address}"),
    "notifications/compare/": Export("notifications/tables/compare.html", (), {}, {}, query="by=modes"),
    "notifications/journal/": Export(
        "notifications/journal/journal.html", ("event", "address", "error"), {"status": "dead"}, NOTHING
    ),
    "reports/consistency/": Export(
        "notifications/consistency/report.html", ("object", "finding"), {"severity": "warning"}, NOTHING
    ),
    "settings/shops/bulk/": Export("shops/bulk/bulk.html", ("name",), {}, {}),
    "payment-orders/": Export(
        "shops/orders/orders.html",
        ("reference", "recipient", "buyer_reference", "transaction_id", "created_by"),
        {"channel": "url"},
        NOTHING,
    ),
    "billing/": Export(
        "shops/billing/documents.html", ("number", "cancels"), {"kind": "credit_note"}, {"since": "2030-01-01"}
    ),
    "billing/<uuid:key>/": Export("shops/billing/document.html", ("number", "description"), {}, {}),
    "admin/support/addresses/": Export("admin/support_addresses.html", (), {}, {}, query="q={address}", staff=True),
}

STARTERS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
POISONS = [
    *(f"{starter}A1{{mark}}" for starter in STARTERS),
    '"=A1{mark}',
    '";=A1{mark};"',
    "{mark};=A1;",
    "{mark}\t@A1",
    "{mark}\n-A1",
    "{mark}\r\n+A1",
    " \u200b=A1{mark}",
    "\u00a0\uff1dA1{mark}",
    '{mark},"=A1","',
    # Short, because columns of PostgreSQL have an end.
    '=CMD("x"){mark}',
]
MINE, THEIRS = "MIEN", "ETRANGER"
_numbers = count(1)


def plant(reference: str, poison: str) -> Shop:
    """A company in which everything that can be typed holds the text, twice where rows can be told apart."""
    company = CompanyFactory(reference=reference, name=poison, manager__email=poison)
    shop = ShopFactory(company=company, name=poison)
    names = {"title": poison, "first_name": poison, "last_name": poison, "email": poison}
    for role in (Role.ADMINISTRATOR, Role.VIEWER):
        UserFactory(company=company, login=f"{poison}{next(_numbers)}", role=role, **names)
        ApiTokenFactory(
            company=company,
            name=poison,
            created_by=company.users.last(),
            revoked_at=timezone.now() if role == Role.VIEWER else None,
        )
    for email in (poison, f"deuxieme@{reference}.example"):
        SftpAccountFactory(company=company, login=f"{poison}{next(_numbers)}", email=email)
    for kind, obj in (("shop.updated", shop), ("company.updated", company)):
        record(actor=Actor.command(poison), action=kind, obj=obj, company=company, changes={"name": [poison, poison]})
    for network in (poison, "CB"):
        ContractFactory(shop=shop, number=poison, network=network)
    for enabled in (True, False):
        rule = NotificationRuleFactory(
            shop=shop,
            label=poison,
            enabled=enabled,
            recipients=[poison],
            conditions=[{"variable": "contract", "operator": "eq", "value": poison}],
            url_test=poison,
            url_production=poison,
        )
        EventFactory(shop=shop)
        DeliveryFactory(
            event=EventFactory(shop=shop, event_id=f"{poison}{enabled}"),
            rule=rule,
            address=poison,
            status="dead" if enabled else "sent",
            error=poison,
        )
    for channel in ("email", "url"):
        PaymentOrderFactory(
            shop=shop,
            channel=channel,
            reference=f"{poison}{channel}",
            recipient=poison,
            buyer_reference=poison,
            transaction_id=poison,
            created_by=poison,
        )
    invoice = BillingDocumentFactory(shop=shop, number=f"{poison}F", lines=[_line(poison)])
    BillingDocumentFactory(
        shop=shop, number=f"{poison}A", kind="credit_note", credits=invoice, source="credit", lines=[_line(poison)]
    )
    form = DataCollectionFormFactory(shop=shop)
    version = DataFormVersionFactory(form=form)
    values = [
        {"code": "last_name", "label": "Nom", "value": poison},
        {"code": "first_name", "label": "Prénom", "value": poison},
        {"code": "email", "label": "Adresse e-mail", "value": poison},
    ]
    for n in ("premier", "deuxieme"):
        order = PaymentOrderFactory(shop=shop, source="DCF", channel="email", reference=f"{poison}{n}")
        DataFormAnswerFactory(version=version, order=order, values=values, search=f"{poison} {n}".lower())
    finding = {"scope": "contract", "shop": shop.site_id, "contract": poison, "code": poison}
    ConsistencyReport.objects.create(
        company=company, findings=[{**finding, "severity": severity} for severity in ("error", "warning")]
    )
    return shop


def _line(label: str) -> dict[str, str]:
    return {"code": "", "label": label, "quantity": "-1.5", "unit_price": "5.0000", "amount": "-5.00"}


@dataclass
class World:
    shop: Shop
    client: Client
    staff: Client
    poison: str

    def address(self, route: str, export: Export) -> str:
        document = self.shop.billing_documents.filter(kind="invoice").get()
        filled = route.replace("<str:site_id>", self.shop.site_id).replace("<uuid:key>", str(document.pk))
        query = export.query.format(site_id=self.shop.site_id, address="claire@partout.example")
        return f"/{filled}?{query}"

    def file(self, route: str, **query: str) -> Any:
        export = EXPORTS[route]
        client = self.staff if export.staff else self.client
        asked = "".join(f"&{name}={value}" for name, value in query.items())
        return client.get(f"{self.address(route, export)}&format=csv{asked}")


@pytest.fixture
def world(client_for: ClientFor) -> Callable[[str], World]:
    def make(poison: str) -> World:
        mine, theirs = poison.format(mark=MINE), poison.format(mark=THEIRS)
        plant("autre", theirs)
        shop = plant("mienne", mine)
        return World(
            shop,
            client_for(UserFactory(company=shop.company, role=Role.ADMINISTRATOR)),
            client_for(StaffFactory()),
            mine,
        )

    return make


def text_of(response: Any) -> str:
    assert response.status_code == 200
    # Strict: a byte that is no UTF-8 fails here.
    text: str = response.getvalue().decode("utf-8", "strict")
    return text


def rows_of(response: Any) -> list[dict[str, str]]:
    """The rows as a spreadsheet reads them that is set to the language of the page."""
    text = text_of(response)
    delimiter = {"fr": ";", "en": ","}[response.headers["Content-Language"]] if text.startswith("\ufeff") else ","
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=delimiter, strict=True)
    rows = list(reader)
    assert reader.fieldnames
    assert all(None not in row and None not in row.values() for row in rows), "a row has as many cells as the header"
    return rows


FIGURE = re.compile(r"-?[0-9]+[.,][0-9]+")
UNSEEN = ' "\t\r\n\v\f\u00a0\u200b\ufeff'
NUMBER = re.compile(r"-[0-9]+([.,][0-9]+)?")


def formulas(text: str) -> list[str]:
    """The cells that a spreadsheet would run, whatever separator it is set to."""
    found = []
    for delimiter in ",;\t":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            for cell in row:
                if cell.lstrip(UNSEEN)[:1] in tuple(STARTERS) and not NUMBER.fullmatch(cell):
                    found.append(cell)
                if cell[:1] in ("\t", "\r", "\n"):
                    found.append(cell)
    return found


# The cells are written by the program; that the columns of each database keep the text, one of the texts shows.
@pytest.mark.parametrize(
    "poison", [*(pytest.param(text, marks=pytest.mark.one_database) for text in POISONS[:-1]), POISONS[-1]], ids=ascii
)
def test_no_cell_of_any_file_is_run_by_a_spreadsheet(poison: str, world: Callable[[str], World]) -> None:
    here = world(poison)
    for route, export in EXPORTS.items():
        response = here.file(route)
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8", route
        assert re.fullmatch(
            r'attachment; filename="[A-Za-z0-9._-]*\d{4}-\d\d-\d\d\.csv"',
            response.headers["Content-Disposition"],
        ), route
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.streaming, route
        text = text_of(response)
        assert formulas(text) == [], route
        assert formulas(text_of(here.file(route, plain="1"))) == [], route
        rows = rows_of(here.file(route))
        for column in export.columns:
            # The apostrophe is all that is added: nothing typed is lost.
            assert any(here.poison.strip() in row[column].replace("'", "") for row in rows), (route, column)
        if not export.staff:
            assert THEIRS not in text, route


def test_the_file_of_a_personal_data_request_and_that_of_the_command_run_nothing(
    world: Callable[[str], World], client_for: ClientFor, capsys: Any
) -> None:
    here = world("{mark};=A1")
    ShopFactory(company=here.shop.company, name="=A1", manager_email="=A1@lumiere.example")
    response = client_for(StaffFactory(), fresh=True).post("/admin/support/export/", {"q": "manager@mienne.example"})
    archive = zipfile.ZipFile(io.BytesIO(response.content))
    assert formulas(archive.read("adresse.csv").decode()) == []
    capsys.readouterr()
    call_command("delivery_tables", "mienne", "--format", "csv")
    told = capsys.readouterr().out
    assert "'=A1@lumiere.example" in told
    assert formulas(told) == []


@pytest.mark.parametrize("route", sorted(route for route, export in EXPORTS.items() if export.narrow))
def test_a_file_holds_what_its_page_was_filtered_to(route: str, world: Callable[[str], World]) -> None:
    """The link of the filtered page is followed, as a person does."""
    here, export = world("{mark}"), EXPORTS[route]

    def linked(filters: dict[str, str]) -> list[dict[str, str]]:
        asked = "".join(f"&{name}={value}" for name, value in filters.items())
        page = here.client.get(here.address(route, export) + asked)
        found = [unescape(href) for href in re.findall(r'href="([^"]*format=csv[^"]*)"', page.text)]
        assert len(found) == 1, route
        return rows_of(here.client.get(f"{page.request['PATH_INFO']}{found[0]}"))

    everything, narrowed = linked({}), linked(export.narrow)
    assert 0 < len(narrowed) < len(everything)
    assert all(row in everything for row in narrowed)
    assert rows_of(here.file(route, **export.none)) == []


def test_rows_of_shops_one_does_not_see_are_in_no_file(world: Callable[[str], World], client_for: ClientFor) -> None:
    here = world("{mark}")
    elsewhere = ShopFactory(company=here.shop.company)
    user = UserFactory(company=here.shop.company, role=Role.MANAGER, shops=[elsewhere])
    client = client_for(user)
    for route, export in EXPORTS.items():
        if export.staff:
            continue
        response = client.get(f"{here.address(route, export)}&format=csv")
        assert response.status_code in (200, 403, 404), route
        if response.status_code == 200:
            text = text_of(response)
            assert here.shop.site_id not in text, route


def test_a_file_is_in_the_language_of_its_page(world: Callable[[str], World]) -> None:
    """The rows are written once the middleware is done; they must not fall back to French."""
    here = world("{mark}")
    User.objects.filter(company=here.shop.company).update(language="en")
    User.objects.filter(is_staff=True).update(language="en")
    sentences = [row["sentence"] for row in rows_of(here.file("settings/company/history/"))]
    fields = [row["field"] for row in rows_of(here.file("settings/company/history/"))]
    assert sentences
    assert set(fields) == {"Shop name", "Company name"}
    CompanyFactory(reference="partout", manager__email="claire@partout.example", with_technical=True)
    Shop.objects.filter(company__reference="mienne").update(manager_email="claire@partout.example")
    reasons = [row["reason"] for row in rows_of(here.file("admin/support/addresses/"))]
    assert any(reasons)
    assert not any("gestionnaire" in reason or "boutique" in reason for reason in reasons)


def test_a_file_is_written_row_by_row() -> None:
    """However long a list is, no more than a row of its file is held."""

    def endless() -> Iterator[list[str]]:
        while True:
            yield ["une ligne"]

    lines = iter(csv_files.csv_response(endless(), "longue", plain=True))
    assert [next(lines), next(lines)] == [b"une ligne\r\n"] * 2
    with translation.override("fr"):
        lines = iter(csv_files.csv_response(endless(), "longue"))
    assert [next(lines), next(lines)] == ["\ufeffune ligne\r\n".encode(), b"une ligne\r\n"]


# Columns of figures: route → names.
FIGURES = {
    "payment-orders/": ("amount",),
    "settings/shops/<str:site_id>/data-form/answers/": ("amount",),
    "billing/": ("net", "tax_rate", "tax", "gross"),
    "billing/<uuid:key>/": ("quantity", "unit_price", "amount"),
}


@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_file_opens_in_a_spreadsheet_of_its_language(language: str, world: Callable[[str], World]) -> None:
    """French: semicolon and decimal comma; English: comma and point; both with the mark that says UTF-8."""
    here = world("{mark};é")
    User.objects.update(language=language)
    delimiter, decimal = {"fr": (";", ","), "en": (",", ".")}[language]
    figures = 0
    for route in EXPORTS:
        raw = here.file(route).getvalue()
        assert raw.startswith(codecs.BOM_UTF8), route
        assert raw.count(codecs.BOM_UTF8) == 1, route
        rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), delimiter=delimiter, strict=True))
        assert len({len(row) for row in rows}) == 1, route
        assert len(rows[0]) > 3, route
        plain = here.file(route, plain="1").getvalue().decode()
        assert not plain.startswith("\ufeff"), route
        same = list(csv.reader(io.StringIO(plain, newline=""), strict=True))
        assert all(line.endswith("\r\n") for line in plain.splitlines(keepends=True) if line.strip('"')), route
        # RFC 4180 differs in the spelling only, and in nothing but the figures.
        assert rows[0] == same[0], route
        changed = set()
        for told, bare in zip(rows, same, strict=True):
            for name, cell, other in zip(rows[0], told, bare, strict=True):
                if FIGURE.fullmatch(other) and name in FIGURES.get(route, ()):
                    figures += 1
                    changed.add(name)
                    assert cell == other.replace(".", decimal), (route, name)
                else:
                    assert cell == other, (route, name)
        assert changed == set(FIGURES.get(route, ())), route
        # Asked for in another way it is the file for people: only the documented word makes it plain.
        assert here.file(route, plain="0").getvalue().startswith(codecs.BOM_UTF8), route
    assert figures > 10


def test_what_commands_print_is_plain(world: Callable[[str], World], capsys: Any) -> None:
    world("{mark};é")
    for language in ("fr", "en"):
        capsys.readouterr()
        call_command("delivery_tables", "mienne", "--format", "csv", "--language", language)
        told = capsys.readouterr().out
        assert not told.startswith("\ufeff")
        assert told.splitlines()[0] == ",".join(compute.TABLE_HEADER)


def test_a_long_list_is_read_in_pieces(monkeypatch: Any) -> None:
    """The first line of a file of many rows leaves before the last row is read."""
    shop = ShopFactory()
    seen: list[int] = []
    original = csv_files.neutral
    monkeypatch.setattr(journal_selectors, "neutral", lambda cell: (seen.append(1), original(cell))[1])
    event = EventFactory(shop=shop)
    for _number in range(3):
        DeliveryFactory(event=event)
    rows = journal_selectors.journal_rows(Delivery.objects.filter(shop=shop).select_related("event", "shop", "rule"))
    next(rows)
    assert not seen
    next(rows)
    assert len(seen) == len(journal_selectors.JOURNAL_HEADER)


# --- Guards: a file that is not in the table above fails here --------------------------------------


def _sources() -> Iterator[tuple[str, ast.Module]]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def _calls(tree: ast.AST, name: str) -> int:
    return sum(
        isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == name
        for node in ast.walk(tree)
    )


def _routes(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from _routes(pattern.url_patterns, path)
        else:
            yield path, pattern.callback


def test_files_are_written_in_one_place_only() -> None:
    commands = "notifications/management/commands"
    allowed = {"backoffice/base/csv_files.py", f"{commands}/coverage.py", f"{commands}/delivery_tables.py"}
    writers = {path for path, tree in _sources() if _calls(tree, "writer") or _calls(tree, "DictWriter")}
    assert writers == allowed
    typed = {path for path, _tree in _sources() if "text/csv" in (ROOT / path).read_text()}
    assert typed - {"shops/billing/forms.py", "shops/billing/admin.py"} == {"backoffice/base/csv_files.py"}


def test_every_route_that_gives_a_file_is_in_the_table() -> None:
    found, calls = set(), 0
    for route, callback in _routes():
        view = inspect.unwrap(callback)
        # A view of a class is only asked for its own function.
        source = inspect.getsource(getattr(view, "__func__", view)) if inspect.isroutine(view) else ""
        if here := source.count("csv_response("):
            found.add(route)
            calls += here
    assert found == set(EXPORTS) | BY_POST
    assert calls == sum(_calls(tree, "csv_response") for _path, tree in _sources()), "a file no route leads to"


def test_every_page_with_a_link_to_a_file_is_in_the_table() -> None:
    linking = set()
    for folder in (ROOT / "templates", *(ROOT / app / "templates" for app in APPS)):
        for path in folder.rglob("*.html"):
            if re.search(r"""format=['"]?csv""", path.read_text()):
                linking.add(str(path.relative_to(folder)))
    assert linking == {export.template for export in EXPORTS.values()}
