"""« Journal »: the list, one delivery and its mail, sending again and stopping."""

import base64
import csv
import hashlib
import io
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from backoffice.base import csv_files
from companies.audit import Actor
from companies.models import AuditEntry, Company, Role, User
from companies.team import services as team_services
from notifications.events import publishing
from notifications.journal import selectors as journal_selectors
from notifications.mail import emails
from notifications.models import Attempt, Delivery
from notifications.rules import services as rule_services
from notifications.worker import loop
from shops.models import Shop
from tests.factories import (
    DeliveryFactory,
    EventFactory,
    NotificationRuleFactory,
    ShopFactory,
    UserFactory,
)
from tests.smtp import SmtpServer

pytestmark = pytest.mark.django_db
ClientFor = Callable[[User], Client]


def make(shop: Shop, **fields: Any) -> Delivery:
    mode = fields.pop("mode", "PRODUCTION")
    return DeliveryFactory(event=EventFactory(shop=shop, mode=mode), **fields)


def published(shop: Shop, recipients: list[str]) -> Delivery:
    """A real mail of a rule, queued for one recipient."""
    NotificationRuleFactory(shop=shop, reference="mail-payment", label="Paiements", recipients=recipients)
    with transaction.atomic():
        event = publishing.publish(type="payment.accepted", company=shop.company, shop=shop, data={"amount": 1990})
    return event.deliveries.get()


def text_of(response: Any) -> str:
    assert response.status_code == 200
    text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))
    return text.replace("@ ", "@")


def listed(response: Any) -> set[Delivery]:
    assert response.status_code == 200
    return set(response.context["page"])


# --- The list -------------------------------------------------------------------------------------


def test_the_journal_lists_deliveries_newest_first(client_for: ClientFor, claire: User, shop: Shop) -> None:
    old = make(shop, created_at=timezone.now() - timedelta(days=2))
    new = make(shop)
    response = client_for(claire).get(reverse("journal"))
    assert list(response.context["page"]) == [new, old]


def test_each_state_is_told_in_a_word(client_for: ClientFor, claire: User, shop: Shop) -> None:
    for status in Delivery.Status.values:
        make(shop, status=status, retry_at=timezone.now() + timedelta(days=2) if status == "retry" else None)
    text = text_of(client_for(claire).get(reverse("journal")))
    for word in ("En attente", "En cours", "Envoyé", "Nouvel essai le", "Abandonné", "Annulé", "Non envoyé"):
        assert word in text


def test_filters_narrow_the_journal(client_for: ClientFor, claire: User, company: Company, shop: Shop) -> None:
    other_shop = ShopFactory(company=company, name="Lumière Lyon")
    ago = timezone.now() - timedelta(days=10)
    plain = make(shop, address="a@lumiere.example", status="sent")
    dead = make(shop, address="B@Lumiere.example", status="dead", notification="shop_created")
    test = make(other_shop, address="c@agence.example", mode="TEST", created_at=ago)
    client = client_for(claire)
    day = timezone.localtime(ago).date()
    for query, expected in (
        ({"status": "dead"}, {dead}),
        ({"status": "failed"}, {dead}),
        ({"status": "open"}, {test}),
        ({"notification": "shop_created"}, {dead}),
        ({"shop": other_shop.site_id}, {test}),
        ({"address": "b@lumiere.example"}, {dead}),
        ({"event": plain.event.event_id}, {plain}),
        ({"mode": "TEST"}, {test}),
        ({"since": str(day + timedelta(days=1))}, {plain, dead}),
        ({"until": str(day)}, {test}),
        ({"since": str(day), "until": str(day)}, {test}),
        ({"q": "lyon"}, {test}),
        ({"q": "agence"}, {test}),
        ({"q": "création de la boutique"}, {dead}),
        ({"status": "sent", "mode": "TEST"}, set()),
        ({"status": "nonsense", "since": "hier", "until": "9999-12-31", "page": "x"}, {plain, dead, test}),
    ):
        assert listed(client.get(reverse("journal"), query)) == expected, query


def test_an_empty_answer_says_what_to_do(client_for: ClientFor, claire: User, shop: Shop) -> None:
    assert "Rien n'a encore été envoyé" in text_of(client_for(claire).get(reverse("journal")))
    make(shop)
    assert "Aucun envoi ne correspond" in text_of(client_for(claire).get(reverse("journal"), {"q": "introuvable"}))


def test_the_journal_sorts_by_header(client_for: ClientFor, claire: User, shop: Shop) -> None:
    b, a = make(shop, address="b@x.example"), make(shop, address="a@x.example")
    client = client_for(claire)
    assert list(client.get(reverse("journal"), {"sort": "address"}).context["page"]) == [a, b]
    assert list(client.get(reverse("journal"), {"sort": "-address"}).context["page"]) == [b, a]


