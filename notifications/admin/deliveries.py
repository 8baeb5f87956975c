"""Staff pages of deliveries. Proof is read-only."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from backoffice.base import endless
from backoffice.base.files import file_response
from backoffice.desk.lookups import companies_named, events_named, shops_named
from backoffice.text import addresses, times
from companies.audit import Actor
from companies.staff.endless import EndlessAdmin, PeriodFilter
from companies.staff.pages import link_to
from notifications.core import failures, health_wording, wording
from notifications.core.catalogue import Channel
from notifications.journal.comparison import resolution_today
from notifications.journal.lookup import failure_words
from notifications.mail import emails
from notifications.models import Attempt, Delivery, Message
from notifications.outbox import backlog
from notifications.outbox import services as delivery_services
from notifications.readers import health_of


def failure_shown(delivery: Delivery) -> SafeString | str:
    """Why a delivery failed, as a sentence with the other side's answer or its code."""
    words = failure_words(delivery)
    if not words or failures.is_told(delivery.error, words) or delivery.status == Delivery.Status.NOT_SENT:
        return words or "–"
    return format_html("{}<br><code>{}</code>", words, delivery.error)


def attempt_line(attempt: Attempt) -> SafeString:
    """One attempt as a line: time, outcome, answer of the other side."""
    said = " ".join(filter(None, [str(attempt.code or ""), attempt.reply or attempt.error_code]))
    facts = [times.exact(attempt.started_at), attempt.get_outcome_display(), _("%(n)d ms") % {"n": attempt.duration_ms}]
    if attempt.queue_id:
        facts.append(_("file %(id)s") % {"id": attempt.queue_id})
    if attempt.location:
        facts.append(_("redirigé vers %(url)s") % {"url": attempt.location})
    told = format_html("{}", " · ".join(facts))
    return format_html("{}<br><code>{}</code>", told, said) if said else told


