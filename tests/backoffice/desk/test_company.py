"""A company at a glance: who and what it has, how its sending stands, each with the list behind it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backoffice.desk import company as glance
from companies.models import Company, Role, User
from notifications.models import AddressHealth, CallHealth, Delivery, Hold
from shops.models import Shop
from tests import factories

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


@pytest.fixture
def staff(client_for: ClientFor) -> Client:
    return client_for(factories.StaffFactory())


def url(company: Company) -> str:
    return f"/admin/companies/company/{company.pk}/change/"


def fill(shop: Shop, number: int) -> None:
    for count in range(number):
        event = factories.EventFactory(shop=shop)
        for status in ("sent", "dead", "queued"):
            factories.DeliveryFactory(event=event, status=status)
        factories.PaymentOrderFactory(shop=shop)
        factories.BillingDocumentFactory(shop=shop)
        rule = factories.NotificationRuleFactory(shop=shop)
        CallHealth.objects.create(rule=rule, mode="TEST", failing_since=timezone.now())
        factories.UserFactory(company=shop.company, role=Role.VIEWER)
        factories.SftpAccountFactory(company=shop.company)
        factories.ApiTokenFactory(company=shop.company)
        state = ("suppressed", "bouncing", "verified")[count % 3]
        AddressHealth.objects.create(company=shop.company, normalised_address=f"a{rule.pk}@x.example", state=state)
        Hold.objects.get_or_create(company=shop.company, channel=("email", "ipn", "")[count % 3])


def test_each_figure_is_that_of_the_list_behind_it(staff: Client, paris: Shop, claire: User) -> None:
    fill(paris, 3)
    stranger = factories.ShopFactory()
    fill(stranger, 1)
    factories.DeliveryFactory(event__shop=paris, status="queued", created_at=timezone.now() - timedelta(hours=1))
    shown = staff.get(url(paris.company)).context["glance"]

    figures = [*shown["sending_figures"], *shown["figures"], *shown["health"]]
    assert len(figures) >= 14
    for figure in figures:
        listed = staff.get(figure.url)
        assert listed.context["cl"].result_count == int(figure.text), figure
    assert {figure.label: figure.text for figure in shown["sending_figures"]} == {
        "en 30 jours": "10", "pas encore terminés": "4", "en retard": "1", "abandonnés en 30 jours": "3",
    }  # fmt: skip
    logins = {account.login for account in shown["accounts"]}
    assert logins == {claire.login, *User.objects.filter(company=paris.company).values_list("login", flat=True)}
    assert staff.get(shown["accounts_url"]).context["cl"].result_count == len(logins)
    for account in shown["accounts"]:
        assert staff.get(account.view_as).status_code == 200
    for trouble in shown["troubles"]:
        assert staff.get(trouble.url).status_code == 200


def test_what_keeps_sending_back_is_said(staff: Client, paris: Shop) -> None:
    company = paris.company
    assert "Rien n'est retenu" in staff.get(url(company)).content.decode()
    Hold.objects.create(company=company, reason="Litige")
    Company.objects.filter(pk=company.pk).update(status="suspended")
    text = staff.get(url(company)).content.decode()
    assert "Litige" in text and "Société suspendue : seuls partent" in text and "Rien n'est retenu" not in text


def test_it_costs_the_same_for_a_company_with_much(staff: Client, paris: Shop, lyon: Shop, claire: User) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert staff.get(url(paris.company)).status_code == 200
        return len(captured)

    fill(paris, 1)
    # What a process reads once belongs to no page.
    statements()
    few = statements()
    fill(lyon, 2)
    fill(paris, 0)
    Delivery.objects.filter(status="dead").update(error="550 5.1.1 unknown")
    assert statements() == few


def test_many_shops_are_covered_when_asked(staff: Client, paris: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glance, "MANY_SHOPS", 0)
    page = staff.get(url(paris.company))
    assert page.context["glance"]["covered"] is None
    covered = staff.get(page.context["glance"]["coverage_url"]).context["glance"]["covered"]
    assert 0 <= covered.score <= 100


def test_a_reader_of_companies_alone_sees_no_part_of_other_kinds(client_for: ClientFor, paris: Shop) -> None:
    fill(paris, 1)
    user = factories.StaffFactory(is_superuser=False)
    user.user_permissions.set(Permission.objects.filter(codename="view_company"))
    shown = client_for(user).get(url(paris.company)).context["glance"]
    assert (shown["sending_figures"], shown["figures"], shown["accounts"], shown["health"], shown["troubles"]) == (
        [], [], [], [], [],
    )  # fmt: skip
