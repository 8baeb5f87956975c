"""Who a mail is from, where an answer goes, and that machines do not answer machines."""

from typing import Any

import pytest

from notifications.worker import loop
from tests.factories import DeliveryFactory, MessageFactory
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("configured", "shown"),
    [
        ("Équipe <team@x.example>", "Équipe <team@x.example>"),
        ("team@x.example", "Plateforme, paiements <team@x.example>"),
        ('"Paiements, SA" <team@x.example>', "Paiements, SA <team@x.example>"),
    ],
)
def test_mail_is_from_the_platform_by_name(settings: Any, smtp_server: SmtpServer, configured: str, shown: str) -> None:
    settings.DEFAULT_FROM_EMAIL, settings.PLATFORM_NAME = configured, "Plateforme, paiements"
    DeliveryFactory()
    loop.deliver_until_idle()
    (mail,) = smtp_server.received
    sender = mail.message["From"].addresses[0]
    assert f"{sender.display_name} <{sender.addr_spec}>" == shown
    assert mail.mail_from == "team@x.example", "the envelope is aligned with the header"


@pytest.mark.parametrize(
    ("own", "support", "expected"),
    [
        ("", "", None),
        ("", "assistance@x.example", "assistance@x.example"),
        ("buyer@y.example", "assistance@x.example", "buyer@y.example"),
        ("", "assistance@bücher.example", "assistance@xn--bcher-kva.example"),
    ],
)
def test_an_answer_goes_to_who_can_act_else_to_the_support_team(
    settings: Any, smtp_server: SmtpServer, own: str, support: str, expected: str | None
) -> None:
    settings.SUPPORT_EMAIL = support
    delivery = DeliveryFactory()
    delivery.message.reply_to = own
    delivery.message.save()
    loop.deliver_until_idle()
    assert smtp_server.received[0].message["Reply-To"] == expected


def test_every_mail_tells_answering_machines_to_stay_silent(smtp_server: SmtpServer) -> None:
    DeliveryFactory()
    loop.deliver_until_idle()
    headers = smtp_server.received[0].message
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["X-Auto-Response-Suppress"] == "OOF, AutoReply"
    assert headers["Precedence"] is None, "the mail of a payment is not bulk"


def test_headers_of_one_delivery_stay_with_it(smtp_server: SmtpServer) -> None:
    message = MessageFactory()
    DeliveryFactory(event=message.event, message=message, address="a@x.example", headers={"In-Reply-To": "<1@x>"})
    DeliveryFactory(event=message.event, message=message, address="b@x.example")
    loop.deliver_until_idle()
    assert smtp_server.to("a@x.example")[0].message["In-Reply-To"] == "<1@x>"
    assert smtp_server.to("b@x.example")[0].message["In-Reply-To"] is None
