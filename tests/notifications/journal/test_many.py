"""« Journal » for whoever works in it all day: periods, kept filters, groups, and many rows at once."""

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from companies.audit import Actor
from companies.models import AuditEntry, Company, Role, User
from notifications.models import Delivery, SavedFilter
from notifications.privacy import personal_data
from shops.models import Shop
from tests.factories import DeliveryFactory, EventFactory, MessageFactory, NotificationRuleFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
JOURNAL, MANY = "/notifications/journal/", "/notifications/journal/many/"


@pytest.fixture
def client(client_for: ClientFor, claire: User) -> Client:
    return client_for(claire)


def mail(shop: Shop, **fields: Any) -> Delivery:
    event = fields.pop("event", None) or EventFactory(shop=shop)
    return DeliveryFactory(event=event, message=MessageFactory(event=event), **{"status": "sent", **fields})


def call(shop: Shop, **fields: Any) -> Delivery:
    rule = fields.pop("rule", None) or NotificationRuleFactory(shop=shop, ipn=True)
    return DeliveryFactory(
        event=EventFactory(shop=shop), message=None, channel="ipn", notification="ipn_call", rule=rule,
        address=rule.url_production, call={"format": "form", "fields": {}}, **{"status": "dead", **fields},
    )  # fmt: skip


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def listed(response: Any) -> set[Delivery]:
    return set(response.context["page"])


def ticked(*deliveries: Delivery, **more: str) -> dict[str, Any]:
    return {"key": [str(delivery.pk) for delivery in deliveries], **more}


# --- Rows, periods, groups ------------------------------------------------------------------------


def test_a_row_is_one_line_with_the_exact_and_the_relative_time(client: Client, shop: Shop) -> None:
    yesterday = timezone.localtime() - timedelta(days=1)
    mail(shop, address="une.longue.adresse@lumiere.example", created_at=yesterday)
    answer = client.get(JOURNAL)
    assert f"hier {yesterday:%H:%M}" in text_of(answer)
    row = re.search(r"<tr data-row>.*?</tr>", answer.content.decode(), re.DOTALL)
    assert row and "<wbr>" not in row[0] and ">une.longue.adresse@lumiere.example</a>" in row[0]


def test_a_page_has_25_rows(client: Client, shop: Shop) -> None:
    for _n in range(26):
        mail(shop)
    assert len(client.get(JOURNAL).context["page"]) == 25


def test_periods_move_with_the_day_and_dates_beat_them(client: Client, shop: Shop) -> None:
    now = timezone.localtime()  # days back by the clock on the wall, across the change to summer time as well
    today, yesterday, week, month, older = (
        mail(shop, created_at=now - timedelta(days=days)) for days in (0, 1, 6, 29, 31)
    )
    for period, expected in (
        ("today", {today}),
        ("yesterday", {yesterday}),
        ("week", {today, yesterday, week}),
        ("month", {today, yesterday, week, month}),
        ("nonsense", {today, yesterday, week, month, older}),
    ):
        assert listed(client.get(JOURNAL, {"period": period})) == expected, period
    day = timezone.localdate() - timedelta(days=31)
    assert listed(client.get(JOURNAL, {"period": "today", "until": str(day)})) == {older}


def test_rows_stand_under_their_events_with_how_many_there_are(client: Client, shop: Shop) -> None:
    event = EventFactory(shop=shop, data={"order_id": "CMD-12", "amount": 1990, "currency": "EUR"})
    first, second = mail(shop, event=event), mail(shop, event=event, status="dead")
    other = mail(shop)
    answer = client.get(JOURNAL, {"group": "event", "status": "sent"})
    assert {frozenset(group.rows) for group in answer.context["groups"]} == {frozenset({first}), frozenset({other})}
    assert "CMD-12 · 19,90 EUR" in text_of(answer) and "2 envois" in text_of(answer), second
    with CaptureQueriesContext(connection) as few:
        client.get(JOURNAL, {"group": "event"})
    for _n in range(9):
        mail(shop)
    with CaptureQueriesContext(connection) as many:
        client.get(JOURNAL, {"group": "event"})
    assert len(many) == len(few)


