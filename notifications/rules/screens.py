"""What the pages of notification rules show: rows, remarks, and what a change would do.

Reads through the selectors; decides nothing itself.
"""

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from backoffice.base import csv_files
from backoffice.text import addresses
from companies.models import Company
from notifications import readers, settings_facts
from notifications.checks import linter
from notifications.core import catalogue, resolver, wording
from notifications.core.catalogue import (
    BY_CODE,
    NOTIFICATION_OF_RULE_TYPE,
    SHOP_MANAGER_SYMBOL,
    TRIGGER_ORDER,
    RuleType,
)
from notifications.core.facts import CompanyFacts, RuleFacts
from notifications.core.resolver import Decision
from notifications.models import Delivery, NotificationRule
from notifications.rules.backtest import Backtest, backtest
from notifications.rules.strips import CallStrip, strips_of
from notifications.settings_facts.checked import linted_rule, shop_with_keys
from notifications.tables import effects, screens
from notifications.tables.effects import EffectPanel
from shops.models import Shop

# Addresses of a row that are named, where there are more.
_NAMED = 3
# Rules read at a time where there may be tens of thousands.
_CHUNK = 500


@dataclass
class RuleRow:
    """One rule of a list."""

    rule: NotificationRule
    manager: str = ""
    to_manager: bool = False
    others: list[str] = field(default_factory=list)
    conditions: str = ""
    last: Delivery | None = None
    findings: list[linter.RuleFinding] = field(default_factory=list)
    strip: CallStrip | None = None
    may_edit: bool = False

    @property
    def first_others(self) -> list[str]:
        """The addresses that a row has room for."""
        return self.others if len(self.others) <= _NAMED else self.others[: _NAMED - 1]

    @property
    def more_others(self) -> list[str]:
        return self.others[len(self.first_others) :]

    @property
    def worst(self) -> str:
        """The highest severity among the remarks of a row; mere hints do not count."""
        worst = self.findings[0].severity if self.findings else linter.RuleSeverity.INFO
        return "" if worst == linter.RuleSeverity.INFO else str(worst)


@dataclass
class Remark:
    """A finding with the page where it is put right."""

    finding: linter.RuleFinding
    rule_url: str
    url: str = ""
    link: str = ""


@dataclass
class RemarkOnMany:
    """One remark with all the rules that it is made on, and where it is put right.

    Attributes:
        rules: (page of the rule, its label).
        links: (page, its name).
    """

    finding: linter.RuleFinding
    rules: list[tuple[str, str]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)


def each_once(remarks: Iterable[Remark]) -> tuple[list[RemarkOnMany], list[RemarkOnMany]]:
    """Remarks that say the same in one; those that must be corrected, then the others."""
    by_words: dict[tuple[str, str, str], RemarkOnMany] = {}
    for remark in remarks:
        said = remark.finding
        one = by_words.setdefault((said.severity, str(said), str(said.advice)), RemarkOnMany(said))
        for pair, listed in (((remark.rule_url, said.label), one.rules), ((remark.url, remark.link), one.links)):
            if pair[0] and pair not in listed:
                listed.append(pair)
    fail = linter.RuleSeverity.ERROR
    return (
        [one for one in by_words.values() if one.finding.severity == fail],
        [one for one in by_words.values() if one.finding.severity != fail],
    )


@dataclass
class ShopRules:
    """The rules of one shop with all that the pages say of them, in a constant number of queries."""

    shop: Shop
    facts: CompanyFacts
    rules: list[NotificationRule]
    last: dict[int, Delivery]
    findings: list[linter.RuleFinding]

    @property
    def manager(self) -> str:
        """The address that `@shop_manager` stands for in this shop; empty when there is none."""
        return resolver.shop_manager_address(self.facts, self.facts.shops[0])[0]

    def row(self, rule: NotificationRule) -> RuleRow:
        row = _row(rule, self.manager, self.last)
        row.findings = [item for item in self.findings if item.reference == rule.reference]
        return row

    def remarks(self, findings: Iterable[linter.RuleFinding]) -> list[Remark]:
        """The findings, each with its link; the page of the rule itself needs none."""
        last = {rule.reference: self.last.get(rule.pk) for rule in self.rules}
        labels = {rule.reference: rule.display_label for rule in self.rules}
        listed = []
        for item in findings:
            own = reverse("rule", args=[self.shop.site_id, item.reference]) if item.reference else ""
            remark, delivery = Remark(item, own), last.get(item.reference)
            match item.place:
                case linter.RulePlace.KEYS:
                    remark.url = reverse("shop_keys", args=[self.shop.site_id])
                    remark.link = _("Clés de la boutique")
                case linter.RulePlace.SHOP:
                    remark.url = reverse("shop_configuration", args=[self.shop.site_id])
                    remark.link = _("Configuration de la boutique")
                case linter.RulePlace.LAST_CALL if delivery is not None:
                    remark.url, remark.link = reverse("delivery", args=[delivery.pk]), _("Voir cet appel")
                case linter.RulePlace.OTHER_RULE if item.other in labels:
                    remark.url = reverse("rule", args=[self.shop.site_id, item.other])
                    remark.link = labels[item.other]
            listed.append(remark)
        return listed


