"""What a document would change: it is applied in a transaction that is rolled back.

The document is applied in a transaction that is taken back. What it changes is what the history would have said; what
is gained and lost is the difference of the delivery tables before and after, line by line, so nothing here decides
who receives what.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import models, transaction
from django.utils.translation import gettext as _

from backoffice.provisioning import companies, mail_servers
from backoffice.provisioning.work import ProvisioningError, Report, Work
from backoffice.schemas.plans import ChangeOut, CompanyPlanOut, PlanOut, SlipOut
from backoffice.schemas.tables import AddressOut, GapOut, LineOut, PlannedLineOut, TablesOut
from backoffice.text import addresses, slips
from companies import audit
from companies.audit import Actor
from companies.models import AuditEntry, Company, Contact, SftpAccount, User
from notifications import settings_facts
from notifications.health import verification
from notifications.models import CompanyRelay, NotificationRule
from notifications.tables import compute
from shops.models import Contract, Shop, ShopKey

Entries = Iterable[tuple[AuditEntry, models.Model]]
# Fields of the history that documents call otherwise.
_KEYS = {
    "is_active": "enabled",
    "credentials.TEST": "auth_test",
    "credentials.PRODUCTION": "auth_production",
    "algorithm_test": "keys.algorithm_test",
    "algorithm_production": "keys.algorithm_production",
}


@dataclass
class Plan:
    """What a document would do, with the numbers of objects that applying it would report."""

    document: PlanOut = field(default_factory=lambda: PlanOut(companies=[]))
    report: Report = field(default_factory=Report)

    def __str__(self) -> str:
        """The last line of the command."""
        plans = self.document.companies
        counted = {name: getattr(self.report, name) for name in ("companies", "created", "updated", "unchanged")}
        for name in ("gained", "lost", "gaps_opened", "gaps_closed"):
            counted[name] = sum(len(getattr(plan, name)) for plan in plans)
        return " ".join(f"{name}={value}" for name, value in counted.items())


def plan(document: Any, *, notify: bool = False) -> Plan:
    """What `provision` would do with a file, in the active language; nothing is written.

    Raises:
        ProvisioningError: what `provision` would refuse.
    """
    work = Work(Actor.command("provision"), notify)
    documents = companies.listed(work, document)
    work.trials = mail_servers.trials(documents, work.actor)
    return _plan(work, documents)


def plan_company(document: Any, *, actor: Actor, path: str = "") -> Plan:
    """What `provision_company` would do. Raises ProvisioningError as it does."""
    work = Work(actor, total_shops=companies.count_shops(document))
    work.trials = mail_servers.trials([(path, document)], actor)
    return _plan(work, [(path, document)])


def _plan(work: Work, documents: Iterable[tuple[str, Any]]) -> Plan:
    result = Plan(report=work.report)
    with transaction.atomic(), verification.silent():
        for path, document in documents:
            if (told := _company_plan(work, path, document)) is not None:
                result.document.companies.append(told)
        # No mail, no call: what waits for a commit never comes.
        transaction.set_rollback(True)
    if work.errors:
        raise ProvisioningError(work.errors)
    result.report.notes = tuple(f"{path}: {message}" for path, message in work.notes)
    return result


def _company_plan(work: Work, path: str, document: Any) -> CompanyPlanOut | None:
    """What one document would do; None where something is refused."""
    reference = document.get("reference") if isinstance(document, dict) else None
    before = _tables(reference)
    with audit.collected() as entries:
        companies.company_apply(work, path, document)
    if work.errors:
        return None
    after = _tables(reference)
    assert after is not None
    changes = list(_changes(entries))
    had, has = _lines(before), _lines(after)
    gaps_before, gaps_after = _gaps(before), _gaps(after)
    return CompanyPlanOut(
        company=after.company,
        created=before is None,
        updated=before is not None and bool(changes),
        changes=changes,
        gained=[line for key, line in has.items() if key not in had],
        lost=[line for key, line in had.items() if key not in has],
        gaps_opened=[gap for key, gap in gaps_after.items() if key not in gaps_before],
        gaps_closed=[gap for key, gap in gaps_before.items() if key not in gaps_after],
        slips=list(_slips(before, after)),
    )


def _slips(before: TablesOut | None, after: TablesOut) -> Iterator[SlipOut]:
    """The addresses that were nowhere before and look mistyped, as a form would ask about them."""
    known = {addresses.normalise(table.email) for table in before.addresses} if before else set()
    for table in after.addresses:
        meant = slips.suggestion(table.email)
        if meant is not None and addresses.normalise(table.email) not in known:
            yield SlipOut(email=table.email, meant=meant)


def _tables(reference: Any) -> TablesOut | None:
    """The delivery tables of a company as they are now; None while there is none."""
    company = Company.objects.filter(reference=reference).first() if isinstance(reference, str) else None
    if company is None:
        return None
    tables = compute.delivery_tables(settings_facts.company_facts(company, why_not=False), why_not=False)
    return TablesOut.model_validate(compute.delivery_tables_json(tables))


def line_identity(email: str, line: LineOut) -> tuple[str | None, ...]:
    """What makes a line the same one before and after."""
    return (addresses.normalise(email), line.notification, line.shop, line.rule, line.account, line.as_)


def _lines(tables: TablesOut | None) -> dict[tuple[str | None, ...], PlannedLineOut]:
    listed: list[AddressOut] = tables.addresses if tables else []
    return {
        line_identity(table.email, line): PlannedLineOut.model_validate({**line.model_dump(), "email": table.email})
        for table in listed
        for line in table.receives
    }


def _gaps(tables: TablesOut | None) -> dict[tuple[str | None, ...], GapOut]:
    return {(gap.notification, gap.shop, gap.rule): gap for gap in tables.gaps} if tables else {}


# --- Changes --------------------------------------------------------------------------------------


def _changes(entries: Entries) -> Iterator[ChangeOut]:
    """What the history would say, in the words of documents."""
    for entry, obj in entries:
        for name, (before, after) in entry.changes.items():
            yield ChangeOut(object=_object(obj), field=_field(obj, name), before=before, after=after)


def _object(obj: models.Model) -> str:
    """What a change is about, in the manner of the roles of the delivery tables."""
    match obj:
        case Contact():
            return f"{obj.kind}_contact"
        case Shop():
            return f"shop:{obj.site_id}"
        case ShopKey():
            return f"shop:{obj.shop.site_id}"
        case Contract():
            return f"contract:{obj.shop.site_id}/{obj.number}/{obj.network}"
        case NotificationRule():
            return f"rule:{obj.shop.site_id}/{obj.reference}"
        case User():
            return f"user:{obj.login}"
        case SftpAccount():
            return f"sftp_account:{obj.login}"
        case CompanyRelay():
            return "mail_server"
    return str(obj._meta.model_name)


def _field(obj: models.Model, name: str) -> str:
    if isinstance(obj, Contact):
        return name.partition(".")[2] or name
    if isinstance(obj, ShopKey):
        return f"keys.{obj.kind}"
    return _KEYS.get(name, name)


# --- Text -----------------------------------------------------------------------------------------


def plan_lines(told: PlanOut) -> Iterator[str]:
    """A plan as people read it, in the manner of a diff."""
    for company in told.companies:
        sign = "+" if company.created else "~" if company.updated else " "
        yield f"{sign} {company.company}"
        for change in company.changes:
            yield f"~   {change.object} {change.field}: {_value(change.before)} → {_value(change.after)}"
        for sign, lines in (("-", company.lost), ("+", company.gained)):
            for line in lines:
                yield f"{sign}   {line.email}: {_about(line)} [{line.as_}] {line.reason}"
        for sign, gaps in (("-", company.gaps_closed), ("+", company.gaps_opened)):
            for gap in gaps:
                yield f"{sign}   ! {_about(gap)} {gap.reason}"
        for slip in company.slips:
            question = _("Vouliez-vous dire %(meant)s ?") % {"meant": slip.meant}
            yield f"?   {slip.email}: {question}"


def _about(row: LineOut | GapOut) -> str:
    account = row.account if isinstance(row, LineOut) else None
    return " ".join(filter(None, [row.notification, row.shop, row.rule, account]))


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
