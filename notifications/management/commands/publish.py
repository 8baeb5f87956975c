"""`manage.py publish FILE.jsonl`: one event a line, each its own transaction."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from notifications.intake import EventConflict, EventInvalid, NotJson, parse_json, validate_event
from notifications.services import accept_event


class Command(BaseCommand):
    help = "Accepts events, one JSON object a line; deliveries are queued, not sent."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="a JSON Lines file, or - for standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["file"] == "-":
            self._run(sys.stdin.buffer)
            return
        try:
            with Path(options["file"]).open("rb") as stream:
                self._run(stream)
        except OSError as error:
            raise CommandError(
                _("%(file)s ne peut pas être lu : %(reason)s") % {"file": options["file"], "reason": error.strerror}
            ) from error

    def _run(self, stream: BinaryIO) -> None:
        counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
        for number, line in _lines(stream):
            if line is not None and not line.strip():
                continue
            try:
                if line is None:
                    raise NotJson(_("la ligne dépasse 2 Mio."))
                status, _event = accept_event(valid=validate_event(parse_json(line)))
            except (NotJson, EventInvalid, EventConflict) as error:
                status = "rejected"
                self.stderr.write(f"line {number}: {error}")
            counts[status] += 1
            if self.stderr.isatty() and number % 200 == 0:
                self.stderr.write(f"\r{number}", ending="")
        self.stdout.write(" ".join(f"{name}={count}" for name, count in counts.items()))
        if counts["rejected"]:
            sys.exit(1)


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """(line number, line), None for a line over the limit, which is skipped without being held."""
    limit = settings.API_MAX_BODY_BYTES
    number = 0
    while True:
        line = stream.readline(limit + 2)
        if not line:
            return
        number += 1
        if len(line.rstrip(b"\r\n")) <= limit:
            yield number, line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(1 << 20)
        yield number, None
