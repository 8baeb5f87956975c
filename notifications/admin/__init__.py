"""Staff pages of rules, events, deliveries, addresses and API tokens, one module a subject.

May import every room of its app.
"""

from notifications.admin.addresses import AddressHealthAdmin
from notifications.admin.api_tokens import ApiTokenAdmin
from notifications.admin.deliveries import DeliveryAdmin
from notifications.admin.events import EventAdmin
from notifications.admin.rules import NotificationRuleAdmin

# Letters and incidents have a module of their own; importing it registers them.
from notifications.broadcasts.admin import IncidentAdmin, NewsletterAdmin

__all__ = [
    "AddressHealthAdmin",
    "ApiTokenAdmin",
    "DeliveryAdmin",
    "EventAdmin",
    "IncidentAdmin",
    "NewsletterAdmin",
    "NotificationRuleAdmin",
]
