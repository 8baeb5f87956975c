"""The list of faults: each a name, a sentence that says what is done, and what must hold afterwards."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from tests.faults.laboratory import Laboratory

GROUPS = ("mail_server", "endpoint", "database", "broker", "cache", "process", "disk", "clock", "configuration")
BOTH = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Fault:
    """A fault and its expectations.

    Attributes:
        does: breaks something, looks at what the product says of it, and returns once what follows is over.
        window: the documented case of a duplicate that this fault falls into; empty where a duplicate is a defect.
        waits: whether deliveries may still wait at the end, because the fault goes on.
        may_die: whether deliveries may be dead at the end, for a reason that they name.
        quick: belongs to the part that runs with the tests.
    """

    group: str
    name: str
    does: Callable[[Laboratory], None]
    databases: tuple[str, ...] = BOTH
    broker: str = ""
    cache: str = ""
    window: str = ""
    waits: bool = False
    may_die: bool = False
    quick: bool = False


FAULTS: list[Fault] = []


def fault(
    name: str,
    *,
    databases: tuple[str, ...] = BOTH,
    broker: str = "",
    cache: str = "",
    window: str = "",
    waits: bool = False,
    may_die: bool = False,
    quick: bool = False,
) -> Callable[[Callable[[Laboratory], None]], Callable[[Laboratory], None]]:
    """Put a function into the list; its module is its group."""

    def add(function: Callable[[Laboratory], None]) -> Callable[[Laboratory], None]:
        group = function.__module__.rpartition(".")[2]
        FAULTS.append(Fault(group, name, function, databases, broker, cache, window, waits, may_die, quick))
        return function

    return add


def all_faults() -> list[Fault]:
    for group in GROUPS:
        import_module(f"tests.faults.groups.{group}")
    return sorted(FAULTS, key=lambda one: GROUPS.index(one.group))


def judged(fault: Fault, lab: Laboratory) -> tuple[dict[str, int], list[str]]:
    """What the checker counted, and what of it breaks a promise."""
    count = lab.count()
    wrong = list(count.wrong)
    if count.waiting and not fault.waits:
        wrong.append(f"{count.waiting} still wait")
    if count.dead and not fault.may_die:
        wrong.append(f"{count.dead} were given up: {lab.errors()}")
    if count.duplicates and not fault.window:
        wrong.append(f"{count.duplicates} duplicates outside the documented windows")
    figures = {
        name: getattr(count, name)
        for name in ("accepted", "arrived", "dead", "waiting", "duplicates", "most_copies", "lost")
    }
    return figures, wrong
