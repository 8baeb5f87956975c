"""« Pourquoi ? »: the question form, plain answers, who sees what, and the ways that lead there."""

from collections import Counter
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from companies.models import Company, Role
from notifications import settings_facts
from notifications.answers import screens, selectors
from shops.models import Shop
from tests.factories import (
    CompanyFactory,
    DeliveryFactory,
    EventFactory,
    NotificationRuleFactory,
    ShopFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
WHY = "/notifications/why/"


@pytest.fixture(autouse=True)
def _two_shops_and_rules(paris: Shop, lyon: Shop) -> None:
    lyon.manager_email = "lyon@lumiere.example"
    lyon.save()
    NotificationRuleFactory(shop=paris, reference="mail", label="Paiements", recipients=["dev@agence.example"])
    NotificationRuleFactory(shop=paris, reference="appel", ipn=True, recipients=[])


def text(response: Any) -> str:
    assert response.status_code == 200
    return unescape(response.content.decode().replace('<wbr><span class="domain">', ""))


def test_without_a_question_the_form_alone_is_shown(client_for: ClientFor, company: Company) -> None:
    page = text(client_for(UserFactory(company=company)).get(WHY))
    assert "Répondre" in page and "answer-headline" not in page
    assert '<option value="claire@lumiere.example">' in page


def test_an_answer_comes_first_and_each_obstacle_with_its_place(client_for: ClientFor, company: Company) -> None:
    client = client_for(UserFactory(company=company))
    asked = {"address": "lyon@lumiere.example", "notification": "merchant_email", "shop": "10000001"}
    page = text(client.get(WHY, asked))
    assert "Non, lyon@lumiere.example ne la reçoit pas." in page
    assert "La règle « Paiements » de la boutique Lumière Paris prévient d'autres adresses." in page
    assert "/settings/notification-rules/?shop=10000001&rule=mail" in page
    assert "dev@agence.example" in page
    assert "Oui, dev@agence.example la reçoit." in text(client.get(WHY, asked | {"address": "dev@agence.example"}))


def test_conditions_are_tested_by_a_mode_or_data(client_for: ClientFor, company: Company) -> None:
    rule = NotificationRuleFactory(
        shop=company.shops.get(site_id="10000002"),
        conditions=[{"variable": "amount", "operator": "gt", "value": 1000}],
    )
    client = client_for(UserFactory(company=company))
    asked = {"address": "lyon@lumiere.example", "rule": rule.reference}
    assert "Seulement si" in text(client.get(WHY, asked))
    assert "Condition non remplie" in text(client.get(WHY, asked | {"data": '{"amount": 5}'}))


def test_without_an_address_it_says_who_is_told(client_for: ClientFor, company: Company) -> None:
    client = client_for(UserFactory(company=company))
    page = text(client.get(WHY, {"notification": "ipn_failure", "shop": "10000001", "rule": "appel"}))
    assert "par choix" in page and "Personne" in page
    page = text(client.get(WHY, {"notification": "shop_created", "shop": "10000001"}))
    assert "paris@lumiere.example" in page and "claire@lumiere.example" in page


@pytest.mark.parametrize(
    ("name", "value"), [("address", "x"), ("shop", "99999999"), ("rule", "absente"), ("data", "[]"), ("mode", "REAL")]
)
def test_what_cannot_be_asked_is_said_and_stays_typed(
    client_for: ClientFor, company: Company, name: str, value: str
) -> None:
    page = text(client_for(UserFactory(company=company)).get(WHY, {name: value}))
    assert "La question est à corriger" in page
    assert f'href="#ask-{name}"' in page and f"« {value} »" in page


def test_a_viewer_of_one_shop_learns_nothing_of_another(client_for: ClientFor, company: Company) -> None:
    paris = Shop.objects.get(site_id="10000001")
    viewer = client_for(UserFactory(company=company, role=Role.VIEWER, shops=[paris]))
    everything = text(viewer.get(WHY, {"address": "claire@lumiere.example"}))
    assert "Lyon" not in everything and "10000002" not in everything
    assert "lyon@lumiere.example" not in text(viewer.get(WHY))
    # Another company's shop, one's own hidden shop and a shop that does not exist read alike.
    pages = [
        text(viewer.get(WHY, {"shop": site_id})).partition("<main")[2].replace(site_id, "")
        for site_id in ("10000002", ShopFactory().site_id, "99999999")
    ]
    assert pages[0] == pages[1] == pages[2]
    rows = b"".join(viewer.get(WHY, {"address": "claire@lumiere.example", "format": "csv"}).streaming_content).decode()
    assert "10000001" in rows and "10000002" not in rows


def test_who_may_not_change_it_reads_which_role_may(client_for: ClientFor, company: Company) -> None:
    viewer = client_for(UserFactory(company=company, role=Role.VIEWER))
    page = text(viewer.get(WHY, {"address": "lyon@lumiere.example", "rule": "mail"}))
    assert "Peut le changer : Administrateur ou Gestionnaire." in page
    assert 'rule=mail">Modifier' not in page


def test_the_file_has_one_row_an_answer(client_for: ClientFor, company: Company) -> None:
    client = client_for(UserFactory(company=company))
    response = client.get(WHY, {"address": "claire@lumiere.example", "format": "csv", "plain": "1"})
    rows = b"".join(response.streaming_content).decode().splitlines()
    assert rows[0].startswith("address,notification,shop,rule,account,delivers")
    # Two rules, two missing kinds of Lyon, eight rows a shop, three of the company, one account.
    assert len(rows) == 1 + 2 + 2 + 16 + 3 + 1


def test_the_number_of_queries_does_not_grow_with_shops(client_for: ClientFor, company: Company) -> None:
    client = client_for(UserFactory(company=company, role=Role.MANAGER))

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as caught:
            text(client.get(WHY, {"address": "claire@lumiere.example"}))
        return len(caught)

    queries()
    before = queries()
    for number in range(12):
        NotificationRuleFactory(shop=ShopFactory(company=company, name=f"B{number}"))
    assert queries() <= before


def test_a_missing_rule_is_in_the_way_of_the_address_it_would_write_to(client_for: ClientFor, company: Company) -> None:
    client = client_for(UserFactory(company=company))
    asked = {"notification": "ipn_failure", "shop": "10000002"}
    assert "Empêché" in text(client.get(WHY, asked | {"address": "lyon@lumiere.example"}))
    page = text(client.get(WHY, asked | {"address": "paris@lumiere.example"}))
    assert "Non destinataire" in page and "n'a aucune règle de type" in page


def test_equal_answers_of_many_shops_share_a_row(client_for: ClientFor, company: Company) -> None:
    for number in range(10):
        ShopFactory(company=company, name=f"B{number}")
    page = text(client_for(UserFactory(company=company)).get(WHY, {"address": "claire@lumiere.example"}))
    assert "10 boutiques" in page and "Par exemple, pour" in page


# --- The ways that lead there ---------------------------------------------------------------------


def test_addresses_rules_gaps_deliveries_and_empty_searches_lead_there(client_for: ClientFor, company: Company) -> None:
    client = client_for(UserFactory(company=company))
    shop = Shop.objects.get(site_id="10000001")
    delivery = DeliveryFactory(event=EventFactory(shop=shop), rule=shop.rules.get(reference="mail"))
    ways = {
        "/notifications/addresses/?address=dev@agence.example": "?address=dev%40agence.example",
        "/notifications/addresses/?address=nobody@x.example": "?address=nobody%40x.example",
        "/notifications/addresses/?q=nobody@x.example": "?address=nobody%40x.example",
        "/notifications/addresses/": "?notification=ipn_failure&shop=10000001&rule=appel",
        "/settings/notification-rules/10000001/mail/": "?shop=10000001&rule=mail",
        reverse("delivery", args=[delivery.pk]): "&notification=merchant_email&shop=10000001&rule=mail",
        "/notifications/journal/?address=nobody@x.example": "?address=nobody%40x.example",
        "/notifications/by-notification/": "?notification=newsletter",
        "/": "",
    }
    for page, query in ways.items():
        links = text(client.get(page))
        assert WHY in links and query in links, page


def test_a_question_can_be_put_to_the_settings_of_a_moment(client_for: ClientFor, company: Company) -> None:
    client = client_for(UserFactory(company=company, time_zone="Europe/Paris"))
    then = timezone.now()
    company.shops.get(site_id="10000001").rules.filter(reference="mail").update(recipients=["autre@x.example"])
    asked = {"address": "dev@agence.example", "notification": "merchant_email", "shop": "10000001"}
    assert "Oui, dev@agence.example la reçoit." in text(client.get(WHY, asked | {"at": then.isoformat()}))
    page = text(client.get(WHY, asked))
    assert "Non, dev@agence.example" in page and "La réponse des réglages du" not in page
    told = text(client.get(WHY, asked | {"at": "1999-01-01T00:00:00Z"}))
    assert "La question est à corriger" in told and "#ask-at" in told


def test_answers_about_others_are_counted_without_being_worked_out(client_for: ClientFor) -> None:
    company = CompanyFactory()
    for number in range(3):
        shop = ShopFactory(company=company, manager_email=f"b{number}@x.example")
        NotificationRuleFactory(shop=shop, ipn=True, enabled=False)
    client = client_for(UserFactory(company=company))
    asked = {"address": "b1@x.example"}
    shown = client.get(WHY, asked)
    every = selectors.explain(settings_facts.company_facts(company), asked, from_form=True)
    assert shown.context["explained"].left_out > 0
    counts = Counter(str(screens.verdict_of(answer, every)) for answer in every.answers)
    assert {code: number for code, _label, number in shown.context["figures"]} == dict(counts)
    assert f"sur {len(every.answers)}." in text(shown)
    others = client.get(WHY, {**asked, "verdict": "others"})
    assert others.context["shown_count"] == counts["others"]