# --- Filters that are kept ------------------------------------------------------------------------


def test_a_filter_is_kept_for_its_maker_and_removed(
    client: Client, client_for: ClientFor, company: Company, shop: Shop
) -> None:
    mail(shop)
    answer = client.post("/notifications/journal/filters/", {"name": "Échecs", "query": "status=dead&period=week&x=1"})
    assert answer.headers["Location"] == "/notifications/journal/?status=dead&period=week"
    kept = SavedFilter.objects.get()
    assert 'href="/notifications/journal/?status=dead&amp;period=week" aria-current="true"' in (
        client.get(JOURNAL, {"status": "dead", "period": "week"}).content.decode()
    )
    colleague = client_for(UserFactory(company=company))
    assert "Échecs" not in text_of(colleague.get(JOURNAL))
    assert colleague.post(f"/notifications/journal/filters/{kept.pk}/delete/").status_code == 404
    # The same name again is the same filter.
    client.post("/notifications/journal/filters/", {"name": "Échecs", "query": "status=retry"})
    assert SavedFilter.objects.get().query == "status=retry"
    client.post(f"/notifications/journal/filters/{kept.pk}/delete/")
    assert not SavedFilter.objects.exists()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"name": "Tout", "query": ""}, "il n'y a rien à enregistrer"),
        ({"name": "", "query": "status=dead"}, "Ce champ ne peut pas être vide"),
        ({"name": "a\u202eb", "query": "status=dead"}, "U+202E"),
    ],
)
def test_a_filter_that_cannot_be_kept_says_why(client: Client, typed: dict[str, str], said: str) -> None:
    assert said in text_of(client.post("/notifications/journal/filters/", typed, follow=True))
    assert not SavedFilter.objects.exists()


def test_erasing_an_address_takes_the_filters_that_look_for_it(company: Company, claire: User) -> None:
    for name, query in (("Ancien", "q=ancien%40x.example"), ("Échecs", "status=dead")):
        SavedFilter.objects.create(company=company, user=claire, name=name, query=query)
    assert b"donnees.json" in personal_data.export("ancien@x.example")
    personal_data.erase(email="ancien@x.example", actor=Actor.command("test"))
    assert [kept.name for kept in SavedFilter.objects.all()] == ["Échecs"]


# --- Many at once ---------------------------------------------------------------------------------


def test_what_is_ticked_is_shown_first_and_resent_under_one_run(client: Client, shop: Shop) -> None:
    sent, dead, open_one = mail(shop), mail(shop, status="dead"), mail(shop, status="queued")
    chosen = ticked(sent, dead, open_one, call(shop), do="resend")
    shown = text_of(client.post(MANY, chosen))
    assert "2 messages partent de nouveau" in shown and "sur 4 choisis" in shown
    assert "1 message qui part encore" in shown and "1 appel d'URL, qui se rejoue" in shown
    assert not Delivery.objects.filter(resend_of__isnull=False).exists(), "asking is not doing"
    answer = client.post(MANY, {**chosen, "confirm": "1"})
    copies = Delivery.objects.filter(resend_of__isnull=False)
    assert {copy.resend_of for copy in copies} == {sent, dead}
    run = copies[0].run
    assert {copy.run for copy in copies} == {run} and answer.headers["Location"] == f"/notifications/replays/{run}/"
    entry = AuditEntry.objects.get(action="deliveries.resent")
    assert entry.changes == {"deliveries": [None, 2], "run": [None, str(run)]}
    page = client.get(answer.headers["Location"])
    assert "Messages renvoyés" in text_of(page) and "0 sur 2" in text_of(page)
    client.post(f"{answer.headers['Location']}stop/")
    assert set(copies.values_list("status", flat=True)) == {"cancelled"}
    assert AuditEntry.objects.filter(action="deliveries.cancelled").count() == 1


