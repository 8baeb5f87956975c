"""Which tests `make test-fast` leaves out: the dearest ones, so that the others together stay within a budget.

Measured, not marked by hand: `make slow` runs the suite and writes `tests/slow.txt` again. What a test waits for a
processor does not count, so a busy machine writes the same list. Tests that start a process of their own count as slow
from the beginning.
"""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("slow.txt")
# Seconds that all fast tests take together, with their fixtures: on two cores a minute, and half of one until they begin.
BUDGET = 120.0
# Whoever asks for one of these starts other processes.
SLOW_FIXTURES = frozenset({"start_process", "browser"})
WRITES = bool(os.environ.get("WRITE_SLOW"))
# How a worker tells the seconds of a test to the process that writes the list.
PROPERTY = "own seconds"
# Of a thread: nanoseconds on a processor, nanoseconds waiting for one, turns. Linux only.
SCHEDULED = Path("/proc/thread-self/schedstat")

_started = pytest.StashKey[float]()
_took: Counter[str] = Counter()
_database: list[float] = []


def name_of(nodeid: str) -> str:
    """The test function; its parameters share one line."""
    return nodeid.partition("[")[0]


def listed() -> frozenset[str]:
    return frozenset(line for line in LIST.read_text(encoding="utf-8").splitlines() if line and line[0] != "#")


def of_other_processes(item: pytest.Item) -> bool:
    return bool(SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())))


def mark(items: Iterable[pytest.Item]) -> None:
    """Give the slow ones their marker."""
    slow = listed()
    for item in items:
        if name_of(item.nodeid) in slow or of_other_processes(item):
            item.add_marker("slow")


# --- Measuring ------------------------------------------------------------------------------------


def _own_clock() -> float:
    """Seconds, but for those in which this thread was ready and had no processor."""
    waited = int(SCHEDULED.read_text().split()[1]) / 1e9 if SCHEDULED.exists() else 0.0
    return time.monotonic() - waited


def database_begins() -> None:
    """Making the database is not the work of the first test that asks for it."""
    _database.append(_own_clock())


def database_is_made() -> None:
    _database.append(_own_clock() - _database.pop())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    item.stash[_started] = _own_clock() if WRITES else 0.0
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    try:
        return (yield)
    finally:
        if WRITES and not of_other_processes(item):
            # The report of the teardown, the last of a test, takes it along.
            item.user_properties.append((PROPERTY, _own_clock() - item.stash[_started] - sum(_database)))
            _database.clear()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if WRITES and report.when == "teardown":
        _took[name_of(report.nodeid)] += sum(float(value) for name, value in report.user_properties if name == PROPERTY)


def within(budget: float, took: dict[str, float]) -> set[str]:
    """The cheapest of the tests, as many as the budget has room for."""
    kept, spent = set(), 0.0
    for name, seconds in sorted(took.items(), key=lambda item: (item[1], item[0])):
        spent += seconds
        if spent > budget:
            break
        kept.add(name)
    return kept


def pytest_sessionfinish(session: pytest.Session) -> None:
    if WRITES and not hasattr(session.config, "workerinput"):
        head = [line for line in LIST.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
        names = sorted(_took.keys() - within(BUDGET, _took))
        LIST.write_text("\n".join([*head, *names, ""]), encoding="utf-8")
