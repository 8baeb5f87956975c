"""The alarm when a shop takes no payment for too long."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from companies.audit import Actor
from notifications.core import catalogue
from notifications.events import silences
from notifications.models import Event, NotificationRule, SilenceWatch
from notifications.rules import services
from shops.models import Shop
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db
ACTOR = Actor(label="test")
# No clock changes in the weeks before.
NOW = datetime(2026, 6, 10, 10, 0, tzinfo=UTC)


def history(shop: Shop, until: datetime, every: timedelta = timedelta(minutes=30), mode: str = "PRODUCTION") -> None:
    """Payments at an even pace over the eight weeks before a moment, itself included."""
    count = timedelta(weeks=8, hours=2) // every
    Event.objects.bulk_create(
        Event(
            company=shop.company,
            shop=shop,
            event_id=f"p-{shop.pk}-{mode}-{n}-{until:%H%M}",
            type="payment.accepted",
            mode=mode,
            occurred_at=until - n * every,
            external=True,
        )  # fmt: skip
        for n in range(count)
    )


@pytest.fixture
def rule(paris: Shop) -> NotificationRule:
    services.default_rules_create(shop=paris, actor=ACTOR)
    rule = paris.rules.get(reference="mail-silence")
    assert not rule.enabled
    services.rule_update(rule=rule, actor=ACTOR, enabled=True)
    SilenceWatch.objects.update(look_at=NOW)
    return rule


def alarms() -> list[dict[str, Any]]:
    return list(Event.objects.filter(type="payment.silence").order_by("pk").values_list("data", flat=True))


@pytest.mark.django_db(transaction=True)
def test_a_silence_is_mailed_once_and_its_end_once(
    paris: Shop, rule: NotificationRule, smtp_server: SmtpServer
) -> None:
    history(paris, NOW)
    # Two an hour: 5.3 are expected after 2 h 39.
    call_command("deliver", "--once", "--at", (NOW + timedelta(hours=2, minutes=38)).isoformat())
    assert smtp_server.received == []
    for minutes in (160, 175, 300):
        call_command("deliver", "--once", "--at", (NOW + timedelta(minutes=minutes)).isoformat())
    (mail,) = smtp_server.received
    assert mail.rcpt_tos == ("paris@lumiere.example",)
    assert (mail.message["X-BOM-Rule"], mail.message["X-BOM-Mode"]) == ("mail-silence", "PRODUCTION")
    said = " ".join(mail.text.split())
    assert "aucun paiement n'a été accepté" in said and "8 dernières semaines" in said
    assert "5,3 paiements étaient attendus" in said and "0,48 %" in said
    Event.objects.create(
        company=paris.company, shop=paris, event_id="back", type="payment.accepted", mode="PRODUCTION",
        occurred_at=NOW + timedelta(hours=6),
    )  # fmt: skip
    for minutes in (370, 380, 390):
        call_command("deliver", "--once", "--at", (NOW + timedelta(minutes=minutes)).isoformat())
    assert len(smtp_server.received) == 2
    back = smtp_server.received[-1]
    assert "Les paiements sont de retour : Lumière Paris" in back.message["Subject"]
    # The next silence is another one.
    call_command("deliver", "--once", "--at", (NOW + timedelta(hours=10)).isoformat())
    assert len(smtp_server.received) == 3


def test_payments_of_test_mode_and_other_shops_do_not_count(paris: Shop, lyon: Shop, rule: NotificationRule) -> None:
    history(paris, NOW)
    later = NOW + timedelta(hours=3)
    history(paris, later, mode="TEST", every=timedelta(days=1))
    history(lyon, later, every=timedelta(days=1))
    silences.tick(later)
    assert len(alarms()) == 1
    assert alarms()[0]["expected"] == 6.0


@pytest.mark.parametrize("why", ["off", "quiet", "new", "suspended"])
def test_no_alarm_is_given(paris: Shop, rule: NotificationRule, why: str) -> None:
    if why != "new":
        history(paris, NOW, every=timedelta(days=3) if why == "quiet" else timedelta(minutes=30))
    if why == "off":
        services.rule_update(rule=rule, actor=ACTOR, enabled=False)
    if why == "suspended":
        Shop.objects.update(status="suspended")
    silences.tick(NOW + timedelta(hours=5))
    assert alarms() == []
    assert SilenceWatch.objects.exists() == (why != "off"), "a shop without such a rule is watched no more"


def test_nothing_is_expected_of_a_shop_that_stopped_long_ago(paris: Shop, rule: NotificationRule) -> None:
    history(paris, NOW - timedelta(weeks=9))
    silences.tick(NOW)
    assert alarms() == []


def test_a_look_costs_the_same_for_any_history_and_shops_that_are_not_due_cost_nothing(
    paris: Shop, lyon: Shop, rule: NotificationRule
) -> None:
    history(paris, NOW, every=timedelta(hours=8))
    with CaptureQueriesContext(connection) as few:
        silences.tick(NOW + timedelta(minutes=10))
    SilenceWatch.objects.update(look_at=NOW)
    history(paris, NOW - timedelta(minutes=1))
    with CaptureQueriesContext(connection) as many:
        silences.tick(NOW + timedelta(minutes=10))
    assert len(few) == len(many)
    with CaptureQueriesContext(connection) as idle:
        silences.tick(NOW + timedelta(minutes=10, seconds=30))
    assert len(idle) == 1


def test_a_rule_of_the_merchants_own_watches_as_well_and_nobody_publishes_it_from_outside(paris: Shop) -> None:
    assert "payment.silence" not in catalogue.EXTERNAL_TYPES
    copy = services.rule_create(
        shop=paris, actor=ACTOR, reference="y", type="merchant_email", label="Y", triggers=["payment.silence"]
    )
    assert SilenceWatch.objects.filter(shop=paris).exists(), "a rule of the merchant's own watches as well"
    assert copy.enabled
