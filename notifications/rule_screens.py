"""What the pages of notification rules show: rows, remarks, and what a change would do.

Reads through the selectors; decides nothing itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from companies.models import Company
from shops.models import Shop, ShopKey

from . import addresses, exports, impact, linter, resolver, screens, selectors, wording
from .catalogue import BY_CODE, NOTIFICATION_OF_RULE_TYPE, SHOP_MANAGER_SYMBOL, TRIGGER_ORDER
from .facts import CompanyFacts, RuleFacts
from .models import Delivery, NotificationRule
from .resolver import Decision

# Rules read at a time where there may be tens of thousands.
_CHUNK = 500


@dataclass
class Row:
    """One rule of a list."""

    rule: NotificationRule
    manager: str = ""
    to_manager: bool = False
    others: list[str] = field(default_factory=list)
    conditions: str = ""
    last: Delivery | None = None
    findings: list[linter.Finding] = field(default_factory=list)


@dataclass
class Remark:
    """A finding with the page where it is put right."""

    finding: linter.Finding
    rule_url: str
    url: str = ""
    link: str = ""


@dataclass
class ShopRules:
    """The rules of one shop with all that the pages say of them, in a constant number of queries."""

    shop: Shop
    manager: str
    rules: list[NotificationRule]
    last: dict[int, Delivery]
    sheets: list[linter.Sheet]
    findings: list[linter.Finding]

    def row(self, rule: NotificationRule) -> Row:
        return Row(
            rule,
            self.manager,
            SHOP_MANAGER_SYMBOL in rule.recipients,
            [entry for entry in rule.recipients if entry != SHOP_MANAGER_SYMBOL],
            wording.conditions_text(rule.condition_facts),
            self.last.get(rule.pk),
            [item for item in self.findings if item.reference == rule.reference],
        )

    def remarks(self, findings: Iterable[linter.Finding]) -> list[Remark]:
        """The findings, each with its link; the page of the rule itself needs none."""
        last = {rule.reference: self.last.get(rule.pk) for rule in self.rules}
        labels = {rule.reference: rule.display_label for rule in self.rules}
        found = []
        for item in findings:
            own = reverse("rule", args=[self.shop.site_id, item.reference]) if item.reference else ""
            remark, delivery = Remark(item, own), last.get(item.reference)
            match item.place:
                case linter.Place.KEYS:
                    remark.url = reverse("shop_keys", args=[self.shop.site_id])
                    remark.link = _("Clés de la boutique")
                case linter.Place.SHOP:
                    remark.url = reverse("shop_configuration", args=[self.shop.site_id])
                    remark.link = _("Configuration de la boutique")
                case linter.Place.LAST_CALL if delivery is not None:
                    remark.url, remark.link = reverse("delivery", args=[delivery.pk]), _("Voir cet appel")
                case linter.Place.OTHER_RULE if item.other in labels:
                    remark.url = reverse("rule", args=[self.shop.site_id, item.other])
                    remark.link = labels[item.other]
            found.append(remark)
        return found


def rows_of_many(rules: list[NotificationRule], inherited: str) -> list[Row]:
    """Rows of rules of several shops, without remarks; two queries.

    Args:
        inherited: the address of shops without their own one.
    """
    last = selectors.last_deliveries(rules)
    return [ShopRules(rule.shop, rule.shop.manager_email or inherited, [], last, [], []).row(rule) for rule in rules]


def shop_rules(shop: Shop) -> ShopRules:
    rules = list(selectors.rules_of(shop))
    manager = selectors.shop_manager_email(shop)
    last = selectors.last_deliveries(rules)
    sheets = selectors.rule_sheets(shop, rules, last, manager)
    return ShopRules(shop, manager, rules, last, sheets, linted(sheets))


def linted(sheets: Sequence[linter.Sheet]) -> list[linter.Finding]:
    return linter.findings(sheets, condition_text=wording.condition_text)


# --- Before saving --------------------------------------------------------------------------------


@dataclass
class Preview:
    """What a rule would do as it is typed.

    Attributes:
        changes: (address, page of its table, lines gained, lines lost).
        told: who would be told, and who not with the reason.
        nobody: an enabled rule that would tell no one.
    """

    changes: list[tuple[str, str, int, int]]
    told: list[Decision]
    untold: list[tuple[Decision, str]]
    remarks: list[Remark]
    conditions: str
    enabled: bool
    type: str
    nobody: bool


def preview(whole: ShopRules, candidate: NotificationRule, replacing: NotificationRule | None) -> Preview:
    """Compare the tables of the shop with and without the candidate; nothing is written.

    Args:
        replacing: the stored rule that the candidate would replace; None for a new one.
    """
    facts = shop_only_facts(whole.shop.company, whole.shop, whole.rules)
    fresh = selectors.rule_facts(candidate)
    after = with_rule(facts, fresh, replacing.reference if replacing else None)
    kinds = set(ShopKey.objects.filter(shop=whole.shop).values_list("kind", flat=True))
    last = whole.last.get(replacing.pk) if replacing else None
    sheet = selectors.rule_sheet(candidate, last, whole.manager, kinds)
    others = [item for item in whole.sheets if replacing is None or item.reference != replacing.reference]
    decisions = []
    code = NOTIFICATION_OF_RULE_TYPE[candidate.type]
    if BY_CODE[code].in_tables:
        decisions = resolver.resolve(after, code, shop=after.shops[0], rule=fresh)
    told = [item for item in decisions if item.delivers]
    difference = impact.difference(selectors.delivery_tables(facts), selectors.delivery_tables(after))
    return Preview(
        [(email, impact.tables_url(email), gained, lost) for email, gained, lost in difference],
        told,
        [(item, wording.decision_reason(item)) for item in decisions if not item.delivers and item.address],
        whole.remarks(item for item in linted([*others, sheet]) if item.reference == sheet.reference),
        wording.conditions_text(candidate.condition_facts),
        candidate.enabled,
        candidate.type,
        bool(decisions) and candidate.enabled and not told,
    )


def with_enabled(rule: NotificationRule, enabled: bool) -> NotificationRule:
    """The rule as it would be on or off; not saved."""
    changed = copy(rule)
    changed.enabled = enabled
    return changed


def shop_only_facts(company: Company, shop: Shop, rules: Iterable[NotificationRule] | None = None) -> CompanyFacts:
    """The facts that a change of one rule can touch: its shop's. Large companies stay quick."""
    return selectors.company_facts(company, shops=[shop], live_rules=rules, accounts=False)


