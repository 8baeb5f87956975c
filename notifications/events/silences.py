"""The alarm when a shop takes no payment for too long, and the mail when payments are back (docs/rules.md 5.6).

A shop has a row to watch as long as one of its rules wants to know. What one look costs is the payments of eight weeks
of that shop, counted along an index; the next one is due when the silence could be too long at the earliest.
"""

import math
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, QuerySet, TextField
from django.db.models.functions import Cast, Substr
from django.utils import timezone

from backoffice.text import zones
from companies.models import Status
from notifications import readers
from notifications.core import silences
from notifications.events.publishing import Particulars, publish
from notifications.models import Event, NotificationRule, SilenceWatch
from shops.models import Shop

SILENCE = "payment.silence"
# Shops that one look of the clock takes, so that mail goes out in between.
AT_ONCE = 20
# A shop is looked at again after this at the soonest, and at the latest.
SOONEST, LATEST = timedelta(minutes=1), timedelta(minutes=15)


def follow(rule: NotificationRule) -> None:
    """Watch the shop of a rule that was saved, if the rule wants to know of silences."""
    if rule.enabled and rule.archived_at is None and SILENCE in rule.triggers:
        SilenceWatch.objects.get_or_create(shop=rule.shop, defaults={"look_at": timezone.now()})


def tick(now: datetime) -> None:
    """Look at the shops that are due; called by the clock of every worker."""
    due = SilenceWatch.objects.filter(look_at__lte=now).order_by("look_at")
    for shop in list(due.values_list("shop", flat=True)[:AT_ONCE]):
        _look(shop, now)


@transaction.atomic
def _look(shop_key: int, now: datetime) -> None:
    # One worker at a time; another one that comes later finds that it is not due any more.
    skips = connection.features.has_select_for_update_skip_locked
    watches = SilenceWatch.objects.select_for_update(of=("self",), skip_locked=skips).select_related("shop__company")
    watch = watches.filter(shop=shop_key, look_at__lte=now).first()
    if watch is None:
        return
    shop = watch.shop
    if not any(rule.enabled and SILENCE in rule.triggers for rule in readers.rules_of(shop)):
        watch.delete()
        return
    watch.look_at = now + LATEST
    if shop.status == Status.ACTIVE and shop.company.status == Status.ACTIVE:
        _judge(watch, now)
    watch.save()


def _judge(watch: SilenceWatch, now: datetime) -> None:
    shop = watch.shop
    paid = _payments(shop).filter(occurred_at__gt=now - silences.HISTORY, occurred_at__lte=now)
    last = paid.order_by("-occurred_at").values_list("occurred_at", flat=True).first()
    if watch.told_since is not None:
        if last is None or last <= watch.told_since:
            watch.look_at = now + SOONEST
            return
        back = _payments(shop).filter(occurred_at__gt=watch.told_since).order_by("occurred_at").first()
        assert back
        _tell_back(shop, watch.told_since, back.occurred_at, now)
        watch.told_since = None
    if last is None:
        return
    zone = ZoneInfo(zones.known(shop.company.time_zone, settings.TIME_ZONE))
    means = silences.profile(_hours(shop, last, zone), zone)
    at = silences.too_long_at(means, last, zone)
    if at is not None and at <= now:
        _tell_silence(shop, last, now, silences.expected(means, last, now, zone))
        watch.told_since, at = last, None
    if at is not None or watch.told_since:
        watch.look_at = min(max(at or now, now + SOONEST), now + LATEST)


def _payments(shop: Shop) -> QuerySet[Event]:
    return Event.objects.filter(shop=shop, type="payment.accepted", mode="PRODUCTION")


def _hours(shop: Shop, last: datetime, zone: tzinfo) -> dict[datetime, int]:
    """Payments by hour of the eight weeks before the last payment; the silence itself does not lower the expectation."""
    paid = _payments(shop).filter(occurred_at__gt=silences.begin(last, zone), occurred_at__lte=last).order_by()
    # Both databases write a moment in UTC and begin with the hour.
    by_hour = (
        paid.annotate(hour=Substr(Cast("occurred_at", TextField()), 1, 13)).values_list("hour").annotate(Count("pk"))
    )
    return {datetime.fromisoformat(f"{hour}:00").replace(tzinfo=UTC): count for hour, count in by_hour}


def _tell_silence(shop: Shop, since: datetime, now: datetime, expected: float) -> None:
    data = {
        "since": since.isoformat(),
        "until": now.isoformat(),
        "expected": round(expected, 1),
        # How likely none was, in percent.
        "chance": round(100 * math.exp(-expected), 2),
        "weeks": silences.WEEKS,
    }
    publish(type=SILENCE, company=shop.company, shop=shop, data=data, particulars=Particulars(occurred_at=now))


def _tell_back(shop: Shop, since: datetime, back: datetime, now: datetime) -> None:
    data = {"since": since.isoformat(), "back": back.isoformat()}
    publish(type=SILENCE, company=shop.company, shop=shop, data=data, particulars=Particulars(occurred_at=now))
