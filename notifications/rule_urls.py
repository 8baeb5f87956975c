"""Pages of Paramétrage > Règles de notifications."""

from django.urls import path

from . import rule_views as views

urlpatterns = [
    path("settings/notification-rules/", views.rules, name="rules"),
    path("settings/notification-rules/<str:site_id>/<slug:reference>/", views.rule, name="rule"),
    path("settings/notification-rules/<str:site_id>/<slug:reference>/switch/", views.rule_switch, name="rule_switch"),
]
