"""The cache of production without Redis: a table, which all processes share."""

from copy import deepcopy
from typing import Any

from django.core.cache import cache
from django.core.management import call_command

DATABASE_CACHE = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "shared_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
        "KEY_FUNCTION": "backoffice.base.private_cache.key",
    },
    "progress": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "progress"},
}


def lasting(primary: dict[str, Any]) -> dict[str, Any]:
    """The caches of production, with this one as the shared one."""
    digests = {"KEY_FUNCTION": "backoffice.base.private_cache.key"}
    return {
        "default": {
            "BACKEND": "backoffice.base.lasting_cache.LastingCache",
            "OPTIONS": {"PRIMARY": "shared", "SPARE": "spare"},
        },
        "shared": {**primary, **digests},
        "spare": {**DATABASE_CACHE["default"], "LOCATION": "spare_cache"},
        "progress": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "progress", **digests},
    }


def use_database_cache(settings: Any) -> None:
    """Let a test work on the table, empty.

    It is no model's table: what a test with real transactions leaves in it is not flushed, and the wrong tries of one
    test would count against the next.
    """
    settings.CACHES = deepcopy(DATABASE_CACHE)
    call_command("createcachetable")
    cache.clear()
