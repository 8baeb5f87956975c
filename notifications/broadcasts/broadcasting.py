"""One message to many companies: letters and incidents, through the same resolver and outbox.

A broadcast walks the companies in order of their key. Each step is one transaction: it resolves the next
few hundred companies, writes an event for each that is told, one outbox row per company, and how far it
has come. So a process killed at any moment leaves the broadcast where its last step ended, and unique keys
in the database keep an address from being written to twice.

Each distinct address gets one message over all companies (docs/rules.md 3). The first company with the address
carries it; the row of every further one refers to that row (`carried_by`), is never sent, and takes over each
result, so that every company's journal tells what reached the address.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import OperationalError, transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone, translation

from backoffice.base.inserting import insert
from backoffice.text import addresses
from companies.models import Company, Contact
from notifications.core import resolver, wording
from notifications.core.address_health import AddressState, HealthFacts
from notifications.core.catalogue import NOTIFICATIONS_OF_EVENT, Channel
from notifications.core.facts import CompanyFacts
from notifications.core.reasons import Reason
from notifications.core.resolver import Decision
from notifications.events import doorbell
from notifications.events.rows import mail_to_one
from notifications.mail import emails
from notifications.models import (
    AddressHealth,
    Broadcast,
    Delivery,
    Event,
    IncidentUpdate,
    Message,
    Newsletter,
    dedupe_key,
)

log = structlog.get_logger(__name__)
# Companies a step: a transaction of well under a second, so that other writers hardly wait.
STEP = 250
LANGUAGES = ("fr", "en")


# --- Who ------------------------------------------------------------------------------------------


def companies_in(audience: dict[str, Any]) -> QuerySet[Company]:
    """The companies that a filter keeps, in the order they are served.

    Args:
        audience: any of `countries`, `languages`, `statuses`, `references`, each a list; absent or
            empty ones do not filter.
    """
    companies = Company.objects.order_by("pk")
    for name, column in (("countries", "country"), ("languages", "language"), ("statuses", "status")):
        if audience.get(name):
            companies = companies.filter(**{f"{column}__in": audience[name]})
    if audience.get("references"):
        companies = companies.filter(reference__in=audience["references"])
    return companies


def facts_of(companies: Iterable[Company]) -> list[tuple[Company, CompanyFacts]]:
    """What company-wide notifications need to know of many companies, in a query or two."""
    companies = list(companies)
    keys = [company.pk for company in companies]
    managers: dict[int, str] = {}
    for start in range(0, len(keys), 500):
        rows = Contact.objects.filter(company__in=keys[start : start + 500], kind=Contact.Kind.MANAGER)
        managers.update(rows.order_by().values_list("company_id", "email"))
    suppressed = _suppressed(companies, managers)
    return [
        (
            company,
            CompanyFacts(
                reference=company.reference,
                name=company.name,
                language=company.language,
                manager_email=managers.get(company.pk, ""),
                incident_emails=tuple(company.incident_emails),
                status=company.status,
                newsletter_opt_out=company.newsletter_opt_out,
                health=suppressed.get(company.pk, {}),
            ),
        )
        for company in companies
    ]


def _suppressed(companies: list[Company], managers: dict[int, str]) -> dict[int, dict[str, HealthFacts]]:
    """Company → the addresses among those that such notifications go to which get nothing any more."""
    wanted = {
        company.pk: {addresses.normalise(email) for email in (managers.get(company.pk, ""), *company.incident_emails)}
        for company in companies
    }
    by_company: dict[int, dict[str, HealthFacts]] = {}
    keys = list(wanted)
    for start in range(0, len(keys), 500):
        rows = AddressHealth.objects.filter(company__in=keys[start : start + 500], state=AddressState.SUPPRESSED)
        for row in rows.iterator():
            if row.normalised_address in wanted[row.company_id]:
                by_company.setdefault(row.company_id, {})[row.normalised_address] = row.facts
    return by_company


@dataclass
class Reach:
    """Who a company-wide notification would reach now.

    Attributes:
        companies: how many companies would be told.
        addresses: normalised address → (spelling, name of the first company that has it).
        left_out: reason code → how many companies are not told because of it.
    """

    companies: int = 0
    addresses: dict[str, tuple[str, str]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)


def reach(notification: str, companies: Iterable[Company]) -> Reach:
    """Resolve a notification for many companies without sending anything."""
    reached = Reach()
    for company, facts in facts_of(companies):
        decisions = resolver.resolve(facts, notification)
        told = [decision for decision in decisions if decision.delivers]
        reached.companies += bool(told)
        for decision in told:
            reached.addresses.setdefault(decision.normalised, (decision.address, company.name))
        if not told and decisions:
            reason = decisions[0].reason
            reached.left_out[reason] = reached.left_out.get(reason, 0) + 1
    return reached


# --- What -----------------------------------------------------------------------------------------


def told(subject: Newsletter | IncidentUpdate, language: str) -> dict[str, Any]:
    """What a mail about the subject says, in one language: the data its composer reads."""
    if isinstance(subject, Newsletter):
        return {"title": subject.title_in(language), "text": subject.text_in(language), "language": language}
    incident = subject.incident
    return {
        "title": incident.title_in(language),
        "text": subject.text_in(language),
        "language": language,
        "state": subject.state,
        "impact": incident.impact,
        "opens": not incident.updates.filter(pk__lt=subject.pk).exists(),
        "started_at": incident.started_at.isoformat(),
        "resolved_at": incident.resolved_at.isoformat() if incident.resolved_at else None,
    }


def compose(subject: Newsletter | IncidentUpdate, language: str) -> Message:
    """The mail about the subject in one language, not saved."""
    event = Event(type=event_type(subject), mode="PRODUCTION", occurred_at=timezone.now(), data=told(subject, language))
    (notification,) = NOTIFICATIONS_OF_EVENT[event.type]
    return emails.compose(event, notification, language)


def event_type(subject: Newsletter | IncidentUpdate) -> str:
    if isinstance(subject, Newsletter):
        return "newsletter.published"
    return "incident.resolved" if subject.state == IncidentUpdate.State.RESOLVED else "incident.told"


# --- Walking --------------------------------------------------------------------------------------


def start(
    *,
    newsletter: Newsletter | None = None,
    incident_update: IncidentUpdate | None = None,
    started_by: str,
    planned: int = 0,
) -> Broadcast:
    """Put a letter or an incident message on its way; inside the transaction of what it announces.

    Raises IntegrityError when it is on its way already.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("start() belongs inside the transaction of what it announces")
    broadcast = Broadcast.objects.create(
        notification="newsletter" if newsletter else "platform_incident",
        newsletter=newsletter,
        incident_update=incident_update,
        audience=newsletter.audience if newsletter else {},
        planned=planned,
        started_by=started_by[:200],
    )
    transaction.on_commit(doorbell.ring, robust=True)
    return broadcast


