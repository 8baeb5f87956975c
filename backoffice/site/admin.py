"""The staff site: one log-in for all, and its pages beside the models."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _

from backoffice.desk import views as desk_views
from backoffice.desk import work as desk_work
from companies.staff.filters import check_choice_request


class StaffAdminSite(admin.AdminSite):
    site_header = _("Back Office Marchand · équipe")
    site_title = _("Back Office Marchand")
    index_title = _("Administration de la plateforme")
    site_url = "/"
    # The lists need the width.
    enable_nav_sidebar = False

    def get_urls(self) -> list[Any]:
        from notifications.privacy import support_admin
        from notifications.sending import atelier
        from notifications.sending import pages as sending_pages

        own = [
            path("search/", self.admin_view(desk_views.search), name="search"),
            path("support/addresses/", self.admin_view(support_admin.addresses), name="support_addresses"),
            path("support/export/", self.admin_view(support_admin.export), name="support_export"),
            path("support/erase/", self.admin_view(support_admin.erase), name="support_erase"),
            path("atelier/", self.admin_view(atelier.mails), name="atelier"),
            path("atelier/<str:key>/", self.admin_view(atelier.mail), name="atelier_mail"),
            path("atelier/<str:key>/html/", self.admin_view(atelier.html), name="atelier_html"),
            path("atelier/<str:key>/send/", self.admin_view(atelier.send), name="atelier_send"),
            path("sending/", self.admin_view(sending_pages.sending), name="sending"),
            path("sending/limits/", self.admin_view(sending_pages.limit), name="sending_limit"),
            path("sending/limits/<int:key>/end/", self.admin_view(sending_pages.unlimit), name="sending_unlimit"),
            path("sending/<int:key>/resume/", self.admin_view(sending_pages.resume), name="sending_resume"),
        ]
        return [*own, *super().get_urls()]

    def autocomplete_view(self, request: HttpRequest) -> HttpResponse:
        check_choice_request(request)
        return super().autocomplete_view(request)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        from notifications.outbox import waits as mail_waits

        context = {"mail_waits": mail_waits.of_platform(), "work": desk_work.to_do(request)}
        return super().index(request, {**context, **(extra_context or {})})

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
