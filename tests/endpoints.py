"""Real HTTP endpoints on loopback for tests: they record what they are sent and misbehave as told."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.waiting import PATIENCE


@dataclass(frozen=True)
class Request:
    """One request as it came in; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Request], Awaitable[bool]]


@dataclass
class Endpoint:
    """Use as a context manager; `port` is free and chosen by the system.

    What a path does is set by `behaviours[path]`; every other path answers with `status` and `body`.
    A behaviour writes its answer and returns whether the connection goes on.

    Attributes:
        accepted: connections taken.
        requests: complete requests, in order.
        busiest: most requests in hand at once.
        greeting: what is said at once to every new connection, before it is read.
    """

    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    status: int = 200
    body: bytes = b"OK"
    greeting: Behaviour | None = None
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    accepted: int = 0
    busiest: int = 0
    port: int = 0
    _busy: int = 0
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def url(self, path: str = "/ipn", host: str = "") -> str:
        name = host or (f"[{self.host}]" if ":" in self.host else self.host)
        return f"{'https' if self.tls else 'http'}://{name}:{self.port}{path}"

    def at(self, path: str, behaviour: Behaviour) -> str:
        """Let the path behave so; returns its URL."""
        self.behaviours[path] = behaviour
        return self.url(path)

    @property
    def is_quiet(self) -> bool:
        """Nobody is connected: whatever was on its way has come."""
        return all(writer.is_closing() for writer in list(self._writers))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        number = self.accepted
        self._writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError):
            goes_on = self.greeting is None or await self.greeting(reader, writer, Request("", "", {}, b"", number))
            while goes_on:
                request = await _read(reader, number)
                self.requests.append(request)
                self._busy += 1
                self.busiest = max(self.busiest, self._busy)
                try:
                    behaviour = self.behaviours.get(request.path) or answers(self.status, self.body)
                    goes_on = await behaviour(reader, writer, request)
                finally:
                    self._busy -= 1
        with suppress(OSError, ssl.SSLError):
            writer.close()

    def __enter__(self) -> "Endpoint":
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()

        async def listen() -> None:
            self._server = await asyncio.start_server(self._serve, self.host, 0, ssl=self.tls, backlog=512)
            self.port = self._server.sockets[0].getsockname()[1]
            ready.set()

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            # A handshake that the other side gives up is what the tests are about, no news.
            self._loop.set_exception_handler(lambda _loop, _context: None)
            self._loop.run_until_complete(listen())
            self._loop.run_forever()
            self._loop.run_until_complete(self._hang_up())
            self._loop.close()

        self._thread = threading.Thread(target=run, name="endpoint", daemon=True)
        self._thread.start()
        assert ready.wait(PATIENCE), "the endpoint of the test did not start"
        return self

    async def _hang_up(self) -> None:
        """End what still goes on, so that no socket is left for the garbage collector."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        for _ in range(5):  # a transport closes its socket in a later turn of the loop; TLS in two
            await asyncio.sleep(0)

    def __exit__(self, *_exc: Any) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)


async def _read(reader: asyncio.StreamReader, connection: int) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _version = line.split(" ")
    headers = {name.lower(): value.strip() for name, _colon, value in (entry.partition(":") for entry in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body, connection)


# --- Behaviours -----------------------------------------------------------------------------------


def raw(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """An answer as bytes, with its length where the status may have a body."""
    lines = [f"HTTP/1.1 {status} Said"]
    if status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if status in (204, 304) else body)


def answers(status: int, body: bytes = b"OK", headers: Mapping[str, str] | None = None, after: float = 0) -> Behaviour:
    """Answer with a status, `after` seconds."""

    async def behave(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _request: Request) -> bool:
        if after:
            await asyncio.sleep(after)
        writer.write(raw(status, body, headers))
        await writer.drain()
        return (headers or {}).get("Connection") != "close"

    return behave


def says(data: bytes, *, then: str = "close") -> Behaviour:
    """Write these bytes, then `close`, `reset` or `hang`."""

    async def behave(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _request: Request) -> bool:
        writer.write(data)
        await writer.drain()
        if then == "hang":
            await asyncio.sleep(3600)
        if then == "reset":
            await asyncio.sleep(0.05)
            # Not lingering makes the system send a reset instead of an end.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        return False

    return behave


def drips(start: bytes, piece: bytes, *, every: float = 0.01, times: int = 10**9) -> Behaviour:
    """Write `start`, then `piece` again and again."""

    async def behave(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _request: Request) -> bool:
        writer.write(start)
        for _ in range(times):
            writer.write(piece)
            await writer.drain()
            if every:
                await asyncio.sleep(every)
        return False

    return behave


# --- TLS ------------------------------------------------------------------------------------------


@dataclass
class Authority:
    """A certificate authority made for one test; `root` is the file that trusts it."""

    folder: Path

    def __post_init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the tests")])
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        certificate = (
            self._builder(self._name, self._name, self._key, -1, 1)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.root = self.folder / "root.pem"
        self.root.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, since: float, until: float
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=since))
            .not_valid_after(now + datetime.timedelta(days=until))
        )

    def server(self, *names: str, days: tuple[float, float] = (-1, 1), self_signed: bool = False) -> ssl.SSLContext:
        """What a server with a certificate for these names and addresses needs."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        entries: list[x509.GeneralName] = []
        for name in names:
            try:
                entries.append(x509.IPAddress(ipaddress.ip_address(name)))
            except ValueError:
                entries.append(x509.DNSName(name))
        certificate = (
            self._builder(subject, subject if self_signed else self._name, key, *days)
            .add_extension(x509.SubjectAlternativeName(entries), critical=False)
            .sign(key if self_signed else self._key, hashes.SHA256())
        )
        path = self.folder / f"{certificate.serial_number}.pem"
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def trust(self) -> ssl.SSLContext:
        """A client's context that trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.root))
