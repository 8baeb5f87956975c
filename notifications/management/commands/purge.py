"""`manage.py purge [--dry-run]`: remove what is older than its stated retention."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from notifications.privacy import purging


class Command(BaseCommand):
    help = (
        "Remove deliveries, messages, events, sessions and tokens older than RETENTION_DAYS; nothing open is touched."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        def progress(name: str, n: int) -> None:
            self.stderr.write(f"{name} {n}")

        counts = purging.count() if dry_run else purging.purge(progress=progress)
        self.stdout.write(" ".join(f"{name}={n}" for name, n in counts.items()))
