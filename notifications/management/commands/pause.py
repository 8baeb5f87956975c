"""`manage.py pause`: keep what is meant in the queue until `resume`."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from companies.audit import Actor
from notifications.management import holding
from notifications.outbox import holds


class Command(BaseCommand):
    help = "Pauses sending; without any restriction all of it. What is paused waits, nothing is lost."

    def add_arguments(self, parser: ArgumentParser) -> None:
        holding.add_arguments(parser)
        parser.add_argument("--reason", default="", help="shown to staff and to the merchants concerned")

    def handle(self, **options: Any) -> None:
        try:
            hold = holds.pause(actor=Actor.command("pause"), reason=options["reason"], **holding.what(options))
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.stdout.write(f"paused={hold.pk} {hold}")
