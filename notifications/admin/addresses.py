"""Staff pages of the health of addresses: what servers and providers said of each. Read only."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backoffice.base import endless
from backoffice.text import addresses, times
from companies.staff.pages import ReadOnlyAdmin, link_to
from notifications.core import health_wording
from notifications.health.critical import critical_suppressed
from notifications.models import AddressHealth

# Refusals that the page of an address shows.
SIGNS_SHOWN = 20


class CriticalFilter(admin.SimpleListFilter):
    """Suppressed addresses that are a contact of an active company."""

    title = gettext_lazy("à traiter")
    parameter_name = "critical"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", _("contacts neutralisés"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AddressHealth]) -> QuerySet[AddressHealth]:
        return queryset.filter(pk__in=critical_suppressed()) if self.value() == "1" else queryset


@admin.register(AddressHealth)
class AddressHealthAdmin(ReadOnlyAdmin):
    list_display = ("normalised_address", "company", "state", "since", "said")
    company_path = "company"
    list_filter = (CriticalFilter, "state")
    list_select_related = ("company",)
    ordering = ("-since", "-pk")
    search_fields = ("normalised_address", "company__name", "company__reference")
    search_help_text = gettext_lazy("Adresse ou son début, société")
    fields = (
        "normalised_address",
        "company_link",
        "state",
        "since",
        "said",
        "verified_at",
        "asked_at",
        "signs",
        "where",
    )
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AddressHealth], search_term: str
    ) -> tuple[QuerySet[AddressHealth], bool]:
        for word in search_term.split()[:4]:
            named = Q(company__name__icontains=word) | Q(company__reference__icontains=word)
            queryset = queryset.filter(endless.begins("normalised_address", addresses.normalise(word)) | named)
        return queryset, False

    @admin.display(description=gettext_lazy("pourquoi"))
    def said(self, health: AddressHealth) -> str:
        return health_wording.state_reason(health.facts) or "–"

    @admin.display(description=gettext_lazy("société"))
    def company_link(self, health: AddressHealth) -> str:
        return link_to(health.company)

    @admin.display(description=gettext_lazy("derniers refus"))
    def signs(self, health: AddressHealth) -> str:
        rows = [
            (
                reverse("admin:notifications_delivery_change", args=[sign.delivery_id]),
                times.exact(sign.at),
                sign.get_via_display(),
                health_wording.refusal(sign.code, sign.words),
            )
            for sign in health.signs.all()[:SIGNS_SHOWN]
        ]
        lines = format_html_join("", '<li><a href="{}">{}</a> · {} · {}</li>', rows)
        return format_html('<ul class="plain">{}</ul>', lines) if rows else _("Aucun refus n'est connu.")

    @admin.display(description=gettext_lazy("partout"))
    def where(self, health: AddressHealth) -> str:
        url = f"{reverse('admin:support_addresses')}?{urlencode({'q': health.normalised_address})}"
        return format_html('<a href="{}">{}</a>', url, _("Où elle est configurée, et ce qu'elle a reçu"))
