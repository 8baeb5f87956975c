"""Pages of the Notifications menu. Paths are those of the interface description."""

from django.urls import path

from . import call_views, consistency_views, public_views, token_views, views

urlpatterns = [
    path("notifications/addresses/", views.addresses, name="addresses"),
    path("notifications/by-notification/", views.by_notification, name="by_notification"),
    path("notifications/journal/", views.journal, name="journal"),
    path("notifications/journal/replay/", call_views.calls_replay, name="calls_replay"),
    path("notifications/replays/<uuid:run>/", call_views.replay_run, name="replay_run"),
    path("notifications/replays/<uuid:run>/stop/", call_views.replay_stop, name="replay_stop"),
    path("notifications/journal/<uuid:key>/", views.delivery, name="delivery"),
    path("notifications/journal/<uuid:key>/replay/", call_views.call_replay, name="call_replay"),
    path("notifications/journal/<uuid:key>/html/", views.delivery_html, name="delivery_html"),
    path(
        "notifications/journal/<uuid:key>/attachments/<int:number>/",
        views.delivery_attachment,
        name="delivery_attachment",
    ),
    path("notifications/journal/<uuid:key>/resend/", views.delivery_resend, name="delivery_resend"),
    path("status/", public_views.status, name="status"),
    path("status/feed/", public_views.feed, name="status_feed"),
    path("newsletter/unsubscribe/<str:token>/", public_views.unsubscribe, name="newsletter_unsubscribe"),
    path("notifications/journal/<uuid:key>/cancel/", views.delivery_cancel, name="delivery_cancel"),
    path("settings/company/api-tokens/", token_views.listing, name="api_tokens"),
    path("settings/company/api-tokens/new/", token_views.create, name="api_token_new"),
    path("settings/company/api-tokens/<int:key>/", token_views.detail, name="api_token"),
    path("settings/company/api-tokens/<int:key>/replace/", token_views.replace, name="api_token_replace"),
    path("settings/company/api-tokens/<int:key>/revoke/", token_views.revoke, name="api_token_revoke"),
    path("reports/consistency/", consistency_views.report, name="consistency_report"),
    path("reports/consistency/run/", consistency_views.run, name="consistency_run"),
]
