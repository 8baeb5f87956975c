"""Paramétrage > Boutique > Clés: the test phase, identity asked again, keys shown once and never again."""

import io
import json
import logging
import re
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from companies.models import AuditEntry, User
from notifications.models import Delivery, Event, NotificationRule
from notifications.worker import loop
from shops import checklist, selectors, services
from shops.models import Shop, ShopKey
from tests.factories import (
    EventFactory,
    NotificationRuleFactory,
    ShopFactory,
    ShopKeyFactory,
    StaffFactory,
)
from tests.shops.keys.acting import (
    ACTOR,
    ClientFor,
    all_tests_played,
    confirmed,
    generate,
    played,
    secret_of,
    text,
    url,
)
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _has_a_test_key(shop: Shop) -> None:
    ShopKeyFactory(shop=shop, kind="test", value="cle-de-test-neuve")


# --- The checklist --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "column"),
    [
        ({"card_brand": "visa"}, "CB/VISA"),
        ({"card_brand": "MASTERCARD", "network": "CB"}, "MASTERCARD"),
        ({"network": "CB"}, "CB/VISA"),
        ({"card_brand": " VISA_ELECTRON "}, "VISA ELECTRON"),
        ({"card_brand": "MAESTRO"}, "MAESTRO"),
        ({"card_brand": "AMEX", "network": "CB"}, None),
        ({"card_brand": "", "network": "SEPA"}, None),
        ({"card_brand": 7}, None),
        ({}, None),
    ],
)
def test_the_card_type_is_the_brand_before_the_network(data: dict[str, Any], column: str | None) -> None:
    assert checklist.card_type(data) == column


def proofs(*payments: tuple[str, str | None, str]) -> dict[tuple[str, str], str]:
    told = [checklist.Payment(f"payment.{kind}", card, number, timezone.now()) for kind, card, number in payments]
    return {cell: payment.transaction for cell, payment in checklist.progress(told).items()}


def test_each_payment_proves_one_cell_and_a_new_scenario_before_another_card() -> None:
    assert proofs(("accepted", "MAESTRO", "1"), ("accepted", "CB/VISA", "2"), ("accepted", "MAESTRO", "3")) == {
        ("accepted-1", "MAESTRO"): "1",
        ("accepted-2", "CB/VISA"): "2",
        ("accepted-2", "MAESTRO"): "3",
    }


def test_a_repeated_transaction_a_foreign_card_and_a_full_column_prove_nothing_more() -> None:
    assert proofs(
        ("refused", "CB/VISA", "1"),
        ("refused", "CB/VISA", "1"),
        ("refused", None, "2"),
        ("refused", "CB/VISA", "3"),
        ("refused", "CB/VISA", "4"),
    ) == {("refused-1", "CB/VISA"): "1", ("refused-2", "CB/VISA"): "3"}


def test_the_phase_is_over_after_two_accepted_and_two_refused_payments_of_the_platform_in_test(shop: Shop) -> None:
    for kind in ("accepted", "accepted", "refused"):
        played(shop, kind)
    played(shop, "refused", external=False)
    EventFactory(shop=shop, type="payment.refused", mode="PRODUCTION", data={"card_brand": "VISA"})
    played(ShopFactory(), "refused")
    found = selectors.tests_progress(shop)
    assert (found.played, found.total, found.done) == (3, 4, False)
    assert not selectors.tests_are_done(shop)
    played(shop, "refused", "MAESTRO")
    assert selectors.tests_are_done(shop)


def test_the_page_follows_the_payments(client_for: ClientFor, shop: Shop, claire: User) -> None:
    client = client_for(claire)
    before = text(client.get(url(shop)))
    assert "Tests faits : 0 sur 4" in before and "Disponible après la phase de test" in before
    played(shop, "accepted", "MAESTRO")
    played(shop, "accepted", "AMEX")
    part = text(client.get(url(shop), {"part": "tests"}))
    assert "Tests faits : 1 sur 4" in part and "<html" not in part
    assert "1 paiement de test ne compte pas" in part
    all_tests_played(shop)
    assert "Générer la clé de production" in text(client.get(url(shop), {"part": "tests"}))


def test_an_administrator_declares_the_phase_over_with_a_reason(
    client_for: ClientFor, shop: Shop, claire: User
) -> None:
    client = client_for(claire, fresh=True)
    refused = client.post(url(shop, "tests-done"), {"reason": "   "})
    assert refused.status_code == 200 and "Ce champ est obligatoire" in text(refused)
    said = text(client.post(url(shop, "tests-done"), {"reason": "Site déjà testé"}, follow=True))
    assert "motif : Site déjà testé" in said
    entry = AuditEntry.objects.get(action="shop.tests_done")
    assert entry.actor == claire and entry.changes == {"tests_done_reason": [None, "Site déjà testé"]}
    client.post(url(shop, "tests-done"), {"reason": "Encore"})
    assert AuditEntry.objects.filter(action="shop.tests_done").count() == 1


