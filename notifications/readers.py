"""Who reads what of deliveries, calls and rules: the one way from a membership to their rows.

Pages, files, searches and counts begin here, so that none of them can show what the membership does
not cover. The functions without a membership serve an object that the caller has already got that way,
or a program with a token of the whole company.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from companies.models import Company, Membership
from companies.rights import access
from companies.rights import readers as account_readers
from notifications.core.address_health import HealthFacts
from notifications.core.catalogue import Channel
from notifications.models import AddressHealth, AddressSign, Attempt, CallHealth, Delivery, Event, NotificationRule
from shops.models import Shop

# Mail about one account: it carries identifiers (docs/rules.md 5.2).
ABOUT_ACCOUNTS = ("user_account", "sftp_account", "account_security")
# States of calls that a server was asked for: with an answer or without, for good or to be tried again.
_CALLED = (Delivery.Status.SENT, Delivery.Status.DEAD, Delivery.Status.RETRY)

# --- Deliveries -----------------------------------------------------------------------------------


def deliveries_for(membership: Membership) -> QuerySet[Delivery]:
    """The deliveries a user may see, newest first: those of their shops and of the company as a whole.

    Mail about accounts is for those who manage users, and of accounts that they may know of. What a message of
    the company says may be more than a line of it: see `proofs.may_read`.
    """
    deliveries = deliveries_of(None).filter(company_id=membership.company_id)
    every_shop = access.sees_all_shops(membership)
    if not account_readers.manages_accounts(membership):
        deliveries = deliveries.exclude(notification__in=ABOUT_ACCOUNTS)
    elif not every_shop:
        users = Q(account__in=account_readers.users_for(membership).order_by().values("login"))
        sftp = Q(account__in=account_readers.sftp_accounts_for(membership).order_by().values("login"))
        deliveries = deliveries.filter(
            ~Q(notification__in=ABOUT_ACCOUNTS)
            | Q(users, notification="user_account")
            | Q(sftp, notification="sftp_account")
            | Q(users | sftp, notification="account_security")
        )
    if not every_shop:
        deliveries = deliveries.filter(
            Q(shop__isnull=True) | Q(shop__in=access.shops_of(membership).order_by().values("pk"))
        )
    return deliveries


def deliveries_of(company: Company | None) -> QuerySet[Delivery]:
    """Every delivery of a company, or of the platform, for a program with a token; newest first."""
    deliveries = Delivery.objects.select_related("event", "shop", "rule").order_by("-created_at", "-pk")
    return deliveries if company is None else deliveries.filter(company=company)


# Refusals of an address that its page shows.
SHOWN_SIGNS = 20


def signs_for(membership: Membership, normalised: str) -> list[AddressSign]:
    """The last refusals of an address, newest first, of the deliveries that a user sees."""
    seen = deliveries_for(membership).filter(normalised_address=normalised).order_by().values("pk")
    signs = AddressSign.objects.filter(
        health__company=membership.company_id, health__normalised_address=normalised, delivery__in=seen
    )
    return list(signs[:SHOWN_SIGNS])


def health_of(delivery: Delivery) -> HealthFacts | None:
    """The state of the address of a delivery in its company today; None where nothing is known of it."""
    row = AddressHealth.objects.filter(
        company=delivery.company_id, normalised_address=delivery.normalised_address
    ).first()
    return row.facts if row is not None and delivery.normalised_address else None


def delivery_of_link(key: UUID) -> Delivery | None:
    """The delivery that the signed link of its own mail names; the link is the proof.

    None once its address was erased.
    """
    deliveries = Delivery.objects.select_related("company", "shop", "rule", "message").filter(pk=key, channel="email")
    return deliveries.exclude(normalised_address__endswith="@erased.invalid").first()


def deliveries_of_events(company_id: int, event_ids: Iterable[str]) -> QuerySet[Delivery]:
    """What some events of a company led to, newest first, for the page of the object they are about."""
    deliveries = Delivery.objects.filter(event__company_id=company_id, event__event_id__in=list(event_ids))
    return deliveries.select_related("event", "message").order_by("-created_at", "-pk")


def newest_of_event(company: OuterRef, event_id: OuterRef, notification: str) -> QuerySet[Delivery]:
    """The deliveries of the event named by an outer query, newest first."""
    deliveries = Delivery.objects.filter(event__company_id=company, event__event_id=event_id, notification=notification)
    return deliveries.order_by("-created_at", "-pk")


def test_run(shop: Shop, run: UUID) -> QuerySet[Delivery]:
    """What a test of a rule of this shop has led to so far, in order."""
    return Delivery.objects.filter(shop=shop, run=run, is_test=True).order_by("created_at")


def events_of(shop: Shop) -> QuerySet[Event]:
    """The events of a shop, oldest first."""
    return Event.objects.filter(shop=shop).order_by("occurred_at", "pk")


def events_named(membership: Membership, event_id: str) -> QuerySet[Event]:
    """The event of a company with this identifier, to find its deliveries by, which say for whom they are."""
    return Event.objects.filter(company_id=membership.company_id, event_id=event_id)


def events_for(membership: Membership) -> QuerySet[Event]:
    """The events of which a user may know, the newest first: those of their shops, and what they see a delivery of."""
    mine = access.shops_of(membership).order_by().values("pk")
    told = deliveries_for(membership).order_by().filter(event=OuterRef("pk"))
    events = Event.objects.filter(company_id=membership.company_id).filter(Q(shop__in=mine) | Exists(told))
    return events.select_related("shop").order_by("-accepted_at", "-pk")


def attempts_named(delivery: OuterRef, queue_id: str) -> QuerySet[Attempt]:
    """The attempts of an outer query's delivery to which the receiving server gave this name."""
    return Attempt.objects.filter(delivery=delivery, queue_id__iexact=queue_id)


