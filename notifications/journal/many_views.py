"""Actions on ticked rows of the journal: resend, cancel, replay, export. Export runs at once, the others ask first."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from backoffice.base import csv_files
from companies.audit import Actor
from companies.rights import access
from companies.rights.access import CompanyRequest, company_page
from notifications.core.catalogue import Channel
from notifications.journal import many, saved
from notifications.journal import selectors as journal_selectors
from notifications.journal.call_views import never_replayed, replay_choices, replayable
from notifications.journal.many import CANCEL, EXPORT, MAX_MANY, PERMISSIONS, REPLAY, Chosen
from notifications.models import Delivery
from notifications.outbox import call_results
from notifications.outbox import services as delivery_services


@company_page()
@require_POST
def journal_many(request: CompanyRequest) -> HttpResponseBase:
    """Show what the button pressed would do with each of the chosen; the second press does it."""
    action = request.POST.get("do", "")
    if action not in PERMISSIONS:
        raise Http404
    if not access.can_somewhere(request.membership, PERMISSIONS[action]):
        raise PermissionDenied
    chosen = Chosen.posted(request.POST)
    back = _back(chosen)
    if not chosen.keys and not chosen.every:
        messages.info(request, _("Cochez d'abord des lignes, ou la case « tout ce qui est filtré »."))
        return redirect(back)
    rows = chosen.rows(request.membership)
    if action == EXPORT:
        return csv_files.csv_response(
            journal_selectors.journal_rows(rows.order_by("-created_at", "-pk")),
            f"journal-{request.company.reference}",
            plain=csv_files.is_plain(request),
        )
    count = rows.order_by()[: MAX_MANY + 1].count()
    if count <= MAX_MANY and "confirm" in request.POST:
        return _done(request, action, rows, back)
    context = {
        "action": action,
        "count": min(count, MAX_MANY),
        "too_many": count > MAX_MANY,
        "max": MAX_MANY,
        "hidden": chosen.hidden_fields,
        "back": back,
    }
    if count <= MAX_MANY:
        context |= _replay_context(request, rows) if action == REPLAY else _plan_context(request, action, rows)
    return render(request, "notifications/journal/many.html", context)


def _back(chosen: Chosen) -> str:
    return reverse("journal") + (f"?{chosen.query}" if chosen.query else "")


def _plan_context(request: CompanyRequest, action: str, rows: QuerySet[Delivery]) -> dict[str, Any]:
    plan = many.plan(action, rows, request.membership)
    return {"doable": len(plan.doable), "sample": plan.sample, "more": plan.more, "left_out": plan.left_out}


def _replay_context(request: CompanyRequest, rows: QuerySet[Delivery]) -> dict[str, Any]:
    shown = rows.filter(channel=Channel.IPN)
    calls = replayable(request, shown).select_related("company", "shop", "event", "rule__shop")
    choices = replay_choices(list(calls.order_by("-created_at")))
    mails = rows.exclude(channel=Channel.IPN).count()
    return {
        "choices": choices,
        "doable": max(choice["count"] for choice in choices),
        "left_out": [*never_replayed(request, shown), *many.sentences({"mails": mails})],
    }


def _done(request: CompanyRequest, action: str, rows: QuerySet[Delivery], back: str) -> HttpResponse:
    if action == REPLAY:
        return _replayed(request, rows, back)
    plan = many.plan(action, rows, request.membership)
    actor, company = Actor.of(request), request.company
    if action == CANCEL:
        try:
            stopped = delivery_services.deliveries_cancel(deliveries=plan.doable, actor=actor, company=company)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect(back)
        told = ngettext("%(n)d envoi est annulé.", "%(n)d envois sont annulés.", stopped)
        (messages.success if stopped else messages.error)(request, told % {"n": stopped})
        return redirect(back)
    run, queued = delivery_services.deliveries_resend(deliveries=plan.doable, actor=actor, company=company)
    if not queued:
        messages.error(request, _("Aucun de ces envois ne peut être renvoyé."))
        return redirect(back)
    told = ngettext("%(n)d message part de nouveau.", "%(n)d messages partent de nouveau.", queued)
    messages.success(request, told % {"n": queued})
    return redirect("replay_run", run=run)


def _replayed(request: CompanyRequest, rows: QuerySet[Delivery], back: str) -> HttpResponse:
    calls = replayable(request, rows.filter(channel=Channel.IPN))
    run, queued, left_out = call_results.calls_replay(
        deliveries=calls.select_related("company", "shop", "event", "rule__shop").order_by("created_at"),
        actor=Actor.of(request),
        url=request.POST.get("url", "original"),
    )
    if left_out:
        told = ngettext("%(n)d appel n'a pas pu être rejoué.", "%(n)d appels n'ont pas pu être rejoués.", left_out)
        messages.warning(request, told % {"n": left_out})
    if not queued:
        messages.error(request, _("Aucun appel à rejouer."))
        return redirect(back)
    return redirect("replay_run", run=run)


# --- Filters that are kept ------------------------------------------------------------------------


@company_page()
@require_POST
def filter_save(request: CompanyRequest) -> HttpResponse:
    """« Enregistrer ce filtre »."""
    chosen = Chosen.posted(request.POST)
    try:
        kept = saved.filter_save(membership=request.membership, name=request.POST.get("name", ""), query=chosen.query)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("Le filtre « %(name)s » est enregistré.") % {"name": kept.name})
    return redirect(_back(chosen))


@company_page()
@require_POST
def filter_delete(request: CompanyRequest, key: int) -> HttpResponse:
    """Delete one's own saved filter; 404 for that of another user."""
    name = saved.filter_delete(membership=request.membership, key=key)
    if name is None:
        raise Http404
    messages.success(request, _("Le filtre « %(name)s » est supprimé.") % {"name": name})
    return redirect(_back(Chosen.posted(request.POST)))
