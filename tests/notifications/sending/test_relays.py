"""A company's own mail server: tried before it is kept, its mail goes through it, and its troubles are its own."""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from companies import status
from companies.audit import MASK, Actor
from companies.models import AuditEntry, Company, Role
from notifications.models import Attempt, Breaker, Broadcast, CompanyRelay, Delivery, Newsletter
from notifications.outbox import parts, relays, state
from notifications.outbox.breakers import OPENS_AFTER
from notifications.outbox.tally import Tally
from notifications.worker import loop
from tests.factories import CompanyFactory, DeliveryFactory, StaffFactory, UserFactory
from tests.odd_smtp import odd_server
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def own() -> Any:
    with SmtpServer() as server:
        yield server


def values(port: int, **changes: Any) -> dict[str, Any]:
    base = {"host": "127.0.0.1", "port": port, "security": "none", "username": "", "sender": "no-reply@lumiere.example"}
    return {**base, "falls_back": False, **changes}


def save(company: Company, port: int, password: str | None = None, **changes: Any) -> CompanyRelay:
    return relays.save(
        actor=Actor.command("test"),
        company=company,
        values=values(port, **changes),
        password=password,
    )


def mail(company: Company, **more: Any) -> Delivery:
    return DeliveryFactory(event__company=company, company=company, shop=None, **more)


def work() -> None:
    """One round of a worker that keeps running."""
    loop.deliver_mail(Tally(), pid=os.getpid())


@pytest.fixture(autouse=True)
def private_networks(settings: Any) -> None:
    settings.IPN_ALLOW_PRIVATE_NETWORKS = True


def test_mail_of_the_company_goes_through_its_server_and_the_journal_says_so(
    settings: Any, company: Company, own: SmtpServer
) -> None:
    relay = save(company, own.port)
    mine, account, other = mail(company), mail(company, notification="account_security"), mail(CompanyFactory())
    with odd_server(settings) as platform:
        work()
        assert len(own.received) == 1 and len(platform.mails) == 2, "security mail is the platform's"
    (got,) = own.received
    assert (got.mail_from, got.message["From"].addresses[0].addr_spec) == ("no-reply@lumiere.example",) * 2
    assert got.message["X-BOM-Delivery"] == str(mine.pk)
    tried = dict(Attempt.objects.values_list("delivery_id", "relay"))
    assert tried == {mine.pk: relay.name, account.pk: "", other.pk: ""}


def test_a_letter_comes_from_the_platform_whoever_reads_it(settings: Any, company: Company, own: SmtpServer) -> None:
    save(company, own.port)
    letter = Newsletter.objects.create()
    letters = Broadcast.objects.create(notification="newsletter", newsletter=letter, status="queued", started_by="x")
    mail(company, broadcast=letters)
    with odd_server(settings) as platform:
        work()
        work()
        assert (len(platform.mails), len(own.received)) == (1, 0)


def test_a_server_that_refuses_holds_up_its_own_company_only_and_nothing_is_dead(
    settings: Any, company: Company
) -> None:
    other = CompanyFactory()
    with odd_server(settings) as own:
        save(company, own.port)
        own.replies["MAIL"] = "550 5.7.1 go away"
        for _n in range(7):
            mail(company)
        with odd_server(settings) as platform:
            for _n in range(OPENS_AFTER + 2):
                Delivery.objects.filter(status="retry").update(retry_at=None)
                mail(other)
                work()
            assert len(platform.mails) == OPENS_AFTER + 2
            assert not Delivery.objects.filter(company=company).exclude(status__in=["queued", "retry"]).exists()
            assert set(Attempt.objects.filter(delivery__company=company).values_list("outcome", flat=True)) == {
                "transient"
            }
            assert Delivery.objects.filter(company=company).values_list("attempt_count", flat=True)[0] == 0
            stands = state.now_stands()
            (breaker,) = stands.breakers
            assert breaker.is_open and breaker.company == "lumiere"
            assert not stands.open_breakers and "breaker" not in {one.part for one in parts.of_sending(stands)}
            assert "settings" not in {one.part for one in parts.of_sending(stands)}
            # It works again: the probe shows it, and the rest follows.
            own.replies.pop("MAIL")
            Breaker.objects.update(probe_at=Now() - timedelta(seconds=1))
            for _n in range(3):
                Delivery.objects.filter(status="retry").update(retry_at=None)
                work()
            assert len(own.mails) == 7 and len(platform.mails) == OPENS_AFTER + 2


def test_the_platform_takes_over_where_that_was_chosen(settings: Any, company: Company) -> None:
    with odd_server(settings) as own:
        save(company, own.port, falls_back=True)
        own.replies["GREETING"] = "554 no"
        for _n in range(3):
            mail(company)
        with odd_server(settings) as platform:
            for _n in range(OPENS_AFTER + 1):
                work()
            assert len(platform.mails) == 3 and not own.mails
    assert set(Delivery.objects.values_list("status", "attempt_count")) == {("sent", 1)}


def test_the_platform_s_server_that_refuses_holds_up_no_company_with_its_own(
    settings: Any, company: Company, own: SmtpServer
) -> None:
    save(company, own.port)
    mail(company)
    with odd_server(settings, MAIL="550 no") as platform:
        mail(CompanyFactory())
        work()
        assert len(own.received) == 1 and not platform.mails


