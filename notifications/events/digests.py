"""Digests: the events of a rule that wait for one mail about all of them (docs/rules.md 5.5).

Each event keeps a row for each address of its rule, which waits until the digest is due. Closing a digest is one
transaction: it writes the mail to whoever the rule writes to by then, and binds the rows to it. From then on they take
over what comes of the mail, and a worker that is killed leaves either all of it or nothing.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import nsmallest
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Least
from django.utils import timezone, translation

from backoffice.text import zones
from notifications import settings_facts
from notifications.core import catalogue, resolver, wording
from notifications.core.catalogue import RuleType
from notifications.core.digests import TOLD, due
from notifications.core.facts import CompanyFacts
from notifications.core.reasons import Reason
from notifications.core.resolver import Decision
from notifications.events import doorbell
from notifications.events.publishing import held, publish_decided
from notifications.models import Delivery, Event, NotificationRule

log = structlog.get_logger(__name__)
# The type of the event that a digest is.
DIGEST = "digest.due"
# Rules whose digest is closed in one look: mail that is ready goes out between two of them.
AT_ONCE = 50
# Rows that one statement names; SQLite bounds its parameters.
STEP = 500
S = Delivery.Status
T = TypeVar("T")


@dataclass(frozen=True)
class _Row:
    """A delivery that waits for a digest, or was cancelled or given up while it waited."""

    pk: uuid.UUID
    event: int
    address: str
    is_over: bool


def tick(now: datetime) -> None:
    """Close the digests that are due; called by the clock of every worker."""
    groups = Delivery.objects.filter(digest_at__lte=now).order_by().values_list("rule", "mode").distinct()
    for rule, mode in groups[:AT_ONCE]:
        _close(rule, mode, now)


def reschedule(rule: NotificationRule) -> None:
    """Let what a rule holds follow its settings: at once where it collects nothing any more, else no later than now due.

    Must be called inside the transaction of the change.
    """
    waiting = Delivery.objects.filter(rule=rule, digest_at__isnull=False, status__in=Delivery.DUE)
    now = timezone.now()
    collects = rule.enabled and rule.archived_at is None and rule.type == RuleType.MERCHANT_EMAIL
    zone = ZoneInfo(zones.known(rule.shop.company.time_zone, settings.TIME_ZONE))
    then = (due(rule.digest, now, zone) if collects else None) or now
    if waiting.update(digest_at=Least(F("digest_at"), then), retry_at=Least(F("digest_at"), then)):
        transaction.on_commit(doorbell.ring, robust=True)


def _close(rule_key: int, mode: str, now: datetime) -> None:
    with transaction.atomic():
        # One worker at a time closes the digests of a rule; the others go on with the next one.
        skips = connection.features.has_select_for_update_skip_locked
        rules = NotificationRule.objects.select_for_update(of=("self",), skip_locked=skips)
        rule = rules.select_related("shop__company").filter(pk=rule_key).first()
        if rule is None:
            return
        due_rows = Delivery.objects.filter(rule=rule, mode=mode, digest_at__lte=now)
        # These and no others, whatever is accepted meanwhile.
        columns = due_rows.select_for_update().order_by().values_list("pk", "event__pk", "normalised_address", "status")
        rows = [_Row(pk, event, address, status not in Delivery.DUE) for pk, event, address, status in columns]
        if rows:
            _Digest(rule, mode, now, rows).close()


class _Digest:
    """The events that a rule has collected in one mode, to be mailed now."""

    def __init__(self, rule: NotificationRule, mode: str, now: datetime, rows: list[_Row]) -> None:
        self.rule, self.mode, self.now = rule, mode, now
        self.rows = rows
        self.waiting = [row for row in rows if not row.is_over]
        self.left_out: dict[str, set[int]] = defaultdict(set)
        for row in rows:
            if row.is_over:
                self.left_out[row.address].add(row.event)

    def close(self) -> None:
        facts, decisions = self._decided()
        groups: dict[frozenset[int], list[Decision]] = defaultdict(list)
        events = {row.event for row in self.waiting}
        for decision in decisions:
            if decision.delivers:
                groups[frozenset(events - self.left_out[decision.normalised])].append(decision)
        carriers: dict[str, Delivery] = {}
        for told, receiving in groups.items():
            if told:
                event = self._event(told)
                for mail in publish_decided(event=event, facts=facts, decisions=receiving, rule=self.rule):
                    carriers[mail.normalised_address] = mail
                self._add_missing(told, receiving, carriers)
        self._bind(carriers, {decision.normalised: decision for decision in reversed(decisions)})

    def _decided(self) -> tuple[CompanyFacts, list[Decision]]:
        """The recipients of the rule as it is now; a rule that was disabled meanwhile still sends what it has
        collected.
        """
        shop = self.rule.shop
        facts = settings_facts.company_facts(shop.company, shops=[shop], live_rules=[self.rule], accounts=False)
        of_shop = facts.shops[0]
        rule = replace(of_shop.rules[0], enabled=True)
        code = catalogue.NOTIFICATION_OF_RULE_TYPE[RuleType.MERCHANT_EMAIL]
        return facts, resolver.resolve(facts, code, shop=of_shop, rule=rule)

    def _event(self, told: Iterable[int]) -> Event:
        """The event of the mail: the first events by time, and how many there are."""
        shop = self.rule.shop
        moments = [
            pair
            for keys in _steps(list(told))
            for pair in Event.objects.filter(pk__in=keys).order_by().values_list("occurred_at", "pk")
        ]
        first = [key for _moment, key in nsmallest(TOLD, moments)]
        known = Event.objects.in_bulk(first)
        return Event(
            company=shop.company,
            shop=shop,
            event_id=f"bom-{uuid.uuid4()}",
            type=DIGEST,
            mode=self.mode,
            occurred_at=self.now,
            data={
                "rule": self.rule.reference,
                "digest": self.rule.digest,
                "count": len(moments),
                "since": min(moments)[0].isoformat(),
                "until": max(moments)[0].isoformat(),
                "events": [_told(known[key]) for key in first],
            },
        )

    def _add_missing(self, told: frozenset[int], receiving: list[Decision], carriers: dict[str, Delivery]) -> None:
        """Rows for addresses that the rule writes to since: one for each event and address."""
        there: dict[str, set[int]] = defaultdict(set)
        for row in self.rows:
            there[row.address].add(row.event)
        missing = {decision: told - there[decision.normalised] for decision in receiving}
        wanted = sorted(set().union(*missing.values()))
        for keys in _steps(wanted):
            events = Event.objects.select_related("company", "shop").in_bulk(keys)
            fresh = []
            for decision, without in missing.items():
                for key in without & events.keys():
                    follower = held(events[key], decision, self.rule, None)
                    follower.carried_by = carriers[decision.normalised]
                    fresh.append(follower)
            Delivery.objects.bulk_create(fresh, batch_size=STEP, ignore_conflicts=True)

    def _bind(self, carriers: dict[str, Delivery], decisions: dict[str, Decision]) -> None:
        """Attach collected rows to the mail of their digest; rows without a recipient end here with the reason."""
        by_address: dict[str, list[uuid.UUID]] = defaultdict(list)
        for row in self.waiting:
            by_address[row.address].append(row.pk)
        for address, keys in by_address.items():
            values: dict[str, Any] = {"digest_at": None, "retry_at": None}
            if address in carriers:
                values["carried_by"] = carriers[address]
            else:
                values |= {"status": S.NOT_SENT, **self._refusal(decisions.get(address), decisions.get(""))}
            for some in _steps(keys):
                Delivery.objects.filter(pk__in=some).update(**values)
        for some in _steps([row.pk for row in self.rows if row.is_over]):
            Delivery.objects.filter(pk__in=some).update(digest_at=None)

    def _refusal(self, decision: Decision | None, nobody: Decision | None) -> dict[str, Any]:
        """Why an address is not written to after all."""
        decision = decision or nobody
        if decision is None or decision.delivers:
            reason, params = Reason.NO_LONGER_RECIPIENT, {"rule": self.rule.label, "shop": self.rule.shop.name}
        else:
            reason, params = decision.reason, decision.params
        with translation.override(self.rule.shop.language):
            error = wording.reason(reason, params)[:500]
        version = self.rule.version
        told = {"source": decision.source if decision else "rule", "rule": self.rule.reference, "rule_version": version}
        return {"error": error, "resolution": {**told, "reason": reason, "params": params, "inherited": False}}


def _told(event: Event) -> dict[str, Any]:
    """The lines of a digest about one event."""
    names = ("order_id", "transaction_id", "amount", "currency")
    return {
        "event": event.event_id,
        "type": event.type,
        "at": event.occurred_at.isoformat(),
        **{name: event.data[name] for name in names if name in event.data},
    }


def _steps(items: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(items), STEP):
        yield items[start : start + STEP]
