"""Guards the hot paths: what one mail, one call, one event costs, so that a convenience added later cannot slow it unseen.

Statements and commits are counted over many, since they are shared; what is prepared once per process is warmed up first.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.utils import timezone

from notifications.calls import credentials, requests
from notifications.calls.door import Answer
from notifications.events.intake import validate_event
from notifications.events.publishing import accept_events
from notifications.models import Attempt, Delivery
from notifications.outbox import call_results, call_worker, leases, mail_loading, mail_results
from notifications.outbox.call_worker import CallWorker
from notifications.outbox.claims import CallClaims, MailClaims
from notifications.outbox.mail_worker import MailWorker
from notifications.outbox.tally import Tally
from notifications.outbox.transports.base import Parcel, Result
from notifications.outbox.transports.email import pack
from notifications.worker import loop
from tests.costs import Costs, counted, steps
from tests.endpoints import Endpoint, answers
from tests.factories import NotificationRuleFactory, ShopFactory, ShopKeyFactory
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 60


def accept(site_id: str, numbers: range) -> None:
    valid = [
        validate_event(
            {
                "id": f"evt-{number}",
                "type": "payment.accepted",
                "site_id": site_id,
                "mode": "PRODUCTION",
                "occurred_at": "2026-11-23T10:00:00Z",
                "data": {"transaction_id": f"{number:06d}", "amount": 1990, "currency": "EUR"},
            }
        )
        for number in numbers
    ]
    outcomes = accept_events(valid=valid)
    assert {outcome.status for outcome in outcomes} == {"accepted"}


def cost_of(work: Callable[[], Any]) -> Costs:
    with counted() as costs:
        work()
    return costs


def assert_nothing_prepared_again(costs: Costs) -> None:
    assert costs.files == []
    assert costs.templates == 0


def run(worker: MailWorker | CallWorker, clock: Any) -> Tally:
    """Steps until nothing is left, without the clock's own work."""
    tally = Tally()
    while True:
        statuses = worker.step(clock, wait=1.0)
        tally.count(statuses)
        if not worker.in_flight and not statuses.total():
            return tally


def test_a_mail_is_accepted_without_files_and_templates(settings: LazySettings) -> None:
    rule = NotificationRuleFactory(recipients=["@shop_manager"])
    accept(rule.shop.site_id, range(2))
    costs = cost_of(lambda: accept(rule.shop.site_id, range(2, 3)))
    assert_nothing_prepared_again(costs)
    assert (len(costs.statements), costs.commits) <= (9, 1)
    # A mail in both forms is most of it.
    assert costs.sent < 13_000
    many = cost_of(lambda: accept(rule.shop.site_id, range(3, 3 + MANY)))
    assert_nothing_prepared_again(many)
    # Of two statements for each table that many rows are cut into on SQLite.
    assert len(many.statements) <= len(costs.statements) + 6
    assert many.commits == 1
    assert many.sent < 9_000 * MANY


def test_mails_share_statements_and_commits(smtp_server: SmtpServer) -> None:
    rule = NotificationRuleFactory(recipients=["@shop_manager"])
    accept(rule.shop.site_id, range(2))
    loop.deliver_until_idle()
    accept(rule.shop.site_id, range(2, 2 + MANY))
    with leases.owner() as owner, MailWorker(owner) as worker:
        costs = cost_of(lambda: run(worker, timezone.now))
    assert Delivery.objects.filter(status="sent").count() == MANY + 2
    assert_nothing_prepared_again(costs)
    # At the worst each mail is a group of its own: two statements and a commit, besides the claims.
    assert len(costs.statements) <= 2 * MANY + 90
    assert costs.commits <= MANY + 12
    # The mail is read, and never written again.
    assert costs.sent < 2_500 * MANY


