"""What every transport answers with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """How one attempt ended.

    Attributes:
        outcome: an `Attempt.Outcome` value: sent, transient or permanent.
        code: SMTP or HTTP status, None when the other side gave none.
        reply: what the other side said, or what went wrong, cut to what the journal keeps.
        queue_id: the receiving server's name for the message.
        duration_ms: how long the attempt took.
    """

    outcome: str
    code: int | None = None
    reply: str = ""
    queue_id: str = ""
    duration_ms: int = 0

    @property
    def error(self) -> str:
        """One line for lists; empty when sent."""
        return "" if self.outcome == "sent" else " ".join(filter(None, [str(self.code or ""), self.reply]))[:500]
