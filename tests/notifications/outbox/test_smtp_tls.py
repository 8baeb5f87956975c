"""Encrypted connections to a mail server: the dialogue over TLS, its records and its ends, and what goes wrong in opening."""

import base64
import ssl
from email import message_from_bytes
from typing import Any

import pytest

from notifications.models import Attempt, Delivery
from notifications.outbox.transports import smtp
from notifications.worker import loop
from tests.endpoints import Authority
from tests.factories import DeliveryFactory, EventFactory, MessageFactory
from tests.odd_smtp import DROP, NOTIFY, SILENCE, odd_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_database]

AUTH = "250-odd\r\n250-AUTH PLAIN\r\n250 PIPELINING"
LOG_IN = ("platform", "smtp-password")
SAID = "AUTH PLAIN " + base64.b64encode(b"\0platform\0smtp-password").decode()
ONE_BY_ONE = "250-odd\r\n250 AUTH PLAIN"
both_ways = pytest.mark.parametrize("tls_first", [True, False], ids=["smtp+ssl", "STARTTLS"])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certified(authority: Authority) -> ssl.SSLContext:
    return authority.server("127.0.0.1")


@pytest.fixture(autouse=True)
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.root))


@pytest.fixture
def queued() -> list[Delivery]:
    event = EventFactory()
    message = MessageFactory(event=event)
    return [DeliveryFactory(event=event, message=message) for _n in range(6)]


def states() -> dict[str, int]:
    rows = list(Delivery.objects.values_list("status", flat=True))
    return {status: rows.count(status) for status in set(rows)}


@both_ways
@pytest.mark.parametrize(("offers", "piece"), [(AUTH, 0), (ONE_BY_ONE, 0), (AUTH, 1), (ONE_BY_ONE, 7)])
def test_mail_goes_out_encrypted_however_the_replies_are_cut(
    settings: Any, certified: ssl.SSLContext, queued: list[Delivery], tls_first: bool, offers: str, piece: int
) -> None:
    settings.SMTP_CONNECTIONS = 2
    told: list[str] = []
    with odd_server(settings, tls=certified, tls_first=tls_first, piece=piece, log_in=LOG_IN, EHLO=offers) as server:
        server.choose = lambda step, line: told.append(line) if step == "AUTH" else None
        loop.deliver_until_idle()
    assert states() == {"sent": 6}
    assert len(server.mails) == 6 and all(b"Message-ID" in mail for mail in server.mails)
    assert set(told) == {SAID} and len(told) == server.connections <= 2


def test_all_replies_in_one_record_are_read_at_once(
    settings: Any, certified: ssl.SSLContext, queued: list[Delivery]
) -> None:
    """What is decrypted already makes no socket ready."""
    settings.SMTP_CONNECTIONS = 1
    together = "250 ok\r\n250 ok\r\n354 go on"
    said = iter(range(100))
    with odd_server(settings, tls=certified, EHLO="250-odd\r\n250 PIPELINING") as server:
        # The replies to the envelope come with the first of them; the others are silent.
        server.silent = {"RCPT", "DATA"}
        server.choose = lambda step, line: together if step == "MAIL" and next(said) >= 0 else None
        loop.deliver_until_idle()
    assert states() == {"sent": 6}
    assert server.connections == 1


@both_ways
def test_a_large_message_goes_to_a_server_that_reads_slowly(
    settings: Any, certified: ssl.SSLContext, tls_first: bool
) -> None:
    settings.SMTP_CONNECTIONS = 2
    event = EventFactory()
    large = MessageFactory(event=event, text="Un paiement a été accepté.\n" * 60_000, html="")
    for _n in range(2):
        DeliveryFactory(event=event, message=large)
    with odd_server(settings, tls=certified, tls_first=tls_first, read_seconds=0.001) as server:
        loop.deliver_until_idle()
    assert states() == {"sent": 2}
    assert len(server.mails) == 2
    for mail in server.mails:
        texts = [part.get_payload(decode=True) for part in message_from_bytes(mail).walk()]
        assert max(text.decode().count("accepté") for text in texts if isinstance(text, bytes)) == 60_000


@both_ways
@pytest.mark.parametrize(
    "reply", ["250 ok queued\r\n421 4.7.0 enough for one connection", NOTIFY, DROP], ids=["421", "notify", "drop"]
)
def test_a_connection_that_ends_between_two_mails_is_opened_again(
    settings: Any, certified: ssl.SSLContext, queued: list[Delivery], tls_first: bool, reply: str
) -> None:
    settings.SMTP_CONNECTIONS = 1
    step = "END" if reply.startswith("250") else "MAIL"
    replies = ["250 ok queued", reply] * 3 if step == "END" else ["250 ok", "250 ok", reply, "250 ok"]
    with odd_server(settings, tls=certified, tls_first=tls_first, **{step: replies}) as server:
        loop.deliver_until_idle()
    assert states() == {"sent": 6}
    assert server.connections > 1
    assert Attempt.objects.count() == len(server.mails) == 6


