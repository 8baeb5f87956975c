"""An object that is gone between two looks of one request, or between two clicks, gives a page, not an error.

Walks the pages of a company: each is opened, and each of its forms sent, while the object that its address names
is deleted after one query more each time.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.test import Client

from backoffice.site.gone import way_back
from companies.models import Company, SftpAccount, User
from notifications.models import ApiToken, Delivery, NotificationRule
from shops.models import Contract, DataFormAnswer, PaymentOrder, PaymentOrderTemplate, Shop
from tests.factories import ShopFactory, UserFactory
from tests.html_forms import forms_in
from tests.walk import makers_of, put, routes, state_makers

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]

# Part of a route → the object it names, out of an address of that route.
NAMED: dict[str, tuple[type[models.Model], str, str]] = {
    "users/<int:key>": (User, "pk", r"users/(\d+)"),
    "sftp-accounts/<uuid:key>": (SftpAccount, "pk", r"sftp-accounts/([0-9a-f-]{36})"),
    "api-tokens/<int:key>": (ApiToken, "pk", r"api-tokens/(\d+)"),
    "contracts/<int:key>": (Contract, "pk", r"contracts/(\d+)"),
    "authentication/<int:key>": (Contract, "pk", r"authentication/(\d+)"),
    "payment-orders/<uuid:key>": (PaymentOrder, "pk", r"payment-orders/([0-9a-f-]{36})"),
    "<str:site_id>/<int:key>": (PaymentOrderTemplate, "pk", r"\d{8}/(\d+)"),
    "<slug:reference>": (NotificationRule, "reference", r"\d{8}/([a-z-]+)"),
    "journal/<uuid:key>": (Delivery, "pk", r"journal/([0-9a-f-]{36})"),
    "answers/<uuid:key>": (DataFormAnswer, "pk", r"answers/([0-9a-f-]{36})"),
    "<str:site_id>": (Shop, "site_id", r"(\d{8})"),
}


def named_in(route: str) -> str | None:
    return next((mark for mark in NAMED if mark in route), None)


ROUTES = sorted(route for route in set(routes()) if named_in(route) and not route.startswith(("api/", "orders/")))


@contextmanager
def deleted_after(queries: int, model: type[models.Model], found: dict[str, Any]) -> Iterator[list[int]]:
    """Within the block the object goes away right after so many queries that name its table; counts them."""
    seen = [0]

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if f'"{model._meta.db_table}"' in sql and not busy:
            seen[0] += 1
            if seen[0] == queries:
                busy.append(True)
                rows = model._base_manager.filter(**found)
                rows._raw_delete(rows.db)
                busy.clear()
        return result

    busy: list[bool] = []
    with connection.execute_wrapper(watch):
        yield seen


def attempts(client: Client, address: str, form: dict[str, list[str]] | None) -> Iterator[tuple[int, Any]]:
    """(queries before the deletion, answer) until a request ends before its turn comes."""
    model, field, pattern = NAMED[named_in_address(address)]
    found = re.search(pattern, address)
    assert found, address
    for turn in range(1, 12):
        with transaction.atomic():
            with deleted_after(turn, model, {field: found[1]}) as seen:
                answer = client.get(address) if form is None else client.post(address, form)
            transaction.set_rollback(True)
        yield turn, answer
        if seen[0] < turn:
            return


_address_marks: dict[str, str] = {}


def named_in_address(address: str) -> str:
    return _address_marks[address.partition("?")[0]]


@pytest.mark.parametrize("route", ROUTES)
def test_no_page_and_no_form_fails_when_its_object_goes_away(
    client_for: Callable[..., Client], company: Company, route: str
) -> None:
    shop = ShopFactory(company=company, site_id="10000001")
    user = UserFactory(company=company)
    UserFactory(company=company)
    address = put(route, {**state_makers(company), **makers_of(company, shop)})
    mark = named_in(route)
    assert mark
    _address_marks[address] = mark
    client = client_for(user, fresh=True)
    with transaction.atomic():
        page = client.get(address)
        forms = forms_in(page) if page.status_code == 200 and "text/html" in page.headers["Content-Type"] else []
        transaction.set_rollback(True)
    bodies: list[dict[str, list[str]] | None] = [None, {}]
    bodies += [form.sent() for form in forms if not form.action or form.action.startswith("?")]
    for body in bodies:
        for turn, answer in attempts(client, address, body):
            assert answer.status_code < 500, (address, turn, body)
    # And the next click finds a page as well.
    model, field, pattern = NAMED[mark]
    found = re.search(pattern, address)
    assert found
    with transaction.atomic():
        rows = model._base_manager.filter(**{field: found[1]})
        rows._raw_delete(rows.db)
        for body in bodies:
            answer = client.get(address) if body is None else client.post(address, body)
            assert answer.status_code < 500, (address, body)
        transaction.set_rollback(True)


def test_the_page_says_that_it_is_gone_and_leads_back(client_for: Callable[..., Client], company: Company) -> None:
    user, other = UserFactory(company=company), UserFactory(company=company)
    client = client_for(user, fresh=True)
    address = f"/settings/company/users/{other.pk}/disable/"
    _address_marks[address] = "users/<int:key>"
    pages = {answer.status_code: answer for _turn, answer in attempts(client, address, {})}
    gone = pages[404].content.decode()
    assert 404 in pages and ("n'existe plus" in gone or "n&#x27;existe plus" in gone)
    assert 'href="/settings/company/users/"' in gone
    assert User.objects.get(pk=other.pk).is_active


@pytest.mark.parametrize(
    ("address", "back"),
    [
        ("/settings/company/users/5/disable/", "/settings/company/users/"),
        ("/payment-orders/3f0c/edit/", "/payment-orders/"),
        ("/nothing/at/all/", "/"),
        ("/", "/"),
    ],
)
def test_the_way_back_names_no_object(address: str, back: str) -> None:
    assert way_back(address) == back
