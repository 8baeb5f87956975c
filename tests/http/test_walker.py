"""Every address of the site, asked for by every kind of visitor. A route without a row here fails."""

from collections.abc import Callable
from urllib.parse import unquote

import pytest
from django.test import Client

from companies.models import Company, Role
from companies.rights.permissions import PERMISSIONS
from shops.models import Shop
from tests.factories import CompanyFactory, ShopFactory, StaffFactory, UserFactory
from tests.walk import makers_of, put, routes

pytestmark = pytest.mark.django_db

# Status of a GET by: anonymous, viewer, manager, administrator, another company's administrator, staff.
# 302 of an anonymous visitor always leads to the log-in page (checked below).
Expected = tuple[int, int, int, int, int, int]
PAGE: Expected = (302, 200, 200, 200, 200, 404)  # one's own company, whoever asks
OBJECT: Expected = (302, 200, 200, 200, 404, 404)  # names an object of the company
ADMIN_PAGE: Expected = (302, 403, 403, 200, 200, 404)
ADMIN_OBJECT: Expected = (302, 403, 403, 200, 404, 404)
# With a contact to act on a page asks for confirmation; the other company has none: back to the settings.
ADMIN_CONFIRM: Expected = (302, 403, 403, 200, 302, 404)
# What does not fit the state of the account leads back to it.
ADMIN_ACTION: Expected = (302, 403, 403, 302, 404, 404)
MANAGER_CONFIRM: Expected = (302, 403, 200, 200, 404, 404)
# Leads on to the first step of a new draft.
MANAGER_START: Expected = (302, 403, 302, 302, 404, 404)
MANAGER_POST: Expected = (302, 403, 405, 405, 405, 404)
# Which object, and whether the role may, is asked of a POST only.
POST_ONLY: Expected = (302, 405, 405, 405, 405, 404)
ADMIN_POST: Expected = (302, 403, 403, 405, 405, 404)
ADMIN_CONFIRMED: Expected = (302, 403, 403, 302, 404, 404)
# Asks everybody for a proof of identity first.
ADMIN_PROVEN: Expected = (302, 403, 403, 302, 302, 404)
OWN_PROVEN: Expected = (302, 302, 302, 302, 302, 302)
# One shop only: straight to it. The other company has none: a page that says so.
SHOP_CHOICE: Expected = (302, 302, 302, 302, 200, 404)
MANAGER_PAGE: Expected = (302, 403, 200, 200, 200, 404)
ADMIN_SHOP_CHOICE: Expected = (302, 403, 403, 302, 200, 404)
API: Expected = (401, 401, 401, 401, 401, 401)
PUBLIC: Expected = (200, 200, 200, 200, 200, 200)
GONE: Expected = (404, 404, 404, 404, 404, 404)

