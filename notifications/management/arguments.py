"""Arguments that several commands of operators share."""

from datetime import datetime

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

from companies.models import Company


def moment(name: str, text: str | None) -> datetime | None:
    """A time as ISO 8601, or a date: its first moment. Raises CommandError."""
    if not text:
        return None
    try:
        value = parse_datetime(text)
        if value is None and (day := parse_date(text)) is not None:
            value = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - made aware below
    except ValueError:
        value = None
    if value is None:
        raise CommandError(_("%(name)s : « %(value)s » n'est pas une date ISO 8601.") % {"name": name, "value": text})
    return value if value.tzinfo else timezone.make_aware(value)


def company(reference: str | None) -> Company | None:
    """The company of a reference; None without one. Raises CommandError."""
    if not reference:
        return None
    row = Company.objects.filter(reference=reference).first()
    if row is None:
        raise CommandError(_("Aucune société n'a la référence « %(reference)s ».") % {"reference": reference})
    return row
