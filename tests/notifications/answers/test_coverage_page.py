"""« Couverture »: matrix, next fixes, accepted gaps, remarks; who sees and who may do what."""

from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from companies.audit import Actor
from companies.models import AuditEntry, Company, Role
from notifications import settings_facts
from notifications.answers import selectors, services
from notifications.models import AcknowledgedGap, MailRemark
from shops.models import Shop
from tests.factories import (
    MailRemarkFactory,
    NotificationRuleFactory,
    ShopFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
COVERAGE = "/notifications/coverage/"
ACCEPT = f"{COVERAGE}company/platform_incident/accept/"
ACTOR = Actor.command("test")


@pytest.fixture(autouse=True)
def _two_shops_with_addresses(paris: Shop, lyon: Shop) -> None:
    lyon.manager_email = "lyon@lumiere.example"
    lyon.save()


def text(response: Any) -> str:
    assert response.status_code == 200
    return unescape(response.content.decode().replace('<wbr><span class="domain">', ""))


def day(days: int) -> Any:
    return timezone.localdate() + timedelta(days=days)


def score(company: Company) -> int:
    return selectors.coverage_of(company, settings_facts.company_facts(company)).score


def test_the_page_says_its_figure_what_is_missing_and_where_to_start(client_for: ClientFor, company: Company) -> None:
    page = text(client_for(UserFactory(company=company)).get(COVERAGE))
    assert f"Couverture : {score(company)} sur 100" in page
    assert "1 notification en service sur" in page
    assert "Par quoi commencer" in page and "Indiquez une adresse : personne n'est prévenu." in page
    assert f"arrondi : {score(company)}." in page


def test_equal_shops_share_a_column_and_each_cell_leads_to_its_proof(client_for: ClientFor, company: Company) -> None:
    client = client_for(UserFactory(company=company))
    assert "2 boutiques" in text(client.get(COVERAGE))
    NotificationRuleFactory(shop=company.shops.get(site_id="10000002"), ipn=True, recipients=[])
    page = text(client.get(COVERAGE))
    assert "/notifications/why/?notification=ipn_failure&shop=10000002" in page
    assert "Paris" in page and "Lyon" in page


def test_a_viewer_of_one_shop_sees_its_cells_only(client_for: ClientFor, company: Company, shop: Shop) -> None:
    viewer = client_for(UserFactory(company=company, role=Role.VIEWER, shops=[shop]))
    page = text(viewer.get(COVERAGE))
    assert "Paris" in page and "Lyon" not in page and "10000002" not in page
    rows = b"".join(viewer.get(COVERAGE, {"format": "csv"}).streaming_content).decode()
    assert "10000001" in rows and "10000002" not in rows
    assert "Accepter" not in page


def test_queries_do_not_grow_with_shops_or_remarks(client_for: ClientFor, company: Company, shop: Shop) -> None:
    client = client_for(UserFactory(company=company))
    MailRemarkFactory(shop=shop, address="paris@lumiere.example")

    def queries(page: str) -> int:
        with CaptureQueriesContext(connection) as caught:
            text(client.get(page))
        return len(caught)

    queries(COVERAGE), queries("/")
    before = queries(COVERAGE), queries("/")
    for number in range(12):
        other = ShopFactory(company=company, name=f"B{number}", manager_email=f"b{number}@x.example")
        NotificationRuleFactory(shop=other, ipn=True)
        MailRemarkFactory(shop=other, address=f"b{number}@x.example")
    assert (queries(COVERAGE), queries("/")) <= before


# --- Accepting a gap ------------------------------------------------------------------------------


def test_an_administrator_accepts_a_gap_until_a_day_and_home_becomes_green(
    client_for: ClientFor, company: Company
) -> None:
    alice = UserFactory(company=company)
    client = client_for(alice)
    assert "1 notification n'atteint personne" in text(client.get("/"))
    before = score(company)
    assert "Personne n'est prévenu quand un incident" in text(client.get(ACCEPT))
    response = client.post(ACCEPT, {"until": day(10).isoformat()})
    assert response.status_code == 302
    gap = AcknowledgedGap.objects.get()
    assert (gap.notification, gap.until, gap.acknowledged_by) == ("platform_incident", day(10), "Alice Durand")
    entry = AuditEntry.objects.get(action="gap.acknowledged")
    assert entry.actor == alice and entry.changes == {"until": [None, day(10).isoformat()]}
    home = text(client.get("/"))
    assert "Tout arrive, hors manques acceptés" in home and "1 manque accepté pour l'instant" in home
    assert score(company) > before
    assert "accepté par Alice Durand" in text(client.get(COVERAGE))
    assert "Manque accepté : Incident sur la plateforme" in text(client.get("/settings/company/history/"))


def test_an_accepted_gap_counts_again_after_its_day_or_when_that_is_asked(
    client_for: ClientFor, company: Company
) -> None:
    gap = AcknowledgedGap.objects.create(
        company=company, notification="platform_incident", until=day(0), acknowledged_by="Alice"
    )
    cell = next(c for c in _cells(company) if c["notification"] == "platform_incident")
    assert cell["acknowledged"] == {
        "by": "Alice",
        "at": cell["acknowledged"]["at"],
        "until": day(0).isoformat(),
    }
    client = client_for(UserFactory(company=company))
    client.post(f"{COVERAGE}company/platform_incident/reopen/")
    assert not AcknowledgedGap.objects.exists()
    assert AuditEntry.objects.filter(action="gap.reopened").exists()
    gap.pk = None
    gap.until = day(-1)
    gap.save()
    assert all(cell["acknowledged"] is None for cell in _cells(company))


def _cells(company: Company) -> list[dict[str, Any]]:
    from notifications.core import coverage

    found = selectors.coverage_of(company, settings_facts.company_facts(company))
    cells: list[dict[str, Any]] = coverage.document(found)["cells"]
    return cells


@pytest.mark.parametrize("until", ["", "hier", day(-1).isoformat(), day(400).isoformat()])
def test_a_day_that_is_past_too_far_or_none_is_refused_beside_the_field(
    client_for: ClientFor, company: Company, until: str
) -> None:
    page = text(client_for(UserFactory(company=company)).post(ACCEPT, {"until": until}))
    assert "id_until_error" in page or "invalid-feedback" in page or "error" in page
    assert not AcknowledgedGap.objects.exists()


def test_what_reaches_somebody_is_no_gap(client_for: ClientFor, company: Company) -> None:
    client = client_for(UserFactory(company=company))
    page = text(client.post(f"{COVERAGE}10000001/shop_created/accept/", {"until": day(9).isoformat()}))
    assert "il n'y a pas de manque" in page
    for path in ("company/shop_created", "10000001/platform_incident", "company/user_account", "company/nothing"):
        assert client.get(f"{COVERAGE}{path}/accept/").status_code == 404


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MANAGER])
def test_others_may_not_accept(client_for: ClientFor, company: Company, role: Role) -> None:
    NotificationRuleFactory(shop=company.shops.get(site_id="10000001"), ipn=True, recipients=[])
    client = client_for(UserFactory(company=company, role=role))
    for path in (ACCEPT, f"{COVERAGE}10000001/ipn_failure/accept/", f"{COVERAGE}10000001/ipn_failure/reopen/"):
        assert client.post(path, {"until": day(9).isoformat()}).status_code == 403
    assert not AcknowledgedGap.objects.exists()


