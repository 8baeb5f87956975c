"""Paramétrage > Société: Infos Société, accounts, history."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from backoffice.base import csv_files, endless, limits
from backoffice.base.forms import add_errors, carried_number, only_asks, read_only, wants_part
from backoffice.base.methods import get_and_post
from backoffice.text import addresses
from companies import audit, services
from companies.audit import Actor, StaleVersion
from companies.forms import NO_INCIDENT_ADDRESS, CompanyForm, ContactForm, HistoryFilter, IncidentForm
from companies.history import conflicts
from companies.history import entries as history
from companies.history import sentences as wording
from companies.history.taking_back import undo_link_after
from companies.history.values import OBJECTS
from companies.models import AuditEntry, Company, Contact, Membership
from companies.rights import access, permissions
from companies.rights.access import CompanyRequest, company_page
from notifications.core.facts import CompanyFacts
from notifications.settings_facts import visible_facts
from notifications.tables import effects, impact
from notifications.tables.compute import delivery_tables
from notifications.tables.effects import EffectPanel

# --- Infos Société --------------------------------------------------------------------------------


@company_page()
@get_and_post
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
    judged = [form.is_valid() for form in forms.values()]
    valid = all(judged)
    effect, question = effects.EMPTY, None
    if only_asks(request):
        effect = _company_effect(request, forms) if valid else effects.refused()
        if wants_part(request):
            return effects.panel_alone(request, effect)
    elif data is not None and valid:
        try:
            if _company_save(request, stored, forms):
                return redirect("company_settings")
        except effects.Unconfirmed as error:
            question = error.question
            add_errors(forms["company"], error)
    if not may_edit:
        read_only(*forms.values())
    facts = visible_facts(request.company, request.membership, why_not=False)
    context = {
        "forms": forms,
        "company": stored,
        "may_edit": may_edit,
        "panels": impact.panels(facts, [facts.manager_email]) if facts.manager_email else [],
        "effect": effect,
        "question": question,
        "panels_are_saved": True,
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
    """The newest change of a company or of one of its contacts, for a refused save."""
    return history.newest_among(company.pk, "company", "contact")


class _Refused(Exception):
    """A section is refused by its service."""

    def __init__(self, section: str, error: ValidationError) -> None:
        self.section, self.error = section, error
        super().__init__(section)


def _company_apply(request: CompanyRequest, stored: Company, forms: dict[str, Any]) -> list[str]:
    """Save the four sections; the names of what changed. Raises _Refused, StaleVersion."""
    actor = Actor.of(request)
    fields = {name: form.cleaned_data[name] for form in (forms["company"], forms["incident"]) for name in form.SAVED}
    seen = forms["company"].cleaned_data["version"]
    try:
        changed = services.company_update(company=stored, actor=actor, seen=seen, **fields)
    except StaleVersion:
        raise
    except ValidationError as error:
        raise _Refused("company", error) from error
    names = [
        str(forms[part].fields[name].label)
        for part in ("company", "incident")
        for name in changed
        if name in forms[part].fields
    ]
    for kind in ("manager", "technical"):
        try:
            if _contact_apply(stored, kind, forms[kind], actor):
                names.append(str(Contact.Kind(kind).label))
        except ValidationError as error:
            raise _Refused(kind, error) from error
    return names


def _contact_apply(stored: Company, kind: str, form: Any, actor: Actor) -> bool:
    """Save or remove one contact; whether it changed."""
    if kind == "technical" and form.is_empty:
        return services.technical_contact_remove(company=stored, actor=actor)
    values = {name: form.cleaned_data[name] for name in ContactForm.SAVED}
    return bool(services.contact_save(company=stored, kind=kind, actor=actor, **values))


def _facts_now(request: CompanyRequest) -> CompanyFacts:
    return visible_facts(Company.objects.get(pk=request.company.pk), request.membership)


def _company_effect(request: CompanyRequest, forms: dict[str, Any]) -> EffectPanel:
    """What saving the page would change; it follows one's typing, so it writes nothing and locks nothing."""
    before = _facts_now(request)
    return effects.compared(before, _imagined(before, forms))


def _imagined(facts: CompanyFacts, forms: dict[str, Any]) -> CompanyFacts:
    """The facts as the page would leave them; every section is valid."""
    company, technical = forms["company"].cleaned_data, forms["technical"]
    return replace(
        facts,
        language=company["language"],
        newsletter_opt_out=company["newsletter_opt_out"],
        incident_emails=tuple(forms["incident"].cleaned_data["incident_emails"]),
        manager_email=forms["manager"].cleaned_data["email"],
        technical_email=None if technical.is_empty else technical.cleaned_data["email"],
    )


