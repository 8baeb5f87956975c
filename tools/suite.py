"""`make test`: the suite in parts, each with its time; a part that cannot run is skipped aloud, and fails in CI.

The order of the tests is by chance, and the same for the same sources: a change is tested in another order than the one
before it, and a failure of an order comes again when it is looked for.
"""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from tools.environment import IN_CI, PYTHON, ROOT, apt_install, run, say

POSTGRES_URL = os.environ.get("TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")
EXTRA = shlex.split(os.environ.get("ARGS", ""))
# A worker that is done takes over half of what the other has left, from the end: neither waits, and a browser or whatever
# else lives as long as a module is seldom started twice.
# Tests of processes and servers wait for a third of their time: three workers keep two processors busy.
PARALLEL = ("-n", "3", "--dist", "worksteal")
# What `make coverage` counted last.
COVERED = ROOT / "tests" / "covered.txt"
MAIN = "not browser and not rabbitmq and not redis and not faults"


BROWSER = os.environ.get("TEST_BROWSER", "chromium")

# What runs beside the rest → the port that must answer.
BESIDE = {"rabbitmq": 5672, "redis": 6379, "faults": None}


class Steps:
    """Named steps with their time; failures are collected, not raised, so that all are seen."""

    def __init__(self) -> None:
        self.results: list[tuple[str, str, float]] = []

    def step(self, name: str, work: Callable[[], int | str]) -> None:
        """Run `work`: 0 passed, another number failed, a text is the reason of a skip."""
        say(f"\n── {name}")
        started = time.monotonic()
        outcome = work()
        if isinstance(outcome, str):
            verdict = f"{'FAILED' if IN_CI else 'SKIPPED'}: {outcome}"
            say(verdict)
        else:
            verdict = "passed" if outcome == 0 else "FAILED"
        self.results.append((name, verdict, time.monotonic() - started))

    def finish(self) -> NoReturn:
        say("\n── Summary")
        for name, verdict, seconds in self.results:
            say(f"{seconds:7.1f} s  {name}: {verdict}")
        say(f"{sum(seconds for *_rest, seconds in self.results):7.1f} s  in all")
        say(f"Order by seed {SEED}. Coverage: {covered()} (`make coverage` counts again).")
        raise SystemExit(any(verdict.startswith("FAILED") for _name, verdict, _seconds in self.results))


# The order by chance in which the tests of this version run; the next one draws another. `make test-random` draws one each time.
SEED = 137_900_724
ORDER = ("-p", "randomly", f"--randomly-seed={SEED}")


def suite(*arguments: str, **environment: str) -> int:
    code = run(PYTHON, "-m", "pytest", "-q", *ORDER, *EXTRA, *arguments, **environment)
    return 0 if code == 5 and (EXTRA or "-m" in arguments) else code  # 5: no test has that marker


def coverage() -> int:
    """Run the tests on SQLite, show how much of the product they run, and keep the total for `make test`.

    Apart from `make test`: counting lines and branches takes more than half of the time again (3.11 has no cheap way).
    """
    counted = ("--cov", "--cov-report=term:skip-covered", "-m", MAIN)
    code = suite(*PARALLEL, *counted)
    if code == 0 and not EXTRA:
        report = [str(PYTHON), "-m", "coverage", "report", "--format=total", "--precision=1"]
        total = subprocess.run(report, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
        COVERED.write_text(f"{total} % of lines and branches, {datetime.now(UTC):%Y-%m-%d}\n", encoding="utf-8")
    return code


def covered() -> str:
    return COVERED.read_text("utf-8").strip() if COVERED.exists() else "not counted yet"


def marked(marker: str) -> list[str]:
    """The files that hold tests with the marker: collecting only these saves half a minute a round.

    None when ARGS chooses the tests.
    """
    return (
        []
        if EXTRA
        else [
            str(path)
            for path in sorted(Path("tests").rglob("test_*.py"))
            if f"mark.{marker}" in path.read_text("utf-8")
        ]
    )


def in_browser() -> int | str:
    if not shutil.which(BROWSER) and not apt_install(BROWSER):
        return f"{BROWSER} is not installed; on Debian: apt-get install {BROWSER}"
    return suite("-n", "2", *PARALLEL[2:], "-m", "browser", *marked("browser"))


def on_postgresql() -> int | str:
    probe = "import psycopg, sys; psycopg.connect(sys.argv[1], connect_timeout=3).close()"
    url = POSTGRES_URL.replace("postgres://", "postgresql://", 1)
    if subprocess.run([PYTHON, "-c", probe, url], capture_output=True).returncode:
        return f"no PostgreSQL answers at {re.sub(r':[^:@/]+@', ':***@', POSTGRES_URL)} (set TEST_POSTGRES_URL)"
    return suite(*PARALLEL, "-m", MAIN, DATABASE_URL=POSTGRES_URL, ONLY_DATABASE_TESTS="1")


def beside(name: str, port: int | None) -> Callable[[], int | str]:
    """Start the tests of a service, or others that mostly wait, beside the rest, on a database of their own.

    Returns what waits for their end, shows what they printed and tells the outcome.
    """
    try:
        if port:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return lambda: f"{name} does not answer on 127.0.0.1:{port}"
    printed = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the process that reads it)
    command = [PYTHON, "-m", "pytest", "-q", *ORDER, *EXTRA, "-m", name, *marked(name)]
    database = {"TEST_DB": f"var/test-{name}.sqlite3"}
    running = subprocess.Popen(
        [str(part) for part in command], cwd=ROOT, env={**os.environ, **database}, stdout=printed, stderr=printed
    )

    def outcome() -> int:
        code = running.wait()
        printed.seek(0)
        say(printed.read())
        return 0 if code == 5 else code  # 5: ARGS chose none of them

    return outcome


def main() -> NoReturn:
    say(f"Order of the tests: seed {SEED}, of this commit. ARGS=--randomly-seed=NUMBER takes another.")
    steps = Steps()
    services = {name: beside(name, port) for name, port in BESIDE.items()}
    steps.step("Tests on SQLite", lambda: suite(*PARALLEL, "-m", MAIN))
    for name, outcome in services.items():
        steps.step(f"Tests of {name}", outcome)
    steps.step("Tests in a browser", in_browser)
    steps.step("Tests on PostgreSQL", on_postgresql)
    steps.finish()


if __name__ == "__main__":
    if sys.argv[1:] == ["coverage"]:
        raise SystemExit(coverage())
    main()