def rows_of_many(rules: list[NotificationRule], inherited: str) -> list[RuleRow]:
    """Rows of rules of several shops, without remarks; three queries.

    Args:
        inherited: the address of shops without their own one.
    """
    last = readers.last_deliveries(rules)
    strips = strips_of(rules)
    rows = [_row(rule, rule.shop.manager_email or inherited, last) for rule in rules]
    for row in rows:
        row.strip = strips.get(row.rule.pk)
    return rows


def _row(rule: NotificationRule, manager: str, last: dict[int, Delivery]) -> RuleRow:
    return RuleRow(
        rule,
        manager,
        SHOP_MANAGER_SYMBOL in rule.recipients,
        [entry for entry in rule.recipients if entry != SHOP_MANAGER_SYMBOL],
        wording.conditions_text(rule.condition_facts),
        last.get(rule.pk),
    )


def shop_rules(shop: Shop) -> ShopRules:
    rules = list(readers.rules_of(shop))
    last = readers.last_deliveries(rules)
    facts = shop_with_keys(shop, rules, last)
    return ShopRules(shop, facts, rules, last, linter.findings(facts, facts.shops[0]))


# --- Before saving --------------------------------------------------------------------------------


@dataclass
class Preview:
    """What a rule would do as it is typed.

    Attributes:
        effect: who gains and loses what.
        told: who would be told, and who not with the reason.
        nobody: an enabled rule that would tell no one.
        digest: how its mails are put together; empty where it writes none to merchants.
        backtest: what it would have matched lately.
    """

    effect: EffectPanel
    told: list[Decision]
    untold: list[tuple[Decision, str]]
    remarks: list[Remark]
    conditions: str
    enabled: bool
    type: str
    nobody: bool
    backtest: Backtest | None = None
    digest: str = ""


def preview(whole: ShopRules, candidate: NotificationRule, replacing: NotificationRule | None) -> Preview:
    """Compare the tables of the shop with and without the candidate; nothing is written.

    Args:
        replacing: the stored rule that the candidate would replace; None for a new one.
    """
    facts = whole.facts
    fresh = linted_rule(candidate, whole.last.get(replacing.pk) if replacing else None)
    after = with_rule(facts, fresh, replacing.reference if replacing else None)
    decisions = []
    code = NOTIFICATION_OF_RULE_TYPE[candidate.type]
    if BY_CODE[code].in_tables:
        decisions = resolver.resolve(after, code, shop=after.shops[0], rule=fresh)
    told = [item for item in decisions if item.delivers]
    return Preview(
        effects.compared(facts, after),
        told,
        [(item, wording.decision_reason(item)) for item in decisions if not item.delivers and item.address],
        whole.remarks(item for item in linter.findings(after, after.shops[0]) if item.reference == fresh.reference),
        wording.conditions_text(candidate.condition_facts),
        candidate.enabled,
        candidate.type,
        bool(decisions) and candidate.enabled and not told,
        backtest(candidate),
        str(catalogue.DIGESTS[fresh.mail_digest]) if fresh.mail_digest else "",
    )


def with_enabled(rule: NotificationRule, enabled: bool) -> NotificationRule:
    """The rule as it would be on or off; not saved."""
    changed = copy(rule)
    changed.enabled = enabled
    return changed


def shop_only_facts(company: Company, shop: Shop, rules: Iterable[NotificationRule] | None = None) -> CompanyFacts:
    """The facts that a change of one rule can touch: its shop's. Large companies stay quick."""
    return settings_facts.company_facts(company, shops=[shop], live_rules=rules, accounts=False)


def with_rule(facts: CompanyFacts, fresh: RuleFacts, reference: str | None) -> CompanyFacts:
    """The facts of one shop with a rule replaced, or added where `reference` is None."""
    shop = facts.shops[0]
    rules = (*shop.rules, fresh) if reference is None else tuple(
        fresh if rule.reference == reference else rule for rule in shop.rules
    )  # fmt: skip
    return replace(facts, shops=(replace(shop, rules=rules),))


