"""Upgrading without downtime, played: the release before and this one beside each other on one database.

The release before is taken out of the history of the repository and runs as it stands, with its own settings. Events come in
all the time, over the web servers of both; the checker counts at the end: accepted = arrived + dead, none twice.
"""

import http.cookiejar
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.faults import checker
from tests.faults.laboratory import CALL_SHOP, ROOT, Laboratory, Skipped
from tests.faults.report import Results
from tests.faults.services import free_port, wait_for

# What runs in productions before this release: its version, and its commit.
BEFORE, COMMIT = "0.1.0", "fd3a47823592d50ef141a0046c4850e2c8ae3386"
# Of a busy machine: loading the product may take half a minute there.
PATIENCE = 240.0
# The leases of a production, so that none ends while the machine is busy.
USUAL = {"DELIVERY_LEASE_SECONDS": 45}
# Mails that a worker has out at a time.
WINDOW = 32
# What people look at there; the first one logs in.
PAGES = (
    "/accounts/login/", "/status/", "/", "/account/", "/settings/company/", "/settings/company/users/", "/settings/shops/",
    "/settings/company/history/", "/notifications/addresses/", "/notifications/by-notification/", "/notifications/journal/",
    "/reports/consistency/",
)  # fmt: skip
LOGIN, PASSWORD = "claire", "demo-claire-2026"
# Commands of the release before that write: a month of a merchant's life, and what cron runs.
COMMANDS = (("demo", "--force"), ("consistency_reports",), ("reencrypt_secrets",), ("purge",), ("verify_history",))


def absent() -> str:
    """Why the release before cannot be had here; empty when it can."""
    words = ["git", "cat-file", "-e", f"{COMMIT}^{{commit}}"]
    try:
        found = subprocess.run(words, cwd=ROOT, capture_output=True).returncode == 0
    except OSError:
        found = False
    return "" if found else f"the history that holds {COMMIT[:7]} is not here"