def advance_any(*, urgent: bool = False) -> bool:
    """Take one step of the oldest broadcast under way; False when none is.

    Args:
        urgent: incident messages only. The worker takes such a step between batches; those of letters
            only when no mail waits, so that a letter to many never delays the mail of a payment.
    """
    running = Broadcast.objects.filter(status=Broadcast.Status.RUNNING)
    if urgent:
        running = running.filter(incident_update__isnull=False)
    key = running.order_by("started_at").values_list("pk").first()
    if key is None:
        return False
    try:
        advance(key[0])
    except OperationalError:
        # The database is away or busy: the worker waits and tries again.
        raise
    except Exception:
        # A defect of ours in one broadcast must not keep the worker from all other mail. Staff see it
        # paused, and going on tries the same step again.
        log.exception("broadcast_step_failed", broadcast=key[0])
        Broadcast.objects.filter(pk=key[0], status=Broadcast.Status.RUNNING).update(status=Broadcast.Status.PAUSED)
    return True


def advance(broadcast_id: int, step: int = STEP) -> bool:
    """Fill the outbox for the next companies of a broadcast; True while there may be more.

    Two workers may call it at the same time: the row is locked for the step.
    """
    with transaction.atomic():
        broadcast = (
            Broadcast.objects.select_for_update(of=("self",))
            .select_related("newsletter", "incident_update__incident")
            .get(pk=broadcast_id)
        )
        if broadcast.status != Broadcast.Status.RUNNING:
            return False
        companies = list(companies_in(broadcast.audience).filter(pk__gt=broadcast.last_company)[:step])
        if companies:
            _queue(broadcast, companies)
            broadcast.last_company = companies[-1].pk
        if len(companies) < step:
            broadcast.status = Broadcast.Status.QUEUED
        broadcast.save(update_fields=["last_company", "status"])
        transaction.on_commit(doorbell.ring, robust=True)
    return broadcast.status == Broadcast.Status.RUNNING


