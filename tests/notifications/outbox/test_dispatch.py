"""Sending for real over SMTP: what arrives is what the tables say, and what becomes of failures."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from companies.audit import Actor
from companies.models import SftpAccount, User
from notifications import settings_facts
from notifications.events.publishing import Particulars, publish
from notifications.models import Attempt, Delivery
from notifications.outbox import leases, mail_results
from notifications.outbox.claims import MailClaims
from notifications.outbox.services import delivery_requeue, delivery_resend
from notifications.outbox.transports.base import Result
from notifications.tables import compute
from tests.endpoints import Authority, Endpoint
from tests.factories import (
    CompanyFactory,
    DeliveryFactory,
    NotificationRuleFactory,
    SftpAccountFactory,
    ShopFactory,
    UserFactory,
)
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)


def announce(type: str, shop: Any, **options: Any) -> Any:
    with transaction.atomic():
        return publish(type=type, company=shop.company, shop=shop, **options)


def deliver(*options: str, capsys: Any) -> str:
    capsys.readouterr()
    call_command("deliver", "--once", *options)
    found: str = capsys.readouterr().out.splitlines()[-1]
    return found


@pytest.mark.parametrize("language", ["fr", "en"])
def test_what_arrives_is_what_the_table_says(smtp_server: SmtpServer, capsys: Any, language: str) -> None:
    company = CompanyFactory(manager__email="claire@bücher.example")
    shop = ShopFactory(company=company, manager_email="Paris@lumiere.example", language=language)
    event = announce("shop.created", shop, particulars=Particulars(mode="TEST"))
    table = {
        (a.email, line.as_)
        for a in compute.delivery_tables(settings_facts.company_facts(company)).addresses
        for line in a.receives
        if line.notification == "shop_created"
    }
    assert table == {("Paris@lumiere.example", "to"), ("claire@bücher.example", "cc")}
    assert deliver(capsys=capsys) == "sent=2 retry=0 dead=0"
    assert {mail.rcpt_tos for mail in smtp_server.received} == {
        ("Paris@lumiere.example",),
        ("claire@xn--bcher-kva.example",),
    }, "one recipient per transaction, the domain in its ASCII form"
    for mail in smtp_server.received:
        headers = mail.message
        assert headers["To"] == "Paris@lumiere.example"
        assert headers["Cc"] == "claire@xn--bcher-kva.example"
        assert headers["Subject"].startswith("[TEST] ")
        assert headers["X-BOM-Notification"] == "shop_created"
        assert headers["X-BOM-As"] == ("to" if mail.rcpt_tos[0].startswith("Paris") else "cc")
        assert headers["X-BOM-Shop"] == shop.site_id
        assert headers["X-BOM-Rule"] is None
        assert headers["X-BOM-Event"] == event.event_id
        assert headers["X-BOM-Mode"] == "TEST"
        assert headers["Auto-Submitted"] == "auto-generated"
        assert headers["Content-Language"] == language
        row = Delivery.objects.get(pk=headers["X-BOM-Delivery"])
        assert str(row.pk) in headers["Message-ID"]
        assert "http://localhost:8000/notifications/addresses/" in mail.text
        assert ("Vous recevez ce message parce que" in mail.text) is (language == "fr")
        assert "%%" not in mail.text + mail.html
    attempts = Attempt.objects.all()
    assert {attempt.code for attempt in attempts} == {250}
    assert all(attempt.queue_id.startswith("TEST") for attempt in attempts)
    assert deliver(capsys=capsys) == "sent=0 retry=0 dead=0"


def test_a_transient_refusal_is_tried_again_with_the_same_message_id(smtp_server: SmtpServer, capsys: Any) -> None:
    row = DeliveryFactory(address="later@x.example")
    smtp_server.answer_data("later@x.example", "450 4.2.0 try\x00 later")
    assert deliver(capsys=capsys) == "sent=0 retry=1 dead=0"
    row.refresh_from_db()
    assert (row.status, row.error) == ("retry", "450 4.2.0 try later")
    assert deliver(capsys=capsys) == "sent=0 retry=0 dead=0", "not due yet"
    smtp_server.behave()
    assert deliver("--at", (row.retry_at + timedelta(seconds=1)).isoformat(), capsys=capsys) == "sent=1 retry=0 dead=0"
    (mail,) = smtp_server.received
    assert str(row.pk) in mail.message["Message-ID"]
    assert list(row.attempts.values_list("number", "outcome")) == [(1, "transient"), (2, "sent")]


@pytest.mark.parametrize("names", [("other.example",), ("127.0.0.1",)])
def test_a_mail_server_whose_certificate_nobody_vouches_for_gets_no_mail(
    tmp_path: Path, settings: Any, capsys: Any, names: tuple[str, ...]
) -> None:
    row = DeliveryFactory()
    with Endpoint(tls=Authority(tmp_path).server(*names)) as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.EMAIL_USE_SSL, settings.EMAIL_USE_TLS = True, False
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "platform", "smtp-password"
        assert deliver(capsys=capsys) == "sent=0 retry=1 dead=0"
        assert server.requests == []
    row.refresh_from_db()
    assert "certificate verify failed" in row.error


def test_a_lost_reply_makes_a_duplicate_that_can_be_recognised(smtp_server: SmtpServer, capsys: Any) -> None:
    row = DeliveryFactory(address="twice@x.example")
    smtp_server.drop("twice@x.example", at="data")
    deliver(capsys=capsys)
    smtp_server.behave()
    row.refresh_from_db()
    assert row.status == "retry"
    assert "unknown" in row.error
    assert row.retry_at >= timezone.now() + timedelta(minutes=9), "it may have arrived, and nothing is gained by haste"
    deliver("--at", row.retry_at.isoformat(), capsys=capsys)
    assert len(smtp_server.received) == 2
    assert len({mail.message["Message-ID"] for mail in smtp_server.received}) == 1


def test_a_permanent_refusal_is_final_at_once(smtp_server: SmtpServer, capsys: Any) -> None:
    row = DeliveryFactory(address="gone@x.example")
    smtp_server.answer("gone@x.example", "550 5.1.1 unknown user")
    assert deliver(capsys=capsys) == "sent=0 retry=0 dead=1"
    row.refresh_from_db()
    assert (row.status, row.error, row.retry_at) == ("dead", "550 5.1.1 unknown user", None)


def test_a_bad_message_does_not_hold_up_or_spoil_the_mail_behind_it(smtp_server: SmtpServer, capsys: Any) -> None:
    moment = timezone.now() - timedelta(hours=1)
    bad = [
        DeliveryFactory(address="hélène@x.example", created_at=moment),
        DeliveryFactory(address="ok@x.example", message=None, created_at=moment + timedelta(seconds=1)),
        DeliveryFactory(address="cut@x.example", created_at=moment + timedelta(seconds=2)),
        DeliveryFactory(address="refused@x.example", created_at=moment + timedelta(seconds=3)),
    ]
    good = [DeliveryFactory(address=f"good{n}@x.example") for n in range(5)]
    smtp_server.drop("cut@x.example")
    smtp_server.answer("refused@x.example", "554 5.7.1 no")
    assert deliver(capsys=capsys) == "sent=5 retry=2 dead=2"
    for row in [*bad, *good]:
        row.refresh_from_db()
    assert [row.status for row in bad] == ["dead", "retry", "retry", "dead"]
    assert {row.status for row in good} == {"sent"}


def test_a_server_that_stays_away_is_asked_for_at_least_72_hours(smtp_server: SmtpServer, capsys: Any) -> None:
    row = DeliveryFactory()
    smtp_server.refuse_connections = True
    start = now = timezone.now()
    for _attempt in range(30):
        last = deliver("--at", now.isoformat(), capsys=capsys)
        row.refresh_from_db()
        if row.status == "dead":
            break
        assert last == "sent=0 retry=1 dead=0"
        assert row.retry_at > now
        now = row.retry_at
    assert row.status == "dead"
    assert now - start >= timedelta(hours=72)
    smtp_server.behave()
    assert delivery_requeue(delivery=row, actor=Actor.command("test"))
    smtp_server.refuse_connections = True
    assert deliver("--at", now.isoformat(), capsys=capsys) == "sent=0 retry=1 dead=0", "a whole schedule again"
    row.refresh_from_db()
    smtp_server.behave()
    assert deliver("--at", row.retry_at.isoformat(), capsys=capsys) == "sent=1 retry=0 dead=0"
    numbers = list(row.attempts.values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))


def claim(owner: str) -> list[Delivery]:
    keys = MailClaims().claim(owner, 10)
    return list(Delivery.objects.filter(pk__in=keys))


def expire_leases() -> None:
    Delivery.objects.filter(status="sending").update(leased_until=timezone.now() - timedelta(seconds=1))


def record(delivery: Delivery, owner: str, *result: Any) -> str | None:
    statuses = mail_results.record([mail_results.MailEnded(delivery, Result(*result), timezone.now())], owner)
    return statuses.get(delivery.pk)


def test_a_lost_lease_is_not_overwritten() -> None:
    DeliveryFactory()
    (mine,) = claim("me")
    assert claim("you") == []
    assert leases.sweep() == 0
    expire_leases()
    assert leases.sweep() == 1
    (yours,) = claim("you")
    assert leases.renew("me", [mine.pk], leases.of_mail()) == {mine.pk}
    assert record(mine, "me", Attempt.Outcome.PERMANENT, 550, "late answer") is None
    assert record(yours, "you", Attempt.Outcome.SENT, 250) == "sent"
    mine.refresh_from_db()
    assert (mine.status, mine.attempts.count()) == ("sent", 1)


def test_a_lease_that_is_renewed_is_not_swept() -> None:
    DeliveryFactory()
    owner = leases.new_owner()
    (row,) = claim(owner)
    expire_leases()
    assert leases.renew(owner, [row.pk], leases.of_mail()) == set()
    assert leases.sweep() == 0


def test_a_clock_that_jumps_takes_no_lease_from_a_worker_that_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    DeliveryFactory()
    owner = leases.new_owner()
    (row,) = claim(owner)
    now = leases.time.monotonic()
    for second in (0, 9, 18, 27):
        monkeypatch.setattr(leases.time, "monotonic", lambda at=now + second: at)
        expire_leases()
        assert leases.sweep() == 0
        # The heartbeat comes every nine seconds.
        leases.renew(owner, [row.pk], leases.of_mail())
    expire_leases()
    assert leases.sweep() == 0
    monkeypatch.setattr(leases.time, "monotonic", lambda: now + 40)
    assert leases.sweep() == 1, "who does not renew any more is not waited for"


def test_the_clock_of_at_does_not_take_leases_away(smtp_server: SmtpServer, capsys: Any) -> None:
    DeliveryFactory()
    (row,) = claim(leases.new_owner())
    assert deliver("--at", (timezone.now() + timedelta(days=365)).isoformat(), capsys=capsys) == "sent=0 retry=0 dead=0"
    row.refresh_from_db()
    assert row.status == "sending"


def test_what_an_owner_leaves_is_free_at_once_though_its_process_lives() -> None:
    DeliveryFactory()
    with leases.owner() as owner:
        claim(owner)
        assert leases.sweep() == 0
    assert leases.sweep() == 1


def test_an_owner_of_another_machine_is_never_taken_for_dead() -> None:
    assert not leases.owner_is_gone("other-host 1 1 abcd")
    assert not leases.owner_is_gone(leases.new_owner())
    assert not leases.owner_is_gone("")


def test_account_links_are_filled_in_at_sending_and_never_stored(smtp_server: SmtpServer, capsys: Any) -> None:
    user: User = UserFactory(password=None)
    account: SftpAccount = SftpAccountFactory(company=user.company, unrevealed_password="secret-sftp")
    with transaction.atomic():
        publish(type="user_account.created", company=user.company, account=user, data={"link": True})
        publish(type="sftp_account.created", company=user.company, account=account, data={"link": True})
    stored = " ".join(
        m for row in Delivery.objects.select_related("message") for m in (row.message.text, row.message.html)
    )
    assert "/set-password/" not in stored
    assert "/sftp-reveal/" not in stored
    deliver(capsys=capsys)
    (mail,) = smtp_server.to(user.email)
    assert "http://localhost:8000/accounts/set-password/" in mail.text
    (mail,) = smtp_server.to(account.email)
    assert "/accounts/sftp-reveal/" in mail.text
    assert "secret-sftp" not in mail.text + mail.html


def test_a_late_mail_does_not_open_an_account_whose_address_has_changed(smtp_server: SmtpServer, capsys: Any) -> None:
    user: User = UserFactory(password=None, email="wrong@x.example")
    with transaction.atomic():
        publish(type="user_account.created", company=user.company, account=user, data={"link": True})
    User.objects.filter(pk=user.pk).update(email="right@x.example")
    deliver(capsys=capsys)
    (mail,) = smtp_server.to("wrong@x.example")
    assert "/set-password/" not in mail.text + mail.html


def test_a_resend_is_a_new_row_to_the_same_recipient(smtp_server: SmtpServer, capsys: Any) -> None:
    row = DeliveryFactory(address="a@x.example")
    deliver(capsys=capsys)
    row.refresh_from_db()
    again = delivery_resend(delivery=row, actor=Actor.command("test"))
    assert deliver(capsys=capsys) == "sent=1 retry=0 dead=0"
    assert again.resend_of_id == row.pk
    assert len({mail.message["Message-ID"] for mail in smtp_server.to("a@x.example")}) == 2


def test_the_clock_of_at_decides_what_is_due(smtp_server: SmtpServer, capsys: Any) -> None:
    DeliveryFactory(status="retry", retry_at=datetime(2030, 1, 1, tzinfo=UTC))
    assert deliver("--at", "2029-12-31T23:59:59Z", capsys=capsys) == "sent=0 retry=0 dead=0"
    assert deliver("--at", "2030-01-01T01:00:00+01:00", capsys=capsys) == "sent=1 retry=0 dead=0"


def test_a_rule_mail_names_its_rule(smtp_server: SmtpServer, capsys: Any) -> None:
    rule = NotificationRuleFactory(recipients=["@shop_manager", "compta@x.example"])
    announce(
        "payment.accepted",
        rule.shop,
        data={"amount": 1990, "currency": "EUR", "transaction_id": "a\r\nBcc: z@x.example"},
    )
    deliver(capsys=capsys)
    assert len(smtp_server.received) == 2
    for mail in smtp_server.received:
        assert mail.message["X-BOM-Rule"] == rule.reference
        assert mail.message["Bcc"] is None
        assert "compta@x.example" in mail.message["To"]
        assert mail.message["Cc"] is None
