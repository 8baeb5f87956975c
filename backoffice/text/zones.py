"""Time zones that this machine knows, read from its disk once.

`zoneinfo.available_timezones` walks the whole tree of the zone files at every call, which cost more than all else
that accepting an event does.
"""

import zoneinfo
from functools import lru_cache


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Every zone by its name, as of the first time this process asked."""
    return frozenset(zoneinfo.available_timezones())


@lru_cache(maxsize=1)
def offered() -> list[str]:
    """Zones with a place in their name, plus UTC; the many aliases stay out of the list."""
    return ["UTC", *sorted(name for name in names() if "/" in name and not name.startswith("Etc/"))]


def known(name: str, instead: str) -> str:
    """The zone, or another one where this machine does not have it: zones are renamed now and then."""
    return name if name in names() else instead
