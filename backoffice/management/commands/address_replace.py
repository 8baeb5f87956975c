"""`manage.py address_replace REFERENCE OLD NEW|--remove [--plan] [--notify]`."""

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from backoffice.replacing.places import Place
from backoffice.replacing.places import replaced as value_after
from backoffice.replacing.services import Done, Replacement
from backoffice.text import addresses
from companies.audit import Actor
from companies.models import Company
from notifications.core import wording
from notifications.core.resolver import Decision


class Command(BaseCommand):
    help = "Puts one address in the place of another everywhere in a company, or removes it, in one transaction."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help="the company's reference")
        parser.add_argument("old", help="the address to replace or remove")
        parser.add_argument("new", nargs="?", help="the address in its place")
        parser.add_argument("--remove", action="store_true", help="remove it, put nothing in its place")
        parser.add_argument("--plan", action="store_true", help="write nothing, print what would change")
        parser.add_argument("--notify", action="store_true", help="mail both addresses")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["new"]) == options["remove"]:
            raise CommandError(_("Donnez la nouvelle adresse, ou --remove."))
        company = Company.objects.filter(reference=options["reference"]).first()
        if company is None:
            raise CommandError(
                _("Aucune société ne porte la référence « %(value)s ».") % {"value": options["reference"]}
            )
        try:
            replacement = Replacement(
                company,
                options["old"],
                options["new"],
                Actor.command("address_replace"),
                notify=options["notify"],
                tells_accounts=options["notify"],
            )
            done = replacement.plan() if options["plan"] else replacement.carry_out()
        except ValidationError as error:
            raise CommandError("\n".join(error.messages)) from error
        for line in _lines(replacement, done):
            self.stdout.write(line)
        changed = 0 if options["plan"] else len(done.places)
        effect = done.effect
        self.stdout.write(
            f"places={len(done.places)} changed={changed} gained={len(effect.gained)} lost={len(effect.lost)} "
            f"gaps_opened={len(effect.gaps_opened)}"
        )


def _lines(replacement: Replacement, done: Done) -> Iterator[str]:
    """What changes, in the manner of a diff."""
    for place in done.places:
        yield f"~   {place.role}: {_shown(place.value)} → {_shown(_after(replacement, place))}"
    for sign, lines in (("-", done.effect.lost), ("+", done.effect.gained)):
        for line in lines:
            yield f"{sign}   {line.address}: {_about(line)} [{line.as_}] {wording.decision_reason(line)}"
    for sign, gaps in (("-", done.effect.gaps_closed), ("+", done.effect.gaps_opened)):
        for gap in gaps:
            yield f"{sign}   ! {_about(gap)} {wording.decision_reason(gap)}"


def _after(replacement: Replacement, place: Place) -> str | list[str]:
    return value_after(place, replacement.old, replacement.new)


def _shown(value: str | tuple[str, ...] | list[str]) -> str:
    text = value if isinstance(value, str) else addresses.join(value)
    return text or "–"


def _about(row: Decision) -> str:
    return " ".join(filter(None, [row.notification, row.shop, row.rule, row.account]))
