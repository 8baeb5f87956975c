"""Mail that comes back: notices of mail servers, whom to believe, and what they do to an address."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from companies.models import AuditEntry, Company
from notifications.core import bounce_notices
from notifications.events.publishing import publish
from notifications.models import AddressHealth, AddressSign, Delivery
from shops.models import Shop
from tests.notifications.health import notices
from tests.smtp import Received, SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)
PARIS = "paris@lumiere.example"


def send(shop: Shop, server: SmtpServer, *, at: Any = None) -> Received:
    """A mail to the manager of the shop that the server accepts."""
    with transaction.atomic():
        publish(type="three_d_secure.activated", company=shop.company, shop=shop)
    call_command("deliver", "--once", *(["--at", at.isoformat()] if at else []))
    return server.to(shop.manager_email)[-1]


@pytest.fixture
def bounce(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(raw: bytes, *options: str) -> str:
        (tmp_path / "notice.eml").write_bytes(raw)
        capsys.readouterr()
        call_command("bounce", str(tmp_path / "notice.eml"), *options)
        return capsys.readouterr().out.strip()

    return run


def health(address: str = PARIS) -> AddressHealth:
    return AddressHealth.objects.get(normalised_address=address)


IGNORED = "deliveries=0 suppressed=0 soft=0 ignored=1"
HARD = "deliveries=1 suppressed=1 soft=0 ignored=0"
SOFT = "deliveries=1 suppressed=0 soft=1 ignored=0"


@pytest.mark.parametrize("verp", [False, True], ids=["by identifiers", "by return path"])
@pytest.mark.parametrize("dialect", notices.DIALECTS)
def test_each_server_that_says_that_a_mailbox_does_not_exist_is_understood(
    dialect: str, verp: bool, paris: Shop, smtp_server: SmtpServer, bounce: Callable[..., str], settings: Any
) -> None:
    settings.BOUNCE_ADDRESS = "bounce@backoffice.example" if verp else ""
    mail = send(paris, smtp_server)
    assert mail.mail_from.startswith("bounce+" if verp else "ne-pas-repondre@")
    notice = notices.DIALECTS[dialect](mail)
    assert bounce(notice) == HARD
    assert (health().state, health().cause) == ("suppressed", "hard")
    assert bounce(notice) == IGNORED
    assert AddressSign.objects.count() == 1
    assert AuditEntry.objects.get(action="address.suppressed").changes["state"] == ["unverified", "suppressed"]


def test_a_notice_inside_a_forwarded_mail_is_understood_and_other_mail_is_not(
    paris: Shop, smtp_server: SmtpServer, bounce: Callable[..., str]
) -> None:
    mail = send(paris, smtp_server)
    assert bounce(notices.absence(mail)) == IGNORED
    assert bounce(mail.raw) == IGNORED
    assert bounce(b"") == bounce(b"\xff\x00 garbage") == IGNORED
    for action in ("relayed", "delivered", "expanded"):
        assert bounce(notices.postfix(mail, action=action, status="2.0.0", said="250 2.0.0 Ok")) == IGNORED
    assert bounce(notices.forwarded(notices.postfix(mail))) == HARD


def test_a_forged_notice_is_ignored(paris: Shop, smtp_server: SmtpServer, bounce: Callable[..., str], settings: Any) -> None:  # fmt: skip
    mail = send(paris, smtp_server)
    # Who knows an identifier of ours names another address than that mail's.
    assert bounce(notices.postfix(mail, to="claire@lumiere.example")) == IGNORED
    settings.BOUNCE_ADDRESS = "bounce@backoffice.example"
    # Identifiers alone are not believed any more, nor is a return path that somebody else signed.
    assert bounce(notices.postfix(mail)) == IGNORED
    mail = send(paris, smtp_server)
    key = mail.mail_from.partition("+")[2].partition(".")[0]
    other = send(paris, smtp_server).mail_from
    forged = f"bounce+{key}.{other.partition('.')[2]}"
    assert bounce(notices.postfix(mail, envelope=forged).replace(mail.mail_from.encode(), forged.encode())) == IGNORED
    # A mailbox that forwards answers for another address; servers may write it in capitals.
    elsewhere = notices.postfix(mail, to="paris@ailleurs.example", envelope=mail.mail_from.upper())
    assert bounce(elsewhere) == HARD
    assert health().state == "suppressed"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("5.2.2", "552 5.2.2 Mailbox full"),
        ("5.7.1", "550 5.7.1 Message rejected by policy"),
        ("5.0.0", "550 Requested action not taken"),
        ("4.4.1", "connect to mx.lumiere.example[203.0.113.25]:25: Connection timed out"),
        ("5.0.0", "550 rejected by 5.1.1.1"),
    ],
)
def test_everything_else_is_soft(
    status: str, said: str, paris: Shop, smtp_server: SmtpServer, bounce: Callable[..., str]
) -> None:
    mail = send(paris, smtp_server)
    assert bounce(notices.postfix(mail, status=status, said=said)) == SOFT
    assert (health().state, health().words) == ("bouncing", said)
    send(paris, smtp_server)
    assert health().state == "unverified"


def test_a_delay_is_soft_once_and_a_definite_refusal_after_it_counts(
    paris: Shop, smtp_server: SmtpServer, bounce: Callable[..., str]
) -> None:
    mail = send(paris, smtp_server)
    delayed = notices.postfix(mail, action="delayed", status="4.4.1", said="connect timed out")
    assert bounce(delayed) == SOFT
    assert bounce(delayed) == IGNORED
    assert bounce(notices.postfix(mail, status="4.4.7", said="delivery time expired")) == IGNORED
    assert bounce(notices.postfix(mail)) == HARD


def test_five_soft_failures_over_three_days_suppress_by_the_clock_of_sending(
    paris: Shop, smtp_server: SmtpServer, bounce: Callable[..., str]
) -> None:
    start = timezone.now()
    # A relay takes them all; each comes back before the next leaves, one of five arrives.
    for hours in (0, 24, 48):
        mail = send(paris, smtp_server, at=start + timedelta(hours=hours))
        assert bounce(notices.exim(mail, said="452 4.2.2 Mailbox full")) == SOFT
    send(paris, smtp_server, at=start + timedelta(hours=60))
    assert health().state == "unverified"
    told = []
    for hours in (72, 96, 120, 143, 144):
        mail = send(paris, smtp_server, at=start + timedelta(hours=hours))
        told.append(bounce(notices.exim(mail, said="452 4.2.2 Mailbox full")))
    assert told == [*[SOFT] * 4, "deliveries=1 suppressed=1 soft=1 ignored=0"]
    assert health().cause == "persistent"


def test_the_dialogue_itself_counts_too(paris: Shop, smtp_server: SmtpServer) -> None:
    start = timezone.now()
    smtp_server.answer(PARIS, "451 4.2.2 Mailbox full, try later")
    with transaction.atomic():
        publish(type="three_d_secure.activated", company=paris.company, shop=paris)
    states = []
    for hours in (0, 1, 24, 48, 73):
        call_command("deliver", "--once", "--at", (start + timedelta(hours=hours)).isoformat())
        states.append(health().state)
    assert states == [*["bouncing"] * 4, "suppressed"]
    # What was still to be tried is not sent, for that reason.
    mail = Delivery.objects.get(normalised_address=PARIS)
    assert mail.status == "not_sent" and "neutralisée" in mail.error


def test_a_suppressed_address_gets_nothing_but_account_mail_and_its_verification(
    paris: Shop, smtp_server: SmtpServer, company: Company, capsys: pytest.CaptureFixture[str]
) -> None:
    smtp_server.answer(PARIS, "550 5.1.1 User unknown")
    with transaction.atomic():
        publish(type="three_d_secure.activated", company=company, shop=paris)
        publish(type="shop.created", company=company, shop=paris)
    call_command("deliver", "--once")
    assert health().state == "suppressed"
    smtp_server.behave()
    with transaction.atomic():
        publish(type="shop.created", company=company, shop=paris)
    call_command("deliver", "--once")
    assert not smtp_server.to(PARIS)
    assert smtp_server.to("claire@lumiere.example")
    newest = Delivery.objects.filter(normalised_address=PARIS).order_by("created_at").last()
    assert newest is not None and (newest.status, newest.resolution["reason"]) == ("not_sent", "address_suppressed")
    capsys.readouterr()
    call_command("address_reactivate", "lumiere", "Paris@lumiere.example")
    assert capsys.readouterr().out.strip() == "reactivated=1"
    assert (health().state, health().words) == ("unverified", "address_reactivate")
    send(paris, smtp_server)


# --- Whatever comes in ----------------------------------------------------------------------------


@given(st.binary(max_size=2000))
def test_garbage_is_no_notice(raw: bytes) -> None:
    assert bounce_notices.read(raw).reports == ()


def test_huge_and_deeply_nested_mail_costs_little_and_is_no_notice() -> None:
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(5000))
    assert bounce_notices.read(deep).reports == ()
    nested = b"Content-Type: message/rfc822\n\n" * 30000
    assert bounce_notices.read(nested).reports == ()
    assert bounce_notices.read(b"To: " + b"a@b.example, " * 500_000 + b"\n\nx").reports == ()
    broken = b"Content-Type: multipart/report; boundary=x\n\n--x\nContent-Type: message/delivery-status\n\n" + b"Final-Recipient: rfc822; \n\n" * 3000  # fmt: skip
    assert bounce_notices.read(broken).reports == ()
