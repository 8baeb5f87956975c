"""The HTTP API: what it accepts, what it refuses and in which words, who sees what."""

import io
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from companies.audit import Actor
from companies.models import Company
from notifications import readers, settings_facts
from notifications.models import Delivery, Event
from notifications.tables import compute
from notifications.tokens import token_create
from shops.models import Shop
from tests.factories import (
    CompanyFactory,
    DeliveryFactory,
    EventFactory,
    NotificationRuleFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
EVENTS, DELIVERIES = "/api/v1/events", "/api/v1/deliveries"
LIMIT = 2 * 1024 * 1024


class Caller:
    """A program with a token."""

    def __init__(self, company: Company | None = None) -> None:
        self.token = token_create(name="test", company=company, actor=Actor.command("test"))[1]
        self.client = Client(raise_request_exception=False)

    def get(self, path: str, query: Any = None, language: str = "fr") -> Any:
        return self.client.get(path, query, headers=self._headers(language))

    def post(self, body: Any, *, content_type: str = "application/json", language: str = "fr", **extra: Any) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.generic("POST", EVENTS, raw, content_type, headers=self._headers(language), **extra)

    def _headers(self, language: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}", "accept-language": language}


@pytest.fixture
def platform() -> Caller:
    return Caller()


@pytest.fixture(autouse=True)
def _has_a_rule(shop: Shop) -> None:
    NotificationRuleFactory(shop=shop, recipients=["@shop_manager", "dev@agence.example"])


def event(**changes: Any) -> dict[str, Any]:
    body = {
        "id": "evt-0001",
        "type": "payment.accepted",
        "site_id": "10000001",
        "mode": "PRODUCTION",
        "occurred_at": "2026-11-23T10:00:00Z",
        "data": {"amount": 1990, "currency": "EUR"},
    }
    return {name: value for name, value in {**body, **changes}.items() if value is not ...}


def problem(response: Any, status: int) -> dict[str, Any]:
    """The problem document of a response, checked for its form."""
    assert response.status_code == status, response.content[:500]
    assert response["Content-Type"] == "application/problem+json"
    assert response["Cache-Control"] == "no-store"
    document: dict[str, Any] = json.loads(response.content)
    assert {"type", "title", "status", "detail"} <= set(document)
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return document


def fields(document: dict[str, Any]) -> list[str]:
    assert all(error["message"] for error in document["errors"])
    return [error["field"] for error in document["errors"]]


# --- One event ------------------------------------------------------------------------------------


def test_an_event_is_accepted_and_queues_its_deliveries(platform: Caller, shop: Shop) -> None:
    response = platform.post(event())
    assert response.status_code == 202
    assert response.json() == {"id": "evt-0001", "status": "accepted"}
    assert response["Cache-Control"] == "no-store"
    assert Delivery.objects.filter(event__event_id="evt-0001", status="queued").count() == 2


def test_the_same_event_again_is_a_duplicate_whatever_its_key_order_and_offset(platform: Caller, shop: Shop) -> None:
    platform.post(event())
    again = dict(reversed(event(occurred_at="2026-11-23T11:00:00+01:00").items()))
    response = platform.post(json.dumps(again, indent=3).encode())
    assert (response.status_code, response.json()) == (200, {"id": "evt-0001", "status": "duplicate"})
    assert Delivery.objects.count() == 2


def test_the_same_id_with_another_body_is_a_conflict(platform: Caller, shop: Shop) -> None:
    platform.post(event())
    assert "evt-0001" in problem(platform.post(event(data={"amount": 1})), 409)["detail"]
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": ...}, "id"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"id": "x" * 201}, "id"),
        ({"type": "payment.imagined"}, "type"),
        ({"type": "production_key.regenerated"}, "type"),
        ({"type": "shop.created"}, "type"),
        ({"site_id": "1000001"}, "site_id"),
        ({"site_id": 10000001}, "site_id"),
        ({"site_id": "99999999"}, "site_id"),
        ({"mode": "LIVE"}, "mode"),
        ({"occurred_at": "2026-11-23T10:00:00"}, "occurred_at"),
        ({"occurred_at": "hier"}, "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at"),
        ({"data": []}, "data"),
        ({"data": {"amount": 19.9}}, "data.amount"),
        ({"data": {"amount": 19.0}}, "data.amount"),
        ({"data": {"amount": "19"}}, "data.amount"),
        ({"data": {"amount": True}}, "data.amount"),
        ({"data": {"amount": -1}}, "data.amount"),
        ({"data": {"currency": "euro"}}, "data.currency"),
        ({"data": {"source": "MOON"}}, "data.source"),
        ({"version": 2}, "version"),
        ({"version": 1.0}, "version"),
        ({"version": "1"}, "version"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_refused_event_names_the_field(platform: Caller, shop: Shop, changes: dict[str, Any], field: str) -> None:
    assert fields(problem(platform.post(event(**changes)), 422)) == [field]
    assert not Event.objects.exists()


def test_every_bad_field_is_named_at_once(platform: Caller, shop: Shop) -> None:
    document = problem(platform.post(event(id=..., mode="X", extra=1)), 422)
    assert sorted(fields(document)) == ["extra", "id", "mode"]


def test_unknown_keys_of_data_are_kept(platform: Caller, shop: Shop) -> None:
    assert platform.post(event(version=1, data={"loyalty": {"points": 3}})).status_code == 202
    assert Event.objects.get().data == {"loyalty": {"points": 3}}


@pytest.mark.parametrize("body", ["text", 3, None, True])
def test_a_body_that_is_no_object_is_refused(platform: Caller, body: Any) -> None:
    problem(platform.post(body), 422)


# --- Bodies that are no JSON ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b" ",
        b"{",
        b"{'id': 1}",
        b'{"id": NaN}',
        b'{"id": -Infinity}',
        b'{"id": 1e999}',
        b'{"id": "a\\u0000b"}',
        b'{"id": "\\ud800"}',
        b'{"\\udfff": 1}',
        b"\xff\xfe{}",
        b'{"id": "caf\xe9"}',
        b"\xef\xbb\xbf",
        b"[" * 100_000,
        b"[" * 100 + b"]" * 100,
        b'{"id": ' + b"9" * 5000 + b"}",
        b'{"id": "a", "id": "b"}',
        b'{"data": {"amount": 1, "\\u0061mount": 2}}',
        b'[{"\\ud800": 1, "\\ud800": 1}]',
    ],
    ids=range(18),
)
def test_what_is_not_strict_json_in_utf8_is_a_400(platform: Caller, shop: Shop, raw: bytes) -> None:
    problem(platform.post(raw), 400)
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "application/json; charset=iso-8859-1"],
)  # fmt: skip
def test_another_content_type_or_charset_is_a_415(platform: Caller, shop: Shop, content_type: str) -> None:
    problem(platform.post(event(), content_type=content_type), 415)


