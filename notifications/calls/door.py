"""The one door for outgoing HTTP: testing, sending and replaying a call all pass here.

The URLs are the merchants' own, so the other side may be anything: a machine inside our network, a
server that never ends its answer, one that answers with gigabytes. The door therefore
- reads the URL with `targets`, and connects to what was read;
- checks the address of every socket just before it connects, after whatever the resolver said;
- follows no redirection, uses no proxy, keeps no cookie, unpacks nothing;
- gives the whole attempt one time limit, and reads a bounded part of an answer.

No ORM and no settings: it runs in the event loop of the sender's thread.
"""

import asyncio
import errno
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from types import TracebackType
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http_exceptions import BadHttpMessage, ContentLengthError, HttpProcessingError
from yarl import URL

from backoffice.text import characters, targets
from backoffice.text.net_ranges import special_range_of
from backoffice.text.targets import BadUrl, Problem

USER_AGENT = "Back-Office-Marchand/1.0 (notification)"
BODY_LIMIT = 64 * 1024  # bytes of an answer that are read
TEXT_LIMIT = 512  # characters of it that are kept
LOCATION_LIMIT = 500
HEADER_LIMIT = 8190  # bytes of the status line, and of each header; at most 128 headers
# Seconds an idle connection is kept. Servers close theirs after 2 s (gunicorn), 5 s (Apache, Node);
# a call written to a connection that is just being closed fails, and may not be repeated unasked
# (RFC 9110, 9.2.2). Giving up first avoids the race.
IDLE = 1.5
INTERIM_LIMIT = 16  # answers with a status below 200 that may come before the real one
LOOKUPS = 256  # names being resolved at once, one thread each

_FORBIDDEN = (Problem.PORT, Problem.LOCAL_NAME, Problem.SPECIAL_ADDRESS)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_META_CHARSET = re.compile(r"<meta\s[^>]{0,200}?charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_OWN_HEADERS = {"host", "content-length", "transfer-encoding", "connection", "content-type", "accept-encoding"}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2


@dataclass(frozen=True)
class Answer:
    """How one call ended.

    Attributes:
        error: empty when a status was received and the body ended or 64 KiB of it were read; else
            TIMEOUT, CONNECTION_REFUSED, CONNECTION_INTERRUPTED, SSL_HANDSHAKE, DNS,
            FORBIDDEN_ADDRESS, INVALID_URL, PROTOCOL (not HTTP, or headers too large) or CONNECTION.
        status: the HTTP status, None whenever `error` is set: then none was decisive.
        text: the first 512 characters of the answer, without control characters.
        location: where a redirection points, cut to 500 characters; never followed.
        retry_after: the header as received, empty when absent.
        duration_ms: from the first lookup to the verdict, without the wait for a free slot.
        detail: one short line for the journal.
        ended: when, in seconds since 1970; 0 where nothing was asked.
    """

    error: str
    status: int | None = None
    text: str = ""
    location: str = ""
    retry_after: str = ""
    duration_ms: int = 0
    detail: str = ""
    ended: float = field(default=0.0, compare=False)


def endpoint_of(url: str) -> str:
    """`scheme://host:port`, equal for all spellings of one endpoint. Raises `targets.BadUrl`."""
    return targets.read(url).endpoint


class _Forbidden(OSError):
    """A socket to this address is not opened."""


class _NotHttp(Exception):
    """The other side speaks, but not HTTP as asked."""


@dataclass
class _Attempt:
    """What happened in one attempt, kept here so that an interrupted one can still tell."""

    refused: list[str] = field(default_factory=list)  # addresses not connected to
    opened: int = 0  # sockets opened
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)


@dataclass
class _Slots:
    """Calls at a time to one endpoint, and how many have one or wait for one."""

    free: asyncio.Semaphore
    users: int = 0


# Each attempt has one limit for the whole; those of the library would start anew with each step.
_NO_LIMIT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)

# Connections are opened in the task of the attempt or in copies of its context.
_attempt: ContextVar[_Attempt | None] = ContextVar("attempt", default=None)


def new_socket(family: int, kind: int, proto: int) -> socket.socket:
    """Open a socket. A function of its own so that tests can count."""
    return socket.socket(family, kind, proto)


