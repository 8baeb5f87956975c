"""The staff site: branded, and behind the common log-in."""

import json
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _


class StaffAdminSite(admin.AdminSite):
    site_header = _("Back Office Marchand · équipe")
    site_title = _("Back Office Marchand")
    index_title = _("Administration de la plateforme")
    site_url = "/"
    # The lists need the width.
    enable_nav_sidebar = False

    def get_urls(self) -> list[Any]:
        from notifications import support_admin

        own = [
            path("support/addresses/", self.admin_view(support_admin.addresses), name="support_addresses"),
            path("support/export/", self.admin_view(support_admin.export), name="support_export"),
            path("support/erase/", self.admin_view(support_admin.erase), name="support_erase"),
        ]
        return [*own, *super().get_urls()]

    def password_change(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One page for everyone, which audits the change."""
        return redirect("account_change_password")

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send to the common log-in; a merchant's user who is already in is refused."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied
        return redirect_to_login(request.GET.get("next", reverse("admin:index")), reverse("account_login"))


class ServiceAdmin(admin.ModelAdmin):
    """A page whose writes go through services: audited, announced, never a bare `save()`.

    Subclasses write in `save_model` and `save_inline`. What a service refuses although the form
    let it pass rolls the whole request back and is told at the top of the page.
    """

    list_per_page = 50
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except ValidationError as error:
            for message in error.messages:
                messages.error(request, message)
            return HttpResponseRedirect(request.get_full_path())

    def save_inline(self, request: HttpRequest, parent: Any, form: Any) -> None:
        """Write one changed row of an inline."""
        raise NotImplementedError

    def delete_inline(self, request: HttpRequest, parent: Any, obj: Any) -> None:
        """Remove one row of an inline."""
        raise NotImplementedError

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        # Fills the lists that the framework's own log reads; writes nothing.
        formset.save(commit=False)
        for obj in formset.deleted_objects:
            self.delete_inline(request, form.instance, obj)
        for row in formset.forms:
            if row.has_changed() and row not in formset.deleted_forms:
                self.save_inline(request, form.instance, row)


class ReadOnlyAdmin(ServiceAdmin):
    """Proof that nobody edits."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyInline(admin.TabularInline):
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def changed_fields(form: Any, *names: str) -> dict[str, Any]:
    """The cleaned values of the fields that the person changed, among `names` if given."""
    return {name: form.cleaned_data[name] for name in form.changed_data if not names or name in names}


def pretty_json(value: Any) -> SafeString:
    return format_html("<pre>{}</pre>", json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True))


def link_to(obj: Any, label: object = None) -> SafeString | str:
    """A link to the admin page of an object; a dash for None."""
    if obj is None:
        return "–"
    name = f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change"
    return format_html('<a href="{}">{}</a>', reverse(name, args=[obj.pk]), label or obj)
