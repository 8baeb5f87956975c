"""E-mail over SMTP: a connection that stays open for one mail after the other, each with one RCPT.

The framework's backend opens and secures the connection; the dialogue is `smtp.Dialogue`, because the backend drops
a refused recipient among several and keeps no reply of the server. What a server refuses is judged here:
only its answers to RCPT and to the message itself speak of a recipient.
"""

import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.core.mail.backends.smtp import EmailBackend

from backoffice.base.configuration import SettingError
from backoffice.text import addresses, characters
from notifications.core.retry import OWN_RELAY
from notifications.mail import emails, return_paths, wire
from notifications.models import Attempt, Delivery
from notifications.outbox.transports.base import Parcel, Result
from notifications.outbox.transports.routes import Route, of_platform
from notifications.outbox.transports.smtp import (
    AnswerUnknown,
    Broken,
    Dialogue,
    Nonsense,
    Reply,
    Step,
    Steps,
    Withdrawn,
)

_QUEUE_ID = re.compile(r"(?:queued as|id[ =]|queued with id)\s*<?([A-Za-z0-9._-]{4,100})", re.IGNORECASE)
SENT, TRANSIENT, PERMANENT = Attempt.Outcome.SENT, Attempt.Outcome.TRANSIENT, Attempt.Outcome.PERMANENT
# How long a server may take to say goodbye.
_QUIT_SECONDS = 5


def pack(delivery: Delivery, is_ours: Callable[[], bool], route: Route | None = None) -> Parcel | Result:
    """A delivery ready for its transport, or why it cannot be made so.

    Reads the database, so this is for the thread that owns it; `EmailTransport` does not.
    """
    route = route or of_platform()
    try:
        if route.sender:
            delivery.sent_from = route.sender  # type: ignore[attr-defined]
        return Parcel(
            key=delivery.id,
            sender=(route.sender or _return_path(delivery)).encode("ascii"),
            recipient=addresses.for_sending(delivery.address).encode("ascii"),
            content=wire.of(delivery) if route.is_smtp else emails.build(delivery),
            is_ours=is_ours,
        )
    except SettingError as error:
        return Result(TRANSIENT, reply=str(error), waits_for=error.setting, whole_queue=True)
    except (UnicodeError, ValueError) as error:
        # The message itself cannot be put on the wire; trying again would not help.
        return Result(PERMANENT, reply=f"{type(error).__name__}: {error}"[:512])


def _return_path(delivery: Delivery) -> str:
    return return_paths.of_delivery(delivery.id) if return_paths.is_on() else emails.envelope_sender()


class Again(Exception):
    """The connection ended before anything of the mail was answered: it is for another connection."""


