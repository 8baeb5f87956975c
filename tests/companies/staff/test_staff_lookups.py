"""What may be asked of a staff list: its own filters. Nobody reads a secret, or stops the server, by an address."""

import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.contrib.auth.models import Permission
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from backoffice.base.crypto import EncryptedTextField
from companies.models import User
from companies.staff.filters import LONGEST
from companies.staff.pages import AccessibleAdmin
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]

# Columns that are secret, or from which a secret is made, besides the encrypted ones.
NAMES = {
    "password", "password_hash", "unrevealed_password", "token", "token_hash", "session_data", "nonce", "salt",
    "content_digest",
}  # fmt: skip
OF_ONE_MODEL = {
    ("companies", "session", "key"),
    ("companies", "knowndevice", "key"),
    ("companies", "loginrecord", "typed"),
    ("mfa", "authenticator", "data"),
}
LOOKUPS = ("", "__exact", "__regex", "__iregex", "__startswith", "__icontains", "__gt", "__in", "__isnull", "__length")
NESTED = r"^(((a+)+)+)+$" + "|(.*)*" * 20
PAGES = sorted(admin.site._registry.items(), key=lambda pair: pair[0]._meta.label)
IDS = [model._meta.label for model, _page in PAGES]


def is_secret(field: Any) -> bool:
    meta = field.model._meta
    return (
        isinstance(field, EncryptedTextField)
        or field.name in NAMES
        or (meta.app_label, meta.model_name, field.name) in OF_ONE_MODEL
    )


def secret_paths(model: type[models.Model], depth: int = 3) -> Iterator[str]:
    """The ways from a model to each secret column, over at most so many relations."""
    for field in model._meta.get_fields():
        name = getattr(field, "related_query_name", None)
        step = name() if field.auto_created and callable(name) else field.name
        if field.is_relation and field.related_model is not None:
            if depth > 1:
                yield from (f"{step}__{rest}" for rest in secret_paths(field.related_model, depth - 1))
        elif is_secret(field):
            yield step


@pytest.fixture
def reader(client_for: Callable[..., Client]) -> Client:
    """Somebody of the team who may look at everything and change nothing."""
    user = factories.StaffFactory(is_superuser=False)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client: Client = client_for(user)
    return client


