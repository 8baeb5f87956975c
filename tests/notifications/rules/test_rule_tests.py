"""« Essayer la règle »: the values being edited, sent for real, once, marked as a test, saving nothing."""

import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.core.management import call_command
from django.test import Client

from companies.models import AuditEntry, Role, User
from notifications.models import CallHealth, Delivery, NotificationRule
from notifications.rules import trials
from shops.models import Shop
from tests.endpoints import Endpoint
from tests.factories import NotificationRuleFactory, ShopKeyFactory, UserFactory
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    settings.IPN_ALLOW_PRIVATE_NETWORKS = True
    settings.IPN_TIMEOUT = 1.0


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        yield server


@pytest.fixture(autouse=True)
def _has_a_test_key(lyon: Shop) -> None:
    ShopKeyFactory(shop=lyon, kind="test", value="1122334455667788")


@pytest.fixture
def manager(paul: User, client_for: Callable[..., Client]) -> Client:
    return client_for(paul)


def deliver() -> None:
    call_command("deliver", "--once")


def url_of(rule: NotificationRule) -> str:
    return f"/settings/notification-rules/{rule.shop.site_id}/{rule.reference}/"


def typed(rule: NotificationRule, **fields: Any) -> dict[str, Any]:
    """The form of a rule as a browser posts it, with other values typed."""
    values = {
        "label": rule.label,
        "enabled": "on",
        "to_manager": "on",
        "others": "",
        "profile": "standard",
        "version": rule.version,
        **{name: getattr(rule, name) for name in NotificationRule.URL_FIELDS},
    }
    return {**values, **fields}


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.content.decode()))).replace("@ ", "@")


def test_a_call_goes_to_the_url_typed_once_whatever_comes_of_it(
    lyon: Shop, manager: Client, endpoint: Endpoint, smtp_server: SmtpServer
) -> None:
    rule = NotificationRuleFactory(ipn=True, shop=lyon, auto_retry=True, url_test="https://saved.example/ipn")
    endpoint.status = 500
    fields = typed(rule, test="TEST", url_test=endpoint.url("/typed"), auto_retry="on")
    page = manager.post(url_of(rule), fields)
    assert endpoint.url("/typed") in page.content.decode(), "what was typed is still there"
    deliver()
    (request,) = endpoint.requests
    assert request.path == "/typed"
    assert request.headers["x-bom-test"] == "true" and request.headers["x-bom-mode"] == "TEST"
    assert dict(parse_qsl(request.body.decode()))["vads_ctx_mode"] == "TEST"
    made = Delivery.objects.get(channel="ipn")
    assert (made.status, made.is_test, made.retry_at) == ("dead", True, None)
    rule.refresh_from_db()
    assert (rule.url_test, rule.version) == ("https://saved.example/ipn", 1), "nothing was saved"
    assert not CallHealth.objects.exists() and smtp_server.received == []
    result = text_of(manager.get(f"/settings/notification-rules/{lyon.site_id}/tests/{made.run}/"))
    assert "Erreur serveur 500" in result and "FAILED_SERVER_500_ERROR" in result
    assert AuditEntry.objects.get(action="rule.tested").changes["sent_to"] == [None, [endpoint.url("/typed")]]


def test_scripts_get_the_outcome_alone_and_ask_again_while_it_is_open(
    lyon: Shop, manager: Client, endpoint: Endpoint
) -> None:
    rule = NotificationRuleFactory(ipn=True, shop=lyon, url_test=endpoint.url("/ipn"))
    headers = {"HX-Request": "true"}
    started = manager.post(url_of(rule), typed(rule, test="TEST"), headers=headers).content.decode()
    assert "<html" not in started and 'hx-trigger="every 1s"' in started
    again = re.search(r'hx-get="([^"]+)"', started)
    assert again
    deliver()
    ended = manager.get(again.group(1), headers=headers).content.decode()
    assert "hx-trigger" not in ended and "200" in ended and "OK" in ended


def test_a_mail_goes_to_the_recipients_typed_marked_and_alone(
    lyon: Shop, manager: Client, smtp_server: SmtpServer
) -> None:
    rule = NotificationRuleFactory(shop=lyon, enabled=False)
    manager.post(url_of(rule), typed(rule, enabled="", test="PRODUCTION", others="dev@agence.example"))
    deliver()
    assert sorted(mail.rcpt_tos[0] for mail in smtp_server.received) == ["claire@lumiere.example", "dev@agence.example"]
    for mail in smtp_server.received:
        assert str(mail.message["Subject"]).startswith("Essai : ")
        assert mail.message["X-BOM-Test"] == "true"
        assert mail.message["X-BOM-Notification"] == "address_check"
        assert mail.message["To"] == mail.rcpt_tos[0]
        assert "un essai de la règle" in mail.text
    rule.refresh_from_db()
    assert rule.recipients == ["@shop_manager"]


