"""Passkeys in a real Chromium with a virtual authenticator, and what protects them."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from companies.models import AuditEntry, User
from notifications.models import Event
from tests.browsing import violations
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)
ClientFor = Callable[..., Client]
PASSKEYS = "/accounts/mfa/passkeys/"
HOME = re.compile(r"^https?://[^/]+/$")


# --- In the browser --------------------------------------------------------------------------------


@pytest.fixture
def device(page: Any, settings: Any) -> Iterator[Any]:
    """The page with a virtual authenticator that checks its owner, and the messages of its console."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    page.authenticator = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]
    page.devtools = session
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    assert page.complaints == []


def log_in(page: Any, password: str = PASSWORD) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Identifiant ou adresse e-mail").fill("claire")
    page.get_by_label("Mot de passe").fill(password)
    page.get_by_role("button", name="Se connecter", exact=True).click()


def confirm_by_password(page: Any) -> None:
    page.get_by_label("Mot de passe").fill(PASSWORD)
    page.get_by_role("button", name="Confirmer").click()


def add_passkey(page: Any, name: str = "Téléphone de Claire") -> None:
    page.goto(f"{PASSKEYS}add/")
    if "reauthenticate" in page.url:
        confirm_by_password(page)
    page.get_by_label("Nom de la clé").fill(name)
    page.get_by_role("button", name="Créer la clé").click()
    page.wait_for_url("**/accounts/mfa/recovery-codes/")


def assert_accessible(page: Any) -> None:
    assert violations(page) == []


@pytest.mark.browser
def test_a_passkey_is_added_renamed_used_alone_used_second_and_removed(claire: User, device: Any) -> None:
    page = device
    log_in(page)
    page.wait_for_url(HOME)
    add_passkey(page)
    assert_accessible(page)
    stored = Authenticator.objects.get(user=claire, type="webauthn")
    assert stored.wrap().name == "Téléphone de Claire"
    assert stored.wrap().authenticator_data.is_user_verified()
    assert AuditEntry.objects.filter(action="user.webauthn_added", actor=claire).count() == 1
    assert Event.objects.get(type="account.second_factor_changed").data["second_factor"] == "webauthn_added"

    page.goto(PASSKEYS)
    assert_accessible(page)
    page.get_by_role("link", name="Renommer").click()
    page.get_by_label("Nom de la clé").fill("Mon téléphone")
    page.get_by_role("button", name="Enregistrer").click()
    expect(page.get_by_role("rowheader", name="Mon téléphone")).to_be_visible()
    assert AuditEntry.objects.get(action="user.passkey_renamed").changes == {
        "passkey": ["Téléphone de Claire", "Mon téléphone"]
    }

    # Alone: no identifier, no password, and back to the page that was asked for.
    page.context.clear_cookies()
    page.goto("/account/")
    assert "/accounts/login/" in page.url
    assert_accessible(page)
    page.get_by_role("button", name="Se connecter avec une clé d'accès").click()
    # The log-in page names it too, in its query.
    page.wait_for_url(re.compile(r"//[^/]+/account/$"))

    # After the password: the second step asks for it.
    page.context.clear_cookies()
    log_in(page)
    page.wait_for_url("**/accounts/mfa/authenticate/")
    assert_accessible(page)
    page.goto("/account/")
    assert "/accounts/mfa/authenticate/" in page.url, "the password alone opens nothing"
    page.get_by_role("button", name="Utiliser ma clé d'accès").click()
    page.wait_for_url(HOME)
    expect(page.get_by_role("heading", level=1).first).to_be_visible()

    # To prove who one is before an operation.
    page.goto(f"{PASSKEYS}{stored.pk}/remove/")
    page.get_by_role("link", name="Utiliser plutôt une clé d'accès").click()
    assert_accessible(page)
    page.get_by_role("button", name="Utiliser ma clé d'accès").click()
    page.wait_for_url(f"**{PASSKEYS}{stored.pk}/remove/")
    assert_accessible(page)
    page.get_by_role("button", name="Retirer la clé").click()
    page.wait_for_url(f"**{PASSKEYS}")
    assert not Authenticator.objects.filter(user=claire).exists(), "the recovery codes go with the last factor"
    assert AuditEntry.objects.filter(action="user.webauthn_removed").count() == 1


