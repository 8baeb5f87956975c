"""The health of an address in a company: what a refusal means, and which state follows (docs/rules.md 7.9).

`unverified` → `verified` → `bouncing` → `suppressed`. A hard refusal says that the address does not exist or takes no
mail any more; every other one is soft, and counts only where many come over days without a success between.

Pure: no database, no settings, no clock.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

# Enhanced status codes (RFC 3463) that speak of the address itself.
HARD_CODES = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
# So many soft refusals, over so long, suppress an address too.
SOFT_LIMIT = 5
SOFT_SPAN = timedelta(days=3)


class AddressState(StrEnum):
    """How an address stands; stored and printed, so the codes never change."""

    UNVERIFIED = "unverified"
    VERIFIED = "verified"
    BOUNCING = "bouncing"
    SUPPRESSED = "suppressed"


class Cause(StrEnum):
    """What brought an address into its state."""

    LINK = "link"
    LOGIN = "login"
    SOFT = "soft"
    HARD = "hard"
    PERSISTENT = "persistent"
    DELIVERED = "delivered"
    REACTIVATED = "reactivated"


class Gravity(StrEnum):
    """How serious one refusal is for the address."""

    HARD = "hard"
    SOFT = "soft"


@dataclass(frozen=True, slots=True)
class HealthFacts:
    """The state of one address.

    Attributes:
        since: since when, None for an address of which nothing is known yet.
        cause: what brought it there; empty like the following where nothing did.
        code: the status code of the server.
        words: what the server said; after a reactivation, who asked for it.
    """

    state: AddressState = AddressState.UNVERIFIED
    since: datetime | None = None
    cause: str = ""
    code: str = ""
    words: str = ""


UNKNOWN = HealthFacts()

# A class, subject and detail that are no part of an IP address or of a version.
_ENHANCED = re.compile(r"(?<![\w.-])([245])\.(\d{1,3})\.(\d{1,3})(?![\w-]|\.\d)")
# The same right behind the code of a reply, where servers put it.
_AFTER_REPLY = re.compile(r"(?<!\d)[245]\d\d[ -]#?([245]\.\d{1,3}\.\d{1,3})(?![\w-]|\.\d)")


def enhanced_code(text: str) -> str:
    """The enhanced status code of a reply or a diagnosis; empty where it has none."""
    text = text[:4000]
    match = _AFTER_REPLY.search(text)
    if match:
        return _plain(match.group(1))
    match = _ENHANCED.search(text)
    return _plain(match.group(0)) if match else ""


def _plain(code: str) -> str:
    """Without leading zeros, which some servers write."""
    return ".".join(str(int(part)) for part in code.split("."))


def code_of(status: str, quoted: str) -> str:
    """The status code that decides: that of the refusal, or, where it is 5.0.0 or missing, the code in the quoted
    reply.
    """
    stated = enhanced_code(status)
    if not stated or stated.endswith(".0.0"):
        return enhanced_code(quoted) or stated
    return stated


def gravity(code: str) -> Gravity:
    """The gravity of a status code; a plain 550 and every code outside the list is soft."""
    return Gravity.HARD if code in HARD_CODES else Gravity.SOFT


def is_persistent(times: Sequence[datetime]) -> bool:
    """Whether soft refusals, none of them before the last success, have gone on for long enough."""
    return len(times) >= SOFT_LIMIT and max(times) - min(times) >= SOFT_SPAN


def after_refusal(state: AddressState, kind: Gravity, soft_times: Sequence[datetime]) -> tuple[AddressState, Cause]:
    """The state after a refusal, and why.

    Args:
        state: the one before.
        soft_times: the soft refusals since the last success, this one among them.
    """
    if kind is Gravity.HARD:
        return AddressState.SUPPRESSED, Cause.HARD
    if state is AddressState.SUPPRESSED or is_persistent(soft_times):
        return AddressState.SUPPRESSED, Cause.PERSISTENT
    return AddressState.BOUNCING, Cause.SOFT


def after_success(state: AddressState, *, was_verified: bool) -> AddressState:
    """The state after a mail was taken: what bounced for a while is what it was before."""
    if state is not AddressState.BOUNCING:
        return state
    return AddressState.VERIFIED if was_verified else AddressState.UNVERIFIED
