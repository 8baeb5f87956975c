"""One SMTP transaction at a time on an open connection, each step bounded in time.

`smtplib` opens, secures and logs in. The dialogue is held here: MAIL, RCPT and DATA go out in one write where the
server offers PIPELINING (RFC 2920), each step has the time that RFC 5321 (4.5.3.2) gives it, and what breaks after the
final dot is told apart from what breaks before it.

A transaction is a generator: it gives way whenever the server has to be waited for, so that one thread holds many.
"""

import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from backoffice.text import characters

COMMAND_SECONDS = 300.0
DATA_SECONDS = 120.0
CONTENT_SECONDS = 600.0
ANSWER_SECONDS = 600.0
_MAX_REPLY = 64 * 1024
_MAX_LINE = 8192
_REPLY_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?\r?\n\Z", re.DOTALL)
# Until the socket can be read (or, True, written), and at the latest at this time of the monotonic clock.
Wait = tuple[bool, float]
_T = TypeVar("_T")
# What waits gives way, and goes on when it is resumed; a TimeoutError is thrown in when it took too long.
Steps = Generator[Wait, None, _T]


class Step(StrEnum):
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    END = "END"


@dataclass(frozen=True)
class Reply:
    """The reply that ended a transaction, and the step it answered."""

    step: Step
    code: int
    text: str

    @property
    def is_positive(self) -> bool:
        return 200 <= self.code < 300


class Broken(Exception):
    """The dialogue broke before the message had left: it was not taken."""

    def __init__(self, said: str, *, had_begun: bool = True) -> None:
        # Whether the server had answered anything in this transaction.
        self.had_begun = had_begun
        super().__init__(said)


class Nonsense(Broken):
    """The server does not speak SMTP."""


class AnswerUnknown(Exception):
    """The message was sent completely and no usable answer came: the server may have accepted it."""


class Withdrawn(Exception):
    """The message is not to leave any more; nothing of it did."""


