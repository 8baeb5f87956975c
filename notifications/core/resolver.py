"""Who is notified of what, and why: the one function behind the tables and the sending (docs/rules.md 4).

`resolve` is pure and total: it returns every candidate with a verdict and a reason. Sending keeps
the delivered ones; screens show all. No address receives anything that did not come out of here.

Reasons are codes with parameters; `wording.py` turns them into sentences.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from backoffice.text import addresses
from notifications.core.address_health import AddressState, HealthFacts
from notifications.core.catalogue import (
    BY_CODE,
    NOTIFICATION_OF_RULE_TYPE,
    ORDER,
    SHOP_MANAGER_SYMBOL,
    TABLE_ROWS,
    Notification,
    Scope,
    Source,
    sort_triggers,
)
from notifications.core.facts import (
    AccountFacts,
    CompanyFacts,
    ConditionFacts,
    EventFacts,
    Occasion,
    RuleFacts,
    ShopFacts,
)
from notifications.core.reasons import OF_COMPANY_STATE, OF_SHOP_STATE, Reason

# A shop's few addresses are compared again for each of its notifications.
_normalised = lru_cache(maxsize=1024)(addresses.normalise)


@dataclass(frozen=True, slots=True)
class Decision:
    """One candidate of one notification.

    Attributes:
        notification: catalogue code.
        address: as typed; empty for "nobody" (a gap). The URL, for a call.
        as_: "to" or "cc".
        source: where the address comes from.
        delivers: the verdict.
        reason: why, in a code.
        params: values for the sentence; candidates of one matter may share them.
        shop, rule, account: site_id, rule reference, login; None where it does not apply.
        triggers: triggers of the rule, in catalogue order.
        conditions: conditions of the rule.
        rule_version: version of the rule that was read.
        digest: how the mails of the rule are put together, as `RuleFacts.mail_digest`.
        inherited: the shop manager address came from the company manager.
        gap: this candidate leaves the notification without any addressee.
    """

    notification: str
    address: str
    as_: str
    source: Source
    delivers: bool
    reason: Reason
    params: dict[str, Any] = field(default_factory=dict, hash=False)
    shop: str | None = None
    rule: str | None = None
    account: str | None = None
    triggers: tuple[str, ...] = ()
    conditions: tuple[ConditionFacts, ...] = ()
    rule_version: int | None = None
    digest: str | None = None
    inherited: bool = False
    gap: bool = False

    @property
    def normalised(self) -> str:
        return _normalised(self.address)

    @property
    def sort_key(self) -> tuple[int, str, str, str, int]:
        return (
            ORDER[self.notification],
            self.shop or "",
            self.rule or "",
            self.account or "",
            0 if self.as_ == "to" else 1,
        )


def shop_manager_address(company: CompanyFacts, shop: ShopFacts) -> tuple[str, bool]:
    """The shop's manager address and whether it is inherited (docs/rules.md 4.1)."""
    if shop.manager_email:
        return shop.manager_email, False
    return company.manager_email, True


# --- Rules and events -----------------------------------------------------------------------------


def rule_matches(rule: RuleFacts, event: EventFacts) -> bool:
    """Whether an event fires a rule: one of its triggers, and all of its conditions."""
    return event.type in rule.triggers and all(condition_holds(condition, event) for condition in rule.conditions)


def condition_holds(condition: ConditionFacts, event: EventFacts) -> bool:
    """Evaluate one comparison (docs/rules.md 4b).

    A variable that the event does not carry makes it false, except `instalments`, absent = False,
    and `source`, absent = FORM.
    """
    actual = _value_of(condition.variable, event)
    if actual is None:
        return False
    expected = condition.value
    match condition.operator:
        case "eq":
            return _same(actual, expected)
        case "ne":
            return not _same(actual, expected)
        case "gt" | "lt":
            if isinstance(actual, bool) or not isinstance(actual, int):
                return False
            return bool(actual > expected if condition.operator == "gt" else actual < expected)
        case "in":
            return any(_same(actual, item) for item in expected)
        case "not_in":
            return not any(_same(actual, item) for item in expected)
    return False


def _value_of(variable: str, event: EventFacts) -> Any:
    """What an event says in a variable of conditions; None when it does not say it."""
    match variable:
        case "mode":
            return event.mode
        case "instalments":
            said = event.data.get("instalments")
            return False if said is None else said
        case "source":
            return event.data.get("source") or "FORM"
    return event.data.get(variable)