EXPECTED: dict[str, Expected] = {
    "settings/company/": PAGE,
    "settings/company/history/": PAGE,
    "settings/company/history/<int:key>/": OBJECT,
    "settings/shops/": SHOP_CHOICE,
    "settings/notification-rules/": SHOP_CHOICE,
    "notifications/addresses/": PAGE,
    "notifications/addresses/map/": PAGE,
    # Of the manager's address, which administrators alone replace; a link « Annuler » is its maker's.
    "notifications/addresses/replace/": ADMIN_OBJECT,
    "notifications/addresses/undo/<str:token>/": (302, 404, 404, 404, 404, 404),
    "notifications/addresses/verify/": ADMIN_POST,
    "notifications/addresses/reactivate/": ADMIN_POST,
    "settings/shops/bulk/": MANAGER_PAGE,
    "notifications/by-notification/": PAGE,
    "notifications/compare/": PAGE,
    "notifications/why/": PAGE,
    "notifications/coverage/": PAGE,
    "notifications/coverage/company/<slug:notification>/accept/": ADMIN_PAGE,
    "notifications/coverage/company/<slug:notification>/reopen/": ADMIN_POST,
    "notifications/coverage/<str:site_id>/<slug:notification>/accept/": ADMIN_OBJECT,
    "notifications/coverage/<str:site_id>/<slug:notification>/reopen/": POST_ONLY,
    "notifications/coverage/remarks/<int:key>/close/": POST_ONLY,
    "why/<str:token>/": PUBLIC,
    "verify/<str:token>/": PUBLIC,
    "notifications/journal/": PAGE,
    "notifications/journal/many/": POST_ONLY,
    "notifications/journal/filters/": POST_ONLY,
    "notifications/journal/filters/<int:key>/delete/": POST_ONLY,
    "settings/notification-rules/address/": MANAGER_PAGE,
    "settings/notification-rules/<str:site_id>/<slug:reference>/copy/": MANAGER_CONFIRM,
    "search/": PAGE,
    "help/": (302, 200, 200, 200, 200, 200),
    "help/<slug:name>/": (302, 200, 200, 200, 200, 200),
    "keyboard/": (302, 200, 200, 200, 200, 200),
    "settings/company/swap/": ADMIN_CONFIRM,
    "settings/company/technical/remove/": ADMIN_CONFIRM,
    "settings/company/users/": ADMIN_PAGE,
    "settings/company/users/new/": ADMIN_PAGE,
    "settings/company/users/<int:key>/": ADMIN_OBJECT,
    "settings/company/users/<int:key>/shops/": ADMIN_OBJECT,
    "settings/company/users/<int:key>/invite/": ADMIN_ACTION,
    "settings/company/users/<int:key>/reset/": ADMIN_OBJECT,
    "settings/company/users/<int:key>/unlock/": ADMIN_ACTION,
    "settings/company/users/<int:key>/disable/": ADMIN_OBJECT,
    "settings/company/users/<int:key>/enable/": ADMIN_ACTION,
    "settings/company/users/<int:key>/remove/": ADMIN_ACTION,
    "settings/company/sftp-accounts/<uuid:key>/reset/": ADMIN_OBJECT,
    "settings/company/sftp-accounts/<uuid:key>/disable/": ADMIN_OBJECT,
    "settings/company/sftp-accounts/<uuid:key>/enable/": ADMIN_ACTION,
    "settings/company/sftp-accounts/": ADMIN_PAGE,
    "settings/company/sftp-accounts/new/": ADMIN_PAGE,
    "settings/company/mail-server/": ADMIN_PAGE,
    "settings/company/mail-server/edit/": ADMIN_PROVEN,
    "settings/company/mail-server/remove/": ADMIN_POST,
    "settings/company/api-tokens/": ADMIN_PAGE,
    "settings/company/api-tokens/new/": ADMIN_PROVEN,
    "settings/company/api-tokens/<int:key>/": ADMIN_OBJECT,
    "settings/company/api-tokens/<int:key>/replace/": ADMIN_CONFIRMED,
    "settings/company/api-tokens/<int:key>/revoke/": ADMIN_OBJECT,
    "settings/company/sftp-accounts/<uuid:key>/": ADMIN_OBJECT,
    "settings/shops/<str:site_id>/configuration/": OBJECT,
    "settings/shops/new/": ADMIN_PAGE,
    "settings/shops/keys/": ADMIN_SHOP_CHOICE,
    "settings/shops/contracts/": SHOP_CHOICE,
    "settings/shops/<str:site_id>/keys/": ADMIN_OBJECT,
    "settings/shops/<str:site_id>/keys/tests-done/": ADMIN_POST,
    # Opens only after one's identity was confirmed.
    "settings/shops/<str:site_id>/keys/<slug:name>/": ADMIN_CONFIRMED,
    "settings/shops/<str:site_id>/keys/<slug:name>/show/": ADMIN_CONFIRMED,
    "settings/shops/<str:site_id>/contracts/": OBJECT,
    "settings/shops/<str:site_id>/contracts/new/": MANAGER_CONFIRM,
    "settings/shops/<str:site_id>/contracts/<int:key>/": MANAGER_CONFIRM,
    "settings/shops/<str:site_id>/contracts/<int:key>/remove/": MANAGER_CONFIRM,
    "settings/shops/data-form/": SHOP_CHOICE,
    "settings/shops/<str:site_id>/data-form/": OBJECT,
    "settings/shops/<str:site_id>/data-form/fields/": MANAGER_POST,
    "settings/shops/<str:site_id>/data-form/texts/": OBJECT,
    # Nothing to show yet: back to the builder.
    "settings/shops/<str:site_id>/data-form/preview/": MANAGER_START,
    "settings/shops/<str:site_id>/data-form/go-live/": MANAGER_CONFIRM,
    "settings/shops/<str:site_id>/data-form/copy-live/": MANAGER_CONFIRM,
    "settings/shops/<str:site_id>/data-form/withdraw/": MANAGER_CONFIRM,
    "settings/shops/<str:site_id>/data-form/cancel-request/": MANAGER_CONFIRM,
    "settings/shops/<str:site_id>/data-form/versions/": OBJECT,
    "settings/shops/<str:site_id>/data-form/answers/": OBJECT,
    "settings/shops/<str:site_id>/data-form/answers/<uuid:key>/": OBJECT,
    "settings/shops/<str:site_id>/data-form/answers/<uuid:key>/erase/": MANAGER_CONFIRM,
    # Whoever has the link; its own tests are in tests/shops/dataforms/test_data_form_public.py.
    "forms/<str:token>/": PUBLIC,
    "forms/preview/<str:signed>/": PUBLIC,
    "settings/company/authentication/": PAGE,
    "settings/company/authentication/<int:key>/activate/": MANAGER_CONFIRM,
    "settings/notification-rules/<str:site_id>/<slug:reference>/": OBJECT,
    "settings/notification-rules/all/": PAGE,
    "settings/notification-rules/create/<str:site_id>/": MANAGER_START,
    "settings/notification-rules/create/<str:site_id>/<uuid:draft>/<slug:step>/": MANAGER_CONFIRM,
    "settings/notification-rules/<str:site_id>/<slug:reference>/switch/": MANAGER_POST,
    "settings/notification-rules/<str:site_id>/<slug:reference>/content/": OBJECT,
    "settings/notification-rules/<str:site_id>/<slug:reference>/content/preview/": OBJECT,
    "settings/notification-rules/<str:site_id>/<slug:reference>/content/restore/": MANAGER_CONFIRM,
    "settings/notification-rules/<str:site_id>/<slug:reference>/duplicate/": MANAGER_POST,
    "settings/notification-rules/<str:site_id>/<slug:reference>/delete/": MANAGER_CONFIRM,
    "notifications/journal/<uuid:key>/": OBJECT,
    "notifications/journal/<uuid:key>/html/": OBJECT,
    "notifications/journal/<uuid:key>/resend/": MANAGER_CONFIRM,
    "notifications/journal/<uuid:key>/cancel/": MANAGER_CONFIRM,
    "billing/": PAGE,
    "billing/<uuid:key>/": OBJECT,
    "billing/<uuid:key>/download/": OBJECT,
    "notifications/journal/<uuid:key>/attachments/<int:number>/": OBJECT,
    "reports/consistency/": PAGE,
    "reports/consistency/run/": ADMIN_POST,
    "status/": PUBLIC,
    "support/": PUBLIC,
    "status/feed/": PUBLIC,
    "newsletter/unsubscribe/<str:token>/": PUBLIC,
    "payment-orders/": PAGE,
    "payment-orders/new/": MANAGER_PAGE,
    "payment-orders/preview/<str:site_id>/": MANAGER_CONFIRM,
    "payment-orders/templates/": MANAGER_PAGE,
    "payment-orders/templates/<str:site_id>/new/": MANAGER_CONFIRM,
    "payment-orders/templates/<str:site_id>/<int:key>/": MANAGER_CONFIRM,
    "payment-orders/templates/<str:site_id>/<int:key>/duplicate/": MANAGER_POST,
    "payment-orders/templates/<str:site_id>/<int:key>/delete/": MANAGER_CONFIRM,
    "payment-orders/<uuid:key>/": OBJECT,
    "payment-orders/<uuid:key>/edit/": MANAGER_CONFIRM,
    "payment-orders/<uuid:key>/validity/": MANAGER_CONFIRM,
    "payment-orders/<uuid:key>/resend/": MANAGER_CONFIRM,
    "payment-orders/<uuid:key>/cancel/": MANAGER_CONFIRM,
    "payment-orders/<uuid:key>/reactivate/": MANAGER_CONFIRM,
    "payment-orders/<uuid:key>/handed-over/": MANAGER_CONFIRM,
    # Whoever has the link; its own tests are in tests/shops/orders/test_payment_order_public.py.
    "orders/<str:token>/": PUBLIC,
    "orders/<str:token>/pay/": (405,) * 6,
    "orders/<str:token>/problem/": PUBLIC,
    "orders/<str:token>/problem/done/": GONE,
    "notifications/journal/<uuid:key>/replay/": (302, 403, 404, 404, 404, 404),  # a mail is no call
    "notifications/journal/replay/": (302, 403, 200, 200, 200, 404),
    "settings/notification-rules/<str:site_id>/tests/<uuid:run>/": MANAGER_CONFIRM,
    "notifications/replays/<uuid:run>/": OBJECT,
    "notifications/replays/<uuid:run>/stop/": POST_ONLY,
    "companies/": PAGE,
    "account/": (302, 200, 200, 200, 200, 200),
    "account/sessions/": (302, 200, 200, 200, 200, 200),
    "account/sessions/end-others/": OWN_PROVEN,
    # Nobody else's session is there for anybody.
    "account/sessions/<uuid:key>/end/": (302, 404, 404, 404, 404, 404),
    "api/v1/events": (405,) * 6,
    "api/v1/companies/<reference>": API,
    "api/v1/companies/<reference>/delivery-tables": API,
    "api/v1/companies/<reference>/explain": API,
    "api/v1/companies/<reference>/coverage": API,
    "api/v1/deliveries": API,
    # Without a secret there is no such provider.
    "api/v1/bounces/<slug:provider>/": GONE,
    "accounts/signup/": GONE,
    "accounts/email/": GONE,
}
# Tested where they are at home (log-in, account, health, API description): test_login, test_account, test_shell, test_api.
ELSEWHERE = (
    "accounts/",
    "admin/",
    "livez",
    "readyz",
    "metrics",
    "language/",
    "company/",
    "api/",
    "static/",
    "view-as/",
)


