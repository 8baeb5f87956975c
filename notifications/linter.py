"""What is surely wrong, or surely not meant, in the notification rules of a shop.

A table of checks over frozen facts: each finding has a code, a severity, a sentence and what to do.
Only sure things: a check that could be wrong about a shop is no check. Nothing here stops anybody
from saving.

Pure: no database, no settings, no clock.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from .catalogue import MODES, SOURCES_OF_EVENT, TRIGGER_LABELS, TRIGGERS, VARIABLES, RuleType, sort_triggers
from .facts import ConditionFacts, EventFacts
from .resolver import condition_holds

REDIRECTIONS = frozenset({301, 302, 303, 307, 308})
# Of the triggers that only the back office publishes, what their event carries (DESIGN 4b): the key
# service announces a change of the PRODUCTION key, without data of a payment.
_INTERNAL = {trigger.code: EventFacts(trigger.code, "PRODUCTION", {}) for trigger in TRIGGERS if trigger.internal}


class Place(StrEnum):
    """Where to put it right."""

    RULE = "rule"
    OTHER_RULE = "other"
    KEYS = "keys"
    SHOP = "shop"
    LAST_CALL = "call"


class Severity(StrEnum):
    """How much it matters: the rule does not work; it may surprise; it is good to know."""

    ERROR = "fail"
    WARNING = "warn"
    INFO = "info"


@dataclass(frozen=True)
class Sheet:
    """What the checks know of one rule.

    Attributes:
        recipients: effective addresses in their normal form (`@shop_manager` replaced by its address).
        unaddressed: `@shop_manager` is a recipient, and no address stands behind it.
        urls: mode → URLs to call in that mode, form first; empty ones left out.
        form_urls, rest_urls: whether any URL of that format is set.
        last_http_status: how the last call was answered, None without a call.
        keyless: modes with a URL for which the shop has no key to sign with.
    """

    reference: str
    type: str
    label: str
    enabled: bool
    triggers: tuple[str, ...]
    conditions: tuple[ConditionFacts, ...] = ()
    recipients: frozenset[str] = frozenset()
    unaddressed: bool = False
    form_urls: tuple[str, str] = ("", "")
    rest_urls: tuple[str, str] = ("", "")
    last_http_status: int | None = None
    keyless: tuple[str, ...] = ()

    @property
    def urls(self) -> dict[str, tuple[str, ...]]:
        return {
            mode: tuple(filter(None, (self.form_urls[index], self.rest_urls[index])))
            for index, mode in enumerate(MODES)
        }

    @property
    def has_url(self) -> bool:
        return any(self.form_urls) or any(self.rest_urls)


@dataclass(frozen=True)
class Finding:
    """One remark on one rule; `params` fill the sentence, `other` is the second rule of a pair.

    `place` says where to put it right.
    """

    code: str
    severity: Severity
    reference: str
    label: str
    sentence: str | Promise
    advice: str | Promise
    place: Place
    other: str | None = None
    params: tuple[tuple[str, Any], ...] = ()

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
    if contradiction(sheet.conditions) is not None:
        return []
    return [
        code
        for code in sheet.triggers
        if code not in _INTERNAL or all(condition_holds(item, _INTERNAL[code]) for item in sheet.conditions)
    ]


def _modes(sheet: Sheet) -> list[str]:
    """The modes in which the conditions let the rule fire."""
    return [mode for mode in MODES if not exclusive(sheet.conditions, (ConditionFacts("mode", "eq", mode),))]


def _only_javascript(sheet: Sheet) -> bool:
    sources = [
        source
        for source in SOURCES_OF_EVENT
        if not exclusive(sheet.conditions, (ConditionFacts("source", "eq", source),))
    ]
    return sources == ["JS"]


# --- The table of checks --------------------------------------------------------------------------

Found = Iterator[dict[str, Any]]


@dataclass(frozen=True)
class Check:
    """One row of the table.

    Attributes:
        find: the sheets of a shop → for each finding the rule (`sheet`), perhaps `other`, and the
            values of the sentence.
        enabled_only: not said of a rule that is off.
        place: where to put it right.
    """

    code: str
    severity: Severity
    sentence: str | Promise
    advice: str | Promise
    find: Callable[[Sequence[Sheet]], Found]
    enabled_only: bool = True
    place: Place = Place.RULE


def _each(condition: Callable[[Sheet], bool | dict[str, Any]]) -> Callable[[Sequence[Sheet]], Found]:
    def find(sheets: Sequence[Sheet]) -> Found:
        for sheet in sheets:
            if found := condition(sheet):
                yield {"sheet": sheet, **(found if isinstance(found, dict) else {})}

    return find


def _is_call(sheet: Sheet) -> bool:
    return sheet.type == RuleType.IPN_CALL


def _without_url(sheet: Sheet) -> bool:
    return _is_call(sheet) and not sheet.has_url


def _one_mode_without_url(sheet: Sheet) -> bool | dict[str, Any]:
    if not _is_call(sheet) or not sheet.has_url:
        return False
    empty = [mode for mode in _modes(sheet) if not sheet.urls[mode]]
    return {"mode": empty[0]} if empty else False


def _plain_http(sheet: Sheet) -> bool | dict[str, Any]:
    plain = [url for url in sheet.urls["PRODUCTION"] if url.lower().startswith("http://")]
    return {"url": plain[0]} if _is_call(sheet) and plain else False


def _same_url_in_both_modes(sheet: Sheet) -> bool | dict[str, Any]:
    same = [pair[0] for pair in (sheet.form_urls, sheet.rest_urls) if pair[0] and pair[0] == pair[1]]
    return {"url": same[0]} if _is_call(sheet) and same else False


def _never(sheet: Sheet) -> bool | dict[str, Any]:
    wrong = contradiction(sheet.conditions)
    return {"condition": wrong} if wrong is not None else False


def _never_on_trigger(sheet: Sheet) -> bool | dict[str, Any]:
    if contradiction(sheet.conditions) is not None:
        return False
    possible = possible_triggers(sheet)
    dead = [code for code in sheet.triggers if code not in possible]
    return {"trigger": TRIGGER_LABELS[dead[0]]} if dead else False


def _javascript_without_rest(sheet: Sheet) -> bool:
    return _is_call(sheet) and any(sheet.form_urls) and not any(sheet.rest_urls) and _only_javascript(sheet)


def _redirected(sheet: Sheet) -> bool | dict[str, Any]:
    return {"status": sheet.last_http_status} if sheet.last_http_status in REDIRECTIONS else False


def _keyless(sheet: Sheet) -> bool | dict[str, Any]:
    return {"mode": sheet.keyless[0]} if _is_call(sheet) and sheet.keyless else False


def _nobody(sheet: Sheet) -> bool:
    return _is_call(sheet) and not sheet.recipients and not sheet.unaddressed


def _unaddressed(sheet: Sheet) -> bool:
    return sheet.unaddressed and not sheet.recipients


def _pairs(sheets: Sequence[Sheet], kind: str) -> Iterator[tuple[Sheet, Sheet, Promise]]:
    """Enabled rules of one type that the same event fires, with the label of one such event."""
    live = [(sheet, set(possible_triggers(sheet))) for sheet in sheets if sheet.enabled and sheet.type == kind]
    for (first, ones), (second, others) in combinations(live, 2):
        shared = ones & others
        if shared and not exclusive(first.conditions, second.conditions):
            yield first, second, TRIGGER_LABELS[sort_triggers(list(shared))[0]]


def _told_twice(sheets: Sequence[Sheet]) -> Found:
    for first, second, trigger in _pairs(sheets, RuleType.MERCHANT_EMAIL):
        if shared := sorted(first.recipients & second.recipients):
            yield {"sheet": first, "other": second, "address": shared[0], "trigger": trigger}


def _failure_told_twice(sheets: Sequence[Sheet]) -> Found:
    for first, second, trigger in _pairs(sheets, RuleType.IPN_CALL):
        shared = sorted(first.recipients & second.recipients)
        if shared and first.has_url and second.has_url:
            yield {"sheet": first, "other": second, "address": shared[0], "trigger": trigger}


def _called_twice(sheets: Sequence[Sheet]) -> Found:
    for first, second, trigger in _pairs(sheets, RuleType.IPN_CALL):
        modes = [mode for mode in _modes(first) if mode in _modes(second)]
        shared = [url for mode in modes for url in first.urls[mode] if url in second.urls[mode]]
        if shared:
            yield {"sheet": first, "other": second, "url": shared[0], "trigger": trigger}


def _buyer_twice(sheets: Sequence[Sheet]) -> Found:
    for first, second, trigger in _pairs(sheets, RuleType.BUYER_EMAIL):
        yield {"sheet": first, "other": second, "trigger": trigger}


CHECKS: tuple[Check, ...] = (
    Check(
        "never_fires",
        Severity.ERROR,
        _("Cette règle ne peut jamais se déclencher : aucune opération ne remplit « %(condition)s » avec le reste."),
        _("Corrigez ou retirez cette condition."),
        _each(_never),
        enabled_only=False,
    ),
    Check(
        "trigger_never_fires",
        Severity.ERROR,
        _("L'événement « %(trigger)s » ne remplit jamais les conditions de cette règle."),
        _("Retirez l'événement de la règle, ou la condition."),
        _each(_never_on_trigger),
        enabled_only=False,
    ),
    Check(
        "enabled_without_url",
        Severity.ERROR,
        _("La règle est activée mais n'a pas d'URL : rien n'est appelé."),
        _("Indiquez l'URL à appeler, ou désactivez la règle."),
        _each(_without_url),
    ),
    Check(
        "no_key",
        Severity.ERROR,
        _("La boutique n'a pas de clé pour signer les appels en mode %(mode)s : ils ne partent pas."),
        _("Générez la clé de ce mode dans les clés de la boutique."),
        _each(_keyless),
        place=Place.KEYS,
    ),
    Check(
        "javascript_without_rest_url",
        Severity.ERROR,
        _("La règle ne vise que le client JavaScript, qui demande une URL de l'API REST : rien n'est appelé."),
        _("Indiquez une URL de notification de l'API REST."),
        _each(_javascript_without_rest),
    ),
    Check(
        "no_address",
        Severity.ERROR,
        _("L'e-mail gestionnaire est le seul destinataire, et il n'est pas renseigné : personne n'est prévenu."),
        _("Renseignez l'e-mail gestionnaire de la boutique, ou ajoutez un destinataire."),
        _each(_unaddressed),
        place=Place.SHOP,
    ),
    Check(
        "http_in_production",
        Severity.WARNING,
        _("L'URL %(url)s est appelée en PRODUCTION sans chiffrement : les données du paiement circulent en clair."),
        _("Utilisez une adresse https://."),
        _each(_plain_http),
        enabled_only=False,
    ),
    Check(
        "same_url_in_both_modes",
        Severity.WARNING,
        _("La même URL reçoit les appels de TEST et de PRODUCTION : %(url)s."),
        _("Donnez une autre URL au mode TEST, ou vérifiez que le site lit le mode de chaque appel."),
        _each(_same_url_in_both_modes),
        enabled_only=False,
    ),
    Check(
        "url_redirects",
        Severity.WARNING,
        _("Le dernier appel a été redirigé (code %(status)s) : les redirections ne sont pas suivies."),
        _("Indiquez l'adresse définitive à la place."),
        _each(_redirected),
        place=Place.LAST_CALL,
    ),
    Check(
        "told_twice",
        Severity.WARNING,
        _("%(address)s reçoit deux e-mails pour « %(trigger)s » : celui-ci et celui de la règle « %(other)s »."),
        _("Désactivez l'une des deux, retirez l'adresse de l'une, ou distinguez leurs conditions."),
        _told_twice,
        place=Place.OTHER_RULE,
    ),
    Check(
        "called_twice",
        Severity.WARNING,
        _("%(url)s est appelée deux fois pour « %(trigger)s » : par cette règle et par « %(other)s »."),
        _("Désactivez l'une des deux, ou distinguez leurs conditions."),
        _called_twice,
        place=Place.OTHER_RULE,
    ),
    Check(
        "failure_told_twice",
        Severity.WARNING,
        _(
            "Si les appels échouent, %(address)s reçoit deux alertes pour « %(trigger)s » : de cette règle et de "
            "« %(other)s »."
        ),
        _("Désactivez l'une des deux, retirez l'adresse de l'une, ou distinguez leurs conditions."),
        _failure_told_twice,
        place=Place.OTHER_RULE,
    ),
    Check(
        "buyer_told_twice",
        Severity.WARNING,
        _("L'acheteur reçoit deux e-mails pour « %(trigger)s » : celui-ci et celui de la règle « %(other)s »."),
        _("Désactivez l'une des deux, ou distinguez leurs conditions."),
        _buyer_twice,
        place=Place.OTHER_RULE,
    ),
    Check(
        "mode_without_url",
        Severity.INFO,
        _("Aucune URL pour le mode %(mode)s : dans ce mode, rien n'est appelé."),
        _("Indiquez l'URL de ce mode si votre site doit être prévenu."),
        _each(_one_mode_without_url),
    ),
    Check(
        "nobody_told",
        Severity.INFO,
        _("Personne n'est prévenu si l'appel échoue : c'est un choix enregistré."),
        _("Ajoutez un destinataire si vous voulez être prévenu."),
        _each(_nobody),
    ),
)

_ORDER = list(Severity)


def findings(sheets: Sequence[Sheet], *, condition_text: Callable[[ConditionFacts], str] = str) -> list[Finding]:
    """Every remark on the rules of one shop, gravest first, in the order of the rules.

    A pair of rules is said of both, each time from its own side.

    Args:
        condition_text: a condition in words.
    """
    found: list[Finding] = []
    for check in CHECKS:
        for item in check.find(sheets):
            sheet: Sheet = item.pop("sheet")
            if check.enabled_only and not sheet.enabled:
                continue
            other: Sheet | None = item.pop("other", None)
            if "condition" in item:
                item["condition"] = condition_text(item["condition"])
            found.append(_finding(check, sheet, other, item))
            if other is not None:
                found.append(_finding(check, other, sheet, item))
    position = {sheet.reference: number for number, sheet in enumerate(sheets)}
    return sorted(found, key=lambda item: (_ORDER.index(item.severity), position[item.reference]))


def _finding(check: Check, sheet: Sheet, other: Sheet | None, values: dict[str, Any]) -> Finding:
    params = {**values, **({"other": other.label} if other else {})}
    return Finding(
        check.code,
        check.severity,
        sheet.reference,
        sheet.label,
        check.sentence,
        check.advice,
        check.place,
        other.reference if other else None,
        tuple(params.items()),
    )
