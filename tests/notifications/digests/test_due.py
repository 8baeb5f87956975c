"""When a digest is due, also on the nights when a clock changes."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from notifications.core.digests import due


@pytest.mark.parametrize(
    ("digest", "zone", "now", "then"),
    [
        ("hourly", "Europe/Paris", "2026-11-27T10:00:00", "2026-11-27T11:00:00"),
        ("hourly", "Europe/Paris", "2026-11-27T10:59:59", "2026-11-27T11:00:00"),
        # The hour that comes twice, and the one that does not come.
        ("hourly", "Europe/Paris", "2026-10-25T00:30:00", "2026-10-25T01:00:00"),
        ("hourly", "Europe/Paris", "2026-10-25T01:30:00", "2026-10-25T02:00:00"),
        ("hourly", "Europe/Paris", "2026-03-29T00:30:00", "2026-03-29T01:00:00"),
        # Full hours of the company's clock; one that moves by half an hour.
        ("hourly", "Asia/Kolkata", "2026-11-27T10:00:00", "2026-11-27T10:30:00"),
        ("hourly", "Australia/Lord_Howe", "2026-10-03T15:15:00", "2026-10-03T16:00:00"),
        ("daily", "Europe/Paris", "2026-11-27T05:59:59", "2026-11-27T06:00:00"),
        ("daily", "Europe/Paris", "2026-11-27T06:00:00", "2026-11-28T06:00:00"),
        # 7:00 of the clock, not 24 hours later.
        ("daily", "Europe/Paris", "2026-10-24T12:00:00", "2026-10-25T06:00:00"),
        ("daily", "Europe/Paris", "2026-03-28T12:00:00", "2026-03-29T05:00:00"),
        ("daily", "Asia/Tokyo", "2026-11-27T12:00:00", "2026-11-27T22:00:00"),
        ("daily", "America/New_York", "2026-11-27T02:00:00", "2026-11-27T12:00:00"),
    ],
)
def test_a_digest_is_due_at_the_next_full_hour_or_the_next_seven_o_clock(
    digest: str, zone: str, now: str, then: str
) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert due(digest, moment, ZoneInfo(zone)) == datetime.fromisoformat(then).replace(tzinfo=UTC)


def test_each_event_is_told_at_once() -> None:
    assert due("each", datetime(2026, 11, 27, tzinfo=UTC), ZoneInfo("Europe/Paris")) is None
