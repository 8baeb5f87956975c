"""A mail server that answers as it is told, step by step, also what no mail server would."""

import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

# Instead of a reply.
DROP = "drop"
SILENCE = "silence"
# Ends encryption in order, and says no more.
NOTIFY = "close notify"
USUAL = {
    "GREETING": "220 odd ESMTP",
    "OFFER": "250-odd\r\n250 STARTTLS",
    "EHLO": "250-odd\r\n250 PIPELINING",
    "MAIL": "250 ok",
    "RCPT": "250 ok",
    "DATA": "354 go on",
    "END": "250 2.0.0 ok queued as ODD0001",
    "RSET": "250 ok",
    "QUIT": "221 bye",
    "AUTH": "235 2.7.0 ok",
    "STAR": "220 go on",
}


@dataclass
class OddServer:
    """Answers from `replies` by step; a list is used up, one a time, and its last one stays.

    Attributes:
        after: step → seconds that its reply takes, or what is left of the test.
        until: step → what has to be so before its reply comes.
        choose: asked first, with the step and its line; None leaves the reply to `replies`.
        is_deaf: closes every new connection at once.
        tls: encrypts what comes: at once, or (`tls_first` False) after STARTTLS, which the step OFFER offers in place
            of EHLO until then.
        handshake: DROP or SILENCE in its middle.
        piece: how many bytes go out in one write, and one record; 0: whole replies.
        read_seconds: pause before each read of a message.
        silent: steps that are taken without a reply of their own.
        mails: the content of what arrived, whatever was answered.
        steps: how often each step came.
    """

    replies: dict[str, str | list[str]] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    until: dict[str, Callable[[], bool]] = field(default_factory=dict)
    choose: Callable[[str, str], str | None] = lambda step, line: None
    is_deaf: bool = False
    tls: ssl.SSLContext | None = None
    tls_first: bool = True
    handshake: str = ""
    piece: int = 0
    read_seconds: float = 0.0
    silent: set[str] = field(default_factory=set)
    port: int = 0
    mails: list[bytes] = field(default_factory=list)
    steps: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    most_at_once: int = 0
    writes: list[bytes] = field(default_factory=list)
    _open: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    @property
    def is_quiet(self) -> bool:
        """Nobody is connected: whatever was on its way has come."""
        return self._open == 0

    def behave(self) -> None:
        """Answer as usual again, and forget what came."""
        with self._lock:
            self.replies, self.after, self.until, self.is_deaf = {}, {}, {}, False
            self.choose = lambda step, line: None
            self.mails.clear()
            self.writes.clear()
            self.steps.clear()
            self.connections = self.most_at_once = 0

    def _reply(self, step: str, line: str) -> str:
        with self._lock:
            self.steps[step] += 1
            chosen = self.choose(step, line)
            given = chosen or self.replies.get(step, USUAL.get(step, "502 5.5.1 unknown"))
            text = given if isinstance(given, str) else given.pop(0) if len(given) > 1 else given[0]
        self._over.wait(self.after.get(step, 0))
        while step in self.until and not self.until[step]() and not self._over.wait(0.01):
            pass
        return text

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is None or not self.tls_first:
                self._talk(client)
            else:
                self._secure(client, self._talk)
        except OSError:
            pass
        finally:
            client.close()
            with self._lock:
                self._open -= 1

    def _secure(self, client: socket.socket, then: Callable[[socket.socket], None]) -> None:
        """Go on over TLS, unless the handshake is to be broken off."""
        assert self.tls
        if self.handshake:
            client.recv(100)
            while self.handshake == SILENCE and client.recv(4096):
                pass
            return
        with self.tls.wrap_socket(client, server_side=True) as secured:
            then(secured)

    def _talk(self, client: socket.socket) -> None:
        if self.is_deaf:
            return
        if not self._say(client, "GREETING"):
            return
        self._converse(client)

    def _converse(self, client: socket.socket) -> None:
        buffer, in_data = b"", False
        while chunk := self._read(client, in_data):
            self.writes.append(chunk)
            buffer += chunk
            while True:
                end = b"\r\n.\r\n" if in_data else b"\r\n"
                line, ended, rest = buffer.partition(end)
                if not ended:
                    break
                buffer = rest
                if in_data:
                    self.mails.append(line)
                    in_data, step = False, "END"
                else:
                    step = line[:4].decode("ascii", "replace").upper().strip()
                    step = "EHLO" if step == "HELO" else step
                    is_plain = self.tls is not None and not isinstance(client, ssl.SSLSocket)
                    step = "OFFER" if is_plain and step == "EHLO" else step
                said = self._say(client, step, "" if step == "END" else line.decode("ascii", "replace"))
                if not said:
                    return
                in_data = step == "DATA" and said.startswith("354")
                if step == "STAR" and self.tls is not None and said.startswith("220"):
                    self._secure(client, self._converse)
                    return

    def _read(self, client: socket.socket, in_data: bool) -> bytes:
        if in_data and self.read_seconds:
            time.sleep(self.read_seconds)
        return client.recv(65536)

    def _say(self, client: socket.socket, step: str, line: str = "") -> str:
        reply = self._reply(step, line)
        if reply == SILENCE:
            client.recv(1)
            return ""
        if reply == NOTIFY and isinstance(client, ssl.SSLSocket):
            client.unwrap().close()
            return ""
        if reply == DROP:
            return ""
        data = b"" if step in self.silent else f"{reply}\r\n".encode()
        piece = self.piece or len(data) or 1
        for start in range(0, len(data), piece):
            client.sendall(data[start : start + piece])
        return reply


@contextmanager
def odd_server(settings: Any, **replies: Any) -> Iterator[OddServer]:
    """An odd server that the settings of the test point to; attributes of it and a log-in may be among the replies."""
    log_in = replies.pop("log_in", ("", ""))
    named = {
        name: replies.pop(name)
        for name in ("after", "until", "tls", "tls_first", "piece", "handshake", "read_seconds")
        if name in replies
    }
    server = OddServer(**named, replies=replies)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = log_in
        settings.EMAIL_USE_SSL = server.tls is not None and server.tls_first
        settings.EMAIL_USE_TLS = server.tls is not None and not server.tls_first

        def accept() -> None:
            while True:
                try:
                    client, _address = listener.accept()
                except OSError:
                    return
                threading.Thread(target=server._serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield server
        finally:
            server._over.set()
            listener.shutdown(socket.SHUT_RDWR)
