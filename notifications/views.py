"""Pages of the Notifications menu: addresses, the same by notification, and the journal."""

import base64
import hashlib
import re
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_http_methods, require_safe

from backoffice import paging
from backoffice.files import file_response
from companies import access, permissions
from companies.access import CompanyRequest, company_page
from companies.audit import Actor

from . import addresses as address_rules
from . import emails, exports, resolver, screens, selectors, services, wording
from .catalogue import TABLE_ROWS, Channel
from .comparison import resolution_today
from .facts import CompanyFacts
from .filters import JournalFilter, TablesFilter
from .journal import call_context, delivery_or_404, replay_query, searched
from .models import Delivery
from .resolver import Decision
from .selectors import DeliveryTables

# Gaps named one by one; the rest is counted.
NAMED_GAPS = 5
# Rows of a notification shown beside others; the page of that notification has all.
NAMED_ROWS = 8

# --- Delivery tables ------------------------------------------------------------------------------


@company_page()
@require_safe
def addresses(request: CompanyRequest) -> HttpResponseBase:
    """« Adresses contactées »: gaps, the addresses, and the table of the one that is chosen."""
    asked = TablesFilter(request.GET)
    wanted = asked.wanted()
    whole = selectors.delivery_tables(selectors.visible_facts(request.company, request.membership))
    tables = screens.filtered(whole, wanted)
    chosen_address = request.GET.get("address", "").strip()
    if request.GET.get("format") == "csv":
        rows = exports.table_rows(_only(tables, chosen_address))
        return exports.csv_response(rows, f"adresses-{request.company.reference}")
    context: dict[str, Any] = {
        "wanted": wanted,
        "tables": tables,
        "facts": whole.company,
        "notifications": TABLE_ROWS,
        "roles": screens.ROLE_KINDS,
        "gaps": _gaps(whole.gaps, whole, request),
        "gap_count": len(whole.gaps),
    }
    if request.GET.get("print"):
        printed = _only(tables, chosen_address).addresses
        context["sections"] = [_address_context(table, whole, request) for table in printed]
        # On paper "why not" is left out; on the screen a long page would not open with it.
        context["without_why_not"] = len(printed) > paging.DEFAULT_SIZE
        return render(request, "notifications/addresses_print.html", context)
    page = paging.paginate(request, tables.addresses)
    key = address_rules.normalise(chosen_address)
    chosen = next((table for table in tables.addresses if table.normalised == key), None)
    context["unknown_address"] = chosen_address if chosen_address and chosen is None else ""
    if chosen is None and not chosen_address and page.object_list:
        chosen = page.object_list[0]
    context["page"] = page
    if chosen is not None:
        context |= _address_context(chosen, whole, request)
        if wanted.notification and len(chosen.receives) > screens.FLAT_LIMIT:
            # One notification of one address for many shops: the list of shops takes the page.
            lines = paging.paginate(request, chosen.receives)
            context |= {
                "lines_page": lines,
                "rows": screens.rows(list(lines.object_list), whole.company, request.membership, limit=len(lines)),
            }
    return render(request, "notifications/addresses.html", context)


def _only(tables: DeliveryTables, address: str) -> DeliveryTables:
    """The tables of one address, when one is asked for."""
    if not address:
        return tables
    key = address_rules.normalise(address)
    kept = [table for table in tables.addresses if table.normalised == key]
    return DeliveryTables(tables.company, kept, tables.gaps)


def _address_context(table: selectors.AddressTable, whole: DeliveryTables, request: CompanyRequest) -> dict[str, Any]:
    kinds = screens.role_kinds(table)
    return {
        "chosen": table,
        "role_words": screens.role_words(table, whole.company),
        "places": screens.places(table),
        "is_technical": "technical_contact" in kinds,
        "rows": screens.rows(table.receives, whole.company, request.membership),
        "why_not": screens.rows(table.why_not, whole.company, request.membership, limit=0),
        "why_not_count": len(table.why_not),
    }


def _gaps(gaps: list[Decision], whole: DeliveryTables, request: CompanyRequest) -> list[screens.Row]:
    return screens.rows(gaps, whole.company, request.membership, limit=NAMED_GAPS)


