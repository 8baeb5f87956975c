"""A cache that uses a table of the database while its server, or its own table, is unavailable.

What is counted in it (limits, used codes) then starts anew in the table, which is worse than counting on and much better
than letting nobody in or everybody guess. `readyz`, metrics and `status` name the part meanwhile.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import structlog
from django.core.cache import BaseCache, InvalidCacheBackendError, caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.db import BaseDatabaseCache
from django.db import DatabaseError, connections, router, transaction

log = structlog.get_logger(__name__)

# After a failure it is left alone for so long; each process finds out for itself.
RETRY_SECONDS = 5.0


class LastingCache(BaseCache):
    """Uses the cache `PRIMARY` of its options, and `SPARE` while that one fails."""

    _down_until = 0.0

    def __init__(self, _location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        options = params.get("OPTIONS", {})
        self._primary_name, self._spare_name = options["PRIMARY"], options["SPARE"]

    @property
    def primary(self) -> BaseCache:
        """The cache of the settings without its substitute, for checks of whether it works."""
        return caches[self._primary_name]

    @property
    def spare(self) -> BaseCache:
        return caches[self._spare_name]

    def _do(self, work: Callable[[BaseCache], Any]) -> Any:
        kind = type(self)
        if time.monotonic() >= kind._down_until:
            try:
                with _apart(self.primary):
                    return work(self.primary)
            except (InvalidCacheBackendError, ValueError, TypeError):
                # A mistake of ours, not of the cache.
                raise
            except Exception as error:  # each kind of cache fails with errors of its own
                kind._down_until = time.monotonic() + RETRY_SECONDS
                log.error("cache_unavailable", error=type(error).__name__)
        return work(self.spare)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return bool(self._do(lambda cache: cache.add(key, value, timeout, version)))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self._do(lambda cache: cache.get(key, default, version))

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self._do(lambda cache: cache.set(key, value, timeout, version))

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return bool(self._do(lambda cache: cache.touch(key, timeout, version)))

    def delete(self, key: Any, version: int | None = None) -> bool:
        return bool(self._do(lambda cache: cache.delete(key, version)))

    def get_many(self, keys: Any, version: int | None = None) -> dict[Any, Any]:
        keys = list(keys)
        kept: dict[Any, Any] = self._do(lambda cache: cache.get_many(keys, version))
        return kept

    def clear(self) -> None:
        for cache in (self.primary, self.spare):
            try:
                with _apart(cache):
                    cache.clear()
            except Exception as error:  # each kind of cache fails with errors of its own
                log.error("cache_unavailable", error=type(error).__name__)

    def close(self, **kwargs: Any) -> None:
        """The caches below are closed by themselves, at the end of each request."""


def _apart(cache: BaseCache) -> Any:
    """Run a statement in a savepoint, so that its failure does not break the caller's transaction."""
    if isinstance(cache, BaseDatabaseCache):
        using = router.db_for_write(cache.cache_model_class)
        try:
            if connections[using].in_atomic_block:
                return transaction.atomic(using=using)
        except DatabaseError:
            pass
    return nullcontext()