def with_rule(facts: CompanyFacts, fresh: RuleFacts, reference: str | None) -> CompanyFacts:
    """The facts of one shop with a rule replaced, or added where `reference` is None."""
    shop = facts.shops[0]
    rules = (*shop.rules, fresh) if reference is None else tuple(
        fresh if rule.reference == reference else rule for rule in shop.rules
    )  # fmt: skip
    return replace(facts, shops=(replace(shop, rules=rules),))


# --- Rules of all shops ---------------------------------------------------------------------------


def keys_writing_to(found: QuerySet[NotificationRule], text: str, company: Company) -> set[int]:
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
        for key, recipients, own in found.values_list("pk", "recipients", "shop__manager_email")
        if any(
            needle in ((normal(own) if own else inherited) if entry == SHOP_MANAGER_SYMBOL else normal(entry))
            for entry in recipients
        )
    }


def keys_saying(found: QuerySet[NotificationRule], text: str) -> set[int]:
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
        for key, triggers, recipients, label, *words in found.values_list("pk", "triggers", "recipients", *columns)
        if label_says(label) or not events.isdisjoint(triggers) or any(map(says, words)) or any(map(says, recipients))
    }


def in_chunks(found: QuerySet[NotificationRule], keys: list[int]) -> Iterator[NotificationRule]:
    """The rules of these keys, in their order; queries of a bounded length."""
    for start in range(0, len(keys), _CHUNK):
        part = keys[start : start + _CHUNK]
        rules = {rule.pk: rule for rule in found.filter(pk__in=part)}
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
    "last_at",
    "last_status",
    "last_http_status",
)


def csv_rows(found: Iterable[NotificationRule], inherited: str) -> Iterator[list[str]]:
    """Header, then one row a rule, with the names of the provisioning file; times in UTC.

    Args:
        inherited: the address of shops without their own one.
    """
    yield list(CSV_HEADER)
    chunk: list[NotificationRule] = []
    for rule in found:
        chunk.append(rule)
        if len(chunk) == _CHUNK:
            yield from _csv_chunk(chunk, inherited)
            chunk = []
    yield from _csv_chunk(chunk, inherited)


def _csv_chunk(rules: list[NotificationRule], inherited: str) -> Iterator[list[str]]:
    last = selectors.last_deliveries(rules)
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
            exports.utc(delivery.created_at) if delivery else "",
            delivery.status if delivery else "",
            delivery.http_status if delivery else "",
        )
        yield [exports.neutral(cell) for cell in cells]
