"""Which notification URLs may be saved; and that no hostile one, however spelled, opens a connection."""

import asyncio
import ipaddress
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from django.core.exceptions import ValidationError

from backoffice.text import net_ranges, targets
from notifications.calls import door as http
from notifications.calls.door import Door
from notifications.calls.url_rules import check_url
from tests.ports import free_port

GOOD = [
    "https://shop.example/ipn",
    "https://shop.example",
    "https://shop.example?x=1",
    "https://shop.example:8443/a/../b?c=d&e[]=f%20g",
    "HTTPS://Shop.Example/ipn",
    "http://shop.example:80/",
    "https://1.1.1.1/",
    "https://[2606:4700::1111]:443/",
    "https://été.example/ipn/é?q=é",
    "https://xn--t-9fab.example/",
    "https://a_b.shop.example/",
    "https://3com.example/",
    "https://shop.example:1024/",
    "https://shop.example:65535/",
    "https://[::ffff:1.1.1.1]/",
    "https://[64:ff9b::101:101]/",
]


@pytest.mark.parametrize("url", GOOD)
def test_a_public_url_is_accepted_as_typed(url: str) -> None:
    assert check_url(f"  {url}\n") == url
    assert targets.read(targets.read(url).url) == targets.read(url)


REFUSED = {
    "ftp://x.example": "« ftp://x.example » : une URL de notification commence par https:// ou http://.",
    "https:///ipn": "n'a pas de nom de serveur",
    "https:shop.example": "n'a pas de nom de serveur",
    "https://u:p@shop.example/": "ni identifiant ni mot de passe",
    "https://shop.example/#a": "retirez ce qui suit le caractère #",
    "https://shop.example:x/": "« x » n'est pas un numéro de port",
    "https://shop.example:22/": "le port 22 n'est pas autorisé : seuls le sont 80, 443 et 1024 à 65535.",
    "https://shop%2Eexample/": "sans caractère encodé",
    "https://shop..example/": "entre deux points",
    "https://ｓhop.example/": "caractères déguisés : écrivez « shop ».",
    "https://127.1/": "« 127.1 » n'est pas une adresse IP dans son écriture habituelle.",
    "https://localhost/": "un nom local n'y mène pas",
    "https://192.168.0.1/": "cette adresse appartient à un réseau privé ou réservé (192.168.0.0/16).",
    "https://sh op.example/": "ni espace",
    "https://sh!op.example/": "ce n'est pas une URL valide.",
    "https://shop.example/" + "a" * 500: "une URL compte au plus 500 caractères.",
}


