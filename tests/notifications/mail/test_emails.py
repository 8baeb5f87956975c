"""What a mail looks like on the wire: one content in two parts, inert, in the reader's language."""

import email
import email.policy
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.utils import translation

from notifications.events.publishing import Particulars, publish
from notifications.mail import emails
from notifications.mail.composers import base
from notifications.models import Delivery
from tests.factories import CompanyFactory, NotificationRuleFactory, ShopFactory

pytestmark = pytest.mark.django_db


def parsed(**given: Any) -> Any:
    """Publish an event and parse the first queued mail as its receiver would."""
    with transaction.atomic():
        publish(**given)
    delivery = (
        Delivery.objects.select_related("message", "event", "shop", "rule", "company").filter(as_field="to").first()
    )
    assert delivery is not None
    raw = emails.build(delivery).message().as_bytes()
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert [defect for found in mail.walk() for defect in found.defects] == []
    return mail


def part(mail: Any, kind: str) -> str:
    return str(mail.get_body((kind,)).get_content())


def test_text_and_html_say_the_same_facts() -> None:
    shop = ShopFactory(name="Paris", url="https://paris.example")
    mail = parsed(type="shop.created", company=shop.company, shop=shop)
    for fact in ("Paris", shop.site_id, "https://paris.example", shop.company.name):
        assert fact in part(mail, "plain") and fact in part(mail, "html")


def test_merchant_text_arrives_inert() -> None:
    shop = ShopFactory(name="<b>x</b> & co")
    type(shop).objects.filter(pk=shop.pk).update(name="<b>x</b> & co\r\nBcc: a@b.example")
    shop.refresh_from_db()
    mail = parsed(type="shop.created", company=shop.company, shop=shop)
    assert "<b>x</b>" not in part(mail, "html") and "&lt;b&gt;x&lt;/b&gt; &amp; co" in part(mail, "html")
    assert mail["Bcc"] is None and "\n" not in mail["Subject"]
    assert "<b>x</b> & co Bcc: a@b.example" in mail["Subject"]
    assert not any(line.startswith("Bcc:") for line in part(mail, "plain").splitlines())


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\u2028", "\x0b"])
def test_the_data_of_an_event_adds_no_line_to_the_text(separator: str) -> None:
    rule = NotificationRuleFactory()
    data = {"amount": 1990, "currency": "EUR", "transaction_id": f"a1{separator}Montant : 1 EUR"}
    mail = parsed(type="payment.accepted", company=rule.shop.company, shop=rule.shop, data=data)
    assert "a1 Montant : 1 EUR" in part(mail, "plain")
    assert not any(line.startswith("Montant : 1 EUR") for line in part(mail, "plain").splitlines())


@pytest.mark.parametrize("mark", [emails.LINK_MARK, emails.REASON_MARK])
def test_a_merchant_who_types_a_mark_gets_neither_a_link_nor_a_reason_in_its_place(mark: str) -> None:
    shop = ShopFactory(name=mark)
    mail = parsed(type="shop.created", company=shop.company, shop=shop)
    for kind in ("plain", "html"):
        assert "set-password" not in part(mail, kind) and "sftp-reveal" not in part(mail, kind)
        assert part(mail, kind).count("Vous recevez ce message parce que") == 1


@pytest.mark.parametrize("name", ["Paris", "Épicerie fine de l'Étoile", "é" * 120])
def test_the_subject_of_a_test_mail_starts_with_its_mark(name: str) -> None:
    shop = ShopFactory(name=name)
    mail = parsed(type="shop.created", company=shop.company, shop=shop, particulars=Particulars(mode="TEST"))
    assert mail["Subject"].startswith("[TEST] ") and name in mail["Subject"]


@pytest.mark.parametrize(
    ("language", "amount", "currency", "expected"),
    [
        ("fr", 1990, "EUR", "19,90 EUR"),
        ("en", 1990, "EUR", "19.90 EUR"),
        ("en", 123456789, "EUR", "1,234,567.89 EUR"),
        ("fr", 1500, "JPY", "1 500 JPY"),
        ("en", 1500, "UGX", "1,500 UGX"),
        ("fr", 1500, "OMR", "1,500 OMR"),
        ("en", 15000, "CLF", "1.5000 CLF"),
        ("fr", 5, "", "0,05"),
    ],
)
def test_amounts_are_in_local_form(language: str, amount: int, currency: str, expected: str) -> None:
    with translation.override(language):
        text = base.amount_text(amount, currency)
    assert text.replace("\xa0", " ").replace("\u202f", " ") == expected


def test_dates_are_in_the_time_zone_of_the_company_and_the_language_of_the_shop() -> None:
    company = CompanyFactory(time_zone="Pacific/Tahiti")
    shop = ShopFactory(company=company, language="en")
    moment = datetime(2026, 11, 23, 5, 30, tzinfo=UTC)
    mail = parsed(type="shop.created", company=company, shop=shop, particulars=Particulars(occurred_at=moment))
    assert "22 November 2026, 19:30 (Pacific/Tahiti)" in part(mail, "plain")
    assert mail["Content-Language"] == "en"


def test_both_parts_end_with_the_reason_and_the_way_to_the_table() -> None:
    shop = ShopFactory(manager_email="paris@lumiere.example", name="Paris")
    mail = parsed(type="shop.created", company=shop.company, shop=shop)
    for kind in ("plain", "html"):
        assert "Vous recevez ce message parce que votre adresse est l" in part(mail, kind)
        assert f"{settings.BASE_URL}/notifications/addresses/" in part(mail, kind)
        assert emails.REASON_MARK not in part(mail, kind)
        before, foot = part(mail, kind).split("Vous recevez ce message parce que")
        assert shop.site_id in before and shop.site_id not in foot
        assert "/notifications/addresses/" in foot


def test_the_mail_of_a_rule_names_the_rule_and_the_payment() -> None:
    rule = NotificationRuleFactory(type="merchant_email", label="Gros paiements", triggers=["payment.accepted"])
    data = {"amount": 1990, "currency": "EUR", "transaction_id": "a1b2c3"}
    mail = parsed(type="payment.accepted", company=rule.shop.company, shop=rule.shop, data=data)
    assert "Gros paiements" in part(mail, "plain") and "19,90 EUR" in part(mail, "plain")
    assert mail["X-BOM-Rule"] == rule.reference and "a1b2c3" in mail["Subject"]
