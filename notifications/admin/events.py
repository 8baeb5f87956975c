"""Staff pages of events. Proof is read-only."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from backoffice.base import endless
from backoffice.desk.lookups import companies_named, events_named, shops_named
from companies.staff.endless import EndlessAdmin, PeriodFilter
from companies.staff.pages import ReadOnlyInline, link_to, pretty_json
from notifications.admin.deliveries import failure_shown
from notifications.core import catalogue, wording
from notifications.models import Delivery, Event

RULE_KEY = ("shop", "reference")


class EventTypeFilter(admin.SimpleListFilter):
    """By what happened, in words; only what did happen of late is offered."""

    title = gettext_lazy("type")
    parameter_name = "type__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        codes = endless.newest_values(Event.objects.all(), "type", by="accepted_at")
        return sorted(((code, wording.trigger_label(code)) for code in codes), key=lambda pair: pair[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        return queryset.filter(type=self.value()) if self.value() else queryset


class DeliveryInline(ReadOnlyInline):
    model = Delivery
    fk_name = "event"
    fields = ("notification", "address", "as_field", "channel", "status", "attempt_count", "sent_at", "failure")
    readonly_fields = fields

    @admin.display(description=gettext_lazy("erreur"))
    def failure(self, delivery: Delivery) -> SafeString | str:
        return failure_shown(delivery)


@admin.register(Event)
class EventAdmin(EndlessAdmin):
    list_display = ("accepted_at", "what", "event_id", "company", "shop")
    company_path = "company"
    list_filter = (PeriodFilter, EventTypeFilter, "mode", "external")
    list_select_related = ("company", "shop")
    newest_by = date_hierarchy = "accepted_at"
    search_fields = ("event_id", "type", "company__name", "company__reference", "shop__site_id")
    search_help_text = gettext_lazy("Identifiant d'événement entier, type, société ou identifiant boutique")
    fields = (
        "event_id",
        "kind",
        "mode",
        "company_link",
        "shop_link",
        "occurred_at",
        "accepted_at",
        "external",
        "content",
    )
    readonly_fields = ("kind", "company_link", "shop_link", "content")
    inlines = (DeliveryInline,)

    def wanted(self, word: str) -> endless.Wanted:
        types = [code for code in catalogue.EVENT_LABELS if word.lower() in code]
        named = Q(company__in=companies_named(word)), Q(shop__in=shops_named(word))
        return endless.Wanted([Q(pk__in=events_named(word)), Q(type__in=types), *named], Q(event_id__icontains=word))

    @admin.display(description=gettext_lazy("type"), ordering="type")
    def what(self, event: Event) -> str:
        label = wording.trigger_label(event.type)
        return f"{label} · TEST" if event.mode == "TEST" else label

    @admin.display(description=gettext_lazy("type"), ordering="type")
    def kind(self, event: Event) -> str:
        return wording.trigger_label(event.type)

    @admin.display(description=gettext_lazy("société"))
    def company_link(self, event: Event) -> str:
        return link_to(event.company)

    @admin.display(description=gettext_lazy("boutique"))
    def shop_link(self, event: Event) -> str:
        return link_to(event.shop)

    @admin.display(description=gettext_lazy("données"))
    def content(self, event: Event) -> str:
        return pretty_json(event.data)