def test_every_route_has_an_expectation() -> None:
    missing = {path for path in routes() if path and path not in EXPECTED and not path.startswith(ELSEWHERE)}
    assert not missing, "say in EXPECTED who may see these"


def test_no_expectation_is_left_behind() -> None:
    assert set(EXPECTED) <= set(routes())


@pytest.fixture
def visitors(company: Company, shop: Shop, client_for: Callable[..., Client]) -> dict[str, Client]:
    other = CompanyFactory(reference="autre")
    return {
        "anonymous": Client(),
        "viewer": client_for(UserFactory(company=company, role=Role.VIEWER)),
        "manager": client_for(UserFactory(company=company, role=Role.MANAGER)),
        "administrator": client_for(UserFactory(company=company, role=Role.ADMINISTRATOR)),
        "stranger": client_for(UserFactory(company=other, role=Role.ADMINISTRATOR)),
        "staff": client_for(StaffFactory()),
    }


@pytest.fixture
def fill(company: Company, shop: Shop) -> Callable[[str], str]:
    """A function that puts objects of the company into a route."""
    makers = makers_of(company, shop)
    return lambda route: put(route, makers)


@pytest.mark.parametrize("route", sorted(EXPECTED))
def test_each_visitor_gets_the_expected_answer(
    route: str, visitors: dict[str, Client], fill: Callable[[str], str]
) -> None:
    url = fill(route)
    answers = {name: client.get(url) for name, client in visitors.items()}
    assert tuple(answer.status_code for answer in answers.values()) == EXPECTED[route], url
    if EXPECTED[route][0] == 302:
        assert answers["anonymous"].headers["Location"].startswith("/accounts/login/?next=/")
    for name, answer in answers.items():
        if answer.status_code == 302 and name != "anonymous":
            proven = (ADMIN_CONFIRMED, ADMIN_PROVEN, OWN_PROVEN)
            proof = ("/accounts/reauthenticate/?next=/",) if EXPECTED[route] in proven else ()
            inside = ("/settings/", *proof)
            assert unquote(answer.headers["Location"]).startswith(inside), name