class EmailTransport:
    """One connection. `prepare` may take long, and is for a thread of its own; a dialogue gives way when it waits.

    Attributes:
        dialogue: None while no connection to a mail server is open.
    """

    def __init__(self, route: Route | None = None) -> None:
        self._route = route
        self._backend: Any = None
        self.dialogue: Dialogue | None = None
        self._open = self._was_used = False

    @property
    def is_open(self) -> bool:
        return self._open

    def prepare(self, parcel: Parcel) -> Result | None:
        """Open the connection; what is no mail server gets the mail at once. Never raises for what the other side does.

        What fails because of our own settings (no usable sender, no server of that name, a refused log-in) is told
        by `Result.waits_for`: nothing is wrong with the message then.

        Returns:
            What came of the mail; None when its `dialogue` is to come, or it was taken back before it left.
        """
        started = time.monotonic()
        try:
            result = None if self._open else self._opened()
            if result is not None:
                self.abandon()
            elif self.dialogue is None:
                result = self._handed_to_backend(parcel)
        except Exception:
            self.abandon()
            raise
        return result and self._judged(result, started)

    def _judged(self, result: Result, started: float) -> Result:
        """The result with its duration. A refusal by a company's own server is for the company to correct, so it does
        not end the mail.
        """
        route = self._route
        if route is not None and route.is_own and (result.waits_for or result.whole_queue):
            result = replace(result, waits_for=OWN_RELAY, goes_elsewhere=route.falls_back)
        return replace(result, duration_ms=_milliseconds(started), ended=time.time())

    def send(self, parcel: Parcel) -> Steps[Result | None]:
        """Hand one mail over; never raises for what the other side or the network does.

        Returns:
            None when the mail was taken back before it left.

        Raises:
            Again: another connection is to take it. Servers close what was idle, or has had its share of mails; that
                is no fault of this one.
        """
        started = time.monotonic()
        was_used, self._was_used = self._was_used, True
        assert self.dialogue
        try:
            reply = yield from self.dialogue.transfer(parcel.sender, parcel.recipient, parcel.content, parcel.begin)
        except Withdrawn:
            self.abandon()
            return None
        except AnswerUnknown as error:
            self.abandon()
            result = Result(TRANSIENT, reply=f"no answer to the message ({error})"[:512], is_unknown=True)
        except Nonsense as error:
            self.abandon()
            result = Result(TRANSIENT, reply=f"not SMTP: {error}"[:512], waits_for="EMAIL_URL", whole_queue=True)
        except Broken as error:
            self.abandon()
            if was_used and not error.had_begun:
                raise Again from None
            result = Result(TRANSIENT, reply=f"connection closed by the server ({error})"[:512])
        except Exception:
            self.abandon()
            raise
        else:
            if reply.code == 421 or self.dialogue.is_over:
                self.abandon()
                if was_used and reply.code == 421 and reply.step is Step.MAIL:
                    raise Again
            if reply.is_positive:
                return _taken(reply, started)
            result = _verdict(reply)
        return self._judged(result, started)

    def _handed_to_backend(self, parcel: Parcel) -> Result | None:
        """What is no SMTP server: files, a console, a provider's interface."""
        if not parcel.begin():
            return None
        try:
            self._backend.send_messages([parcel.content])
        except OSError as error:
            # A full disk, a folder that may not be written, an interface that does not answer.
            self.abandon()
            return Result(TRANSIENT, reply=_said(error)[:512], waits_for="EMAIL_URL")
        return Result(SENT)

    def _opened(self) -> Result | None:
        """Open the connection; returns how that failed."""
        try:
            emails.check_own_settings()
            # Made here and not with the transport: settings that contradict each other make it fail.
            self._backend = (self._route or of_platform()).backend()
            self._open = True
            self._backend.open()
            connection = self._backend.connection if isinstance(self._backend, EmailBackend) else None
            if connection is not None:
                # Without TLS and log-in the framework leaves the greeting to sendmail(), unused here.
                connection.ehlo_or_helo_if_needed()
                self.dialogue = Dialogue(connection)
        except Exception as error:
            return Result(
                TRANSIENT,
                _code(error),
                _said(error)[:512],
                waits_for=_own_fault(error),
                whole_queue=True,
                opening=True,
            )
        return None

    def close(self) -> None:
        """Say goodbye and close the connection, if one is open; a server that does not answer is left behind."""
        if not self._open:
            return
        self._open, self.dialogue = False, None
        connection = getattr(self._backend, "connection", None)
        try:
            if isinstance(connection, smtplib.SMTP) and connection.sock is not None:
                connection.sock.settimeout(_QUIT_SECONDS)
            self._backend.close()
        except (smtplib.SMTPException, OSError):
            self._backend.connection = None

    def abandon(self) -> None:
        """Close a connection that is of no use any more, without a word."""
        connection = getattr(self._backend, "connection", None)
        if isinstance(connection, smtplib.SMTP):
            connection.close()
            self._backend.connection = None
        self.close()