@pytest.mark.parametrize(("url", "reason"), REFUSED.items())
def test_a_refusal_names_the_url_and_says_why(url: str, reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        check_url(url)
    [message] = refused.value.messages
    assert message.startswith(f"« {url[:119]}")
    assert reason in message
    assert len(message) < 400


def test_http_in_production_needs_the_merchants_confirmation() -> None:
    url = "http://shop.example/ipn"
    assert check_url(url) == url
    with pytest.raises(ValidationError, match="confirmez « http:// accepté en mode PRODUCTION »"):
        check_url(url, production=True)
    assert check_url(url, production=True, http_confirmed=True) == url
    assert check_url("https://shop.example/", production=True) == "https://shop.example/"


def test_private_networks_allowed_lifts_addresses_names_ports_and_http_but_no_spelling(settings: Any) -> None:
    settings.IPN_ALLOW_PRIVATE_NETWORKS = True
    for url in ("http://127.0.0.1:22/", "http://localhost/", "http://[::1]:9/", "https://10.0.0.1/", "http://web/x"):
        assert check_url(url, production=True) == url
    for url in ("http://127.1/", "http://u@localhost/", "http://local\\host/", "http://localhost:0/", "http://a..b/"):
        with pytest.raises(ValidationError):
            check_url(url)


# --- The table of special ranges ------------------------------------------------------------------


def test_the_table_refuses_the_first_and_last_address_of_each_range_and_names_its_source() -> None:
    for row in (*net_ranges.IPV4_RANGES, *net_ranges.IPV6_RANGES):
        for address in (row.network[0], row.network[-1]):
            assert net_ranges.special_range(address) is not None, row
        assert row.use
        assert row.source


@pytest.mark.parametrize(
    "address",
    [
        "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
        "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255",
        "192.169.0.0", "198.17.255.255", "198.20.0.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
        "2000::", "2001:200::", "2001:db7:ffff::", "2001:db9::", "2003::", "2606:4700::1111", "3ffd::", "3fff:1000::",
        "2a00:1450::5efe:101:101", "64:ff9b::101:101", "::ffff:1.1.1.1",
    ],
)  # fmt: skip
def test_the_neighbours_of_special_ranges_are_public(address: str) -> None:
    assert net_ranges.special_range_of(address) is None


def test_nothing_that_the_standard_library_calls_private_passes() -> None:
    chance = random.Random(7)
    draws = [ipaddress.IPv4Address(chance.getrandbits(32)) for _ in range(3000)]
    draws += [ipaddress.IPv6Address(chance.getrandbits(128)) for _ in range(1500)]
    # Most IPv6 space is empty: draw inside the block in use as well.
    draws += [ipaddress.IPv6Address(0x2001 << 112 | chance.getrandbits(112)) for _ in range(1500)]
    for address in draws:
        if not address.is_global or address.is_multicast:
            assert net_ranges.special_range(address), address


def test_an_ipv4_address_is_found_in_every_ipv6_address_that_carries_it() -> None:
    inside = ipaddress.IPv4Address("169.254.169.254")
    number = int(inside)
    for carrier in ("::ffff:0:0", "64:ff9b::", "2a00:1450:4001:80b:0:5efe::", "2a00:1450::200:5efe:0:0"):
        carried = net_ranges.carried_ipv4(ipaddress.IPv6Address(int(ipaddress.IPv6Address(carrier)) | number))
        assert carried == inside, carrier
    assert net_ranges.carried_ipv4(ipaddress.IPv6Address("2606:4700::1111")) is None


@pytest.mark.parametrize("text", ["127.1", "0x7f.0.0.1", "017700000001", "2130706433", "localhost", "", "127.0.0.1 "])
def test_only_the_usual_spelling_of_an_address_is_one(text: str) -> None:
    with pytest.raises(ValueError):
        net_ranges.special_range_of(text)


# --- Hostile URLs ---------------------------------------------------------------------------------


def full_width(text: str) -> str:
    return "".join(chr(ord(character) + 0xFEE0) for character in text)


def ringed(text: str) -> str:
    return "".join(chr(0x24D0 + ord(letter) - ord("a")) if letter.isalpha() else letter for letter in text)


def spellings_of_loopback() -> Iterator[str]:
    """Hosts that one program or another takes for this machine."""
    octets = [["127", "0177", "0x7f", "0x7F", "00177", "0x0000007f"], ["0", "00", "0x0"], ["0"], ["1", "01", "0x1"]]
    for parts in product(*octets):
        yield ".".join(parts)
    yield from ("127.1", "127.0.1", "127.65535.1", "127.0x1", "0177.1", "0x7f.1", "127.0.0.1.", "127.0.0.01")
    yield from ("2130706433", "0x7f000001", "0X7F000001", "017700000001", "0017700000001", "4294967297", "0", "0x")
    yield from ("127.0.0.256", "1.127.0.0.1", "127..0.1", ".127.0.0.1", "127.0.0.1..", "127.0.0.0x")
    yield from (
        full_width("127.0.0.1"),
        full_width("127") + ".0.0.1",
        "127。0。0。1",
        "127｡0｡0｡1",
        "①②⑦.⓪.⓪.①",
        "127.0.0.¹",
    )
    yield from (
        ringed("localhost"),
        full_width("localhost"),
        "ℓocalhost",
        "local\u00adhost",
        "local\u200bhost",
        "LOCALHOST",
    )
    yield from ("localhoſt", "localhost.", "localhost..", ".localhost", "local%68ost", "%6c%6f%63alhost", "127%2e0.0.1")
    yield from ("a.localhost", "localhost.localdomain", "printer.local", "db.internal", "metadata.google.internal")
    yield from ("router.lan", "nas.home.arpa", "web", "localhost6", "ip6-localhost", "intranet.corp", "xn--localhost-")
    yield from (
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::0001]",
        "[::]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
    )
    yield from ("[0:0:0:0:0:ffff:127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]")
    yield from (
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[fe80::1]",
        "[fe80::1%25lo]",
        "[fe80::1%lo]",
        "[::1%25lo]",
        "[::1%lo]",
    )
    yield from (
        "[2a00:1450::5efe:127.0.0.1]",
        "[::1",
        "::1]",
        "[[::1]]",
        "[::1]x",
        "x[::1]",
        "[v1.::1]",
        "[]",
        "[127.0.0.1]",
    )
    yield from (f"[{full_width('::1')}]", "[::１]", "[::01::1]", "[0x0::1]", "[1]")


