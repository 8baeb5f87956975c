"""Staff pages of SFTP accounts. Writes go through the services."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy, ngettext

from companies.audit import Actor
from companies.models import SftpAccount
from companies.staff.pages import ServiceAdmin, changed_fields
from companies.team import services as team_services


@admin.register(SftpAccount)
class SftpAccountAdmin(ServiceAdmin):
    proven = True
    list_display = ("login", "email", "company", "is_active", "created_at")
    company_path = "company"
    list_filter = ("is_active",)
    list_select_related = ("company",)
    search_fields = ("login", "email", "company__name", "company__reference")
    autocomplete_fields = ("company",)
    fields = ("company", "login", "email", "language", "is_active")
    actions = ("reset_password",)

    def get_readonly_fields(self, request: HttpRequest, obj: SftpAccount | None = None) -> Any:
        return ("company",) if obj else ()

    def save_model(self, request: HttpRequest, obj: SftpAccount, form: Any, change: bool) -> None:
        actor = Actor.of(request)
        if change:
            account = SftpAccount.objects.select_related("company").get(pk=obj.pk)
            team_services.sftp_account_update(account=account, actor=actor, **changed_fields(form))
        else:
            created = team_services.sftp_account_create(actor=actor, **form.cleaned_data)
            obj.__dict__.update(created.__dict__)

    @admin.action(
        description=gettext_lazy("Générer un nouveau mot de passe et envoyer le lien"), permissions=["change"]
    )
    def reset_password(self, request: HttpRequest, queryset: QuerySet[SftpAccount]) -> None:
        accounts = list(queryset.filter(is_active=True).select_related("company"))
        for account in accounts:
            team_services.sftp_password_reset(account=account, actor=Actor.of(request))
        n = len(accounts)
        messages.success(request, ngettext("%(n)d lien envoyé.", "%(n)d liens envoyés.", n) % {"n": n})
