"""What the resolver needs to know of a company, frozen (DESIGN 5).

Built by `selectors.company_facts`; pure: no database, no settings, no clock.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ConditionFacts:
    """One comparison: `variable operator value`, value being a scalar or a tuple for lists."""

    variable: str
    operator: str
    value: Any


@dataclass(frozen=True)
class RuleFacts:
    """A notification rule of a shop.

    `recipients` holds the symbol `@shop_manager` or addresses as typed; empty means nobody, on
    purpose, decided by `emptied_by` on `emptied_on` (already in local form).
    """

    reference: str
    type: str
    label: str
    enabled: bool
    triggers: tuple[str, ...]
    conditions: tuple[ConditionFacts, ...] = ()
    recipients: tuple[str, ...] = ()
    version: int = 1
    has_url: bool = True
    emptied_by: str = ""
    emptied_on: str = ""


@dataclass(frozen=True)
class ShopFacts:
    """A shop; `manager_email` None means inherited from the company manager (DESIGN 4.1)."""

    site_id: str
    name: str
    language: str
    manager_email: str | None = None
    status: str = "active"
    rules: tuple[RuleFacts, ...] = ()


@dataclass(frozen=True)
class AccountFacts:
    """A user or SFTP account."""

    login: str
    email: str
    language: str = "fr"
    active: bool = True


@dataclass(frozen=True)
class CompanyFacts:
    reference: str
    name: str
    language: str
    manager_email: str
    technical_email: str | None = None
    incident_emails: tuple[str, ...] = ()
    status: str = "active"
    newsletter_opt_out: bool = False
    users: tuple[AccountFacts, ...] = ()
    sftp_accounts: tuple[AccountFacts, ...] = ()
    shops: tuple[ShopFacts, ...] = ()


@dataclass(frozen=True)
class EventFacts:
    """An event as conditions see it: its type, mode and data."""

    type: str
    mode: str
    data: dict[str, Any] = field(default_factory=dict)
