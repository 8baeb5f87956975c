"""Staff look at payment orders, and change none: they are the merchant's."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from companies.staff.pages import ReadOnlyAdmin, ReadOnlyInline
from notifications.mail.composers.base import amount_text
from shops.models import PaymentOrder, PaymentOrderEntry
from shops.orders import wording


class EntryInline(ReadOnlyInline):
    model = PaymentOrderEntry
    fields = ("at", "kind", "actor", "what")
    readonly_fields = ("what",)
    show_change_link = False

    @admin.display(description=_("Détails"))
    def what(self, entry: PaymentOrderEntry) -> str:
        return wording.entry_sentence(entry)


@admin.register(PaymentOrder)
class PaymentOrderAdmin(ReadOnlyAdmin):
    list_display = ("named", "shop", "recipient", "asked", "state_label", "created_at")
    company_path = "shop__company"
    list_filter = ("mode", "channel", "status")
    list_select_related = ("shop",)
    search_fields = ("reference", "recipient", "shop__site_id", "shop__name", "transaction_id")
    # The token opens the buyer's page: it is not for looking over a shoulder.
    exclude = ("token",)
    inlines = (EntryInline,)

    @admin.display(description=_("référence"), ordering="reference")
    def named(self, order: PaymentOrder) -> str:
        return f"{order.reference} · TEST" if order.mode == "TEST" else order.reference

    @admin.display(description=_("Montant"), ordering="amount")
    def asked(self, order: PaymentOrder) -> str:
        return amount_text(order.amount, order.currency)

    @admin.display(description=_("Statut de l'ordre"))
    def state_label(self, order: PaymentOrder) -> str:
        return order.state_label

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        hidden = {"id", "token", "sending", "version"}
        return [field.name for field in PaymentOrder._meta.fields if field.name not in hidden]
