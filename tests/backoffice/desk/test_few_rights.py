"""Every page of the staff site as somebody who may only look, at everything and at one kind alone."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from shops.models import Shop
from tests import factories
from tests.walk import objects_of_the_admin

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
ClientFor = Callable[..., Client]
# Pages beside those of models; each is read with the rights named.
BESIDE = {"admin:index": (), "admin:search": (), "admin:sending": ("view_delivery",)}


def reader(client_for: ClientFor, *codes: str) -> Client:
    user = factories.StaffFactory(is_superuser=False)
    user.user_permissions.set(Permission.objects.filter(codename__in=codes))
    return client_for(user)


def pages(shop: Shop) -> dict[Any, list[str]]:
    """The list and the page of one object of each model."""
    made = {}
    for model, make in objects_of_the_admin(shop).items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        made[model] = [reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[make().pk])]
    return made


def test_the_walk_has_every_model_of_the_site(paris: Shop) -> None:
    assert set(objects_of_the_admin(paris)) == set(admin.site._registry)


def test_who_may_look_at_one_kind_opens_that_and_nothing_else(client_for: ClientFor, paris: Shop) -> None:
    every = pages(paris)
    models = list(every)
    user = factories.StaffFactory(is_superuser=False)
    client, wrong = client_for(user), []
    for number, model in enumerate(models):
        user.user_permissions.set(Permission.objects.filter(codename=f"view_{model._meta.model_name}"))
        opened, closed = every[model], every[models[number - 1]]
        wrong += [(model._meta.label, url) for url in opened if client.get(url).status_code != 200]
        wrong += [(model._meta.label, url) for url in closed if client.get(url).status_code != 403]
    assert wrong == []


def test_a_link_on_a_page_of_a_reader_leads_to_no_closed_door(client_for: ClientFor, paris: Shop) -> None:
    """The company's page names only lists that its reader may open."""
    codes = ("view_company", "view_shop", "view_delivery", "view_user")
    client = reader(client_for, *codes)
    factories.DeliveryFactory(event__shop=paris, status="dead")
    shown = client.get(reverse("admin:companies_company_change", args=[paris.company_id])).context["glance"]
    urls = [figure.url for figure in (*shown["sending_figures"], *shown["figures"])]
    urls += [account.url for account in shown["accounts"]] + [trouble.url for trouble in shown["troubles"]]
    assert urls and {client.get(url).status_code for url in urls} == {200}
    assert [account.view_as for account in shown["accounts"] if account.view_as] == []


@pytest.mark.parametrize("name", BESIDE)
def test_pages_beside_those_of_models_ask_for_their_rights(client_for: ClientFor, name: str) -> None:
    assert reader(client_for, *BESIDE[name]).get(reverse(name)).status_code == 200
    assert reader(client_for).get(reverse(name)).status_code == (403 if BESIDE[name] else 200)
