"""E-mail over SMTP: one connection per batch, one SMTP transaction with one RCPT per delivery.

The framework's backend opens and secures the connection; the dialogue itself is held here,
because the backend drops a refused recipient among several and keeps no reply of the server.
"""

import re
import smtplib
import time
from types import TracebackType
from typing import Any

from django.conf import settings
from django.core import mail
from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.message import sanitize_address

from .. import addresses, emails
from ..models import Attempt, Delivery
from .base import Result

_QUEUE_ID = re.compile(r"(?:queued as|id[ =]|queued with id)\s*<?([A-Za-z0-9._-]{4,100})", re.IGNORECASE)
SENT, TRANSIENT, PERMANENT = Attempt.Outcome.SENT, Attempt.Outcome.TRANSIENT, Attempt.Outcome.PERMANENT


class EmailTransport:
    """One connection for the deliveries of a batch; used as a context manager.

    A connection that breaks is opened again for the next delivery. Failing to open it is a
    transient failure of the delivery at hand.
    """

    def __init__(self) -> None:
        self._backend: Any = mail.get_connection()
        self._open = False

    def __enter__(self) -> "EmailTransport":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def send(self, delivery: Delivery) -> Result:
        """Hand one delivery over; never raises for what the other side or the network does."""
        started = time.monotonic()
        try:
            message = emails.build(delivery, self._backend)
            self._ensure_open()
            if isinstance(self._backend, EmailBackend) and self._backend.connection is not None:
                body = message.message().as_bytes(linesep="\r\n")  # type: ignore[call-arg]
                outcome, code, reply = self._dialogue(self._backend.connection, delivery, body)
            else:
                self._backend.send_messages([message])
                outcome, code, reply = SENT, None, ""
        except smtplib.SMTPServerDisconnected as error:
            self._close()
            outcome, code, reply = TRANSIENT, None, f"connection closed by the server ({error})"
        except smtplib.SMTPResponseException as error:
            # Refused while opening: our greeting or our log-in, so nothing the recipient caused.
            self._close()
            outcome, code, reply = TRANSIENT, error.smtp_code, _text(error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            self._close()
            outcome, code, reply = TRANSIENT, None, f"{type(error).__name__}: {error}"
        except (UnicodeError, ValueError) as error:
            # The message itself cannot be put on the wire; trying again would not help. The
            # connection may be in the middle of a transaction, which must not spoil the next one.
            self._close()
            outcome, code, reply = PERMANENT, None, f"{type(error).__name__}: {error}"
        except Exception:
            self._close()
            raise
        found = _QUEUE_ID.search(reply) if outcome == SENT else None
        return Result(
            outcome=outcome,
            code=code,
            reply=reply[:512],
            queue_id=found.group(1) if found else "",
            duration_ms=round((time.monotonic() - started) * 1000),
        )

    def _dialogue(self, smtp: smtplib.SMTP, delivery: Delivery, body: bytes) -> tuple[str, int, str]:
        sender = sanitize_address(settings.DEFAULT_FROM_EMAIL, "utf-8")
        options = ["BODY=8BITMIME"] if smtp.has_extn("8bitmime") else []
        steps = (
            lambda: smtp.mail(sender.rpartition("<")[2].rstrip(">"), options),
            lambda: smtp.rcpt(addresses.for_sending(delivery.address)),
            lambda: smtp.data(body),
        )
        code, answer = 0, b""
        for step in steps:
            try:
                code, answer = step()
            except smtplib.SMTPDataError as error:
                code, answer = error.smtp_code, error.smtp_error  # type: ignore[assignment]
            if not 200 <= code < 300:
                if code == 421:
                    self._close()
                else:
                    self._reset(smtp)
                return (PERMANENT if 500 <= code < 600 else TRANSIENT), code, _text(answer)
        return SENT, code, _text(answer)

    def _reset(self, smtp: smtplib.SMTP) -> None:
        """Leave a refused transaction behind; a server that will not is left altogether."""
        try:
            if smtp.rset()[0] != 250:
                self._close()
        except (smtplib.SMTPException, OSError):
            self._close()

    def _ensure_open(self) -> None:
        if not self._open:
            self._backend.open()
            self._open = True
            if isinstance(self._backend, EmailBackend) and self._backend.connection is not None:
                # Without TLS and log-in the framework leaves the greeting to sendmail(), unused here.
                self._backend.connection.ehlo_or_helo_if_needed()

    def _close(self) -> None:
        if self._open:
            self._open = False
            try:
                self._backend.close()
            except (smtplib.SMTPException, OSError):
                self._backend.connection = None


def _text(answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    # PostgreSQL takes no NUL, and a journal no control characters.
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
