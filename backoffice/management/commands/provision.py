"""`manage.py provision FILE.json [--notify] [--plan [--format text|json]]`."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from backoffice.provisioning import planning
from backoffice.provisioning.applying import provision
from backoffice.provisioning.work import ProvisioningError
from notifications.events.intake import NotJson, parse_json


class Command(BaseCommand):
    help = "Creates and updates companies from a provisioning file, in one transaction."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="a JSON file, or - for standard input")
        parser.add_argument("--notify", action="store_true", help="publish creations and changes")
        parser.add_argument("--plan", action="store_true", help="write nothing, print what would change")
        parser.add_argument("--format", choices=["text", "json"], default="text", help="of the plan")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            raw = sys.stdin.buffer.read() if options["file"] == "-" else Path(options["file"]).read_bytes()
        except OSError as error:
            raise CommandError(
                _("%(file)s ne peut pas être lu : %(reason)s") % {"file": options["file"], "reason": error.strerror}
            ) from error
        try:
            document = parse_json(raw)
            if options["plan"]:
                plan = planning.plan(document, notify=options["notify"])
                self._note(plan.report.notes)
                self._print(plan, options["format"])
                return
            report = provision(document, notify=options["notify"], progress=self._progress)
        except (NotJson, ProvisioningError) as error:
            raise CommandError(str(error)) from error
        self._note(report.notes)
        self.stdout.write(str(report))

    def _note(self, notes: tuple[str, ...]) -> None:
        for note in notes:
            self.stderr.write(note)

    def _print(self, plan: planning.Plan, form: str) -> None:
        if form == "json":
            document = plan.document.model_dump(mode="json", by_alias=True)
            self.stdout.write(json.dumps(document, ensure_ascii=False, indent=2))
            return
        for line in planning.plan_lines(plan.document):
            self.stdout.write(line)
        self.stdout.write(str(plan))

    def _progress(self, done: int, total: int) -> None:
        if self.stderr.isatty() and (done % 10 == 0 or done == total):
            end = "\n" if done == total else ""
            self.stderr.write(f"\r{done}/{total}", ending=end)
