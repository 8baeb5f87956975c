"""Secrets of calls: user and password of protected URLs, and the signatures while a key changes."""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backoffice.base.crypto import DecryptionError
from companies.audit import MASK
from companies.models import AuditEntry
from notifications.calls import signing
from notifications.models import CallCredential, Delivery, NotificationRule
from notifications.outbox import call_results
from notifications.rules import services as rule_services
from notifications.rules import trials
from shops import services as shop_services
from shops.models import Shop, ShopKey
from tests.endpoints import Endpoint
from tests.factories import UserFactory
from tests.notifications.outbox.calling import ACTOR, KEY, REST_KEY

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("loopback", "lyon_has_keys")]


# --- Protected URLs -------------------------------------------------------------------------------


def the_call(endpoint: Endpoint) -> Any:
    call_command("deliver", once=True)
    return endpoint.requests[-1]


def test_a_protected_url_is_entered_with_user_and_password_of_its_mode(
    rule: NotificationRule, endpoint: Endpoint, accept: Callable[..., Any]
) -> None:
    rule_services.rule_update(rule=rule, actor=ACTOR, credentials={"TEST": ("recette", "clé:secrète")})
    accept(mode="TEST")
    expected = base64.b64encode("recette:clé:secrète".encode()).decode()
    assert the_call(endpoint).headers["authorization"] == f"Basic {expected}"
    accept(mode="PRODUCTION")
    assert "authorization" not in the_call(endpoint).headers
    rule_services.rule_update(rule=rule, actor=ACTOR, credentials={"TEST": None})
    accept(mode="TEST")
    assert "authorization" not in the_call(endpoint).headers


def test_user_and_password_go_to_the_server_they_were_given_for_and_to_no_other(
    rule: NotificationRule, endpoint: Endpoint, accept: Callable[..., Any]
) -> None:
    rule_services.rule_update(rule=rule, actor=ACTOR, credentials={"TEST": ("recette", "secret-1")})
    with Endpoint() as other:
        with pytest.raises(ValidationError, match="saisissez-les de nouveau"):
            rule_services.rule_update(
                rule=NotificationRule.objects.get(pk=rule.pk), actor=ACTOR, url_test=other.url("/vol")
            )
        # A trial of a URL that is not saved.
        trial = NotificationRule.objects.select_related("shop__company").get(pk=rule.pk)
        trial.url_test = other.url("/essai")
        with transaction.atomic():
            trials.rule_test(rule=trial, mode="TEST", user=UserFactory(company=rule.shop.company), actor=ACTOR)
        call_command("deliver", once=True)
        assert [request.path for request in other.requests] == ["/essai"]
        assert "authorization" not in other.requests[0].headers
        # Another path of the same server is that server; a former server is another one.
        fresh = NotificationRule.objects.select_related("shop__company").get(pk=rule.pk)
        rule_services.rule_update(rule=fresh, actor=ACTOR, url_test=endpoint.url("/ailleurs"))
        accept(mode="TEST")
        assert the_call(endpoint).headers["authorization"].startswith("Basic ")
        rule_services.rule_update(
            rule=fresh, actor=ACTOR, url_test=other.url("/nouvelle"), credentials={"TEST": ("recette", "secret-2")}
        )
        old = Delivery.objects.filter(address=endpoint.url("/ailleurs")).get()
        call_results.call_replay(delivery=old, actor=ACTOR)
        call_command("deliver", once=True)
        assert endpoint.requests[-1].path == "/ailleurs" and "authorization" not in endpoint.requests[-1].headers


def test_user_and_password_are_encrypted_bound_to_their_row_and_masked_in_the_history(rule: NotificationRule) -> None:
    rule_services.rule_update(
        rule=rule, actor=ACTOR, credentials={"TEST": ("recette", "secret-1"), "PRODUCTION": ("p", "q")}
    )
    kept = {item.mode: item for item in CallCredential.objects.all()}
    assert (kept["TEST"].username, kept["TEST"].password) == ("recette", "secret-1")
    with connection.cursor() as cursor:
        cursor.execute("SELECT username, password FROM notifications_callcredential")
        assert not any(plain in cell for row in cursor.fetchall() for cell in row for plain in ("recette", "secret-1"))
        cursor.execute("SELECT password FROM notifications_callcredential WHERE mode = 'TEST'")
        moved = cursor.fetchone()[0]
        cursor.execute("UPDATE notifications_callcredential SET password = %s WHERE mode = 'PRODUCTION'", [moved])
    with pytest.raises(DecryptionError):
        _ = CallCredential.objects.get(mode="PRODUCTION").password
    entry = AuditEntry.objects.get(action="rule.updated")
    assert entry.changes == {"credentials.TEST": [None, MASK], "credentials.PRODUCTION": [None, MASK]}
    assert rule_services.rule_update(rule=rule, actor=ACTOR, credentials={"TEST": ("recette", "secret-1")}) == {}
    rule_services.rule_archive(rule=rule, actor=ACTOR)
    assert not CallCredential.objects.exists()


