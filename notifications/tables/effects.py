"""The panel « Ce qui change » of every form that can change who is told what, and the question before a gap.

One computation serves them all: the save itself, carried out and taken back for the panel, or kept after the question
was answered. What is shown is therefore what the save does.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from companies import audit
from companies.audit import Actor
from companies.models import Company
from notifications.core import wording
from notifications.core.effects import Effect, compare, difference, gap_key, line_key
from notifications.core.facts import CompanyFacts, ShopFacts
from notifications.core.resolver import Decision
from notifications.tables.compute import DeliveryTables, delivery_tables
from notifications.tables.impact import difference_sentence, tables_url
from shops.models import Shop

T = TypeVar("T")
# Reads the facts that a change can touch, as they are at that moment.
Read = Callable[[], CompanyFacts]

# Addresses, and shops of a notification, that are named one by one; the others are counted.
NAMED_ADDRESSES = 12
NAMED_SHOPS = 3
# What a form sends to confirm the gaps it was asked about.
CONFIRMED = "confirmed_gaps"
CONFIRMATION = "gap.confirmed"


# --- Doing it, for show or for good ---------------------------------------------------------------


class Unconfirmed(ValidationError):
    """A save would leave critical notifications without any address, and this was not confirmed."""

    def __init__(self, question: "GapQuestion") -> None:
        self.question = question
        super().__init__(question.sentence, code="unconfirmed")


@dataclass(frozen=True)
class GapQuestion:
    """What is asked before a save opens critical gaps.

    Attributes:
        stamp: what the answer repeats, so that it is given to these gaps and no others.
    """

    gaps: tuple[str, ...]
    stamp: str

    @property
    def sentence(self) -> str:
        return _("Après cet enregistrement, personne ne sera prévenu : %(gaps)s. Confirmez-le, ou corrigez.") % {
            "gaps": " ; ".join(self.gaps)
        }


def tried(read: Read, save: Callable[[], object]) -> tuple[Effect, CompanyFacts]:
    """What a save does, with the settings as it would leave them; it is carried out and taken back.

    Args:
        save: on objects that nobody uses afterwards; what it refuses is raised.
    """
    with transaction.atomic():
        before = read()
        save()
        after = read()
        transaction.set_rollback(True)
    return compare(before, after), after


@dataclass(frozen=True)
class Saved(Generic[T]):
    """What a save answered, and what it did: the tables before and after."""

    answer: T
    before: DeliveryTables
    after: DeliveryTables

    @property
    def effect(self) -> Effect:
        return difference(_decisions(self.before), _decisions(self.after))

    @property
    def sentence(self) -> SafeString:
        """What it did, for the notice."""
        return difference_sentence(self.before, self.after)


def saved(
    read: Read,
    save: Callable[[], T],
    *,
    actor: Actor,
    company: Company,
    confirmed: str = "",
    asked_about: Collection[str] = (),
) -> Saved[T]:
    """Save. Who confirmed a gap, and when, is kept in the history.

    Args:
        confirmed: what the form sent as CONFIRMED.
        asked_about: notifications whose gap the form itself has asked about by name, and got its answer.

    Raises:
        Unconfirmed: nothing is kept; it opens critical gaps that nobody has confirmed.
    """
    with transaction.atomic():
        before = delivery_tables(read(), why_not=False)
        answer = save()
        after = delivery_tables(read(), why_not=False)
        done = Saved(answer, before, after)
        effect = done.effect
        if effect.critical:
            question = question_of(effect, after.company)
            unasked = [gap for gap in effect.critical if gap.notification not in asked_about]
            if unasked and confirmed != question.stamp:
                raise Unconfirmed(question)
            confirm(effect, actor=actor, company=company)
    return done


def _decisions(tables: DeliveryTables) -> list[Decision]:
    """The lines and gaps of tables in table order."""
    lines = (line for table in tables.addresses for line in table.receives)
    return sorted((*lines, *tables.gaps), key=lambda decision: decision.sort_key)


def confirm(effect: Effect, *, actor: Actor, company: Company) -> None:
    """Record who accepted that these notifications reach nobody."""
    site_ids = {gap.shop for gap in effect.critical if gap.shop}
    shops = {shop.site_id: shop for shop in Shop.objects.filter(company=company, site_id__in=site_ids)}
    for gap in effect.critical:
        changes: audit.Changes = {"notification": [None, gap.notification]}
        if gap.rule:
            changes["rule"] = [None, gap.rule]
        about: Any = shops.get(gap.shop or "", company)
        audit.record(actor=actor, action=CONFIRMATION, obj=about, company=company, changes=changes)


def question_of(effect: Effect, facts: CompanyFacts) -> GapQuestion:
    """The question that critical gaps raise."""
    names = _shop_names(facts)
    return GapQuestion(
        tuple(dict.fromkeys(_gap_label(gap, names) for gap in effect.critical)),
        audit.stamp(*sorted(str(gap_key(gap)) for gap in effect.critical)),
    )


# --- In words -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moved:
    """One notification that an address gains or loses, for the shops named."""

    label: str
    shops: tuple[str, ...]

    @property
    def named(self) -> tuple[str, ...]:
        return self.shops[:NAMED_SHOPS]

    @property
    def others(self) -> int:
        return max(0, len(self.shops) - NAMED_SHOPS)


@dataclass(frozen=True)
class AddressEffect:
    """What one address gains and loses."""

    email: str
    lost: tuple[Moved, ...]
    gained: tuple[Moved, ...]

    @property
    def url(self) -> str:
        return tables_url(self.email)


@dataclass(frozen=True)
class EffectPanel:
    """What the panel shows.

    Attributes:
        addresses: those that lose something first.
        unnamed: how many more there are.
        problem: why nothing can be told: what was typed is refused.
        is_asked: something was typed and asked about; else the panel only says what it is for.
    """

    addresses: tuple[AddressEffect, ...] = ()
    unnamed: int = 0
    gaps_opened: tuple[str, ...] = ()
    gaps_closed: tuple[str, ...] = ()
    problem: str = ""
    is_asked: bool = True

    @property
    def changes_nothing(self) -> bool:
        return not (self.addresses or self.gaps_opened or self.gaps_closed or self.problem)

    @property
    def gained_count(self) -> int:
        """The notifications that the addresses named gain."""
        return sum(len(item.gained) for item in self.addresses)

    @property
    def lost_count(self) -> int:
        """Those that they lose."""
        return sum(len(item.lost) for item in self.addresses)


EMPTY = EffectPanel(is_asked=False)


def panel(effect: Effect, facts: CompanyFacts) -> EffectPanel:
    """The panel of an effect; `facts` name the shops."""
    names = _shop_names(facts)
    told = _by_address(effect, names)
    return EffectPanel(
        addresses=tuple(told[:NAMED_ADDRESSES]),
        unnamed=max(0, len(told) - NAMED_ADDRESSES),
        gaps_opened=_gap_labels(effect.gaps_opened, names),
        gaps_closed=_gap_labels(effect.gaps_closed, names),
    )


def panel_alone(request: HttpRequest, shown: EffectPanel) -> HttpResponse:
    """The panel as a part of its page, for updates while typing."""
    return render(request, "notifications/effects/panel.html", {"effect": shown})


def compared(before: CompanyFacts, after: CompanyFacts) -> EffectPanel:
    """The panel of settings that are only imagined."""
    return panel(compare(before, after), after)


def refused(problems: Sequence[str] = ()) -> EffectPanel:
    """The panel while what is typed cannot be saved."""
    return EffectPanel(problem=" ".join(problems) or _("Une valeur est à corriger : voici ensuite ce qui changera."))


def _by_address(effect: Effect, names: dict[str, str]) -> list[AddressEffect]:
    spelled: dict[str, str] = {}
    moved: dict[str, tuple[list[Decision], list[Decision]]] = {}
    # Who is told directly instead of in copy, or the reverse, neither gains nor loses a message.
    stays = {line_key(line)[:-1] for line in effect.lost} & {line_key(line)[:-1] for line in effect.gained}
    for side, lines in enumerate((effect.lost, effect.gained)):
        for line in lines:
            if line_key(line)[:-1] in stays:
                continue
            spelled[line.normalised] = line.address
            moved.setdefault(line.normalised, ([], []))[side].append(line)
    told = [
        AddressEffect(spelled[key], _moved(lost, names), _moved(gained, names)) for key, (lost, gained) in moved.items()
    ]
    return sorted(told, key=lambda item: (not item.lost, item.email))


def _moved(lines: Iterable[Decision], names: dict[str, str]) -> tuple[Moved, ...]:
    shops: dict[str, list[str]] = {}
    for line in lines:
        of_label = shops.setdefault(_line_label(line), [])
        if line.shop:
            of_label.append(names.get(line.shop, line.shop))
    return tuple(Moved(label, tuple(dict.fromkeys(of_label))) for label, of_label in shops.items())


def _line_label(line: Decision) -> str:
    label = wording.notification_label(line.notification)
    detail = wording.rule_label(str(line.params.get("rule") or "")) if line.rule else line.account or ""
    return f"{label} ({detail})" if detail else label


def _gap_labels(gaps: Iterable[Decision], names: dict[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_gap_label(gap, names) for gap in gaps))


def _gap_label(gap: Decision, names: dict[str, str]) -> str:
    label = _line_label(gap)
    return f"{label}, {names.get(gap.shop, gap.shop)}" if gap.shop else label


def _shop_names(facts: CompanyFacts) -> dict[str, str]:
    shops: tuple[ShopFacts, ...] = facts.shops
    return {shop.site_id: shop.name for shop in shops}
