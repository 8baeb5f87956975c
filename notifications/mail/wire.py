"""A mail as bytes, assembled from parts that are encoded once.

The framework builds a tree of parts for each mail and walks it to write it out, which takes longer than handing the mail
over. Here the head is written line by line, and a body that several recipients share is encoded once; what
differs between them, the reason and the link at its foot, is set into the encoded body. A mail with attachments, or with
anything in its headers that is not plain, takes the framework's way (`emails.build`); tests hold the two to the same.
"""

import binascii
import re
import time
from email.utils import formatdate
from functools import lru_cache

from backoffice.base.mail import in_lines, wire_bytes
from notifications.mail import emails
from notifications.mail.emails import REASON_MARK, Filled
from notifications.models import Delivery

# Columns of a header line, and what a line of text may hold on the wire (998 by RFC 5322).
_COLUMNS = 76
_LINE = 900
_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+")
_LINE_ENDS = re.compile(r"\r\n|\r")
# Quoted-printable may break a line anywhere in the mark.
_ENCODED_MARK = re.compile(rb"(?:=\n)?" + rb"(?:=\n)?".join(re.escape(REASON_MARK[i]).encode() for i in range(len(REASON_MARK))))  # fmt: skip


def of(delivery: Delivery) -> bytes:
    """The mail of one delivery, lines ended by CRLF, in ASCII only.

    The delivery comes with `message`, `event`, `shop` and `rule` loaded.

    Raises what `emails.build` raises for a mail that cannot be put into bytes.
    """
    message = delivery.message
    assert message
    if message.has_attachments:
        return wire_bytes(emails.build(delivery))
    filled = emails.fill(delivery)
    head = _head(filled)
    if head is None:
        return wire_bytes(emails.build(delivery))
    # Found in no body: encoded text holds no "=_", plain text of ours no identifier of its own delivery after it.
    boundary = f"=_{delivery.pk.hex}"
    text = _part("plain", filled.text, filled.foot.text)
    html = _part("html", filled.html, filled.foot.html)
    lines = (
        f"{head}MIME-Version: 1.0\nContent-Type: multipart/alternative;\n boundary=\"{boundary}\"\n\n--{boundary}\n".encode("ascii"),
        text,
        f"\n--{boundary}\n".encode("ascii"),
        html,
        f"\n--{boundary}--\n".encode("ascii"),
    )  # fmt: skip
    return b"".join(lines).replace(b"\n", b"\r\n")


# --- Head -----------------------------------------------------------------------------------------


def _head(filled: Filled) -> str | None:
    """The lines of the head; None where a value is not plain ASCII on one line."""
    people = [*filled.to, *filled.cc, *([filled.reply_to] if filled.reply_to else [])]
    if not filled.to or not all(map(_PLAIN_ADDRESS.fullmatch, people)):
        return None
    lines = [
        _folded("Subject", filled.subject),
        _folded("From", filled.sender),
        _folded("To", ", ".join(filled.to)),
    ]
    if filled.cc:
        lines.append(_folded("Cc", ", ".join(filled.cc)))
    if filled.reply_to:
        lines.append(f"Reply-To: {filled.reply_to}\n")
    lines.append(f"Date: {_date(int(time.time()))}\n")
    lines += [f"{name}: {value}\n" for name, value in filled.headers.items()]
    values = (filled.subject, filled.sender, *filled.headers.keys(), *filled.headers.values())
    text = "".join(values)
    if not text.isascii() or not text.isprintable() or max(map(len, values)) >= _LINE:
        return None
    return "".join(lines)


def _folded(name: str, value: str) -> str:
    """A header in lines of 76 columns; its first word stands beside its name."""
    line = f"{name}: {value}"
    if len(line) <= _COLUMNS:
        return f"{line}\n"
    lines: list[str] = []
    first, *words = line[len(name) + 2 :].split(" ")
    current = f"{name}: {first}"
    for word in words:
        if len(current) + 1 + len(word) > _COLUMNS and word:
            lines.append(current)
            current = f" {word}"
        else:
            current = f"{current} {word}"
    return "\n".join([*lines, current]) + "\n"


@lru_cache(maxsize=4)
def _date(second: int) -> str:
    return formatdate(second)


# --- Bodies ---------------------------------------------------------------------------------------


def _part(kind: str, text: str, reason: str) -> bytes:
    """One form of the mail: its own head, and its body with the reason in its place."""
    encoding, pieces = _encoded(text)
    if encoding == "base64":
        encoding, pieces = _encoded(text.replace(REASON_MARK, reason), marked=False)
        body = pieces[0]
    elif encoding == "7bit" and reason.isascii() and len(reason) < _LINE // 2:
        body = reason.encode("ascii").join(pieces)
    else:
        if encoding == "7bit":
            encoding, pieces = "quoted-printable", _quoted(text)
        # Soft line breaks around it: no line becomes longer by what is set in.
        body = (b"=\n" + _quoted_reason(reason) + b"=\n").join(pieces)
    head = f'Content-Type: text/{kind}; charset="utf-8"\nContent-Transfer-Encoding: {encoding}\n\n'
    return head.encode("ascii") + body


@lru_cache(maxsize=256)
def _encoded(text: str, *, marked: bool = True) -> tuple[str, tuple[bytes, ...]]:
    """A text for the wire: the name of the encoding, and the pieces around the marks of the reason.

    Args:
        marked: False where the reason is in it already; what looks like a mark then is none.
    """
    if "\r" in text:
        text = _LINE_ENDS.sub("\n", text)
    if text.isascii() and max(map(len, text.split("\n"))) < _LINE // 2:
        raw = text.encode("ascii")
        return "7bit", tuple(raw.split(REASON_MARK.encode("ascii"))) if marked else (raw,)
    raw = text.encode("utf-8")
    quoted = _lines_quoted(raw)
    if len(quoted) * 3 > len(raw) * 4:
        encoded = binascii.b2a_base64(raw, newline=False).decode("ascii")
        return "base64", ("\n".join(in_lines(encoded)).encode("ascii"),)
    return "quoted-printable", _around_marks(quoted, text) if marked else (quoted,)


def _lines_quoted(raw: bytes) -> bytes:
    """Quoted-printable of a text. Most lines of a mail, its styles above all, are those of every other one."""
    return b"\n".join(map(_line_quoted, raw.split(b"\n")))


_line_quoted = lru_cache(maxsize=4096)(binascii.b2a_qp)


def _quoted(text: str) -> tuple[bytes, ...]:
    return _around_marks(_lines_quoted(text.encode("ascii")), text)


def _around_marks(quoted: bytes, text: str) -> tuple[bytes, ...]:
    """The pieces of an encoded text around its marks."""
    whole = quoted.split(REASON_MARK.encode("ascii"))
    # Mostly no line is broken in a mark, and the search for such breaks takes longer than encoding does.
    return tuple(whole) if len(whole) == text.count(REASON_MARK) + 1 else tuple(_ENCODED_MARK.split(quoted))


def _quoted_reason(reason: str) -> bytes:
    return binascii.b2a_qp(reason.encode("utf-8"))
