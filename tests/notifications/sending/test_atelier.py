"""« Atelier des e-mails »: every mail of the catalogue before the eyes of the team, and one of them to oneself."""

import re
from typing import Any

import pytest
from django.test import Client

from companies.models import AuditEntry, User
from notifications.mail import showcase
from notifications.models import Delivery
from notifications.worker import loop
from tests.factories import StaffFactory, UserFactory
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)
LIST = "/admin/atelier/"
FAILED = "/admin/atelier/ipn_failure-ipn.failed/"


@pytest.fixture
def staff(ines: User, client_for: Any) -> Client:
    client: Client = client_for(ines)
    return client


def read(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def test_the_list_is_searched_and_filtered(staff: Client) -> None:
    everything = sum(len(sample.modes) for sample in showcase.SAMPLES)
    assert f"<p>{everything} e-mails</p>" in read(staff, LIST)
    only = read(staff, f"{LIST}?notification=staff_alert&language=en")
    assert only.count('<th scope="row">') == 2 and 'lang="en"' in only
    tests = read(staff, f"{LIST}?notification=ipn_failure&mode=TEST")
    assert tests.count('<th scope="row">') == 4 and tests.count("[TEST] ") == 4
    # By what a mail says, too.
    assert "address_replaced-address.replaced/" in read(staff, f"{LIST}?q=hugo@agence.example")
    assert "Aucun e-mail ne correspond." in read(staff, f"{LIST}?q=introuvable")


def test_a_mail_is_shown_in_two_widths_as_text_and_with_its_headers(staff: Client) -> None:
    page = read(staff, f"{FAILED}?language=fr&mode=TEST")
    assert page.count("<iframe") == 2 and page.count("sandbox") == 2
    assert "[tentative infructueuse n° 1]" in page and "Vous recevez ce message parce que" in page
    for name in ("Message-ID", "References", "X-BOM-Mode", "Auto-Submitted"):
        assert f'<th scope="row">{name}</th>' in page
    (frame,) = set(re.findall(r'src="([^"]+/html/[^"]*)"', page))
    answer = staff.get(frame.replace("&amp;", "&"))
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN" and "sandbox" in answer.headers["Content-Security-Policy"]
    assert ">TEST</strong>" in answer.content.decode()
    for wrong in ("/admin/atelier/unknown/", f"{FAILED}?mode=OTHER", f"{FAILED}?language=de"):
        assert staff.get(wrong).status_code == 404


def test_one_is_sent_to_oneself_at_the_verified_address_and_journaled(
    staff: Client, ines: User, smtp_server: SmtpServer
) -> None:
    # Somebody else has typed another address since; it was never confirmed.
    User.objects.filter(pk=ines.pk).update(email="autre@plateforme.example", verified_email="ines@plateforme.example")
    form = {"language": "en", "mode": "PRODUCTION", "submission": "a" * 32}
    path = "/admin/atelier/account_security-account.locked/send/"
    for _again in range(2):
        assert staff.post(path, form).status_code == 302
    loop.deliver_until_idle()
    (mail,) = smtp_server.received
    assert mail.rcpt_tos == ("ines@plateforme.example",)
    assert "locked" in mail.message["Subject"] and mail.message["X-BOM-Test"] == "true"
    assert "set-password" not in mail.text + mail.html, "a sample opens no account"
    assert Delivery.objects.get().status == "sent"
    assert (
        AuditEntry.objects.get(action="mail.sampled").changes["sample"][1].startswith("account_security-account.locked")
    )
    assert staff.get(path).status_code == 405


def test_the_atelier_is_for_staff_who_may_see_deliveries(client_for: Any) -> None:
    other = client_for(StaffFactory(is_superuser=False))
    merchant = client_for(UserFactory())
    for path in (LIST, FAILED, f"{FAILED}html/"):
        assert other.get(path).status_code == 403
        assert merchant.get(path).status_code in (302, 403, 404)
    assert other.post(f"{FAILED}send/", {"language": "fr", "mode": "TEST"}).status_code == 403
