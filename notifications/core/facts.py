"""The settings of a company as resolver, linter and consistency checks read them, frozen (docs/rules.md 2).

One picture for all: what only the checks look at is left empty where nobody checks. Read by `notifications/settings_facts/`; pure: no database, no settings, no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from notifications.core.address_health import UNKNOWN, AddressState, HealthFacts
from notifications.core.catalogue import EACH, MODES, SHOP_MANAGER_SYMBOL, RuleType, Source
from notifications.core.reasons import Reason


@dataclass(frozen=True, slots=True)
class ConditionFacts:
    """One comparison: `variable operator value`, value being a scalar or a tuple for lists."""

    variable: str
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """A notification rule of a shop.

    Attributes:
        recipients: the symbol `@shop_manager` or addresses as typed; empty means nobody, on purpose, decided
            by `emptied_by` on `emptied_on` (already in local form).
        digest: one of DIGESTS; of a rule that writes to merchants.
        form_urls, rest_urls: what to call in each of MODES; empty for nothing.
        last_http_status: how the last call was answered, None without a call. For checks.
        refused_urls: stored URLs that could not be saved any more today. For checks.
        failing: (mode, whole days since when every call failed). For checks.
    """

    reference: str
    type: str
    label: str
    enabled: bool
    triggers: tuple[str, ...]
    conditions: tuple[ConditionFacts, ...] = ()
    recipients: tuple[str, ...] = ()
    version: int = 1
    form_urls: tuple[str, str] = ("", "")
    rest_urls: tuple[str, str] = ("", "")
    digest: str = EACH
    emptied_by: str = ""
    emptied_on: str = ""
    last_http_status: int | None = None
    refused_urls: tuple[str, ...] = ()
    failing: tuple[tuple[str, int], ...] = ()

    @property
    def mail_digest(self) -> str | None:
        """How its mails are put together, as tables say it; None where it writes none to merchants."""
        return self.digest if self.type == RuleType.MERCHANT_EMAIL else None

    @property
    def has_url(self) -> bool:
        return any(self.form_urls) or any(self.rest_urls)

    @property
    def urls(self) -> dict[str, tuple[str, ...]]:
        """Mode → URLs to call in that mode, form first."""
        return {
            mode: tuple(filter(None, (self.form_urls[index], self.rest_urls[index])))
            for index, mode in enumerate(MODES)
        }

    @property
    def typed_recipients(self) -> tuple[str, ...]:
        """The addresses typed in the rule itself."""
        return tuple(entry for entry in self.recipients if entry != SHOP_MANAGER_SYMBOL)


@dataclass(frozen=True, slots=True)
class ContractFacts:
    """A contract (MID) of a shop with its bank."""

    number: str
    network: str
    three_d_secure: bool
    takes_cards: bool = True


@dataclass(frozen=True, slots=True)
class ShopFacts:
    """A shop.

    Attributes:
        manager_email: None means inherited from the company manager (docs/rules.md 4.1).
        url: of the merchant's site. For checks, as all that follows.
        keys: kinds of keys it has (`test`, `production`, `rest_test` …).
        algorithms: mode → signature algorithm.
        age_days: whole days since it was created.
    """

    site_id: str
    name: str
    language: str
    manager_email: str | None = None
    status: str = "active"
    rules: tuple[RuleFacts, ...] = ()
    url: str = ""
    keys: frozenset[str] = frozenset()
    algorithms: tuple[tuple[str, str], ...] = ()
    contracts: tuple[ContractFacts, ...] = ()
    age_days: int = 0

    @property
    def in_production(self) -> bool:
        return "production" in self.keys


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """A user or SFTP account.

    Attributes:
        verified_email: where messages about its security go instead; empty: to `email`.
        source: which of the two it is.
        administrator, logged_in: of a user. For checks, as what follows.
        unrevealed_days: age in days of an SFTP account whose password waits to be looked at; None when none waits.
    """

    login: str
    email: str
    language: str = "fr"
    active: bool = True
    verified_email: str = ""
    source: Source = Source.USER
    administrator: bool = False
    logged_in: bool = True
    unrevealed_days: int | None = None


@dataclass(frozen=True, slots=True)
class CompanyFacts:
    """A company.

    Attributes:
        is_whole: False where its reader sees only some of its shops or accounts.
        verify_addresses: a new address is asked to confirm itself, and coverage tells which ones have.
        health: normal form of an address → its state, where something is known of it.
        suppressed: those of them that nothing is sent to any more.
        registration_number: for checks, as all that follows.
        bouncing: normal form of the addresses that every mail of the last month failed to reach.
        ending_tokens: names of the API tokens that end within a month and have no successor.
    """

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
    is_whole: bool = True
    verify_addresses: bool = False
    health: Mapping[str, HealthFacts] = field(default_factory=dict, hash=False)
    suppressed: frozenset[str] = field(init=False, default=frozenset())
    registration_number: str = "-"
    address: str = "-"
    time_zone_known: bool = True
    bouncing: frozenset[str] = frozenset()
    ending_tokens: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.health:
            out = (key for key, one in self.health.items() if one.state is AddressState.SUPPRESSED)
            object.__setattr__(self, "suppressed", frozenset(out))

    def health_of(self, normalised: str) -> HealthFacts:
        """The state of an address, by its normal form."""
        return self.health.get(normalised, UNKNOWN)


@dataclass(frozen=True, slots=True)
class EventFacts:
    """An event as conditions see it: its type, mode and data."""

    type: str
    mode: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Occasion:
    """What is known of recipients only when something happens; the settings do not say it.

    Attributes:
        address: of an addressee that is not configured: a buyer, a typed address, the URL of a call.
        language: that of the addressee; empty where the settings decide it.
        copy_ticked: the copy for the shop manager was asked for on this payment order.
        managers: the contacts that a change of the company or shop itself is told to, main one first.
        former: the address that a change of address replaced.
        verifies: the message asks an address to confirm itself, so it goes to one that is suppressed, too.
        was_active: the account was active until this event, which then is decided on it as it was: whoever is
            disabled is told so (docs/rules.md 4.12).
        why_not: why a call has no URL.
    """

    address: str = ""
    language: str = ""
    copy_ticked: bool = False
    managers: tuple[Source, ...] = ()
    former: str = ""
    verifies: bool = False
    was_active: bool = False
    why_not: Reason | None = None
