"""Remarks of readers as home and coverage show them, with the link to the setting."""

from dataclasses import dataclass
from datetime import datetime

from companies.models import Membership
from notifications.answers import selectors
from notifications.answers.rights import may_change, needed_permission
from notifications.answers.screens import why_url
from notifications.core import resolver, wording
from notifications.core.catalogue import BY_CODE, Source
from notifications.core.facts import CompanyFacts
from notifications.core.reasons import Reason
from notifications.core.resolver import Decision
from notifications.models import MailRemark
from notifications.settings_facts import visible_facts

# As many as are read at a time; closing some shows the next.
MOST = 50


@dataclass(frozen=True)
class RemarkRow:
    """One open remark in words.

    Attributes:
        url: the setting behind the messages, for whoever may change it.
        why: the page that says why the address gets them.
        place: the role under which the address stands there, for the page that removes it; empty where it is no rule.
    """

    key: int
    address: str
    label: str
    shop: str
    rule: str
    at: datetime
    url: str
    why: str
    place: str = ""


def remark_rows(facts: CompanyFacts, membership: Membership) -> list[RemarkRow]:
    """The open remarks that a user sees. A remark whose line is no longer in the tables counts as answered.

    Args:
        facts: those of the accounts may be left out; they are read when a remark is about one.
    """
    remarks = list(selectors.remarks_for(membership)[:MOST])
    if not remarks:
        return []
    if not (facts.users or facts.sftp_accounts) and any(remark.account for remark in remarks):
        facts = visible_facts(membership.company, membership)
    lines = {_line_of(decision) for decision in resolver.resolve_all(facts, why_not=False) if decision.delivers}
    return [_row(remark, membership) for remark in remarks if _still_stands(remark, lines)]


Line = tuple[str, str | None, str | None, str | None, str]


def _line_of(decision: Decision) -> Line:
    return decision.notification, decision.shop, decision.rule, decision.account, decision.normalised


def _still_stands(remark: MailRemark, lines: set[Line]) -> bool:
    if not BY_CODE[remark.notification].in_tables:
        return True
    return (
        remark.notification,
        remark.shop.site_id if remark.shop else None,
        remark.rule.reference if remark.rule else None,
        remark.account or None,
        remark.normalised_address,
    ) in lines


def _row(remark: MailRemark, membership: Membership) -> RemarkRow:
    site_id = remark.shop.site_id if remark.shop else None
    reference = remark.rule.reference if remark.rule else None
    decision = Decision(
        remark.notification,
        remark.address,
        "to",
        Source(remark.source),
        True,
        Reason.RULE_RECIPIENT,
        shop=site_id,
        rule=reference,
    )
    allowed = may_change(membership, needed_permission(remark.notification, remark.source), site_id)
    return RemarkRow(
        key=remark.pk,
        address=remark.address,
        label=wording.notification_label(remark.notification),
        shop=remark.shop.name if remark.shop else "",
        rule=wording.rule_label(remark.rule.label) if remark.rule else "",
        at=remark.created_at,
        url=wording.configured_at(decision) if allowed else "",
        why=why_url(
            address=remark.address,
            notification=remark.notification,
            shop=site_id,
            rule=reference,
            account=remark.account or None,
        ),
        place=f"rule:{site_id}/{reference}" if site_id and reference else "",
    )


def _source(remark: MailRemark) -> Source:
    """Where the address came from; what the notification is sent to where a message did not say."""
    return Source(remark.source) if remark.source in list(Source) else BY_CODE[remark.notification].to
