"""Pauses: what an operator stops stays in the queue, the rest goes on, and nothing of it is lost."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from companies.audit import Actor
from companies.models import AuditEntry, User
from notifications.models import Delivery, Hold
from notifications.outbox import holds, leases, state
from notifications.outbox.claims import CallClaims, MailClaims
from notifications.outbox.holds import Holds
from notifications.outbox.mail_worker import MailWorker
from notifications.worker import loop
from tests.factories import CompanyFactory, DeliveryFactory, ShopFactory, StaffFactory, UserFactory
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)
OPERATOR = Actor.command("pause")


def mail(company: Any, notification: str = "merchant_email") -> Delivery:
    return DeliveryFactory(event__company=company, company=company, shop=None, notification=notification)


def call(company: Any, endpoint: str) -> Delivery:
    return DeliveryFactory(
        event__company=company, company=company, shop=None, channel="ipn", endpoint=endpoint, message=None
    )


def view() -> Holds:
    return Holds(tuple(Hold.objects.all()))


def mails_taken() -> set[Any]:
    return set(MailClaims().claim("me", 50, view()))


def calls_taken() -> set[Any]:
    return set(CallClaims().claim("me", 50, lambda endpoint, busy: 5 - busy, view()))


@pytest.mark.parametrize(
    ("what", "kept"),
    [
        ({}, {"mail", "account", "incident", "call"}),
        ({"channel": "email"}, {"mail", "account", "incident"}),
        ({"channel": "ipn"}, {"call"}),
        ({"lane": "account"}, {"account"}),
        ({"channel": "email", "lane": "incident"}, {"incident"}),
        ({"lane": "mail"}, {"mail"}),
        ({"endpoint": "https://a.example:443"}, {"call"}),
        ({"endpoint": "https://b.example:443"}, set()),
    ],
)
@pytest.mark.parametrize("of_company", [False, True])
def test_a_pause_keeps_what_fits_it_and_nothing_else(what: Any, kept: set[str], of_company: bool) -> None:
    company, other = CompanyFactory(), CompanyFactory()

    def queued(of: Any) -> dict[str, Delivery]:
        return {
            "mail": mail(of),
            "account": mail(of, "user_account"),
            "incident": mail(of, "platform_incident"),
            "call": call(of, "https://a.example:443"),
        }

    rows, others = queued(company), queued(other)
    holds.pause(actor=OPERATOR, company=company if of_company else None, **what)
    taken = mails_taken() | calls_taken()
    assert {name for name, row in rows.items() if row.pk not in taken} == kept
    assert {name for name, row in others.items() if row.pk not in taken} == (set() if of_company else kept)


def test_many_paused_companies_do_not_hide_the_one_that_is_not() -> None:
    rows = [mail(CompanyFactory()) for _n in range(12)]
    for row in rows[:11]:
        holds.pause(actor=OPERATOR, company=row.company)
    assert MailClaims().claim("me", 2, view()) == [rows[11].pk]


def test_a_suspended_company_keeps_its_mail_and_calls_but_not_those_of_accounts() -> None:
    company = CompanyFactory()
    kept = {mail(company).pk, call(company, "https://a.example:443").pk}
    account = mail(company, "account_security")
    other = call(CompanyFactory(), "https://a.example:443")
    company.status = "suspended"
    company.save()
    assert mails_taken() | calls_taken() == {account.pk, other.pk}
    company.status = "active"
    company.save()
    assert mails_taken() | calls_taken() == kept


def test_a_suspended_shop_keeps_its_mail_and_calls_and_no_others() -> None:
    shop = ShopFactory()
    company = shop.company
    kept = {mail(company).pk, call(company, "https://a.example:443").pk}
    Delivery.objects.filter(pk__in=kept).update(shop=shop)
    others = {mail(company).pk, call(company, "https://a.example:443").pk}
    shop.status = "suspended"
    shop.save()
    assert {(one.state, one.count) for one in state.now_stands().queue} == {("ready", 1), ("kept", 1)}
    assert mails_taken() | calls_taken() == others
    assert all(view().is_held(row) for row in Delivery.objects.filter(pk__in=kept))
    shop.status = "active"
    shop.save()
    assert mails_taken() | calls_taken() == kept


def test_what_was_claimed_before_its_shop_was_suspended_goes_back(
    smtp_server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = ShopFactory()
    for _n in range(12):
        mail(shop.company)
    Delivery.objects.update(shop=shop)
    with leases.owner() as owner, MailWorker(owner) as worker:
        worker.step(timezone.now, wait=0)
        shop.status = "suspended"
        shop.save()
        monkeypatch.setattr(worker._holds, "_until", 0.0)
        while worker.in_flight:
            worker.step(timezone.now, wait=1.0)
    assert len(smtp_server.received) == 1
    assert Delivery.objects.filter(status="queued", lease_owner="").count() == 11


def test_what_was_claimed_before_the_pause_goes_back(smtp_server: SmtpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    company = CompanyFactory()
    for _n in range(30):
        mail(company)
    with leases.owner() as owner, MailWorker(owner) as worker:
        # The first mail shows whether the server works; the others wait in this worker.
        worker.step(timezone.now, wait=0)
        holds.pause(actor=OPERATOR, company=company)
        monkeypatch.setattr(worker._holds, "_until", 0.0)
        while worker.in_flight:
            worker.step(timezone.now, wait=1.0)
    assert len(smtp_server.received) == 1
    assert Delivery.objects.filter(status="queued", lease_owner="").count() == 29
    call_command("resume", "--company", company.reference)
    loop.deliver_until_idle()
    assert Delivery.objects.filter(status="sent").count() == 30


def test_the_commands_pause_once_and_are_audited(capsys: pytest.CaptureFixture[str]) -> None:
    company = CompanyFactory()
    for _n in range(2):
        call_command("pause", "--company", company.reference, "--channel", "email", "--reason", "relais en panne")
    assert Hold.objects.count() == 1
    call_command("resume", "--company", company.reference)
    assert Hold.objects.count() == 1, "another pause than the one that was made"
    call_command("resume", "--company", company.reference, "--channel", "email")
    assert "resumed=1 paused=0" in capsys.readouterr().out
    actions = list(AuditEntry.objects.filter(company=company).order_by("pk").values_list("action", flat=True))
    assert actions == ["sending.paused", "sending.resumed"]


@pytest.mark.parametrize(
    "what", [{"lane": "mail", "channel": "ipn"}, {"endpoint": "https://a.example", "channel": "email"}]
)
def test_what_does_not_go_together_is_refused(what: Any) -> None:
    with pytest.raises(ValidationError):
        holds.pause(actor=OPERATOR, **what)


@pytest.mark.parametrize("arguments", [("--company", "unknown"), ("--endpoint", "no url")])
def test_what_is_not_there_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        call_command("pause", *arguments)
    assert not Hold.objects.exists()


def test_the_merchants_concerned_are_told_and_no_others(client_for: Callable[[User], Client]) -> None:
    company, other = CompanyFactory(), CompanyFactory()
    waiting = mail(company)
    holds.pause(actor=OPERATOR, company=company, channel="email", reason="relais en panne")
    reader = client_for(UserFactory(company=company))
    for address in ("/", "/notifications/journal/", f"/notifications/journal/{waiting.pk}/"):
        assert "relais en panne" in reader.get(address).content.decode(), address
    stranger = client_for(UserFactory(company=other))
    for address in ("/", "/notifications/journal/"):
        assert "relais en panne" not in stranger.get(address).content.decode()


def test_the_journal_tells_that_a_suspended_company_keeps_a_mail(client_for: Callable[[User], Client]) -> None:
    company = CompanyFactory(status="suspended")
    waiting = mail(company)
    page = client_for(UserFactory(company=company)).get(f"/notifications/journal/{waiting.pk}/").content.decode()
    assert "la société ou la boutique est suspendue ou fermée" in page


def test_staff_pause_and_resume_on_the_page(client_for: Callable[[User], Client]) -> None:
    company = CompanyFactory()
    mail(company)
    staff = client_for(StaffFactory(is_superuser=True))
    assert company.name not in staff.get("/admin/sending/").content.decode()
    asked = {"company": company.reference, "channel": "email", "lane": "", "endpoint": "", "reason": "essai"}
    for _n in range(2):
        assert staff.post("/admin/sending/", asked).status_code == 302
    hold = Hold.objects.get()
    assert company.name in staff.get("/admin/sending/").content.decode()
    nothing = staff.post("/admin/sending/", {"company": "", "channel": "", "lane": "", "endpoint": "", "reason": ""})
    assert nothing.status_code == 200 and Hold.objects.count() == 1, "an empty form stops nothing"
    wrong = staff.post("/admin/sending/", {**asked, "company": "unknown"})
    assert "unknown" in wrong.content.decode() and Hold.objects.count() == 1
    for _n in range(2):
        assert staff.post(f"/admin/sending/{hold.pk}/resume/").status_code == 302
    assert not Hold.objects.exists()
    assert AuditEntry.objects.filter(action__startswith="sending.").count() == 2


def test_staff_without_the_right_see_and_cannot_act(client_for: Callable[[User], Client]) -> None:
    staff = client_for(StaffFactory(is_superuser=False))
    assert staff.get("/admin/sending/").status_code == 403
    assert staff.post("/admin/sending/", {}).status_code == 403
    assert not Hold.objects.exists()
