"""What the settings about ourselves have to look like: the sender, the support address, names, our own address.

Pure: text in, text out. `settings` reads the environment through these functions, so that a bad value is
refused by name when a process starts, and not by the first mail; `checks` and the mail transport read the
settings through the same ones. Messages are for operators and never hold a password.
"""

import re
import unicodedata
from collections.abc import Callable
from email.header import Header
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import idna
from django.core.exceptions import ImproperlyConfigured

# Longer names are cut by mailboxes; headers have to stay well below the 998 characters of RFC 5322.
MAX_NAME = 100
# 64 characters less `+<32 hex digits>.<16 characters>` (`notifications/mail/return_paths.py`).
MAX_BOUNCE_LOCAL = 14
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(\.{_ATOM})*")
_ASCII_HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_SPECIALS = re.compile(r'[()<>@,:;\\"\[\]]')


class SettingError(ImproperlyConfigured):
    """A setting of ours that cannot be used as it is.

    Attributes:
        setting: its name.
    """

    def __init__(self, setting: str, reason: str) -> None:
        self.setting = setting
        super().__init__(f"{setting} {reason}")


def _one_line(setting: str, text: str) -> str:
    text = unicodedata.normalize("NFC", text.strip())
    if not text.isprintable():
        raise SettingError(setting, f"has to be one line of visible characters; {text[:80]!r} holds others.")
    return text


@lru_cache(maxsize=64)
def ascii_host(host: str) -> str:
    """A host name as it goes on the wire: lower case, IDNA 2008 (UTS 46, non-transitional). ValueError if it cannot."""
    host = unicodedata.normalize("NFC", host).lower()
    wire = host if host.isascii() else idna.encode(host, uts46=True, transitional=False).decode("ascii")
    if not _ASCII_HOST.fullmatch(wire):
        raise ValueError(f"{host!r} is not a host name")
    return wire


def address(setting: str, text: str) -> str:
    """One bare e-mail address, its domain in ASCII form. SettingError naming the setting."""
    text = _one_line(setting, text)
    local, _at, domain = text.rpartition("@")
    try:
        domain = ascii_host(domain)
    except (ValueError, UnicodeError):
        domain = ""
    if not _LOCAL.fullmatch(local) or len(local) > 64 or "." not in domain.strip(".") and domain != "localhost":
        raise SettingError(setting, f"has to be one e-mail address such as team@shop.example; {text[:80]!r} is none.")
    return f"{local}@{domain}"


def bounce_address(setting: str, text: str) -> str:
    """As `address`; before its @ there is room for a mark of each mail. SettingError naming the setting."""
    checked = address(setting, text)
    local = checked.rpartition("@")[0]
    if len(local) > MAX_BOUNCE_LOCAL or "+" in local:
        raise SettingError(
            setting, f"takes at most {MAX_BOUNCE_LOCAL} characters before the @, and no +; it is {text[:80]!r}."
        )
    return checked


@lru_cache(maxsize=8)
def mailbox(setting: str, text: str) -> tuple[str, str]:
    """(name, address) of `Name <address>` or of a bare address, the domain in ASCII form.

    A name with a comma or another character that has a meaning in headers has to stand in quotes: without
    them mail programs read several addresses. SettingError naming the setting.
    """
    text = _one_line(setting, text)
    if not text.endswith(">"):
        return "", address(setting, text)
    before, _sep, inner = text[:-1].rpartition("<")
    before = before.strip()
    if len(before) > 1 and before[0] == before[-1] == '"':
        shown_name = before[1:-1]
        if re.search(r'(?<!\\)(\\\\)*"', shown_name):
            raise SettingError(setting, f'has a name with a quote in it; write \\" there: {text[:80]!r}.')
        shown_name = re.sub(r"\\(.)", r"\1", shown_name)
    elif _SPECIALS.search(before):
        raise SettingError(
            setting,
            f'has a name with one of ()<>@,:;\\"[] outside of quotes. Write it as "name" <address>; it is {text[:80]!r}.',
        )
    else:
        shown_name = before
    return name(setting, shown_name, empty=True), address(setting, inner)


