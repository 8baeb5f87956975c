"""When a digest is due (docs/rules.md 5.5). Pure: the time is an argument."""

from datetime import UTC, datetime, time, timedelta, tzinfo

from notifications.core.catalogue import EACH

DAILY_AT = time(7)
# Events of a digest that are told one by one; the others are counted.
TOLD = 50


def due(digest: str, now: datetime, zone: tzinfo) -> datetime | None:
    """When an event of now is mailed: at the next full hour, or the next 7:00, in the given zone; None for at once.

    Clocks that are put back have an hour twice, and a digest in each of them; a 7:00 that a change of the clock leaves
    out is the moment of that change.
    """
    if digest == EACH:
        return None
    return _next_hour(now, zone) if digest == "hourly" else _next_morning(now, zone)


def _next_hour(now: datetime, zone: tzinfo) -> datetime:
    # In steps of real time, so that hours that come twice or not at all count as they pass. A zone that is put
    # forward by half an hour needs a second step.
    moment = now.astimezone(UTC).replace(second=0, microsecond=0)
    while True:
        moment += timedelta(minutes=60 - moment.astimezone(zone).minute)
        if moment.astimezone(zone).minute == 0:
            return moment


def _next_morning(now: datetime, zone: tzinfo) -> datetime:
    today = now.astimezone(zone).date()
    for days in (0, 1):
        morning = datetime.combine(today + timedelta(days=days), DAILY_AT, tzinfo=zone).astimezone(UTC)
        if morning > now:
            break
    return morning
