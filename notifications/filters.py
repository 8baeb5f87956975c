"""What the URL of a list may ask for. Values that make no sense count as absent."""

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .catalogue import CHOICES, MODES, TABLE_ROWS
from .models import Delivery
from .screens import ROLE_KINDS, Wanted

# Groups of statuses, besides each status alone.
STATUS_GROUPS = {"open": Delivery.OPEN, "failed": Delivery.FAILED}


class _Filter(forms.Form):
    """A form bound to the query string; `value` gives "" where the text was refused."""

    def value(self, name: str) -> Any:
        self.is_valid()
        return self.cleaned_data.get(name) or ""


class TablesFilter(_Filter):
    """Search and filters of the delivery tables."""

    q = forms.CharField(max_length=254, required=False)
    shop = forms.CharField(max_length=8, required=False)
    notification = forms.ChoiceField(choices=[("", ""), *((row.code, row.label) for row in TABLE_ROWS)], required=False)
    role = forms.ChoiceField(choices=[("", ""), *ROLE_KINDS.items()], required=False)

    def wanted(self) -> Wanted:
        return Wanted(self.value("q"), self.value("shop"), self.value("notification"), self.value("role"))


class JournalFilter(_Filter):
    """Search and filters of the journal; `since` and `until` are days, both included."""

    q = forms.CharField(max_length=254, required=False)
    status = forms.ChoiceField(
        choices=[
            ("", _("Tous")),
            ("open", _("À envoyer (tous)")),
            ("failed", _("En échec (tous)")),
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
    mode = forms.ChoiceField(choices=[("", _("Tous")), *((mode, mode) for mode in MODES)], required=False)
    since = forms.DateField(required=False, input_formats=["%Y-%m-%d"])
    until = forms.DateField(required=False, input_formats=["%Y-%m-%d"])

    NAMES = ("q", "status", "notification", "channel", "rule", "shop", "address", "event", "mode", "since", "until")

    def is_active(self) -> bool:
        return any(self.value(name) for name in self.NAMES)

    def arguments(self) -> dict[str, Any]:
        """The arguments of `selectors.deliveries_filtered`."""
        status = self.value("status")
        since, until = self._day("since"), self._day("until")
        return {
            "status": STATUS_GROUPS.get(status, (status,) if status else ()),
            "notification": self.value("notification"),
            "channel": self.value("channel"),
            "rule": self.value("rule"),
            "shop": self.value("shop"),
            "address": self.value("address"),
            "event": self.value("event"),
            "mode": self.value("mode"),
            "since": _midnight(since) if since else None,
            "until": _midnight(until + timedelta(days=1)) if until else None,
        }

    def _day(self, name: str) -> Any:
        # Days at the ends of the calendar cannot be moved between time zones.
        day = self.value(name)
        return day if day and 1970 < day.year < 3000 else None


def _midnight(day: Any) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
