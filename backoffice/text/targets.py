"""Where a URL leads, read so strictly that no two programs can disagree about it.

The pages that save a URL and the door that calls it read it here, and the door connects to what was
read, never to the text again. Reading follows RFC 3986 without its tolerances; an address or a name
that some resolver or browser would take for another one is refused rather than repaired.
"""

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from urllib.parse import quote

from backoffice.text import characters, hosts
from backoffice.text.net_ranges import special_range

MAX_LENGTH = 500
DEFAULT_PORTS = {"http": 80, "https": 443}
# Names that only mean something inside a network: RFC 6761, RFC 6762 with its appendix G, RFC 8375,
# and .internal, which ICANN set aside in 2024.
LOCAL_ENDINGS = (
    "localhost", "localdomain", "local", "internal", "intranet", "private", "corp", "home", "lan", "home.arpa",
)  # fmt: skip


class Problem(StrEnum):
    """Why a URL is refused. The first group is about its spelling, the second about where it leads."""

    TOO_LONG = "too_long"
    CHARACTERS = "characters"
    SCHEME = "scheme"
    NO_HOST = "no_host"
    USERINFO = "userinfo"
    FRAGMENT = "fragment"
    PORT_SPELLING = "port_spelling"
    HOST = "host"
    HOST_ENCODED = "host_encoded"
    HOST_LABEL = "host_label"
    HOST_DISGUISED = "host_disguised"
    ADDRESS_SPELLING = "address_spelling"

    PORT = "port"
    LOCAL_NAME = "local_name"
    SPECIAL_ADDRESS = "special_address"


class BadUrl(ValueError):
    """A URL that may not be called.

    `detail` is the part of it that is meant, where there is one; `disguised` the characters of its host that
    turn into others.
    """

    def __init__(self, problem: Problem, detail: str = "", *, disguised: str = "") -> None:
        super().__init__(f"{problem.value}: {detail}" if detail else problem.value)
        self.problem = problem
        self.detail = detail
        self.disguised = disguised


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart.

    Attributes:
        scheme: http or https.
        host: a name in ASCII and lower case, or an address in its canonical spelling, no brackets.
        port: always a number.
        path: path and query, percent-encoded, beginning with a slash.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The address, where the host is one."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def endpoint(self) -> str:
        """scheme://host:port, the same for every spelling of it."""
        return f"{self.scheme}://{self._bracketed}:{self.port}"

    @property
    def url(self) -> str:
        """The URL in the one spelling that goes on the wire."""
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self._bracketed}{port}{self.path}"

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


_SHAPE = re.compile(r"(https?)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::(.*))?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
# What a resolver of the C library reads as a number: then the whole name is an IPv4 address to it.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_IPV4 = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})")


@lru_cache(maxsize=4096)  # the same few URLs are called again and again
def read(url: str) -> Target:
    """Take a URL apart; raise BadUrl with one of the spelling problems."""
    if len(url) > MAX_LENGTH:
        raise BadUrl(Problem.TOO_LONG)
    if bad := bad_character(url):
        raise BadUrl(Problem.CHARACTERS, bad)
    shape = _SHAPE.fullmatch(url)
    if shape is None:
        raise BadUrl(Problem.NO_HOST if re.match("https?:", url, re.IGNORECASE) else Problem.SCHEME)
    scheme, authority, path, query, fragment = shape.groups(default="")
    if not authority:
        raise BadUrl(Problem.NO_HOST)
    if "@" in authority:
        raise BadUrl(Problem.USERINFO)
    if fragment:
        raise BadUrl(Problem.FRAGMENT)
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise BadUrl(Problem.HOST)
    host, port = parts.groups()
    scheme = scheme.lower()
    if port is None:
        number = DEFAULT_PORTS[scheme]
    elif _PORT.fullmatch(port) and int(port) <= 65535:
        number = int(port)
    else:
        raise BadUrl(Problem.PORT_SPELLING, port)
    return Target(
        scheme=scheme,
        host=_host(host),
        port=number,
        # What is already encoded stays as it is: the merchant's server knows its own spelling.
        path=(quote(path, safe="/%:@!$&'()*+,;=~") or "/") + quote(query, safe="/?%:@!$&'()*+,;=~"),
    )


def bad_character(url: str) -> str:
    """The code of a character that no URL holds: unseen, a blank or a backslash; empty where there is none.

    The zero-width joiners that some scripts need inside words are for IDNA to judge.
    """
    if url.isascii() and url.isprintable() and " " not in url and "\\" not in url:
        return ""
    hidden = characters.first_hidden(url) or next(
        (one for one in url if one == "\\" or one.isspace() or not (one.isprintable() or one in "\u200c\u200d")), ""
    )
    return characters.name(hidden) if hidden else ""


def _host(typed: str) -> str:
    if typed.startswith("["):
        try:
            address = ipaddress.IPv6Address(typed[1:-1])
        except ValueError:
            raise BadUrl(Problem.ADDRESS_SPELLING, typed) from None
        if address.scope_id is not None:
            raise BadUrl(Problem.ADDRESS_SPELLING, typed)
        return address.compressed
    if not typed:
        raise BadUrl(Problem.NO_HOST)
    if "%" in typed:
        raise BadUrl(Problem.HOST_ENCODED)
    name = _name(typed)
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        if not _IPV4.fullmatch(name):
            raise BadUrl(Problem.ADDRESS_SPELLING, name)
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise BadUrl(Problem.ADDRESS_SPELLING, name) from None
    return name


def _name(typed: str) -> str:
    """A name in ASCII, by the same rules as in mail addresses."""
    if not all(0 < len(label) <= hosts.MAX_LABEL for label in typed.split(".")):
        raise BadUrl(Problem.HOST_LABEL)
    disguised = hosts.disguised(typed)
    try:
        name = hosts.to_ascii(typed)
    except hosts.BadHost:
        # What the disguise stands for may be no name either.
        raise BadUrl(Problem.HOST_DISGUISED if disguised else Problem.HOST, disguised=disguised) from None
    if disguised:
        first = next(label for label in typed.split(".") if hosts.disguised(label))
        raise BadUrl(Problem.HOST_DISGUISED, hosts.to_ascii(first), disguised=disguised)
    if not all(map(_LABEL.fullmatch, name.split("."))):
        raise BadUrl(Problem.HOST)
    if len(name) > hosts.MAX_NAME or any(len(label) > hosts.MAX_LABEL for label in name.split(".")):
        raise BadUrl(Problem.HOST_LABEL)
    return name


@lru_cache(maxsize=4096)
def check_reach(target: Target) -> None:
    """Raise BadUrl where the target's port, name or literal address is out of bounds (docs/rules.md 5.4).

    The addresses a name resolves to are not known here; the door checks them when it connects.
    """
    if target.port not in (80, 443) and target.port < 1024:
        raise BadUrl(Problem.PORT, str(target.port))
    address = target.address
    if address is not None:
        if forbidding := special_range(address):
            raise BadUrl(Problem.SPECIAL_ADDRESS, f"{forbidding.network}")
        return
    if "." not in target.host or any(
        target.host == ending or target.host.endswith(f".{ending}") for ending in LOCAL_ENDINGS
    ):
        raise BadUrl(Problem.LOCAL_NAME)
