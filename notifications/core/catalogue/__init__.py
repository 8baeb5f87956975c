"""The catalogue, the only list of what is notified: kinds, notifications, events, conditions, default rules.

Screens, forms, filters, mails, the API and the documentation are derived from it; codes are stored and never change.
How a notification is added stands with the rows, in `notifications.py`.

Pure: no database, no settings, no clock.
"""

from notifications.core.catalogue.conditions import MODES, OPERATORS, SOURCES_OF_EVENT, VARIABLES, Variable
from notifications.core.catalogue.default_rules import DEFAULT_RULES, DefaultRule
from notifications.core.catalogue.events import (
    EVENT_LABELS,
    EVENTS,
    EXTERNAL_TYPES,
    NOTIFICATIONS_OF_EVENT,
    TRIGGER_LABELS,
    TRIGGER_ORDER,
    TRIGGERS,
    EventType,
    sort_triggers,
)
from notifications.core.catalogue.kinds import (
    DIGESTS,
    EACH,
    PROFILES,
    RULE_TYPE_LABELS,
    SHOP_MANAGER_SYMBOL,
    SOURCE_LABELS,
    Channel,
    RuleType,
    Scope,
    Source,
)
from notifications.core.catalogue.notifications import (
    BY_CODE,
    CATALOGUE,
    CHOICES,
    NOTIFICATION_OF_RULE_TYPE,
    ORDER,
    SENT_IN_ANY_STATE,
    TABLE_ROWS,
    Notification,
)

__all__ = [
    "BY_CODE",
    "CATALOGUE",
    "CHOICES",
    "DEFAULT_RULES",
    "DIGESTS",
    "EACH",
    "EVENTS",
    "EVENT_LABELS",
    "EXTERNAL_TYPES",
    "MODES",
    "NOTIFICATIONS_OF_EVENT",
    "NOTIFICATION_OF_RULE_TYPE",
    "OPERATORS",
    "ORDER",
    "PROFILES",
    "RULE_TYPE_LABELS",
    "SENT_IN_ANY_STATE",
    "SHOP_MANAGER_SYMBOL",
    "SOURCES_OF_EVENT",
    "SOURCE_LABELS",
    "TABLE_ROWS",
    "TRIGGERS",
    "TRIGGER_LABELS",
    "TRIGGER_ORDER",
    "VARIABLES",
    "Channel",
    "DefaultRule",
    "EventType",
    "Notification",
    "RuleType",
    "Scope",
    "Source",
    "Variable",
    "sort_triggers",
]
