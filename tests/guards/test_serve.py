"""The runner of `make run`: what it says, how it ends, and that nothing outlives it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.ports import free_port
from tests.waiting import PATIENCE, wait_until

ROOT = Path(settings.BASE_DIR)
SITE = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *rest): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
RUNNER = """
import sys
from tools.serve import serve
site, port, other = sys.argv[1:]
serve({"web server": [sys.executable, "-c", site, port], "delivery worker": [sys.executable, "-c", other]},
      {}, f"http://127.0.0.1:{port}/", f"Ready: http://localhost:{port}")
"""
Start = Callable[[str], tuple[subprocess.Popen[str], int]]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(other: str) -> tuple[subprocess.Popen[str], int]:
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "-c", RUNNER, SITE, str(port), other],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        started.append(process)
        return process, port

    yield run
    for process in started:
        process.kill()
        process.communicate()


def ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return next(line for line in process.stdout if line.startswith("Ready"))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_and_is_a_success(start: Start, number: signal.Signals) -> None:
    process, port = start("import time; time.sleep(600)")
    assert ready(process) == f"Ready: http://localhost:{port}\n"
    process.send_signal(number)
    assert process.wait(PATIENCE) == 0
    assert is_free(port)


def test_one_that_ends_stops_the_rest_and_is_a_failure(start: Start) -> None:
    process, port = start("import sys, time; time.sleep(1); sys.exit(0)")
    said, _nothing = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "The delivery worker ended by itself" in said
    assert is_free(port)


@pytest.mark.skipif(sys.platform != "linux", reason="asked of the Linux kernel")
def test_nothing_outlives_a_runner_that_is_killed(start: Start) -> None:
    process, port = start("import time; time.sleep(600)")
    ready(process)
    process.kill()
    process.wait()
    assert wait_until(lambda: is_free(port))