class Before:
    """The release before, in a folder of its own."""

    def __init__(self, lab: "Upgrade", folder: Path) -> None:
        self.lab, self.folder = lab, folder
        archive = subprocess.run(["git", "archive", COMMIT], cwd=ROOT, check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def environment(self) -> dict[str, str]:
        return self.lab.environment | {
            "DJANGO_SETTINGS_MODULE": "backoffice.settings", "PYTHONPATH": str(self.folder), "LOG_LEVEL": "INFO",
        }  # fmt: skip

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / "before.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *words], cwd=self.folder, env=self.environment, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def worker(self) -> subprocess.Popen[bytes]:
        return self.start("manage.py", "deliver", "--watch")

    def web(self) -> tuple[subprocess.Popen[bytes], int]:
        port = free_port()
        words = ("--bind", f"127.0.0.1:{port}", "--workers", "2", "--threads", "4")
        process = self.start("-m", "gunicorn", "backoffice.wsgi", *words)
        wait_for(
            lambda: self.lab.get(port, "/livez")[0] == 200, PATIENCE, f"the web server of {BEFORE} does not answer"
        )
        return process, port

    def command(self, *words: str) -> None:
        """Raises: AssertionError when it fails, with its last words."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=3 * PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, f"{BEFORE} cannot `{words[0]}` any more: {done.stderr[-600:]}"

    @property
    def log(self) -> str:
        return (self.folder / "before.log").read_text("utf-8", "replace")

    def troubles(self) -> list[str]:
        """Lines of its log that are warnings or worse."""
        lines = [line for line in self.log.splitlines() if '"level": "warning"' in line or '"level": "error"' in line]
        return [line[:300] for line in lines[-6:]]

    def end(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Upgrade(Laboratory):
    """A laboratory whose database is that of the release before.

    Attributes:
        came_before, came_after: how many mails and calls had come when the migrations began, and when they were over.
    """

    came_before = came_after = (0, 0)

    def __enter__(self) -> "Upgrade":
        super().__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        if before := getattr(self, "before", None):
            before.end()
        super().__exit__(*exc)

    def fill(self, environment: dict[str, str]) -> str:
        # The folder is made first, and taken away with the laboratory.
        self.before = Before(self, self.folder / "before")
        mine = self.before.environment | {"DATABASE_URL": environment["DATABASE_URL"]}
        # It knows nothing of the laboratory.
        words = [sys.executable, str(ROOT / "tests/faults/seed.py"), self.endpoint.url("/call")]
        done = subprocess.run(words, cwd=self.before.folder, env=mine, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.splitlines()[-1]

    def doubled(self) -> dict[str, list[int]]:
        """Order → its places among all mails, or all calls, of what came more than once and may not.

        On SQLite a migration holds the whole database, and the release before forgets what came of a mail when it cannot
        write that within 30 seconds: what it had out meanwhile may come again, once. A call may be made twice while workers of
        both releases run, under the same `X-BOM-Delivery`: seen once, when the one of before lost a lease.
        """
        found: dict[str, list[int]] = {}
        arrivals = (
            [checker.orders_in_mail(raw)[1] for raw in self.smtp.mails],
            [checker.order_in_call(call) for call in self.endpoint.requests],
        )
        for orders, before, after in zip(arrivals, self.came_before, self.came_after, strict=True):
            places: dict[str, list[int]] = {}
            for place, order in enumerate(orders):
                places.setdefault(order, []).append(place)
            for order, several in places.items():
                was_out = self.database == "sqlite" and before - WINDOW <= several[0] < after and len(several) == 2
                is_call_of_both = orders is arrivals[1] and len(several) == 2
                if order and len(several) > 1 and not was_out and not is_call_of_both:
                    found[order] = several
        return found

    def came(self) -> tuple[int, int]:
        """How many mails and calls have come."""
        return len(self.smtp.mails), len(self.endpoint.requests)

    def everything_is_sent(self) -> None:
        wait_for(
            lambda: checker.open_orders(self.url) == 0, PATIENCE, "events of the laboratory are still open", every=0.3
        )


class Stream:
    """Events come in over the web servers that there are, in turns; one that was not acknowledged is sent again."""

    def __init__(self, lab: Laboratory, ports: list[int]) -> None:
        self.lab, self.ports = lab, ports
        self.refused = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def _send(self) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            (event,) = self.lab.events(1, CALL_SHOP) if number % 5 == 0 else self.lab.events(1)
            for turn in range(1000):
                ports = list(self.ports)
                if 200 <= self.lab.post_event(ports[(number + turn) % len(ports)], event) < 300 or self._over.is_set():
                    break
                self.refused += 1
                time.sleep(0.2)
            time.sleep(0.1)

    def more(self, count: int) -> None:
        """Wait until so many more were acknowledged."""
        goal = len(self.lab.accepted) + count
        wait_for(lambda: len(self.lab.accepted) >= goal, PATIENCE, f"no {count} events were accepted")

    def end(self) -> None:
        self._over.set()
        self._thread.join(PATIENCE)


@contextmanager
def stream(lab: Laboratory, *ports: int) -> Iterator[Stream]:
    running = Stream(lab, list(ports))
    try:
        yield running
    finally:
        running.end()


def pages(port: int) -> None:
    """Log in and look at the main pages, as a merchant does; raises AssertionError for what is no page."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    base = f"http://127.0.0.1:{port}"

    def got(path: str, **form: str) -> str:
        data = urllib.parse.urlencode(form).encode() if form else None
        request = urllib.request.Request(base + path, data=data, headers={"Referer": base + path})
        try:
            with browser.open(request, timeout=60) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} answers {error.code}") from error

    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', got(PAGES[0]))
    assert found, "the log-in page has no form"
    home = got(PAGES[0], login=LOGIN, password=PASSWORD, csrfmiddlewaretoken=found[1])
    assert PAGES[0] not in home or "logout" in home, "the log-in failed"
    for path in PAGES[1:]:
        got(path)


