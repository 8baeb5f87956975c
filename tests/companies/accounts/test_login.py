"""Log-in, log-out, passwords and the pages behind single-use links."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.contrib.auth import get_user
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from companies import links
from companies.audit import Actor
from companies.models import AuditEntry, SftpAccount, User
from companies.team import services as team_services
from notifications.models import Event
from tests.factories import PASSWORD, CompanyFactory, SftpAccountFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
NEW = "cheval-agrafe-pile-correcte"


def log_in(client: Client, login: str, password: str = PASSWORD) -> str:
    """The identifier of who is logged in afterwards; empty for nobody."""
    client.post(reverse("account_login"), {"login": login, "password": password})
    user = get_user(client)  # type: ignore[arg-type]
    return user.login if isinstance(user, User) else ""


def path_of(link: str) -> str:
    return re.sub(r"^https?://[^/]+", "", link)


# --- Who gets in ----------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["claire", "Claire", " claire "])
def test_log_in_by_identifier(client: Client, typed: str) -> None:
    UserFactory(login="claire")
    assert log_in(client, typed) == "claire"


@pytest.mark.parametrize("typed", ["claire@lumiere.example", "CLAIRE@Lumiere.example", " claire@lumiere.example "])
def test_log_in_by_an_address_that_one_account_has(client: Client, typed: str) -> None:
    UserFactory(login="cmorel", email="claire@lumiere.example")
    assert log_in(client, typed) == "cmorel"


def test_log_in_by_a_long_or_international_address(client: Client) -> None:
    UserFactory(login="long", email=f"{'a' * 60}@{'b' * 50}.example")
    UserFactory(login="accent", email="claire@lumière.example")
    assert log_in(client, f"{'a' * 60}@{'b' * 50}.example") == "long"
    client.logout()
    assert log_in(client, "claire@xn--lumire-6ua.example") == "accent"


def test_a_shared_address_logs_nobody_in_but_the_identifier_does(client: Client) -> None:
    UserFactory(login="paris", email="compta@lumiere.example")
    UserFactory(login="lyon", email="Compta@Lumiere.example")
    assert log_in(client, "compta@lumiere.example") == ""
    assert log_in(client, "lyon") == "lyon"


def test_a_wrong_password_and_an_unknown_identifier_read_the_same(client: Client) -> None:
    UserFactory(login="claire")
    answers = {
        tuple(
            client.post(reverse("account_login"), {"login": login, "password": "faux"})
            .context["form"]
            .non_field_errors()
        )
        + tuple(
            client.post(reverse("account_login"), {"login": login, "password": "faux"})
            .context["form"]
            .errors.get("password", [])
        )
        for login in ("claire", "inconnue")
    }
    assert len(answers) == 1
    assert "Identifiant ou mot de passe incorrect" in str(answers)


def test_a_disabled_account_reads_so_only_after_the_right_password(client: Client) -> None:
    UserFactory(login="claire", is_active=False)
    url = reverse("account_login")
    assert "désactivé" not in client.post(url, {"login": "claire", "password": "faux"}).content.decode()
    response = client.post(url, {"login": "claire", "password": PASSWORD}, follow=True)
    assert "Ce compte est désactivé" in response.content.decode()
    assert get_user(client).is_anonymous  # type: ignore[arg-type]


def test_guessing_is_slowed_down(client: Client) -> None:
    UserFactory(login="claire")
    for _ in range(6):
        response = client.post(reverse("account_login"), {"login": "claire", "password": "faux"})
    assert "essais infructueux" in response.content.decode()
    assert log_in(client, "claire") == "", "the right password does not help any more"


def test_sign_up_and_the_address_pages_of_the_library_do_not_exist(client: Client, client_for: ClientFor) -> None:
    for browser in (client, client_for(UserFactory())):
        for path in ("/accounts/signup/", "/accounts/email/", "/accounts/confirm-email/", "/accounts/password/set/"):
            assert browser.get(path).status_code == 404
            assert browser.post(path, {"email": "x@y.example"}).status_code == 404


def test_log_out_takes_a_post(client_for: ClientFor) -> None:
    client = client_for(UserFactory())
    assert client.get(reverse("account_logout")).status_code == 200
    assert get_user(client).is_authenticated  # type: ignore[arg-type]
    assert client.post(reverse("account_logout")).headers["Location"] == reverse("account_login")
    assert get_user(client).is_anonymous  # type: ignore[arg-type]


def test_log_in_leads_back_to_the_page_asked_for_on_this_site_only(client: Client) -> None:
    user = UserFactory()
    form = {"login": user.login, "password": PASSWORD}
    assert client.post("/accounts/login/", {**form, "next": "/account/"}).headers["Location"] == "/account/"
    client.logout()
    assert client.post("/accounts/login/", {**form, "next": "https://evil.example/"}).headers["Location"] == "/"


# --- Password reset -------------------------------------------------------------------------------


def asked(client: Client, typed: str) -> bytes:
    return client.post(reverse("account_reset_password"), {"login": typed}, follow=True).content


def test_asking_for_a_link_answers_the_same_for_everyone(client: Client) -> None:
    UserFactory(login="claire", email="claire@lumiere.example")
    strip = lambda body: re.sub(rb'value="[^"]+"', b"", body)  # noqa: E731 - form tokens differ at each page
    assert strip(asked(client, "claire")) == strip(asked(client, "inconnue")) == strip(asked(client, "x@y.example"))


@pytest.mark.parametrize("typed", ["claire", "CLAIRE@lumiere.example"])
def test_asking_for_a_link_publishes_the_mail_of_that_account(client: Client, typed: str) -> None:
    UserFactory(login="claire", email="claire@lumiere.example")
    asked(client, typed)
    assert Event.objects.filter(type="account.password_reset_requested").count() == 1


def test_every_account_of_a_shared_address_gets_its_link(client: Client) -> None:
    for login in ("paris", "lyon"):
        UserFactory(login=login, email="compta@lumiere.example")
    asked(client, "compta@lumiere.example")
    assert Event.objects.filter(type="account.password_reset_requested").count() == 2


def test_a_disabled_account_gets_no_link(client: Client) -> None:
    UserFactory(login="claire", is_active=False)
    asked(client, "claire")
    assert not Event.objects.exists()


# --- Set-password link ----------------------------------------------------------------------------


def test_the_link_sets_a_password_once(client: Client) -> None:
    user = UserFactory(login="claire", password=None)
    path = path_of(links.make_password_link(user))
    assert client.get(path).status_code == 200
    assert client.get(path).status_code == 200, "looking at it does not use it up"
    response = client.post(path, {"password": NEW, "password_again": NEW}, follow=True)
    assert "Votre mot de passe est enregistré" in response.content.decode()
    again = client.post(path, {"password": "autre-chose-2026-x", "password_again": "autre-chose-2026-x"})
    assert again.status_code == 410
    assert "Ce lien ne sert plus" in again.content.decode()
    assert log_in(client, "claire", NEW) == "claire"
    assert AuditEntry.objects.get(action="user.password_changed").changes == {"password": ["", "••••••"]}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("court", "court", "12"),
        (NEW, NEW + "x", "Les deux saisies diffèrent"),
        ("", "", "obligatoire"),
    ],
)
def test_a_refused_password_leaves_the_link_usable(client: Client, first: str, second: str, said: str) -> None:
    user = UserFactory()
    path = path_of(links.make_password_link(user))
    response = client.post(path, {"password": first, "password_again": second})
    assert response.status_code == 200
    assert said in response.content.decode()
    assert links.user_for_password_token(path.split("/")[-2]) == user


@pytest.mark.parametrize("token", ["x", "1-abc", "zzzzzzzzzzzzzzzzzzzz-abc-def", "é-ü", "-", "1-"])
def test_an_altered_link_says_what_to_do(client: Client, token: str) -> None:
    UserFactory()
    response = client.get(reverse("account_set_password", args=[token]))
    assert response.status_code == 410
    assert reverse("account_reset_password") in response.content.decode()


def test_the_link_lasts_48_hours(client: Client) -> None:
    import time_machine
    from django.utils import timezone

    path = path_of(links.make_password_link(UserFactory()))
    now = timezone.now()
    with time_machine.travel(now.timestamp() + 47.9 * 3600):
        assert client.get(path).status_code == 200
    with time_machine.travel(now.timestamp() + 48.1 * 3600):
        assert client.get(path).status_code == 410


def test_an_operators_link_logs_in_once_by_a_click(client: Client) -> None:
    user = UserFactory(login="claire")
    path = path_of(links.make_login_link(user))
    client.get(path)
    assert get_user(client).is_anonymous, "a link fetched by a scanner opens nothing"  # type: ignore[arg-type]
    client.post(path)
    assert get_user(client) == user  # type: ignore[arg-type]
    client.logout()
    assert client.post(path).status_code == 410


# --- SFTP password --------------------------------------------------------------------------------


def sftp_account() -> SftpAccount:
    return team_services.sftp_account_create(
        company=CompanyFactory(),
        actor=Actor.command("test"),
        login="lumiere-compta",
        email="compta@lumiere.example",
        notify=False,
    )


def test_an_sftp_password_shows_once_and_only_after_a_click(client: Client) -> None:
    account = sftp_account()
    secret = account.unrevealed_password
    path = path_of(links.make_sftp_link(account))
    for _ in range(2):
        assert secret not in client.get(path).content.decode()
    assert secret in client.post(path).content.decode()
    for response in (client.get(path), client.post(path)):
        assert response.status_code == 410
        assert secret not in response.content.decode()
        assert "Ce lien ne sert plus" in response.content.decode()
    assert not SftpAccount.objects.get(pk=account.pk).unrevealed_password


def test_secrets_stay_out_of_caches_and_referrers(client: Client) -> None:
    response = client.post(path_of(links.make_sftp_link(sftp_account())))
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "same-origin"


# --- What the pages and the product come with -------------------------------------------------------


def test_password_fields_are_masked_and_welcome_password_managers(client_for: ClientFor) -> None:
    user = UserFactory()
    pages = {
        reverse("account_login"): (Client(), ["current-password"]),
        path_of(links.make_password_link(UserFactory())): (Client(), ["new-password"] * 2),
        reverse("account_change_password"): (client_for(user), ["current-password", "new-password", "new-password"]),
        reverse("account"): (client_for(user), ["current-password"]),
        reverse("account_reauthenticate"): (client_for(user), ["current-password"]),
    }
    for path, (browser, expected) in pages.items():
        body = browser.get(path).content.decode()
        fields = [field for field in re.findall(r"<input[^>]*>", body) if re.search(r'name="[^"]*password', field)]
        assert [re.search(r'autocomplete="([^"]*)"', field)[1] for field in fields] == expected, path  # type: ignore[index]
        assert all('type="password"' in field and " value=" not in field for field in fields), path


def test_no_script_forbids_pasting() -> None:
    scripts = "".join(path.read_text() for path in (Path(settings.BASE_DIR) / "static").glob("*.js"))
    assert not re.search(r"[\"']paste[\"']|onpaste|clipboardData", scripts)


@pytest.mark.parametrize(
    "password", [" espaces autour, gardés ", "Majuscules ET minuscules", "e\u0301te\u0301 à Séoul 서울 " * 9]
)
def test_a_password_counts_exactly_as_it_was_typed(password: str) -> None:
    user = UserFactory(login="claire")
    client = Client()
    path = path_of(links.make_password_link(user))
    client.post(path, {"password": password, "password_again": password})
    client.logout()
    assert log_in(Client(), "claire", password) == "claire"
    for other in (password.strip(), password.lower(), password[:72], password[:-1]):
        if other != password:
            assert log_in(Client(), "claire", other) == ""


def test_a_password_stays_good(client_for: ClientFor) -> None:
    """Nobody has to change one that still holds."""
    UserFactory(login="claire")
    User.objects.update(date_joined=timezone.now() - timedelta(days=3650))
    with time_machine.travel(timezone.now() + timedelta(days=3650)):
        client = Client()
        assert log_in(client, "claire") == "claire"
        assert client.get(reverse("account")).status_code == 200


def test_the_product_comes_without_accounts() -> None:
    """What migrations make is there; a log-in is not."""
    assert not User.objects.exists()
    for login in ("admin", "root", "sa", "administrateur", "demo", "test"):
        for password in (login, "admin", "password", ""):
            assert log_in(Client(), login, password) == ""


def test_every_link_is_good_for_its_own_purpose_only() -> None:
    user = UserFactory()
    account = SftpAccountFactory(company=user.company)
    tokens = {
        name: path_of(make).rstrip("/").rpartition("/")[2]
        for name, make in (
            ("account_set_password", links.make_password_link(user)),
            ("account_login_link", links.make_login_link(user)),
            ("sftp_reveal", links.make_sftp_link(account)),
        )
    }
    readers = {
        "account_set_password": links.user_for_password_token,
        "account_login_link": links.user_for_login_token,
        "sftp_reveal": links.sftp_account_for_token,
    }
    opened = {(made, read) for made, token in tokens.items() for read, reader in readers.items() if reader(token)}
    assert {pair for pair in opened if pair[0] != pair[1]} == set()
    assert ("account_set_password", "account_set_password") in opened and ("account_login_link",) * 2 in opened
