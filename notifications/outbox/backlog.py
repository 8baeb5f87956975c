"""Deliveries that are not over yet, as conditions for the lists of staff and the counts that lead there."""

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from notifications.core.retry import WAITS_MARK
from notifications.models import Delivery
from notifications.outbox.parts import LAG_SECONDS

# All that is under way; what is ready and that nobody takes; what waits for a setting of ours.
OPEN, LATE, SETTINGS = "open", "late", "settings"


def condition(code: str) -> Q:
    """The deliveries of one of the codes above. KeyError for any other."""
    return {
        OPEN: Q(status__in=Delivery.OPEN),
        LATE: Q(
            status__in=Delivery.DUE,
            retry_at__isnull=True,
            carried_by__isnull=True,
            created_at__lt=timezone.now() - timedelta(seconds=LAG_SECONDS),
        ),
        SETTINGS: Q(status=Delivery.Status.RETRY, retry_at__isnull=False, error__startswith=WAITS_MARK),
    }[code]
