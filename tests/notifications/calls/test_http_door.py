"""The door for outgoing HTTP against real servers on loopback: each way of answering, and its verdict."""

import asyncio
import gzip
import resource
import socket
import threading
from contextlib import suppress
from typing import Any

import pytest

from notifications.calls import door as http
from notifications.calls.door import Answer, Door, endpoint_of
from tests.endpoints import Authority, Endpoint, answers, drips, raw, says
from tests.notifications.calls.driving import (
    FORM,
    LIMIT,
    MOMENT,
    PUBLIC,
    Clock,
    Names,
    became,
    call,
    run,
    too_late,
    walked_out,
)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """Every socket that the door opens to connect with."""
    found: list[tuple[int, int, int]] = []
    real = http.new_socket

    def count(*arguments: int) -> socket.socket:
        found.append(arguments)  # type: ignore[arg-type]
        return real(*arguments)

    monkeypatch.setattr(http, "new_socket", count)
    return found


@pytest.fixture
def public_is_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The public address of these tests is reached on loopback, where its server stands."""

    class Redirected(socket.socket):
        def connect(self, address: Any) -> None:
            super().connect(("127.0.0.1", address[1]) if address[0] == PUBLIC else address)

    monkeypatch.setattr(http, "new_socket", Redirected)


# --- What is sent ---------------------------------------------------------------------------------


def test_a_call_posts_the_body_as_it_is_and_says_who_we_are(endpoint: Endpoint) -> None:
    body = "vads_amount=100&vads_label=été+&signature=a%2Bb%3D".encode()
    answer = run(lambda door: door.post(endpoint.url("/ipn?shop=a%2Fb"), body, FORM, headers={"X-Mode": "TEST"}))
    assert (answer.error, answer.status, answer.text) == ("", 200, "OK")
    [request] = endpoint.requests
    assert (request.method, request.path, request.body) == ("POST", "/ipn?shop=a%2Fb", body)
    assert request.headers == {
        "host": f"127.0.0.1:{endpoint.port}",
        "content-type": FORM,
        "content-length": str(len(body)),
        "user-agent": http.USER_AGENT,
        "accept": "*/*",
        "accept-encoding": "identity",
        "x-mode": "TEST",
    }


def test_letters_of_any_language_in_path_and_query_are_sent_encoded(endpoint: Endpoint) -> None:
    assert call(endpoint.url("/reçu/%C3%A9?q=é[]&r=%zz")).status == 200
    assert endpoint.requests[0].path == "/re%C3%A7u/%C3%A9?q=%C3%A9%5B%5D&r=%zz"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Shop": "1\r\nX-Other: 2"},
        {"X-Shop": "1\n"},
        {"X-Shop\r\nX-Other": "1"},
        {"X Shop": "1"},
        {"": "1"},
        {"X-Shop": "\x00"},
        {"Host": "other.example"},
        {"content-length": "0"},
        {"Transfer-Encoding": "chunked"},
    ],
)
def test_no_header_can_add_a_line_or_replace_one_of_the_doors(endpoint: Endpoint, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="the header"):
        run(lambda door: door.post(endpoint.url(), b"", FORM, headers=headers))
    with pytest.raises(ValueError, match="the header"):
        run(lambda door: door.post(endpoint.url(), b"", "text/plain\r\nX-Other: 1"))
    assert endpoint.accepted == 0


def test_cookies_are_not_kept(endpoint: Endpoint) -> None:
    endpoint.at("/ipn", answers(200, headers={"Set-Cookie": "session=1; Path=/"}))

    async def twice(door: Door) -> None:
        await door.post(endpoint.url(), b"", FORM)
        await door.post(endpoint.url(), b"", FORM)

    run(twice)
    assert ["cookie" in request.headers for request in endpoint.requests] == [False, False]


def test_a_proxy_of_the_environment_is_not_used(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    with Endpoint() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url(""))
        assert call(endpoint.url()).status == 200
        assert (proxy.accepted, endpoint.accepted) == (0, 1)


# --- Verdicts -------------------------------------------------------------------------------------

STATUSES = [
    *range(200, 209), 226, *range(300, 309), 400, 401, 403, 404, 405, 408, 410, 413, 418, 422, 425, 429, 451,
    500, 501, 502, 503, 504, 520, 599,
]  # fmt: skip


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_is_told_as_it_came(endpoint: Endpoint, status: int) -> None:
    answer = call(endpoint.at("/ipn", answers(status, b"said", {"Location": "/x", "Retry-After": "120"})))
    assert (answer.error, answer.status) == ("", status)
    assert answer.text == ("" if status in (204, 304) else "said")
    assert (answer.location, answer.retry_after) == ("/x", "120")
    assert answer.detail == ""


def test_a_redirection_is_told_and_never_followed(endpoint: Endpoint) -> None:
    with Endpoint() as inside:
        for status in (301, 302, 303, 307, 308):
            answer = call(endpoint.at("/ipn", answers(status, b"", {"Location": inside.url("/metadata")})))
            assert (answer.error, answer.status, answer.location) == ("", status, inside.url("/metadata"))
        long = call(endpoint.at("/ipn", answers(302, b"", {"Location": "https://x.example/" + "a" * 2000})))
        assert len(long.location) == 500
        assert inside.accepted == 0


def answer_of(endpoint: Endpoint, behaviour: Any) -> Answer:
    return call(endpoint.at("/ipn", behaviour), timeout=LIMIT)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TEN = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
BROKEN = {
    "closed without a word": (says(b""), "CONNECTION_INTERRUPTED"),
    "reset without a word": (says(b"", then="reset"), "CONNECTION_INTERRUPTED"),
    "closed in the status line": (says(b"HTTP/1.1 20"), "CONNECTION_INTERRUPTED"),
    "closed in the headers": (says(b"HTTP/1.1 200 OK\r\nContent-"), "CONNECTION_INTERRUPTED"),
    "closed in the body": (says(TEN + b"12345"), "CONNECTION_INTERRUPTED"),
    "reset in the body": (says(TEN + b"12345", then="reset"), "CONNECTION_INTERRUPTED"),
    "closed between chunks": (says(CHUNKED + b"5\r\n12345\r\n"), "CONNECTION_INTERRUPTED"),
    "chunks that are none": (says(CHUNKED + b"zz\r\n12345\r\n"), "PROTOCOL"),
    "garbage": (says(bytes(range(256)) * 4, then="hang"), "PROTOCOL"),
    "another protocol": (says(b"SSH-2.0-OpenSSH_9.9\r\n", then="hang"), "PROTOCOL"),
    "a mail server": (says(b"220 mx.example ESMTP\r\n", then="hang"), "PROTOCOL"),
    "no status": (says(b"HTTP/1.1 abc Nothing\r\n\r\n"), "PROTOCOL"),
    "two lengths": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"), "PROTOCOL"),
    "a length that is no number": (says(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nabc"), "PROTOCOL"),
    "a header of 1 MB": (says(b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 2**20 + b"\r\n\r\n"), "PROTOCOL"),
    "a status line of 1 MB": (says(b"HTTP/1.1 200 " + b"a" * 2**20 + b"\r\n\r\n"), "PROTOCOL"),
    "10,000 headers": (says(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 10_000 + b"\r\n"), "PROTOCOL"),
    "headers that never end, fast": (drips(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 1000, every=0), "PROTOCOL"),
    "switching protocols": (says(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", then="hang"), "PROTOCOL"),
    "silence": (says(b"", then="hang"), "TIMEOUT"),
    "a status line and silence": (says(b"HTTP/1.1 200 OK\r\n", then="hang"), "TIMEOUT"),
    "headers and silence": (says(TEN, then="hang"), "TIMEOUT"),
    "headers one byte at a time": (drips(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"), "TIMEOUT"),
    "header lines at leisure": (drips(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n", every=1), "TIMEOUT"),
    "a dripping body": (drips(b"HTTP/1.1 200 OK\r\n\r\n", b"a"), "TIMEOUT"),
    "dripping chunks": (drips(CHUNKED, b"1\r\na\r\n"), "TIMEOUT"),
    "a chunk size that never ends": (drips(CHUNKED, b"0"), "TIMEOUT"),
    "interim answers at leisure": (drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n", every=5), "TIMEOUT"),
    "interim answers without end": (drips(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 1000, every=0), "PROTOCOL"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_answer_has_its_verdict_in_time(endpoint: Endpoint, clock: Clock, name: str) -> None:
    behaviour, expected = BROKEN[name]
    if expected == "TIMEOUT":
        answer = too_late(endpoint.at("/ipn", behaviour), clock, lambda: endpoint.requests)
        assert LIMIT * 1000 - 5 <= answer.duration_ms < LIMIT * 2000
    else:
        answer = answer_of(endpoint, behaviour)  # whose time is not walked: the verdict waits for no limit
    assert (answer.error, answer.status) == (expected, None), answer
    assert answer.detail
    assert answer.detail.isprintable()
    assert len(endpoint.requests) == 1  # nothing is repeated by itself


def test_a_status_whose_body_did_not_end_does_not_decide_but_is_told(
    endpoint: Endpoint, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[http._Attempt] = []

    class Watched(http._Attempt):
        def __init__(self) -> None:
            super().__init__()
            attempts.append(self)

    monkeypatch.setattr(http, "_Attempt", Watched)
    url = endpoint.at("/ipn", says(TEN + b"12345", then="hang"))
    answer = too_late(url, clock, lambda: [attempt for attempt in attempts if attempt.body == b"12345"])
    assert (answer.error, answer.status, answer.text) == ("TIMEOUT", None, "12345")
    assert answer.detail == "no complete answer in 60 s (status 200 received)"


@pytest.mark.parametrize(
    "data",
    [
        raw(200, b"OK"),
        b"HTTP/1.1 200 OK\r\n\r\nOK",  # until the end of the connection
        b"HTTP/1.0 200 OK\r\n\r\nOK",
        CHUNKED + b"2\r\nOK\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 16 + raw(200, b"OK"),
        b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nOK",
    ],
)
def test_all_ways_to_end_a_body_are_understood(endpoint: Endpoint, data: bytes) -> None:
    answer = answer_of(endpoint, says(data))
    assert (answer.error, answer.status, answer.text) == ("", 200, "OK")


def test_a_port_where_nobody_listens_is_a_refused_connection() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        answer = call(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert (answer.error, answer.status) == ("CONNECTION_REFUSED", None)


def test_a_server_that_takes_no_connection_is_a_time_out(clock: Clock, opened: list[Any]) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        queued = [socket.socket() for _ in range(4)]
        for one in queued:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        answer = too_late(f"http://127.0.0.1:{full.getsockname()[1]}/", clock, lambda: opened)
        for one in queued:
            one.close()
    assert answer.error == "TIMEOUT"


def test_a_name_without_address_is_a_dns_error() -> None:
    answer = call("https://nothing.invalid/ipn")
    assert answer.error == "DNS"
    assert answer.detail.startswith("nothing.invalid: ")


def test_a_lookup_that_hangs_is_a_time_out_and_stops_no_other(
    endpoint: Endpoint, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    begun, ended, over = [], [], threading.Event()

    def slow(host: str, *arguments: Any, **options: Any) -> Any:
        if host.endswith(".slow.example"):
            begun.append(threading.current_thread())
            over.wait(LIMIT)
            ended.append(host)
            raise socket.gaierror(socket.EAI_AGAIN, "too late")
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)

    async def work(door: Door) -> tuple[list[Answer], Answer]:
        hanging = [asyncio.create_task(door.post(f"http://n{n}.slow.example/", b"", FORM)) for n in range(100)]
        await became(lambda: len(begun) == 100)
        healthy = await door.post(endpoint.url(host="localhost"), b"", FORM)
        assert not any(task.done() for task in hanging)
        return await walked_out(asyncio.gather(*hanging), clock, lambda: True), healthy  # type: ignore[arg-type,return-value]

    try:
        hung, healthy = run(work, timeout=LIMIT)
        # Neither the verdict nor the end of the loop waited for the lookups.
        assert not ended
    finally:
        over.set()
        for thread in begun:
            thread.join(LIMIT)
    assert len(ended) == 100
    assert {answer.error for answer in hung} == {"TIMEOUT"}
    assert healthy.status == 200


# --- The answer's text ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"x" * 600, "text/plain", "x" * 512),
        ("é".encode() * 600, "text/plain; charset=utf-8", "é" * 512),
        ("déjà".encode("latin-1"), 'text/html; charset="ISO-8859-1"', "déjà"),
        ("déjà €".encode("cp1252"), "text/html;charset=windows-1252", "déjà €"),
        # Without a charset as browsers do: UTF-8, else Windows-1252; a byte order mark beats what is told.
        ("déjà".encode("latin-1"), "text/plain", "déjà"),
        ("déjà €".encode("cp1252"), "", "déjà €"),
        ("déjà".encode("latin-1"), "application/json; charset=utf-8", "déjà"),
        (b"\xff\xfe" + "déjà".encode("utf-16-le"), "text/plain; charset=iso-8859-1", "déjà"),
        (b"\xfe\xff" + "déjà".encode("utf-16-be"), "text/plain", "déjà"),
        (b"\xef\xbb\xbf" + "déjà".encode(), "text/plain; charset=iso-8859-1", "déjà"),
        (b'<meta charset="koi8-r">' + "привет".encode("koi8-r"), "text/html", '<meta charset="koi8-r">привет'),
        ("日本".encode("shift_jis"), "text/plain; charset=Shift_JIS", "日本"),
        ("نامه\u200cای 👩\u200d👧".encode(), "text/plain", "نامه\u200cای 👩\u200d👧"),
        (b"a\x00b\r\nc\x1b[31md", "text/plain", "a b  c [31md"),
        ("a\u202eb\u200bc\u2028d".encode(), "text/plain", "abc d"),
        (b"\xef\xbb\xbfOK", "text/plain", "OK"),
        (b"\xed\xa0\x80", "text/plain", "í\xa0€"),
        (b"+ADw-script+AD4-", "text/plain; charset=utf-7", "+ADw-script+AD4-"),
        (b"x\x9cK", "text/plain; charset=zlib", "xœK"),
        (b"OK", "text/plain; charset=no-such", "OK"),
    ],
)
def test_the_text_kept_is_readable_whatever_came(endpoint: Endpoint, body: bytes, kind: str, expected: str) -> None:
    assert call(endpoint.at("/ipn", answers(200, body, {"Content-Type": kind}))).text == expected


def test_a_location_with_odd_bytes_is_kept_readable(endpoint: Endpoint) -> None:
    answer = answer_of(
        endpoint, says(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /caf\xe9/\xc3\xa9\x85\r\n\r\n")
    )
    assert answer.status == 302
    answer.location.encode()
    assert answer.location.isprintable()


# --- Bounds ---------------------------------------------------------------------------------------


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_of_a_body_of_200_mb_64_kib_are_read_and_the_connection_is_cut(endpoint: Endpoint) -> None:
    sent = []

    async def pour(_reader: Any, writer: asyncio.StreamWriter, _request: Any) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 209715200\r\n\r\n")
        for _ in range(3200):
            writer.write(b"y" * 65536)
            await writer.drain()
            sent.append(65536)
        return False

    endpoint.at("/big", pour)
    before = peak_mb()
    answer = call(endpoint.url("/big"))
    assert (answer.error, answer.status, answer.text) == ("", 200, "y" * 512)
    assert sum(sent) < 20 * 2**20  # what the buffers of two sockets hold, not 200 MB
    assert peak_mb() - before < 30


def test_a_large_body_over_tls_is_cut_at_once_too(authority: Authority) -> None:
    with Endpoint(tls=authority.server("127.0.0.1")) as secure:
        cut = []

        async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _request: Any) -> bool:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 209715200\r\n\r\n" + b"y" * 8 * 2**20)
            with suppress(OSError):
                await reader.read()  # until the other side has gone
            cut.append(True)
            return False

        url = secure.at("/big", pour)

        async def work(door: Door) -> tuple[Answer, list[bool]]:
            answer = await door.post(url, b"", FORM)
            async with asyncio.timeout(LIMIT):
                await became(lambda: cut)
            return answer, list(cut)  # before the door closes

        answer, cut_at_once = run(work, ssl_context=authority.trust())
        assert (answer.status, cut_at_once) == (200, [True])


def test_a_gzip_bomb_is_not_unpacked(endpoint: Endpoint) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < 64 * 1024
    before = peak_mb()
    answer = call(endpoint.at("/ipn", answers(200, bomb, {"Content-Encoding": "gzip"})))
    assert (answer.error, answer.status, answer.text) == ("", 200, "")
    assert peak_mb() - before < 20


def test_a_hundred_pouring_endpoints_stay_within_bounds_together(endpoint: Endpoint) -> None:
    for number in range(100):
        endpoint.at(f"/{number}", drips(b"HTTP/1.1 200 OK\r\n\r\n", b"z" * 65536, every=0))
    before = peak_mb()

    async def work(door: Door) -> list[Answer]:
        return await asyncio.gather(*(door.post(endpoint.url(f"/{n}"), b"", FORM) for n in range(100)))

    found = run(work, per_endpoint=100)
    assert {(answer.error, answer.status) for answer in found} == {("", 200)}
    # Both sides live in this process: the server's buffers count as well.
    assert peak_mb() - before < 120


# --- Connections ----------------------------------------------------------------------------------


def test_calls_to_one_endpoint_share_connections(endpoint: Endpoint) -> None:
    async def work(door: Door) -> None:
        for number in range(30):
            assert (await door.post(endpoint.url(f"/{number % 3}"), b"x", FORM)).status == 200

    run(work)
    assert (endpoint.accepted, len(endpoint.requests)) == (1, 30)


def test_a_call_lost_on_a_kept_connection_is_told_and_not_sent_twice(endpoint: Endpoint) -> None:
    endpoint.at("/lost", says(b""))

    async def work(door: Door) -> Answer:
        await door.post(endpoint.url(), b"x", FORM)
        return await door.post(endpoint.url("/lost"), b"x", FORM)

    answer = run(work)
    assert (answer.error, answer.status) == ("CONNECTION_INTERRUPTED", None)
    assert [(request.path, request.connection) for request in endpoint.requests] == [("/ipn", 1), ("/lost", 1)]


def test_a_connection_is_not_used_again_after_an_answer_cut_short(endpoint: Endpoint) -> None:
    endpoint.at("/big", answers(200, b"y" * 100_000))

    async def work(door: Door) -> None:
        assert (await door.post(endpoint.url("/big"), b"x", FORM)).status == 200
        assert (await door.post(endpoint.url("/ipn"), b"x", FORM)).text == "OK"

    run(work)
    assert [request.connection for request in endpoint.requests] == [1, 2]


def test_a_second_answer_nobody_asked_for_is_not_taken_for_the_next_one(endpoint: Endpoint) -> None:
    async def twice(_reader: Any, writer: asyncio.StreamWriter, _request: Any) -> bool:
        writer.write(raw(200, b"one") + raw(500, b"two"))
        await writer.drain()
        return True

    endpoint.at("/twice", twice)

    async def work(door: Door) -> Answer:
        await door.post(endpoint.url("/twice"), b"", FORM)
        await asyncio.sleep(0.05)
        return await door.post(endpoint.url("/ipn"), b"", FORM)

    answer = run(work)
    assert (answer.status, answer.text) == (200, "OK")


def test_at_most_five_calls_at_a_time_reach_an_endpoint_and_waiting_is_not_held_against_them(
    endpoint: Endpoint, clock: Clock
) -> None:
    answered = 0

    async def hold(_reader: Any, writer: asyncio.StreamWriter, request: Any) -> bool:
        number = endpoint.requests.index(request)
        await became(lambda: number < answered)
        writer.write(raw(200))
        await writer.drain()
        return True

    endpoint.at("/ipn", hold)

    async def work(door: Door) -> list[Answer]:
        nonlocal answered
        posted = asyncio.gather(*(door.post(endpoint.url(), b"", FORM) for _ in range(20)))
        for fives in range(1, 5):
            await became(lambda fives=fives: len(endpoint.requests) >= fives * 5)  # type: ignore[misc]
            await asyncio.sleep(MOMENT)  # in which a sixth would come
            clock.ahead += LIMIT / 2
            answered = fives * 5
        return await posted

    # The last ones wait a limit and a half for their slot, more than an attempt may last.
    found = run(work, timeout=LIMIT)
    assert [answer.error for answer in found] == [""] * 20
    assert max(answer.duration_ms for answer in found) < LIMIT * 1000
    assert (endpoint.busiest, endpoint.accepted, len(endpoint.requests)) == (5, 5, 20)


def test_the_spelling_of_a_url_gives_no_further_slots(endpoint: Endpoint) -> None:
    async def together(_reader: Any, writer: asyncio.StreamWriter, _request: Any) -> bool:
        await became(lambda: endpoint.busiest >= 5)
        await asyncio.sleep(MOMENT)  # in which a sixth would come
        writer.write(raw(200))
        await writer.drain()
        return True

    endpoint.behaviours = dict.fromkeys(("/a", "/b"), together)
    names = Names(["127.0.0.1"])
    urls = [endpoint.url("/a", "Shop.Example"), endpoint.url("/b", "shop.example").replace("http:", "HTTP:")]

    async def work(door: Door) -> list[Answer]:
        return await asyncio.gather(*(door.post(urls[n % 2], b"", FORM) for n in range(12)))

    assert {answer.status for answer in run(work, resolver=names, timeout=LIMIT)} == {200}
    assert endpoint.busiest == 5


def test_endpoints_nobody_uses_are_forgotten(endpoint: Endpoint) -> None:
    async def work(door: Door) -> int:
        await asyncio.gather(*(door.post(endpoint.url(), b"", FORM) for _ in range(9)))
        await door.post("http://127.0.0.1:1/", b"", FORM)
        stopped = asyncio.create_task(door.post(endpoint.at("/hang", says(b"", then="hang")), b"", FORM))
        await asyncio.sleep(0.05)
        stopped.cancel()
        await asyncio.gather(stopped, return_exceptions=True)
        assert stopped.cancelled()
        return len(door._slots)

    assert run(work) == 0


def test_healthy_endpoints_are_not_slowed_by_hanging_ones() -> None:
    turns = [0]
    with Endpoint() as healthy, Endpoint() as hanging:
        hanging.at("/", says(b"", then="hang"))

        async def healthy_calls(door: Door) -> int:
            """Turns of the loop that they take."""
            before = turns[0]
            for _ in range(50):
                assert (await door.post(healthy.url(), b"x", FORM)).status == 200
            return turns[0] - before

        async def work(door: Door) -> tuple[int, int]:
            loop: Any = asyncio.get_running_loop()
            turn = loop._run_once

            def counted() -> None:
                turns[0] += 1
                turn()

            loop._run_once = counted
            quiet = await healthy_calls(door)
            stuck = [asyncio.create_task(door.post(hanging.url("/"), b"x", FORM)) for _ in range(200)]
            await became(lambda: hanging.busiest == 5)
            loaded = await healthy_calls(door)
            assert not any(task.done() for task in stuck)
            for task in stuck:
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)
            return quiet, loaded

        quiet, loaded = run(work, timeout=600)
        assert loaded < 2 * quiet + 100, (quiet, loaded)
        assert hanging.busiest == 5


# --- Where a call may go --------------------------------------------------------------------------


def test_a_name_that_turns_to_a_private_address_is_refused_when_connecting(
    endpoint: Endpoint, public_is_loopback: None
) -> None:
    endpoint.at("/ipn", answers(200, headers={"Connection": "close"}))
    names = Names([PUBLIC], ["127.0.0.1"])
    url = endpoint.url(host="rebind.example")

    async def work(door: Door) -> list[Answer]:
        return [await door.post(url, b"x", FORM) for _ in range(3)]

    first, *others = run(work, allow_private=False, resolver=names)
    assert (first.error, first.status) == ("", 200)
    assert [(answer.error, answer.status) for answer in others] == [("FORBIDDEN_ADDRESS", None)] * 2
    assert others[0].detail == "127.0.0.1 is in 127.0.0.0/8 (loopback, RFC 1122, 3.2.1.3)"
    assert (endpoint.accepted, names.asked) == (1, ["rebind.example"] * 3)


def test_of_several_addresses_only_public_ones_are_tried(endpoint: Endpoint, public_is_loopback: None) -> None:
    for found in (["127.0.0.1", PUBLIC], [PUBLIC, "::1"], ["10.0.0.1", "fe80::1", PUBLIC, "169.254.169.254"]):
        answer = call(endpoint.url(host="mixed.example"), allow_private=False, resolver=Names(found))
        assert (answer.error, answer.status) == ("", 200)
    assert endpoint.accepted == 3


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.1.2.3", "100.64.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1",
        "198.18.0.1", "203.0.113.9", "224.0.0.1", "255.255.255.255", "168.63.129.16", "::", "::1",
        "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1",
        "64:ff9b::a9fe:a9fe", "2002:7f00:1::1", "2001::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%1",
        "fec0::1", "ff02::1", "2001:db8::1", "2a00:1450::5efe:7f00:1", "2a00:1450::200:5efe:a9fe:a9fe", "4000::1",
    ],
)  # fmt: skip
def test_no_socket_is_opened_to_a_special_address_that_a_name_resolves_to(address: str, opened: list[Any]) -> None:
    answer = call("http://name.example/", allow_private=False, resolver=Names([address]))
    assert (answer.error, answer.status) == ("FORBIDDEN_ADDRESS", None)
    assert opened == []


def test_endpoint_of_is_one_for_all_spellings() -> None:
    assert endpoint_of("HTTPS://Shop.Example/a?b") == "https://shop.example:443"
    assert endpoint_of("https://shop.example:443") == "https://shop.example:443"
    assert endpoint_of("http://[2A00:1450:0::1]:8080/") == "http://[2a00:1450::1]:8080"
    assert endpoint_of("http://Émile.example/") == "http://xn--mile-9oa.example:80"
