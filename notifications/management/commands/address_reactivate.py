"""`manage.py address_reactivate REFERENCE ADDRESS`."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from backoffice.text import addresses
from companies.audit import Actor
from companies.models import Company
from notifications.health import recording
from notifications.models import AddressHealth


class Command(BaseCommand):
    help = "Sends again to an address that was suppressed because its mail came back."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help="the company's reference")
        parser.add_argument("address", help="the address")

    def handle(self, *args: Any, **options: Any) -> None:
        company = Company.objects.filter(reference=options["reference"]).first()
        if company is None:
            raise CommandError(
                _("Aucune société ne porte la référence « %(value)s ».") % {"value": options["reference"]}
            )
        try:
            normalised = addresses.normalise(addresses.validate_single(options["address"]))
        except addresses.InvalidAddress as error:
            raise CommandError(str(error)) from error
        done = recording.address_reactivate(
            company=company, normalised=normalised, actor=Actor.command("address_reactivate")
        )
        if not done and not AddressHealth.objects.filter(company=company, normalised_address=normalised).exists():
            raise CommandError(_("« %(address)s » n'est pas neutralisée.") % {"address": options["address"]})
        self.stdout.write(f"reactivated={int(done)}")
