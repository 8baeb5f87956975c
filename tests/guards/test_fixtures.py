"""The tools of the suite do what their names promise."""

import smtplib
from collections.abc import Callable
from email.message import EmailMessage

import pytest
from django.core.mail import send_mail
from django.test import Client

from companies.models import User
from tests import factories
from tests.smtp import SmtpServer


def mail_to(address: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@b.example", address, "Bonjour"
    message.set_content("Été")
    return message


def test_the_smtp_server_keeps_envelope_and_message(smtp_server: SmtpServer) -> None:
    send_mail("Objet é", "Texte", "from@b.example", ["to@c.example"])
    (mail,) = smtp_server.received
    assert (mail.mail_from, mail.rcpt_tos) == ("from@b.example", ("to@c.example",))
    assert (mail.message["Subject"], mail.text.strip()) == ("Objet é", "Texte")


@pytest.mark.parametrize("stage", ["answer", "answer_data"])
def test_the_smtp_server_refuses_whom_it_is_told_to(smtp_server: SmtpServer, stage: str) -> None:
    getattr(smtp_server, stage)("no@c.example", "550 5.1.1 unknown")
    with smtplib.SMTP("127.0.0.1", smtp_server.port) as client:
        with pytest.raises((smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError)):
            client.send_message(mail_to("no@c.example"))
        client.send_message(mail_to("yes@c.example"))
    assert [mail.rcpt_tos for mail in smtp_server.received] == [("yes@c.example",)]


@pytest.mark.parametrize(("at", "kept"), [("rcpt", 0), ("data", 1)])
def test_the_smtp_server_cuts_the_connection(smtp_server: SmtpServer, at: str, kept: int) -> None:
    smtp_server.drop("cut@c.example", at=at)
    with smtplib.SMTP("127.0.0.1", smtp_server.port) as client, pytest.raises(smtplib.SMTPException):
        client.send_message(mail_to("cut@c.example"))
    assert len(smtp_server.received) == kept


def test_the_smtp_server_refuses_connections(smtp_server: SmtpServer) -> None:
    smtp_server.refuse_connections = True
    with pytest.raises((smtplib.SMTPException, OSError)):
        smtplib.SMTP("127.0.0.1", smtp_server.port)


@pytest.mark.django_db
def test_every_factory_makes_a_valid_object(client_for: Callable[[User], Client]) -> None:
    made = [
        factories.CompanyFactory(with_technical=True, technical__email="hugo@agence.example"),
        factories.ShopFactory(),
        factories.ContractFactory(),
        factories.ShopKeyFactory(),
        factories.UserFactory(),
        factories.StaffFactory(),
        factories.MembershipFactory(),
        factories.SftpAccountFactory(),
        factories.NotificationRuleFactory(),
        factories.NotificationRuleFactory(ipn=True),
        factories.NotificationRuleFactory(buyer=True),
        factories.EventFactory(),
        factories.DeliveryFactory(),
        factories.ApiTokenFactory(),
    ]
    for instance in made:
        instance.full_clean()
    company = made[0]
    assert company.technical_contact.email == "hugo@agence.example"
    assert company.manager_contact.email == f"manager@{company.reference}.example"


@pytest.mark.django_db
def test_client_for_logs_in(client_for: Callable[[User], Client]) -> None:
    user = factories.UserFactory()
    assert client_for(user).session["_auth_user_id"] == str(user.pk)
