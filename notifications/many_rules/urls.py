"""Pages that change many rules at once."""

from django.urls import path

from notifications.many_rules import views

# Before the pages of one rule: an identifier of a shop is eight digits, so the word is none.
urlpatterns = [
    path("settings/notification-rules/address/", views.rules_address, name="rules_address"),
    path("settings/notification-rules/<str:site_id>/<slug:reference>/copy/", views.rule_copy, name="rule_copy"),
]
