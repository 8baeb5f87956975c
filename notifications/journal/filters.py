"""The filters that the URL of the journal may contain. Invalid values count as absent."""

from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from backoffice.base.forms import _Filter
from notifications.core.catalogue import CHOICES, MODES
from notifications.journal.selectors import Search
from notifications.models import Delivery

# Groups of statuses, besides each status alone.
STATUS_GROUPS = {
    "open": Delivery.OPEN,
    "failed": Delivery.FAILED,
    "troubled": (*Delivery.FAILED, Delivery.Status.RETRY),
    "unsent": (Delivery.Status.NOT_SENT,),
    "lost": Delivery.FAILED,
}
# Periods that move with the day, by the days that they reach back and how many days ago they end.
PERIODS = {"today": (0, 0), "yesterday": (1, 1), "week": (6, 0), "month": (29, 0)}
PERIOD_LABELS = {
    "today": pgettext_lazy("period", "Aujourd'hui"),
    "yesterday": pgettext_lazy("period", "Hier"),
    "week": pgettext_lazy("period", "7 jours"),
    "month": pgettext_lazy("period", "30 jours"),
}
# Groups without the calls that were never to be made, for want of a URL.
WITHOUT_UNCALLED = ("troubled", "unsent", "lost")


class JournalFilter(_Filter):
    """Search and filters of the journal; `since` and `until` are days, both included, and beat `period`."""

    q = forms.CharField(max_length=254, required=False)
    status = forms.ChoiceField(
        choices=[
            ("", _("Tous")),
            ("open", _("À envoyer (tous)")),
            ("failed", _("En échec (tous)")),
            ("troubled", _("En échec ou à réessayer, sauf URL non définie")),
            ("unsent", _("Non envoyés, sauf URL non définie")),
            ("lost", _("En échec, sauf URL non définie")),
            *Delivery.Status.choices,
        ],
        required=False,
    )
    notification = forms.ChoiceField(choices=[("", _("Toutes")), *CHOICES], required=False)
    channel = forms.ChoiceField(choices=[("", _("Tous")), *Delivery.ChannelChoice.choices], required=False)
    rule = forms.CharField(max_length=40, required=False)
    shop = forms.CharField(max_length=8, required=False)
    address = forms.CharField(max_length=254, required=False)
    event = forms.CharField(max_length=200, required=False)
    digest = forms.CharField(max_length=200, required=False)
    mode = forms.ChoiceField(choices=[("", _("Tous")), *((mode, mode) for mode in MODES)], required=False)
    period = forms.ChoiceField(choices=[("", _("Tous")), *PERIOD_LABELS.items()], required=False)
    since = forms.DateField(required=False, input_formats=["%Y-%m-%d"])
    until = forms.DateField(required=False, input_formats=["%Y-%m-%d"])

    NAMES = (
        "q", "status", "notification", "channel", "rule", "shop", "address", "event", "digest", "mode", "period", "since",
        "until",
    )  # fmt: skip

    def is_active(self) -> bool:
        return any(self.value(name) for name in self.NAMES)

    def search(self) -> Search:
        """Return what the journal is narrowed to; `q` is not in it."""
        status = self.value("status")
        since, until = self.days()
        return Search(
            status=STATUS_GROUPS.get(status, (status,) if status else ()),
            uncalled=status not in WITHOUT_UNCALLED,
            notification=self.value("notification"),
            channel=self.value("channel"),
            rule=self.value("rule"),
            shop=self.value("shop"),
            address=self.value("address"),
            event=self.value("event"),
            digest=self.value("digest"),
            mode=self.value("mode"),
            since=midnight(since) if since else None,
            until=midnight(until + timedelta(days=1)) if until else None,
        )

    def query(self) -> str:
        """The filters as they stand in the address of the page, without what makes no sense."""
        values = {name: self.value(name) for name in self.NAMES}
        return urlencode({name: str(value) for name, value in values.items() if value})

    def days(self) -> tuple[date | None, date | None]:
        """The first and the last day; None leaves an end open."""
        since, until = self._day("since"), self._day("until")
        if since is None and until is None and (period := PERIODS.get(self.value("period"))):
            today = timezone.localdate()
            return today - timedelta(days=period[0]), today - timedelta(days=period[1])
        return since, until

    @property
    def chosen_period(self) -> str:
        """The period in force; empty where days are given, which beat it."""
        return "" if self._day("since") or self._day("until") else str(self.value("period"))

    def _day(self, name: str) -> Any:
        # Days at the ends of the calendar cannot be moved between time zones.
        day = self.value(name)
        return day if day and 1970 < day.year < 3000 else None


def midnight(day: Any) -> datetime:
    """The moment at which a day begins, in the time zone of the reader's company."""
    return timezone.make_aware(datetime.combine(day, time.min))
