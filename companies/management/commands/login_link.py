"""`manage.py login_link LOGIN`: prints a single-use log-in address, for operators."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from companies import audit, links
from companies.audit import Actor
from companies.models import User


class Command(BaseCommand):
    help = "Prints a single-use log-in address for a user; the history keeps that it was made."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("login")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(login__iexact=options["login"]).select_related("company").first()
        if user is None:
            raise CommandError(_("Aucun compte ne porte l'identifiant « %(value)s ».") % {"value": options["login"]})
        if not user.is_active:
            raise CommandError(_("Le compte « %(value)s » est désactivé.") % {"value": user.login})
        audit.record(actor=Actor.command("login_link"), action="user.login_link", obj=user, company=user.company)
        self.stdout.write(links.make_login_link(user))
