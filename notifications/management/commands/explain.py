"""`manage.py explain REFERENCE --address A …`: why a notification reaches an address, or why it does not."""

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import translation
from django.utils.translation import gettext as _

from companies.models import Company
from notifications.answers import selectors
from notifications.answers.questions import PARAMETERS, QuestionInvalid
from notifications.answers.selectors import Explained
from notifications.core import obstacle_wording, wording
from notifications.timeline import moments, reading


class Command(BaseCommand):
    help = "Says for an address which notifications reach it and, for the others, everything that stands in the way."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help="the company's reference")
        parser.add_argument("--address", help="the address asked about, configured or not")
        parser.add_argument("--notification", help="one notification, by its code")
        parser.add_argument("--trigger", help="the rules of this event, such as payment.accepted")
        parser.add_argument("--shop", help="one shop, by its identifier of 8 digits")
        parser.add_argument("--rule", help="one rule, by its reference")
        parser.add_argument("--account", help="one account, by its login")
        parser.add_argument("--mode", help="tests conditions on an event of this mode, TEST or PRODUCTION")
        parser.add_argument("--data", help="tests conditions on these data of an event, a JSON object")
        parser.add_argument("--at", help="the settings of a past moment, ISO 8601 with an offset")
        parser.add_argument("--format", choices=["text", "json"], default="text")
        parser.add_argument("--language", choices=[code for code, _name in settings.LANGUAGES])

    def handle(self, *args: Any, **options: Any) -> None:
        with translation.override(options["language"] or settings.LANGUAGE_CODE):
            company = Company.objects.filter(reference=options["reference"]).first()
            if company is None:
                raise CommandError(
                    _("Aucune société ne porte la référence « %(value)s ».") % {"value": options["reference"]}
                )
            try:
                asked = {name: options[name] for name in PARAMETERS}
                at = None if options["at"] is None else moments.read_moment(options["at"])
                explained = selectors.explain(
                    reading.facts_of(company, at, also=[asked["address"] or ""]), asked, at=at
                )
            except moments.MomentInvalid as error:
                raise CommandError(f"--at : {error}") from error
            except QuestionInvalid as error:
                raise CommandError("\n".join(f"--{name} : {message}" for name, message in error.errors)) from error
            if options["format"] == "json":
                self.stdout.write(json.dumps(explained.document(), ensure_ascii=False, indent=2))
            else:
                self._print(explained)

    def _print(self, explained: Explained) -> None:
        self.stdout.write(explained.question.address)
        roles = [wording.role_label(explained.facts, role) for role in explained.roles]
        self.stdout.write("  " + (", ".join(roles) or _("Cette adresse n'est configurée nulle part.")))
        for answer in explained.answers:
            subject = answer.subject
            mark = "+" if answer.delivers else "-"
            about = f" ({subject.shop.name}, {subject.shop.site_id})" if subject.shop else ""
            self.stdout.write(f"{mark} {obstacle_wording.title(subject)}{about}")
            if answer.delivers:
                self.stdout.write(f"    {obstacle_wording.delivery_reason(answer)}")
            for obstacle in answer.obstacles:
                told = obstacle_wording.obstacle_reason(obstacle, answer, explained.question, explained.roles)
                self.stdout.write(f"    {told}")
                if place := obstacle_wording.configured_at(obstacle, subject):
                    self.stdout.write(f"      {place}")
            if answer.instead:
                self.stdout.write(f"    {_('À sa place')}{_(' : ')}{', '.join(answer.instead)}")
            if condition := obstacle_wording.condition_sentence(answer, explained.question):
                self.stdout.write(f"    {condition}")
        self.stdout.write(f"answers={len(explained.answers)} delivers={len(explained.delivering)}")
