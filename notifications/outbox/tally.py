"""The counts of a run: deliveries by outcome."""

from collections.abc import Mapping
from dataclasses import dataclass

from notifications.models import Delivery


@dataclass
class Tally:
    """Attempts of a run by outcome."""

    sent: int = 0
    retry: int = 0
    dead: int = 0

    def count(self, statuses: Mapping[str, int]) -> None:
        """Add attempts by the status they led to."""
        self.sent += statuses.get(Delivery.Status.SENT, 0)
        self.retry += statuses.get(Delivery.Status.RETRY, 0)
        self.dead += statuses.get(Delivery.Status.DEAD, 0)

    def add(self, other: "Tally") -> None:
        self.sent, self.retry, self.dead = self.sent + other.sent, self.retry + other.retry, self.dead + other.dead

    def __str__(self) -> str:
        return f"sent={self.sent} retry={self.retry} dead={self.dead}"
