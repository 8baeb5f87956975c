"""`manage.py provision FILE.json [--notify]`."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from companies.provisioning import ProvisioningError, provision
from notifications.intake import NotJson, parse_json


class Command(BaseCommand):
    help = "Creates and updates companies from a provisioning file, in one transaction."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="a JSON file, or - for standard input")
        parser.add_argument("--notify", action="store_true", help="publish creations and changes")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            raw = sys.stdin.buffer.read() if options["file"] == "-" else Path(options["file"]).read_bytes()
        except OSError as error:
            raise CommandError(
                _("%(file)s ne peut pas être lu : %(reason)s") % {"file": options["file"], "reason": error.strerror}
            ) from error
        try:
            report = provision(parse_json(raw), notify=options["notify"], progress=self._progress)
        except (NotJson, ProvisioningError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(str(report))

    def _progress(self, done: int, total: int) -> None:
        if self.stderr.isatty() and (done % 10 == 0 or done == total):
            end = "\n" if done == total else ""
            self.stderr.write(f"\r{done}/{total}", ending=end)
