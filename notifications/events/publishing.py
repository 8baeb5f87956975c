"""The one way in: an event becomes deliveries, by the resolver, in the transaction of the change itself."""

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.utils import timezone

from backoffice.base import tracing
from backoffice.base.inserting import insert, made
from backoffice.base.rows import Reading, keep_related
from backoffice.text import addresses, zones
from companies.models import Company, Contact, SftpAccount, User
from notifications import readers, settings_facts, trail
from notifications.calls import requests as calls
from notifications.core import catalogue, digests, resolver, wording
from notifications.core.catalogue import Channel, RuleType
from notifications.core.facts import CompanyFacts, EventFacts, Occasion, RuleFacts, ShopFacts
from notifications.core.reasons import Reason
from notifications.core.resolver import Decision
from notifications.events import doorbell, hooks
from notifications.events.intake import EventConflict, EventInvalid, ValidEvent, existing, shops_of
from notifications.events.rows import mail_to_one
from notifications.mail import emails
from notifications.mail.attachments import File
from notifications.models import Attachment, Delivery, Event, Message, NotificationRule, dedupe_key
from notifications.settings_facts import health
from shops.models import Shop

# Events from outside that share a transaction: enough that a commit hardly counts, few enough that whoever else
# wants to write waits a fraction of a second.
GROUP = 200


@dataclass
class _Draft:
    """The rows that events lead to, collected so that each table is written with one statement."""

    messages: list[Message] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)

    def save(self) -> None:
        insert(self.messages)
        Attachment.objects.bulk_create(self.attachments)
        insert(self.deliveries)
        if any(delivery.digest_at is None for delivery in self.deliveries):
            transaction.on_commit(doorbell.ring, robust=True)


@dataclass(frozen=True)
class Particulars:
    """What an event is recorded with besides its kind, its subject and its data.

    Attributes:
        event_id: unique per company; made here where it is empty.
        occurred_at: now where it is None.
        attachments: files that go out with each mail of the event's own notifications.
    """

    mode: str = "PRODUCTION"
    event_id: str = ""
    occurred_at: datetime | None = None
    attachments: Sequence[File] = ()


_NOTHING_PARTICULAR = Particulars()
# Why not, where the journal is to tell it: the notification was for somebody, and nothing can be sent there.
_NOTED = frozenset({Reason.NO_BUYER_ADDRESS, Reason.INVALID_BUYER_ADDRESS, Reason.ADDRESS_SUPPRESSED})


