"""Settings of notification rules that are certainly wrong or certainly unintended.

A table of checks over frozen facts: each finding has a code, a severity, a sentence and what to do.
Only sure things: a check that could be wrong about a shop is no check. Nothing here stops anybody
from saving.

Pure: no database, no settings, no clock.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from backoffice.text import addresses
from notifications.core import wording
from notifications.core.catalogue import (
    MODES,
    SHOP_MANAGER_SYMBOL,
    SOURCES_OF_EVENT,
    TRIGGER_LABELS,
    TRIGGERS,
    VARIABLES,
    RuleType,
    sort_triggers,
)
from notifications.core.facts import CompanyFacts, ConditionFacts, EventFacts, RuleFacts, ShopFacts
from notifications.core.resolver import condition_holds, shop_manager_address

REDIRECTIONS = frozenset({301, 302, 303, 307, 308})
# Of the triggers that only the back office publishes, what their event carries (docs/rules.md 4b): the key
# service announces a change of the PRODUCTION key, without data of a payment.
_INTERNAL = {trigger.code: EventFacts(trigger.code, "PRODUCTION", {}) for trigger in TRIGGERS if trigger.internal}


class RulePlace(StrEnum):
    """Where to put it right."""

    RULE = "rule"
    OTHER_RULE = "other"
    KEYS = "keys"
    SHOP = "shop"
    LAST_CALL = "call"


class RuleSeverity(StrEnum):
    """How much it matters: the rule does not work; it may surprise; it is good to know."""

    ERROR = "fail"
    WARNING = "warn"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the checks know of one rule: its facts, and what follows for it from its shop.

    Attributes:
        recipients: effective addresses in their normal form (`@shop_manager` replaced by its address).
        unaddressed: `@shop_manager` is a recipient, and no address stands behind it.
        keyless: modes with a URL for which the shop has no key to sign with.
    """

    rule: RuleFacts
    recipients: frozenset[str] = frozenset()
    unaddressed: bool = False
    keyless: tuple[str, ...] = ()


def sheets_of(company: CompanyFacts, shop: ShopFacts) -> list[Sheet]:
    """The rules of a shop as the checks look at them, in their order."""
    manager, _inherited = shop_manager_address(company, shop)
    return [_sheet(rule, shop, manager) for rule in shop.rules]


def _sheet(rule: RuleFacts, shop: ShopFacts, manager: str) -> Sheet:
    to_manager = SHOP_MANAGER_SYMBOL in rule.recipients
    effective = (*rule.typed_recipients, *([manager] if to_manager and manager else []))
    return Sheet(
        rule,
        frozenset(map(addresses.normalise, effective)),
        unaddressed=to_manager and not manager,
        keyless=tuple(
            mode
            for index, mode in enumerate(MODES)
            if (rule.form_urls[index] and mode.lower() not in shop.keys)
            or (rule.rest_urls[index] and f"rest_{mode.lower()}" not in shop.keys)
        ),
    )


@dataclass(frozen=True)
class RuleFinding:
    """One remark on one rule; `params` fill the sentence, `other` is the second rule of a pair.

    `place` says where to put it right. `mirrored`: the same is said of the other rule of the pair already.
    """

    code: str
    severity: RuleSeverity
    reference: str
    label: str
    sentence: str | Promise
    advice: str | Promise
    place: RulePlace
    other: str | None = None
    params: tuple[tuple[str, Any], ...] = ()
    mirrored: bool = False

    def __str__(self) -> str:
        return str(self.sentence) % {name: str(value) for name, value in self.params}


# --- Conditions: can they hold at all? ------------------------------------------------------------


def contradiction(conditions: Sequence[ConditionFacts]) -> ConditionFacts | None:
    """None when some event can meet all the conditions; else one that contradicts those before it."""
    for number in range(1, len(conditions) + 1):
        wanted = conditions[:number]
        variable = conditions[number - 1].variable
        if not _possible(variable, [item for item in wanted if item.variable == variable]):
            return conditions[number - 1]
    return None


def _possible(code: str, conditions: Sequence[ConditionFacts]) -> bool:
    variable = VARIABLES.get(code)
    if variable is None:
        return False
    if variable.kind == "choice":
        candidates: Sequence[Any] = variable.values
    elif variable.kind == "boolean":
        candidates = (True, False)
    elif variable.kind == "integer":
        candidates = _numbers(conditions)
    else:
        # A text nobody compares with stands for all the others.
        named = [item for condition in conditions for item in _values(condition)]
        candidates = [*named, "\x00"]
        if code == "currency":
            # Events carry alphabetic ISO 4217 codes only: three capital letters.
            candidates = [item for item in candidates if item == "\x00" or (len(item) == 3 and item.isupper())]
    return any(
        all(condition_holds(condition, _event(code, candidate)) for condition in conditions) for candidate in candidates
    )