def _same(actual: Any, expected: Any) -> bool:
    # True == 1 in Python; a boolean and a number are different values here.
    return isinstance(actual, bool) == isinstance(expected, bool) and bool(actual == expected)


# --- One notification -----------------------------------------------------------------------------


def resolve(
    company: CompanyFacts,
    notification: str,
    *,
    shop: ShopFacts | None = None,
    rule: RuleFacts | None = None,
    account: AccountFacts | None = None,
    occasion: Occasion | None = None,
) -> list[Decision]:
    """Every candidate of one notification, each with its verdict and reason.

    Args:
        company: the company as it is now.
        notification: a catalogue code.
        shop, rule, account: what it is about, as its scope asks.
        occasion: what is known only when it happens; None when the question is general, as in the tables.

    Returns:
        The decisions, main recipients first.
    """
    return _verdicts(BY_CODE[notification], _Matter(company, shop, rule, account, occasion))


class _Matter:
    """What a notification is about, with what all its candidates share."""

    __slots__ = ("account", "company", "manager", "named", "occasion", "rule", "shop", "silence", "site_id")

    def __init__(
        self,
        company: CompanyFacts,
        shop: ShopFacts | None = None,
        rule: RuleFacts | None = None,
        account: AccountFacts | None = None,
        occasion: Occasion | None = None,
    ) -> None:
        self.company, self.shop, self.rule, self.account, self.occasion = company, shop, rule, account, occasion
        self.site_id = shop.site_id if shop else None
        self.named = {"shop": shop.name} if shop else {}
        self.manager = shop_manager_address(company, shop) if shop else (company.manager_email, False)
        # Why nothing but account and security mail goes out now (docs/rules.md 4.12).
        self.silence = OF_COMPANY_STATE.get(company.status) or (OF_SHOP_STATE.get(shop.status) if shop else None)


def _verdicts(row: Notification, matter: _Matter) -> list[Decision]:
    """The candidates of a notification, each address at most once, none where the state forbids it."""
    decisions = [_with_address(decision) for decision in _merge(list(_candidates(row, matter)))]
    if matter.silence is None or row.in_any_state:
        return decisions if not matter.company.suppressed else _without_suppressed(row, matter, decisions)
    named = {"shop": matter.shop.name if matter.shop else ""}
    return [
        replace(decision, delivers=False, gap=False, reason=matter.silence, params={**decision.params, **named})
        if decision.delivers or decision.gap
        else decision
        for decision in decisions
    ]


def _without_suppressed(row: Notification, matter: _Matter, decisions: list[Decision]) -> list[Decision]:
    """Nothing goes to a suppressed address but what is about accounts, and the mail that verifies it.

    A critical notification that loses its last address by that is a gap (docs/rules.md 7.9).
    """
    if row.scope is Scope.ACCOUNT or (matter.occasion is not None and matter.occasion.verifies):
        return decisions
    suppressed = matter.company.suppressed
    kept = [
        replace(decision, delivers=False, reason=Reason.ADDRESS_SUPPRESSED)
        if decision.delivers and decision.normalised in suppressed
        else decision
        for decision in decisions
    ]
    lost = [now for before, now in zip(decisions, kept, strict=True) if before.delivers and not now.delivers]
    if row.critical and lost and not any(decision.delivers for decision in kept):
        kept.append(
            replace(
                lost[0], address="", source=row.to, as_="to", reason=Reason.ALL_SUPPRESSED, inherited=False, gap=True
            )
        )
    return kept


def _with_address(decision: Decision) -> Decision:
    """Nothing is delivered to nowhere: a company still without its Contact gestionnaire."""
    if decision.delivers and not decision.address:
        return replace(decision, delivers=False, reason=Reason.NO_ADDRESS)
    return decision


def _merge(candidates: list[Decision]) -> list[Decision]:
    """At most one message per address: To beats Cc, the first of equals wins, the merge is kept
    as a decision of its own (docs/rules.md 4.5)."""
    if len(candidates) < 2:
        return candidates
    taken: dict[str, Decision] = {}
    merged = []
    for candidate in sorted(candidates, key=lambda decision: decision.as_ != "to"):
        if candidate.delivers:
            winner = taken.setdefault(candidate.normalised, candidate)
            if winner is not candidate:
                params = {**candidate.params, "address": winner.address, "source": winner.source}
                candidate = replace(candidate, delivers=False, reason=Reason.SAME_ADDRESS, params=params)
        merged.append(candidate)
    return merged


