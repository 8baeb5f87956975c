"""The checks of the consistency report: what is wrong, or worth a look, in the settings of a company.

One table, `CHECKS`, by subject in a module each: code, severity, scope, sentence, advice, place of correction, and the
function that finds it in the facts of the company. What the linter says of rules is said here with its predicates and
its words.

Pure: no database, no settings, no clock.
"""

from collections.abc import Sequence

from notifications.checks import accounts, addresses, company, rules, shops
from notifications.checks.findings import Check, Finding, Inspection, Severity
from notifications.core.facts import CompanyFacts

CHECKS: tuple[Check, ...] = (*company.CHECKS, *addresses.CHECKS, *accounts.CHECKS, *shops.CHECKS, *rules.CHECKS)
BY_CODE: dict[str, Check] = {check.code: check for check in CHECKS}

_WHERE = ("shop", "contract", "rule", "account")


def findings(facts: CompanyFacts, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """Everything the checks find, errors first, then in the order of the table."""
    inspection = Inspection(facts)
    told = []
    for check in checks:
        for hit in check.look(inspection):
            place = {name: hit.pop(name) for name in _WHERE if name in hit}
            told.append(Finding(check.code, str(check.severity), str(check.scope), params=hit, **place))
    return sorted(told, key=lambda finding: finding.severity != Severity.ERROR)
