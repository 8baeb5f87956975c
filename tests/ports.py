"""Ports for processes that cannot be given a socket and have to be told a number."""

import itertools
import os
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Each worker of the tests begins elsewhere; every other port, for servers that take the one above as well.
_next = itertools.count(os.getpid() % 400 * 50, 2)


def free_port() -> int:
    """A port of this machine that nobody holds.

    It lies below those that the system gives to whoever asks for any port, and to outgoing connections: between this
    look and the start of the process that is to listen there, nobody else comes upon it.
    """
    first = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32768
    low, high = (10_000, first) if first > 20_000 else (first, 65_000)
    for _attempt in range(high - low):
        port = low + next(_next) % (high - low)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port of this machine is free")
