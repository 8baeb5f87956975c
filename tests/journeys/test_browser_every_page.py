"""Every page that the URL configuration knows, in a real Chromium: no refused content, no complaint of the console,
nothing for axe-core.

The list of pages is the list of routes: a new one is opened without being named here, and must say in NO_PAGE if
what it answers is none.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.test import Client, RequestFactory

from backoffice.site import views
from companies import links
from companies.models import Company, Session, User
from notifications.models import SavedFilter
from shops.models import Shop
from tests.browsing import overflow, violations
from tests.factories import (
    PASSWORD,
    DeliveryFactory,
    EventFactory,
    MessageFactory,
    NotificationRuleFactory,
    PaymentOrderFactory,
    StaffFactory,
    UserFactory,
)
from tests.walk import account_makers, admin_makers, makers_of, objects_of_the_admin, put, routes, state_makers

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# What says that a document is one of a site; a mail in its frame is none.
OF_A_SITE = ("landmark-one-main", "page-has-heading-one", "region")
MAIL = "<!doctype html><html lang='fr'><head><title>Paiement</title></head><body><p>Accepté.</p></body></html>"

# Routes that answer no page of their own to a GET of the fitting visitor, with the status of what they answer.
NO_PAGE: dict[str, int] = {
    "notifications/addresses/reactivate/": 405,
    "notifications/addresses/undo/<str:token>/": 404,
    "notifications/addresses/verify/": 405,
    "accounts/email/": 404,
    "accounts/mfa/authenticate/": 302,
    "accounts/mfa/passkeys/login/": 302,
    "accounts/mfa/reauthenticate/": 302,
    "accounts/mfa/recovery-codes/download/": 404,
    "accounts/signup/": 404,
    "admin/(?P<url>.*)$": 404,
    "admin/atelier/<str:key>/send/": 405,
    "admin/autocomplete/": 403,
    "admin/companies/auditentry/add/": 403,
    "admin/jsi18n/": 200,
    "admin/login/": 302,
    "admin/logout/": 405,
    "admin/notifications/addresshealth/add/": 403,
    "admin/notifications/delivery/add/": 403,
    "admin/notifications/event/add/": 403,
    "admin/notifications/delivery/<uuid:key>/files/<int:number>/": 200,
    "settings/company/mail-server/remove/": 405,
    "admin/sending/limits/": 405,
    "admin/sending/limits/<int:key>/end/": 405,
    "admin/notifications/newsletter/<int:key>/cancel/": 405,
    "admin/notifications/newsletter/<int:key>/pause/": 405,
    "admin/notifications/newsletter/<int:key>/resume/": 405,
    "admin/notifications/newsletter/<int:key>/send/": 405,
    "admin/notifications/newsletter/<int:key>/try/": 405,
    "admin/password_change/": 302,
    "admin/r/<path:content_type_id>/<path:object_id>/": 404,
    "admin/sending/<int:key>/resume/": 405,
    "admin/shops/billingdocument/<uuid:key>/pdf/": 200,
    "admin/shops/billingdocument/add/": 403,
    "admin/shops/billingdocument/drafts/<uuid:key>/pdf/": 200,
    "admin/shops/dataformversion/add/": 403,
    "admin/shops/paymentorder/add/": 403,
    "admin/support/erase/": 302,
    "admin/support/export/": 405,
    "api/": 404,
    "api/v1/": 404,
    "api/v1/bounces/<slug:provider>/": 404,
    "api/v1/companies/<reference>": 401,
    "api/v1/companies/<reference>/delivery-tables": 401,
    "api/v1/companies/<reference>/explain": 401,
    "api/v1/companies/<reference>/coverage": 401,
    "api/v1/deliveries": 401,
    "api/v1/events": 405,
    "api/v1/openapi.json": 200,
    "billing/<uuid:key>/download/": 200,
    "company/": 405,
    "language/": 405,
    "livez": 200,
    "metrics": 404,
    "notifications/coverage/<str:site_id>/<slug:notification>/reopen/": 405,
    "notifications/coverage/company/<slug:notification>/reopen/": 405,
    "notifications/coverage/remarks/<int:key>/close/": 405,
    "notifications/journal/<uuid:key>/attachments/<int:number>/": 200,
    "notifications/journal/<uuid:key>/replay/": 404,
    "notifications/replays/<uuid:run>/stop/": 405,
    "notifications/journal/many/": 405,
    "notifications/journal/filters/": 405,
    "notifications/journal/filters/<int:key>/delete/": 405,
    "orders/<str:token>/pay/": 405,
    "orders/<str:token>/problem/done/": 404,
    "payment-orders/templates/<str:site_id>/<int:key>/duplicate/": 405,
    "readyz": 200,
    "reports/consistency/run/": 405,
    "settings/notification-rules/<str:site_id>/<slug:reference>/duplicate/": 405,
    "settings/notification-rules/<str:site_id>/<slug:reference>/switch/": 405,
    "settings/notification-rules/create/<str:site_id>/": 302,
    "settings/shops/<str:site_id>/data-form/fields/": 405,
    "settings/shops/<str:site_id>/data-form/preview/": 302,
    "settings/shops/<str:site_id>/keys/tests-done/": 405,
    "status/feed/": 200,
    "view-as/stop/": 405,
}
NO_PAGE |= {
    # The former address of a change page leads to it; nothing but a group of the team is deleted here.
    route: 302 if route.endswith("<path:object_id>/") else 403
    for route in routes(admin=True)
    if re.fullmatch(r"admin/\w+/\w+/<path:object_id>/(delete/)?", route)
    and route != "admin/auth/group/<path:object_id>/delete/"
}


# --- Listening ------------------------------------------------------------------------------------

LISTEN = """
document.addEventListener("securitypolicyviolation", event => console.error(
  "REFUSED " + event.effectiveDirective + " " + event.blockedURI + " " + event.sample));