def _capped(decisions: list[Decision], facts: CompanyFacts, request: CompanyRequest, *, limit: int) -> dict[str, Any]:
    """The first rows of a long table, those that stand for most shops first, and how many are left."""
    groups = screens.groups(decisions, limit=limit)
    if len(groups) > NAMED_ROWS:
        groups.sort(key=len, reverse=True)
    rows = screens.rows_of(groups[:NAMED_ROWS], facts, request.membership)
    return {"rows": rows, "unshown": max(0, len(groups) - NAMED_ROWS)}


@company_page()
@require_safe
def by_notification(request: CompanyRequest) -> HttpResponse:
    """« Par notification »: for each, who is told, who is not, and where nobody is."""
    wanted = TablesFilter(request.GET).wanted()
    facts = selectors.visible_facts(request.company, request.membership)
    if wanted.shop and wanted.shop not in {shop.site_id for shop in facts.shops}:
        raise Http404
    found = screens.by_notification(facts, resolver.resolve_all(facts), wanted)
    sections = [
        {
            "section": section,
            **_capped(section.receives, facts, request, limit=12),
            "why_not": _capped(section.why_not, facts, request, limit=0),
            "why_not_count": len(section.why_not),
            "gaps": screens.rows(section.gaps, facts, request.membership, limit=NAMED_GAPS),
        }
        for section in found
    ]
    if len(sections) == 1:
        # One notification of many addresses: the list takes the page.
        page = paging.paginate(request, screens.groups(found[0].receives, limit=12))
        rows = screens.rows_of(page.object_list, facts, request.membership)
        sections[0] |= {"rows": rows, "unshown": 0, "page": page}
    context = {
        "wanted": wanted,
        "facts": facts,
        "shop": next((shop for shop in facts.shops if shop.site_id == wanted.shop), None),
        "sections": sections,
        "notifications": TABLE_ROWS,
    }
    return render(request, "notifications/by_notification.html", context)


# --- Journal --------------------------------------------------------------------------------------

SORTS = {
    "time": "created_at",
    "address": "normalised_address",
    "notification": "notification",
    "shop": "shop__name",
    "status": "status",
    "attempts": "attempt_count",
}


@company_page()
@require_safe
def journal(request: CompanyRequest) -> HttpResponseBase:
    """« Journal »: every delivery the user may see, newest first."""
    asked = JournalFilter(request.GET)
    found = selectors.deliveries(request.company, request.membership)
    found = searched(selectors.deliveries_filtered(found, **asked.arguments()), asked.value("q").strip())
    found = found.order_by(paging.sort_key(request, SORTS, default="-created_at"), "-pk")
    if request.GET.get("format") == "csv":
        return exports.csv_response(exports.journal_rows(found), f"journal-{request.company.reference}")
    page = paging.paginate(request, found.select_related("event", "shop", "rule", "message"))
    context = {
        "page": page,
        "asked": asked,
        "active": asked.is_active(),
        "more": any(asked.value(name) for name in ("address", "event", "mode", "since", "until", "rule")),
        "shops": access.shops_of(request.membership).only("site_id", "name"),
    }
    if asked.value("channel") == Channel.IPN and access.can_somewhere(
        request.membership, permissions.RUN_NOTIFICATION_URL
    ):
        context["replay_query"] = replay_query(asked)
    return render(request, "notifications/journal.html", context)


