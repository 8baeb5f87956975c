"""Consistency reports: running the checks, keeping and telling what they found.

A report is kept when its findings differ from those of the one before; a run that finds the same again
moves `last_checked_at` only. The mail goes out when errors changed, see `report_run`.
"""

import zoneinfo
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import cached_property
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import force_str

from backoffice.text import addresses
from companies import audit, status
from companies.audit import Actor
from companies.models import Company, Membership, Status
from companies.rights import access, permissions
from companies.rights import readers as account_readers
from notifications import settings_facts
from notifications.checks import consistency
from notifications.checks import words as consistency_words
from notifications.checks.findings import SCOPE_LABELS, SEVERITY_LABELS, Finding, FindingScope, Place, digest, errors_of
from notifications.core import resolver
from notifications.events.publishing import publish
from notifications.models import (
    ConsistencyReport,
    ConsistencySchedule,
)
from notifications.settings_facts.checked import checked_facts
from shops.models import Shop

# The hour of the company's own morning at which the worker runs the checks.
MORNING = time(6, 0)
# Companies a tick of the worker: a run takes some tens of milliseconds.
PER_TICK = 20


@dataclass(frozen=True)
class Page:
    """The page of a place.

    Attributes:
        permission: lets a user correct it there.
        args: what of the finding the route takes.
        query: parameters; `{name}` in a value is what the finding says.
    """

    route: str
    permission: str
    args: tuple[str, ...] = ()
    query: Mapping[str, str] = field(default_factory=dict)

    def url(self, finding: Finding) -> str:
        about = {
            "shop": finding.shop,
            "rule": finding.rule,
            "address": str(finding.params.get("address", "")),
        }
        query = {name: value.format_map(about) for name, value in self.query.items()}
        return reverse(self.route, args=[about[name] for name in self.args], query=query or None)


PLACES: dict[str, Page] = {
    Place.COMPANY: Page("company_settings", permissions.MANAGE_COMPANY),
    Place.USERS: Page("users", permissions.MANAGE_USERS),
    Place.SFTP: Page("sftp_accounts", permissions.MANAGE_USERS),
    Place.TOKENS: Page("api_tokens", permissions.MANAGE_KEYS, query={"state": "expiring"}),
    Place.CONFIGURATION: Page("shop_configuration", permissions.EDIT_SETTINGS, ("shop",)),
    Place.KEYS: Page("shop_keys", permissions.MANAGE_KEYS, ("shop",)),
    Place.CONTRACTS: Page("shop_contracts", permissions.EDIT_SETTINGS, ("shop",)),
    Place.RULE: Page("rule", permissions.MANAGE_RULES, ("shop", "rule")),
    Place.RULES: Page("rules", permissions.MANAGE_RULES, query={"shop": "{shop}"}),
    Place.ADDRESS: Page("addresses", permissions.VIEW, query={"address": "{address}"}),
}


