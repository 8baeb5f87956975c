"""`manage.py deliver --once [--at ISO8601] | --watch`: the delivery worker."""

import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from notifications import dispatch


class Command(BaseCommand):
    help = "Sends what is due in the outbox."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        how = parser.add_mutually_exclusive_group(required=True)
        how.add_argument("--once", action="store_true", help="send until nothing is due, then stop")
        how.add_argument("--watch", action="store_true", help="go on until SIGTERM")
        parser.add_argument("--at", help="the time used for due dates, leases and schedules (ISO 8601)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["watch"]:
            if options["at"]:
                raise CommandError(_("--at va avec --once."))
            self._watch()
            return
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

        self.stdout.write(str(dispatch.deliver_until_idle(clock)))

    def _watch(self) -> None:
        stopped = False

        def stop(*args: Any) -> None:
            nonlocal stopped
            stopped = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        self.stdout.write(_("Le service d'envoi est en marche."))
        self.stdout.flush()
        self.stdout.write(str(dispatch.watch(lambda: stopped)))
