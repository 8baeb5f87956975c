"""The question before many are written to, as any staff action can ask it."""

from typing import Any

import pytest
from django.test import RequestFactory

from companies.models import Company
from notifications.broadcasts import mass_mail
from notifications.broadcasts.broadcasting import Reach, reach
from notifications.broadcasts.mass_mail import Audience
from tests.factories import CompanyFactory, StaffFactory

pytestmark = pytest.mark.django_db


def ask(audience: Audience, data: dict[str, Any] | None = None, **options: Any) -> Any:
    request = RequestFactory().post("/admin/somewhere/?page=2", data or {})
    request.user = StaffFactory()
    return mass_mail.question(request, audience=audience, title="Titre", sentence="Phrase.", **options)


def many(count: int) -> Audience:
    return Audience.of_addresses((f"a{n}@x.example", f"Société {n}") for n in range(count))


@pytest.mark.parametrize(("count", "asked"), [(0, False), (1, False), (100, False), (101, True), (5000, True)])
def test_more_than_a_hundred_addresses_are_asked_about(count: int, asked: bool) -> None:
    assert (ask(many(count)) is not None) == asked


@pytest.mark.parametrize("typed", ["", "100", "-1", "abc", "1e9", "٢٠٠", "9" * 30])
def test_only_a_number_that_covers_everybody_confirms(typed: str) -> None:
    assert ask(many(101), {mass_mail.FIELD: typed}) is not None


@pytest.mark.parametrize("typed", ["101", "200"])
def test_a_confirmed_number_goes_on(typed: str) -> None:
    assert ask(many(101), {mass_mail.FIELD: typed}) is None


def test_the_question_repeats_the_request_names_the_number_and_a_sample_of_all_of_it() -> None:
    data = {"action": "run", "_selected_action": ["1", "2"], "csrfmiddlewaretoken": "secret", "t": '"><script>'}
    page = ask(many(150), data).render().content.decode()
    assert "<strong>150 adresses</strong>" in page and "(150 sociétés)" in page
    assert "a0@x.example" in page and "a149@x.example" in page and "Société 149" in page
    assert page.count("@x.example</td>") == mass_mail.SAMPLE
    for field in (
        'name="action" value="run"',
        'name="_selected_action" value="1"',
        'name="_selected_action" value="2"',
    ):
        assert field in page
    assert 'value="secret"' not in page and "<script>" not in page.partition("<form")[2]
    assert f'name="{mass_mail.FIELD}" value="150"' in page
    assert 'action="/admin/somewhere/?page=2"' in page


def test_the_same_address_of_several_companies_counts_once() -> None:
    found = Audience.of_addresses([("A@x.example", "Une"), ("a@X.example", "Deux"), ("b@x.example", "Deux")])
    assert (found.addresses, found.companies) == (2, 2)


def test_a_company_wide_notification_is_counted_by_the_resolver_in_three_queries(
    django_assert_num_queries: Any,
) -> None:
    CompanyFactory(manager__email="a@x.example")
    CompanyFactory(manager__email="A@x.example")
    CompanyFactory(manager__email="b@x.example", newsletter_opt_out=True)
    with django_assert_num_queries(3):
        found = reach("newsletter", Company.objects.order_by("pk"))
    audience = Audience.of_reach(found)
    assert (audience.addresses, audience.companies) == (1, 2)
    assert audience.left_out == (("La société s'est désabonnée de la lettre d'information.", 1),)
    assert Audience.of_reach(reach("consistency_report", Company.objects.order_by("pk"))).addresses == 2
    assert Audience.of_reach(Reach()) == Audience(0, 0)
