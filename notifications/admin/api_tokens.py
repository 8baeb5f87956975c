"""Staff pages of API tokens."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from backoffice.base.typed import ModelForm
from companies.audit import Actor
from companies.staff.pages import ServiceAdmin
from notifications import tokens
from notifications.models import ApiToken

RULE_KEY = ("shop", "reference")


class ApiTokenForm(ModelForm):
    """A new token; without a company it speaks for the whole platform."""

    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Portée"),
        choices=ApiToken.Scope.choices,
        # The one that gives rights is asked for, never left ticked.
        initial=[code for code in ApiToken.Scope.values if code != ApiToken.Scope.SETTINGS_WRITE],
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = ApiToken
        fields = ("name", "company", "expires_at")


class TokenStateFilter(admin.SimpleListFilter):
    """By the state that the pages of merchants show."""

    title = gettext_lazy("état")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return ApiToken.State.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> QuerySet[ApiToken]:
        return tokens.in_state(queryset, str(self.value())) if self.value() in ApiToken.State.values else queryset


@admin.register(ApiToken)
class ApiTokenAdmin(ServiceAdmin):
    proven = True
    # As for merchants: a leak must be stopped in seconds.
    unproven_actions = frozenset({"revoke"})
    list_display = ("name", "prefix", "speaks_for", "created_at", "expires_at", "last_used_at", "revoked_at")
    company_path = "company"
    list_filter = (TokenStateFilter,)
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
