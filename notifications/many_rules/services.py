"""Writes on many rules: each by the service of one rule, all in one transaction, all or none."""

from collections.abc import Iterable, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from backoffice.text import addresses
from companies import status
from companies.audit import Actor
from notifications import readers
from notifications.core.facts import CompanyFacts, RuleFacts
from notifications.models import NotificationRule
from notifications.rules import services as rule_services
from notifications.settings_facts import rule_facts
from shops.models import Shop

ADD, REMOVE = "add", "remove"
CREATED, UPDATED, SAME = "created", "updated", "same"
# What a copy leaves as it is in a rule that the shop has already, or is asked about.
_URLS = (*NotificationRule.URL_FIELDS, "http_confirmed")


def imagined(facts: CompanyFacts, changed: Iterable[tuple[str, NotificationRule]]) -> CompanyFacts:
    """The facts with rules as they would be, each under the identifier of its shop; new ones are added."""
    fresh: dict[str, dict[str, RuleFacts]] = {}
    for site_id, rule in changed:
        fresh.setdefault(site_id, {})[rule.reference] = rule_facts(rule)
    shops = []
    for shop in facts.shops:
        mine = fresh.get(shop.site_id, {})
        kept = [mine.pop(rule.reference, rule) for rule in shop.rules]
        shops.append(replace(shop, rules=(*kept, *mine.values())))
    return replace(facts, shops=tuple(shops))


# --- A rule in other shops ------------------------------------------------------------------------


@dataclass(frozen=True)
class Copied:
    """What becomes of a rule in one shop.

    Attributes:
        rule: as it would be; not saved.
        outcome: CREATED, UPDATED or SAME.
        fields: what changes in a rule that the shop has already.
    """

    shop: Shop
    rule: NotificationRule
    outcome: str
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def changed(self) -> list[str]:
        """What changes in a rule that the shop has already, in words."""
        columns = {column.name: column.verbose_name for column in NotificationRule._meta.local_fields}
        return [str(columns[name]) for name in self.fields]


def copies(rule: NotificationRule, shops: Sequence[Shop], *, with_urls: bool) -> list[Copied]:
    """What copying a rule does in each of these shops; two queries.

    The rule of the same reference and type is brought to the same settings; a shop without one gets a new rule.
    """
    theirs = readers.rules_of_shops(shops).filter(reference=rule.reference, type=rule.type)
    known = {one.shop_id: one for one in theirs}
    settings = _settings(rule, with_urls=with_urls)
    done = []
    for shop in shops:
        mine = known.get(shop.pk)
        if mine is None:
            fresh = NotificationRule(shop=shop, reference=rule.reference, type=rule.type, **deepcopy(settings))
            done.append(Copied(shop, fresh, CREATED))
            continue
        mine.shop = shop
        changed = {name: value for name, value in settings.items() if getattr(mine, name) != value}
        would = copy(mine)
        for name, value in changed.items():
            setattr(would, name, deepcopy(value))
        done.append(Copied(shop, would, UPDATED if changed else SAME, changed))
    return done


def _settings(rule: NotificationRule, *, with_urls: bool) -> dict[str, Any]:
    left = {"type"} if with_urls else {"type", *_URLS}
    return {name: getattr(rule, name) for name in rule_services.RULE_FIELDS if name not in left}


@transaction.atomic
def rule_copy(*, rule: NotificationRule, shops: Sequence[Shop], actor: Actor, with_urls: bool) -> list[Copied]:
    """Give a rule to other shops of its company; what was done in each.

    Passwords of protected URLs are not copied.

    Raises ValidationError naming the shop in which it is refused.
    """
    done = copies(rule, shops, with_urls=with_urls)
    problems = []
    for one in done:
        status.ensure_open(actor=actor, company=one.shop.company, shop=one.shop)
        try:
            if one.outcome == CREATED:
                _create(one, actor)
            elif one.outcome == UPDATED:
                current = readers.rules_of(one.shop).get(pk=one.rule.pk)
                rule_services.rule_update(rule=current, actor=actor, **deepcopy(one.fields))
        except ValidationError as error:
            problems.append(_("%(shop)s : %(why)s") % {"shop": one.shop.name, "why": " ".join(error.messages)})
    if problems:
        raise ValidationError(problems)
    return done


def _create(one: Copied, actor: Actor) -> None:
    # A reference that was ever used is not given again: the journal names rules by it.
    used = readers.rules_of(one.shop, archived=True).filter(reference=one.rule.reference).exists()
    reference = rule_services.free_reference(one.shop, one.rule.label) if used else one.rule.reference
    fields = {name: getattr(one.rule, name) for name in rule_services.RULE_FIELDS}
    rule_services.rule_create(shop=one.shop, actor=actor, reference=reference, **fields)


# --- An address in many rules ---------------------------------------------------------------------


def with_address(rule: NotificationRule, change: str, email: str) -> NotificationRule:
    """The rule as it would be; not saved, and the same where nothing changes."""
    would = copy(rule)
    wanted = addresses.normalise(email)
    others = [entry for entry in rule.recipients if addresses.normalise(entry) != wanted]
    if change == REMOVE:
        would.recipients = others
    elif len(others) == len(rule.recipients):
        would.recipients = [*rule.recipients, email]
    return would


def has_address(rule: NotificationRule, email: str) -> bool:
    """Whether an address is itself among the recipients of a rule; addresses behind a symbol (`@shop_manager`) do not
    count.
    """
    wanted = addresses.normalise(email)
    return any(addresses.normalise(entry) == wanted for entry in rule.recipients)


@transaction.atomic
def rules_address(*, rules: Sequence[NotificationRule], change: str, email: str, actor: Actor) -> int:
    """Add an address to these rules, or take it out of them; how many have changed.

    Raises ValidationError naming each rule that refuses it: a mail to the merchant keeps a recipient.
    """
    changed, problems = 0, []
    for rule in rules:
        would = with_address(rule, change, email)
        if would.recipients == rule.recipients:
            continue
        status.ensure_open(actor=actor, company=rule.shop.company, shop=rule.shop)
        try:
            changed += bool(rule_services.rule_update(rule=rule, actor=actor, recipients=would.recipients))
        except ValidationError as error:
            named = {"rule": rule.display_label, "shop": rule.shop.name, "why": " ".join(error.messages)}
            problems.append(_("%(rule)s, %(shop)s : %(why)s") % named)
    if problems:
        raise ValidationError(problems)
    return changed
