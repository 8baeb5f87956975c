"""Paramétrage > Société: Infos Société, accounts, history."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from backoffice.forms import add_errors, carried_number, read_only
from backoffice.paging import paginate
from notifications import addresses, exports, impact
from notifications.selectors import company_facts, delivery_tables, visible_facts

from . import access, conflicts, history, permissions, services, wording
from .access import CompanyRequest, company_page
from .audit import Actor, StaleVersion
from .forms import CompanyForm, ContactForm, HistoryFilter, IncidentForm
from .models import AuditEntry, Company, Contact

GET_AND_POST = ["GET", "HEAD", "POST"]


# --- Infos Société --------------------------------------------------------------------------------


@company_page()
@require_http_methods(GET_AND_POST)
def company(request: CompanyRequest) -> HttpResponse:
    may_edit = access.can(request.membership, permissions.MANAGE_COMPANY)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    if "preview" in request.GET:
        return _company_preview(request)
    stored = Company.objects.prefetch_related("contacts").get(pk=request.company.pk)
    data = request.POST if request.method == "POST" else None
    forms = _company_forms(stored, data)
    # Every section is judged, so that all errors show at once.
    valid = [form.is_valid() for form in forms.values()]
    if data is not None and all(valid) and _company_save(request, stored, forms):
        return redirect("company_settings")
    if not may_edit:
        read_only(*forms.values())
    facts = visible_facts(request.company, request.membership)
    context = {
        "forms": forms,
        "company": stored,
        "may_edit": may_edit,
        "panels": impact.panels(facts, [facts.manager_email]) if facts.manager_email else [],
        # A contact that was removed is told as well.
        "last_change": history.last_change_among(request.membership, "company", "contact"),
    }
    return render(request, "companies/company.html", context)


def _company_forms(stored: Company, data: Any = None) -> dict[str, Any]:
    return {
        "company": CompanyForm(data, company=stored),
        "manager": ContactForm(data, kind=Contact.Kind.MANAGER, contact=stored.manager_contact),
        "technical": ContactForm(data, kind=Contact.Kind.TECHNICAL, contact=stored.technical_contact),
        "incident": IncidentForm(data, company=stored),
    }


def _changed_since(company: Company) -> AuditEntry | None:
    """The newest change of a company or of one of its contacts, for whoever comes second."""
    return history.newest_among(company.pk, "company", "contact")


def _company_save(request: CompanyRequest, stored: Company, forms: dict[str, Any]) -> bool:
    """Save the four sections in one transaction; False when refused, the reasons in the forms."""
    actor = Actor.of(request)
    before = delivery_tables(company_facts(stored))
    current = forms["company"]
    try:
        with transaction.atomic():
            fields = {
                name: form.cleaned_data[name] for form in (forms["company"], forms["incident"]) for name in form.SAVED
            }
            changed = services.company_update(
                company=stored, actor=actor, version=forms["company"].cleaned_data["version"], **fields
            )
            names = [
                str(forms[part].fields[name].label)
                for part in ("company", "incident")
                for name in changed
                if name in forms[part].fields
            ]
            for kind in ("manager", "technical"):
                current = forms[kind]
                values = {name: current.cleaned_data[name] for name in ContactForm.SAVED}
                if kind == "technical" and current.is_empty:
                    found: Any = services.technical_contact_remove(company=stored, actor=actor)
                else:
                    found = services.contact_save(company=stored, kind=kind, actor=actor, **values)
                if found:
                    names.append(str(Contact.Kind(kind).label))
    except StaleVersion:
        fresh = _company_forms(Company.objects.get(pk=stored.pk))
        others = [(forms[part], fresh[part]) for part in ("manager", "technical", "incident")]
        entry = _changed_since(stored)
        conflicts.tell(request, forms["company"], fresh["company"], others=others, entry=entry)
        return False
    except ValidationError as error:
        add_errors(current, error)
        return False
    if not names:
        messages.info(request, _("Rien n'a changé."))
        return True
    after = delivery_tables(company_facts(Company.objects.get(pk=stored.pk)))
    saved = _("Infos Société enregistrées. Modifié : %(names)s.") % {"names": ", ".join(names)}
    messages.success(request, format_html("{} {}", saved, impact.difference_sentence(before, after)))
    return True


def _company_preview(request: CompanyRequest) -> HttpResponse:
    """The panel for a value being typed, as if it were saved."""
    facts = visible_facts(request.company, request.membership)
    kind = request.GET["preview"]
    typed = request.GET.get("incident_emails" if kind == "incident" else f"{kind}-email", "").strip()
    emails = addresses.split(typed) if kind == "incident" else [typed]
    for email in filter(None, emails):
        try:
            addresses.validate_single(email)
        except addresses.InvalidAddress as error:
            return render(
                request, "companies/address_panel.html", {"panels": [impact.Panel(email, [], error=str(error))]}
            )
    if kind == "incident":
        facts = replace(facts, incident_emails=tuple(emails))
    elif kind == "manager" and typed:
        facts = replace(facts, manager_email=typed)
    elif kind == "technical":
        facts = replace(facts, technical_email=typed or None)
    return render(request, "companies/address_panel.html", {"panels": impact.panels(facts, filter(None, emails[:10]))})


@company_page(permissions.MANAGE_COMPANY)
@require_http_methods(GET_AND_POST)
def contacts_swap(request: CompanyRequest) -> HttpResponse:
    found = Company.objects.get(pk=request.company.pk)
    conflict = None
    if request.method == "POST":
        before = delivery_tables(company_facts(found))
        try:
            services.contacts_swap(company=found, actor=Actor.of(request), version=carried_number(request, "seen"))
        except StaleVersion:
            conflict = conflicts.conflict(request, entry=_changed_since(found), is_form=False)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect("company_settings")
        else:
            done = _("Les deux contacts sont intervertis.")
            messages.success(
                request,
                format_html("{} {}", done, impact.difference_sentence(before, delivery_tables(company_facts(found)))),
            )
            return redirect("company_settings")
    manager, technical = found.manager_contact, found.technical_contact
    if manager is None or technical is None:
        return redirect("company_settings")
    sentence = _(
        "%(technical)s devient Contact gestionnaire et recevra ses notifications ; %(manager)s devient Contact technique "
        "et ne recevra plus d'e-mail à ce titre."
    ) % {"technical": technical.email, "manager": manager.email}
    words = (_("Intervertir les deux contacts"), sentence, _("Intervertir"))
    return _confirm(request, *words, found, conflict)


@company_page(permissions.MANAGE_COMPANY)
@require_http_methods(GET_AND_POST)
def technical_remove(request: CompanyRequest) -> HttpResponse:
    found = Company.objects.get(pk=request.company.pk)
    contact = found.technical_contact
    if contact is None:
        if request.method == "POST":
            messages.info(request, _("Il n'y a plus de Contact technique à retirer."))
        return redirect("company_settings")
    conflict = None
    if request.method == "POST":
        try:
            services.technical_contact_remove(
                company=found, actor=Actor.of(request), version=carried_number(request, "seen")
            )
        except StaleVersion:
            conflict = conflicts.conflict(request, entry=_changed_since(found), is_form=False)
            contact = found.technical_contact
            if contact is None:
                return redirect("company_settings")
        else:
            messages.success(request, _("Le Contact technique %(email)s est retiré.") % {"email": contact.email})
            return redirect("company_settings")
    sentence = _(
        "%(email)s n'est plus Contact technique. Ce rôle ne reçoit aucun e-mail : aucune notification ne change."
    ) % {"email": contact.email}
    return _confirm(request, _("Retirer le Contact technique"), sentence, _("Retirer"), found, conflict)


def _confirm(
    request: HttpRequest,
    title: str,
    sentence: str,
    action: str,
    found: Company,
    conflict: conflicts.Conflict | None,
) -> HttpResponse:
    """The question, asked on the company as it is now."""
    context = {
        "title": title,
        "sentence": sentence,
        "action": action,
        "back": reverse("company_settings"),
        "seen": found.version,
        "conflict": conflict,
    }
    return render(request, "companies/confirm.html", context)


# --- History --------------------------------------------------------------------------------------


@company_page()
@require_safe
def company_history(request: CompanyRequest) -> HttpResponseBase:
    wanted = HistoryFilter(request.GET)
    values = {name: wanted.value(name) for name in wanted.fields}
    about = [item for item in request.GET.getlist("about")[:10] if item.partition(".")[0] in history.OBJECTS]
    found = history.filtered(
        history.entries(request.membership),
        about=about,
        kind=values["object"],
        **{name: values[name] for name in ("q", "who", "field", "shop", "since", "until")},
    )
    if request.GET.get("format") == "csv":
        return exports.csv_response(_history_rows(found), f"historique-{request.company.reference}")
    page = paginate(request, found)
    context = {
        "page": page,
        "rows": [(entry, history.changes_in_words(entry)) for entry in page],
        "values": values,
        "active": any(values.values()) or about,
        "about": about,
        "about_labels": history.about_labels(request.membership, about),
        "objects": history.OBJECTS,
        "fields": [(code, label) for code, (label, _names) in history.FIELD_GROUPS.items()],
        "authors": history.authors(request.membership),
        "shops": access.shops_of(request.membership)[:200],
    }
    return render(request, "companies/history.html", context)


@company_page()
@require_safe
def company_history_entry(request: CompanyRequest, key: int) -> HttpResponse:
    entry = get_object_or_404(history.entries(request.membership), pk=key)
    others = history.entries(request.membership).filter(object_type=entry.object_type, object_id=entry.object_id)
    context = {
        "entry": entry,
        "kind": history.OBJECTS.get(entry.object_type, entry.object_type),
        "label": wording.object_label(entry.object_type, entry.object_label),
        "changes": history.changes_in_words(entry),
        "others": others.exclude(pk=entry.pk)[:10],
    }
    return render(request, "companies/history_entry.html", context)


HISTORY_HEADER = ("at", "actor", "ip_address", "action", "object", "shop", "sentence", "field", "before", "after")


def _history_rows(found: QuerySet[AuditEntry]) -> Iterator[list[str]]:
    """Header, then one row for each changed field; an entry without any has one row."""
    yield list(HISTORY_HEADER)
    for entry in found.iterator(chunk_size=1000):
        about = (
            exports.utc(entry.at),
            entry.actor_label,
            entry.ip_address,
            entry.action,
            entry.object_type,
            entry.shop.site_id if entry.shop else "",
            wording.entry_sentence(entry),
        )
        for change in history.changes_in_words(entry) or [("", "", "")]:
            yield [exports.neutral(cell) for cell in (*about, *change)]