def _event(code: str, value: Any) -> EventFacts:
    return EventFacts("", value) if code == "mode" else EventFacts("", "", {code: value})


def _values(condition: ConditionFacts) -> tuple[Any, ...]:
    return tuple(condition.value) if isinstance(condition.value, (tuple, list)) else (condition.value,)


def _numbers(conditions: Sequence[ConditionFacts]) -> list[int]:
    """Amounts of which one meets the conditions if any does: the smallest such amount is 0, a value
    named, or the one above it. Amounts are never negative."""
    named = {value for condition in conditions for value in _values(condition) if isinstance(value, int)}
    return sorted(value for value in {0, *named, *(value + 1 for value in named)} if value >= 0)


def exclusive(first: Sequence[ConditionFacts], second: Sequence[ConditionFacts]) -> bool:
    """Whether no event meets both lists of conditions."""
    return contradiction((*first, *second)) is not None


def possible_triggers(sheet: Sheet) -> list[str]:
    """The triggers on which the rule can fire, conditions considered."""
    if contradiction(sheet.rule.conditions) is not None:
        return []
    return [
        code
        for code in sheet.rule.triggers
        if code not in _INTERNAL or all(condition_holds(item, _INTERNAL[code]) for item in sheet.rule.conditions)
    ]


def _modes(sheet: Sheet) -> list[str]:
    """The modes in which the conditions let the rule fire."""
    return [mode for mode in MODES if not exclusive(sheet.rule.conditions, (ConditionFacts("mode", "eq", mode),))]


def _only_javascript(sheet: Sheet) -> bool:
    sources = [
        source
        for source in SOURCES_OF_EVENT
        if not exclusive(sheet.rule.conditions, (ConditionFacts("source", "eq", source),))
    ]
    return sources == ["JS"]


# --- The table of checks --------------------------------------------------------------------------

Hits = Iterator[dict[str, Any]]


@dataclass(frozen=True)
class RuleCheck:
    """One row of the table.

    Attributes:
        find: the sheets of a shop → for each finding the rule (`sheet`), perhaps `other`, and the
            values of the sentence.
        enabled_only: not said of a rule that is off.
        place: where to put it right.
    """

    code: str
    severity: RuleSeverity
    sentence: str | Promise
    advice: str | Promise
    find: Callable[[Sequence[Sheet]], Hits]
    enabled_only: bool = True
    place: RulePlace = RulePlace.RULE


def _each(condition: Callable[[Sheet], bool | dict[str, Any]]) -> Callable[[Sequence[Sheet]], Hits]:
    def find(sheets: Sequence[Sheet]) -> Hits:
        for sheet in sheets:
            if values := condition(sheet):
                yield {"sheet": sheet, **(values if isinstance(values, dict) else {})}

    return find


def _is_call(sheet: Sheet) -> bool:
    return sheet.rule.type == RuleType.IPN_CALL


def _without_url(sheet: Sheet) -> bool:
    return _is_call(sheet) and not sheet.rule.has_url


def _one_mode_without_url(sheet: Sheet) -> bool | dict[str, Any]:
    if not _is_call(sheet) or not sheet.rule.has_url:
        return False
    empty = [mode for mode in _modes(sheet) if not sheet.rule.urls[mode]]
    return {"mode": empty[0]} if empty else False


def _plain_http(sheet: Sheet) -> bool | dict[str, Any]:
    plain = [url for url in sheet.rule.urls["PRODUCTION"] if url.lower().startswith("http://")]
    return {"url": plain[0]} if _is_call(sheet) and plain else False


def _same_url_in_both_modes(sheet: Sheet) -> bool | dict[str, Any]:
    same = [pair[0] for pair in (sheet.rule.form_urls, sheet.rule.rest_urls) if pair[0] and pair[0] == pair[1]]
    return {"url": same[0]} if _is_call(sheet) and same else False


def _never(sheet: Sheet) -> bool | dict[str, Any]:
    wrong = contradiction(sheet.rule.conditions)
    return {"condition": wrong} if wrong is not None else False


def _never_on_trigger(sheet: Sheet) -> bool | dict[str, Any]:
    if contradiction(sheet.rule.conditions) is not None:
        return False
    possible = possible_triggers(sheet)
    dead = [code for code in sheet.rule.triggers if code not in possible]
    return {"trigger": TRIGGER_LABELS[dead[0]]} if dead else False


def _javascript_without_rest(sheet: Sheet) -> bool:
    return _is_call(sheet) and any(sheet.rule.form_urls) and not any(sheet.rule.rest_urls) and _only_javascript(sheet)


