"""Who is told what, and why: the one function behind the tables and the sending (DESIGN 4).

`resolve` is pure and total: it returns every candidate with a verdict and a reason. Sending keeps
the delivered ones; screens show all. No address receives anything that did not come out of here.

Reasons are codes with parameters; `wording.py` turns them into sentences.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from . import addresses
from .catalogue import (
    BY_CODE,
    NOTIFICATION_OF_RULE_TYPE,
    ORDER,
    SENT_IN_ANY_STATE,
    SHOP_MANAGER_SYMBOL,
    TABLE_ROWS,
    Notification,
    Scope,
    Source,
    sort_triggers,
)
from .facts import AccountFacts, CompanyFacts, ConditionFacts, EventFacts, RuleFacts, ShopFacts


@dataclass(frozen=True)
class Decision:
    """One candidate of one notification.

    Attributes:
        notification: catalogue code.
        address: as typed; empty for "nobody" (a gap). The URL, for a call.
        as_: "to" or "cc".
        source: a `Source` value.
        delivers: the verdict.
        reason: code of the reason, a key of `wording.REASONS`.
        params: values for the sentence.
        shop, rule, account: site_id, rule reference, login; None where it does not apply.
        triggers: triggers of the rule, in catalogue order.
        conditions: conditions of the rule.
        rule_version: version of the rule that was read.
        inherited: the shop manager address came from the company manager.
        gap: this candidate leaves the notification without any addressee.
    """

    notification: str
    address: str
    as_: str
    source: str
    delivers: bool
    reason: str
    params: dict[str, Any] = field(default_factory=dict, hash=False)
    shop: str | None = None
    rule: str | None = None
    account: str | None = None
    triggers: tuple[str, ...] = ()
    conditions: tuple[ConditionFacts, ...] = ()
    rule_version: int | None = None
    inherited: bool = False
    gap: bool = False

    @property
    def normalised(self) -> str:
        return addresses.normalise(self.address)

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
    """The shop's manager address and whether it is inherited (DESIGN 4.1)."""
    if shop.manager_email:
        return shop.manager_email, False
    return company.manager_email, True


def rule_matches(rule: RuleFacts, event: EventFacts) -> bool:
    """Whether an event fires a rule: one of its triggers, and all of its conditions."""
    return event.type in rule.triggers and all(condition_holds(condition, event) for condition in rule.conditions)


def condition_holds(condition: ConditionFacts, event: EventFacts) -> bool:
    """Evaluate one comparison (DESIGN 4b).

    A variable that the event does not carry makes it false, except `instalments`, absent = False,
    and `source`, absent = FORM.
    """
    if condition.variable == "mode":
        actual: Any = event.mode
    elif condition.variable == "instalments":
        actual = event.data.get("instalments")
        actual = False if actual is None else actual
    elif condition.variable == "source":
        actual = event.data.get("source") or "FORM"
    else:
        actual = event.data.get(condition.variable)
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


def _same(actual: Any, expected: Any) -> bool:
    # True == 1 in Python; a boolean and a number are different values here.
    return isinstance(actual, bool) == isinstance(expected, bool) and bool(actual == expected)


def resolve(
    company: CompanyFacts,
    notification: str,
    *,
    shop: ShopFacts | None = None,
    rule: RuleFacts | None = None,
    account: AccountFacts | None = None,
    occasion: dict[str, Any] | None = None,
) -> list[Decision]:
    """Every candidate of one notification, each with its verdict and reason.

    Args:
        company: the company as it is now.
        notification: a catalogue code.
        shop, rule, account: what it is about, as its scope asks.
        occasion: what is known only when it happens: `copy_ticked` for `payment_order_copy`,
            `address` for notifications to an address that is not configured (the URL of a call),
            `why_not` for a call that no URL serves. None when the question is general, as in the
            tables.

    Returns:
        The decisions, main recipients first.
    """
    row = BY_CODE[notification]
    found = _merge(list(_candidates(company, row, shop, rule, account, occasion)))
    return [_state_verdict(company, shop, row, _with_address(decision)) for decision in found]


