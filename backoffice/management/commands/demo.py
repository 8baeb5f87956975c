"""`manage.py demo`: a believable merchant with a month of history; prints its log-ins."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from backoffice.demo import companies as demo
from backoffice.demo import document
from backoffice.provisioning.work import ProvisioningError
from notifications.worker import loop


class Command(BaseCommand):
    help = "Loads a demonstration merchant with a month of history, once, and prints its log-ins."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--force", action="store_true", help="load it beside companies that exist already")

    def handle(self, *args: Any, **options: Any) -> None:
        if demo.others_exist() and not options["force"]:
            raise CommandError(
                _(
                    "La base contient déjà d'autres sociétés : les comptes de démonstration ont des mots de passe "
                    "connus de tous. Utilisez --force seulement si personne d'autre n'y accède."
                )
            )
        if demo.exists():
            self.stdout.write(_("Données de démonstration : déjà en place, rien n'est modifié."))
        else:
            try:
                demo.load()
            except ProvisioningError as error:
                raise CommandError(str(error)) from error
            tally = loop.deliver_until_idle()
            self.stdout.write(_("Données de démonstration : chargées (%(tally)s).") % {"tally": tally})
        who = {
            "claire": _("Maison Lumière, administratrice"),
            "paul": _("Maison Lumière, gestionnaire de deux boutiques"),
            "lea": _("Maison Lumière, lecture seule"),
            "boreal": _("Atelier Boréal, administratrice, en anglais"),
            "equipe": _("équipe de la plateforme, %(url)s/admin/") % {"url": settings.BASE_URL},
        }
        self.stdout.write("")
        self.stdout.write(f"  {_('Identifiant'):<12} {_('Mot de passe'):<18} {_('Qui')}")
        for login, password in document.PASSWORDS.items():
            self.stdout.write(f"  {login:<12} {password:<18} {who[login]}")
        self.stdout.write(f"\n  {settings.BASE_URL}")