class ThreadResolver(AbstractResolver):
    """The system's resolver in threads that can be left behind.

    A lookup cannot be cancelled and may hang far longer than an attempt lasts. In the pool of the
    event loop, a handful of hanging names would stop the lookups of everyone, and the end of the
    process. Lookups of one name at the same time share one thread.
    """

    def __init__(self, limit: int = LOOKUPS) -> None:
        self._free = asyncio.Semaphore(limit)
        self._running: dict[tuple[str, int, int], asyncio.Task[list[ResolveResult]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        key = (host, port, family)
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._lookup(host, port, family))
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)

    def _forget(self, key: tuple[str, int, int], done: asyncio.Task[list[ResolveResult]]) -> None:
        self._running.pop(key, None)
        if not done.cancelled():
            done.exception()  # seen, also when everyone who asked has gone

    async def _lookup(self, host: str, port: int, family: int) -> list[ResolveResult]:
        async with self._free:
            loop = asyncio.get_running_loop()
            answered: asyncio.Future[list[Any]] = loop.create_future()

            def settle(result: list[Any] | None, error: OSError | None) -> None:
                if answered.done():
                    return
                if error is not None:
                    answered.set_exception(error)
                else:
                    answered.set_result(result or [])

            def run() -> None:
                result, failure = None, None
                try:
                    result = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
                except OSError as error:
                    failure = error
                except UnicodeError:
                    failure = socket.gaierror(socket.EAI_NONAME, "not a name")
                try:
                    loop.call_soon_threadsafe(settle, result, failure)
                except RuntimeError:
                    return  # the loop has ended meanwhile

            threading.Thread(target=run, name="lookup", daemon=True).start()
            answers = await answered
        hosts = [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=port,
                family=found_family,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found_family, _kind, proto, _name, address in answers
            if found_family in (socket.AF_INET, socket.AF_INET6)
        ]
        if not hosts:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        return hosts

    async def close(self) -> None:
        for task in self._running.values():
            task.cancel()


