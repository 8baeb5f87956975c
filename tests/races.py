"""The same thing done several times at the same moment, in real threads with a connection each.

Such tests need real transactions: `@pytest.mark.django_db(transaction=True)`.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from companies import submissions
from companies.accounts import guessing
from tests.waiting import PATIENCE


@contextmanager
def unhurried(seconds: float = PATIENCE) -> Iterator[None]:
    """Who comes second waits for the first for so many seconds, and nobody is given up: the machine may be busy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(submissions, "WAITS", seconds)
        patch.setattr(submissions, "GIVEN_UP_AFTER", timedelta(hours=1))
        patch.setattr(guessing, "WAIT", seconds)
        patch.setattr(guessing, "HOLD", 3600)
        yield


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work(0)` to `work(count - 1)` return, all begun together. An exception stands as itself in the list."""
    start, results = threading.Barrier(count), ["never ended"] * count

    def run(number: int) -> None:
        try:
            start.wait(timeout=PATIENCE)
            results[number] = work(number)
        except Exception as error:  # for the test to see
            results[number] = error  # type: ignore[call-overload]
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    with unhurried():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=2 * PATIENCE)
    return results
