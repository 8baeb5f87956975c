"""What more worker processes bring, with a mail server that takes 20 ms for each mail: 1, 2 and 4 processes, of
`deliver --watch --processes` and, with `--broker`, of Celery workers.

The server's time is the limit of one process with its connections, so four of them can bring four times as much, on
two cores as well. The mails become due together when all processes are there, so that no start is measured.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta

from bench.environment import database, fresh_database, machine
from bench.mail import GROUP, accept_in_groups, prepare
from bench.results import report

ANSWER_SECONDS = 0.02
# So much is left out at both ends: beginning and running dry is not what is measured.
EDGE = 0.2
START_SECONDS, PATIENCE = 120.0, 60.0
PROCESSES = (1, 2, 4)
BROKER_ENVIRONMENT = "BENCH_BROKER_URL"


def sent() -> int:
    from notifications.models import Delivery

    return Delivery.objects.filter(status="sent").count()


def watching(processes: int) -> list[list[str]]:
    return [[sys.executable, "manage.py", "deliver", "--watch", "--processes", str(processes)]]


def under_celery(processes: int) -> list[list[str]]:
    """As many workers of one process for mail each, and one for what else there is."""
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "backoffice", "worker", "--concurrency", "1"]
    return [[*command, "--hostname", f"bench{number}@%h"] for number in range(processes)]


def wait_until(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise SystemExit(f"{what} in {seconds:.0f} s")
        time.sleep(0.1)


def rate(commands: list[list[str]], processes: int, count: int, start: int, environment: dict[str, str]) -> float:
    """Mails a second of so many processes."""
    accept_in_groups(count, start)
    return rate_of_queued(commands, processes, count, "mail", environment)


def rate_of_queued(
    commands: list[list[str]], processes: int, count: int, kind: str, environment: dict[str, str]
) -> float:
    """What so many processes send a second of what is queued, between its first and its last fifth.

    Args:
        kind: of the worker that sends it: "mail" or "calls".
    """
    from django.utils import timezone

    from notifications.models import Delivery, Worker

    Delivery.objects.filter(status="queued").update(retry_at=timezone.now() + timedelta(days=1))
    before = sent()
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for command in commands]
    try:
        wait_until(
            lambda: Worker.objects.filter(kind=kind).count() >= processes,
            START_SECONDS,
            f"{processes} processes did not start",
        )
        Delivery.objects.filter(status="queued").update(retry_at=None)
        if environment["CELERY_BROKER_URL"]:
            ring(processes, environment["CELERY_BROKER_URL"])
        return measured(count, before)
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait()
        Worker.objects.all().delete()


def ring(times: int, broker: str) -> None:
    """As accepted events do it, once for each process."""
    from celery import Celery

    app = Celery(broker=broker)
    app.conf.task_ignore_result = True
    for _n in range(times):
        app.send_task("notifications.tasks.deliver_due")


def measured(count: int, before: int) -> float:
    marks: list[tuple[float, int]] = []
    end, most = time.monotonic() + PATIENCE, 0
    while most < count:
        now, done = time.monotonic(), sent() - before
        if done > most:
            end, most = now + PATIENCE, done
        elif now > end:
            raise SystemExit(f"{most} of {count} mails were sent, and none more for {PATIENCE:.0f} s")
        if count * EDGE <= done <= count * (1 - EDGE):
            marks.append((now, done))
        time.sleep(0.05)
    if len(marks) < 2:
        raise SystemExit(f"{count} mails are too few to be measured")
    (first, few), (last, many) = marks[0], marks[-1]
    return (many - few) / (last - first)


def series(
    name: str, commands: Callable[[int], list[list[str]]], count: int, start: int, environment: dict[str, str]
) -> dict[str, tuple[float, float]]:
    """The rates of all numbers of processes, and what they are of as many times that of one."""
    rates: dict[int, float] = {}
    for processes in PROCESSES:
        rates[processes] = rate(commands(processes), processes, processes * count, start, environment)
        start += processes * count
    told = "   ".join(f"{processes}: {value:.0f}/s" for processes, value in rates.items())
    print(f"  {name:<28} {told}", flush=True)
    return {
        f"workers, {name}, {processes} / {processes} × 1": (rates[processes] / rates[1] / processes, 0.9)
        for processes in PROCESSES[1:]
    }


def main(count: int, port: int, broker: str) -> None:
    prepare()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "bench.settings",
        "EMAIL_URL": f"smtp://127.0.0.1:{port}",
        "CELERY_BROKER_URL": "",
    }
    print(f"Workers with a mail server that takes {ANSWER_SECONDS * 1000:.0f} ms, on {database()}. {machine()}")
    ratios = series("deliver --watch --processes", watching, count, 0, environment)
    if broker:
        environment["CELERY_BROKER_URL"] = broker
        ratios |= series("Celery workers", under_celery, count, sum(PROCESSES) * count, environment)
    report(database(), machine(), ratios)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1500, help="mails for each process")
    parser.add_argument(
        "--broker", default=os.environ.get(BROKER_ENVIRONMENT, ""), help="of Celery, for the bench alone"
    )
    chosen = parser.parse_args()
    sink = subprocess.Popen(
        [sys.executable, "-m", "bench.sink", "--seconds", str(ANSWER_SECONDS)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert sink.stdout is not None
        sink_port = int(sink.stdout.readline())
        with fresh_database():
            main(-(-chosen.count // GROUP) * GROUP, sink_port, chosen.broker)
    finally:
        sink.terminate()
        sink.wait()