def _queue(broadcast: Broadcast, companies: list[Company]) -> None:
    """Events and outbox rows for these companies."""
    subject = broadcast.newsletter or broadcast.incident_update
    assert subject
    recipients = _recipients(broadcast, subject, companies)
    if not recipients:
        return
    insert(list({one.event.company_id: one.event for one in recipients}.values()))
    refused = [one for one in recipients if not one.decision.delivers]
    recipients = [one for one in recipients if one.decision.delivers]
    messages = _messages(broadcast, subject, {one.language for one in recipients})
    addresses = [one.decision.normalised for one in recipients]
    carriers, threads = _carriers(broadcast, addresses), _threads(broadcast, addresses)
    sent: list[Delivery] = []
    carried: list[Delivery] = []
    for one in recipients:
        row, address = _row(broadcast, one, messages[one.language]), one.decision.normalised
        if address in carriers:
            _carry(row, carriers[address])
            carried.append(row)
        else:
            row.dedupe_key = _key(broadcast, address)
            row.headers = threads.get(address, {})
            carriers[address] = row
            sent.append(row)
    insert(sent)
    insert(carried)
    insert([_not_sent(broadcast, one) for one in refused])


@dataclass(frozen=True)
class _Recipient:
    """One address that a company has the message sent to, or would if it were not suppressed."""

    event: Event
    decision: Decision
    language: str


def _recipients(
    broadcast: Broadcast, subject: Newsletter | IncidentUpdate, companies: list[Company]
) -> list[_Recipient]:
    """Whom these companies have told, each with the event of its company, not saved."""
    now = timezone.now()
    recipients: list[_Recipient] = []
    for company, facts in facts_of(companies):
        event = Event(
            company=company,
            # The same however often a step is tried: the database takes it once.
            event_id=f"bom-broadcast-{broadcast.pk}",
            type=event_type(subject),
            mode="PRODUCTION",
            occurred_at=now,
            data={
                "broadcast": broadcast.pk,
                "title": subject.title if isinstance(subject, Newsletter) else str(subject),
            },
        )
        recipients += [
            _Recipient(event, decision, company.language)
            for decision in resolver.resolve(facts, broadcast.notification)
            if decision.delivers or decision.reason is Reason.ADDRESS_SUPPRESSED
        ]
    return recipients


def _row(broadcast: Broadcast, recipient: _Recipient, message: Message) -> Delivery:
    event = recipient.event
    return mail_to_one(
        event,
        recipient.decision,
        message,
        broadcast=broadcast,
        created_at=event.occurred_at,
    )


def _not_sent(broadcast: Broadcast, recipient: _Recipient) -> Delivery:
    """The row of an address that is suppressed in a company: no part of the broadcast, only of that journal."""
    event, decision = recipient.event, recipient.decision
    row = mail_to_one(event, decision, None, created_at=event.occurred_at, status=Delivery.Status.NOT_SENT)
    with translation.override(recipient.language):
        row.error = wording.reason(decision.reason, decision.params)
    assert event.company
    row.dedupe_key = dedupe_key("suppressed", broadcast.pk, event.company.pk, decision.normalised)
    return row


# What a carried row shows of the row that carries it.
CARRIED_OVER = ("status", "sent_at", "retry_at", "error", "attempt_count")


def _carry(row: Delivery, carrier: Delivery) -> None:
    """Let the message of one row serve another row of the same address, which copies its state."""
    assert row.company
    row.dedupe_key = dedupe_key("carried", row.broadcast_id, row.company.pk, row.normalised_address)
    row.carried_by = carrier
    row.message, row.to_addresses, row.headers = carrier.message, carrier.to_addresses, carrier.headers
    for name in CARRIED_OVER:
        setattr(row, name, getattr(carrier, name))
    if row.status == Delivery.Status.SENDING:
        row.status = Delivery.Status.QUEUED


def _key(broadcast: Broadcast, normalised_address: str) -> str:
    return dedupe_key("broadcast", broadcast.pk, Channel.EMAIL, normalised_address)


def _messages(broadcast: Broadcast, subject: Newsletter | IncidentUpdate, languages: set[str]) -> dict[str, Message]:
    """The one message of each language, composed when the first company needs it."""
    messages = {message.language: message for message in broadcast.messages.all()}
    for language in sorted(languages - messages.keys()):
        message = compose(subject, language)
        message.broadcast = broadcast
        message.save(force_insert=True)
        messages[language] = message
    return messages


