"""« Voir comme »: the team sees what a merchant sees, writes nothing, and the merchant is told."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.utils import timezone

from companies.accounts import view_as
from companies.models import AuditEntry, Company, Role, User
from shops.models import Shop
from tests.factories import CompanyFactory, ShopKeyFactory, StaffFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _has_a_key(paris: Shop) -> None:
    ShopKeyFactory(shop=paris)


@pytest.fixture
def staff(ines: User, client_for: Callable[..., Client]) -> Client:
    return client_for(ines, fresh=True)


def begin(client: Client, claire: User) -> Any:
    return client.post(f"/admin/companies/user/{claire.pk}/view-as/", {"reason": "demande 4711"})


def test_the_team_sees_the_merchants_pages_under_a_banner(staff: Client, claire: User) -> None:
    assert staff.get("/settings/company/").status_code == 404
    assert begin(staff, claire).status_code == 302
    for page in ("/", "/settings/company/", "/notifications/journal/", "/settings/shops/10000001/configuration/"):
        said = staff.get(page).content.decode()
        assert "vous voyez comme <strong>claire</strong>" in said and "Inès Roche" in said
        assert "Maison Lumière" in said


def test_nothing_can_be_written_nor_any_secret_seen(staff: Client, claire: User) -> None:
    begin(staff, claire)
    before = Company.objects.get().version
    for page in ("/settings/company/", "/settings/company/swap/", "/company/", "/settings/shops/new/"):
        assert staff.post(page, {"company-name": "Autre"}).status_code == 403
    for method in (staff.put, staff.patch, staff.delete, staff.options):
        assert method("/settings/company/").status_code == 405
    for page in (
        "/account/",
        "/account/sessions/",
        "/accounts/mfa/",
        "/accounts/password/change/",
        "/settings/shops/10000001/keys/",
        "/settings/shops/10000001/keys/test/show/",
        "/settings/shops/keys/",
    ):
        assert staff.get(page).status_code == 403, page
    assert Company.objects.get().version == before


def test_the_database_itself_refuses_writes_meanwhile(claire: User) -> None:
    with connection.execute_wrapper(view_as._refuse_writes):
        assert User.objects.filter(pk=claire.pk).exists()
        for write in (
            lambda: User.objects.update(first_name="x"),
            lambda: CompanyFactory(),
            lambda: AuditEntry.objects.all().delete() and User.objects.all()._raw_delete("default"),
        ):
            with pytest.raises(PermissionDenied):
                write()


def test_start_and_end_are_told_to_the_company(staff: Client, claire: User) -> None:
    begin(staff, claire)
    assert staff.post("/view-as/stop/").headers["Location"] == f"/admin/companies/user/{claire.pk}/change/"
    started, ended = AuditEntry.objects.order_by("pk")
    assert (started.action, ended.action) == ("user.viewed_as", "user.view_as_ended")
    assert started.company == claire.company and started.actor_label == "Inès Roche"
    assert started.changes == {"reason": [None, "demande 4711"]}
    assert staff.get("/settings/company/").status_code == 404


def test_without_a_reason_nothing_begins(staff: Client, claire: User) -> None:
    assert staff.post(f"/admin/companies/user/{claire.pk}/view-as/", {"reason": " "}).status_code == 200
    assert not AuditEntry.objects.exists() and staff.get("/settings/company/").status_code == 404


def test_it_ends_by_itself_after_thirty_minutes(staff: Client, claire: User, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(staff, claire)
    now = timezone.now()
    monkeypatch.setattr(view_as.timezone, "now", lambda: now + view_as.LASTS - timedelta(seconds=5))
    assert staff.get("/settings/company/").status_code == 200
    monkeypatch.setattr(view_as.timezone, "now", lambda: now + view_as.LASTS + timedelta(seconds=5))
    assert staff.get("/settings/company/").headers["Location"] == "/admin/"
    monkeypatch.undo()
    assert AuditEntry.objects.filter(action="user.view_as_ended").count() == 1


def test_it_ends_with_the_rights_of_either(staff: Client, claire: User) -> None:
    begin(staff, claire)
    User.objects.filter(pk=claire.pk).update(is_active=False)
    assert staff.get("/settings/company/").status_code == 302
    assert staff.get("/settings/company/").status_code == 404


def test_the_admin_stays_that_of_the_person_who_is_there(staff: Client, claire: User) -> None:
    begin(staff, claire)
    assert "Inès" in staff.get("/admin/").content.decode()


@pytest.mark.parametrize("kind", ["staff", "inactive", "no company"])
def test_nobody_sees_as_the_team_or_as_nobody(kind: str, staff: Client) -> None:
    found = {
        "staff": lambda: StaffFactory(),
        "inactive": lambda: UserFactory(is_active=False),
        "no company": lambda: UserFactory(company=None),
    }[kind]()
    assert begin(staff, found).status_code == 403


def test_merchants_and_team_members_without_the_right_see_as_nobody(
    client_for: Callable[..., Client], claire: User
) -> None:
    merchant = client_for(UserFactory(company=claire.company, role=Role.ADMINISTRATOR))
    assert begin(merchant, claire).headers["Location"].startswith("/admin/login/")
    assert not AuditEntry.objects.exists()
    assert begin(client_for(StaffFactory(is_superuser=False)), claire).status_code == 403
    session = merchant.session
    session[view_as.SESSION_KEY] = {"user": claire.pk, "until": (timezone.now() + timedelta(hours=1)).isoformat()}
    session.save()
    assert merchant.get("/settings/company/").headers["Location"] == "/admin/"