@trail.published
def publish(
    *,
    type: str,
    company: Company,
    shop: Shop | None = None,
    account: User | SftpAccount | None = None,
    rule: NotificationRule | None = None,
    data: dict[str, Any] | None = None,
    occasion: Occasion | Mapping[str, Occasion] | None = None,
    particulars: Particulars = _NOTHING_PARTICULAR,
) -> Event:
    """Record an event and queue a delivery for every recipient that the resolver delivers to.

    Must be called inside the transaction of the change it announces.

    Args:
        type: a trigger (docs/rules.md 4b) or another code of the catalogue's EVENTS.
        shop, account: what it is about.
        rule: the rule it is about, for what the calls of a rule lead to.
        data: what mails and calls tell of it.
        occasion: what only this occasion knows of its recipients; by code where the notifications of one event
            differ in it, and those without an entry are left out.

    Returns:
        The recorded event.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("publish() belongs inside the transaction of the change it announces")
    event = Event(
        company=company,
        shop=shop,
        event_id=particulars.event_id or f"bom-{uuid.uuid4()}",
        type=type,
        mode=particulars.mode,
        occurred_at=particulars.occurred_at or timezone.now(),
        data={**(data or {}), **({"account": account.login} if account else {})},
    )
    event.save(force_insert=True)
    fires = shop is not None and type in catalogue.TRIGGER_ORDER
    rules = list(readers.rules_of(shop)) if shop is not None and fires else []
    facts = settings_facts.company_facts(
        company,
        shops=[shop] if shop else [],
        live_rules=rules,
        accounts=False,
        also=[*_addressees(occasion), str(event.data.get("buyer_email") or "")],
    )
    draft = _Draft()
    _add_own(draft, event, facts, occasion, rule=rule, account=account, attachments=particulars.attachments)
    if shop:
        _add_rules(draft, event, facts, facts.shops[0], {rule.reference: rule for rule in rules})
    draft.save()
    trail.accepted([event], draft.deliveries)
    hooks.event_recorded(event)
    return event


def _add_own(
    draft: _Draft,
    event: Event,
    company: CompanyFacts,
    occasion: Occasion | Mapping[str, Occasion] | None,
    *,
    rule: NotificationRule | None,
    account: User | SftpAccount | None,
    attachments: Sequence[File],
) -> None:
    """Add what an event leads to by itself, whatever rules say."""
    for code, known in _occasions(event.type, occasion):
        decisions = resolver.resolve(
            company,
            code,
            shop=company.shops[0] if event.shop else None,
            rule=settings_facts.rule_facts(rule) if rule else None,
            account=settings_facts.account_facts(account, event.company) if account else None,
            occasion=known,
        )
        language = known.language if known else ""
        _add_mails(
            draft, event, company, decisions, rule=rule, account=account, language=language, attachments=attachments
        )


def _addressees(occasion: Occasion | Mapping[str, Occasion] | None) -> list[str]:
    """The addresses that only the occasion knows."""
    known = occasion.values() if isinstance(occasion, Mapping) else [occasion] if occasion else []
    return [one.address for one in known]


def _occasions(type: str, occasion: Occasion | Mapping[str, Occasion] | None) -> Iterator[tuple[str, Occasion | None]]:
    """Yield the notifications that a type of event leads to by itself, each with its occasion."""
    for code in catalogue.NOTIFICATIONS_OF_EVENT.get(type, ()):
        if not isinstance(occasion, Mapping):
            yield code, occasion
        elif code in occasion:
            yield code, occasion[code]


def _add_rules(
    draft: _Draft,
    event: Event,
    company: CompanyFacts,
    shop_facts: ShopFacts,
    rules: dict[str, NotificationRule],
    contracts: Callable[[Shop], tuple[str, ...]] = calls.contracts_of,
) -> None:
    """What every enabled rule of the shop that the event fires leads to.

    Args:
        rules: the shop's own, by reference.
    """
    fact = EventFacts(event.type, event.mode, event.data)
    fired = [rule for rule in shop_facts.rules if rule.enabled and resolver.rule_matches(rule, fact)]
    for rule in fired:
        if rule.type == RuleType.IPN_CALL:
            call = calls.plan(event, rules[rule.reference], company, shop_facts, rule, contracts)
            if call is not None:
                call.dedupe_key = dedupe_key(event.pk, call.notification, call.rule_id, call.channel, call.address, "")
                draft.deliveries.append(call)
            continue
        occasion = (
            Occasion(address=str(event.data.get("buyer_email") or "")) if rule.type == RuleType.BUYER_EMAIL else None
        )
        code = catalogue.NOTIFICATION_OF_RULE_TYPE[rule.type]
        decisions = resolver.resolve(company, code, shop=shop_facts, rule=rule, occasion=occasion)
        due = _digest_at(event, rule) if rule.mail_digest else None
        if due is None:
            _add_mails(draft, event, company, decisions, rule=rules[rule.reference])
        else:
            draft.deliveries += [
                # What stands in the way of an address now may be gone when the digest is due.
                held(event, decision, rules[rule.reference], due)
                for decision in decisions
                if decision.delivers or decision.reason in _NOTED
            ]


def _digest_at(event: Event, rule: RuleFacts) -> datetime | None:
    """When the digest of an event accepted now is due; None for an event that is mailed at once."""
    if rule.digest == catalogue.EACH:
        return None
    zone = ZoneInfo(zones.known(event.company.time_zone, settings.TIME_ZONE))
    return digests.due(rule.digest, timezone.now(), zone)


def held(event: Event, decision: Decision, rule: NotificationRule, due: datetime | None) -> Delivery:
    """The unsaved row of an event that waits for a digest; the digest brings its message."""
    return mail_to_one(
        event,
        decision,
        None,
        shop=event.shop,
        rule=rule,
        as_field=decision.as_,
        dedupe_key=dedupe_key(event.pk, decision.notification, rule.pk, Channel.EMAIL, decision.normalised, ""),
        digest_at=due,
        retry_at=due,
    )


@trail.published
def publish_decided(
    *, event: Event, facts: CompanyFacts, decisions: list[Decision], rule: NotificationRule
) -> list[Delivery]:
    """Record an event of our own with a mail for each of some decisions, which the caller has made.

    Args:
        event: not saved yet.
    """
    event.traceparent = tracing.traceparent()
    event.save(force_insert=True)
    draft = _Draft()
    _add_mails(draft, event, facts, decisions, rule=rule)
    draft.save()
    trail.accepted([event], draft.deliveries)
    hooks.event_recorded(event)
    return draft.deliveries


def _add_mails(
    draft: _Draft,
    event: Event,
    company: CompanyFacts,
    decisions: list[Decision],
    *,
    rule: NotificationRule | None = None,
    account: User | SftpAccount | None = None,
    language: str = "",
    attachments: Sequence[File] = (),
) -> None:
    """Outbox rows for the delivered decisions of one notification, sharing one frozen message.

    A decision that is negative for want of an address that can receive becomes a `not_sent` row,
    so that the journal tells it.
    """
    chosen = [_usable(decision) for decision in decisions]
    sent = [decision for decision in chosen if decision.delivers]
    noted = [decision for decision in chosen if decision.reason in _NOTED]
    if not sent and not noted:
        return
    message = None
    if sent:
        language = language or _language(event, company, account)
        message = emails.compose(event, sent[0].notification, language, rule=rule, account=account)
        message.has_attachments = bool(attachments)
        draft.messages.append(message)
        draft.attachments += _attached(message, attachments)
    alone = catalogue.BY_CODE[decisions[0].notification].one_message_each
    to = [decision.address for decision in sent if decision.as_ == "to"]
    cc = [decision.address for decision in sent if decision.as_ == "cc"]
    draft.deliveries += [
        made(
            Delivery,
            event=event,
            company=event.company,
            shop=event.shop,
            notification=decision.notification,
            rule=rule,
            account=decision.account or "",
            # A buyer's address comes from outside: its comparison form may outgrow the column.
            address=decision.address[:500],
            normalised_address=decision.normalised[:500],
            as_field=decision.as_,
            channel=Channel.EMAIL,
            mode=event.mode,
            status=Delivery.Status.QUEUED if decision.delivers else Delivery.Status.NOT_SENT,
            error="" if decision.delivers else _reason_text(decision),
            message=message if decision.delivers else None,
            to_addresses=[decision.address] if alone else to,
            cc_addresses=[] if alone else cc,
            resolution=resolver.resolution_json(decision),
            dedupe_key=dedupe_key(
                event.pk, decision.notification, rule.pk if rule else "", Channel.EMAIL, decision.normalised, ""
            ),
        )
        for decision in [*sent, *noted]
    ]


def _attached(message: Message, files: Sequence[File]) -> list[Attachment]:
    return [
        Attachment(
            message=message,
            name=file.name,
            content_type=file.content_type,
            content=file.content,
            size=len(file.content),
            sha256=hashlib.sha256(file.content).hexdigest(),
        )
        for file in files
    ]


def _usable(decision: Decision) -> Decision:
    """Turn a decision for a buyer's address that cannot receive mail into a refusal with its reason."""
    if decision.delivers and decision.notification == "buyer_email":
        try:
            addresses.validate_single(decision.address)
        except addresses.InvalidAddress:
            return replace(decision, delivers=False, reason=Reason.INVALID_BUYER_ADDRESS)
    return decision


