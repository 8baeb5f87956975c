"""Putting one address in the place of another everywhere, or removing it, in one transaction."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from backoffice.replacing.places import Place, PlaceKind, places_of, replaced
from backoffice.text import addresses
from companies import audit, services
from companies.audit import Actor
from companies.models import Company, Contact, Membership
from companies.team import services as team_services
from notifications import settings_facts
from notifications.core import effects as core_effects
from notifications.core.effects import Effect
from notifications.core.facts import CompanyFacts, Occasion
from notifications.events.publishing import publish
from notifications.rules import services as rule_services
from notifications.tables import effects
from shops import services as shop_services
from shops.models import Shop


class PlacesRefused(ValidationError):
    """Nothing was changed: these places do not take the change. `problems` has a sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(problems)


@dataclass(frozen=True)
class Done:
    """What a replacement did, or would do.

    Attributes:
        facts: the settings afterwards, as far as the change touches them.
        entries: keys of what it wrote into the history; none of one that was only tried.
    """

    places: list[Place]
    effect: Effect
    facts: CompanyFacts
    entries: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Replacement:
    """One replacement to try or to carry out.

    Attributes:
        new: None removes the address.
        roles: only the places of these roles; None for all.
        reader: only the places that this user may know of; None for all.
        notify: tell both addresses, each in a message of its own.
        tells_accounts: the owners of accounts are told as of any other change of their account.
    """

    company: Company
    old: str
    new: str | None
    actor: Actor
    roles: Collection[str] | None = None
    reader: Membership | None = None
    notify: bool = False
    tells_accounts: bool = False

    def __post_init__(self) -> None:
        if self.new is not None:
            try:
                object.__setattr__(self, "new", addresses.validate_single(self.new))
            except addresses.InvalidAddress as error:
                raise ValidationError({"new": str(error)}) from error

    # --- What it is about -------------------------------------------------------------------------

    def places(self) -> list[Place]:
        """The places, read anew: nothing that an earlier try has touched."""
        everywhere = places_of(Company.objects.get(pk=self.company.pk), self.old, reader=self.reader)
        return [place for place in everywhere if self.roles is None or place.role in self.roles]

    @property
    def is_spelling(self) -> bool:
        """Whether both are the same address, written otherwise."""
        return self.new is not None and addresses.normalise(self.new) == addresses.normalise(self.old)

    def refusals(self, places: list[Place]) -> list[str]:
        """Why the address cannot be removed from these places."""
        if self.new is not None:
            return []
        must = _("%(place)s : ce champ contient toujours une adresse ; remplacez-la.")
        mail = _("%(place)s : une règle « E-mail envoyé au marchand » a au moins un destinataire.")
        return [
            (must if place.must_hold_one else mail) % {"place": place.label}
            for place in places
            if place.cannot_be_emptied
        ]

    def reads(self, places: list[Place]) -> Callable[[], CompanyFacts]:
        """Reads the part of the settings that these places can touch."""
        if any(place.kind is PlaceKind.MANAGER for place in places):
            return lambda: settings_facts.company_facts(Company.objects.get(pk=self.company.pk))
        shops = {place.shop.pk for place in places if place.shop}
        return lambda: settings_facts.company_facts(
            Company.objects.get(pk=self.company.pk),
            shops=list(Shop.objects.filter(pk__in=shops).order_by("site_id")),
        )

    # --- Doing it ---------------------------------------------------------------------------------

    def plan(self) -> Done:
        """What it would do; nothing is written. Raises as `carry_out` does."""
        places = self._checked()
        effect, facts = effects.tried(self.reads(places), lambda: self._apply(self.places()))
        return Done(places, effect, facts)

    @transaction.atomic
    def carry_out(self, *, confirmed: str | None = None) -> Done:
        """Change every place, or none.

        Args:
            confirmed: the answer to the question of critical gaps; None where nobody is there to be asked.

        Raises:
            PlacesRefused: a place does not take it.
            Unconfirmed: it opens critical gaps, and `confirmed` is not the answer to that.
        """
        places = self._checked()
        read = self.reads(places)
        with audit.collected() as entries:
            if confirmed is None:
                before = read()
                self._apply(places)
                facts = read()
                effect = core_effects.compare(before, facts)
            else:
                done = effects.saved(
                    read, lambda: self._apply(places), actor=self.actor, company=self.company, confirmed=confirmed
                )
                effect, facts = done.effect, done.after.company
        if self.notify:
            self._tell(places)
        written = [entry.pk for entry, _obj in entries if entry.action != effects.CONFIRMATION]
        return Done(places, effect, facts, written)

    def _checked(self) -> list[Place]:
        places = self.places()
        if not places:
            told = _("« %(email)s » n'est nulle part dans le paramétrage.")
            raise ValidationError({"old": told % {"email": self.old}})
        if problems := self.refusals(places):
            raise PlacesRefused(problems)
        return places

    def _apply(self, places: list[Place]) -> None:
        company = Company.objects.get(pk=self.company.pk)
        problems = [problem for place in places for problem in self._apply_one(company, place)]
        if problems:
            raise PlacesRefused(problems)

    def _apply_one(self, company: Company, place: Place) -> Iterator[str]:
        """Change one place; why it refuses."""
        try:
            with transaction.atomic():
                self._save(company, place, replaced(place, self.old, self.new))
        except ValidationError as error:
            yield f"{place.label} : {' '.join(error.messages)}"

    def _save(self, company: Company, place: Place, value: Any) -> None:
        actor = self.actor
        match place.kind:
            case PlaceKind.TECHNICAL if not value:
                services.technical_contact_remove(company=company, actor=actor)
            case PlaceKind.MANAGER | PlaceKind.TECHNICAL:
                kind = Contact.Kind.MANAGER if place.kind is PlaceKind.MANAGER else Contact.Kind.TECHNICAL
                services.contact_save(company=company, kind=kind, actor=actor, notify=False, email=value)
            case PlaceKind.INCIDENT:
                services.company_update(company=company, actor=actor, incident_emails=value)
            case PlaceKind.SHOP:
                shop_services.shop_update(shop=place.obj, actor=actor, manager_email=value)
            case PlaceKind.RULE:
                rule_services.rule_update(rule=place.obj, actor=actor, recipients=value)
            case PlaceKind.USER:
                team_services.user_update(user=place.obj, company=company, email=value, **self._account_options())
            case PlaceKind.SFTP:
                team_services.sftp_account_update(account=place.obj, email=value, **self._account_options())

    def _account_options(self) -> dict[str, Any]:
        # The former address is told once: by the message about the replacement, where there is one.
        return {"actor": self.actor, "notify": self.tells_accounts, "tell_former": not self.notify}

    def _tell(self, places: list[Place]) -> None:
        """One message to each of the two addresses; another spelling is no other address."""
        told = [self.old] if self.new is None or self.is_spelling else [self.old, self.new]
        data = {
            "before": self.old,
            "after": self.new or "",
            "places": len(places),
            "author": self.actor.label,
        }
        for address in told:
            publish(
                type="address.replaced",
                company=self.company,
                data=data,
                occasion=Occasion(address=addresses.bare(address)),
            )
