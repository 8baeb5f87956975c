"""A real SMTP server for tests, which records what it accepts and fails as it is told."""

import asyncio
import email
import email.policy
import threading
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass(frozen=True)
class Received:
    """One accepted mail: the envelope of the SMTP transaction and the parsed message."""

    mail_from: str
    rcpt_tos: tuple[str, ...]
    message: EmailMessage
    raw: bytes

    @property
    def text(self) -> str:
        part = self.message.get_body(("plain",))
        return part.get_content() if part else ""

    @property
    def html(self) -> str:
        part = self.message.get_body(("html",))
        return part.get_content() if part else ""


@dataclass
class SmtpServer:
    """Use as a context manager; `port` is free and chosen by the system.

    Answers, in lower case of the recipient, are given as often as asked until `answers.pop`:
        answer("x@y.example", "550 5.1.1 unknown")   refuses the recipient
        answer_data("x@y.example", "451 4.3.0 later") refuses the message
        drop("x@y.example", at="rcpt")                cuts the connection; at="data": after having
                                                      accepted the message, so that the reply is lost
        refuse_connections = True                     cuts every new connection at once
    """

    received: list[Received] = field(default_factory=list)
    connections: int = 0
    refuse_connections: bool = False
    port: int = 0
    _rcpt: dict[str, str] = field(default_factory=dict)
    _data: dict[str, str] = field(default_factory=dict)

    def answer(self, recipient: str, reply: str) -> None:
        self._rcpt[recipient.lower()] = reply

    def answer_data(self, recipient: str, reply: str) -> None:
        self._data[recipient.lower()] = reply

    def drop(self, recipient: str, at: str = "rcpt") -> None:
        (self._rcpt if at == "rcpt" else self._data)[recipient.lower()] = "drop"

    def behave(self) -> None:
        """Accept everything again."""
        self._rcpt.clear()
        self._data.clear()
        self.refuse_connections = False

    def to(self, recipient: str) -> list[Received]:
        """The mails whose envelope names the recipient."""
        return [mail for mail in self.received if recipient.lower() in (rcpt.lower() for rcpt in mail.rcpt_tos)]

    # aiosmtpd calls these by name.
    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self._rcpt.get(address.lower())
        if reply == "drop":
            _abort(server)
            return "421 4.3.0 closing"
        if reply:
            return reply
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        replies = [self._data[rcpt.lower()] for rcpt in envelope.rcpt_tos if rcpt.lower() in self._data]
        if replies and replies[0] != "drop":
            return replies[0]
        raw = bytes(envelope.content or b"")
        message = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.received.append(Received(envelope.mail_from or "", tuple(envelope.rcpt_tos), message, raw))
        if replies:
            _abort(server)
        return f"250 2.0.0 OK queued as TEST{len(self.received):06d}"

    def _session(self) -> SMTP:
        self.connections += 1
        protocol = _Deaf if self.refuse_connections else SMTP
        return protocol(self, hostname="smtp.test", enable_SMTPUTF8=True, loop=self._loop, data_size_limit=2**25)

    def __enter__(self) -> "SmtpServer":
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()

        async def listen() -> None:
            self._server = await self._loop.create_server(self._session, "127.0.0.1", 0)
            self.port = self._server.sockets[0].getsockname()[1]
            ready.set()

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            self._loop.run_until_complete(listen())
            self._loop.run_forever()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0.01))
            self._loop.close()

        self._thread = threading.Thread(target=run, name="smtp", daemon=True)
        self._thread.start()
        assert ready.wait(10), "the SMTP server of the test did not start"
        return self

    def __exit__(self, *_exc: Any) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


class _Deaf(SMTP):
    """Cuts the connection before saying a word."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        pass


def _abort(server: SMTP) -> None:
    transport = server.transport
    if transport is not None:
        transport.abort()
