"""The queue alone, against PgQueuer on the same server: enqueue in batches of 1,000; claim, a transport that answers at
once, record.

Ours keeps more of each: the resolution it was sent under, a state with its times, one row per attempt.
"""

import argparse
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from bench import rivals
from bench.environment import database, fresh_database, machine
from bench.results import report

BATCH = 1000
CLAIM = 200
ROUNDS = 2


def prepare() -> tuple[Any, Any]:
    from django.utils import timezone

    from companies.models import Company
    from notifications.models import Event, Message

    company = Company.objects.create(reference="bench", name="Bench")
    event = Event.objects.create(
        company=company, event_id="bench", type="bench", mode="PRODUCTION", occurred_at=timezone.now()
    )
    return event, Message.objects.create(event=event, language="fr", subject="x", text="x", html="x")


def enqueue(event: Any, message: Any, count: int) -> None:
    from backoffice.base.inserting import insert
    from notifications.models import Delivery

    for start in range(0, count, BATCH):
        insert([
            Delivery(
                event=event, company=event.company, message=message, notification="merchant_email", mode="PRODUCTION",
                address=f"a{number}@bench.example", normalised_address=f"a{number}@bench.example",
                to_addresses=[f"a{number}@bench.example"], dedupe_key=uuid.uuid4().hex,
                resolution={"source": "rule", "reason": "rule_recipient", "params": {}, "rule_version": 1},
            )
            for number in range(start, start + BATCH)
        ])  # fmt: skip


def work_off(count: int) -> None:
    from django.utils import timezone

    from notifications.outbox import leases, mail_results
    from notifications.outbox.claims import MailClaims
    from notifications.outbox.mail_loading import loaded
    from notifications.outbox.transports.base import Result

    claims, done = MailClaims(), 0
    with leases.owner() as owner:
        while keys := claims.claim(owner, CLAIM):
            now = timezone.now()
            answer = Result("sent", 250, "2.0.0 OK")
            ended = [mail_results.MailEnded(row, answer, now) for row in loaded(keys, owner)]
            done += len(mail_results.record(ended, owner))
    assert done == count, done


@contextmanager
def database_of_the_rival() -> Iterator[str]:
    import psycopg
    from psycopg import sql

    server, name = os.environ["BENCH_DATABASE_URL"], f"bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def rival(count: int) -> tuple[float, float]:
    """Jobs a second of PgQueuer: enqueued, worked off."""
    program = rivals.ROOT / "bench" / "pgqueuer_run.py"
    with database_of_the_rival() as url:
        said = subprocess.run(
            [sys.executable, str(program), url, str(count)],
            env={**os.environ, "PYTHONPATH": str(rivals.install())},
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    enqueued, worked = map(float, said.split()[-2:])
    return enqueued, worked


def main(count: int) -> None:
    event, message = prepare()
    ours, theirs = [0.0, 0.0], [0.0, 0.0]
    for _n in range(ROUNDS):
        for place, work in ((0, lambda: enqueue(event, message, count)), (1, lambda: work_off(count))):
            start = time.perf_counter()
            work()
            ours[place] += time.perf_counter() - start
        if database() == "PostgreSQL":
            for place, rate in enumerate(rival(count)):
                theirs[place] += count / rate
    print(f"The queue alone, {count} jobs, on {database()}. {machine()}")
    ratios = {}
    for place, name in enumerate(("enqueue in batches of 1,000", "claim, answer at once, record")):
        other = f"{ROUNDS * count / theirs[place]:>8.0f}/s PgQueuer" if theirs[place] else ""
        print(f"  {name:<46} {ROUNDS * count / ours[place]:>8.0f}/s {other}")
        if theirs[place]:
            ratios[f"queue alone, ours / PgQueuer, {name}"] = theirs[place] / ours[place], 0.3
    report(database(), machine(), ratios)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    chosen = parser.parse_args()
    with fresh_database():
        main(chosen.count)