def test_staff_declare_the_phase_over_in_the_admin(client_for: ClientFor, shop: Shop) -> None:
    staff = client_for(StaffFactory(), fresh=True)
    page = staff.get(f"/admin/shops/shop/{shop.pk}/change/")
    data = {name: value or "" for name, value in page.context["adminform"].form.initial.items()}
    data |= {"contracts-TOTAL_FORMS": "0", "contracts-INITIAL_FORMS": "0", "tests_done_reason": "Vu avec l'intégrateur"}
    assert staff.post(f"/admin/shops/shop/{shop.pk}/change/", data).status_code == 302
    shop.refresh_from_db()
    assert shop.tests_done_at is not None and shop.tests_done_reason == "Vu avec l'intégrateur"
    assert AuditEntry.objects.get(action="shop.tests_done").actor_label == "Alice Durand"


# --- Services -------------------------------------------------------------------------------------


def test_no_production_key_before_the_end_of_the_tests(shop: Shop) -> None:
    with pytest.raises(ValidationError, match="après la phase de test"):
        services.keys_generate(shop=shop, kinds=["production"], actor=ACTOR, seen={})
    assert not ShopKey.objects.filter(kind="production").exists() and not Event.objects.exists()


def test_no_rest_key_of_production_before_the_production_key(shop: Shop) -> None:
    services.tests_mark_done(shop=shop, actor=ACTOR, reason="x")
    with pytest.raises(ValidationError, match="Générez d'abord"):
        services.keys_generate(shop=shop, kinds=["rest_production"], actor=ACTOR, seen={})


@pytest.mark.parametrize(
    ("kind", "key_format", "pattern"),
    [
        ("test", "ALPHANUMERIC", r"[A-Za-z0-9]{16}"),
        ("test", "NUMERIC", r"[0-9]{16}"),
        ("production", "NUMERIC", r"[0-9]{16}"),
        ("rest_test", "NUMERIC", r"testpassword_[A-Za-z0-9]{48}"),
        ("rest_production", "ALPHANUMERIC", r"prodpassword_[A-Za-z0-9]{48}"),
        ("public_test", "ALPHANUMERIC", r"[0-9]{8}:testpublickey_[A-Za-z0-9]{48}"),
        ("public_production", "ALPHANUMERIC", r"[0-9]{8}:publickey_[A-Za-z0-9]{48}"),
        ("hmac_test", "ALPHANUMERIC", r"[A-Za-z0-9]{48}"),
    ],
)
def test_values_have_the_form_of_their_kind(shop: Shop, kind: str, key_format: str, pattern: str) -> None:
    services.tests_mark_done(shop=shop, actor=ACTOR, reason="x")
    if kind != "production":
        services.keys_generate(shop=shop, kinds=["production"], actor=ACTOR, seen={})
    seen = {"test": 1}
    first = services.keys_generate(shop=shop, kinds=[kind], actor=ACTOR, seen=seen, key_format=key_format)[kind]
    again = services.keys_generate(
        shop=shop, kinds=[kind], actor=ACTOR, seen={kind: seen.get(kind, 0) + 1}, key_format=key_format
    )[kind]
    assert re.fullmatch(pattern, first) and re.fullmatch(pattern, again) and first != again
    assert ShopKey.objects.get(shop=shop, kind=kind).value == again


def test_the_first_production_key_and_the_later_ones_are_different_events(shop: Shop) -> None:
    NotificationRuleFactory(shop=shop, reference="mail-key", triggers=["production_key.regenerated"])
    services.tests_mark_done(shop=shop, actor=ACTOR, reason="x")
    services.keys_generate(shop=shop, kinds=["production"], actor=ACTOR, seen={"production": 0})
    assert [(row.notification, row.address, row.as_field) for row in Delivery.objects.order_by("pk").all()].count(
        ("merchant_email", "paris@lumiere.example", "to")
    ) == 0
    services.keys_generate(shop=shop, kinds=["production"], actor=ACTOR, seen={"production": 1})
    assert list(Event.objects.order_by("pk").values_list("type", "mode")) == [
        ("production_key.generated", "PRODUCTION"),
        ("production_key.regenerated", "PRODUCTION"),
    ]
    told = Delivery.objects.filter(event__type="production_key.regenerated")
    assert sorted(told.values_list("notification", "address", "as_field")) == [
        ("merchant_email", "paris@lumiere.example", "to"),
        ("production_key_generated", "claire@lumiere.example", "cc"),
        ("production_key_generated", "paris@lumiere.example", "to"),
    ]
    assert list(AuditEntry.objects.filter(object_type="shopkey").order_by("pk").values_list("action", flat=True)) == [
        "key.generated",
        "key.regenerated",
    ]


