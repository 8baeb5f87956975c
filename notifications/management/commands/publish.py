"""`manage.py publish FILE.jsonl`: one event a line, each accepted or rejected on its own."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from notifications.events.intake import EventInvalid, NotJson, ValidEvent, parse_json, validate_event
from notifications.events.publishing import GROUP, accept_events

# Bytes asked for at once; whatever a pipe gives sooner is a group of its own, so that nobody waits for one to fill.
READ_BYTES = 1 << 17

# Its number, and the line, None where it is over the limit.
Line = tuple[int, bytes | None]


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
        self.counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
        for lines in _groups(stream):
            self._accept(lines)
        self.stdout.write(" ".join(f"{name}={count}" for name, count in self.counts.items()))
        if self.counts["rejected"]:
            sys.exit(1)

    def _accept(self, lines: list[Line]) -> None:
        judged = [(number, _judged(line)) for number, line in lines if line is None or line.strip()]
        outcomes = iter(accept_events(valid=[item for _number, item in judged if isinstance(item, ValidEvent)]))
        for number, item in judged:
            error: Exception | None
            if isinstance(item, ValidEvent):
                outcome = next(outcomes)
                status, error = outcome.status, outcome.error
            else:
                status, error = "rejected", item
            if error is not None:
                self.stderr.write(f"line {number}: {error}")
            self.counts[status] += 1
        last = lines[-1][0]
        if self.stderr.isatty() and last >= GROUP:
            self.stderr.write(f"\r{last}", ending="")


def _judged(line: bytes | None) -> ValidEvent | EventInvalid | NotJson:
    """The event of a line, or why it is none."""
    try:
        if line is None:
            raise NotJson(_("la ligne dépasse 2 Mio."))
        return validate_event(parse_json(line))
    except (NotJson, EventInvalid) as error:
        return error


def _groups(stream: BinaryIO) -> Iterator[list[Line]]:
    """The lines in groups: what one look at the stream brings, `GROUP` at most."""
    group: list[Line] = []
    for line in _lines(stream):
        if line is not None:
            group.append(line)
        if group and (line is None or len(group) == GROUP):
            yield group
            group = []
    if group:
        yield group


def _lines(stream: BinaryIO) -> Iterator[Line | None]:
    """Each line as soon as its end is read, and None before each read, which may wait.

    A line over the limit is skipped without being held.
    """
    limit = settings.API_MAX_BODY_BYTES
    number, kept, is_over = 0, b"", False
    while True:
        yield None
        read = stream.read1(READ_BYTES)  # type: ignore[attr-defined]
        *ended, rest = (kept + read).split(b"\n")
        for line in ended:
            number += 1
            yield number, None if is_over or len(line.rstrip(b"\r")) > limit else line
            is_over = False
        if not read:
            if rest or is_over:
                number += 1
                yield number, None if is_over or len(rest.rstrip(b"\r")) > limit else rest
            return
        is_over = is_over or len(rest) > limit + 1
        kept = b"" if is_over else rest
