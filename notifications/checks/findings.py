"""What checks are made of: a row of their table, where it looks, and what it finds.

Findings keep codes and values, not sentences, so that a report of last year is read in today's language.

Pure: no database, no settings, no clock.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from backoffice.text import addresses
from notifications.checks import linter
from notifications.core.facts import CompanyFacts, ContractFacts, RuleFacts, ShopFacts


class Severity(StrEnum):
    """An error keeps something from working or from reaching anybody; a warning may be meant."""

    ERROR = "error"
    WARNING = "warning"


class FindingScope(StrEnum):
    """What a finding is about."""

    COMPANY = "company"
    ACCOUNT = "account"
    SHOP = "shop"
    CONTRACT = "contract"
    RULE = "rule"


class Place(StrEnum):
    """Where it is put right; `consistency.reports.PLACES` knows the pages and who may change them."""

    COMPANY = "company"
    USERS = "users"
    SFTP = "sftp"
    TOKENS = "tokens"
    CONFIGURATION = "configuration"
    KEYS = "keys"
    CONTRACTS = "contracts"
    RULE = "rule"
    RULES = "rules"
    ADDRESS = "address"


SEVERITY_LABELS: dict[str, Promise] = {Severity.ERROR: _("Erreur"), Severity.WARNING: _("Avertissement")}
SCOPE_LABELS: dict[str, Promise] = {
    FindingScope.COMPANY: _("Société"),
    FindingScope.ACCOUNT: _("Compte"),
    FindingScope.SHOP: _("Boutique"),
    FindingScope.CONTRACT: _("Contrat"),
    FindingScope.RULE: _("Règle"),
}


# --- Findings -------------------------------------------------------------------------------------

# Values that grow while a finding stays the same.
_GROWING = frozenset({"days"})


@dataclass(frozen=True)
class Finding:
    """One finding, fit for JSON: codes and values."""

    code: str
    severity: str
    scope: str
    shop: str = ""
    contract: str = ""
    rule: str = ""
    account: str = ""
    params: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def key(self) -> str:
        """The same for as long as the same thing is wrong."""
        told = {name: value for name, value in self.params.items() if name not in _GROWING}
        return json.dumps(
            [self.code, self.shop, self.contract, self.rule, self.account, told], sort_keys=True, ensure_ascii=True
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Finding":
        return cls(**{name: data[name] for name in cls.__dataclass_fields__ if name in data})

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def digest(findings: Iterable[Finding]) -> str:
    """Equal for reports that find the same, in whatever order."""
    return hashlib.sha256("\n".join(sorted(finding.key for finding in findings)).encode()).hexdigest()


def errors_of(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == Severity.ERROR]


# --- The table ------------------------------------------------------------------------------------


class Inspection:
    """A company under inspection: its facts, and what all checks of rules look at, made once."""

    def __init__(self, company: CompanyFacts) -> None:
        self.company = company
        self.sheets = {shop.site_id: linter.sheets_of(company, shop) for shop in company.shops}


Hit = dict[str, Any]
Look = Callable[[Inspection], Iterator[Hit]]


@dataclass(frozen=True)
class Check:
    """One row of the table.

    Attributes:
        sentence: what is wrong; `%(name)s` stands for a value of the finding.
        advice: what to do.
        look: an inspection → for each finding where it is (`shop`, `contract`, `rule`, `account`) and the
            values of the sentence.
    """

    code: str
    severity: Severity
    scope: FindingScope
    sentence: str | Promise
    advice: str | Promise
    place: Place
    look: Look


# --- Ways to look ---------------------------------------------------------------------------------


def _hits(answer: bool | Hit, **place: str) -> Iterator[Hit]:
    """The finding that a condition answers with, or nothing."""
    if answer:
        yield {**place, **(answer if isinstance(answer, dict) else {})}


def of_company(condition: Callable[[CompanyFacts], bool | Hit]) -> Look:
    def look(inspection: Inspection) -> Iterator[Hit]:
        yield from _hits(condition(inspection.company))

    return look


def all_of_company(condition: Callable[[CompanyFacts], Iterator[Hit]]) -> Look:
    """For conditions that may find several things, and say where themselves."""
    return lambda inspection: condition(inspection.company)


def of_each_shop(condition: Callable[[ShopFacts], bool | Hit]) -> Look:
    def look(inspection: Inspection) -> Iterator[Hit]:
        for shop in inspection.company.shops:
            yield from _hits(condition(shop), shop=shop.site_id)

    return look


def of_each_contract(condition: Callable[[ShopFacts, ContractFacts], bool | Hit]) -> Look:
    def look(inspection: Inspection) -> Iterator[Hit]:
        for shop in inspection.company.shops:
            for contract in shop.contracts:
                yield from _hits(condition(shop, contract), shop=shop.site_id, contract=contract_place(contract))

    return look


def contract_place(contract: ContractFacts) -> str:
    return f"{contract.number} ({contract.network})"


def of_each_rule(condition: Callable[[ShopFacts, linter.Sheet], Iterator[Hit]]) -> Look:
    """Findings of rules that are enabled; disabled rules are not checked."""

    def look(inspection: Inspection) -> Iterator[Hit]:
        for shop in inspection.company.shops:
            for sheet in inspection.sheets[shop.site_id]:
                if sheet.rule.enabled:
                    for hit in condition(shop, sheet):
                        yield {**rule_place(shop, sheet.rule), **hit}

    return look


def rule_place(shop: ShopFacts, rule: RuleFacts) -> Hit:
    return {"shop": shop.site_id, "rule": rule.reference, "label": rule.label}


def is_bad(address: str) -> bool:
    """Whether an address cannot receive mail."""
    try:
        addresses.validate(address)
    except addresses.InvalidAddress:
        return True
    return False
