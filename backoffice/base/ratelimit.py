"""Limits on how often something may be done, counted in the cache that all processes share.

`add` is the one step that every cache backend does whole, the database cache included, so each use
takes a numbered place of its own; two processes never share one. A cache that does not answer, or not
in time, never counts as a limit that is reached: what it cannot say is let pass.
"""

import ipaddress
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.core.cache import cache
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

_LOOKED_UP = 20  # places asked for at a time
_POLL = (0.01, 0.1)  # seconds between two looks, at first and later
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _key(what: str, who: str) -> str:
    return salted_hmac("backoffice.base.ratelimit", f"{what} {who}", algorithm="sha256").hexdigest()


def allow(what: str, who: str, *, limit: int, seconds: int, clock: Callable[[], float] = time.time) -> bool:
    """Take one of `limit` places in the current window of `seconds`; False when all are taken.

    Args:
        what: the action, a short name of ours.
        who: whom it is counted for, an address or a token; kept as a digest only.
        limit: small: a full window costs that many look-ups.
    """
    window = int(clock()) // seconds
    places = [f"limit:{_key(what, who)}:{window}:{place}" for place in range(limit)]
    if any(cache.add(place, 1, timeout=2 * seconds) for place in places):
        return True
    # The database cache answers « taken » when it was too busy to write.
    return len(cache.get_many(places)) < limit


def once(what: str, proof: str, *, seconds: int) -> bool:
    """Whether this is the first time within `seconds`; of several at once exactly one is. In doubt it is not."""
    return cache.add(f"once:{_key(what, proof)}", 1, timeout=seconds)


class Full(Exception):
    """Every place is kept; nothing comes free by waiting a moment."""


class Places:
    """At most `limit` uses within any `seconds`, however they fall: each holds its place for that long.

    A use whose outcome is not known yet holds its place for a moment (`take`), and then for good (`keep`)
    or not at all (`give_back`).
    """

    _TAKEN, _KEPT = "taken", "kept"

    def __init__(self, what: str, who: str, *, limit: int, seconds: float) -> None:
        self._prefix = f"places:{_key(what, who)}"
        self._limit = limit
        self._seconds = max(1, int(seconds))

    def _chunks(self) -> Iterator[list[str]]:
        for start in range(0, self._limit, _LOOKED_UP):
            yield [f"{self._prefix}:{place}" for place in range(start, min(start + _LOOKED_UP, self._limit))]

    def take(self, *, hold: int) -> str | None:
        """Take a free place for `hold` seconds; None if there is none."""
        return self._add(self._TAKEN, hold)

    def _add(self, state: str, hold: int) -> str | None:
        for places in self._chunks():
            # The look also clears away what has expired, which `add` of the database cache would share out twice.
            held = cache.get_many(places)
            for place in places:
                if place not in held and cache.add(place, state, timeout=hold):
                    return place
        return None

    def claim(self, *, hold: int, wait: float) -> str | None:
        """A place as `take` gives it, after waiting for others whose outcome is not known yet.

        None where none came free within `wait` seconds, though some are not kept.

        Raises:
            Full: every place is kept.
        """
        for _look in _looks(wait):
            place = self.take(hold=hold)
            if place is not None:
                return place
            if self.is_full():
                raise Full
        return None

    def keep(self, place: str | None = None) -> None:
        """Make a use count: the one of this place, or one that took none before."""
        if place is None:
            self._add(self._KEPT, self._seconds)
        else:
            cache.set(place, self._KEPT, timeout=self._seconds)

    def give_back(self, place: str | None) -> None:
        if place is not None:
            cache.delete(place)

    def use(self) -> bool:
        """Use up a place permanently; False if all are used."""
        return self._add(self._KEPT, self._seconds) is not None or not self.is_full()

    def is_full(self) -> bool:
        """Whether every place is kept: what is only taken may come free."""
        for places in self._chunks():
            held = cache.get_many(places)
            if any(held.get(place) != self._KEPT for place in places):
                return False
        return True


def _looks(seconds: float) -> Iterator[None]:
    """The rounds of a loop that polls for at most this long."""
    end, pause = time.monotonic() + seconds, _POLL[0]
    yield
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause = min(2 * pause, _POLL[1])
        yield


@contextmanager
def turn(what: str, who: str, *, wait: float, hold: int) -> Iterator[bool]:
    """Let one at a time in; the others wait for up to `wait` seconds and then go in all the same.

    Yields whether it was really the turn. A holder that died is forgotten after `hold` seconds.
    """
    key, mine = f"turn:{_key(what, who)}", secrets.token_hex(16)
    got = any(cache.get(key) is None and cache.add(key, mine, timeout=hold) for _look in _looks(wait))
    try:
        yield got
    finally:
        if got and cache.get(key) == mine:
            cache.delete(key)


def network_of(address: str) -> str:
    """Return what is counted for an address: itself, or for IPv6 its /64, which belongs to one visitor.

    IPv4 that travels inside IPv6 (mapped, NAT64, 6to4) stands for the IPv4 address.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if not isinstance(ip, ipaddress.IPv6Address):
        return str(ip)
    inside = ip.ipv4_mapped or ip.sixtofour
    if inside is None and ip in _NAT64:
        inside = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return str(inside or ipaddress.ip_network((int(ip), 64), strict=False))


def visitor(request: HttpRequest | None) -> str:
    """Return what a request is counted for where a limit goes by address."""
    return network_of(request.META.get("REMOTE_ADDR") or "") if request is not None else ""
