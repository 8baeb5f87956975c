"""What staff see of a delivery: the mail as it was sent, why, and each attempt, in words; no link of it works."""

from collections.abc import Callable
from html import unescape

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from notifications.core.resolver import Decision
from notifications.models import Attachment, Attempt, Delivery
from shops.models import Shop
from tests import factories

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


@pytest.fixture
def delivery(paris: Shop) -> Delivery:
    rule = factories.NotificationRuleFactory(shop=paris)
    sent = factories.DeliveryFactory(
        event=factories.EventFactory(shop=paris),
        rule=rule,
        status="sent",
        address="paris@lumiere.example",
        resolution={
            "source": "rule",
            "reason": "rule_recipient",
            "params": {"rule": "Paiement accepté", "shop": paris.name},
            "rule_version": 4,
            "inherited": False,
        },
    )
    Attempt.objects.create(
        delivery=sent, number=1, started_at=timezone.now(), outcome="transient", code=451, reply="4.7.1 later"
    )
    Attempt.objects.create(
        delivery=sent, number=2, started_at=timezone.now(), outcome="sent", code=250, reply="queued", queue_id="QX12"
    )
    return sent


def page(delivery: Delivery, part: str = "change/") -> str:
    return f"/admin/notifications/delivery/{delivery.pk}/{part}"


@pytest.fixture
def reader(client_for: ClientFor) -> Client:
    user = factories.StaffFactory(is_superuser=False)
    user.user_permissions.set(Permission.objects.filter(codename="view_delivery"))
    return client_for(user)


def test_the_page_says_why_and_each_attempt_in_words(reader: Client, delivery: Delivery) -> None:
    text = unescape(reader.get(page(delivery)).content.decode())
    assert delivery.reason and delivery.reason in text
    assert "La règle en était à sa version 4." in text
    assert "rule_recipient" not in text and '"params"' not in text
    assert "4.7.1 later" in text and "file QX12" in text and "Échec passager" in text
    for name in ("Message-ID", "X-BOM-Delivery", "Subject", "From"):
        assert f"<code>{name}</code>" in text


def test_the_mail_stands_in_a_frame_that_can_do_nothing(reader: Client, delivery: Delivery) -> None:
    text = reader.get(page(delivery)).content.decode()
    assert f'sandbox src="{page(delivery, "mail/")}"' in text
    frame = reader.get(page(delivery, "mail/"))
    assert frame.status_code == 200
    policy = frame.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "sandbox" in policy and "script-src" not in policy
    assert frame.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_files_of_a_mail_are_downloaded_and_those_of_others_are_not(reader: Client, delivery: Delivery) -> None:
    message = delivery.message
    assert message
    message.has_attachments = True
    message.save()
    file = Attachment.objects.create(
        message=message, name="facture.pdf", content_type="application/pdf", content=b"%PDF", size=4
    )
    assert "facture.pdf" in reader.get(page(delivery)).content.decode()
    assert b"".join(reader.get(page(delivery, f"files/{file.pk}/"))) == b"%PDF"  # type: ignore[arg-type]
    other = factories.DeliveryFactory()
    assert reader.get(page(other, f"files/{file.pk}/")).status_code == 404


def test_calls_and_rows_without_a_mail_have_no_frame(reader: Client, delivery: Delivery) -> None:
    call = factories.DeliveryFactory(event=delivery.event, channel="ipn", notification="ipn_call", message=None)
    assert "<iframe" not in reader.get(page(call)).content.decode()
    assert reader.get(page(call, "mail/")).status_code == 404


def test_who_may_not_look_at_deliveries_reads_no_mail(client_for: ClientFor, delivery: Delivery) -> None:
    nobody = client_for(factories.StaffFactory(is_superuser=False))
    assert nobody.get(page(delivery, "mail/")).status_code == 403
    assert nobody.get(page(delivery, "files/1/")).status_code == 403


def test_a_decision_has_the_names_that_the_page_puts_into_words() -> None:
    """The stored resolution is that of a decision: these are the parts of it."""
    assert {"source", "reason", "params", "inherited", "rule_version"} <= set(Decision.__dataclass_fields__)
