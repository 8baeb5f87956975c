"""Digests: one mail for all events of an hour or a day, and a row in the journal for each event and address."""

import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backoffice.provisioning import exporting
from backoffice.provisioning.applying import provision
from backoffice.provisioning.work import ProvisioningError
from companies.audit import Actor
from notifications import settings_facts
from notifications.api import deliveries as api
from notifications.events import digests
from notifications.events.publishing import Particulars, publish
from notifications.health import recording
from notifications.models import AddressSign, Delivery, NotificationRule
from notifications.outbox.services import delivery_cancel, delivery_requeue
from notifications.rules import services
from notifications.tables import compute
from notifications.timeline import reading
from shops.models import Shop
from tests.factories import DeliveryFactory, NotificationRuleFactory, UserFactory
from tests.smtp import SmtpServer
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.django_db
ACTOR = Actor(label="test")


@pytest.fixture
def rule(paris: Shop) -> NotificationRule:
    return NotificationRuleFactory(shop=paris, reference="mail-payment", recipients=["@shop_manager"], digest="hourly")


def pay(shop: Shop, *numbers: int, mode: str = "PRODUCTION", **data: Any) -> None:
    for n in numbers:
        occurred = datetime(2026, 11, 20, 9, 0, tzinfo=UTC) + timedelta(minutes=n)
        with transaction.atomic():
            publish(
                type="payment.accepted",
                company=shop.company,
                shop=shop,
                data={
                    "transaction_id": f"t{n:05d}",
                    "order_id": f"order-{n}",
                    "amount": 1000 + n,
                    "currency": "EUR",
                    **data,
                },
                particulars=Particulars(mode=mode, event_id=f"evt-{mode}-{n}", occurred_at=occurred),
            )


def later(**more: float) -> datetime:
    return timezone.now() + timedelta(**(more or {"hours": 1}))


def close(at: datetime | None = None) -> list[Delivery]:
    """What carries, after the clock has passed."""
    digests.tick(at or later())
    return list(Delivery.objects.filter(event__type="digest.due").select_related("event", "message").order_by("pk"))


def deliver(*options: str) -> None:
    call_command("deliver", "--once", *options)


@pytest.mark.django_db(transaction=True)
def test_events_wait_and_one_mail_tells_them(paris: Shop, rule: NotificationRule, smtp_server: SmtpServer) -> None:
    pay(paris, *range(53))
    pay(paris, 1, mode="TEST")
    deliver()
    assert smtp_server.received == [], "nothing leaves before the hour"
    waiting = Delivery.objects.filter(notification="merchant_email")
    assert {(row.status, row.digest_at, row.retry_at) for row in waiting} == {
        ("queued", waiting[0].digest_at, waiting[0].digest_at)
    }
    assert waiting.count() == 54
    deliver("--at", later().isoformat())
    mails = {mail.message["X-BOM-Mode"]: mail for mail in smtp_server.received}
    assert sorted(mails) == ["PRODUCTION", "TEST"], "the two modes apart, one mail each"
    assert mails["TEST"].message["Subject"].startswith("[TEST] ")
    mail = mails["PRODUCTION"]
    assert mail.rcpt_tos == ("paris@lumiere.example",)
    carrier = Delivery.objects.get(pk=mail.message["X-BOM-Delivery"])
    assert mail.message["X-BOM-Event"] == carrier.event.event_id
    assert (carrier.event.type, mail.message["X-BOM-Rule"]) == ("digest.due", "mail-payment")
    told = [n for n in range(53) if f"order-{n} " in mail.text.replace("\n", " ")]
    assert told == list(range(50)), "the first fifty by time"
    assert "t00049" in mail.text and "10,49" in mail.text and "t00050" not in mail.text
    assert "Et 3 autres événements" in mail.text
    assert f"/notifications/journal/?digest={carrier.event.event_id}" in mail.text
    carried = Delivery.objects.filter(carried_by=carrier)
    assert carried.count() == 53
    assert {(row.status, row.digest_at, row.retry_at, row.attempt_count) for row in carried} == {
        ("sent", None, None, 1)
    }


