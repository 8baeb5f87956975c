"""Staff pages of data collection forms: the requests to go online, and the decision on each."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backoffice.base.typed import ModelForm
from backoffice.text import web_links
from companies.audit import Actor
from companies.staff.pages import ServiceAdmin, link_to
from notifications.mail.composers.base import amount_text
from shops import dataform_content as content
from shops.dataforms import selectors, services
from shops.models import DataFormVersion

APPROVE, REFUSE = "approve", "refuse"


class DecisionForm(ModelForm):
    """« Décision » on a request; a refusal needs its reason, which the merchant reads."""

    decision = forms.ChoiceField(
        label=gettext_lazy("Décision"),
        choices=[(APPROVE, gettext_lazy("Mettre en ligne")), (REFUSE, gettext_lazy("Refuser"))],
        widget=forms.RadioSelect,
        error_messages={"required": gettext_lazy("Choisissez : mettre en ligne, ou refuser.")},
    )

    class Meta:
        model = DataFormVersion
        fields = ("reason",)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("decision") == REFUSE and not cleaned.get("reason", "").strip():
            self.add_error(
                "reason",
                ValidationError(_("Indiquez au marchand pourquoi la mise en ligne est refusée.")),
            )
        return cleaned


@admin.register(DataFormVersion)
class DataFormVersionAdmin(ServiceAdmin):
    list_display = ("shop", "company", "number", "state", "asked_at", "asked_by", "decided_by")
    company_path = "form__shop__company"
    list_filter = ("state",)
    list_select_related = ("form__shop__company",)
    search_fields = ("form__shop__site_id", "form__shop__name", "form__shop__company__name", "asked_by")
    search_help_text = gettext_lazy("Identifiant ou nom de boutique, société, demandeur")
    date_hierarchy = "asked_at"
    shown = ("shop_link", "number", "state", "asked_at", "asked_by", "summary", "preview", "who")
    decided = ("decided_at", "decided_by", "reason", "live_at", "ended_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        waits = obj is None or obj.state == DataFormVersion.State.REQUESTED
        return waits and super().has_change_permission(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[DataFormVersion]:
        return super().get_queryset(request).select_related("form__shop__company")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None and self.has_change_permission(request, obj):
            kwargs["form"] = DecisionForm
        return super().get_form(request, obj, change, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None and self.has_change_permission(request, obj):
            return self.shown
        return (*self.shown, *self.decided)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        about = (None, {"fields": self.shown})
        if obj is not None and self.has_change_permission(request, obj):
            told = _(
                "Mettre en ligne prévient le Contact gestionnaire par e-mail, et la boutique publiera seule ensuite. Un "
                "refus se lit, avec son motif, sur la page du formulaire."
            )
            return [about, (_("Décision"), {"fields": ["decision", "reason"], "description": told})]
        return [about, (_("Décision"), {"fields": self.decided})]

    def history_objects(self, obj: DataFormVersion) -> list[tuple[str, Any]]:
        return [("datacollectionform", obj.form_id)]

    def save_model(self, request: HttpRequest, obj: DataFormVersion, form: Any, change: bool) -> None:
        version = DataFormVersion.objects.get(pk=obj.pk)
        actor = Actor.of(request)
        if form.cleaned_data["decision"] == APPROVE:
            services.request_approve(version=version, actor=actor)
            messages.success(request, _("Le formulaire est en ligne ; le Contact gestionnaire en est prévenu."))
        else:
            services.request_refuse(version=version, actor=actor, reason=form.cleaned_data["reason"])
            messages.success(request, _("La demande est refusée ; le marchand en lit le motif."))

    @admin.display(description=gettext_lazy("boutique"), ordering="form__shop__site_id")
    def shop(self, version: DataFormVersion) -> str:
        return str(version.form.shop)

    @admin.display(description=gettext_lazy("société"), ordering="form__shop__company__name")
    def company(self, version: DataFormVersion) -> str:
        return str(version.form.shop.company.name)

    @admin.display(description=gettext_lazy("boutique"))
    def shop_link(self, version: DataFormVersion) -> str:
        return link_to(version.form.shop)

    @admin.display(description=gettext_lazy("formulaire"))
    def summary(self, version: DataFormVersion) -> str:
        shape = selectors.content_of(version)
        lines = [(item.title, _("obligatoire") if item.required else _("facultatif")) for item in shape.shown]
        amount = shape.amount
        asked = (
            amount_text(amount.fixed, shape.currency)
            if amount.fixed
            else _("libre, en %(currency)s") % {"currency": shape.currency}
        )
        return format_html(
            '<p><strong>{}</strong></p><ul class="plain">{}</ul><p>{}</p><p>{}</p>',
            content.in_language(shape.title),
            format_html_join("", "<li>{} ({})</li>", lines),
            _("Montant : %(amount)s") % {"amount": asked},
            _("Politique de protection des données : %(url)s") % {"url": web_links.for_display(shape.privacy_url)},
        )

    @admin.display(description=gettext_lazy("aperçu"))
    def preview(self, version: DataFormVersion) -> str:
        url = reverse("data_form_preview", args=[selectors.preview_token(version.form, version)])
        return format_html('<a href="{}" target="_blank">{}</a>', url, _("Voir comme l'acheteur"))

    @admin.display(description=gettext_lazy("qui sera prévenu"))
    def who(self, version: DataFormVersion) -> str:
        contact = version.form.shop.company.manager_contact
        return f"{contact.full_name} ({contact.email})" if contact else "–"