def test_choosing_the_same_day_again_writes_nothing(company: Company) -> None:
    for _time in range(2):
        services.gap_acknowledge(
            company=company, shop=None, notification="platform_incident", until=day(5), actor=ACTOR
        )
    assert AuditEntry.objects.filter(action="gap.acknowledged").count() == 1


# --- Remarks --------------------------------------------------------------------------------------


def test_a_remark_stands_on_home_and_coverage_until_it_is_dealt_with(
    client_for: ClientFor, company: Company, shop: Shop
) -> None:
    remark = MailRemarkFactory(shop=shop, address="paris@lumiere.example")
    alice = UserFactory(company=company)
    client = client_for(alice)
    home = text(client.get("/"))
    assert "paris@lumiere.example" in home and "dit ne pas devoir recevoir" in home
    assert "/notifications/addresses/replace/?address=paris%40lumiere.example&what=remove" in home
    page = text(client.get(COVERAGE))
    assert "paris@lumiere.example" in page and "/settings/shops/10000001/configuration/" in page
    assert client.post(f"{COVERAGE}remarks/{remark.pk}/close/").status_code == 302
    assert AuditEntry.objects.get(action="remark.closed").actor == alice
    assert MailRemark.objects.get().closed_by == "Alice Durand"
    assert "ne pas devoir recevoir" not in text(client.get("/"))


def test_a_remark_whose_line_is_gone_is_answered_by_that(client_for: ClientFor, company: Company, shop: Shop) -> None:
    MailRemarkFactory(shop=shop, address="paris@lumiere.example")
    shop.manager_email = "autre@x.example"
    shop.save()
    assert "paris@lumiere.example" not in text(client_for(UserFactory(company=company)).get(COVERAGE))


def test_a_remark_on_a_hidden_shop_is_not_there(client_for: ClientFor, company: Company, shop: Shop) -> None:
    remark = MailRemarkFactory(shop=company.shops.get(site_id="10000002"), address="lyon@lumiere.example")
    viewer = client_for(UserFactory(company=company, role=Role.VIEWER, shops=[shop]))
    assert "lyon@lumiere.example" not in text(viewer.get(COVERAGE))
    assert viewer.post(f"{COVERAGE}remarks/{remark.pk}/close/").status_code == 404
    stranger = client_for(UserFactory())
    assert stranger.post(f"{COVERAGE}remarks/{remark.pk}/close/").status_code == 404


def test_a_remark_on_an_account_is_for_those_who_manage_accounts(client_for: ClientFor, company: Company) -> None:
    user = UserFactory(company=company, login="bob", email="bob@x.example")
    MailRemark.objects.create(
        company=company, notification="user_account", account=user.login, source="user", address=user.email,
        normalised_address=user.email, line_key="x",
    )  # fmt: skip
    manager = client_for(UserFactory(company=company, role=Role.MANAGER))
    assert "bob@x.example" not in text(manager.get(COVERAGE))
    assert "bob@x.example" in text(client_for(UserFactory(company=company)).get(COVERAGE))
