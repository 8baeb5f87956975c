"""When to try again: schedules as data and pure functions (docs/rules.md 5.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# Starts the error of a mail that waits for our own settings: « [configuration EMAIL_URL] 535 … ».
WAITS_MARK = "[configuration "
# Starts the error of a mail that waits for its turn under a limit: « [limit gmail.com] ».
LIMIT_MARK = "[limit "
# What a mail waits for when the mail server of its company cannot be used.
OWN_RELAY = "own-relay"

QUARTER = timedelta(minutes=15)
# A failure shortly before a slot waits for the one after it: the endpoint gets time to recover.
MIN_WAIT = timedelta(minutes=5)


def next_email_attempt(failures: int, now: datetime, delays: Sequence[int]) -> datetime | None:
    """The time of the next attempt after `failures` transient failures, or None: give up.

    Args:
        failures: attempts made so far, at least 1.
        delays: seconds to wait after each, in order.
    """
    if failures > len(delays):
        return None
    return now + timedelta(seconds=delays[failures - 1])


# --- Calls to notification URLs (docs/rules.md 5.3) ------------------------------------------------

SENT_STATUSES = frozenset({200, 201, 202, 203, 204, 205, 206})
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
STANDARD_RETRIES = 4
# Seconds between the ten attempts of the profile "extended". Even when every one of them is cut
# by the jitter, the last comes more than 75 hours after the first.
EXTENDED_DELAYS = (300, 900, 3600, 10800, 21600, 43200, 64800, 86400, 108000)
EXTENDED_JITTER = 0.2
MAX_RETRY_AFTER = timedelta(hours=24)
# The merchant's server says that the URL is gone for good.
GONE = 410


@dataclass(frozen=True)
class CallPolicy:
    """How the calls of a rule are repeated; frozen with each call when its event is accepted.

    Attributes:
        profile: "standard" or "extended".
        auto_retry: « Rejeu automatique en cas d'échec », read by the profile "standard" only.
    """

    profile: str = "standard"
    auto_retry: bool = False

    @property
    def max_attempts(self) -> int:
        if self.profile == "extended":
            return len(EXTENDED_DELAYS) + 1
        return 1 + STANDARD_RETRIES if self.auto_retry else 1


def call_succeeded(status: int | None, profile: str) -> bool:
    """Whether an answer with this HTTP status counts as sent.

    A redirection is never followed. Under "standard" it counts as sent, with a warning, as the
    reference lists it; under "extended" it is a failure: nobody has received anything.
    """
    return status in SENT_STATUSES or (profile == "standard" and status in REDIRECT_STATUSES)


def slot_of(moment: datetime) -> datetime:
    """The start of the quarter of an hour (00, 15, 30, 45) that a moment lies in."""
    return moment.replace(minute=moment.minute - moment.minute % 15, second=0, microsecond=0)


def next_slot(now: datetime) -> datetime:
    """The first quarter of an hour (00, 15, 30, 45) that is at least five minutes away."""
    earliest = now + MIN_WAIT
    start = slot_of(earliest)
    return start if start == earliest else start + QUARTER


def next_call_attempt(
    policy: CallPolicy,
    failures: int,
    now: datetime,
    *,
    status: int | None = None,
    retry_after: str = "",
    dice: float = 0.5,
) -> datetime | None:
    """The time of the next attempt of a failed call, or None: that was the last one.

    Args:
        failures: attempts made so far, all failed, at least 1.
        status: HTTP status of the last one.
        retry_after: its Retry-After header, seconds or a date; read by "extended" only.
        dice: 0 to 1, decides the jitter of "extended".
    """
    if failures >= policy.max_attempts:
        return None
    if policy.profile != "extended":
        return next_slot(now)
    if status == GONE:
        return None
    delay = timedelta(seconds=EXTENDED_DELAYS[failures - 1] * (1 + EXTENDED_JITTER * (2 * dice - 1)))
    asked = parse_retry_after(retry_after, now)
    return now + max(delay, min(asked, MAX_RETRY_AFTER))


def parse_retry_after(text: str, now: datetime) -> timedelta:
    """How long a Retry-After header (RFC 9110, 10.2.3) asks to wait; zero when it asks nothing sensible."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), int(MAX_RETRY_AFTER.total_seconds())))
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return timedelta(0)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(timedelta(0), moment - now)
