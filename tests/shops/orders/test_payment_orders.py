"""Payment orders: what is created, who receives what on the wire, and what time and payments do to them."""

import subprocess
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.utils import timezone

from companies.audit import StaleVersion
from companies.models import AuditEntry
from notifications.core import resolver
from notifications.events import hooks
from notifications.models import Delivery, Event, Message
from notifications.settings_facts import company_facts
from notifications.worker import loop
from shops.models import PaymentOrder, PaymentOrderTemplate, Shop
from shops.orders import selectors, services, text
from shops.orders.selectors import Search, SendState
from tests.factories import PaymentOrderFactory
from tests.shops.orders.acting import ACTOR, PARIS, create, headers, kinds, reread, sends
from tests.smtp import SmtpServer
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _has_a_site(paris: Shop) -> None:
    paris.url = "https://paris.lumiere.example"
    paris.save()


# --- Who receives what ----------------------------------------------------------------------------


@sends
def test_the_buyer_gets_the_order_and_each_ticked_copy_is_a_message_of_its_own(
    shop: Shop, smtp_server: SmtpServer
) -> None:
    order = create(shop, copy_to_manager=True, extra_copy="atelier@lumiere.example", language="en")[0]
    loop.deliver_until_idle()
    assert sorted(headers(mail) for mail in smtp_server.received) == [
        ("payment_order", "jeanne@acheteur.example", "", "paris@lumiere.example"),
        ("payment_order_copy", "paris@lumiere.example", "", ""),
        ("payment_order_extra_copy", "atelier@lumiere.example", "", "paris@lumiere.example"),
    ]
    assert all(len(mail.rcpt_tos) == 1 for mail in smtp_server.received)
    mail = smtp_server.to("jeanne@acheteur.example")[0]
    # The buyer's language is the order's, the shop's own people read the shop's.
    assert mail.message["Content-Language"] == "en"
    assert mail.message["Subject"] == "Lumière Paris: payment order of 249.00 EUR"
    for part in (mail.text, mail.html):
        assert text.public_url(order) in part
        assert "paris@lumiere.example" in part
        assert "249.00 EUR" in part
    copy = smtp_server.to("paris@lumiere.example")[0]
    assert copy.message["Content-Language"] == "fr"
    assert "249,00\N{NO-BREAK SPACE}EUR" in copy.text or "249,00 EUR" in copy.text
    assert f"/payment-orders/{order.pk}/" in copy.text
    assert f"Copie du lien envoyé à l'acheteur :\n{text.public_url(order)}" in copy.text.replace("\r\n", "\n"), (
        "marked as a copy"
    )


@sends
def test_what_is_sent_is_what_the_delivery_table_said_just_before(shop: Shop, smtp_server: SmtpServer) -> None:
    facts = company_facts(shop.company)
    lines = {
        (line.notification, line.address)
        for line in resolver.resolve_all(facts)
        if line.delivers and line.notification in ("payment_order_copy", "payment_order_problem")
    }
    order = create(shop, copy_to_manager=True)[0]
    services.payment_order_report_problem(
        order=order, name="Jeanne", email="jeanne@acheteur.example", message="Rien ne marche", nonce="a" * 32
    )
    loop.deliver_until_idle()
    sent = {
        (mail.message["X-BOM-Notification"], str(mail.message["To"]))
        for mail in smtp_server.received
        if mail.message["X-BOM-Notification"] != "payment_order"
    }
    assert (
        sent
        == lines
        == {
            ("payment_order_copy", "paris@lumiere.example"),
            ("payment_order_problem", "paris@lumiere.example"),
        }
    )


@sends
def test_without_the_box_no_copy_leaves(shop: Shop, smtp_server: SmtpServer) -> None:
    create(shop)
    loop.deliver_until_idle()
    assert [headers(mail)[:2] for mail in smtp_server.received] == [("payment_order", "jeanne@acheteur.example")]