def test_the_number_of_queries_does_not_grow_with_the_rows(client_for: ClientFor, claire: User, shop: Shop) -> None:
    client, counts = client_for(claire), []
    for more in (2, 20):
        for _ in range(more):
            make(shop)
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("journal"))
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_the_csv_is_the_filtered_set_in_utc_without_formulas(client_for: ClientFor, claire: User, shop: Shop) -> None:
    make(shop, status="sent")
    dead = make(shop, address="=cmd@x.example", status="dead", error="-550 refusé")
    response = client_for(claire).get(reverse("journal"), {"status": "dead", "format": "csv", "plain": "1"})
    assert response.streaming
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
    assert tuple(rows[0]) == journal_selectors.JOURNAL_HEADER
    assert [row["id"] for row in rows] == [str(dead.pk)]
    assert rows[0]["address"] == "'=cmd@x.example"
    assert rows[0]["error"] == "'-550 refusé"
    assert rows[0]["created_at"] == csv_files.utc(dead.created_at)
    assert rows[0]["created_at"].endswith("Z")


def test_a_user_of_some_shops_sees_those_only(client_for: ClientFor, company: Company, shop: Shop) -> None:
    mine = make(shop)
    hidden = make(ShopFactory(company=company))
    client = client_for(UserFactory(company=company, shops=[shop]))
    assert listed(client.get(reverse("journal"))) == {mine}
    assert client.get(reverse("delivery", args=[hidden.pk])).status_code == 404


def test_account_mail_is_for_user_administrators(client_for: ClientFor, company: Company, shop: Shop) -> None:
    mail = make(shop, notification="user_account")
    viewer = client_for(UserFactory(company=company, role=Role.VIEWER))
    assert listed(viewer.get(reverse("journal"))) == set()
    for name in ("delivery", "delivery_html"):
        assert viewer.get(reverse(name, args=[mail.pk])).status_code == 404
    assert client_for(UserFactory(company=company)).get(reverse("delivery", args=[mail.pk])).status_code == 200


@pytest.mark.parametrize("name", ["delivery", "delivery_html", "delivery_resend", "delivery_cancel"])
def test_a_delivery_of_another_company_does_not_exist(client_for: ClientFor, claire: User, name: str) -> None:
    theirs = make(ShopFactory(), status="dead")
    client = client_for(claire)
    for method in (client.get, client.post):
        answer = method(reverse(name, args=[theirs.pk]))
        nothing = method(reverse(name, args=[uuid.uuid4()]))
        assert (answer.status_code, answer.content) == (nothing.status_code, nothing.content)
        assert answer.status_code in (404, 405)
    assert Delivery.objects.count() == 1


# --- One delivery ---------------------------------------------------------------------------------


def test_the_page_shows_the_proof(client_for: ClientFor, claire: User, shop: Shop) -> None:
    delivery = published(shop, ["dev@agence.example"])
    Attempt.objects.create(
        delivery=delivery,
        number=1,
        started_at=timezone.now(),
        duration_ms=42,
        outcome="transient",
        code=451,
        reply="4.3.0 Essayez plus tard",
        queue_id="4B2F",
    )
    text = text_of(client_for(claire).get(reverse("delivery", args=[delivery.pk])))
    for piece in ("dev@agence.example", "42 ms", "451", "4.3.0 Essayez plus tard", "4B2F", "Paiement accepté"):
        assert piece in text
    assert "L'adresse est un destinataire de la règle « Paiements » de la boutique Lumière Paris." in text
    assert emails.message_id(delivery) in text
    assert "Vous recevez ce message parce que votre adresse est un destinataire" in text


def test_the_page_tells_what_todays_settings_would_do(client_for: ClientFor, claire: User, shop: Shop) -> None:
    delivery = published(shop, ["dev@agence.example"])
    client, url = client_for(claire), reverse("delivery", args=[delivery.pk])
    assert "Cette adresse le recevrait encore" in text_of(client.get(url))
    rule_services.rule_update(rule=delivery.rule, actor=Actor.command("test"), recipients=["@shop_manager"])
    text = text_of(client.get(url))
    assert "Cette adresse ne le recevrait plus" in text
    assert "paris@lumiere.example" in text
    assert "elle en est à la version 2" in text
    rule_services.rule_archive(rule=delivery.rule, actor=Actor.command("test"))
    assert "La règle a été supprimée depuis" in text_of(client.get(url))


def test_the_single_use_link_is_masked(client_for: ClientFor, claire: User, company: Company) -> None:
    team_services.user_create(
        company=company,
        actor=Actor.command("test"),
        login="nouvelle",
        email="nouvelle@lumiere.example",
        rights=team_services.Rights(role=Role.VIEWER),
    )
    delivery = Delivery.objects.get(notification="user_account")
    assert emails.LINK_MARK in delivery.message.html
    for name in ("delivery", "delivery_html"):
        body = client_for(claire).get(reverse(name, args=[delivery.pk])).content.decode()
        assert emails.LINK_MARK not in body
        assert emails.MASKED_LINK in body
    assert "/accounts/" not in body, "no link of an account in the mail"