def test_the_api_names_the_delivery_that_carries(paris: Shop, rule: NotificationRule) -> None:
    pay(paris, 1)
    row = Delivery.objects.select_related("event", "shop", "rule").get()
    told = api._delivery(row)
    assert (told.status, told.retry_at, told.carried_by) == ("queued", None, None)
    assert told.digest_at == row.digest_at
    (carrier,) = close()
    told = api._delivery(Delivery.objects.select_related("event", "shop", "rule").get(pk=row.pk))
    assert (told.status, told.digest_at, told.carried_by) == ("queued", None, str(carrier.pk))
    assert api._delivery(carrier).carried_by is None


@pytest.mark.django_db(transaction=True)
def test_a_failure_of_the_mail_is_one_of_each_event(
    paris: Shop, rule: NotificationRule, smtp_server: SmtpServer
) -> None:
    smtp_server.answer("paris@lumiere.example", "550 5.7.1 not wanted")
    pay(paris, 1, 2)
    deliver("--at", later().isoformat())
    assert set(Delivery.objects.values_list("status", "error")) == {("dead", "550 5.7.1 not wanted")}
    event_row = Delivery.objects.filter(carried_by__isnull=False).first()
    assert event_row is not None
    assert delivery_requeue(delivery=event_row, actor=ACTOR)
    assert set(Delivery.objects.values_list("status", flat=True)) == {"queued"}
    smtp_server.behave()
    deliver("--at", later(hours=2).isoformat())
    assert set(Delivery.objects.values_list("status", flat=True)) == {"sent"}


def test_it_goes_to_whom_the_rule_writes_when_it_leaves(paris: Shop, rule: NotificationRule) -> None:
    pay(paris, 1, 2)
    services.rule_update(rule=rule, actor=ACTOR, recipients=["new@lumiere.example", "other@lumiere.example"])
    carriers = close()
    assert {row.address for row in carriers} == {"new@lumiere.example", "other@lumiere.example"}
    assert {tuple(row.to_addresses) for row in carriers} == {("new@lumiere.example", "other@lumiere.example")}
    rows = Delivery.objects.exclude(event__type="digest.due").order_by("event", "address")
    assert {(row.event.event_id, row.address) for row in rows if row.carried_by_id} == {
        (f"evt-PRODUCTION-{n}", address) for n in (1, 2) for address in ("new@lumiere.example", "other@lumiere.example")
    }
    gone = [row for row in rows if row.address == "paris@lumiere.example"]
    assert {(row.status, row.resolution["reason"], row.digest_at) for row in gone} == {
        ("not_sent", "no_longer_recipient", None)
    }
    assert "n'était plus parmi les destinataires" in gone[0].error


@pytest.mark.parametrize("how", ["off", "each", "removed"])
def test_a_rule_that_collects_no_more_sends_what_it_holds_at_once(
    paris: Shop, rule: NotificationRule, how: str
) -> None:
    pay(paris, 1, 2)
    assert close(timezone.now()) == []
    match how:
        case "off":
            services.rule_update(rule=rule, actor=ACTOR, enabled=False)
        case "each":
            services.rule_update(rule=rule, actor=ACTOR, digest="each")
        case "removed":
            services.rule_archive(rule=rule, actor=ACTOR)
    (carrier,) = close(timezone.now())
    assert (carrier.address, carrier.status, carrier.event.data["count"]) == ("paris@lumiere.example", "queued", 2)
    assert Delivery.objects.filter(carried_by=carrier).count() == 2


def test_a_shorter_rhythm_brings_the_digest_forward_and_a_longer_one_keeps_it(
    paris: Shop, rule: NotificationRule
) -> None:
    pay(paris, 1)
    hourly = Delivery.objects.get().digest_at
    services.rule_update(rule=rule, actor=ACTOR, digest="daily")
    assert Delivery.objects.get().digest_at == hourly
    Delivery.objects.update(digest_at=later(days=1), retry_at=later(days=1))
    services.rule_update(rule=rule, actor=ACTOR, digest="hourly")
    row = Delivery.objects.get()
    assert row.digest_at == row.retry_at
    assert row.digest_at <= later()


