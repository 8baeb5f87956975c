"""The last calls of a rule as a strip, with the share that succeeded and how long they take."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from companies.models import Company, Role, User
from notifications.models import CallHealth, NotificationRule
from notifications.rules.strips import strips_by_url, strips_for, strips_of
from shops.models import Shop
from tests.factories import DeliveryFactory, EventFactory, NotificationRuleFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


def called(rule: NotificationRule, status: str = "sent", ms: int = 100, **fields: Any) -> None:
    delivery = DeliveryFactory(
        event=EventFactory(shop=rule.shop), rule=rule, message=None, channel="ipn", notification="ipn_call",
        status=status, attempt_count=1, **{"address": rule.url_production, "mode": "PRODUCTION", **fields},
    )  # fmt: skip
    outcome = {"sent": "sent", "retry": "transient"}.get(status, "permanent")
    delivery.attempts.create(number=1, started_at=delivery.created_at, duration_ms=ms, outcome=outcome)


@pytest.fixture
def rule(paris: Shop) -> NotificationRule:
    return NotificationRuleFactory(shop=paris, ipn=True, reference="appel")


def test_rate_and_p95_are_those_of_the_last_fifty(rule: NotificationRule) -> None:
    old = timezone.now() - timedelta(days=9)
    called(rule, "dead", 9000, created_at=old)
    for n in range(50):
        called(rule, "dead" if n == 7 else "sent", ms=n + 1)
    called(rule, is_test=True, ms=9000)
    called(rule, "not_sent")
    strip = strips_of([rule])[rule.pk]
    assert (len(strip.calls), strip.succeeded, strip.percent, strip.p95_ms) == (50, 49, 98, 48)
    assert strip.sentence == "49 appels réussis sur les 50 derniers"


def test_each_url_has_a_strip_of_its_own(rule: NotificationRule) -> None:
    called(rule)
    called(rule, "dead", address="https://recette.example/ipn", mode="TEST")
    strips = {strip.url: strip for strip in strips_by_url(rule)}
    assert strips[rule.url_production].percent == 100
    assert (strips["https://recette.example/ipn"].percent, strips["https://recette.example/ipn"].mode) == (0, "TEST")


def test_home_begins_with_what_fails_and_shows_ones_own_shops_only(
    rule: NotificationRule, company: Company, lyon: Shop, claire: User
) -> None:
    failing = NotificationRuleFactory(shop=lyon, ipn=True)
    called(failing, "dead", created_at=timezone.now() - timedelta(days=3))
    called(rule)
    CallHealth.objects.create(rule=failing, mode="PRODUCTION", failing_since=timezone.now())
    assert [strip.rule for strip in strips_for(claire.memberships.get())] == [failing, rule]
    viewer = UserFactory(company=company, role=Role.VIEWER, shops=[rule.shop])
    assert [strip.rule for strip in strips_for(viewer.memberships.get())] == [rule]


def test_lists_and_the_rule_show_it_in_a_fixed_number_of_queries(
    client_for: ClientFor, rule: NotificationRule, claire: User
) -> None:
    client, counts = client_for(claire), []
    for _n in range(2):
        called(NotificationRuleFactory(shop=rule.shop, ipn=True))
        called(rule)
        with CaptureQueriesContext(connection) as queries:
            page = client.get("/settings/notification-rules/", {"shop": rule.shop.site_id}).content.decode()
            client.get("/settings/notification-rules/all/")
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert 'aria-label="2 appels réussis sur les 2 derniers"' in page
    own = client.get(f"/settings/notification-rules/{rule.shop.site_id}/appel/").content.decode()
    assert "Santé des URL" in own and 'class="chart-drawing" role="img"' in own