@pytest.mark.parametrize(
    ("manager", "extra", "ticked", "expected"),
    [
        ("paris@lumiere.example", "PARIS@Lumiere.example", True, ["payment_order", "payment_order_copy"]),
        ("paris@lumiere.example", "PARIS@Lumiere.example", False, ["payment_order", "payment_order_extra_copy"]),
        ("paris@lumière.example", "paris@xn--lumire-6ua.example", True, ["payment_order", "payment_order_copy"]),
        ("paris@lumiere.example", "Jeanne@acheteur.example", True, ["payment_order", "payment_order_copy"]),
        ("", "claire@lumiere.example", True, ["payment_order", "payment_order_copy"]),
        (
            "paris@lumiere.example",
            "autre@lumiere.example",
            True,
            ["payment_order", "payment_order_copy", "payment_order_extra_copy"],
        ),
    ],
)
def test_a_second_address_that_receives_the_order_already_gets_it_once(
    shop: Shop, manager: str, extra: str, ticked: bool, expected: list[str]
) -> None:
    shop.manager_email = manager
    shop.save()
    order = create(shop, extra_copy=extra, copy_to_manager=ticked)[0]
    assert sorted(Delivery.objects.values_list("notification", flat=True)) == expected
    shown = selectors.audience(
        selectors.shop_facts(shop), recipients=[order.recipient], copy_to_manager=ticked, extra_copy=extra
    )
    told = [row.decision.notification for row in shown if row.delivers and row.decision.notification in expected]
    assert sorted(told) == expected


@sends
def test_the_copy_of_a_shop_without_an_address_goes_to_the_contact_gestionnaire(
    shop: Shop, smtp_server: SmtpServer
) -> None:
    shop.manager_email = ""
    shop.save()
    create(shop, copy_to_manager=True)
    loop.deliver_until_idle()
    assert {headers(mail) for mail in smtp_server.received} == {
        ("payment_order", "jeanne@acheteur.example", "", "claire@lumiere.example"),
        ("payment_order_copy", "claire@lumiere.example", "", ""),
    }


@sends
def test_a_test_order_says_so_first_in_the_subject(shop: Shop, smtp_server: SmtpServer) -> None:
    create(shop, mode="TEST", subject="Réglez à %shop_name%", body="%url%")
    loop.deliver_until_idle()
    mail = smtp_server.received[0]
    assert mail.message["Subject"] == "[TEST] Réglez à Lumière Paris"
    assert mail.message["X-BOM-Mode"] == "TEST"


# --- Creating -------------------------------------------------------------------------------------


def test_several_recipients_make_an_order_each_with_a_numbered_reference(shop: Shop) -> None:
    found = create(shop, recipients=["a@acheteur.example", "b@acheteur.example", "c@acheteur.example"])
    assert [(order.reference, order.recipient) for order in found] == [
        ("CMD-41-001", "a@acheteur.example"),
        ("CMD-41-002", "b@acheteur.example"),
        ("CMD-41-003", "c@acheteur.example"),
    ]
    assert len({order.token for order in found}) == 3
    assert min(len(order.token) for order in found) >= 43, "256 bits in base64"
    assert Delivery.objects.filter(notification="payment_order").count() == 3


def test_an_order_without_reference_language_text_and_date_gets_the_defaults(shop: Shop) -> None:
    order = create(shop, reference="")[0]
    assert order.reference.startswith("OP-")
    assert (order.language, order.subject) == ("fr", "%shop_name% : ordre de paiement de %amount%")
    assert order.valid_until == timezone.now().astimezone(PARIS).date() + timedelta(days=30)
    assert kinds(order) == ["created", "sent"]
    entry = AuditEntry.objects.get(action="payment_order.created")
    assert entry.changes["reference"] == [None, order.reference]


def test_the_default_template_of_the_language_is_taken(shop: Shop) -> None:
    for language, subject in (("fr", "Le vôtre"), ("en", "Yours")):
        services.order_template_save(
            shop=shop, actor=ACTOR, language=language, name="M", subject=subject, body="%amount% %url%", is_default=True
        )
    assert create(shop, language="en")[0].subject == "Yours"
    assert create(shop)[0].subject == "Le vôtre"