def _milliseconds(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _taken(reply: Reply, started: float) -> Result:
    queue_id = _QUEUE_ID.search(reply.text)
    name = queue_id.group(1) if queue_id else ""
    return Result(SENT, reply.code, reply.text[:512], name, _milliseconds(started), ended=time.time())


def _verdict(reply: Reply) -> Result:
    """What a refusal means for the delivery."""
    ours = _refused_us(reply)
    is_final = 500 <= reply.code < 600 and reply.step in (Step.RCPT, Step.END) and not ours
    return Result(
        PERMANENT if is_final else TRANSIENT,
        reply.code,
        reply.text[:512],
        waits_for=ours,
        whole_queue=bool(ours) and reply.step is Step.MAIL,
        of_recipient=not ours and reply.step in (Step.RCPT, Step.END),
    )


# A server that says this speaks of us, whoever the recipient is: Postfix puts off its refusal of a sender or of a
# client until RCPT, others say who may send as whom after DATA.
_OF_US = re.compile(
    r"\b5\.7\.(57|60)\b|permissions? to send as|not (authori[sz]ed|allowed) to send as|email address is not verified|"
    r"\b5\.1\.[78]\b|\b5\.5\.4\b.*helo|sender address rejected|sender (verify|verification) failed|helo command rejected"
    r"|relay(ing)? (access )?(is )?(denied|not (allowed|permitted))|not (permitted|allowed) to relay|unable to relay"
    r"|(authentication|starttls).{0,20}required|must issue a starttls",
    re.IGNORECASE,
)
# Log-in wanted or refused, or encryption wanted (RFC 4954, RFC 3207).
_LOG_IN_CODES = frozenset({530, 534, 535, 538})


def _own_fault(error: Exception) -> str:
    """The setting that is to be mended when opening the connection fails so; empty when it is the server's fault.

    A server that is overloaded, restarts or hangs up is no fault of a setting: such mail follows the schedule.
    """
    if isinstance(error, SettingError):
        return error.setting
    if isinstance(error, smtplib.SMTPResponseException):
        # What is neither a refusal nor a delay is no SMTP: something else listens there.
        refused = not 400 <= error.smtp_code < 500 or error.smtp_code in _LOG_IN_CODES
        return "EMAIL_URL" if refused or isinstance(error, smtplib.SMTPAuthenticationError) else ""
    if isinstance(error, smtplib.SMTPNotSupportedError) or type(error) is smtplib.SMTPException:
        # No STARTTLS, no AUTH, or no way to log in that both know.
        return "EMAIL_URL"
    if isinstance(error, smtplib.SMTPException | TimeoutError | ssl.SSLEOFError | ssl.SSLZeroReturnError):
        # Also a connection that is closed in the middle of the handshake.
        return ""
    if isinstance(error, socket.gaierror | ssl.SSLError | ConnectionRefusedError):
        return "EMAIL_URL"
    if isinstance(error, ConnectionError):
        return ""
    # No route, no file of a certificate, two kinds of encryption at once, a module that is none …
    return "EMAIL_URL"


def _refused_us(reply: Reply) -> str:
    """The setting to be mended when a server refuses a step for what we are, not for the message."""
    if reply.code in _LOG_IN_CODES:
        return "EMAIL_URL"
    at_sender = reply.step is Step.MAIL
    if 500 <= reply.code < 600 and (at_sender or _OF_US.search(reply.text)):
        return "DEFAULT_FROM_EMAIL" if at_sender or re.search("sender|send as", reply.text, re.I) else "EMAIL_URL"
    return ""


def _code(error: Exception) -> int | None:
    """The code of a refusal, if there was one: what does not speak SMTP gives none, or any number."""
    code = error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else None
    return code if code is not None and 100 <= code < 600 else None


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _text(error.smtp_error)
    return _text(str(error)) if isinstance(error, SettingError) else _text(f"{type(error).__name__}: {error}")


def _text(answer: bytes | str) -> str:
    text = characters.decoded(answer) if isinstance(answer, bytes) else answer
    # PostgreSQL takes no NUL, and a journal no control characters.
    return characters.one_line(text)
