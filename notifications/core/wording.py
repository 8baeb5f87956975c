"""Sentences for people: reasons, roles, conditions, in the active language.

The resolver speaks in codes; screens, mails, the API and the exports speak through here, so that
a reason reads the same everywhere.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from django.urls import reverse
from django.utils import translation
from django.utils.encoding import force_str
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from notifications.core.catalogue import (
    BY_CODE,
    DEFAULT_RULES,
    DIGESTS,
    EACH,
    EVENT_LABELS,
    MODES,
    OPERATORS,
    SOURCE_LABELS,
    SOURCES_OF_EVENT,
    VARIABLES,
    Scope,
    Source,
)
from notifications.core.condition_money import DEFAULT_CURRENCY, currencies_of, money_text
from notifications.core.facts import CompanyFacts, ConditionFacts
from notifications.core.reasons import Reason
from notifications.core.resolver import Decision

REASONS: dict[str, Promise] = {
    Reason.SHOP_MANAGER: gettext_lazy("C'est l'e-mail gestionnaire de la boutique %(shop)s."),
    Reason.SHOP_MANAGER_INHERITED: gettext_lazy(
        "C'est l'e-mail gestionnaire de la boutique %(shop)s, hérité du Contact gestionnaire de la société."
    ),
    Reason.COMPANY_MANAGER: gettext_lazy("C'est l'e-mail du Contact gestionnaire de la société."),
    Reason.COMPANY_MANAGER_COPY: gettext_lazy(
        "C'est l'e-mail du Contact gestionnaire de la société, mis en copie parce qu'il diffère de l'e-mail "
        "gestionnaire de la boutique."
    ),
    Reason.INCIDENT_CONTACT: gettext_lazy("C'est un e-mail de contact en cas d'incident de la société."),
    Reason.NO_INCIDENT_CONTACT: gettext_lazy(
        "Aucun e-mail de contact en cas d'incident n'est renseigné : personne n'est prévenu d'un incident."
    ),
    Reason.RULE_SHOP_MANAGER: gettext_lazy(
        "La règle « %(rule)s » prévient l'e-mail gestionnaire de la boutique %(shop)s."
    ),
    Reason.RULE_SHOP_MANAGER_INHERITED: gettext_lazy(
        "La règle « %(rule)s » prévient l'e-mail gestionnaire de la boutique %(shop)s, hérité du Contact "
        "gestionnaire de la société."
    ),
    Reason.RULE_RECIPIENT: gettext_lazy(
        "L'adresse est un destinataire de la règle « %(rule)s » de la boutique %(shop)s."
    ),
    Reason.RULE_DISABLED: gettext_lazy("La règle « %(rule)s » est désactivée : elle n'envoie rien."),
    Reason.NO_LONGER_RECIPIENT: gettext_lazy(
        "L'adresse n'était plus parmi les destinataires de la règle « %(rule)s » au moment du récapitulatif."
    ),
    Reason.NOBODY_ON_PURPOSE: gettext_lazy(
        "La règle « %(rule)s » de la boutique %(shop)s n'a pas de destinataire : personne n'est prévenu, par choix."
    ),
    Reason.OWN_ACCOUNT: gettext_lazy("C'est l'e-mail du compte %(login)s."),
    Reason.ACCOUNT_DISABLED: gettext_lazy("Le compte %(login)s est désactivé : il ne reçoit plus d'e-mail."),
    Reason.SAME_ADDRESS: gettext_lazy("Même adresse que %(address)s, déjà destinataire de ce message : un seul envoi."),
    Reason.COPY_NOT_TICKED: gettext_lazy(
        "La case « E-mail gestionnaire » n'a pas été cochée pour cet ordre de paiement."
    ),
    Reason.NEWSLETTER_OPT_OUT: gettext_lazy("La société s'est désabonnée de la lettre d'information."),
    Reason.COMPANY_SUSPENDED: gettext_lazy(
        "La société est suspendue : seuls les e-mails de compte et de sécurité partent."
    ),
    Reason.COMPANY_CLOSED: gettext_lazy("La société est fermée : seuls les e-mails de compte et de sécurité partent."),
    Reason.SHOP_SUSPENDED: gettext_lazy(
        "La boutique %(shop)s est suspendue : seuls les e-mails de compte et de sécurité partent."
    ),
    Reason.SHOP_CLOSED: gettext_lazy(
        "La boutique %(shop)s est fermée : seuls les e-mails de compte et de sécurité partent."
    ),
    Reason.BUYER: gettext_lazy("C'est l'adresse e-mail de l'acheteur, donnée avec le paiement."),
    Reason.NO_BUYER_ADDRESS: gettext_lazy("L'événement ne donne pas d'adresse e-mail d'acheteur."),
    Reason.INVALID_BUYER_ADDRESS: gettext_lazy("L'adresse e-mail de l'acheteur n'est pas valide."),
    Reason.NO_ADDRESS: gettext_lazy("Aucune adresse n'est renseignée."),
    Reason.ADDRESS_SUPPRESSED: gettext_lazy(
        "L'adresse est neutralisée : ses messages reviennent, rien ne lui est envoyé tant qu'elle n'est pas réactivée."
    ),
    Reason.ALL_SUPPRESSED: gettext_lazy(
        "Toutes les adresses prévues sont neutralisées, leurs messages reviennent : personne n'est prévenu."
    ),
    Reason.CALLED_URL: gettext_lazy("La règle « %(rule)s » de la boutique %(shop)s appelle cette URL."),
    Reason.RULE_TEST: gettext_lazy("Essai demandé depuis le formulaire de la règle « %(rule)s »."),
    Reason.NO_URL: gettext_lazy("URL non définie : la règle « %(rule)s » n'a pas d'URL pour ce mode."),
    Reason.FORM_URLS_ONLY: gettext_lazy(
        "Aucun appel : le paiement vient du client JavaScript et la règle « %(rule)s » n'a que des URL de formulaire."
    ),
    Reason.ORDER_RECIPIENT: gettext_lazy("C'est l'adresse de l'acheteur, saisie dans l'ordre de paiement."),
    Reason.ORDER_EXTRA_COPY: gettext_lazy("L'adresse a été saisie en copie cachée dans l'ordre de paiement."),
    Reason.ACCOUNT_SECURITY: gettext_lazy("C'est l'e-mail du compte %(login)s."),
    Reason.FORMER_ADDRESS: gettext_lazy("C'était l'e-mail du compte %(login)s jusqu'à ce changement."),
    Reason.VERIFIED_ADDRESS: gettext_lazy(
        "C'est l'adresse vérifiée du compte %(login)s ; la nouvelle n'est pas encore confirmée."
    ),
    Reason.FORMER_MANAGER_ADDRESS: gettext_lazy(
        "C'était l'e-mail du Contact gestionnaire de la société jusqu'à ce changement."
    ),
    Reason.CHECKED_ADDRESS: gettext_lazy("L'adresse a été saisie pour être vérifiée."),
    Reason.PLATFORM_STAFF: gettext_lazy("L'adresse est celle de l'équipe de la plateforme."),
    Reason.REPLACED_ADDRESS: gettext_lazy("L'adresse a été remplacée, retirée ou mise à la place d'une autre."),
}

# What a line adds to its reason, so that nobody has to look elsewhere.
REMARKS = {
    "newsletter": gettext_lazy("Un lien de désabonnement figure dans chaque envoi."),
    "payment_order_problem": gettext_lazy(
        "Un acheteur qui répond directement à l'e-mail de l'ordre écrit aussi à cette adresse, sans passer par la "
        "plateforme."
    ),
}


def reason(code: str, params: dict[str, Any]) -> str:
    """The sentence of a reason code."""
    return _sentence(code, translation.get_language()) % _values(params)


@lru_cache(maxsize=256)
def _sentence(code: str, language: str | None) -> str:
    """The sentence of a reason in the active language, before its values: tables have thousands of each."""
    return force_str(REASONS[code])


class _Values(dict[str, Any]):
    """The values of a sentence; one that is missing is left out."""

    def __missing__(self, name: str) -> str:
        return ""


def _values(params: dict[str, Any]) -> _Values:
    values = _Values(params)
    if "rule" in params:
        values["rule"] = rule_label(params["rule"])
    return values


@cache
def default_labels() -> frozenset[str]:
    """The labels of the rules that every shop is given, as they are stored."""
    with translation.override("fr"):
        return frozenset(str(rule.label) for rule in DEFAULT_RULES)


def rule_label(label: str) -> str:
    """A rule's label in the active language while it is a default one (stored in French), else as typed."""
    return _default_label(label, translation.get_language()) if label in default_labels() else label