@pytest.mark.parametrize("end", [NOTIFY, DROP])
@pytest.mark.parametrize(("step", "expected"), [("RCPT", "transient"), ("END", "unknown")])
def test_an_encrypted_connection_that_ends_is_judged_by_its_step(
    settings: Any, certified: ssl.SSLContext, end: str, step: str, expected: str
) -> None:
    row = DeliveryFactory()
    with odd_server(settings, tls=certified, **{step: end}):
        loop.deliver_until_idle()
    row.refresh_from_db()
    assert row.status == "retry" and row.attempt_count == 1
    assert row.error.startswith("[answer unknown]") == (expected == "unknown")


@pytest.mark.parametrize("step", ["MAIL", "END"])
def test_a_step_has_its_time_over_tls_too(
    settings: Any, certified: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    for name in ("COMMAND_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(smtp, name, 0.3)
    row = DeliveryFactory()
    with odd_server(settings, tls=certified, **{step: SILENCE}):
        loop.deliver_until_idle()
    row.refresh_from_db()
    assert row.status == "retry" and "TimeoutError" in row.error


@both_ways
@pytest.mark.parametrize("how", [DROP, SILENCE])
def test_a_handshake_that_is_broken_off_is_tried_again_by_the_schedule(
    settings: Any, certified: ssl.SSLContext, queued: list[Delivery], tls_first: bool, how: str
) -> None:
    settings.EMAIL_TIMEOUT = 1.5 if how == SILENCE else 60
    with odd_server(settings, tls=certified, tls_first=tls_first, handshake=how, log_in=LOG_IN, EHLO=AUTH) as server:
        loop.deliver_until_idle()
        assert states() == {"retry": 6}
        attempt = Attempt.objects.get()
        assert not attempt.delivery.error.startswith("[configuration"), attempt.delivery.error
        assert (server.connections, server.steps["AUTH"], server.mails) == (1, 0, [])


@both_ways
@pytest.mark.parametrize("why", ["nobody vouches", "other name", "out of date"])
def test_a_server_that_proves_nothing_gets_no_log_in_and_no_mail(
    settings: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch, tls_first: bool, why: str
) -> None:
    row = DeliveryFactory()
    names = ("mail.example",) if why == "other name" else ("127.0.0.1",)
    context = authority.server(
        *names, days=(-2, -1) if why == "out of date" else (-1, 1), self_signed=why == "nobody vouches"
    )
    with odd_server(settings, tls=context, tls_first=tls_first, log_in=LOG_IN, EHLO=AUTH) as server:
        loop.deliver_until_idle()
    row.refresh_from_db()
    assert row.error.startswith("[configuration EMAIL_URL]") and "certificate verify failed" in row.error
    assert (server.steps["AUTH"], server.steps["MAIL"]) == (0, 0)


def test_encryption_is_not_done_without(settings: Any, certified: ssl.SSLContext) -> None:
    """Neither with a server that hides STARTTLS, nor with one that answers in plain text."""
    row = DeliveryFactory()
    with odd_server(settings, tls=certified, tls_first=False, log_in=LOG_IN, OFFER=AUTH) as server:
        loop.deliver_until_idle()
    row.refresh_from_db()
    assert row.error.startswith("[configuration EMAIL_URL]")
    assert (server.steps["AUTH"], server.steps["MAIL"]) == (0, 0)
    Delivery.objects.update(status="queued", retry_at=None)
    with odd_server(settings, log_in=LOG_IN, EHLO=AUTH) as server:
        settings.EMAIL_USE_SSL = True
        loop.deliver_until_idle()
    row.refresh_from_db()
    assert row.error.startswith("[configuration EMAIL_URL]")
    assert (server.steps["AUTH"], server.steps["MAIL"]) == (0, 0)


def test_what_comes_in_plain_text_before_encryption_is_not_believed(settings: Any, certified: ssl.SSLContext) -> None:
    row = DeliveryFactory()
    injected = "220 go on\r\n250-odd\r\n250 AUTH LOGIN"
    told: list[str] = []
    with odd_server(settings, tls=certified, tls_first=False, STAR=injected, log_in=LOG_IN, EHLO=AUTH) as server:
        server.choose = lambda step, line: told.append(line) if step == "AUTH" else None
        loop.deliver_until_idle()
    row.refresh_from_db()
    assert (row.status, told) == ("sent", [SAID])


def test_a_log_in_that_is_refused_over_tls_waits_for_its_setting(settings: Any, certified: ssl.SSLContext) -> None:
    row = DeliveryFactory()
    with odd_server(settings, tls=certified, log_in=LOG_IN, EHLO=AUTH, AUTH="535 5.7.8 bad credentials") as server:
        loop.deliver_until_idle()
    row.refresh_from_db()
    assert row.error.startswith("[configuration EMAIL_URL]") and row.attempt_count == 0
    assert server.steps["MAIL"] == 0
