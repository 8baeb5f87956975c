"""`manage.py verify_tables FILE|-`: whether a signed copy of delivery tables is as this installation made it."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from notifications.tables import signing


class Command(BaseCommand):
    help = "Checks the date and the signature of delivery tables printed with --signed."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="the signed copy; - for standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["file"]
        try:
            raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
            seal = signing.read_seal(raw.decode("utf-8-sig"))
        except OSError as error:
            raise CommandError(f"{name} : {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise CommandError(_("%(file)s n'est pas du texte en UTF-8.") % {"file": name}) from error
        if seal is None:
            raise CommandError(_("%(file)s ne porte pas de signature.") % {"file": name})
        if not seal.is_valid:
            raise CommandError(
                _("%(file)s : la signature est fausse. Le contenu a changé, ou il ne vient pas d'ici.") % {"file": name}
            )
        self.stdout.write(_("Signature juste : le contenu est celui d'origine."))
        self.stdout.write(f"valid=1 signed_at={seal.signed_at}")