@lru_cache(maxsize=256)
def _default_label(label: str, language: str | None) -> str:
    return _(label)


def decision_reason(decision: Decision) -> str:
    """The sentence of a decision, with who emptied a rule and with the remark of its notification."""
    sentence = reason(decision.reason, decision.params)
    if decision.reason is Reason.NOBODY_ON_PURPOSE and decision.params.get("by"):
        sentence += " " + _("Décidé par %(by)s le %(on)s.") % decision.params
    remark = REMARKS.get(decision.notification)
    if remark and decision.delivers:
        sentence += " " + force_str(remark)
    return sentence


def digest_words(digest: str | None) -> str:
    """How the mails of a rule are put together, where that is not one for each event."""
    return "" if digest is None or digest == EACH else f"{DIGESTS[digest]}."


def condition_sentence(decision: Decision) -> str | None:
    """When the line depends on something: the rule's conditions or a choice made each time."""
    if BY_CODE[decision.notification].conditional:
        return _("Seulement si la case « E-mail gestionnaire » est cochée à la création de l'ordre de paiement.")
    if not decision.conditions:
        return None
    return _only_if(decision.conditions, translation.get_language())


@lru_cache(maxsize=512)
def _only_if(conditions: tuple[ConditionFacts, ...], language: str | None) -> str:
    return _("Seulement si %(conditions)s.") % {"conditions": conditions_text(conditions)}


