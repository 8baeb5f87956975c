"""Calls to notification URLs per second, against a bare aiohttp loop; and what hanging endpoints cost the others.

1. The same signed requests, in one run, to the same sink in a process of its own: ours claims from
   the outbox, signs, calls, records an attempt and the new state of each; the bare loop has its
   bodies ready and records nothing. Both make five calls at a time to each endpoint. Then the same with two
   processes of ours (`deliver --watch --processes 2`), as a machine of two cores runs them.
2. The delay of healthy endpoints, from the start of the worker to the answer recorded, with none and
   with 30 % of all endpoints hanging until the time-out.
"""

import argparse
import asyncio
import cProfile
import os
import pstats
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.environment import database, fresh_database, machine
from bench.results import report
from bench.workers import rate_of_queued, watching

PER_ENDPOINT = 5
PROCESSES = 2
GROUP = 200


@contextmanager
def sink(endpoints: int, hanging: int = 0) -> Iterator[int]:
    """A sink process; gives its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.http_sink", "--endpoints", str(endpoints), "--hanging", str(hanging)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def prepare(endpoints: int, port: int) -> list[Any]:
    """One shop with one rule for each endpoint."""
    from companies.models import Company, Contact
    from notifications.models import Delivery, Event, NotificationRule
    from shops.models import Shop, ShopKey

    Delivery.objects.all().delete()
    Event.objects.all().delete()
    NotificationRule.objects.all().delete()
    Shop.objects.all().delete()
    company, _made = Company.objects.get_or_create(reference="bench", defaults={"name": "Bench"})
    Contact.objects.get_or_create(company=company, kind="manager", defaults={"email": "gestion@bench.example"})
    rules = []
    for number in range(1, endpoints + 1):
        shop = Shop.objects.create(company=company, site_id=f"{10_000_000 + number}", name=f"Boutique {number}")
        ShopKey.objects.create(shop=shop, kind="production", value="1122334455667788")
        rules.append(
            NotificationRule.objects.create(
                shop=shop,
                reference="ipn-end",
                type="ipn_call",
                label="Fin de paiement",
                triggers=["payment.accepted"],
                recipients=[],
                url_production=f"http://127.0.0.{number}:{port}/ipn",
            )
        )
    return rules


def accept(rules: list[Any], count: int, start: int = 0) -> None:
    """`count` accepted payments, spread evenly; in groups, since accepting is not measured here."""
    from notifications.events.intake import validate_event
    from notifications.events.publishing import accept_events

    def event(number: int) -> dict[str, Any]:
        data = {
            "transaction_id": f"{number % 900_000:06d}",
            "amount": 1990,
            "currency": "EUR",
            "order_id": f"C-{number}",
        }
        return {
            "id": f"evt-{number}",
            "type": "payment.accepted",
            "site_id": rules[number % len(rules)].shop.site_id,
            "mode": "PRODUCTION",
            "occurred_at": "2026-11-23T10:00:00Z",
            "data": data,
        }

    for first in range(start, start + count, GROUP):
        numbers = range(first, min(first + GROUP, start + count))
        outcomes = accept_events(valid=[validate_event(event(number)) for number in numbers])
        assert {outcome.status for outcome in outcomes} == {"accepted"}


def ours(count: int) -> None:
    from notifications.outbox.tally import Tally
    from notifications.worker.loop import deliver_calls

    tally = Tally()
    deliver_calls(tally)
    assert tally.sent == count, tally


def ours_in_processes(count: int) -> float:
    """Calls a second of several processes, of calls that are queued already."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "bench.settings", "IPN_ALLOW_PRIVATE_NETWORKS": "true"}
    return rate_of_queued(watching(PROCESSES), PROCESSES, count, "calls", environment)


def requests_ready() -> list[tuple[str, bytes, dict[str, str]]]:
    """The requests that ours would make, signed, for the bare loop."""
    from notifications.calls import requests as calls
    from notifications.models import Delivery

    rows = list(Delivery.objects.filter(channel="ipn").select_related("event", "shop", "rule").order_by("created_at"))
    keys = calls.keys_of(rows)
    made = [calls.request_of(row, keys) for row in rows]
    return [(item.url, item.body, {**item.headers, "Content-Type": item.content_type}) for item in made]