def _reason_text(decision: Decision) -> str:
    return wording.reason(decision.reason, decision.params)


def _language(event: Event, company: CompanyFacts, account: User | SftpAccount | None) -> str:
    """The account's own for accounts, the shop's for shop matters, else the company's (docs/rules.md 4.9)."""
    if account is not None:
        return account.language or company.language
    if event.shop is not None:
        return event.shop.language
    return company.language


# --- Events from outside --------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """The result of one event: "accepted", "duplicate" or "rejected".

    Attributes:
        event: the event, or the one accepted before; None when it was rejected.
        error: why it was rejected.
    """

    status: str
    event: Event | None = None
    error: EventConflict | EventInvalid | None = None


def accept_event(*, valid: ValidEvent, company: Company | None = None) -> tuple[str, Event]:
    """Accept a validated event from the platform: idempotent by its id within the company.

    Args:
        company: the only company the sender may speak for; None for a platform sender.

    Returns:
        ("accepted", event) or ("duplicate", the event accepted before).

    Raises:
        EventConflict: the id was used with another body.
        EventInvalid: the shop is unknown to the sender.
    """
    (outcome,) = accept_events(valid=[valid], company=company)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.event
    return outcome.status, outcome.event


def accept_events(*, valid: Sequence[ValidEvent], company: Company | None = None) -> list[Outcome]:
    """Accept validated events from the platform, as `accept_event` does each of them.

    Many share a transaction, which has ended when this returns; none of them touches another. An error
    that is no refusal is raised when all others are through: the sender repeats, and those are duplicates then.

    Returns:
        The outcomes, in the order of the events.
    """
    if len(valid) <= GROUP:
        return _in_groups(valid, company)
    # Whatever names no shop costs one look for all of it, and no transaction.
    known = existing((item.site_id for item in valid), company)
    accepted = iter(_in_groups([item for item in valid if item.site_id in known], company))
    return [
        next(accepted) if item.site_id in known else Outcome("rejected", error=item.unknown_shop()) for item in valid
    ]


def _in_groups(valid: Sequence[ValidEvent], company: Company | None) -> list[Outcome]:
    failures: list[Exception] = []
    outcomes: list[Outcome] = []
    for start in range(0, len(valid), GROUP):
        outcomes += _accepted(valid[start : start + GROUP], company, failures)
    if failures:
        raise failures[0]
    return outcomes


def _accepted(group: Sequence[ValidEvent], company: Company | None, failures: list[Exception]) -> list[Outcome]:
    """Accept a group in one transaction; where that fails, its halves, until what fails stands alone."""
    alone = len(group) == 1
    try:
        with trail.publishing(len(group)):
            return _accepted_together(group, company)
    except IntegrityError:
        # Another process accepted the same id between the look and the write: look again.
        try:
            return _accepted_together(group, company)
        except IntegrityError:
            if alone:
                return [Outcome("rejected", error=EventConflict(group[0].id))]
    except (EventConflict, EventInvalid) as refused:
        if alone:
            return [Outcome("rejected", error=refused)]
    except (OperationalError, InterfaceError) as error:
        # A database that is gone or busy is so for the halves as well.
        if alone or not _is_deadlock(error):
            raise
    except Exception as error:
        if alone:
            failures.append(error)
            return [Outcome("rejected")]
    middle = len(group) // 2
    return _accepted(group[:middle], company, failures) + _accepted(group[middle:], company, failures)


def _is_deadlock(error: Exception) -> bool:
    """Whether PostgreSQL gave this transaction up for another one (deadlock, serialisation)."""
    return getattr(error.__cause__, "sqlstate", "") in ("40P01", "40001")


@transaction.atomic
def _accepted_together(group: Sequence[ValidEvent], company: Company | None) -> list[Outcome]:
    """Accept a group of events in one transaction. An unknown shop or a conflict is the outcome of its event; other
    errors are raised and undo the group.
    """
    shops = shops_of((valid.site_id for valid in group), company)
    known = _known_events(group, shops.values())
    outcomes: list[Outcome] = []
    events: list[Event] = []
    for valid in group:
        try:
            shop = valid.shop_of(shops)
        except EventInvalid as refused:
            outcomes.append(Outcome("rejected", error=refused))
            continue
        earlier = known.get((shop.company_id, valid.id))
        if earlier is None:
            event = known[shop.company_id, valid.id] = _event_of(valid, shop)
            events.append(event)
            outcomes.append(Outcome("accepted", event))
        elif earlier.body_hash == valid.body_hash:
            outcomes.append(Outcome("duplicate", earlier))
        else:
            outcomes.append(Outcome("rejected", error=EventConflict(valid.id)))
    if events:
        _record(events)
    return outcomes


def _known_events(group: Sequence[ValidEvent], shops: Iterable[Shop]) -> dict[tuple[int | None, str], Event]:
    """The events accepted before under the ids of a group, by company and id."""
    companies = {shop.company_id for shop in shops}
    if not companies:
        return {}
    condition = ", ".join(str(int(company)) for company in sorted(companies))
    events = _events_of(condition).all(valid.id for valid in group)
    return {(event.company_id, event.event_id): event for event in events}


@lru_cache(maxsize=256)
def _events_of(companies: str) -> Reading[Event]:
    """The events of some companies, named by their numbers."""
    return Reading(Event, by="event_id", condition=f" AND company_id IN ({companies})")


_RULES: Reading[NotificationRule] = Reading(
    NotificationRule, by="shop_id", condition=" AND archived_at IS NULL ORDER BY id"
)
_CONTACTS: Reading[Contact] = Reading(Contact, by="company_id", condition=" ORDER BY kind")


def _event_of(valid: ValidEvent, shop: Shop) -> Event:
    return made(
        Event,
        company=shop.company,
        shop=shop,
        event_id=valid.id,
        type=valid.type,
        mode=valid.mode,
        occurred_at=valid.occurred_at,
        data=valid.data,
        body_hash=valid.body_hash,
        external=True,
        request_id=valid.request_id,
    )


def _record(events: list[Event]) -> None:
    """Write events that only rules follow, with what they lead to; the settings are read once for all of them."""
    shops = {event.shop.pk: event.shop for event in events if event.shop}
    known = _Settings(list(shops.values()), {str(event.data.get("buyer_email") or "") for event in events})
    insert(events)
    draft = _Draft()
    for event in events:
        assert event.shop
        facts, rules = known.of(event.shop)
        _add_rules(draft, event, facts, facts.shops[0], rules, known.contracts)
    draft.save()
    trail.accepted(events, draft.deliveries)
    for event in events:
        hooks.event_recorded(event)


class _Settings:
    """What a group of events needs to know of its shops: one query for each kind of thing."""

    def __init__(self, shops: list[Shop], buyers: set[str]) -> None:
        self._shops = shops
        self._rules: dict[int, list[NotificationRule]] = {shop.pk: [] for shop in shops}
        for rule in _RULES.all(self._rules):
            self._rules[rule.shop_id].append(rule)
        keep_related([shop.company for shop in shops], "contacts", "company_id", _CONTACTS)
        self._suppressed = health.suppressed_of([shop.company for shop in shops], {*buyers, *self._written_to()})
        self._facts: dict[int, tuple[CompanyFacts, dict[str, NotificationRule]]] = {}
        self._contracts: dict[int, tuple[str, ...]] | None = None

    def _written_to(self) -> Iterator[str]:
        """Every address that the settings of these shops name."""
        for shop in self._shops:
            yield shop.manager_email
            yield from (contact.email for contact in shop.company.contacts.all())
            for rule in self._rules[shop.pk]:
                yield from rule.recipients

    def of(self, shop: Shop) -> tuple[CompanyFacts, dict[str, NotificationRule]]:
        """The facts of the shop's company with this shop only, and the shop's rules by reference."""
        if shop.pk not in self._facts:
            rules = self._rules[shop.pk]
            contacts = {contact.kind: contact.email for contact in shop.company.contacts.all()}
            facts = settings_facts.company_facts(
                shop.company, shops=[shop], live_rules=rules, accounts=False, contacts=contacts, also=None
            )
            facts = replace(facts, health=self._suppressed.get(shop.company_id, {}))
            self._facts[shop.pk] = facts, {rule.reference: rule for rule in rules}
        return self._facts[shop.pk]

    def contracts(self, shop: Shop) -> tuple[str, ...]:
        if self._contracts is None:
            self._contracts = calls.contracts_of_shops(self._shops)
        return self._contracts.get(shop.pk, ())