def _redirected(sheet: Sheet) -> bool | dict[str, Any]:
    return {"status": sheet.rule.last_http_status} if sheet.rule.last_http_status in REDIRECTIONS else False


def _keyless(sheet: Sheet) -> bool | dict[str, Any]:
    return {"mode": sheet.keyless[0]} if _is_call(sheet) and sheet.keyless else False


def _nobody(sheet: Sheet) -> bool:
    return _is_call(sheet) and not sheet.recipients and not sheet.unaddressed


def _unaddressed(sheet: Sheet) -> bool:
    return sheet.unaddressed and not sheet.recipients


def _pairs(sheets: Sequence[Sheet], kind: str) -> Iterator[tuple[Sheet, Sheet, Promise]]:
    """Enabled rules of one type that the same event fires, with the label of one such event."""
    live = [
        (sheet, set(possible_triggers(sheet))) for sheet in sheets if sheet.rule.enabled and sheet.rule.type == kind
    ]
    for (first, ones), (second, others) in combinations(live, 2):
        shared = ones & others
        if shared and not exclusive(first.rule.conditions, second.rule.conditions):
            yield first, second, TRIGGER_LABELS[sort_triggers(list(shared))[0]]


def _told_twice(sheets: Sequence[Sheet]) -> Hits:
    for first, second, trigger in _pairs(sheets, RuleType.MERCHANT_EMAIL):
        if shared := sorted(first.recipients & second.recipients):
            yield {"sheet": first, "other": second, "address": shared[0], "trigger": trigger}


def _failure_told_twice(sheets: Sequence[Sheet]) -> Hits:
    for first, second, trigger in _pairs(sheets, RuleType.IPN_CALL):
        shared = sorted(first.recipients & second.recipients)
        if shared and first.rule.has_url and second.rule.has_url:
            yield {"sheet": first, "other": second, "address": shared[0], "trigger": trigger}


def _called_twice(sheets: Sequence[Sheet]) -> Hits:
    for first, second, trigger in _pairs(sheets, RuleType.IPN_CALL):
        modes = [mode for mode in _modes(first) if mode in _modes(second)]
        shared = [url for mode in modes for url in first.rule.urls[mode] if url in second.rule.urls[mode]]
        if shared:
            yield {"sheet": first, "other": second, "url": shared[0], "trigger": trigger}


def _buyer_twice(sheets: Sequence[Sheet]) -> Hits:
    for first, second, trigger in _pairs(sheets, RuleType.BUYER_EMAIL):
        yield {"sheet": first, "other": second, "trigger": trigger}


