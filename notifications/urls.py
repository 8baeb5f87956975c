"""Pages of the Notifications menu. Paths are those of the interface description."""

from django.urls import include, path

from notifications.api import token_views
from notifications.broadcasts import public_views
from notifications.consistency import views as consistency_views
from notifications.journal import call_views, many_views
from notifications.journal import views as journal_views
from notifications.sending import relay_pages
from notifications.tables import compare_views
from notifications.tables import sending_map as map_views
from notifications.tables import views as table_views

urlpatterns = [
    path("", include("notifications.answers.urls")),
    path("", include("notifications.health.urls")),
    path("", include("notifications.many_rules.urls")),
    path("notifications/addresses/", table_views.addresses, name="addresses"),
    path("notifications/compare/", compare_views.compare, name="compare"),
    path("notifications/addresses/map/", map_views.sending_map, name="sending_map"),
    path("notifications/by-notification/", table_views.by_notification, name="by_notification"),
    path("notifications/journal/", journal_views.journal, name="journal"),
    path("notifications/journal/replay/", call_views.calls_replay, name="calls_replay"),
    path("notifications/journal/many/", many_views.journal_many, name="journal_many"),
    path("notifications/journal/filters/", many_views.filter_save, name="journal_filter_save"),
    path("notifications/journal/filters/<int:key>/delete/", many_views.filter_delete, name="journal_filter_delete"),
    path("notifications/replays/<uuid:run>/", call_views.replay_run, name="replay_run"),
    path("notifications/replays/<uuid:run>/stop/", call_views.replay_stop, name="replay_stop"),
    path("notifications/journal/<uuid:key>/", journal_views.delivery, name="delivery"),
    path("notifications/journal/<uuid:key>/replay/", call_views.call_replay, name="call_replay"),
    path("notifications/journal/<uuid:key>/html/", journal_views.delivery_html, name="delivery_html"),
    path(
        "notifications/journal/<uuid:key>/attachments/<int:number>/",
        journal_views.delivery_attachment,
        name="delivery_attachment",
    ),
    path("notifications/journal/<uuid:key>/resend/", journal_views.delivery_resend, name="delivery_resend"),
    path("status/", public_views.status, name="status"),
    path("status/feed/", public_views.feed, name="status_feed"),
    path("newsletter/unsubscribe/<str:token>/", public_views.unsubscribe, name="newsletter_unsubscribe"),
    path("notifications/journal/<uuid:key>/cancel/", journal_views.delivery_cancel, name="delivery_cancel"),
    path("settings/company/api-tokens/", token_views.listing, name="api_tokens"),
    path("settings/company/api-tokens/new/", token_views.create, name="api_token_new"),
    path("settings/company/api-tokens/<int:key>/", token_views.detail, name="api_token"),
    path("settings/company/api-tokens/<int:key>/replace/", token_views.replace, name="api_token_replace"),
    path("settings/company/api-tokens/<int:key>/revoke/", token_views.revoke, name="api_token_revoke"),
    path("settings/company/mail-server/", relay_pages.relay, name="company_relay"),
    path("settings/company/mail-server/edit/", relay_pages.relay_edit, name="company_relay_edit"),
    path("settings/company/mail-server/remove/", relay_pages.relay_remove, name="company_relay_remove"),
    path("reports/consistency/", consistency_views.report, name="consistency_report"),
    path("reports/consistency/run/", consistency_views.run, name="consistency_run"),
]
