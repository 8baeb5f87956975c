"""What a claim costs with little and with much behind it, and how long a neighbour's single mail waits beside thousands.

A claim takes the same however many deliveries are due: mails of many companies, calls to many endpoints.
"""

import argparse
import statistics
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bench.environment import database, fresh_database, machine
from bench.results import report

REPEATS = 15
COMPANIES = 50
BESIDE = 20_000


@dataclass(frozen=True)
class _Made:
    """How a database makes rows: the numbers from one to another, a key, and the moment of a number."""

    series: str
    key: str
    moment: str


_MADE = {
    "postgresql": _Made(
        "WITH series AS (SELECT generate_series(%s::int, %s::int) AS n)",
        "gen_random_uuid()",
        "to_timestamp({start} + series.n / 1000.0)",
    ),
    "sqlite": _Made(
        "WITH RECURSIVE series(n) AS (SELECT %s UNION ALL SELECT n + 1 FROM series WHERE n < %s)",
        "lower(hex(randomblob(16)))",
        "strftime('%%Y-%%m-%%d %%H:%%M:%%f', {start} + series.n / 1000.0, 'unixepoch')",
    ),
}


def prepare() -> list[Any]:
    from companies.models import Company

    Company.objects.bulk_create(Company(reference=f"bench-{n}", name=f"Bench {n}") for n in range(COMPANIES))
    return list(Company.objects.order_by("pk"))


def fill(companies: list[Any], channel: str, count: int) -> None:
    """Bring the queue of a channel to so many deliveries that are due; made by the database, from one that is done."""
    from django.db import connection
    from django.utils import timezone

    from notifications.models import Delivery, Event

    event, _made = Event.objects.get_or_create(
        company=companies[0],
        event_id="bench",
        defaults={"type": "bench", "mode": "TEST", "occurred_at": timezone.now()},
    )
    start = Delivery.objects.filter(channel=channel, status="queued").count()
    if start >= count:
        return
    now = timezone.now() - timedelta(days=1)
    pattern = Delivery.objects.create(
        event=event,
        company=companies[0],
        notification="merchant_email" if channel == "email" else "ipn_call",
        channel=channel,
        mode="TEST",
        status="sent",
        dedupe_key=uuid.uuid4().hex,
    )
    made = _MADE[connection.vendor]
    new = {
        "id": made.key,
        "dedupe_key": f"CAST({made.key} AS text)",
        "status": "'queued'",
        "company_id": f"{companies[0].pk} + series.n %% {len(companies)}",
        "address": "'a' || series.n || '@bench.example'",
        "normalised_address": "'a' || series.n || '@bench.example'",
        "endpoint": f"'https://e' || series.n %% {len(companies)} || '.bench.example'" if channel == "ipn" else "''",
        "created_at": made.moment.format(start=now.timestamp()),
    }
    columns = [field.column for field in Delivery._meta.concrete_fields]
    names, values = (
        ", ".join(f'"{name}"' for name in columns),
        ", ".join(new.get(name, f'"{name}"') for name in columns),
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"{made.series} INSERT INTO notifications_delivery ({names})"
            f" SELECT {values} FROM notifications_delivery CROSS JOIN series WHERE id = %s",
            [start, count - 1, pattern.pk if connection.features.has_native_uuid_field else pattern.pk.hex],
        )
        cursor.execute("VACUUM ANALYZE notifications_delivery" if connection.vendor == "postgresql" else "ANALYZE")


def claim_mail(size: int) -> float:
    from notifications.outbox import leases
    from notifications.outbox.claims import MailClaims

    worker, times = MailClaims(), []
    for _n in range(REPEATS):
        start = time.perf_counter()
        keys = worker.claim("bench", size)
        times.append(time.perf_counter() - start)
        leases.release("bench", keys)
    return statistics.median(times)


def claim_calls(size: int) -> float:
    from notifications.outbox import leases
    from notifications.outbox.claims import CallClaims

    worker, times = CallClaims(), []
    for _n in range(REPEATS):
        start = time.perf_counter()
        keys = worker.claim("bench", size, lambda endpoint, in_flight: 5 - in_flight)
        times.append(time.perf_counter() - start)
        leases.release("bench", keys)
    return statistics.median(times)


def claims_until_the_neighbour(companies: list[Any], count: int, size: int) -> int:
    """How many claims go by until the one mail of a company is taken, beside so many of another."""
    from notifications.models import Delivery
    from notifications.outbox.claims import MailClaims

    fill(companies[:1], "email", count)
    single = Delivery.objects.filter(status="queued").order_by("-created_at")[0]
    Delivery.objects.filter(pk=single.pk).update(company=companies[-1])
    worker, claims = MailClaims(), 1
    while single.pk not in worker.claim("bench", size):
        claims += 1
    mails = Delivery.objects.filter(channel="email")
    mails._raw_delete(mails.db)
    return claims


def main(few: int, many: list[int]) -> None:
    from django.db import connection

    companies = prepare()
    ratios: dict[str, tuple[float, float]] = {}
    print(f"Claims with {few} due and with more, on {database()}. {machine()}")
    claims = claims_until_the_neighbour(companies, BESIDE, 50)
    print(f"  one mail beside {BESIDE} of another company goes with claim {claims} of 50")
    ratios[f"claims, claim that takes one mail beside {BESIDE} of another company"] = (float(claims), 1.0)
    for channel, claim, size in (("email", claim_mail, 50), ("ipn", claim_calls, 200)):
        fill(companies, channel, few)
        short = claim(size)
        print(f"  {size} of channel {channel:<8} {few:>9} due {short * 1000:>8.1f} ms")
        for count in many:
            fill(companies, channel, count)
            long = claim(size)
            print(f"  {size} of channel {channel:<8} {count:>9} due {long * 1000:>8.1f} ms", flush=True)
            ratios[f"claims, {channel}, {count} due / {few} due (1.3 at most)"] = long / short, 1.3
    report(database(), machine(), ratios)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'notifications_delivery' ORDER BY 1")
            print(*(row[0] for row in cursor.fetchall()), sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--many", type=int, nargs="+", default=[20_000, 200_000])
    chosen = parser.parse_args()
    with fresh_database():
        main(chosen.few, chosen.many)