def _company_save(request: CompanyRequest, stored: Company, forms: dict[str, Any]) -> bool:
    """Save the four sections in one transaction; False when refused, the reasons in the forms.

    Raises Unconfirmed.
    """
    try:
        with audit.collected() as written:
            done = effects.saved(
                lambda: _facts_now(request),
                lambda: _company_apply(request, stored, forms),
                actor=Actor.of(request),
                company=request.company,
                confirmed=request.POST.get(effects.CONFIRMED, ""),
                # The form of incident addresses asks by itself.
                asked_about=("platform_incident",),
            )
    except StaleVersion:
        fresh = _company_forms(Company.objects.get(pk=stored.pk))
        others = [(forms[part], fresh[part]) for part in ("manager", "technical", "incident")]
        entry = _changed_since(stored)
        conflicts.tell(request, forms["company"], fresh["company"], others=others, entry=entry)
        return False
    except _Refused as refused:
        add_errors(forms[refused.section], refused.error)
        return False
    if not done.answer:
        messages.info(request, _("Rien n'a changé."))
        return True
    before, after = done.before.company, done.after.company
    saved = _("Infos Société enregistrées. Modifié : %(names)s.") % {"names": ", ".join(done.answer)}
    told = _replaced_sentence(before.manager_email, after.manager_email)
    undo = undo_link_after(request.membership, written)
    messages.success(request, format_html("{} {} {} {}", saved, told, done.sentence, undo))
    if before.incident_emails and not after.incident_emails:
        messages.warning(request, NO_INCIDENT_ADDRESS)
    return True


def _replaced_sentence(former: str, now: str) -> str:
    """List who is told that the address of the Contact gestionnaire was replaced."""
    if not former or addresses.normalise(former) == addresses.normalise(now):
        return ""
    return _("L'ancienne adresse du Contact gestionnaire, %(old)s, et la nouvelle, %(new)s, en sont prévenues.") % {
        "old": former,
        "new": now,
    }


def _company_preview(request: CompanyRequest) -> HttpResponse:
    """The panel for a value being typed, as if it were saved."""
    facts = visible_facts(request.company, request.membership, why_not=False)
    kind = request.GET["preview"]
    typed = request.GET.get("incident_emails" if kind == "incident" else f"{kind}-email", "").strip()
    typed = typed if kind == "incident" else addresses.bare(typed)
    emails = addresses.split(typed) if kind == "incident" else [typed]
    if len(emails) > limits.MAX_ADDRESSES:
        refused = impact.Panel("", [], error=limits.too_many(len(emails)))
        return render(request, "companies/address_panel.html", {"panels": [refused]})
    if kind == "incident" and not emails:
        nobody = impact.Panel("", [], error=str(NO_INCIDENT_ADDRESS))
        return render(request, "companies/address_panel.html", {"panels": [nobody]})
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
@get_and_post
def contacts_swap(request: CompanyRequest) -> HttpResponse:
    company = Company.objects.get(pk=request.company.pk)
    conflict = None
    if request.method == "POST":
        before = delivery_tables(visible_facts(company, request.membership, why_not=False), why_not=False)
        try:
            services.contacts_swap(company=company, actor=Actor.of(request), seen=carried_number(request, "seen"))
        except StaleVersion:
            conflict = conflicts.conflict(request, entry=_changed_since(company), is_form=False)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect("company_settings")
        else:
            after = delivery_tables(visible_facts(company, request.membership, why_not=False), why_not=False)
            done = _("Les deux contacts sont intervertis.")
            told = _replaced_sentence(before.company.manager_email, after.company.manager_email)
            messages.success(request, format_html("{} {} {}", done, told, impact.difference_sentence(before, after)))
            return redirect("company_settings")
    manager, technical = company.manager_contact, company.technical_contact
    if manager is None or technical is None:
        return redirect("company_settings")
    sentence = _(
        "%(technical)s devient Contact gestionnaire et recevra ses notifications ; %(manager)s devient Contact technique "
        "et ne recevra plus d'e-mail à ce titre."
    ) % {"technical": technical.email, "manager": manager.email}
    words = (_("Intervertir les deux contacts"), sentence, _("Intervertir"))
    facts = visible_facts(company, request.membership)
    swapped = replace(facts, manager_email=technical.email, technical_email=manager.email)
    return _confirm(request, *words, company, conflict, effects.compared(facts, swapped))


