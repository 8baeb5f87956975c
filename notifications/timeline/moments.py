"""Moments as they are typed and written: ISO 8601 with an offset, not in the future."""

import re
from datetime import UTC, datetime

from django.utils import timezone
from django.utils.translation import gettext as _

# In the address of a page a `+` that was not escaped arrives as a space.
_UNESCAPED = re.compile(r"(?<=\d) (?=\d\d:?\d\d$)")


class MomentInvalid(ValueError):
    """A moment that cannot be answered for, in a sentence that names it."""


def read_moment(text: str) -> datetime:
    """The moment that a text means.

    Raises:
        MomentInvalid: no ISO 8601 date and time, no offset, or in the future.
    """
    shown = {"value": text[:100]}
    text = text.strip()
    try:
        moment = datetime.fromisoformat(_UNESCAPED.sub("+", text) if "T" in text else text)
    except ValueError as error:
        told = _("« %(value)s » n'est pas une date ISO 8601, telle que 2026-03-01T09:30:00+01:00.")
        raise MomentInvalid(told % shown) from error
    try:
        offset = moment.utcoffset()
        moment = moment.astimezone(UTC) if offset is not None else moment
    except (OverflowError, ValueError) as error:
        raise MomentInvalid(_("« %(value)s » n'est pas une date connue.") % shown) from error
    if offset is None:
        raise MomentInvalid(_("« %(value)s » est sans décalage horaire : ajoutez Z ou +01:00.") % shown)
    if moment > timezone.now():
        raise MomentInvalid(_("« %(value)s » est dans le futur.") % shown)
    return moment


def read_local_moment(text: str) -> datetime:
    """The moment that a field of a page means: without an offset it is on the clock of the reader. Raises MomentInvalid."""
    try:
        typed = datetime.fromisoformat(text.strip())
        if typed.tzinfo is None:
            text = timezone.make_aware(typed).isoformat()
    except (OverflowError, ValueError):
        pass  # told by `read_moment`
    return read_moment(text)


def local_text(moment: datetime | None) -> str:
    """The moment as the field of a page takes it, on the clock of the reader."""
    return "" if moment is None else timezone.localtime(moment).replace(tzinfo=None).isoformat(timespec="seconds")


def written(moment: datetime) -> str:
    """The moment in UTC, to the microsecond where it has some: reading it gives the same again."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
