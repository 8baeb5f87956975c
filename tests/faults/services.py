"""PostgreSQL, RabbitMQ and Redis of the laboratory's own, from the installed binaries, on ports of their own.

Each may be killed, frozen and started again as a fault likes. `absent()` says why one cannot run here.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.ports import free_port

Command = list[str | Path]


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
    except OSError:
        return False
    return True


def wait_for(check: Callable[[], Any], seconds: float, what: str, every: float = 0.05) -> None:
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(every)


class Service:
    """A server process of the laboratory. `start` returns when it answers."""

    binary = ""
    # Seconds until it answers, on a machine that is busy with other things.
    patience = 90.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.prepare()

    @classmethod
    def absent(cls) -> str:
        """Why it cannot run here; empty when it can."""
        return "" if shutil.which(cls.binary) else f"{cls.binary} is not installed"

    def prepare(self) -> None:
        """What is done once, before the first start."""

    def command(self) -> Command:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def user(self) -> str | None:
        return None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def is_up(self) -> bool:
        return answers(self.port)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env={**os.environ, **self.environment()},
                cwd=self.folder,
                user=self.user(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self.is_up, self.patience, f"{self.binary} does not answer; see {self.folder}/log")

    def kill(self) -> None:
        """SIGKILL to the server and all it started."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(15)
            self.kill()

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def ensure(self) -> None:
        """Up and awake, whatever the last fault did."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                self.thaw()
            if self.is_up():
                return
            self.kill()
        self.start()


class PostgreSQL(Service):
    binary = "postgres"

    @classmethod
    def folder_of_binaries(cls) -> Path | None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
        if found:
            return found[-1].parent
        which = shutil.which("initdb")
        return Path(which).parent if which else None

    @classmethod
    def absent(cls) -> str:
        if cls.folder_of_binaries() is None:
            return "PostgreSQL is not installed"
        if os.geteuid() == 0 and not cls._unprivileged():
            return "PostgreSQL does not run as root, and there is no account postgres"
        return ""

    @classmethod
    def _unprivileged(cls) -> str | None:
        try:
            return pwd.getpwnam("postgres").pw_name
        except KeyError:
            return None

    def user(self) -> str | None:
        return self._unprivileged() if os.geteuid() == 0 else None

    def prepare(self) -> None:
        bin_folder = self.folder_of_binaries()
        assert bin_folder is not None
        self._bin = bin_folder
        if self.user():
            shutil.chown(self.folder, self.user())
        self.data = self.folder / "data"
        subprocess.run(
            [bin_folder / "initdb", "--pgdata", self.data, "--username", "lab", "--auth", "trust", "--encoding", "UTF8", "--no-sync"],
            check=True, capture_output=True, user=self.user(), cwd=self.folder,
        )  # fmt: skip

    def command(self) -> Command:
        # A killed process loses nothing that the kernel has; power is not cut here.
        quick = [
            "-c",
            "fsync=off",
            "-c",
            "full_page_writes=off",
            "-c",
            "restart_after_crash=on",
            "-c",
            "max_connections=60",
        ]
        return [
            self._bin / "postgres",
            "-D",
            self.data,
            "-p",
            str(self.port),
            "-k",
            "",
            "-c",
            "listen_addresses=127.0.0.1",
            *quick,
        ]

    def is_up(self) -> bool:
        return subprocess.run([self._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0

    def kill(self) -> None:
        # Each backend leads a group of its own.
        self._signal_backends(signal.SIGKILL)
        super().kill()

    def _backends(self) -> list[int]:
        if self._process is None:
            return []
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        try:
            return [int(pid) for pid in children.read_text().split()]
        except OSError:
            return []

    def _signal_backends(self, number: signal.Signals) -> None:
        for pid in self._backends():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def freeze(self) -> None:
        self._signal_backends(signal.SIGSTOP)
        super().freeze()

    def thaw(self) -> None:
        super().thaw()
        self._signal_backends(signal.SIGCONT)

    def url(self, database: str, port: int | None = None) -> str:
        return f"postgres://lab@127.0.0.1:{port or self.port}/{database}"


class Redis(Service):
    binary = "redis-server"

    def command(self) -> Command:
        return [self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.folder]

    def is_up(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.5) as link:
                link.sendall(b"PING\r\n")
                link.settimeout(0.5)
                return link.recv(16).startswith(b"+PONG")
        except OSError:
            return False


class RabbitMQ(Service):
    binary = "rabbitmq-server"
    patience = 300.0

    def prepare(self) -> None:
        self.dist_port = free_port()
        (self.folder / "enabled_plugins").write_text("[].\n")

    def user(self) -> str | None:
        return None

    def command(self) -> Command:
        # The wrapper of Debian insists on its own account; the script behind it does not.
        script = next(Path("/usr/lib/rabbitmq/lib").glob("*/sbin/rabbitmq-server"), None)
        return [script or self.binary]

    @classmethod
    def absent(cls) -> str:
        if not shutil.which(cls.binary) or not shutil.which("erl"):
            return "rabbitmq-server is not installed"
        return ""

    def environment(self) -> dict[str, str]:
        return {
            "RABBITMQ_NODENAME": f"lab{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
            # No port mapper of the machine is asked, and none is left behind.
            "ERL_EPMD_PORT": str(self.dist_port + 1 if self.dist_port < 65535 else 4369),
            "HOME": str(self.folder),
        }

    def is_up(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.5) as link:
                link.sendall(b"AMQP\x00\x00\x09\x01")
                link.settimeout(0.5)
                return len(link.recv(8)) > 0
        except OSError:
            return False


class Gate:
    """A way through which connections go to a service, and which may be cut, closed or held."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.is_open = True
        self.holds = False
        self.connections = 0
        self._links: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.is_refusing = False
        _thread(self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _address = listener.accept()
            except OSError:
                return
            self.connections += 1
            if not self.is_open:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=3)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self._links = [link for link in self._links if link.fileno() >= 0]
            self._links += [client, server]
            _thread(self._carry, client, server)
            _thread(self._carry, server, client)

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                while self.holds:
                    time.sleep(0.02)
                sink.sendall(data)
        except OSError:
            pass
        for link in (source, sink):
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """End every connection that is open; new ones are taken."""
        for link in self._links:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()
        self._links.clear()

    def refuse(self) -> None:
        """Nobody listens any more."""
        self.is_refusing = True
        self.close()

    def behave(self) -> None:
        self.is_open, self.holds = True, False
        if self.is_refusing:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self.is_refusing = False
            _thread(self._accept, self._listener)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()


def _thread(work: Callable[..., None], *arguments: Any) -> None:
    import threading

    threading.Thread(target=work, args=arguments, daemon=True).start()
