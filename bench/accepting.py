"""`POST events` over HTTP: one event a request, and lists of 100; several clients at once, the web server as in production.

Three processes with four threads, as deploy/compose.yaml has them. Rates and the 99th percentile are of the whole
request: read, checked, resolved, composed, committed, answered.
"""

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from bench.environment import database, fresh_database, machine
from bench.mail import event, prepare
from bench.results import report

CLIENTS = 8
LIST = 100


def token() -> str:
    from companies.audit import Actor
    from notifications.tokens import token_create

    return token_create(name="bench", company=None, actor=Actor.command("bench"), scopes=None, expires_at=None)[1]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def serve(port: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "gunicorn", "backoffice.wsgi", "--config", "deploy/gunicorn.conf.py"]
    options = ["--bind", f"127.0.0.1:{port}", "--workers", "3", "--threads", "4"]
    process = subprocess.Popen([*command, *options], env={**os.environ, "DJANGO_SETTINGS_MODULE": "bench.settings"})
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            client.request("GET", "/livez")
            if client.getresponse().status == 200:
                return process
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the web server did not start")


class Client(threading.Thread):
    """Posts its share of the bodies over one connection, and keeps how long each took."""

    def __init__(self, port: int, key: str, bodies: list[bytes]) -> None:
        super().__init__()
        self._port, self._key, self._bodies = port, key, bodies
        self.times: list[float] = []
        self.refused: list[str] = []

    def run(self) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        for body in self._bodies:
            start = time.perf_counter()
            client.request("POST", "/api/v1/events", body, headers)
            answer = client.getresponse()
            text = answer.read()
            self.times.append(time.perf_counter() - start)
            if answer.status not in (200, 201, 202, 207):
                self.refused.append(f"{answer.status} {text[:200]!r}")


def post(port: int, key: str, bodies: list[Any]) -> tuple[float, list[float]]:
    """Seconds for all of them, and of each."""
    texts = [json.dumps(body).encode() for body in bodies]
    clients = [Client(port, key, texts[number::CLIENTS]) for number in range(CLIENTS)]
    start = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    spent = time.perf_counter() - start
    refused = [text for client in clients for text in client.refused]
    assert not refused, refused[:3]
    return spent, sorted(moment for client in clients for moment in client.times)


def main(count: int) -> None:
    port = free_port()
    prepare()
    key = token()
    server = serve(port)
    try:
        post(port, key, [event(number) for number in range(10_000_000, 10_000_000 + 4 * CLIENTS)])
        singles, times = post(port, key, [event(number) for number in range(count)])
        lists = [[event(number) for number in range(start, start + LIST)] for start in range(count, 6 * count, LIST)]
        grouped, list_times = post(port, key, lists)
    finally:
        server.terminate()
        server.wait()
    on_postgresql = database() == "PostgreSQL"
    worst, worst_list = (some[int(len(some) * 0.99)] * 1000 for some in (times, list_times))
    print(f"POST events, {CLIENTS} clients at once, on {database()}. {machine()}")
    print(f"  one event a request {count / singles:>36.0f}/s   p99 {worst:>6.0f} ms")
    print(f"  lists of {LIST} {len(lists) * LIST / grouped:>43.0f}/s   p99 {worst_list:>6.0f} ms")
    report(
        database(),
        machine(),
        {
            "events a second, one a request / aim": (count / singles / 150, 1.0),
            f"events a second, lists of {LIST} / aim": (
                len(lists) * LIST / grouped / (1000 if on_postgresql else 500),
                1.0,
            ),
            "aim / p99 of one event a request": ((150 if on_postgresql else 300) / worst, 1.0),
        },
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="single events; five times as many go in lists")
    chosen = parser.parse_args()
    with fresh_database():
        main(chosen.count)
