"""Applying the state of a company or shop."""

from collections.abc import Callable

from django.utils.translation import gettext as _

from backoffice.provisioning.work import Work
from backoffice.schemas.settings import CompanyDocument, ShopDocument
from companies.audit import Changes
from companies.models import Company, Status
from shops.models import Shop


def status_save(
    work: Work,
    path: str,
    owner: Company | Shop,
    document: CompanyDocument | ShopDocument,
    save: Callable[[str, str], Changes],
) -> bool:
    """Give a company or shop the state of its document; a merchant's program may only repeat the present one."""
    given = document.given("status", "status_reason")
    if not given:
        return False
    state = given.get("status", owner.status)
    kept = owner.status_reason if state == owner.status else ""
    reason = "" if state == Status.ACTIVE else given.get("status_reason", kept)
    if (state, reason) == (owner.status, owner.status_reason):
        return False
    if work.actor.merchant:
        work.refuse(f"{path}.status", _("seule l'équipe de la plateforme change l'état"), state)
        return False
    changes: Changes = {}
    with work.guarded(path, given):
        changes = save(state, reason)
    return bool(changes)
