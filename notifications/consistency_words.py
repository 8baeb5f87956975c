"""Findings in words, for pages, mails and files, in the active language."""

from typing import Any

from django.utils.encoding import force_str
from django.utils.translation import gettext as _

from . import consistency, wording
from .consistency import Finding
from .facts import ConditionFacts


def sentence(finding: Finding) -> str:
    """What is wrong, in the active language; a code that is gone from the table shows itself."""
    check = consistency.BY_CODE.get(finding.code)
    if check is None:
        return finding.code
    return force_str(check.sentence) % {name: _word(name, value) for name, value in finding.params.items()}


def advice(finding: Finding) -> str:
    check = consistency.BY_CODE.get(finding.code)
    return force_str(check.advice) if check else ""


def _word(name: str, value: Any) -> str:
    if name == "trigger":
        return wording.trigger_label(str(value))
    if name == "condition" and isinstance(value, dict):
        listed = tuple(value["value"]) if isinstance(value["value"], list) else value["value"]
        return wording.condition_text(ConditionFacts(value["variable"], value["operator"], listed))
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
