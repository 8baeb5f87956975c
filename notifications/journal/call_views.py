"""Pages of calls made on request: one, or all that a filter of the journal finds, and the progress of a run."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from backoffice.base import paging
from backoffice.base.methods import get_and_post
from companies.audit import Actor
from companies.rights import access, permissions
from companies.rights.access import CompanyRequest, company_page
from notifications import readers
from notifications.core.catalogue import Channel
from notifications.journal import selectors as journal_selectors
from notifications.journal.filters import JournalFilter
from notifications.journal.lookup import delivery_or_404, searched
from notifications.models import Delivery
from notifications.outbox import call_results
from notifications.outbox import services as delivery_services

# Calls of one replay; more are replayed in several goes, so that one click cannot flood a shop.
MAX_REPLAY = 2000
# Calls of a replay named before it starts.
SAMPLE = 10
# The figures of a replay: each opens its calls.
_RUN_GROUPS: dict[str, tuple[str, ...]] = {
    "done": tuple(status for status in Delivery.Status.values if status not in Delivery.OPEN),
    "sent": (Delivery.Status.SENT,),
    "failed": tuple(Delivery.FAILED),
    "cancelled": (Delivery.Status.CANCELLED,),
}


@company_page(permissions.RUN_NOTIFICATION_URL)
@get_and_post
def call_replay(request: CompanyRequest, key: UUID) -> HttpResponse:
    """« Exécuter l'URL de notification »: which URL, then the page of the new call, which follows it live."""
    call = _call_or_404(request, key)
    if request.method == "POST":
        try:
            made = call_results.call_replay(
                delivery=call, actor=Actor.of(request), url=request.POST.get("url", "original")
            )
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect("delivery", key=call.pk)
        return redirect("delivery", key=made.pk)
    return render(request, "notifications/journal/call_replay.html", {"delivery": call, "choices": _choices(call)})


def _call_or_404(request: CompanyRequest, key: UUID) -> Delivery:
    call = delivery_or_404(request, key, permissions.RUN_NOTIFICATION_URL)
    if call.channel != Channel.IPN or call.rule_id is None:
        raise Http404
    return call


def _choices(call: Delivery) -> list[dict[str, str]]:
    """The URLs that a call can go to, with why one cannot; one entry where both are the same."""
    choices = []
    labels = {"original": _("L'URL d'origine"), "current": _("L'URL actuelle de la règle")}
    for name, label in labels.items():
        try:
            choices.append(
                {"name": name, "label": label, "url": call_results.replay_target(call, name).url, "why_not": ""}
            )
        except ValidationError as error:
            choices.append({"name": name, "label": label, "url": "", "why_not": " ".join(error.messages)})
    if len({choice["url"] for choice in choices}) == 1 and choices[0]["url"]:
        return [{**choices[0], "label": _("L'URL de la règle")}]
    return choices


@company_page(permissions.RUN_NOTIFICATION_URL)
@get_and_post
def calls_replay(request: CompanyRequest) -> HttpResponse:
    """Replay every call that the filters of the journal find: asks first, then shows the progress."""
    asked = JournalFilter(request.GET)
    shown = _shown(asked, request)
    calls = replayable(request, shown)
    count = calls.count()
    back = reverse("journal", query=request.GET)
    if request.method == "POST":
        if count > MAX_REPLAY or not count:
            messages.error(request, _("Aucun appel à rejouer, ou trop d'appels : affinez les filtres."))
            return redirect(back)
        run, queued, left_out = call_results.calls_replay(
            deliveries=calls.order_by("created_at"),
            actor=Actor.of(request),
            url=request.POST.get("url", "original"),
        )
        if left_out:
            messages.warning(
                request,
                ngettext("%(n)d appel n'a pas pu être rejoué.", "%(n)d appels n'ont pas pu être rejoués.", left_out)
                % {"n": left_out},
            )
        if not queued:
            return redirect(back)
        return redirect("replay_run", run=run)
    too_many = count > MAX_REPLAY
    choices = (
        []
        if too_many
        else replay_choices(
            list(calls.select_related("company", "shop", "event", "rule__shop").order_by("-created_at"))
        )
    )
    context = {
        "count": count,
        "too_many": too_many,
        "max": MAX_REPLAY,
        "choices": choices,
        "possible": any(choice["count"] for choice in choices),
        "never": never_replayed(request, shown),
        "back": back,
    }
    return render(request, "notifications/journal/calls_replay.html", context)


def _shown(asked: JournalFilter, request: CompanyRequest) -> QuerySet[Delivery]:
    """The calls that the journal shows under these filters."""
    deliveries = journal_selectors.deliveries_filtered(readers.deliveries_for(request.membership), asked.search())
    return searched(deliveries, asked.value("q").strip()).filter(channel=Channel.IPN)


def replayable(request: CompanyRequest, shown: QuerySet[Delivery]) -> QuerySet[Delivery]:
    # Replays themselves and tests are not replayed; nor what is under way.
    calls = shown.filter(is_manual=False, is_test=False, rule__isnull=False)
    return _may_run(request, calls).exclude(status__in=Delivery.OPEN)