SPECIAL = [
    "0.0.0.0", "10.0.0.1", "100.100.100.200", "127.255.255.254", "168.63.129.16", "169.254.169.254", "172.31.255.1",
    "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.19.0.1", "198.51.100.1", "203.0.113.1", "239.1.1.1",
    "255.255.255.255", "240.0.0.1", "[fd00:ec2::254]", "[fd20:ce::254]", "[fc00::1]", "[fec0::1]", "[ff02::1]",
    "[2001:db8::1]", "[100::1]", "[3fff::1]", "[5f00::1]", "[64:ff9b::a9fe:a9fe]", "[::ffff:10.0.0.1]",
    "[2002:a9fe:a9fe::1]", "[2001::1]", "[4000::1]", "[::a9fe:a9fe]", "[2a00:1450::200:5efe:a9fe:a9fe]",
]  # fmt: skip


def hostile(port: int) -> list[str]:
    """Whole URLs that are out of bounds whatever a name in them resolves to."""
    hosts = [*spellings_of_loopback(), *SPECIAL]
    found = [f"http://{host}:{port}/x" for host in hosts]
    inside = f"127.0.0.1:{port}"
    found += [
        f"http://shop.example@{inside}/", f"http://shop.example:80@{inside}/", f"http://@{inside}/", f"http://:@{inside}/",
        f"http://{inside}@shop.example/", f"http://shop.example%40{inside}/", f"http://shop.example\\@{inside}/",
        f"http://{inside}\\.shop.example/", f"http:\\\\{inside}\\", f"http:/\\{inside}/", f"http://{inside}#@shop.example/",
        f"http://shop.example/#@{inside}", f"http://{inside}?@shop.example/", f"http://{inside};shop.example/",
        f"http:{inside}/", f"http:/{inside}/", f"http:///{inside}/", f"http:////{inside}/", f"//{inside}/", inside,
        f"http://\t{inside}/", f"ht\ntp://{inside}/", f"http://127.0.0.1\n:{port}/", f"http://127.0.0.1\r\n:{port}/",
        f"http://{inside}/\r\nX-Injected: 1", f"http://{inside}/ HTTP/1.1\r\nHost: x", f"http://{inside}/\x00",
        f"http://{inside}\x00.shop.example/", f"http://shop.example\x00@{inside}/", f"http://127.0.0.1%00:{port}/",
        f"http://127.0.0.1%0d%0a:{port}/", f"http://127.0.0.1%20:{port}/", f"http://127.0.0.1 :{port}/",
        f"http://127.0.0.1\u3000:{port}/", f"http://127.0.0.1\xa0:{port}/", f"http://\u202e1.0.0.721:{port}/",
        f"http://\u2066127.0.0.1\u2069:{port}/", f"http://127.0.0.1\ufeff:{port}/", f"http://127.0.0.1\u3164:{port}/",
        f"http://127.0.0.1:{full_width(str(port))}/", f"http://127.0.0.1:0{port}/", f"http://127.0.0.1:+{port}/",
        f"http://127.0.0.1: {port}/", f"http://127.0.0.1:{port}:{port}/", "http://127.0.0.1:-1/", "http://127.0.0.1:/",
        f"http://127.0.0.1:{port + 65536}/", f"http://127.0.0.1:{port}abc/", "http://127.0.0.1:0/", "http://shop.example:/",
        f"http://{inside}&@shop.example#@x/", f"http://shop.example&@{inside}/", f"http://shop.example,{inside}/",
        f"http://{{{inside}}}/", f"http://$({inside})/", f"http://`{inside}`/", f"http://\"{inside}\"/", f"http://<{inside}>/",
        f"http://shop.example|{inside}/", f"http://shop.example^{inside}/", f"http://*.{inside}/", f"http://~{inside}/",
        f"http://-a.example:{port}/", f"http://a-.example:{port}/", f"http://a..example:{port}/", f"http://.:{port}/",
        f"http://{'a' * 64}.example:{port}/", f"http://{'a.' * 130}example:{port}/", f"http://xn--\u00e9.example:{port}/",
        f"http://xn--zzzzzzzzzz99999.example:{port}/", f"http://a.example.:{port}/", f"http://\u00e9.:{port}/",
        f"http://sha\u200dre.example:{port}/", f"http://\U000e0061.example:{port}/", f"http://\ud800.example:{port}/",
        f"url:http://{inside}/", f"jar:http://{inside}/", f"http+unix://{inside}/", "unix:///var/run/docker.sock",
        f"gopher://{inside}/_x", f"ftp://{inside}/", "file:///etc/passwd", f"dict://{inside}/", f"ldap://{inside}/",
        f"ws://{inside}/", f"javascript://{inside}/", "data:text/plain,x", f"blob:http://{inside}/", "http://", "https://",
        "http", "", "/", "?", f"ｈttp://{inside}/", f"http：//{inside}/", f"http://{inside}".replace("/", "／"),
        "http://shop.example:22/", "http://shop.example:25/", "http://shop.example:1/", "http://shop.example:1023/",
        "http://shop.example:6o00/", f"http://[::1]:{port}:80/", f"http://[::1]{port}/", f"http://[::1]@shop.example:{port}/",
    ]  # fmt: skip
    return found


