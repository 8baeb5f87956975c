"""Calls made on request: one, or all that a filter of the journal finds, with their progress."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from backoffice import paging
from companies import access, permissions
from companies.access import CompanyRequest, company_page
from companies.audit import Actor

from . import call_services, selectors, services
from .catalogue import Channel
from .filters import JournalFilter
from .journal import delivery_or_404, searched
from .models import Delivery

# Calls of one replay; more are replayed in several goes, so that one click cannot flood a shop.
MAX_REPLAY = 2000


@company_page(permissions.RUN_NOTIFICATION_URL)
@require_http_methods(["GET", "HEAD", "POST"])
def call_replay(request: CompanyRequest, key: UUID) -> HttpResponse:
    """« Exécuter l'URL de notification »: which URL, then the page of the new call, which follows it live."""
    found = _call_or_404(request, key)
    if request.method == "POST":
        try:
            made = call_services.call_replay(
                delivery=found, actor=Actor.of(request), url=request.POST.get("url", "original")
            )
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect("delivery", key=found.pk)
        return redirect("delivery", key=made.pk)
    return render(request, "notifications/call_replay.html", {"delivery": found, "choices": _choices(found)})


def _call_or_404(request: CompanyRequest, key: UUID) -> Delivery:
    found = delivery_or_404(request, key, permissions.RUN_NOTIFICATION_URL)
    if found.channel != Channel.IPN:
        raise Http404
    return found


def _choices(found: Delivery) -> list[dict[str, str]]:
    """The URLs that a call can go to, with why one cannot; one entry where both are the same."""
    choices = []
    labels = {"original": _("L'URL d'origine"), "current": _("L'URL actuelle de la règle")}
    for name, label in labels.items():
        try:
            choices.append(
                {"name": name, "label": label, "url": call_services.replay_target(found, name).url, "why_not": ""}
            )
        except ValidationError as error:
            choices.append({"name": name, "label": label, "url": "", "why_not": " ".join(error.messages)})
    if len({choice["url"] for choice in choices}) == 1 and choices[0]["url"]:
        return [{**choices[0], "label": _("L'URL de la règle")}]
    return choices


@company_page(permissions.RUN_NOTIFICATION_URL)
@require_http_methods(["GET", "HEAD", "POST"])
def calls_replay(request: CompanyRequest) -> HttpResponse:
    """Replay every call that the filters of the journal find: asks first, then shows the progress."""
    asked = JournalFilter(request.GET)
    found = _replayable(request, asked)
    count = found.count()
    back = f"/notifications/journal/?{request.GET.urlencode()}"
    if request.method == "POST":
        if count > MAX_REPLAY or not count:
            messages.error(request, _("Aucun appel à rejouer, ou trop d'appels : affinez les filtres."))
            return redirect(back)
        run, queued, left_out = call_services.calls_replay(
            deliveries=found.order_by("created_at"),
            actor=Actor.of(request),
            url=request.POST.get("url", "original"),
        )
        if left_out:
            messages.warning(
                request,
                ngettext(
                    "%(n)d appel n'a pas pu être rejoué : sa règle n'a plus d'URL.",
                    "%(n)d appels n'ont pas pu être rejoués : leur règle n'a plus d'URL.",
                    left_out,
                )
                % {"n": left_out},
            )
        if not queued:
            return redirect(back)
        return redirect("replay_run", run=run)
    context = {
        "count": count,
        "too_many": count > MAX_REPLAY,
        "max": MAX_REPLAY,
        "sample": found.order_by("-created_at")[:10],
        "back": back,
    }
    return render(request, "notifications/calls_replay.html", context)


def _replayable(request: CompanyRequest, asked: JournalFilter) -> QuerySet[Delivery]:
    found = selectors.deliveries(request.company, request.membership)
    found = searched(selectors.deliveries_filtered(found, **asked.arguments()), asked.value("q").strip())
    # Replays themselves and tests are not replayed; nor what is under way.
    calls = found.filter(channel=Channel.IPN, is_manual=False, is_test=False, rule__isnull=False)
    return _may_run(request, calls).exclude(status__in=Delivery.OPEN)


def _may_run(request: CompanyRequest, found: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Those of shops whose notification URLs the user may call."""
    shops = access.shops_of(request.membership, permissions.RUN_NOTIFICATION_URL)
    return found.filter(shop__in=shops.values("pk"))


@company_page()
@require_safe
def replay_run(request: CompanyRequest, run: UUID) -> HttpResponse:
    """The progress of a replay; scripts ask for it again while calls are open."""
    found = selectors.deliveries(request.company, request.membership).filter(run=run)
    counts: dict[str, int] = dict.fromkeys(Delivery.Status.values, 0)
    counts |= dict(found.order_by().values_list("status").annotate(n=Count("pk")))
    total = sum(counts.values())
    if not total:
        raise Http404
    waiting = sum(counts[status] for status in Delivery.OPEN)
    context: dict[str, Any] = {
        "run": run,
        "total": total,
        "done": total - waiting,
        "percent": round(100 * (total - waiting) / total),
        "sent": counts[Delivery.Status.SENT],
        "failed": sum(counts[status] for status in Delivery.FAILED),
        "cancelled": counts[Delivery.Status.CANCELLED],
        "is_open": waiting > 0,
        "may_stop": any(counts[status] for status in Delivery.DUE) and _may_run(request, found).exists(),
    }
    if request.headers.get("HX-Request"):
        return render(request, "notifications/replay_progress.html", context)
    failed_first = found.order_by("status", "created_at")
    context["page"] = paging.paginate(request, failed_first)
    return render(request, "notifications/replay_run.html", context)


@company_page(permissions.RUN_NOTIFICATION_URL)
@require_POST
def replay_stop(request: CompanyRequest, run: UUID) -> HttpResponse:
    """Cancel what a replay has not called yet."""
    found = selectors.deliveries(request.company, request.membership).filter(run=run)
    if not found.exists():
        raise Http404
    mine = _may_run(request, found)
    if not mine.exists():
        raise PermissionDenied
    stopped = services.run_cancel(deliveries=mine, run=run, actor=Actor.of(request), company=request.company)
    messages.success(request, ngettext("%(n)d appel annulé.", "%(n)d appels annulés.", stopped) % {"n": stopped})
    return redirect("replay_run", run=run)