def policy_styles(policy: str) -> list[str]:
    assert policy.startswith("default-src 'none'; style-src ")
    assert policy.endswith("; sandbox; frame-ancestors 'self'; base-uri 'none'; form-action 'none'")
    return policy.split(";")[1].split()[1:]


def test_the_html_is_served_behind_its_own_policy(client_for: ClientFor, claire: User, shop: Shop) -> None:
    delivery = published(shop, ["dev@agence.example"])
    response = client_for(claire).get(reverse("delivery_html", args=[delivery.pk]))
    style = re.search(r"<style>(.*?)</style>", response.content.decode(), re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert response.headers["Content-Security-Policy"] == emails.mail_policy(response.content.decode())
    ours, *attributes, word = policy_styles(response.headers["Content-Security-Policy"])
    assert ours == f"'sha256-{digest}'" and word == "'unsafe-hashes'"
    assert all(one.startswith("'sha256-") for one in attributes), "each by its digest, none by a general word"
    assert response.headers["X-Frame-Options"] == "SAMEORIGIN"
    page = client_for(claire).get(reverse("delivery", args=[delivery.pk]))
    assert re.search(
        r'<iframe[^>]* sandbox src="' + reverse("delivery_html", args=[delivery.pk]), page.content.decode()
    )
    assert page.headers["X-Frame-Options"] == "DENY"


def test_the_state_alone_answers_a_poll_until_it_is_final(client_for: ClientFor, claire: User, shop: Shop) -> None:
    delivery = make(shop)
    client, url = client_for(claire), reverse("delivery", args=[delivery.pk])
    part = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert 'hx-trigger="every 5s"' in part
    Delivery.objects.update(status="sent", sent_at=timezone.now())
    assert "hx-trigger" not in client.get(url, headers={"HX-Request": "true"}).content.decode()


# --- Sending again, stopping ----------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_resending_makes_a_new_row_that_really_arrives(
    client_for: ClientFor, claire: User, shop: Shop, smtp_server: SmtpServer
) -> None:
    delivery = published(shop, ["dev@agence.example"])
    loop.deliver_until_idle()
    assert len(smtp_server.to("dev@agence.example")) == 1
    client, url = client_for(claire), reverse("delivery_resend", args=[delivery.pk])
    assert "vers dev@agence.example" in text_of(client.get(url))
    assert Delivery.objects.count() == 1, "asking is not doing"
    response = client.post(url)
    copy = Delivery.objects.get(resend_of=delivery)
    assert response.headers["Location"] == reverse("delivery", args=[copy.pk])
    assert "Le message part de nouveau vers dev@agence.example" in text_of(client.get(response.headers["Location"]))
    assert AuditEntry.objects.get(action="delivery.resent").actor == claire
    loop.deliver_until_idle()
    first, second = smtp_server.to("dev@agence.example")
    # Each mail links its own page.
    own = re.compile(r"/why/[\w.-]+/")
    assert own.sub("", first.text) == own.sub("", second.text)
    assert second.message["X-BOM-Delivery"] == str(copy.pk)
    original = client.get(reverse("delivery", args=[delivery.pk])).content.decode()
    assert reverse("delivery", args=[copy.pk]) in original


def test_a_waiting_delivery_is_not_resent(client_for: ClientFor, claire: User, shop: Shop) -> None:
    delivery = make(shop, status="queued")
    client = client_for(claire)
    client.post(reverse("delivery_resend", args=[delivery.pk]))
    assert Delivery.objects.count() == 1
    assert "ne peut pas être renvoyé" in text_of(client.get(reverse("delivery", args=[delivery.pk])))


def test_a_waiting_delivery_can_be_stopped(client_for: ClientFor, claire: User, shop: Shop) -> None:
    delivery = make(shop, status="retry", retry_at=timezone.now())
    client, url = client_for(claire), reverse("delivery_cancel", args=[delivery.pk])
    assert "ne recevra pas ce message" in text_of(client.get(url))
    client.post(url)
    delivery.refresh_from_db()
    assert delivery.status == "cancelled"
    assert AuditEntry.objects.get(action="delivery.cancelled").actor == claire
    client.post(url)
    assert "ne peut plus être annulé" in text_of(client.get(reverse("delivery", args=[delivery.pk])))


@pytest.mark.parametrize("name", ["delivery_resend", "delivery_cancel"])
def test_a_reader_neither_resends_nor_stops(client_for: ClientFor, company: Company, shop: Shop, name: str) -> None:
    delivery = make(shop, status="dead" if name == "delivery_resend" else "queued")
    client = client_for(UserFactory(company=company, role=Role.VIEWER))
    assert client.post(reverse(name, args=[delivery.pk])).status_code == 403
    assert Delivery.objects.get().status == delivery.status
    assert reverse(name, args=[delivery.pk]) not in client.get(reverse("delivery", args=[delivery.pk])).content.decode()
