"""When a shop is silent for longer than its own last eight weeks let expect (docs/rules.md 5.6).

The statistic: payments of each hour of the week, over eight weeks, give the mean of that hour; a silence is given what
its hours, or the parts of them that it covers, expect together. Were payments independent of each other (Poisson), a
silence that expects λ of them would have none with a probability of e^-λ; it is told once 1 - e^-λ ≥ 99.5 %, that is,
once λ ≥ 5.3. Pure: counts and times in, moments out.
"""

import math
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo

WEEKS = 8
HISTORY = timedelta(weeks=WEEKS)
CERTAINTY = 0.995
ENOUGH = -math.log(1 - CERTAINTY)
_HOUR = timedelta(hours=1)

# (weekday, hour) on the clock of the company → how many payments a week.
Profile = Mapping[tuple[int, int], float]


def begin(until: datetime, zone: tzinfo) -> datetime:
    """Where the eight weeks begin that end at a moment: at the same time of the clock, so that each hour has eight."""
    return (until.astimezone(zone) - HISTORY).astimezone(UTC)


def profile(counts: Mapping[datetime, int], zone: tzinfo) -> Profile:
    """The mean of each hour of the week.

    Args:
        counts: hour, as the moment it begins → payments in it, over eight weeks; hours without one may be absent.
    """
    sums: Counter[tuple[int, int]] = Counter()
    for hour, count in counts.items():
        sums[_slot(hour, zone)] += count
    return {slot: count / WEEKS for slot, count in sums.items()}


def _slot(moment: datetime, zone: tzinfo) -> tuple[int, int]:
    local = moment.astimezone(zone)
    return local.weekday(), local.hour


def expected(means: Profile, since: datetime, until: datetime, zone: tzinfo) -> float:
    """How many payments a time expects."""
    total, start = 0.0, since
    while start < until:
        end = min(_next_hour(start), until)
        total += means.get(_slot(start, zone), 0.0) * ((end - start) / _HOUR)
        start = end
    return total


def too_long_at(means: Profile, since: datetime, zone: tzinfo) -> datetime | None:
    """The time from which a silence is too long; None after more than eight weeks, when nothing is expected any more."""
    total, start = 0.0, since
    while start < since + HISTORY:
        end = _next_hour(start)
        rate = means.get(_slot(start, zone), 0.0)
        share = rate * ((end - start) / _HOUR)
        if rate and total + share >= ENOUGH:
            return start + (ENOUGH - total) / rate * _HOUR
        total, start = total + share, end
    return None


def _next_hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + _HOUR