def test_a_compressed_body_is_a_415(platform: Caller) -> None:
    problem(platform.post(b"x", HTTP_CONTENT_ENCODING="gzip"), 415)


def test_utf8_may_be_named(platform: Caller, shop: Shop) -> None:
    assert platform.post(event(), content_type='application/json; charset="UTF-8"').status_code == 202


def padded(size: int) -> bytes:
    raw = json.dumps(event()).encode()
    return raw + b" " * (size - len(raw))


def test_two_mebibytes_are_accepted_and_one_byte_more_is_not(platform: Caller, shop: Shop) -> None:
    problem(platform.post(padded(LIMIT + 1)), 413)
    assert not Event.objects.exists()
    assert platform.post(padded(LIMIT)).status_code == 202


@pytest.mark.parametrize("length", ["abc", "-1", "1_0", "٣", "12 34"])
def test_a_malformed_content_length_is_a_400(platform: Caller, length: str) -> None:
    problem(platform.post(event(), CONTENT_LENGTH=length), 400)


@pytest.mark.parametrize("length", ["3000000", "9" * 5000])
def test_a_stated_length_over_the_limit_is_refused_unread(platform: Caller, length: str) -> None:
    problem(platform.post(b"{}", CONTENT_LENGTH=length), 413)


def test_a_body_that_ends_early_is_a_400(platform: Caller, shop: Shop) -> None:
    raw = json.dumps(event()).encode()
    cut = platform.post(raw, CONTENT_LENGTH=str(len(raw) + 10), **{"wsgi.input": io.BytesIO(raw)})
    problem(cut, 400)
    assert not Event.objects.exists()


