"""`manage.py resume`: end pauses."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from companies.audit import Actor
from notifications.events import doorbell
from notifications.management import holding
from notifications.models import Hold
from notifications.outbox import holds


class Command(BaseCommand):
    help = "Ends the pause that was made with the same arguments; with --all every one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        holding.add_arguments(parser)
        parser.add_argument("--all", action="store_true", help="end every pause")

    def handle(self, **options: Any) -> None:
        meant = Hold.objects.all() if options["all"] else Hold.objects.filter(**holding.what(options))
        ended = holds.resume(actor=Actor.command("resume"), holds=meant)
        for hold in ended:
            self.stdout.write(str(hold))
        if ended:
            doorbell.ring()
        self.stdout.write(f"resumed={len(ended)} paused={Hold.objects.count()}")
