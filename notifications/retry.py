"""When to try again: a schedule as data and one pure function (STYLE 4)."""

from collections.abc import Sequence
from datetime import datetime, timedelta


def next_email_attempt(failures: int, now: datetime, delays: Sequence[int]) -> datetime | None:
    """The time of the next attempt after `failures` transient failures, or None: give up.

    Args:
        failures: attempts made so far, at least 1.
        delays: seconds to wait after each, in order.
    """
    if failures > len(delays):
        return None
    return now + timedelta(seconds=delays[failures - 1])
