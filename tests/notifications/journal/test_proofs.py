"""What a message of the company says is read by those who see all that it names; the others have its line."""

from collections.abc import Callable
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from companies.audit import Actor
from companies.models import Company, Membership, Role, User
from companies.rights.permissions import MANAGE_USERS, RESEND, VIEW
from notifications.checks.findings import Finding
from notifications.consistency import reports as consistency_reports
from notifications.journal import proofs
from notifications.models import Attachment, ConsistencyReport, Delivery, Event, Message
from shops.models import Shop
from tests.factories import (
    ContractFactory,
    DeliveryFactory,
    ShopKeyFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
TEAM = Actor.command("test")
HIDDEN = "il nomme des boutiques ou des comptes que vous ne voyez pas"


def the_report(company: Company) -> Delivery:
    consistency_reports.report_run(company=company, actor=TEAM, force=True)
    return Delivery.objects.filter(notification="consistency_report").latest("created_at")


def texts(client: Client, delivery: Delivery) -> tuple[str, int, int]:
    """The page, the status of the HTML alone, that of « Renvoyer »."""
    base = f"/notifications/journal/{delivery.pk}/"
    page = unescape(client.get(base).content.decode())
    return page, client.get(f"{base}html/").status_code, client.get(f"{base}resend/").status_code


def test_a_report_that_names_a_hidden_shop_is_a_line_without_content(
    company: Company, lyon: Shop, paris: Shop, client_for: Callable[..., Client]
) -> None:
    """Both shops have no test key, which the mail says of each by name."""
    delivery = the_report(company)
    page, html, resend = texts(client_for(UserFactory(company=company)), delivery)
    assert "Lumière Paris" in page and HIDDEN not in page and (html, resend) == (200, 200)
    client = client_for(UserFactory(company=company, role=Role.MANAGER, shops=[lyon]))
    page, html, resend = texts(client, delivery)
    assert "Lumière Paris" not in page and HIDDEN in page and (html, resend) == (404, 403)
    assert str(delivery.pk) in client.get("/notifications/journal/").content.decode()
    for action in ("resend", "cancel"):
        assert client.post(f"/notifications/journal/{delivery.pk}/{action}/").status_code == 403
    assert Delivery.objects.filter(notification="consistency_report").count() == 1
    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.QUEUED
    file = Attachment.objects.create(
        message=delivery.message, name="a.pdf", content_type="application/pdf", content=b"%PDF", size=4
    )
    Message.objects.filter(pk=delivery.message_id).update(has_attachments=True)
    assert client.get(f"/notifications/journal/{delivery.pk}/attachments/{file.pk}/").status_code == 404


def test_a_report_that_names_only_what_a_reader_sees_is_read(
    company: Company, lyon: Shop, paris: Shop, client_for: Callable[..., Client]
) -> None:
    UserFactory(company=company)
    company.incident_emails = ["astreinte@mienne.example"]
    company.save()
    ShopKeyFactory(shop=paris)
    delivery = the_report(company)
    page, html, resend = texts(client_for(UserFactory(company=company, role=Role.MANAGER, shops=[lyon])), delivery)
    assert HIDDEN not in page and (html, resend) == (200, 200)


def test_accounts_in_a_report_are_for_those_who_manage_users(company: Company) -> None:
    UserFactory(company=company, email="pas une adresse", login="bernard")
    delivery = the_report(company)
    assert delivery.message and "bernard" in delivery.message.text
    everywhere = UserFactory(company=company, role=Role.MANAGER)
    assert not proofs.may_read(member(everywhere), delivery)
    Membership.objects.filter(user=everywhere).update(permissions=frozenset({VIEW, MANAGE_USERS}))
    assert proofs.may_read(member(everywhere), delivery)


def test_a_report_whose_findings_are_gone_is_read_by_those_who_see_everything(company: Company, paris: Shop) -> None:
    delivery = the_report(company)
    Event.objects.filter(pk=delivery.event_id).update(data={})
    delivery = Delivery.objects.select_related("event", "message").get(pk=delivery.pk)
    assert proofs.may_read(member(UserFactory(company=company)), delivery)
    assert not proofs.may_read(member(UserFactory(company=company, role=Role.VIEWER)), delivery)


def member(user: User) -> Membership:
    return Membership.objects.get(user=user)


@pytest.mark.parametrize(
    ("text", "read"), [("La boutique Lumière Paris", False), ("10000001", False), ("Lumière Lyon 10000002", True)]
)
def test_any_other_message_of_the_company_is_searched_for_hidden_shops(
    text: str, read: bool, company: Company, lyon: Shop, paris: Shop
) -> None:
    event = Event.objects.create(
        company=company, event_id="e-1", type="account.locked", mode="PRODUCTION", occurred_at=timezone.now()
    )
    delivery = DeliveryFactory(event=event, notification="address_check", message__text=text)
    assert proofs.may_read(member(UserFactory(company=company, role=Role.VIEWER, shops=[lyon])), delivery) is read
    assert proofs.may_read(member(UserFactory(company=company, role=Role.VIEWER)), delivery)
    # What the platform writes to all companies says nothing of any.
    delivery.notification = "platform_incident"
    assert proofs.may_read(member(UserFactory(company=company, role=Role.VIEWER, shops=[lyon])), delivery)


def test_a_contract_of_two_shops_does_not_name_the_hidden_one(company: Company, lyon: Shop, paris: Shop) -> None:
    for shop in (paris, lyon):
        ContractFactory(shop=shop, number="5785350", network="CB")
    report = consistency_reports.report_run(company=company, actor=TEAM).report
    limited = member(UserFactory(company=company, role=Role.MANAGER, shops=[lyon]))
    whole = member(UserFactory(company=company))

    def sentences(reader: Membership) -> list[str]:
        found = consistency_reports.visible(consistency_reports.findings_of(report), reader)
        lines = consistency_reports.lines(found, reader)
        return [line.sentence for line in lines if line.finding.code == "contract_in_two_shops"]

    assert sentences(whole) == [
        "Ce contrat sert aussi à la boutique « Lumière Paris » : leurs remises se confondent à la banque."
    ]
    assert sentences(limited) == [
        "Ce contrat sert aussi à une autre boutique de la société : leurs remises se confondent à la banque."
    ]


def test_an_address_that_bounces_is_told_to_those_who_see_where_it_is_configured(
    company: Company, lyon: Shop, paris: Shop
) -> None:
    Shop.objects.filter(pk=lyon.pk).update(manager_email="lyon@lumiere.example")
    limited = member(UserFactory(company=company, role=Role.VIEWER, shops=[lyon]))

    def told(address: str, reader: Membership) -> bool:
        found = Finding("address_bounces", "error", "company", params={"address": address})
        return bool(consistency_reports.visible([found], reader))

    assert [told(f"{name}@lumiere.example", limited) for name in ("LYON", "paris")] == [True, False]
    assert told("paris@lumiere.example", member(UserFactory(company=company)))


def test_the_history_of_reports_costs_the_same_for_few_and_for_many(
    company: Company, lyon: Shop, paris: Shop, client_for: Callable[..., Client]
) -> None:
    """What a limited reader sees of accounts and addresses is read once, not for each report."""
    user = UserFactory(company=company, role=Role.VIEWER, shops=[lyon])
    Membership.objects.filter(user=user).update(permissions=frozenset({VIEW, MANAGE_USERS}))
    client = client_for(user)

    def another(number: int) -> None:
        address = {"address": f"{number}@mienne.example"}
        found = [
            Finding("address_bounces", "error", "company", params=address),
            Finding("account_address_invalid", "error", "account", account=f"compte{number}", params=address),
        ]
        ConsistencyReport.objects.create(
            company=company,
            checked_at=timezone.now(),
            last_checked_at=timezone.now(),
            findings=[finding.as_json() for finding in found],
            error_count=2,
            warning_count=0,
            digest=str(number),
            errors_digest=str(number),
        )

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/reports/consistency/").status_code == 200
        return len(queries)

    for number in range(3):
        another(number)
    cost()
    before = cost()
    for number in range(3, 9):
        another(number)
    assert cost() == before


def test_the_page_by_notification_says_nothing_of_accounts_to_whoever_may_not_know_them(
    company: Company, client_for: Callable[..., Client]
) -> None:
    """A section without lines would say that nobody is told."""
    viewer = client_for(UserFactory(company=company, role=Role.VIEWER)).get("/notifications/by-notification/")
    boss = client_for(UserFactory(company=company)).get("/notifications/by-notification/")
    assert [b'id="user_account"' in answer.content for answer in (viewer, boss)] == [False, True]


def test_resending_a_message_of_a_shop_asks_for_the_right_there_only(
    company: Company, lyon: Shop, client_for: Callable[..., Client]
) -> None:
    user = UserFactory(company=company, role=Role.VIEWER, shops=[], grants={lyon: {VIEW, RESEND}})
    delivery = DeliveryFactory(event__shop=lyon, status=Delivery.Status.SENT)
    assert client_for(user).get(f"/notifications/journal/{delivery.pk}/resend/").status_code == 200
