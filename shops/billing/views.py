"""Gestion > Facturation: the documents of the merchant's shops, to read and to keep."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from backoffice import paging
from backoffice.files import file_response
from companies import access
from companies.access import CompanyRequest, company_page
from notifications.exports import csv_response, neutral
from notifications.selectors import deliveries

from . import pricing, selectors, words
from .forms import BillingFilter
from .models import BillingDocument
from .pricing import Line

SORTS = {"number": "number", "shop": "shop__name", "period": "period_start", "issued": "issued_at", "gross": "gross"}


@company_page()
@require_safe
def documents(request: CompanyRequest) -> HttpResponseBase:
    """The documents of the shops the user sees, with what the filtered ones add up to."""
    asked = BillingFilter(request.GET)
    found = selectors.filtered(selectors.documents(request.membership), **asked.arguments())
    totals = selectors.totals(found)
    found = found.order_by(paging.sort_key(request, SORTS, default="-issued_at"), "-number")
    if request.GET.get("format") == "csv":
        return csv_response(_list_rows(found), f"facturation-{request.company.reference}")
    page = paging.paginate(request, found)
    context: dict[str, Any] = {
        "page": page,
        "rows": [
            (item, words.amount(item.net, item.currency), words.amount(item.gross, item.currency)) for item in page
        ],
        "totals": [
            {
                "currency": row.currency,
                "count": row.count,
                **{name: words.amount(getattr(row, name), row.currency) for name in ("net", "tax", "gross")},
            }
            for row in totals
        ],
        "asked": asked,
        "active": asked.is_active(),
        "shops": access.shops_of(request.membership).only("site_id", "name"),
    }
    return render(request, "shops/billing/documents.html", context)


def _document_or_404(request: CompanyRequest, key: UUID) -> BillingDocument:
    """A document the user may see; anything else is a plain 404."""
    found = selectors.documents(request.membership).defer(None).filter(pk=key).first()
    if found is None:
        raise Http404
    return found


@company_page()
@require_safe
def document(request: CompanyRequest, key: UUID) -> HttpResponseBase:
    found = _document_or_404(request, key)
    if request.GET.get("format") == "csv":
        return csv_response(_line_rows(found), found.number)
    context = {
        "document": found,
        "title": words.title(found),
        "lines": words.rows(found.lines, found.currency),
        "customer": words.customer_lines(found.customer),
        "rate": words.rate(found.tax_rate),
        "net": words.amount(found.net, found.currency),
        "tax": words.amount(found.tax, found.currency),
        "gross": words.amount(found.gross, found.currency),
        "size": len(found.file),
        "credit_note": getattr(found, "credit_note", None),
        "mails": deliveries(request.company, request.membership).filter(
            event__event_id=found.event_id, notification="detailed_billing"
        ),
    }
    return render(request, "shops/billing/document.html", context)


@company_page()
@require_safe
def download(request: CompanyRequest, key: UUID) -> HttpResponse:
    """The PDF as it was issued and mailed, byte for byte."""
    return pdf_response(_document_or_404(request, key))


def pdf_response(document: BillingDocument) -> HttpResponse:
    return file_response(bytes(document.file), document.file_name, "application/pdf")


LIST_HEADER = (
    "number",
    "type",
    "shop",
    "period_start",
    "period_end",
    "issued_at",
    "currency",
    "net",
    "tax_rate",
    "tax",
    "gross",
    "cancels",
)


def _list_rows(found: QuerySet[BillingDocument]) -> Iterator[list[str]]:
    yield list(LIST_HEADER)
    for item in found.iterator(chunk_size=1000):
        cells = (
            item.number,
            item.kind,
            item.shop.site_id,
            item.period_start.isoformat(),
            item.period_end.isoformat(),
            timezone.localtime(item.issued_at).isoformat(timespec="seconds"),
            item.currency,
            _plain(item.net, item.currency),
            pricing.text(item.tax_rate),
            _plain(item.tax, item.currency),
            _plain(item.gross, item.currency),
            item.credits.number if item.credits else "",
        )
        yield [_cell(cell) for cell in cells]


def _line_rows(document: BillingDocument) -> Iterator[list[str]]:
    yield ["number", "description", "quantity", "unit_price", "amount", "currency"]
    for data in document.lines:
        line = Line.from_json(data)
        figures = (pricing.text(line.quantity), pricing.text(line.unit_price), pricing.text(line.amount))
        yield [_cell(cell) for cell in (document.number, words.label(line), *figures, document.currency)]


def _plain(value: Any, currency: str) -> str:
    return pricing.text(pricing.rounded(value, currency))


def _cell(text: str) -> str:
    """Text that a spreadsheet would run is neutralised; negative amounts stay numbers."""
    return text if text[:1] == "-" and text[1:].replace(".", "", 1).isdigit() else neutral(text)