def _with_address(decision: Decision) -> Decision:
    """Nothing is delivered to nowhere: a company still without its Contact gestionnaire."""
    if decision.delivers and not decision.address:
        return replace(decision, delivers=False, reason="no_address")
    return decision


def _candidates(
    company: CompanyFacts,
    row: Notification,
    shop: ShopFacts | None,
    rule: RuleFacts | None,
    account: AccountFacts | None,
    occasion: dict[str, Any] | None,
) -> Iterator[Decision]:
    about: dict[str, Any] = {"shop": shop.site_id if shop else None}
    if not row.in_tables:
        yield from _unconfigured_addressee(row, about, shop, rule, account, occasion or {})
    elif row.scope is Scope.RULE:
        assert shop and rule
        yield from _rule_candidates(company, row, shop, rule)
    elif row.scope is Scope.ACCOUNT:
        assert account
        yield Decision(
            row.code,
            account.email,
            "to",
            row.to,
            account.active,
            "own_account" if account.active else "account_disabled",
            {"login": account.login},
            account=account.login,
        )
    elif row.code == "platform_incident":
        for address in company.incident_emails:
            yield Decision(row.code, address, "to", row.to, True, "incident_contact")
        if not company.incident_emails:
            yield Decision(row.code, "", "to", row.to, False, "no_incident_contact", gap=True)
    else:
        for as_, source in (("to", row.to), ("cc", row.cc)):
            if source is None:
                continue
            decision = _contact_decision(company, row, shop, as_, source)
            if row.conditional and occasion is not None and not occasion.get("copy_ticked"):
                decision = replace(decision, delivers=False, reason="copy_not_ticked")
            if row.code == "newsletter" and company.newsletter_opt_out:
                decision = replace(decision, delivers=False, reason="newsletter_opt_out")
            yield replace(decision, **about)


def _contact_decision(
    company: CompanyFacts, row: Notification, shop: ShopFacts | None, as_: str, source: Source
) -> Decision:
    if source is Source.COMPANY_MANAGER:
        reason = "company_manager" if as_ == "to" else "company_manager_copy"
        return Decision(row.code, company.manager_email, as_, source, True, reason)
    assert source is Source.SHOP_MANAGER and shop
    address, inherited = shop_manager_address(company, shop)
    reason = "shop_manager_inherited" if inherited else "shop_manager"
    return Decision(row.code, address, as_, source, True, reason, {"shop": shop.name}, inherited=inherited)


def _rule_candidates(company: CompanyFacts, row: Notification, shop: ShopFacts, rule: RuleFacts) -> Iterator[Decision]:
    about: dict[str, Any] = {
        "shop": shop.site_id,
        "rule": rule.reference,
        "triggers": tuple(sort_triggers(rule.triggers)),
        "conditions": rule.conditions,
        "rule_version": rule.version,
    }
    named = {"rule": rule.label, "shop": shop.name}
    if not rule.recipients:
        params = {**named, "by": rule.emptied_by, "on": rule.emptied_on}
        if rule.enabled:
            yield Decision(row.code, "", "to", Source.RULE, False, "nobody_on_purpose", params, gap=True, **about)
        return
    # The symbol goes first, so that an explicit twin of the shop manager's address merges into it
    # and the line's source stays `shop_manager` (DESIGN 4.4).
    for recipient in sorted(rule.recipients, key=lambda entry: entry != SHOP_MANAGER_SYMBOL):
        if recipient == SHOP_MANAGER_SYMBOL:
            address, inherited = shop_manager_address(company, shop)
            source, reason = Source.SHOP_MANAGER, "rule_shop_manager_inherited" if inherited else "rule_shop_manager"
        else:
            address, inherited, source, reason = recipient, False, Source.RULE, "rule_recipient"
        yield Decision(
            row.code,
            address,
            "to",
            source,
            rule.enabled,
            reason if rule.enabled else "rule_disabled",
            named,
            inherited=inherited,
            **about,
        )


