"""Findings in words, for pages, mails and files, in the active language."""

from collections.abc import Collection
from typing import Any

from django.utils.encoding import force_str
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from notifications.checks import consistency
from notifications.checks.findings import Finding
from notifications.core import wording
from notifications.core.facts import ConditionFacts

# Findings of one shop that name another: what is said to whoever does not see that one.
NAMING_ANOTHER_SHOP = {
    "contract_in_two_shops": gettext_lazy(
        "Ce contrat sert aussi à une autre boutique de la société : leurs remises se confondent à la banque."
    ),
}
# Findings whose advice sends somebody to the support team.
ASK_SUPPORT = frozenset({"no_administrator", "shop_without_test_key"})


def sentence(finding: Finding, shops: Collection[str] | None = None) -> str:
    """What is wrong, in the active language; a code that is gone from the table shows itself.

    Args:
        shops: names of the shops that the reader sees, None for all: another one is not named.
    """
    check = consistency.BY_CODE.get(finding.code)
    if check is None:
        return finding.code
    if shops is not None and finding.code in NAMING_ANOTHER_SHOP and finding.params.get("other") not in shops:
        return force_str(NAMING_ANOTHER_SHOP[finding.code])
    return force_str(check.sentence) % {name: _word(name, value) for name, value in finding.params.items()}


def advice(finding: Finding) -> str:
    check = consistency.BY_CODE.get(finding.code)
    return force_str(check.advice) if check else ""


def _word(name: str, value: Any) -> str:
    if name == "trigger":
        return wording.trigger_label(str(value))
    if name == "condition" and isinstance(value, dict):
        listed = tuple(value["value"]) if isinstance(value["value"], list) else value["value"]
        among = [ConditionFacts("currency", "in", tuple(value.get("currencies", ())))]
        return wording.condition_text(ConditionFacts(value["variable"], value["operator"], listed), among)
    return wording.rule_label(str(value))


def place(finding: Finding, shops: dict[str, str]) -> str:
    """Where it is: the shop, then the contract, rule or account.

    Args:
        shops: site_id → name.
    """
    parts = [shops.get(finding.shop, finding.shop)] if finding.shop else []
    if finding.contract:
        parts.append(finding.contract)
    if finding.rule:
        parts.append(_("« %(rule)s »") % {"rule": wording.rule_label(str(finding.params.get("label") or finding.rule))})
    if finding.account:
        parts.append(finding.account)
    return " · ".join(parts)