class Dialogue:
    """The transactions of one connection.

    Attributes:
        socket: for whoever waits until it is ready.
        is_over: whether no other transaction can follow.
    """

    def __init__(self, smtp: smtplib.SMTP) -> None:
        assert smtp.sock is not None
        self._smtp = smtp
        self.socket: socket.socket = smtp.sock
        self._pipelining = smtp.has_extn("pipelining")
        # A refused transaction is left behind with the first command of the next one.
        self._reset = b""
        self.is_over = False
        # Small writes go out at once; their answers are waited for.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self._received = _left_over(smtp)

    def transfer(self, sender: bytes, recipient: bytes, content: bytes, begin: Callable[[], bool]) -> Steps[Reply]:
        """Hand one message over to one recipient.

        Args:
            content: ASCII lines, ended by CRLF.
            begin: asked right before the content leaves; False: it must not.

        Returns:
            The reply that refused a step, or the one to the message.

        Raises:
            Broken, Nonsense, AnswerUnknown, Withdrawn: the connection is of no use any more.
        """
        envelope = {
            Step.MAIL: b"MAIL FROM:<%b>\r\n" % sender,
            Step.RCPT: b"RCPT TO:<%b>\r\n" % recipient,
            Step.DATA: b"DATA\r\n",
        }
        refused = yield from (self._together(envelope) if self._pipelining else self._one_by_one(envelope))
        if refused is not None:
            return refused
        if not begin():
            raise Withdrawn
        yield from self._write(_as_data(content), CONTENT_SECONDS)
        # From here on the server has it all: what goes wrong now says nothing about the message.
        try:
            code, text = yield from self._read(ANSWER_SECONDS)
        except Broken as error:
            raise AnswerUnknown(str(error)) from None
        if code < 400 and not 200 <= code < 300:
            raise AnswerUnknown(f"{code} {_text(text)}")
        return Reply(Step.END, code, _text(text))

    def has_ended(self) -> bool:
        """Whether a connection with no transaction has got something that ends it: a goodbye, an end, a failure."""
        if not isinstance(self.socket, ssl.SSLSocket):
            return True
        try:
            self.socket.recv(1)
        except ssl.SSLWantReadError:
            # New keys or tickets of TLS, or part of a record.
            return False
        except OSError:
            return True
        return True

    def _together(self, envelope: dict[Step, bytes]) -> Steps[Reply | None]:
        """Send the envelope in one write and read all its replies; returns the first that refuses."""
        yield from self._write(self._reset + b"".join(envelope.values()), COMMAND_SECONDS)
        yield from self._read_reset()
        refused: Reply | None = None
        for step in envelope:
            code, text = yield from self._answer(step)
            if code == 421 or (refused is not None and step is Step.DATA and code == 354):
                # It closes; or it waits for a message that has no recipient.
                self.is_over = True
                return refused or Reply(step, code, _text(text))
            if refused is None and not _goes_on(step, code):
                refused = Reply(step, code, _text(text))
        self._reset = b"RSET\r\n" if refused else b""
        return refused

    def _one_by_one(self, envelope: dict[Step, bytes]) -> Steps[Reply | None]:
        if self._reset:
            yield from self._write(self._reset, COMMAND_SECONDS)
            yield from self._read_reset()
        for step, command in envelope.items():
            yield from self._write(command, COMMAND_SECONDS)
            code, text = yield from self._answer(step)
            if not _goes_on(step, code):
                self._reset = b"RSET\r\n"
                return Reply(step, code, _text(text))
        return None

    def _read_reset(self) -> Steps[None]:
        if self._reset:
            self._reset = b""
            code, text = yield from self._read(COMMAND_SECONDS, had_begun=False)
            if code != 250:
                raise Broken(f"{code} {_text(text)}", had_begun=False)

    def _answer(self, step: Step) -> Steps[tuple[int, bytes]]:
        seconds = DATA_SECONDS if step is Step.DATA else COMMAND_SECONDS
        code, text = yield from self._read(seconds, had_begun=step is not Step.MAIL)
        if code < 400 and not _goes_on(step, code):
            raise Nonsense(f"{code} {_text(text)}")
        return code, text

    # --- Bytes --------------------------------------------------------------------------------------

    def _write(self, data: bytes, seconds: float) -> Steps[None]:
        end = time.monotonic() + seconds
        left = memoryview(data)
        try:
            while left:
                try:
                    left = left[self.socket.send(left) :]
                except (BlockingIOError, ssl.SSLWantWriteError):
                    yield True, end
                except ssl.SSLWantReadError:
                    yield False, end
        except OSError as error:
            # Where this fails, the end of the data never left.
            raise Broken(f"{type(error).__name__}: {error}", had_begun=False) from None

    def _read(self, seconds: float, *, had_begun: bool = True) -> Steps[tuple[int, bytes]]:
        """The code and the text of one reply of one or more lines."""
        end, size, lines = time.monotonic() + seconds, 0, []
        while True:
            if b"\n" not in self._received:
                yield from self._receive(end, had_begun)
            line, newline, self._received = self._received.partition(b"\n")
            line += newline
            size += len(line)
            match = _REPLY_LINE.match(line)
            if match is None or size > _MAX_REPLY:
                raise Nonsense(_text(line[:100]), had_begun=had_begun)
            lines.append((match[3] or b"").strip())
            if match[2] != b"-":
                return int(match[1]), b" ".join(lines)

    def _receive(self, end: float, had_begun: bool) -> Steps[None]:
        """Read until a line is complete, or longer than a line may be."""
        writes = False
        # What is in a TLS record that was read already makes no socket ready.
        waits = not isinstance(self.socket, ssl.SSLSocket)
        while b"\n" not in self._received and len(self._received) < _MAX_LINE:
            try:
                if waits:
                    yield writes, end
                waits, writes = True, False
                data = self.socket.recv(_MAX_REPLY)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            except ssl.SSLWantWriteError:
                writes = True
                continue
            except OSError as error:
                raise Broken(f"{type(error).__name__}: {error}", had_begun=had_begun) from None
            if not data:
                raise Broken("connection closed", had_begun=had_begun)
            self._received += data


def _left_over(smtp: smtplib.SMTP) -> bytes:
    """What the server sent without being asked while the connection was opened."""
    try:
        return smtp.file.peek() if smtp.file is not None else b""
    except OSError:
        return b""


def _goes_on(step: Step, code: int) -> bool:
    return code == 354 if step is Step.DATA else 200 <= code < 300


def _as_data(content: bytes) -> bytes:
    """The content as DATA takes it: no line is a dot alone, and the dot that ends it."""
    if content.startswith(b"."):
        content = b"." + content
    content = content.replace(b"\n.", b"\n..")
    return content + (b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n")


def _text(answer: bytes) -> str:
    if answer.isascii() and (plain := answer.decode("ascii")).isprintable():
        return " ".join(plain.split())
    # PostgreSQL takes no NUL, and a journal no control characters.
    return characters.one_line(characters.decoded(answer))
