"""A company whose own mail server refuses us is told so, once per window and when it is over; staff read of it as well."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from companies.audit import Actor
from companies.models import Company, Role, User
from notifications.models import Breaker, CompanyRelay, Delivery, Event
from notifications.outbox import parts, relays, state
from notifications.outbox.breakers import OPENS_AFTER
from notifications.sending import alerts
from notifications.worker import loop
from tests.factories import CompanyFactory, DeliveryFactory, UserFactory
from tests.odd_smtp import odd_server
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()
MANAGER = "claire@lumiere.example"
REPLY = "550 5.7.1 go away"


@pytest.fixture(autouse=True)
def _staff_is_told(settings: Any) -> None:
    settings.ALERT_EMAILS = ["astreinte@platform.example"]


def own_server(company: Company, **changes: Any) -> CompanyRelay:
    values = {"host": "smtp.lumiere.example", "port": 587, "falls_back": False, **changes}
    return CompanyRelay.objects.create(company=company, changed_by="test", **values)


def refuse(relay: CompanyRelay) -> None:
    Breaker.objects.create(relay=relay.breaker_name, failures=9, opened_at=NOW, probe_at=NOW, reply=REPLY)


def at(**passed: int) -> Any:
    return NOW + timedelta(**passed)


def told() -> list[str]:
    """What the manager of the company was told, oldest first."""
    events = Event.objects.filter(type__startswith="company.relay_").order_by("pk")
    return [event.type.removeprefix("company.relay_") for event in events]


def staff_told() -> list[tuple[list[str], list[str]]]:
    events = Event.objects.filter(type="sending.needs_a_person").order_by("pk")
    return [tuple([one["part"] for one in event.data[name]] for name in ("new", "over")) for event in events]


def test_the_company_is_told_once_per_window_and_when_it_is_over(company: Company) -> None:
    relay = own_server(company)
    alerts.look(NOW)
    assert told() == []
    refuse(relay)
    for minutes in range(5):
        alerts.look(at(minutes=minutes))
    assert told() == ["closed"] and staff_told() == [(["own_relay"], [])]
    alerts.look(at(hours=7))
    assert told() == ["closed"] * 2
    Breaker.objects.all().delete()
    for minutes in range(3):
        alerts.look(at(hours=8, minutes=minutes))
    assert told() == ["closed"] * 2 + ["reopened"]
    assert staff_told() == [(["own_relay"], [])] * 2 + [([], ["own_relay"])]


def test_what_comes_and_goes_is_not_told_again_and_again(company: Company) -> None:
    relay = own_server(company)
    for minutes in range(0, 20, 2):
        refuse(relay)
        alerts.look(at(minutes=minutes))
        Breaker.objects.all().delete()
        alerts.look(at(minutes=minutes + 1))
    assert told() == ["closed", "reopened"]


def test_each_company_is_told_of_its_own_and_the_platforms_is_apart(company: Company) -> None:
    other = CompanyFactory()
    for one in (company, other):
        refuse(own_server(one))
    alerts.look(NOW)
    Breaker.objects.create(relay="platform.example:25", failures=9, opened_at=NOW, probe_at=NOW, reply=REPLY)
    alerts.look(at(minutes=1))
    assert sorted(Event.objects.filter(type="company.relay_closed").values_list("company", flat=True)) == sorted(
        [company.pk, other.pk]
    )
    assert staff_told() == [(["own_relay"] * 2, []), (["breaker"], [])]
    stands = state.now_stands()
    assert [one.part for one in parts.of_sending(stands) if one.part == "breaker"] == ["breaker"], (
        "nobody is woken for it"
    )


def test_whoever_goes_back_to_the_platforms_server_is_not_told_that_theirs_works(company: Company) -> None:
    refuse(own_server(company))
    alerts.look(NOW)
    relays.remove(actor=Actor.command("test"), company=company)
    alerts.look(at(minutes=1))
    assert told() == ["closed"] and staff_told()[-1] == ([], ["own_relay"])


def test_the_mail_arrives_by_the_platforms_server_from_the_first_refusal_on(settings: Any, company: Company) -> None:
    settings.IPN_ALLOW_PRIVATE_NETWORKS = True
    with odd_server(settings) as own:
        own_server(company, host="127.0.0.1", port=own.port, security="none")
        own.replies["MAIL"] = REPLY
        with SmtpServer() as platform:
            settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", platform.port
            DeliveryFactory(event__company=company, company=company, shop=None, address="buyer@x.example")
            for _n in range(OPENS_AFTER):
                Delivery.objects.filter(status="retry").update(retry_at=None)
                loop.deliver_until_idle()
            assert Breaker.objects.get().opened_at is not None
            alerts.look(NOW)
            loop.deliver_until_idle()
            (mail,) = platform.to(MANAGER)
            assert mail.message["X-BOM-Notification"] == "account_security"
            assert "refuse nos messages" in mail.message["Subject"]
            assert REPLY in mail.text and f"127.0.0.1:{own.port}" in mail.text and "attendent" in mail.text
            (staff,) = platform.to("astreinte@platform.example")
            assert "lumiere" in staff.text and "own_relay" in staff.message["Subject"]
            own.replies.pop("MAIL")
            Delivery.objects.filter(status="retry").update(retry_at=None)
            loop.deliver_until_idle()
            alerts.look(at(hours=1))
            loop.deliver_until_idle()
            assert "accepte de nouveau" in platform.to(MANAGER)[-1].message["Subject"]


@pytest.mark.parametrize(("role", "may_mend"), [(Role.ADMINISTRATOR, True), (Role.VIEWER, False)])
@pytest.mark.parametrize("falls_back", [True, False])
def test_the_home_page_says_it_as_long_as_it_lasts(
    company: Company, client_for: Callable[[User], Client], role: str, may_mend: bool, falls_back: bool
) -> None:
    client = client_for(UserFactory(company=company, role=role))
    relay = own_server(company, falls_back=falls_back)
    words = "Votre serveur d'envoi refuse nos messages"
    refuse(own_server(CompanyFactory()))
    assert words not in client.get("/").content.decode()
    refuse(relay)
    page = client.get("/").content.decode()
    assert (
        words in page
        and ("partent entre-temps" in page) is falls_back
        and ("aucun n'est perdu" in page) is not falls_back
    )
    assert ('href="/settings/company/mail-server/"' in page.split(words)[1].split("</div></div>")[0]) is may_mend
    Breaker.objects.all().delete()
    assert words not in client.get("/").content.decode()
