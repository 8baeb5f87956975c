"""« Adresses contactées » as a list: each address with its roles, how much it receives, its state, its last sendings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max, QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import pgettext_lazy

from backoffice.base.per_value import first_of_each
from backoffice.text.addresses import normalise
from notifications.core.address_health import UNKNOWN, AddressState, HealthFacts
from notifications.core.facts import CompanyFacts
from notifications.core.health_wording import STATE_LABELS
from notifications.models import Delivery
from notifications.tables import compute, screens
from notifications.tables.compute import AddressTable, DeliveryTables
from notifications.tables.pictures import DAYS

# Roles named in a row; the page of the address has all.
NAMED_ROLES = 1


@dataclass(frozen=True)
class Traffic:
    """What was sent to an address in the last 30 days: when the last got through, when the last failed."""

    sent: datetime | None = None
    failed: datetime | None = None

    @property
    def is_failing(self) -> bool:
        """Whether the last thing known of it is a failure."""
        return self.failed is not None and (self.sent is None or self.failed > self.sent)


NOTHING = Traffic()


@dataclass(frozen=True)
class AddressLook:
    """The state of an address in a word with the kind of its badge; `rank` puts the worst first."""

    kind: str
    label: Promise
    rank: int


_LOST = AddressLook("fail", pgettext_lazy("address", "Ne reçoit rien"), 0)
_FAILING = AddressLook("warn", pgettext_lazy("address", "En échec"), 1)
_QUIET = AddressLook("off", pgettext_lazy("address", "Sans envoi"), 3)
_FINE = AddressLook("ok", pgettext_lazy("address", "Reçoit"), 4)


@dataclass(frozen=True)
class ListedAddress:
    """One address of the list.

    Attributes:
        lines: how many lines of the tables reach it; None where that was not counted.
        is_mine: it is the reader's own.
    """

    table: AddressTable
    traffic: Traffic
    state: AddressLook
    is_mine: bool
    roles: Sequence[str] = ()
    more_roles: int = 0
    lines: int | None = None

    @property
    def email(self) -> str:
        return self.table.email


def traffic_of(deliveries: QuerySet[Delivery], addresses: Iterable[str]) -> dict[str, Traffic]:
    """What was sent to each of some addresses in the last 30 days.

    Two statements: failures are few, and an index has them by company; the newest mail that got through is asked of
    the index by address. So neither reads what was sent to buyers, however much that is.

    Args:
        addresses: in normal form.
    """
    wanted = set(addresses)
    since = timezone.now() - timedelta(days=DAYS)
    mails = deliveries.filter(created_at__gte=since, channel="email").order_by()
    refused = mails.filter(status__in=(*Delivery.FAILED, Delivery.Status.RETRY))
    failed = dict(
        refused.values("normalised_address").annotate(last=Max("created_at")).values_list("normalised_address", "last")
    )
    newest = mails.filter(status=Delivery.Status.SENT).order_by("-created_at")
    sent = first_of_each(newest, "normalised_address", wanted, "created_at")
    return {key: Traffic(sent.get(key), failed.get(key)) for key in wanted if key in sent or key in failed}


# state of its health → what the list says; of the others the sendings speak.
HEALTH = {
    AddressState.SUPPRESSED: AddressLook("fail", STATE_LABELS[AddressState.SUPPRESSED], -1),
    AddressState.BOUNCING: AddressLook("warn", STATE_LABELS[AddressState.BOUNCING], 1),
}


def state_of(traffic: Traffic, health: HealthFacts = UNKNOWN) -> AddressLook:
    """What its health, else the sendings of a month, say of an address."""
    if health.state in HEALTH:
        return HEALTH[health.state]
    if traffic.is_failing:
        return _FAILING if traffic.sent else _LOST
    return _FINE if traffic.sent else _QUIET


def rows_of(tables: DeliveryTables, traffic: Mapping[str, Traffic], mine: str) -> list[ListedAddress]:
    """Every address of the tables, the reader's own and the failing ones first.

    Args:
        mine: the address of the reader.
    """
    own = normalise(mine)
    rows = [_row(table, traffic.get(table.normalised, NOTHING), own) for table in tables.addresses]
    return sorted(rows, key=_as_they_matter)


def _row(table: AddressTable, traffic: Traffic, own: str) -> ListedAddress:
    return ListedAddress(table, traffic, state_of(traffic, table.health), table.normalised == own)


def _as_they_matter(row: ListedAddress) -> tuple[Any, ...]:
    return (row.state.rank > _FAILING.rank, not row.is_mine, row.state.rank, row.table.normalised)


_BEGINNING = datetime.min.replace(tzinfo=timezone.get_default_timezone())

# Name in `?sort=` → what the rows are compared by.
SORTS: dict[str, Callable[[ListedAddress], Any]] = {
    "address": lambda row: row.table.normalised,
    "roles": lambda row: len(row.table.roles),
    "lines": lambda row: len(row.table.receives),
    "state": lambda row: row.state.rank,
    "sent": lambda row: row.traffic.sent or _BEGINNING,
    "failed": lambda row: row.traffic.failed or _BEGINNING,
}
# Sorted by these, every address has to have its lines.
NEEDS_LINES = "lines"


def in_order(rows: list[ListedAddress], asked: str) -> list[ListedAddress]:
    """Sorted by `?sort=`; as they are where it makes no sense."""
    name = asked.removeprefix("-")
    return sorted(rows, key=SORTS[name], reverse=asked.startswith("-")) if name in SORTS else rows


def filled(rows: Iterable[ListedAddress], facts: CompanyFacts, *, is_whole: bool) -> list[ListedAddress]:
    """The rows of one page with their roles in words and the number of their lines.

    Args:
        is_whole: their tables have their lines already.
    """
    shown = list(rows)
    if not is_whole:
        whole = compute.tables_of(facts, [row.email for row in shown])
        by_key = {table.normalised: table for table in whole.addresses}
        shown = [replace(row, table=by_key[row.table.normalised]) for row in shown]
    return [_in_words(row) for row in shown]


def _in_words(row: ListedAddress) -> ListedAddress:
    words = screens.roles_in_short(row.table)
    return replace(
        row,
        roles=words[:NAMED_ROLES],
        more_roles=max(0, len(words) - NAMED_ROLES),
        lines=len(row.table.receives),
    )
