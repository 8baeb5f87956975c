"""Waiting for what happens in another thread or process, as long as a busy machine needs."""

import time
from collections.abc import Callable

# Seconds. Only a test that fails ever waits as long, so it costs nothing to be patient.
PATIENCE = 300.0


def wait_until(condition: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Whether the condition became true within this time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())
