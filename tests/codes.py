"""One-time codes of an authenticator app."""

import time
from types import SimpleNamespace

import pytest
from allauth.mfa.totp.internal import auth


@pytest.fixture
def one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thirty seconds of a code do not end within the test, however long that takes."""
    now = time.time()
    monkeypatch.setattr(auth, "time", SimpleNamespace(time=lambda: now))


def code_of(secret: str) -> str:
    """The code that the app shows now."""
    return auth.format_hotp_value(auth.hotp_value(secret, next(iter(auth.yield_hotp_counters_from_time()))))