class Door:
    """Calls URLs. One per event loop, used as an asynchronous context manager.

    Args:
        timeout: seconds for a whole attempt: lookup, connection, TLS, request, headers and body.
            Waiting for a slot of the endpoint does not count.
        allow_private: no limit on addresses, names and ports (development and tests).
        per_endpoint: calls at a time to one scheme, host and port.
        user_agent: what we call ourselves.
        resolver, ssl_context: replaced in tests. The usual context checks certificate and host
            name, speaks TLS 1.2 or later, and honours SSL_CERT_FILE.
    """

    def __init__(
        self,
        *,
        timeout: float,
        allow_private: bool,
        per_endpoint: int = 5,
        user_agent: str = USER_AGENT,
        resolver: AbstractResolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._timeout = timeout
        self._allow_private = allow_private
        self._per_endpoint = per_endpoint
        self._user_agent = user_agent
        self._resolver = resolver
        self._ssl_context = ssl_context
        self._slots: dict[str, _Slots] = {}
        self._connector: aiohttp.TCPConnector | None = None
        # What is asked of the connector for a connection, the same for every call to a server.
        self._asked = lru_cache(maxsize=4096)(_connection_to)

    async def __aenter__(self) -> "Door":
        context = self._ssl_context or ssl.create_default_context()
        context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
        context.set_alpn_protocols(["http/1.1"])
        self._connector = aiohttp.TCPConnector(
            ssl=context,
            resolver=self._resolver or ThreadResolver(),
            use_dns_cache=False,
            limit=0,
            keepalive_timeout=IDLE,
            socket_factory=self._open_socket,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connector is not None:
            await self._connector.close()
            self._connector = None

    async def post(self, url: str, body: bytes, content_type: str, *, headers: dict[str, str] | None = None) -> Answer:
        """Send `body` to the URL and tell how it ended; never raises for what the URL, the network
        or the other side does.

        Raises ValueError for a header that is not one line of text, or that is the door's own.
        """
        sent = self._headers(content_type, headers or {})
        try:
            target = targets.read(url)
            if not self._allow_private:
                targets.check_reach(target)
        except BadUrl as bad:
            error = "FORBIDDEN_ADDRESS" if bad.problem in _FORBIDDEN else "INVALID_URL"
            return Answer(error=error, detail=str(bad)[:200])
        endpoint = target.endpoint
        slots = self._slots.get(endpoint)
        if slots is None:
            slots = self._slots[endpoint] = _Slots(asyncio.Semaphore(self._per_endpoint))
        slots.users += 1
        try:
            async with slots.free:
                return await self._bounded(target, body, sent)
        finally:
            slots.users -= 1
            if not slots.users:
                # An endpoint without users is forgotten.
                self._slots.pop(endpoint, None)

    async def _bounded(self, target: targets.Target, body: bytes, headers: dict[str, str]) -> Answer:
        attempt = _Attempt()
        token = _attempt.set(attempt)
        started = time.monotonic()
        error, detail = "", ""
        try:
            async with asyncio.timeout(self._timeout) as limit:
                await self._exchange(target, body, headers, attempt)
        except TimeoutError as failure:
            error, detail = _verdict(failure, target, attempt)
            if limit.expired():
                error, detail = "TIMEOUT", f"no complete answer in {self._timeout:g} s"
        # A ValueError is what parsers raise on what the other side wrote.
        except (aiohttp.ClientError, HttpProcessingError, OSError, EOFError, ValueError, _NotHttp) as failure:
            error, detail = _verdict(failure, target, attempt)
        finally:
            _attempt.reset(token)
        if error and attempt.status is not None:
            detail = f"{detail} (status {attempt.status} received)"
        return Answer(
            error=error,
            status=None if error else attempt.status,
            text=_text(bytes(attempt.body[: TEXT_LIMIT * 8 + 1]), attempt.headers),
            location=_clean(_header(attempt.headers, "Location"))[:LOCATION_LIMIT],
            retry_after=_clean(_header(attempt.headers, "Retry-After"))[:100],
            duration_ms=round((time.monotonic() - started) * 1000),
            detail=detail[:300],
            ended=time.time(),
        )

    async def _exchange(self, target: targets.Target, body: bytes, headers: dict[str, str], attempt: _Attempt) -> None:
        """One request and its answer, into `attempt`. A connection that is not at its end is cut.

        The library connects, keeps connections and parses what comes. Its session would do more for each call than all the
        rest of a call takes, and none of it may happen here: redirections, cookies, proxies, unpacking.
        """
        if self._connector is None:
            raise RuntimeError("the door is used as a context manager")
        asked = self._asked(target.endpoint)
        connection = await self._connector.connect(asked, traces=[], timeout=_NO_LIMIT)
        protocol = connection.protocol
        transport = protocol.transport if protocol is not None else None
        ended = False
        try:
            if protocol is None or transport is None:
                raise ConnectionResetError("the connection was closed before it was used")
            protocol.set_response_params(
                read_until_eof=True,
                auto_decompress=False,
                read_bufsize=16 * 1024,
                max_line_size=HEADER_LIMIT,
                max_field_size=HEADER_LIMIT,
            )
            transport.write(_head(target.path, asked.headers["Host"], headers, len(body)) + body)
            # A server that pours out interim answers would keep the loop busy for the whole time limit.
            for _n in range(INTERIM_LIMIT + 1):
                message, content = await protocol.read()
                if message.code >= 200 or message.code == 101:
                    break
            else:
                raise _NotHttp("too many interim answers")
            if message.code < 200:
                raise _NotHttp(f"status {message.code}")
            attempt.status, attempt.headers = message.code, message.headers
            read = 0
            while read < BODY_LIMIT:
                chunk = await content.readany()
                if not chunk:
                    ended = True
                    break
                read += len(chunk)
                attempt.body += chunk[: BODY_LIMIT - len(attempt.body)]
        finally:
            if ended:
                # Free for the next call, unless the other side closes it or has said more than it was asked.
                connection.release()
            else:
                # Closing alone would first try to say goodbye in TLS, and read on meanwhile.
                if transport is not None:
                    transport.abort()
                connection.close()

    def _headers(self, content_type: str, extra: dict[str, str]) -> dict[str, str]:
        headers = {
            "Content-Type": content_type,
            "User-Agent": self._user_agent,
            # Nothing is unpacked here, so nothing packed is asked for.
            "Accept-Encoding": "identity",
        }
        for name in extra:
            if name.lower() in _OWN_HEADERS:
                raise ValueError(f"the header {name!r} is the door's own")
        headers |= extra
        for name, value in headers.items():
            if not _TOKEN.fullmatch(name) or not value.isprintable():
                raise ValueError(f"the header {name!r} is not one line of text")
        return headers

    def _open_socket(self, info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
        """The socket that connects to this one address, or _Forbidden."""
        family, kind, proto, _name, address = info
        attempt = _attempt.get()
        if not self._allow_private:
            try:
                special = special_range_of(str(address[0]))
                reason = f"{address[0]} is in {special}" if special else ""
            except ValueError:
                reason = "not an address"
            if reason:
                if attempt is not None:
                    attempt.refused.append(reason)
                raise _Forbidden(errno.EACCES, reason)
        if attempt is not None:
            attempt.opened += 1
        return new_socket(family, kind, proto)


def _connection_to(endpoint: str) -> aiohttp.ClientRequest:
    """What the connector is asked for: the server; of a request only its `Host` is taken."""
    return aiohttp.ClientRequest("POST", URL(endpoint, encoded=True), loop=asyncio.get_running_loop())


def _head(path: str, host: str, headers: dict[str, str], length: int) -> bytes:
    """The head of a request; what stands in it was checked to be of one line each."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n{lines}Content-Length: {length}\r\n\r\n".encode()


def _verdict(failure: BaseException, target: targets.Target, attempt: _Attempt) -> tuple[str, str]:
    """(error code, one line) of an attempt that ended in an exception."""
    if attempt.refused and not attempt.opened:
        return "FORBIDDEN_ADDRESS", attempt.refused[0]
    chain = list(_causes(failure))
    said = _clean(str(chain[-1]) or type(chain[-1]).__name__)
    if any(isinstance(error, aiohttp.ClientConnectorDNSError) for error in chain):
        return "DNS", f"{target.host}: {said}"
    if any(isinstance(error, ssl.SSLError | ssl.CertificateError) for error in chain):
        return "SSL_HANDSHAKE", said
    # A body that stops before its announced end is told as a malformed one.
    stopped = any(isinstance(error, ContentLengthError) or "Not enough data" in str(error) for error in chain)
    if not stopped and any(isinstance(error, _NotHttp | BadHttpMessage | HttpProcessingError) for error in chain):
        return "PROTOCOL", said
    codes = {error.errno for error in chain if isinstance(error, OSError)}
    connecting = isinstance(failure, aiohttp.ClientConnectorError)
    if any(isinstance(error, ConnectionRefusedError) for error in chain) or errno.ECONNREFUSED in codes:
        return "CONNECTION_REFUSED", said
    if errno.ETIMEDOUT in codes:
        return "TIMEOUT", said
    broken = any(
        isinstance(
            error,
            ConnectionError | aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError | EOFError,
        )
        for error in chain
    )
    if broken and connecting and target.scheme == "https":
        # The port answered: what broke off is the TLS handshake.
        return "SSL_HANDSHAKE", said
    if broken:
        return "CONNECTION_INTERRUPTED", said
    if isinstance(failure, ValueError):
        return "PROTOCOL", said
    return "CONNECTION", said


def _causes(error: BaseException | None) -> list[BaseException]:
    causes: list[BaseException] = []
    while error is not None and error not in causes and len(causes) < 10:
        causes.append(error)
        error = error.__cause__ or error.__context__
    return causes


def _text(body: bytes, headers: Mapping[str, str]) -> str:
    """The beginning of an answer as a person can read it, decoded as a browser does."""
    if headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        return ""
    start = body[: TEXT_LIMIT * 8]
    kind = headers.get("Content-Type", "")
    told = _CHARSET.search(kind)
    if told is None and "html" in kind.lower():
        told = _META_CHARSET.search(start[:1024].decode("latin-1"))
    text = characters.decoded(start, told[1] if told else "", whole=len(start) == len(body))
    return _clean(text)[:TEXT_LIMIT]


def _header(headers: Mapping[str, str], name: str) -> str:
    """A header as text, also where its bytes are not the UTF-8 that the library expects."""
    text = headers.get(name, "")
    return text if text.isascii() else characters.decoded(text.encode("utf-8", "surrogateescape"))


def _clean(text: str) -> str:
    """On one line: control characters become spaces; what turns or hides text, and halves of
    surrogate pairs, go."""
    return characters.legible(text, instead="")
