"""The history on the staff site: read only."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy, pgettext_lazy

from backoffice.base import endless
from companies.history import entries as history
from companies.history import sentences as wording
from companies.history.values import object_type_label
from companies.models import AuditEntry, Company
from companies.staff.endless import EndlessAdmin, PeriodFilter
from companies.staff.pages import link_to, pretty_json

# More companies than that are no search any more.
NAMED = 50


class ActionFilter(admin.SimpleListFilter):
    """By what happened, in words; only what did happen of late is offered."""

    title = gettext_lazy("action")
    parameter_name = "action__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        codes = endless.newest_values(AuditEntry.objects.all(), "action", by="at")
        return sorted(((code, wording.action_label(code)) for code in codes), key=lambda pair: pair[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(action=self.value()) if self.value() else queryset


class ObjectTypeFilter(admin.SimpleListFilter):
    """By the kind of object, in words; only kinds that newer entries have are offered."""

    title = pgettext_lazy("of a change", "objet")
    parameter_name = "object_type__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        codes = endless.newest_values(AuditEntry.objects.all(), "object_type", by="at")
        return sorted(((code, object_type_label(code)) for code in codes), key=lambda pair: pair[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(object_type=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(EndlessAdmin):
    list_display = ("at", "company", "who", "what_happened", "designation", "ip_address")
    company_path = "company"
    list_filter = (PeriodFilter, ActionFilter, ObjectTypeFilter)
    list_select_related = ("company",)
    newest_by = date_hierarchy = "at"
    search_fields = ("actor_label", "object_label", "company__name", "company__reference", "action")
    fields = (
        "at",
        "company_link",
        "shop",
        "who",
        "ip_address",
        "what_happened",
        "kind",
        "designation",
        "what",
    )
    readonly_fields = ("company_link", "who", "what_happened", "kind", "designation", "what")

    def wanted(self, word: str) -> endless.Wanted:
        named = Company.objects.filter(Q(name__icontains=word) | Q(reference__icontains=word)).order_by("name")
        return endless.Wanted(
            [Q(company__in=list(named.values_list("pk", flat=True)[:NAMED]))],
            Q(actor_label__icontains=word) | Q(object_label__icontains=word) | Q(action__icontains=word),
        )

    @admin.display(description=gettext_lazy("auteur"), ordering="actor_label")
    def who(self, entry: AuditEntry) -> str:
        return history.actor_words(entry)

    @admin.display(description=pgettext_lazy("of a change", "objet"), ordering="object_type")
    def kind(self, entry: AuditEntry) -> str:
        return object_type_label(entry.object_type)

    @admin.display(description=gettext_lazy("désignation"), ordering="object_label")
    def designation(self, entry: AuditEntry) -> str:
        return wording.object_label(entry.object_type, entry.object_label)

    @admin.display(description=gettext_lazy("action"), ordering="action")
    def what_happened(self, entry: AuditEntry) -> str:
        return wording.action_label(entry.action)

    @admin.display(description=gettext_lazy("société"))
    def company_link(self, entry: AuditEntry) -> str:
        return link_to(entry.company)

    @admin.display(description=gettext_lazy("modifications"))
    def what(self, entry: AuditEntry) -> str:
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in entry.changes.values()):
            return pretty_json(entry.changes)
        rows = format_html_join("", "<li>{} : {} → {}</li>", history.changes_in_words(entry))
        return format_html('<ul class="plain">{}</ul>', rows)
