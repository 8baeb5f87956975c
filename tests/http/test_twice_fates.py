"""One form in each of its fates: with errors, changed after going back, slow, undone, from a program, somebody else's."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from companies import submissions
from companies.models import Role, Submission
from notifications.models import Delivery, NotificationRule
from notifications.privacy import purging
from shops.models import PaymentOrder, ShopKey
from shops.orders import form_views as order_views
from tests.factories import (
    CompanyFactory,
    NotificationRuleFactory,
    UserFactory,
)
from tests.html_forms import form_with
from tests.http.sendable_forms import BILLING, RULE, Case, Filled, World, cases, filled
from tests.http.test_twice import answer, at_once, counted, grown
from tests.waiting import PATIENCE
from tests.walk import a_newsletter

ClientFor = Callable[..., Client]


@pytest.fixture
def world(client_for: ClientFor) -> World:
    return World(client_for)


NEW_ORDER = "payment-orders/new/"


def new_order(world: World) -> Filled:
    return filled(world, NEW_ORDER, cases(NEW_ORDER)[0])


def orders() -> int:
    return PaymentOrder.objects.count()


@pytest.mark.django_db
def test_a_form_with_errors_may_be_sent_again_corrected_and_as_it_is(world: World) -> None:
    form = new_order(world)
    right = form.data["amount"]
    form.data["amount"] = "beaucoup"
    assert form.send().status_code == 200
    assert form.send().status_code == 200
    assert not Submission.objects.exists(), "what changed nothing leaves nothing"
    form.data["amount"] = right
    assert form.send().status_code == 302
    assert orders() == 1


@pytest.mark.django_db
def test_a_form_that_was_changed_after_going_back_is_another_one(world: World) -> None:
    form = new_order(world)
    form.send()
    form.data["reference"] = "CMD-AUTRE"
    form.send()
    assert orders() == 2


@pytest.mark.django_db
def test_two_pages_with_the_same_content_are_two_forms(world: World) -> None:
    for _ in range(2):
        page = filled(
            world,
            RULE + "duplicate/",
            Case(at=lambda w, c: f"/settings/notification-rules/{w.shop.site_id}/ma-regle/duplicate/"),
        )
        page.url = page.url
        if not NotificationRule.objects.filter(reference="ma-regle").exists():
            NotificationRuleFactory(shop=world.shop, reference="ma-regle")
        assert page.send().status_code == 302
    assert NotificationRule.objects.count() == 3


@pytest.mark.django_db
def test_each_call_of_a_program_counts(world: World) -> None:
    form = new_order(world)
    del form.data[submissions.FIELD]
    assert form.send().status_code == form.send().status_code == 302
    assert orders() == 2


@pytest.mark.django_db(transaction=True)
def test_a_program_that_calls_twice_at_once_is_taken_for_a_second_click(world: World) -> None:
    form = new_order(world)
    del form.data[submissions.FIELD]
    with slow_orders():
        first, second = at_once(form)
    assert answer(first) == answer(second)
    assert orders() == 1
    form.send()
    assert orders() == 2, "and later it counts again"


@contextmanager
def slow_orders(until: threading.Event | None = None) -> Iterator[None]:
    """The creation of an order takes its time: a moment, or until something has happened."""
    create = order_views.services.payment_order_create

    def slow(**fields: Any) -> Any:
        if until is None:
            time.sleep(0.6)
        else:
            until.wait(PATIENCE)
        return create(**fields)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order_views.services, "payment_order_create", slow)
        yield


@pytest.mark.django_db(transaction=True)
def test_who_comes_while_the_first_still_runs_waits_and_the_notice_is_shown_once(world: World) -> None:
    form = new_order(world)
    with slow_orders():
        answers = at_once(form, times=4)
    assert len({answer(one) for one in answers}) == 1 and answers[0].status_code == 302
    assert orders() == 1 and Delivery.objects.filter(notification="payment_order").count() == 1
    page = unescape(form.client.get(answers[0].headers["Location"]).text)
    assert page.count('class="notice notice-success') == 1, page
    assert 'class="notice notice-success' not in form.client.get(answers[0].headers["Location"]).text


@pytest.mark.django_db
def test_the_notice_comes_again_for_who_has_read_it_and_not_twice_for_who_has_not(world: World) -> None:
    form = new_order(world)
    where = form.send().headers["Location"]
    form.send()
    assert form.client.get(where).text.count('class="notice notice-success') == 1
    form.send()
    assert form.client.get(where).text.count('class="notice notice-success') == 1


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_longer_than_a_while(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    form, told = new_order(world), threading.Event()
    received = submissions._received

    def tell(request: Any, *, running: bool) -> Any:
        told.set()
        return received(request, running=running)

    monkeypatch.setattr(submissions, "_received", tell)
    with slow_orders(told):
        answers = at_once(form, waits=0.1)
    assert sorted(one.status_code for one in answers) == [302, 409]
    told = unescape(next(one for one in answers if one.status_code == 409).text)
    assert "Son premier envoi est encore en cours" in told
    assert orders() == 1


@pytest.mark.django_db
def test_a_request_that_died_with_its_process_holds_nobody_up(world: World) -> None:
    form = new_order(world)
    form.send()
    row = Submission.objects.get()
    PaymentOrder.objects.all().delete()
    Submission.objects.update(answered_at=None, answer="", started_at=timezone.now() - submissions.GIVEN_UP_AFTER * 2)
    assert form.send().status_code == 302
    assert orders() == 1 and Submission.objects.get().pk != row.pk


@pytest.mark.django_db
def test_a_change_that_was_undone_may_be_sent_again(world: World) -> None:
    # The second shop of that identifier is refused after rows were written, and taken once the first is gone.
    form = filled(
        world,
        RULE + "switch/",
        Case(
            lambda w, p: {"enabled": "0", "version": "99"},
            at=lambda w, c: f"/settings/notification-rules/{w.shop.site_id}/{w.rule().reference}/switch/",
        ),
    )
    form.send()
    assert not Submission.objects.exists()


@pytest.mark.django_db
def test_a_key_that_is_shown_once_is_shown_to_a_double_click_and_stored_for_nobody(world: World) -> None:
    route = "settings/shops/<str:site_id>/keys/<slug:name>/"
    form = filled(world, route, Case())
    first = form.send()
    value = ShopKey.objects.get(shop=world.shop).value
    assert value in first.text and value in form.send().text
    kept = Submission.objects.get()
    assert value not in kept.answer and value.encode() not in base64.b64decode(kept.answer)
    assert form.data[submissions.FIELD][0] not in kept.key + kept.answer
    other = submissions.Content("another form", has_identity=True)
    with pytest.raises(submissions.crypto.DecryptionError):
        other.open(kept.answer)
    Submission.objects.update(answered_at=timezone.now() - submissions.PAGE_IS_KEPT - timedelta(seconds=1))
    late = form.send()
    assert late.status_code == 409 and value not in late.text
    assert "déjà été reçu" in late.text
    assert ShopKey.objects.get(shop=world.shop).value == value


@pytest.mark.django_db
def test_an_answer_is_not_given_to_somebody_else(world: World, client_for: ClientFor) -> None:
    form = filled(world, "settings/shops/<str:site_id>/keys/<slug:name>/", Case())
    value = form.send().text
    key = ShopKey.objects.get(shop=world.shop).value
    assert key in value
    viewer = client_for(UserFactory(company=world.company, role=Role.VIEWER), fresh=True)
    assert form.send(viewer).status_code == 403
    gone = form.send(Client())
    assert gone.status_code == 302 and gone.headers["Location"].startswith("/accounts/login/")


@pytest.mark.django_db
def test_a_form_that_stays_on_the_page_gets_a_new_identity_after_it_had_an_effect(world: World) -> None:
    form = filled(world, RULE, Case(lambda w, p: {"test": "TEST"}, marker="label"))
    headers = {"HX-Request": "true"}
    one, two = (form.client.post(form.url, form.data, headers=headers) for _ in range(2))
    assert one.headers["Submission"] == two.headers["Submission"] and one.text == two.text
    assert Delivery.objects.filter(is_test=True).count() == 1
    form.data[submissions.FIELD] = [one.headers["Submission"]]
    form.client.post(form.url, form.data, headers=headers)
    assert Delivery.objects.filter(is_test=True).count() == 2


@pytest.mark.django_db
def test_a_preview_that_scripts_ask_for_costs_no_row_and_keeps_the_identity(world: World) -> None:
    form = new_order(world)
    with CaptureQueriesContext(connection) as asked:
        page = form.client.post(form.url + "&audience=1", form.data, headers={"HX-Request": "true"})
    assert page.status_code == 200 and "Submission" not in page.headers
    assert statements(asked) == []


def statements(asked: CaptureQueriesContext) -> list[str]:
    return [found["sql"].split()[0] for found in asked.captured_queries if "companies_submission" in found["sql"]]


@pytest.mark.django_db
def test_a_form_costs_two_statements_and_a_page_none(world: World) -> None:
    with CaptureQueriesContext(connection) as asked:
        form = new_order(world)
    assert statements(asked) == []
    with CaptureQueriesContext(connection) as asked:
        form.send()
    assert statements(asked) == ["INSERT", "UPDATE"]


@pytest.mark.django_db
def test_no_view_and_no_question_repeats_the_identity(world: World) -> None:
    for number in range(3):
        CompanyFactory(reference=f"lettre-{number}")
    client = world.client("admin/")
    url = f"/admin/notifications/newsletter/{a_newsletter().pk}/send/"
    question = client.post(url, {submissions.FIELD: submissions.new_identity()})
    form = form_with(question, "mass_mail_confirmed")
    assert len(form.values[submissions.FIELD]) == 1


@pytest.mark.django_db
def test_what_is_over_is_purged(world: World) -> None:
    new_order(world).send()
    assert purging.count()["submissions"] == 0
    Submission.objects.update(started_at=timezone.now() - timedelta(days=2))
    assert purging.purge()["submissions"] == 1
    assert not Submission.objects.exists() and orders() == 1


@pytest.mark.django_db
def test_a_file_is_part_of_what_was_sent(world: World, standard_prices: None) -> None:
    form = filled(world, BILLING + "upload/", cases(BILLING + "upload/")[0])
    form.send()
    form.data["file"] = SimpleUploadedFile("facture.csv", b"description,quantity,unit_price\nConseil,4,33.3333\n")
    before = counted()
    assert form.send().status_code == 302
    assert grown(before), "another file is another form"