def _unconfigured_addressee(
    row: Notification,
    about: dict[str, Any],
    shop: ShopFacts | None,
    rule: RuleFacts | None,
    account: AccountFacts | None,
    occasion: dict[str, Any],
) -> Iterator[Decision]:
    """Candidates of the second group of the catalogue: the address comes with the occasion."""
    address = str(occasion.get("address") or (account.email if account else ""))
    source: str = row.to
    if account and occasion.get("sftp"):
        source = Source.SFTP_ACCOUNT
    delivers, reason = True, f"{row.code}_addressee"
    if row.scope is Scope.RULE and rule and not rule.enabled and not occasion.get("is_test"):
        delivers, reason = False, "rule_disabled"
    elif row.code == "ipn_call" and not address:
        delivers, reason = False, str(occasion.get("why_not") or "no_url")
    elif row.code == "account_security" and occasion.get("former"):
        reason = "former_address"
    elif not address:
        delivers, reason = False, "no_buyer_address"
    yield Decision(
        row.code,
        address,
        "to",
        source,
        delivers,
        reason,
        {
            "rule": rule.label if rule else "",
            "login": account.login if account else "",
            "shop": shop.name if shop else "",
        },
        rule=rule.reference if rule else None,
        account=account.login if account else None,
        triggers=tuple(sort_triggers(rule.triggers)) if rule else (),
        conditions=rule.conditions if rule else (),
        rule_version=rule.version if rule else None,
        **about,
    )


def _merge(candidates: list[Decision]) -> list[Decision]:
    """At most one message per address: To beats Cc, the first of equals wins, the merge is kept
    as a decision of its own (DESIGN 4.5)."""
    taken: dict[str, Decision] = {}
    merged = []
    for candidate in sorted(candidates, key=lambda decision: decision.as_ != "to"):
        key = candidate.normalised
        if candidate.delivers and key in taken:
            winner = taken[key]
            candidate = replace(
                candidate,
                delivers=False,
                reason="same_address",
                params={**candidate.params, "address": winner.address, "source": winner.source},
            )
        elif candidate.delivers:
            taken[key] = candidate
        merged.append(candidate)
    return merged


def _state_verdict(company: CompanyFacts, shop: ShopFacts | None, row: Notification, decision: Decision) -> Decision:
    """A suspended or closed company or shop sends only account and security mail (DESIGN 4.12)."""
    if row.code in SENT_IN_ANY_STATE:
        return decision
    for what, status in (("company", company.status), ("shop", shop.status if shop else "active")):
        if status != "active" and (decision.delivers or decision.gap):
            params = {**decision.params, "shop": shop.name if shop else ""}
            return replace(decision, delivers=False, gap=False, reason=f"{what}_{status}", params=params)
    return decision


def resolve_all(company: CompanyFacts) -> list[Decision]:
    """Every candidate of every table row of the catalogue, in table order.

    This is the delivery table: one line per shop for shop matters, per rule for rules, per
    account for accounts, one for company matters.
    """
    found: list[Decision] = []
    for row in TABLE_ROWS:
        match row.scope:
            case Scope.COMPANY:
                found += resolve(company, row.code)
            case Scope.SHOP:
                for shop in company.shops:
                    found += resolve(company, row.code, shop=shop)
            case Scope.RULE:
                for shop in company.shops:
                    for rule in shop.rules:
                        if NOTIFICATION_OF_RULE_TYPE[rule.type] == row.code:
                            found += resolve(company, row.code, shop=shop, rule=rule)
            case Scope.ACCOUNT:
                for account in company.users if row.to is Source.USER else company.sftp_accounts:
                    found += resolve(company, row.code, account=account)
    return sorted(found, key=lambda decision: decision.sort_key)


def roles(company: CompanyFacts) -> dict[str, tuple[str, list[str]]]:
    """Every address configured anywhere in the company.

    Returns:
        normalised address → (spelling of its first role, role names), sorted by code points.
    """
    collected: dict[str, tuple[str, list[str]]] = {}
    for address, role in _role_entries(company):
        _spelling, names = collected.setdefault(addresses.normalise(address), (address, []))
        if role not in names:
            names.append(role)
    return dict(sorted(collected.items()))


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
