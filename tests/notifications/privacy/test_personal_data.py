"""Requests about an address: export of all that is held, erasure that keeps the proof of sending, and retention."""

import io
import json
import zipfile
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from companies.audit import Actor, record
from companies.history import seals
from companies.models import AuditEntry, HistoryErasure
from notifications.models import Attempt, Delivery, Event, MailRemark, Message, RecordedSetting
from notifications.privacy import personal_data, purging
from notifications.timeline import reading
from shops.models import Shop
from tests.factories import (
    ApiTokenFactory,
    CompanyFactory,
    DeliveryFactory,
    EventFactory,
    MailRemarkFactory,
    MessageFactory,
    PaymentOrderFactory,
    ShopFactory,
    StaffFactory,
    UserFactory,
)

ADDRESS = "jeanne@acheteur.example"
OPERATOR = Actor.command("test")
pytestmark = pytest.mark.django_db


@pytest.fixture
def held(shop: Shop) -> Delivery:
    """What the platform holds on a buyer after one sent mail."""
    event = EventFactory(shop=shop, data={"buyer_email": "Jeanne@Acheteur.example", "amount": 1990})
    message = MessageFactory(event=event, text=f"Bonjour {ADDRESS}", html=f"<p>{ADDRESS}</p>")
    delivery = DeliveryFactory(event=event, message=message, address=ADDRESS, notification="buyer_email", status="sent")
    Attempt.objects.create(
        delivery=delivery, number=1, started_at=timezone.now(), outcome="sent", code=250, reply="250 2.0.0 Ok"
    )
    PaymentOrderFactory(shop=shop, recipient=ADDRESS, status="finalised")
    record(
        actor=OPERATOR,
        action="shop.updated",
        obj=shop,
        company=shop.company,
        changes={"manager_email": [ADDRESS, "autre@x.example"]},
    )
    return delivery


def everything() -> str:
    """All rows of all tables as text."""
    out = StringIO()
    call_command("dumpdata", stdout=out)
    return out.getvalue().casefold()


def test_erasing_leaves_the_address_nowhere_and_the_proof_in_place(held: Delivery) -> None:
    seals.seal_entries()
    assert ADDRESS in everything()
    erasure = personal_data.erase(email=" JEANNE@acheteur.example", actor=OPERATOR)
    assert ADDRESS not in everything()
    held.refresh_from_db()
    assert held.address == held.normalised_address == personal_data.stand_in(ADDRESS)
    assert (held.status, held.attempts.get().reply) == ("sent", "250 2.0.0 Ok")
    assert held.message is not None and (held.message.text, held.message.html) == ("[effacé]", "")
    event = Event.objects.get(pk=held.event_id)
    assert event.data == {"buyer_email": personal_data.stand_in(ADDRESS), "amount": 1990}
    assert AuditEntry.objects.get(action="shop.updated").changes == {"manager_email": ["[effacé]", "autre@x.example"]}
    assert erasure.counts == {
        "deliveries": 1,
        "events": 1,
        "payment_orders": 1,
        "form_answers": 0,
        "history": 1,
        "settings": 0,
    }
    assert AuditEntry.objects.get(action="address.erased").object_label == erasure.address_hash[:12]
    # Asked later, the same address leads to the same proof.
    assert Delivery.objects.filter(address=personal_data.stand_in("jeanne@ACHETEUR.example")).get() == held
    found = seals.verify()
    assert (found.erased, found.problems) == (1, [])
    assert not HistoryErasure.objects.filter(is_open=True).exists()


