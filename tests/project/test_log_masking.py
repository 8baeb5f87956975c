"""Whatever is logged, by us or by a library: no secret and no address stands in the line."""

import json
import logging
import logging.config
from io import StringIO
from typing import Any

import pytest
import structlog
from django.conf import settings

from backoffice.log_masking import masked_text

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
        "sent", email="claire@lumiere.example", password="s3cr3t-Passw0rd", data={"token": "x1"}, attempts=3
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
    assert "x1" not in written and "ValueError" in written