# --- Saving ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replies", "field"),
    [
        ({"GREETING": "554 no service"}, "host"),
        ({"GREETING": "SSH-2.0-OpenSSH"}, "host"),
        ({"MAIL": "550 5.7.60 not your sender"}, "sender"),
        ({"EHLO": "502 what"}, "host"),
    ],
)
def test_a_server_that_does_not_take_our_mail_is_not_kept(
    settings: Any, company: Company, replies: dict[str, str], field: str
) -> None:
    with odd_server(settings, **replies) as server, pytest.raises(ValidationError) as refused:
        save(company, server.port)
    assert set(refused.value.message_dict) == {field}
    assert not CompanyRelay.objects.exists() and not server.mails


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"host": "127.0.0.1"}, "host"),
        ({"host": "localhost"}, "host"),
        ({"host": "mail.internal"}, "host"),
        ({"host": "10.0.0.1.nip.example/x"}, "host"),
        ({"host": "smtp.example", "port": 8080}, "port"),
        ({"host": "smtp.example", "port": 587, "username": "x"}, "security"),
        ({"host": "smtp.example", "port": 587, "sender": "a@b.example, c@d.example"}, "sender"),
    ],
)
def test_what_leads_inside_or_is_not_safe_is_refused(
    settings: Any, company: Company, changes: dict[str, Any], field: str
) -> None:
    settings.IPN_ALLOW_PRIVATE_NETWORKS = False
    with pytest.raises(ValidationError) as refused:
        save(company, **{"port": 25, **changes})
    assert field in refused.value.message_dict


def test_the_password_is_stored_encrypted_kept_for_the_same_server_and_shown_nowhere(
    settings: Any, company: Company, own: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "try_out", lambda relay, recipient="": None)
    relay = save(company, own.port, "s3cret-words", username="lumiere", security="starttls")
    with connection.cursor() as cursor:
        cursor.execute("SELECT password FROM notifications_companyrelay")
        assert "s3cret" not in cursor.fetchone()[0]
    again = save(company, own.port, None, username="lumiere", security="starttls", falls_back=True)
    assert (again.pk, CompanyRelay.objects.get().password) == (relay.pk, "s3cret-words")
    with pytest.raises(ValidationError) as refused:
        save(company, own.port + 1, None, username="lumiere", security="starttls")
    assert "password" in refused.value.message_dict, "a password goes to the server it was given for"
    first = AuditEntry.objects.filter(action="relay.saved").order_by("pk")[0]
    assert first.changes["password"] == [None, MASK]
    assert "s3cret" not in str(list(AuditEntry.objects.values_list("changes", flat=True)))


def test_an_administrator_proves_who_they_are_tries_a_server_and_goes_back(
    settings: Any, company: Company, own: SmtpServer, client_for: Callable[..., Client]
) -> None:
    page, claire = "/settings/company/mail-server/", UserFactory(company=company, role=Role.ADMINISTRATOR)
    client = client_for(claire)
    assert "serveur de la plateforme" in client.get(page).content.decode()
    assert client.get(f"{page}edit/").status_code == 302
    client = client_for(claire, fresh=True)
    typed = {name: str(value) for name, value in values(own.port).items() if name != "falls_back"}
    wrong = client.post(f"{page}edit/", {**typed, "port": "1"})
    assert wrong.status_code == 200 and "Rien n&#x27;est enregistré" in wrong.content.decode()
    assert client.post(f"{page}edit/", typed).status_code == 302
    text = client.get(page).content.decode()
    assert f"127.0.0.1:{own.port}" in text and "no-reply@lumiere.example" in text
    assert client.post(f"{page}remove/", {"seen": relays.stamp(CompanyRelay.objects.get())}).status_code == 302
    assert not CompanyRelay.objects.exists()
    assert list(AuditEntry.objects.filter(company=company).order_by("pk").values_list("action", flat=True))[-2:] == [
        "relay.saved",
        "relay.removed",
    ]


def test_of_two_administrators_the_second_is_told_and_decides(
    company: Company, own: SmtpServer, client_for: Callable[..., Client]
) -> None:
    page = "/settings/company/mail-server/"
    relay = save(company, own.port)
    seen = relays.stamp(relay)
    with SmtpServer() as other:
        save(company, other.port)
        client = client_for(UserFactory(company=company, role=Role.ADMINISTRATOR), fresh=True)
        typed = {name: str(value) for name, value in values(own.port).items() if name != "falls_back"}
        told = client.post(f"{page}edit/", {**typed, "seen": seen}).content.decode()
        assert "entre-temps" in told and f'value="{own.port}"' in told
        assert client.post(f"{page}remove/", {"seen": seen}).status_code == 302
        assert CompanyRelay.objects.get().port == other.port
        now = relays.stamp(CompanyRelay.objects.get())
        assert client.post(f"{page}edit/", {**typed, "seen": now}).status_code == 302
    assert CompanyRelay.objects.get().port == own.port


def test_a_closed_company_keeps_the_server_it_has(company: Company, own: SmtpServer) -> None:
    save(company, own.port)
    Company.objects.filter(pk=company.pk).update(status="closed")
    company.refresh_from_db()
    claire = Actor("Claire", UserFactory(company=company))
    with pytest.raises(status.Closed):
        relays.save(actor=claire, company=company, values=values(own.port), password=None)
    with pytest.raises(status.Closed):
        relays.remove(actor=claire, company=company)
    assert CompanyRelay.objects.exists()


def test_staff_limit_a_domain_on_the_page_of_sending(client_for: Callable[..., Client]) -> None:
    client = client_for(StaffFactory(is_superuser=True))
    answer = client.post("/admin/sending/limits/", {"limit-name": "gmail.com", "limit-per_minute": "10"})
    assert answer.status_code == 302
    text = client.get("/admin/sending/").content.decode()
    assert "<code>gmail.com</code>" in text
    assert client.post("/admin/sending/limits/", {"limit-name": "x y"}).status_code == 200
