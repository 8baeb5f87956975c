"""The tables of rules, events, outbox, reports, letters, incidents, tokens, states of addresses, one file a subject.

May import the ground, `notifications.core` and the models of companies and shops.
"""

from notifications.models.answers import AcknowledgedGap, MailRemark
from notifications.models.broadcasts import Broadcast, Incident, IncidentUpdate, Newsletter
from notifications.models.consistency import ConsistencyReport, ConsistencySchedule
from notifications.models.deliveries import Attempt, CallHealth, Delivery, dedupe_key
from notifications.models.events import Attachment, Event, Message
from notifications.models.filters import SavedFilter
from notifications.models.health import AddressHealth, AddressSign
from notifications.models.limits import LimitSlot, LimitTurn, SendingLimit
from notifications.models.operations import Breaker, Hold, Lane, StaffAlert, Tick, Worker
from notifications.models.relays import CompanyRelay
from notifications.models.rules import CallCredential, NotificationRule
from notifications.models.silences import SilenceWatch
from notifications.models.timeline import RecordedSetting
from notifications.models.tokens import ApiToken

__all__ = [
    "AcknowledgedGap",
    "AddressHealth",
    "AddressSign",
    "ApiToken",
    "Attachment",
    "Attempt",
    "Breaker",
    "Broadcast",
    "CallCredential",
    "CallHealth",
    "CompanyRelay",
    "ConsistencyReport",
    "ConsistencySchedule",
    "Delivery",
    "Event",
    "Hold",
    "Incident",
    "IncidentUpdate",
    "Lane",
    "LimitSlot",
    "LimitTurn",
    "MailRemark",
    "Message",
    "Newsletter",
    "NotificationRule",
    "RecordedSetting",
    "SavedFilter",
    "SendingLimit",
    "SilenceWatch",
    "StaffAlert",
    "Tick",
    "Worker",
    "dedupe_key",
]
