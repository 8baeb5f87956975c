"""A limit on how often something may be done, counted in the cache that all processes share.

`add` is the one step that every cache backend does whole, the database cache included, so each use
takes a numbered place of its own; two processes never share one.
"""

import ipaddress
import time
from collections.abc import Callable

from django.core.cache import cache
from django.utils.crypto import salted_hmac


def allow(what: str, who: str, *, limit: int, seconds: int, clock: Callable[[], float] = time.time) -> bool:
    """Take one of `limit` places in the current window of `seconds`; False when all are taken.

    Args:
        what: the action, a short name of ours.
        who: whom it is counted for, an address or a token; kept as a digest only.
        limit: small: a full window costs that many look-ups.
    """
    window = int(clock()) // seconds
    key = salted_hmac("backoffice.ratelimit", f"{what} {who}", algorithm="sha256").hexdigest()
    return any(cache.add(f"limit:{key}:{window}:{place}", 1, timeout=2 * seconds) for place in range(limit))


def network_of(address: str) -> str:
    """Whom a visitor's address stands for: itself, or for IPv6 its /64, which one visitor has whole."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