"""


@dataclass
class Visitor:
    """A page of somebody's browser, and what was heard on it since the last look."""

    page: Any
    client: Client
    heard: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.add_init_script(LISTEN)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.heard.append(f"script: {error}"))

    def _console(self, message: Any) -> None:
        # The status of the page itself is looked at where it is opened.
        own_status = message.text.startswith("Failed to load resource") and message.location["url"] == self.page.url
        if message.type in ("error", "warning") and not own_status:
            self.heard.append(f"{message.type}: {message.text[:300]}")

    def open(self, path: str) -> Any:
        return self.page.goto(path, wait_until="load")

    def wrong(self, answer: Any = None) -> list[str]:
        """What was heard, and what axe-core finds on the page as it is now; starts afresh."""
        ignored: tuple[str, ...] = ()
        if answer is not None and "sandbox" in answer.headers.get("content-security-policy", ""):
            # No script runs there, not even that of axe-core: the same document without the policy.
            html = answer.text()
            self.page.goto("about:blank")
            self.page.set_content(html)
            ignored = OF_A_SITE
        found = [*self.heard, *violations(self.page, ignored)]
        self.heard.clear()
        return found


# What a page may have in height on a phone before « more », in px.
TALLEST = 4000


def misfits(page: Any) -> list[str]:
    """Tables wider than their frame in the window as it is, and what makes the page too wide or high for a phone."""
    found = page.evaluate(
        """() => [...document.querySelectorAll(".table-wrap > table")]
             .filter(table => table.offsetWidth > table.parentElement.clientWidth + 1)
             .map(table => `table of ${table.offsetWidth} px in ${table.parentElement.clientWidth}`)"""
    )
    size = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 844})
    found += overflow(page)
    height = page.evaluate("document.documentElement.scrollHeight")
    if height > TALLEST:
        found.append(f"{height} px high on a phone, which shows {TALLEST} before « more »")
    page.set_viewport_size(size)
    return found


@pytest.fixture
def visit(browser: Any, live_server: Any, client_for: Callable[..., Client]) -> Iterator[Callable[..., Visitor]]:
    """A function that opens a browser for a user, or for nobody, with the proof of identity fresh."""
    contexts = []

    def enter(user: User | None = None, **options: Any) -> Visitor:
        context = browser.new_context(
            base_url=live_server.url,
            locale="fr-FR",
            reduced_motion="reduce",
            **{"viewport": {"width": 1280, "height": 900}, **options},
        )
        contexts.append(context)
        client = client_for(user, fresh=True) if user else Client()
        if user:
            name = settings.SESSION_COOKIE_NAME
            context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": live_server.url}])
        return Visitor(context.new_page(), client)

    yield enter
    for context in contexts:
        context.close()


# --- What there is to see -------------------------------------------------------------------------

# Whoever has the link, or comes to the door.
PUBLIC = (
    "accounts/login/",
    "accounts/password/reset/",
    "accounts/inactive/",
    "accounts/set-password/",
    "accounts/login-link/",
    "accounts/sftp-reveal/",
    "status/",
    "newsletter/",
    "orders/",
    "forms/",
    "verify/",
)


