"""What the address of an account receives, stored or typed."""

from dataclasses import replace

from django.http import HttpResponse
from django.shortcuts import render

from backoffice.text import addresses
from companies.models import SftpAccount, User
from companies.rights.access import CompanyRequest
from notifications.core.facts import AccountFacts, CompanyFacts
from notifications.settings_facts import visible_facts
from notifications.tables import effects, impact
from notifications.tables.effects import EffectPanel


def panels_of(request: CompanyRequest, emails: list[str]) -> list[impact.Panel]:
    return impact.panels(visible_facts(request.company, request.membership, why_not=False), emails) if emails else []


def preview(request: CompanyRequest, kind: str, account: User | SftpAccount | None) -> HttpResponse:
    """The panel for the address being typed, as if the account were saved with it."""
    typed = addresses.bare(request.GET.get("email", "").strip())
    panels: list[impact.Panel] = []
    if typed:
        try:
            addresses.validate_single(typed)
        except addresses.InvalidAddress as error:
            panels = [impact.Panel(typed, [], error=str(error))]
        else:
            facts = visible_facts(request.company, request.membership, why_not=False)
            panels = impact.panels(_with_account(facts, kind, account, typed), [typed])
    return render(request, "companies/address_panel.html", {"panels": panels})


def account_effect(
    request: CompanyRequest,
    kind: str,
    account: User | SftpAccount | None,
    *,
    email: str = "",
    active: bool | None = None,
) -> EffectPanel:
    """What another address or state of an account changes; nothing is written.

    Args:
        kind: `users` or `sftp_accounts`.
        email, active: as they would be; left out where they stay.
    """
    facts = visible_facts(request.company, request.membership)
    wanted = email or (account.email if account else "")
    after = _with_account(facts, kind, account, wanted, active=active) if wanted else facts
    return effects.compared(facts, after)


def _with_account(
    facts: CompanyFacts, kind: str, account: User | SftpAccount | None, email: str, *, active: bool | None = None
) -> CompanyFacts:
    """Return the facts with this address for an account, or with a new account."""
    login = account.login if account else ""
    others = [item for item in getattr(facts, kind) if item.login != login]
    if active is None:
        active = account.is_active if account else True
    moved = (*others, AccountFacts(login or "?", email, facts.language, active))
    return replace(facts, users=moved) if kind == "users" else replace(facts, sftp_accounts=moved)