def test_other_keys_are_told_to_nobody(shop: Shop) -> None:
    services.keys_generate(
        shop=shop, kinds=["test", "rest_test", "public_test", "hmac_test"], actor=ACTOR, seen={"test": 1}
    )
    assert not Event.objects.exists() and not Delivery.objects.exists()


def test_a_form_sent_twice_makes_one_key_and_one_mail(shop: Shop) -> None:
    services.tests_mark_done(shop=shop, actor=ACTOR, reason="x")
    values = services.keys_generate(shop=shop, kinds=["production"], actor=ACTOR, seen={"production": 0})
    with pytest.raises(services.KeyAlreadyChanged):
        services.keys_generate(shop=shop, kinds=["production"], actor=ACTOR, seen={"production": 0})
    assert ShopKey.objects.get(shop=shop, kind="production").value == values["production"]
    assert Event.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_four_people_at_once_make_one_production_key(shop: Shop) -> None:
    services.tests_mark_done(shop=shop, actor=ACTOR, reason="x")
    start, made, refused = threading.Barrier(4), [], []

    def click() -> None:
        start.wait()
        try:
            made.append(services.keys_generate(shop=shop, kinds=["production"], actor=ACTOR, seen={"production": 0}))
        except services.KeyAlreadyChanged as error:
            refused.append(error)
        connection.close()

    threads = [threading.Thread(target=click) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 3)
    assert ShopKey.objects.get(shop=shop, kind="production").value == made[0]["production"]
    assert Event.objects.filter(type="production_key.generated").count() == 1


def test_a_key_is_shown_by_the_service_once(shop: Shop) -> None:
    assert services.key_show(shop=shop, kind="test", actor=ACTOR) == "cle-de-test-neuve"
    assert services.key_show(shop=shop, kind="test", actor=ACTOR) is None
    assert services.key_show(shop=shop, kind="production", actor=ACTOR) is None
    assert AuditEntry.objects.filter(action="key.shown").count() == 1


def test_both_algorithms_are_accepted_for_24_hours_after_a_change(shop: Shop) -> None:
    now = timezone.now()
    assert shop.accepted_algorithms("TEST", now) == ("HMAC-SHA-256",)
    services.shop_update(shop=shop, actor=ACTOR, algorithm_test="SHA-1")
    since = shop.algorithm_test_since
    assert since is not None and shop.algorithm_production_since is None
    end = since + timedelta(hours=24)
    assert shop.accepted_algorithms("TEST", end - timedelta(seconds=1)) == ("SHA-1", "HMAC-SHA-256")
    assert shop.former_algorithm_until("TEST", end - timedelta(seconds=1)) == end
    assert shop.accepted_algorithms("TEST", end) == ("SHA-1",)
    assert shop.accepted_algorithms("PRODUCTION", since) == ("HMAC-SHA-256",)
    services.shop_update(shop=shop, actor=ACTOR, name="Autre nom")
    assert shop.algorithm_test_since == since, "another change starts no overlap"


# --- Never a second time --------------------------------------------------------------------------


@pytest.fixture
def log_lines() -> Any:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.mark.django_db(transaction=True)
def test_a_key_appears_in_one_answer_and_nowhere_else(
    client_for: ClientFor, shop: Shop, claire: User, smtp_server: SmtpServer, log_lines: io.StringIO
) -> None:
    all_tests_played(shop)
    client, staff = confirmed(client_for(claire)), client_for(StaffFactory())
    shown = secret_of(generate(client, shop))
    assert len(shown) == 1 and re.fullmatch("[A-Za-z0-9]{16}", shown[0])
    shown += secret_of(generate(client, shop))
    shown += [value for value in secret_of(generate(client, shop, "rest-set-test")) if "publickey" not in value]
    shown += secret_of(generate(client, shop, "test"))
    assert len(shown) == len(set(shown)) == 5
    loop.deliver_until_idle()
    journal = Delivery.objects.filter(notification="production_key_generated").first()
    assert journal is not None
    pages = [
        client.get(path)
        for path in (
            "/",
            url(shop),
            url(shop, "production"),
            url(shop, "test"),
            f"/settings/shops/{shop.site_id}/configuration/",
            "/settings/company/history/",
            "/settings/company/history/?format=csv",
            "/notifications/journal/",
            f"/notifications/journal/{journal.pk}/",
            f"/notifications/journal/{journal.pk}/html/",
            "/notifications/addresses/",
        )
    ]
    pages += [
        staff.get(path)
        for path in (
            f"/admin/shops/shop/{shop.pk}/change/",
            f"/admin/shops/shop/{shop.pk}/history/",
            "/admin/companies/auditentry/",
            *(f"/admin/companies/auditentry/{pk}/change/" for pk in AuditEntry.objects.values_list("pk", flat=True)),
            *(f"/admin/notifications/event/{pk}/change/" for pk in Event.objects.values_list("pk", flat=True)),
        )
    ]
    assert {page.status_code for page in pages} == {200}
    bodies = [b"".join(page.streaming_content if page.streaming else [page.content]).decode() for page in pages]
    bodies += [mail.raw.decode() + mail.text + mail.html for mail in smtp_server.received]
    bodies += [
        json.dumps(list(AuditEntry.objects.values()), default=str),
        json.dumps(list(Event.objects.values()), default=str),
    ]
    bodies.append(log_lines.getvalue())
    assert len(smtp_server.received) == 4
    for secret in shown:
        assert [body[:200] for body in bodies if secret in body] == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM shops_shopkey")
        stored = " ".join(row[0] for row in cursor.fetchall())
    assert not any(secret in stored for secret in shown)


