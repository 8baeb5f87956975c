"""What a mail server says, or does not say, at each step: only RCPT and the message speak of the recipient."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from notifications.models import Attempt, Delivery
from notifications.outbox.transports import routes, smtp
from notifications.worker import loop
from tests.factories import DeliveryFactory
from tests.odd_smtp import DROP, SILENCE, odd_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_database]

WAITS = "[configuration "


def outcome(row: Delivery) -> str:
    """What became of a delivery, in a word."""
    row.refresh_from_db()
    if row.status != "retry":
        return row.status
    if row.error.startswith(WAITS):
        assert row.attempt_count == 0, "no attempt of the schedule is used up"
        return "waits for us"
    if row.error.startswith("[answer unknown]"):
        assert row.retry_at and row.retry_at >= timezone.now() + timedelta(minutes=9)
        return "unknown"
    assert row.attempt_count == 1
    return "transient"


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "one by one"])
@pytest.mark.parametrize(
    ("step", "reply", "expected"),
    [
        ("GREETING", "554 5.7.1 no service for you", "waits for us"),
        ("GREETING", "421 4.3.2 too busy", "transient"),
        ("GREETING", "HTTP/1.1 400 Bad Request", "waits for us"),
        ("GREETING", "SSH-2.0-OpenSSH_9.2", "waits for us"),
        ("GREETING", "250 odd", "waits for us"),
        ("GREETING", DROP, "transient"),
        ("EHLO", "550 5.7.1 not you", "waits for us"),
        ("EHLO", "nonsense", "waits for us"),
        ("MAIL", "550 5.7.1 sender refused", "waits for us"),
        ("MAIL", "451 4.3.0 later", "transient"),
        ("MAIL", "421 4.3.2 shutting down", "transient"),
        ("MAIL", "nonsense", "waits for us"),
        ("MAIL", "354 go on", "waits for us"),
        ("RCPT", "550 5.1.1 unknown", "dead"),
        ("RCPT", "450 4.2.0 later", "transient"),
        ("RCPT", "421 4.3.2 shutting down", "transient"),
        ("RCPT", "nonsense", "waits for us"),
        ("RCPT", DROP, "transient"),
        ("DATA", "554 5.5.1 no", "transient"),
        ("DATA", "451 4.3.0 later", "transient"),
        ("DATA", "421 4.3.2 shutting down", "transient"),
        ("DATA", "250 ok", "waits for us"),
        ("END", "554 5.7.1 spam", "dead"),
        ("END", "451 4.3.0 later", "transient"),
        ("END", "421 4.3.2 shutting down", "transient"),
        ("END", "nonsense", "unknown"),
        ("END", "354 go on", "unknown"),
        ("END", DROP, "unknown"),
        ("END", "250 2.0.0 ok", "sent"),
    ],
)
def test_only_what_is_said_of_the_recipient_is_a_verdict(
    settings: Any, pipelining: bool, step: str, reply: str, expected: str
) -> None:
    row = DeliveryFactory()
    usual = {} if pipelining else {"EHLO": "250 odd"}
    with odd_server(settings, **{**usual, step: reply}):
        loop.deliver_until_idle()
    assert outcome(row) == expected
    attempt = Attempt.objects.get()
    assert attempt.code is None or 100 <= attempt.code < 600


@pytest.mark.parametrize("step", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "END"])
def test_a_step_has_its_time_and_no_more(settings: Any, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    for name in ("COMMAND_SECONDS", "DATA_SECONDS", "ANSWER_SECONDS"):
        assert getattr(smtp, name) >= 120
        # Nothing before the message is in short supply of time where its answer is what does not come.
        if step != "END" or name == "ANSWER_SECONDS":
            monkeypatch.setattr(smtp, name, 0.5)
    if step != "END":
        settings.EMAIL_TIMEOUT = 0.5
    row = DeliveryFactory()
    with odd_server(settings, **{step: SILENCE}):
        loop.deliver_until_idle()
    assert outcome(row) == ("unknown" if step == "END" else "transient")


def test_a_slow_answer_is_waited_for_and_the_mail_goes_once(settings: Any) -> None:
    settings.DELIVERY_LEASE_SECONDS = 2
    row = DeliveryFactory()
    with odd_server(settings, after={"END": 5.0}) as server:
        loop.deliver_until_idle()
    assert outcome(row) == "sent"
    assert len(server.mails) == 1


def test_an_envelope_goes_out_in_one_write_where_the_server_takes_it(settings: Any) -> None:
    rows = [DeliveryFactory() for _n in range(3)]
    with odd_server(settings) as server:
        loop.deliver_until_idle()
    assert {outcome(row) for row in rows} == {"sent"}
    assert sum(write.startswith(b"MAIL") and b"RCPT" in write and b"DATA" in write for write in server.writes) == 3


def test_a_refused_recipient_leaves_the_connection_usable(settings: Any) -> None:
    settings.SMTP_CONNECTIONS = 1
    rows = [DeliveryFactory() for _n in range(4)]
    with odd_server(
        settings,
        RCPT=["250 ok", "550 5.1.1 unknown", "250 ok"],
        DATA=["354 go on", "503 5.5.1 no valid recipients", "354 go on"],
    ) as server:
        loop.deliver_until_idle()
    assert sorted(outcome(row) for row in rows) == ["dead", "sent", "sent", "sent"]
    assert (server.connections, server.steps["RSET"]) == (1, 1)


@pytest.mark.parametrize("step", ["RCPT", "DATA", "END"])
def test_421_in_the_middle_counts_for_one_mail_and_the_others_go_elsewhere(settings: Any, step: str) -> None:
    settings.SMTP_CONNECTIONS = 1
    rows = [DeliveryFactory() for _n in range(5)]
    usual = {"RCPT": "250 ok", "DATA": "354 go on", "END": "250 ok"}[step]
    with odd_server(settings, **{step: [usual, "421 4.3.2 shutting down", usual]}) as server:
        loop.deliver_until_idle()
    assert sorted(outcome(row) for row in rows) == ["sent", "sent", "sent", "sent", "transient"]
    assert server.connections == 2
    assert Attempt.objects.count() == 5


def test_a_server_that_wants_a_message_nobody_gets_is_left(settings: Any) -> None:
    settings.SMTP_CONNECTIONS = 1
    rows = [DeliveryFactory() for _n in range(3)]
    with odd_server(settings, RCPT=["250 ok", "550 5.1.1 unknown", "250 ok"]) as server:
        loop.deliver_until_idle()
    assert sorted(outcome(row) for row in rows) == ["dead", "sent", "sent"]
    assert (len(server.mails), server.connections) == (2, 2)


@pytest.mark.parametrize("reply", ["421 4.7.0 enough mails on this connection", DROP])
def test_a_connection_that_has_had_its_share_is_opened_again(settings: Any, reply: str) -> None:
    settings.SMTP_CONNECTIONS = 1
    rows = [DeliveryFactory() for _n in range(6)]
    with odd_server(settings, MAIL=["250 ok", "250 ok", reply, "250 ok", "250 ok", reply, "250 ok"]) as server:
        loop.deliver_until_idle()
    assert {outcome(row) for row in rows} == {"sent"}
    assert (len(server.mails), server.connections) == (6, 3)
    assert Attempt.objects.count() == 6


def test_a_server_that_takes_fewer_connections_gets_fewer(settings: Any) -> None:
    settings.SMTP_CONNECTIONS = 4
    rows = [DeliveryFactory() for _n in range(30)]
    greetings = ["220 odd ESMTP", "220 odd ESMTP", "421 4.7.0 too many connections"]
    with odd_server(settings, GREETING=greetings) as server:
        server.until["END"] = lambda: len(server.mails) < 2 or server.steps["GREETING"] > 2
        loop.deliver_until_idle()
    assert {outcome(row) for row in rows} == {"sent"}
    assert Attempt.objects.count() == 30
    assert server.steps["EHLO"] == 2


def test_of_a_queue_that_meets_a_closed_door_one_mail_is_tried(settings: Any) -> None:
    rows = [DeliveryFactory() for _n in range(20)]
    with odd_server(settings, GREETING="421 4.3.2 too busy") as server:
        loop.deliver_until_idle()
    assert (server.connections, Attempt.objects.count()) == (1, 1)
    for row in rows:
        row.refresh_from_db()
        assert row.status == "retry" and row.retry_at <= timezone.now() + timedelta(minutes=2)


def test_several_connections_work_at_once(settings: Any) -> None:
    settings.SMTP_CONNECTIONS = 3
    rows = [DeliveryFactory() for _n in range(30)]
    with odd_server(settings) as server:
        server.until["END"] = lambda: len(server.mails) < 2 or server.most_at_once >= 3
        loop.deliver_until_idle()
    assert {outcome(row) for row in rows} == {"sent"}
    assert server.most_at_once == 3


def test_lines_that_begin_with_a_dot_arrive_as_they_were() -> None:
    assert smtp._as_data(b".\r\n..a\r\nb.\r\n") == b"..\r\n...a\r\nb.\r\n.\r\n"
    assert smtp._as_data(b"no end of line") == b"no end of line\r\n.\r\n"


def test_what_is_no_mail_server_is_known_by_the_setting(settings: Any) -> None:
    assert not routes.speaks_smtp()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    assert routes.speaks_smtp()
