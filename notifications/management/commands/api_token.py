"""`manage.py api_token NAME [--company REFERENCE] [--scope …] [--days N]`: makes a token and prints it once."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from companies.audit import Actor
from companies.models import Company
from notifications.models import ApiToken
from notifications.tokens import token_create

LONGEST_DAYS = 3650


class Command(BaseCommand):
    help = "Makes an API token for the platform, or for one company, and prints it alone on the last line."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what the token is for; shown in lists")
        parser.add_argument("--company", metavar="REFERENCE", help="the only company it speaks for")
        parser.add_argument(
            "--scope",
            action="append",
            choices=ApiToken.Scope.values,
            help="what it may do, repeated for several; without one, everything",
        )
        parser.add_argument("--days", type=int, metavar="N", help="ends after this many days; without it, never")

    def handle(self, *args: Any, **options: Any) -> None:
        company = None
        if options["company"] is not None:
            company = Company.objects.filter(reference=options["company"]).first()
            if company is None:
                raise CommandError(
                    _("Aucune société ne porte la référence « %(value)s ».") % {"value": options["company"]}
                )
        days = options["days"]
        if days is not None and not 0 < days <= LONGEST_DAYS:
            raise CommandError(
                _("--days : %(value)s n'est pas un nombre de jours entre 1 et %(most)s.")
                % {"value": days, "most": LONGEST_DAYS}
            )
        try:
            _token, text = token_create(
                name=options["name"],
                company=company,
                actor=Actor.command("api_token"),
                scopes=options["scope"],
                expires_at=None if days is None else timezone.now() + timedelta(days=days),
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.stdout.write(_("Ce jeton ne sera plus jamais affiché :"))
        self.stdout.write(text)
