"""Several worker processes under one parent: restarted when they die, stopped together, none left running.

One process of Python uses one core; a machine with more of them takes as many workers.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

# A process that dies at once is not started again more often than this.
RESTART_SECONDS = 2.0
# Longer than a worker takes to end the mails that are out.
END_SECONDS = 50.0
_LOOK_SECONDS = 0.2


def parent_is_gone(parent: int) -> bool:
    """Whether the process that started this one is no more; what it started ends as well then."""
    return os.getppid() != parent


class Supervisor:
    """Keeps `count` processes of a command alive until it is asked to stop."""

    def __init__(self, command: list[str], count: int) -> None:
        self._command = command
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * count
        self._start_at = [0.0] * count

    def run(self, stop: Callable[[], bool]) -> int:
        """Returns how many processes had to be started again."""
        restarts = 0
        try:
            while not stop():
                restarts += self._look()
                time.sleep(_LOOK_SECONDS)
        finally:
            self._end()
        return restarts

    def _look(self) -> int:
        restarts = 0
        now = time.monotonic()
        for place, process in enumerate(self._processes):
            if process is not None and process.poll() is not None:
                log.error("worker_process_ended", pid=process.pid, code=process.returncode)
                self._processes[place] = None
                restarts += 1
            if self._processes[place] is None and now >= self._start_at[place]:
                self._processes[place] = subprocess.Popen(self._command)
                self._start_at[place] = now + RESTART_SECONDS
        return restarts

    def _end(self) -> None:
        living = [process for process in self._processes if process is not None and process.poll() is None]
        for process in living:
            process.send_signal(signal.SIGTERM)
        end = time.monotonic() + END_SECONDS
        for process in living:
            try:
                process.wait(max(end - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def command() -> list[str]:
    """The command of one of our workers; it ends when this process does."""
    return [sys.executable, sys.argv[0], "deliver", "--watch", "--parent", str(os.getpid())]