@pytest.mark.browser
def test_a_passkey_that_does_not_check_its_owner_does_not_log_in_alone(claire: User, device: Any) -> None:
    page = device
    log_in(page)
    add_passkey(page)
    page.context.clear_cookies()
    page.devtools.send("WebAuthn.setUserVerified", {"authenticatorId": page.authenticator, "isUserVerified": False})
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Se connecter avec une clé d'accès").click()
    problem = page.get_by_role("alert")
    problem.wait_for()
    assert "n'a pas répondu" in problem.inner_text()
    assert "/accounts/login/" in page.url


@pytest.mark.browser
def test_without_scripts_the_pages_say_what_else_serves(
    claire: User, browser: Any, live_server: Any, client_for: ClientFor
) -> None:
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/accounts/login/")
    expect(page.get_by_role("button", name="Se connecter avec une clé d'accès")).not_to_be_visible()
    page.get_by_label("Identifiant ou adresse e-mail").fill("claire")
    page.get_by_label("Mot de passe").fill(PASSWORD)
    page.get_by_role("button", name="Se connecter", exact=True).click()
    page.goto(f"{PASSKEYS}add/")
    confirm_by_password(page)
    expect(page.get_by_text("Une application d'authentification s'en passe.")).to_be_visible()
    expect(page.get_by_role("button", name="Créer la clé")).not_to_be_visible()
    context.close()


# --- Without a browser -----------------------------------------------------------------------------


def test_options_of_a_log_in_name_nobody(client: Client) -> None:
    """They are asked for before anyone is known: a list of keys would tell which accounts exist."""
    answer = client.get(reverse("mfa_login_webauthn"), headers={"accept": "application/json"})
    options = answer.json()["request_options"]["publicKey"]
    assert not options.get("allowCredentials")
    assert options["userVerification"] == "required"
    assert options["rpId"] == "localhost"


@pytest.mark.parametrize(
    "credential", ["", "{}", "[]", "null", '{"id": 1}', '{"response": {"userHandle": "MQ"}}', "x" * 9000]
)
def test_rubbish_instead_of_a_passkey_is_refused_alike(client: Client, claire: User, credential: str) -> None:
    client.get(reverse("mfa_login_webauthn"), headers={"accept": "application/json"})
    answer = client.post(reverse("mfa_login_webauthn"), {"credential": credential}, follow=True)
    assert answer.redirect_chain == [("/accounts/login/", 302)]
    assert "n'a pas été reconnue" in answer.content.decode().replace("&#x27;", "'")


@pytest.mark.parametrize("credential", ["{}", '{"id": 1}', '{"response": {}}'])
def test_rubbish_instead_of_a_new_passkey_is_refused(client_for: ClientFor, claire: User, credential: str) -> None:
    client = client_for(claire)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    assert client.get(reverse("mfa_add_webauthn")).status_code == 200
    answer = client.post(reverse("mfa_add_webauthn"), {"name": "x", "credential": credential})
    assert answer.status_code == 200
    assert not Authenticator.objects.exists()


def test_adding_and_removing_ask_who_is_there(client_for: ClientFor, claire: User) -> None:
    passkey = Authenticator.objects.create(user=claire, type="webauthn", data={"name": "x", "credential": {}})
    client = client_for(claire, fresh=False)
    for url in (
        reverse("mfa_add_webauthn"),
        reverse("mfa_edit_webauthn", args=[passkey.pk]),
        reverse("mfa_remove_webauthn", args=[passkey.pk]),
    ):
        for answer in (client.get(url), client.post(url, {"name": "y", "credential": json.dumps({})})):
            assert answer.headers["Location"].startswith("/accounts/reauthenticate/")
    assert Authenticator.objects.get(pk=passkey.pk).data["name"] == "x"


def test_somebody_elses_passkey_is_not_found(client_for: ClientFor, claire: User) -> None:
    passkey = Authenticator.objects.create(user=claire, type="webauthn", data={"name": "x", "credential": {}})
    stranger = client_for(UserFactory())
    stranger.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    for name in ("mfa_edit_webauthn", "mfa_remove_webauthn"):
        assert stranger.post(reverse(name, args=[passkey.pk]), {"name": "y"}).status_code == 404
    assert Authenticator.objects.get(pk=passkey.pk).data["name"] == "x"
