"""Mail to staff when sending needs them, once per window, and when the problem is over.

The worker whose turn it is looks, once a minute. What is told is what `manage.py status` says (`outbox.parts`), and
besides which company's own mail server refuses us: that is for the company to mend, so its manager is mailed as well, by
the platform's server.
"""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from backoffice.text import addresses
from companies.models import Company, User
from notifications.core import resolver
from notifications.core.catalogue import Source
from notifications.core.facts import CompanyFacts, Occasion
from notifications.events import doorbell
from notifications.events.publishing import Particulars, publish
from notifications.events.rows import mail_to_one
from notifications.mail import emails
from notifications.models import CompanyRelay, Delivery, Event, StaffAlert, dedupe_key
from notifications.outbox import parts, relays, signs, state
from notifications.outbox.parts import Trouble

# What lasts, or comes and goes, is told this often at most.
WINDOW = timedelta(hours=6)
LOOK_SECONDS = 60.0
# A row of `Tick` of its own: one worker a minute looks.
_LOOKS = 3
# Whoever looks is a worker and moves the clock.
_OF_THE_ONE_THAT_LOOKS = ("worker", "tick")
# How staff read of a company's own server, which is no part of the platform; followed by the company in `StaffAlert.part`.
OWN_RELAY = "own_relay"


def tick(now: datetime) -> None:
    """Look once a minute; of all workers together one does."""
    if signs.elected("alerts", every=LOOK_SECONDS, clock=_LOOKS):
        look(now)


def look(now: datetime) -> Event | None:
    """Compare current problems with those already mailed; returns the event of a mail that is due, if any."""
    with translation.override(settings.LANGUAGE_CODE):
        problems = [*parts.foundations(), *parts.of_sending(state.now_stands())]
    present = {problem.part: problem for problem in problems if problem.part not in _OF_THE_ONE_THAT_LOOKS}
    closed = {f"{OWN_RELAY}:{one.relay.company_id}": one for one in relays.closed()}
    present |= {part: Trouble(part, _of_company(one)) for part, one in closed.items()}
    with transaction.atomic():
        known = {row.part: row for row in StaffAlert.objects.select_for_update()}
        new = [problem for problem in present.values() if _is_to_be_told(known.get(problem.part), problem, now)]
        over = [row for row in known.values() if row.part not in present and _has_just_ended(row, now)]
        if not new and not over:
            return None
        for problem in new:
            if problem.part in closed:
                _tell_company_that_it_refuses(closed[problem.part], now)
        for row in over:
            if row.part.startswith(f"{OWN_RELAY}:"):
                _tell_company_that_it_accepts(int(row.part.partition(":")[2]), now)
        return _tell(new, [Trouble(row.part, row.text) for row in over], now)


def _is_to_be_told(row: StaffAlert | None, problem: Trouble, now: datetime) -> bool:
    """Record a problem that is present; True if a mail about it is due."""
    if row is None:
        StaffAlert.objects.create(part=problem.part, text=problem.text[:500], since=now, told_at=now)
        return True
    due = row.told_at <= now - WINDOW
    if row.ended_at is not None:
        row.since, row.ended_at, row.is_told = now, None, due
    row.text = problem.text[:500]
    if due:
        row.told_at, row.is_told = now, True
    row.save()
    return due


def _has_just_ended(row: StaffAlert, now: datetime) -> bool:
    if row.ended_at is not None:
        return False
    row.ended_at = now
    row.save(update_fields=["ended_at"])
    return row.is_told


# --- Companies with a server of their own ---------------------------------------------------------


def _of_company(one: relays.Closed) -> str:
    told = _("%(company)s (%(reference)s), qui en est prévenue : son serveur %(relay)s nous refuse : %(reply)s")
    company = one.relay.company
    with translation.override(settings.LANGUAGE_CODE):
        named = {"company": company.name, "reference": company.reference, "relay": one.relay.name}
        return told % {**named, "reply": one.breaker.reply}


def _tell_company_that_it_refuses(one: relays.Closed, now: datetime) -> None:
    relay = one.relay
    data = {"relay": relay.name, "reply": one.breaker.reply, "falls_back": relay.falls_back}
    _tell_manager("company.relay_closed", relay.company, data, now)


def _tell_company_that_it_accepts(company: int, now: datetime) -> None:
    """Not whoever has gone back to the platform's server meanwhile."""
    relay = CompanyRelay.objects.select_related("company").filter(company=company).first()
    if relay is not None:
        _tell_manager("company.relay_reopened", relay.company, {"relay": relay.name}, now)


def _tell_manager(type: str, company: Company, data: dict[str, Any], now: datetime) -> None:
    publish(
        type=type,
        company=company,
        data=data,
        occasion=Occasion(managers=(Source.COMPANY_MANAGER,)),
        particulars=Particulars(occurred_at=now),
    )


# --- Staff ----------------------------------------------------------------------------------------


def recipients() -> list[str]:
    """The recipients: `ALERT_EMAILS`, or else the superusers whose address can receive mail."""
    if settings.ALERT_EMAILS:
        return list(settings.ALERT_EMAILS)
    known = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").values_list("email", flat=True)
    return addresses.unique([email for email in known if _is_usable(email)])


def _is_usable(email: str) -> bool:
    try:
        addresses.validate_single(email)
    except addresses.InvalidAddress:
        return False
    return True


def _tell(new: list[Trouble], over: list[Trouble], now: datetime) -> Event:
    """Queue one mail to each recipient, in the transaction of the event."""
    event = Event.objects.create(
        company=None,  # the platform's own, see the model
        event_id=f"bom-alert-{timezone.now():%Y%m%d%H%M%S%f}",
        type="sending.needs_a_person",
        mode="PRODUCTION",
        occurred_at=now,
        data={"new": [_told(one) for one in new], "over": [_told(one) for one in over]},
    )
    platform = CompanyFacts(reference="", name=settings.PLATFORM_NAME, language="fr", manager_email="")
    message = emails.compose(event, "staff_alert", settings.LANGUAGE_CODE)
    message.save(force_insert=True)
    decisions = [
        decision
        for email in recipients()
        for decision in resolver.resolve(platform, "staff_alert", occasion=Occasion(address=email))
        if decision.delivers
    ]
    Delivery.objects.bulk_create(
        mail_to_one(
            event,
            decision,
            message,
            dedupe_key=dedupe_key(event.pk, decision.notification, decision.normalised),
        )
        for decision in decisions
    )
    transaction.on_commit(doorbell.ring, robust=True)
    return event


def _told(problem: Trouble) -> dict[str, Any]:
    return {"part": problem.part.partition(":")[0], "text": problem.text}