@pytest.mark.parametrize(
    ("fields", "field", "named"),
    [
        ({"valid_until": date(2020, 1, 1)}, "valid_until", "01/01/2020"),
        ({"valid_until": date(2999, 1, 1)}, "valid_until", "01/01/2999"),
        ({"recipients": []}, "recipients", "adresse"),
        ({"recipients": ["pas une adresse"]}, "recipients", "pas une adresse"),
        ({"reference": "é" * 3}, "reference", "64"),
        ({"reference": "x" * 62, "recipients": ["a@b.example", "c@d.example"]}, "reference", "64"),
        ({"subject": "%prix% à payer"}, "subject", "%prix%"),
        ({"body": "Réglez %montant%"}, "body", "%montant%"),
        ({"body": "%fields%"}, "body", "%fields%"),
        ({"body": "Payez \u202e09,99"}, "body", "U+202E"),
        ({"subject": "Objet\x07"}, "subject", "U+0007"),
        ({"currency": "euro"}, "currency", "ISO 4217"),
        ({"extra_copy": "a@b.example; c@d.example"}, "extra_copy", "une seule"),
        ({"channel": "url", "recipients": ["a@b.example", "c@d.example"]}, "recipients", "un seul"),
        ({"channel": "url", "recipients": [], "send_at": timezone.now() + timedelta(days=1)}, "send_at", "lien"),
        ({"send_at": datetime(2020, 1, 1, tzinfo=PARIS)}, "send_at", "futur"),
        ({"capture_delay": 400}, "capture_delay", "365"),
    ],
)
def test_what_cannot_be_is_refused_by_name_and_nothing_is_written(
    shop: Shop, fields: dict[str, Any], field: str, named: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        create(shop, **fields)
    assert named in " ".join(caught.value.message_dict[field])
    assert not PaymentOrder.objects.exists() and not Event.objects.exists()


def test_ninety_days_are_the_longest_validity(shop: Shop) -> None:
    today = timezone.now().astimezone(PARIS).date()
    assert create(shop, valid_until=today + timedelta(days=90))
    with pytest.raises(ValidationError):
        create(shop, valid_until=today + timedelta(days=91))


@pytest.mark.parametrize("status", ["suspended", "closed"])
@pytest.mark.parametrize("whose", ["shop", "company"])
def test_a_shop_that_is_not_active_sends_nothing_and_says_why(shop: Shop, status: str, whose: str) -> None:
    order = create(shop)[0]
    Delivery.objects.all().delete()
    target = shop if whose == "shop" else shop.company
    target.status = status
    target.save()
    for act in (
        lambda: create(Shop.objects.get(pk=shop.pk)),
        lambda: services.payment_order_resend(order=order, actor=ACTOR),
        lambda: services.payment_order_update(order=order, actor=ACTOR, seen=1, amount=1),
    ):
        with pytest.raises(ValidationError, match="sécurité"):
            act()
    assert not Delivery.objects.exists()


# --- Send state -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("queued", SendState.IN_PROGRESS),
        ("sending", SendState.IN_PROGRESS),
        ("retry", SendState.IN_PROGRESS),
        ("sent", SendState.SENT),
        ("dead", SendState.FAILED),
        ("not_sent", SendState.FAILED),
        ("cancelled", SendState.CANCELLED),
    ],
)
def test_the_send_state_follows_the_delivery_and_is_found_by_its_filter(shop: Shop, status: str, expected: str) -> None:
    order = create(shop)[0]
    Delivery.objects.update(status=status)
    assert selectors.send_state(reread(order)) == expected
    everything = selectors.with_delivery(PaymentOrder.objects.all())
    for state in SendState.values:
        found = selectors.filtered(everything, Search(sending=state), now=timezone.now())
        assert list(found) == ([order] if state == expected else []), state


