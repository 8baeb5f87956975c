"""Settings of the web server, named on its command line (`--config deploy/gunicorn.conf.py`).

How many processes and threads there are, and where they listen, stands on the command line or in `WEB_CONCURRENCY`.
"""

import ctypes
import logging
import os
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from backoffice.base import logs, tracing

# prctl(2); Linux only, elsewhere a worker looks for its parent about once a second.
_PR_SET_PDEATHSIG = 1

logs.configure()
logging.captureWarnings(True)
logconfig_dict = logs.logging_settings(os.environ.get("LOG_LEVEL", "WARNING"))
# Each request has its line already, with its id and its account.
accesslog = None
# A file of every worker is touched each second; in memory no slow disk can make a worker look dead.
_MEMORY = Path("/dev/shm")  # noqa: S108 - the system's own, and gunicorn opens nothing there by a name that can be guessed
worker_tmp_dir = str(_MEMORY) if _MEMORY.is_dir() else None
# Nothing steers the server but signals, and its folder may be read-only.
control_socket_disable = True
# Longer than the slowest answer; a worker that hangs for longer is replaced.
timeout = 60
graceful_timeout = 30

_FIGURES = "backoffice-figures-"


def on_starting(server: Any) -> None:
    """Make the folder in which all processes count, before any of them begins (`backoffice/base/figures.py`)."""
    named = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""))
    if named.name and not named.name.startswith(_FIGURES):
        return
    room = _MEMORY if _MEMORY.is_dir() else Path(tempfile.gettempdir())
    for left in room.glob(f"{_FIGURES}*"):
        # Of a server that was killed. What belongs to others cannot be removed, and is not.
        if not Path(f"/proc/{left.name.removeprefix(_FIGURES).partition('-')[0]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=f"{_FIGURES}{os.getpid()}-", dir=room)


def child_exit(server: Any, worker: Any) -> None:
    """What a process counted stays counted; its gauges go."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server: Any) -> None:
    folder = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""))
    if folder.name.startswith(f"{_FIGURES}{os.getpid()}-"):
        shutil.rmtree(folder, ignore_errors=True)


def worker_exit(server: Any, worker: Any) -> None:
    """What traces hold back goes out."""
    tracing.stop()


def post_worker_init(worker: Any) -> None:
    """Let a worker end with its parent, even where that is killed, and free the port at once for the next one.

    Traces begin here, since what exports them is a thread, and threads do not survive a fork.
    """
    tracing.start()

    def parent_is_gone(*_args: Any) -> None:
        # Requests in hand are answered; the loop of the worker sees to that.
        worker.set_accept_enabled(False)
        worker.alive = False
        for listener in worker.sockets:
            listener.close()

    if not hasattr(worker, "set_accept_enabled"):
        return
    signal.signal(signal.SIGRTMIN, parent_is_gone)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGRTMIN)
    if os.getppid() != worker.ppid:
        # It was gone before.
        parent_is_gone()
