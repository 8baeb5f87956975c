"""Pages of Paramétrage > Règles de notifications."""

from django.urls import path

from notifications.rules import content_views, trial_views, views, wizard_views

# Before the pages of one rule: an identifier of a shop is eight digits, so neither word is one.
urlpatterns = [
    path("settings/notification-rules/", views.rules, name="rules"),
    path("settings/notification-rules/all/", views.all_rules, name="all_rules"),
    path("settings/notification-rules/create/<str:site_id>/", wizard_views.rule_create_start, name="rule_create_start"),
    path(
        "settings/notification-rules/create/<str:site_id>/<uuid:draft>/<slug:step>/",
        wizard_views.rule_create,
        name="rule_create",
    ),
    path(
        "settings/notification-rules/<str:site_id>/tests/<uuid:run>/",
        trial_views.rule_test_result,
        name="rule_test_result",
    ),
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
    path(
        "settings/notification-rules/<str:site_id>/<slug:reference>/duplicate/",
        views.rule_duplicate,
        name="rule_duplicate",
    ),
    path("settings/notification-rules/<str:site_id>/<slug:reference>/delete/", views.rule_delete, name="rule_delete"),
]
