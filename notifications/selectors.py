"""Reads: facts for the resolver, tables for the screens, the journal. All scoped to a company."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import RowNumber
from django.utils import timezone
from django.utils.formats import date_format

from companies import access, permissions
from companies.models import AuditEntry, Company, Contact, Membership, SftpAccount, User
from shops.models import Shop, ShopKey

from . import addresses, linter, resolver, wording
from .catalogue import MODES, SHOP_MANAGER_SYMBOL, Channel, RuleType
from .facts import AccountFacts, CompanyFacts, RuleFacts, ShopFacts
from .models import ApiToken, Delivery, NotificationRule
from .resolver import Decision

# Errors of calls that were never to be made, for want of a URL.
NOT_CALLED = ("NO_URL", "FORM_URLS_ONLY")

# --- Facts ----------------------------------------------------------------------------------------


def company_facts(
    company: Company,
    *,
    shops: Iterable[Shop] | None = None,
    live_rules: Iterable[NotificationRule] | None = None,
    accounts: bool = True,
) -> CompanyFacts:
    """The facts of a company as they are now, in a constant number of queries.

    Args:
        shops: only these shops (a restricted user, or the one shop an event is about); None for all.
        live_rules: the rules of these shops, when the caller has read them already.
        accounts: whether user and SFTP accounts are read too.
    """
    contacts = dict(Contact.objects.filter(company=company).order_by().values_list("kind", "email"))
    wanted = list(Shop.objects.filter(company=company).order_by("site_id") if shops is None else shops)
    rules: dict[int, list[RuleFacts]] = {shop.pk: [] for shop in wanted}
    if live_rules is None:
        live_rules = _live_rules(company, None if shops is None else wanted)
    for rule in live_rules:
        if rule.shop_id in rules:
            rules[rule.shop_id].append(rule_facts(rule))
    users: QuerySet[User] = User.objects.filter(company=company).order_by("login") if accounts else User.objects.none()
    sftp = SftpAccount.objects.filter(company=company).order_by("login") if accounts else SftpAccount.objects.none()
    return CompanyFacts(
        reference=company.reference,
        name=company.name,
        language=company.language,
        manager_email=contacts.get(Contact.Kind.MANAGER, ""),
        technical_email=contacts.get(Contact.Kind.TECHNICAL),
        incident_emails=tuple(company.incident_emails),
        status=company.status,
        newsletter_opt_out=company.newsletter_opt_out,
        users=tuple(account_facts(user, company) for user in users),
        sftp_accounts=tuple(account_facts(account, company) for account in sftp),
        shops=tuple(shop_facts(shop, rules[shop.pk]) for shop in wanted),
    )


def _live_rules(company: Company, shops: list[Shop] | None) -> QuerySet[NotificationRule]:
    """The rules in use of these shops, or of all of them, for reading."""
    found = NotificationRule.objects.filter(archived_at__isnull=True, shop__company=company)
    # A short list of shops is named in the query; a long one is not, SQLite bounds its parameters.
    if shops is not None and len(shops) <= 100:
        found = found.filter(shop__in=shops)
    return found.order_by("reference").defer("created_at", "updated_at")


def shop_facts(shop: Shop, rules: Sequence[RuleFacts] = ()) -> ShopFacts:
    return ShopFacts(
        site_id=shop.site_id,
        name=shop.name,
        language=shop.language,
        manager_email=shop.manager_email or None,
        status=shop.status,
        rules=tuple(rules),
    )


def rule_facts(rule: NotificationRule) -> RuleFacts:
    return RuleFacts(
        reference=rule.reference,
        type=rule.type,
        label=rule.label,
        enabled=rule.enabled,
        triggers=tuple(rule.triggers),
        conditions=rule.condition_facts,
        recipients=tuple(rule.recipients),
        version=rule.version,
        has_url=rule.has_url,
        emptied_by=rule.emptied_by,
        emptied_on=date_format(timezone.localtime(rule.emptied_at), "SHORT_DATETIME_FORMAT") if rule.emptied_at else "",
    )


def account_facts(account: User | SftpAccount, company: Company) -> AccountFacts:
    return AccountFacts(
        login=account.login,
        email=account.email,
        language=account.language or company.language,
        active=account.is_active,
    )


def visible_facts(company: Company, membership: Membership | None) -> CompanyFacts:
    """The facts a user may see: every shop, or those the membership covers."""
    if membership is None or access.sees_all_shops(membership):
        return company_facts(company)
    return company_facts(company, shops=access.shops_of(membership))


# --- Delivery tables ------------------------------------------------------------------------------


@dataclass
class AddressTable:
    """One address: its roles, what reaches it, and what does not although it could."""

    email: str
    normalised: str
    roles: list[str]
    receives: list[Decision] = field(default_factory=list)
    why_not: list[Decision] = field(default_factory=list)


@dataclass
class DeliveryTables:
    """The delivery tables of a company: every address, and the gaps."""

    company: CompanyFacts
    addresses: list[AddressTable]
    gaps: list[Decision]


def delivery_tables(facts: CompanyFacts) -> DeliveryTables:
    """Group every decision under its address (DESIGN 7, delivery tables)."""
    tables = {
        normalised: AddressTable(email, normalised, names)
        for normalised, (email, names) in resolver.roles(facts).items()
    }
    gaps = []
    for decision in resolver.resolve_all(facts):
        if decision.gap:
            gaps.append(decision)
        elif decision.address:
            table = tables[decision.normalised]
            (table.receives if decision.delivers else table.why_not).append(decision)
    return DeliveryTables(facts, list(tables.values()), gaps)


def delivery_tables_json(tables: DeliveryTables) -> dict[str, Any]:
    """The tables in the shape of DESIGN 7, in the active language."""
    return {
        "company": tables.company.reference,
        "addresses": [
            {"email": table.email, "roles": table.roles, "receives": [line_json(line) for line in table.receives]}
            for table in tables.addresses
        ],
        "gaps": [
            {
                "notification": gap.notification,
                "shop": gap.shop,
                "rule": gap.rule,
                "on_purpose": gap.reason == "nobody_on_purpose",
                "reason": wording.decision_reason(gap),
            }
            for gap in tables.gaps
        ],
    }


def line_json(decision: Decision) -> dict[str, Any]:
    return {
        "notification": decision.notification,
        "shop": decision.shop,
        "rule": decision.rule,
        "account": decision.account,
        "triggers": list(decision.triggers),
        "as": decision.as_,
        "source": decision.source,
        "condition": wording.condition_sentence(decision),
        "reason": wording.decision_reason(decision),
        "configured_at": wording.configured_at(decision),
    }


def resolution_json(decision: Decision) -> dict[str, Any]:
    """The resolution that a delivery keeps (DESIGN 4.14)."""
    return {
        "source": decision.source,
        "reason": decision.reason,
        "params": decision.params,
        "inherited": decision.inherited,
        "rule": decision.rule,
        "rule_version": decision.rule_version,
    }


# --- Journal --------------------------------------------------------------------------------------


def deliveries(company: Company, membership: Membership | None = None) -> QuerySet[Delivery]:
    """The deliveries of a company that a user may see, newest first.

    Account mail carries identifiers, so only user administrators see it (DESIGN 5); a user
    restricted to some shops sees those shops' deliveries and the company's.
    """
    found = Delivery.objects.filter(company=company).select_related("event", "shop", "rule")
    if membership is not None:
        if not access.can(membership, permissions.MANAGE_USERS):
            found = found.exclude(notification__in=("user_account", "sftp_account", "account_security"))
        if not access.sees_all_shops(membership):
            found = found.filter(Q(shop__isnull=True) | Q(shop__in=access.shops_of(membership).values("pk")))
    return found.order_by("-created_at", "-pk")


def deliveries_of(company: Company | None) -> QuerySet[Delivery]:
    """Every delivery of a company, or of the platform, for a program with a token; newest first."""
    found = Delivery.objects.select_related("event", "shop", "rule").order_by("-created_at", "-pk")
    return found if company is None else found.filter(company=company)


def deliveries_filtered(
    found: QuerySet[Delivery],
    *,
    status: Sequence[str] = (),
    notification: str = "",
    channel: str = "",
    rule: str = "",
    shop: str = "",
    address: str = "",
    event: str = "",
    mode: str = "",
    since: Any = None,
    until: Any = None,
) -> QuerySet[Delivery]:
    """Narrow a list of deliveries; an empty argument does not filter.

    Args:
        address: a whole address (compared by its normal form) or a part of one.
        event: event id, or a part of it.
    """
    if status:
        found = found.filter(status__in=status)
    if notification:
        found = found.filter(notification=notification)
    if channel:
        found = found.filter(channel=channel)
    if rule:
        found = found.filter(rule__reference=rule)
    if shop:
        found = found.filter(shop__site_id=shop)
    if address:
        wanted = addresses.normalise(address)
        found = found.filter(Q(normalised_address__contains=wanted) | Q(address__icontains=address.strip()))
    if event:
        found = found.filter(event__event_id__icontains=event)
    if mode:
        found = found.filter(mode=mode)
    if since is not None:
        found = found.filter(created_at__gte=since)
    if until is not None:
        found = found.filter(created_at__lt=until)
    return found


# --- Home -----------------------------------------------------------------------------------------


def home_summary(company: Company, membership: Membership) -> dict[str, Any]:
    """The three answers of the home page: gaps, recent failures, recent changes."""
    facts = visible_facts(company, membership)
    tables = delivery_tables(facts)
    # A rule without URL is told on its own page; each payment of it is no failure of the week.
    recent = deliveries(company, membership).filter(created_at__gte=timezone.now() - timedelta(days=7))
    recent = recent.exclude(channel=Channel.IPN, error__in=NOT_CALLED)
    counts = dict.fromkeys(Delivery.Status.values, 0)
    for row in recent.order_by().values("status").annotate(n=Count("pk")):
        counts[row["status"]] = row["n"]
    return {
        "facts": facts,
        "gaps": tables.gaps,
        "gap_count": len(tables.gaps),
        "address_count": len(tables.addresses),
        "shops_count": len(facts.shops),
        "deliveries_7d": counts,
        "failing": failing_addresses(recent),
        "changes": list(AuditEntry.objects.filter(company=company).select_related("actor").order_by("-at", "-pk")[:5]),
    }


def failing_addresses(recent: QuerySet[Delivery]) -> list[dict[str, Any]]:
    """Addresses with failed deliveries among `recent`, worst first.

    `only_failures` tells an address to which nothing at all got through in that time.
    """
    failed = (Delivery.Status.DEAD, Delivery.Status.NOT_SENT, Delivery.Status.RETRY)
    rows = list(
        recent.order_by()
        .exclude(normalised_address="")
        .values("normalised_address")
        .annotate(
            count=Count("pk", filter=Q(status__in=failed)),
            sent=Count("pk", filter=Q(status=Delivery.Status.SENT)),
        )
        .filter(count__gt=0)
        .order_by("-count", "normalised_address")[:5]
    )
    newest_first = Window(
        RowNumber(), partition_by="normalised_address", order_by=[F("created_at").desc(), F("pk").desc()]
    )
    named = recent.filter(normalised_address__in=[row["normalised_address"] for row in rows], status__in=failed)
    newest = {last.normalised_address: last for last in named.order_by().annotate(place=newest_first).filter(place=1)}
    found = []
    for row in rows:
        last = newest[row["normalised_address"]]
        found.append(
            {
                "address": last.address,
                "count": row["count"],
                "only_failures": row["sent"] == 0,
                "last_error": last.error,
                "last_at": last.created_at,
            }
        )
    return found


# --- Rules ----------------------------------------------------------------------------------------


def rules_of(shop: Shop) -> QuerySet[NotificationRule]:
    """The live rules of a shop in creation order."""
    return NotificationRule.objects.filter(shop=shop, archived_at__isnull=True).order_by("pk")


def rules_in(membership: Membership) -> QuerySet[NotificationRule]:
    """The live rules of every shop that a membership covers, by shop, in creation order."""
    found = NotificationRule.objects.filter(archived_at__isnull=True, shop__company_id=membership.company_id)
    if not access.sees_all_shops(membership):
        found = found.filter(shop__in=access.shops_of(membership).values("pk"))
    return found.select_related("shop").order_by("shop__site_id", "pk")


def last_deliveries(rules: Iterable[NotificationRule]) -> dict[int, Delivery]:
    """The newest call of each rule that calls, the newest mail of each that writes, by key of the rule.

    Tests and the mails that tell of a failed call are left out. Two queries, however many rules.
    """
    newest = (
        Delivery.objects.filter(rule=OuterRef("pk"), is_test=False)
        .exclude(notification="ipn_failure")
        .order_by("-created_at", "-pk")
        .values("pk")[:1]
    )
    found = NotificationRule.objects.filter(pk__in=[rule.pk for rule in rules]).annotate(newest=Subquery(newest))
    keys = dict(found.order_by().values_list("newest", "pk"))
    return {keys[delivery.pk]: delivery for delivery in Delivery.objects.filter(pk__in=[key for key in keys if key])}


def shop_manager_email(shop: Shop) -> str:
    """The address that `@shop_manager` stands for in this shop today; empty when there is none."""
    contact = shop.company.manager_contact
    return shop.manager_email or (contact.email if contact else "")


def rule_sheets(
    shop: Shop, rules: Iterable[NotificationRule], last: dict[int, Delivery], manager: str
) -> list[linter.Sheet]:
    """What the linter knows of the rules of one shop; one query.

    Args:
        last: from `last_deliveries`.
        manager: from `shop_manager_email`.
    """
    kinds = set(ShopKey.objects.filter(shop=shop).values_list("kind", flat=True))
    return [rule_sheet(rule, last.get(rule.pk), manager, kinds) for rule in rules]


def rule_sheet(rule: NotificationRule, last: Delivery | None, manager: str, kinds: set[str]) -> linter.Sheet:
    form, rest = (rule.url_test, rule.url_production), (rule.rest_url_test, rule.rest_url_production)
    to_manager = SHOP_MANAGER_SYMBOL in rule.recipients
    known = [entry for entry in rule.recipients if entry != SHOP_MANAGER_SYMBOL]
    return linter.Sheet(
        reference=rule.reference,
        type=rule.type,
        label=rule.display_label,
        enabled=rule.enabled,
        triggers=tuple(rule.triggers),
        conditions=rule.condition_facts,
        recipients=frozenset(map(addresses.normalise, [*known, *([manager] if to_manager and manager else [])])),
        unaddressed=to_manager and not manager,
        form_urls=form,
        rest_urls=rest,
        last_http_status=last.http_status if last and rule.type == RuleType.IPN_CALL else None,
        keyless=tuple(
            mode
            for index, mode in enumerate(MODES)
            if (form[index] and mode.lower() not in kinds) or (rest[index] and f"rest_{mode.lower()}" not in kinds)
        ),
    )


# --- API tokens -----------------------------------------------------------------------------------

TOKEN_SORTS = {"name": "name", "created": "created_at", "expires": "expires_at", "used": "last_used_at"}


def api_tokens(company: Company, *, q: str = "", state: str = "") -> QuerySet[ApiToken]:
    """The tokens that speak for a company.

    Args:
        q: a part of the name, of the token's beginning or of its maker's identifier or name.
        state: one of `ApiToken.State`.
    """
    found = ApiToken.objects.filter(company=company).select_related("created_by")
    if q:
        by = Q(created_by__login__icontains=q) | Q(created_by__last_name__icontains=q)
        found = found.filter(Q(name__icontains=q) | Q(prefix__icontains=q) | by)
    now = timezone.now()
    conditions = {
        ApiToken.State.REVOKED: Q(revoked_at__isnull=False),
        ApiToken.State.EXPIRED: Q(revoked_at__isnull=True, expires_at__lte=now),
        ApiToken.State.REPLACED: Q(revoked_at__isnull=True, expires_at__gt=now, replaced_at__isnull=False),
        ApiToken.State.EXPIRING: Q(
            revoked_at__isnull=True, replaced_at__isnull=True, expires_at__gt=now, expires_at__lte=now + ApiToken.SOON
        ),
        ApiToken.State.ACTIVE: Q(revoked_at__isnull=True, replaced_at__isnull=True)
        & (Q(expires_at__isnull=True) | Q(expires_at__gt=now + ApiToken.SOON)),
    }
    return found.filter(conditions[ApiToken.State(state)]) if state else found
