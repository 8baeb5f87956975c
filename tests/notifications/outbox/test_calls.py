"""Calls to notification URLs, made for real to endpoints on loopback: what is sent, when again, who is told."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone, translation

from notifications.calls import requests as calls
from notifications.calls import signing
from notifications.core import retry
from notifications.events import publishing
from notifications.models import Attempt, CallHealth, Delivery, NotificationRule
from notifications.outbox import call_results
from notifications.rules import services as rule_services
from shops.models import Shop, ShopKey
from tests.endpoints import Endpoint, answers, raw
from tests.factories import NotificationRuleFactory
from tests.notifications.outbox.calling import ACTOR, KEY, REST_KEY
from tests.smtp import SmtpServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("loopback", "lyon_has_keys")]
START = datetime(2026, 11, 23, 10, 1, tzinfo=UTC)


@pytest.fixture
def deliver(capsys: Any, smtp_server: SmtpServer) -> Callable[..., str]:
    """A function that runs the worker once at a time of the clock; mail goes to the SMTP server."""

    def run(at: datetime = START) -> str:
        capsys.readouterr()
        call_command("deliver", "--once", "--at", at.isoformat())
        found: str = capsys.readouterr().out.splitlines()[-1]
        return found

    return run


def call_of(event: Any) -> Delivery:
    found: Delivery = event.deliveries.get(channel="ipn", is_manual=False)
    return found


def form(request: Any) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True))


def subjects(server: SmtpServer) -> list[str]:
    return [re.sub(r"\s+", " ", str(mail.message["Subject"])) for mail in server.received]


# --- One call -------------------------------------------------------------------------------------


def test_a_form_call_carries_the_payment_and_a_signature_of_the_key_of_its_mode(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any
) -> None:
    event = accept(mode="TEST", order_id="cmd é+1")
    assert deliver() == "sent=1 retry=0 dead=0"
    (request,) = endpoint.requests
    assert (request.method, request.path) == ("POST", "/test")
    assert request.headers["content-type"].startswith("application/x-www-form-urlencoded")
    fields = form(request)
    assert fields["vads_ctx_mode"] == "TEST"
    assert fields["vads_order_id"] == "cmd é+1"
    assert fields["vads_amount"] == "1990" and fields["vads_currency"] == "978"
    assert fields["vads_url_check_src"] == "PAY"
    assert re.fullmatch("[0-9a-f]{64}", fields["vads_hash"])
    signature = fields.pop("signature")
    assert signature == signing.form_signature(fields, KEY, "HMAC-SHA-256")
    delivery = call_of(event)
    assert (delivery.status, delivery.http_status, delivery.attempt_count) == ("sent", 200, 1)
    assert request.headers["x-bom-delivery"] == str(delivery.pk)
    attempt = delivery.attempts.get()
    assert (attempt.outcome, attempt.code, attempt.reply, attempt.url) == ("sent", 200, "OK", endpoint.url("/test"))


def test_the_key_and_the_algorithm_are_those_of_the_time_of_the_call(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any
) -> None:
    accept()
    Shop.objects.update(algorithm_production="SHA-1")
    key = ShopKey.objects.get(shop=rule.shop, kind="production")
    key.value = "regenerated-key"
    key.save()
    deliver()
    fields = form(endpoint.requests[0])
    assert fields.pop("signature") == signing.form_signature(fields, "regenerated-key", "SHA-1")


def test_a_javascript_payment_is_told_in_rest_format(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any
) -> None:
    NotificationRule.objects.update(rest_url_production=endpoint.url("/rest"))
    accept(source="JS")
    assert deliver() == "sent=1 retry=0 dead=0"
    (request,) = endpoint.requests
    fields = form(request)
    assert request.path == "/rest"
    assert fields["kr-hash-algorithm"] == "sha256_hmac" and fields["kr-hash-key"] == "password"
    assert fields["kr-hash"] == signing.rest_hash(fields["kr-answer"], REST_KEY)


@pytest.mark.parametrize(
    ("urls", "source", "error"),
    [
        ({"url_production": ""}, "FORM", "NO_URL"),
        ({}, "JS", "FORM_URLS_ONLY"),
    ],
)
def test_a_call_that_has_nowhere_to_go_is_journaled_with_its_reason(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any, urls: Any, source: str, error: str
) -> None:
    NotificationRule.objects.update(**urls)
    event = accept(source=source)
    delivery = call_of(event)
    assert (delivery.status, delivery.error, delivery.address) == ("not_sent", error, "")
    assert deliver() == "sent=0 retry=0 dead=0"
    assert endpoint.requests == []
    if error == "NO_URL":
        assert calls.status_label(delivery) == "URL non définie"


def test_without_a_key_nothing_is_called_and_the_manager_is_told(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any, smtp_server: SmtpServer
) -> None:
    ShopKey.objects.filter(kind="production").delete()
    event = accept()
    assert deliver() == "sent=1 retry=0 dead=0", "the mail"
    delivery = call_of(event)
    assert (delivery.status, delivery.error, delivery.attempt_count) == ("not_sent", "NO_KEY", 0)
    assert endpoint.accepted == 0
    assert "[dernière tentative]" in subjects(smtp_server)[0]
    assert "NO_KEY" in smtp_server.received[0].text


@pytest.mark.parametrize("state", ["suspended", "closed"])
def test_a_shop_that_is_not_active_calls_nothing(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any, state: str
) -> None:
    Shop.objects.update(status=state)
    event = accept()
    assert deliver() == "sent=0 retry=0 dead=0"
    assert not event.deliveries.exists() and endpoint.accepted == 0


@pytest.mark.parametrize(
    ("status", "profile", "state", "label"),
    [
        (200, "standard", "sent", "Envoyé"),
        (206, "standard", "sent", "Envoyé"),
        (301, "standard", "sent", "Envoyé (redirection permanente)"),
        (302, "standard", "sent", "Envoyé (redirection temporaire)"),
        (303, "standard", "sent", "Envoyé (redirection vers une autre page)"),
        (307, "standard", "sent", "Envoyé (redirection temporaire)"),
        (308, "standard", "sent", "Envoyé (redirection permanente)"),
        (302, "extended", "retry", "Erreur serveur 302"),
        (207, "standard", "dead", "Échoué"),
        (300, "standard", "dead", "Erreur serveur 300"),
        (304, "standard", "dead", "Erreur serveur 304"),
        (403, "standard", "dead", "Erreur serveur 403"),
        (500, "standard", "dead", "Erreur serveur 500"),
    ],
)
def test_the_status_of_the_answer_decides(
    rule: NotificationRule,
    endpoint: Endpoint,
    accept: Any,
    deliver: Any,
    status: int,
    profile: str,
    state: str,
    label: str,
) -> None:
    NotificationRule.objects.update(profile=profile)
    endpoint.status = status
    event = accept()
    deliver()
    delivery = call_of(event)
    assert (delivery.status, delivery.http_status) == (state, status)
    assert calls.status_label(delivery) == label
    if state != "sent":
        assert delivery.error.split()[0] == f"FAILED_SERVER_{status}_ERROR"


def test_a_refused_connection_and_a_silent_server_have_their_words(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any, settings: Any
) -> None:
    settings.IPN_TIMEOUT = 1.0
    endpoint.at("/ipn", answers(200, after=3600))
    silent = accept()
    deliver()
    settings.IPN_TIMEOUT = 60.0
    NotificationRule.objects.update(url_production="http://127.0.0.1:9/ipn")
    refused = accept()
    deliver()
    assert calls.status_label(call_of(silent)) == "Serveur injoignable"
    assert calls.status_label(call_of(refused)) == "Connexion refusée"
    assert call_of(silent).error.split()[0] == "FAILED_TIMEOUT_ERROR"


# --- Retry: the clock walk ------------------------------------------------------------------------


def test_the_standard_profile_retries_four_times_on_quarters_of_an_hour(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any, smtp_server: SmtpServer
) -> None:
    NotificationRule.objects.update(auto_retry=True)
    endpoint.status = 500
    event = accept()
    moments = [START]
    while True:
        deliver(moments[-1])
        delivery = call_of(event)
        if delivery.status == "dead":
            break
        assert delivery.retry_at is not None
        assert deliver(delivery.retry_at - timedelta(seconds=1)) == "sent=0 retry=0 dead=0", "not before its slot"
        moments.append(delivery.retry_at)
    assert [f"{moment:%H:%M}" for moment in moments] == ["10:01", "10:15", "10:30", "10:45", "11:00"]
    sources = [form(request)["vads_url_check_src"] for request in endpoint.requests]
    assert sources == ["PAY", "RETRY", "RETRY", "RETRY", "RETRY"]
    assert len({form(request)["vads_hash"] for request in endpoint.requests}) == 5
    marks = [re.search(r"\[[^\]]*\]$", subject).group() for subject in subjects(smtp_server)]  # type: ignore[union-attr]
    assert marks == [
        "[tentative infructueuse n° 1]",
        "[tentative infructueuse n° 2]",
        "[tentative infructueuse n° 3]",
        "[tentative infructueuse n° 4]",
        "[dernière tentative]",
    ]
    deliver(START + timedelta(days=9))
    told = [mail for mail in smtp_server.received if mail.message["X-BOM-Notification"] == "ipn_failure"]
    assert len(endpoint.requests) == 5 and len(told) == 5, "nothing after the last"


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("10:00:00", "10:15"),
        ("10:09:59", "10:15"),
        ("10:10:00", "10:15"),
        ("10:10:01", "10:30"),
        ("10:14:59", "10:30"),
        ("23:51:00", "00:00"),
    ],
)
def test_a_slot_is_at_least_five_minutes_away(now: str, expected: str) -> None:
    moment = datetime.combine(START.date(), datetime.strptime(now, "%H:%M:%S").time(), UTC)
    slot = retry.next_slot(moment)
    assert f"{slot:%H:%M}" == expected
    assert timedelta(minutes=5) <= slot - moment < timedelta(minutes=20)


def test_without_retry_there_is_one_attempt_and_it_is_the_last(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any, smtp_server: SmtpServer
) -> None:
    endpoint.status = 403
    event = accept(mode="TEST")
    assert deliver() == "sent=1 retry=0 dead=1"
    assert call_of(event).status == "dead"
    (mail,) = smtp_server.received
    assert mail.rcpt_tos == ("claire@lumiere.example",)
    assert subjects(smtp_server) == [
        "[TEST] Lumière Lyon - Tr. réf. 000001 / ÉCHEC lors de l'appel de votre URL de notification "
        "[dernière tentative]"
    ]
    assert mail.message["X-BOM-Notification"] == "ipn_failure"
    assert mail.message["X-BOM-Rule"] == "ipn-end"
    assert mail.message["X-BOM-Mode"] == "TEST"
    for part in (mail.text, mail.html):
        assert "FAILED_SERVER_403_ERROR" in part
        assert "19,90" in part
        assert f"/notifications/journal/{call_of(event).pk}/" in part


def test_the_extended_profile_spreads_ten_attempts_over_more_than_75_hours(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any
) -> None:
    NotificationRule.objects.update(profile="extended")
    endpoint.status = 503
    event = accept()
    moments = [START]
    deliver(START)
    while (delivery := call_of(event)).status != "dead":
        assert delivery.retry_at is not None
        moments.append(delivery.retry_at)
        deliver(delivery.retry_at)
    assert len(endpoint.requests) == 10
    assert moments[-1] - moments[0] >= timedelta(hours=75)
    for number, (before, after) in enumerate(zip(moments, moments[1:], strict=False)):
        base = retry.EXTENDED_DELAYS[number]
        assert 0.8 * base - 1 <= (after - before).total_seconds() <= 1.2 * base + 1


@pytest.mark.parametrize("dice", [0.0, 1.0])
def test_the_jitter_stays_within_a_fifth_and_the_whole_above_75_hours(dice: float) -> None:
    policy = retry.CallPolicy("extended")
    moment = START
    for failures in range(1, 10):
        after = retry.next_call_attempt(policy, failures, moment, status=500, dice=dice)
        assert after is not None
        assert (after - moment).total_seconds() == pytest.approx(
            retry.EXTENDED_DELAYS[failures - 1] * (1.2 if dice else 0.8)
        )
        moment = after
    assert moment - START >= timedelta(hours=75)
    assert retry.next_call_attempt(policy, 10, moment, status=500) is None


@pytest.mark.parametrize(
    ("profile", "status", "header", "wait"),
    [
        ("extended", 503, "7200", timedelta(hours=2)),
        ("extended", 429, "Mon, 23 Nov 2026 13:01:00 GMT", timedelta(hours=3)),
        ("extended", 503, "999999999999", timedelta(hours=24)),
        ("extended", 503, "-5", timedelta(minutes=5)),
        ("extended", 503, "soon", timedelta(minutes=5)),
        ("extended", 410, "60", None),
        ("standard", 503, "7200", timedelta(minutes=14)),
        ("standard", 410, "", timedelta(minutes=14)),
    ],
)
def test_retry_after_and_gone_count_under_the_extended_profile_only(
    profile: str, status: int, header: str, wait: timedelta | None
) -> None:
    policy = retry.CallPolicy(profile, auto_retry=True)
    after = retry.next_call_attempt(policy, 1, START, status=status, retry_after=header, dice=0.5)
    assert (after - START if after else None) == wait


def test_gone_stops_the_extended_profile(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any, smtp_server: SmtpServer
) -> None:
    NotificationRule.objects.update(profile="extended")
    endpoint.status = 410
    event = accept()
    deliver()
    assert call_of(event).status == "dead"
    assert subjects(smtp_server)[0].endswith("[dernière tentative]")


# --- Who is told of failures, when ----------------------------------------------------------------


def test_the_first_failure_is_mailed_at_once_and_the_others_of_the_quarter_in_one_mail(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any, smtp_server: SmtpServer
) -> None:
    endpoint.status = 500
    for minute in (1, 2, 3):
        accept()
        deliver(START.replace(minute=minute))
    assert len(smtp_server.received) == 1
    deliver(START.replace(minute=14, second=59))
    assert len(smtp_server.received) == 1
    assert deliver(START.replace(minute=15)) == "sent=1 retry=0 dead=0"
    grouped = smtp_server.received[1]
    assert subjects(smtp_server)[1] == (
        "Lumière Lyon / 2 ÉCHECS lors de l'appel de votre URL de notification [dernière tentative]"
    )
    assert "000002" in grouped.text and "000003" in grouped.text and "000001" not in grouped.text
    deliver(START.replace(minute=30))
    assert len(smtp_server.received) == 2, "each failure is told once"


def test_test_and_production_calls_are_told_apart(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any, smtp_server: SmtpServer
) -> None:
    endpoint.status = 500
    accept(mode="TEST")
    accept(mode="PRODUCTION")
    deliver()
    assert sorted(mail.message["X-BOM-Mode"] for mail in smtp_server.received) == ["PRODUCTION", "TEST"]


def test_a_recovery_is_mailed_once(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any, smtp_server: SmtpServer
) -> None:
    endpoint.status = 500
    accept()
    deliver()
    endpoint.status = 200
    for minute in (20, 25):
        accept()
        deliver(START.replace(minute=minute))
    assert len(smtp_server.received) == 2
    mail = smtp_server.received[1]
    assert subjects(smtp_server)[1] == "Lumière Lyon / Votre URL de notification répond de nouveau [rétabli]"
    assert mail.message["X-BOM-Notification"] == "ipn_failure"
    health = CallHealth.objects.get()
    assert (health.failing_since, health.failure_count) == (None, 0)


def test_the_mail_goes_where_the_table_says_and_nowhere_when_nobody_is_to_be_told(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any, smtp_server: SmtpServer
) -> None:
    endpoint.status = 500
    rule_services.rule_update(rule=rule, actor=ACTOR, recipients=["dev@agence.example", "@shop_manager"])
    accept()
    deliver()
    assert sorted(mail.rcpt_tos[0] for mail in smtp_server.received) == ["claire@lumiere.example", "dev@agence.example"]
    rule.refresh_from_db()
    rule_services.rule_update(rule=rule, actor=ACTOR, recipients=[])
    accept()
    deliver(START + timedelta(minutes=20))
    assert len(smtp_server.received) == 2


def test_the_failure_mail_speaks_the_language_of_the_shop(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any, smtp_server: SmtpServer
) -> None:
    Shop.objects.update(language="en")
    NotificationRule.objects.update(auto_retry=True)
    endpoint.status = 500
    accept()
    deliver()
    assert subjects(smtp_server) == [
        "Lumière Lyon - Tr. ref. 000001 / FAILURE during the call to your IPN URL [unsuccessful attempt #1]"
    ]


# --- Calls on request -----------------------------------------------------------------------------


def test_a_manual_success_stops_the_automatic_retry(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any, smtp_server: SmtpServer
) -> None:
    NotificationRule.objects.update(auto_retry=True)
    endpoint.status = 500
    event = accept()
    deliver()
    endpoint.status = 200
    made = call_results.call_replay(delivery=call_of(event), actor=ACTOR)
    deliver(START.replace(minute=3))
    made.refresh_from_db()
    assert (made.status, made.is_manual) == ("sent", True)
    assert form(endpoint.requests[-1])["vads_url_check_src"] == "BO"
    assert (call_of(event).status, call_of(event).retry_at) == ("cancelled", None)
    deliver(START.replace(minute=15))
    assert len(endpoint.requests) == 2
    assert CallHealth.objects.get().failing_since is not None, "health follows automatic calls only"
    assert len(smtp_server.received) == 1


def test_a_manual_failure_changes_nothing(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any, smtp_server: SmtpServer
) -> None:
    NotificationRule.objects.update(auto_retry=True)
    endpoint.status = 500
    event = accept()
    deliver()
    before = call_of(event)
    made = call_results.call_replay(delivery=before, actor=ACTOR)
    assert deliver(START.replace(minute=3)) == "sent=0 retry=0 dead=1"
    made.refresh_from_db()
    after = call_of(event)
    assert made.status == "dead", "one attempt"
    assert (after.status, after.retry_at, after.attempt_count) == ("retry", before.retry_at, 1)
    assert len(smtp_server.received) == 1, "nobody is told of what somebody is looking at"
    assert CallHealth.objects.get().failure_count == 1


def test_a_replay_goes_to_the_original_or_to_the_current_url(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any
) -> None:
    event = accept()
    deliver()
    NotificationRule.objects.update(url_production=endpoint.url("/new"))
    for url in ("original", "current"):
        call_results.call_replay(delivery=Delivery.objects.get(pk=call_of(event).pk), actor=ACTOR, url=url)
    deliver()
    assert [request.path for request in endpoint.requests] == ["/ipn", "/ipn", "/new"]
    NotificationRule.objects.update(url_production="")
    with pytest.raises(ValidationError, match="n'a pas d'URL"):
        call_results.call_replay(delivery=Delivery.objects.get(pk=call_of(event).pk), actor=ACTOR, url="current")


# --- Many calls -----------------------------------------------------------------------------------


def test_at_most_five_calls_at_a_time_go_to_one_endpoint_and_a_hanging_one_delays_nobody(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any, lyon: Shop
) -> None:
    async def hang(_reader: Any, writer: asyncio.StreamWriter, _request: Any) -> bool:
        while len(endpoint.requests) < 12:
            await asyncio.sleep(0.01)
        writer.write(raw(500))
        await writer.drain()
        return True

    with Endpoint(host="127.0.0.2") as hanging:
        hanging.at("/ipn", hang)
        NotificationRuleFactory(ipn=True, shop=lyon, reference="ipn-hang", url_production=hanging.url("/ipn"))
        endpoint.at("/ipn", answers(200, after=0.01))
        for _n in range(12):
            accept()
        deliver()
    healthy = Attempt.objects.filter(delivery__rule=rule)
    assert healthy.count() == 12 and endpoint.busiest <= 5
    hung = Delivery.objects.filter(rule__reference="ipn-hang", channel="ipn")
    # What hangs until every healthy call has come was answered within its time.
    assert set(hung.values_list("status", "http_status")) == {("dead", 500)}


def test_calls_of_one_endpoint_are_made_in_the_order_of_their_events(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any
) -> None:
    for _n in range(8):
        accept()
    deliver()
    first = [form(request)["vads_trans_id"] for request in endpoint.requests[:5]]
    assert sorted(first) == [f"{n:06d}" for n in range(1, 6)]


def test_a_call_whose_lease_was_taken_is_not_written(
    rule: NotificationRule, endpoint: Endpoint, accept: Any, deliver: Any
) -> None:
    delivery = call_of(accept())
    Delivery.objects.filter(pk=delivery.pk).update(status="sending", lease_owner="somebody else")
    from notifications.calls.door import Answer

    ended = call_results.Ended(delivery, Answer("", 200, "OK", "", "", 3, ""), timezone.now())
    assert call_results.record([ended], "me") == {}
    assert not delivery.attempts.exists()


def test_labels_are_translated(rule: NotificationRule, accept: Any) -> None:
    NotificationRule.objects.update(url_production="")
    delivery = call_of(accept())
    with translation.override("en"):
        assert calls.status_label(delivery) == "Undefined URL"


def test_publishing_an_event_and_its_calls_is_one_transaction(rule: NotificationRule, lyon: Shop) -> None:
    with pytest.raises(RuntimeError, match="undone"), transaction.atomic():
        publishing.publish(type="payment.accepted", company=lyon.company, shop=lyon)
        raise RuntimeError("undone")
    assert not Delivery.objects.exists()


def test_a_rule_whose_url_is_no_longer_allowed_can_still_be_switched_off(rule: NotificationRule, settings: Any) -> None:
    settings.IPN_ALLOW_PRIVATE_NETWORKS = False
    rule_services.rule_update(rule=rule, actor=ACTOR, enabled=False)
    rule.refresh_from_db()
    assert rule.enabled is False
    with pytest.raises(ValidationError):
        rule_services.rule_update(rule=rule, actor=ACTOR, enabled=True)
