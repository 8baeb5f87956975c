"""The bytes made of pieces say what the framework's way says, and cost no template, no file, no second encoding."""

import binascii
import email
import email.policy
import uuid
from email.message import EmailMessage
from typing import Any

import pytest
from django.core import signing

from backoffice.base.mail import wire_bytes
from notifications.mail import emails, why_links, wire
from notifications.mail.emails import REASON_MARK
from notifications.models import Attachment, Delivery
from tests.factories import DeliveryFactory, MessageFactory

pytestmark = pytest.mark.django_db

WORDS = {
    "French": "Échoué : 1 990,00 € — l'œuvre, « été ».",
    "English": "The payment was accepted.",
    "Arabic": "تم قبول الدفع في متجركم",
    "Japanese": "お支払いが完了しました",
    "one long word": "é" * 3000,
    "one long line of ASCII": "a" * 3000,
    "blanks at the ends of lines": "a \nb\t\n c\n=\n==\n=3D",
    "dots and dashes": ".\n..\n.é\n-- \nFrom here\n",
}
REASONS = {
    "none": "",
    "plain": "you asked for it",
    "French": "Vous recevez ce message parce que la règle « Paiement accepté » s'adresse à vous.",
    "the mark itself": f"of {REASON_MARK} and {REASON_MARK}",
    "markup": "<b>&amp;</b> \"'",
    "long": "raison " * 200,
}


def parsed(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def read(raw: bytes) -> dict[str, Any]:
    """What a mail program makes of a mail."""
    message = parsed(raw)
    found: dict[str, Any] = {
        name.lower(): str(value) for name, value in message.items() if name.lower() not in ("content-type", "date")
    }
    for part in message.walk():
        if not part.is_multipart():
            found[part.get_content_type()] = part.get_content().replace("\r\n", "\n").rstrip("\n")
    return found


def loaded(**values: Any) -> Delivery:
    row = DeliveryFactory(**values)
    return Delivery.objects.select_related("message", "event", "shop", "rule").get(pk=row.pk)


def same(delivery: Delivery) -> bytes:
    raw = wire.of(delivery)
    assert read(raw) == read(wire_bytes(emails.build(delivery)))
    assert raw.isascii()
    lines = raw.split(b"\r\n")
    assert not any(b"\n" in line or b"\r" in line for line in lines)
    assert max(map(len, lines)) < 998
    for part in parsed(raw).walk():
        if part["Content-Transfer-Encoding"] == "quoted-printable":
            assert max(map(len, part.as_bytes().splitlines())) <= 78
    return raw


@pytest.mark.one_database
@pytest.mark.parametrize("reason", REASONS.values(), ids=REASONS.keys())
@pytest.mark.parametrize("text", WORDS.values(), ids=WORDS.keys())
def test_the_bytes_say_what_the_framework_says(text: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emails, "_reason", lambda delivery, message: reason)
    delivery = loaded(message=MessageFactory(text=f"{text}\n\n-- \n{REASON_MARK}\n{text}\n", subject="Échoué"))
    assert delivery.message
    for position in range(60, 80):
        # Wherever a line of the encoded body breaks: before the mark, in it, behind it.
        before = ("e" if text.isascii() else "é") * (position % 20) + "x" * position
        delivery.message.html = f"<p>{text}</p>{before}{REASON_MARK}<br>{text}\n"
        same(delivery)


@pytest.mark.parametrize(
    "subject",
    [
        "Plain",
        "Échoué",
        " ".join(["word"] * 59),
        "é" * 299,
        "two  blanks",
        "=?utf-8?q?no?=",
        ("Paiement accepté : 19,90 € " * 8).strip(),
    ],
)
def test_heads_say_what_the_framework_says(settings: Any, subject: str) -> None:
    settings.DEFAULT_FROM_EMAIL = '"Lumière, SAS" <team@x.example>'
    message = MessageFactory(subject=subject[:300], reply_to="answers@x.example")
    many = [f"address{number}@bücher.example" for number in range(60)]
    raw = same(
        loaded(
            message=message,
            event=message.event,
            to_addresses=["a@x.example", *many],
            cc_addresses=many[:3],
            headers={"References": "<a@x.example> <b@x.example>"},
        )
    )
    assert parsed(raw)["Subject"] == subject[:300]
    assert not raw.startswith(b"Subject:\r\n"), "a reader would show a subject that starts with a blank"


def test_what_is_not_plain_takes_the_framework_s_way() -> None:
    with_header = DeliveryFactory(headers={"X-Other": "é"})
    assert "X-Other" in parsed(wire.of(with_header))
    message = MessageFactory(has_attachments=True)
    Attachment.objects.create(message=message, name="a.csv", content=b"1\n", content_type="text/csv", size=2)
    assert [part.get_filename() for part in parsed(wire.of(DeliveryFactory(message=message))).iter_attachments()] == [
        "a.csv"
    ]
    with pytest.raises((ValueError, UnicodeError)):
        wire.of(DeliveryFactory(headers={"X-Other": "a\nBcc: z@x.example"}))


def test_a_body_is_encoded_once_for_all_recipients(monkeypatch: pytest.MonkeyPatch) -> None:
    message = MessageFactory(text=f"Échoué, une fois.\n{REASON_MARK}\n", html=f"<p>Échoué, une fois.</p>{REASON_MARK}")
    rows = [DeliveryFactory(message=message, event=message.event) for _n in range(5)]
    wire.of(rows[0])
    before = wire._encoded.cache_info().misses
    for row in rows[1:]:
        wire.of(row)
    assert wire._encoded.cache_info().misses == before


@pytest.mark.parametrize("text", WORDS.values(), ids=WORDS.keys())
def test_lines_encoded_one_by_one_are_those_of_the_whole(text: str) -> None:
    raw = text.encode()
    assert wire._lines_quoted(raw) == binascii.b2a_qp(raw)


def test_a_token_made_with_a_known_key_is_that_of_the_framework(settings: Any) -> None:
    key = uuid.uuid4()
    for secret in (settings.SECRET_KEY, "another" * 9):
        settings.SECRET_KEY = secret
        assert why_links.make_token(key) == signing.Signer(salt=why_links.SALT, sep=".").sign(key.hex)
        assert why_links.read_token(why_links.make_token(key)) == key
