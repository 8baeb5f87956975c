"""The link in the foot of each mail, and the page behind it: for its reader, without an account, about this one mail."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from notifications.core.catalogue import BY_CODE
from notifications.events.publishing import publish
from notifications.mail import emails, why_links
from notifications.models import Delivery, MailRemark
from shops.models import Shop
from tests.factories import (
    DeliveryFactory,
    EventFactory,
    MessageFactory,
    NotificationRuleFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
LINK = re.compile(r"http://[^\s\"<>]+/why/[\w.-]+/")


@pytest.fixture(autouse=True)
def _fresh_limits() -> None:
    cache.clear()


def sent(shop: Shop, address: str = "dev@agence.example") -> Delivery:
    """The mail of a rule to an address, as the outbox has it."""
    NotificationRuleFactory(shop=shop, label="Suivi de compta@x.example", recipients=[address, "autre@x.example"])
    event = publish(
        type="payment.accepted", company=shop.company, shop=shop, data={"amount": 1990, "currency": "EUR"},
    )  # fmt: skip
    return event.deliveries.select_related("message", "event", "shop", "rule").get(address=address)


def path_of(delivery: Delivery) -> str:
    return f"/why/{why_links.make_token(delivery.pk)}/"


def text(response: Any) -> str:
    return unescape(response.content.decode().replace('<wbr><span class="domain">', ""))


def test_every_mail_links_its_own_page_in_both_forms(shop: Shop) -> None:
    delivery = sent(shop)
    mail = emails.build(delivery)
    html = str(mail.alternatives[0][0])
    assert LINK.findall(str(mail.body)) == LINK.findall(html) == [why_links.url(delivery)]
    # The same at each attempt, and another one for somebody else.
    assert emails.build(delivery).body == mail.body
    other = delivery.event.deliveries.exclude(pk=delivery.pk).first()
    assert other and why_links.url(other) != why_links.url(delivery)


@pytest.mark.parametrize("code", [row.code for row in BY_CODE.values() if row.code != "ipn_call"])
@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_page_says_what_the_mail_is_and_who_can_change_it(code: str, language: str, shop: Shop) -> None:
    event = EventFactory(shop=shop)
    delivery = DeliveryFactory(
        event=event,
        message=MessageFactory(event=event, language=language),
        notification=code,
        address="lecteur@x.example",
        resolution={"source": BY_CODE[code].to.value, "reason": "company_manager", "params": {}},
        sent_at=timezone.now(),
    )
    response = Client().get(path_of(delivery))
    assert response.status_code == 200
    assert response.headers["Content-Language"] == language
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert "lecteur@x.example" in text(response) and "Maison Lumière" in text(response)


def test_it_names_no_address_but_the_readers_and_no_amount(shop: Shop) -> None:
    page = text(Client().get(path_of(sent(shop))))
    assert "dev@agence.example" in page
    assert "Suivi de •••" in page
    for hidden in (
        "compta@x.example",
        "autre@x.example",
        "paris@lumiere.example",
        "claire@lumiere.example",
        "19,90",
        "1990",
    ):
        assert hidden not in page
    assert "Administrateur ou Gestionnaire" in page


def test_opening_changes_nothing_and_a_remark_is_made_once(shop: Shop) -> None:
    delivery = sent(shop)
    client = Client()
    client.get(path_of(delivery))
    client.head(path_of(delivery))
    assert not MailRemark.objects.exists()
    for _time in range(3):
        assert client.post(path_of(delivery)).status_code == 302
    remark = MailRemark.objects.get()
    assert (remark.company, remark.shop, remark.rule, remark.address, remark.source) == (
        shop.company,
        shop,
        delivery.rule,
        "dev@agence.example",
        "rule",
    )
    page = text(client.get(path_of(delivery)))
    assert "Votre remarque est transmise" in page and "<form" not in page.split("Qui peut le changer")[1]


def test_another_mail_of_the_same_line_is_the_same_remark(shop: Shop) -> None:
    first = sent(shop)
    event = publish(type="payment.accepted", company=shop.company, shop=shop)
    second = event.deliveries.get(address=first.address)
    for delivery in (first, second):
        Client().post(path_of(delivery))
    assert MailRemark.objects.count() == 1


def test_remarks_from_one_place_are_limited_and_nothing_is_lost_by_that(shop: Shop) -> None:
    event = EventFactory(shop=shop)
    rows = [DeliveryFactory(event=event, notification="shop_created") for _number in range(11)]
    answers = [Client().post(path_of(row)).status_code for row in rows]
    assert answers == [302] * 10 + [429]
    assert MailRemark.objects.count() == 10
    refused = Client().post(path_of(rows[-1]))
    assert refused.headers["Retry-After"] and "Revenez un peu plus tard" in text(refused)


def test_a_link_ends_after_ninety_days(shop: Shop) -> None:
    delivery = sent(shop)
    Delivery.objects.filter(pk=delivery.pk).update(sent_at=timezone.now() - timedelta(days=89))
    assert Client().get(path_of(delivery)).status_code == 200
    Delivery.objects.filter(pk=delivery.pk).update(sent_at=timezone.now() - timedelta(days=91))
    for answer in (Client().get(path_of(delivery)), Client().post(path_of(delivery))):
        assert answer.status_code == 410 and "Ce lien a expiré" in text(answer)
        assert "dev@agence.example" not in text(answer)
    assert not MailRemark.objects.exists()


def test_a_token_that_is_not_ours_or_leads_nowhere_is_a_plain_404(shop: Shop) -> None:
    token = why_links.make_token(sent(shop).pk)
    gone = DeliveryFactory(event=EventFactory(shop=shop), address="erased-1@erased.invalid")
    for bad in ("x", token[:-1], f"{token}x", why_links.make_token(gone.pk), "%00", "é"):
        assert Client().get(f"/why/{bad}/").status_code == 404, bad


def test_a_mail_of_no_company_takes_no_remark(shop: Shop) -> None:
    event = EventFactory(shop=shop)
    delivery = DeliveryFactory(event=event, company=None, shop=None, notification="newsletter")
    assert "Je ne devrais pas recevoir" not in text(Client().get(path_of(delivery)))
    assert Client().post(path_of(delivery)).status_code == 200
    assert not MailRemark.objects.exists()


def test_nobody_posts_in_the_name_of_a_reader_from_another_site(shop: Shop) -> None:
    assert Client(enforce_csrf_checks=True).post(path_of(sent(shop))).status_code == 403
