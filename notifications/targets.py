"""Where a URL leads, read so strictly that no two programs can disagree about it.

The pages that save a URL and the door that calls it read it here, and the door connects to what was
read, never to the text again. Reading follows RFC 3986 without its tolerances; an address or a name
that some resolver or browser would take for another one is refused rather than repaired.
"""

import encodings.idna
import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from urllib.parse import quote

from .net_ranges import special_range

MAX_LENGTH = 500
MAX_HOST, MAX_LABEL = 253, 63  # RFC 1035, 2.3.4
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
    """A URL that may not be called. `detail` is the part of it that is meant, where there is one."""

    def __init__(self, problem: Problem, detail: str = "") -> None:
        super().__init__(f"{problem.value}: {detail}" if detail else problem.value)
        self.problem = problem
        self.detail = detail


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
# Drawn as nothing although they count as letters or marks (Unicode, Default_Ignorable_Code_Point).
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


@lru_cache(maxsize=4096)  # the same few URLs are called again and again
def read(url: str) -> Target:
    """Take a URL apart; raise BadUrl with one of the spelling problems."""
    if len(url) > MAX_LENGTH:
        raise BadUrl(Problem.TOO_LONG)
    if "\\" in url or not url.isprintable() or any(map(str.isspace, url)) or _UNSEEN.search(url):
        raise BadUrl(Problem.CHARACTERS)
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
    name = ".".join(_label(label) for label in typed.split("."))
    if len(name) > MAX_HOST:
        raise BadUrl(Problem.HOST_LABEL)
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        if not _IPV4.fullmatch(name):
            raise BadUrl(Problem.ADDRESS_SPELLING, name)
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise BadUrl(Problem.ADDRESS_SPELLING, name) from None
    return name


def _label(typed: str) -> str:
    """One label in ASCII (Python's `idna` codec, as for mail addresses)."""
    if not typed or len(typed) > MAX_LABEL:
        raise BadUrl(Problem.HOST_LABEL)
    try:
        label = encodings.idna.ToASCII(unicodedata.normalize("NFC", typed)).decode("ascii").lower()
        if label.startswith("xn--"):
            encodings.idna.ToUnicode(label)
    except UnicodeError:
        raise BadUrl(Problem.HOST) from None
    if not typed.isascii() and not label.startswith("xn--"):
        # Full-width or ringed characters that turn into plain ones: the name is not what it looks like.
        raise BadUrl(Problem.HOST_DISGUISED, label)
    if not _LABEL.fullmatch(label):
        raise BadUrl(Problem.HOST)
    return label


@lru_cache(maxsize=4096)
def check_reach(target: Target) -> None:
    """Raise BadUrl where the target's port, name or literal address is out of bounds (DESIGN 5).

    The addresses a name resolves to are not known here; the door checks them when it connects.
    """
    if target.port not in (80, 443) and target.port < 1024:
        raise BadUrl(Problem.PORT, str(target.port))
    address = target.address
    if address is not None:
        if found := special_range(address):
            raise BadUrl(Problem.SPECIAL_ADDRESS, f"{found.network}")
        return
    if "." not in target.host or any(
        target.host == ending or target.host.endswith(f".{ending}") for ending in LOCAL_ENDINGS
    ):
        raise BadUrl(Problem.LOCAL_NAME)
