"""`manage.py bounce FILE.eml|-`: one delivery status notification."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from notifications.core.bounce_notices import MOST_BYTES
from notifications.health import notices


class Command(BaseCommand):
    help = "Reads one delivery status notification (RFC 3464), as a mail server pipes it, and records what it says."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="the notification; - for standard input")
        parser.add_argument("--recipient", default="", help="the envelope address that it was sent to")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["file"]
        try:
            if name == "-":
                raw = sys.stdin.buffer.read(MOST_BYTES)
                # The rest is read and dropped: a pipe that is closed early is an error to the server.
                while sys.stdin.buffer.read(MOST_BYTES):
                    pass
            else:
                with Path(name).open("rb") as file:
                    raw = file.read(MOST_BYTES)
        except OSError as error:
            raise CommandError(f"{name} : {error.strerror}") from error
        noted = notices.note(raw, recipient=options["recipient"])
        self.stdout.write(
            f"deliveries={noted.deliveries} suppressed={noted.suppressed} soft={noted.soft} ignored={noted.ignored}"
        )