def name(setting: str, text: str, *, empty: bool = False) -> str:
    """A name for headers and screens: one line, not too long. SettingError naming the setting."""
    text = _one_line(setting, text)
    if not text and not empty:
        raise SettingError(setting, "must not be empty.")
    if len(text) > MAX_NAME:
        raise SettingError(setting, f"takes at most {MAX_NAME} characters; {text[:40]!r}… has {len(text)}.")
    return text


def url(setting: str, text: str) -> str:
    """An http or https address, its host in ASCII form, without a slash at its end. SettingError naming the setting."""
    text = _one_line(setting, text).rstrip("/")
    if "@" in text.partition("://")[2].partition("/")[0]:
        raise SettingError(setting, "must not hold a user or password.")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        if ":" not in host:
            host = ascii_host(host)
    except (ValueError, UnicodeError):
        host, port = "", None
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not host or re.search(r"\s", text):
        raise SettingError(setting, f"has to be an address such as https://shop.example; {text[:80]!r} is none.")
    netloc = (f"[{host}]" if ":" in host else host) + (f":{port}" if port is not None else "")
    return urlunsplit((parts.scheme, netloc, parts.path, parts.query, parts.fragment))


@lru_cache(maxsize=8)
def base_url(setting: str, text: str) -> str:
    """Return a checked base URL: as `url`, without query or fragment."""
    checked = url(setting, text)
    if urlsplit(checked).query or urlsplit(checked).fragment:
        raise SettingError(setting, f"takes scheme, host and port only; {text[:80]!r} has more.")
    return checked


def host(setting: str, text: str) -> str:
    """A host name or IPv4 address in ASCII form. SettingError naming the setting."""
    text = _one_line(setting, text)
    try:
        return ascii_host(text)
    except (ValueError, UnicodeError):
        raise SettingError(setting, f"has to be a host name; {text[:80]!r} is none.") from None


def port(setting: str, text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 65536:
        raise SettingError(setting, f"has to be a port number from 1 to 65535; {text[:20]!r} is none.")
    return int(text)


def number(setting: str, text: str, least: int, most: int) -> int:
    """A whole number within bounds. SettingError naming the setting."""
    text = text.strip()
    if not (text.isascii() and text.isdigit()) or not least <= int(text[:9]) <= most:
        raise SettingError(setting, f"has to be a number from {least} to {most}; {text[:20]!r} is none.")
    return int(text)


def optional(check: Callable[[str, str], str], setting: str, text: str) -> str:
    """The text as `check` leaves it; empty where it is empty."""
    return check(setting, text) if text.strip() else ""


def sender(setting: str, text: str) -> str:
    """A mailbox written in one way: its name in quotes where it needs them, its domain in ASCII."""
    shown, bare = mailbox(setting, text)
    if not shown:
        return bare
    return f"{_quoted(shown)} <{bare}>"


def header_mailbox(shown: str, bare: str) -> str:
    """`name <address>` as the ASCII value of a header: quoted or encoded as its characters need."""
    if not shown:
        return bare
    if shown.isascii() and "=?" not in shown:
        return f"{_quoted(shown)} <{bare}>"
    # An ASCII name with "=?" in it could pose as an encoded word; encoded itself it is read as it stands.
    return f"{Header(shown, 'utf-8', header_name='From').encode(linesep='')} <{bare}>"


def _quoted(shown: str) -> str:
    if not _SPECIALS.search(shown) and "." not in shown:
        return shown
    return '"' + re.sub(r'([\\"])', r"\\\1", shown) + '"'


def mail_server(setting: str, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The framework's settings of the mail server that `read` finds; never prints them, they hold a password."""
    try:
        options = dict(read())
        server = options.get("EMAIL_HOST") or ""
        if server and ":" not in server:
            options["EMAIL_HOST"] = ascii_host(server)
    except Exception as error:
        kind = type(error).__name__
        raise SettingError(setting, f"is no address of a mail server; see .env.example ({kind}).") from None
    for part in ("EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD"):
        if not str(options.get(part) or "").isascii():
            raise SettingError(setting, "holds a user or password that is not ASCII, which SMTP log-in cannot take.")
    return options
