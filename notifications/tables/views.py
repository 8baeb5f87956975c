"""The delivery tables on pages: by address and by notification."""

from dataclasses import replace
from typing import Any

from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from backoffice.base import csv_files, paging
from backoffice.text import addresses as address_rules
from backoffice.text import times
from companies.history import entries as history
from companies.rights import access, permissions
from companies.rights.access import CompanyRequest, company_page
from companies.rights.readers import manages_accounts
from notifications import readers, settings_facts
from notifications.core import resolver
from notifications.core.catalogue import TABLE_ROWS
from notifications.core.effects import gap_key
from notifications.core.facts import CompanyFacts
from notifications.core.health_wording import STATE_LABELS
from notifications.core.resolver import Decision
from notifications.models import Delivery
from notifications.tables import address_list, compute, screens
from notifications.tables.changing import may_replace
from notifications.tables.compute import AddressTable, DeliveryTables
from notifications.tables.pictures import month_of, month_picture
from notifications.tables.screens import TablesFilter, Wanted
from notifications.timeline import reading
from notifications.timeline.moments import MomentInvalid, local_text, read_local_moment

# Addresses a page of the list.
LISTED = 25

# Lines that the page of an address opens with, where it has many.
FIRST_LINES = 6

# Gaps named one by one; the rest is counted.
NAMED_GAPS = 25

# Notifications that a search opens at once.
OPENED = 4

# Rows of a notification shown beside others; the page of that notification has all.
NAMED_ROWS = 8


@company_page()
@require_safe
def addresses(request: CompanyRequest) -> HttpResponseBase:
    """« Adresses contactées »: the list of the addresses, or the page of one of them (`?address=`)."""
    wanted = TablesFilter(request.GET).wanted()
    in_file = request.GET.get("format") == "csv"
    typed_at = request.GET.get("at", "").strip()
    try:
        at = read_local_moment(typed_at) if typed_at else None
        facts = reading.visible_facts_of(request.company, request.membership, at, why_not=bool(wanted) or not in_file)
    except MomentInvalid as error:
        return render(request, "notifications/tables/addresses_unknown.html", {"error": error})
    chosen = request.GET.get("address", "").strip()
    if in_file:
        # A filter also keeps an address for what it does not receive.
        tables = screens.filtered(compute.delivery_tables(facts, why_not=bool(wanted)), wanted)
        rows = compute.table_rows(_only(tables, chosen))
        return csv_files.csv_response(rows, f"adresses-{request.company.reference}", plain=csv_files.is_plain(request))
    in_print = bool(request.GET.get("print"))
    is_whole = bool(wanted) or in_print
    tables = screens.filtered(compute.delivery_tables(facts), wanted) if is_whole else compute.outline(facts)
    gaps = resolver.gaps(facts)
    context: dict[str, Any] = {
        "wanted": wanted,
        "at": at,
        "at_local": local_text(at),
        "tables": tables,
        "facts": facts,
        "notifications": TABLE_ROWS,
        "roles": screens.ROLE_KINDS,
        "states": STATE_LABELS,
        "gaps": _gaps(gaps, facts, request),
        "gap_count": len(gaps),
        **screens.uncalled(facts, request.membership),
    }
    if in_print:
        printed = _only(tables, chosen).addresses
        context["sections"] = [_address_context(table, facts, request) for table in printed]
        # On paper "why not" is left out; on the screen a long page would not open with it.
        context["without_why_not"] = len(printed) > paging.DEFAULT_SIZE
        return render(request, "notifications/tables/addresses_print.html", context)
    if chosen:
        context |= _one(request, tables, chosen, wanted, is_whole=is_whole)
        return render(request, "notifications/tables/address.html", context)
    context |= _list(request, tables, is_whole=is_whole)
    return render(request, "notifications/tables/addresses.html", context)


def _list(request: CompanyRequest, tables: DeliveryTables, *, is_whole: bool) -> dict[str, Any]:
    """The addresses of one page of the list.

    Args:
        tables: with all their lines, or only an outline.
    """
    sort = request.GET.get("sort", "")
    if sort.removeprefix("-") == address_list.NEEDS_LINES and not is_whole:
        tables, is_whole = compute.delivery_tables(tables.company), True
    every = (table.normalised for table in tables.addresses)
    traffic = address_list.traffic_of(readers.deliveries_for(request.membership), every)
    rows = address_list.rows_of(tables, traffic, request.membership.user.email)
    page = paging.paginate(request, address_list.in_order(rows, sort), default=LISTED)
    return {
        "page": page,
        "rows": address_list.filled(page.object_list, tables.company, is_whole=is_whole),
        "failing_count": sum(row.traffic.is_failing for row in rows),
    }


