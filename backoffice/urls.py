"""Where everything is mounted. Paths are those of the interface description; never change one."""

from django.contrib import admin
from django.urls import include, path
from django.views.decorators.http import require_POST

from backoffice.site import guide, keyboard, search, support, views
from companies.accounts import view_as

urlpatterns = [
    path("", views.home, name="home"),
    path("language/", views.set_language, name="set_language"),
    path("companies/", views.companies, name="companies"),
    path("company/", views.switch_company, name="switch_company"),
    path("view-as/stop/", require_POST(view_as.stop_view), name="view_as_stop"),
    path("search/", search.search, name="search"),
    path("keyboard/", keyboard.shortcuts, name="keyboard"),
    path("help/", guide.section, name="help"),
    path("help/<slug:name>/", guide.section, name="help_section"),
    path("support/", support.contact, name="support"),
    path("livez", views.livez, name="livez"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", views.metrics, name="metrics"),
    path("api/", include("notifications.api.urls")),
    path("admin/", admin.site.urls),
    path("", include("backoffice.replacing.urls")),
    path("", include("companies.urls")),
    path("", include("shops.urls")),
    path("", include("notifications.urls")),
]

handler400 = "backoffice.site.views.bad_request"
handler403 = "backoffice.site.views.permission_denied"
handler404 = "backoffice.site.views.not_found"
handler429 = "backoffice.site.views.too_many_requests"
handler500 = "backoffice.site.views.server_error"
