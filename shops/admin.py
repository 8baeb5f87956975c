"""Staff pages of shops. Writes go through the services; secrets are never shown."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from companies import audit
from companies.admin.states import StatusAdmin
from companies.audit import Actor
from companies.history import entries as history
from companies.models import AuditEntry
from companies.staff.pages import NamedRows, changed_fields, link_to
from shops import services
from shops.dataforms.admin import DataFormVersionAdmin
from shops.models import Contract, Shop
from shops.orders.admin import PaymentOrderAdmin  # noqa: F401 - registers itself

__all__ = ["DataFormVersionAdmin", "ShopAdmin"]


class ContractInline(NamedRows):
    model = Contract
    fields = ("number", "network", "three_d_secure")
    extra = 0
    can_delete = False


@admin.register(Shop)
class ShopAdmin(StatusAdmin):
    list_display = ("site_id", "name", "company", "manager", "status", "language")
    list_filter = ("status", "language")
    company_path = "company"
    list_select_related = ("company",)
    search_fields = (
        "site_id",
        "name",
        "manager_email",
        "company__name",
        "company__reference",
        "company__contacts__email",
    )
    search_help_text = gettext_lazy("Identifiant, nom, société ou adresse e-mail")
    autocomplete_fields = ("company",)
    inlines = (ContractInline,)
    editable = ("name", "url", "language", "manager_email", "algorithm_test", "algorithm_production")
    fixed = (
        "company",
        "site_id",
        "status",
        "status_reason",
        "status_since",
        "technical_contact",
        "rules_link",
        "keys_kept",
        "tests_done_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Shop]:
        return super().get_queryset(request).prefetch_related("company__contacts")

    def asks_proof(self, request: HttpRequest, obj: Shop | None = None) -> bool:
        """How calls are signed, and that the production key may be made, is of the keys."""
        if obj is None:
            return False
        others = (request.POST.get(name, stored) != stored for name, stored in self._signed_with(obj).items())
        return any(others) or bool(request.POST.get("tests_done_reason", "").strip() and not obj.tests_done_at)

    def _signed_with(self, shop: Shop) -> dict[str, str]:
        return {name: getattr(shop, name) for name in ("algorithm_test", "algorithm_production")}

    def get_fieldsets(self, request: HttpRequest, obj: Shop | None = None) -> Any:
        inherits = _("E-mail gestionnaire vide : l'adresse du Contact gestionnaire de la société est utilisée.")
        sets: list[Any] = [
            (None, {"fields": ["company", "site_id", *self.editable[:4]], "description": inherits}),
            (_("Signature"), {"fields": list(self.editable[4:]), "classes": ["collapse"]}),
        ]
        if obj is not None:
            panel = _("La personne à interroger après la création d'une boutique.")
            sets.insert(1, (_("Contact technique"), {"fields": ["technical_contact"], "description": panel}))
            sets.append((_("État"), {"fields": ["status", "status_reason", "status_since"]}))
            sets.append((_("Règles et clés"), {"fields": ["rules_link", "keys_kept"]}))
            tests = _("Un motif déclare la phase de test terminée : la clé de production devient disponible.")
            fields = ["tests_done_at", "tests_done_reason"]
            sets.append((_("Phase de test"), {"fields": fields, "description": tests}))
        return sets

    def get_readonly_fields(self, request: HttpRequest, obj: Shop | None = None) -> Any:
        if obj is None:
            return ()
        return (*self.fixed, "tests_done_reason") if obj.tests_done_at else self.fixed

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, str | list[str]]:
        return {"site_id": services.free_site_id(), **super().get_changeform_initial_data(request)}

    def get_inlines(self, request: HttpRequest, obj: Shop | None) -> Any:
        return self.inlines if obj else ()

    def save_model(self, request: HttpRequest, obj: Shop, form: Any, change: bool) -> None:
        actor = Actor.of(request)
        if change:
            shop = Shop.objects.select_related("company").get(pk=obj.pk)
            services.shop_update(shop=shop, actor=actor, **changed_fields(form, *self.editable))
            if reason := form.cleaned_data.get("tests_done_reason"):
                services.tests_mark_done(shop=shop, actor=actor, reason=reason)
        else:
            created = services.shop_create(actor=actor, **form.cleaned_data)
            obj.__dict__.update(created.__dict__)

    def save_inline(self, request: HttpRequest, parent: Shop, form: Any) -> None:
        actor, shop = Actor.of(request), Shop.objects.select_related("company").get(pk=parent.pk)
        values = {name: form.cleaned_data[name] for name in ContractInline.fields}
        if form.instance.pk and {"number", "network"} & set(form.changed_data):
            contract = Contract.objects.get(pk=form.instance.pk)
            services.contract_update(contract=contract, actor=actor, number=values["number"], network=values["network"])
        services.contract_save(shop=shop, actor=actor, **values)

    @admin.display(description=gettext_lazy("e-mail gestionnaire"), ordering="manager_email")
    def manager(self, shop: Shop) -> str:
        if shop.manager_email:
            return shop.manager_email
        contact = shop.company.manager_contact
        return _("%(email)s (hérité)") % {"email": contact.email if contact else "–"}

    @admin.display(description=gettext_lazy("Contact technique"))
    def technical_contact(self, shop: Shop) -> str:
        contact = shop.company.technical_contact
        if contact is None:
            return _("Aucun contact technique n'est indiqué.")
        parts = filter(None, [contact.full_name, contact.email, contact.phone])
        return format_html("{} ({})", " · ".join(parts), link_to(shop.company))

    @admin.display(description=gettext_lazy("règles de notification"))
    def rules_link(self, shop: Shop) -> str:
        total = shop.rules.filter(archived_at=None).count()
        url = f"{reverse('admin:notifications_notificationrule_changelist')}?shop__id__exact={shop.pk}"
        return format_html('<a href="{}">{}</a>', url, ngettext("%(n)d règle", "%(n)d règles", total) % {"n": total})

    @admin.display(description=gettext_lazy("clés enregistrées"))
    def keys_kept(self, shop: Shop) -> str:
        kept = [(key.get_kind_display(), audit.MASK) for key in shop.keys.defer("value")]
        return format_html('<ul class="plain">{}</ul>', format_html_join("", "<li>{} : {}</li>", kept)) if kept else "–"

    def newest_change(self, obj: Shop) -> AuditEntry | None:
        return history.newest_on(obj, "shop", "contract")

    def set_status(self, obj: Shop, *, actor: Actor, state: str, reason: str) -> object:
        return services.shop_set_status(shop=obj, actor=actor, state=state, reason=reason)


# Billing has pages of its own; importing them registers them.
from shops.billing import admin as billing_admin  # noqa: E402, F401
