"""Deliveries per day and state: recent days are counted, past days are read from what was stored.

Only days of very many deliveries are kept, in the process. Some days after its end a day gets no new deliveries; where
none is on its way, only those that wait for another try, or are sent again by hand, change it. The index of troubled
deliveries shows that at each look, and the days are counted again.
"""

from collections.abc import Hashable, Mapping
from datetime import date, datetime
from threading import Lock

from django.db.models import Case, Count, IntegerField, QuerySet, Value, When

from notifications.models import Delivery

# Fewer deliveries are counted faster than a page is drawn.
WORTH_KEEPING = 20_000
# Readers whose days are kept: the last that asked.
MOST_READERS = 500
# The newest days, counted every time: most retries end within them.
FRESH_DAYS = 4
# What `delivery_company_troubled` has.
_TROUBLED = (Delivery.Status.RETRY, Delivery.Status.DEAD, Delivery.Status.NOT_SENT, Delivery.Status.CANCELLED)
_ON_ITS_WAY = {Delivery.Status.QUEUED, Delivery.Status.SENDING}

# State → how many.
Counts = dict[str, int]

_kept: dict[Hashable, dict[datetime, Counts]] = {}
_lock = Lock()


def forget() -> None:
    """Delete the stored counts."""
    with _lock:
        _kept.clear()


def by_day(
    deliveries: QuerySet[Delivery], beginnings: Mapping[date, datetime], reader: Hashable = None
) -> dict[tuple[date, str], int]:
    """Count deliveries by day and state; one statement, or two where a kept day has changed.

    Args:
        beginnings: each day, oldest first, with its first moment; the last one is today.
        reader: what `deliveries` are narrowed to, if nothing but time changes that; None to keep nothing.
    """
    with _lock:
        kept = _kept.get(reader, {}) if reader is not None else {}
    known = {day: kept[moment] for day, moment in beginnings.items() if moment in kept}
    counts_of = _counted(deliveries, beginnings, known)
    if counts_of is None:
        counts_of = _counted(deliveries, beginnings, {}) or {}
    if reader is not None:
        _keep(reader, {beginnings[day]: counts_of.get(day, {}) for day in list(beginnings)[:-FRESH_DAYS]})
    return {(day, status): number for day, counts in counts_of.items() for status, number in counts.items()}


def _counted(
    deliveries: QuerySet[Delivery], beginnings: Mapping[date, datetime], known: Mapping[date, Counts]
) -> dict[date, Counts] | None:
    """Day → its counts; None where a known day has other troubled deliveries than it had."""
    days = list(beginnings)
    since = next(place for place, day in enumerate(days) if day not in known)
    start, middle = beginnings[days[0]], beginnings[days[since]]
    # The newest day is asked for first: most rows of a page's period are recent.
    cases = [When(created_at__gte=beginnings[days[at]], then=Value(at)) for at in range(len(days) - 1, -1, -1)]

    def grouped(rows: QuerySet[Delivery]) -> QuerySet[Delivery, tuple[int, str, int]]:
        placed = rows.order_by().annotate(place=Case(*cases, default=Value(0), output_field=IntegerField()))
        return placed.values_list("place", "status").annotate(n=Count("pk"))

    rows = grouped(deliveries.filter(created_at__gte=middle))
    if since:
        troubled = deliveries.filter(created_at__gte=start, created_at__lt=middle, status__in=_TROUBLED)
        rows = rows.union(grouped(troubled), all=True)
    counts_of: dict[date, Counts] = {}
    for place, status, number in rows:
        counts_of.setdefault(days[place], {})[str(status)] = number
    for day in days[:since]:
        if counts_of.get(day, {}) != {status: n for status, n in known[day].items() if status in _TROUBLED}:
            return None
        counts_of[day] = dict(known[day])
    return counts_of


def _keep(reader: Hashable, days: Mapping[datetime, Counts]) -> None:
    """Store the counts of days on which nothing is open, if that saves work."""
    final = {moment: counts for moment, counts in days.items() if not counts.keys() & _ON_ITS_WAY}
    with _lock:
        _kept.pop(reader, None)
        if sum(sum(counts.values()) for counts in final.values()) >= WORTH_KEEPING:
            _kept[reader] = final
            if len(_kept) > MOST_READERS:
                del _kept[next(iter(_kept))]
