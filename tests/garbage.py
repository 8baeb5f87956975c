"""How often Python looks for garbage while tests run.

A tenth of the time of the suite went into that: every 700 new objects, although what the modules and the collected tests
made, the most there is, stays until the end. It is set aside once, and the looks become rare; what a test leaves is
found all the same, a few tests later.
"""

import gc

import pytest

# New objects before the youngest are looked through: about those of one test with some pages.
YOUNG = 50_000


def pytest_collection_finish(session: pytest.Session) -> None:
    """Called in each worker, before its first test."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
