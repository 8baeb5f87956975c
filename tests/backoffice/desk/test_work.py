"""What waits for the team: each number leads to exactly those rows, and nothing is told to who may not see it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from companies.models import Company
from notifications.models import AddressHealth, Breaker, Hold, Incident
from shops.models import DataFormVersion, Shop
from tests import factories
from tests.walk import an_incident

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
ALL_DONE = "Tout est fait"


@pytest.fixture
def staff(client_for: ClientFor) -> Client:
    return client_for(factories.StaffFactory())


def _health(company: Company, address: str, state: str = "suppressed") -> None:
    AddressHealth.objects.create(company=company, normalised_address=address, state=state, since=timezone.now())


@pytest.fixture
def busy(paris: Shop) -> None:
    """One or more of everything that waits, and as many that look alike and do not."""
    now, company = timezone.now(), paris.company
    event = factories.EventFactory(shop=paris)

    def delivery(**fields: Any) -> None:
        factories.DeliveryFactory(event=event, **fields)

    for channel in ("email", "email", "ipn"):
        delivery(status="dead", channel=channel)
    delivery(status="dead", created_at=now - timedelta(days=20))
    delivery(status="sent")
    for minutes in (5, 40, 50):
        delivery(status="queued", created_at=now - timedelta(minutes=minutes))
    delivery(status="retry", retry_at=now, error="[waits SMTP_URL] 535 no")
    an_incident()
    Incident.objects.create(title_fr="Fini", title_en="Over", resolved_at=now)
    factories.DataFormVersionFactory(state=DataFormVersion.State.REQUESTED, live_at=None)
    factories.DataFormVersionFactory()
    Hold.objects.create(company=company, reason="Litige")
    Breaker.objects.create(relay="smtp.example:25", failures=5, opened_at=now)
    Breaker.objects.create(relay="autre.example:25", failures=1)
    _health(company, "claire@lumiere.example")
    _health(company, "paris@lumiere.example")
    _health(company, "hugo@agence.example")
    _health(company, "buyer@client.example")
    _health(factories.CompanyFactory(status="closed", manager__email="x@ferme.example"), "x@ferme.example")
    factories.ApiTokenFactory(expires_at=now + timedelta(days=5))
    factories.ApiTokenFactory(expires_at=now + timedelta(days=50))
    factories.ApiTokenFactory(expires_at=now - timedelta(days=5))


def lines(client: Client) -> dict[str, int]:
    return {urlsplit(line.url).path + "?" + urlsplit(line.url).query: line.count for line in client.get("/admin/").context["work"]}  # fmt: skip


def test_nothing_to_do_is_said(staff: Client) -> None:
    assert ALL_DONE in staff.get("/admin/").content.decode()


def test_each_number_is_that_of_the_list_behind_it(staff: Client, busy: None) -> None:
    from notifications.core.retry import WAITS_MARK
    from notifications.models import Delivery

    Delivery.objects.filter(error__startswith="[waits").update(error=f"{WAITS_MARK}SMTP_URL] 535 no")
    answer = staff.get("/admin/")
    work = answer.context["work"]
    assert ALL_DONE not in answer.content.decode()
    assert {line.label.partition(" ")[2]: line.count for line in work} == {
        "incident ouvert": 1,
        "envois en retard": 2,
        "e-mail attend un réglage": 1,
        "pause d'envoi": 1,
        "serveur d'envoi nous refuse": 1,
        "formulaire à mettre en ligne ou à refuser": 1,
        "contacts dont l'adresse est neutralisée": 2,
        "e-mails abandonnés en 7 jours": 2,
        "appel d'URL abandonné en 7 jours": 1,
        "jeton d'API expire dans les 30 jours": 1,
    }
    for line in work:
        listed = staff.get(line.url)
        assert listed.status_code == 200, line.url
        if "cl" in (listed.context or {}):
            assert listed.context["cl"].result_count == line.count, line.url


def test_who_may_look_at_tokens_alone_is_told_of_tokens_alone(client_for: ClientFor, busy: None) -> None:
    user = factories.StaffFactory(is_superuser=False)
    user.user_permissions.set(Permission.objects.filter(codename="view_apitoken"))
    assert set(lines(client_for(user))) == {"/admin/notifications/apitoken/?state=expiring"}
    assert ALL_DONE in client_for(factories.StaffFactory(is_superuser=False)).get("/admin/").content.decode()


def test_the_index_costs_the_same_however_much_waits(staff: Client, busy: None, paris: Shop) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            staff.get("/admin/")
        return len(captured)

    few = statements()
    for number in range(10):
        factories.DeliveryFactory(event__shop=paris, status="dead")
        factories.ApiTokenFactory(expires_at=timezone.now() + timedelta(days=5))
        company = factories.CompanyFactory(manager__email=f"c{number}@x.example")
        _health(company, f"c{number}@x.example")
    assert statements() == few