@pytest.mark.django_db(transaction=True)
def test_the_mails_of_a_production_key_lead_to_the_keys_page(
    client_for: ClientFor, shop: Shop, claire: User, smtp_server: SmtpServer
) -> None:
    all_tests_played(shop)
    generate(confirmed(client_for(claire)), shop)
    loop.deliver_until_idle()
    assert sorted(mail.rcpt_tos[0] for mail in smtp_server.received) == [
        "claire@lumiere.example",
        "paris@lumiere.example",
    ]
    for mail in smtp_server.received:
        assert mail.message["To"] == "paris@lumiere.example" and mail.message["Cc"] == "claire@lumiere.example"
        assert mail.message["Subject"] == f"Clé de production générée : {shop.name}"
        assert f"http://localhost:8000{url(shop)}" in mail.text and "Claire Morel" in mail.text


COPIES = [
    ("", ["claire@lumiere.example"], None),
    ("claire@lumiere.example", ["claire@lumiere.example"], None),
    ("Claire@LUMIERE.example", ["Claire@LUMIERE.example"], None),
    ("paris@lumiere.example", ["paris@lumiere.example", "claire@lumiere.example"], "claire@lumiere.example"),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("own", "recipients", "cc"), COPIES)
def test_the_manager_contact_is_copied_only_where_the_address_is_another(
    client_for: ClientFor, shop: Shop, claire: User, smtp_server: SmtpServer, own: str, recipients: list[str], cc: str
) -> None:
    Shop.objects.update(manager_email=own)
    all_tests_played(shop)
    generate(confirmed(client_for(claire)), shop)
    loop.deliver_until_idle()
    # On the wire domains are in small letters.
    assert sorted(mail.rcpt_tos[0].lower() for mail in smtp_server.received) == sorted(map(str.lower, recipients))
    assert {mail.message["Cc"] for mail in smtp_server.received} == {cc}
    assert {mail.message["To"].lower() for mail in smtp_server.received} == {recipients[0].lower()}


@pytest.mark.django_db(transaction=True)
def test_two_spellings_of_an_international_domain_are_one_address(
    client_for: ClientFor, claire: User, shop: Shop, smtp_server: SmtpServer
) -> None:
    shop.company.contacts.update(email="claire@lumière.example")
    Shop.objects.update(manager_email="claire@xn--lumire-6ua.example")
    all_tests_played(shop)
    generate(confirmed(client_for(claire)), shop)
    loop.deliver_until_idle()
    assert [mail.rcpt_tos for mail in smtp_server.received] == [("claire@xn--lumire-6ua.example",)]
    assert smtp_server.received[0].message["Cc"] is None


# --- Figures --------------------------------------------------------------------------------------


def test_the_number_of_queries_does_not_grow_with_tests_and_shops(
    client_for: ClientFor, shop: Shop, claire: User
) -> None:
    client, counts = client_for(claire), []
    ShopFactory(company=shop.company)
    for more in (1, 30):
        ShopFactory.create_batch(more, company=shop.company)
        for _payment in range(more):
            played(shop, "accepted")
        client.get(url(shop))
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url(shop)).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_shop_gets_its_default_rule_for_regenerated_keys_switched_off(shop: Shop) -> None:
    made = services.shop_create(company=shop.company, actor=ACTOR, site_id="99999990", name="Neuve")
    assert not NotificationRule.objects.get(shop=made, reference="mail-key").enabled
