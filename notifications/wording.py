"""Sentences for people: reasons, roles, conditions, in the active language.

The resolver speaks in codes; screens, mails, the API and the exports speak through here, so that
a reason reads the same everywhere.
"""

from functools import cache
from typing import Any

from django.utils import translation
from django.utils.encoding import force_str
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .catalogue import (
    BY_CODE,
    DEFAULT_RULES,
    MODES,
    OPERATORS,
    SOURCE_LABELS,
    SOURCES_OF_EVENT,
    TRIGGER_LABELS,
    VARIABLES,
    Scope,
    Source,
)
from .facts import CompanyFacts, ConditionFacts
from .resolver import Decision

REASONS = {
    "shop_manager": gettext_lazy("C'est l'e-mail gestionnaire de la boutique %(shop)s."),
    "shop_manager_inherited": gettext_lazy(
        "C'est l'e-mail gestionnaire de la boutique %(shop)s, hérité du Contact gestionnaire de la société."
    ),
    "company_manager": gettext_lazy("C'est l'e-mail du Contact gestionnaire de la société."),
    "company_manager_copy": gettext_lazy(
        "C'est l'e-mail du Contact gestionnaire de la société, mis en copie parce qu'il diffère de l'e-mail "
        "gestionnaire de la boutique."
    ),
    "incident_contact": gettext_lazy("C'est un e-mail de contact en cas d'incident de la société."),
    "no_incident_contact": gettext_lazy(
        "Aucun e-mail de contact en cas d'incident n'est renseigné : personne n'est prévenu d'un incident."
    ),
    "rule_shop_manager": gettext_lazy("La règle « %(rule)s » prévient l'e-mail gestionnaire de la boutique %(shop)s."),
    "rule_shop_manager_inherited": gettext_lazy(
        "La règle « %(rule)s » prévient l'e-mail gestionnaire de la boutique %(shop)s, hérité du Contact "
        "gestionnaire de la société."
    ),
    "rule_recipient": gettext_lazy("L'adresse est un destinataire de la règle « %(rule)s » de la boutique %(shop)s."),
    "rule_disabled": gettext_lazy("La règle « %(rule)s » est désactivée : elle n'envoie rien."),
    "nobody_on_purpose": gettext_lazy(
        "La règle « %(rule)s » de la boutique %(shop)s n'a pas de destinataire : personne n'est prévenu, par choix."
    ),
    "own_account": gettext_lazy("C'est l'e-mail du compte %(login)s."),
    "account_disabled": gettext_lazy("Le compte %(login)s est désactivé : il ne reçoit plus d'e-mail."),
    "same_address": gettext_lazy("Même adresse que %(address)s, déjà destinataire de ce message : un seul envoi."),
    "copy_not_ticked": gettext_lazy("La case « E-mail gestionnaire » n'a pas été cochée pour cet ordre de paiement."),
    "newsletter_opt_out": gettext_lazy("La société s'est désabonnée de la lettre d'information."),
    "company_suspended": gettext_lazy("La société est suspendue : seuls les e-mails de compte et de sécurité partent."),
    "company_closed": gettext_lazy("La société est fermée : seuls les e-mails de compte et de sécurité partent."),
    "shop_suspended": gettext_lazy(
        "La boutique %(shop)s est suspendue : seuls les e-mails de compte et de sécurité partent."
    ),
    "shop_closed": gettext_lazy(
        "La boutique %(shop)s est fermée : seuls les e-mails de compte et de sécurité partent."
    ),
    "buyer_email_addressee": gettext_lazy("C'est l'adresse e-mail de l'acheteur, donnée avec le paiement."),
    "no_buyer_address": gettext_lazy("L'événement ne donne pas d'adresse e-mail d'acheteur."),
    "invalid_buyer_address": gettext_lazy("L'adresse e-mail de l'acheteur n'est pas valide."),
    "no_address": gettext_lazy("Aucune adresse n'est renseignée."),
    "ipn_call_addressee": gettext_lazy("La règle « %(rule)s » de la boutique %(shop)s appelle cette URL."),
    "rule_test": gettext_lazy("Essai demandé depuis le formulaire de la règle « %(rule)s »."),
    "no_url": gettext_lazy("URL non définie : la règle « %(rule)s » n'a pas d'URL pour ce mode."),
    "form_urls_only": gettext_lazy(
        "Aucun appel : le paiement vient du client JavaScript et la règle « %(rule)s » n'a que des URL de formulaire."
    ),
    "payment_order_addressee": gettext_lazy("C'est l'adresse de l'acheteur, saisie dans l'ordre de paiement."),
    "payment_order_extra_copy_addressee": gettext_lazy(
        "L'adresse a été saisie en copie cachée dans l'ordre de paiement."
    ),
    "account_security_addressee": gettext_lazy("C'est l'e-mail du compte %(login)s."),
    "former_address": gettext_lazy("C'était l'e-mail du compte %(login)s jusqu'à ce changement."),
    "address_check_addressee": gettext_lazy("L'adresse a été saisie pour être vérifiée."),
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
    values = {key: params.get(key, "") for key in ("shop", "rule", "login", "address", "by", "on")}
    return force_str(REASONS[code]) % {**values, "rule": rule_label(values["rule"])}


@cache
def _default_labels() -> frozenset[str]:
    with translation.override("fr"):
        return frozenset(str(rule.label) for rule in DEFAULT_RULES)


def rule_label(label: str) -> str:
    """A rule's label in the active language while it is a default one (stored in French), else as typed."""
    return _(label) if label in _default_labels() else label


def decision_reason(decision: Decision) -> str:
    """The sentence of a decision, with who emptied a rule and with the remark of its notification."""
    sentence = reason(decision.reason, decision.params)
    if decision.reason == "nobody_on_purpose" and decision.params.get("by"):
        sentence += " " + _("Décidé par %(by)s le %(on)s.") % decision.params
    remark = REMARKS.get(decision.notification)
    if remark and decision.delivers:
        sentence += " " + force_str(remark)
    return sentence


def condition_sentence(decision: Decision) -> str | None:
    """When the line depends on something: the rule's conditions or a choice made each time."""
    if BY_CODE[decision.notification].conditional:
        return _("Seulement si la case « E-mail gestionnaire » est cochée à la création de l'ordre de paiement.")
    if not decision.conditions:
        return None
    return _("Seulement si %(conditions)s.") % {"conditions": conditions_text(decision.conditions)}


def conditions_text(conditions: tuple[ConditionFacts, ...]) -> str:
    """The conditions of a rule, joined by "and"."""
    return _(" et ").join(map(condition_text, conditions))


def conditions_in_words(stored: list[Any]) -> str:
    """Conditions as they are stored, in words; one that cannot be read shows as it is."""
    shown = []
    for item in stored:
        try:
            value = tuple(item["value"]) if isinstance(item["value"], list) else item["value"]
            shown.append(condition_text(ConditionFacts(item["variable"], item["operator"], value)))
        except (KeyError, TypeError):
            shown.append(str(item))
    return _(" et ").join(shown)


def condition_text(condition: ConditionFacts) -> str:
    """One condition: variable, operator, value, in words."""
    label = VARIABLES[condition.variable].label
    value = condition.value
    values = value if isinstance(value, (list, tuple)) else (value,)
    shown = ", ".join(value_label(condition.variable, item) for item in values)
    return f"{label} {OPERATORS[condition.operator]} {shown}"


def value_label(variable: str, value: Any) -> str:
    """A condition value in words."""
    if isinstance(value, bool):
        return _("oui") if value else _("non")
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


def configured_at(decision: Decision) -> str:
    """The page where the line can be changed."""
    if BY_CODE[decision.notification].scope is Scope.RULE:
        return f"/settings/notification-rules/?shop={decision.shop}&rule={decision.rule}"
    match decision.source:
        case Source.SHOP_MANAGER:
            return f"/settings/shops/{decision.shop}/configuration/"
        case Source.USER:
            return "/settings/company/users/"
        case Source.SFTP_ACCOUNT:
            return "/settings/company/sftp-accounts/"
    return "/settings/company/"


def notification_label(code: str) -> str:
    return force_str(BY_CODE[code].label)


# Events of the platform itself, which no rule reacts to.
BROADCAST_LABELS: dict[str, Promise] = {
    "newsletter.published": gettext_lazy("Lettre d'information publiée"),
    "newsletter.tried": gettext_lazy("Lettre d'information essayée"),
    "incident.told": gettext_lazy("Nouvelles d'un incident"),
    "incident.resolved": gettext_lazy("Incident résolu"),
}


def trigger_label(code: str) -> str:
    return force_str(TRIGGER_LABELS.get(code) or BROADCAST_LABELS.get(code) or code)


def source_label(code: str) -> str:
    return force_str(SOURCE_LABELS.get(code, code))


MAIL_REASONS = {
    "shop_manager": gettext_lazy("votre adresse est l'e-mail gestionnaire de la boutique %(shop)s"),
    "shop_manager_inherited": gettext_lazy(
        "votre adresse est celle du Contact gestionnaire de la société, dont hérite la boutique %(shop)s"
    ),
    "company_manager": gettext_lazy("votre adresse est celle du Contact gestionnaire de la société"),
    "company_manager_copy": gettext_lazy(
        "votre adresse est celle du Contact gestionnaire de la société, mis en copie des messages de la boutique"
    ),
    "incident_contact": gettext_lazy("votre adresse est un contact en cas d'incident de la société"),
    "rule_shop_manager": gettext_lazy(
        "la règle « %(rule)s » prévient l'e-mail gestionnaire de la boutique %(shop)s, et c'est votre adresse"
    ),
    "rule_shop_manager_inherited": gettext_lazy(
        "la règle « %(rule)s » prévient l'e-mail gestionnaire de la boutique %(shop)s, hérité du Contact gestionnaire"
    ),
    "rule_recipient": gettext_lazy("votre adresse est un destinataire de la règle « %(rule)s »"),
    "own_account": gettext_lazy("votre adresse est celle du compte %(login)s"),
    "buyer_email_addressee": gettext_lazy("vous avez donné cette adresse lors de votre achat"),
    "payment_order_addressee": gettext_lazy("la boutique vous adresse un ordre de paiement"),
    "payment_order_extra_copy_addressee": gettext_lazy(
        "la boutique a ajouté votre adresse en copie d'un ordre de paiement"
    ),
    "account_security_addressee": gettext_lazy("votre adresse est celle du compte %(login)s"),
    "former_address": gettext_lazy("votre adresse était celle du compte %(login)s"),
    "address_check_addressee": gettext_lazy("votre adresse a été saisie pour être vérifiée"),
    "rule_test": gettext_lazy("un essai de la règle « %(rule)s » de la boutique %(shop)s a été demandé"),
}


def mail_reason(code: str, params: dict[str, Any]) -> str:
    """The line at the foot of a mail: why this address received it."""
    template = MAIL_REASONS.get(code)
    if template is None:
        return ""
    values = {key: params.get(key, "") for key in ("shop", "rule", "login")}
    because = force_str(template) % {**values, "rule": rule_label(values["rule"])}
    return _("Vous recevez ce message parce que %(because)s.") % {"because": because}
