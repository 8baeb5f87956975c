"""Pages of Paramétrage > Règles de notifications."""

from django.urls import path

from . import content_views
from . import rule_views as views

urlpatterns = [
    path("settings/notification-rules/", views.rules, name="rules"),
    path("settings/notification-rules/<str:site_id>/<slug:reference>/", views.rule, name="rule"),
    path("settings/notification-rules/<str:site_id>/<slug:reference>/switch/", views.rule_switch, name="rule_switch"),
    path(
        "settings/notification-rules/<str:site_id>/<slug:reference>/content/",
        content_views.rule_content,
        name="rule_content",
    ),
    path(
        "settings/notification-rules/<str:site_id>/<slug:reference>/content/preview/",
        content_views.rule_content_preview,
        name="rule_content_preview",
    ),
    path(
        "settings/notification-rules/<str:site_id>/<slug:reference>/content/restore/",
        content_views.rule_content_restore,
        name="rule_content_restore",
    ),
]