# --- Candidates -----------------------------------------------------------------------------------


def _candidates(row: Notification, matter: _Matter) -> Iterator[Decision]:
    if row.in_tables:
        return _CONFIGURED[row.to](row, matter)
    return _security(row, matter) if row.scope is Scope.ACCOUNT else _unconfigured(row, matter)


def _contacts(row: Notification, matter: _Matter) -> Iterator[Decision]:
    """The contacts of shop and company that the row names."""
    for as_, source in (("to", row.to), ("cc", row.cc)):
        if source is not None:
            decision = _contact(row, matter, as_, source)
            refusal = _refusal(row, matter)
            yield replace(decision, delivers=False, reason=refusal) if refusal else decision


def _refusal(row: Notification, matter: _Matter) -> Reason | None:
    """Why the notification is not wanted, this time or at all."""
    if row.can_be_refused and matter.company.newsletter_opt_out:
        return Reason.NEWSLETTER_OPT_OUT
    if row.conditional and matter.occasion is not None and not matter.occasion.copy_ticked:
        return Reason.COPY_NOT_TICKED
    return None


def _contact(row: Notification, matter: _Matter, as_: str, source: Source) -> Decision:
    if source is Source.COMPANY_MANAGER:
        reason = Reason.COMPANY_MANAGER if as_ == "to" else Reason.COMPANY_MANAGER_COPY
        return Decision(row.code, matter.company.manager_email, as_, source, True, reason, shop=matter.site_id)
    assert source is Source.SHOP_MANAGER and matter.shop
    address, inherited = matter.manager
    reason = Reason.SHOP_MANAGER_INHERITED if inherited else Reason.SHOP_MANAGER
    return Decision(
        row.code, address, as_, source, True, reason, matter.named, shop=matter.site_id, inherited=inherited
    )


def _incident_contacts(row: Notification, matter: _Matter) -> Iterator[Decision]:
    for address in matter.company.incident_emails:
        yield Decision(row.code, address, "to", row.to, True, Reason.INCIDENT_CONTACT)
    if not matter.company.incident_emails:
        yield Decision(row.code, "", "to", row.to, False, Reason.NO_INCIDENT_CONTACT, gap=True)


def _own_account(row: Notification, matter: _Matter) -> Iterator[Decision]:
    account = matter.account
    assert account
    active = account.active or (matter.occasion is not None and matter.occasion.was_active)
    reason = Reason.OWN_ACCOUNT if active else Reason.ACCOUNT_DISABLED
    named = {"login": account.login}
    yield Decision(row.code, account.email, "to", row.to, active, reason, named, account=account.login)


def _rule_recipients(row: Notification, matter: _Matter) -> Iterator[Decision]:
    shop, rule = matter.shop, matter.rule
    assert shop and rule
    about: dict[str, Any] = {
        "shop": shop.site_id,
        "rule": rule.reference,
        "triggers": _in_order(rule.triggers),
        "conditions": rule.conditions,
        "rule_version": rule.version,
        "digest": rule.mail_digest,
    }
    named = {"rule": rule.label, "shop": shop.name}
    if not rule.recipients:
        params = {**named, "by": rule.emptied_by, "on": rule.emptied_on}
        if rule.enabled:
            yield Decision(row.code, "", "to", Source.RULE, False, Reason.NOBODY_ON_PURPOSE, params, gap=True, **about)
        return
    for address, source, reason, inherited in _recipients(rule, matter):
        told = reason if rule.enabled else Reason.RULE_DISABLED
        yield Decision(row.code, address, "to", source, rule.enabled, told, named, inherited=inherited, **about)