def chunked(caller: Caller, raw: bytes, *, ends: bool) -> Any:
    return caller.post(
        raw,
        CONTENT_LENGTH="",
        HTTP_TRANSFER_ENCODING="chunked",
        **{"wsgi.input": io.BytesIO(raw), "wsgi.input_terminated": ends},
    )


def test_a_body_without_a_stated_length_is_read_to_its_end_and_no_further_than_the_limit(
    platform: Caller, shop: Shop
) -> None:
    assert chunked(platform, padded(1000), ends=True).status_code == 202
    problem(chunked(platform, padded(LIMIT + 1), ends=True), 413)
    problem(chunked(platform, padded(1000), ends=False), 411)


# --- Lists ----------------------------------------------------------------------------------------


def test_each_event_of_a_list_stands_alone(platform: Caller, shop: Shop) -> None:
    platform.post(event(id="known"))
    body = [event(id="a"), event(id="known"), event(id="known", mode="TEST"), event(id="b", mode="X"), 5, event(id="c")]
    response = platform.post(body)
    assert response.status_code == 200
    document = response.json()
    assert (document["accepted"], document["duplicate"], document["rejected"]) == (2, 1, 3)
    assert [(row["index"], row["id"], row["status"]) for row in document["results"]] == [
        (0, "a", "accepted"),
        (1, "known", "duplicate"),
        (2, "known", "rejected"),
        (3, "b", "rejected"),
        (4, None, "rejected"),
        (5, "c", "accepted"),
    ]
    assert document["results"][0]["error"] is None
    assert "mode" in document["results"][3]["error"]
    assert document["results"][3]["errors"][0]["field"] == "mode"
    assert set(Event.objects.values_list("event_id", flat=True)) == {"known", "a", "b", "c"} - {"b"}


def test_a_thousand_events_fit_and_one_more_does_not(platform: Caller, shop: Shop) -> None:
    assert "1001" in problem(platform.post([{}] * 1001), 413)["detail"]
    assert platform.post([{}] * 1000).json()["rejected"] == 1000
    assert platform.post([]).json() == {"accepted": 0, "duplicate": 0, "rejected": 0, "results": []}


