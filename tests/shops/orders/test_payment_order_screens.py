"""Gestion > Ordres de paiement: list, creation, one order, templates, rights."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from companies.models import Role
from notifications.models import Delivery
from shops.models import PaymentOrder, PaymentOrderTemplate, Shop
from shops.orders import money
from shops.orders.selectors import SendState
from tests.factories import PaymentOrderFactory, ShopFactory, StaffFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
LIST = "/payment-orders/"


@pytest.fixture
def client(shop: Shop, client_for: Callable[..., Client]) -> Client:
    return client_for(UserFactory(company=shop.company, role=Role.MANAGER, first_name="Paul", last_name="Girard"))


def text_of(response: Any) -> str:
    return unescape(response.content.decode())


def typed(**changes: Any) -> dict[str, Any]:
    return {
        "reference": "CMD-41",
        "amount": "1 249,90",
        "currency": "EUR",
        "valid_until": (timezone.localdate() + timedelta(days=20)).isoformat(),
        "recipients": "jeanne@acheteur.example",
        "language": "fr",
        "subject": "Votre commande",
        "body": "Bonjour,\n\n%url%",
        **changes,
    }


# --- The list -------------------------------------------------------------------------------------


def test_test_and_production_orders_stand_apart(client: Client, shop: Shop) -> None:
    PaymentOrderFactory(shop=shop, reference="VRAI-1")
    PaymentOrderFactory(shop=shop, reference="ESSAI-1", mode="TEST")
    assert "VRAI-1" in text_of(client.get(LIST)) and "ESSAI-1" not in text_of(client.get(LIST))
    test = text_of(client.get(LIST + "?mode=TEST"))
    assert "ESSAI-1" in test and "VRAI-1" not in test


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=cmd-a", ["CMD-A"]),
        ("q=JEANNE@", ["CMD-A"]),
        ("q=client-7", ["CMD-B"]),
        ("channel=url", ["CMD-B"]),
        ("status=cancelled", ["CMD-C"]),
        ("status=in_progress", ["CMD-A", "CMD-B"]),
        ("status=expired", ["CMD-D"]),
        ("sending=manual", ["CMD-B"]),
        ("sending=cancelled", ["CMD-A", "CMD-C", "CMD-D"]),
        ("amount_min=100", ["CMD-B"]),
        ("amount_min=10&amount_max=49,90", ["CMD-A", "CMD-C", "CMD-D"]),
        ("expires_from=2027-01-01", ["CMD-A"]),
        ("expires_until=2026-01-31", ["CMD-D"]),
        ("created_until=2026-01-02", ["CMD-D"]),
        ("created_from=2026-01-03", ["CMD-A", "CMD-B", "CMD-C"]),
        ("shop=10000002", []),
        ("status=nonsense&sending=%00&amount_min=abc&created_from=0001-01-01", ["CMD-A", "CMD-B", "CMD-C", "CMD-D"]),
    ],
)
def test_each_criterion_of_the_search_tool_narrows_the_list(
    client: Client, shop: Shop, query: str, found: list[str]
) -> None:
    soon, far = timezone.localdate() + timedelta(days=5), date(2999, 1, 1)
    common: dict[str, Any] = {"shop": shop, "recipient": "paul@acheteur.example", "valid_until": soon}
    PaymentOrderFactory(**{**common, "reference": "CMD-A", "recipient": "jeanne@acheteur.example", "valid_until": far})
    PaymentOrderFactory(**common, reference="CMD-B", channel="url", amount=20000, buyer_reference="CLIENT-7")
    PaymentOrderFactory(**common, reference="CMD-C", status="cancelled")
    PaymentOrderFactory(
        **{**common, "valid_until": date(2026, 1, 31)},
        reference="CMD-D",
        created_at=datetime(2026, 1, 2, 12, tzinfo=UTC),
    )
    ShopFactory(company=shop.company, site_id="10000002")
    response = client.get(f"{LIST}?{query}&format=csv&plain=1")
    rows = list(csv.reader(io.StringIO(b"".join(response.streaming_content).decode())))
    assert sorted(row[0] for row in rows[1:]) == found
    page = client.get(f"{LIST}?{query}")
    assert page.status_code == 200 and page.context["page"].paginator.count == len(found)


def test_the_csv_gives_amounts_as_decimals_and_runs_no_formula(client: Client, shop: Shop) -> None:
    PaymentOrderFactory(shop=shop, reference="-1", amount=1990, currency="TND", recipient="=a@b.example")
    PaymentOrderFactory(shop=shop, reference="YEN", amount=1990, currency="JPY")
    response = client.get(LIST + "?format=csv&plain=1&sort=reference")
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
    assert [(row["reference"], row["amount"], row["recipient"]) for row in rows] == [
        ("'-1", "1.990", "'=a@b.example"),
        ("YEN", "1990", "jeanne@acheteur.example"),
    ]
    assert "attachment" in response.headers["Content-Disposition"]


def test_the_list_costs_the_same_for_one_order_and_for_fifty(
    client: Client, shop: Shop, django_assert_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    PaymentOrderFactory(shop=shop)
    client.get(LIST)
    with CaptureQueriesContext(
        connection,
    ) as one:
        client.get(LIST)
    PaymentOrderFactory.create_batch(49, shop=shop)
    with django_assert_num_queries(len(one)):
        client.get(LIST)


def test_an_empty_list_names_the_next_step(client: Client) -> None:
    assert "Créer un ordre via e-mail" in text_of(client.get(LIST))
    assert "Aucun ordre ne correspond" in text_of(client.get(LIST + "?q=rien"))


# --- Creating -------------------------------------------------------------------------------------


def test_an_order_is_created_sent_and_shown(client: Client, shop: Shop) -> None:
    response = client.post(
        LIST + "new/?shop=10000001&channel=email&mode=PRODUCTION", typed(copy_to_manager="on"), follow=True
    )
    order = PaymentOrder.objects.get()
    assert response.redirect_chain[-1][0] == f"{LIST}{order.pk}/"
    assert (order.amount, order.currency, order.created_by, order.mode) == (124990, "EUR", "Paul Girard", "PRODUCTION")
    assert "son envoi est en cours" in text_of(response)
    assert sorted(Delivery.objects.values_list("notification", "address")) == [
        ("payment_order", "jeanne@acheteur.example"),
        ("payment_order_copy", "paris@lumiere.example"),
    ]


def test_several_recipients_land_on_the_list_of_their_orders(client: Client) -> None:
    response = client.post(
        LIST + "new/?shop=10000001", typed(recipients="a@b.example; c@d.example,e@f.example"), follow=True
    )
    assert response.redirect_chain[-1][0] == f"{LIST}?mode=PRODUCTION&q=CMD-41"
    assert [order.reference for order in response.context["page"]] == ["CMD-41-001", "CMD-41-002", "CMD-41-003"]


def test_a_link_is_created_without_sending_and_its_text_is_there_to_copy(client: Client) -> None:
    data = typed(recipients="", body="Bonjour, %amount% par ici : %url%")
    response = client.post(LIST + "new/?shop=10000001&channel=url&mode=TEST", data, follow=True)
    order = PaymentOrder.objects.get()
    assert (order.channel, order.mode, order.recipient) == ("url", "TEST", "")
    assert not Delivery.objects.exists()
    assert f"http://localhost:8000/orders/{order.token}/" in text_of(response)
    message = text_of(client.get(f"{LIST}{order.pk}/?tab=message"))
    assert "par ici : http://localhost:8000/orders/" in message
    client.post(f"{LIST}{order.pk}/handed-over/")
    assert PaymentOrder.objects.get().handed_over_at is not None


def test_a_deferred_time_is_one_of_the_companys_clock(client: Client, shop: Shop) -> None:
    shop.company.time_zone = "America/Toronto"
    shop.company.save()
    day = timezone.localdate() + timedelta(days=3)
    client.post(LIST + "new/?shop=10000001", typed(send_at=f"{day}T09:30"))
    order = PaymentOrder.objects.get()
    assert order.send_at and order.send_at.astimezone().utcoffset() is not None
    from zoneinfo import ZoneInfo

    assert order.send_at.astimezone(ZoneInfo("America/Toronto")).strftime("%Y-%m-%dT%H:%M") == f"{day}T09:30"
    assert "Différé" in text_of(client.get(LIST))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"amount": "abc"}, "« abc » n'est pas un montant"),
        ({"amount": "12,345"}, "« 12,345 »"),
        ({"amount": "10,5", "currency": "JPY"}, "JPY"),
        ({"amount": "0"}, "supérieur à zéro"),
        ({"recipients": "jeanne@@acheteur"}, "jeanne@@acheteur"),
        ({"recipients": ""}, "À"),
        ({"reference": "réf 1"}, "64 lettres"),
        ({"valid_until": "2020-01-01"}, "01/01/2020"),
        ({"valid_until": "demain"}, "Date de fin de validité"),
        ({"body": "%montant%"}, "%montant%"),
        ({"with_extra_copy": "on"}, "Indiquez l'adresse"),
        ({"extra_copy": "x@y.example"}, "Cochez la case « Autre adresse » pour écrire à x@y.example"),
        ({"with_extra_copy": "on", "extra_copy": "x@"}, "« x@ »"),
        ({"send_at": "2020-01-01T10:00"}, "dans le futur"),
    ],
)
def test_a_refused_form_names_the_value_keeps_what_was_typed_and_sends_nothing(
    client: Client, changes: dict[str, str], named: str
) -> None:
    data = typed(**changes)
    response = client.post(LIST + "new/?shop=10000001", data)
    assert response.status_code == 200
    assert named in text_of(response)
    for value in data.values():
        assert value in unescape(response.content.decode()) or "\n" in value
    assert not PaymentOrder.objects.exists()


def test_using_a_template_replaces_the_text_and_keeps_the_rest(client: Client, shop: Shop) -> None:
    template = PaymentOrderTemplate.objects.create(
        shop=shop, language="en", name="Deposit", subject="Your deposit", body="Pay here %url%"
    )
    response = client.post(
        LIST + "new/?shop=10000001", typed(template=str(template.pk), use_template="1", copy_to_manager="on")
    )
    form = response.context["form"]
    assert not PaymentOrder.objects.exists() and not form.is_bound
    assert form["subject"].value() == "Your deposit" and form["language"].value() == "en"
    assert form["amount"].value() == "1 249,90" and form["copy_to_manager"].value()


def test_who_will_receive_what_is_answered_for_what_is_being_typed(client: Client, shop: Shop) -> None:
    start = text_of(client.get(LIST + "new/?shop=10000001"))
    assert "Qui recevra quoi" in start and "paris@" in start
    url = LIST + "new/?shop=10000001&audience=1"
    data = typed(copy_to_manager="on", with_extra_copy="on", extra_copy="PARIS@lumiere.example")
    response = client.post(url, data, headers={"HX-Request": "true"})
    rows = [(row.address, row.delivers) for row in response.context["audience"]]
    assert rows == [
        ("jeanne@acheteur.example", True),
        ("paris@lumiere.example", True),
        ("PARIS@lumiere.example", False),
        ("paris@lumiere.example", True),
    ]
    assert "<html" not in text_of(response)
    assert not PaymentOrder.objects.exists()


def test_the_preview_is_the_mail_as_the_buyer_would_get_it(client: Client) -> None:
    response = client.post(LIST + "preview/10000001/?mode=TEST", typed(body="Réglez %amount% <b>vite</b> %url%"))
    html = response.content.decode()
    assert "1 249,90 EUR" in html.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert "&lt;b&gt;vite" in html and "TEST" in html and "CMD-41" in html
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "sandbox" in policy
    assert response.headers["X-Frame-Options"] == "SAMEORIGIN"
    refused = client.post(LIST + "preview/10000001/", typed(amount="abc"))
    assert "« abc » n'est pas un montant" in text_of(refused)
    assert client.get(LIST + "preview/10000001/").status_code == 200
    assert not PaymentOrder.objects.exists() and not Delivery.objects.exists()


@pytest.mark.parametrize("whose", ["shop", "company"])
def test_a_suspended_shop_is_told_so_and_has_no_button(client: Client, shop: Shop, whose: str) -> None:
    target = shop if whose == "shop" else shop.company
    target.status = "suspended"
    target.save()
    page = text_of(client.get(LIST + "new/?shop=10000001"))
    assert "Aucun ordre de paiement ne peut partir" in page and "suspendue" in page
    assert '<button type="submit" class="btn btn-primary">' not in page
    client.post(LIST + "new/?shop=10000001", typed())
    assert not PaymentOrder.objects.exists()


def test_creating_from_another_order_copies_all_but_the_reference(client: Client, shop: Shop) -> None:
    source = PaymentOrderFactory(
        shop=shop, reference="VIEUX", amount=123450, copy_to_manager=True, extra_copy="x@y.example", mode="TEST",
        valid_until=date(2026, 1, 1), status="cancelled",
    )  # fmt: skip
    response = client.get(f"{LIST}new/?from={source.pk}")
    form = response.context["form"]
    assert form["reference"].value() in (None, "")
    assert form["amount"].value() == "1234,50" and form["extra_copy"].value() == "x@y.example"
    assert form["copy_to_manager"].value() is True
    assert form["valid_until"].value() > timezone.localdate()
    assert response.context["mode"] == "TEST"


# --- One order ------------------------------------------------------------------------------------


def test_the_three_tabs_show_the_order_the_message_sent_and_what_happened(client: Client) -> None:
    client.post(LIST + "new/?shop=10000001", typed())
    order = PaymentOrder.objects.get()
    details = text_of(client.get(f"{LIST}{order.pk}/"))
    assert "CMD-41" in details and order.token in details
    delivery = Delivery.objects.get()
    message = text_of(client.get(f"{LIST}{order.pk}/?tab=message"))
    assert f"/notifications/journal/{delivery.pk}/html/" in message and "paris@lumiere.example" in message
    history = text_of(client.get(f"{LIST}{order.pk}/?tab=history"))
    assert "Ordre créé" in history and "Ordre envoyé" in history and str(delivery.pk) in history


@pytest.mark.parametrize(
    ("fields", "offered"),
    [
        ({}, ["edit", "resend", "validity", "cancel", "from"]),
        ({"channel": "url"}, ["edit", "handed-over", "validity", "cancel", "from"]),
        ({"expired": True}, ["edit", "validity", "from"]),
        ({"status": "cancelled"}, ["reactivate", "from"]),
        ({"status": "finalised"}, ["from"]),
    ],
)
def test_the_actions_are_those_of_the_state(
    client: Client, shop: Shop, fields: dict[str, Any], offered: list[str]
) -> None:
    if fields.pop("expired", False):
        fields["valid_until"] = date(2026, 1, 1)
    order = PaymentOrderFactory(shop=shop, **fields)
    actions = client.get(f"{LIST}{order.pk}/").context["actions"]
    names = ["from" if "?from=" in action.url else action.url.rstrip("/").rpartition("/")[2] for action in actions]
    assert names == offered


def test_each_action_asks_naming_the_order_and_then_does_it(client: Client, shop: Shop) -> None:
    order = PaymentOrderFactory(shop=shop, reference="CMD-9")
    for action, state in (("cancel", "cancelled"), ("reactivate", "in_progress"), ("resend", "in_progress")):
        page = text_of(client.get(f"{LIST}{order.pk}/{action}/"))
        assert "CMD-9" in page
        client.post(f"{LIST}{order.pk}/{action}/")
        assert PaymentOrder.objects.get().state == state
    assert Delivery.objects.filter(notification="payment_order").count() == 1
    refused = client.post(f"{LIST}{order.pk}/reactivate/", follow=True)
    assert "Seul un ordre annulé" in text_of(refused)


def test_changing_and_resending_and_the_validity_date_check_the_version(client: Client, shop: Shop) -> None:
    order = PaymentOrderFactory(shop=shop, reference="CMD-9")
    data = typed(reference="CMD-9", amount="59,90", recipients="paul@acheteur.example", version="1")
    client.post(f"{LIST}{order.pk}/edit/", data)
    order.refresh_from_db()
    assert (order.amount, order.recipient, order.version) == (5990, "paul@acheteur.example", 2)
    assert Delivery.objects.get().address == "paul@acheteur.example"
    stale = client.post(f"{LIST}{order.pk}/edit/", {**data, "amount": "1,00"})
    assert "modifiées par quelqu'un d'autre" in text_of(stale) and "1,00" in text_of(stale)
    late = (timezone.localdate() + timedelta(days=100)).isoformat()
    refused = client.post(f"{LIST}{order.pk}/validity/", {"valid_until": late, "version": "2"})
    assert "90 jours" in text_of(refused)
    soon = timezone.localdate() + timedelta(days=60)
    client.post(f"{LIST}{order.pk}/validity/", {"valid_until": soon.isoformat(), "version": "2"})
    order.refresh_from_db()
    assert order.valid_until == soon and Delivery.objects.count() == 1


# --- Rights ---------------------------------------------------------------------------------------


def test_a_viewer_reads_and_acts_on_nothing(shop: Shop, client_for: Callable[..., Client]) -> None:
    viewer = client_for(UserFactory(company=shop.company, role=Role.VIEWER))
    order = PaymentOrderFactory(shop=shop)
    assert "Créer un ordre" not in text_of(viewer.get(LIST))
    page = viewer.get(f"{LIST}{order.pk}/")
    assert page.status_code == 200 and page.context["actions"] == []
    for path in ("edit/", "validity/", "cancel/", "resend/"):
        assert viewer.post(f"{LIST}{order.pk}/{path}").status_code == 403
    assert viewer.post(LIST + "new/?shop=10000001", typed()).status_code == 403
    assert PaymentOrder.objects.get().state == "in_progress"


def test_a_user_of_one_shop_sees_and_creates_nothing_for_another(shop: Shop, client_for: Callable[..., Client]) -> None:
    other = ShopFactory(company=shop.company, site_id="10000002")
    client = client_for(UserFactory(company=shop.company, role=Role.MANAGER, shops=[other]))
    order = PaymentOrderFactory(shop=shop, reference="SECRET-1")
    assert "SECRET-1" not in text_of(client.get(LIST))
    for path in (f"{LIST}{order.pk}/", f"{LIST}new/?shop=10000001", f"{LIST}new/?from={order.pk}"):
        assert client.get(path).status_code == 404
    assert client.get(f"{LIST}templates/?shop=10000001").status_code == 404
    for nonsense in ("%00", "abc", "%F0%9F%92%B6", "1000000%C2%B2"):
        assert client.get(f"{LIST}new/?shop={nonsense}").status_code == 404
        assert client.get(f"{LIST}new/?from={nonsense}").status_code == 404
        assert client.get(f"{LIST}?shop={nonsense}&q={nonsense}").status_code == 200


def test_staff_look_at_orders_without_their_links_and_change_none(
    shop: Shop, client_for: Callable[..., Client]
) -> None:
    staff = client_for(StaffFactory())
    order = PaymentOrderFactory(shop=shop, reference="CMD-9")
    order.entries.create(kind="created", actor="Paul Girard")
    listed = text_of(staff.get("/admin/shops/paymentorder/?q=CMD-9"))
    assert "CMD-9" in listed and "49,90" in listed
    url = f"/admin/shops/paymentorder/{order.pk}/change/"
    page = text_of(staff.get(url))
    assert "jeanne@acheteur.example" in page and "Paul Girard" in page
    assert order.token not in listed + page and 'name="_save"' not in page
    assert staff.post(url, {"amount": "1"}).status_code == 403
    assert staff.get("/admin/shops/paymentorder/add/").status_code == 403


# --- Templates ------------------------------------------------------------------------------------


def test_templates_are_created_changed_duplicated_and_deleted(client: Client) -> None:
    base = f"{LIST}templates/10000001/"
    data = {"name": "Acompte", "language": "fr", "subject": "Acompte", "body": "%url%", "is_default": "on"}
    client.post(base + "new/", data)
    template = PaymentOrderTemplate.objects.get()
    assert template.is_default
    client.post(f"{base}{template.pk}/", {**data, "subject": "Nouveau", "version": "1"})
    template.refresh_from_db()
    assert (template.subject, template.version) == ("Nouveau", 2)
    stale = client.post(f"{base}{template.pk}/", {**data, "subject": "Autre", "version": "1"})
    assert "quelqu'un d'autre" in text_of(stale)
    wrong = client.post(f"{base}{template.pk}/", {**data, "body": "%prix%", "version": "2"})
    assert "%prix%" in text_of(wrong)
    client.post(f"{base}{template.pk}/duplicate/")
    assert PaymentOrderTemplate.objects.count() == 2
    assert "Acompte" in text_of(client.get(f"{base}{template.pk}/delete/"))
    client.post(f"{base}{template.pk}/delete/")
    assert [item.name for item in PaymentOrderTemplate.objects.all()] == ["Acompte (copie)"]
    assert client.get(LIST + "new/?shop=10000001").status_code == 200


# --- Amounts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("19,90", "EUR", 1990),
        ("19.9", "EUR", 1990),
        ("19", "EUR", 1900),
        ("1 234,5", "EUR", 123450),
        ("1\N{NARROW NO-BREAK SPACE}234,50", "EUR", 123450),
        ("1.234,50", "EUR", 123450),
        ("1,234.50", "EUR", 123450),
        ("1'234.50", "CHF", 123450),
        ("1990", "JPY", 1990),
        ("1990,00", "JPY", 1990),
        ("1,990", "TND", 1990),
        ("10000000000", "EUR", 10**12),
    ],
)
def test_amounts_are_read_as_people_write_them(text: str, currency: str, amount: int) -> None:
    assert money.parse_amount(text, currency) == amount


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("", "EUR"), ("abc", "EUR"), ("-5", "EUR"), ("1e3", "EUR"), ("1,2,3", "EUR"), ("1.234.5", "EUR"), ("5,", "EUR"),
        (",5", "EUR"), ("12,345", "EUR"), ("1.5", "JPY"), ("0,00", "EUR"), ("10000000000,01", "EUR"), ("٣", "EUR"),
        ("1,23.456,78", "EUR"), ("NaN", "EUR"), ("9" * 40, "EUR"),
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused(text: str, currency: str) -> None:
    with pytest.raises(money.InvalidAmount):
        money.parse_amount(text, currency)


def test_every_send_state_has_a_badge() -> None:
    from shops.orders import tags

    assert all(str(state.label) in tags.sending_badge(state) for state in SendState)