def test_a_group_of_mails_is_recorded_in_two_statements(smtp_server: SmtpServer) -> None:
    rule = NotificationRuleFactory(recipients=["@shop_manager"])
    accept(rule.shop.site_id, range(MANY))
    keys = MailClaims().claim("me", MANY)
    now = timezone.now()
    sent = Result(Attempt.Outcome.SENT, 250, "ok")
    ended = [mail_results.MailEnded(row, sent, now) for row in mail_loading.loaded(keys, "me")]
    costs = cost_of(lambda: mail_results.record(ended, "me"))
    assert (len(costs.statements), costs.commits) == (2, 1)
    assert Attempt.objects.count() == MANY
    assert costs.sent < 250 * MANY


def test_a_mail_is_accepted_packed_and_recorded_in_few_steps() -> None:
    """Lines of Python a mail, the same on any machine, once what the first one brings is in the caches."""
    rule = NotificationRuleFactory(recipients=["@shop_manager"])
    accept(rule.shop.site_id, range(2))
    assert steps(lambda: accept(rule.shop.site_id, range(2, 2 + MANY))) < 4_000 * MANY
    keys = MailClaims().claim("me", MANY)
    rows = mail_loading.loaded(keys, "me")
    assert all(isinstance(pack(row, lambda: True), Parcel) for row in rows)
    assert steps(lambda: [pack(row, lambda: True) for row in rows]) < 420 * MANY
    sent = Result(Attempt.Outcome.SENT, 250, "ok")
    ended = [mail_results.MailEnded(row, sent, timezone.now()) for row in rows]
    mail_results.record(ended[:2], "me")
    # The driver of PostgreSQL is written in Python.
    most = 950 if connection.vendor == "postgresql" else 370
    assert steps(lambda: mail_results.record(ended[2:], "me")) < most * MANY


def test_calls_share_statements_and_commits(settings: LazySettings) -> None:
    settings.IPN_ALLOW_PRIVATE_NETWORKS = True
    shop = ShopFactory()
    ShopKeyFactory(shop=shop, kind="production")
    with Endpoint() as endpoint:
        endpoint.at("/ipn", answers(200))
        NotificationRuleFactory(ipn=True, shop=shop, url_production=endpoint.url("/ipn"))
        accept(shop.site_id, range(2))
        loop.deliver_until_idle()
        accept(shop.site_id, range(2, 2 + MANY))
        with leases.owner() as owner, CallWorker(owner) as worker:
            costs = cost_of(lambda: run(worker, timezone.now))
    assert Delivery.objects.filter(status="sent", channel="ipn").count() == MANY + 2
    assert costs.templates == 0
    # Five at a time to one endpoint: groups of five at most, each claimed and recorded.
    assert len(costs.statements) <= 14 * MANY
    assert costs.commits <= 2 * MANY + 4
    assert costs.sent < 4_000 * MANY


def test_a_group_of_calls_is_claimed_loaded_and_recorded_in_few_statements() -> None:
    shop = ShopFactory()
    ShopKeyFactory(shop=shop, kind="production")
    NotificationRuleFactory(ipn=True, shop=shop, url_production="https://shop.example/ipn")
    accept(shop.site_id, range(MANY))
    claims, keys = CallClaims(), []
    costs = cost_of(lambda: keys.extend(claims.claim("me", MANY, lambda endpoint, in_flight: MANY - in_flight)))
    assert len(keys) == MANY
    # Whose turn it is, what is in flight, what is taken, its lease; and the lock of PostgreSQL.
    assert len(costs.statements) <= 4 + (connection.vendor == "postgresql")
    rows: list[Delivery] = []
    costs = cost_of(lambda: rows.extend(call_worker._loaded(keys, "me")))
    # The calls, their events and shops; the keys that sign them and their passwords come at the signing.
    assert len(costs.statements) == 3
    costs = cost_of(lambda: (requests.keys_of(rows), credentials.of_deliveries(rows)))
    assert len(costs.statements) == 2
    now = timezone.now()
    ended = [call_results.Ended(row, Answer("", 200, "ok"), now) for row in rows]
    costs = cost_of(lambda: call_results.record(ended, "me"))
    # The new states, the attempts, and whether any of them ends a failure.
    assert (len(costs.statements), costs.commits) == (3, 1)
    assert Attempt.objects.count() == MANY
