"""Why and why not: for one address, everything that stands between it and each notification.

The resolver says whom a notification is for; this module asks it with every obstacle out of the way, and then
lists the obstacles that are there, all of them and in one order. A notification reaches an address exactly where
none is left, which is the verdict of `resolver.resolve`.

Pure: no database, no settings, no clock. Sentences are in `obstacle_wording.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from backoffice.text import addresses
from notifications.core import resolver
from notifications.core.catalogue import (
    NOTIFICATION_OF_RULE_TYPE,
    TABLE_ROWS,
    Notification,
    Scope,
    Source,
)
from notifications.core.facts import AccountFacts, CompanyFacts, ConditionFacts, EventFacts, RuleFacts, ShopFacts
from notifications.core.resolver import Decision


class ObstacleCode(StrEnum):
    """What may stand in the way, in the order in which it is told."""

    COMPANY_SUSPENDED = "company_suspended"
    COMPANY_CLOSED = "company_closed"
    SHOP_SUSPENDED = "shop_suspended"
    SHOP_CLOSED = "shop_closed"
    NO_RULE = "no_rule"
    RULE_DISABLED = "rule_disabled"
    TRIGGER_NOT_IN_RULE = "trigger_not_in_rule"
    CONDITION_FALSE = "condition_false"
    ACCOUNT_DISABLED = "account_disabled"
    NEWSLETTER_OPT_OUT = "newsletter_opt_out"
    COPY_NOT_TICKED = "copy_not_ticked"
    NOT_ADDRESSED = "not_addressed"
    ADDRESS_SUPPRESSED = "address_suppressed"


STATE_OBSTACLES = frozenset(
    {
        ObstacleCode.COMPANY_SUSPENDED,
        ObstacleCode.COMPANY_CLOSED,
        ObstacleCode.SHOP_SUSPENDED,
        ObstacleCode.SHOP_CLOSED,
    }
)
_OF_COMPANY = {"suspended": ObstacleCode.COMPANY_SUSPENDED, "closed": ObstacleCode.COMPANY_CLOSED}
_OF_SHOP = {"suspended": ObstacleCode.SHOP_SUSPENDED, "closed": ObstacleCode.SHOP_CLOSED}


@dataclass(frozen=True)
class Obstacle:
    """One thing in the way; `condition` is the false one of `condition_false`."""

    code: ObstacleCode
    condition: ConditionFacts | None = None


@dataclass(frozen=True)
class Subject:
    """What one answer is about: a notification, and the shop, rule or account it concerns.

    A shop without any rule of a kind has a subject of that kind without rule.
    """

    notification: Notification
    shop: ShopFacts | None = None
    rule: RuleFacts | None = None
    account: AccountFacts | None = None

    @property
    def is_without_rule(self) -> bool:
        return self.notification.scope is Scope.RULE and self.rule is None


@dataclass(frozen=True)
class Question:
    """What is asked; None asks for everything.

    Attributes:
        address: as typed; empty asks who is told, whoever it is.
        event: conditions are tested on it; None: they are told, not tested.
        copy_ticked: the choice on one payment order; None: no order is asked about.
    """

    address: str = ""
    notification: str | None = None
    trigger: str | None = None
    shop: str | None = None
    rule: str | None = None
    account: str | None = None
    event: EventFacts | None = None
    copy_ticked: bool | None = None


@dataclass(frozen=True)
class Explanation:
    """Whether one notification reaches the address asked about, and what stands in the way.

    Attributes:
        candidates: the resolver's decisions with every obstacle out of the way.
        mine: those of them that concern the address, the one that counts first.
        obstacles: complete and in order; empty where it delivers.
        instead: whom it would go to, spelled as in the tables; only where it is not for the address.
        conditions: what the notification depends on, where that was not tested.
    """

    subject: Subject
    candidates: tuple[Decision, ...]
    mine: tuple[Decision, ...]
    obstacles: tuple[Obstacle, ...]
    instead: tuple[str, ...] = ()
    conditions: tuple[ConditionFacts, ...] = ()

    @property
    def delivers(self) -> bool:
        return not self.obstacles

    @property
    def delivery(self) -> Decision | None:
        """The decision that reaches the address."""
        return self.mine[0] if self.mine and self.delivers else None


# --- What there is to ask about -------------------------------------------------------------------


def subjects(company: CompanyFacts) -> Iterator[Subject]:
    """Everything the delivery tables know of, in their order (docs/rules.md 7.1)."""
    shops = sorted(company.shops, key=lambda shop: shop.site_id)
    for row in TABLE_ROWS:
        if row.scope is Scope.COMPANY:
            yield Subject(row)
        elif row.scope is Scope.ACCOUNT:
            accounts = company.users if row.to is Source.USER else company.sftp_accounts
            for account in sorted(accounts, key=lambda item: item.login):
                yield Subject(row, account=account)
        else:
            for shop in shops:
                yield from _of_shop(row, shop)


def _of_shop(row: Notification, shop: ShopFacts) -> Iterator[Subject]:
    if row.scope is Scope.SHOP:
        yield Subject(row, shop)
        return
    rules = [rule for rule in shop.rules if NOTIFICATION_OF_RULE_TYPE[rule.type] == row.code]
    for rule in sorted(rules, key=lambda item: item.reference):
        yield Subject(row, shop, rule)
    if not rules:
        yield Subject(row, shop)


def is_asked(subject: Subject, question: Question) -> bool:
    """Whether a subject lies within the filters of a question."""
    filters = (
        (question.notification, subject.notification.code),
        (question.shop, subject.shop.site_id if subject.shop else None),
        (question.rule, subject.rule.reference if subject.rule else None),
        (question.account, subject.account.login if subject.account else None),
    )
    if any(wanted is not None and wanted != value for wanted, value in filters):
        return False
    return question.trigger is None or subject.notification.scope is Scope.RULE


# --- Answers --------------------------------------------------------------------------------------


def answers(company: CompanyFacts, question: Question) -> list[Explanation]:
    """One answer for each subject within the filters, in table order."""
    inquiry = _Inquiry(company, question)
    return [inquiry.answer(subject) for subject in subjects(company) if is_asked(subject, question)]


def who_of(answer: Explanation) -> tuple[str, ...]:
    """The addresses that a notification is for, as they are typed there."""
    return tuple(decision.address for decision in answer.candidates if decision.delivers)


class _Inquiry:
    """One question to one company: what all of its answers share."""

    def __init__(self, company: CompanyFacts, question: Question) -> None:
        self.company = company
        self.question = question
        self.asked = addresses.normalise(question.address) if question.address else ""
        self.opened = replace(company, status="active", newsletter_opt_out=False, health={})
        # With nobody in mind, an address is in the way only where it is the only one.
        self.suppressed = company.suppressed

    @cached_property
    def spelling(self) -> dict[str, str]:
        return {normalised: email for normalised, (email, _roles) in resolver.roles(self.company).items()}

    def answer(self, subject: Subject) -> Explanation:
        candidates = () if subject.is_without_rule else self._candidates(subject)
        mine = tuple(item for item in candidates if self.asked and item.normalised == self.asked)
        obstacles = tuple(self._obstacles(subject, candidates, is_addressed=bool(mine) or not self.asked))
        not_mine = any(obstacle.code is ObstacleCode.NOT_ADDRESSED for obstacle in obstacles)
        return Explanation(
            subject,
            candidates,
            tuple(sorted(mine, key=lambda item: not item.delivers)),
            obstacles,
            self._instead(candidates) if not_mine else (),
            subject.rule.conditions if subject.rule and self.question.event is None else (),
        )

    def _candidates(self, subject: Subject) -> tuple[Decision, ...]:
        """Whom the resolver would choose if nothing stood in the way."""
        shop, rule, account = subject.shop, subject.rule, subject.account
        decisions = resolver.resolve(
            self.opened,
            subject.notification.code,
            shop=replace(shop, status="active") if shop and shop.status != "active" else shop,
            rule=replace(rule, enabled=True) if rule and not rule.enabled else rule,
            account=replace(account, active=True) if account and not account.active else account,
        )
        return tuple(decision for decision in decisions if decision.address)

    def _instead(self, candidates: tuple[Decision, ...]) -> tuple[str, ...]:
        keys = sorted({decision.normalised for decision in candidates if decision.delivers})
        return tuple(self.spelling[key] for key in keys)

    def _obstacles(
        self, subject: Subject, candidates: tuple[Decision, ...], *, is_addressed: bool
    ) -> Iterator[Obstacle]:
        yield from self._states(subject)
        if subject.is_without_rule:
            yield Obstacle(ObstacleCode.NO_RULE)
            return
        if subject.rule:
            yield from self._of_rule(subject.rule)
        if subject.account and not subject.account.active:
            yield Obstacle(ObstacleCode.ACCOUNT_DISABLED)
        if subject.notification.can_be_refused and self.company.newsletter_opt_out:
            yield Obstacle(ObstacleCode.NEWSLETTER_OPT_OUT)
        if subject.notification.conditional and self.question.copy_ticked is False:
            yield Obstacle(ObstacleCode.COPY_NOT_TICKED)
        if not is_addressed:
            yield Obstacle(ObstacleCode.NOT_ADDRESSED)
        if subject.notification.scope is not Scope.ACCOUNT and self._is_suppressed(candidates):
            yield Obstacle(ObstacleCode.ADDRESS_SUPPRESSED)

    def _is_suppressed(self, candidates: tuple[Decision, ...]) -> bool:
        """Whether nothing may be sent to the address asked about; without one, to anybody it is for."""
        if self.asked:
            return self.asked in self.suppressed
        told = [decision for decision in candidates if decision.delivers]
        return bool(told) and all(decision.normalised in self.suppressed for decision in told)

    def _states(self, subject: Subject) -> Iterator[Obstacle]:
        if subject.notification.in_any_state:
            return
        if self.company.status in _OF_COMPANY:
            yield Obstacle(_OF_COMPANY[self.company.status])
        if subject.shop and subject.shop.status in _OF_SHOP:
            yield Obstacle(_OF_SHOP[subject.shop.status])

    def _of_rule(self, rule: RuleFacts) -> Iterator[Obstacle]:
        if not rule.enabled:
            yield Obstacle(ObstacleCode.RULE_DISABLED)
        if self.question.trigger is not None and self.question.trigger not in rule.triggers:
            yield Obstacle(ObstacleCode.TRIGGER_NOT_IN_RULE)
        event = self.question.event
        if event is not None:
            for condition in rule.conditions:
                if not resolver.condition_holds(condition, event):
                    yield Obstacle(ObstacleCode.CONDITION_FALSE, condition)