@company_page(permissions.MANAGE_COMPANY)
@get_and_post
def technical_remove(request: CompanyRequest) -> HttpResponse:
    company = Company.objects.get(pk=request.company.pk)
    contact = company.technical_contact
    if contact is None:
        if request.method == "POST":
            messages.info(request, _("Il n'y a plus de Contact technique à retirer."))
        return redirect("company_settings")
    conflict = None
    if request.method == "POST":
        try:
            services.technical_contact_remove(
                company=company, actor=Actor.of(request), seen=carried_number(request, "seen")
            )
        except StaleVersion:
            conflict = conflicts.conflict(request, entry=_changed_since(company), is_form=False)
            contact = company.technical_contact
            if contact is None:
                return redirect("company_settings")
        else:
            messages.success(request, _("Le Contact technique %(email)s est retiré.") % {"email": contact.email})
            return redirect("company_settings")
    sentence = _(
        "%(email)s n'est plus Contact technique. Ce rôle ne reçoit aucun e-mail : aucune notification ne change."
    ) % {"email": contact.email}
    return _confirm(request, _("Retirer le Contact technique"), sentence, _("Retirer"), company, conflict)


def _confirm(
    request: HttpRequest,
    title: str,
    sentence: str,
    action: str,
    company: Company,
    conflict: conflicts.Conflict | None,
    effect: EffectPanel | None = None,
) -> HttpResponse:
    """The confirmation page of an action, about the company as it is now."""
    context = {
        "title": title,
        "sentence": sentence,
        "action": action,
        "back": reverse("company_settings"),
        "seen": company.version,
        "conflict": conflict,
        "effect": effect,
    }
    return render(request, "companies/confirm.html", context)


# --- History --------------------------------------------------------------------------------------


@company_page()
@require_safe
def company_history(request: CompanyRequest) -> HttpResponseBase:
    wanted = HistoryFilter(request.GET)
    values = {name: wanted.value(name) for name in wanted.fields}
    about = [item for item in request.GET.getlist("about")[:10] if item.partition(".")[0] in OBJECTS]
    search = history.Search(
        q=values["q"],
        kind=values["object"],
        who=values["who"],
        field=values["field"],
        shop=values["shop"],
        since=values["since"] or None,
        until=values["until"] or None,
        about=about,
    )
    every = history.entries(request.membership)
    if request.GET.get("format") == "csv":
        entries = history.filtered(every, search, reader=request.membership)
        return csv_files.csv_response(
            _history_rows(entries, request.membership),
            f"historique-{request.company.reference}",
            plain=csv_files.is_plain(request),
        )
    entries = history.shown(every, search, reader=request.membership)
    page = endless.paginate(request, entries, by="at", once=bool(search.q or search.field))
    context = {
        "page": page,
        "searched_newest": bool(search.q or search.field)
        and endless.has_older(every, by="at")
        and endless.READ_FOR_PARTS,
        "rows": [(entry, history.changes_in_words(entry, request.membership)) for entry in page],
        "values": values,
        "active": any(values.values()) or about,
        "about": about,
        "about_labels": history.about_labels(request.membership, about),
        "objects": OBJECTS,
        "fields": [(code, label) for code, (label, _names) in history.FIELD_GROUPS.items()],
        "authors": history.authors(request.membership),
        "shops": access.shops_of(request.membership)[:200],
    }
    return render(request, "companies/history/history.html", context)


@company_page()
@require_safe
def company_history_entry(request: CompanyRequest, key: int) -> HttpResponse:
    entry = get_object_or_404(history.entries(request.membership), pk=key)
    others = history.entries(request.membership).filter(object_type=entry.object_type, object_id=entry.object_id)
    context = {
        "entry": entry,
        "kind": OBJECTS.get(entry.object_type, entry.object_type),
        "label": wording.object_label(entry.object_type, entry.object_label),
        "changes": history.changes_in_words(entry, request.membership),
        "others": others.exclude(pk=entry.pk)[:10],
    }
    return render(request, "companies/history/history_entry.html", context)


HISTORY_HEADER = ("at", "actor", "ip_address", "action", "object", "shop", "sentence", "field", "before", "after")


def _history_rows(entries: QuerySet[AuditEntry], reader: Membership) -> Iterator[list[str]]:
    """Header, then one row for each changed field; an entry without any has one row."""
    yield list(HISTORY_HEADER)
    for entry in entries.iterator(chunk_size=1000):
        about = (
            csv_files.utc(entry.at),
            history.actor_words(entry),
            entry.ip_address,
            entry.action,
            entry.object_type,
            entry.shop.site_id if entry.shop else "",
            wording.entry_sentence(entry),
        )
        for change in history.changes_in_words(entry, reader) or [("", "", "")]:
            yield [csv_files.neutral(cell) for cell in (*about, *change)]