# --- Rules of all shops ---------------------------------------------------------------------------


def keys_writing_to(rules: QuerySet[NotificationRule], text: str, company: Company) -> set[int]:
    """Keys of the rules among whose effective recipients the text stands, whole or in part.

    `@shop_manager` counts as the address behind it. Spellings are compared in their normal form.
    """
    contact = company.manager_contact
    inherited = addresses.normalise(contact.email) if contact else ""
    needle = addresses.normalise(text)
    known: dict[str, str] = {}

    def normal(address: str) -> str:
        if address not in known:
            known[address] = addresses.normalise(address)
        return known[address]

    return {
        key
        for key, recipients, own in rules.values_list("pk", "recipients", "shop__manager_email")
        if any(
            needle in ((normal(own) if own else inherited) if entry == SHOP_MANAGER_SYMBOL else normal(entry))
            for entry in recipients
        )
    }


def keys_saying(rules: QuerySet[NotificationRule], text: str) -> set[int]:
    """Keys of the rules in whose label, reference, shop, events, recipients or URLs the text stands.

    Thousands of rules share their words, so each word is translated and folded once.
    """
    needle = screens.folded(text)
    said: dict[str, bool] = {}
    labelled: dict[str, bool] = {}
    events = {code for code in TRIGGER_ORDER if needle in screens.folded(wording.trigger_label(code))}

    def says(word: str) -> bool:
        if word not in said:
            said[word] = needle in screens.folded(word)
        return said[word]

    def label_says(label: str) -> bool:
        if label not in labelled:
            labelled[label] = says(wording.rule_label(label))
        return labelled[label]

    columns = ("label", "reference", "shop__name", "shop__site_id", *NotificationRule.URL_FIELDS)
    return {
        key
        for key, triggers, recipients, label, *words in rules.values_list("pk", "triggers", "recipients", *columns)
        if label_says(label) or not events.isdisjoint(triggers) or any(map(says, words)) or any(map(says, recipients))
    }


def in_chunks(asked: QuerySet[NotificationRule], keys: list[int]) -> Iterator[NotificationRule]:
    """The rules of these keys, in their order; queries of a bounded length."""
    for start in range(0, len(keys), _CHUNK):
        part = keys[start : start + _CHUNK]
        rules = {rule.pk: rule for rule in asked.filter(pk__in=part)}
        yield from (rules[key] for key in part if key in rules)


# --- CSV ------------------------------------------------------------------------------------------

CSV_HEADER = (
    "shop",
    "shop_name",
    "reference",
    "type",
    "label",
    "enabled",
    "triggers",
    "conditions",
    "recipients",
    "shop_manager",
    *NotificationRule.URL_FIELDS,
    "auto_retry",
    "profile",
    "digest",
    "last_at",
    "last_status",
    "last_http_status",
)


def csv_rows(rules: Iterable[NotificationRule], inherited: str) -> Iterator[list[str]]:
    """Header, then one row a rule, with the names of the provisioning file; times in UTC.

    Args:
        inherited: the address of shops without their own one.
    """
    yield list(CSV_HEADER)
    chunk: list[NotificationRule] = []
    for rule in rules:
        chunk.append(rule)
        if len(chunk) == _CHUNK:
            yield from _csv_chunk(chunk, inherited)
            chunk = []
    yield from _csv_chunk(chunk, inherited)


def _csv_chunk(rules: list[NotificationRule], inherited: str) -> Iterator[list[str]]:
    last = readers.last_deliveries(rules)
    for rule in rules:
        delivery = last.get(rule.pk)
        cells: tuple[Any, ...] = (
            rule.shop.site_id,
            rule.shop.name,
            rule.reference,
            rule.type,
            rule.display_label,
            "true" if rule.enabled else "false",
            " ".join(rule.triggers),
            wording.conditions_text(rule.condition_facts),
            addresses.join(rule.recipients),
            rule.shop.manager_email or inherited,
            *(getattr(rule, name) for name in NotificationRule.URL_FIELDS),
            "true" if rule.auto_retry else "false",
            rule.profile,
            rule.digest if rule.type == RuleType.MERCHANT_EMAIL else "",
            csv_files.utc(delivery.created_at) if delivery else "",
            delivery.status if delivery else "",
            delivery.http_status if delivery else "",
        )
        yield [csv_files.neutral(cell) for cell in cells]
