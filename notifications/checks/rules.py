"""Checks of notification rules: those of the linter, with its predicates and its words, and what only reports look at.

Pure: no database, no settings, no clock.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from backoffice.text import addresses
from notifications.checks import linter
from notifications.checks.accounts import gone_addresses
from notifications.checks.findings import (
    Check,
    FindingScope,
    Hit,
    Inspection,
    Look,
    Place,
    Severity,
    all_of_company,
    is_bad,
    of_each_rule,
    rule_place,
)
from notifications.core.catalogue import TRIGGER_LABELS, RuleType
from notifications.core.condition_money import DEFAULT_CURRENCY, currencies_of
from notifications.core.facts import CompanyFacts, ConditionFacts, RuleFacts, ShopFacts

# Calls that have failed for a day are told.
FAILING_DAYS = 1


def _is_call(sheet: linter.Sheet) -> bool:
    return sheet.rule.type == RuleType.IPN_CALL


def _production_without_url(shop: ShopFacts, sheet: linter.Sheet) -> Iterator[Hit]:
    if _is_call(sheet) and shop.in_production and not sheet.rule.urls["PRODUCTION"] and _fires_in(sheet, "PRODUCTION"):
        yield {}


def _test_without_url(shop: ShopFacts, sheet: linter.Sheet) -> Iterator[Hit]:
    if _is_call(sheet) and not shop.in_production and not sheet.rule.urls["TEST"] and _fires_in(sheet, "TEST"):
        yield {}


def _fires_in(sheet: linter.Sheet, mode: str) -> bool:
    return not linter.exclusive(sheet.rule.conditions, (ConditionFacts("mode", "eq", mode),))


def _refused_urls(shop: ShopFacts, sheet: linter.Sheet) -> Iterator[Hit]:
    for url in sheet.rule.refused_urls:
        yield {"url": url}


def _invalid_recipients(shop: ShopFacts, sheet: linter.Sheet) -> Iterator[Hit]:
    for address in sheet.rule.typed_recipients:
        if is_bad(address):
            yield {"address": address}


def _failing(shop: ShopFacts, sheet: linter.Sheet) -> Iterator[Hit]:
    for mode, days in sheet.rule.failing:
        if days >= FAILING_DAYS:
            yield {"mode": mode, "days": days}


def _nobody(shop: ShopFacts, sheet: linter.Sheet) -> Iterator[Hit]:
    if _is_call(sheet) and not sheet.recipients and not sheet.unaddressed:
        yield {}


def _gone_in_rules(company: CompanyFacts) -> Iterator[Hit]:
    gone = gone_addresses(company)
    for shop in company.shops:
        for rule in shop.rules:
            for address in rule.typed_recipients if rule.enabled else ():
                if login := gone.get(addresses.normalise(address)):
                    yield {**rule_place(shop, rule), "address": address, "login": login}


def _linted(check: linter.RuleCheck) -> Look:
    """What a check of the linter finds in rules that are on."""

    def look(inspection: Inspection) -> Iterator[Hit]:
        for shop in inspection.company.shops:
            sheets = [sheet for sheet in inspection.sheets[shop.site_id] if sheet.rule.enabled]
            for hit in check.find(sheets):
                rule: RuleFacts = hit.pop("sheet").rule
                other: linter.Sheet | None = hit.pop("other", None)
                values = {name: _frozen(value, rule.conditions) for name, value in hit.items()}
                yield {**rule_place(shop, rule), **values, **({"other": other.rule.label} if other else {})}

    return look


def _frozen(value: Any, conditions: Sequence[ConditionFacts]) -> Any:
    """A value of a linter's finding, fit for JSON and for another language.

    Args:
        conditions: those of the rule; an amount is of the currency they name.
    """
    if isinstance(value, ConditionFacts):
        listed = list(value.value) if isinstance(value.value, tuple) else value.value
        told = {"variable": value.variable, "operator": value.operator, "value": listed}
        currencies = currencies_of(conditions)
        named = value.variable == "amount" and currencies != (DEFAULT_CURRENCY,)
        return {**told, "currencies": list(currencies)} if named else told
    for code, label in TRIGGER_LABELS.items():
        if value is label:
            return code
    return value


_LINTER = {check.code: check for check in linter.CHECKS}


def _of_linter(code: str, severity: Severity, place: Place = Place.RULE) -> Check:
    check = _LINTER[code]
    return Check(code, severity, FindingScope.RULE, check.sentence, check.advice, place, _linted(check))


CHECKS: tuple[Check, ...] = (
    Check(
        "production_without_url",
        Severity.ERROR,
        FindingScope.RULE,
        _("La règle est activée et la boutique est en production, mais aucune URL n'est appelée en mode PRODUCTION."),
        _("Indiquez l'URL du mode PRODUCTION, ou désactivez la règle."),
        Place.RULE,
        of_each_rule(_production_without_url),
    ),
    Check(
        "url_refused",
        Severity.ERROR,
        FindingScope.RULE,
        _("L'URL %(url)s ne peut pas être appelée : elle ne respecte pas les règles des URL de notification."),
        _("Ouvrez la règle et enregistrez-la : la raison s'affiche sous l'URL."),
        Place.RULE,
        of_each_rule(_refused_urls),
    ),
    Check(
        "recipient_invalid",
        Severity.ERROR,
        FindingScope.RULE,
        _("Le destinataire « %(address)s » de la règle ne peut pas recevoir d'e-mail."),
        _("Corrigez ou retirez l'adresse."),
        Place.RULE,
        of_each_rule(_invalid_recipients),
    ),
    _of_linter("never_fires", Severity.ERROR),
    _of_linter("trigger_never_fires", Severity.ERROR),
    _of_linter("no_key", Severity.ERROR, Place.KEYS),
    _of_linter("javascript_without_rest_url", Severity.ERROR),
    _of_linter("no_address", Severity.ERROR),
    Check(
        "test_without_url",
        Severity.WARNING,
        FindingScope.RULE,
        _("La règle est activée mais n'a pas d'URL pour le mode TEST : vos essais n'appellent rien."),
        _("Indiquez l'URL du mode TEST pendant la phase de test."),
        Place.RULE,
        of_each_rule(_test_without_url),
    ),
    Check(
        "calls_failing",
        Severity.WARNING,
        FindingScope.RULE,
        _("Les appels en mode %(mode)s échouent tous depuis %(days)s jours."),
        _("Lisez la réponse de votre serveur dans le journal, corrigez, puis rejouez les appels."),
        Place.RULE,
        of_each_rule(_failing),
    ),
    Check(
        "nobody_told_of_failures",
        Severity.WARNING,
        FindingScope.RULE,
        _("Personne n'est prévenu si un appel échoue : c'est un choix enregistré."),
        _("Ajoutez un destinataire si ce n'est plus voulu."),
        Place.RULE,
        of_each_rule(_nobody),
    ),
    Check(
        "recipient_of_disabled_user",
        Severity.WARNING,
        FindingScope.RULE,
        _("%(address)s reçoit les messages de la règle, mais le compte %(login)s est désactivé."),
        _("Retirez l'adresse si la personne a quitté la société."),
        Place.RULE,
        all_of_company(_gone_in_rules),
    ),
    _of_linter("http_in_production", Severity.WARNING),
    _of_linter("same_url_in_both_modes", Severity.WARNING),
    _of_linter("url_redirects", Severity.WARNING),
    _of_linter("told_twice", Severity.WARNING),
    _of_linter("called_twice", Severity.WARNING),
    _of_linter("buyer_told_twice", Severity.WARNING),
)
