"""Mail that waits because of wrong settings of the platform, for staff, who can correct them. Nothing is lost."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, QuerySet

from backoffice.base.figures import Measured
from notifications.core.catalogue import Channel
from notifications.core.retry import OWN_RELAY, WAITS_MARK
from notifications.models import Delivery

WAITING = Measured("bom_mail_waiting_for_settings", "E-mails that wait until a setting of the platform is mended.")


@dataclass(frozen=True)
class Waiting:
    """The mail that waits for one setting.

    Attributes:
        setting: its name in the environment.
        count: how many deliveries wait.
        since: when the oldest of them was accepted.
        reason: what the server or the setting said, for one of them.
    """

    setting: str
    count: int
    since: datetime
    reason: str


def _deliveries() -> QuerySet[Delivery]:
    # By the partial index of what waits: few rows do at any time.
    return Delivery.objects.filter(
        retry_at__isnull=False, status=Delivery.Status.RETRY, channel=Channel.EMAIL, error__startswith=WAITS_MARK
    ).order_by()


def waiting() -> list[Waiting]:
    """What waits, by setting; empty when mail goes out."""
    by_setting: dict[str, Waiting] = {}
    for error, count, since in _deliveries().values_list("error").annotate(Count("pk"), Min("created_at")):
        setting, _sep, reason = error.removeprefix(WAITS_MARK).partition("] ")
        one = by_setting.get(setting)
        if one is not None:
            count, since, reason = count + one.count, min(since, one.since), one.reason
        by_setting[setting] = Waiting(setting, count, since, reason)
    return sorted(by_setting.values(), key=lambda one: one.setting)


def of_platform() -> list[Waiting]:
    """What waits for a setting of the platform; a company's own mail server is for the company to mend."""
    return [one for one in waiting() if one.setting != OWN_RELAY]


def measure() -> None:
    """Bring the gauge up to date; called when figures are asked for, since another process sends."""
    WAITING.set(sum(one.count for one in of_platform()))