def _recipients(rule: RuleFacts, matter: _Matter) -> Iterator[tuple[str, Source, Reason, bool]]:
    """(address, source, reason, inherited) of each entry of the list.

    The symbol goes first, so that an explicit twin of the shop manager's address merges into it
    and the line's source stays `shop_manager` (docs/rules.md 4.4).
    """
    entries: Sequence[str] = rule.recipients
    if len(entries) > 1:
        entries = sorted(entries, key=lambda entry: entry != SHOP_MANAGER_SYMBOL)
    for recipient in entries:
        if recipient == SHOP_MANAGER_SYMBOL:
            address, inherited = matter.manager
            reason = Reason.RULE_SHOP_MANAGER_INHERITED if inherited else Reason.RULE_SHOP_MANAGER
            yield address, Source.SHOP_MANAGER, reason, inherited
        else:
            yield recipient, Source.RULE, Reason.RULE_RECIPIENT, False


_CONFIGURED: dict[Source, Callable[[Notification, _Matter], Iterator[Decision]]] = {
    Source.SHOP_MANAGER: _contacts,
    Source.COMPANY_MANAGER: _contacts,
    Source.INCIDENT_CONTACT: _incident_contacts,
    Source.RULE: _rule_recipients,
    Source.USER: _own_account,
    Source.SFTP_ACCOUNT: _own_account,
}


def _security(row: Notification, matter: _Matter) -> Iterator[Decision]:
    """The candidates of a security mail about an account, company or shop: the replaced address first."""
    occasion, account = matter.occasion or Occasion(), matter.account
    if occasion.managers:
        if occasion.former:
            source, reason = Source.COMPANY_MANAGER, Reason.FORMER_MANAGER_ADDRESS
            yield Decision(row.code, occasion.former, "to", source, True, reason, shop=matter.site_id)
        for source in occasion.managers:
            yield _contact(row, matter, "to", source)
    elif account and occasion.former:
        yield _addressee(row, matter, occasion.former, True, Reason.FORMER_ADDRESS)
    elif account:
        # Whoever changes the address of an account does not move these to a mailbox of their own.
        address = account.verified_email or account.email
        moved = _normalised(address) != _normalised(account.email)
        yield _addressee(row, matter, address, True, Reason.VERIFIED_ADDRESS if moved else Reason.ACCOUNT_SECURITY)


def _unconfigured(row: Notification, matter: _Matter) -> Iterator[Decision]:
    """The addressee whose address comes with the occasion."""
    occasion, rule = matter.occasion or Occasion(), matter.rule
    assert row.because
    if rule and not rule.enabled:
        yield _addressee(row, matter, occasion.address, False, Reason.RULE_DISABLED)
    elif occasion.address:
        yield _addressee(row, matter, occasion.address, True, row.because)
    else:
        yield _addressee(row, matter, "", False, occasion.why_not or row.without_address)


def _addressee(row: Notification, matter: _Matter, address: str, delivers: bool, reason: Reason) -> Decision:
    shop, rule, account = matter.shop, matter.rule, matter.account
    return Decision(
        row.code,
        address,
        "to",
        account.source if account else row.to,
        delivers,
        reason,
        {
            "rule": rule.label if rule else "",
            "login": account.login if account else "",
            "shop": shop.name if shop else "",
        },
        shop=matter.site_id,
        rule=rule.reference if rule else None,
        account=account.login if account else None,
        triggers=_in_order(rule.triggers) if rule else (),
        conditions=rule.conditions if rule else (),
        rule_version=rule.version if rule else None,
    )


# --- All of a company -----------------------------------------------------------------------------


def resolve_all(company: CompanyFacts, *, why_not: bool = True) -> list[Decision]:
    """Every candidate of every table row of the catalogue, in table order.

    This is the delivery table: one line per shop for shop matters, per rule for rules, per
    account for accounts, one for company matters.

    Args:
        why_not: without it, only what is delivered, and the gaps.
    """
    by_row: dict[str, list[Decision]] = {row.code: [] for row in TABLE_ROWS}
    whole = _Matter(company)
    for row in _rows_of(Scope.COMPANY):
        by_row[row.code] += _verdicts(row, whole)
    for row in _rows_of(Scope.ACCOUNT):
        accounts = company.users if row.to is Source.USER else company.sftp_accounts
        for account in sorted(accounts, key=lambda account: account.login):
            by_row[row.code] += _verdicts(row, _Matter(company, account=account))
    for shop in sorted(company.shops, key=lambda shop: shop.site_id):
        _resolve_shop(company, shop, by_row, why_not)
    decisions = [decision for row in TABLE_ROWS for decision in by_row[row.code]]
    return decisions if why_not else [one for one in decisions if one.delivers or one.gap]