@pytest.mark.parametrize(
    "pair", [("", "x"), ("x", ""), ("a:b", "x"), ("a\nb", "x"), ("a", "x\u202e"), ("a" * 201, "x")]
)
def test_what_no_server_could_be_sent_is_refused_without_repeating_it(
    rule: NotificationRule, pair: tuple[str, str]
) -> None:
    with pytest.raises(ValidationError) as refused:
        rule_services.rule_update(rule=rule, actor=ACTOR, credentials={"TEST": pair})
    said = " ".join(refused.value.messages)
    assert "Accès protégé, mode TEST" in said and "a:b" not in said and "aaa" not in said


# --- The overlap of keys --------------------------------------------------------------------------


def signature_of(request: Any, key: str, algorithm: str) -> str:
    fields = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    return signing.form_signature(fields, key, algorithm)


def test_during_the_overlap_of_a_key_both_signatures_can_be_verified(
    rule: NotificationRule, endpoint: Endpoint, accept: Callable[..., Any], lyon: Shop
) -> None:
    accept()
    assert "x-bom-signature-previous" not in the_call(endpoint).headers
    key = ShopKey.objects.get(shop=lyon, kind="production")
    new = shop_services.keys_generate(shop=lyon, kinds=["production"], actor=ACTOR, seen={"production": key.generation})
    accept()
    request = the_call(endpoint)
    fields = dict(parse_qsl(request.body.decode()))
    assert fields["signature"] == signature_of(request, new["production"], "HMAC-SHA-256")
    assert request.headers["x-bom-signature-previous"] == signature_of(request, KEY, "HMAC-SHA-256")
    # The other mode has a key of its own.
    accept(mode="TEST")
    assert "x-bom-signature-previous" not in the_call(endpoint).headers
    ShopKey.objects.filter(kind="production").update(former_until=timezone.now() - timedelta(seconds=1))
    accept()
    assert "x-bom-signature-previous" not in the_call(endpoint).headers


def test_during_the_overlap_of_an_algorithm_both_signatures_can_be_verified(
    rule: NotificationRule, endpoint: Endpoint, accept: Callable[..., Any], lyon: Shop
) -> None:
    shop_services.shop_update(shop=lyon, actor=ACTOR, algorithm_production="SHA-1")
    accept()
    request = the_call(endpoint)
    assert dict(parse_qsl(request.body.decode()))["signature"] == signature_of(request, KEY, "SHA-1")
    assert request.headers["x-bom-signature-previous"] == signature_of(request, KEY, "HMAC-SHA-256")
    key = ShopKey.objects.get(shop=lyon, kind="production")
    new = shop_services.keys_generate(shop=lyon, kinds=["production"], actor=ACTOR, seen={"production": key.generation})
    accept()
    request = the_call(endpoint)
    assert set(request.headers["x-bom-signature-previous"].split(", ")) == {
        signature_of(request, new["production"], "HMAC-SHA-256"),
        signature_of(request, KEY, "SHA-1"),
        signature_of(request, KEY, "HMAC-SHA-256"),
    }


def test_during_the_overlap_of_a_rest_password_both_hashes_can_be_verified(
    rule: NotificationRule, endpoint: Endpoint, accept: Callable[..., Any], lyon: Shop
) -> None:
    rule_services.rule_update(rule=rule, actor=ACTOR, url_test="", rest_url_test=endpoint.url("/rest"))
    key = ShopKey.objects.get(shop=lyon, kind="rest_test")
    new = shop_services.keys_generate(shop=lyon, kinds=["rest_test"], actor=ACTOR, seen={"rest_test": key.generation})
    accept(mode="TEST")
    request = the_call(endpoint)
    fields = dict(parse_qsl(request.body.decode()))
    assert fields["kr-hash"] == signing.rest_hash(fields["kr-answer"], new["rest_test"])
    assert request.headers["x-bom-signature-previous"] == signing.rest_hash(fields["kr-answer"], REST_KEY)


def test_calls_without_credentials_cost_one_statement_a_group(
    rule: NotificationRule, endpoint: Endpoint, accept: Callable[..., Any]
) -> None:
    for _number in range(3):
        accept()
    with CaptureQueriesContext(connection) as captured:
        call_command("deliver", once=True)
    # One look for those of all calls of a group; none follows.
    about = [query["sql"] for query in captured if "notifications_callcredential" in query["sql"]]
    assert len(endpoint.requests) == 3
    assert len(about) <= 2