def conditions_text(conditions: tuple[ConditionFacts, ...]) -> str:
    """The conditions of a rule, joined by "and"."""
    return _(" et ").join(condition_text(condition, conditions) for condition in conditions)


def conditions_in_words(stored: list[Any]) -> str:
    """Conditions as they are stored, in words; one that cannot be read shows as it is."""
    read = [_stored_condition(item) for item in stored]
    known = [condition for condition in read if condition is not None]
    shown = []
    for item, condition in zip(stored, read, strict=True):
        try:
            shown.append(str(item) if condition is None else condition_text(condition, known))
        except (KeyError, TypeError):
            shown.append(str(item))
    return _(" et ").join(shown)


def _stored_condition(item: Any) -> ConditionFacts | None:
    try:
        value = tuple(item["value"]) if isinstance(item["value"], list) else item["value"]
        return ConditionFacts(item["variable"], item["operator"], value)
    except (KeyError, TypeError):
        return None


def condition_text(condition: ConditionFacts, among: Sequence[ConditionFacts] = ()) -> str:
    """One condition: variable, operator, value, in words.

    Args:
        among: all conditions of its rule, which may name the currency of its amounts.
    """
    label = VARIABLES[condition.variable].label
    value = condition.value
    values = value if isinstance(value, (list, tuple)) else (value,)
    currencies = currencies_of(among)
    shown = ", ".join(value_label(condition.variable, item, currencies) for item in values)
    return f"{label} {OPERATORS[condition.operator]} {shown}"


def value_label(variable: str, value: Any, currencies: tuple[str, ...] = (DEFAULT_CURRENCY,)) -> str:
    """A condition value in words; amounts are money of the currencies."""
    if isinstance(value, bool):
        return _("oui") if value else _("non")
    if variable == "amount" and isinstance(value, int):
        return money_text(value, currencies)
    if variable == "source" and value in SOURCES_OF_EVENT:
        return force_str(SOURCES_OF_EVENT[value])
    if variable == "mode" and value in MODES:
        return str(value)
    return str(value)


def role_label(company: CompanyFacts, role: str) -> str:
    """A role name such as `shop_manager:10000001` in words."""
    kind, _sep, about = role.partition(":")
    names = {shop.site_id: shop.name for shop in company.shops}
    if kind == "company_manager":
        return _("Contact gestionnaire")
    if kind == "technical_contact":
        return _("Contact technique")
    if kind == "incident_contact":
        return _("Contact en cas d'incident")
    if kind == "shop_manager":
        return _("Gestionnaire de la boutique %(shop)s") % {"shop": names.get(about, about)}
    if kind == "rule":
        site_id, _slash, reference = about.partition("/")
        label = next(
            (
                rule.label
                for shop in company.shops
                if shop.site_id == site_id
                for rule in shop.rules
                if rule.reference == reference
            ),
            reference,
        )
        return _("Destinataire de la règle « %(rule)s » (%(shop)s)") % {
            "rule": rule_label(label),
            "shop": names.get(site_id, site_id),
        }
    if kind == "user":
        return _("Compte utilisateur %(login)s") % {"login": about}
    return _("Compte SFTP %(login)s") % {"login": about}


