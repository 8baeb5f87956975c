"""Answers to "why" and "why not" in words, in the active language, and where to change what stands in the way."""

import json
from typing import Any

from django.urls import reverse
from django.utils.encoding import force_str
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from notifications.core import wording
from notifications.core.catalogue import (
    NOTIFICATION_OF_RULE_TYPE,
    RULE_TYPE_LABELS,
    Source,
)
from notifications.core.condition_money import currencies_of
from notifications.core.facts import CompanyFacts, ConditionFacts, EventFacts
from notifications.core.obstacles import STATE_OBSTACLES, Explanation, Obstacle, ObstacleCode, Question, Subject
from notifications.core.reasons import Reason
from notifications.core.resolver import Decision

_NO_RULE = gettext_lazy("La boutique %(shop)s n'a aucune règle de type « %(type)s ».")
_TRIGGER = gettext_lazy("La règle « %(rule)s » ne réagit pas à l'événement « %(trigger)s ».")
_CONDITION = gettext_lazy("Condition non remplie : %(condition)s ; l'événement donne : %(value)s.")
_CONDITION_ABSENT = gettext_lazy("Condition non remplie : %(condition)s ; l'événement ne le dit pas.")
_TECHNICAL = gettext_lazy("À titre de Contact technique, une adresse ne reçoit aucun e-mail de la plateforme.")

# Whom a notification is for, where it is not for the address asked about.
_FOR_OTHERS: dict[tuple[Source, Source | None], Any] = {
    (Source.SHOP_MANAGER, None): gettext_lazy(
        "Elle est envoyée à l'e-mail gestionnaire de la boutique %(shop)s, qui est une autre adresse."
    ),
    (Source.SHOP_MANAGER, Source.COMPANY_MANAGER): gettext_lazy(
        "Elle est envoyée à l'e-mail gestionnaire de la boutique %(shop)s et au Contact gestionnaire de la société, qui "
        "ont une autre adresse."
    ),
    (Source.COMPANY_MANAGER, None): gettext_lazy(
        "Elle est envoyée au Contact gestionnaire de la société, qui a une autre adresse."
    ),
    (Source.INCIDENT_CONTACT, None): gettext_lazy(
        "Elle est envoyée aux e-mails de contact en cas d'incident, dont cette adresse ne fait pas partie."
    ),
    (Source.RULE, None): gettext_lazy("La règle « %(rule)s » de la boutique %(shop)s prévient d'autres adresses."),
    (Source.USER, None): gettext_lazy("Elle est envoyée à l'e-mail du compte %(login)s, qui est une autre adresse."),
    (Source.SFTP_ACCOUNT, None): gettext_lazy(
        "Elle est envoyée à l'e-mail du compte %(login)s, qui est une autre adresse."
    ),
}


def _named(subject: Subject) -> dict[str, str]:
    return {
        "shop": subject.shop.name if subject.shop else "",
        "rule": wording.rule_label(subject.rule.label) if subject.rule else "",
        "login": subject.account.login if subject.account else "",
    }


def type_label(subject: Subject) -> str:
    """The type of rule that a rule's notification comes from."""
    kinds = {code: kind for kind, code in NOTIFICATION_OF_RULE_TYPE.items()}
    return force_str(RULE_TYPE_LABELS[kinds[subject.notification.code]])


# --- Sentences ------------------------------------------------------------------------------------


def obstacle_reason(obstacle: Obstacle, answer: Explanation, question: Question, roles: list[str]) -> str:
    """One obstacle as a sentence.

    Args:
        roles: those of the address asked about.
    """
    subject = answer.subject
    named = _named(subject)
    match obstacle.code:
        case ObstacleCode.NO_RULE:
            return force_str(_NO_RULE) % {**named, "type": type_label(subject)}
        case ObstacleCode.TRIGGER_NOT_IN_RULE:
            return force_str(_TRIGGER) % {**named, "trigger": wording.trigger_label(question.trigger or "")}
        case ObstacleCode.CONDITION_FALSE:
            return _condition_reason(obstacle, subject, question)
        case ObstacleCode.NOT_ADDRESSED:
            sentence = _for_others(answer)
            return f"{force_str(_TECHNICAL)} {sentence}" if "technical_contact" in roles else sentence
    return wording.reason(obstacle.code, named)


def _condition_reason(obstacle: Obstacle, subject: Subject, question: Question) -> str:
    condition, event = obstacle.condition, question.event
    assert condition and event and subject.rule
    told = wording.condition_text(condition, subject.rule.conditions)
    shown = _value_of(condition, event, currencies_of(subject.rule.conditions))
    if shown is None:
        return force_str(_CONDITION_ABSENT) % {"condition": told}
    return force_str(_CONDITION) % {"condition": told, "value": shown}


def _value_of(condition: ConditionFacts, event: EventFacts, currencies: tuple[str, ...]) -> str | None:
    """What the event has for the variable of a condition, in words; None where it has nothing."""
    variable = condition.variable
    given = event.mode if variable == "mode" else event.data.get(variable)
    # What absence stands for (docs/rules.md 4b).
    if variable == "source":
        given = given or "FORM"
    elif variable == "instalments" and given is None:
        given = False
    if isinstance(given, (dict, list)):
        return json.dumps(given, ensure_ascii=False)
    return None if given is None else wording.value_label(variable, given, currencies)