def _carriers(broadcast: Broadcast, normalised: list[str]) -> dict[str, Delivery]:
    """The rows of this broadcast that carry the message to these addresses already.

    Locked: a result that is recorded meanwhile waits, and then reaches the new carried rows as well.
    """
    keys = [_key(broadcast, address) for address in normalised]
    carriers: dict[str, Delivery] = {}
    for start_at in range(0, len(keys), 500):
        rows = Delivery.objects.filter(dedupe_key__in=keys[start_at : start_at + 500]).select_related("message")
        rows = rows.select_for_update(of=("self",))
        carriers.update((row.normalised_address, row) for row in rows)
    return carriers


def _threads(broadcast: Broadcast, normalised: list[str]) -> dict[str, dict[str, str]]:
    """Headers that put news of an incident under the earlier mails about it, by address.

    An address that joined later starts its own conversation with the first mail it gets.
    """
    update = broadcast.incident_update
    if update is None:
        return {}
    before = Broadcast.objects.filter(
        incident_update__incident=update.incident_id, incident_update__lt=update.pk
    ).order_by("incident_update")
    earlier: dict[str, list[str]] = {}
    for other in before:
        # By the unique key, which every database finds quickly.
        keys = [_key(other, address) for address in normalised]
        for start_at in range(0, len(keys), 500):
            rows = Delivery.objects.filter(dedupe_key__in=keys[start_at : start_at + 500])
            for row in rows.exclude(status=Delivery.Status.CANCELLED).only("pk", "normalised_address"):
                earlier.setdefault(row.normalised_address, []).append(emails.message_id(row))
    return {
        address: {"References": _references(identifiers), "In-Reply-To": identifiers[-1]}
        for address, identifiers in earlier.items()
    }


# Characters of a References header: one line, however long the name of our host is.
_REFERENCES = 800


def _references(identifiers: list[str]) -> str:
    """The Message-IDs for `References`: the first of the conversation and the latest, so that the header stays short."""
    room = max(1, min(9, _REFERENCES // (len(identifiers[0]) + 1) - 1))
    return " ".join([identifiers[0], *identifiers[1:][-room:]])


# --- Looking at it, stopping it -------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """How far a broadcast is, in messages (one per address)."""

    broadcast: Broadcast
    planned: int
    sent: int
    waiting: int
    failed: int
    cancelled: int

    @property
    def is_over(self) -> bool:
        return self.broadcast.status in (Broadcast.Status.QUEUED, Broadcast.Status.CANCELLED) and not self.waiting

    @property
    def queued(self) -> int:
        return self.sent + self.waiting + self.failed + self.cancelled

    @property
    def total(self) -> int:
        """What it comes to: known once everything is in the queue, an estimate before."""
        if self.broadcast.status in (Broadcast.Status.RUNNING, Broadcast.Status.PAUSED):
            return max(self.planned, self.queued)
        return self.queued

    @property
    def percent(self) -> int:
        done = self.sent + self.failed + self.cancelled
        return 100 if self.is_over else done * 100 // max(self.total, 1)


def progress(broadcast: Broadcast) -> Progress:
    """Counted from the outbox rows, in one query."""
    own = Delivery.objects.filter(broadcast=broadcast, carried_by=None)
    counts: dict[str, int] = {
        row["status"]: row["n"] for row in own.order_by().values("status").annotate(n=Count("pk"))
    }
    status = Delivery.Status
    return Progress(
        broadcast=broadcast,
        planned=broadcast.planned,
        sent=counts.get(status.SENT, 0),
        waiting=sum(counts.get(name, 0) for name in Delivery.OPEN),
        failed=sum(counts.get(name, 0) for name in Delivery.FAILED),
        cancelled=counts.get(status.CANCELLED, 0),
    )


def switch(broadcast: Broadcast, to: str, *, allowed: tuple[str, ...]) -> bool:
    """Change the state of a broadcast, if it still is in one of `allowed`."""
    changed = bool(Broadcast.objects.filter(pk=broadcast.pk, status__in=allowed).update(status=to))
    broadcast.refresh_from_db(fields=["status"])
    return changed


def cancel_waiting(broadcast: Broadcast) -> int:
    """Stop what waits in the outbox, carried rows included; returns how many messages."""
    waiting = Delivery.objects.filter(broadcast=broadcast, status__in=Delivery.DUE)
    stopped = waiting.filter(carried_by=None).update(status=Delivery.Status.CANCELLED, retry_at=None)
    waiting.filter(Q(carried_by__status=Delivery.Status.CANCELLED), carried_by__isnull=False).update(
        status=Delivery.Status.CANCELLED, retry_at=None
    )
    return stopped
