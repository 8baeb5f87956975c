"""What `make test` and `make test-fast` decide before any test runs."""

from pathlib import Path

import pytest

from tests import slow


def test_the_fast_run_keeps_the_cheapest_that_its_budget_has_room_for() -> None:
    took = {"dear": 9.0, "cheap": 0.1, "middling": 1.0, "another": 1.0}
    assert slow.within(2.0, took) == {"cheap", "another"}
    assert slow.within(99.0, took) == set(took)
    assert slow.within(0.0, took) == set()


def test_a_busy_processor_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scheduled = tmp_path / "schedstat"
    monkeypatch.setattr(slow, "SCHEDULED", scheduled)
    monkeypatch.setattr(slow.time, "monotonic", lambda: 100.0)
    scheduled.write_text("7 2500000000 3\n")
    assert slow._own_clock() == 97.5
    scheduled.unlink()
    assert slow._own_clock() == 100.0