class EverythingIsHere(AbstractResolver):
    """The worst resolver there is: whatever is asked is this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=0)
            for address, kind in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6))
        ]

    async def close(self) -> None:
        pass


@pytest.fixture
def listeners() -> Iterator[tuple[int, list[socket.socket]]]:
    """One port that is listened to on 127.0.0.1 and on ::1, where accepting never blocks."""
    port = free_port()
    four = socket.create_server(("127.0.0.1", port))
    six = socket.create_server(("::1", port), family=socket.AF_INET6)
    for listener in (four, six):
        listener.setblocking(False)
    yield port, [four, six]
    four.close()
    six.close()


def test_no_hostile_url_is_saved_and_none_opens_a_connection(
    listeners: tuple[int, list[socket.socket]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, waiting = listeners
    opened: list[tuple[int, int, int]] = []
    real = http.new_socket

    def count(*arguments: int) -> socket.socket:
        opened.append(arguments)  # type: ignore[arg-type]
        return real(*arguments)

    monkeypatch.setattr(http, "new_socket", count)
    urls = hostile(port)
    assert len(set(urls)) >= 250

    def is_saved(url: str) -> bool:
        with suppress(ValidationError):
            check_url(url)
            return True
        return False

    assert [url for url in urls if is_saved(url)] == []

    async def knock() -> dict[str, str]:
        async with Door(timeout=60, allow_private=False, resolver=EverythingIsHere()) as door:
            # Names that may be saved, too: this resolver answers each of them with this machine.
            names = [f"http://n{number}.example:{port}/" for number in range(20)]
            return {url: (await door.post(url, b"x", "text/plain")).error for url in (*urls, *names)}

    errors = asyncio.run(knock())
    assert {url: error for url, error in errors.items() if error not in ("INVALID_URL", "FORBIDDEN_ADDRESS")} == {}
    assert opened == []
    for listener in waiting:
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_the_listeners_of_these_tests_would_notice(listeners: tuple[int, list[socket.socket]]) -> None:
    port, waiting = listeners

    async def knock() -> None:
        async with Door(timeout=60, allow_private=True) as door, asyncio.timeout(60):
            for host, listener in zip(("127.0.0.1", "[::1]"), waiting, strict=True):
                posting = asyncio.create_task(door.post(f"http://{host}:{port}/", b"x", "text/plain"))
                connection, _address = await asyncio.get_running_loop().sock_accept(listener)
                connection.close()
                await posting

    asyncio.run(knock())


def test_a_misspelt_url_is_not_called_even_where_private_networks_are_allowed(
    listeners: tuple[int, list[socket.socket]],
) -> None:
    port, waiting = listeners
    inside = f"127.0.0.1:{port}"
    urls = [f"http://127.1:{port}/", f"http://2130706433:{port}/", f"http://a@{inside}/", f"http://{inside}/\r\nX: 1"]

    async def knock() -> list[str]:
        async with Door(timeout=60, allow_private=True) as door:
            return [(await door.post(url, b"x", "text/plain")).error for url in urls]

    assert asyncio.run(knock()) == ["INVALID_URL"] * len(urls)
    for listener in waiting:
        with pytest.raises(BlockingIOError):
            listener.accept()
