"""The facts of a company with what only the checks look at besides, in a constant number of queries."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db.models import Count, Q

from backoffice.text import zones
from companies.models import Company, Membership, Role, SftpAccount, Status, User
from notifications import readers, tokens
from notifications.calls.url_rules import check_url
from notifications.core.catalogue import MODES, Source
from notifications.core.facts import AccountFacts, CompanyFacts, ContractFacts, RuleFacts
from notifications.models import ApiToken, CallHealth, Delivery, NotificationRule
from notifications.settings_facts import company_facts, rule_facts, shop_facts
from shops.models import Contract, Shop, ShopKey

# How far back refused mail is looked at.
BOUNCE_DAYS = 30


def shop_with_keys(shop: Shop, rules: Iterable[NotificationRule], last: Mapping[int, Delivery]) -> CompanyFacts:
    """A shop's company with this shop alone and what the linter looks at: its keys, and how each last call ended.

    Args:
        rules: those of the shop, as they are stored or as they are being edited.
        last: from `readers.last_deliveries`.
    """
    linted = [linted_rule(rule, last.get(rule.pk)) for rule in rules]
    named = [entry for rule in linted for entry in rule.recipients]
    facts = company_facts(shop.company, shops=[shop], live_rules=[], accounts=False, also=named)
    kinds = frozenset(ShopKey.objects.filter(shop=shop).values_list("kind", flat=True))
    return replace(facts, shops=(replace(shop_facts(shop, linted), keys=kinds),))


def linted_rule(rule: NotificationRule, last: Delivery | None) -> RuleFacts:
    """The facts of a rule with how its last call was answered."""
    return replace(rule_facts(rule), last_http_status=last.http_status if last and rule.is_call else None)


def checked_facts(company: Company, now: datetime) -> CompanyFacts:
    """All that the consistency checks know of a company.

    Shops that are suspended or closed stay out: nothing is sent or taken there. Users are those of the company and
    its administrators from others.
    """
    shops = list(Shop.objects.filter(company=company, status=Status.ACTIVE).order_by("site_id"))
    rules, keys, contracts = _rules(shops, now), _keys(shops), _contracts(shops)
    users, sftp_accounts = _users(company), _sftp_accounts(company, now)
    named = [entry for of_shop in rules.values() for rule in of_shop for entry in rule.recipients]
    named += [account.email for account in (*users, *sftp_accounts)]
    facts = company_facts(company, shops=shops, live_rules=[], accounts=False, also=named)
    return replace(
        facts,
        registration_number=company.registration_number,
        address=company.address,
        time_zone_known=company.time_zone in zones.names(),
        users=users,
        sftp_accounts=sftp_accounts,
        shops=tuple(
            replace(
                shop_facts(shop, rules.get(shop.pk, ())),
                url=shop.url,
                keys=frozenset(keys.get(shop.pk, ())),
                algorithms=tuple((mode, getattr(shop, f"algorithm_{mode.lower()}")) for mode in MODES),
                contracts=tuple(contracts.get(shop.pk, ())),
                age_days=(now - shop.created_at).days,
            )
            for shop in shops
        ),
        bouncing=_bouncing(company, now),
        ending_tokens=_ending_tokens(company),
    )


def _keys(shops: list[Shop]) -> dict[int, set[str]]:
    kinds: dict[int, set[str]] = {}
    for shop, kind in ShopKey.objects.filter(shop__in=shops).order_by().values_list("shop_id", "kind"):
        kinds.setdefault(shop, set()).add(kind)
    return kinds


def _contracts(shops: list[Shop]) -> dict[int, list[ContractFacts]]:
    contracts: dict[int, list[ContractFacts]] = {}
    for contract in Contract.objects.filter(shop__in=shops):
        facts = ContractFacts(contract.number, contract.network, contract.three_d_secure, contract.takes_cards)
        contracts.setdefault(contract.shop_id, []).append(facts)
    return contracts


def _rules(shops: list[Shop], now: datetime) -> dict[int, list[RuleFacts]]:
    rules = list(readers.rules_of_shops(shops))
    last = readers.last_deliveries(rules)
    failing: dict[int, list[tuple[str, int]]] = {}
    for row in CallHealth.objects.filter(rule__in=rules, failing_since__isnull=False).order_by("mode"):
        assert row.failing_since
        failing.setdefault(row.rule_id, []).append((row.mode, (now - row.failing_since).days))
    by_shop: dict[int, list[RuleFacts]] = {}
    for rule in rules:
        facts = replace(
            linted_rule(rule, last.get(rule.pk)),
            refused_urls=tuple(_refused_urls(rule)),
            failing=tuple(failing.get(rule.pk, ())),
        )
        by_shop.setdefault(rule.shop_id, []).append(facts)
    return by_shop


def _refused_urls(rule: NotificationRule) -> Iterator[str]:
    for name in NotificationRule.URL_FIELDS:
        url = getattr(rule, name)
        if url:
            try:
                production = name in NotificationRule.PRODUCTION_URL_FIELDS
                check_url(url, production=production, http_confirmed=rule.http_confirmed)
            except ValidationError:
                yield url


def _users(company: Company) -> tuple[AccountFacts, ...]:
    administrators = set(
        Membership.objects.filter(company=company, role=Role.ADMINISTRATOR).values_list("user_id", flat=True)
    )
    # Administrators may belong to another company; disabled accounts are this company's own.
    users = User.objects.filter(Q(company=company) | Q(pk__in=administrators)).order_by("login")
    return tuple(
        AccountFacts(
            login=user.login,
            email=user.email,
            active=user.is_active,
            administrator=user.pk in administrators,
            logged_in=user.last_login is not None,
        )
        for user in users
    )


def _sftp_accounts(company: Company, now: datetime) -> tuple[AccountFacts, ...]:
    accounts = SftpAccount.objects.filter(company=company).order_by("login")
    waiting = set(accounts.exclude(unrevealed_password="").order_by().values_list("pk", flat=True))
    return tuple(
        AccountFacts(
            login=account.login,
            email=account.email,
            active=account.is_active,
            source=Source.SFTP_ACCOUNT,
            unrevealed_days=(now - account.created_at).days if account.pk in waiting else None,
        )
        for account in accounts
    )


def _ending_tokens(company: Company) -> tuple[str, ...]:
    ending = tokens.api_tokens(company, state=ApiToken.State.EXPIRING)
    return tuple(ending.order_by("name", "pk").values_list("name", flat=True))


def _bouncing(company: Company, now: datetime) -> frozenset[str]:
    """Normal forms of addresses that refused mail permanently and accepted none since."""
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
