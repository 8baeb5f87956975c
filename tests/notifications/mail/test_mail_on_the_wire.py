"""Mail as bytes: ASCII whatever the server can do, identifiers on one line whatever our host is called."""

import email
import email.policy
import re
from typing import Any

import pytest

from notifications.mail import emails
from notifications.mail.composers.base import UNSUBSCRIBE_MARK
from notifications.models import Attachment
from notifications.worker import loop
from tests.factories import DeliveryFactory, EventFactory, MessageFactory
from tests.smtp import SmtpServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_database]

WORDS = {
    "French": "Échoué : 1 990,00 € — l'œuvre, « été ».",
    "Arabic": "تم قبول الدفع في متجركم",
    "Japanese": "お支払いが完了しました",
    "family": "Une famille \U0001f468\u200d\U0001f469\u200d\U0001f467 !",
    "one long word": "é" * 3000,
    "one long line of ASCII": "a" * 3000,
    "dots and dashes": ".\n..\n.é\n-- \nFrom here\n",
}


@pytest.mark.parametrize("seven_bit", [True, False])
@pytest.mark.parametrize("text", WORDS.values(), ids=WORDS.keys())
def test_every_server_gets_seven_bits(smtp_server: SmtpServer, seven_bit: bool, text: str) -> None:
    smtp_server.seven_bit = seven_bit
    message = MessageFactory(text=text + "\n", html=f"<p>{text}</p>\n", subject="Échoué : été")
    Attachment.objects.create(
        message=message, name="facturé.csv", content="é;1\n".encode(), content_type="text/csv", size=5
    )
    message.has_attachments = True
    message.save()
    DeliveryFactory(message=message, event=message.event)
    loop.deliver_until_idle()
    (mail,) = smtp_server.received
    assert mail.raw.isascii()
    assert max(map(len, mail.raw.splitlines())) < 998
    for part in mail.message.walk():
        if not part.is_multipart():
            assert part["Content-Transfer-Encoding"] in ("7bit", "quoted-printable", "base64")
    assert mail.text.replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")
    assert mail.html.replace("\r\n", "\n").strip() == f"<p>{text}</p>"
    (attachment,) = mail.message.iter_attachments()
    assert (attachment.get_filename(), attachment.get_content()) == ("facturé.csv", "é;1\n")


HOSTS = [
    "https://b.example",
    "https://twenty-nine-characters.example",
    "https://" + "a" * 60 + "." + "b" * 60 + "." + "c" * 60 + ".example:8443",
    "https://bücher.example",
    "https://ελληνικά-κατάστημα.example",
    "http://127.0.0.1:8000",
    "http://[2001:db8::1]:8000",
]
_IDENTIFIER = re.compile(r"<[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@([A-Za-z0-9.-]+|\[[0-9a-f:.]+\])>")


@pytest.mark.parametrize("base_url", HOSTS)
def test_identifiers_and_links_in_headers_are_one_ascii_line(
    settings: Any, smtp_server: SmtpServer, base_url: str
) -> None:
    settings.BASE_URL = base_url
    first, second = DeliveryFactory(), DeliveryFactory()
    message = MessageFactory(text=f"Lettre.\n{UNSUBSCRIBE_MARK}\n", event=EventFactory(event_id="e" * 100))
    thread = [emails.message_id(first)] + [emails.message_id(second)] * 4
    DeliveryFactory(
        message=message,
        event=message.event,
        address="letter@x.example",
        headers={"References": " ".join(thread[:3]), "In-Reply-To": thread[-1]},
    )
    loop.deliver_until_idle()
    (mail,) = smtp_server.to("letter@x.example")
    head = mail.raw.partition(b"\r\n\r\n")[0].decode("ascii").split("\r\n")
    lines = dict(line.split(": ", 1) for line in head if ": " in line and not line.startswith((" ", "\t")))
    for name in ("Message-ID", "References", "In-Reply-To"):
        identifiers = lines[name].split(" ")
        assert all(map(_IDENTIFIER.fullmatch, identifiers)), (name, lines[name])
    assert re.fullmatch(r"<https?://[!-~]+/newsletter/unsubscribe/[!-~]+/>", lines["List-Unsubscribe"])
    assert re.fullmatch(r"<newsletter\.[!-~]+>", lines["List-Id"])
    assert lines["X-BOM-Event"] == "e" * 100
    for name, value in lines.items():
        if name not in ("Subject", "From", "To", "Cc", "Content-Type", "Date"):
            assert value and "=?" not in value, name
    again = email.message_from_bytes(mail.raw, policy=email.policy.default)
    assert again["Message-ID"] == lines["Message-ID"]


def test_a_long_conversation_keeps_its_first_mail_on_one_line() -> None:
    from notifications.broadcasts.broadcasting import _references

    identifiers = [f"<{number:036d}@{'h' * 120}.example>" for number in range(30)]
    found = _references(identifiers)
    assert found.split(" ")[0] == identifiers[0] and found.split(" ")[-1] == identifiers[-1]
    assert len(found) < 900
    assert _references(identifiers[:1]) == identifiers[0]


def test_files_hold_the_same_bytes_as_the_wire(settings: Any, tmp_path: Any) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = "backoffice.base.mail.EmlBackend", str(tmp_path)
    DeliveryFactory(message__text="Échoué\n")
    loop.deliver_until_idle()
    (file,) = tmp_path.glob("*.eml")
    assert file.read_bytes().isascii()