async def bare(ready: list[tuple[str, bytes, dict[str, str]]]) -> None:
    import aiohttp

    slots: dict[str, asyncio.Semaphore] = {}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(url: str, body: bytes, headers: dict[str, str]) -> None:
            async with (
                slots.setdefault(url, asyncio.Semaphore(PER_ENDPOINT)),
                session.post(url, data=body, headers=headers) as answer,
            ):
                assert answer.status == 200
                await answer.read()

        await asyncio.gather(*(one(*item) for item in ready))


def delays(count: int, endpoints: int, hanging: int) -> list[float]:
    """Seconds until each call to a healthy endpoint was recorded, the worker watching as it does for real."""
    from notifications.models import Attempt, Delivery
    from notifications.worker import loop

    with sink(endpoints, hanging) as port:
        rules = prepare(endpoints, port)
        accept(rules, count)
        healthy = {rule.pk for rule in rules[: endpoints - hanging]}
        expected = Delivery.objects.filter(rule__in=healthy).count()
        stop = threading.Event()
        worker = threading.Thread(target=loop.watch, args=(stop.is_set,))
        started = time.time()
        worker.start()
        while Delivery.objects.filter(rule__in=healthy, status="sent").count() < expected:
            time.sleep(0.2)
        stop.set()
        ended = Attempt.objects.filter(delivery__rule__in=healthy).values_list("started_at", flat=True)
        found = sorted(moment.timestamp() - started for moment in ended)
        worker.join()
    return found


def main(count: int, endpoints: int, profile: bool, quick: bool) -> None:
    from django.conf import settings

    settings.IPN_ALLOW_PRIVATE_NETWORKS = True
    print(f"{count} calls to {endpoints} endpoints, {PER_ENDPOINT} at a time to each. {machine()}")
    with sink(endpoints) as port:
        rules = prepare(endpoints, port)
        accept(rules, count)
        ready = requests_ready()
        if profile:
            profiler = cProfile.Profile()
            profiler.runcall(ours, count)
            pstats.Stats(profiler).sort_stats("cumulative").print_stats(45)
            return
        rates, costs = {}, {}
        for name, work in (("bare aiohttp loop", lambda: asyncio.run(bare(ready))), ("ours", lambda: ours(count))):
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            rates[name] = count / (time.perf_counter() - wall)
            costs[name] = (time.process_time() - cpu) / count * 1000
            print(f"  {name:<58} {rates[name]:>8.0f}/s {costs[name]:>8.2f} cpu ms")
        accept(rules, count, start=count)
        together = ours_in_processes(count)
        print(f"  {f'ours, {PROCESSES} processes':<58} {together:>8.0f}/s")
    alone = "bare aiohttp loop"
    ratios = {
        "calls, ours / bare aiohttp loop": (rates["ours"] / rates[alone], 0.7),
        "calls, ours / bare aiohttp loop, processor time": (costs[alone] / costs["ours"], 0.7),
        f"calls, ours in {PROCESSES} processes / bare aiohttp loop": (together / rates[alone], 0.7),
    }
    report(database(), machine(), ratios)
    if quick:
        return
    settings.IPN_TIMEOUT = 5.0
    quiet = delays(count // 2, endpoints, 0)
    # As many healthy endpoints as before, with as many calls each; the hanging ones come on top.
    hanging = round(endpoints * 3 / 7)
    troubled = delays((count // 2) * (endpoints + hanging) // endpoints, endpoints + hanging, hanging)
    print(f"Delay of healthy endpoints, {len(quiet)} calls; then {hanging} more endpoints hang (30 % of all)")
    print(f"  {'':<40} {'median s':>10} {'95 % s':>10}")
    for name, found in (("quiet", quiet), ("with hanging endpoints", troubled)):
        print(f"  {name:<40} {statistics.median(found):>10.2f} {found[int(len(found) * 0.95)]:>10.2f}")
    print(
        f"  {'ratio of the medians, aim 2.00 or less':<40} {statistics.median(troubled) / statistics.median(quiet):>10.2f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--endpoints", type=int, default=20)
    parser.add_argument("--profile", action="store_true", help="show where the time of the database's thread goes")
    parser.add_argument("--quick", action="store_true", help="without the delays beside hanging endpoints")
    chosen = parser.parse_args()
    with fresh_database():
        main(chosen.count, chosen.endpoints, chosen.profile, chosen.quick)
