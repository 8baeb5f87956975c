"""Template tags that know the apps; with those of `base.shell` they are the library « shell »."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from backoffice.base.shell import named_state_badge, register
from backoffice.text import times
from companies import selectors
from companies.history import sentences as wording
from companies.models import AuditEntry, Membership
from notifications.calls.door import USER_AGENT

if TYPE_CHECKING:
    from notifications.models import Delivery


@register.simple_tag
def status_badge(status: str, retry_at: datetime | None = None) -> SafeString:
    """The state of a delivery in words: En attente, Envoyé, Nouvel essai à 10 h 15…"""
    from notifications.models import Delivery

    label = str(Delivery.Status(status).label)
    if status == Delivery.Status.RETRY and retry_at is not None:
        if times.local(retry_at).date() == timezone.localdate():
            label = _("Nouvel essai à %(time)s") % {"time": times.clock(retry_at)}
        else:
            label = _("Nouvel essai le %(date)s à %(time)s") % {
                "date": times.short_day(retry_at),
                "time": times.clock(retry_at),
            }
    return named_state_badge(status, label)


@register.simple_tag
def digest_words(delivery: "Delivery") -> str:
    """Which digest tells, or will tell, of the event of a delivery; empty where none does."""
    moment = delivery.digest_at or (delivery.carried_by.created_at if delivery.carried_by else None)
    if moment is None:
        return ""
    if times.local(moment).date() == timezone.localdate():
        return _("Dans le récapitulatif de %(time)s") % {"time": times.clock(moment)}
    day_and_time = {"date": times.short_day(moment), "time": times.clock(moment)}
    return _("Dans le récapitulatif du %(date)s à %(time)s") % day_and_time


@register.simple_tag
def role_label(membership: Membership) -> str:
    """The role of a membership in words."""
    return selectors.role_label(membership)


@register.simple_tag
def call_status(delivery: Any) -> str:
    """« Statut URL de notification » of a call."""
    from notifications.calls import requests as calls

    return calls.status_label(delivery)


@register.simple_tag
def call_origin() -> dict[str, Any]:
    """What calls to notification URLs are known by in a firewall: their addresses, where fixed, and their name."""
    return {"addresses": settings.IPN_SOURCE_ADDRESSES, "user_agent": USER_AGENT}


@register.simple_tag
def audit_label(entry: AuditEntry) -> str:
    """One entry of the history as a sentence."""
    return wording.entry_sentence(entry)


@register.simple_tag
def audit_actor(entry: AuditEntry) -> str:
    """Who made a change."""
    from companies.history import entries as history

    return history.actor_words(entry)


@register.simple_tag
def failure_words(delivery: Any) -> str:
    """Why a message did not arrive, as a sentence; empty where nothing failed."""
    from notifications.journal import lookup

    return lookup.failure_words(delivery)


@register.inclusion_tag("companies/history/last_change.html")
def last_change_on(shop: Any, *kinds: str) -> dict[str, Any]:
    """« modifié par … le … » of the objects of these kinds that a shop has, e.g. its contracts."""
    from companies.history import entries as history

    return {"last_change": history.last_change_on(shop, *kinds)}


@register.inclusion_tag("companies/history/last_change.html")
def last_change_of_keys(shop: Any) -> dict[str, Any]:
    """The same of the keys of a shop and of how they sign."""
    from companies.history import entries as history

    return {"last_change": history.last_change_of_keys(shop)}


@register.inclusion_tag("companies/history/last_change.html")
def last_change_of(company: Any, *about: Any) -> dict[str, Any]:
    """The same of single objects, given as kind, object, kind, object…; what is not stored yet counts for nothing."""
    from companies.history import entries as history

    pairs = [(kind, obj.pk) for kind, obj in zip(about[::2], about[1::2], strict=True) if obj and obj.pk]
    return {"last_change": history.last_change(company.pk, *pairs) if pairs else None}


@register.inclusion_tag("companies/history/last_change.html")
def last_change_among(membership: Any, *kinds: str) -> dict[str, Any]:
    """The same of all objects of these kinds that a user sees: under a list."""
    from companies.history import entries as history

    return {"last_change": history.last_change_among(membership, *kinds)}
