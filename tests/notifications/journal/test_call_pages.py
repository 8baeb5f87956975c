"""Calls in the journal: what is shown of one, « Exécuter l'URL de notification », the replay of many."""

import re
import uuid
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from companies.models import AuditEntry, Role, User
from notifications.models import Delivery
from shops.models import Shop
from tests.factories import DeliveryFactory, EventFactory, NotificationRuleFactory, ShopFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


@pytest.fixture
def manager(paul: User, client_for: ClientFor) -> Client:
    return client_for(paul)


def make_call(shop: Shop, **fields: Any) -> Delivery:
    rule = fields.pop("rule", None) or NotificationRuleFactory(
        ipn=True, shop=shop, url_production="https://boutique.example/current"
    )
    call: Delivery = DeliveryFactory(
        event=EventFactory(shop=shop, data={"transaction_id": "067925", "amount": 1990, "currency": "EUR"}),
        rule=rule,
        channel="ipn",
        notification="ipn_call",
        message=None,
        address="https://boutique.example/original",
        endpoint="https://boutique.example:443",
        call={"format": "form", "fields": {"vads_trans_id": "067925", "vads_amount": "1990"}},
        **{"status": "dead", "error": "FAILED_SERVER_403_ERROR HTTP 403", "http_status": 403, **fields},
    )
    return call


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def test_the_page_of_a_call_shows_status_attempts_answer_and_fields(shop: Shop, manager: Client) -> None:
    call = make_call(shop)
    call.attempts.create(
        number=1,
        started_at=call.created_at,
        duration_ms=87,
        outcome="permanent",
        code=403,
        reply="<script>alert(1)</script> Forbidden",
        url=call.address,
        error_code="FAILED_SERVER_403_ERROR",
    )
    response = manager.get(f"/notifications/journal/{call.pk}/")
    text = text_of(response)
    for part in ("Statut URL de notification", "Erreur serveur 403", "87 ms", "FAILED_SERVER_403_ERROR", "067925"):
        assert part in text
    assert "<script>alert(1)</script>" not in response.content.decode()
    assert f'href="/notifications/journal/{call.pk}/replay/"' in response.content.decode()


def test_a_replay_offers_both_urls_and_leads_to_the_new_call(shop: Shop, manager: Client) -> None:
    call = make_call(shop)
    text = text_of(manager.get(f"/notifications/journal/{call.pk}/replay/"))
    assert "https://boutique.example/original" in text and "https://boutique.example/current" in text
    answer = manager.post(f"/notifications/journal/{call.pk}/replay/", {"url": "current"})
    made = Delivery.objects.get(resend_of=call)
    assert answer.headers["Location"] == f"/notifications/journal/{made.pk}/"
    assert (made.address, made.status, made.is_manual) == ("https://boutique.example/current", "queued", True)
    entry = AuditEntry.objects.get(action="call.replayed")
    assert entry.changes["url"] == ["https://boutique.example/original", "https://boutique.example/current"]
    live = manager.get(f"/notifications/journal/{made.pk}/", headers={"HX-Request": "true"})
    assert 'hx-trigger="every 1s"' in live.content.decode()


def test_a_rule_without_url_offers_the_original_only_and_says_why(shop: Shop, manager: Client) -> None:
    call = make_call(shop, rule=NotificationRuleFactory(ipn=True, shop=shop, url_production=""))
    assert "n'a pas d'URL pour ce mode" in text_of(manager.get(f"/notifications/journal/{call.pk}/replay/"))
    answer = manager.post(f"/notifications/journal/{call.pk}/replay/", {"url": "current"}, follow=True)
    assert "n'a pas d'URL pour ce mode" in text_of(answer)
    assert not Delivery.objects.filter(resend_of=call).exists()


@pytest.mark.parametrize("role", [Role.VIEWER])
def test_a_viewer_sees_a_call_and_cannot_make_it_again(shop: Shop, client_for: ClientFor, role: str) -> None:
    viewer = client_for(UserFactory(company=shop.company, role=role))
    call = make_call(shop)
    assert "/replay/" not in viewer.get(f"/notifications/journal/{call.pk}/").content.decode()
    assert viewer.post(f"/notifications/journal/{call.pk}/replay/").status_code == 403
    assert viewer.post("/notifications/journal/replay/?channel=ipn").status_code == 403


def test_the_calls_that_a_filter_finds_are_replayed_under_one_run(shop: Shop, manager: Client) -> None:
    failed = [make_call(shop) for _n in range(3)]
    make_call(shop, status="sent", error="", http_status=200)
    make_call(shop, is_manual=True)
    make_call(ShopFactory())
    journal = manager.get("/notifications/journal/?channel=ipn&status=failed").content.decode()
    assert "/notifications/journal/replay/?status=failed&amp;channel=ipn" in journal
    url = "/notifications/journal/replay/?channel=ipn&status=failed"
    assert "3 appels" in text_of(manager.get(url))
    answer = manager.post(url, {"url": "original"})
    made = Delivery.objects.filter(run__isnull=False)
    assert {row.resend_of_id for row in made} == {call.pk for call in failed}
    assert len({row.run for row in made}) == 1
    page = manager.get(answer.headers["Location"])
    assert "0 sur 3" in text_of(page) and 'hx-trigger="every 1s"' in page.content.decode()
    made.filter(pk__in=[row.pk for row in made[:2]]).update(status="sent")
    assert "2 sur 3" in text_of(manager.get(answer.headers["Location"], headers={"HX-Request": "true"}))
    assert manager.post(f"{answer.headers['Location']}stop/").status_code == 302
    done = text_of(manager.get(answer.headers["Location"]))
    assert "3 sur 3" in done and "Terminé" in done and "Annulés 1" in done


def test_another_companys_run_is_not_found(shop: Shop, manager: Client) -> None:
    run = uuid.uuid4()
    make_call(ShopFactory(), run=run)
    assert manager.get(f"/notifications/replays/{run}/").status_code == 404
    assert manager.post(f"/notifications/replays/{run}/stop/").status_code == 404


def test_a_replay_of_nothing_says_what_to_do(shop: Shop, manager: Client) -> None:
    assert "Aucun appel à rejouer" in text_of(manager.get("/notifications/journal/replay/?channel=ipn"))


@pytest.mark.parametrize("path", ["/notifications/journal/?channel=ipn", "/notifications/journal/replay/?channel=ipn"])
def test_queries_do_not_grow_with_the_calls(shop: Shop, client_for: ClientFor, path: str) -> None:
    user: User = UserFactory(company=shop.company)
    rule = NotificationRuleFactory(ipn=True, shop=shop)

    def count() -> int:
        client = client_for(user)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get(path).status_code == 200
        return len(queries)

    make_call(shop, rule=rule)
    before = count()
    for _n in range(8):
        make_call(shop, rule=rule)
    assert count() == before