def roll(lab: Upgrade, each: int, *, commands: Iterable[tuple[str, ...]] = COMMANDS) -> None:
    """Upgrade, and go back once on the way.

    Args:
        each: events accepted in each part.
        commands: what the release before does on the new schema.
    """
    lab.fresh()
    before = lab.before
    web_before, port_before = before.web()
    worker_before = before.worker()
    with stream(lab, port_before) as events:
        events.more(each)
        lab.arrived(1, PATIENCE)
        # Expand, while the release before accepts and sends.
        lab.came_before = lab.came()
        migrated = lab.run("migrate", seconds=3 * PATIENCE)
        lab.came_after = lab.came()
        assert migrated.poll() == 0, migrated.output[-600:] + migrated.log[-600:]
        _goes_on(lab, events, each, "the release before alone, on the new schema")
        for words in commands:
            before.command(*words)
        if commands:
            pages(port_before)
        # Both.
        web, port = lab.web()
        worker = lab.worker(settings=USUAL)
        events.ports = [port_before, port]
        _goes_on(lab, events, each, "both releases")
        # Whoever is not sure that an event was taken sends it again, to the other release.
        for first, second in ((port_before, port), (port, port_before)):
            (event,) = lab.events(1)
            answers = [lab.post_event(first, event), lab.post_event(second, event)]
            assert all(200 <= answer < 300 for answer in answers), answers
        # Back, once: what this release accepted is sent by the one before.
        events.ports = [port]
        worker.send(signal.SIGTERM)
        worker.wait(PATIENCE)
        _goes_on(lab, events, each, "accepted by this release, sent by the one before")
        # The release before goes.
        worker_before.terminate()
        assert worker_before.wait(PATIENCE) == 0
        web_before.terminate()
        web_before.wait(PATIENCE)
        worker = lab.worker(settings=USUAL)
        _goes_on(lab, events, each, "this release alone")
    lab.everything_is_sent()
    wrong = [line for line in before.log.splitlines() if "Traceback" in line]
    assert not wrong or "database is locked" in before.log, before.log[-1500:]


def _goes_on(lab: Upgrade, events: Stream, count: int, part: str) -> None:
    """Events come in and mails go out, whoever is up."""
    try:
        had = len(lab.smtp.mails)
        events.more(count)
        lab.arrived(had + max(count // 2, 1), PATIENCE)
    except TimeoutError as error:
        raise AssertionError(f"{part}: {error}; {lab.before.log[-800:]}") from error


def judged(lab: Upgrade) -> tuple[dict[str, int], list[str]]:
    count = lab.count()
    wrong = list(count.wrong)
    if count.waiting or count.dead:
        wrong.append(f"waiting={count.waiting} dead={count.dead}")
    if doubled := lab.doubled():
        wrong.append(f"came more than once: {doubled}; {lab.before.troubles()}")
    return {"accepted": count.accepted, "arrived": count.arrived, "duplicates": count.duplicates}, wrong


def run(databases: Iterable[str], results: Results, *, version: str) -> int:
    """The whole upgrade on each database; returns on how many a promise broke."""
    failed = 0
    for database in databases:
        began = time.monotonic()
        wrong: list[str] = []
        figures: dict[str, int] = {}
        try:
            if reason := absent():
                raise Skipped(reason)
            with Upgrade(database) as lab:
                try:
                    roll(lab, 40)
                except Exception as error:
                    wrong.append(f"{type(error).__name__}: {error}"[:800])
                figures, more = judged(lab)
        except Skipped as reason:
            sys.stderr.write(f"upgrade skipped on {database}: {reason}\n")
            continue
        result = {**figures, "wrong": wrong + more[:5], "before": BEFORE, "versions": [version]}
        failed += bool(result["wrong"])
        results.keep_part("upgrade", database, result | {"seconds": round(time.monotonic() - began)})
        sys.stderr.write(f"upgrade ({database}): {result}\n")
    return failed