def test_links_and_deferred_orders_have_send_states_of_their_own(shop: Shop) -> None:
    link = create(shop, channel="url", recipients=[])[0]
    later = create(shop, send_at=timezone.now() + timedelta(hours=2))[0]
    assert not Delivery.objects.exists()
    assert selectors.send_state(reread(link)) == SendState.MANUAL
    assert selectors.send_state(reread(later)) == SendState.SCHEDULED
    everything = selectors.with_delivery(PaymentOrder.objects.all())
    assert list(selectors.filtered(everything, Search(sending="manual"), now=timezone.now())) == [link]
    assert list(selectors.filtered(everything, Search(sending="scheduled"), now=timezone.now())) == [later]
    services.payment_order_handed_over(order=link, actor=ACTOR)
    assert selectors.send_state(reread(link)) == SendState.SENT
    assert list(selectors.filtered(everything, Search(sending="sent"), now=timezone.now())) == [link]


def test_a_resent_order_shows_the_state_of_the_newest_sending(shop: Shop) -> None:
    order = create(shop)[0]
    Delivery.objects.update(status="dead")
    services.payment_order_resend(order=order, actor=ACTOR)
    assert selectors.send_state(reread(order)) == SendState.IN_PROGRESS
    assert kinds(order) == ["created", "sent", "resent"]


def test_resending_goes_to_todays_manager_and_stops_what_still_waited(shop: Shop) -> None:
    order = create(shop, copy_to_manager=True)[0]
    shop.manager_email = "nouvelle@lumiere.example"
    shop.save()
    services.payment_order_resend(order=order, actor=ACTOR)
    waiting = Delivery.objects.filter(status="queued")
    assert {row.address for row in waiting} == {"jeanne@acheteur.example", "nouvelle@lumiere.example"}
    assert Delivery.objects.filter(status="cancelled").count() == 2


# --- Deferred sending and expiry ------------------------------------------------------------------


@sends
def test_a_deferred_order_leaves_once_when_its_time_has_come(shop: Shop, smtp_server: SmtpServer) -> None:
    when = timezone.now() + timedelta(days=2)
    order = create(shop, send_at=when, copy_to_manager=True)[0]
    call_command("deliver", "--once", "--at", (when - timedelta(minutes=1)).isoformat())
    assert smtp_server.received == []
    # The recipients are those of the day of sending.
    shop.manager_email = "nouvelle@lumiere.example"
    shop.save()
    for _again in range(2):
        call_command("deliver", "--once", "--at", (when + timedelta(seconds=1)).isoformat())
    assert sorted(headers(mail)[1] for mail in smtp_server.received) == [
        "jeanne@acheteur.example",
        "nouvelle@lumiere.example",
    ]
    assert selectors.send_state(reread(order)) == SendState.SENT
    assert kinds(order) == ["created", "sent"]


@sends
def test_two_workers_at_the_same_moment_send_a_deferred_order_once(
    shop: Shop, smtp_server: SmtpServer, start_process: Callable[..., subprocess.Popen[str]]
) -> None:
    when = timezone.now() + timedelta(days=2)
    for number in range(10):
        create(shop, send_at=when, reference=f"CMD-{number}")
    late = (when + timedelta(seconds=1)).isoformat()
    email = f"smtp://127.0.0.1:{smtp_server.port}"
    workers = [
        start_process("manage.py", "deliver", "--once", "--at", late, EMAIL_URL=email, DEBUG="true")
        for _number in range(2)
    ]
    for worker in workers:
        assert worker.wait(timeout=PATIENCE) == 0, worker.communicate()[0]
    assert len(smtp_server.received) == 10
    assert set(PaymentOrder.objects.values_list("send_at", flat=True)) == {None}


@sends
def test_a_deferred_order_that_was_cancelled_or_whose_shop_was_suspended_never_leaves(
    shop: Shop, smtp_server: SmtpServer
) -> None:
    when = timezone.now() + timedelta(days=2)
    cancelled = create(shop, send_at=when)[0]
    services.payment_order_cancel(order=cancelled, actor=ACTOR)
    suspended = create(shop, send_at=when)[0]
    shop.status = "suspended"
    shop.save()
    hooks.tick(when + timedelta(seconds=1))
    loop.deliver_until_idle(lambda: when + timedelta(seconds=1))
    assert smtp_server.received == []
    assert kinds(suspended) == ["created", "not_sent"]
    assert selectors.send_state(reread(suspended)) == SendState.CANCELLED


