"""Incidents: opened, told and resolved by staff; mailed to the incident addresses; shown to everybody."""

from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Prefetch, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from companies import audit
from companies.audit import Actor, Changes
from companies.models import Company
from notifications.broadcasts import broadcasting as broadcasts
from notifications.models import Incident, IncidentUpdate

FIELDS = ("title_fr", "title_en", "impact", "started_at")
# How long a resolved incident stays on the status page.
SHOWN_DAYS = 90


def incident_reach() -> broadcasts.Reach:
    """Who an incident message would reach now."""
    return broadcasts.reach("platform_incident", Company.objects.order_by("pk"))


@transaction.atomic
def incident_open(
    *,
    actor: Actor,
    text_fr: str,
    text_en: str,
    state: str = IncidentUpdate.State.INVESTIGATING,
    at: datetime | None = None,
    **fields: Any,
) -> Incident:
    """Open an incident with its first message, which is mailed. Raises ValidationError by field.

    Args:
        at: the time of the message; now when None.
        fields: FIELDS of the incident.
    """
    incident = Incident(**fields)
    incident.full_clean()
    incident.save()
    audit.record(actor=actor, action="incident.opened", obj=incident, company=None, changes=audit.creation(fields))
    _tell(incident, actor, state, text_fr, text_en, at)
    return incident


@transaction.atomic
def incident_tell(
    *, incident: Incident, actor: Actor, state: str, text_fr: str, text_en: str, at: datetime | None = None
) -> IncidentUpdate:
    """Publish and mail a further message; the state `resolved` ends the incident.

    Raises ValidationError by field, or when the incident is resolved already.
    """
    incident = Incident.objects.select_for_update().get(pk=incident.pk)
    if incident.resolved_at:
        raise ValidationError(_("Cet incident est résolu. Ouvrez-en un autre s'il se reproduit."))
    update = _tell(incident, actor, state, text_fr, text_en, at)
    audit.record(
        actor=actor,
        action="incident.resolved" if incident.resolved_at else "incident.told",
        obj=incident,
        company=None,
        changes={"state": [None, state], "text_fr": [None, text_fr], "text_en": [None, text_en]},
    )
    return update


def _tell(
    incident: Incident, actor: Actor, state: str, text_fr: str, text_en: str, at: datetime | None
) -> IncidentUpdate:
    now = at or timezone.now()
    update = IncidentUpdate(
        incident=incident,
        state=state,
        text_fr=text_fr.strip(),
        text_en=text_en.strip(),
        at=now,
        author=actor.label[:200],
    )
    update.full_clean()
    update.save()
    if state == IncidentUpdate.State.RESOLVED:
        incident.resolved_at = now
        incident.save(update_fields=["resolved_at"])
    planned = len(incident_reach().addresses)
    broadcast = broadcasts.start(incident_update=update, started_by=actor.label, planned=planned)
    # The first step belongs to this transaction; what is left the worker queues between its batches.
    broadcasts.advance(broadcast.pk)
    return update


@transaction.atomic
def incident_correct(*, incident: Incident, actor: Actor, **fields: Any) -> Changes:
    """Correct title, impact or start; nothing is mailed."""
    incident = Incident.objects.select_for_update().get(pk=incident.pk)
    changes = audit.apply(incident, fields)
    if changes:
        incident.full_clean()
        incident.save()
        audit.record(actor=actor, action="incident.corrected", obj=incident, company=None, changes=changes)
    return changes


# --- The status page ------------------------------------------------------------------------------


def shown(now: datetime | None = None) -> list[Incident]:
    """Running incidents and those resolved in the last 90 days, newest first, with their updates; two queries."""
    since = (now or timezone.now()) - timedelta(days=SHOWN_DAYS)
    newest_first = IncidentUpdate.objects.order_by("-at", "-pk")
    incidents = Incident.objects.filter(Q(resolved_at__isnull=True) | Q(resolved_at__gte=since))
    return list(incidents.order_by("-started_at", "-pk").prefetch_related(Prefetch("updates", newest_first)))


def last_news(incidents: list[Incident]) -> datetime | None:
    """The time of the newest message among these incidents."""
    return max((update.at for incident in incidents for update in incident.updates.all()), default=None)