def test_a_shop_suspended_meanwhile_sends_nothing_and_says_so(paris: Shop, rule: NotificationRule) -> None:
    pay(paris, 1)
    Shop.objects.filter(pk=paris.pk).update(status="suspended")
    assert close() == []
    row = Delivery.objects.get()
    assert (row.status, row.resolution["reason"], row.retry_at, row.digest_at) == (
        "not_sent", "shop_suspended", None, None,
    )  # fmt: skip
    assert "suspendue" in row.error


def test_an_address_suppressed_meanwhile_gets_no_digest_and_each_of_its_rows_says_so(
    paris: Shop, rule: NotificationRule
) -> None:
    NotificationRule.objects.filter(pk=rule.pk).update(recipients=["un@lumiere.example", "deux@lumiere.example"])
    pay(paris, 1, 2)
    suppress(paris, "un@lumiere.example")
    assert set(rows_to("un@lumiere.example")) == {("not_sent", True, False)}
    pay(paris, 3)
    (mail,) = close()
    assert (mail.address, mail.event.data["count"]) == ("deux@lumiere.example", 3)
    assert rows_to("un@lumiere.example") == [("not_sent", False, False)] * 3
    told = Delivery.objects.filter(address="un@lumiere.example", event__type="payment.accepted")
    assert all("neutralisée" in row.error for row in told)
    assert rows_to("deux@lumiere.example") == [("queued", False, True)] * 3


def test_a_digest_to_an_address_suppressed_before_it_leaves_takes_its_rows_along(
    paris: Shop, rule: NotificationRule
) -> None:
    pay(paris, 1, 2)
    (mail,) = close()
    suppress(paris, mail.address)
    told = Delivery.objects.filter(pk=mail.pk) | Delivery.objects.filter(carried_by=mail)
    assert set(told.values_list("status", "retry_at")) == {("not_sent", None)}
    assert len({row.error for row in told}) == 1 and told.count() == 3


def suppress(shop: Shop, address: str) -> None:
    """A server said that there is no such address, in the answer to some other mail."""
    refused = DeliveryFactory(
        event__company=shop.company, event__type="form.invalid", company=shop.company, address=address, status="sent"
    )
    recording.note_refusal(recording.Refusal(refused, timezone.now(), "5.1.1", "User unknown", AddressSign.Via.SMTP))


def rows_to(address: str) -> list[tuple[str, bool, bool]]:
    """State, whether it waits for a digest, whether one carries it: of the rows of payments to an address."""
    rows = Delivery.objects.filter(normalised_address=address, event__type="payment.accepted").order_by("created_at")
    return [(row.status, row.digest_at is not None, row.carried_by_id is not None) for row in rows]


def test_an_event_that_was_cancelled_is_not_told(paris: Shop, rule: NotificationRule) -> None:
    services.rule_update(rule=rule, actor=ACTOR, recipients=["a@lumiere.example", "b@lumiere.example"])
    pay(paris, 1, 2)
    assert delivery_cancel(
        delivery=Delivery.objects.get(event__event_id="evt-PRODUCTION-1", address="a@lumiere.example"), actor=ACTOR
    )
    counts = {row.address: row.event.data["count"] for row in close()}
    assert counts == {"a@lumiere.example": 1, "b@lumiere.example": 2}
    first = Delivery.objects.get(event__event_id="evt-PRODUCTION-1", address="a@lumiere.example")
    assert (first.status, first.carried_by, first.digest_at) == ("cancelled", None, None)
    row = Delivery.objects.get(event__event_id="evt-PRODUCTION-1", address="b@lumiere.example")
    assert not row.is_cancellable and not delivery_cancel(delivery=row, actor=ACTOR)
    carrier = Delivery.objects.get(pk=row.carried_by_id)
    assert delivery_cancel(delivery=carrier, actor=ACTOR)
    row.refresh_from_db()
    assert row.status == "cancelled", "a digest that is stopped stops its events"


