"""What a rule would have matched: the events of the last days, judged by the function that judges them when they come."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from notifications.core import resolver
from notifications.core.catalogue import EXTERNAL_TYPES
from notifications.core.condition_money import money_text
from notifications.core.facts import EventFacts
from notifications.models import NotificationRule
from notifications.readers import events_of
from notifications.settings_facts import rule_facts

DAYS = 30
# The newest ones; a shop with more learns enough from them.
MOST_READ = 2000
NAMED = 25


@dataclass(frozen=True)
class MatchedEvent:
    """One event that the rule would have matched, as a list shows it."""

    event_id: str
    trigger: str
    at: datetime
    mode: str
    order: str
    amount: str


@dataclass(frozen=True)
class Backtest:
    """How many events of the rule's triggers came, how many it would have matched, and the newest of these.

    Attributes:
        is_partial: more came than were read.
    """

    seen: int
    matched: int
    events: list[MatchedEvent]
    is_partial: bool

    @property
    def more(self) -> int:
        return self.matched - len(self.events)

    @property
    def sentence(self) -> str:
        if not self.seen:
            return _("Ces %(days)d derniers jours, aucun de ces événements n'est arrivé.") % {"days": DAYS}
        seen = ngettext("%(n)d événement", "%(n)d événements", self.seen) % {"n": self.seen}
        matched = ngettext("%(n)d aurait correspondu", "%(n)d auraient correspondu", self.matched) % {"n": self.matched}
        if self.is_partial:
            seen = _("les %(counted)s les plus récents") % {"counted": seen}
        return _("Ces %(days)d derniers jours : %(seen)s, %(matched)s.") % {
            "days": DAYS,
            "seen": seen,
            "matched": matched,
        }


def backtest(rule: NotificationRule) -> Backtest:
    """Judge the events of the rule's shop by the rule as it is typed; one query, bounded.

    Tests that the back office made itself do not count.
    """
    since = timezone.now() - timedelta(days=DAYS)
    internal = [code for code in rule.triggers if code not in EXTERNAL_TYPES]
    rows = (
        events_of(rule.shop)
        .filter(Q(external=True) | Q(type__in=internal), type__in=rule.triggers, occurred_at__gte=since)
        .order_by("-occurred_at", "-pk")
        .values_list("event_id", "type", "occurred_at", "mode", "data")[: MOST_READ + 1]
    )
    facts = rule_facts(rule)
    seen = matched = 0
    named: list[MatchedEvent] = []
    for event_id, code, at, mode, data in rows:
        seen += 1
        if seen > MOST_READ or not resolver.rule_matches(facts, EventFacts(code, mode, data)):
            continue
        matched += 1
        if len(named) < NAMED:
            named.append(_named(event_id, code, at, mode, data))
    return Backtest(min(seen, MOST_READ), matched, named, seen > MOST_READ)


def _named(event_id: str, code: str, at: datetime, mode: str, data: dict[str, object]) -> MatchedEvent:
    amount, currency = data.get("amount"), data.get("currency")
    money = money_text(amount, (str(currency),)) if isinstance(amount, int) and isinstance(currency, str) else ""
    order = str(data.get("order_id") or data.get("transaction_id") or "")[:60]
    return MatchedEvent(event_id, code, at, mode, order, money)