def _one(
    request: CompanyRequest, tables: DeliveryTables, asked: str, wanted: Wanted, *, is_whole: bool
) -> dict[str, Any]:
    """The page of one address: its lines, its month, its state.

    Args:
        asked: the address, in any spelling.
    """
    key = address_rules.normalise(asked)
    table = next((one for one in tables.addresses if one.normalised == key), None)
    if table is None:
        return {"unknown_address": asked}
    if not is_whole:
        whole = compute.tables_of(tables.company, [table.email]).addresses
        table = next(one for one in whole if one.normalised == key)
    deliveries = readers.deliveries_for(request.membership).filter(normalised_address=key)
    month = month_of(deliveries)
    told = _address_context(table, tables.company, request, limit=0)
    context = {
        **told,
        "first_rows": told["rows"][:FIRST_LINES],
        "more_rows": told["rows"][FIRST_LINES:],
        "state": address_list.state_of(
            address_list.traffic_of(deliveries, [key]).get(key, address_list.NOTHING), table.health
        ),
        "told_by_health": table.health.state in address_list.HEALTH,
        "month": month_picture(month, title=_("Envois à cette adresse en 30 jours"), address=table.email),
        "month_sent": month.number((Delivery.Status.SENT,)),
        "month_failed": month.number(Delivery.FAILED),
        "since": month.days[0].isoformat(),
    }
    if wanted.notification and len(table.receives) > screens.FLAT_LIMIT:
        # One notification of one address for many shops: the list of shops takes the page.
        lines = paging.paginate(request, table.receives)
        rows = screens.rows(list(lines.object_list), tables.company, request.membership, limit=len(lines))
        context |= {"lines_page": lines, "rows": rows}
    return context


def _only(tables: DeliveryTables, address: str) -> DeliveryTables:
    """The tables of one address, when one is asked for."""
    if not address:
        return tables
    key = address_rules.normalise(address)
    kept = [table for table in tables.addresses if table.normalised == key]
    return replace(tables, addresses=kept)


def _address_context(
    table: AddressTable, facts: CompanyFacts, request: CompanyRequest, *, limit: int = screens.FLAT_LIMIT
) -> dict[str, Any]:
    """What is told of an address; more lines than the limit are folded where they differ only by shop."""
    kinds = screens.role_kinds(table)
    return {
        "chosen": table,
        "role_words": screens.role_words(table, facts),
        "places": screens.places(table),
        "is_technical": "technical_contact" in kinds,
        "rows": screens.rows(table.receives, facts, request.membership, limit=limit),
        "line_count": len(table.receives),
        "why_not": screens.rows(table.why_not, facts, request.membership, limit=0),
        "why_not_count": len(table.why_not),
        "may_replace": may_replace(table.roles, facts, request.membership),
        "may_verify": access.can(request.membership, permissions.MANAGE_COMPANY),
        "signs": readers.signs_for(request.membership, table.normalised),
    }


def _gaps(gaps: list[Decision], facts: CompanyFacts, request: CompanyRequest) -> list[screens.Row]:
    """The gaps as rows, each with who confirmed it while saving."""
    rows = screens.rows(gaps, facts, request.membership, limit=NAMED_GAPS)
    confirmed = history.gap_confirmations(request.company.pk) if rows else {}
    for row in rows:
        entry = confirmed.get(gap_key(row.decision))
        # What a rule keeps of who emptied it is in its reason already.
        if entry is not None and not row.decision.rule:
            told = {"who": history.actor_words(entry), "when": times.short_moment(entry.at)}
            row.remark = _("Confirmé par %(who)s le %(when)s.") % told
    return rows


def _capped(decisions: list[Decision], facts: CompanyFacts, request: CompanyRequest, *, limit: int) -> dict[str, Any]:
    """The first rows of a long table, those that stand for most shops first, and how many are left."""
    groups = screens.groups(decisions, limit=limit)
    if len(groups) > NAMED_ROWS:
        groups.sort(key=len, reverse=True)
    rows = screens.rows_of(groups[:NAMED_ROWS], facts, request.membership)
    return {"rows": rows, "unshown": max(0, len(groups) - NAMED_ROWS), "row_count": len(groups)}


@company_page()
@require_safe
def by_notification(request: CompanyRequest) -> HttpResponse:
    """« Par notification »: for each, who is told, who is not, and where nobody is."""
    wanted = TablesFilter(request.GET).wanted()
    facts = settings_facts.visible_facts(request.company, request.membership)
    if wanted.shop and wanted.shop not in {shop.site_id for shop in facts.shops}:
        raise Http404
    asked = screens.by_notification(
        facts, resolver.resolve_all(facts), wanted, accounts=manages_accounts(request.membership)
    )
    sections = [
        {
            "section": section,
            **_capped(section.receives, facts, request, limit=12),
            "why_not": _capped(section.why_not, facts, request, limit=0),
            "why_not_count": len(section.why_not),
            "told_count": len({decision.normalised for decision in section.receives}),
            "gaps": screens.rows(section.gaps, facts, request.membership, limit=NAMED_GAPS),
            **(screens.uncalled(facts, request.membership, wanted) if section.row.tells_of_calls else {}),
        }
        for section in asked
    ]
    if len(sections) == 1:
        # One notification of many addresses: the list takes the page.
        page = paging.paginate(request, screens.groups(asked[0].receives, limit=12))
        rows = screens.rows_of(page.object_list, facts, request.membership)
        sections[0] |= {"rows": rows, "unshown": 0, "page": page}
    context = {
        "wanted": wanted,
        "facts": facts,
        "shop": next((shop for shop in facts.shops if shop.site_id == wanted.shop), None),
        "sections": sections,
        "notifications": TABLE_ROWS,
        # A search is answered at once; without one the page is as high as its list of notifications.
        "opened": bool(wanted.q) and len(sections) <= OPENED,
    }
    return render(request, "notifications/tables/by_notification.html", context)
