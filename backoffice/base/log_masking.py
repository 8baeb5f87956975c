"""Logs without secrets and without personal data: the last step before a line is written.

It works on every line, those of libraries included. What it replaces: values under telling names, e-mail
addresses, bearer tokens, links that open something, query strings, and long strings of chance.
"""

import re
from collections.abc import Mapping
from typing import Any

MASK = "[masked]"
ADDRESS = "[address]"

_NAMES = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|authori[sz]ation|cookie|csrf|session|api_?key|private|credential|signature|"
    r"recovery|otp|e_?mail|address$|recipient|phone",
    re.I,
)
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]+", re.I), rf"\1 {MASK}"),
    (re.compile(r"\bbom_[\w-]{8,}"), MASK),
    (re.compile(r"\b(test|prod)password_\w+", re.I), MASK),
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), rf"\1{MASK}@"),
    # Links that open an account, an order, a form or a choice.
    (
        re.compile(
            r"(/(?:accounts/(?:set-password|login-link|sftp-reveal)|orders|forms|newsletter/unsubscribe)/)[^/\s?\"']+"
        ),
        rf"\1{MASK}",
    ),
    (
        re.compile(r"\b(\w*(?:password|secret|token|key|passwd|code)\w*[\"']?\s*[=:]\s*)[\"']?[^\s\"',;&)}]+", re.I),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?<=[\w/])\?[\w%-]+=[^\s\"']*"), f"?{MASK}"),
    (re.compile(r"[\w.+%'-]+@[\w-]+(?:\.[\w-]+)+"), ADDRESS),
    (re.compile(r"\b(?=\w*\d)(?=\w*[A-Za-z])[A-Za-z0-9_]{32,}\b"), MASK),
)
_LONGEST = 20_000


def masked_text(text: str) -> str:
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return text[:_LONGEST]


def _masked(name: str, value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if name and _NAMES.search(name):
        return MASK
    if isinstance(value, Mapping):
        return {str(key): _masked(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_masked("", item) for item in value]
    return masked_text(value if isinstance(value, str) else str(value))


# What structlog itself needs to find unchanged.
_OWN = (
    "_record",
    "_from_structlog",
    "exc_info",
    "level",
    "timestamp",
    "logger",
    "request_id",
    "event_id",
    "delivery_id",
    "trace_id",
    "span_id",
)


def mask(_logger: Any, _method: str, event: Any) -> Any:
    """A structlog processor: the line without what must not stand in a log."""
    return {name: value if name in _OWN else _masked(name, value) for name, value in event.items()}
