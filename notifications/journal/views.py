"""The journal: list, proof of one delivery, its mail, resend and cancel."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from backoffice.base import csv_files, endless, paging
from backoffice.base.files import file_response
from backoffice.base.methods import get_and_post
from companies.audit import Actor
from companies.rights import access, permissions
from companies.rights.access import CompanyRequest, company_page
from notifications import readers
from notifications.core import wording
from notifications.core.catalogue import Channel
from notifications.events.digests import DIGEST
from notifications.journal import proofs
from notifications.journal import selectors as journal_selectors
from notifications.journal.comparison import resolution_today, then_and_now
from notifications.journal.filters import PERIOD_LABELS, JournalFilter
from notifications.journal.groups import Group, about, grouped
from notifications.journal.lookup import HIDDEN_CONTENT, call_context, delivery_or_404, searched, shown
from notifications.journal.saved import saved_filters
from notifications.journal.story import steps
from notifications.mail import emails
from notifications.mail.emails import mail_policy
from notifications.models import Delivery
from notifications.outbox import holds
from notifications.outbox import services as delivery_services
from notifications.timeline import moments

SORTS = {
    "time": "created_at",
    "address": "normalised_address",
    "notification": "notification",
    "shop": "shop__name",
    "status": "status",
    "attempts": "attempt_count",
}
# A screen or two of rows of one line.
PAGE_SIZE = 25
# Filters that stay folded until one of them is used.
MORE_FILTERS = ("channel", "address", "event", "digest", "mode", "since", "until", "rule")


@company_page()
@require_safe
def journal(request: CompanyRequest) -> HttpResponseBase:
    """« Journal »: every delivery the user may see, newest first."""
    asked = JournalFilter(request.GET)
    sort = paging.sort_key(request, SORTS, default="-created_at")
    if request.GET.get("format") == "csv":
        every = journal_selectors.deliveries_filtered(readers.deliveries_for(request.membership), asked.search())
        return csv_files.csv_response(
            journal_selectors.journal_rows(searched(every, asked.value("q").strip()).order_by(sort, "-pk")),
            f"journal-{request.company.reference}",
            plain=csv_files.is_plain(request),
        )
    deliveries, wanted = shown(request.membership, asked)
    deliveries = deliveries.select_related("event", "shop", "rule", "message", "carried_by")
    page = endless.paginate(request, deliveries, by="created_at", sort=sort, wanted=wanted, default=PAGE_SIZE)
    by_event = request.GET.get("group") == "event"
    context = {
        "page": page,
        "groups": grouped(request.membership, list(page.object_list)) if by_event else [Group(list(page.object_list))],
        "by_event": by_event,
        "asked": asked,
        "active": asked.is_active(),
        "more": "dates" in request.GET or any(asked.value(name) for name in MORE_FILTERS),
        "periods": PERIOD_LABELS.items(),
        "query": asked.query(),
        "as_of": timezone.now().isoformat(),
        "saved": [(one, one.query == asked.query()) for one in saved_filters(request.membership)],
        "shops": access.shops_of(request.membership).only("site_id", "name"),
        "pauses": holds.of_company(request.company),
        "may_resend": access.can_somewhere(request.membership, permissions.RESEND),
        "may_replay": access.can_somewhere(request.membership, permissions.RUN_NOTIFICATION_URL),
    }
    if wanted and endless.has_older(readers.deliveries_for(request.membership), by="created_at"):
        context["searched_newest"] = endless.READ_FOR_PARTS
    if asked.value("channel") == Channel.IPN and context["may_replay"]:
        context["replay_query"] = asked.query()
    return render(request, "notifications/journal/journal.html", context)


@company_page()
@require_safe
def delivery(request: CompanyRequest, key: UUID) -> HttpResponse:
    """One delivery: its state and attempts, why it was sent, and the mail as it went out.

    While it waits, scripts ask for the state alone and replace it in the page.
    """
    sent = delivery_or_404(request, key)
    may_read = proofs.may_read(request.membership, sent)
    # A message of the company as a whole asks for the right on each shop.
    may_resend = may_read and access.can(request.membership, permissions.RESEND, sent.shop)
    attempts = list((sent.carried_by or sent).attempts.all())
    context: dict[str, Any] = {
        "delivery": sent,
        "attempts": attempts,
        "story": steps(sent, attempts, sent.resends.order_by("-created_at")),
        "part": bool(request.headers.get("HX-Request")),
        "is_open": sent.status in Delivery.OPEN,
        "can_cancel": sent.is_cancellable and may_resend,
        "can_resend": sent.is_resendable and may_resend,
        "signs": list((sent.carried_by or sent).signs.all()[:20]),
        "health": readers.health_of(sent),
        "pause": holds.keeping(sent),
        "kept_by_state": holds.keeps_state(sent),
        "digest_count": sent.event.data.get("count") if sent.event.type == DIGEST else None,
    }
    if sent.channel == Channel.IPN:
        context |= call_context(sent)
        may_run = access.can(request.membership, permissions.RUN_NOTIFICATION_URL, sent.shop)
        context["can_replay"] = context["can_replay"] and may_run
    if context["part"]:
        return render(request, "notifications/journal/delivery_state.html", context)
    today = resolution_today(sent)
    context |= {
        "about": about(sent.event),
        "trigger": wording.trigger_label(sent.event.type),
        "source": wording.source_label(sent.resolution.get("source", "")),
        "rule_version": sent.resolution.get("rule_version"),
        "today": today,
        "compared": then_and_now(sent, today),
        "moment": moments.written(sent.created_at),
    }
    if not may_read:
        context["hidden_content"] = HIDDEN_CONTENT
    elif sent.message:
        context["text"] = emails.filled(sent, emails.MASKED_LINK)[0]
        context["message_id"] = emails.message_id(sent)
        if sent.message.has_attachments:
            context["attachments"] = sent.message.attachments.defer("content")
    return render(request, "notifications/journal/delivery.html", context)


@company_page()
@require_safe
@xframe_options_sameorigin
def delivery_html(request: CompanyRequest, key: UUID) -> HttpResponse:
    """The HTML part as it was sent, links of accounts masked, shut off from everything.

    The policy allows the style block of this very mail and nothing else: no script, no image, no
    form, no request to anywhere.
    """
    delivery = delivery_or_404(request, key)
    if delivery.message is None or not proofs.may_read(request.membership, delivery):
        raise Http404
    html = emails.filled(delivery, emails.MASKED_LINK)[1]
    response = HttpResponse(html)
    response.headers["Content-Security-Policy"] = mail_policy(html)
    return response


@company_page()
@require_safe
def delivery_attachment(request: CompanyRequest, key: UUID, number: int) -> HttpResponse:
    """A file of a message, for those who may read the message."""
    delivery = delivery_or_404(request, key)
    readable = delivery.message if proofs.may_read(request.membership, delivery) else None
    file = readable.attachments.filter(pk=number).first() if readable else None
    if file is None:
        raise Http404
    return file_response(bytes(file.content), file.name, file.content_type)


@company_page(permissions.RESEND)
@get_and_post
def delivery_resend(request: CompanyRequest, key: UUID) -> HttpResponse:
    """« Renvoyer »: asks first, then queues the same message again as a new row."""
    delivery = delivery_or_404(request, key, permissions.RESEND)
    if request.method == "POST":
        try:
            copy = delivery_services.delivery_resend(delivery=delivery, actor=Actor.of(request))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect("delivery", key=delivery.pk)
        messages.success(
            request,
            _("Le message part de nouveau vers %(address)s : voici ce nouvel envoi.") % {"address": copy.address},
        )
        return redirect("delivery", key=copy.pk)
    return _confirmation(request, delivery, "resend")


@company_page(permissions.RESEND)
@get_and_post
def delivery_cancel(request: CompanyRequest, key: UUID) -> HttpResponse:
    """« Annuler »: asks first, then stops a delivery that waits."""
    delivery = delivery_or_404(request, key, permissions.RESEND)
    if request.method == "POST":
        if delivery_services.delivery_cancel(delivery=delivery, actor=Actor.of(request)):
            messages.success(request, _("L'envoi à %(address)s est annulé.") % {"address": delivery.address})
        else:
            messages.error(request, _("Cet envoi ne peut plus être annulé : il est en cours ou terminé."))
        return redirect("delivery", key=delivery.pk)
    return _confirmation(request, delivery, "cancel")


def _confirmation(request: HttpRequest, delivery: Delivery, action: str) -> HttpResponse:
    allowed = delivery.is_resendable if action == "resend" else delivery.is_cancellable
    context = {"delivery": delivery, "action": action, "allowed": allowed}
    return render(request, "notifications/journal/delivery_confirm.html", context)
