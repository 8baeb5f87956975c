"""A real SMTP server for tests, which records what it accepts and fails as it is told."""

import asyncio
import email
import email.policy
import threading
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import cached_property
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.waiting import PATIENCE


@dataclass(frozen=True)
class Received:
    """One accepted mail: the envelope of the SMTP transaction and the message."""

    mail_from: str
    rcpt_tos: tuple[str, ...]
    raw: bytes

    @cached_property
    def message(self) -> EmailMessage:
        # Parsed for whoever looks at it: of thousands, the server answers for the next meanwhile.
        message = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        return message

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
        answer_sender("553 5.1.8 no such domain")     refuses MAIL FROM, whoever the recipient is
        seven_bit = True                              knows neither 8BITMIME nor SMTPUTF8, and takes ASCII only
        takes = 7                                     lets every mail after the seventh wait for its answer
    """

    received: list[Received] = field(default_factory=list)
    connections: int = 0
    refuse_connections: bool = False
    seven_bit: bool = False
    takes: int | None = None
    port: int = 0
    _rcpt: dict[str, str] = field(default_factory=dict)
    _data: dict[str, str] = field(default_factory=dict)
    _sender: str = ""

    def answer(self, recipient: str, reply: str) -> None:
        self._rcpt[recipient.lower()] = reply

    def answer_data(self, recipient: str, reply: str) -> None:
        self._data[recipient.lower()] = reply

    def answer_sender(self, reply: str) -> None:
        self._sender = reply

    def drop(self, recipient: str, at: str = "rcpt") -> None:
        (self._rcpt if at == "rcpt" else self._data)[recipient.lower()] = "drop"

    def behave(self) -> None:
        """Accept everything again."""
        self._rcpt.clear()
        self._data.clear()
        self._sender = ""
        self.refuse_connections = self.seven_bit = False
        self.takes = None

    def to(self, recipient: str) -> list[Received]:
        """The mails whose envelope names the recipient."""
        return [mail for mail in self.received if recipient.lower() in (rcpt.lower() for rcpt in mail.rcpt_tos)]

    # aiosmtpd calls these by name.
    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        hidden = ("250-8BITMIME", "250-SMTPUTF8") if self.seven_bit else ()
        return [line for line in responses if line not in hidden]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._sender:
            return self._sender
        if self.seven_bit and options:
            return "555 5.5.4 unsupported option"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

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
        if self.seven_bit and not raw.isascii():
            return "554 5.6.1 Body type not supported by remote host"
        while self.takes is not None and len(self.received) >= self.takes:  # changed by another thread
            await asyncio.sleep(0.01)
        self.received.append(Received(envelope.mail_from or "", tuple(envelope.rcpt_tos), raw))
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
            self._loop.run_until_complete(_hang_up())
            self._loop.close()

        self._thread = threading.Thread(target=run, name="smtp", daemon=True)
        self._thread.start()
        assert ready.wait(PATIENCE), "the SMTP server of the test did not start"
        return self

    def __exit__(self, *_exc: Any) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)


async def _hang_up() -> None:
    """End the conversations, so that none is left for the garbage collector, which would fail another test."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=PATIENCE)
    for _ in range(5):  # a transport closes its socket in a later turn of the loop
        await asyncio.sleep(0)


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