@pytest.mark.parametrize("route", sorted(route for route in EXPECTED if EXPECTED[route] == PAGE))
def test_a_nul_in_the_address_is_no_error(route: str, visitors: dict[str, Client], fill: Callable[[str], str]) -> None:
    """PostgreSQL refuses the character in any text, so none may reach a query."""
    names = (
        "q",
        "shop",
        "rule",
        "address",
        "event",
        "user",
        "who",
        "object",
        "field",
        "type",
        "state",
        "status",
        "page",
    )
    query = "&".join(f"{name}=%00" for name in names)
    assert visitors["administrator"].get(f"{fill(route)}?{query}").status_code in (200, 404)


OF_A_SHOP = [
    route
    for route in sorted(EXPECTED)
    # A link « Annuler » belongs to whoever made the change, a filter of the journal to whoever kept it.
    if EXPECTED[route][0] == 302
    and "<" in route
    and not route.startswith(("account/", "help/", "notifications/addresses/undo/", "notifications/journal/filters/"))
    and "company" not in route
]


@pytest.mark.parametrize("route", OF_A_SHOP)
def test_rights_on_one_shop_open_nothing_of_another(
    route: str, visitors: dict[str, Client], fill: Callable[[str], str], client_for: Callable[..., Client]
) -> None:
    """Manager of another shop and viewer of this one: reads like a viewer, changes nothing. Hidden: not found."""
    url = fill(route)
    shop = Shop.objects.get(site_id="10000001")
    managed = {ShopFactory(company=shop.company): PERMISSIONS[Role.ADMINISTRATOR]}
    mixed = client_for(UserFactory(company=shop.company, role=Role.VIEWER, shops=[shop], grants=managed), fresh=True)
    blind = client_for(UserFactory(company=shop.company, role=Role.VIEWER, shops=[], grants=managed), fresh=True)
    expected = EXPECTED[route][1]
    assert mixed.get(url).status_code in ({expected} if expected == 200 else {403, 405})
    assert mixed.post(url).status_code in (403, 405)
    assert (blind.get(url).status_code in (404, 405)) and (blind.post(url).status_code in (404, 405))