# --- Rules ----------------------------------------------------------------------------------------


def rules_for(membership: Membership) -> QuerySet[NotificationRule]:
    """The live rules of every shop that a membership covers, by shop, in creation order."""
    rules = NotificationRule.objects.filter(archived_at__isnull=True, shop__company_id=membership.company_id)
    if not access.sees_all_shops(membership):
        rules = rules.filter(shop__in=access.shops_of(membership).order_by().values("pk"))
    return rules.select_related("shop").order_by("shop__site_id", "pk")


def rules_of(shop: Shop, *, archived: bool = False) -> QuerySet[NotificationRule]:
    """The live rules of a shop in creation order, or all that it ever had."""
    rules = NotificationRule.objects.filter(shop=shop).order_by("pk")
    return rules if archived else rules.filter(archived_at__isnull=True)


def rules_of_shops(shops: Iterable[Shop]) -> QuerySet[NotificationRule]:
    """The live rules of some shops, those of each shop in creation order."""
    return NotificationRule.objects.filter(shop__in=shops, archived_at__isnull=True).order_by("pk")


def live_rules(company: Company, shops: list[Shop] | None) -> QuerySet[NotificationRule]:
    """The rules in use of these shops, or of all of them, for reading."""
    rules = NotificationRule.objects.filter(archived_at__isnull=True, shop__company=company)
    # A short list of shops is named in the query; a long one is not, SQLite bounds its parameters.
    if shops is not None and len(shops) <= 100:
        rules = rules.filter(shop__in=shops)
    return rules.order_by("reference").defer("created_at", "updated_at")


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
    with_newest = NotificationRule.objects.filter(pk__in=[rule.pk for rule in rules]).annotate(newest=Subquery(newest))
    keys = dict(with_newest.order_by().values_list("newest", "pk"))
    return {keys[delivery.pk]: delivery for delivery in Delivery.objects.filter(pk__in=[key for key in keys if key])}


@dataclass(frozen=True)
class LastCall:
    """How one of the last calls of a rule ended."""

    pk: UUID
    address: str
    mode: str
    status: str
    at: datetime
    http_status: int | None
    error: str
    duration_ms: int | None


def last_calls(rules: Iterable[NotificationRule], count: int = 50) -> dict[int, list[LastCall]]:
    """The last automatic calls of some rules that got as far as an attempt, the newest first, by key of the rule.

    One query, however many rules: each of them reads its newest rows in an index.
    """
    keys = [rule.pk for rule in rules if rule.is_call]
    if not keys:
        return {}
    ended = Delivery.objects.filter(
        channel=Channel.IPN, is_test=False, status__in=[*_CALLED], attempt_count__gt=0
    ).order_by("-created_at", "-pk")
    # A compound statement takes no limits in its parts on SQLite, so they stand one level deeper.
    parts = [
        Delivery.objects.filter(pk__in=ended.filter(rule=key).values("pk")[:count]).order_by().values("pk")
        for key in keys
    ]
    newest = Attempt.objects.filter(delivery=OuterRef("pk")).order_by("-number").values("duration_ms")[:1]
    rows = Delivery.objects.filter(pk__in=parts[0].union(*parts[1:], all=True) if len(parts) > 1 else parts[0])
    columns = ("rule_id", "pk", "address", "mode", "status", "created_at", "http_status", "error", "duration")
    by_rule: dict[int, list[LastCall]] = {}
    read = rows.annotate(duration=Subquery(newest)).order_by("-created_at", "-pk").values_list(*columns)
    for key, *values in read:
        by_rule.setdefault(key, []).append(LastCall(*values))
    return by_rule


def rules_called_lately(membership: Membership, count: int) -> list[NotificationRule]:
    """The enabled rules of a user's shops that call a URL: those whose calls fail first, then the last to have called.

    Args:
        count: how many at most. Two queries or three.
    """
    failing = list(failing_calls_for(membership).values_list("rule", flat=True)[:count])
    # Among so many calls there are as many rules as a page shows.
    newest = deliveries_for(membership).filter(channel=Channel.IPN, is_test=False, rule__isnull=False)
    called = newest.values_list("rule", flat=True)[:500]
    keys = list(dict.fromkeys([*failing, *called]))
    rules = {rule.pk: rule for rule in rules_for(membership).filter(pk__in=keys, enabled=True)}
    return [rules[key] for key in keys if key in rules][:count]


def failing_calls_for(membership: Membership) -> QuerySet[CallHealth]:
    """The enabled rules of a user's shops whose every automatic call fails, by mode, longest first."""
    rules = rules_for(membership).filter(enabled=True).order_by().values("pk")
    failing = CallHealth.objects.filter(rule__in=rules, failing_since__isnull=False)
    return failing.select_related("rule__shop").order_by("failing_since", "pk")