def test_all_that_is_filtered_is_meant_up_to_the_moment_it_was_looked_at(client: Client, shop: Shop) -> None:
    waiting = [mail(shop, status="queued") for _n in range(3)]
    mail(shop)
    answer = client.post(MANY, {"all": "1", "query": "status=open", "do": "cancel"})
    assert "3 envois seront annulés" in text_of(answer)
    carried = dict(re.findall(r'name="(query|as_of|all)" value="([^"]*)"', answer.content.decode()))
    late = mail(shop, status="queued")
    told = client.post(MANY, {**carried, "do": "cancel", "confirm": "1"}, follow=True)
    assert "3 envois sont annulés" in text_of(told)
    assert set(Delivery.objects.filter(status="cancelled")) == set(waiting)
    late.refresh_from_db()
    assert late.status == "queued"


def test_ticked_calls_are_replayed_with_a_choice_of_url(client: Client, shop: Shop) -> None:
    failed, other = call(shop), mail(shop)
    chosen = ticked(failed, other, do="replay")
    shown = text_of(client.post(MANY, chosen))
    assert "1 appel peut être rejoué" in shown and "1 e-mail, qui se renvoie" in shown
    answer = client.post(MANY, {**chosen, "url": "original", "confirm": "1"})
    made = Delivery.objects.get(resend_of=failed)
    assert made.is_manual and answer.headers["Location"] == f"/notifications/replays/{made.run}/"


def test_what_is_ticked_is_exported_at_once(client: Client, shop: Shop) -> None:
    wanted, _other = mail(shop), mail(shop)
    answer = client.post(MANY, ticked(wanted, do="export", plain="1"))
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig")), delimiter=";"))
    assert [row["id"] for row in rows] == [str(wanted.pk)]


def test_nothing_ticked_says_what_to_do(client: Client) -> None:
    assert "Cochez d'abord des lignes" in text_of(client.post(MANY, {"do": "resend"}, follow=True))
    assert client.post(MANY, {"do": "delete"}).status_code == 404


def test_rights_are_asked_for_row_by_row(client_for: ClientFor, company: Company, shop: Shop, lyon: Shop) -> None:
    mine, hidden = mail(shop), mail(lyon)
    viewer = client_for(UserFactory(company=company, role=Role.VIEWER))
    assert viewer.post(MANY, ticked(mine, do="resend")).status_code == 403
    page = viewer.get(JOURNAL).content.decode()
    assert 'value="export"' in page and 'value="resend"' not in page
    manager = client_for(UserFactory(company=company, role=Role.MANAGER, shops=[shop]))
    manager.post(MANY, {**ticked(mine, hidden, do="resend"), "confirm": "1"})
    assert {copy.resend_of for copy in Delivery.objects.filter(resend_of__isnull=False)} == {mine}


def test_the_preview_costs_the_same_for_many(client: Client, shop: Shop) -> None:
    counts = []
    for more in (2, 10):
        for _n in range(more):
            mail(shop)
            mail(shop, notification="shop_created", event=EventFactory(company=shop.company, shop=None))
        with CaptureQueriesContext(connection) as queries:
            client.post(MANY, {"all": "1", "do": "resend"})
        counts.append(len(queries))
    assert counts[0] == counts[1]


# --- The proof ------------------------------------------------------------------------------------


def test_the_proof_opens_on_the_message_with_its_story_beside_it(client: Client, shop: Shop) -> None:
    delivery = mail(shop, status="retry", retry_at=timezone.now() + timedelta(hours=1))
    delivery.attempts.create(
        number=1, started_at=timezone.now(), duration_ms=42, outcome="transient", code=451, reply="4.7.1 Plus tard"
    )
    answer = client.get(reverse("delivery", args=[delivery.pk]))
    html, said = answer.content.decode(), text_of(answer)
    assert html.index("mail-frame") < html.index('id="delivery-state"')
    assert html.index('id="delivery-actions"') < html.index("mail-frame")
    for part in ("Message mis en file", "Tentative 1 : Échec passager", "code 451", "Nouvel essai prévu"):
        assert part in said
    part = client.get(reverse("delivery", args=[delivery.pk]), headers={"HX-Request": "true"}).content.decode()
    assert 'id="delivery-actions" class="page-actions" hx-swap-oob="true"' in part
