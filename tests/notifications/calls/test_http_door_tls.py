"""The door for outgoing HTTP over TLS: certificates, versions and handshakes that end early."""

import ssl
from typing import Any

import pytest

from tests.endpoints import Authority, Endpoint, says
from tests.notifications.calls.driving import Clock, Names, call, too_late


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (("127.0.0.1",), {"self_signed": True}),
        (("127.0.0.1",), {"days": (-30, -1)}),
        (("127.0.0.1",), {"days": (1, 30)}),
        (("other.example",), {}),
        (("127.0.0.2", "*.example"), {}),
    ],
)
def test_a_bad_certificate_is_a_failed_handshake(
    authority: Authority, names: tuple[str, ...], options: dict[str, Any]
) -> None:
    with Endpoint(tls=authority.server(*names, **options)) as secure:
        answer = call(secure.url(), ssl_context=authority.trust())
        assert (answer.error, answer.status) == ("SSL_HANDSHAKE", None)
        assert "certificate verify failed" in answer.detail or "doesn't match" in answer.detail
        assert secure.requests == []


def test_a_trusted_certificate_is_accepted_by_name_and_by_address(authority: Authority) -> None:
    with Endpoint(tls=authority.server("shop.example", "127.0.0.1")) as secure:
        trust = authority.trust()
        assert call(secure.url(), ssl_context=trust).status == 200
        names = Names(["127.0.0.1"])
        assert call(secure.url(host="SHOP.example"), ssl_context=trust, resolver=names).status == 200
        assert (names.asked, secure.requests[1].headers["host"]) == (["shop.example"], f"shop.example:{secure.port}")
        assert call(secure.url(host="other.example"), ssl_context=trust, resolver=names).error == "SSL_HANDSHAKE"


def test_the_authority_named_in_ssl_cert_file_is_trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with Endpoint(tls=authority.server("127.0.0.1")) as secure:
        assert call(secure.url()).error == "SSL_HANDSHAKE"
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.root))
        assert call(secure.url()).status == 200


def test_old_tls_is_refused(authority: Authority) -> None:
    context = authority.server("127.0.0.1")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    trust = authority.trust()
    trust.set_ciphers("ALL:@SECLEVEL=0")
    with Endpoint(tls=context) as secure:
        assert call(secure.url(), ssl_context=trust).error == "SSL_HANDSHAKE"


def test_plain_http_behind_https_and_a_handshake_cut_short_are_failed_handshakes(
    endpoint: Endpoint, clock: Clock
) -> None:
    url = endpoint.url().replace("http:", "https:")
    endpoint.greeting = says(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    assert call(url).error == "SSL_HANDSHAKE"
    endpoint.greeting = says(b"")
    assert call(url).error == "SSL_HANDSHAKE"
    endpoint.greeting = says(b"", then="reset")
    assert call(url).error == "SSL_HANDSHAKE"
    endpoint.greeting = says(b"", then="hang")
    accepted = endpoint.accepted
    assert too_late(url, clock, lambda: endpoint.accepted > accepted).error == "TIMEOUT"


def test_a_client_certificate_asked_for_is_a_failed_handshake(authority: Authority) -> None:
    context = authority.server("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.root)
    with Endpoint(tls=context) as secure:
        answer = call(secure.url(), ssl_context=authority.trust())
        assert answer.error in ("SSL_HANDSHAKE", "CONNECTION_INTERRUPTED")
        assert answer.status is None
        assert secure.requests == []
