"""« Comparer »: the delivery tables of two moments, of two shops, or of the two modes, and what differs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from backoffice.base import csv_files
from backoffice.text import times
from companies.models import Membership
from companies.rights.access import CompanyRequest, company_page
from notifications.core.catalogue import MODES
from notifications.core.facts import CompanyFacts
from notifications.core.resolver import Decision
from notifications.tables import compute, screens
from notifications.tables.difference import Difference, csv_rows, difference, in_mode, line_key_in_shop, of_shop
from notifications.timeline import reading
from notifications.timeline.moments import MomentInvalid, local_text, read_local_moment

# Rows of each kind on the page; the file has all.
NAMED = 50
WAYS = {
    "dates": gettext_lazy("Deux dates"),
    "shops": gettext_lazy("Deux boutiques"),
    "modes": gettext_lazy("TEST et PRODUCTION"),
}


@company_page()
@require_safe
def compare(request: CompanyRequest) -> HttpResponseBase:
    """The form, and once both sides are chosen the lines that differ."""
    way = request.GET.get("by", "")
    way = way if way in WAYS else "dates"
    asked = {name: request.GET.get(name, "").strip() for name in ("from", "to", "shop", "other")}
    now = reading.visible_facts_of(request.company, request.membership, None)
    context: dict[str, Any] = {"way": way, "ways": WAYS, "asked": asked, "facts": now}
    try:
        sides = _COMPARE[way](request, now, asked)
    except MomentInvalid as error:
        return render(request, "notifications/tables/compare.html", context | {"error": str(error)})
    if sides is None:
        return render(request, "notifications/tables/compare.html", context)
    differing, names, facts = sides
    if request.GET.get("format") == "csv":
        return csv_files.csv_response(
            csv_rows(differing), f"comparaison-{request.company.reference}", plain=csv_files.is_plain(request)
        )
    context |= {"differing": differing, "names": names, "headline": _headline(differing)}
    context |= _sections(differing, facts, request.membership)
    return render(request, "notifications/tables/compare.html", context)


# --- The two sides --------------------------------------------------------------------------------

# What differs, the names of both sides, the facts of both.
Sides = tuple[Difference, tuple[str, str], tuple[CompanyFacts, CompanyFacts]]


def _dates(request: CompanyRequest, now: CompanyFacts, asked: dict[str, str]) -> Sides | None:
    if not asked["from"]:
        return None
    moments = [read_local_moment(asked[name]) if asked[name] else None for name in ("from", "to")]
    # What the fields show again.
    asked |= {name: local_text(moment) for name, moment in zip(("from", "to"), moments, strict=True)}
    if moments[1] is not None and moments[0] is not None and moments[1] < moments[0]:
        moments.reverse()
    before, after = (
        now if moment is None else reading.visible_facts_of(request.company, request.membership, moment)
        for moment in moments
    )
    differing = difference(
        compute.delivery_tables(before, why_not=False), compute.delivery_tables(after, why_not=False)
    )
    return differing, (_name(moments[0]), _name(moments[1])), (before, after)


def _name(moment: datetime | None) -> str:
    return times.exact(timezone.now() if moment is None else moment)


def _shops(request: CompanyRequest, now: CompanyFacts, asked: dict[str, str]) -> Sides | None:
    names = {shop.site_id: shop.name for shop in now.shops}
    chosen = (asked["shop"], asked["other"])
    if any(site_id and site_id not in names for site_id in chosen):
        raise Http404
    if not all(chosen) or chosen[0] == chosen[1]:
        return None
    tables = compute.delivery_tables(now, why_not=False)
    differing = difference(of_shop(tables, chosen[0]), of_shop(tables, chosen[1]), line_key_in_shop)
    return differing, (names[chosen[0]], names[chosen[1]]), (now, now)


def _modes(request: CompanyRequest, now: CompanyFacts, asked: dict[str, str]) -> Sides:
    test, production = (compute.delivery_tables(in_mode(now, mode), why_not=False) for mode in MODES)
    return difference(test, production), (MODES[0], MODES[1]), (now, now)


_COMPARE = {"dates": _dates, "shops": _shops, "modes": _modes}


# --- In words -------------------------------------------------------------------------------------


def _headline(differing: Difference) -> str:
    if not differing:
        return _("Aucune différence : les mêmes adresses reçoivent les mêmes notifications, pour les mêmes raisons.")
    counted = (
        (len(differing.lost), ngettext("%(n)d ligne perdue", "%(n)d lignes perdues", len(differing.lost))),
        (len(differing.gained), ngettext("%(n)d ligne gagnée", "%(n)d lignes gagnées", len(differing.gained))),
        (len(differing.changed), ngettext("%(n)d ligne changée", "%(n)d lignes changées", len(differing.changed))),
        (
            len(differing.gaps_opened),
            ngettext(
                "%(n)d notification sans destinataire de plus",
                "%(n)d notifications sans destinataire de plus",
                len(differing.gaps_opened),
            ),
        ),
        (
            len(differing.gaps_closed),
            ngettext(
                "%(n)d notification sans destinataire de moins",
                "%(n)d notifications sans destinataire de moins",
                len(differing.gaps_closed),
            ),
        ),
    )
    parts = [words % {"n": number} for number, words in counted if number]
    return ", ".join(parts) + "."


def _sections(
    differing: Difference, facts: tuple[CompanyFacts, CompanyFacts], membership: Membership
) -> dict[str, Any]:
    before, after = facts
    changed = differing.changed[:NAMED]
    return {
        "lost": _rows(differing.lost, before, membership),
        "gained": _rows(differing.gained, after, membership),
        "changed": list(
            zip(
                screens.rows_of([[pair[0]] for pair in changed], before, membership),
                screens.rows_of([[pair[1]] for pair in changed], after, membership),
                strict=True,
            )
        ),
        "changed_more": len(differing.changed) - len(changed),
        "gaps_opened": screens.rows(differing.gaps_opened, after, membership, limit=NAMED),
        "gaps_closed": screens.rows(differing.gaps_closed, before, membership, limit=NAMED),
    }


def _rows(lines: Sequence[Decision], facts: CompanyFacts, membership: Membership) -> dict[str, Any]:
    groups = screens.groups(lines, limit=NAMED)
    return {
        "count": len(lines),
        "rows": screens.rows_of(groups[:NAMED], facts, membership),
        "more": max(0, len(groups) - NAMED),
    }
