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

from backoffice.base import paging
from backoffice.base.csv_files import Figure, csv_response, is_plain, neutral
from backoffice.base.files import file_response
from companies.rights import access
from companies.rights.access import CompanyRequest, company_page
from notifications.readers import deliveries_for
from shops.billing import pricing, selectors, words
from shops.billing.forms import BillingFilter
from shops.billing.pricing import Line
from shops.models import BillingDocument

SORTS = {"number": "number", "shop": "shop__name", "period": "period_start", "issued": "issued_at", "gross": "gross"}


@company_page()
@require_safe
def documents(request: CompanyRequest) -> HttpResponseBase:
    """The documents of the shops the user sees, with what the filtered ones add up to."""
    asked = BillingFilter(request.GET)
    rows = selectors.filtered(selectors.documents(request.membership), **asked.arguments())
    totals = selectors.totals(rows)
    rows = rows.order_by(paging.sort_key(request, SORTS, default="-issued_at"), "-number")
    if request.GET.get("format") == "csv":
        return csv_response(_list_rows(rows), f"facturation-{request.company.reference}", plain=is_plain(request))
    page = paging.paginate(request, rows)
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
    document = selectors.documents(request.membership).defer(None).filter(pk=key).first()
    if document is None:
        raise Http404
    return document


@company_page()
@require_safe
def document(request: CompanyRequest, key: UUID) -> HttpResponseBase:
    invoice = _document_or_404(request, key)
    if request.GET.get("format") == "csv":
        return csv_response(_line_rows(invoice), invoice.number, plain=is_plain(request))
    context = {
        "document": invoice,
        "title": words.title(invoice),
        "lines": words.rows(invoice.lines, invoice.currency),
        "customer": words.customer_lines(invoice.customer),
        "rate": words.rate(invoice.tax_rate),
        "net": words.amount(invoice.net, invoice.currency),
        "tax": words.amount(invoice.tax, invoice.currency),
        "gross": words.amount(invoice.gross, invoice.currency),
        "size": len(invoice.file),
        "credit_note": getattr(invoice, "credit_note", None),
        "mails": deliveries_for(request.membership).filter(
            event__event_id=invoice.event_id, notification="detailed_billing"
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


def _list_rows(documents: QuerySet[BillingDocument]) -> Iterator[list[str]]:
    yield list(LIST_HEADER)
    for item in documents.iterator(chunk_size=1000):
        cells = (
            item.number,
            item.kind,
            item.shop.site_id,
            item.period_start.isoformat(),
            item.period_end.isoformat(),
            timezone.localtime(item.issued_at).isoformat(timespec="seconds"),
            item.currency,
            _plain(item.net, item.currency),
            Figure(pricing.text(item.tax_rate)),
            _plain(item.tax, item.currency),
            _plain(item.gross, item.currency),
            item.credits.number if item.credits else "",
        )
        yield [neutral(cell) for cell in cells]


def _line_rows(document: BillingDocument) -> Iterator[list[str]]:
    yield ["number", "description", "quantity", "unit_price", "amount", "currency"]
    for data in document.lines:
        line = Line.from_json(data)
        figures = (Figure(pricing.text(value)) for value in (line.quantity, line.unit_price, line.amount))
        yield [neutral(cell) for cell in (document.number, words.label(line), *figures, document.currency)]


def _plain(value: Any, currency: str) -> Figure:
    return Figure(pricing.text(pricing.rounded(value, currency)))
