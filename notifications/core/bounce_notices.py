"""Delivery status notifications (RFC 3464) as mail servers write them, read into facts.

Read with the library's e-mail package. What comes in is written by strangers: any bytes at all lead to a list, perhaps
an empty one. Older dialects without a part for machines are read too: qmail's (QSBMF) and that of old Exim.

Pure: no database, no settings, no clock.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import Message
from enum import StrEnum

from backoffice.text.addresses import normalise
from backoffice.text.characters import one_line
from notifications.core.address_health import code_of

# What a notice says stands at its beginning; the mail it gives back, with all its files, at the end.
MOST_BYTES = 1024 * 1024
# Parts within parts that no server writes; the time that the library takes grows with their square.
MOST_BOUNDARIES = 40
_MOST_PARTS = 200
_MOST_RECIPIENTS = 100
_WORDS = 300

_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_ORIGINAL_TYPES = frozenset(
    {"message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers"}
)
_ENVELOPE = ("to", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "apparently-to", "resent-to", "cc")
_MESSAGE_IDS = (
    "message-id",
    "in-reply-to",
    "references",
    "original-message-id",
    "x-original-message-id",
    "x-ms-exchange-original-message-id",
)
_UUID = r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"
_OUR_ID = re.compile(rf"<?({_UUID})@([^\s<>@]{{1,255}})>?", re.IGNORECASE)
_ANY_ADDRESS = re.compile(r"[^\s<>,;:\"()]{1,128}@[^\s<>,;:\"()]{1,255}")
_SPACES = re.compile(r"\s+")


class Action(StrEnum):
    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


# The only ones that say something about an address that is to change.
TROUBLES = frozenset({Action.FAILED, Action.DELAYED})


@dataclass(frozen=True)
class Report:
    """The part of a notice about one recipient.

    Attributes:
        action: an `Action`, or what else stood there.
        code: the enhanced status code that decides; empty for none.
        words: what the server said, on one line.
        recipients: normal forms of the final and of the original recipient.
    """

    action: str
    code: str
    words: str
    recipients: frozenset[str]


@dataclass(frozen=True)
class Notice:
    """A notice, with everything that may say which mail of ours it is about.

    Attributes:
        reports: one for each recipient; none where it is no notice.
        envelope: the addresses it was sent to, and the return path of the mail it gives back.
        message_ids: (key, host) of what looks like a Message-ID of ours.
        deliveries: keys named by `X-BOM-Delivery`.
    """

    reports: tuple[Report, ...] = ()
    envelope: tuple[str, ...] = ()
    message_ids: tuple[tuple[str, str], ...] = ()
    deliveries: tuple[str, ...] = ()


NO_NOTICE = Notice()


def read(raw: bytes) -> Notice:
    """The notice that a mail is; an empty one for an automatic reply, any other mail, or garbage. Never raises."""
    raw = raw[:MOST_BYTES]
    if len(re.findall(rb"boundary\s*=", raw, re.IGNORECASE)) > MOST_BOUNDARIES:
        return NO_NOTICE
    try:
        return _read(raw)
    except Exception:
        # The library raises errors of many kinds for mail that nobody's server wrote, a RecursionError among them.
        return NO_NOTICE


@dataclass
class _Gathered:
    reports: list[Report] = field(default_factory=list)
    envelope: list[str] = field(default_factory=list)
    message_ids: list[tuple[str, str]] = field(default_factory=list)
    deliveries: list[str] = field(default_factory=list)


def _read(raw: bytes) -> Notice:
    # Without the headers' grammar: a header that is wrong is a text, not an error.
    mail = message_from_bytes(raw, policy=policy.compat32)
    gathered = _Gathered()
    for name in _ENVELOPE:
        gathered.envelope += _addresses(_headers(mail, name))
    _identify(mail, gathered, outer=True)
    for number, part in enumerate(mail.walk()):
        if number > _MOST_PARTS:
            break
        kind = part.get_content_type()
        if kind in _STATUS_TYPES:
            gathered.reports += _reports(part)
        elif kind in _ORIGINAL_TYPES:
            for original in _originals(part):
                _identify(original, gathered)
    if not gathered.reports:
        gathered.reports += _in_words(mail, gathered)
    return Notice(
        tuple(gathered.reports[:_MOST_RECIPIENTS]),
        tuple(dict.fromkeys(gathered.envelope)),
        tuple(dict.fromkeys(gathered.message_ids)),
        tuple(dict.fromkeys(gathered.deliveries)),
    )


def _headers(message: Message, name: str) -> str:
    return " ".join(str(value) for value in message.get_all(name, []))[:10_000]


def _addresses(text: str) -> list[str]:
    return _ANY_ADDRESS.findall(text)[:50]


def _identify(message: Message, gathered: _Gathered, *, outer: bool = False) -> None:
    """Note what names a mail of ours: the one given back, or, in the head of the notice, the one it answers."""
    for name in _MESSAGE_IDS[1:] if outer else _MESSAGE_IDS:
        gathered.message_ids += [
            (key.replace("-", "").lower(), host.lower()) for key, host in _OUR_ID.findall(_headers(message, name))
        ]
    if outer:
        return
    gathered.envelope += _addresses(_headers(message, "return-path"))
    key = _headers(message, "x-bom-delivery").strip()
    if re.fullmatch(_UUID, key, re.IGNORECASE):
        gathered.deliveries.append(key.replace("-", "").lower())


def _originals(part: Message) -> Iterator[Message]:
    """The heads that a part with the mail given back, or with its headers, holds."""
    payload = part.get_payload()
    if isinstance(payload, list):
        yield from (one for one in payload if isinstance(one, Message))
        return
    raw = part.get_payload(decode=True)
    if isinstance(raw, bytes):
        yield message_from_bytes(raw.lstrip(), policy=policy.compat32)


# --- The part for machines ------------------------------------------------------------------------


def _reports(part: Message) -> Iterator[Report]:
    for block in _blocks(part):
        recipients = frozenset(
            filter(None, (_recipient(block, name) for name in ("final-recipient", "original-recipient")))
        )
        if not recipients:
            continue
        diagnostic = one_line(_SPACES.sub(" ", _headers(block, "diagnostic-code")))
        status = _headers(block, "status")
        words = diagnostic.partition(";")[2].strip() or diagnostic
        action = _headers(block, "action").strip().lower().partition(" ")[0]
        code = code_of(status, diagnostic)
        yield Report(action or _action_of(code), code, words[:_WORDS], recipients)


def _action_of(code: str) -> str:
    """The action of a block of a notice that has no `Action` field."""
    return Action.DELAYED if code.startswith("4") else Action.DELIVERED if code.startswith("2") else Action.FAILED


def _blocks(part: Message) -> Iterator[Message]:
    """The groups of fields of a status part: of the message first, then of each recipient."""
    payload = part.get_payload()
    if isinstance(payload, list) and part.get_content_type() == "message/delivery-status":
        yield from (one for one in payload if isinstance(one, Message))
        return
    # The form for international addresses, and one that came encoded, are taken apart here.
    if isinstance(payload, list):
        inner = "".join(one.as_string() for one in payload if isinstance(one, Message))
        text = inner
    else:
        raw = part.get_payload(decode=True)
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""
    for group in re.split(r"\r?\n[ \t]*\r?\n", text)[:_MOST_RECIPIENTS]:
        yield message_from_bytes(group.lstrip().encode("utf-8", "replace"), policy=policy.compat32)


def _recipient(block: Message, name: str) -> str:
    """The address of `rfc822; x@y`, as addresses are compared."""
    text = _headers(block, name)
    address = text.partition(";")[2] if ";" in text else text
    # Sendmail and others write angle brackets, Exchange sometimes a display name.
    named = _addresses(address)
    return normalise(named[0]) if named else ""


# --- Dialects without it --------------------------------------------------------------------------

_QMAIL = re.compile(r"Hi\. This is the .{0,200}?(?:qmail|mail).{0,200}?\n\s*\n", re.IGNORECASE | re.DOTALL)
_QMAIL_RECIPIENT = re.compile(r"^<([^>\s]{3,320})>:[ \t]*\r?\n((?:(?!\r?\n\r?\n).){1,2000})", re.MULTILINE | re.DOTALL)
_COPY_BELOW = re.compile(
    r"^-{3,} (?:Below this line is a copy of the message|This is a copy of (?:the|your) message).{0,200}$",
    re.IGNORECASE | re.MULTILINE,
)


def _in_words(mail: Message, gathered: _Gathered) -> Iterator[Report]:
    """What qmail and old Exim say: recipients and replies in a text, then the mail given back."""
    if mail.is_multipart():
        return
    raw = mail.get_payload(decode=True)
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""
    mark = _COPY_BELOW.search(text)
    head, copy = (text[: mark.start()], text[mark.end() :]) if mark else (text, "")
    failed = _addresses(_headers(mail, "x-failed-recipients"))
    reports = [_worded(address, said) for address, said in _QMAIL_RECIPIENT.findall(head)] if _QMAIL.match(head) else []
    reports += [_worded(address, _said_of(address, head)) for address in failed]
    if reports and copy:
        _identify(message_from_bytes(copy.lstrip().encode("utf-8", "replace"), policy=policy.compat32), gathered)
    yield from reports


def _worded(address: str, said: str) -> Report:
    words = one_line(_SPACES.sub(" ", said)).strip()
    return Report(Action.FAILED, code_of("", words), words[:_WORDS], frozenset({normalise(address)}))


def _said_of(address: str, text: str) -> str:
    """The lines under an address in the text of a notice."""
    _before, _address, after = text.partition(address)
    return after[:600].partition("\n\n")[0]
