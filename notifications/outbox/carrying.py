"""Letters that several companies share, when the company whose row carries the mail is suspended or closed.

One mail to an address serves all companies that have it (`broadcasts/broadcasting.py`), and its row is that of the first.
While that one is kept back by the state of its company, the others would wait for it: another one carries it then.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from backoffice.base.rows import as_key
from companies.models import Status
from notifications.models import Delivery, dedupe_key
from notifications.outbox import claims, signs
from notifications.outbox.transports.base import UNKNOWN_MARK

LOOK_SECONDS = 60.0
# A row of `Tick` of its own: one worker a minute looks.
_LOOKS = 4
# Letters of one look.
AT_ONCE = 500
# Constants of ours only, written out for the sake of the index.
_KEPT = (
    "SELECT id FROM notifications_delivery"  # noqa: S608
    f" WHERE {claims.READY['mail']} AND broadcast_id IS NOT NULL"
    " AND COALESCE(company_id, 0) IN (SELECT id FROM companies_company WHERE status <> 'active')"
    " AND EXISTS (SELECT 1 FROM notifications_delivery AS follower, companies_company AS other"
    " WHERE follower.carried_by_id = notifications_delivery.id AND follower.status IN ('queued', 'retry')"
    " AND other.id = follower.company_id AND other.status = 'active') LIMIT %s"
)


def tick(now: datetime) -> None:
    """Look once a minute; of all workers together one does."""
    if signs.elected("letters", every=LOOK_SECONDS, clock=_LOOKS):
        hand_over_kept()


def hand_over_kept() -> int:
    """Let letters go to active companies whose row waits for the one of a company that is not; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(_KEPT, [AT_ONCE])
        keys = [as_key(key) for (key,) in cursor.fetchall()]
    return sum(_hand_over(key, followers_of(key).filter(company__status=Status.ACTIVE)) for key in keys)


def followers_of(key: UUID) -> QuerySet[Delivery]:
    """The rows that wait for a mail, in the order in which they would carry it: that in which letters meet companies."""
    return Delivery.objects.filter(carried_by=key, status__in=Delivery.DUE).order_by("company_id", "pk")


def leave(keys: Collection[UUID]) -> None:
    """Part rows that are to be cancelled from the letters that they carry, which go on for the other companies."""
    for key in Delivery.objects.filter(pk__in=keys, broadcast__isnull=False).values_list("pk", flat=True):
        waiting = followers_of(key)
        active_first = waiting.filter(company__status=Status.ACTIVE)
        if _hand_over(key, active_first if active_first.exists() else waiting):
            Delivery.objects.filter(pk=key).update(carried_by=None)


@transaction.atomic
def _hand_over(key: UUID, heirs: QuerySet[Delivery]) -> bool:
    """Let the first of some rows carry the mail of another, with all that this one carried."""
    carrier = Delivery.objects.select_for_update().filter(pk=key, status__in=Delivery.DUE, carried_by=None).first()
    heir = heirs.select_for_update(of=("self",)).first() if carrier is not None else None
    # What may have arrived is tried again under the same Message-ID, or not at all.
    if carrier is None or heir is None or carrier.error.startswith(UNKNOWN_MARK):
        return False
    # The carrier is found by its key; no two rows have one at any moment.
    name = carrier.dedupe_key
    carried = dedupe_key("carried", carrier.broadcast_id, carrier.company_id, carrier.normalised_address)
    Delivery.objects.filter(pk=carrier.pk).update(dedupe_key=carried, carried_by=heir)
    state = {"status": carrier.status, "retry_at": carrier.retry_at, "attempt_count": carrier.attempt_count}
    Delivery.objects.filter(pk=heir.pk).update(dedupe_key=name, carried_by=None, **state)
    Delivery.objects.filter(Q(carried_by=carrier.pk) & ~Q(pk=heir.pk)).update(carried_by=heir)
    return True
