"""Which of the collected tests run."""

import os

import pytest

from tests import slow

# A test that asks for none of these touches no database.
_DATABASE = frozenset({"db", "transactional_db", "live_server"})


def _touches_the_database(item: pytest.Item) -> bool:
    return bool(item.get_closest_marker("django_db") or _DATABASE & set(getattr(item, "fixturenames", ())))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the slow ones; in the round on a second database leave out what it tells nothing about.

    With ONLY_DATABASE_TESTS set, tests without a database and walks marked `one_database` do not run.
    """
    slow.mark(items)
    if not os.environ.get("ONLY_DATABASE_TESTS"):
        return
    kept = [item for item in items if _touches_the_database(item) and not item.get_closest_marker("one_database")]
    left_out = set(items) - set(kept)
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = kept
