"""« Couverture »: whether anybody is told, notification by notification and shop by shop; accepted gaps; remarks."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from backoffice.base import csv_files
from backoffice.base.forms import PlainForm, add_errors
from backoffice.base.methods import get_and_post
from backoffice.text import times
from companies.audit import Actor
from companies.rights import access, permissions
from companies.rights.access import CompanyRequest, company_page, denied, shop_or_404
from notifications import settings_facts
from notifications.answers import coverage_screens, selectors, services
from notifications.answers.remarks import remark_rows
from notifications.core import coverage, coverage_wording, resolver
from notifications.core.address_health import AddressState
from notifications.core.catalogue import BY_CODE, Notification, Scope
from shops.models import Shop

# Columns of the matrix at a time, so that it fits a screen.
COLUMNS = 8
# What the form proposes: time to mend it, not to forget it.
PROPOSED = timedelta(days=30)


@company_page()
@require_safe
def overview(request: CompanyRequest) -> HttpResponseBase:
    """The score and its sum, what to mend first, the matrix, gaps and remarks."""
    facts = settings_facts.visible_facts(request.company, request.membership)
    covered = selectors.coverage_of(request.company, facts)
    if request.GET.get("format") == "csv":
        rows = coverage.csv_rows(covered)
        return csv_files.csv_response(
            rows, f"couverture-{request.company.reference}", plain=csv_files.is_plain(request)
        )
    page = Paginator(coverage.columns(facts, covered), COLUMNS).get_page(request.GET.get("page"))
    columns = list(page.object_list)
    context: dict[str, Any] = {
        "facts": facts,
        "suppressed": resolver.in_state(facts, AddressState.SUPPRESSED),
        "score": covered.score,
        "verdict": coverage_screens.verdict(covered),
        "points": coverage_wording.points_text(covered.points),
        "total": covered.total,
        "sum_lines": coverage_screens.sum_lines(covered),
        "fixes": coverage_screens.fixes(covered, facts, request.membership),
        "gaps": coverage_screens.gaps(covered, facts, request.membership, accepted=False),
        "accepted": coverage_screens.gaps(covered, facts, request.membership, accepted=True),
        "may_accept": access.can(request.membership, permissions.MANAGE_COMPANY),
        "page": page,
        "columns": [(column, coverage_screens.named_shops(column)) for column in columns],
        "matrix": coverage_screens.matrix(columns),
        "company_rows": coverage_screens.company_rows(covered),
        "legend": coverage_screens.legend(covered),
        "remarks": remark_rows(facts, request.membership),
    }
    return render(request, "notifications/answers/coverage.html", context)


# --- Accepting a gap ------------------------------------------------------------------------------


class AcceptForm(PlainForm):
    """Until when a gap is accepted."""

    until = forms.DateField(
        label=gettext_lazy("Accepté jusqu'au"),
        widget=forms.DateInput(attrs={"type": "date", "class": "form-control"}, format="%Y-%m-%d"),
        input_formats=["%Y-%m-%d", "%d/%m/%Y"],
        error_messages={
            "required": gettext_lazy("Choisissez une date."),
            "invalid": gettext_lazy("Choisissez une date."),
        },
    )


@company_page(permissions.MANAGE_COMPANY)
@get_and_post
def gap_accept(request: CompanyRequest, notification: str) -> HttpResponse:
    """« Accepter ce manque »: of the company as a whole."""
    return _accept(request, _row(notification, Scope.COMPANY), None)


@company_page()
@get_and_post
def gap_accept_shop(request: CompanyRequest, site_id: str, notification: str) -> HttpResponse:
    """« Accepter ce manque »: of one shop."""
    shop = _shop(request, site_id)
    return _accept(request, _row(notification, Scope.SHOP, Scope.RULE), shop)


@company_page(permissions.MANAGE_COMPANY)
@require_POST
def gap_reopen(request: CompanyRequest, notification: str) -> HttpResponse:
    """« Ne plus accepter »: of the company as a whole."""
    return _reopen(request, _row(notification, Scope.COMPANY), None)


@company_page()
@require_POST
def gap_reopen_shop(request: CompanyRequest, site_id: str, notification: str) -> HttpResponse:
    """« Ne plus accepter »: of one shop."""
    shop = _shop(request, site_id)
    return _reopen(request, _row(notification, Scope.SHOP, Scope.RULE), shop)


def _row(notification: str, *scopes: Scope) -> Notification:
    """The catalogue row of a cell; one that has no such cell is a plain 404."""
    row = BY_CODE.get(notification)
    if row is None or not row.in_tables or row.scope not in scopes:
        raise Http404
    return row


def _shop(request: CompanyRequest, site_id: str) -> Shop:
    """A shop the user sees and may accept gaps of."""
    shop = shop_or_404(request, site_id)
    if not access.can(request.membership, permissions.MANAGE_COMPANY, shop):
        raise denied(request, shop)
    return shop


def _accept(request: CompanyRequest, row: Notification, shop: Shop | None) -> HttpResponse:
    """Ask for the last day of the acceptance, then record it; the page names what will reach nobody until then."""
    form = AcceptForm(request.POST or None, initial={"until": timezone.localdate() + PROPOSED})
    if request.method == "POST" and form.is_valid():
        try:
            gap = services.gap_acknowledge(
                company=request.company,
                shop=shop,
                notification=row.code,
                until=form.cleaned_data["until"],
                actor=Actor.of(request),
            )
        except ValidationError as error:
            add_errors(form, error)
        else:
            told = _("Manque accepté jusqu'au %(day)s : %(label)s.") % {"day": times.day(gap.until), "label": row.label}
            messages.success(request, told)
            return redirect("coverage")
    context = {"form": form, "shop": shop, "label": row.label, "when": row.when, "back": reverse("coverage")}
    return render(request, "notifications/answers/gap_accept.html", context)


def _reopen(request: CompanyRequest, row: Notification, shop: Shop | None) -> HttpResponse:
    """The gap counts again."""
    done = services.gap_reopen(company=request.company, shop=shop, notification=row.code, actor=Actor.of(request))
    if done:
        messages.success(request, _("Ce manque compte de nouveau : %(label)s.") % {"label": row.label})
    return redirect("coverage")


# --- Remarks of readers ---------------------------------------------------------------------------


@company_page()
@require_POST
def remark_close(request: CompanyRequest, key: int) -> HttpResponse:
    """« Traitée »: the remark leaves home and coverage."""
    remark = selectors.open_remark(request.membership, key)
    if remark is None:
        raise Http404
    if not access.can(request.membership, permissions.MANAGE_COMPANY, remark.shop):
        raise denied(request, remark.shop)
    services.remark_close(remark=remark, actor=Actor.of(request))
    messages.success(request, _("La remarque de %(address)s est traitée.") % {"address": remark.address})
    # The button stands on home as well.
    return redirect("home" if request.POST.get("next") == reverse("home") else "coverage")
