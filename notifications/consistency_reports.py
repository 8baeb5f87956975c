"""Consistency reports: reading the facts, running the checks, keeping and telling what they found.

A report is kept when its findings differ from those of the one before; a run that finds the same again
moves `last_checked_at` only. The mail goes out when errors changed, see `report_run`.
"""

import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import quote

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone, translation
from django.utils.encoding import force_str

from companies import access, audit, permissions, status
from companies.audit import Actor
from companies.models import Company, Contact, Membership, Role, SftpAccount, Status, User
from shops.models import Contract, Shop, ShopKey

from . import consistency, consistency_words, hooks, selectors
from .catalogue import MODES, SHOP_MANAGER_SYMBOL
from .consistency import (
    AccountSheet,
    CompanySheet,
    ContractSheet,
    Finding,
    Place,
    RuleSheet,
    ShopSheet,
)
from .models import ApiToken, CallHealth, ConsistencyReport, ConsistencySchedule, Delivery, NotificationRule
from .services import publish
from .url_rules import check_url

# How far back refused mail is looked at.
BOUNCE_DAYS = 30
# The hour of the company's own morning at which the worker runs the checks.
MORNING = time(6, 0)
# Companies a tick of the worker: a run takes some tens of milliseconds.
PER_TICK = 20

# place → (path, permission that lets a user correct it there).
PLACES: dict[str, tuple[str, str]] = {
    Place.COMPANY: ("/settings/company/", permissions.MANAGE_COMPANY),
    Place.USERS: ("/settings/company/users/", permissions.MANAGE_USERS),
    Place.SFTP: ("/settings/company/sftp-accounts/", permissions.MANAGE_USERS),
    Place.TOKENS: ("/settings/company/api-tokens/?state=expiring", permissions.MANAGE_KEYS),
    Place.CONFIGURATION: ("/settings/shops/{shop}/configuration/", permissions.EDIT_SETTINGS),
    Place.KEYS: ("/settings/shops/{shop}/keys/", permissions.MANAGE_KEYS),
    Place.CONTRACTS: ("/settings/shops/{shop}/contracts/", permissions.EDIT_SETTINGS),
    Place.RULE: ("/settings/notification-rules/{shop}/{rule}/", permissions.MANAGE_RULES),
    Place.RULES: ("/settings/notification-rules/?shop={shop}", permissions.MANAGE_RULES),
    Place.ADDRESS: ("/notifications/addresses/?address={address}", permissions.VIEW),
}


# --- Facts ----------------------------------------------------------------------------------------


def company_sheet(company: Company, now: datetime) -> CompanySheet:
    """What the checks know of a company, in a constant number of queries.

    Shops that are suspended or closed stay out: nothing is sent or taken there.
    """
    contacts = dict(Contact.objects.filter(company=company).order_by().values_list("kind", "email"))
    shops = list(Shop.objects.filter(company=company, status=Status.ACTIVE).order_by("site_id"))
    manager = contacts.get(Contact.Kind.MANAGER, "")
    # Labels of default rules are kept in French and translated when shown.
    with translation.override("fr"):
        rules = _rules(shops, manager, now)
    contracts: dict[int, list[ContractSheet]] = {}
    for contract in Contract.objects.filter(shop__in=shops):
        sheet = ContractSheet(contract.number, contract.network, contract.three_d_secure, contract.takes_cards)
        contracts.setdefault(contract.shop_id, []).append(sheet)
    keys = _keys(shops)
    return CompanySheet(
        reference=company.reference,
        name=company.name,
        language=company.language,
        registration_number=company.registration_number,
        address=company.address,
        time_zone_known=company.time_zone in zoneinfo.available_timezones(),
        manager_email=manager,
        technical_email=contacts.get(Contact.Kind.TECHNICAL, ""),
        incident_emails=tuple(company.incident_emails),
        users=_users(company),
        sftp_accounts=_sftp_accounts(company, now),
        shops=tuple(
            ShopSheet(
                site_id=shop.site_id,
                name=shop.name,
                language=shop.language,
                url=shop.url,
                manager_email=shop.manager_email,
                keys=frozenset(keys.get(shop.pk, ())),
                algorithms=tuple((mode, getattr(shop, f"algorithm_{mode.lower()}")) for mode in MODES),
                contracts=tuple(contracts.get(shop.pk, ())),
                rules=tuple(rules.get(shop.pk, ())),
                age_days=(now - shop.created_at).days,
            )
            for shop in shops
        ),
        bouncing=_bouncing(company, now),
        ending_tokens=_ending_tokens(company),
    )


