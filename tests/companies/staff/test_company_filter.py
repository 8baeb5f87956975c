"""Every staff list whose rows belong to a company is narrowed to one, by links or by searching for it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from companies.staff.company_filter import FEW
from shops.models import Shop
from tests import factories
from tests.walk import objects_of_the_admin

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
ClientFor = Callable[..., Client]
# Of no company: the platform's own, and companies themselves.
OF_NONE = {"Company", "Group", "PriceList", "Newsletter", "Incident"}


def list_of(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def test_each_list_shows_the_rows_of_the_company_alone(client_for: ClientFor, paris: Shop) -> None:
    staff, stranger = client_for(factories.StaffFactory()), factories.ShopFactory()
    lists = {model: page for model, page in admin.site._registry.items() if getattr(page, "company_path", "")}
    assert {model.__name__ for model in admin.site._registry} - {model.__name__ for model in lists} == OF_NONE
    for shop in (paris, stranger):
        for model, make in objects_of_the_admin(shop).items():
            if model.__name__ not in OF_NONE | {"ApiToken"}:
                make()
        factories.ApiTokenFactory(company=shop.company)
    for model, page in lists.items():
        rows = staff.get(list_of(model), {"company__id__exact": paris.company_id}).context["cl"].result_list
        own = set(page.of_company(model._default_manager.all(), paris.company_id).values_list("pk", flat=True))
        assert {row.pk for row in rows} == own != set(), model
        assert model._default_manager.exclude(pk__in=own).exists(), model


@pytest.mark.parametrize("value", ["abc", "99999999999999999999", "1 OR 1"])
def test_what_is_no_company_leads_back_to_the_whole_list(client_for: ClientFor, shop: Shop, value: str) -> None:
    url = list_of(Shop)
    answer = client_for(factories.StaffFactory()).get(url, {"company__id__exact": value})
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{url}?e=1")


def test_few_companies_are_links_and_many_are_searched_for(client_for: ClientFor, paris: Shop) -> None:
    staff, link = client_for(factories.StaffFactory()), f"?company__id__exact={paris.company_id}"
    page = staff.get(list_of(Shop)).content.decode()
    assert link in page and 'class="company-filter"' not in page
    for _number in range(FEW):
        factories.CompanyFactory()
    page = staff.get(list_of(Shop), {"status__exact": "active"}).content.decode()
    assert 'class="company-filter"' in page and "admin-autocomplete" in page and link not in page
    assert '<input type="hidden" name="status__exact" value="active">' in page


def test_who_may_not_look_at_companies_is_offered_none(client_for: ClientFor, paris: Shop) -> None:
    user = factories.StaffFactory(is_superuser=False)
    user.user_permissions.set(Permission.objects.filter(codename="view_shop"))
    client = client_for(user)
    assert f"?company__id__exact={paris.company_id}" not in client.get(list_of(Shop)).content.decode()
    answer = client.get(list_of(Shop), {"company__id__exact": paris.company_id})
    assert [row.pk for row in answer.context["cl"].result_list] == [paris.pk]