# --- Runs -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """What a run of the checks led to.

    Attributes:
        report: the report in force, new or that of an earlier run which found the same.
        published: a mail about its errors was queued.
    """

    report: ConsistencyReport
    published: bool


@transaction.atomic
def report_run(*, company: Company, actor: Actor, now: datetime | None = None, force: bool = False) -> Run:
    """Run the checks on a company, keep what changed and tell its errors to the Contact gestionnaire.

    Mailed when there are errors and they are not those told last; with `force` whenever there are errors.
    A company that is suspended or closed is checked and not told (docs/rules.md 4.12).
    """
    status.ensure_open(actor=actor, company=company)
    now = now or timezone.now()
    # Two runs at the same time would both find the former report and mail twice.
    Company.objects.select_for_update().get(pk=company.pk)
    told = consistency.findings(checked_facts(company, now))
    errors = errors_of(told)
    report = _report(company, told, errors, now, actor)
    published = False
    if errors and (force or report.told_at is None):
        event = publish(type="consistency.errors_found", company=company, data=_told(report, errors))
        published = event.deliveries.exists()
        if published:
            report.told_at = now
    report.save()
    if actor.user is not None:
        audit.record(
            actor=actor,
            action="consistency.checked",
            obj=company,
            company=company,
            changes={"errors": [None, len(errors)], "warnings": [None, report.warning_count]},
        )
    return Run(report, published)


def _report(
    company: Company, told: list[Finding], errors: list[Finding], now: datetime, actor: Actor
) -> ConsistencyReport:
    """The report in force after a run, not saved: that of an earlier run which found the same, or a new one."""
    before = latest(company)
    if before is not None and before.digest == digest(told):
        before.last_checked_at = now
        # Values that grow, such as days, are shown as of the last run.
        before.findings = [finding.as_json() for finding in told]
        return before
    return ConsistencyReport(
        company=company,
        checked_at=now,
        last_checked_at=now,
        findings=[finding.as_json() for finding in told],
        error_count=len(errors),
        warning_count=len(told) - len(errors),
        digest=digest(told),
        errors_digest=digest(errors),
        actor_label=actor.label[:200],
        # Errors that the former report told need no second mail.
        told_at=before.told_at if before is not None and before.errors_digest == digest(errors) else None,
    )


def _told(report: ConsistencyReport, errors: list[Finding]) -> dict[str, Any]:
    return {
        "checked_at": report.last_checked_at.isoformat(),
        "warnings": report.warning_count,
        "errors": [finding.as_json() for finding in errors],
        "shops": dict(Shop.objects.filter(company=report.company).values_list("site_id", "name")),
    }


def companies_to_check(reference: str = "") -> QuerySet[Company]:
    """The active companies, or the one named, whatever its state."""
    if reference:
        return Company.objects.filter(reference=reference)
    return Company.objects.filter(status=Status.ACTIVE).order_by("reference")


def latest(company: Company) -> ConsistencyReport | None:
    return reports(company).first()


def reports(company: Company) -> QuerySet[ConsistencyReport]:
    """The reports of a company, newest first."""
    return ConsistencyReport.objects.filter(company=company).order_by("-checked_at", "-pk")


# --- Schedule -------------------------------------------------------------------------------------


def next_morning(company: Company, now: datetime) -> datetime:
    """The next six o'clock of the company's own day after `now`."""
    try:
        zone = zoneinfo.ZoneInfo(company.time_zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        zone = zoneinfo.ZoneInfo("UTC")
    day = now.astimezone(zone).date()
    due = datetime.combine(day, MORNING, zone)
    return due if due > now else datetime.combine(day + timedelta(days=1), MORNING, zone)


def tick(now: datetime) -> None:
    """Run what is due: each active company once every morning, in its time zone. After a pause of the worker, one run
    stands for all missed mornings.
    """
    new = Company.objects.filter(status=Status.ACTIVE, consistency_schedule__isnull=True)
    for company in new[:500]:
        ConsistencySchedule.objects.get_or_create(company=company, defaults={"due_at": next_morning(company, now)})
    due = ConsistencySchedule.objects.filter(due_at__lte=now).select_related("company").order_by("due_at")
    for row in due[:PER_TICK]:
        following = next_morning(row.company, now)
        # Claimed by moving it on: of several workers one gets it.
        if ConsistencySchedule.objects.filter(pk=row.pk, due_at=row.due_at).update(due_at=following) and (
            row.company.status == Status.ACTIVE
        ):
            report_run(company=row.company, actor=Actor.command("consistency_reports"), now=now)


def runs_ask(*, companies: Iterable[Company], actor: Actor, now: datetime | None = None) -> bool:
    """Check several companies, as staff ask for it: a few at once, more by the worker within its next minutes.

    A run takes some tens of milliseconds, too long for hundreds of them in one request.

    Returns:
        True when the runs are done, False when they are left to the worker.
    """
    now = now or timezone.now()
    companies = list(companies)
    if len(companies) <= PER_TICK:
        for company in companies:
            report_run(company=company, actor=actor, now=now)
        return True
    with transaction.atomic():
        for company in companies:
            ConsistencySchedule.objects.update_or_create(company=company, defaults={"due_at": now})
            audit.record(actor=actor, action="consistency.asked", obj=company, company=company)
    return False


# --- On a page -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A finding as a page shows it; `url` is empty where the user may not correct it."""

    finding: Finding
    sentence: str
    advice: str
    place: str
    url: str
    is_new: bool = False

    @property
    def severity_label(self) -> str:
        return force_str(SEVERITY_LABELS[self.finding.severity])

    @property
    def scope_label(self) -> str:
        return force_str(SCOPE_LABELS[self.finding.scope])


def visible(findings: Iterable[Finding], membership: Membership) -> list[Finding]:
    """The findings a user may see: those of the company and of the shops covered.

    Those that tell of accounts are for their managers, those of API tokens for who holds all keys. What names an
    address is told to those who see where it is configured.
    """
    return list(filter(_Sight(membership).sees, findings))


def may_be_read_whole(findings: Iterable[Finding], membership: Membership) -> bool:
    """Whether a text that tells all these findings names no shop and no account hidden from a user."""
    sight = _Sight(membership)
    return all(
        sight.sees(finding) and (sight.every_shop or finding.code not in consistency_words.NAMING_ANOTHER_SHOP)
        for finding in findings
    )


