"""`manage.py consistency_reports [REFERENCE] [--force]`: check the settings of one company or of all."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from companies.audit import Actor
from notifications.consistency import reports as consistency_reports

BAR = 30


class Command(BaseCommand):
    help = "Checks the settings of companies and mails the errors found to their manager contact."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("reference", nargs="?", default="", help="only this company")
        parser.add_argument("--force", action="store_true", help="mail errors also when they were mailed before")

    def handle(self, *args: Any, **options: Any) -> None:
        reference = options["reference"]
        companies = consistency_reports.companies_to_check(reference)
        total = companies.count()
        if reference and not total:
            raise CommandError(_("Aucune société n'a la référence « %(reference)s ».") % {"reference": reference})
        actor = Actor.command("consistency_reports")
        errors = published = 0
        for number, company in enumerate(companies.iterator(chunk_size=500), start=1):
            run = consistency_reports.report_run(company=company, actor=actor, force=options["force"])
            errors += run.report.error_count
            published += run.published
            self._progress(number, total)
        if total and self.stderr.isatty():
            self.stderr.write("")
        self.stdout.write(f"companies={total} errors={errors} published={published}")

    def _progress(self, done: int, total: int) -> None:
        """One line on a terminal, drawn over itself; nothing in a log."""
        if self.stderr.isatty():
            filled = BAR * done // total
            self.stderr.write(f"\r[{'#' * filled}{'.' * (BAR - filled)}] {done}/{total}", ending="")
            self.stderr.flush()
