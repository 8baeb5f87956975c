"""The laboratory: a database, a mail server, an endpoint and processes of the product, all of which faults may break.

One is built for each kind of database and of services; `fresh()` gives each fault an empty outbox and servers that behave.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.endpoints import Endpoint
from tests.faults import checker
from tests.faults.services import Gate, PostgreSQL, RabbitMQ, Redis, Service, wait_for
from tests.odd_smtp import OddServer, odd_server
from tests.ports import free_port
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
MAIL_SHOP, CALL_SHOP, OTHER_SHOP = "80000001", "80000002", "80000003"


class Skipped(Exception):
    """The fault cannot be made on this machine, for this reason."""


@dataclass
class Running:
    """A process of the product that the laboratory started."""

    lab: "Laboratory"
    pid: int
    stdout: Path
    stderr: Path

    def poll(self) -> int | None:
        code: int | None = self.lab.ask({"poll": self.pid})["code"]
        return code

    def kill(self) -> None:
        """SIGKILL to this process alone."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill_all(self) -> None:
        """SIGKILL to it and everything it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.kill()

    def wait(self, seconds: float = PATIENCE) -> int:
        wait_for(lambda: self.poll() is not None, seconds, f"{self.stdout.name} does not end")
        code = self.poll()
        assert code is not None
        return code

    @property
    def output(self) -> str:
        return self.stdout.read_text("utf-8", "replace")

    @property
    def log(self) -> str:
        return self.stderr.read_text("utf-8", "replace")


class Laboratory:
    """A context manager.

    Args:
        database: `sqlite` or `postgresql`.
        broker, cache: `rabbitmq` or `redis`, where the product is to use one; empty for none.
        template: a database file that is migrated already, for SQLite.
    """

    def __init__(self, database: str = "sqlite", *, broker: str = "", cache: str = "") -> None:
        self.database, self.broker_kind, self.cache_kind = database, broker, cache
        self.accepted: list[str] = []
        self._number = 0
        self._files = 0
        self._processes: list[Running] = []
        self.services: dict[str, Service] = {}
        self.gates: dict[str, Gate] = {}
        self.endpoint = Endpoint()

    # --- Building and taking down ---------------------------------------------------------------------

    def __enter__(self) -> "Laboratory":
        self._folder = tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.folder.chmod(0o755)
        (self.folder / "db").mkdir()
        settings = SimpleNamespace()
        self._smtp_context = odd_server(settings)
        self.smtp: OddServer = self._smtp_context.__enter__()
        self.endpoint.__enter__()
        try:
            self._start_services()
            self._seed()
            self._zygote = self._start_zygote()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start_services(self) -> None:
        wanted: dict[str, type[Service]] = {}
        if self.database == "postgresql":
            wanted["postgresql"] = PostgreSQL
        if self.broker_kind == "rabbitmq":
            wanted["rabbitmq"] = RabbitMQ
        if "redis" in (self.broker_kind, self.cache_kind):
            wanted["redis"] = Redis
        for name, kind in wanted.items():
            if reason := kind.absent():
                raise Skipped(reason)
            service = kind(self.folder / name)
            self.services[name] = service
            service.start()
            self.gates[name] = Gate(service.port)

    @property
    def postgresql(self) -> PostgreSQL:
        service = self.services["postgresql"]
        assert isinstance(service, PostgreSQL)
        return service

    @property
    def url(self) -> str:
        """Of the database, for the checker: past every gate."""
        return (
            self.postgresql.url("lab") if "postgresql" in self.services else f"sqlite:///{self.folder}/db/lab.sqlite3"
        )

    @property
    def environment(self) -> dict[str, str]:
        """Of the product's processes."""
        variables = {
            "SECRET_KEY": "a-secret-key-of-the-laboratory-that-protects-nothing-at-all",
            "FIELD_ENCRYPTION_KEYS": "lab:bGFib3JhdG9yeS1maWVsZC1rZXktMzItYnl0ZXMtMDE=",
            "DEBUG": "false",
            "BASE_URL": "http://localhost:8000",
            "ALLOWED_HOSTS": "127.0.0.1",
            "EMAIL_URL": f"smtp://127.0.0.1:{self.smtp.port}",
            "MFA_REQUIRED": "false",
            "IPN_ALLOW_PRIVATE_NETWORKS": "true",
            "IPN_TIMEOUT": "2",
            "LOG_LEVEL": "WARNING",
            "CELERY_BROKER_URL": "",
            "REDIS_URL": "",
            "SUPPORT_EMAIL": "",
            "DATABASE_URL": self.url,
            "PYTHONPATH": str(ROOT),
        }
        if "postgresql" in self.gates:
            variables["DATABASE_URL"] = self.postgresql.url("lab", self.gates["postgresql"].port)
        if self.broker_kind == "rabbitmq":
            variables["CELERY_BROKER_URL"] = f"amqp://guest:guest@127.0.0.1:{self.gates['rabbitmq'].port}//"
        if self.broker_kind == "redis":
            variables["CELERY_BROKER_URL"] = f"redis://127.0.0.1:{self.gates['redis'].port}/1"
        if self.cache_kind == "redis":
            variables["REDIS_URL"] = f"redis://127.0.0.1:{self.gates['redis'].port}/0"
        return {**os.environ, **variables}

    def _seed(self) -> None:
        """The database that each fault gets a copy of."""
        url = f"sqlite:///{self.folder}/template.sqlite3"
        if "postgresql" in self.services:
            self._server("CREATE DATABASE template_of_lab")
            url = self.postgresql.url("template_of_lab")
        self.token = self.fill(
            self.environment | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.faults.settings"}
        )

    def fill(self, environment: dict[str, str]) -> str:
        """Make the tables and what the faults are done to; returns the token of the platform."""
        seeded = subprocess.run(
            [sys.executable, "-m", "tests.faults.seed", self.endpoint.url("/call")],
            env=environment, cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return seeded.stdout.splitlines()[-1]

    def _server(self, statement: str) -> None:
        checker.execute(self.postgresql.url("postgres"), statement)

    def _start_zygote(self) -> subprocess.Popen[str]:
        zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"], env=self.environment, cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert zygote.stdout is not None
        assert zygote.stdout.readline(), "the product could not be loaded"
        self._asking = threading.Lock()
        return zygote

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._zygote.stdin is not None and self._zygote.stdout is not None
        with self._asking:
            self._zygote.stdin.write(json.dumps(order) + "\n")
            self._zygote.stdin.flush()
            answer: dict[str, Any] = json.loads(self._zygote.stdout.readline())
        return answer

    def __exit__(self, *_exc: Any) -> None:
        self.end_processes()
        zygote = getattr(self, "_zygote", None)
        if zygote is not None:
            zygote.kill()
            zygote.communicate()
        for gate in self.gates.values():
            gate.close()
        for service in self.services.values():
            with suppress(Exception):
                service.thaw()
            service.kill()
        self.endpoint.__exit__()
        self._smtp_context.__exit__(None, None, None)
        self._folder.cleanup()

    def fresh(self) -> None:
        """An outbox without events, servers that behave."""
        self.end_processes()
        self.smtp.behave()
        self.endpoint.status, self.endpoint.greeting = 200, None
        self.endpoint.behaviours.clear()
        self.endpoint.requests.clear()
        for gate in self.gates.values():
            gate.behave()
            gate.cut()
        for service in self.services.values():
            service.ensure()
        self.accepted = []
        self._number = 0
        if "postgresql" in self.services:
            wait_for(self._fresh_postgresql, PATIENCE, "the database of the laboratory cannot be made anew")
            return
        for path in (self.folder / "db").iterdir():
            path.unlink()
        shutil.copy(self.folder / "template.sqlite3", self.folder / "db/lab.sqlite3")

    def _fresh_postgresql(self) -> bool:
        try:
            self._server("DROP DATABASE IF EXISTS lab WITH (FORCE)")
            self._server("CREATE DATABASE lab TEMPLATE template_of_lab")
        except Exception:
            # It may still be recovering from what was done to it.
            return False
        return True

    def end_processes(self) -> None:
        for process in self._processes:
            process.kill_all()
        for process in self._processes:
            with suppress(Exception):
                process.wait(5)
        self._processes.clear()

    # --- Processes ------------------------------------------------------------------------------------

    def start(self, *words: str, **order: Any) -> Running:
        """Start a command of the product: `manage.py` words, `gunicorn …` or `celery …`."""
        self._files += 1
        out = self.folder / f"{self._files}-{words[0]}.out"
        err = out.with_suffix(".err")
        out.touch()
        err.touch()
        pid = self.ask({"run": list(words), "stdout": str(out), "stderr": str(err), **order})["pid"]
        process = Running(self, pid, out, err)
        self._processes.append(process)
        return process

    def worker(self, *words: str, **order: Any) -> Running:
        return self.start("deliver", "--watch", *words, **order)

    def run(self, *words: str, seconds: float = PATIENCE, **order: Any) -> Running:
        process = self.start(*words, **order)
        process.wait(seconds)
        return process

    def web(self, port: int | None = None) -> tuple[Running, int]:
        """A web server of two processes; returns when it answers."""
        port = port or free_port()
        process = self.start(
            "gunicorn", "backoffice.wsgi", "--config", "deploy/gunicorn.conf.py", "--bind", f"127.0.0.1:{port}",
            "--workers", "2", "--threads", "4",
        )  # fmt: skip
        wait_for(
            lambda: self.get(port, "/livez")[0] == 200,
            PATIENCE,
            f"the web server does not answer: {process.log[-500:]}",
        )
        return process, port

    def get(
        self, port: int, path: str, data: bytes | None = None, seconds: float = 60.0, **headers: str
    ) -> tuple[int, str]:
        """Status and body of an answer; status 0 where there is none."""
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return answer.status, answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            # The second: whoever answered died in the middle of it.
            return 0, type(error).__name__

    # --- Events ---------------------------------------------------------------------------------------

    def events(self, count: int, shop: str = MAIL_SHOP) -> list[dict[str, Any]]:
        numbers = range(self._number + 1, self._number + count + 1)
        self._number += count
        return [
            {
                "id": f"LAB-{number:06d}", "type": "payment.accepted", "site_id": shop, "mode": "PRODUCTION",
                "occurred_at": "2026-11-23T10:00:00Z",
                "data": {"amount": 1990, "currency": "EUR", "order_id": f"LAB-{number:06d}", "transaction_id": f"{number:06d}"},
            }
            for number in numbers
        ]  # fmt: skip

    def publish(self, count: int, shop: str = MAIL_SHOP) -> list[str]:
        """Let the product accept events, all of them, by its command."""
        events = self.events(count, shop)
        file = self.folder / f"events-{self._number}.jsonl"
        file.write_text("".join(json.dumps(event) + "\n" for event in events))
        process = self.run("publish", str(file))
        assert f"accepted={count}" in process.output, process.output + process.log
        self.accepted += [event["id"] for event in events]
        return [event["id"] for event in events]

    def post_event(self, port: int, event: dict[str, Any]) -> int:
        """Send an event over the API; only what is acknowledged counts as accepted."""
        status, _body = self.get(
            port, "/api/v1/events", json.dumps(event).encode(), Authorization=f"Bearer {self.token}",
            **{"Content-Type": "application/json"},
        )  # fmt: skip
        if 200 <= status < 300:
            self.accepted.append(event["id"])
        return status

    # --- Looking --------------------------------------------------------------------------------------

    def until(self, check: Callable[[], Any], what: str, seconds: float = PATIENCE) -> None:
        wait_for(check, seconds, what)

    def settled(self, seconds: float = PATIENCE) -> None:
        """Wait until nothing is open any more."""
        # Each look is a connection of its own: often enough, and no burden.
        wait_for(lambda: self._open() == 0, seconds, "deliveries are still open", every=0.2)

    def _open(self) -> int:
        try:
            return checker.open_count(self.url)
        except Exception:
            return -1

    def arrived(self, count: int = 1, seconds: float = PATIENCE) -> None:
        """Wait until so many mails have come."""
        wait_for(lambda: len(self.smtp.mails) >= count, seconds, f"{len(self.smtp.mails)} of {count} mails have come")

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        return checker.rows(self.url, statement)

    def execute(self, statement: str) -> None:
        checker.execute(self.url, statement)

    def errors(self) -> str:
        """What the deliveries say of themselves, all together."""
        return " | ".join(str(row[0]) for row in self.sql("SELECT DISTINCT error FROM notifications_delivery"))

    def replies(self) -> str:
        return " | ".join(str(row[0]) for row in self.sql("SELECT DISTINCT reply FROM notifications_attempt"))

    def problems(self) -> set[str]:
        """The parts that `status` says need a person."""
        process = self.run("status", "--format", "json")
        problems = json.loads(process.output)["problems"]
        assert bool(problems) == (process.poll() == 1), "exit code and problems disagree"
        return {problem["part"] for problem in problems}

    def count(self, out: checker.Out | None = None) -> checker.Count:
        """Args: `out`: what may have come again; None where that is judged elsewhere."""
        mails, calls = list(self.smtp.mails), list(self.endpoint.requests)
        return checker.count(self.url, self.accepted, mails, calls, None if out is None else out.times)

    def note_out(self, out: checker.Out) -> None:
        """After a death, with no other process at work."""
        before = self.endpoint.accepted
        # Connections are taken in their order: with this one, those before it are.
        socket.create_connection(("127.0.0.1", self.endpoint.port)).close()
        wait_for(
            lambda: self.smtp.is_quiet and self.endpoint.accepted > before and self.endpoint.is_quiet,
            20,
            "connections of the dead stay open",
        )
        out.note(self.url, self.smtp.mails, self.endpoint.requests)

    @contextmanager
    def small_disk(self, mebibytes: float) -> Iterator[Path]:
        """A folder on a disk of its own, which is soon full."""
        folder = self.folder / f"disk-{self._files}-{time.monotonic_ns()}"
        folder.mkdir()
        mounted = (
            os.geteuid() == 0
            and not subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={int(mebibytes * 1024)}k", "tmpfs", str(folder)],
                capture_output=True,
            ).returncode
        )
        if not mounted:
            raise Skipped("no right to mount a small disk")
        try:
            yield folder
        finally:
            self.end_processes()
            subprocess.run(["umount", "--lazy", str(folder)], capture_output=True)


def fill(folder: Path, leave: int = 0) -> Path:
    """Fill a disk but for some bytes; returns the file to remove."""
    ballast = folder / "ballast"
    with ballast.open("wb") as file, suppress(OSError):
        while True:
            file.write(b"\0" * 65536)
            file.flush()
    with suppress(OSError), ballast.open("r+b") as file:
        file.truncate(max(file.seek(0, 2) - leave, 0))
    return ballast
