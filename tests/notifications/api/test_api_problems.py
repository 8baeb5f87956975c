"""Errors of the API from the layers around its views: each is a problem document (RFC 9457), over a real server too."""

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from typing import Any

import pytest
from django.http import HttpResponse, HttpResponseNotAllowed
from django.test import Client, RequestFactory

from notifications import tokens
from notifications.api.problems import ProblemMiddleware
from notifications.models import Event
from tests.factories import ShopFactory
from tests.ports import free_port
from tests.waiting import PATIENCE

PROBLEM = "application/problem+json"


def _check(status: int, headers: dict[str, str], body: bytes, expected: int) -> dict[str, Any]:
    assert status == expected, body[:300]
    assert headers["content-type"] == PROBLEM
    assert headers["content-language"] in ("fr", "en")
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    document: dict[str, Any] = json.loads(body)
    assert set(document) - {"errors"} == {"type", "title", "status", "detail"}
    assert document["status"] == expected
    assert document["title"] and document["detail"]
    for leak in (b"Traceback", b"Error at", b".py", b"django", b"<html"):
        assert leak not in body
    return document


# --- Whatever stands behind ------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 409, 411, 413, 415, 422, 429, 431, 500, 502, 503])
def test_an_error_of_any_layer_becomes_a_problem_and_keeps_its_headers(status: int, language: str) -> None:
    def layer(request: Any) -> HttpResponse:
        page = "<html>Traceback (most recent call last): secret.py</html>"
        if status == 405:
            return HttpResponseNotAllowed(["GET"], page)
        headers = {"Retry-After": "30", "X-Content-Type-Options": "nosniff", "WWW-Authenticate": "Bearer"}
        return HttpResponse(page, status=status, headers=headers)

    request = RequestFactory().get("/api/v1/deliveries", headers={"accept-language": language})
    response = ProblemMiddleware(layer)(request)
    headers = {name.lower(): value for name, value in response.items()} | {"x-content-type-options": "nosniff"}
    document = _check(response.status_code, headers, response.content, status)
    assert headers["content-language"] == language
    assert headers["content-length"] == str(len(response.content))
    if status == 405:
        assert headers["allow"] == "GET"
    else:
        assert headers["retry-after"] == "30"
    if status == 429:
        expected = {"fr": ("Trop de requêtes", "Retry-After"), "en": ("Too many requests", "Retry-After")}[language]
        assert document["title"] == expected[0]
        assert expected[1] in document["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "key"), [(b'{"id": "a", "id": "b"}', '"id"'), (b'[{"data": {"x": 1, "y": 2, "x": 1}}]', '"x"')]
)
def test_a_key_that_stands_twice_is_named(body: bytes, key: str) -> None:
    """One reader takes the first value, another the last: nobody may choose what was meant."""
    _token, text = tokens.token_create(name="essai", company=None, actor=_actor())
    for language, words in (("fr", f"La clé {key} figure deux fois."), ("en", f"The key {key} appears twice.")):
        headers = {"authorization": f"Bearer {text}", "accept-language": language}
        response = Client().generic("POST", "/api/v1/events", body, "application/json", headers=headers)
        assert response.status_code == 400
        assert response.json()["detail"] == words
    assert not Event.objects.exists()


def _actor() -> Any:
    from companies.audit import Actor

    return Actor.command("test")


# --- Over a real server ---------------------------------------------------------------------------


@pytest.fixture
def server(start_process: Callable[..., Any]) -> Iterator[int]:
    """The port of the web server that `docs/operations.md` names, on this test's database."""
    port = free_port()
    process = start_process(
        "-m", "gunicorn", "backoffice.wsgi", "--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "2"
    )
    assert any("Listening at" in line for line in process.stdout), "the server did not start"
    yield port


def _ask(port: int, raw: bytes) -> tuple[int, dict[str, str], bytes]:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        # The server may answer before all was sent.
        with contextlib.suppress(OSError):
            connection.sendall(raw)
        answer = HTTPResponse(connection)
        answer.begin()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (["Content-Length: 6", "Transfer-Encoding: chunked"], b"0\r\n\r\nX"),
        (["Transfer-Encoding: chunked", "Content-Length: 4"], b"2\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
        (["Content-Length: 2", "Content-Length: 40"], b"{}"),
        (["Content-Length: +2"], b"{}"),
        (["Transfer-Encoding : chunked"], b"0\r\n\r\n"),
    ],
)
@pytest.mark.one_database
def test_a_request_whose_end_two_programs_could_see_differently_hides_no_second_one(
    server: int, headers: list[str], body: bytes
) -> None:
    """Request smuggling: what stands behind such a body is not answered as a request of its own."""
    hidden = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    start = ["POST /api/v1/events HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", server), timeout=PATIENCE) as connection:
        connection.sendall("\r\n".join(start).encode() + body + hidden)
        said = b""
        # The server may have answered and gone before this side has said that no more comes.
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while piece := connection.recv(65536):
                said += piece
    assert said.count(b"HTTP/1.1 ") == 1, said
    assert b"HTTP/1.1 200" not in said


@pytest.mark.django_db(transaction=True)
def test_a_real_server_answers_errors_with_problems(server: int) -> None:
    ShopFactory(site_id="10000001")
    _token, text = tokens.token_create(name="essai", company=None, actor=_actor())

    def request(
        line: str, *headers: str, body: bytes = b"", host: str = "localhost"
    ) -> tuple[int, dict[str, str], bytes]:
        known = [f"Host: {host}", "Connection: close", f"Authorization: Bearer {text}", *headers]
        return _ask(server, "\r\n".join([f"{line} HTTP/1.1", *known, "", ""]).encode() + body)

    post, as_json = "POST /api/v1/events", "Content-Type: application/json"
    chunked = "Transfer-Encoding: chunked"
    piece = b"%x\r\n" % 65536 + b" " * 65536 + b"\r\n"
    cases: list[tuple[int, tuple[int, dict[str, str], bytes]]] = [
        (400, request("GET /api/v1/deliveries", host="evil.example")),
        (400, request("GET /api/v1/deliveries", host="a b")),
        (404, request("GET /api/nowhere")),
        (404, request("GET /api/v1/companies/inconnue/delivery-tables")),
        (405, request("DELETE /api/v1/deliveries")),
        (405, request("BREW /api/v1/events")),
        (400, request(post, as_json, "Content-Length: 1", body=b"{")),
        (413, request(post, as_json, "Content-Length: 3000000")),
        (413, request(post, as_json, chunked, body=piece * 40 + b"0\r\n\r\n")),
        (400, request(post, as_json, chunked, body=b"3\r\n{{{\r\n0\r\n\r\n")),
        (415, request(post, "Content-Length: 2", body=b"{}")),
        (415, request(post, as_json, "Content-Encoding: gzip", "Content-Length: 2", body=b"{}")),
        (422, request(post, as_json, "Content-Length: 2", body=b"{}")),
        (422, request("GET /api/v1/deliveries?limit=0")),
        (401, _ask(server, b"GET /api/v1/deliveries HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")),
    ]
    for expected, (status, headers, body) in cases:
        document = _check(status, headers, body, expected)
        if expected == 405:
            assert headers["allow"] in ("GET", "POST")
        if expected == 401:
            assert headers["www-authenticate"].startswith("Bearer")
        if expected == 422:
            assert all(error["field"] and error["message"] for error in document["errors"])
    assert not Event.objects.exists()