@lru_cache(maxsize=4096)
def _page(route: str, *args: str, **query: str) -> str:
    """The link to a page, cached: tables of a company need it once a line."""
    return reverse(route, args=args, query=query or None)


def configured_at(decision: Decision) -> str:
    """The page where the line can be changed."""
    if BY_CODE[decision.notification].scope is Scope.RULE:
        return _page("rules", shop=decision.shop, rule=decision.rule)
    match decision.source:
        case Source.SHOP_MANAGER:
            return _page("shop_configuration", decision.shop)
        case Source.USER:
            return _page("users")
        case Source.SFTP_ACCOUNT:
            return _page("sftp_accounts")
    return _page("company_settings")


def notification_label(code: str) -> str:
    return force_str(BY_CODE[code].label)


def trigger_label(code: str) -> str:
    """The name of a type of event, of one that rules react to or of the back office's own."""
    return force_str(EVENT_LABELS.get(code, code))


def source_label(code: str) -> str:
    return force_str(SOURCE_LABELS.get(code, code))


MAIL_REASONS: dict[str, Promise] = {
    Reason.SHOP_MANAGER: gettext_lazy("votre adresse est l'e-mail gestionnaire de la boutique %(shop)s"),
    Reason.SHOP_MANAGER_INHERITED: gettext_lazy(
        "votre adresse est celle du Contact gestionnaire de la société, dont hérite la boutique %(shop)s"
    ),
    Reason.COMPANY_MANAGER: gettext_lazy("votre adresse est celle du Contact gestionnaire de la société"),
    Reason.COMPANY_MANAGER_COPY: gettext_lazy(
        "votre adresse est celle du Contact gestionnaire de la société, mis en copie des messages de la boutique"
    ),
    Reason.INCIDENT_CONTACT: gettext_lazy("votre adresse est un contact en cas d'incident de la société"),
    Reason.RULE_SHOP_MANAGER: gettext_lazy(
        "la règle « %(rule)s » prévient l'e-mail gestionnaire de la boutique %(shop)s, et c'est votre adresse"
    ),
    Reason.RULE_SHOP_MANAGER_INHERITED: gettext_lazy(
        "la règle « %(rule)s » prévient l'e-mail gestionnaire de la boutique %(shop)s, hérité du Contact gestionnaire"
    ),
    Reason.RULE_RECIPIENT: gettext_lazy("votre adresse est un destinataire de la règle « %(rule)s »"),
    Reason.OWN_ACCOUNT: gettext_lazy("votre adresse est celle du compte %(login)s"),
    Reason.BUYER: gettext_lazy("vous avez donné cette adresse lors de votre achat"),
    Reason.ORDER_RECIPIENT: gettext_lazy("la boutique vous adresse un ordre de paiement"),
    Reason.ORDER_EXTRA_COPY: gettext_lazy("la boutique a ajouté votre adresse en copie d'un ordre de paiement"),
    Reason.ACCOUNT_SECURITY: gettext_lazy("votre adresse est celle du compte %(login)s"),
    Reason.FORMER_ADDRESS: gettext_lazy("votre adresse était celle du compte %(login)s"),
    Reason.VERIFIED_ADDRESS: gettext_lazy("votre adresse est l'adresse vérifiée du compte %(login)s"),
    Reason.FORMER_MANAGER_ADDRESS: gettext_lazy("votre adresse était celle du Contact gestionnaire de la société"),
    Reason.CHECKED_ADDRESS: gettext_lazy("votre adresse a été saisie pour être vérifiée"),
    Reason.PLATFORM_STAFF: gettext_lazy("votre adresse est celle de l'équipe de la plateforme"),
    Reason.REPLACED_ADDRESS: gettext_lazy("votre adresse a été remplacée, retirée ou mise à la place d'une autre"),
    Reason.RULE_TEST: gettext_lazy("un essai de la règle « %(rule)s » de la boutique %(shop)s a été demandé"),
}


def mail_reason(code: str, params: dict[str, Any]) -> str:
    """The line at the foot of a mail: why this address received it."""
    template = MAIL_REASONS.get(code)
    if template is None:
        return ""
    because = force_str(template) % _values(params)
    return _("Vous recevez ce message parce que %(because)s.") % {"because": because}
