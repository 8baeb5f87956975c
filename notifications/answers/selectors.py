"""What a company's settings answer: why and why not, how well it is covered, and what readers of mail remark."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from backoffice.base.csv_files import neutral
from backoffice.text import addresses
from companies.models import Company, Membership
from companies.rights import access
from companies.rights import readers as account_readers
from notifications import readers
from notifications.answers.questions import question_of
from notifications.core import coverage, obstacle_wording, obstacles, resolver
from notifications.core.coverage import Acknowledgement, CellKey, Coverage
from notifications.core.facts import CompanyFacts
from notifications.core.obstacles import Explanation, Question
from notifications.models import AcknowledgedGap, Delivery, MailRemark
from notifications.tables.compute import writing_to
from notifications.timeline.moments import written

CSV_HEADER = (
    "address",
    "notification",
    "shop",
    "rule",
    "account",
    "delivers",
    "as",
    "source",
    "condition",
    "obstacles",
    "instead",
    "reason",
)


@dataclass(frozen=True)
class Explained:
    """A question to a company with all that answers it.

    Attributes:
        left_out: how many answers were not worked out, because they are about others than the address asked about.
    """

    facts: CompanyFacts
    question: Question
    answers: list[Explanation]
    at: datetime | None = None
    left_out: int = 0

    @property
    def total(self) -> int:
        return len(self.answers) + self.left_out

    @cached_property
    def roles(self) -> list[str]:
        """The roles of the address asked about; none where it is configured nowhere."""
        return self._configured[1]

    @cached_property
    def _configured(self) -> tuple[str, list[str]]:
        key = addresses.normalise(self.question.address)
        return configured(self.facts).get(key, (self.question.address, []))

    @property
    def delivering(self) -> list[Explanation]:
        return [answer for answer in self.answers if answer.delivers]

    @property
    def refused(self) -> list[Explanation]:
        return [answer for answer in self.answers if not answer.delivers]

    def document(self) -> dict[str, Any]:
        """The answers in the shape of docs/rules.md 7.6, in the active language."""
        document = obstacle_wording.document(self.facts, self.question, self.roles, self.answers)
        if self.at is None:
            return document
        company = document.pop("company")
        return {"company": company, "at": written(self.at), **document}


def configured(facts: CompanyFacts) -> dict[str, tuple[str, list[str]]]:
    """Every address of the settings: compared form → (spelling, roles)."""
    return resolver.roles(facts)


def explain(
    facts: CompanyFacts, given: Mapping[str, str | None], *, from_form: bool = False, at: datetime | None = None
) -> Explained:
    """Answer the question that the parameters ask. Raises QuestionInvalid.

    Args:
        at: the past moment that the facts are of; None for now.
    """
    question = question_of(facts, given, from_form=from_form)
    return Explained(facts, question, obstacles.answers(facts, question), at)


def explain_near(facts: CompanyFacts, given: Mapping[str, str | None]) -> Explained:
    """As `explain` of a form, of the shops alone that may write to the address; the other answers are counted.

    In a company of hundreds of shops most answers are that a notification goes to somebody else.
    """
    question = question_of(facts, given, from_form=True)
    if not question.address:
        return Explained(facts, question, obstacles.answers(facts, question))
    near = writing_to(facts, [question.address])
    answers = obstacles.answers(near, question)
    if near is facts:
        return Explained(facts, question, answers)
    every = sum(obstacles.is_asked(subject, question) for subject in obstacles.subjects(facts))
    return Explained(facts, question, answers, left_out=every - len(answers))


def csv_rows(explained: Explained) -> Iterator[list[str]]:
    """Header, then one row an answer."""
    yield list(CSV_HEADER)
    for answer in explained.answers:
        line = obstacle_wording.answer_json(answer, explained.question, explained.roles)
        line["address"] = explained.question.address
        line["delivers"] = "1" if answer.delivers else "0"
        line["obstacles"] = " ".join(obstacle.code for obstacle in answer.obstacles)
        line["instead"] = " ".join(answer.instead)
        yield [neutral(line[name]) for name in CSV_HEADER]


# --- Coverage -------------------------------------------------------------------------------------


def acknowledgements(company: Company) -> dict[CellKey, Acknowledgement]:
    """The acknowledged gaps of a company that are in force today, by cell; one query."""
    return {
        (row.notification, row.site_id): Acknowledgement(row.acknowledged_by, row.acknowledged_at, row.until)
        for row in acknowledged(company).annotate(site_id=F("shop__site_id"))
    }


def acknowledged(company: Company) -> QuerySet[AcknowledgedGap]:
    """The gaps of a company that are accepted today."""
    return AcknowledgedGap.objects.filter(company=company, until__gte=timezone.localdate())


def coverage_of(company: Company, facts: CompanyFacts) -> Coverage:
    """The coverage of what the facts hold of a company, with the gaps that it acknowledged."""
    return coverage.coverage(facts, acknowledgements(company))


# --- Remarks of readers ---------------------------------------------------------------------------


def remarks_for(membership: Membership) -> QuerySet[MailRemark]:
    """The open remarks that a user may see, newest first: those of their shops and of the company as a whole.

    What is about an account is for those who manage accounts.
    """
    remarks = MailRemark.objects.filter(company_id=membership.company_id, closed_at__isnull=True)
    if not account_readers.manages_accounts(membership):
        remarks = remarks.exclude(notification__in=readers.ABOUT_ACCOUNTS)
    elif not access.sees_all_shops(membership):
        users = Q(account__in=account_readers.users_for(membership).order_by().values("login"))
        sftp = Q(account__in=account_readers.sftp_accounts_for(membership).order_by().values("login"))
        remarks = remarks.filter(~Q(notification__in=readers.ABOUT_ACCOUNTS) | users | sftp)
    if not access.sees_all_shops(membership):
        shops = access.shops_of(membership).order_by().values("pk")
        remarks = remarks.filter(Q(shop__isnull=True) | Q(shop__in=shops))
    return remarks.select_related("shop", "rule").order_by("-created_at", "-pk")


def open_remark(membership: Membership, key: int) -> MailRemark | None:
    """One of the open remarks that a user may see."""
    return remarks_for(membership).filter(pk=key).first()


def may_remark(delivery: Delivery) -> bool:
    """Whether the reader of a mail may say that it should not come: one that a setting of a company sent."""
    return delivery.company_id is not None and not delivery.is_test


def is_remarked(delivery: Delivery) -> bool:
    """Whether the reader has already remarked on the line of the tables that the mail came from."""
    return MailRemark.objects.filter(line_key=line_key(delivery)).exists()


def line_key(delivery: Delivery) -> str:
    """What names the line of the tables that a delivery came from."""
    parts = (
        delivery.company_id,
        delivery.notification,
        delivery.shop_id,
        delivery.rule_id,
        delivery.account,
        delivery.normalised_address,
    )
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()
