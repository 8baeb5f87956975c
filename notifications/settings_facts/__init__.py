"""The settings of a company as frozen facts, which the resolver, the checks and the tables read.

May import models, readers and `notifications.core`.
"""

from collections.abc import Iterable, Mapping, Sequence

from django.db.models import QuerySet

from backoffice.text import times
from companies.models import Company, Contact, Membership, SftpAccount, User
from companies.rights import access
from companies.rights import readers as account_readers
from notifications import readers
from notifications.core.catalogue import Source
from notifications.core.facts import AccountFacts, CompanyFacts, RuleFacts, ShopFacts
from notifications.models import NotificationRule
from notifications.settings_facts import bulk, health
from shops.models import Shop


def company_facts(
    company: Company,
    *,
    shops: Iterable[Shop] | None = None,
    live_rules: Iterable[NotificationRule] | None = None,
    accounts: bool = True,
    reader: Membership | None = None,
    contacts: Mapping[str, str] | None = None,
    why_not: bool = True,
    also: Iterable[str] | None = (),
) -> CompanyFacts:
    """The facts of a company as they are now, in a constant number of queries.

    Args:
        shops: only these shops (a restricted user, or the one shop an event is about); None for all.
        live_rules: the rules of these shops, when the caller has read them already.
        accounts: whether user and SFTP accounts are read too.
        reader: whose eyes it is for: only the accounts that they may know of. None for all.
        contacts: kind → address, when the caller has read them already.
        why_not: without it, rules are left out on which nothing in the delivery tables depends but why an address
            does not receive something (`compute.delivery_tables` has the same word for it).
        also: addresses besides the configured ones whose state is wanted: of an occasion, of a question. None: no
            states are read, the caller has them.
    """
    if contacts is None:
        contacts = contacts_of(company)
    if live_rules is None and (shops is None or isinstance(shops, QuerySet)):
        facts_of_shops = bulk.shops_with_rules(company, shops, why_not=why_not)
    else:
        facts_of_shops = _shops_with_rules(
            company, list(Shop.objects.filter(company=company) if shops is None else shops), live_rules
        )
    users, sftp = _accounts(company, reader) if accounts else ((), ())
    facts = of_company(
        company,
        contacts=contacts,
        users=(account_facts(user, company) for user in users),
        sftp_accounts=(account_facts(account, company) for account in sftp),
        shops=facts_of_shops,
        reader=reader,
    )
    return facts if also is None else health.added(company, facts, also)


def of_company(
    company: Company,
    *,
    contacts: Mapping[str, str],
    users: Iterable[AccountFacts],
    sftp_accounts: Iterable[AccountFacts],
    shops: Iterable[ShopFacts],
    reader: Membership | None,
) -> CompanyFacts:
    """The facts of a company and of what was read with it, now or for a past moment; without states of addresses.

    Args:
        company: as it is, or as it was; only its columns are read.
        contacts: kind → address.
    """
    return CompanyFacts(
        reference=company.reference,
        name=company.name,
        language=company.language,
        manager_email=contacts.get(Contact.Kind.MANAGER, ""),
        technical_email=contacts.get(Contact.Kind.TECHNICAL),
        incident_emails=tuple(company.incident_emails),
        status=company.status,
        newsletter_opt_out=company.newsletter_opt_out,
        users=tuple(users),
        sftp_accounts=tuple(sftp_accounts),
        shops=tuple(shops),
        is_whole=reader is None or account_readers.sees_everything(reader),
        verify_addresses=company.verify_addresses,
    )


def contacts_of(company: Company) -> dict[str, str]:
    """Kind of contact → its address; one query."""
    return dict(Contact.objects.filter(company=company).order_by().values_list("kind", "email"))


def _shops_with_rules(
    company: Company, shops: list[Shop], live_rules: Iterable[NotificationRule] | None
) -> tuple[ShopFacts, ...]:
    """The facts of shops that the caller has read already."""
    rules: dict[int, list[RuleFacts]] = {shop.pk: [] for shop in shops}
    for rule in readers.live_rules(company, shops) if live_rules is None else live_rules:
        if rule.shop_id in rules:
            rules[rule.shop_id].append(rule_facts(rule))
    return tuple(shop_facts(shop, rules[shop.pk]) for shop in shops)


def _accounts(company: Company, reader: Membership | None) -> tuple[Iterable[User], Iterable[SftpAccount]]:
    """The accounts that a company manages, as far as the reader may know of them."""
    if reader is None:
        users, sftp = User.objects.all(), SftpAccount.objects.all()
    else:
        users, sftp = account_readers.users_for(reader), account_readers.sftp_accounts_for(reader)
    return users.filter(company=company).order_by("login"), sftp.filter(company=company).order_by("login")


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
        digest=rule.digest,
        form_urls=(rule.url_test, rule.url_production),
        rest_urls=(rule.rest_url_test, rule.rest_url_production),
        emptied_by=rule.emptied_by,
        emptied_on=times.short_moment(rule.emptied_at) if rule.emptied_at else "",
    )


def account_facts(account: User | SftpAccount, company: Company) -> AccountFacts:
    """Return the facts of an account as it is now."""
    return AccountFacts(
        login=account.login,
        email=account.email,
        language=account.language or company.language,
        active=account.is_active,
        verified_email=account.verified_email if isinstance(account, User) else "",
        source=Source.USER if isinstance(account, User) else Source.SFTP_ACCOUNT,
    )


def shop_only(shop: Shop) -> CompanyFacts:
    """The facts of a shop's company with this shop alone and no account: all that a change of the shop can touch."""
    return company_facts(shop.company, shops=[shop], accounts=False)


def visible_facts(
    company: Company,
    membership: Membership | None,
    *,
    why_not: bool = True,
    accounts: bool = True,
    contacts: Mapping[str, str] | None = None,
    also: Iterable[str] = (),
) -> CompanyFacts:
    """The facts a user may see: the shops the membership covers, the accounts they may know of.

    Args:
        why_not, accounts, contacts, also: as in `company_facts`.
    """
    every_shop = membership is None or access.sees_all_shops(membership)
    shops = None if every_shop or membership is None else access.shops_of(membership)
    return company_facts(
        company, shops=shops, reader=membership, why_not=why_not, accounts=accounts, contacts=contacts, also=also
    )
