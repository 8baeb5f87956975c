"""A defect of our own settings costs no mail: the queue waits, staff are told, and everything goes out once it is mended."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from notifications.models import Attempt, Delivery
from notifications.outbox import waits as mail_waits
from tests.factories import DeliveryFactory, UserFactory
from tests.ports import free_port
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)


def deliver(capsys: Any, at: Any = None) -> str:
    call_command("deliver", "--once", *(["--at", at.isoformat()] if at else []))
    lines: list[str] = capsys.readouterr().out.strip().splitlines()
    return lines[-1]


def spoil(settings: Any, server: SmtpServer, how: str) -> None:
    if how == "sender with a comma":
        settings.DEFAULT_FROM_EMAIL = "Lumière, SAS <team@lumiere.example>"
    elif how == "sender without an address":
        settings.DEFAULT_FROM_EMAIL = "Lumière"
    elif how == "sender on two lines":
        settings.DEFAULT_FROM_EMAIL = "Lumière\nBcc: x@y.example <team@lumiere.example>"
    elif how == "name on two lines":
        settings.DEFAULT_FROM_EMAIL, settings.PLATFORM_NAME = "team@lumiere.example", "Lumière\nBcc: x@y.example"
    elif how == "name of a thousand characters":
        settings.DEFAULT_FROM_EMAIL, settings.PLATFORM_NAME = "team@lumiere.example", "L" * 1000
    elif how == "base URL that is none":
        settings.BASE_URL = "backoffice.example"
    elif how == "support address that is none":
        settings.SUPPORT_EMAIL = "assistance"
    elif how == "no such server":
        settings.EMAIL_HOST = "smtp.does-not-exist.invalid"
    elif how == "server name that is none":
        settings.EMAIL_HOST = "x" * 70 + ".example"
    elif how == "wrong port":
        settings.EMAIL_PORT = free_port()
    elif how == "log-in that the server does not know":
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "platform", "secret-of-smtp"
    elif how == "encryption that the server does not know":
        settings.EMAIL_USE_TLS = True
    elif how == "two kinds of encryption":
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = True
    elif how == "backend that does not exist":
        settings.EMAIL_BACKEND = "backoffice.nowhere.Backend"
    elif how == "folder that may not be written":
        settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = "backoffice.base.mail.EmlBackend", "/proc/nowhere"
    elif how == "sender that the server refuses":
        server.answer_sender("553 5.1.8 <team@x.example>: Sender address rejected: Domain not found")
    elif how == "sender refused at RCPT":
        server.answer("a@x.example", "553 5.7.1 <team@x.example>: Sender address rejected: not owned by user bom")
        server.answer("b@x.example", "553 5.7.1 <team@x.example>: Sender address rejected: not owned by user bom")
    elif how == "log-in wanted":
        server.answer_sender("530 5.7.0 Authentication required")
    elif how == "relaying denied":
        server.answer("a@x.example", "554 5.7.1 <a@x.example>: Relay access denied")
        server.answer("b@x.example", "550 relaying denied")
    elif how == "may not send as":
        for address in ("a@x.example", "b@x.example"):
            server.answer_data(address, "550 5.7.60 SMTP; Client does not have permissions to send as this sender")
    else:
        raise AssertionError(how)


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ("sender with a comma", "DEFAULT_FROM_EMAIL"),
        ("sender without an address", "DEFAULT_FROM_EMAIL"),
        ("sender on two lines", "DEFAULT_FROM_EMAIL"),
        ("name on two lines", "PLATFORM_NAME"),
        ("name of a thousand characters", "PLATFORM_NAME"),
        ("base URL that is none", "BASE_URL"),
        ("support address that is none", "SUPPORT_EMAIL"),
        ("no such server", "EMAIL_URL"),
        ("server name that is none", "EMAIL_URL"),
        ("wrong port", "EMAIL_URL"),
        ("log-in that the server does not know", "EMAIL_URL"),
        ("encryption that the server does not know", "EMAIL_URL"),
        ("two kinds of encryption", "EMAIL_URL"),
        ("backend that does not exist", "EMAIL_URL"),
        ("folder that may not be written", "EMAIL_URL"),
        ("sender that the server refuses", "DEFAULT_FROM_EMAIL"),
        ("sender refused at RCPT", "DEFAULT_FROM_EMAIL"),
        ("log-in wanted", "EMAIL_URL"),
        ("relaying denied", "EMAIL_URL"),
        ("may not send as", "DEFAULT_FROM_EMAIL"),
    ],
)
@pytest.mark.one_database
def test_the_queue_waits_for_our_own_settings_and_goes_out_once_they_are_mended(
    settings: Any, smtp_server: SmtpServer, capsys: Any, how: str, named: str
) -> None:
    good = {
        name: getattr(django_settings, name)
        for name in dir(django_settings)
        if name.startswith("EMAIL_") or name in ("DEFAULT_FROM_EMAIL", "PLATFORM_NAME", "BASE_URL", "SUPPORT_EMAIL")
    }
    rows = [DeliveryFactory(address="a@x.example"), DeliveryFactory(address="b@x.example")]
    spoil(settings, smtp_server, how)
    now = timezone.now()
    for _round in range(14):  # more rounds than the schedule has attempts
        assert deliver(capsys, now) == "sent=0 retry=2 dead=0"
        now += timedelta(days=1)
    for row in rows:
        row.refresh_from_db()
        assert (row.status, row.attempt_count) == ("retry", 0), "no attempt of the schedule is used up"
        assert "secret-of-smtp" not in row.error
    assert [(one.setting, one.count) for one in mail_waits.waiting()] == [(named, 2)]
    for name, value in good.items():
        setattr(settings, name, value)
    smtp_server.behave()
    assert deliver(capsys, now) == "sent=2 retry=0 dead=0"
    assert mail_waits.waiting() == []
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"transient", "sent"}


def test_a_test_mail_waits_as_well(settings: Any, smtp_server: SmtpServer, capsys: Any) -> None:
    row = DeliveryFactory(is_test=True)
    settings.DEFAULT_FROM_EMAIL = "nobody"
    assert deliver(capsys) == "sent=0 retry=1 dead=0"
    row.refresh_from_db()
    assert row.status == Delivery.Status.RETRY


def test_a_refusal_of_the_recipient_is_still_final(smtp_server: SmtpServer, capsys: Any) -> None:
    for number, reply in enumerate(
        ["550 5.1.1 unknown user", "550 5.7.1 rejected by policy", "552 5.2.2 mailbox full", "554 5.7.1 spam"]
    ):
        DeliveryFactory(address=f"r{number}@x.example")
        smtp_server.answer(f"r{number}@x.example", reply)
    assert deliver(capsys) == "sent=0 retry=0 dead=4"


def test_of_a_batch_that_waits_only_the_first_is_tried(settings: Any, smtp_server: SmtpServer, capsys: Any) -> None:
    rows = [DeliveryFactory() for _n in range(5)]
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "platform", "wrong"
    assert deliver(capsys) == "sent=0 retry=5 dead=0"
    assert (smtp_server.connections, Attempt.objects.count()) == (1, 1)
    assert set(Delivery.objects.filter(pk__in=[row.pk for row in rows]).values_list("status", flat=True)) == {"retry"}


def test_staff_read_it_in_the_admin_and_in_the_figures(
    settings: Any, smtp_server: SmtpServer, capsys: Any, client_for: Any
) -> None:
    DeliveryFactory()
    staff: Client = client_for(UserFactory(is_staff=True, is_superuser=True))
    assert "EMAIL_URL" not in staff.get("/admin/").content.decode()
    settings.EMAIL_HOST = "smtp.does-not-exist.invalid"
    deliver(capsys)
    page = staff.get("/admin/").content.decode()
    assert "EMAIL_URL" in page and "1 e-mail attend" in page
    assert "bom_mail_waiting_for_settings 1.0" in staff.get("/metrics").content.decode()


def test_a_merchant_reads_that_it_is_not_theirs_to_mend(
    settings: Any, smtp_server: SmtpServer, capsys: Any, client_for: Any
) -> None:
    row = DeliveryFactory()
    user = UserFactory(company=row.company)
    settings.EMAIL_HOST = "smtp.does-not-exist.invalid"
    deliver(capsys)
    for page in (f"/notifications/journal/{row.pk}/", "/notifications/journal/"):
        text = client_for(user).get(page).content.decode()
        assert "à régler" in text
        assert "[configuration" not in text
