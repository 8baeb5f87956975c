"""The ways a mail may take: the platform's mail server, or the one of its company.

A merchant types where a company's server is, so each socket to it is checked like one to a notification URL: no private
address, whatever the name resolves to (`IPN_ALLOW_PRIVATE_NETWORKS` lifts that).
"""

import smtplib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core import mail
from django.core.mail.backends.smtp import EmailBackend
from django.utils.module_loading import import_string

from backoffice.text.net_ranges import special_range_of
from notifications.models import CompanyRelay

# For each reply while a connection to a company's server is opened, secured and logged in.
CONNECT_SECONDS = 60


def speaks_smtp() -> bool:
    """Whether mail of the platform goes to a server; else to files, a console or a provider's interface."""
    try:
        return issubclass(import_string(settings.EMAIL_BACKEND), EmailBackend)
    except ImportError:
        return True


def platform_relay() -> str:
    """The server that mail of the platform goes to; another kind of backend is its own."""
    if settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        return f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"[:300]
    return str(settings.EMAIL_BACKEND)[:300]


@dataclass(frozen=True)
class Route:
    """One way out.

    Attributes:
        company: whose server it is; None: the platform's.
        name: the server, as limits and the journal call it.
        breaker: the name of its breaker.
        sender: the address that mail comes from; empty: the platform's.
        falls_back: whether the platform's server takes what this one cannot.
        backend: makes a backend, which is not open yet.
        is_smtp: whether it speaks SMTP.
    """

    company: int | None
    name: str
    breaker: str
    backend: Callable[[], Any]
    is_smtp: bool
    sender: str = ""
    falls_back: bool = False

    @property
    def is_own(self) -> bool:
        return self.company is not None


def of_platform() -> Route:
    """The way of all mail but that of companies with a server of their own."""
    return _of_platform(settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT)


@lru_cache(maxsize=4)
def _of_platform(_backend: str, _host: str, _port: int) -> Route:
    """As these settings have it: asked for every mail."""
    name = platform_relay()
    return Route(company=None, name=name, breaker=name, backend=mail.get_connection, is_smtp=speaks_smtp())


def of_relay(relay: CompanyRelay) -> Route:
    """The way of a company's mail; its password is read now."""
    given: dict[str, Any] = {
        "host": relay.host,
        "port": relay.port,
        "username": relay.username,
        "password": relay.password,
        "use_tls": relay.security == CompanyRelay.Security.STARTTLS,
        "use_ssl": relay.security == CompanyRelay.Security.TLS,
        # A server of a merchant keeps nobody waiting as long as ours may.
        "timeout": CONNECT_SECONDS,
        # The certificate of the platform is not for others.
        "ssl_keyfile": "",
        "ssl_certfile": "",
    }
    return Route(
        company=relay.company_id,
        name=relay.name,
        breaker=relay.breaker_name,
        backend=lambda: GuardedBackend(**given),
        is_smtp=True,
        sender=relay.sender,
        falls_back=relay.falls_back,
    )


class ForbiddenAddress(OSError):
    """The name of a server leads into a private network."""


def _checked_socket(host: str, port: int, timeout: Any) -> socket.socket:
    """A connection to the first address of a name that answers; the address that was checked is the one connected to."""
    last: OSError = OSError(f"no address of {host}")
    for _family, _kind, _protocol, _name, address in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
        if not settings.IPN_ALLOW_PRIVATE_NETWORKS and special_range_of(str(address[0]).partition("%")[0]):
            raise ForbiddenAddress(f"{host} leads to a private address")
        try:
            return socket.create_connection((str(address[0]), int(address[1])), timeout)
        except OSError as error:
            last = error
    raise last


class _Guarded(smtplib.SMTP):
    def _get_socket(self, host: str, port: int, timeout: Any) -> socket.socket:
        return _checked_socket(host, port, timeout)


class _GuardedTls(smtplib.SMTP_SSL):
    def _get_socket(self, host: str, port: int, timeout: Any) -> socket.socket:
        return self.context.wrap_socket(_checked_socket(host, port, timeout), server_hostname=host)


class GuardedBackend(EmailBackend):
    """The framework's, to a server that a merchant named."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _GuardedTls if self.use_ssl else _Guarded
