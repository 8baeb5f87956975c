"""`manage.py delivery_tables REFERENCE --format table|json|csv [--at ISO8601] [--signed] [--language fr|en]`."""

import csv
import json
from argparse import ArgumentParser
from collections.abc import Iterator
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from backoffice.text import times
from companies.models import Company
from notifications.core import wording
from notifications.tables import compute, signing
from notifications.tables.compute import DeliveryTables
from notifications.timeline import moments, reading


class Command(BaseCommand):
    help = "Prints the delivery tables of a company: what reaches each address, and why."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help="the company's reference")
        parser.add_argument("--format", choices=["table", "json", "csv"], default="table")
        parser.add_argument("--language", choices=[code for code, _name in settings.LANGUAGES])

        parser.add_argument("--signed", action="store_true", help="with a date and a signature, for verify_tables")
        parser.add_argument("--at", help="the tables of a past moment, ISO 8601 with an offset")

    def handle(self, *args: Any, **options: Any) -> None:
        company = Company.objects.filter(reference=options["reference"]).first()
        if company is None:
            raise CommandError(
                _("Aucune société ne porte la référence « %(value)s ».") % {"value": options["reference"]}
            )
        with translation.override(options["language"] or settings.LANGUAGE_CODE):
            try:
                at = None if options["at"] is None else moments.read_moment(options["at"])
                facts = reading.facts_of(company, at, why_not=False)
            except moments.MomentInvalid as error:
                raise CommandError(f"--at : {error}") from error
            tables = compute.delivery_tables(facts, why_not=False, at=at)
            self._write(tables, options["format"], is_signed=options["signed"])

    def _write(self, tables: DeliveryTables, form: str, *, is_signed: bool) -> None:
        """Print the tables; signed, JSON carries date and signature and other forms end with them."""
        if form == "json" and is_signed:
            document = signing.signed_document(compute.delivery_tables_json(tables), timezone.now())
            self.stdout.write(json.dumps(document, ensure_ascii=False, indent=2))
            return
        printed = StringIO() if is_signed else self.stdout
        match form:
            case "json":
                for chunk in compute.json_chunks(tables, indent=2):
                    self.stdout.write(chunk, ending="")
                self.stdout.write("")
            case "csv":
                csv.writer(printed, lineterminator="\n").writerows(compute.table_rows(tables))
            case _other:
                printed.writelines(f"{line}\n" for line in _lines(tables))
        if isinstance(printed, StringIO):
            self.stdout.write(printed.getvalue(), ending="")
            self.stdout.write(signing.signing_line(printed.getvalue(), timezone.now()))


def _lines(tables: DeliveryTables) -> Iterator[str]:
    """The tables for people, line by line."""
    if tables.at is not None:
        yield _("Réglages du %(moment)s") % {"moment": times.exact(tables.at)}
    for gap in tables.gaps:
        yield f"! {wording.notification_label(gap.notification)} : {wording.decision_reason(gap)}"
    for table in tables.addresses:
        yield ""
        yield table.email
        yield "  " + ", ".join(wording.role_label(tables.company, role) for role in table.roles)
        if not table.receives:
            yield f"  - {_('Ne reçoit aucun e-mail.')}"
        for line in table.receives:
            about = " ".join(filter(None, [line.shop, line.rule, line.account]))
            label = wording.notification_label(line.notification)
            yield f"  - [{line.as_}] {label}{' · ' + about if about else ''}"
            yield f"      {wording.decision_reason(line)}"
            if condition := wording.condition_sentence(line):
                yield f"      {condition}"