@pytest.mark.parametrize(
    ("route", "nowhere"),
    [
        ("settings/company/users/<int:key>/", "/settings/company/users/99999999/"),
        (
            "settings/company/sftp-accounts/<uuid:key>/",
            "/settings/company/sftp-accounts/00000000-0000-4000-8000-000000000000/",
        ),
        ("settings/shops/<str:site_id>/configuration/", "/settings/shops/99999999/configuration/"),
        ("settings/shops/<str:site_id>/keys/", "/settings/shops/99999999/keys/"),
        ("settings/shops/<str:site_id>/keys/<slug:name>/", "/settings/shops/99999999/keys/production/"),
        ("settings/shops/<str:site_id>/contracts/", "/settings/shops/99999999/contracts/"),
        ("settings/shops/<str:site_id>/data-form/", "/settings/shops/99999999/data-form/"),
        ("settings/shops/<str:site_id>/data-form/answers/", "/settings/shops/99999999/data-form/answers/"),
        ("settings/company/authentication/<int:key>/activate/", "/settings/company/authentication/999999/activate/"),
        ("settings/notification-rules/<str:site_id>/<slug:reference>/", "/settings/notification-rules/99999999/x/"),
        ("payment-orders/<uuid:key>/", "/payment-orders/00000000-0000-4000-8000-000000000000/"),
        ("payment-orders/<uuid:key>/edit/", "/payment-orders/00000000-0000-4000-8000-000000000000/edit/"),
        ("settings/company/history/<int:key>/", "/settings/company/history/99999999/"),
        ("settings/company/api-tokens/<int:key>/", "/settings/company/api-tokens/99999999/"),
        ("notifications/journal/<uuid:key>/", "/notifications/journal/00000000-0000-4000-8000-000000000000/"),
    ],
)
def test_a_strangers_object_reads_exactly_like_none(
    route: str, nowhere: str, visitors: dict[str, Client], fill: Callable[[str], str]
) -> None:
    theirs, none = visitors["stranger"].get(fill(route)), visitors["stranger"].get(nowhere)
    assert (theirs.status_code, none.status_code) == (404, 404)
    assert theirs.content == none.content
