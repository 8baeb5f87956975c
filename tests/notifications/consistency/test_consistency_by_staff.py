"""Staff run the checks on chosen companies: a few at once, many by the worker, after a question."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from companies.models import AuditEntry, Company, Status, User
from notifications.broadcasts import mass_mail
from notifications.consistency import reports as consistency_reports
from notifications.models import ConsistencyReport, ConsistencySchedule, Delivery
from tests.factories import CompanyFactory, StaffFactory

pytestmark = pytest.mark.django_db
LIST = "/admin/companies/company/"


@pytest.fixture
def staff(client_for: Callable[[User], Client]) -> Client:
    return client_for(StaffFactory(language="fr"))


def ask(client: Client, *companies: Company, **more: Any) -> Any:
    keys = [company.pk for company in companies]
    return client.post(LIST, {"action": "check_settings", "_selected_action": keys, **more}, follow=True)


def test_a_few_companies_are_checked_at_once_and_their_contacts_told(staff: Client) -> None:
    # No incident address: an error.
    wrong, right = CompanyFactory(incident_emails=[]), CompanyFactory(incident_emails=[])
    closed = CompanyFactory(status=Status.CLOSED, incident_emails=[])
    assert "2 sociétés sont vérifiées." in ask(staff, wrong, right, closed).text
    assert set(ConsistencyReport.objects.values_list("company", flat=True)) == {wrong.pk, right.pk}
    told = Delivery.objects.filter(notification="consistency_report").values_list("address", flat=True)
    assert sorted(told) == sorted(company.manager_contact.email for company in (wrong, right))
    assert AuditEntry.objects.filter(action="consistency.checked").count() == 2


def test_only_companies_that_are_not_active_are_left_alone(staff: Client) -> None:
    page = ask(staff, CompanyFactory(status=Status.SUSPENDED))
    assert "rien n'est vérifié" in page.text.replace("&#x27;", "'")
    assert not ConsistencyReport.objects.exists()


def test_more_than_a_hundred_are_asked_about_then_left_to_the_worker(staff: Client) -> None:
    companies = CompanyFactory.create_batch(101, incident_emails=[])
    page = ask(staff, *companies)
    assert "<strong>101 adresses</strong>" in page.text and "est un maximum" in page.text
    assert companies[0].manager_contact.email in page.text
    assert not ConsistencySchedule.objects.exists() and not ConsistencyReport.objects.exists()
    page = ask(staff, *companies, **{mass_mail.FIELD: "101"})
    assert "101 sociétés vont être vérifiées dans les minutes qui viennent." in page.text
    assert not ConsistencyReport.objects.exists()
    assert AuditEntry.objects.filter(action="consistency.asked").count() == 101
    for _minute in range(6):
        consistency_reports.tick(timezone.now())
    assert ConsistencyReport.objects.count() == 101
    assert Delivery.objects.filter(notification="consistency_report").count() == 101


def test_who_may_not_change_companies_has_no_such_action(client_for: Callable[[User], Client]) -> None:
    reader = StaffFactory(is_superuser=False)
    reader.user_permissions.add(Permission.objects.get(codename="view_company"))
    company = CompanyFactory(incident_emails=[])
    ask(client_for(reader), company)
    assert not ConsistencyReport.objects.exists()