def test_a_digest_is_closed_once_and_a_later_event_waits_for_the_next(paris: Shop, rule: NotificationRule) -> None:
    pay(paris, 1)
    assert len(close()) == len(close()) == 1
    pay(paris, 2)
    assert len(close(timezone.now())) == 1
    assert len(close()) == 2


def test_provisioning_export_tables_and_their_past_speak_of_it(paris: Shop) -> None:
    given = {
        "reference": "lumiere",
        "shops": [
            {
                "site_id": "10000001",
                "rules": [
                    {"reference": "m", "type": "merchant_email", "trigger": "payment.accepted", "digest": "daily"},
                    {"reference": "i", "type": "ipn_call", "trigger": "payment.accepted"},
                ],
            }
        ],
    }
    before = timezone.now()
    provision({"companies": [given]})
    document = exporting.plain(exporting.export(paris.company))
    assert {rule["reference"]: rule.get("digest") for rule in document["shops"][0]["rules"]} == {
        "m": "daily",
        "i": None,
    }
    again = provision({"companies": [document]})
    assert (again.created, again.updated) == (0, 0)

    def lines(facts: Any) -> dict[str, Any]:
        tables = compute.delivery_tables_json(compute.delivery_tables(facts))
        found = [line for address in tables["addresses"] for line in address["receives"] if line["rule"]]
        return {line["rule"]: line["digest"] for line in found}

    assert lines(settings_facts.company_facts(paris.company)) == {"m": "daily", "i": None}
    then = timezone.now()
    given["shops"][0]["rules"][0]["digest"] = "each"  # type: ignore[index]
    provision({"companies": [given]})
    assert lines(settings_facts.company_facts(paris.company)) == {"m": "each", "i": None}
    assert lines(reading.facts_at(paris.company, then)) == {"m": "daily", "i": None}
    assert before < then
    given["shops"][0]["rules"][1]["digest"] = "hourly"  # type: ignore[index]
    with pytest.raises(ProvisioningError) as refused:
        provision({"companies": [given]})
    assert "companies[0].shops[0].rules[1].digest" in refused.value.errors[0]


def test_only_mail_to_merchants_is_collected(paris: Shop) -> None:
    for kind in ("ipn_call", "buyer_email"):
        with pytest.raises(ValidationError) as refused:
            services.rule_create(
                shop=paris,
                actor=ACTOR,
                reference="x",
                type=kind,
                label="X",
                triggers=["payment.accepted"],
                digest="daily",
            )
        assert list(refused.value.message_dict) == ["digest"]


def test_an_event_that_waits_costs_less_than_one_that_is_told_at_once(paris: Shop, rule: NotificationRule) -> None:
    with CaptureQueriesContext(connection) as held:
        pay(paris, 1)
    services.rule_update(rule=rule, actor=ACTOR, digest="each")
    with CaptureQueriesContext(connection) as at_once:
        pay(paris, 2)
    assert len(held) < len(at_once), "no message is written before the digest"