# --- Who may do what ------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer bom_wrong", "Basic YTpi", "bom_x"])
def test_without_a_valid_token_everything_is_a_401_with_a_challenge(shop: Shop, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    for method, path in (("GET", DELIVERIES), ("POST", EVENTS), ("GET", "/api/v1/companies/lumiere/delivery-tables")):
        response = Client().generic(method, path, b"{}", "application/json", headers=headers)
        problem(response, 401)
        assert response["WWW-Authenticate"].startswith("Bearer")


def test_a_session_is_worth_nothing_and_no_csrf_token_is_asked(shop: Shop, client_for: Any) -> None:
    user = UserFactory(company=shop.company)
    problem(client_for(user).get(DELIVERIES), 401)
    caller = Caller()
    caller.client = client_for(user, enforce_csrf_checks=True)
    assert caller.post(event()).status_code == 202


def test_a_session_that_lacks_a_second_factor_does_not_redirect_the_api(
    shop: Shop, client_for: Any, settings: Any
) -> None:
    settings.MFA_REQUIRED = True
    caller = Caller()
    caller.client = client_for(UserFactory(company=shop.company))
    assert caller.get(DELIVERIES).status_code == 200


def test_another_companys_shop_reads_exactly_like_an_unknown_one(shop: Shop) -> None:
    mine = Caller(CompanyFactory())
    foreign = problem(mine.post(event()), 422)
    unknown = problem(mine.post(event(site_id="99999999")), 422)
    assert json.dumps(foreign).replace("10000001", "99999999") == json.dumps(unknown)
    assert not Event.objects.exists()
    assert Caller(shop.company).post(event()).status_code == 202


def test_another_companys_tables_read_exactly_like_unknown_ones(shop: Shop) -> None:
    mine = Caller(CompanyFactory())
    answers = [mine.get(f"/api/v1/companies/{name}/delivery-tables") for name in ("lumiere", "nobody", "n%00b", "É")]
    for answer in answers:
        problem(answer, 404)
    assert len({answer.content for answer in answers}) == 1
    assert Caller(shop.company).get("/api/v1/companies/lumiere/delivery-tables").status_code == 200


def test_deliveries_are_those_of_the_tokens_company(shop: Shop, platform: Caller) -> None:
    own = DeliveryFactory(event__shop=shop)
    other = DeliveryFactory()
    assert [row["id"] for row in Caller(shop.company).get(DELIVERIES).json()["results"]] == [str(own.pk)]
    assert {row["id"] for row in platform.get(DELIVERIES).json()["results"]} == {str(own.pk), str(other.pk)}
    found = Caller(shop.company).get(DELIVERIES, {"shop": other.shop.site_id})
    assert found.json() == {"results": [], "next": None}


# --- Delivery tables ------------------------------------------------------------------------------


def test_the_tables_are_those_of_the_selector_in_the_callers_language(platform: Caller, shop: Shop) -> None:
    from django.utils import translation

    for header, language in (
        ("fr", "fr"),
        ("en", "en"),
        ("en-GB,en;q=0.9,fr;q=0.5", "en"),
        ("de, fr;q=0.2", "fr"),
        ("en;q=0, *", "fr"),
        ("", "fr"),
    ):
        response = platform.get("/api/v1/companies/lumiere/delivery-tables", language=header)
        with translation.override(language):
            expected = compute.delivery_tables_json(compute.delivery_tables(settings_facts.company_facts(shop.company)))
        assert response.json() == expected
        assert response["Content-Language"] == language
        assert "Accept-Language" in response["Vary"]


# --- Deliveries -----------------------------------------------------------------------------------


def test_a_delivery_shows_what_the_description_promises(platform: Caller, shop: Shop) -> None:
    moment = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    row = DeliveryFactory(
        event__shop=shop, event__event_id="evt-9", rule=shop.rules.get(), created_at=moment, status="retry",
        retry_at=moment + timedelta(minutes=1), attempt_count=1, error="451 later", address="Claire@Lumiere.example",
    )  # fmt: skip
    assert platform.get(DELIVERIES).json()["results"] == [
        {
            "id": str(row.pk),
            "event": "evt-9",
            "notification": "merchant_email",
            "shop": "10000001",
            "rule": row.rule.reference,
            "address": "Claire@Lumiere.example",
            "as": "to",
            "channel": "email",
            "mode": "PRODUCTION",
            "status": "retry",
            "attempts": 1,
            "created_at": "2026-11-23T10:00:00Z",
            "sent_at": None,
            "retry_at": "2026-11-23T10:01:00Z",
            "http_status": None,
            "error": "451 later",
            "digest_at": None,
            "carried_by": None,
        }
    ]


def test_filters_narrow_the_list(platform: Caller, shop: Shop) -> None:
    start = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    one = DeliveryFactory(
        event__shop=shop, event__event_id="evt-1", address="a@x.example", status="sent", created_at=start
    )
    ten = DeliveryFactory(
        event__event_id="evt-10", address="aa@x.example", status="dead", created_at=start + timedelta(hours=1)
    )
    key = DeliveryFactory(
        event__event_id="evt-2", address="b@x.example", notification="production_key_generated",
        created_at=start + timedelta(hours=2),
    )  # fmt: skip
    for query, expected in (
        ({}, [key, ten, one]),
        ({"status": "sent"}, [one]),
        ({"status": ["sent", "dead"]}, [ten, one]),
        ({"status": "sent,dead"}, [ten, one]),
        ({"notification": "production_key_generated"}, [key]),
        ({"shop": "10000001"}, [one]),
        ({"address": "A@X.example"}, [one]),
        ({"event": "evt-1"}, [one]),
        ({"since": "2026-11-23T11:00:00Z"}, [key, ten]),
        ({"until": "2026-11-23T12:00:00+01:00"}, [one]),
        ({"since": "2026-11-23T11:30:00 00:30", "until": "2026-11-23T12:00:00Z"}, [ten]),
        ({"status": "sent", "event": "evt-2"}, []),
    ):
        response = platform.get(DELIVERIES, query)
        assert response.status_code == 200, response.content
        assert [row["id"] for row in response.json()["results"]] == [str(row.pk) for row in expected], query


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "lost"),
        ("notification", "gossip"),
        ("shop", "123"),
        ("shop", "٣٣٣٣٣٣٣٣"),
        ("address", "a\x00b"),
        ("event", "x" * 501),
        ("since", "2026-11-23"),
        ("since", "0001-01-01T00:00:00+14:00"),
        ("until", "2026-13-40T10:00:00Z"),
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "ten"),
        ("limit", "9" * 5000),
        ("limit", ["1", "2"]),
        ("cursor", "nonsense"),
        ("cursor", "é"),
        ("offset", "3"),
    ],
)
def test_a_bad_query_parameter_is_named(platform: Caller, name: str, value: Any) -> None:
    assert fields(problem(platform.get(DELIVERIES, {name: value}), 422)) == [name]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        # What an unescaped + arrives as.
        ("address=claire+paris@x.example", ["address"]),
        ("address=", ["address"]),
        ("address=%20", ["address"]),
        ("status=", ["status"]),
        ("status=sent,", ["status"]),
        ("status=sent&status=", ["status"]),
        ("notification=&shop=&event=&since=&until=&limit=&cursor=",
         ["notification", "shop", "event", "since", "until", "limit", "cursor"]),
        ("adress=a@x.example&statut=sent", ["adress", "statut"]),
    ],
)  # fmt: skip
def test_a_filter_that_would_filter_otherwise_than_meant_is_refused(
    platform: Caller, shop: Shop, query: str, names: list[str]
) -> None:
    assert fields(problem(platform.get(f"{DELIVERIES}?{query}"), 422)) == names


