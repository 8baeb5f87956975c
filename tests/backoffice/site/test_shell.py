"""The frame around every page: language, headers, error pages, switches, health."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import resolve, reverse

from backoffice.base import paging
from backoffice.site import menu
from backoffice.site.views import server_error
from companies.models import AuditEntry, Role, User
from notifications.outbox import signs
from notifications.outbox.tally import Tally
from tests.codes import code_of
from tests.factories import PASSWORD, CompanyFactory, MembershipFactory, StaffFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
ClientFor = Callable[..., Client]

SCREENS = ["home", "account", "account_change_password", "mfa_index", "account_logout"]
DOORS = ["account_login", "account_reset_password", "account_reset_password_done", "account_inactive"]


def language_of(response: Any) -> str:
    return re.search(r'<html lang="(\w+)"', response.content.decode()).group(1)


# --- Language -------------------------------------------------------------------------------------


def test_a_page_is_french_whatever_the_browser_asks_for(client: Client) -> None:
    response = client.get(reverse("account_login"), headers={"accept-language": "en-GB,en;q=0.9"})
    assert language_of(response) == "fr"
    assert response.headers["Content-Language"] == "fr"


def test_the_switch_keeps_the_language_in_a_cookie_and_stays_on_the_page(client: Client) -> None:
    response = client.post(reverse("set_language"), {"language": "en", "next": "/accounts/login/?next=/account/"})
    assert response.headers["Location"] == "/accounts/login/?next=/account/"
    assert response.cookies["language"].value == "en"
    assert language_of(client.get(reverse("account_login"))) == "en"


def test_the_switch_is_kept_in_the_settings_of_a_user_and_in_the_history(client_for: ClientFor) -> None:
    user = UserFactory(language="fr")
    client_for(user).post(reverse("set_language"), {"language": "en", "next": "/"})
    assert User.objects.get(pk=user.pk).language == "en"
    assert AuditEntry.objects.get(action="user.updated").changes == {"language": ["fr", "en"]}
    assert language_of(client_for(user).get(reverse("account"))) == "en", "on another browser too"


def test_the_setting_of_the_user_wins_over_the_cookie(client_for: ClientFor) -> None:
    client = client_for(UserFactory(language="fr"))
    client.cookies["language"] = "en"
    assert language_of(client.get(reverse("account"))) == "fr"


@pytest.mark.parametrize("language", ["de", "", "en\x00", "../fr"])
def test_an_unknown_language_changes_nothing(client: Client, language: str) -> None:
    response = client.post(reverse("set_language"), {"language": language, "next": "/"})
    assert response.status_code == 302
    assert "language" not in response.cookies


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "", "\\\\evil.example"]
)
def test_the_switch_never_leads_to_another_site(client: Client, target: str) -> None:
    response = client.post(reverse("set_language"), {"language": "en", "next": target})
    assert response.headers["Location"] == "/"


# --- Content security policy ----------------------------------------------------------------------


def assert_strict(response: Any) -> None:
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    html = response.content.decode()
    for tag in re.findall(r"<script\b[^>]*>", html):
        assert " src=" in tag or " nonce=" in tag, tag
    assert not re.findall(r"<style\b(?![^>]*nonce=)", html)
    assert not re.findall(r"<[^>]+\s(?:style|on[a-z]+)=", html)


@pytest.mark.parametrize("name", SCREENS)
def test_screens_carry_a_strict_policy_and_nothing_inline(client_for: ClientFor, name: str) -> None:
    response = client_for(UserFactory()).get(reverse(name))
    assert response.status_code == 200
    assert_strict(response)


@pytest.mark.parametrize("name", DOORS)
def test_pages_at_the_door_carry_a_strict_policy_and_nothing_inline(client: Client, name: str) -> None:
    response = client.get(reverse(name))
    assert response.status_code == 200
    assert_strict(response)


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_has_one_heading_a_main_landmark_and_a_skip_link(client_for: ClientFor, name: str) -> None:
    html = client_for(UserFactory()).get(reverse(name)).content.decode()
    assert len(re.findall(r"<h1\b", html)) == 1
    assert html.count("<main ") == 1
    assert '<a class="skip-link" href="#content">' in html


def test_the_way_out_is_on_every_page(client_for: ClientFor) -> None:
    user, staff = client_for(UserFactory()), client_for(StaffFactory())
    for browser, names in ((user, SCREENS), (staff, ["admin:index", "admin:companies_company_changelist"])):
        for name in names:
            body = browser.get(reverse(name)).content.decode()
            assert 'action="/accounts/logout/"' in body or 'action="/admin/logout/"' in body, name


def test_pages_stay_out_of_shared_caches(client_for: ClientFor) -> None:
    assert client_for(UserFactory()).get("/account/").headers["Cache-Control"] == "no-store"


# --- Error pages ----------------------------------------------------------------------------------


def test_every_404_is_the_same_page_byte_for_byte(client: Client, client_for: ClientFor) -> None:
    english = client_for(UserFactory(language="en"))
    staff = client_for(StaffFactory())
    bodies = {
        browser.get(path).content
        for browser in (client, english, staff)
        for path in ("/nothing/", "/accounts/signup/", "/settings/shops/99999999/nothing/", "/%3Cscript%3E/?q=1")
    }
    assert len(bodies) == 1
    body = bodies.pop().decode()
    assert "<form" not in body and "nonce" not in body and "csrf" not in body
    assert "Cette page n'existe pas" in body.replace("&#x27;", "'")


def test_404_headers_tell_no_more_than_the_page(client: Client, client_for: ClientFor) -> None:
    def told(response: Any) -> dict[str, str]:
        return {name: value for name, value in response.headers.items() if name != "X-Request-ID"}

    assert told(client.get("/nothing/")) == told(client_for(UserFactory(language="en")).get("/something-else/"))


def test_a_form_from_another_session_gets_our_page(client_for: ClientFor) -> None:
    response = client_for(UserFactory(), enforce_csrf_checks=True).post(reverse("account_logout"))
    assert response.status_code == 403
    assert "Ce formulaire a expiré" in response.content.decode()
    assert_strict(response)


def test_the_500_page_needs_neither_user_nor_database(rf: RequestFactory) -> None:
    connection.close()
    response = server_error(rf.get("/"))
    assert response.status_code == 500
    assert b"<h1>" in response.content


def test_a_wrong_host_is_a_400_in_our_look(client: Client) -> None:
    response = client.get("/accounts/login/", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert b"evil" not in response.content
    assert b"<h1>" in response.content


# --- Company switch and menu ----------------------------------------------------------------------


def test_a_user_of_two_companies_switches_between_them(client_for: ClientFor) -> None:
    user = UserFactory(company=CompanyFactory(name="Maison Lumière"))
    other = MembershipFactory(user=user, company=CompanyFactory(name="Ateliers du Port")).company
    client = client_for(user)
    assert 'class="clip">Maison Lumière</span>' in client.get("/").content.decode()
    assert client.post(reverse("switch_company"), {"company": other.pk}).status_code == 302
    assert 'class="clip">Ateliers du Port</span>' in client.get("/").content.decode()


@pytest.mark.parametrize("wanted", ["stranger", "", "0", "x"])
def test_switching_to_a_company_of_others_is_a_404(client_for: ClientFor, wanted: str) -> None:
    stranger = CompanyFactory()
    response = client_for(UserFactory()).post(
        reverse("switch_company"), {"company": str(stranger.pk) if wanted == "stranger" else wanted}
    )
    assert response.status_code == 404


def menu_paths(role: str) -> set[str]:
    user = UserFactory(role=role)
    sections = menu.visible_menu(user.memberships.get())
    return {entry.path for section in sections for group in section["groups"] for entry in group["entries"]}


def test_the_menu_leads_only_to_pages_that_exist() -> None:
    paths = menu_paths(Role.ADMINISTRATOR)
    assert "/" in paths
    assert all(resolve(path) for path in paths)


def test_the_menu_hides_what_the_user_may_not_open() -> None:
    assert menu_paths(Role.ADMINISTRATOR) - menu_paths(Role.VIEWER) == {
        "/settings/company/users/",
        "/settings/company/sftp-accounts/",
        "/settings/company/api-tokens/",
        "/settings/shops/keys/",
    }


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/", []),
        ("/settings/company/", ["Paramétrage", "Société", "Infos Société"]),
        ("/settings/company/history/", ["Paramétrage", "Société", "Historique"]),
        ("/settings/shops/10000001/configuration/", ["Paramétrage", "Boutique", "Configuration"]),
        ("/notifications/journal/42/", ["Notifications", "Journal"]),
        ("/account/", []),
    ],
)
def test_breadcrumbs_read_like_the_menu_path(path: str, words: list[str]) -> None:
    assert [str(label) for label in menu.trail(path)] == words


def test_home_sends_staff_without_a_company_to_the_administration(client_for: ClientFor) -> None:
    assert client_for(StaffFactory()).get("/").headers["Location"] == reverse("admin:index")


def test_home_asks_strangers_to_log_in(client: Client) -> None:
    assert client.get("/").headers["Location"] == "/accounts/login/?next=/"


def test_home_says_that_nobody_hears_of_an_incident(client_for: ClientFor) -> None:
    company = CompanyFactory(incident_emails=[])
    html = client_for(UserFactory(company=company, role=Role.VIEWER)).get("/").content.decode().replace("&#x27;", "'")
    assert "1 notification n'atteint personne" in html
    company.incident_emails = ["astreinte@lumiere.example"]
    company.save()
    html = client_for(UserFactory(company=company)).get("/").content.decode()
    assert "Tout arrive</strong>" in html


# --- Health ---------------------------------------------------------------------------------------


def test_the_process_says_that_it_lives_and_that_it_is_ready(client: Client) -> None:
    assert client.get("/livez").content == b"ok"
    # No worker runs in this test: visitors are served, and the parts are named.
    response = client.get("/readyz")
    assert (response.status_code, response.content) == (200, b"degraded: tick worker")
    signs.Signs("mail").show(Tally())
    assert signs.elected("test")
    assert client.get("/readyz").content == b"ok"


def test_it_is_not_ready_while_a_migration_is_missing(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'companies'")
    response = client.get("/readyz")
    assert (response.status_code, response.content) == (503, b"migrations not applied")


@pytest.mark.parametrize(
    ("host", "address", "status"),
    [
        ("localhost:8000", "127.0.0.1", 200),
        ("127.0.0.1", "127.0.0.1", 200),
        ("testserver", "127.0.0.1", 404),
        ("localhost", "192.0.2.1", 404),
    ],
)
def test_figures_are_for_scrapers_on_this_machine(client: Client, host: str, address: str, status: int) -> None:
    assert client.get("/metrics", headers={"host": host}, REMOTE_ADDR=address).status_code == status


@pytest.mark.parametrize(
    "name",
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "forwarded", "via", "cf-connecting-ip"],
)
def test_figures_are_not_for_what_a_proxy_on_this_machine_passes_on(client: Client, name: str) -> None:
    """Its connection comes from here, and the host is what the visitor wrote."""
    for host in ("127.0.0.1", "localhost:8000"):
        answer = client.get("/metrics", headers={"host": host, name: "127.0.0.1"}, REMOTE_ADDR="127.0.0.1")
        assert answer.status_code == 404


def test_figures_are_for_who_has_the_token_and_then_for_nobody_else(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = "jeton-de-mesure"
    here = {"headers": {"host": "localhost"}, "REMOTE_ADDR": "127.0.0.1"}
    assert client.get("/metrics", **here).status_code == 404
    for sent, status in (
        ("Bearer jeton-de-mesure", 200), ("bearer jeton-de-mesure", 200), ("Bearer autre", 404), ("Bearer ", 404),
        ("jeton-de-mesure", 404), ("Basic jeton-de-mesure", 404), ("Bearer é", 404),
    ):  # fmt: skip
        answer = client.get(
            "/metrics", headers={"authorization": sent, "x-forwarded-for": "192.0.2.7"}, REMOTE_ADDR="192.0.2.1"
        )
        assert answer.status_code == status, sent


def test_figures_are_for_staff_and_not_for_merchants(client_for: ClientFor) -> None:
    assert b"django_http" in client_for(StaffFactory()).get("/metrics", REMOTE_ADDR="192.0.2.1").content
    assert client_for(UserFactory()).get("/metrics", REMOTE_ADDR="192.0.2.1").status_code == 404


# --- Second factor --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "sent_there"),
    [
        (lambda: StaffFactory(), True),
        (lambda: UserFactory(role=Role.ADMINISTRATOR), True),
        (lambda: UserFactory(role=Role.MANAGER), False),
        (lambda: UserFactory(role=Role.VIEWER), False),
    ],
)
def test_staff_and_administrators_set_up_a_second_factor_first(
    client_for: ClientFor, settings: Any, make: Callable[[], User], sent_there: bool
) -> None:
    settings.MFA_REQUIRED = True
    response = client_for(make()).get("/account/")
    assert (response.headers.get("Location") == reverse("mfa_activate_totp")) is sent_there


@pytest.mark.parametrize("name", ["livez", "account_logout", "account_reauthenticate"])
def test_the_way_to_the_second_factor_and_out_stays_open(client_for: ClientFor, settings: Any, name: str) -> None:
    settings.MFA_REQUIRED = True
    assert client_for(UserFactory()).get(reverse(name)).status_code == 200


@pytest.mark.usefixtures("one_step")
def test_an_administrator_activates_the_second_factor_and_goes_on(client: Client, settings: Any) -> None:
    from allauth.mfa.models import Authenticator

    settings.MFA_REQUIRED = True
    user = UserFactory()
    client.post(reverse("account_login"), {"login": user.login, "password": PASSWORD})
    assert client.get("/", follow=True).redirect_chain[-1][0].startswith(reverse("account_reauthenticate"))
    activate = reverse("mfa_activate_totp")
    client.post(f"{reverse('account_reauthenticate')}?next={activate}", {"password": PASSWORD, "next": activate})
    page = client.get(activate)
    assert_strict(page)
    secret = page.context["form"].secret
    code = code_of(secret)
    response = client.post(activate, {"code": code})
    assert response.headers["Location"] == reverse("mfa_view_recovery_codes")
    stored = Authenticator.objects.get(user=user, type="totp").data["secret"]
    assert stored.startswith("test:") and secret not in stored, "encrypted under the first configured key"
    assert client.get("/").status_code == 200
    assert_strict(client.get(reverse("mfa_view_recovery_codes")))


# --- Pieces ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "size"), [("", 25), ("size=50", 50), ("size=7", 25), ("size=-1", 25), ("size=²", 25)]
)
def test_a_list_has_the_asked_page_size_if_it_is_one_of_ours(rf: RequestFactory, query: str, size: int) -> None:
    assert paging.paginate(rf.get(f"/?{query}"), range(300)).paginator.per_page == size


@pytest.mark.parametrize(("page", "number"), [("2", 2), ("999", 12), ("x", 1), ("-1", 12)])
def test_a_page_number_that_makes_no_sense_is_no_error(rf: RequestFactory, page: str, number: int) -> None:
    assert paging.paginate(rf.get(f"/?page={page}"), range(300)).number == number


def render(source: str, **context: Any) -> str:
    from django.template import Context, Template

    request = RequestFactory().get("/list/?q=a%26b&page=2&sort=address")
    context.setdefault("page", paging.paginate(request, range(300)))
    return Template("{% load shell %}" + source).render(Context({"request": request, **context}))


def test_pages_of_a_list_keep_the_filters() -> None:
    html = render("{% pagination page %}")
    assert 'href="?q=a%26b&amp;page=3&amp;sort=address"' in html
    assert 'name="q" value="a&amp;b"' in html
    assert "26 à 50 sur 300" in html


def test_a_sorted_column_says_so_and_turns_round() -> None:
    html = render('{% sort_header "Adresse" "address" %}{% sort_header "État" "status" %}')
    assert 'aria-sort="ascending"' in html
    assert "sort=-address" in html and "page=" not in html
    assert "sort=status" in html


def test_an_address_breaks_after_its_at_sign_and_is_escaped() -> None:
    html = render("{% address email %}", email='a"<b>@x.example')
    assert '@<wbr><span class="domain">x.example</span>' in html
    assert "<b>" not in html


def test_a_retry_says_when(settings: Any) -> None:
    from django.utils import timezone

    moment = timezone.localtime().replace(hour=10, minute=15)
    html = render("{% status_badge status retry_at=at %}", status="retry", at=moment)
    assert "Nouvel essai à 10\N{NO-BREAK SPACE}h\N{NO-BREAK SPACE}15" in html
    assert "<svg" in html, "a shape beside the colour"


def test_errors_are_summed_up_with_links_to_their_fields() -> None:
    from companies.accounts.forms import PasswordResetForm

    html = render("{% error_summary form %}", form=PasswordResetForm({"login": ""}))
    assert '<a href="#id_login">' in html
    assert "1 point à corriger" in html
