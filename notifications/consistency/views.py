"""Gestion > Rapports de consistance: what the checks found, since when, and where to correct it."""

from collections.abc import Iterable, Iterator
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from backoffice.base import csv_files, paging
from companies.audit import Actor
from companies.rights import access, permissions
from companies.rights.access import CompanyRequest, company_page
from notifications.checks.findings import SCOPE_LABELS, SEVERITY_LABELS, Severity, errors_of
from notifications.consistency import reports as consistency_reports
from notifications.consistency.reports import Line
from notifications.models import ConsistencyReport
from notifications.tables import screens

# Findings that are shown before the rest is unfolded.
SHOWN_FINDINGS = 10


class ReportFilter(forms.Form):
    """Search and filters of the findings; values that make no sense count as absent."""

    q = forms.CharField(max_length=254, required=False)
    severity = forms.ChoiceField(choices=[("", gettext_lazy("Toutes")), *SEVERITY_LABELS.items()], required=False)
    scope = forms.ChoiceField(choices=[("", gettext_lazy("Tous")), *SCOPE_LABELS.items()], required=False)
    shop = forms.CharField(max_length=8, required=False)

    NAMES = ("q", "severity", "scope", "shop")

    def value(self, name: str) -> str:
        self.is_valid()
        return self.cleaned_data.get(name) or ""

    def is_active(self) -> bool:
        return any(self.value(name) for name in self.NAMES)

    def keep(self, lines: Iterable[Line]) -> list[Line]:
        needle = screens.folded(self.value("q").strip())
        return [
            line
            for line in lines
            if self.value("severity") in ("", line.finding.severity)
            and self.value("scope") in ("", line.finding.scope)
            and self.value("shop") in ("", line.finding.shop)
            and needle in screens.folded(f"{line.sentence} {line.place} {line.advice}")
        ]


@company_page()
@require_safe
def report(request: CompanyRequest) -> HttpResponseBase:
    """The report in force, or with `?report=` an earlier one; its findings, and the history."""
    history = paging.paginate(request, consistency_reports.reports(request.company), default=25)
    newest = consistency_reports.latest(request.company)
    shown = _chosen(request, newest)
    asked = ReportFilter(request.GET)
    before = consistency_reports.before(shown) if shown else None
    membership = request.membership
    visible = consistency_reports.visible(consistency_reports.findings_of(shown), membership) if shown else []
    whole = consistency_reports.lines(visible, membership, consistency_reports.keys_of(before))
    lines = asked.keep(whole)
    if request.GET.get("format") == "csv":
        return csv_files.csv_response(
            _rows(lines), f"consistance-{request.company.reference}", plain=csv_files.is_plain(request)
        )
    recovered = consistency_reports.recovered(shown, before) if shown else []
    visible_shops = access.shops_of(membership).only("site_id", "name")
    context: dict[str, Any] = {
        "report": shown,
        "report_link": f"{request.path}?" + ("" if shown is None or shown == newest else f"report={shown.pk}&"),
        "is_current": shown == newest,
        "lines": lines,
        "first_lines": lines[:SHOWN_FINDINGS],
        "more_lines": lines[SHOWN_FINDINGS:],
        "error_count": sum(line.finding.severity == Severity.ERROR for line in whole),
        "warning_count": sum(line.finding.severity == Severity.WARNING for line in whole),
        "recovered": consistency_reports.lines(consistency_reports.visible(recovered, membership), membership),
        "before": before,
        "asked": asked,
        "active": asked.is_active(),
        "shops": visible_shops,
        "page": history,
        # Whoever leafs through the earlier reports, or reads one of them, goes on with their list.
        "history_open": "page" in request.GET or shown != newest,
        "changes": consistency_reports.changes(list(history.object_list), membership),
        "may_run": access.can(membership, permissions.MANAGE_COMPANY),
    }
    return render(request, "notifications/consistency/report.html", context)


def _chosen(request: CompanyRequest, newest: ConsistencyReport | None) -> ConsistencyReport | None:
    text = request.GET.get("report", "")
    if not text:
        return newest
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    chosen = consistency_reports.reports(request.company).filter(pk=number).first()
    if chosen is None:
        raise Http404
    return chosen


@company_page(permissions.MANAGE_COMPANY)
@require_POST
def run(request: CompanyRequest) -> HttpResponse:
    """« Vérifier maintenant »: runs the same checks as every morning."""
    done = consistency_reports.report_run(company=request.company, actor=Actor.of(request))
    visible = consistency_reports.visible(consistency_reports.findings_of(done.report), request.membership)
    count = len(errors_of(visible))
    if not count:
        messages.success(request, _("Vérification faite : aucune erreur."))
    else:
        sentence = ngettext("Vérification faite : %(n)d erreur.", "Vérification faite : %(n)d erreurs.", count)
        told = (
            _("Le Contact gestionnaire en est prévenu par e-mail.")
            if done.published
            else _("Le Contact gestionnaire en a déjà été prévenu : pas de nouvel e-mail.")
            if done.report.told_at
            else ""
        )
        messages.warning(request, f"{sentence % {'n': count}} {told}".strip())
    return redirect("consistency_report")


HEADER = ("severity", "scope", "shop", "object", "code", "finding", "what_to_do")


def _rows(lines: Iterable[Line]) -> Iterator[list[str]]:
    yield list(HEADER)
    for line in lines:
        finding = line.finding
        about = finding.contract or finding.rule or finding.account
        cells = (finding.severity, finding.scope, finding.shop, about, finding.code, line.sentence, line.advice)
        yield [csv_files.neutral(cell) for cell in cells]
