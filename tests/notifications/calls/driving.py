"""How tests drive the door for outgoing HTTP: a call, a clock that they walk, a resolver of theirs."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from notifications.calls.door import Answer, Door

PUBLIC = "93.184.216.34"
FORM = "application/x-www-form-urlencoded"
LIMIT = 60.0  # seconds of an attempt in these tests, which are walked where it runs out
MOMENT = 0.05  # seconds after which what was going to happen at once has mostly happened


def run(work: Callable[[Door], Awaitable[Any]], **options: Any) -> Any:
    """Open a door and do the work with it."""

    async def main() -> Any:
        async with Door(**{"timeout": LIMIT, "allow_private": True, **options}) as door:
            return await work(door)

    return asyncio.run(main())


def call(url: str, body: bytes = b"a=1", **options: Any) -> Answer:
    return run(lambda door: door.post(url, body, FORM), **options)


class Clock:
    """The clock of the door and of all event loops; what a test walks it ahead comes on top of real time."""

    def __init__(self) -> None:
        self._real, self.ahead = time.monotonic, 0.0

    def __call__(self) -> float:
        return self._real() + self.ahead


async def became(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def walked_out(posting: Awaitable[Answer], clock: Clock, begun: Callable[[], Any]) -> Answer:
    """The answer of a call whose time is up once it has begun: not given half a limit before."""
    task = asyncio.ensure_future(posting)
    await became(lambda: task.done() or begun())
    clock.ahead += LIMIT / 2
    await asyncio.sleep(MOMENT)
    assert not task.done()
    clock.ahead += LIMIT / 2
    return await task


def too_late(url: str, clock: Clock, begun: Callable[[], Any]) -> Answer:
    """The answer of a call that is still in hand when its time is up."""
    return run(lambda door: walked_out(door.post(url, b"a=1", FORM), clock, begun), timeout=LIMIT)


class Names(AbstractResolver):
    """A resolver whose answers are written down: one list of addresses per lookup, the last one stays."""

    def __init__(self, *lookups: list[str]) -> None:
        self.lookups = list(lookups)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        found = self.lookups.pop(0) if len(self.lookups) > 1 else self.lookups[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in found
        ]

    async def close(self) -> None:
        pass
