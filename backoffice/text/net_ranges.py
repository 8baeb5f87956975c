"""Addresses that no notification URL may lead to: a table, and one question put to it.

Everything is refused that the two special-purpose address registries of IANA do not give to the
public Internet (https://www.iana.org/assignments/iana-ipv4-special-registry and
.../iana-ipv6-special-registry), multicast, retired ranges, and the few addresses inside public space
at which a cloud answers its own machines. In IPv6 the whole of what lies outside 2000::/3, the only
block that IANA hands out, is refused first; the rows below it say why, and cover the inside.

An IPv6 address may carry an IPv4 one. Where such an address really leads to the IPv4 host (mapped,
NAT64), the IPv4 address is what decides. A network with a NAT64 prefix of its own (RFC 6052, 2.2)
cannot be recognised from here: there, the outgoing firewall has to refuse the private ranges.
"""

import ipaddress
from dataclasses import dataclass
from typing import TypeAlias

IPv4: TypeAlias = ipaddress.IPv4Address
IPv6: TypeAlias = ipaddress.IPv6Address
Address: TypeAlias = IPv4 | IPv6


@dataclass(frozen=True, slots=True)
class SpecialRange:
    """One row: the block, what it is for, and the document that says so."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    use: str
    source: str

    def __str__(self) -> str:
        return f"{self.network} ({self.use}, {self.source})"


def _rows(*rows: tuple[str, str, str]) -> tuple[SpecialRange, ...]:
    return tuple(SpecialRange(ipaddress.ip_network(block), use, source) for block, use, source in rows)


# The first row that holds the address is the one reported, so an exception stands before its block.
IPV4_RANGES = _rows(
    ("0.0.0.0/8", "this network", "RFC 791, 3.2"),
    ("10.0.0.0/8", "private use", "RFC 1918"),
    ("100.64.0.0/10", "shared by carriers, CGNAT", "RFC 6598"),
    ("127.0.0.0/8", "loopback", "RFC 1122, 3.2.1.3"),
    ("168.63.129.16/32", "cloud platform", "Azure, virtual machine agent"),
    ("169.254.169.254/32", "cloud metadata", "AWS, Azure, Google Cloud and others"),
    ("169.254.0.0/16", "link-local", "RFC 3927"),
    ("172.16.0.0/12", "private use", "RFC 1918"),
    ("192.0.0.0/24", "protocol assignments", "RFC 6890, 2.1"),
    ("192.0.2.0/24", "documentation", "RFC 5737"),
    ("192.31.196.0/24", "AS112", "RFC 7535"),
    ("192.52.193.0/24", "multicast tunnels", "RFC 7450"),
    ("192.88.99.0/24", "6to4 relays", "RFC 7526"),
    ("192.168.0.0/16", "private use", "RFC 1918"),
    ("192.175.48.0/24", "AS112", "RFC 7534"),
    ("198.18.0.0/15", "benchmarking", "RFC 2544"),
    ("198.51.100.0/24", "documentation", "RFC 5737"),
    ("203.0.113.0/24", "documentation", "RFC 5737"),
    ("224.0.0.0/4", "multicast", "RFC 5771"),
    ("255.255.255.255/32", "limited broadcast", "RFC 919"),
    ("240.0.0.0/4", "reserved", "RFC 1112, 4"),
)

IPV6_RANGES = _rows(
    ("::/128", "unspecified", "RFC 4291, 2.5.2"),
    ("::1/128", "loopback", "RFC 4291, 2.5.3"),
    ("::/96", "IPv4-compatible", "RFC 4291, 2.5.5.1"),
    ("::ffff:0:0:0/96", "IPv4-translated", "RFC 2765"),
    ("64:ff9b:1::/48", "local NAT64", "RFC 8215"),
    ("100::/64", "discard", "RFC 6666"),
    ("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
    ("2001::/32", "Teredo", "RFC 4380"),
    ("2001:2::/48", "benchmarking", "RFC 5180"),
    ("2001:10::/28", "ORCHID", "RFC 4843"),
    ("2001:20::/28", "ORCHIDv2", "RFC 7343"),
    ("2001::/23", "protocol assignments", "RFC 2928"),
    ("2001:db8::/32", "documentation", "RFC 3849"),
    ("2002::/16", "6to4", "RFC 3056, RFC 7526"),
    ("2620:4f:8000::/48", "AS112", "RFC 7534"),
    ("3ffe::/16", "6bone, retired", "RFC 3701"),
    ("3fff::/20", "documentation", "RFC 9637"),
    ("5f00::/16", "segment routing", "RFC 9602"),
    ("fd00:ec2::254/128", "cloud metadata", "AWS"),
    ("fd20:ce::254/128", "cloud metadata", "Google Cloud"),
    ("fc00::/7", "unique local", "RFC 4193"),
    ("fe80::/10", "link-local", "RFC 4291, 2.5.6"),
    ("fec0::/10", "site-local, retired", "RFC 3879"),
    ("ff00::/8", "multicast", "RFC 4291, 2.7"),
)

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")  # RFC 4291, 2.5.5.2
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052, 2.1
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # RFC 4291, 2.4; IANA ipv6-address-space
_OUTSIDE = _rows(
    ("::/3", "outside global unicast", "RFC 4291, 2.4"),
    ("4000::/2", "outside global unicast", "RFC 4291, 2.4"),
    ("8000::/1", "outside global unicast", "RFC 4291, 2.4"),
)
# The interface identifier of ISATAP, with the universal bit clear or set (RFC 5214, 6.1).
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


def carried_ipv4(address: IPv6) -> IPv4 | None:
    """The IPv4 address at which a packet to this IPv6 address ends or may end, or None.

    Mapped and NAT64 addresses lead there by definition; an ISATAP identifier may stand behind any
    prefix. 6to4 and Teredo are not decoded, because the table refuses them whole.
    """
    value = int(address)
    if address in _MAPPED or address in _NAT64 or (value >> 32) & 0xFFFF_FFFF in _ISATAP:
        return IPv4(value & 0xFFFF_FFFF)
    return None


def special_range(address: Address) -> SpecialRange | None:
    """The row that forbids the address, or None where it belongs to the public Internet."""
    if isinstance(address, IPv4):
        return next((row for row in IPV4_RANGES if address in row.network), None)
    if address.scope_id is not None:
        return next(row for row in IPV6_RANGES if row.use == "link-local")
    carried = carried_ipv4(address)
    if carried is not None and (forbidding := special_range(carried)):
        return forbidding
    if address in _MAPPED or address in _NAT64:
        return None
    if forbidding := next((row for row in IPV6_RANGES if address in row.network), None):
        return forbidding
    if address not in _GLOBAL_UNICAST:
        return next(row for row in _OUTSIDE if address in row.network)
    return None


def special_range_of(literal: str) -> SpecialRange | None:
    """The same for an address in text, as a resolver or a socket gives it.

    Raises ValueError where the text is no address in its usual spelling: no octal, hexadecimal or
    shortened IPv4.
    """
    return special_range(ipaddress.ip_address(literal))