@pytest.fixture(autouse=True)
def _two_shops_and_an_address_for_incidents(standard_prices: None, company: Company, paris: Shop, lyon: Shop) -> None:
    company.incident_emails = ["alerte@lumiere.example"]
    company.save()


# Only whoever has a second factor.
OF_A_SECOND_FACTOR = ("accounts/mfa/recovery-codes/", "accounts/mfa/totp/deactivate/")


def fitting(route: str) -> str:
    if route in OF_A_SECOND_FACTOR:
        return "doris"
    if route.startswith("admin/"):
        return "staff"
    return "nobody" if route.startswith(PUBLIC) else "claire"


def mail_of(shop: Shop) -> str:
    event = EventFactory(shop=shop)
    return f"journal/{DeliveryFactory(event=event, message=MessageFactory(event=event, html=MAIL)).pk}"


@dataclass(frozen=True)
class Look:
    name: str
    language: str
    options: dict[str, Any]
    # Every which of the routes, from which on: parts of one walk are shared out over the workers.
    every: int
    first: int = 0


WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
NARROW: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
PARTS = 4
LOOKS = (
    *(Look(f"wide, French, light, part {part + 1}", "fr", WIDE, PARTS, part) for part in range(PARTS)),
    Look("narrow, English, dark", "en", NARROW, 5),
)


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_every_route_that_answers_a_page_is_quiet_and_accessible(
    look: Look, shop: Shop, visit: Callable[..., Visitor], client_for: Callable[..., Client]
) -> None:
    claire = UserFactory(company=shop.company, language=look.language)
    doris = UserFactory(company=shop.company, language=look.language)
    TOTP.activate(doris, generate_totp_secret())
    RecoveryCodes.activate(doris)
    client_for(claire)
    other = Session.objects.get(user=claire)
    visitors = {
        "doris": visit(doris, **look.options),
        "nobody": visit(**look.options),
        "claire": visit(claire, **look.options),
        "staff": visit(StaffFactory(language=look.language), **look.options),
    }
    makers = {
        "journal/<uuid:key>/html": lambda: f"{mail_of(shop)}/html",
        "delivery/<uuid:key>/mail": lambda: f"{mail_of(shop)}/mail".replace("journal/", "delivery/"),
        **state_makers(shop.company),
        **account_makers(claire),
        **admin_makers(shop),
        **makers_of(shop.company, shop),
        "sessions/<uuid:key>": lambda: f"sessions/{other.pk}",
    }
    wrong, surprises = [], []
    asked = sorted(set(routes(admin=True)))
    for route in asked[look.first :: look.every]:
        visitor = visitors[fitting(route)]
        path = put(route, makers)
        answer = visitor.client.get(path)
        page = answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/html")
        if page == (route in NO_PAGE) or answer.status_code != NO_PAGE.get(route, 200):
            surprises.append(f'    "{route}": {answer.status_code},  # {answer.headers.get("Content-Type")}')
        if not page:
            continue
        opened = visitor.open(path)
        assert opened.status == 200, path
        wrong += [f"{route} {line}" for line in visitor.wrong(opened)]
        wrong += [f"{route} {line}" for line in misfits(visitor.page)]
    assert not wrong, "\n".join(wrong)
    assert not surprises, "NO_PAGE says otherwise of these:\n" + "\n".join(surprises)


# --- Pages that no plain GET of a route shows -----------------------------------------------------


def test_lists_of_the_admin_searched_and_filtered_are_quiet_and_accessible(
    shop: Shop, visit: Callable[..., Visitor]
) -> None:
    staff = visit(StaffFactory())
    wrong = []
    for model, make in objects_of_the_admin(shop).items():
        make()
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        staff.open(f"{path}?q=e")
        wrong += [f"{path} searched {line}" for line in staff.wrong()]
        links_of_filters = staff.page.locator("#changelist-filter li a, #changelist-filter ul a")
        if links_of_filters.count() > 1:
            with staff.page.expect_navigation():
                links_of_filters.nth(1).evaluate("link => link.click()")
            wrong += [f"{staff.page.url} {line}" for line in staff.wrong()]
    for path in ("addresses", "erase"):
        staff.open(f"/admin/support/{path}/?q={shop.company.manager_contact.email}")
        wrong += [f"{path} {line}" for line in staff.wrong()]
    assert not wrong, "\n".join(wrong)