def test_the_journal_shows_the_way_from_an_event_to_its_digest_and_back(
    paris: Shop, rule: NotificationRule, claire: Any, client: Client
) -> None:
    client.force_login(claire)
    pay(paris, 1, 2)
    page = client.get("/notifications/journal/").text
    assert "Dans le récapitulatif d" in page
    (carrier,) = close()
    row = Delivery.objects.filter(carried_by=carrier).first()
    assert row is not None
    assert f'href="/notifications/journal/{carrier.pk}/"' in client.get("/notifications/journal/").text
    proof = client.get(f"/notifications/journal/{row.pk}/").text
    assert f'href="/notifications/journal/{carrier.pk}/"' in proof
    assert "Annuler l'envoi" not in proof
    way_back = f"/notifications/journal/?digest={carrier.event.event_id}"
    proof = client.get(f"/notifications/journal/{carrier.pk}/").text
    assert way_back in proof and "Voir les 2 événements" in proof
    listed = client.get(way_back).text
    assert all(
        f"/notifications/journal/{pk}/" in listed
        for pk in Delivery.objects.filter(carried_by=carrier).values_list("pk", flat=True)
    )


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_digest_survives_workers_that_are_killed(
    paris: Shop, rule: NotificationRule, smtp_server: SmtpServer, start_process: Callable[..., Any]
) -> None:
    pay(paris, *range(40))
    Delivery.objects.update(digest_at=timezone.now(), retry_at=timezone.now())
    environment = {"EMAIL_URL": f"smtp://127.0.0.1:{smtp_server.port}", "DEBUG": "false"}
    worker = start_process("manage.py", "deliver", "--watch", **environment)
    assert wait_until(lambda: Delivery.objects.filter(event__type="digest.due").exists())
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    last = start_process("manage.py", "deliver", "--once", **environment)
    output, _none = last.communicate(timeout=PATIENCE)
    assert last.returncode == 0, output
    assert set(Delivery.objects.values_list("status", flat=True)) == {"sent"}
    assert Delivery.objects.filter(carried_by__isnull=False).count() == 40
    assert Delivery.objects.filter(event__type="digest.due").count() == 1
    assert len({mail.message["Message-ID"] for mail in smtp_server.received}) == 1


def test_the_form_the_wizard_and_the_history_speak_of_the_rhythm(
    paris: Shop, rule: NotificationRule, claire: Any, client: Client
) -> None:
    client.force_login(claire)
    url = f"/settings/notification-rules/{paris.site_id}/{rule.reference}/"
    page = client.get(url).text
    assert 'name="digest"' in page and "Un récapitulatif par jour, à 7 h" in page
    posted = {"label": rule.label, "enabled": "on", "to_manager": "on", "others": "", "version": rule.version}
    panel = client.post(f"{url}?part=impact", {**posted, "digest": "daily"}, headers={"HX-Request": "true"}).text
    assert "Un récapitulatif par jour, à 7 h." in panel
    client.post(url, {**posted, "digest": "daily"})
    rule.refresh_from_db()
    assert rule.digest == "daily"
    told = client.get("/settings/company/history/").text
    assert "Un récapitulatif par jour, à 7 h" in told
    tables = client.get("/notifications/addresses/?address=paris@lumiere.example").text
    assert "Un récapitulatif par jour, à 7 h." in tables
    NotificationRuleFactory(ipn=True, shop=paris, reference="calls")
    assert 'name="digest"' not in client.get(f"/settings/notification-rules/{paris.site_id}/calls/").text


def test_the_journal_tells_that_a_digest_of_a_suspended_shop_may_leave_an_event_out(
    paris: Shop, rule: NotificationRule, client_for: Any
) -> None:
    """It does not promise that the event goes out later: its digest ends it."""
    pay(paris, 1)
    row = Delivery.objects.get()
    shown = client_for(UserFactory(company=paris.company))
    assert "suspendue ou fermée" not in shown.get(f"/notifications/journal/{row.pk}/").content.decode()
    Shop.objects.filter(pk=paris.pk).update(status="suspended")
    page = shown.get(f"/notifications/journal/{row.pk}/").content.decode()
    assert "si elle l'est encore à l'heure du récapitulatif" in page and "Il partira si elle redevient" not in page


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("choice", ["resumed", "cancelled"])
def test_the_mail_of_a_digest_that_a_suspension_keeps_goes_out_or_is_cancelled_with_its_events(
    paris: Shop, rule: NotificationRule, smtp_server: SmtpServer, choice: str
) -> None:
    pay(paris, 1)
    close()
    paris.company.status = "suspended"
    paris.company.save()
    deliver()
    assert smtp_server.received == [] and Delivery.objects.filter(status="queued").count() == 2
    if choice == "resumed":
        paris.company.status = "active"
        paris.company.save()
        deliver()
    else:
        reference = paris.company.reference
        call_command("cancel", "--status", "queued", "--status", "retry", "--company", reference)
        deliver()
    assert len(smtp_server.received) == (1 if choice == "resumed" else 0)
    assert set(Delivery.objects.values_list("status", flat=True)) == {"sent" if choice == "resumed" else "cancelled"}