def test_an_escaped_plus_is_a_plus(platform: Caller, shop: Shop) -> None:
    row = DeliveryFactory(event__shop=shop, address="claire+paris@x.example")
    DeliveryFactory(event__shop=shop, address="claire@x.example")
    rows = platform.get(f"{DELIVERIES}?address=claire%2Bparis@x.example").json()["results"]
    assert [shown["id"] for shown in rows] == [str(row.pk)]
    said = problem(platform.get(f"{DELIVERIES}?address=claire+paris@x.example"), 422)["errors"][0]["message"]
    assert "%2B" in said


@pytest.mark.parametrize("path", ["/api/v1/companies/lumiere/delivery-tables", EVENTS])
def test_an_address_that_takes_no_parameters_names_those_it_got(platform: Caller, shop: Shop, path: str) -> None:
    ask = platform.client.post if path == EVENTS else platform.client.get
    answer = ask(f"{path}?x=1&y=", headers=platform._headers("fr"))
    assert fields(problem(answer, 422)) == ["x", "y"]


def test_a_body_may_carry_the_mark_of_its_encoding(platform: Caller, shop: Shop) -> None:
    assert platform.post(b"\xef\xbb\xbf" + json.dumps(event()).encode()).status_code == 202
    assert platform.post(b"\xef\xbb\xbf" + json.dumps([event(id="b")]).encode()).json()["accepted"] == 1