class _Sight:
    """Which findings one user may see. The rights needed for it are read on first use."""

    def __init__(self, membership: Membership) -> None:
        self.membership = membership
        self.every_shop = access.sees_all_shops(membership)
        self.manages = account_readers.manages_accounts(membership)

    def sees(self, finding: Finding) -> bool:
        """Whether nothing in a finding is hidden from the user."""
        if finding.shop and not access.has_on_site(self.membership, permissions.VIEW, finding.shop):
            return False
        if finding.code == "api_token_ends_soon":
            return access.whole(self.membership, permissions.MANAGE_KEYS)
        if self.every_shop and self.manages:
            return True
        if _is_about_accounts(finding):
            login = finding.account or str(finding.params.get("login", ""))
            return self.manages and (not login or login in self.logins)
        # What names a shop is of that shop; an address of the company's findings may be that of any place.
        address = str(finding.params.get("address", ""))
        return bool(finding.shop) or not address or self.knows(address)

    @cached_property
    def logins(self) -> set[str]:
        """The identifiers of the accounts that the user may know of."""
        users = account_readers.users_for(self.membership).values_list("login", flat=True)
        sftp = account_readers.sftp_accounts_for(self.membership).values_list("login", flat=True)
        return {*users, *sftp}

    @cached_property
    def _addresses(self) -> set[str]:
        return set(resolver.roles(settings_facts.visible_facts(self.membership.company, self.membership)))

    def knows(self, address: str) -> bool:
        """Whether an address is configured in a place that the user may see."""
        return addresses.normalise(address) in self._addresses


def _is_about_accounts(finding: Finding) -> bool:
    check = consistency.BY_CODE.get(finding.code)
    place = check.place if check else None
    return (
        finding.scope == FindingScope.ACCOUNT
        or bool(finding.account or finding.params.get("login"))
        or place in (Place.USERS, Place.SFTP)
    )


def lines(findings: Iterable[Finding], membership: Membership, before: frozenset[str] | None = None) -> list[Line]:
    """Findings in words, with the link that corrects each.

    Args:
        findings: what `visible` left.
        before: keys of the findings of the former report; None when there is none.
    """
    shops = dict(access.shops_of(membership).values_list("site_id", "name"))
    # A report keeps the name that another shop had on its day.
    known = None if access.sees_all_shops(membership) else frozenset(shops.values())
    return [
        Line(
            finding,
            consistency_words.sentence(finding, known),
            consistency_words.advice(finding),
            consistency_words.place(finding, shops),
            correction_url(finding, membership),
            before is not None and finding.key not in before,
        )
        for finding in findings
    ]


def correction_url(finding: Finding, membership: Membership) -> str:
    check = consistency.BY_CODE.get(finding.code)
    if check is None:
        return ""
    page = PLACES[check.place]
    allowed = (
        access.has_on_site(membership, page.permission, finding.shop)
        if finding.shop and page.permission in permissions.SHOP_LEVEL
        else access.can_somewhere(membership, page.permission)
    )
    return page.url(finding) if allowed else ""


def findings_of(report: ConsistencyReport) -> list[Finding]:
    return [Finding.from_json(item) for item in report.findings]


def keys_of(report: ConsistencyReport | None) -> frozenset[str] | None:
    return frozenset(finding.key for finding in findings_of(report)) if report else None


def before(report: ConsistencyReport) -> ConsistencyReport | None:
    """The report that this one replaced."""
    earlier = Q(checked_at__lt=report.checked_at) | Q(checked_at=report.checked_at, pk__lt=report.pk)
    return (
        ConsistencyReport.objects.filter(earlier, company_id=report.company_id).order_by("-checked_at", "-pk").first()
    )


def recovered(report: ConsistencyReport, before: ConsistencyReport | None) -> list[Finding]:
    """What the former report found and this one does not: put right in between."""
    if before is None:
        return []
    still = keys_of(report) or frozenset()
    return [finding for finding in findings_of(before) if finding.key not in still]


@dataclass(frozen=True)
class Change:
    """One row of the history: a report, as a user sees it beside the one before."""

    report: ConsistencyReport
    errors: int
    warnings: int
    appeared: int
    recovered: int


def changes(page: list[ConsistencyReport], membership: Membership) -> list[Change]:
    """The rows of one page of the history, newest first; one query for the report before the last row."""
    known = [*page, *([earlier] if page and (earlier := before(page[-1])) else [])]
    sight = _Sight(membership)
    seen = [list(filter(sight.sees, findings_of(report))) for report in known]
    rows = []
    for number, report in enumerate(page):
        keys = {finding.key for finding in seen[number]}
        former = {finding.key for finding in seen[number + 1]} if number + 1 < len(seen) else None
        errors = len(errors_of(seen[number]))
        rows.append(
            Change(
                report,
                errors,
                len(seen[number]) - errors,
                len(keys - former) if former is not None else 0,
                len(former - keys) if former is not None else 0,
            )
        )
    return rows
