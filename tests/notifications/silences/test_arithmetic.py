"""When a silence is too long, by the shop's own weeks."""

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from notifications.core import silences

PARIS = ZoneInfo("Europe/Paris")
# A Monday, 9:00 in Paris.
MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def every_week(*hours: int, count: int) -> dict[datetime, int]:
    """Payments in these hours after Monday 9:00, in each of eight weeks before."""
    begins = [(MONDAY.astimezone(PARIS) - timedelta(weeks=week)).astimezone(UTC) for week in range(1, 9)]
    return {begin + timedelta(hours=hour): count for begin in begins for hour in hours}


def test_a_silence_is_told_when_chance_alone_would_leave_one_in_two_hundred() -> None:
    means = silences.profile(every_week(*range(168), count=2), PARIS)
    at = silences.too_long_at(means, MONDAY, PARIS)
    assert at is not None
    expected = silences.expected(means, MONDAY, at, PARIS)
    assert math.isclose(1 - math.exp(-expected), 0.995, abs_tol=1e-6)
    assert math.isclose((at - MONDAY) / timedelta(hours=1), -math.log(0.005) / 2, abs_tol=1e-3), "two an hour"


def test_hours_that_are_always_quiet_expect_nothing() -> None:
    # Open from 9:00 to 12:00 on Mondays, four payments an hour.
    means = silences.profile(every_week(0, 1, 2, count=4), PARIS)
    assert means[0, 9] == 4
    closing = MONDAY + timedelta(hours=3)
    at = silences.too_long_at(means, closing - timedelta(minutes=30), PARIS)
    assert at is not None
    assert MONDAY + timedelta(weeks=1) < at < closing + timedelta(weeks=1), "the night and the week expect nothing"


def test_little_history_expects_little() -> None:
    # A single week of twelve payments an hour counts as one and a half.
    one_week = {MONDAY - timedelta(weeks=1) + timedelta(hours=hour): 12 for hour in range(168)}
    means = silences.profile(one_week, PARIS)
    assert math.isclose(silences.expected(means, MONDAY, MONDAY + timedelta(hours=2), PARIS), 3)
    assert silences.too_long_at({}, MONDAY, PARIS) is None


def test_hours_are_those_of_the_clock_when_it_changes() -> None:
    # 9:00 in Paris is 7:00 UTC in summer and 8:00 in winter.
    summer = datetime(2026, 10, 19, 7, 0, tzinfo=UTC)
    winter = datetime(2026, 10, 26, 8, 0, tzinfo=UTC)
    assert silences.profile({summer: 8, winter: 8}, PARIS) == {(0, 9): 2}
