"""Dates and times in words: the one place where they are written for people, on pages, in mails and in print.

One form per kind of place:

- lists and badges: `short_day`, `short_moment` (« 25/10/2026 à 2 h 30 »);
- lists of one line a row: `row_moment` (« hier 14:24 »);
- sentences and details: `day`, `long_moment` (« 25 octobre 2026 à 2 h 30 »);
- proofs, hover and print: `exact` (with seconds and zone);
- mails: `in_mail` (with the name of the zone, since their readers have no setting of ours).

All are in the active language and time zone. Twice a year a clock changes: an hour comes twice, or not at all. Times
close to such a change carry their offset (« 2 h 30 (UTC+02:00) »), so that two of them can be told apart and set in order.
"""

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

from django.utils import formats, timezone
from django.utils.translation import get_language, pgettext
from django.utils.translation import gettext as _

# How near to a change of the clock a time tells its offset.
AROUND = timedelta(hours=3)


def local(value: datetime) -> datetime:
    """The moment on the clock of the active time zone; a naive one is on it already."""
    return timezone.localtime(value) if timezone.is_aware(value) else value


def offset(value: datetime) -> str:
    """« UTC+02:00 » close to a change of the clock; empty on all other days."""
    here = local(value)
    if here.tzinfo is None:
        return ""
    # Counted in UTC: adding to a local time ignores the change.
    minute = here.astimezone(UTC).replace(second=0, microsecond=0)
    return written_offset(here) if _is_near_change(here.tzinfo, minute) else ""


@lru_cache(maxsize=512)
def _is_near_change(zone: tzinfo, minute: datetime) -> bool:
    """Whether a clock changes around a minute in UTC: clocks change on whole minutes, and many mails tell of the same."""
    before, after = ((minute + step).astimezone(zone).utcoffset() for step in (-AROUND, AROUND))
    return before != after


def written_offset(value: datetime) -> str:
    """« UTC+02:00 » of an aware time."""
    return f"UTC{value:%z}"[:6] + ":" + f"{value:%z}"[3:5]


def _with_offset(text: str, value: datetime) -> str:
    told = offset(value)
    return f"{text} ({told})" if told else text


def day(value: date | datetime) -> str:
    """25 octobre 2026; 1er novembre 2026 in French, where the first of a month is an ordinal."""
    shown = local(value) if isinstance(value, datetime) else value
    return _day(date(shown.year, shown.month, shown.day), get_language())


@lru_cache(maxsize=512)
def _day(shown: date, language: str | None) -> str:
    """A day in a language, which must be the active one: the same few are told again and again."""
    text = formats.date_format(shown, pgettext("date format", "j F Y"))
    if shown.day == 1 and (language or "").startswith("fr") and text.startswith("1 "):
        return f"1er{text[1:]}"
    return text


def short_day(value: date | datetime) -> str:
    """25/10/2026."""
    return formats.date_format(local(value) if isinstance(value, datetime) else value, "SHORT_DATE_FORMAT")


def _clock(value: datetime) -> str:
    return formats.date_format(value, pgettext("time format", r"G\ \h\ i")).replace(" ", "\N{NO-BREAK SPACE}")


def clock(value: datetime) -> str:
    """2 h 30 in French, 2:30 in English."""
    return _with_offset(_clock(local(value)), value)


def short_moment(value: datetime) -> str:
    """25/10/2026 à 2 h 30."""
    return _("%(day)s à %(time)s") % {"day": short_day(value), "time": clock(value)}


def row_moment(value: datetime, today: date) -> str:
    """Date and time of a dense row, relative where that is short: « hier 14:24 », « 12/11 14:24 », « 12/11/2025 14:24 »."""
    here = local(value)
    days = (today - here.date()).days
    if days == 0:
        said = _("aujourd'hui")
    elif days == 1:
        said = _("hier")
    elif here.year == today.year:
        said = formats.date_format(here, pgettext("date format without the year", "d/m"))
    else:
        said = short_day(value)
    return _with_offset(f"{said} {here:%H:%M}", value)


def long_moment(value: datetime) -> str:
    """25 octobre 2026 à 2 h 30."""
    return _("%(day)s à %(time)s") % {"day": day(value), "time": clock(value)}


def exact(value: datetime) -> str:
    """25 octobre 2026, 02:30:00 (CEST); with the offset close to a change of the clock."""
    here = local(value)
    zone = ", ".join(filter(None, [f"{here:%Z}", offset(value)]))
    return f"{day(here)}, {here:%H:%M:%S} ({zone})"


def in_mail(value: datetime) -> str:
    """25 octobre 2026 02:30 (Europe/Paris); with the offset close to a change of the clock."""
    here = local(value)
    separator = ", " if (get_language() or "").startswith("en") else " "
    zone = ", ".join(filter(None, [offset(value), timezone.get_current_timezone_name()]))
    return f"{day(here)}{separator}{here:%H:%M} ({zone})"
