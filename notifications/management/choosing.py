"""What `requeue` and `cancel` share: which deliveries are meant, counted first, then done in steps."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet

from companies.audit import Actor
from notifications.management import arguments
from notifications.models import Delivery
from notifications.outbox import bulk
from notifications.outbox.bulk import Which


class ChoosingCommand(BaseCommand):
    """Counts what is meant, and does it in steps unless `--plan` is given."""

    statuses: tuple[str, ...] = ()
    name = ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--status",
            action="append",
            choices=[str(one) for one in self.statuses],
            required=True,
            help="may be repeated",
        )
        parser.add_argument("--reason", default="", help="a part of the error, as the journal shows it")
        parser.add_argument("--company", metavar="REF")
        parser.add_argument("--address", default="")
        parser.add_argument("--since", help="accepted at or after (ISO 8601)")
        parser.add_argument("--until", help="accepted before (ISO 8601)")
        parser.add_argument("--plan", action="store_true", help="only count")

    def meant(self, which: Which) -> QuerySet[Delivery]:
        raise NotImplementedError

    def act(self, *, which: Which, actor: Actor, progress: Callable[[int], None]) -> int:
        raise NotImplementedError

    def handle(self, **options: Any) -> None:
        which = Which(
            statuses=tuple(options["status"]),
            reason=options["reason"],
            company=arguments.company(options["company"]),
            address=options["address"],
            since=arguments.moment("--since", options["since"]),
            until=arguments.moment("--until", options["until"]),
        )
        if which.since and which.until and which.since >= which.until:
            raise CommandError("--since >= --until")
        counts = bulk.counts(self.meant(which))
        total = sum(counts.values())
        self.stdout.write(" ".join(["meant", *(f"{name}={count}" for name, count in counts.items()), f"total={total}"]))
        if options["plan"]:
            return

        def progress(done: int) -> None:
            self.stderr.write(f"{done}/{total}")

        done = self.act(which=which, actor=Actor.command(self.name), progress=progress)
        self.stdout.write(f"{self.name}={done}")
