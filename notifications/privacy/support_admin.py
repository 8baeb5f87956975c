"""Support pages of the admin: where an address occurs and what it received; its export and its erasure."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from backoffice.base import csv_files
from backoffice.base.fields import OneEmailFormField
from backoffice.base.files import file_response
from backoffice.base.methods import get_and_post
from backoffice.base.paging import paginate
from companies.audit import Actor
from notifications.core import catalogue, wording
from notifications.core.resolver import Decision
from notifications.models import Delivery
from notifications.privacy import personal_data, support

COMPANIES_PER_PAGE = 25
MESSAGES_SHOWN = 50
LABELS = dict(catalogue.CHOICES)
COUNT_LABELS = {
    "deliveries": gettext_lazy("envois à cette adresse"),
    "events": gettext_lazy("événements qui la nomment"),
    "payment_orders": gettext_lazy("ordres de paiement"),
    "form_answers": gettext_lazy("réponses à un formulaire"),
    "history": gettext_lazy("lignes de l'historique"),
    "settings": gettext_lazy("réglages passés"),
}


class AddressForm(forms.Form):
    q = OneEmailFormField(label=gettext_lazy("Adresse e-mail"), max_length=254, asks=False)


def _check(request: HttpRequest) -> None:
    if not (request.user.has_perm("notifications.view_delivery") and request.user.has_perm("companies.view_company")):
        raise PermissionDenied


def _lines(decisions: list[Decision]) -> list[tuple[Decision, Any, str]]:
    return [(item, LABELS[item.notification], wording.reason(item.reason, item.params)) for item in decisions]


def _sentences(occurrence: support.Occurrence) -> dict[str, Any]:
    return {
        "company": occurrence.company,
        "roles": [wording.role_label(occurrence.facts, role) for role in occurrence.roles],
        "receives": _lines(occurrence.receives),
        "why_not": _lines(occurrence.why_not),
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
            return csv_files.csv_response(support.csv_rows(email), "adresse", plain=csv_files.is_plain(request))
        page = paginate(request, support.companies_with(email), default=COMPANIES_PER_PAGE)
        counts = support.delivery_counts(email)
        context |= {
            "email": email,
            "page": page,
            "found": [_sentences(here) for here in support.occurrences(email, list(page))],
            "staff": support.staff_accounts(email),
            "messages_shown": list(support.deliveries_to(email)[:MESSAGES_SHOWN]),
            "messages_total": sum(counts.values()),
            "counts": [(Delivery.Status(status).label, n) for status, n in sorted(counts.items())],
            "orders": list(support.orders_to(email)[:MESSAGES_SHOWN]),
        }
    return TemplateResponse(request, "admin/support_addresses.html", context)


def _request_of(request: HttpRequest) -> AddressForm:
    """The address of a personal-data request; only for superusers, as it reaches over all companies."""
    if not request.user.is_superuser:
        raise PermissionDenied
    return AddressForm(request.POST if request.method == "POST" else request.GET)


@require_POST
def export(request: HttpRequest) -> HttpResponseBase:
    """All that is held on an address, as a ZIP; told in the history without the address."""
    form = _request_of(request)
    if not form.is_valid():
        return redirect("admin:support_addresses")
    email = form.cleaned_data["q"]
    body = personal_data.export(email)
    personal_data.note_export(email=email, actor=Actor.of(request))
    return file_response(body, "donnees-personnelles.zip", "application/zip")


@get_and_post
def erase(request: HttpRequest) -> HttpResponseBase:
    """What erasing an address would do, the reasons against it, and the erasure itself."""
    form = _request_of(request)
    if not form.is_valid():
        return redirect("admin:support_addresses")
    email = form.cleaned_data["q"]
    if request.method == "POST":
        try:
            erasure = personal_data.erase(email=email, actor=Actor.of(request))
        except ValidationError as error:
            for message in error.messages:
                messages.error(request, message)
        else:
            messages.success(
                request,
                _("L'adresse est effacée. Son empreinte %(hash)s reste comme preuve.")
                % {"hash": erasure.address_hash[:12]},
            )
            return redirect("admin:support_addresses")
    plan = personal_data.plan(email)
    context = {
        **admin.site.each_context(request),
        "title": _("Effacer une adresse"),
        "email": email,
        "plan": plan,
        "counts": [(COUNT_LABELS[name], n) for name, n in plan.counts.items()],
    }
    return TemplateResponse(request, "admin/support_erase.html", context)
