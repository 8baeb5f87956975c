"""Crash points: a process that ends by SIGKILL right before, after or inside a named function of the product."""

import functools
import importlib
import inspect
import os
import random
import signal
from collections.abc import Generator
from typing import Any


def install(at: str, when: str = "after", chance: float = 1.0, seed: int = 0, skip: int = 0) -> None:
    """Let the process die at a function.

    Args:
        at: `module:function` or `module:Class.method`, as the product looks it up.
        when: before or after the call; of a generator, after its end.
        chance: of dying at each call; the first `skip` calls never do.
    """
    module_name, _sep, path = at.partition(":")
    owner: Any = importlib.import_module(module_name)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    original = getattr(owner, name)
    dice = random.Random(seed)
    calls = 0

    def strike() -> None:
        nonlocal calls
        calls += 1
        if calls > skip and dice.random() < chance:
            os.kill(os.getpid(), signal.SIGKILL)

    def to_its_end(steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        result = yield from steps
        strike()
        return result

    @functools.wraps(original)
    def dying(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            strike()
        result = original(*args, **kwargs)
        if when == "after" and inspect.isgenerator(result):
            return to_its_end(result)
        if when == "after":
            strike()
        return result

    setattr(owner, name, dying)
