"""How a mail is put into bytes, and the backend for machines without a mail server: one `.eml` file a message."""

import binascii
import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from email.generator import BytesGenerator
from email.message import Message
from email.policy import Compat32
from io import BytesIO
from pathlib import Path

from django.conf import settings
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import EmailMessage
from django.utils import timezone

# Headers that hold identifiers and addresses of pages: some readers take only the first line of them, and none finds an
# identifier that starts on the second. They are ASCII and far below the 998 characters of a line.
_ONE_LINE = re.compile(
    r"message-id|references|in-reply-to|list-.*|auto-submitted|x-bom-.*|content-language", re.IGNORECASE
)


class _OneLine(Compat32):
    """The framework's policy, except that identifiers are never folded."""

    def fold(self, name: str, value: str) -> str:
        one = _as_one_line(name, value)
        return super().fold(name, value) if one is None else one + self.linesep

    def fold_binary(self, name: str, value: str) -> bytes:
        one = _as_one_line(name, value)
        return super().fold_binary(name, value) if one is None else (one + self.linesep).encode("ascii")


def _as_one_line(name: str, value: object) -> str | None:
    if isinstance(value, str) and value.isascii() and len(value) < 900 and _ONE_LINE.fullmatch(name):
        return f"{name}: {' '.join(value.split())}"
    return None


# No process takes so long to write one mail.
STALE_SECONDS = 60

_POLICIES = {linesep: _OneLine(linesep=linesep) for linesep in ("\n", "\r\n")}


def wire_bytes(mail: EmailMessage, linesep: str = "\r\n") -> bytes:
    """The bytes of a mail, in ASCII only.

    A server without 8BITMIME refuses bytes above 127, and one that converts them on the way breaks the DKIM signature.
    """
    message = mail.message()
    for part in message.walk():
        if part.get_content_maintype() == "text":
            _seven_bits(part)
    buffer = BytesIO()
    BytesGenerator(buffer, mangle_from_=False, policy=_POLICIES[linesep]).flatten(message)
    return buffer.getvalue()


def _seven_bits(part: Message) -> None:
    """Text beyond ASCII as quoted-printable, or as base64 where that is shorter."""
    if part.get("Content-Transfer-Encoding", "").lower() not in ("8bit", "binary"):
        return
    raw = part.get_payload(decode=True)
    assert isinstance(raw, bytes)
    quoted = binascii.b2a_qp(raw)
    if len(quoted) * 3 > len(raw) * 4:
        encoding, body = "base64", "\n".join(in_lines(binascii.b2a_base64(raw, newline=False).decode()))
    else:
        encoding, body = "quoted-printable", quoted.decode()
    part.replace_header("Content-Transfer-Encoding", encoding)
    # Beside the encoders of the part: the payload is encoded already.
    Message.set_payload(part, body)


def in_lines(text: str, width: int = 76) -> list[str]:
    return [text[start : start + width] for start in range(0, len(text), width)]


class EmlBackend(BaseEmailBackend):
    """Writes each message to its own file under `EMAIL_FILE_PATH`; nothing leaves the machine.

    Files appear complete or not at all (written aside, then renamed), so a reader that watches
    the folder never sees half a mail.
    """

    def __init__(self, fail_silently: bool = False, file_path: str | None = None, **kwargs: object) -> None:
        super().__init__(fail_silently=fail_silently)
        self.folder = Path(file_path or settings.EMAIL_FILE_PATH)

    def open(self) -> bool:
        """Remove what a killed process left half-written."""
        before = time.time() - STALE_SECONDS
        for partial in self.folder.glob("*.partial"):
            with suppress(OSError):
                if partial.stat().st_mtime < before:
                    partial.unlink()
        return True

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        for email in email_messages:
            message = email.message()
            name = re.sub(r"[^A-Za-z0-9-]", "", str(message["Message-ID"]).partition("@")[0])
            target = self.folder / f"{timezone.now():%Y%m%dT%H%M%S%f}-{name}.eml"
            partial = target.with_suffix(".partial")
            try:
                partial.write_bytes(wire_bytes(email, "\n"))
                os.replace(partial, target)
            except OSError:
                # A full disk: half a mail is of use to nobody, and takes up what room there is.
                partial.unlink(missing_ok=True)
                raise
        return len(email_messages)
