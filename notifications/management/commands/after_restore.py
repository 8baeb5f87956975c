"""`manage.py after_restore LOG… [--plan]`: what was sent since the dump is not sent again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from notifications.models import Delivery
from notifications.outbox import restoring


class Command(BaseCommand):
    help = (
        "After a restore and before workers start: note as sent what logs (ours, at LOG_LEVEL=INFO, or the mail "
        "server's) say was sent since the dump, and name accepted events that the dump does not hold."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("logs", nargs="+", type=Path, help="log files from the time of the dump on")
        parser.add_argument("--plan", action="store_true", help="only tell")

    def handle(self, *, logs: list[Path], plan: bool, **options: Any) -> None:
        remembered = restoring.read(_lines(logs))
        sends = restoring.forgotten_sends(remembered)
        events = restoring.forgotten_events(remembered)
        for delivery in sends:
            self.stdout.write(f"sent {delivery.pk} {delivery.status}")
        for event_id in events:
            self.stdout.write(f"event {event_id}")
        noted = 0 if plan else restoring.note_sent(sends)
        still_open = Delivery.objects.filter(status__in=Delivery.OPEN).count()
        self.stdout.write(
            f"remembered={len(remembered.sent)} noted={noted} open={still_open} lost_events={len(events)}"
        )


def _lines(logs: list[Path]) -> Iterator[str]:
    for path in logs:
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                yield from file
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from error
