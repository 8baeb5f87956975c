"""Staff pages of notification rules."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from backoffice.base import limits
from backoffice.base.fields import StrictJSONField, tell_of_names
from backoffice.base.typed import ModelForm
from backoffice.text import addresses
from companies import audit
from companies.audit import Actor
from companies.staff.pages import ServiceAdmin
from notifications.calls import credentials as call_credentials
from notifications.calls.url_rules import check_url
from notifications.core import catalogue
from notifications.core.catalogue import SHOP_MANAGER_SYMBOL
from notifications.models import NotificationRule
from notifications.rules import services as rule_services

RULE_KEY = ("shop", "reference")


RULE_KEY = ("shop", "reference")


class RuleAdminForm(ModelForm):
    """A rule, judged by the same checks as provisioning and the merchant's screens."""

    triggers = forms.MultipleChoiceField(
        label=gettext_lazy("événements déclencheurs"),
        choices=[(trigger.code, trigger.label) for trigger in catalogue.TRIGGERS],
        widget=forms.CheckboxSelectMultiple,
    )
    recipients = forms.CharField(
        label=gettext_lazy("destinataires"),
        required=False,
        validators=[MaxLengthValidator(limits.LONGEST_LIST)],
        widget=forms.Textarea(attrs={"rows": 2, "cols": 80}),
        initial=catalogue.SHOP_MANAGER_SYMBOL,
        help_text=gettext_lazy(
            "@shop_manager pour le gestionnaire de la boutique, ou des adresses séparées par « ; »."
        ),
    )

    class Meta:
        model = NotificationRule
        fields = (*RULE_KEY, *rule_services.RULE_FIELDS)
        field_classes = dict.fromkeys(("conditions", "email_texts", "email_fields"), StrictJSONField)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["recipients"] = addresses.join(self.instance.recipients)

    def clean_recipients(self) -> list[str]:
        recipients, names = addresses.named(self.cleaned_data["recipients"])
        # One more for the symbol.
        if len(recipients) > limits.MAX_ADDRESSES + 1:
            raise ValidationError(limits.too_many(len(recipients)))
        tell_of_names(names)
        return recipients

    def clean_conditions(self) -> list[Any]:
        conditions = self.cleaned_data["conditions"] or []
        if not isinstance(conditions, list):
            raise ValidationError(_("Une liste de conditions est attendue."))
        if errors := rule_services.condition_errors(conditions):
            raise ValidationError(errors)
        return conditions

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "type" in cleaned and "recipients" in cleaned:
            try:
                cleaned["recipients"] = rule_services.check_recipients(cleaned["type"], cleaned["recipients"])
            except ValidationError as error:
                self.add_error("recipients", error)
        for name in NotificationRule.URL_FIELDS:
            if cleaned.get(name):
                try:
                    cleaned[name] = check_url(
                        cleaned[name],
                        production=name in NotificationRule.PRODUCTION_URL_FIELDS,
                        http_confirmed=bool(cleaned.get("http_confirmed")),
                    )
                except ValidationError as error:
                    self.add_error(name, error)
        return cleaned


class ArchivedFilter(admin.SimpleListFilter):
    title = gettext_lazy("archivage")
    parameter_name = "archived"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", _("archivées")), ("all", _("toutes"))]

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            yield choice if choice["query_string"] != "?" else {**choice, "display": _("en service")}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "all":
            return queryset
        return queryset.filter(archived_at__isnull=self.value() != "yes")


@admin.register(NotificationRule)
class NotificationRuleAdmin(ServiceAdmin):
    form = RuleAdminForm
    list_display = ("shown_label", "reference", "shop", "type", "enabled", "recipients_text")
    list_filter = (ArchivedFilter, "type", "enabled", "reference")
    company_path = "shop__company"
    also_filtered = ("shop__id__exact",)
    list_select_related = ("shop",)
    search_fields = ("reference", "label", "shop__site_id", "shop__name", "shop__company__name")
    autocomplete_fields = ("shop",)
    actions = ("archive",)
    fieldsets = (
        (None, {"fields": ("shop", "reference", "type", "label", "enabled")}),
        (gettext_lazy("Quand"), {"fields": ("triggers", "conditions")}),
        (gettext_lazy("À qui"), {"fields": ("recipients", "digest")}),
        (
            gettext_lazy("URL à appeler"),
            {"fields": (*NotificationRule.URL_FIELDS, "http_confirmed", "protected", "auto_retry", "profile")},
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: NotificationRule | None = None) -> Any:
        return (*RULE_KEY, "protected") if obj else ("protected",)

    def has_change_permission(self, request: HttpRequest, obj: NotificationRule | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.archived_at is None)

    def save_model(self, request: HttpRequest, obj: NotificationRule, form: Any, change: bool) -> None:
        actor = Actor.of(request)
        fields = {name: form.cleaned_data[name] for name in rule_services.RULE_FIELDS if name in form.cleaned_data}
        if change:
            rule = NotificationRule.objects.select_related("shop__company").get(pk=obj.pk)
            rule_services.rule_update(rule=rule, actor=actor, **fields)
        else:
            shop, reference = form.cleaned_data["shop"], form.cleaned_data["reference"]
            created = rule_services.rule_create(shop=shop, actor=actor, reference=reference, **fields)
            obj.__dict__.update(created.__dict__)

    @admin.display(description=gettext_lazy("libellé de la règle"), ordering="label")
    def shown_label(self, rule: NotificationRule) -> str:
        return rule.display_label

    @admin.display(description=gettext_lazy("accès protégé"))
    def protected(self, rule: NotificationRule) -> str:
        modes = sorted(call_credentials.kept_modes(rule), reverse=True)
        return ", ".join(f"{mode} : {audit.MASK}" for mode in modes) or "–"

    @admin.display(description=gettext_lazy("destinataires"))
    def recipients_text(self, rule: NotificationRule) -> str:
        named = [_("E-mail gestionnaire") if item == SHOP_MANAGER_SYMBOL else item for item in rule.recipients]
        return addresses.join(named) or _("personne")

    @admin.action(description=gettext_lazy("Archiver les règles choisies"), permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[NotificationRule]) -> None:
        rules = list(queryset.filter(archived_at=None).select_related("shop__company"))
        for rule in rules:
            rule_services.rule_archive(rule=rule, actor=Actor.of(request))
        n = len(rules)
        messages.success(request, ngettext("%(n)d règle archivée.", "%(n)d règles archivées.", n) % {"n": n})
