"""Many deliveries of the journal at once: what is chosen, and what can be done with it, and why not with the rest."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet, prefetch_related_objects
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import ngettext_lazy

from companies.models import Membership
from companies.rights import access, permissions
from notifications import readers
from notifications.core.catalogue import Channel
from notifications.health import recording
from notifications.journal import proofs
from notifications.journal import selectors as journal_selectors
from notifications.journal.filters import JournalFilter
from notifications.journal.lookup import searched
from notifications.models import Delivery
from notifications.outbox import services as delivery_services

RESEND, CANCEL, REPLAY, EXPORT = "resend", "cancel", "replay", "export"
# What each asks for; taking a file is for whoever sees the journal.
PERMISSIONS = {
    RESEND: permissions.RESEND,
    CANCEL: permissions.RESEND,
    REPLAY: permissions.RUN_NOTIFICATION_URL,
    EXPORT: permissions.VIEW,
}
# More are done in several goes, so that one click cannot flood mailboxes; files have no bound.
MAX_MANY = 2000
# Those named in the preview.
SAMPLE = 10


@dataclass(frozen=True)
class Chosen:
    """What is ticked, or all that the filters find, up to the moment it was first looked at.

    Attributes:
        query: the filters of the journal, to go back to.
    """

    keys: tuple[str, ...]
    every: bool
    query: str
    as_of: datetime

    @classmethod
    def posted(cls, data: QueryDict) -> "Chosen":
        """The selection sent by our own form; values that are no delivery keys are ignored."""
        as_of = parse_datetime(data.get("as_of", "")[:40])
        now = timezone.now()
        return cls(
            tuple(dict.fromkeys(key for key in data.getlist("key")[:200] if _is_key(key))),
            "all" in data,
            JournalFilter(QueryDict(data.get("query", "")[:4000])).query(),
            now if as_of is None or timezone.is_naive(as_of) or as_of > now else as_of,
        )

    def rows(self, membership: Membership) -> QuerySet[Delivery]:
        """The deliveries meant, of those that the user sees."""
        visible = readers.deliveries_for(membership)
        if not self.every:
            return visible.filter(pk__in=self.keys)
        asked = JournalFilter(QueryDict(self.query))
        filtered = journal_selectors.deliveries_filtered(visible, asked.search())
        return searched(filtered, asked.value("q").strip()).filter(created_at__lte=self.as_of)

    @property
    def hidden_fields(self) -> list[tuple[str, str]]:
        """What the preview carries to the save."""
        fields = [("key", key) for key in self.keys] if not self.every else [("all", "1")]
        return [*fields, ("query", self.query), ("as_of", self.as_of.isoformat())]


def _is_key(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


@dataclass
class ManyPlan:
    """What of the chosen can be resent or cancelled.

    Attributes:
        left_out: sentences with their number: why others cannot.
    """

    doable: list[Delivery] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def sample(self) -> list[Delivery]:
        return self.doable[:SAMPLE]

    @property
    def more(self) -> int:
        return max(0, len(self.doable) - SAMPLE)


def plan(action: str, rows: QuerySet[Delivery], membership: Membership) -> ManyPlan:
    """Judge each of the rows as resending or cancelling it would; a fixed number of queries.

    Args:
        rows: not more than MAX_MANY.
    """
    listed = list(rows.select_related("event", "shop", "rule", "company"))
    judge = _why_not_resent if action == RESEND else _why_not_cancelled
    reasons: Counter[str] = Counter()
    doable = []
    for delivery in listed:
        reason = judge(delivery, membership)
        if reason:
            reasons[reason] += 1
        else:
            doable.append(delivery)
    if action == RESEND and doable:
        # Only messages of the company as a whole have to be read for that.
        prefetch_related_objects([item for item in doable if item.shop_id is None], "message")
        may = proofs.readable(membership, doable)
        reasons["unread"] += len(doable) - len(may)
        held = recording.suppressed_of(may)
        doable = [delivery for delivery in may if delivery.pk not in held]
        reasons["suppressed"] += len(may) - len(doable)
    return ManyPlan(doable, sentences(reasons))


def _why_not_resent(delivery: Delivery, membership: Membership) -> str:
    if not access.can(membership, permissions.RESEND, delivery.shop):
        return "foreign"
    if delivery.channel == Channel.IPN:
        return "calls"
    if delivery.status in Delivery.OPEN:
        return "running"
    if not delivery.is_resendable:
        return "empty"
    return "" if delivery_services.may_go_out(delivery) else "stopped"


def _why_not_cancelled(delivery: Delivery, membership: Membership) -> str:
    if not access.can(membership, permissions.RESEND, delivery.shop):
        return "foreign"
    if delivery.status not in Delivery.DUE:
        return "ended"
    return "" if delivery.is_cancellable else "common"


# (one, many) of each reason.
_WHY_NOT = {
    "foreign": ngettext_lazy(
        "%(n)d envoi sur lequel vous n'avez pas ce droit", "%(n)d envois sur lesquels vous n'avez pas ce droit", "n"
    ),
    "calls": ngettext_lazy(
        "%(n)d appel d'URL, qui se rejoue au lieu d'être renvoyé",
        "%(n)d appels d'URL, qui se rejouent au lieu d'être renvoyés",
        "n",
    ),
    "running": ngettext_lazy("%(n)d message qui part encore", "%(n)d messages qui partent encore", "n"),
    "empty": ngettext_lazy(
        "%(n)d envoi sans message : rien n'avait été écrit", "%(n)d envois sans message : rien n'avait été écrit", "n"
    ),
    "stopped": ngettext_lazy(
        "%(n)d message d'une société ou boutique suspendue ou fermée",
        "%(n)d messages d'une société ou de boutiques suspendues ou fermées",
        "n",
    ),
    "unread": ngettext_lazy(
        "%(n)d message de la société que vous ne pouvez pas lire en entier",
        "%(n)d messages de la société que vous ne pouvez pas lire en entier",
        "n",
    ),
    "suppressed": ngettext_lazy(
        "%(n)d message à une adresse qui ne reçoit plus rien",
        "%(n)d messages à des adresses qui ne reçoivent plus rien",
        "n",
    ),
    "ended": ngettext_lazy(
        "%(n)d envoi déjà terminé, ou qui part en ce moment",
        "%(n)d envois déjà terminés, ou qui partent en ce moment",
        "n",
    ),
    "common": ngettext_lazy(
        "%(n)d envoi commun à plusieurs sociétés, que l'équipe de la plateforme arrête",
        "%(n)d envois communs à plusieurs sociétés, que l'équipe de la plateforme arrête",
        "n",
    ),
    "mails": ngettext_lazy(
        "%(n)d e-mail, qui se renvoie au lieu d'être rejoué",
        "%(n)d e-mails, qui se renvoient au lieu d'être rejoués",
        "n",
    ),
}


def sentences(reasons: Mapping[str, int]) -> list[str]:
    """Why some are left out, each with its number."""
    return [str(_WHY_NOT[reason] % {"n": n}) for reason, n in sorted(reasons.items()) if n]