@pytest.mark.parametrize("typed", ["jean@société.example", "JEAN@xn--socit-esab.example"])
def test_every_spelling_goes_and_no_longer_address_with_it(typed: str) -> None:
    shop = ShopFactory()
    neighbours = ["majean@société.example", "jean@société.example.com"]
    said = "De Jean@SOCIÉTÉ.example, jean@xn--socit-esab.example et " + ", ".join(neighbours)
    event = EventFactory(shop=shop, data={"buyer_email": "jean@Société.example", "reason": said})
    order = PaymentOrderFactory(shop=shop, recipient="jean@xn--socit-esab.example", status="finalised")
    record(action="shop.updated", obj=shop, company=shop.company, actor=OPERATOR, changes={"name": ["", said]})
    found = personal_data.plan(typed)
    assert (found.counts["events"], found.counts["payment_orders"], found.counts["history"]) == (1, 1, 1)
    personal_data.erase(email=typed, actor=OPERATOR)
    event.refresh_from_db()
    order.refresh_from_db()
    instead = personal_data.stand_in(typed)
    left = ", ".join(neighbours)
    assert event.data == {"buyer_email": instead, "reason": f"De {instead}, {instead} et {left}"}
    assert order.recipient == instead
    entry = AuditEntry.objects.get(action="shop.updated")
    assert entry.changes == {"name": ["", f"De [effacé], [effacé] et {left}"]}


def test_the_hash_depends_on_the_key(settings: Any) -> None:
    before = personal_data.address_hash(ADDRESS)
    settings.SECRET_KEY = "another key of the platform, long enough to be one"
    assert personal_data.address_hash(ADDRESS) != before


def test_a_message_shared_with_others_keeps_its_words_without_the_address(held: Delivery) -> None:
    DeliveryFactory(event=held.event, message=held.message, address="paul@x.example", to_addresses=[ADDRESS])
    personal_data.erase(email=ADDRESS, actor=OPERATOR)
    message = Message.objects.get(pk=held.message_id)
    assert message.text == f"Bonjour {personal_data.stand_in(ADDRESS)}"
    assert ADDRESS not in everything()


@pytest.mark.parametrize("why", ["configured", "waiting", "order in progress", "team"])
def test_erasing_is_refused_with_the_reason(why: str, held: Delivery) -> None:
    expected = {
        "configured": "encore configurée (Contact gestionnaire)",
        "waiting": "en attente d'envoi",
        "order in progress": "ordre(s) de paiement en cours",
        "team": "Compte de l'équipe",
    }[why]
    if why == "configured":
        CompanyFactory(manager__email=ADDRESS)
    elif why == "waiting":
        DeliveryFactory(event=held.event, address=ADDRESS)
    elif why == "team":
        StaffFactory(email=ADDRESS)
    else:
        PaymentOrderFactory(shop=held.shop, recipient=ADDRESS)
    with pytest.raises(ValidationError) as refused:
        personal_data.erase(email=ADDRESS, actor=OPERATOR)
    assert expected in " ".join(refused.value.messages)
    assert ADDRESS in everything() and not HistoryErasure.objects.exists()


def test_the_export_holds_all_of_it(held: Delivery) -> None:
    archive = zipfile.ZipFile(io.BytesIO(personal_data.export(ADDRESS)))
    data = json.loads(archive.read("donnees.json"))
    assert data["messages"][0]["text"] == f"Bonjour {ADDRESS}"
    assert [len(data[name]) for name in ("messages", "payment_orders", "events", "history")] == [1, 1, 1, 1]
    assert "buyer_email" in archive.read("adresse.csv").decode()


def test_the_pages_ask_show_and_do_it(client_for: Callable[..., Client], held: Delivery) -> None:
    staff = client_for(StaffFactory())
    question = staff.get("/admin/support/erase/", {"q": ADDRESS}).content.decode()
    assert "Effacer définitivement" in question and "envois à cette adresse : <strong>1</strong>" in question
    exported = staff.post("/admin/support/export/", {"q": ADDRESS})
    assert exported.headers["Content-Type"] == "application/zip"
    assert ADDRESS not in json.dumps(list(AuditEntry.objects.filter(action="address.exported").values()), default=str)
    assert staff.post("/admin/support/erase/", {"q": ADDRESS}).status_code == 302
    assert ADDRESS not in everything()
    CompanyFactory(name="Maison Lumière", manager__email=ADDRESS)
    refused = staff.post("/admin/support/erase/", {"q": ADDRESS}).content.decode()
    assert "Maison Lumière : encore configurée" in refused and "Effacer définitivement" not in refused


