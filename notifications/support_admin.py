"""Support pages of the admin: where an address occurs and what it received; its export and its erasure."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from backoffice.fields import OneEmailFormField
from backoffice.paging import paginate

from . import catalogue, exports, support, wording
from .models import Delivery
from .resolver import Decision

COMPANIES_PER_PAGE = 25
MESSAGES_SHOWN = 50
LABELS = dict(catalogue.CHOICES)


class AddressForm(forms.Form):
    q = OneEmailFormField(label=gettext_lazy("Adresse e-mail"), max_length=254)


def _check(request: HttpRequest) -> None:
    if not (request.user.has_perm("notifications.view_delivery") and request.user.has_perm("companies.view_company")):
        raise PermissionDenied


def _lines(decisions: list[Decision]) -> list[tuple[Decision, Any, str]]:
    return [(item, LABELS[item.notification], wording.reason(item.reason, item.params)) for item in decisions]


def _sentences(found: support.Occurrence) -> dict[str, Any]:
    return {
        "company": found.company,
        "roles": [wording.role_label(found.facts, role) for role in found.roles],
        "receives": _lines(found.receives),
        "why_not": _lines(found.why_not),
    }


@require_safe
def addresses(request: HttpRequest) -> HttpResponseBase:
    """Where an address occurs on the whole platform, and what was sent to it."""
    _check(request)
    form = AddressForm(request.GET if "q" in request.GET else None)
    context: dict[str, Any] = {**admin.site.each_context(request), "title": _("Chercher une adresse"), "form": form}
    if form.is_bound and form.is_valid():
        email = form.cleaned_data["q"]
        if request.GET.get("format") == "csv":
            return StreamingHttpResponse(
                exports.csv_lines(support.csv_rows(email)),
                content_type="text/csv; charset=utf-8",
                headers={"Content-Disposition": 'attachment; filename="adresse.csv"'},
            )
        page = paginate(request, support.companies_with(email), default=COMPANIES_PER_PAGE)
        counts = support.delivery_counts(email)
        context |= {
            "email": email,
            "page": page,
            "found": [_sentences(found) for found in support.occurrences(email, list(page))],
            "staff": support.staff_accounts(email),
            "messages_shown": list(support.deliveries_to(email)[:MESSAGES_SHOWN]),
            "messages_total": sum(counts.values()),
            "counts": [(Delivery.Status(status).label, n) for status, n in sorted(counts.items())],
            "orders": list(support.orders_to(email)[:MESSAGES_SHOWN]),
        }
    return TemplateResponse(request, "admin/support_addresses.html", context)
