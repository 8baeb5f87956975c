"""How many mails a worker that is killed repeats: SIGKILL, at random moments while several connections send.

Printed in docs/operations.md ("What is guaranteed"). Nothing may be lost, and copies carry the same Message-ID.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from types import SimpleNamespace

from bench.environment import database, fresh_database, machine
from bench.mail import accept_in_groups, prepare
from bench.results import report
from tests.odd_smtp import OddServer, odd_server

CONNECTIONS = 4
ANSWER_SECONDS = 0.01
# Each worker finds more than it can send before it dies.
AHEAD = 300
# No mail came for so long: on a machine with other work a worker alone takes a minute or more to start.
PATIENCE = 600.0
_ID = re.compile(rb"(?im)^Message-ID:\s*(\S+)")


def worker(port: int) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "bench.settings",
        "EMAIL_URL": f"smtp://127.0.0.1:{port}",
        "SMTP_CONNECTIONS": str(CONNECTIONS),
    }
    command = [sys.executable, "manage.py", "deliver", "--watch"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def wait_for(server: OddServer, count: int) -> None:
    end, seen = time.monotonic() + PATIENCE, len(server.mails)
    while seen < count:
        if len(server.mails) > seen:
            end, seen = time.monotonic() + PATIENCE, len(server.mails)
        if time.monotonic() > end:
            raise SystemExit(f"no mail for {PATIENCE:.0f} s after {seen} of {count}: {still_open()}")
        time.sleep(0.002)


def open_count() -> int:
    from notifications.models import Delivery

    return Delivery.objects.exclude(status=Delivery.Status.SENT).count()


def still_open() -> str:
    """What waits, for what and until when, for whoever reads that nothing comes any more."""
    from django.db.models import Count, Max, Min

    from notifications.models import Delivery

    rows = (
        Delivery.objects.exclude(status=Delivery.Status.SENT)
        .order_by()
        .values_list("status", "error", "lease_owner")
        .annotate(Count("pk"), Min("retry_at"), Max("retry_at"), Max("leased_until"))
    )
    return "; ".join(" ".join(str(value) for value in row) for row in rows)


def killed(server: OddServer, kills: int, chance: random.Random) -> tuple[list[int], int]:
    """Where in the row of arrived mails a worker died each time, and how many mails were accepted."""
    deaths, accepted = [], 0
    for _n in range(kills):
        missing = max(AHEAD - open_count(), 0)
        accept_in_groups(missing, accepted)
        accepted += missing
        process = worker(server.port)
        try:
            wait_for(server, len(server.mails) + chance.randint(20, AHEAD // 2))
        finally:
            process.kill()
            process.wait()
        # What had left is on its way for a moment.
        time.sleep(0.2)
        deaths.append(len(server.mails))
    return deaths, accepted


def drain(server: OddServer) -> None:
    process = worker(server.port)
    try:
        end = time.monotonic() + PATIENCE
        while open_count():
            if time.monotonic() > end:
                raise SystemExit(f"{open_count()} mails were not sent: {still_open()}")
            time.sleep(0.1)
    finally:
        process.terminate()
        process.wait()


def main(kills: int, seed: int) -> None:
    prepare()
    with odd_server(SimpleNamespace(), after={"END": ANSWER_SECONDS}) as server:
        deaths, accepted = killed(server, kills, random.Random(seed))
        drain(server)
        found = [_ID.search(mail) for mail in server.mails]
    ids = [match[1] for match in found if match]
    copies = Counter(ids)
    lost = accepted - len(copies)
    doubles = []
    for place, death in enumerate(deaths):
        start = deaths[place - 1] if place else 0
        doubles.append(len(set(ids[start:death]) & set(ids[death:])))
    mean = sum(doubles) / len(doubles)
    print(f"SIGKILL of a worker with {CONNECTIONS} connections, {kills} times, on {database()}. {machine()}")
    print(f"  accepted {accepted}, lost {lost}, repeated at a kill: {mean:.1f} on average, {max(doubles)} at most")
    print(f"  {sorted(doubles)}")
    if lost or len(found) != len(ids):
        raise SystemExit("mail was lost")
    report(
        database(),
        machine(),
        {"mails repeated at a kill, at most": (float(max(doubles)), 32.0)},
        kills=kills,
        average=mean,
        lost=lost,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with fresh_database():
        main(chosen.kills, chosen.seed)
