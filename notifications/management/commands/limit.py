"""`manage.py limit [NAME …]`: how much mail may go to a domain or through a mail server."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from companies.audit import Actor
from notifications.events import doorbell
from notifications.models import SendingLimit
from notifications.outbox import limits


class Command(BaseCommand):
    help = "Limits mail to a domain (gmail.com) or through a mail server (smtp.example:587); without a name: lists."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", help="a domain of recipients, or host:port of a mail server")
        parser.add_argument("--per-minute", type=int, metavar="N", help="mails in a minute, of all workers")
        parser.add_argument("--connections", type=int, metavar="N", help="connections at a time, of all workers")
        parser.add_argument("--remove", action="store_true", help="end the limit; what waited for it goes on")

    def handle(self, **options: Any) -> None:
        actor = Actor.command("limit")
        try:
            if options["name"] and options["remove"]:
                if not limits.remove_limit(actor=actor, name=limits.clean_name(options["name"])):
                    raise CommandError(f"{options['name']} is not limited.")
                doorbell.ring()
            elif options["name"]:
                limits.set_limit(
                    actor=actor,
                    name=options["name"],
                    per_minute=options["per_minute"],
                    connections=options["connections"],
                )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        rows = SendingLimit.objects.order_by("name")
        for row in rows:
            self.stdout.write(f"{row.name} per_minute={row.per_minute or '-'} connections={row.connections or '-'}")
        self.stdout.write(f"limits={len(rows)}")