def test_an_order_is_valid_to_the_end_of_its_day_in_the_companys_time_zone(shop: Shop) -> None:
    shop.company.time_zone = "America/Toronto"
    shop.company.save()
    with time_machine.travel(datetime(2026, 11, 24, 15, tzinfo=PARIS), tick=False):
        order = create(shop, valid_until=date(2026, 12, 1))[0]
    toronto = ZoneInfo("America/Toronto")
    assert order.state_at(datetime(2026, 12, 1, 23, 59, 59, tzinfo=toronto)) == "in_progress"
    assert order.state_at(datetime(2026, 12, 2, 0, 0, tzinfo=toronto)) == "expired"


def test_expiry_follows_the_clock_with_and_without_the_worker(shop: Shop) -> None:
    order = create(shop)[0]
    end = order.expires_at
    everything = selectors.with_delivery(PaymentOrder.objects.all())
    for ticked in (False, True):
        if ticked:
            hooks.tick(end)
            hooks.tick(end + timedelta(days=1))
        for now, state in ((end - timedelta(seconds=1), "in_progress"), (end, "expired")):
            assert reread(order).state_at(now) == state
            for wanted in PaymentOrder.Status.values:
                found = selectors.filtered(everything, Search(state=wanted), now=now)
                assert found.exists() == (wanted == state), (ticked, now, wanted)
    assert kinds(order) == ["created", "sent", "expired"]
    assert order.entries.get(kind="expired").at == end


def test_a_new_date_opens_an_expired_order_again_without_sending(shop: Shop) -> None:
    order = create(shop)[0]
    Delivery.objects.all().delete()
    with time_machine.travel(order.expires_at + timedelta(days=1), tick=False):
        hooks.tick(timezone.now())
        today = timezone.now().astimezone(PARIS).date()
        with pytest.raises(ValidationError):
            services.payment_order_set_validity(order=order, actor=ACTOR, seen=1, valid_until=today - timedelta(days=1))
        services.payment_order_set_validity(order=order, actor=ACTOR, seen=1, valid_until=today)
        assert reread(order).state == "in_progress"
        assert reread(order).token == order.token
    assert kinds(order) == ["created", "sent", "expired", "validity"]
    assert not Delivery.objects.exists()


# --- Changing, cancelling, reactivating -----------------------------------------------------------


@sends
def test_a_changed_order_leaves_again_with_the_same_link(shop: Shop, smtp_server: SmtpServer) -> None:
    order = create(shop)[0]
    loop.deliver_until_idle()
    changed, changes = services.payment_order_update(
        order=order, actor=ACTOR, seen=1, amount=19900, recipient="paul@acheteur.example"
    )
    loop.deliver_until_idle()
    assert changes == {"amount": [24900, 19900], "recipient": ["jeanne@acheteur.example", "paul@acheteur.example"]}
    mail = smtp_server.to("paul@acheteur.example")[0]
    assert text.public_url(order) in mail.text and "199,00" in mail.text
    assert changed.version == 2
    with pytest.raises(StaleVersion):
        services.payment_order_update(order=order, actor=ACTOR, seen=1, amount=1)


def test_cancelling_stops_the_mail_that_waits_and_reactivating_opens_the_link(shop: Shop) -> None:
    order = create(shop, copy_to_manager=True)[0]
    services.payment_order_cancel(order=order, actor=ACTOR)
    assert set(Delivery.objects.values_list("status", flat=True)) == {"cancelled"}
    with pytest.raises(ValidationError):
        services.payment_order_resend(order=order, actor=ACTOR)
    with pytest.raises(ValidationError):
        services.payment_order_cancel(order=order, actor=ACTOR)
    services.payment_order_reactivate(order=order, actor=ACTOR)
    assert reread(order).state == "in_progress"
    assert kinds(order) == ["created", "sent", "cancelled", "reactivated"]


