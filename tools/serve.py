"""Runs the processes of `make run` side by side.

Runners of Procfiles say neither when the site answers nor let Ctrl-C be a success, and leave their processes behind
when they are killed; this does.
"""

import ctypes
import os
import signal
import subprocess
import time
import urllib.request
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from tools.environment import ROOT, say

# Seconds that processes have to end by themselves.
PATIENCE = 15


def serve(commands: dict[str, list[str]], environment: dict[str, str], probe: str, ready: str) -> NoReturn:
    """Run the commands until a signal comes (exit 0) or one of them ends (exit 1); stop all.

    Args:
        commands: by the name that people read.
        environment: variables besides those of this process.
        probe: the address that answers 200 once the site is up.
        ready: what is said then.
    """
    asked: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    processes = {name: _start(command, environment) for name, command in commands.items()}
    ended: list[str] = []
    announced = False
    while not asked and not ended:
        if not announced and _answers(probe):
            say(f"\n{ready}")
            announced = True
        time.sleep(0.2)
        ended = [name for name, process in processes.items() if process.poll() is not None]
    say("\nStopping." if asked else f"\nThe {ended[0]} ended by itself; stopping the rest.")
    _stop(list(processes.values()))
    raise SystemExit(0 if asked else 1)


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        # Ctrl-C reaches this process only, which then stops the others in order.
        start_new_session=True,
        preexec_fn=_die_with_parent,
    )


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            process.terminate()
    deadline = time.monotonic() + PATIENCE
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _die_with_parent() -> None:
    """On Linux the kernel ends the child when this process is killed outright."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1 = PR_SET_PDEATHSIG


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 (a fixed local address)
            return bool(answer.status == 200)
    except OSError:
        return False