def test_the_mark_of_the_mode_stays_in_front(lyon: Shop, manager: Client, smtp_server: SmtpServer) -> None:
    rule = NotificationRuleFactory(shop=lyon)
    manager.post(url_of(rule), typed(rule, test="TEST"))
    deliver()
    assert str(smtp_server.received[0].message["Subject"]).startswith("[TEST] Essai : ")


def test_a_mail_to_the_buyer_is_tried_on_who_asks(lyon: Shop, manager: Client, smtp_server: SmtpServer) -> None:
    rule = NotificationRuleFactory(buyer=True, shop=lyon)
    manager.post(url_of(rule), typed(rule, test="PRODUCTION", to_manager=""))
    deliver()
    assert [mail.rcpt_tos for mail in smtp_server.received] == [("paul@lumiere.example",)]


def test_a_failed_test_mail_is_not_repeated(lyon: Shop, manager: Client, smtp_server: SmtpServer) -> None:
    rule = NotificationRuleFactory(shop=lyon)
    smtp_server.answer("claire@lumiere.example", "451 4.3.0 later")
    manager.post(url_of(rule), typed(rule, test="TEST"))
    deliver()
    assert Delivery.objects.get().status == "dead"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"url_test": "http://10.0.0.1:22/x y"}, "Corrigez d'abord les points signalés"),
        ({"url_test": ""}, "Aucune URL n'est renseignée pour le mode TEST."),
    ],
)
def test_what_cannot_be_tested_says_why_and_sends_nothing(
    lyon: Shop, manager: Client, fields: Any, message: str
) -> None:
    rule = NotificationRuleFactory(ipn=True, shop=lyon, url_test="https://saved.example/ipn")
    page = manager.post(url_of(rule), typed(rule, test="TEST", **fields))
    assert message in text_of(page)
    assert not Delivery.objects.exists()


def test_tests_are_limited(lyon: Shop, manager: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "LIMIT", 2)
    rule = NotificationRuleFactory(shop=lyon)
    answers = [text_of(manager.post(url_of(rule), typed(rule, test="TEST"))) for _n in range(3)]
    assert ["2 essais en dix minutes" in answer for answer in answers] == [False, False, True]
    assert Delivery.objects.count() == 2


def test_a_suspended_shop_tests_nothing(lyon: Shop, manager: Client) -> None:
    rule = NotificationRuleFactory(shop=lyon)
    Shop.objects.update(status="suspended")
    manager.post(url_of(rule), typed(rule, test="TEST"))
    assert not Delivery.objects.exists()


def test_calling_a_url_is_a_right_of_its_own(lyon: Shop, client_for: Callable[..., Client]) -> None:
    rights = {"view", "manage_rules"}
    limited = client_for(
        UserFactory(company=lyon.company, role=Role.VIEWER, shops=[], grants={lyon: frozenset(rights)})
    )
    rule = NotificationRuleFactory(ipn=True, shop=lyon, url_test="https://saved.example/ipn")
    assert "Essayer la règle" not in text_of(limited.get(url_of(rule)))
    limited.post(url_of(rule), typed(rule, test="TEST"))
    assert not Delivery.objects.exists()


def test_a_production_url_without_encryption_is_not_called_unless_confirmed(
    lyon: Shop, endpoint: Endpoint, settings: Any
) -> None:
    from notifications.calls import requests as calls

    settings.IPN_ALLOW_PRIVATE_NETWORKS = False
    rule = NotificationRuleFactory(ipn=True, shop=lyon, url_production=endpoint.url("/ipn"))
    ShopKeyFactory(shop=lyon, kind="production", value="k")
    from django.db import transaction

    from notifications.events.publishing import publish

    with transaction.atomic():
        event = publish(type="payment.accepted", company=lyon.company, shop=lyon)
    call = event.deliveries.get(channel="ipn")
    with pytest.raises(calls.PlainHttp):
        calls.request_of(call, calls.keys_of([call]))
    deliver()
    call.refresh_from_db()
    assert call.error.startswith("FAILED_PLAIN_HTTP_ERROR") and endpoint.accepted == 0
    assert rule.http_confirmed is False