CHECKS: tuple[RuleCheck, ...] = (
    RuleCheck(
        "never_fires",
        RuleSeverity.ERROR,
        _("Cette règle ne peut jamais se déclencher : aucune opération ne remplit « %(condition)s » avec le reste."),
        _("Corrigez ou retirez cette condition."),
        _each(_never),
        enabled_only=False,
    ),
    RuleCheck(
        "trigger_never_fires",
        RuleSeverity.ERROR,
        _("L'événement « %(trigger)s » ne remplit jamais les conditions de cette règle."),
        _("Retirez l'événement de la règle, ou la condition."),
        _each(_never_on_trigger),
        enabled_only=False,
    ),
    RuleCheck(
        "enabled_without_url",
        RuleSeverity.ERROR,
        _("La règle est activée mais n'a pas d'URL : rien n'est appelé."),
        _("Indiquez l'URL à appeler, ou désactivez la règle."),
        _each(_without_url),
    ),
    RuleCheck(
        "no_key",
        RuleSeverity.ERROR,
        _("La boutique n'a pas de clé pour signer les appels en mode %(mode)s : ils ne partent pas."),
        _("Générez la clé de ce mode dans les clés de la boutique."),
        _each(_keyless),
        place=RulePlace.KEYS,
    ),
    RuleCheck(
        "javascript_without_rest_url",
        RuleSeverity.ERROR,
        _("La règle ne vise que le client JavaScript, qui demande une URL de l'API REST : rien n'est appelé."),
        _("Indiquez une URL de notification de l'API REST."),
        _each(_javascript_without_rest),
    ),
    RuleCheck(
        "no_address",
        RuleSeverity.ERROR,
        _("L'e-mail gestionnaire est le seul destinataire, et il n'est pas renseigné : personne n'est prévenu."),
        _("Renseignez l'e-mail gestionnaire de la boutique, ou ajoutez un destinataire."),
        _each(_unaddressed),
        place=RulePlace.SHOP,
    ),
    RuleCheck(
        "http_in_production",
        RuleSeverity.WARNING,
        _("L'URL %(url)s est appelée en PRODUCTION sans chiffrement : les données du paiement circulent en clair."),
        _("Utilisez une adresse https://."),
        _each(_plain_http),
        enabled_only=False,
    ),
    RuleCheck(
        "same_url_in_both_modes",
        RuleSeverity.WARNING,
        _("La même URL reçoit les appels de TEST et de PRODUCTION : %(url)s."),
        _("Donnez une autre URL au mode TEST, ou vérifiez que le site lit le mode de chaque appel."),
        _each(_same_url_in_both_modes),
        enabled_only=False,
    ),
    RuleCheck(
        "url_redirects",
        RuleSeverity.WARNING,
        _("Le dernier appel a été redirigé (code %(status)s) : les redirections ne sont pas suivies."),
        _("Indiquez l'adresse définitive à la place."),
        _each(_redirected),
        place=RulePlace.LAST_CALL,
    ),
    RuleCheck(
        "told_twice",
        RuleSeverity.WARNING,
        _("%(address)s reçoit deux e-mails pour « %(trigger)s » : celui-ci et celui de la règle « %(other)s »."),
        _("Désactivez l'une des deux, retirez l'adresse de l'une, ou distinguez leurs conditions."),
        _told_twice,
        place=RulePlace.OTHER_RULE,
    ),
    RuleCheck(
        "called_twice",
        RuleSeverity.WARNING,
        _("%(url)s est appelée deux fois pour « %(trigger)s » : par cette règle et par « %(other)s »."),
        _("Désactivez l'une des deux, ou distinguez leurs conditions."),
        _called_twice,
        place=RulePlace.OTHER_RULE,
    ),
    RuleCheck(
        "failure_told_twice",
        RuleSeverity.WARNING,
        _(
            "Si les appels échouent, %(address)s reçoit deux alertes pour « %(trigger)s » : de cette règle et de "
            "« %(other)s »."
        ),
        _("Désactivez l'une des deux, retirez l'adresse de l'une, ou distinguez leurs conditions."),
        _failure_told_twice,
        place=RulePlace.OTHER_RULE,
    ),
    RuleCheck(
        "buyer_told_twice",
        RuleSeverity.WARNING,
        _("L'acheteur reçoit deux e-mails pour « %(trigger)s » : celui-ci et celui de la règle « %(other)s »."),
        _("Désactivez l'une des deux, ou distinguez leurs conditions."),
        _buyer_twice,
        place=RulePlace.OTHER_RULE,
    ),
    RuleCheck(
        "mode_without_url",
        RuleSeverity.INFO,
        _("Aucune URL pour le mode %(mode)s : dans ce mode, rien n'est appelé."),
        _("Indiquez l'URL de ce mode si votre site doit être prévenu."),
        _each(_one_mode_without_url),
    ),
    RuleCheck(
        "nobody_told",
        RuleSeverity.INFO,
        _("Personne n'est prévenu si l'appel échoue : c'est un choix enregistré."),
        _("Ajoutez un destinataire si vous voulez être prévenu."),
        _each(_nobody),
    ),
)

_ORDER = list(RuleSeverity)


def findings(company: CompanyFacts, shop: ShopFacts) -> list[RuleFinding]:
    """Every remark on the rules of one shop, gravest first, in the order of the rules; in the active language.

    A pair of rules is said of both, each time from its own side; a list that shows both leaves the mirrored one out.
    """
    sheets = sheets_of(company, shop)
    remarks: list[RuleFinding] = []
    for check in CHECKS:
        for values in check.find(sheets):
            sheet: Sheet = values.pop("sheet")
            if check.enabled_only and not sheet.rule.enabled:
                continue
            other: Sheet | None = values.pop("other", None)
            if "condition" in values:
                values["condition"] = wording.condition_text(values["condition"], sheet.rule.conditions)
            remarks.append(_finding(check, sheet.rule, other.rule if other else None, values))
            if other is not None:
                remarks.append(replace(_finding(check, other.rule, sheet.rule, values), mirrored=True))
    position = {rule.reference: number for number, rule in enumerate(shop.rules)}
    return sorted(remarks, key=lambda item: (_ORDER.index(item.severity), position[item.reference]))


def _finding(check: RuleCheck, rule: RuleFacts, other: RuleFacts | None, values: dict[str, Any]) -> RuleFinding:
    params = {**values, **({"other": wording.rule_label(other.label)} if other else {})}
    return RuleFinding(
        check.code,
        check.severity,
        rule.reference,
        wording.rule_label(rule.label),
        check.sentence,
        check.advice,
        check.place,
        other.reference if other else None,
        tuple(params.items()),
    )
