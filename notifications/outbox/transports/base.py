"""What every transport is given, and what it answers with."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from notifications.core.retry import WAITS_MARK

# Starts the error of a mail that the server may have taken: the connection was lost before its answer came.
UNKNOWN_MARK = "[answer unknown]"


@dataclass(frozen=True)
class Result:
    """How one attempt ended.

    Attributes:
        outcome: an `Attempt.Outcome` value: sent, transient or permanent.
        code: SMTP or HTTP status, None when the other side gave none.
        reply: what the other side said, or what went wrong, cut to what the journal keeps.
        queue_id: the receiving server's name for the message.
        duration_ms: how long the attempt took.
        waits_for: the setting of ours that keeps mail from going out; such an attempt does not count, and the
            delivery waits however long it takes to mend the setting.
        whole_queue: whether every other mail would meet the same, so that it need not be tried.
        opening: whether no connection could be had; another one may be open.
        of_recipient: whether a refusal speaks of the recipient or of the message, and not of us or of the server.
        goes_elsewhere: whether another server takes the mail at once.
        is_unknown: whether the message may have been taken, since the answer to it never came.
        ended: when, in seconds since 1970; 0 where nothing was tried.
    """

    outcome: str
    code: int | None = None
    reply: str = ""
    queue_id: str = ""
    duration_ms: int = 0
    waits_for: str = ""
    whole_queue: bool = False
    opening: bool = False
    is_unknown: bool = False
    of_recipient: bool = False
    goes_elsewhere: bool = False
    ended: float = field(default=0.0, compare=False)

    @property
    def error(self) -> str:
        """One line for lists; empty when sent."""
        if self.outcome == "sent":
            return ""
        mark = f"{WAITS_MARK}{self.waits_for}]" if self.waits_for else UNKNOWN_MARK if self.is_unknown else ""
        return " ".join(filter(None, [mark, str(self.code or ""), self.reply]))[:500]


@dataclass(eq=False)
class Parcel:
    """A mail on its way to a connection. Until it has begun to leave, its owner may take it back.

    Attributes:
        is_ours: whether its lease still holds.
        sender, recipient: the envelope.
        content: its bytes for a mail server, or the message for a backend of the framework.
    """

    key: uuid.UUID
    sender: bytes
    recipient: bytes
    content: Any
    is_ours: Callable[[], bool]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _has_begun: bool = False
    _is_withdrawn: bool = False

    def begin(self) -> bool:
        """Say that the content leaves now; False when it must not, since it is no longer ours."""
        with self._lock:
            if self._is_withdrawn or not self.is_ours():
                return False
            self._has_begun = True
            return True

    def withdraw(self) -> bool:
        """Take it back; False when it is leaving already."""
        with self._lock:
            self._is_withdrawn = not self._has_begun
            return self._is_withdrawn
