"""The home page: state in one sentence, sendings of a month, what has to be repaired, recent changes.

It costs the same number of statements whatever the size of the company, and says only what the user may see. What is
rare is asked for in one statement, and read only where it is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Count, Exists, IntegerField, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, ngettext_lazy

from backoffice.base import endless
from backoffice.site import repairs, tasks
from backoffice.site.repairs import FailingUrl, Findings, Repair, open_gaps
from backoffice.text import times
from companies.history import entries as history
from companies.models import AuditEntry, Company, Membership, Status
from companies.rights import access, permissions
from companies.rights import readers as account_readers
from notifications import readers
from notifications.answers.remarks import remark_rows
from notifications.answers.selectors import acknowledged, acknowledgements, remarks_for
from notifications.checks.findings import errors_of
from notifications.consistency import reports as consistency_reports
from notifications.core import coverage
from notifications.core.coverage import Coverage
from notifications.core.facts import CompanyFacts, ShopFacts
from notifications.journal.selectors import failing_addresses, without_uncalled
from notifications.models import Delivery, Incident
from notifications.outbox import holds, relays
from notifications.settings_facts import visible_facts
from notifications.tables.pictures import Month, midnight, month_of, month_picture
from shops.models import Shop, ShopKey
from shops.orders import selectors as order_selectors

# As many as a card of the page shows; the links lead to all of them.
SHOWN = 4
# What needs a hand beyond these folds out.
SHOWN_REPAIRS = 6
# Changes are looked for among so many of the newest entries.
READ_CHANGES, SHOWN_CHANGES = 60, 8


@dataclass(frozen=True)
class Stopped:
    """What of the company sends nothing because of its state.

    Attributes:
        verdict: the answer in a few words; empty where nothing is suspended and something is active.
        sentences: who stopped, each named.
        active_shops: how many shops send, of those the user may see.
    """

    verdict: str
    sentences: Sequence[str]
    active_shops: int


def stopped(company: Company, shops: Sequence[ShopFacts]) -> Stopped:
    """The suspended and closed among a company and the shops of it that the user sees."""
    active = sum(shop.status == Status.ACTIVE for shop in shops)
    named = {"name": company.name}
    if company.status == Status.SUSPENDED:
        told = _("La société %(name)s est suspendue : rien ne part, sauf les messages de compte et de sécurité.")
        return Stopped(_("Rien ne part : votre société est suspendue"), [told % named], 0)
    if company.status == Status.CLOSED:
        told = _("La société %(name)s est fermée : rien ne part, sauf les messages de compte et de sécurité.")
        return Stopped(_("Rien ne part : votre société est fermée"), [told % named], 0)
    suspended = [shop for shop in shops if shop.status == Status.SUSPENDED]
    closed = [shop for shop in shops if shop.status == Status.CLOSED]
    sentences = []
    if suspended:
        text = ngettext(
            "Boutique suspendue, dont rien ne part : %(names)s.", "Boutiques suspendues, dont rien ne part : %(names)s.",
            len(suspended),
        )  # fmt: skip
        sentences.append(text % {"names": _names(suspended)})
    if closed:
        text = ngettext(
            "Boutique fermée, dont rien ne part : %(names)s.", "Boutiques fermées, dont rien ne part : %(names)s.",
            len(closed),
        )  # fmt: skip
        sentences.append(text % {"names": _names(closed)})
    verdict = ""
    if suspended:
        text = ngettext(
            "Rien ne part d'une boutique suspendue", "Rien ne part de %(n)d boutiques suspendues", len(suspended)
        )
        verdict = text % {"n": len(suspended)}
    elif closed and not active:
        verdict = _("Rien ne part : aucune boutique n'est active")
    return Stopped(verdict, sentences, active)


def _names(shops: Sequence[ShopFacts]) -> str:
    names = ", ".join(f"{shop.name} ({shop.site_id})" for shop in shops[:SHOWN])
    rest = len(shops) - SHOWN
    return names if rest <= 0 else f"{names} + {rest}"


def failing_urls(membership: Membership) -> list[FailingUrl]:
    """The enabled rules whose calls fail, longest first."""
    failing = []
    for row in readers.failing_calls_for(membership)[:SHOWN]:
        assert row.failing_since
        failing.append(
            FailingUrl(
                label=row.rule.display_label,
                site_id=row.rule.shop.site_id,
                shop=row.rule.shop.name,
                mode=row.mode,
                since=row.failing_since,
                url=reverse("rule", args=[row.rule.shop.site_id, row.rule.reference]),
            )
        )
    return failing


def settings_errors(membership: Membership) -> Findings | None:
    """What the newest consistency report holds against the settings; None without errors."""
    report = consistency_reports.latest(membership.company)
    if report is None:
        return None
    seen = consistency_reports.visible(consistency_reports.findings_of(report), membership)
    errors = len(errors_of(seen))
    return Findings(errors, report.last_checked_at) if errors else None


def _incidents() -> QuerySet[Incident]:
    return Incident.objects.filter(resolved_at__isnull=True).order_by("-started_at", "-pk")


def running_incidents() -> Sequence[Incident]:
    """The incidents and maintenance of the platform that are not over, newest first."""
    return list(_incidents()[:SHOWN])


def shops_to_open(membership: Membership) -> list[Shop]:
    """Active shops without a production key that the reader may set up."""
    return list(_to_open(membership)[:SHOWN])


def _to_open(membership: Membership) -> QuerySet[Shop]:
    shops = access.shops_of(membership, permissions.EDIT_SETTINGS).filter(status=Status.ACTIVE)
    return shops.exclude(keys__kind=ShopKey.Kind.PRODUCTION)


# --- What is rare ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Signs:
    """What of the rare things is there at all; one statement."""

    unsent: int
    is_accepted: bool
    is_remarked: bool
    is_failing: bool
    is_to_open: bool
    is_paused: bool
    is_refused: bool
    has_incident: bool


def signs(membership: Membership) -> Signs:
    """Ask for all that most pages do not have to show."""
    one = Company.objects.filter(pk=membership.company_id)
    told = one.values_list(
        _number(order_selectors.unsent(membership)),
        Exists(acknowledged(membership.company)),
        Exists(remarks_for(membership)),
        Exists(readers.failing_calls_for(membership)),
        Exists(_to_open(membership)),
        Exists(holds.of_company(membership.company)),
        Exists(relays.closed_of(membership.company)),
        Exists(_incidents()),
    )
    return Signs(*told.get())


def _number(rows: QuerySet[Any]) -> Coalesce:
    """How many rows a query has, as part of another one."""
    counted = rows.order_by().values(of_all=Value(1)).annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


# --- The sentence ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class WeekFigure:
    """One figure of the sentence with the address of exactly its rows."""

    count: int
    words: str
    url: str
    kind: str = ""


def _figures(month: Month, since: date) -> list[WeekFigure]:
    """What the week sent, and what of it failed; no higher than the journal counts."""
    asked = (
        ("sent", "", Delivery.Status.SENT, ngettext_lazy("%(n)s envoi", "%(n)s envois", "count")),
        ("retry", "warn", Delivery.Status.RETRY, ngettext_lazy("%(n)s à réessayer", "%(n)s à réessayer", "count")),
        ("dead", "fail", Delivery.Status.DEAD, ngettext_lazy("%(n)s abandonné", "%(n)s abandonnés", "count")),
        ("unsent", "fail", Delivery.Status.NOT_SENT, ngettext_lazy("%(n)s non envoyé", "%(n)s non envoyés", "count")),
    )
    figures = []
    for group, kind, status, words in asked:
        count = month.number((status,), since=since)
        if count or group == "sent":
            shown = intcomma(min(count, endless.CEILING))
            n = _("plus de %(n)s") % {"n": shown} if count > endless.CEILING else shown
            url = f"{reverse('journal')}?{urlencode({'status': group, 'since': since.isoformat()})}"
            told = str(words % {"count": count, "n": n})
            figures.append(WeekFigure(min(count, endless.CEILING), told, url, kind))
    return figures


def _verdict(halted: Stopped, gaps: int, *, failed: bool, is_accepted: bool) -> tuple[str, str]:
    """(kind, words): the most serious statement about the company as a whole."""
    if halted.verdict:
        return "warn", halted.verdict
    if gaps:
        told = ngettext("%(n)d notification n'atteint personne", "%(n)d notifications n'atteignent personne", gaps)
        return "fail", told % {"n": gaps}
    if failed:
        return "warn", _("Tout a un destinataire, mais tout n'arrive pas")
    return "ok", _("Tout arrive, hors manques acceptés") if is_accepted else _("Tout arrive")


# --- Changes --------------------------------------------------------------------------------------


def changes_by_day(membership: Membership) -> list[tuple[str, list[AuditEntry]]]:
    """The newest changes of settings that people made, by day: no log-in, no switch of language."""
    people = history.changes_of_people(account_readers.history_for(membership))[:READ_CHANGES]
    shown = [entry for entry in people if set(entry.changes) != {"language"}][:SHOWN_CHANGES]
    return [
        (_day_words(day), list(entries))
        for day, entries in groupby(shown, key=lambda entry: times.local(entry.at).date())
    ]


def _day_words(day: date) -> str:
    back = (timezone.localdate() - day).days
    return {0: _("Aujourd'hui"), 1: _("Hier")}.get(back, times.day(day))


# --- The page -------------------------------------------------------------------------------------


def home_summary(company: Company, membership: Membership) -> dict[str, Any]:
    """All that the page shows."""
    facts = visible_facts(company, membership, accounts=False)
    told = signs(membership)
    covered = coverage.coverage(facts, acknowledgements(company) if told.is_accepted else {})
    # A rule without URL is told on its own page; each payment of it is no failure of the week.
    deliveries = without_uncalled(readers.deliveries_for(membership))
    # What else a reader of all sees is the same for all of them.
    reader = ("home", company.pk) if account_readers.sees_everything(membership) else None
    month = month_of(deliveries, reader)
    since = timezone.localdate() - timedelta(days=7)
    to_mend = _repairs(facts, covered, membership, told, deliveries.filter(created_at__gte=midnight(since)), since)
    halted = stopped(company, facts.shops)
    accepted = sum(1 for cell in covered.cells if cell.is_gap and cell.acknowledged)
    failed = bool(month.number(Delivery.FAILED, since=since)) or told.is_failing or bool(told.unsent)
    gaps = len(open_gaps(covered))
    kind, words = _verdict(halted, gaps, failed=failed, is_accepted=bool(accepted))
    return {
        "facts": facts,
        "kind": kind,
        "verdict": words,
        "gap_count": gaps,
        "figures": _figures(month, since),
        "score": covered.score,
        "stopped": halted,
        "accepted_count": accepted,
        "month": month_picture(month) if month else None,
        "repairs": to_mend[:SHOWN_REPAIRS],
        "more_repairs": to_mend[SHOWN_REPAIRS:],
        "changes": changes_by_day(membership),
        "incidents": running_incidents() if told.has_incident else [],
        "pauses": list(holds.of_company(company)) if told.is_paused else [],
        "may_mend_relay": access.can(membership, permissions.MANAGE_COMPANY),
        "own_relay": relays.of_company(company) if told.is_refused else None,
        # A company that is suspended or closed opens nothing.
        "shops_to_open": shops_to_open(membership) if told.is_to_open and company.status == Status.ACTIVE else [],
        "shops_count": len(facts.shops),
        "questions": tasks.questions(membership),
        "tasks": tasks.tasks(membership),
    }


def _repairs(
    facts: CompanyFacts, covered: Coverage, membership: Membership, told: Signs, week: QuerySet[Delivery], since: date
) -> list[Repair]:
    """What has to be repaired, the most harmful first: present losses before possible ones."""
    errors = settings_errors(membership)
    suppressed = repairs.of_suppressed(facts, membership)
    told_already = {repair.address for repair in suppressed}
    addresses = [
        repair
        for repair in repairs.of_addresses(failing_addresses(week), facts, membership, since)
        if repair.address not in told_already
    ]
    return [
        *repairs.of_gaps(covered, facts, membership, critical=True),
        *repairs.of_urls(failing_urls(membership) if told.is_failing else [], membership),
        *suppressed,
        *(repair for repair in addresses if repair.kind == "fail"),
        *repairs.of_orders(told.unsent, membership),
        *repairs.of_gaps(covered, facts, membership, critical=False),
        *(repair for repair in addresses if repair.kind != "fail"),
        *repairs.of_errors(errors),
        *repairs.of_remarks(remark_rows(facts, membership) if told.is_remarked else [], membership),
        *repairs.of_silent_shops(facts, membership),
    ]
