"""Pages that answer why, and how well everything is covered."""

from django.urls import path

from notifications.answers import coverage_views, public_views, views

_OF_COMPANY = "notifications/coverage/company/<slug:notification>"
_OF_SHOP = "notifications/coverage/<str:site_id>/<slug:notification>"

urlpatterns = [
    path("notifications/why/", views.why, name="why"),
    path("notifications/coverage/", coverage_views.overview, name="coverage"),
    path("notifications/coverage/remarks/<int:key>/close/", coverage_views.remark_close, name="remark_close"),
    path(f"{_OF_COMPANY}/accept/", coverage_views.gap_accept, name="gap_accept"),
    path(f"{_OF_COMPANY}/reopen/", coverage_views.gap_reopen, name="gap_reopen"),
    path(f"{_OF_SHOP}/accept/", coverage_views.gap_accept_shop, name="gap_accept_shop"),
    path(f"{_OF_SHOP}/reopen/", coverage_views.gap_reopen_shop, name="gap_reopen_shop"),
    path("why/<str:token>/", public_views.why_this_mail, name="why_this_mail"),
]