def _keys(shops: list[Shop]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for shop, kind in ShopKey.objects.filter(shop__in=shops).order_by().values_list("shop_id", "kind"):
        found.setdefault(shop, set()).add(kind)
    return found


def _rules(shops: list[Shop], manager: str, now: datetime) -> dict[int, list[RuleSheet]]:
    by_key = {shop.pk: shop for shop in shops}
    rules = list(NotificationRule.objects.filter(shop__in=shops, archived_at__isnull=True).order_by("pk"))
    last = selectors.last_deliveries(rules)
    keys = _keys(shops)
    failing: dict[int, list[tuple[str, int]]] = {}
    health = CallHealth.objects.filter(rule__in=rules, failing_since__isnull=False).order_by("mode")
    for row in health:
        assert row.failing_since
        failing.setdefault(row.rule_id, []).append((row.mode, (now - row.failing_since).days))
    found: dict[int, list[RuleSheet]] = {}
    for rule in rules:
        own = by_key[rule.shop_id].manager_email or manager
        found.setdefault(rule.shop_id, []).append(
            RuleSheet(
                rule=selectors.rule_sheet(rule, last.get(rule.pk), own, keys.get(rule.shop_id, set())),
                typed=tuple(entry for entry in rule.recipients if entry != SHOP_MANAGER_SYMBOL),
                refused_urls=tuple(_refused_urls(rule)),
                failing=tuple(failing.get(rule.pk, ())),
            )
        )
    return found


def _refused_urls(rule: NotificationRule) -> Iterable[str]:
    for name in NotificationRule.URL_FIELDS:
        url = getattr(rule, name)
        if url:
            try:
                production = name in NotificationRule.PRODUCTION_URL_FIELDS
                check_url(url, production=production, http_confirmed=rule.http_confirmed)
            except ValidationError:
                yield url


def _users(company: Company) -> tuple[AccountSheet, ...]:
    administrators = set(
        Membership.objects.filter(company=company, role=Role.ADMINISTRATOR).values_list("user_id", flat=True)
    )
    # Administrators may belong to another company; disabled accounts are this company's own.
    found = User.objects.filter(Q(company=company) | Q(pk__in=administrators)).order_by("login")
    return tuple(
        AccountSheet(
            login=user.login,
            email=user.email,
            active=user.is_active,
            administrator=user.pk in administrators,
            logged_in=user.last_login is not None,
        )
        for user in found
    )


def _sftp_accounts(company: Company, now: datetime) -> tuple[AccountSheet, ...]:
    waiting = set(
        SftpAccount.objects.filter(company=company).exclude(unrevealed_password="").values_list("pk", flat=True)
    )
    return tuple(
        AccountSheet(
            login=account.login,
            email=account.email,
            active=account.is_active,
            unrevealed_days=(now - account.created_at).days if account.pk in waiting else None,
        )
        for account in SftpAccount.objects.filter(company=company).order_by("login")
    )


def _ending_tokens(company: Company) -> tuple[str, ...]:
    ending = selectors.api_tokens(company, state=ApiToken.State.EXPIRING)
    return tuple(ending.order_by("name", "pk").values_list("name", flat=True))


def _bouncing(company: Company, now: datetime) -> frozenset[str]:
    """Normal forms of the addresses that refused all mail for good, and took none."""
    rows = (
        Delivery.objects.filter(
            company=company, channel="email", is_test=False, created_at__gte=now - timedelta(days=BOUNCE_DAYS)
        )
        .exclude(normalised_address="")
        .order_by()
        .values("normalised_address")
        .annotate(
            dead=Count("pk", filter=Q(status=Delivery.Status.DEAD)),
            sent=Count("pk", filter=Q(status=Delivery.Status.SENT)),
        )
        .filter(dead__gt=0, sent=0)
    )
    return frozenset(row["normalised_address"] for row in rows)


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
    A company that is suspended or closed is checked and not told (DESIGN 4.12).
    """
    status.ensure_open(actor=actor, company=company)
    now = now or timezone.now()
    # Two runs at the same time would both find the former report and mail twice.
    Company.objects.select_for_update().get(pk=company.pk)
    found = consistency.findings(company_sheet(company, now))
    errors = consistency.errors_of(found)
    digest, errors_digest = consistency.digest(found), consistency.digest(errors)
    before = latest(company)
    if before is not None and before.digest == digest:
        report = before
        report.last_checked_at = now
        # Values that grow, such as days, are shown as of the last run.
        report.findings = [finding.as_json() for finding in found]
    else:
        report = ConsistencyReport(
            company=company,
            checked_at=now,
            last_checked_at=now,
            findings=[finding.as_json() for finding in found],
            error_count=len(errors),
            warning_count=len(found) - len(errors),
            digest=digest,
            errors_digest=errors_digest,
            actor_label=actor.label[:200],
            # Errors that the former report told need no second mail.
            told_at=before.told_at if before is not None and before.errors_digest == errors_digest else None,
        )
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


@hooks.on_routine
def tick(now: datetime) -> None:
    """Run what is due: each active company once in its morning. A late worker makes up for one morning only."""
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
        return force_str(consistency.SEVERITY_LABELS[self.finding.severity])

    @property
    def scope_label(self) -> str:
        return force_str(consistency.SCOPE_LABELS[self.finding.scope])


def visible(found: Iterable[Finding], membership: Membership) -> list[Finding]:
    """The findings a user may see: those of the company and of the shops covered; accounts for their managers."""
    manages = access.can(membership, permissions.MANAGE_USERS)
    sites = (
        None
        if access.sees_all_shops(membership)
        else set(access.shops_of(membership).values_list("site_id", flat=True))
    )
    return [
        finding
        for finding in found
        if (not finding.shop or sites is None or finding.shop in sites)
        and (manages or finding.scope != consistency.Scope.ACCOUNT)
    ]


def lines(
    found: Iterable[Finding], membership: Membership, shops: dict[str, str], before: frozenset[str] | None = None
) -> list[Line]:
    """Findings in words, with the link that corrects each.

    Args:
        before: keys of the findings of the former report; None when there is none.
    """
    return [
        Line(
            finding,
            consistency_words.sentence(finding),
            consistency_words.advice(finding),
            consistency_words.place(finding, shops),
            correction_url(finding, membership),
            before is not None and finding.key not in before,
        )
        for finding in found
    ]


def correction_url(finding: Finding, membership: Membership) -> str:
    check = consistency.BY_CODE.get(finding.code)
    if check is None:
        return ""
    path, permission = PLACES[check.place]
    allowed = (
        access.has_on_site(membership, permission, finding.shop)
        if finding.shop and permission in permissions.SHOP_LEVEL
        else access.can_somewhere(membership, permission)
    )
    if not allowed:
        return ""
    address = quote(str(finding.params.get("address", "")), safe="@")
    return path.format(shop=finding.shop, rule=finding.rule, address=address)


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
    seen = [visible(findings_of(report), membership) for report in known]
    rows = []
    for number, report in enumerate(page):
        keys = {finding.key for finding in seen[number]}
        former = {finding.key for finding in seen[number + 1]} if number + 1 < len(seen) else None
        errors = len(consistency.errors_of(seen[number]))
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