def _resolve_shop(company: CompanyFacts, shop: ShopFacts, by_row: dict[str, list[Decision]], why_not: bool) -> None:
    """Add the candidates of one shop under their rows."""
    matter = _Matter(company, shop)
    for row in _rows_of(Scope.SHOP):
        by_row[row.code] += _verdicts(row, matter)
    for rule in sorted(shop.rules, key=lambda rule: rule.reference):
        code = NOTIFICATION_OF_RULE_TYPE[rule.type]
        # A rule that is off delivers nothing and leaves no gap.
        if code in by_row and (why_not or rule.enabled):
            matter.rule = rule
            by_row[code] += _verdicts(BY_CODE[code], matter)


def gaps(company: CompanyFacts) -> list[Decision]:
    """The gaps among `resolve_all`, in its order, without resolving what leaves none."""
    rows = [row for row in _rows_of(Scope.COMPANY) if row.to is Source.INCIDENT_CONTACT]
    decisions = [decision for row in rows for decision in resolve(company, row.code)]
    # Where no address is suppressed, only a rule without recipients leaves one in a shop.
    lossy = [row for row in _rows_of(Scope.SHOP) if row.critical and company.suppressed]
    for shop in company.shops:
        decisions += [decision for row in lossy for decision in resolve(company, row.code, shop=shop)]
        for rule in shop.rules:
            may_lack = company.suppressed or not rule.recipients
            if rule.enabled and may_lack and BY_CODE[NOTIFICATION_OF_RULE_TYPE[rule.type]].in_tables:
                decisions += resolve(company, NOTIFICATION_OF_RULE_TYPE[rule.type], shop=shop, rule=rule)
    return sorted((decision for decision in decisions if decision.gap), key=lambda decision: decision.sort_key)


@lru_cache(maxsize=512)
def _in_order(triggers: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sort_triggers(triggers))


@lru_cache
def _rows_of(scope: Scope) -> tuple[Notification, ...]:
    return tuple(row for row in TABLE_ROWS if row.scope is scope)


def roles(company: CompanyFacts) -> dict[str, tuple[str, list[str]]]:
    """Every address configured anywhere in the company.

    Returns:
        normalised address → (spelling of its first role, role names), sorted by code points.
    """
    collected: dict[str, tuple[str, list[str]]] = {}
    for address, role in _role_entries(company):
        _spelling, names = collected.setdefault(_normalised(address), (address, []))
        # A role that comes twice comes twice in a row: a list names one address in two spellings.
        if names[-1:] != [role]:
            names.append(role)
    return dict(sorted(collected.items()))


@dataclass(frozen=True, slots=True)
class Known:
    """An address of the settings with its state."""

    email: str
    health: HealthFacts


def in_state(company: CompanyFacts, state: AddressState) -> list[Known]:
    """The configured addresses in a state, spelled and sorted as in the tables; for screens, linter and checks."""
    if not company.health:
        return []
    configured = roles(company).items()
    return [
        Known(email, company.health_of(key)) for key, (email, _n) in configured if company.health_of(key).state is state
    ]


def _role_entries(company: CompanyFacts) -> Iterable[tuple[str, str]]:
    yield company.manager_email, "company_manager"
    if company.technical_email:
        yield company.technical_email, "technical_contact"
    for address in company.incident_emails:
        yield address, "incident_contact"
    shops = sorted(company.shops, key=lambda shop: shop.site_id)
    for shop in shops:
        yield shop_manager_address(company, shop)[0], f"shop_manager:{shop.site_id}"
    for shop in shops:
        for rule in sorted(shop.rules, key=lambda rule: rule.reference):
            for recipient in rule.recipients:
                if recipient != SHOP_MANAGER_SYMBOL:
                    yield recipient, f"rule:{shop.site_id}/{rule.reference}"
    for user in sorted(company.users, key=lambda account: account.login):
        yield user.email, f"user:{user.login}"
    for account in sorted(company.sftp_accounts, key=lambda account: account.login):
        yield account.email, f"sftp_account:{account.login}"


def resolution_json(decision: Decision) -> dict[str, Any]:
    """The resolution that a delivery keeps (docs/rules.md 4.14)."""
    return {
        "source": decision.source,
        "reason": decision.reason,
        "params": decision.params,
        "inherited": decision.inherited,
        "rule": decision.rule,
        "rule_version": decision.rule_version,
    }
