"""Processes of a production, started as the files of `deploy/` start them."""

import json
import time
import urllib.error
import urllib.request
from typing import Any

from tests.waiting import PATIENCE


def answers(url: str, seconds: float = PATIENCE) -> bool:
    """Whether the address answers 200 within this time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.HTTPError):
            time.sleep(0.1)
    return False


def json_lines(text: str) -> list[dict[str, Any]]:
    """Every line of a log as an object; a line that is none fails."""
    return [json.loads(line) for line in text.splitlines() if line]