def test_only_superusers_answer_such_requests(client_for: Callable[..., Client]) -> None:
    for client in (client_for(StaffFactory(is_superuser=False)), client_for(UserFactory())):
        for method, page in (("get", "erase"), ("post", "erase"), ("post", "export")):
            assert getattr(client, method)(f"/admin/support/{page}/", {"q": ADDRESS}).status_code in (302, 403)
    assert client_for(StaffFactory(is_superuser=False)).get("/admin/support/erase/", {"q": ADDRESS}).status_code == 403


# --- Retention ------------------------------------------------------------------------------------


def test_purging_removes_what_is_over_and_old_and_nothing_else(held: Delivery) -> None:
    long_ago = timezone.now() - timedelta(days=500)
    old = DeliveryFactory(event=EventFactory(), status="sent")
    waiting = DeliveryFactory(event=EventFactory())
    original = DeliveryFactory(event=EventFactory(), status="dead")
    DeliveryFactory(event=original.event, message=original.message, status="sent", resend_of=original)
    Delivery.objects.filter(pk__in=[old.pk, waiting.pk, original.pk]).update(created_at=long_ago)
    Event.objects.exclude(pk=held.event_id).update(accepted_at=long_ago)
    ApiTokenFactory(name="vieux", revoked_at=long_ago)
    ApiTokenFactory(name="en service")
    MailRemarkFactory(created_at=long_ago)
    MailRemarkFactory()
    assert purging.count()["deliveries"] == 1
    out = StringIO()
    call_command("purge", "--dry-run", stdout=out)
    assert "deliveries=1" in out.getvalue() and Delivery.objects.filter(pk=old.pk).exists()
    call_command("purge", stdout=out, stderr=StringIO())
    assert (
        out.getvalue().splitlines()[-1]
        == "deliveries=1 messages=1 events=1 sessions=0 tokens=1 submissions=0 remarks=1"
    )
    assert set(Delivery.objects.values_list("pk", flat=True)) >= {held.pk, waiting.pk, original.pk}
    assert not Event.objects.filter(pk=old.event_id).exists()
    assert AuditEntry.objects.exists() and connection.vendor


def test_a_remark_of_the_reader_is_exported_and_goes_with_the_address() -> None:
    MailRemarkFactory(address="Parti@x.example")
    other = MailRemarkFactory()
    with zipfile.ZipFile(io.BytesIO(personal_data.export("parti@x.example"))) as archive:
        assert len(json.loads(archive.read("donnees.json"))["remarks"]) == 1
    personal_data.erase(email="parti@x.example", actor=OPERATOR)
    assert list(MailRemark.objects.all()) == [other]


def test_past_settings_lose_the_address_and_the_tables_of_then_stay_readable() -> None:
    company = CompanyFactory(manager__email=ADDRESS)
    ShopFactory(company=company)
    then = timezone.now()
    company.contacts.update(email="autre@x.example")
    assert ADDRESS in exported(ADDRESS)
    assert personal_data.plan(ADDRESS).counts["settings"] == 1
    personal_data.erase(email=ADDRESS, actor=OPERATOR)
    assert reading.facts_at(company, then).manager_email == personal_data.stand_in(ADDRESS)
    assert not RecordedSetting.objects.filter(content__email=ADDRESS).exists()


def exported(email: str) -> str:
    archive = zipfile.ZipFile(io.BytesIO(personal_data.export(email)))
    document: dict[str, Any] = json.loads(archive.read("donnees.json"))
    return json.dumps(document["settings"])
