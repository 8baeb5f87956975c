"""Pictures of sendings: 30 days by outcome, each day a link to its rows of the journal."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from backoffice.base import charts
from backoffice.base.charts import Bar, Chart, Series
from backoffice.text import times
from notifications.models import Delivery
from notifications.tables import counted

DAYS = 30

# The outcomes of a picture, from the bottom up: kind, words, states, and how the journal names these states.
_OUTCOMES = (
    ("fail", gettext_lazy("En échec"), Delivery.FAILED, "lost"),
    ("warn", gettext_lazy("À envoyer"), Delivery.OPEN, "open"),
    ("ok", gettext_lazy("Envoyés"), (Delivery.Status.SENT,), "sent"),
    ("off", gettext_lazy("Annulés"), (Delivery.Status.CANCELLED,), "cancelled"),
)


def midnight(day: date) -> datetime:
    """The moment at which a day begins, in the time zone of the reader's company."""
    return timezone.make_aware(datetime.combine(day, time.min))


@dataclass(frozen=True)
class Month:
    """How many deliveries of the last days have each state, day by day.

    Attributes:
        days: oldest first, the last is today.
        counts: (day, state) → how many; what is not there is none.
    """

    days: list[date]
    counts: Mapping[tuple[date, str], int] = field(default_factory=dict)

    def number(self, states: tuple[Any, ...], *, since: date | None = None) -> int:
        """How many have one of these states, since a day or in all."""
        return sum(
            number
            for (day, state), number in self.counts.items()
            if state in states and (since is None or day >= since)
        )

    def number_on(self, day: date, states: tuple[Any, ...]) -> int:
        """How many of one day have one of these states."""
        return sum(self.counts.get((day, state), 0) for state in states)

    def __bool__(self) -> bool:
        return bool(self.counts)


def month_of(deliveries: QuerySet[Delivery], reader: Hashable = None) -> Month:
    """Count the deliveries of the last 30 days by day and state; see `counted.by_day`.

    Days are those of the reader's time zone: their limits go into the query, so that no database has to know zones.

    Args:
        reader: what `deliveries` are narrowed to, if nothing but time changes that.
    """
    today = timezone.localdate()
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    return Month(days, counted.by_day(deliveries, {day: midnight(day) for day in days}, reader))


def month_picture(month: Month, *, key: str = "month", title: str = "", **asked: str) -> Chart:
    """The stacked bars of a month.

    Args:
        asked: what the journal is narrowed to besides the day: an address, a notification.
    """
    kinds = [outcome for outcome in _OUTCOMES if outcome[0] in ("fail", "ok") or month.number(tuple(outcome[2]))]
    bars = [_bar(day, month, kinds, asked) for day in month.days]
    total = sum(month.counts.values())
    failed = month.number(Delivery.FAILED)
    described = _("%(total)s en 30 jours, dont %(failed)s.") % {
        "total": ngettext("%(n)d envoi", "%(n)d envois", total) % {"n": total},
        "failed": ngettext("%(n)d en échec", "%(n)d en échec", failed) % {"n": failed},
    }
    middle = month.days[len(month.days) // 2]
    return charts.stacked_bars(
        key,
        title or _("Envois des 30 derniers jours, par résultat"),
        described,
        [Series(kind, str(label)) for kind, label, _states, _group in kinds],
        bars,
        first_head=_("Jour"),
        axis=(times.short_day(month.days[0]), times.short_day(middle), _("aujourd'hui")),
    )


def _bar(day: date, month: Month, kinds: list[Any], asked: Mapping[str, str]) -> Bar:
    values = [month.number_on(day, states) for _kind, _label, states, _group in kinds]
    said = ", ".join(
        f"{value} {str(label).lower()}" for value, (_kind, label, *_rest) in zip(values, kinds, strict=True) if value
    )
    on_day = {**asked, "since": day.isoformat(), "until": day.isoformat()}
    return Bar(
        f"{times.day(day)} : {said}" if said else times.day(day),
        values,
        _journal(**on_day) if any(values) else "",
        [_journal(**on_day, status=group) for *_rest, group in kinds],
    )


def _journal(**asked: str) -> str:
    return f"{reverse('journal')}?{urlencode(asked)}"
