"""The shared cache holds no personal data in plain: keys are keyed digests, and what is private is encrypted.

Whoever reads the table of the cache, a copy of it or Redis learns neither whom an entry is about nor
what a mail says.
"""

from typing import Any

from django.core.cache import cache
from django.utils.crypto import salted_hmac

from backoffice.base import crypto


def key(key: Any, prefix: str, version: int) -> str:
    """What the cache knows an entry by (`KEY_FUNCTION`): people name it by accounts and addresses."""
    digest = salted_hmac("backoffice.base.private_cache", f"{prefix}:{version}:{key}", algorithm="sha256").hexdigest()
    return f"{prefix}:{version}:{digest}"


def put(name: str, text: str, seconds: int) -> None:
    """Store a text for some time, encrypted; only `get` with the same name reads it."""
    cache.set(name, crypto.encrypt(text, _context(name)), seconds)


def get(name: str) -> str | None:
    """Read a text stored by `put`; None if it expired or its encryption key is gone."""
    stored = cache.get(name)
    if not isinstance(stored, str):
        return None
    try:
        return crypto.decrypt(stored, _context(name))
    except (crypto.DecryptionError, ValueError):
        return None


def _context(name: str) -> str:
    return f"cache:{name}"
