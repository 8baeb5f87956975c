"""Runs of the checks: what is kept, what is mailed and what is not, the schedule, the command, the page."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from companies.audit import Actor
from companies.models import AuditEntry, Company, Role, Status, User
from notifications.consistency import reports as consistency_reports
from notifications.consistency.reports import next_morning, report_run, tick
from notifications.events import hooks
from notifications.mail import emails
from notifications.models import CallHealth, ConsistencyReport, ConsistencySchedule, Delivery, Event
from notifications.outbox.tally import Tally
from notifications.settings_facts.checked import checked_facts
from notifications.worker import loop
from shops.models import Shop
from tests.factories import (
    CompanyFactory,
    ContractFactory,
    DeliveryFactory,
    EventFactory,
    MembershipFactory,
    NotificationRuleFactory,
    SftpAccountFactory,
    ShopFactory,
    ShopKeyFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
OPERATOR = Actor.command("test")
PAGE = "/reports/consistency/"
INCIDENTS = ["astreinte@lumiere.example", "claire@lumiere.example"]


@pytest.fixture(autouse=True)
def _in_order(company: Company, paris: Shop, claire: User, paul: User) -> None:
    """A company in order, with one shop in production."""
    company.contacts.filter(kind="technical").delete()
    Company.objects.filter(pk=company.pk).update(
        registration_number="732829320", address="1 rue de la Paix", incident_emails=INCIDENTS
    )
    company.refresh_from_db()
    UserFactory(company=company, login="astreinte", email="astreinte@lumiere.example")
    company.users.update(last_login=timezone.now())
    Shop.objects.filter(pk=paris.pk).update(url="https://lumiere.example", manager_email="paul@lumiere.example")
    ContractFactory(shop=paris, three_d_secure=True)
    for kind in ("test", "production"):
        ShopKeyFactory(shop=paris, kind=kind)
    NotificationRuleFactory(
        shop=paris, ipn=True, reference="ipn-end", recipients=["@shop_manager", "claire@lumiere.example"]
    )


def run(company: Company, **fields: Any) -> consistency_reports.Run:
    return report_run(company=company, actor=OPERATOR, **fields)


def codes(report: ConsistencyReport) -> list[str]:
    return [item["code"] for item in report.findings]


def break_incidents(company: Company) -> None:
    Company.objects.filter(pk=company.pk).update(incident_emails=[])
    company.refresh_from_db()


def mend_incidents(company: Company) -> None:
    Company.objects.filter(pk=company.pk).update(incident_emails=INCIDENTS)
    company.refresh_from_db()


def mails() -> list[Delivery]:
    return list(Delivery.objects.filter(notification="consistency_report").order_by("created_at"))


# --- Facts ----------------------------------------------------------------------------------------


def test_a_company_in_order_has_nothing_to_correct(company: Company) -> None:
    assert codes(run(company).report) == []


def test_everything_that_is_stored_badly_is_found(company: Company) -> None:
    now = timezone.now()
    shop = company.shops.get()
    rule = shop.rules.get()
    CallHealth.objects.create(rule=rule, mode="PRODUCTION", failing_since=now - timedelta(hours=49))
    type(rule).objects.filter(pk=rule.pk).update(
        recipients=["casse@", "ancien@lumiere.example"], url_test="https://user:pw@lumiere.example/x"
    )
    UserFactory(company=company, login="ancien", email="Ancien@lumiere.example", is_active=False)
    account = SftpAccountFactory(company=company, unrevealed_password="secret")
    type(account).objects.filter(pk=account.pk).update(created_at=now - timedelta(days=8))
    Company.objects.filter(pk=company.pk).update(
        time_zone="Europe/Atlantis", incident_emails=["x@refuse.example", *INCIDENTS]
    )
    company.refresh_from_db()
    DeliveryFactory(event=EventFactory(shop=shop), address="x@refuse.example", status=Delivery.Status.DEAD)
    assert sorted(codes(run(company).report)) == [
        "address_bounces",
        "address_without_owner",
        "calls_failing",
        "recipient_invalid",
        "recipient_of_disabled_user",
        "sftp_password_never_shown",
        "time_zone_unknown",
        "url_refused",
    ]


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"status": Delivery.Status.DEAD}, True),
        ({"status": Delivery.Status.DEAD, "is_test": True}, False),
        ({"status": Delivery.Status.DEAD, "created_at": timezone.now() - timedelta(days=31)}, False),
        ({"status": Delivery.Status.SENT}, False),
        ({"status": Delivery.Status.RETRY}, False),
    ],
)
def test_an_address_bounces_when_recent_mail_was_refused(company: Company, fields: dict[str, Any], found: bool) -> None:
    event = EventFactory(shop=company.shops.get())
    DeliveryFactory(event=event, address="Astreinte@lumiere.example", **fields)
    assert ("address_bounces" in codes(run(company).report)) is found


def test_one_message_that_arrived_clears_an_address(company: Company) -> None:
    event = EventFactory(shop=company.shops.get())
    for status in (Delivery.Status.DEAD, Delivery.Status.SENT):
        DeliveryFactory(event=event, address="astreinte@lumiere.example", status=status)
    assert codes(run(company).report) == []


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.CLOSED])
def test_shops_that_rest_are_left_out(company: Company, status: str) -> None:
    ShopFactory(company=company, url="", status=status)
    assert codes(run(company).report) == []


def test_an_administrator_of_another_company_counts(company: Company) -> None:
    company.users.exclude(login="claire").update(is_active=False)
    assert "one_administrator" in codes(run(company).report)
    MembershipFactory(company=company, user=UserFactory(last_login=timezone.now()))
    assert "one_administrator" not in codes(run(company).report)


def test_the_number_of_queries_does_not_grow_with_shops_and_rules(company: Company) -> None:
    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            checked_facts(company, timezone.now())
        return len(found)

    before = count()
    for _number in range(5):
        shop = ShopFactory(company=company)
        ContractFactory(shop=shop)
        ShopKeyFactory(shop=shop)
        NotificationRuleFactory(shop=shop, ipn=True)
        UserFactory(company=company)
        SftpAccountFactory(company=company)
    assert count() == before


# --- What is kept and told ------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_errors_are_mailed_once_to_the_company_manager(company: Company, smtp_server: Any) -> None:
    break_incidents(company)
    first = run(company)
    second = run(company, now=timezone.now() + timedelta(days=1))
    assert (first.published, second.published) == (True, False)
    assert first.report == second.report
    assert second.report.last_checked_at > second.report.checked_at
    assert str(loop.deliver_until_idle()) == "sent=1 retry=0 dead=0"
    (received,) = smtp_server.received
    assert received.rcpt_tos == ("claire@lumiere.example",)
    mail = received.message
    assert mail["X-BOM-Notification"] == "consistency_report"
    assert mail["X-BOM-Shop"] is None
    assert mail["Subject"] == "Rapport de consistance, Maison Lumière : 1 erreur à corriger"
    text = received.text
    assert "Aucun e-mail de contact en cas d'incident n'est renseigné" in text
    assert "/reports/consistency/" in text


def test_force_mails_again_and_only_errors(company: Company) -> None:
    assert not run(company, force=True).published
    break_incidents(company)
    assert run(company).published
    assert run(company, force=True).published
    assert len(mails()) == 2


def test_warnings_alone_are_kept_and_not_mailed(company: Company) -> None:
    Company.objects.filter(pk=company.pk).update(address="")
    company.refresh_from_db()
    done = run(company)
    assert (done.published, done.report.error_count, done.report.warning_count) == (False, 0, 1)
    assert Event.objects.count() == 0


def test_a_new_warning_makes_a_report_and_no_second_mail_of_the_same_errors(company: Company) -> None:
    break_incidents(company)
    run(company)
    Company.objects.filter(pk=company.pk).update(address="")
    company.refresh_from_db()
    assert not run(company).published
    assert ConsistencyReport.objects.count() == 2
    assert len(mails()) == 1


def test_an_error_that_comes_back_is_mailed_again(company: Company) -> None:
    break_incidents(company)
    run(company)
    mend_incidents(company)
    assert not run(company).published
    break_incidents(company)
    assert run(company).published
    assert [report.error_count for report in consistency_reports.reports(company)] == [1, 0, 1]


def test_other_errors_are_mailed(company: Company) -> None:
    break_incidents(company)
    run(company)
    company.shops.get().contracts.all().delete()
    assert run(company).published


def test_values_that_grow_do_not_make_a_report(company: Company) -> None:
    now = timezone.now()
    CallHealth.objects.create(rule=company.shops.get().rules.get(), mode="TEST", failing_since=now - timedelta(days=2))
    run(company, now=now)
    report = run(company, now=now + timedelta(days=1)).report
    assert ConsistencyReport.objects.count() == 1
    assert report.findings[0]["params"]["days"] == 3


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.CLOSED])
def test_a_company_that_rests_is_not_told(company: Company, status: str) -> None:
    break_incidents(company)
    Company.objects.filter(pk=company.pk).update(status=status)
    company.refresh_from_db()
    done = run(company)
    assert (done.published, done.report.error_count, done.report.told_at) == (False, 1, None)
    # Back in service, it is.
    Company.objects.filter(pk=company.pk).update(status=Status.ACTIVE)
    company.refresh_from_db()
    assert run(company).published


def test_the_mail_is_in_the_language_of_the_company(company: Company) -> None:
    Company.objects.filter(pk=company.pk).update(language="en", incident_emails=[])
    company.refresh_from_db()
    run(company)
    delivery = mails()[0]
    assert delivery.message.subject == "Consistency report, Maison Lumière: 1 error to correct"
    assert "nobody" in emails.filled(delivery, "")[0].lower()


def test_many_errors_are_counted_after_the_first_dozen(company: Company) -> None:
    shop = company.shops.get()
    for number in range(14):
        NotificationRuleFactory(
            shop=shop,
            ipn=True,
            reference=f"r-{number}",
            label=f"R{number}",
            url_production="",
            triggers=["capture.sent"],
            url_test=f"https://t.example/{number}",
        )
    run(company)
    text = emails.filled(mails()[0], "")[0]
    assert text.count("aucune URL n'est appelée") == 12
    assert "Et 2 autres erreurs, sur la page." in text


# --- Schedule -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "now", "due"),
    [
        ("Europe/Paris", "2026-11-24T04:59:00", "2026-11-24T05:00:00"),
        ("Europe/Paris", "2026-11-24T05:00:00", "2026-11-25T05:00:00"),
        ("Europe/Paris", "2026-07-01T03:00:00", "2026-07-01T04:00:00"),
        ("America/Toronto", "2026-11-24T05:30:00", "2026-11-24T11:00:00"),
        ("Europe/Atlantis", "2026-11-24T05:30:00", "2026-11-24T06:00:00"),
    ],
)
def test_the_morning_is_the_companys_own(zone: str, now: str, due: str) -> None:
    company = Company(time_zone=zone)
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert next_morning(company, moment) == datetime.fromisoformat(due).replace(tzinfo=UTC)


def test_the_worker_checks_once_a_morning(company: Company) -> None:
    break_incidents(company)
    evening = datetime(2026, 11, 24, 20, tzinfo=UTC)
    tick(evening)
    tick(datetime(2026, 11, 25, 4, 59, tzinfo=UTC))
    assert ConsistencyReport.objects.count() == 0
    tick(datetime(2026, 11, 25, 5, 0, tzinfo=UTC))
    assert (ConsistencyReport.objects.count(), len(mails())) == (1, 1)
    mend_incidents(company)
    tick(datetime(2026, 11, 25, 5, 1, tzinfo=UTC))
    assert ConsistencyReport.objects.count() == 1
    # Three mornings were slept over: one run makes up for them.
    tick(datetime(2026, 11, 28, 9, 0, tzinfo=UTC))
    assert ConsistencyReport.objects.count() == 2
    assert ConsistencySchedule.objects.get().due_at == datetime(2026, 11, 29, 5, 0, tzinfo=UTC)


def test_the_worker_leaves_suspended_companies_alone(company: Company) -> None:
    tick(datetime(2026, 11, 24, 20, tzinfo=UTC))
    Company.objects.filter(pk=company.pk).update(status=Status.SUSPENDED)
    tick(datetime(2026, 11, 25, 6, tzinfo=UTC))
    assert ConsistencyReport.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_keeps_running_follows_the_schedule_and_a_single_run_starts_nothing(company: Company) -> None:
    break_incidents(company)
    later = timezone.now() + timedelta(days=2)
    for moment in (timezone.now(), later):
        call_command("deliver", "--once", "--at", moment.isoformat())
    assert mails() == []
    for moment in (timezone.now(), later):
        hooks.tick(moment, routines=True)
        loop.deliver_mail(Tally(), lambda moment=moment: moment)
    assert [delivery.status for delivery in mails()] == [Delivery.Status.SENT]


# --- Command --------------------------------------------------------------------------------------


def test_the_command_counts_companies_errors_and_mails(company: Company, capsys: Any) -> None:
    break_incidents(company)
    CompanyFactory(reference="fermee", status=Status.CLOSED)
    call_command("consistency_reports")
    assert capsys.readouterr().out == "companies=1 errors=1 published=1\n"
    call_command("consistency_reports")
    assert capsys.readouterr().out == "companies=1 errors=1 published=0\n"
    call_command("consistency_reports", "lumiere", "--force")
    assert capsys.readouterr().out == "companies=1 errors=1 published=1\n"


def test_the_command_refuses_an_unknown_company() -> None:
    with pytest.raises(CommandError, match="inconnue-1"):
        call_command("consistency_reports", "inconnue-1")


# --- Page -----------------------------------------------------------------------------------------

Log = Callable[..., Client]


def test_the_page_leads_to_where_each_thing_is_corrected(company: Company, client_for: Log) -> None:
    break_incidents(company)
    company.shops.get().contracts.all().delete()
    run(company)
    html = client_for(company.users.get(login="claire")).get(PAGE).content.decode()
    assert "Aucun e-mail de contact en cas d&#x27;incident" in html
    assert 'class="btn btn-sm btn-outline-primary" href="/settings/company/"' in html
    assert 'class="btn btn-sm btn-outline-primary" href="/settings/shops/10000001/contracts/"' in html


def test_who_may_not_correct_gets_no_link(company: Company, client_for: Log) -> None:
    break_incidents(company)
    run(company)
    viewer = UserFactory(company=company, role=Role.VIEWER)
    html = client_for(viewer).get(PAGE).content.decode()
    assert "Aucun e-mail de contact en cas d&#x27;incident" in html
    assert "btn btn-sm btn-outline-primary" not in html
    assert "/reports/consistency/run/" not in html


def test_findings_of_other_shops_and_of_accounts_stay_hidden(company: Company, client_for: Log) -> None:
    mine = ShopFactory(company=company, site_id="10000002", name="Lyon", url="https://lyon.example")
    ContractFactory(shop=mine, three_d_secure=True, number="77")
    ShopKeyFactory(shop=mine)
    ContractFactory(shop=company.shops.get(site_id="10000001"), number="88")
    ContractFactory(shop=mine, number="99")
    company.users.filter(login="paul").update(email="casse@")
    run(company)
    restricted = UserFactory(company=company, role=Role.MANAGER, shops=[mine])
    html = client_for(restricted).get(PAGE).content.decode()
    assert "99 (CB)" in html
    assert "88 (CB)" not in html
    assert "casse@" not in html
    history = client_for(restricted).get(PAGE, {"format": "csv", "plain": "1"}).getvalue().decode()
    assert "88 (CB)" not in history
    whole = client_for(company.users.get(login="claire")).get(PAGE).content.decode()
    assert "88 (CB)" in whole
    assert "casse@" in whole


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["no_incident_address", "production_without_contract", "no_postal_address"]),
        ({"severity": "warning"}, ["no_postal_address"]),
        ({"scope": "shop"}, ["production_without_contract"]),
        ({"shop": "10000001"}, ["production_without_contract"]),
        ({"q": "SIEGE"}, ["no_postal_address"]),
        ({"severity": "nonsense"}, ["no_incident_address", "production_without_contract", "no_postal_address"]),
        ({"q": "rien de tel"}, []),
    ],
)
def test_filters_of_the_url_narrow_the_findings(
    company: Company, client_for: Log, query: dict[str, str], expected: list[str]
) -> None:
    break_incidents(company)
    Company.objects.filter(pk=company.pk).update(address="")
    company.refresh_from_db()
    company.shops.get().contracts.all().delete()
    run(company)
    client = client_for(company.users.get(login="claire"))
    rows = list(
        csv.DictReader(io.StringIO(client.get(PAGE, {**query, "format": "csv", "plain": "1"}).getvalue().decode()))
    )
    assert [row["code"] for row in rows] == expected


def test_what_was_put_right_is_told_and_the_former_report_stays_readable(company: Company, client_for: Log) -> None:
    break_incidents(company)
    former = run(company, now=timezone.now() - timedelta(days=1)).report
    mend_incidents(company)
    run(company)
    client = client_for(company.users.get(login="claire"))
    html = client.get(PAGE).content.decode()
    assert "Réglé depuis le rapport précédent" in html
    assert "Tout est en ordre" in html
    assert f"?report={former.pk}" in html
    old = client.get(PAGE, {"report": former.pk}).content.decode()
    assert "Voir le rapport en vigueur" in old
    assert "1 erreur" in old


@pytest.mark.parametrize("text", ["0", "x", "-1", "9" * 30])
def test_an_unknown_report_is_not_found(company: Company, client_for: Log, text: str) -> None:
    run(company)
    assert client_for(company.users.get(login="claire")).get(PAGE, {"report": text}).status_code == 404


def test_another_companys_report_is_not_found(company: Company, client_for: Log) -> None:
    report = run(company).report
    assert client_for(UserFactory()).get(PAGE, {"report": report.pk}).status_code == 404


def test_an_administrator_checks_now(company: Company, client_for: Log) -> None:
    break_incidents(company)
    client = client_for(company.users.get(login="claire"))
    assert "Aucune vérification" in client.get(PAGE).content.decode()
    response = client.post(f"{PAGE}run/", follow=True)
    assert "Vérification faite : 1 erreur. Le Contact gestionnaire en est prévenu par e-mail." in response.text
    again = client.post(f"{PAGE}run/", follow=True)
    assert "Le Contact gestionnaire en a déjà été prévenu : pas de nouvel e-mail." in again.text
    assert AuditEntry.objects.filter(action="consistency.checked", company=company).count() == 2


def test_a_formula_in_a_name_is_only_text_in_the_file(company: Company, client_for: Log) -> None:
    company.users.filter(login="paul").update(email="=cmd@")
    ContractFactory(shop=company.shops.get(), number="=1+1")
    run(company)
    content = (
        client_for(company.users.get(login="claire")).get(PAGE, {"format": "csv", "plain": "1"}).getvalue().decode()
    )
    assert "'=1+1 (CB)" in content


def test_the_page_costs_the_same_with_many_findings_and_reports(company: Company, client_for: Log) -> None:
    client = client_for(company.users.get(login="claire"))
    run(company)

    def count() -> int:
        with CaptureQueriesContext(connection) as found:
            client.get(PAGE)
        return len(found)

    count()
    before = count()
    for number in range(4):
        ContractFactory(shop=company.shops.get(), number=f"N{number}")
        run(company, now=timezone.now() + timedelta(minutes=number))
    # One more than the first page: the report that the newest one replaced.
    assert count() <= before + 2