def test_pages_follow_each_other_without_gap_or_repeat_while_rows_arrive(platform: Caller, shop: Shop) -> None:
    moment = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    found = EventFactory(shop=shop)
    # Equal times: only the identifier orders them.
    rows = [DeliveryFactory(event=found, created_at=moment + timedelta(seconds=n // 4)) for n in range(11)]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    for _page in range(10):
        document = platform.get(DELIVERIES, query).json()
        seen += [row["id"] for row in document["results"]]
        if document["next"] is None:
            break
        query["cursor"] = document["next"]
        DeliveryFactory(event=found, created_at=moment + timedelta(minutes=1))
    expected = sorted(rows, key=lambda row: (row.created_at, row.pk.hex), reverse=True)
    assert seen == [str(row.pk) for row in expected]


def test_a_full_last_page_has_no_next(platform: Caller, shop: Shop) -> None:
    DeliveryFactory(event__shop=shop)
    assert platform.get(DELIVERIES, {"limit": 1}).json()["next"] is None


def test_the_list_takes_the_same_queries_for_one_row_and_for_fifty(
    platform: Caller, shop: Shop, django_assert_num_queries: Any
) -> None:
    platform.get(DELIVERIES)
    DeliveryFactory(event__shop=shop)
    with django_assert_num_queries(2):
        platform.get(DELIVERIES)
    found = EventFactory(shop=shop)
    for _row in range(60):
        DeliveryFactory(event=found, rule=shop.rules.get())
    with django_assert_num_queries(2):
        assert len(platform.get(DELIVERIES).json()["results"]) == 50


# --- Every layer answers with problems ------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/", "/api/v1/", "/api/v1/nothing", "/api/v1/events/", "/api/v2/events"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_a_problem(method: str, path: str) -> None:
    response = Client(enforce_csrf_checks=True).generic(method, path, b"{}", "application/json")
    problem(response, 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", EVENTS, "POST"),
        ("DELETE", DELIVERIES, "GET"),
        ("PUT", "/api/v1/companies/x/delivery-tables", "GET"),
        ("POST", "/api/v1/openapi.json", "GET, HEAD"),
    ],
)
def test_a_refused_method_names_the_allowed_ones(method: str, path: str, allowed: str) -> None:
    response = Client(enforce_csrf_checks=True).generic(method, path)
    problem(response, 405)
    assert response["Allow"] == allowed
    assert response["X-Content-Type-Options"] == "nosniff"


def test_an_unknown_host_is_a_problem() -> None:
    problem(Client().get(DELIVERIES, headers={"host": "evil.example"}), 400)


def test_a_defect_is_a_500_that_tells_nothing(platform: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> Any:
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(readers, "deliveries_of", broken)
    response = platform.get(DELIVERIES)
    problem(response, 500)
    assert b"secret" not in response.content


@pytest.mark.parametrize("path", [EVENTS, DELIVERIES, "/api/v1/nothing"])
def test_over_plain_http_it_refuses_and_leads_nowhere(platform: Caller, settings: Any, path: str) -> None:
    """A redirection would hide that the token travels in clear; a page may redirect, a program must notice."""
    settings.SECURE_SSL_REDIRECT = True
    answer = platform.get(path)
    assert answer.status_code == 403
    assert "Location" not in answer.headers
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "remplacez-le" in answer.json()["detail"]
    assert "replace it" in platform.get(path, language="en").json()["detail"]
    assert not Event.objects.exists()
    secure = platform.client.get(path, secure=True, headers=platform._headers("fr"))
    assert secure.status_code in (200, 404, 405)
    assert Client().get("/accounts/login/").headers["Location"].startswith("https://")


def test_problems_speak_the_callers_language(settings: Any) -> None:
    french = problem(Client().get("/api/x"), 404)
    assert french["title"] == "Introuvable"
    response = Client().get("/api/x", headers={"accept-language": "en-US"})
    problem(response, 404)
    assert response["Content-Language"] == "en"


def test_no_log_line_shows_a_token(
    platform: Caller, shop: Shop, caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    settings.DEBUG = True
    with caplog.at_level(logging.DEBUG):
        platform.get(DELIVERIES)
        platform.post(b"{")
        Client().get(DELIVERIES, headers={"authorization": f"Token {platform.token}"})
    assert platform.token not in caplog.text


# --- The description ------------------------------------------------------------------------------


def test_the_description_is_public_and_tells_of_bodies_problems_and_security() -> None:
    document = Client().get("/api/v1/openapi.json").json()
    assert set(document["paths"]) == {
        EVENTS,
        DELIVERIES,
        "/api/v1/companies/{reference}",
        "/api/v1/companies/{reference}/delivery-tables",
        "/api/v1/companies/{reference}/explain",
        "/api/v1/companies/{reference}/coverage",
    }
    post = document["paths"][EVENTS]["post"]
    assert set(post["responses"]) == {"200", "202", "400", "401", "403", "409", "413", "415", "422", "500"}
    assert "application/problem+json" in post["responses"]["422"]["content"]
    assert post["security"]
    assert document["components"]["securitySchemes"]["BearerToken"]["scheme"] == "bearer"
    assert set(document["components"]["schemas"]["EventIn"]["properties"]) >= set(event())
    text = json.dumps(document)
    for name in document["components"]["schemas"]:
        # Guards against a reference that leads nowhere after a rename.
        assert f'"#/components/schemas/{name}"' in text
    names = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names == set(document["components"]["schemas"])


def test_rows_hold_exactly_the_described_fields(platform: Caller, shop: Shop) -> None:
    """Guards against a description that drifts from what is answered."""
    schemas = Client().get("/api/v1/openapi.json").json()["components"]["schemas"]
    DeliveryFactory(event__shop=shop)
    row = platform.get(DELIVERIES).json()["results"][0]
    assert set(row) == set(schemas["DeliveryOut"]["properties"])
    tables = platform.get("/api/v1/companies/lumiere/delivery-tables").json()
    line = next(line for address in tables["addresses"] for line in address["receives"])
    assert set(line) == set(schemas["LineOut"]["properties"])
    assert set(platform.post([event()]).json()["results"][0]) == set(schemas["EventResult"]["properties"])
