"""The home page: what fails now, what is wrong in the settings, what is left to do, and for whose eyes."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backoffice.site import home as answers
from companies import audit
from companies.audit import Actor
from companies.models import Company, Membership, Role, Status
from notifications.broadcasts import incidents
from notifications.consistency.reports import report_run
from notifications.models import CallHealth, Delivery
from shops.models import PaymentOrder, ShopKey
from tests.factories import (
    CompanyFactory,
    DeliveryFactory,
    EventFactory,
    NotificationRuleFactory,
    PaymentOrderFactory,
    ShopFactory,
    ShopKeyFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


def member(company: Company, role: str = Role.ADMINISTRATOR) -> Membership:
    return UserFactory(company=company, role=role).memberships.get()


def a_failing_url(company: Company, *, hours: int = 3, enabled: bool = True) -> CallHealth:
    rule = NotificationRuleFactory(shop=ShopFactory(company=company), enabled=enabled)
    return CallHealth.objects.create(
        rule=rule, mode="PRODUCTION", failing_since=timezone.now() - timedelta(hours=hours), failure_count=2
    )


def an_unsent_order(company: Company, **fields: object) -> PaymentOrder:
    shop = ShopFactory(company=company)
    event = EventFactory(shop=shop)
    DeliveryFactory(event=event, notification="payment_order", status=Delivery.Status.DEAD)
    return PaymentOrderFactory(shop=shop, sending=event.event_id, **fields)


def page(client: Client) -> str:
    return unescape(client.get("/").content.decode())


def test_a_failing_url_is_named_with_its_shop_and_leads_to_its_rule(
    company: Company, client_for: Callable[..., Client]
) -> None:
    health = a_failing_url(company)
    html = page(client_for(UserFactory(company=company)))
    assert f"/settings/notification-rules/{health.rule.shop.site_id}/{health.rule.reference}/" in html
    assert "aucun appel n'aboutit depuis" in html
    assert "Tout a un destinataire, mais tout n'arrive pas" in html or "n'atteint personne" in html
    assert "Corriger l'URL et l'essayer" in html


def test_urls_that_work_again_or_are_switched_off_or_belong_to_others_are_not_told(company: Company) -> None:
    works = a_failing_url(company)
    works.failing_since = None
    works.save()
    a_failing_url(company, enabled=False)
    a_failing_url(CompanyFactory())
    assert answers.failing_urls(member(company)) == []


def test_the_url_that_fails_longest_comes_first(company: Company) -> None:
    shops = [a_failing_url(company, hours=hours).rule.shop.name for hours in (1, 9, 4)]
    assert [item.shop for item in answers.failing_urls(member(company))] == [shops[1], shops[2], shops[0]]


def test_orders_that_reached_nobody_are_counted_while_they_can_still_be_paid(
    company: Company, client_for: Callable[..., Client]
) -> None:
    an_unsent_order(company)
    an_unsent_order(company, status=PaymentOrder.Status.CANCELLED)
    an_unsent_order(CompanyFactory())
    html = page(client_for(UserFactory(company=company)))
    assert "1 ordre de paiement n'a pas atteint son acheteur" in html
    assert 'href="/payment-orders/?mode=PRODUCTION&status=in_progress&sending=failed"' in html


def test_errors_of_the_newest_report_are_counted(company: Company, client_for: Callable[..., Client]) -> None:
    shop = ShopFactory(company=company)
    ShopKeyFactory(shop=shop, kind=ShopKey.Kind.PRODUCTION)
    NotificationRuleFactory(shop=shop, enabled=True, url_production="", url_test="")
    report_run(company=company, actor=Actor.command("test"))
    found = answers.settings_errors(member(company))
    assert found and found.errors >= 1
    assert "dans vos réglages" in page(client_for(UserFactory(company=company)))


def test_a_running_incident_stands_on_top_until_it_is_over(company: Company, client_for: Callable[..., Client]) -> None:
    actor = Actor.command("test")
    told = {"text_fr": "Nous cherchons.", "text_en": "We are looking."}
    incident = incidents.incident_open(
        actor=actor,
        title_fr="Appels en retard",
        title_en="Calls are late",
        impact="partial",
        state="investigating",
        **told,
    )
    client = client_for(UserFactory(company=company))
    assert "Panne partielle : Appels en retard" in page(client)
    incidents.incident_tell(incident=incident, actor=actor, state="resolved", **told)
    assert "Appels en retard" not in page(client)


def test_a_company_without_shops_is_led_to_its_first(company: Company, client_for: Callable[..., Client]) -> None:
    assert 'href="/settings/shops/new/"' in page(client_for(UserFactory(company=company, role=Role.ADMINISTRATOR)))
    assert 'href="/settings/shops/new/"' not in page(client_for(UserFactory(company=company, role=Role.VIEWER)))


def test_shops_without_a_production_key_are_still_to_be_opened_by_whoever_may_set_them_up(company: Company) -> None:
    ready, new = ShopFactory(company=company), ShopFactory(company=company)
    ShopKeyFactory(shop=ready, kind=ShopKey.Kind.PRODUCTION)
    ShopKeyFactory(shop=new, kind=ShopKey.Kind.TEST)
    assert answers.shops_to_open(member(company)) == [new]
    assert answers.shops_to_open(member(company, Role.VIEWER)) == []


def test_home_costs_the_same_for_one_trouble_and_for_many(company: Company, client_for: Callable[..., Client]) -> None:
    client = client_for(UserFactory(company=company))

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get("/")
        return len(queries)

    a_failing_url(company)
    an_unsent_order(company)
    report_run(company=company, actor=Actor.command("test"))
    cost()
    before = cost()
    for _number in range(3):
        a_failing_url(company)
        an_unsent_order(company)
    report_run(company=company, actor=Actor.command("test"))
    assert cost() <= before


# --- States ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "word"), [(Status.SUSPENDED, "suspendue"), (Status.CLOSED, "fermée")])
def test_a_company_that_sends_nothing_is_not_told_that_all_is_well(
    client_for: Callable[..., Client], state: str, word: str
) -> None:
    company = CompanyFactory(name="Lumière", status=state, incident_emails=["a@x.example"])
    ShopFactory(company=company)
    html = page(client_for(UserFactory(company=company)))
    assert "Tout arrive" not in html and f"Rien ne part : votre société est {word}" in html
    assert f"La société Lumière est {word} : rien ne part" in html


def test_a_suspended_shop_is_named_and_all_is_not_well(
    client_for: Callable[..., Client],
) -> None:
    company = CompanyFactory(incident_emails=["a@x.example"])
    ShopFactory(company=company)
    client = client_for(UserFactory(company=company))
    assert "Tout arrive</strong>" in page(client)
    ShopFactory(company=company, name="Lyon", site_id="20000001", status=Status.SUSPENDED)
    html = page(client)
    assert "Tout arrive" not in html and "Rien ne part d'une boutique suspendue" in html
    assert "Boutique suspendue, dont rien ne part : Lyon (20000001)." in html


def test_a_closed_shop_is_named_and_counts_no_more(client_for: Callable[..., Client]) -> None:
    company = CompanyFactory(incident_emails=["a@x.example"])
    ShopFactory(company=company, name="Ouverte")
    ShopFactory(company=company, name="Ancienne", site_id="20000002", status=Status.CLOSED)
    client = client_for(UserFactory(company=company))
    html = page(client)
    assert "Tout arrive</strong>" in html
    assert "Boutique fermée, dont rien ne part : Ancienne (20000002)." in html
    company.shops.filter(name="Ouverte").update(status=Status.CLOSED)
    html = page(client)
    assert "Tout arrive" not in html and "aucune boutique n'est active" in html


def test_a_shop_that_the_reader_may_not_see_is_not_named_by_its_state(client_for: Callable[..., Client]) -> None:
    company = CompanyFactory(incident_emails=["a@x.example"])
    mine = ShopFactory(company=company)
    ShopFactory(company=company, name="Cachée", status=Status.SUSPENDED)
    html = page(client_for(UserFactory(company=company, role=Role.VIEWER, shops=[mine])))
    assert "Cachée" not in html and "Tout arrive</strong>" in html


# --- The sentence, the month, what needs a hand ---------------------------------------------------


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))


def sent(company: Company, status: str, *, days: int = 0, address: str = "a@x.example", **fields: object) -> Delivery:
    shop = company.shops.first() or ShopFactory(company=company)
    delivery = DeliveryFactory(event=EventFactory(shop=shop), status=status, address=address, **fields)
    Delivery.objects.filter(pk=delivery.pk).update(created_at=timezone.localtime() - timedelta(days=days))
    return delivery


def test_one_sentence_says_how_it_stands_with_a_link_behind_each_figure(
    company: Company, client_for: Callable[..., Client]
) -> None:
    for status in ("sent", "sent", "dead"):
        sent(company, status)
    sent(company, "sent", days=12)
    html = page(client_for(UserFactory(company=company)))
    sentence = html.split('class="standing-sentence"')[1].split("</p>")[0]
    since = (timezone.localdate() - timedelta(days=7)).isoformat()
    assert "2 envois en 7 jours, 1 abandonné, couverture" in plain(sentence)
    assert f'href="/notifications/journal/?status=sent&since={since}" data-count="2"' in sentence
    assert 'href="/notifications/coverage/"' in sentence


def test_each_day_of_the_month_is_a_link_to_its_rows(company: Company, client_for: Callable[..., Client]) -> None:
    sent(company, "sent", days=12)
    sent(company, "dead", days=12)
    sent(company, "sent", days=40)
    client = client_for(UserFactory(company=company))
    html = page(client)
    day = (timezone.localtime() - timedelta(days=12)).date().isoformat()
    assert 'role="img"' in html and "2 envois en 30 jours, dont 1 en échec." in html
    url = f"/notifications/journal/?since={day}&until={day}"
    assert html.count(f'href="{url}"') == 2, "the bar, and the row of its table"
    assert client.get(url).context["page"].paginator.count == 2
    assert client.get(f"{url}&status=lost").context["page"].paginator.count == 1


def test_an_address_that_nothing_reaches_can_be_replaced_at_once_by_whoever_may(
    company: Company, client_for: Callable[..., Client]
) -> None:
    shop = ShopFactory(company=company, manager_email="morte@x.example")
    sent(company, "dead", address="morte@x.example")
    sent(company, "dead", address="inconnue@x.example")
    replace = "/notifications/addresses/replace/?address=morte%40x.example"
    html = page(client_for(UserFactory(company=company)))
    assert "Rien ne lui parvient" in html and replace in html
    assert "address=inconnue%40x.example" in html, "its sendings are shown"
    assert "replace/?address=inconnue" not in html, "it is configured nowhere: there is nothing to replace"
    viewer = page(client_for(UserFactory(company=company, role=Role.VIEWER, shops=[shop])))
    assert replace not in viewer and "/notifications/addresses/?address=morte%40x.example" in viewer


def test_a_link_proposes_what_to_do_with_an_address(company: Company, client_for: Callable[..., Client]) -> None:
    ShopFactory(company=company, site_id="20000009", manager_email="morte@x.example")
    client = client_for(UserFactory(company=company))
    shown = client.get(
        "/notifications/addresses/replace/?address=morte@x.example&what=remove&place=shop_manager:20000009"
    )
    form = shown.context["form"]
    assert form.initial["what"] == "remove" and form.initial["places"] == ["shop_manager:20000009"]


def test_changes_are_those_of_settings_that_people_made(company: Company, client_for: Callable[..., Client]) -> None:
    alice = UserFactory(company=company)
    shop = ShopFactory(company=company, name="Changée")
    by_hand, program = Actor("Alice", alice), Actor.command("provision")
    told = {"by_hand": by_hand, "program": program}
    for label, actor in told.items():
        changes: audit.Changes = {"name": ["", label]}
        audit.record(actor=actor, action="shop.updated", obj=shop, company=company, changes=changes)
    audit.record(actor=by_hand, action="user.updated", obj=alice, company=company, changes={"language": ["fr", "en"]})
    audit.record(actor=by_hand, action="payment_order.created", obj=PaymentOrderFactory(shop=shop), company=company)
    days = client_for(alice).get("/").context["changes"]
    assert [(day, [entry.action for entry in entries]) for day, entries in days] == [("Aujourd'hui", ["shop.updated"])]


def test_who_sees_one_shop_has_its_own_figures_only(company: Company, client_for: Callable[..., Client]) -> None:
    mine, other = ShopFactory(company=company), ShopFactory(company=company, name="Cachée")
    DeliveryFactory(event=EventFactory(shop=mine), status="sent", address="a@x.example")
    DeliveryFactory(event=EventFactory(shop=other), status="dead", address="cachee@x.example")
    html = page(client_for(UserFactory(company=company, role=Role.VIEWER, shops=[mine])))
    assert "1 envoi</a> en 7 jours" in html
    assert "cachee@x.example" not in html and "Cachée" not in html and "abandonné" not in html


def test_questions_and_tasks_are_one_click_away_for_whom_may(
    company: Company, client_for: Callable[..., Client]
) -> None:
    ShopFactory(company=company)
    Company.objects.filter(pk=company.pk).update(created_at=timezone.now() - timedelta(days=40))
    administrator, viewer = (
        client_for(UserFactory(company=company, role=role)) for role in (Role.ADMINISTRATOR, Role.VIEWER)
    )
    for client, headings in ((administrator, 2), (viewer, 1)):
        asked = page(client).partition('class="home-asked"')[2].partition("</main>")[0]
        assert asked.count("<h2") == headings
        links = re.findall(r'href="([^"]+)"', asked)
        assert {
            client.get(link).status_code for link in links if not link.startswith("/notifications/addresses/?at")
        } == {200}
    assert "Remplacer ou retirer une adresse partout" in page(administrator)
    assert "Qui aurait été prévenu il y a un mois" in page(viewer)
