"""The history of one delivery in steps, for its page."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from notifications.core import wording
from notifications.core.catalogue import Channel
from notifications.models import Attempt, Delivery

_KINDS = {Attempt.Outcome.SENT: "ok", Attempt.Outcome.TRANSIENT: "warn", Attempt.Outcome.PERMANENT: "fail"}


@dataclass(frozen=True)
class StoryStep:
    """One step.

    Attributes:
        kind: as of a badge: ok, warn, fail, wait or info.
        facts: short technical words in one line.
        said: what the other server answered.
        note: a sentence about it.
    """

    at: datetime
    kind: str
    title: str
    facts: tuple[str, ...] = ()
    said: str = ""
    note: str = ""
    url: str = ""


def steps(delivery: Delivery, attempts: Iterable[Attempt], resends: Iterable[Delivery]) -> list[StoryStep]:
    """The steps of a delivery, oldest first; steps still to come are last."""
    event = delivery.event
    told = [StoryStep(event.occurred_at, "info", wording.trigger_label(event.type))]
    told.append(StoryStep(delivery.created_at, "info", _accepted(delivery)))
    told += [_attempt(delivery, attempt) for attempt in attempts]
    again = pgettext("delivery", "Rejoué") if delivery.channel == Channel.IPN else pgettext("delivery", "Renvoyé")
    told += [
        StoryStep(
            copy.created_at, "info", again, note=str(copy.get_status_display()), url=reverse("delivery", args=[copy.pk])
        )
        for copy in resends
    ]
    told.sort(key=lambda step: step.at)
    if delivery.status == Delivery.Status.RETRY and delivery.retry_at:
        told.append(StoryStep(delivery.retry_at, "wait", _("Nouvel essai prévu")))
    return told


def _accepted(delivery: Delivery) -> str:
    """What was done about it when its event was accepted."""
    if delivery.channel == Channel.IPN:
        return _("Appel mis en file")
    if delivery.in_digest:
        return _("Gardé pour le récapitulatif")
    if delivery.status == Delivery.Status.NOT_SENT and delivery.message_id is None:
        return _("Noté, sans envoi possible")
    return _("Message mis en file")


def _attempt(delivery: Delivery, attempt: Attempt) -> StoryStep:
    title = _("Tentative %(number)d : %(outcome)s") % {
        "number": attempt.number,
        "outcome": attempt.get_outcome_display(),
    }
    facts = [f"{attempt.duration_ms}\N{NO-BREAK SPACE}ms"]
    if attempt.code is not None:
        facts.append(_("code %(code)s") % {"code": attempt.code})
    if attempt.error_code:
        facts.append(attempt.error_code)
    if attempt.queue_id:
        facts.append(_("file %(id)s") % {"id": attempt.queue_id})
    if attempt.relay:
        facts.append(_("par %(relay)s") % {"relay": attempt.relay})
    if attempt.url and attempt.url != delivery.address:
        facts.append(attempt.url)
    note = _("Redirection non suivie vers %(url)s") % {"url": attempt.location} if attempt.location else ""
    return StoryStep(
        attempt.started_at, _KINDS[Attempt.Outcome(attempt.outcome)], title, tuple(facts), attempt.reply, note
    )
