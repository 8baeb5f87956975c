"""Servers on loopback, and the clock of the door."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endpoints import Authority, Endpoint
from tests.notifications.calls.driving import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    walked = Clock()
    monkeypatch.setattr(time, "monotonic", walked)
    return walked


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        yield server


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)