@company_page()
@require_safe
def delivery(request: CompanyRequest, key: UUID) -> HttpResponse:
    """One delivery: its state and attempts, why it was sent, and the mail as it went out.

    While it waits, scripts ask for the state alone and replace it in the page.
    """
    found = delivery_or_404(request, key)
    # A message of the company as a whole asks for the right on each shop.
    may_resend = access.can(request.membership, permissions.RESEND, found.shop)
    context: dict[str, Any] = {
        "delivery": found,
        "attempts": (found.carried_by or found).attempts.all(),
        "is_open": found.status in Delivery.OPEN,
        "can_cancel": found.is_cancellable and may_resend,
        "can_resend": found.is_resendable and may_resend,
        "resends": found.resends.order_by("-created_at"),
    }
    if found.channel == Channel.IPN:
        context |= call_context(found)
        may_run = access.can(request.membership, permissions.RUN_NOTIFICATION_URL, found.shop)
        context["can_replay"] = context["can_replay"] and may_run
    if request.headers.get("HX-Request"):
        return render(request, "notifications/delivery_state.html", context)
    context |= {
        "trigger": wording.trigger_label(found.event.type),
        "source": wording.source_label(found.resolution.get("source", "")),
        "rule_version": found.resolution.get("rule_version"),
        "today": resolution_today(found),
    }
    if found.message:
        context["text"] = emails.filled(found, emails.MASKED_LINK)[0]
        context["message_id"] = emails.message_id(found)
        if found.message.has_attachments:
            context["attachments"] = found.message.attachments.defer("content")
    return render(request, "notifications/delivery.html", context)


@company_page()
@require_safe
@xframe_options_sameorigin
def delivery_html(request: CompanyRequest, key: UUID) -> HttpResponse:
    """The HTML part as it was sent, links of accounts masked, shut off from everything.

    The policy allows the style block of this very mail and nothing else: no script, no image, no
    form, no request to anywhere.
    """
    found = delivery_or_404(request, key)
    if found.message is None:
        raise Http404
    html = emails.filled(found, emails.MASKED_LINK)[1]
    response = HttpResponse(html)
    response.headers["Content-Security-Policy"] = mail_policy(html)
    return response


@company_page()
@require_safe
def delivery_attachment(request: CompanyRequest, key: UUID, number: int) -> HttpResponse:
    """A file of a message, to whoever may read the message."""
    found = delivery_or_404(request, key)
    file = found.message.attachments.filter(pk=number).first() if found.message else None
    if file is None:
        raise Http404
    return file_response(bytes(file.content), file.name, file.content_type)


def mail_policy(html: str) -> str:
    """The content security policy of a mail shown in a frame: its own style blocks, nothing else."""
    blocks = re.findall(r"<style[^>]*>(.*?)</style>", html, re.DOTALL | re.IGNORECASE)
    hashes = [base64.b64encode(hashlib.sha256(block.encode()).digest()).decode() for block in blocks]
    styles = " ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"
    return (
        f"default-src 'none'; style-src {styles}; sandbox; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    )


@company_page(permissions.RESEND)
@require_http_methods(["GET", "HEAD", "POST"])
def delivery_resend(request: CompanyRequest, key: UUID) -> HttpResponse:
    """« Renvoyer »: asks first, then queues the same message again as a new row."""
    found = delivery_or_404(request, key, permissions.RESEND)
    if request.method == "POST":
        try:
            copy = services.delivery_resend(delivery=found, actor=Actor.of(request))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect("delivery", key=found.pk)
        messages.success(
            request,
            _("Le message part de nouveau vers %(address)s : voici ce nouvel envoi.") % {"address": copy.address},
        )
        return redirect("delivery", key=copy.pk)
    return _confirmation(request, found, "resend")


@company_page(permissions.RESEND)
@require_http_methods(["GET", "HEAD", "POST"])
def delivery_cancel(request: CompanyRequest, key: UUID) -> HttpResponse:
    """« Annuler »: asks first, then stops a delivery that waits."""
    found = delivery_or_404(request, key, permissions.RESEND)
    if request.method == "POST":
        if services.delivery_cancel(delivery=found, actor=Actor.of(request)):
            messages.success(request, _("L'envoi à %(address)s est annulé.") % {"address": found.address})
        else:
            messages.error(request, _("Cet envoi ne peut plus être annulé : il est en cours ou terminé."))
        return redirect("delivery", key=found.pk)
    return _confirmation(request, found, "cancel")


def _confirmation(request: HttpRequest, found: Delivery, action: str) -> HttpResponse:
    allowed = found.is_resendable if action == "resend" else found.is_cancellable
    context = {"delivery": found, "action": action, "allowed": allowed}
    return render(request, "notifications/delivery_confirm.html", context)
