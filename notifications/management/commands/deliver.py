"""`manage.py deliver --once [--at ISO8601] | --watch [--processes N]`: the delivery worker."""

import signal
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from backoffice.base import tracing
from notifications.worker import loop
from notifications.worker.supervisor import Supervisor, command, parent_is_gone

MOST_PROCESSES = 64


class Command(BaseCommand):
    help = "Sends what is due in the outbox."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        how = parser.add_mutually_exclusive_group(required=True)
        how.add_argument("--once", action="store_true", help="send until nothing is due, then stop")
        how.add_argument("--watch", action="store_true", help="go on until SIGTERM")
        parser.add_argument("--processes", type=int, default=1, metavar="N", help="with --watch: so many processes")
        parser.add_argument("--parent", type=int, help=SUPPRESS)
        parser.add_argument("--at", help="the time used for due dates, leases and schedules (ISO 8601)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._deliver(options)
        finally:
            tracing.stop()

    def _deliver(self, options: dict[str, Any]) -> None:
        if options["watch"]:
            if options["at"]:
                raise CommandError(_("--at va avec --once."))
            self._watch(options["processes"], options["parent"])
            return
        if options["processes"] != 1:
            raise CommandError(_("--processes va avec --watch."))
        clock = timezone.now
        if options["at"]:
            try:
                moment = parse_datetime(options["at"])
            except ValueError:
                moment = None
            if moment is None:
                raise CommandError(_("--at : « %(value)s » n'est pas une date ISO 8601.") % {"value": options["at"]})
            fixed = moment if moment.tzinfo else timezone.make_aware(moment)

            def clock() -> Any:
                return fixed

        self.stdout.write(str(loop.deliver_until_idle(clock)))

    def _watch(self, processes: int, parent: int | None) -> None:
        if not 1 <= processes <= MOST_PROCESSES:
            raise CommandError(_("--processes : un nombre de 1 à %(most)d.") % {"most": MOST_PROCESSES})
        stopped = _stop_by_signal()
        if processes > 1:
            self._say_that_it_runs()
            self.stdout.write(f"restarts={Supervisor(command(), processes).run(stopped)}")
            return
        if parent is None:
            self._say_that_it_runs()
        tally = loop.watch(lambda: stopped() or (parent is not None and parent_is_gone(parent)))
        self.stdout.write(str(tally))

    def _say_that_it_runs(self) -> None:
        self.stdout.write(_("Le service d'envoi est en marche."))
        self.stdout.flush()


def _stop_by_signal() -> Callable[[], bool]:
    """Install the handlers of TERM and INT; returns a function that says whether the process was asked to stop."""
    asked = False

    def stop(*args: Any) -> None:
        nonlocal asked
        asked = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return lambda: asked
