"""Staff pages of rules, events, deliveries and API tokens. Proof is read-only."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from backoffice.admin import ReadOnlyAdmin, ReadOnlyInline, ServiceAdmin, link_to, pretty_json
from companies.audit import Actor

from . import addresses, catalogue, services, tokens
from .models import ApiToken, Attempt, Delivery, Event, NotificationRule
from .url_rules import check_url

RULE_KEY = ("shop", "reference")


class RuleForm(forms.ModelForm):
    """A rule, judged by the same checks as provisioning and the merchant's screens."""

    triggers = forms.MultipleChoiceField(
        label=gettext_lazy("événements déclencheurs"),
        choices=[(trigger.code, trigger.label) for trigger in catalogue.TRIGGERS],
        widget=forms.CheckboxSelectMultiple,
    )
    recipients = forms.CharField(
        label=gettext_lazy("destinataires"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "cols": 80}),
        initial=catalogue.SHOP_MANAGER_SYMBOL,
        help_text=gettext_lazy(
            "@shop_manager pour le gestionnaire de la boutique, ou des adresses séparées par « ; »."
        ),
    )

    class Meta:
        model = NotificationRule
        fields = (*RULE_KEY, *services.RULE_FIELDS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["recipients"] = addresses.join(self.instance.recipients)

    def clean_recipients(self) -> list[str]:
        return addresses.split(self.cleaned_data["recipients"])

    def clean_conditions(self) -> list[Any]:
        conditions = self.cleaned_data["conditions"] or []
        if not isinstance(conditions, list):
            raise ValidationError(_("Une liste de conditions est attendue."))
        found = [message for condition in conditions if (message := services.condition_error(condition))]
        if found:
            raise ValidationError(found)
        return conditions

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "type" in cleaned and "recipients" in cleaned:
            try:
                cleaned["recipients"] = services.check_recipients(cleaned["type"], cleaned["recipients"])
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
    form = RuleForm
    list_display = ("display_label", "reference", "shop", "type", "enabled", "recipients_text", "version")
    list_filter = (ArchivedFilter, "type", "enabled", "reference")
    list_select_related = ("shop",)
    search_fields = ("reference", "label", "shop__site_id", "shop__name", "shop__company__name")
    autocomplete_fields = ("shop",)
    actions = ("archive",)
    fieldsets = (
        (None, {"fields": ("shop", "reference", "type", "label", "enabled")}),
        (gettext_lazy("Quand"), {"fields": ("triggers", "conditions")}),
        (gettext_lazy("À qui"), {"fields": ("recipients",)}),
        (
            gettext_lazy("URL à appeler"),
            {"fields": (*NotificationRule.URL_FIELDS, "http_confirmed", "auto_retry", "profile")},
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: NotificationRule | None = None) -> Any:
        return RULE_KEY if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: NotificationRule | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.archived_at is None)

    def save_model(self, request: HttpRequest, obj: NotificationRule, form: Any, change: bool) -> None:
        actor = Actor.of(request)
        fields = {name: form.cleaned_data[name] for name in services.RULE_FIELDS if name in form.cleaned_data}
        if change:
            rule = NotificationRule.objects.select_related("shop__company").get(pk=obj.pk)
            services.rule_update(rule=rule, actor=actor, **fields)
        else:
            shop, reference = form.cleaned_data["shop"], form.cleaned_data["reference"]
            created = services.rule_create(shop=shop, actor=actor, reference=reference, **fields)
            obj.__dict__.update(created.__dict__)

    @admin.display(description=gettext_lazy("destinataires"))
    def recipients_text(self, rule: NotificationRule) -> str:
        return addresses.join(rule.recipients) or _("personne")

    @admin.action(description=gettext_lazy("Archiver les règles choisies"), permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[NotificationRule]) -> None:
        rules = list(queryset.filter(archived_at=None).select_related("shop__company"))
        for rule in rules:
            services.rule_archive(rule=rule, actor=Actor.of(request))
        n = len(rules)
        messages.success(request, ngettext("%(n)d règle archivée.", "%(n)d règles archivées.", n) % {"n": n})


# --- Proof ----------------------------------------------------------------------------------------


class DeliveryInline(ReadOnlyInline):
    model = Delivery
    fk_name = "event"
    fields = ("notification", "address", "as_field", "channel", "status", "attempt_count", "sent_at", "error")
    readonly_fields = fields


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("event_id", "type", "mode", "company", "shop", "occurred_at", "accepted_at", "external")
    list_filter = ("type", "mode", "external")
    list_select_related = ("company", "shop")
    date_hierarchy = "accepted_at"
    search_fields = ("event_id", "type", "company__name", "company__reference", "shop__site_id")
    fields = (
        "event_id",
        "type",
        "mode",
        "company_link",
        "shop_link",
        "occurred_at",
        "accepted_at",
        "external",
        "content",
    )
    readonly_fields = ("company_link", "shop_link", "content")
    inlines = (DeliveryInline,)

    @admin.display(description=gettext_lazy("société"))
    def company_link(self, event: Event) -> str:
        return link_to(event.company)

    @admin.display(description=gettext_lazy("boutique"))
    def shop_link(self, event: Event) -> str:
        return link_to(event.shop)

    @admin.display(description=gettext_lazy("données"))
    def content(self, event: Event) -> str:
        return pretty_json(event.data)


class AttemptInline(ReadOnlyInline):
    model = Attempt
    fields = ("number", "started_at", "duration_ms", "outcome", "code", "reply", "queue_id")
    readonly_fields = fields
    show_change_link = False


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at",
        "status",
        "notification",
        "address",
        "as_field",
        "company",
        "shop",
        "mode",
        "attempt_count",
    )
    list_filter = ("status", "notification", "channel", "mode", "is_test")
    list_select_related = ("company", "shop")
    date_hierarchy = "created_at"
    search_fields = ("address", "normalised_address", "event__event_id", "company__name", "shop__site_id")
    search_help_text = gettext_lazy("Adresse, identifiant d'événement, société ou identifiant boutique")
    inlines = (AttemptInline,)
    actions = ("requeue", "cancel", "resend")
    fieldsets = (
        (None, {"fields": ("id", "status", "error", "notification", "subject", "event_link", "mode", "channel")}),
        (
            gettext_lazy("À qui et pourquoi"),
            {"fields": ("address", "as_field", "why", "rule_link", "resolution_shown")},
        ),
        (gettext_lazy("Quand"), {"fields": ("created_at", "sent_at", "retry_at", "attempt_count")}),
        (gettext_lazy("Où"), {"fields": ("company_link", "shop_link", "account", "original")}),
    )
    readonly_fields = (
        "id", "subject", "event_link", "why", "rule_link", "resolution_shown", "company_link", "shop_link", "original"
    )  # fmt: skip

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Actions do not edit the proof; they need the right to change deliveries all the same."""
        return request.user.has_perm("notifications.change_delivery")

    @admin.display(description=gettext_lazy("objet"))
    def subject(self, delivery: Delivery) -> str:
        return delivery.message.subject if delivery.message else "–"

    @admin.display(description=gettext_lazy("événement"))
    def event_link(self, delivery: Delivery) -> str:
        return link_to(delivery.event)

    @admin.display(description=gettext_lazy("raison"))
    def why(self, delivery: Delivery) -> str:
        return delivery.reason or "–"

    @admin.display(description=gettext_lazy("règle"))
    def rule_link(self, delivery: Delivery) -> str:
        return link_to(delivery.rule)

    @admin.display(description=gettext_lazy("résolution"))
    def resolution_shown(self, delivery: Delivery) -> str:
        return pretty_json(delivery.resolution)

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
        done = [services.delivery_requeue(delivery=row, actor=Actor.of(request)) for row in queryset]
        self._tell(request, done.count(True), done.count(False))

    @admin.action(description=gettext_lazy("Annuler les envois en attente"), permissions=["act"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        done = [services.delivery_cancel(delivery=row, actor=Actor.of(request)) for row in queryset]
        self._tell(request, done.count(True), done.count(False))

    @admin.action(description=gettext_lazy("Renvoyer aux mêmes destinataires"), permissions=["act"])
    def resend(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        done = refused = 0
        for row in queryset:
            try:
                services.delivery_resend(delivery=row, actor=Actor.of(request))
                done += 1
            except ValidationError:
                refused += 1
        self._tell(request, done, refused)


class ApiTokenForm(forms.ModelForm):
    """A new token; without a company it speaks for the whole platform."""

    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Portée"),
        choices=ApiToken.Scope.choices,
        initial=ApiToken.Scope.values,
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = ApiToken
        fields = ("name", "company", "expires_at")


@admin.register(ApiToken)
class ApiTokenAdmin(ServiceAdmin):
    list_display = ("name", "prefix", "speaks_for", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("company",)
    search_fields = ("name", "prefix", "company__name", "company__reference")
    autocomplete_fields = ("company",)
    actions = ("revoke",)

    def get_form(self, request: HttpRequest, obj: ApiToken | None = None, change: bool = False, **kwargs: Any) -> Any:
        # Nothing of an existing token can be typed.
        own = {} if change else {"form": ApiTokenForm}
        return super().get_form(request, obj, change, **own, **kwargs)

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        if obj is None:
            return ("name", "company", "scopes", "expires_at")
        return (
            "name", "company", "what_it_opens", "prefix", "created_by", "created_at", "expires_at", "last_used_at",
            "last_used_ip", "replaced_at", "revoked_at",
        )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        return self.get_fields(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        if change:
            return
        token, text = tokens.token_create(actor=Actor.of(request), **form.cleaned_data)
        obj.__dict__.update(token.__dict__)
        shown = format_html("{} <code>{}</code>", _("Copiez ce jeton maintenant, il ne sera plus affiché :"), text)
        messages.warning(request, shown)

    @admin.display(description=gettext_lazy("parle pour"))
    def speaks_for(self, token: ApiToken) -> str:
        return str(token.company or _("toute la plateforme"))

    @admin.display(description=gettext_lazy("portée"))
    def what_it_opens(self, token: ApiToken) -> str:
        return ", ".join(token.scope_labels)

    @admin.action(description=gettext_lazy("Révoquer les jetons choisis"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        n = sum(
            tokens.token_revoke(token=token, actor=Actor.of(request)) for token in queryset.select_related("company")
        )
        messages.success(request, ngettext("%(n)d jeton révoqué.", "%(n)d jetons révoqués.", n) % {"n": n})


# Letters and incidents have a module of their own; importing it registers them.
from . import broadcast_admin  # noqa: E402, F401