def test_every_action_of_the_admin_leads_to_a_page_without_complaint(shop: Shop, visit: Callable[..., Visitor]) -> None:
    team = StaffFactory()
    staff = visit(team)
    request = RequestFactory().get("/admin/")
    request.user = team
    wrong, done = [], []
    for model, make in objects_of_the_admin(shop).items():
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        for action in admin.site.get_model_admin(model).get_actions(request):
            pk = make().pk
            staff.open(path)
            staff.page.locator(f"input[name=_selected_action][value='{pk}']").check()
            staff.page.locator("select[name=action]").first.select_option(action)
            with staff.page.expect_navigation():
                staff.page.locator("button[name=index]").first.click()
            wrong += [f"{path} {action} {line}" for line in staff.wrong()]
            done.append(action)
    assert not wrong, "\n".join(wrong)
    assert {"suspend", "close", "reactivate", "check_settings", "revoke", "archive"} <= set(done)


def test_forms_of_the_admin_that_come_back_with_errors_are_quiet_and_accessible(
    shop: Shop, visit: Callable[..., Visitor]
) -> None:
    staff = visit(StaffFactory())
    wrong = []
    for route in sorted(route for route in set(routes(admin=True)) - set(NO_PAGE) if route.endswith("/add/")):
        if not route.startswith("admin/"):
            continue
        staff.open(f"/{route}")
        staff.page.evaluate("document.querySelector('#content-main form').noValidate = true")
        with staff.page.expect_navigation():
            staff.page.locator("input[name=_save]").first.click()
        assert staff.page.locator(".errornote").count(), route
        wrong += [f"{route} {line}" for line in staff.wrong()]
    assert not wrong, "\n".join(wrong)


def test_pages_under_the_banner_of_seeing_as_somebody_are_quiet_and_accessible(
    shop: Shop, visit: Callable[..., Visitor]
) -> None:
    claire, staff = UserFactory(company=shop.company), visit(StaffFactory())
    staff.open(f"/admin/companies/user/{claire.pk}/view-as/")
    staff.page.fill("[name=reason]", "demande 4711")
    staff.page.locator("#content-main input[type=submit]").click()
    wrong = []
    for path in ("/", "/settings/company/", "/notifications/journal/"):
        staff.open(path)
        assert "vous voyez comme" in staff.page.inner_text("body")
        wrong += staff.wrong()
    assert not wrong, "\n".join(wrong)


def test_the_question_for_the_second_factor_is_quiet_and_accessible(shop: Shop, visit: Callable[..., Visitor]) -> None:
    doris, guest = UserFactory(company=shop.company), visit()
    TOTP.activate(doris, generate_totp_secret())
    guest.open("/accounts/login/")
    guest.page.fill("[name=login]", doris.login)
    guest.page.fill("[name=password]", PASSWORD)
    guest.page.click("main button[type=submit]")
    guest.page.wait_for_url("**/accounts/mfa/authenticate/**")
    assert guest.wrong() == []


def test_what_a_search_or_a_button_opens_is_quiet_and_accessible(shop: Shop, visit: Callable[..., Visitor]) -> None:
    """The page of an address, what was searched, a search that was kept, what would be done to many deliveries."""
    assert shop.company.manager_contact
    email, user = shop.company.manager_contact.email, UserFactory(company=shop.company)
    claire, event = visit(user), EventFactory(shop=shop)
    sent = DeliveryFactory(event=event, message=MessageFactory(event=event), status="sent", address=email)
    SavedFilter.objects.create(company=shop.company, user=user, name="Envoyés", query="status=sent")
    rule = NotificationRuleFactory(shop=shop, recipients=["equipe@lumiere.example"])
    wrong = []
    for path in (
        f"/notifications/addresses/?{urlencode({'address': email})}",
        "/notifications/addresses/?address=inconnue@lumiere.example",
        f"/notifications/addresses/map/?{urlencode({'shop': shop.site_id})}",
        "/search/?q=Lumi",
        "/search/?q=introuvable",
        f"/settings/notification-rules/all/?{urlencode({'q': rule.label})}",
        "/settings/notification-rules/address/?change=add",
        "/notifications/journal/?status=sent",
    ):
        opened = claire.open(path)
        assert opened.status == 200, path
        wrong += [f"{path} {line}" for line in (*claire.wrong(), *misfits(claire.page))]
    claire.page.locator(f"input[type=checkbox][value='{sent.pk}']").check()
    with claire.page.expect_navigation():
        claire.page.locator("#many-form button[value=resend]").click()
    claire.page.wait_for_url("**/journal/many/")
    wrong += [f"many {line}" for line in (*claire.wrong(), *misfits(claire.page))]
    assert not wrong, "\n".join(wrong)