def test_a_cancelled_order_cannot_be_reactivated_after_its_date(shop: Shop) -> None:
    order = create(shop)[0]
    services.payment_order_cancel(order=order, actor=ACTOR)
    with time_machine.travel(order.expires_at, tick=False), pytest.raises(ValidationError, match="date de validité"):
        services.payment_order_reactivate(order=order, actor=ACTOR)


# --- The message ----------------------------------------------------------------------------------


def test_every_documented_placeholder_is_filled_in_the_orders_language(shop: Shop) -> None:
    with time_machine.travel(datetime(2026, 11, 24, 23, 30, tzinfo=PARIS), tick=False):
        order = create(
            shop,
            language="en",
            valid_until=date(2026, 12, 24),
            subject="%reference% %amount%",
            body="%start_date% | %end_date% | %shop_name% | %shop_contact% | %shop_url%",
        )[0]
    filled = text.filled(order, "paris@lumiere.example")
    assert filled.subject == "CMD-41 249.00 EUR"
    assert filled.body.split("\n\n") == [
        "24 November 2026 | 24 December 2026 | Lumière Paris | paris@lumiere.example | https://paris.lumiere.example",
        text.public_url(order),
    ], "a missing link is added at the end"


def test_values_are_not_searched_for_placeholders_and_percent_signs_stay(shop: Shop) -> None:
    shop.name = "%url% & 100%"
    order = PaymentOrderFactory.build(shop=shop, body="20% de remise chez %shop_name%\n%url%", reference="R")
    assert text.filled(order, "x@y.example").paragraphs == [["20% de remise chez %url% & 100%"]]


@sends
def test_a_message_with_markup_arrives_inert(shop: Shop, smtp_server: SmtpServer) -> None:
    create(shop, subject="Promo <b>", body="<a href='https://evil.example'>ici</a> %%REASON%%\n%url%")
    loop.deliver_until_idle()
    mail = smtp_server.received[0]
    assert "<a href='https://evil.example'>" not in mail.html
    assert mail.text.count("Vous recevez ce message") == 1


def test_the_mails_of_an_order_say_the_same_in_both_parts(shop: Shop) -> None:
    create(shop, copy_to_manager=True, extra_copy="a@lumiere.example")
    for message in Message.objects.all():
        for fact in ("CMD-41", "249,00"):
            assert fact in message.text and fact in message.html


# --- Templates ------------------------------------------------------------------------------------


def test_a_new_default_template_takes_the_place_of_the_former_of_its_language(shop: Shop) -> None:
    def save(name: str, language: str) -> PaymentOrderTemplate:
        return services.order_template_save(
            shop=shop, actor=ACTOR, language=language, name=name, subject="S", body="%url%", is_default=True
        )

    first, english, second = save("Un", "fr"), save("One", "en"), save("Deux", "fr")
    states = {item.pk: item.is_default for item in PaymentOrderTemplate.objects.all()}
    assert states == {first.pk: False, english.pk: True, second.pk: True}


def test_templates_are_duplicated_under_a_free_name_and_refused_by_field(shop: Shop) -> None:
    made = services.order_template_save(
        shop=shop, actor=ACTOR, language="fr", name="Un", subject="S", body="%url%", is_default=True
    )
    names = [services.order_template_duplicate(template=made, actor=ACTOR).name for _twice in range(2)]
    assert names == ["Un (copie)", "Un (copie) 2"]
    with pytest.raises(ValidationError) as caught:
        services.order_template_save(
            shop=shop, actor=ACTOR, language="fr", name="Un", subject="%nom%", body="x", is_default=False
        )
    assert "%nom%" in caught.value.message_dict["subject"][0]
    assert "déjà ce nom" in caught.value.message_dict["name"][0]


# --- Hooks ----------------------------------------------------------------------------------------


def _broken_tick(now: datetime) -> None:
    raise RuntimeError("defect")


@sends
def test_a_defect_in_a_scheduled_function_does_not_hold_up_the_mail(
    shop: Shop, smtp_server: SmtpServer, settings: Any
) -> None:
    settings.CLOCK_WORK = [f"{__name__}._broken_tick", *settings.CLOCK_WORK]
    create(shop)
    loop.deliver_until_idle()
    assert len(smtp_server.received) == 1
