"""Where everything is mounted. Paths are those of the interface description; never change one."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import include, path
from django.views.decorators.http import require_POST

from . import view_as, views

urlpatterns = [
    path("", views.home, name="home"),
    path("language/", views.set_language, name="set_language"),
    path("companies/", views.companies, name="companies"),
    path("company/", views.switch_company, name="switch_company"),
    path("view-as/stop/", require_POST(view_as.stop_view), name="view_as_stop"),
    path("livez", views.livez, name="livez"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", views.metrics, name="metrics"),
    path("api/", include("notifications.api")),
    path("admin/", admin.site.urls),
    path("", include("companies.urls")),
]
urlpatterns += [path("", include(name)) for name in ("shops.urls", "notifications.urls") if find_spec(name)]

handler400 = "backoffice.views.bad_request"
handler403 = "backoffice.views.permission_denied"
handler404 = "backoffice.views.not_found"
handler429 = "backoffice.views.too_many_requests"
handler500 = "backoffice.views.server_error"
