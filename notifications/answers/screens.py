"""Answers and coverage as pages show them: rows in words, folded by shop, with the link that each reader may follow.

Works on what the core computed; reads nothing from the database but the rights of the reader.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.encoding import force_str
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from companies.models import Membership
from companies.rights import permissions
from notifications.answers.rights import may_change, needed_permission, roles_with
from notifications.answers.selectors import Explained
from notifications.core import obstacle_wording, wording
from notifications.core.obstacles import Explanation, Obstacle, ObstacleCode, who_of
from notifications.models import Delivery
from notifications.tables.screens import FoldedRow

# Up to so many answers are shown at once, whatever they say.
FEW = 12


class Verdict(StrEnum):
    """The three kinds of answers, the one to act on first."""

    BLOCKED = "blocked"
    RECEIVES = "receives"
    OTHERS = "others"


VERDICT_LABELS = {
    Verdict.BLOCKED: gettext_lazy("Empêché"),
    Verdict.RECEIVES: gettext_lazy("Reçoit"),
    Verdict.OTHERS: gettext_lazy("Non destinataire"),
}
# Where nobody in particular is asked about.
WHO_LABELS = {
    Verdict.BLOCKED: gettext_lazy("Rien n'est envoyé"),
    Verdict.RECEIVES: gettext_lazy("Envoyé"),
    Verdict.OTHERS: gettext_lazy("Personne"),
}
_BADGES = {Verdict.BLOCKED: "warn", Verdict.RECEIVES: "ok", Verdict.OTHERS: "off"}


def verdict_of(answer: Explanation, explained: Explained) -> Verdict:
    """The kind of an answer: about the address that is asked about, else about who is told at all."""
    if not explained.question.address:
        if answer.obstacles:
            return Verdict.BLOCKED
        return Verdict.RECEIVES if who_of(answer) else Verdict.OTHERS
    if answer.delivers:
        return Verdict.RECEIVES
    subject = answer.subject
    if subject.is_without_rule and subject.shop:
        # The rule that is missing would write to the shop's manager by itself, and to nobody else.
        return Verdict.BLOCKED if f"shop_manager:{subject.shop.site_id}" in explained.roles else Verdict.OTHERS
    not_mine = any(obstacle.code is ObstacleCode.NOT_ADDRESSED for obstacle in answer.obstacles)
    return Verdict.OTHERS if not_mine else Verdict.BLOCKED


def in_order(explained: Explained) -> list[Verdict]:
    """The kinds of answers in the order of a page: what concerns the address first, or who is told."""
    if explained.question.address:
        return [Verdict.BLOCKED, Verdict.RECEIVES, Verdict.OTHERS]
    return [Verdict.OTHERS, Verdict.RECEIVES, Verdict.BLOCKED]


def told_first(explained: Explained, counts: dict[Verdict, int]) -> set[Verdict]:
    """The kinds of answers that a page opens with: the last kind waits behind its count where that is much."""
    *first, _last = in_order(explained)
    kept = {verdict for verdict in first if counts[verdict]}
    return kept if kept and sum(counts.values()) > FEW else set(Verdict)


@dataclass(frozen=True)
class Hurdle:
    """One obstacle in words. `url` leads to the setting, for users with the right to change it; `who` names those, for
    the others.
    """

    sentence: str
    url: str
    who: str


@dataclass(frozen=True)
class AnswerRow(FoldedRow):
    """One answer, or the equal answers of several shops."""

    code: str
    label: str
    detail: str
    verdict: Verdict
    verdict_label: str
    badge: str
    as_label: str
    reason: str
    condition: str
    hurdles: list[Hurdle]
    people: list[str]
    shops: list[tuple[str, str]]
    urls: list[str] = field(default_factory=list)


def groups(answers: Sequence[Explanation]) -> list[list[Explanation]]:
    """The answers that share a row: each its own up to a limit, else those that differ only by shop."""
    if len(answers) <= FEW:
        return [[answer] for answer in answers]
    together: dict[tuple[Any, ...], list[Explanation]] = {}
    for answer in answers:
        together.setdefault(_fold_key(answer), []).append(answer)
    return list(together.values())


def _fold_key(answer: Explanation) -> tuple[Any, ...]:
    subject = answer.subject
    return (
        subject.notification.code,
        subject.rule.reference if subject.rule else None,
        subject.rule.label if subject.rule else None,
        subject.account.login if subject.account else None,
        str(answer.obstacles),
        answer.instead,
        tuple((item.address, item.as_, item.reason) for item in answer.candidates),
        str(answer.conditions),
    )


def rows(grouped: Sequence[list[Explanation]], explained: Explained, membership: Membership) -> list[AnswerRow]:
    """The rows of these groups in words."""
    return [_row(group, explained, membership) for group in grouped]


def _row(group: list[Explanation], explained: Explained, membership: Membership) -> AnswerRow:
    first, question = group[0], explained.question
    subject = first.subject
    is_for_one = bool(question.address)
    verdict = verdict_of(first, explained)
    delivery = first.delivery
    example = _("Par exemple, pour %(shop)s :") % {"shop": subject.shop.name} + " " if len(group) > 1 else ""  # type: ignore[union-attr]
    return AnswerRow(
        code=subject.notification.code,
        label=wording.notification_label(subject.notification.code),
        detail=wording.rule_label(subject.rule.label)
        if subject.rule
        else (subject.account.login if subject.account else ""),
        verdict=verdict,
        verdict_label=force_str((VERDICT_LABELS if is_for_one else WHO_LABELS)[verdict]),
        badge=_BADGES[verdict],
        as_label=force_str(Delivery.As(delivery.as_).label) if delivery else "",
        reason=example + obstacle_wording.delivery_reason(first) if delivery else _nobody(first, verdict, is_for_one),
        condition=obstacle_wording.condition_sentence(first, question) or "",
        hurdles=[_hurdle(item, first, explained, membership, example) for item in first.obstacles],
        people=list(first.instead) if is_for_one else list(who_of(first)),
        shops=[(answer.subject.shop.site_id, answer.subject.shop.name) for answer in group if answer.subject.shop],
    )


def _nobody(answer: Explanation, verdict: Verdict, is_for_one: bool) -> str:
    """Why a notification reaches nobody, for a question without an address."""
    return obstacle_wording.nobody_reason(answer.subject) if not is_for_one and verdict is Verdict.OTHERS else ""


def _hurdle(
    obstacle: Obstacle, answer: Explanation, explained: Explained, membership: Membership, example: str
) -> Hurdle:
    # That a technical contact receives nothing is said once, above the rows.
    sentence = example + obstacle_wording.obstacle_reason(obstacle, answer, explained.question, [])
    place = obstacle_wording.configured_at(obstacle, answer.subject)
    if place is None:
        return Hurdle(sentence, "", _("L'équipe de la plateforme peut le changer."))
    permission = _permission(obstacle, answer)
    shop = answer.subject.shop.site_id if answer.subject.shop else None
    if may_change(membership, permission, shop):
        return Hurdle(sentence, place, "")
    return Hurdle(sentence, "", _("Peut le changer : %(roles)s.") % {"roles": roles_with(permission)})


def _permission(obstacle: Obstacle, answer: Explanation) -> str:
    if obstacle.code is ObstacleCode.COPY_NOT_TICKED:
        return permissions.MANAGE_PAYMENT_ORDERS
    if obstacle.code is ObstacleCode.NEWSLETTER_OPT_OUT:
        return permissions.MANAGE_COMPANY
    return needed_permission(answer.subject.notification.code, answer.subject.notification.to)


# --- The answer first -----------------------------------------------------------------------------


def headline(explained: Explained, counts: dict[Verdict, int]) -> str:
    """The answer in one sentence with its figures."""
    total, address = explained.total, explained.question.address
    if not total:
        return _("Aucune notification ne répond à cette question.")
    received = counts[Verdict.RECEIVES]
    if not address:
        told = ngettext(
            "%(n)d notification sur %(total)d atteint quelqu'un.",
            "%(n)d notifications sur %(total)d atteignent quelqu'un.",
            received,
        )
        return told % {"n": received, "total": total}
    if total == 1:
        return (_("Oui, %(email)s la reçoit.") if received else _("Non, %(email)s ne la reçoit pas.")) % {
            "email": address
        }
    if not received:
        return _("%(email)s ne reçoit aucune de ces %(total)d notifications.") % {"email": address, "total": total}
    told = ngettext(
        "%(email)s reçoit %(n)d notification sur %(total)d.",
        "%(email)s reçoit %(n)d notifications sur %(total)d.",
        received,
    )
    return told % {"email": address, "n": received, "total": total}


def why_url(**asked: str | None) -> str:
    """The page that answers a question."""
    given = {name: value for name, value in asked.items() if value}
    return f"{reverse('why')}?{urlencode(given)}" if given else reverse("why")
