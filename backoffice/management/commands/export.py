"""`manage.py export REFERENCE [--with-secrets]`."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from backoffice.provisioning import exporting
from companies.models import Company


class Command(BaseCommand):
    help = "Prints the settings of a company as a provisioning file, as pure JSON."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help="the company's reference")
        parser.add_argument(
            "--with-secrets", action="store_true", help="with the form and REST keys of each shop; never passwords"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        company = Company.objects.filter(reference=options["reference"]).first()
        if company is None:
            raise CommandError(
                _("Aucune société ne porte la référence « %(value)s ».") % {"value": options["reference"]}
            )
        document = exporting.export(company, with_secrets=options["with_secrets"])
        self.stdout.write(json.dumps({"companies": [exporting.plain(document)]}, ensure_ascii=False, indent=2))
