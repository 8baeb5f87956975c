"""What providers of mail tell: believed by their secret, found by our identifiers or the recipient."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from companies.models import Company
from notifications.models import AddressHealth, Delivery
from tests.factories import DeliveryFactory

pytestmark = pytest.mark.django_db
PARIS = "paris@lumiere.example"
POSTMARK = "/api/v1/bounces/postmark/"


@pytest.fixture
def mail(company: Company, settings: Any) -> Delivery:
    settings.BOUNCE_SECRETS = {"postmark": "postmark:secret", "mailgun": "key-of-mailgun", "brevo": "b:c"}
    mail: Delivery = DeliveryFactory(
        event__company=company, company=company, address=PARIS, normalised_address=PARIS, status="sent", sent_at=timezone.now()
    )  # fmt: skip
    return mail


def post(url: str, document: Any, secret: str = "") -> Any:
    headers = {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()} if secret else {}
    return Client().post(url, json.dumps(document), content_type="application/json", headers=headers)


def test_a_refusal_suppresses_the_address_once(mail: Delivery) -> None:
    document = {
        "RecordType": "Bounce", "Type": "HardBounce", "Email": PARIS, "ID": 1, "MessageID": "theirs",
        "Details": "smtp;550 5.1.1 The email account does not exist", "Metadata": {"delivery": str(mail.pk)},
    }  # fmt: skip
    answer = post(POSTMARK, document, "postmark:secret")
    assert answer.json() == {"deliveries": 1, "suppressed": 1, "soft": 0, "ignored": 0}
    assert post(POSTMARK, document, "postmark:secret").json()["ignored"] == 1
    assert AddressHealth.objects.get().state == "suppressed"


def test_a_signed_notice_is_found_by_our_message_id(mail: Delivery) -> None:
    token = {"timestamp": "1764237600", "token": "t"}
    signature = hmac.new(b"key-of-mailgun", b"1764237600t", hashlib.sha256).hexdigest()
    document: dict[str, Any] = {
        "signature": {**token, "signature": signature},
        "event-data": {
            "event": "failed", "severity": "temporary", "timestamp": 1764237600, "id": "x", "recipient": PARIS,
            "message": {"headers": {"message-id": f"{mail.pk}@localhost"}},
            "delivery-status": {"code": 452, "message": "452 4.2.2 Mailbox full"}, "user-variables": {}, "tags": [],
        },
    }  # fmt: skip
    assert post("/api/v1/bounces/mailgun/", document).json()["soft"] == 1
    assert AddressHealth.objects.get().state == "bouncing"
    document["signature"]["signature"] = "0" * 64
    assert post("/api/v1/bounces/mailgun/", document).status_code == 403


def test_without_an_identifier_the_last_mail_to_the_recipient_is_meant(mail: Delivery) -> None:
    refused = {"event": "hard_bounce", "email": PARIS.upper(), "ts_epoch": 1764237600000, "reason": "unknown user"}
    assert post("/api/v1/bounces/brevo/", refused, "b:c").json()["suppressed"] == 1
    opened = {"event": "opened", "email": PARIS, "ts_epoch": 1764237600000}
    assert post("/api/v1/bounces/brevo/", opened, "b:c").json()["ignored"] == 1
    assert post("/api/v1/bounces/brevo/", {**refused, "email": "x@y.example"}, "b:c").json()["ignored"] == 1


@pytest.mark.parametrize(
    ("url", "secret", "status"),
    [
        (POSTMARK, "", 403),
        (POSTMARK, "postmark:wrong", 403),
        ("/api/v1/bounces/mailjet/", "postmark:secret", 404),
        ("/api/v1/bounces/nobody/", "", 404),
    ],
)
def test_nobody_else_is_believed(url: str, secret: str, status: int, mail: Delivery) -> None:
    answer = post(url, {"RecordType": "Bounce", "Type": "HardBounce", "Email": PARIS}, secret)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    assert not AddressHealth.objects.exists()


@pytest.mark.parametrize(
    "body", ["", "[]", "null", "1", '{"RecordType": 1}', "\ud800".encode("utf-8", "surrogatepass")]
)
def test_what_cannot_be_read_is_refused_and_never_a_defect(body: Any, mail: Delivery) -> None:
    secret = "Basic " + base64.b64encode(b"postmark:secret").decode()
    answer = Client().post(POSTMARK, body, content_type="application/json", headers={"Authorization": secret})
    assert answer.status_code in (200, 422)
    assert not AddressHealth.objects.exists()