def _for_others(answer: Explanation) -> str:
    subject = answer.subject
    if not any(decision.delivers for decision in answer.candidates):
        return nobody_reason(subject)
    row = subject.notification
    return force_str(_FOR_OTHERS[(row.to, row.cc)]) % _named(subject)


def nobody_reason(subject: Subject) -> str:
    """Why a notification is for nobody at all."""
    rule = subject.rule
    if rule and not rule.recipients:
        decision = _decision(subject, Reason.NOBODY_ON_PURPOSE, {"by": rule.emptied_by, "on": rule.emptied_on})
        return wording.decision_reason(decision)
    if subject.notification.to is Source.INCIDENT_CONTACT:
        return wording.reason(Reason.NO_INCIDENT_CONTACT, {})
    return wording.reason(Reason.NO_ADDRESS, {})


def _decision(subject: Subject, reason: Reason = Reason.NO_ADDRESS, params: dict[str, Any] | None = None) -> Decision:
    """A decision that says no more than what `wording` needs of it."""
    named = {
        "rule": subject.rule.label if subject.rule else "",
        "shop": subject.shop.name if subject.shop else "",
        "login": subject.account.login if subject.account else "",
    }
    return Decision(
        subject.notification.code,
        "",
        "to",
        subject.notification.to,
        delivers=False,
        reason=reason,
        params={**named, **(params or {})},
        shop=subject.shop.site_id if subject.shop else None,
        rule=subject.rule.reference if subject.rule else None,
        account=subject.account.login if subject.account else None,
    )


def delivery_reason(answer: Explanation) -> str:
    """Why it reaches the address, with the other titles under which it does."""
    first, *others = answer.mine
    sentence = wording.decision_reason(first)
    told = [wording.decision_reason(other) for other in others]
    return " ".join([sentence, *dict.fromkeys(told)])


def answer_reason(answer: Explanation, question: Question, roles: list[str]) -> str:
    """The sentence of the first obstacle, or of the delivery."""
    if answer.obstacles:
        return obstacle_reason(answer.obstacles[0], answer, question, roles)
    return delivery_reason(answer)


def condition_sentence(answer: Explanation, question: Question) -> str | None:
    """What the notification depends on, where the question did not test it."""
    subject = answer.subject
    if subject.notification.conditional:
        return wording.condition_sentence(_decision(subject)) if question.copy_ticked is None else None
    if not answer.conditions:
        return None
    return _("Seulement si %(conditions)s.") % {"conditions": wording.conditions_text(answer.conditions)}


# --- Where to change it ---------------------------------------------------------------------------


def configured_at(obstacle: Obstacle, subject: Subject, address: str = "") -> str | None:
    """The page where an obstacle can be taken away; None for states, which staff change."""
    if obstacle.code in STATE_OBSTACLES:
        return None
    if obstacle.code is ObstacleCode.NO_RULE:
        assert subject.shop
        return reverse("rule_create_start", args=[subject.shop.site_id])
    if obstacle.code is ObstacleCode.ADDRESS_SUPPRESSED:
        return reverse("addresses", query={"address": address} if address else None)
    if obstacle.code is ObstacleCode.COPY_NOT_TICKED:
        return reverse("payment_orders")
    return place_of(subject)


def place_of(subject: Subject) -> str:
    """The page where the recipients of a notification are set."""
    return wording.configured_at(_decision(subject))


# --- The document ---------------------------------------------------------------------------------


def document(company: CompanyFacts, question: Question, roles: list[str], answers: list[Explanation]) -> dict[str, Any]:
    """The answers as the command and the API give them (docs/rules.md 7.6)."""
    return {
        "company": company.reference,
        "address": question.address,
        "receives": any(answer.delivers for answer in answers),
        "roles": roles,
        "answers": [answer_json(answer, question, roles) for answer in answers],
    }


def answer_json(answer: Explanation, question: Question, roles: list[str]) -> dict[str, Any]:
    subject, delivery = answer.subject, answer.delivery
    return {
        "notification": subject.notification.code,
        "shop": subject.shop.site_id if subject.shop else None,
        "rule": subject.rule.reference if subject.rule else None,
        "account": subject.account.login if subject.account else None,
        "delivers": answer.delivers,
        "as": delivery.as_ if delivery else None,
        "source": delivery.source if delivery else None,
        "condition": condition_sentence(answer, question),
        "obstacles": [
            {
                "code": obstacle.code.value,
                "reason": obstacle_reason(obstacle, answer, question, roles),
                "configured_at": configured_at(obstacle, subject, question.address),
            }
            for obstacle in answer.obstacles
        ],
        "instead": list(answer.instead),
        "reason": answer_reason(answer, question, roles),
    }


def title(subject: Subject) -> str:
    """The notification with the rule or account it concerns, on one line."""
    label = wording.notification_label(subject.notification.code)
    named = _named(subject)
    return f"{label} · {named['rule'] or named['login']}" if named["rule"] or named["login"] else label