def never_replayed(request: CompanyRequest, shown: QuerySet[Delivery]) -> list[str]:
    """Which of the calls shown no replay takes, with their number and the reason."""
    tests, manual = shown.filter(is_test=True), shown.filter(is_test=False, is_manual=True)
    automatic = shown.filter(is_test=False, is_manual=False)
    running = automatic.filter(status__in=Delivery.OPEN)
    done = automatic.exclude(status__in=Delivery.OPEN)
    foreign = done.count() - _may_run(request, done).filter(rule__isnull=False).count()
    numbers = {
        "tests": tests.count(),
        "manual": manual.count(),
        "running": running.count(),
        "foreign": foreign,
    }
    words = {
        "tests": ngettext("%(n)d essai d'une règle", "%(n)d essais de règles", numbers["tests"]),
        "manual": ngettext(
            "%(n)d appel déjà fait à la demande", "%(n)d appels déjà faits à la demande", numbers["manual"]
        ),
        "running": ngettext("%(n)d appel encore en cours", "%(n)d appels encore en cours", numbers["running"]),
        "foreign": ngettext(
            "%(n)d appel d'une boutique dont vous n'exécutez pas l'URL",
            "%(n)d appels de boutiques dont vous n'exécutez pas l'URL",
            foreign,
        ),
    }
    return [words[name] % {"n": n} for name, n in numbers.items() if n]


def replay_choices(deliveries: list[Delivery]) -> list[dict[str, Any]]:
    """The URLs that the calls can go to: how many each takes, which, and why not the others."""
    labels = {"original": _("L'URL d'origine de chaque appel"), "current": _("L'URL actuelle de chaque règle")}
    choices: list[dict[str, Any]] = []
    for name, label in labels.items():
        plan = call_results.replay_plan(deliveries, name)
        sample = [{"event": call.event.event_id, "url": to.url, "mode": call.mode} for call, to in plan.calls[:SAMPLE]]
        choices.append(
            {
                "name": name,
                "label": label,
                "count": len(plan.calls),
                "sample": sample,
                "more": max(0, len(plan.calls) - SAMPLE),
                "left_out": sorted(plan.left_out.items()),
            }
        )
    usable = [choice["name"] for choice in choices if choice["count"]]
    return [{**choice, "checked": choice["name"] == next(iter(usable), "")} for choice in choices]


def _may_run(request: CompanyRequest, calls: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Those of shops whose notification URLs the user may call."""
    shops = access.shops_of(request.membership, permissions.RUN_NOTIFICATION_URL)
    return calls.filter(shop__in=shops.values("pk"))


@company_page()
@require_safe
def replay_run(request: CompanyRequest, run: UUID) -> HttpResponse:
    """The progress of a replay, or of messages sent again; scripts ask for it again while rows are open."""
    rows = readers.deliveries_for(request.membership).filter(run=run)
    counts: dict[str, int] = dict.fromkeys(Delivery.Status.values, 0)
    counts |= dict(rows.order_by().values_list("status").annotate(n=Count("pk")))
    total = sum(counts.values())
    if not total:
        raise Http404
    of_group = {name: sum(counts[status] for status in statuses) for name, statuses in _RUN_GROUPS.items()}
    context: dict[str, Any] = {
        "run": run,
        "total": total,
        "percent": round(100 * of_group["done"] / total),
        "is_open": of_group["done"] < total,
        "may_stop": any(counts[status] for status in Delivery.DUE) and _may_stop(request, rows).exists(),
        "of_mail": not rows.filter(channel=Channel.IPN).exists(),
        **of_group,
    }
    if request.headers.get("HX-Request"):
        return render(request, "notifications/journal/replay_progress.html", context)
    context["group"] = group = request.GET.get("status", "")
    if group in _RUN_GROUPS:
        rows = rows.filter(status__in=_RUN_GROUPS[group])
    failed_first = rows.order_by("status", "created_at")
    context["page"] = paging.paginate(request, failed_first, default=25)
    return render(request, "notifications/journal/replay_run.html", context)


def _may_stop(request: CompanyRequest, rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Those of a run that the user may stop: calls by the right to make them, messages by that to send them."""
    calls = Q(channel=Channel.IPN, shop__in=_shops(request, permissions.RUN_NOTIFICATION_URL))
    mails = Q(shop__in=_shops(request, permissions.RESEND))
    if access.can(request.membership, permissions.RESEND):
        mails |= Q(shop__isnull=True)
    return rows.filter(calls | (mails & ~Q(channel=Channel.IPN)))


def _shops(request: CompanyRequest, permission: str) -> QuerySet[Any, Any]:
    return access.shops_of(request.membership, permission).order_by().values("pk")


@company_page()
@require_POST
def replay_stop(request: CompanyRequest, run: UUID) -> HttpResponse:
    """Cancel what a run has not called or sent yet."""
    rows = readers.deliveries_for(request.membership).filter(run=run)
    if not rows.exists():
        raise Http404
    mine = _may_stop(request, rows)
    if not mine.exists():
        raise PermissionDenied
    calls = rows.filter(channel=Channel.IPN).exists()
    stopped = delivery_services.run_cancel(deliveries=mine, run=run, actor=Actor.of(request), company=request.company)
    if calls:
        told = ngettext("%(n)d appel annulé.", "%(n)d appels annulés.", stopped)
    else:
        told = ngettext("%(n)d message annulé.", "%(n)d messages annulés.", stopped)
    messages.success(request, told % {"n": stopped})
    return redirect("replay_run", run=run)
