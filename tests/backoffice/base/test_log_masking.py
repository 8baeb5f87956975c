"""Whatever is logged, by us or by a library: no secret and no address stands in the line."""

import json
import logging
import logging.config
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.test import Client

from backoffice.base.log_masking import masked_text
from tests.factories import CompanyFactory, ShopFactory, UserFactory

SECRETS = (
    "bom_kfj39fjKJH38fhskdjfhKJHSDF98sdf",
    "prodpassword_8sdf7sdf87sdfSDF",
    "s3cr3t-Passw0rd",
    "claire@lumiere.example",
    "aVeryLongLinkToken0123456789",
    "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
)


@pytest.fixture
def lines() -> Any:
    """A function that returns what the configured formatter writes for a record."""
    stream = StringIO()
    made = dict(settings.LOGGING["formatters"]["json"])
    formatter = made.pop("()")(**made)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.getLogger("masking.test")
    logger.addHandler(handler)
    logger.setLevel("DEBUG")
    logger.propagate = False
    yield lambda: stream.getvalue()
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer bom_kfj39fjKJH38fhskdjfhKJHSDF98sdf",
        "token bom_kfj39fjKJH38fhskdjfhKJHSDF98sdf refused",
        "rest key prodpassword_8sdf7sdf87sdfSDF",
        "password=s3cr3t-Passw0rd",
        "{'password': 's3cr3t-Passw0rd', 'login': 'x'}",
        '{"secret": "s3cr3t-Passw0rd"}',
        "smtp://user:s3cr3t-Passw0rd@mail.example:25",
        "delivery to claire@lumiere.example failed",
        "<claire@lumiere.example>: Relay access denied",
        "GET /accounts/set-password/aVeryLongLinkToken0123456789/",
        "GET /orders/aVeryLongLinkToken0123456789/pay/",
        "GET /notifications/addresses/?q=claire@lumiere.example",
        "seed JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    ],
)
def test_secrets_and_addresses_are_taken_out_of_text(text: str) -> None:
    said = masked_text(text)
    assert not [secret for secret in SECRETS if secret in said], said


def test_what_operators_need_stays() -> None:
    for text in ("delivery 7c1f2a failed after 3 attempts: 550 5.1.1", "POST /settings/company/ 200", "tick_failed"):
        assert masked_text(text) == text


def test_lines_of_structlog_and_of_libraries_are_both_masked(lines: Any) -> None:
    structlog.get_logger("masking.test").warning(
        "sent", email="claire@lumiere.example", password="s3cr3t-Passw0rd", data={"token": "xyz-1-token"}, attempts=3
    )
    logging.getLogger("masking.test").warning("to %s with %s", "claire@lumiere.example", "password=s3cr3t-Passw0rd")
    try:
        raise ValueError("claire@lumiere.example: password=s3cr3t-Passw0rd")
    except ValueError:
        logging.getLogger("masking.test").exception("failed")
    written = lines()
    assert len(written.splitlines()) == 3
    assert not [secret for secret in SECRETS if secret in written], written
    assert json.loads(written.splitlines()[0])["attempts"] == 3
    assert "xyz-1-token" not in written and "ValueError" in written


def test_a_line_of_a_library_says_when_where_and_who(lines: Any) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1", user_id=7):
        logging.getLogger("masking.test").warning("Not Found: %s", "/nowhere/")
    line = json.loads(lines())
    assert (line["event"], line["level"], line["logger"]) == ("Not Found: /nowhere/", "warning", "masking.test")
    assert (line["request_id"], line["user_id"]) == ("r-1", 7)
    when = datetime.fromisoformat(line["timestamp"])
    assert when.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - when) < timedelta(minutes=1)


def test_what_somebody_sent_starts_no_line_of_its_own(lines: Any) -> None:
    forged = 'nobody\r\n{"event": "login_spraying"}\u2028\x1b[2K'
    logging.getLogger("masking.test").warning("Not Found: %s", forged)
    structlog.get_logger("masking.test").warning("refused", path=forged)
    written = lines()
    assert len(written.splitlines()) == 2
    assert "\x1b" not in written
    assert [json.loads(line)["event"] for line in written.splitlines()] == [f"Not Found: {forged}", "refused"]


@pytest.fixture
def logged() -> Any:
    """What the product writes at its usual level while requests are served."""
    stream = StringIO()
    made = dict(settings.LOGGING["formatters"]["json"])
    handler = logging.StreamHandler(stream)
    handler.setFormatter(made.pop("()")(**made))
    loggers = [logging.getLogger(), logging.getLogger("django_structlog")]
    before = [logger.level for logger in loggers]
    loggers[0].addHandler(handler)
    for logger in loggers:
        logger.setLevel("WARNING")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    loggers[0].removeHandler(handler)
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.mark.django_db
def test_whoever_is_refused_leaves_a_line_with_who_what_and_when(
    logged: Any, client_for: Callable[..., Client]
) -> None:
    """Rights, objects of others, forged forms, the API: each refusal names the account, the page and the answer."""
    viewer = UserFactory(company=CompanyFactory(), role="viewer")
    client, stranger = client_for(viewer), ShopFactory(site_id="20000002")
    client.get("/settings/company/users/")
    client.get(f"/settings/shops/{stranger.site_id}/")
    client_for(viewer, enforce_csrf_checks=True).post("/account/", {})
    Client().get("/api/v1/deliveries", headers={"authorization": "Bearer bom_kfj39fjKJH38fhskdjfhKJHSDF98sdf"})
    found = [line for line in logged() if line["event"] == "request_finished"]
    assert [(line["request"], line["code"], line["user_id"]) for line in found] == [
        ("GET /settings/company/users/", 403, viewer.pk),
        (f"GET /settings/shops/{stranger.site_id}/", 404, viewer.pk),
        ("POST /account/", 403, viewer.pk),
        ("GET /api/v1/deliveries", 401, None),
    ]
    assert all(line["timestamp"] and line["request_id"] and line["level"] == "warning" for line in found)
    reasons = [line["event"] for line in logged() if line["event"] != "request_finished"]
    assert any("CSRF" in reason for reason in reasons)
    assert not [line for line in logged() if "timestamp" not in line or "level" not in line]


@pytest.mark.django_db
def test_a_defect_leaves_its_trace_in_the_log(
    logged: Any, client_for: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("broken for claire@lumiere.example")

    monkeypatch.setattr("companies.history.entries.last_change", broken)
    client = client_for(UserFactory(), raise_request_exception=False)
    assert client.get("/account/").status_code == 500
    line = next(line for line in logged() if "RuntimeError" in line.get("exception", ""))
    assert line["level"] == "error" and "last_change" in line["exception"]
    assert "claire@lumiere.example" not in json.dumps(logged())
