"""`manage.py coverage REFERENCE --format table|json|csv [--language fr|en]`: where nobody is told, and one score."""

import csv
import io
import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import translation
from django.utils.translation import gettext as _

from companies.models import Company
from notifications import settings_facts
from notifications.answers import selectors
from notifications.core import coverage, coverage_wording, wording
from notifications.core.coverage import Coverage
from notifications.core.facts import CompanyFacts


class Command(BaseCommand):
    help = "Prints for each notification and shop whether anybody is told, and the score of the company."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help="the company's reference")
        parser.add_argument("--format", choices=["table", "json", "csv"], default="table")
        parser.add_argument("--language", choices=[code for code, _name in settings.LANGUAGES])

    def handle(self, *args: Any, **options: Any) -> None:
        with translation.override(options["language"] or settings.LANGUAGE_CODE):
            company = Company.objects.filter(reference=options["reference"]).first()
            if company is None:
                raise CommandError(
                    _("Aucune société ne porte la référence « %(value)s ».") % {"value": options["reference"]}
                )
            facts = settings_facts.company_facts(company, accounts=False)
            covered = selectors.coverage_of(company, facts)
            match options["format"]:
                case "json":
                    self.stdout.write(json.dumps(coverage.document(covered), ensure_ascii=False, indent=2))
                case "csv":
                    buffer = io.StringIO()
                    csv.writer(buffer, lineterminator="\n").writerows(coverage.csv_rows(covered))
                    self.stdout.write(buffer.getvalue(), ending="")
                case _other:
                    self._print(facts, covered)

    def _print(self, facts: CompanyFacts, covered: Coverage) -> None:
        names = {shop.site_id: shop.name for shop in facts.shops}
        for cell in covered.cells:
            about = f" · {names[cell.shop]} ({cell.shop})" if cell.shop else ""
            self.stdout.write(
                f"{coverage_wording.letter(cell)}  {wording.notification_label(cell.notification)}{about}"
                f"{_(' : ')}{coverage_wording.cell_words(cell)}"
            )
        self.stdout.write(f"score={covered.score}")
