"""Applying the document of a company: its own settings, its contacts, and all that belongs to it."""

from typing import Any

from django.utils.translation import gettext as _

from backoffice.provisioning import accounts, mail_servers, shops
from backoffice.provisioning.states import status_save
from backoffice.provisioning.work import Work
from backoffice.schemas.settings import CompanyDocument, ContactDocument, SettingsFile
from companies import services
from companies.audit import Changes
from companies.models import Company, Contact

_COLUMNS = (
    "name",
    "registration_number",
    "address",
    "country",
    "language",
    "time_zone",
    "incident_emails",
    "newsletter_opt_out",
    "verify_addresses",
)
_CONTACTS = {Contact.Kind.MANAGER: "manager_contact", Contact.Kind.TECHNICAL: "technical_contact"}


def listed(work: Work, document: Any) -> list[tuple[str, Any]]:
    """(path, document) of each company of a file; nothing after refusing what is no file."""
    if work.read(SettingsFile, document, "") is None:
        return []
    companies = document.get("companies")
    if companies in (None, ""):
        work.refuse("companies", _("valeur obligatoire"))
        return []
    entries = list(work.items(companies, "companies"))
    work.total_shops = sum(count_shops(item) for _path, item in entries)
    return entries


def count_shops(item: Any) -> int:
    shops = item.get("shops") if isinstance(item, dict) else None
    return len(shops) if isinstance(shops, list) else 0


def company_apply(work: Work, path: str, item: Any) -> None:
    """Create or change a company, its contacts, shops and accounts, counting what became of each."""
    document = work.read(CompanyDocument, item, path)
    if document is None:
        return
    work.report.companies += 1
    if not work.once("company", document.reference, f"{path}.reference"):
        return
    company = Company.objects.filter(reference=document.reference).first()
    created = company is None
    if not _contacts_are_whole(work, path, document, created=created):
        work.look_inside(CompanyDocument, item, path)
        return
    changed: Any = False
    before = len(work.errors)
    with work.guarded(path, item):
        columns = document.given(*_COLUMNS)
        if company is None:
            company = services.company_create(actor=work.actor, reference=document.reference, **columns)
        else:
            changed = services.company_update(company=company, actor=work.actor, **columns)
    if company is None or len(work.errors) != before:
        work.look_inside(CompanyDocument, item, path)
        return
    changed = _contacts_save(work, path, company, document) or changed
    for where, shop in work.items(item.get("shops"), f"{path}.shops"):
        shops.shop_apply(work, where, company, shop)
    if "sftp_accounts" in item:
        changed = accounts.sftp_accounts_apply(work, path, company, item["sftp_accounts"]) or changed
    if "users" in item:
        accounts.users_apply(work, path, company, item["users"])
    changed = mail_servers.mail_server_apply(work, path, company, document) or changed
    changed = _status_save(work, path, company, document) or changed
    work.report.count(created, changed)


def _contacts_are_whole(work: Work, path: str, document: CompanyDocument, *, created: bool) -> bool:
    """Whether a manager is named where there must be one, and a new contact has an address."""
    before = len(work.errors)
    if created and not document.has("manager_contact"):
        work.refuse(f"{path}.manager_contact", _("valeur obligatoire"))
    elif document.has("manager_contact") and document.manager_contact is None:
        work.refuse(f"{path}.manager_contact", _("un objet est attendu"), None)
    for key in _CONTACTS.values():
        contact: ContactDocument | None = getattr(document, key)
        if created and contact is not None and not contact.email:
            work.refuse(f"{path}.{key}.email", _("valeur obligatoire"))
    return len(work.errors) == before


def _contacts_save(work: Work, path: str, company: Company, document: CompanyDocument) -> bool:
    changed = False
    for kind, key in _CONTACTS.items():
        if not document.has(key):
            continue
        contact: ContactDocument | None = getattr(document, key)
        if contact is None:
            changed = services.technical_contact_remove(company=company, actor=work.actor) or changed
            continue
        fields = contact.given()
        with work.guarded(f"{path}.{key}", fields):
            saved = services.contact_save(company=company, kind=kind, actor=work.actor, notify=False, **fields)
            changed = bool(saved) or changed
    return changed


def _status_save(work: Work, path: str, company: Company, document: CompanyDocument) -> bool:
    def save(state: str, reason: str) -> Changes:
        return services.company_set_status(company=company, actor=work.actor, state=state, reason=reason, notify=False)

    return status_save(work, path, company, document, save)