class BacklogFilter(admin.SimpleListFilter):
    """Deliveries that are not over, as the list of what waits for a person counts them."""

    title = gettext_lazy("file d'attente")
    parameter_name = "backlog"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            (backlog.OPEN, _("pas encore terminés")),
            (backlog.LATE, _("prêts, et en retard")),
            (backlog.SETTINGS, _("attendent un réglage de la plateforme")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        known = self.value() in (backlog.OPEN, backlog.LATE, backlog.SETTINGS)
        return queryset.filter(backlog.condition(str(self.value()))) if known else queryset


def _lines(told: list[str]) -> SafeString | str:
    return format_html_join("", "<div>{}</div>", [(line,) for line in told]) or "–"


def mail_shown(delivery: Delivery) -> dict[str, Any]:
    """What the page of a delivery shows of its mail: its headers, its text, its files. No link of it works."""
    message = delivery.message
    assert message
    headers = {
        "Subject": message.subject,
        "From": emails.sender_of(delivery),
        "To": ", ".join(delivery.to_addresses),
        "Cc": ", ".join(delivery.cc_addresses),
        "Reply-To": message.reply_to or settings.SUPPORT_EMAIL,
        **emails.headers_of(delivery),
        **message.headers,
        **delivery.headers,
    }
    return {
        "mail": delivery,
        "mail_headers": [(name, value) for name, value in headers.items() if value],
        "mail_text": emails.filled(delivery, emails.MASKED_LINK)[0],
        "mail_files": message.attachments.defer("content") if message.has_attachments else (),
    }


@admin.register(Delivery)
class DeliveryAdmin(EndlessAdmin):
    list_display = (
        "created_at",
        "status",
        "what",
        "recipient",
        "company",
        "shop",
        "attempt_count",
    )
    company_path = "company"
    list_filter = (PeriodFilter, "status", BacklogFilter, "notification", "channel", "mode", "is_test")
    also_filtered = ("broadcast__id__exact",)
    list_select_related = ("company", "shop")
    newest_by = date_hierarchy = "created_at"
    search_fields = ("address", "normalised_address", "event__event_id", "company__name", "shop__site_id")
    search_help_text = gettext_lazy("Adresse, identifiant d'événement, société ou identifiant boutique")
    actions = ("requeue", "cancel", "resend")
    fieldsets = (
        (None, {"fields": ("id", "status", "failure", "notification", "subject", "event_link", "mode", "channel")}),
        (
            gettext_lazy("À qui et pourquoi"),
            {"fields": ("address", "as_field", "health", "why", "rule_link", "today")},
        ),
        (gettext_lazy("Tentatives"), {"fields": ("attempts_shown",)}),
        (gettext_lazy("Quand"), {"fields": ("created_at", "sent_at", "retry_at")}),
        (gettext_lazy("Où"), {"fields": ("company_link", "shop_link", "account", "original")}),
    )
    readonly_fields = (
        "id", "failure", "subject", "event_link", "health", "why", "rule_link", "today", "attempts_shown", "company_link",
        "shop_link", "original",
    )  # fmt: skip

    def wanted(self, word: str) -> endless.Wanted:
        compared = addresses.normalise(word)
        return endless.Wanted(
            [
                endless.begins("normalised_address", compared),
                Q(event__in=events_named(word)),
                Q(company__in=companies_named(word)),
                Q(shop__in=shops_named(word)),
            ],
            Q(normalised_address__contains=compared) | Q(address__icontains=word),
        )

    # --- The mail as it was sent ------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        own = [
            path("<uuid:key>/mail/", self.admin_site.admin_view(self.mail_view), name="notifications_delivery_mail"),
            path(
                "<uuid:key>/files/<int:number>/",
                self.admin_site.admin_view(self.file_view),
                name="notifications_delivery_file",
            ),
        ]
        return [*own, *super().get_urls()]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        context: dict[str, Any] = dict(extra_context or {})
        delivery = self.get_object(request, unquote(object_id))
        if delivery is not None and self.has_view_permission(request, delivery) and delivery.message:
            context |= mail_shown(delivery)
        return super().change_view(request, object_id, form_url, context)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Delivery | None:
        # Asked for several times of one request; what the page shows of it comes along.
        cache: dict[str, Delivery | None] = request.__dict__.setdefault("_deliveries", {})
        if object_id not in cache:
            cache[object_id] = super().get_object(request, object_id, from_field)
        return cache[object_id]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        rows = super().get_queryset(request)
        match = request.resolver_match
        on_page = match is not None and "object_id" in match.kwargs
        return rows.select_related("event", "rule", "message", "carried_by", "company", "shop") if on_page else rows

    def _mailed(self, request: HttpRequest, key: UUID) -> tuple[Delivery, Message]:
        if not self.has_view_permission(request):
            raise PermissionDenied
        delivery = Delivery.objects.select_related("message", "event", "shop", "rule").filter(pk=key).first()
        if delivery is None or delivery.message is None:
            raise Http404
        return delivery, delivery.message

    @method_decorator(require_safe)
    @method_decorator(xframe_options_sameorigin)
    def mail_view(self, request: HttpRequest, key: UUID) -> HttpResponse:
        """The HTML part in a frame of the page, links masked, shut off from everything."""
        delivery = self._mailed(request, key)[0]
        html = emails.filled(delivery, emails.MASKED_LINK)[1]
        response = HttpResponse(html)
        response.headers["Content-Security-Policy"] = emails.mail_policy(html)
        return response

    @method_decorator(require_safe)
    def file_view(self, request: HttpRequest, key: UUID, number: int) -> HttpResponse:
        """A file that went out with it."""
        message = self._mailed(request, key)[1]
        file = message.attachments.filter(pk=number).first()
        if file is None:
            raise Http404
        return file_response(bytes(file.content), file.name, file.content_type)

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Actions do not edit the proof; they need the right to change deliveries all the same."""
        return request.user.has_perm("notifications.change_delivery")

    @admin.display(description=gettext_lazy("notification"))
    def what(self, delivery: Delivery) -> str:
        label = delivery.get_notification_display()
        return f"{label} · TEST" if delivery.mode == "TEST" else label

    @admin.display(description=gettext_lazy("destinataire"))
    def recipient(self, delivery: Delivery) -> str:
        return f"Cc {delivery.address}" if delivery.as_ == Delivery.As.CC else delivery.address

    @admin.display(description=gettext_lazy("erreur"))
    def failure(self, delivery: Delivery) -> SafeString | str:
        return failure_shown(delivery)

    @admin.display(description=gettext_lazy("objet"))
    def subject(self, delivery: Delivery) -> str:
        return delivery.message.subject if delivery.message else "–"

    @admin.display(description=gettext_lazy("événement"))
    def event_link(self, delivery: Delivery) -> str:
        return link_to(delivery.event)

    @admin.display(description=gettext_lazy("raison"))
    def why(self, delivery: Delivery) -> str:
        """What the resolution of the delivery says, sentence by sentence."""
        known = delivery.resolution
        told = [delivery.reason] if delivery.reason else []
        if source := wording.source_label(str(known.get("source", ""))):
            told.append(_("Origine de l'adresse : %(source)s.") % {"source": source})
        if known.get("inherited"):
            told.append(_("La boutique n'a pas d'adresse à elle : celle du Contact gestionnaire est héritée."))
        if known.get("rule_version"):
            told.append(_("La règle en était à sa version %(n)s.") % {"n": known["rule_version"]})
        return _lines(told)

    @admin.display(description=gettext_lazy("aujourd'hui"))
    def today(self, delivery: Delivery) -> str:
        """What the settings of today would make of it."""
        if delivery.company_id is None:
            return "–"
        now = resolution_today(delivery)
        verdict = {
            True: _("Cette adresse le recevrait encore."),
            False: _("Cette adresse ne le recevrait plus."),
            None: "",
        }[now.still]
        return _lines([part for part in (verdict, now.sentence) if part])

    @admin.display(description=gettext_lazy("santé de l'adresse"))
    def health(self, delivery: Delivery) -> str:
        facts = health_of(delivery) if delivery.channel == Channel.EMAIL else None
        if facts is None:
            return "–"
        told = [health_wording.state_label(facts.state), health_wording.state_reason(facts) or ""]
        return _lines([part for part in told if part])

    @admin.display(description=gettext_lazy("tentatives"))
    def attempts_shown(self, delivery: Delivery) -> str:
        carrier = delivery.carried_by or delivery
        rows = [(attempt_line(attempt),) for attempt in carrier.attempts.all()]
        if not rows:
            return _("Aucune tentative pour l'instant.")
        told = format_html('<ol class="attempts">{}</ol>', format_html_join("", "<li>{}</li>", rows))
        if carrier is delivery:
            return told
        return format_html("{}<p>{} {}</p>", told, _("Parti avec l'envoi"), link_to(carrier))

    @admin.display(description=gettext_lazy("règle"))
    def rule_link(self, delivery: Delivery) -> str:
        return link_to(delivery.rule)

    @admin.display(description=gettext_lazy("société"))
    def company_link(self, delivery: Delivery) -> str:
        return link_to(delivery.company)

    @admin.display(description=gettext_lazy("boutique"))
    def shop_link(self, delivery: Delivery) -> str:
        return link_to(delivery.shop)

    @admin.display(description=gettext_lazy("renvoi de"))
    def original(self, delivery: Delivery) -> str:
        return link_to(delivery.resend_of)

    def _tell(self, request: HttpRequest, done: int, refused: int) -> None:
        if done:
            messages.success(request, ngettext("%(n)d envoi traité.", "%(n)d envois traités.", done) % {"n": done})
        if refused:
            text = ngettext(
                "%(n)d envoi laissé tel quel : son état ne le permet pas.",
                "%(n)d envois laissés tels quels : leur état ne le permet pas.",
                refused,
            )
            messages.warning(request, text % {"n": refused})

    @admin.action(description=gettext_lazy("Remettre en file les envois abandonnés"), permissions=["act"])
    def requeue(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        done = [delivery_services.delivery_requeue(delivery=row, actor=Actor.of(request)) for row in queryset]
        self._tell(request, done.count(True), done.count(False))

    @admin.action(description=gettext_lazy("Annuler les envois en attente"), permissions=["act"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        done = [delivery_services.delivery_cancel(delivery=row, actor=Actor.of(request)) for row in queryset]
        self._tell(request, done.count(True), done.count(False))

    @admin.action(description=gettext_lazy("Renvoyer aux mêmes destinataires"), permissions=["act"])
    def resend(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        done = refused = 0
        for row in queryset:
            try:
                delivery_services.delivery_resend(delivery=row, actor=Actor.of(request))
                done += 1
            except ValidationError:
                refused += 1
        self._tell(request, done, refused)
