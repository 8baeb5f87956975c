"""`manage.py delivery_tables REFERENCE --format table|json|csv [--language fr|en]`."""

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
from notifications import selectors, wording
from notifications.exports import table_rows


class Command(BaseCommand):
    help = "Prints the delivery tables of a company: what reaches each address, and why."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help="the company's reference")
        parser.add_argument("--format", choices=["table", "json", "csv"], default="table")
        parser.add_argument("--language", choices=[code for code, _name in settings.LANGUAGES])

    def handle(self, *args: Any, **options: Any) -> None:
        company = Company.objects.filter(reference=options["reference"]).first()
        if company is None:
            raise CommandError(
                _("Aucune société ne porte la référence « %(value)s ».") % {"value": options["reference"]}
            )
        with translation.override(options["language"] or settings.LANGUAGE_CODE):
            tables = selectors.delivery_tables(selectors.company_facts(company))
            match options["format"]:
                case "json":
                    document = selectors.delivery_tables_json(tables)
                    self.stdout.write(json.dumps(document, ensure_ascii=False, indent=2))
                case "csv":
                    buffer = io.StringIO()
                    csv.writer(buffer, lineterminator="\n").writerows(table_rows(tables))
                    self.stdout.write(buffer.getvalue(), ending="")
                case _other:
                    self._print(tables)

    def _print(self, tables: selectors.DeliveryTables) -> None:
        for gap in tables.gaps:
            self.stdout.write(f"! {wording.notification_label(gap.notification)} : {wording.decision_reason(gap)}")
        for table in tables.addresses:
            self.stdout.write("")
            self.stdout.write(table.email)
            roles = ", ".join(wording.role_label(tables.company, role) for role in table.roles)
            self.stdout.write(f"  {roles}")
            if not table.receives:
                self.stdout.write(f"  - {_('Ne reçoit aucun e-mail.')}")
            for line in table.receives:
                about = " ".join(filter(None, [line.shop, line.rule, line.account]))
                label = wording.notification_label(line.notification)
                self.stdout.write(f"  - [{line.as_}] {label}{' · ' + about if about else ''}")
                self.stdout.write(f"      {wording.decision_reason(line)}")
                if condition := wording.condition_sentence(line):
                    self.stdout.write(f"      {condition}")