def test_pages_on_paper_show_no_accessibility_error(shop: Shop, visit: Callable[..., Visitor]) -> None:
    claire = visit(UserFactory(company=shop.company))
    claire.page.emulate_media(media="print")
    wrong = []
    for path in ("/", "/notifications/addresses/", "/notifications/journal/", "/settings/company/", "/billing/"):
        claire.open(path)
        wrong += [f"{path} {line}" for line in claire.wrong()]
    assert not wrong, "\n".join(wrong)


# --- Errors ---------------------------------------------------------------------------------------


def test_pages_of_errors_are_quiet_and_accessible(
    shop: Shop, visit: Callable[..., Visitor], monkeypatch: pytest.MonkeyPatch, live_server: Any
) -> None:
    viewer, guest = visit(UserFactory(company=shop.company, role="viewer")), visit()
    cancelled = PaymentOrderFactory(shop=shop, status="cancelled")
    used = links.make_password_link(UserFactory()).rsplit("/", 2)[1] + "x"
    wrong = []

    def see(visitor: Visitor, path: str, status: int, **form: str) -> None:
        if form:
            visitor.open("/accounts/login/")
            for name, value in form.items():
                visitor.page.fill(f"[name={name}]", value)
            with visitor.page.expect_navigation() as found:
                visitor.page.click("main button[type=submit]")
            answer = found.value
        else:
            answer = visitor.open(path)
        assert answer.status == status, (path, answer.status)
        wrong.extend(f"{path} {status} {line}" for line in visitor.wrong())

    see(viewer, "/settings/company/users/", 403)
    see(viewer, "/nothing-here/", 404)
    see(guest, "/nothing-here/", 404)
    see(guest, f"/accounts/set-password/{used}/", 410)
    see(guest, f"/accounts/login-link/{used}/", 410)
    see(guest, f"/accounts/sftp-reveal/{used}/", 410)
    see(guest, f"/orders/{cancelled.token}/", 410)
    with monkeypatch.context() as patched:
        patched.setattr("companies.accounts.auth.LoginBackend.authenticate", lambda *args, **kwargs: 1 / 0)
        see(guest, "/accounts/login/", 500, login="x", password="y")
    guest.page.context.clear_cookies()
    guest.open("/accounts/login/")
    guest.page.context.clear_cookies()
    guest.page.fill("[name=login]", "x")
    guest.page.fill("[name=password]", "y")
    with guest.page.expect_navigation() as refused:
        guest.page.click("main button[type=submit]")
    assert refused.value.status == 403
    wrong += guest.wrong()
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["400", "429"])
def test_pages_of_errors_that_no_form_provokes_are_accessible(
    name: str, visit: Callable[..., Visitor], shop: Shop
) -> None:
    """As the handlers make them, under the policy and the address of the site."""
    handler = {"400": views.bad_request, "429": views.too_many_requests}[name]
    request = RequestFactory().get("/")
    request.user, request.session = AnonymousUser(), SessionStore()
    body = handler(request).content.decode()
    guest = visit()
    policy = guest.client.get("/nothing-here/").headers["Content-Security-Policy"]
    guest.page.route(
        "**/an-error/",
        lambda route: route.fulfill(
            status=int(name), body=body, content_type="text/html", headers={"Content-Security-Policy": policy}
        ),
    )
    assert guest.open("/an-error/").status == int(name)
    assert guest.wrong() == []


# --- The ear hears --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attack", "directive"),
    [
        ("<p onclick='document.title = 1'>x</p>", "script-src"),
        ("<p style='color: red'>x</p>", "style-src"),
        ("<img alt='' src='https://elsewhere.example/x.png'>", "img-src"),
        ("<iframe title='x' src='https://elsewhere.example/'></iframe>", "frame-src"),
    ],
)
@pytest.mark.parametrize("path", ["/status/", "/accounts/login/"])
def test_the_listener_hears_what_the_policy_refuses(
    path: str, attack: str, directive: str, visit: Callable[..., Visitor], shop: Shop
) -> None:
    guest = visit()
    guest.open(path)
    assert guest.wrong() == []
    guest.page.evaluate("html => document.querySelector('main').insertAdjacentHTML('beforeend', html)", attack)
    guest.page.wait_for_function("performance.now() > 0")
    heard = " ".join(guest.wrong())
    assert "REFUSED" in heard and directive in heard


def test_axe_and_the_console_are_heard_too(visit: Callable[..., Visitor], shop: Shop) -> None:
    guest = visit()
    guest.open("/status/")
    guest.page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<input>')")
    guest.page.evaluate("console.error('a complaint')")
    heard = " ".join(guest.wrong())
    assert "[label]" in heard and "a complaint" in heard