def list_of(model: type[models.Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def test_the_walk_knows_the_secrets_of_the_product() -> None:
    found = {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.fields
        if is_secret(field)
    }
    assert {
        "companies.User.password", "companies.SftpAccount.unrevealed_password", "companies.Session.session_data",
        "notifications.ApiToken.token_hash", "shops.PaymentOrder.token", "shops.ShopKey.value", "mfa.Authenticator.data",
    } <= found  # fmt: skip
    assert "companies__users__password" not in set(secret_paths(User))
    assert {"password", "sessions__session_data", "company__sftp_accounts__unrevealed_password"} <= set(
        secret_paths(User)
    )


@pytest.mark.parametrize(("model", "page"), PAGES, ids=IDS)
def test_no_list_takes_a_look_up_on_a_secret_by_any_way(model: type[models.Model], page: Any) -> None:
    assert isinstance(page, AccessibleAdmin), "pages of the team inherit what guards them"
    taken = [
        path + lookup
        for path in set(secret_paths(model))
        for lookup in LOOKUPS
        if page.lookup_allowed(path + lookup, "a", None)
    ]
    assert taken == []


@pytest.mark.parametrize(("model", "page"), PAGES, ids=IDS)
def test_no_list_takes_a_look_up_that_it_does_not_show(model: type[models.Model], page: Any) -> None:
    listed = page.filters_listed(None)
    for field in model._meta.fields:
        for lookup in (*field.get_lookups(), "regex", "iregex"):
            name = f"{field.name}__{lookup}"
            assert page.lookup_allowed(name, "1", None) is (name in listed), name
    assert not any(re.search("regex|contains|startswith|endswith", name) for name in listed)


@pytest.mark.parametrize(("model", "page"), PAGES, ids=IDS)
def test_nothing_secret_is_searched_sorted_or_filtered_by(model: type[models.Model], page: Any) -> None:
    filters = [item[0] if isinstance(item, (list, tuple)) else item for item in page.list_filter]
    named = [name for name in filters if not (isinstance(name, type) and issubclass(name, SimpleListFilter))]
    orders = [getattr(getattr(page, str(name), None), "admin_order_field", None) for name in page.list_display]
    shown = {
        *page.search_fields,
        *map(str, page.list_display),
        *filter(None, orders),
        *named,
        page.date_hierarchy or "",
    }
    last = {str(name).lstrip("-^=@").split("__")[-1] for name in {*shown, *page.also_filtered}}
    assert last & {path.split("__")[-1] for path in secret_paths(model)} == set()


@pytest.mark.one_database
@pytest.mark.parametrize(("model", "page"), PAGES, ids=IDS)
def test_an_address_with_anything_else_is_refused_before_anything_is_asked(
    model: type[models.Model], page: Any, reader: Client
) -> None:
    url = list_of(model)
    paths = sorted(set(secret_paths(model, depth=2))) or ["password"]
    asked = [(f"{path}{lookup}", NESTED) for path in paths for lookup in ("", "__regex", "__startswith", "__isnull")]
    for name, value in [*asked, ("nothing", "1"), ("pk__in", "1"), ("id__regex", NESTED), ("_search", "x")]:
        for more in ({}, {"e": "1"}, {"_popup": "1"}, {"q": "a", "o": "1", "p": "2"}):
            with CaptureQueriesContext(connection) as captured:
                answer = reader.get(url, {**more, name: value})
            assert (answer.status_code, answer.headers["Location"]) == (302, f"{url}?e=1"), name
            # Who it is and what they may (session, account, memberships, permissions), and no row of the list.
            assert len(captured) <= 8, [query["sql"] for query in captured]
            assert not [query["sql"] for query in captured if NESTED in query["sql"]]
    told = unescape(reader.get(url).content.decode())
    assert "Cette liste ne se filtre pas ainsi : « _search »" in told


def test_a_refused_address_starts_no_action(client_for: Callable[..., Client]) -> None:
    delivery = factories.DeliveryFactory(status="dead")
    url = f"{reverse('admin:notifications_delivery_changelist')}?address__regex=a"
    answer = client_for(factories.StaffFactory(), fresh=True).post(
        url, {"action": "requeue", "_selected_action": [str(delivery.pk)]}
    )
    assert answer.headers["Location"].endswith("/?e=1")
    delivery.refresh_from_db()
    assert delivery.status == "dead"


@pytest.mark.parametrize(
    "values",
    [
        {"status__exact": ["sent", "dead"]},
        {"status__exact": "x" * (LONGEST + 1)},
        {"q": "x" * (LONGEST + 1)},
        {"broadcast__id__exact": "abc"},
        {"created_at__year": "9999"},
        {"created_at__year": "1"},
        {"created_at__year": "2026", "created_at__month": "13"},
        {"created_at__year": "2026", "created_at__month": "2", "created_at__day": "30"},
        {"created_at__year": "²"},
    ],
)  # fmt: skip
def test_a_value_that_no_filter_offers_leads_back_to_the_whole_list(reader: Client, values: dict[str, Any]) -> None:
    url = reverse("admin:notifications_delivery_changelist")
    assert reader.get(f"{url}?{urlencode(values, doseq=True)}").headers["Location"] == f"{url}?e=1"


@pytest.mark.parametrize(
    "values",
    [
        {"status__exact": "no such state"},
        {"broadcast__id__exact": "99999999999999999999999"},
        {"o": "1.1.1.x.99.-2"},
        {"o": "password"},
        {"e": "1"},
        {"q": "a b " * 60},
        {"q": "\0"},
        {"_facets": "True"},
        {"created_at__month": "5"},
    ],
)
def test_odd_values_of_what_a_list_takes_are_no_error(reader: Client, values: dict[str, str]) -> None:
    factories.DeliveryFactory()
    assert reader.get(reverse("admin:notifications_delivery_changelist"), values).status_code == 200


@pytest.mark.parametrize("to_field", ["password", "email", "login", "company__name", "token_hash"])
def test_no_column_but_the_key_is_handed_to_a_pop_up(reader: Client, to_field: str) -> None:
    user = factories.UserFactory()
    for url in (list_of(User), reverse("admin:companies_user_change", args=[user.pk])):
        assert reader.get(url, {"_to_field": to_field, "_popup": "1"}).status_code == 400
        assert reader.get(url, {"_to_field": "id", "_popup": "1"}).status_code == 200


def test_filters_kept_for_the_way_back_are_those_of_the_list(reader: Client) -> None:
    user = factories.UserFactory()
    kept = urlencode({"password__regex": "a.*", "is_active__exact": "1", "sessions__session_data__contains": "x"})
    page = reader.get(reverse("admin:companies_user_change", args=[user.pk]), {"_changelist_filters": kept})
    text = unescape(page.content.decode())
    assert "password__regex" not in text and "session_data" not in text
    assert "_changelist_filters=is_active__exact%3D1" in text


@pytest.mark.parametrize("extra", [{"password__regex": "a"}, {"term": "x" * (LONGEST + 1)}, {"to_field": "password"}])
def test_a_search_for_a_choice_takes_its_words_alone(reader: Client, extra: dict[str, str]) -> None:
    asked = {"app_label": "companies", "model_name": "membership", "field_name": "company", "term": "a"}
    factories.CompanyFactory(name="Alpha")
    assert [found["text"] for found in reader.get("/admin/autocomplete/", asked).json()["results"]] == ["Alpha"]
    assert reader.get("/admin/autocomplete/", {**asked, **extra}).status_code == 400


@pytest.mark.parametrize("value", ["abc", "1,2", "99999999999999999999999", "\0", "é"])
def test_a_choice_that_is_no_key_is_a_form_with_an_error(client_for: Callable[..., Client], value: str) -> None:
    staff, user = client_for(factories.StaffFactory(), fresh=True), factories.UserFactory()
    for name, field in (("shops_shop", "company"), ("notifications_notificationrule", "shop")):
        url = reverse(f"admin:{name}_add")
        assert staff.get(url, {field: value}).status_code == 200
        answer = staff.post(url, {field: value})
        assert field in answer.context["adminform"].form.errors
    rows = {"TOTAL_FORMS": 1, "INITIAL_FORMS": 0, "0-company": value, "0-role": "viewer", "0-shops": value}
    data = {"login": user.login, "email": user.email, **{f"memberships-{name}": it for name, it in rows.items()}}
    assert staff.post(reverse("admin:companies_user_change", args=[user.pk]), data).status_code == 200


def test_every_filter_that_a_list_offers_and_every_link_to_a_list_works(client_for: Callable[..., Client]) -> None:
    staff = client_for(factories.StaffFactory())
    rule = factories.NotificationRuleFactory()
    for make in (
        factories.DeliveryFactory, factories.EventFactory, factories.PaymentOrderFactory, factories.SftpAccountFactory,
        factories.DataFormVersionFactory,
    ):  # fmt: skip
        make()
    shop = rule.shop
    pages = [
        *(list_of(model) for model, _page in PAGES),
        reverse("admin:companies_company_change", args=[shop.company_id]),
        reverse("admin:shops_shop_change", args=[shop.pk]),
    ]
    followed = 0
    for page in pages:
        text = staff.get(page).content.decode()
        for link in {unescape(found) for found in re.findall(r'href="([^"]*\?[^"]+)"', text)}:
            address = page + link if link.startswith("?") else link
            if not address.startswith("/admin/") or "/add/" in address or "_popup" in address:
                continue
            assert staff.get(address).status_code == 200, (page, address)
            followed += 1
    assert followed > 50
    assert (
        staff.get(reverse("admin:notifications_delivery_changelist"), {"broadcast__id__exact": "1"}).status_code == 200
    )
