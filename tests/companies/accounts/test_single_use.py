"""What works once works once when it is used five times at the same moment: links, codes, what is shown once.

Each test plays the five in real threads; on PostgreSQL they really run beside one another, on SQLite they queue.
"""

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth import get_user
from django.test import Client
from django.urls import reverse
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

from backoffice.text import addresses
from companies import links
from companies.audit import Actor
from companies.models import AuditEntry, Company, Session, SftpAccount, User
from companies.submissions import FIELD, new_identity
from companies.team import services as team_services
from notifications.mail.unsubscribing import make_token
from notifications.models import Delivery
from tests.caches import use_database_cache
from tests.codes import code_of
from tests.factories import PASSWORD, CompanyFactory, UserFactory
from tests.races import at_once
from tests.walk import a_passkey

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("one_step")]
ClientFor = Callable[..., Client]
FIVE = 5
SECRET = "JBSWY3DPEHPK3PXP"


@pytest.fixture(params=["memory", "database"])
def cache_of(request: pytest.FixtureRequest, settings: Any, transactional_db: None) -> str:
    """Used one-time codes lie in the cache: that of one process, and the one that all share."""
    if request.param == "database":
        use_database_cache(settings)
    return str(request.param)


def path_of(link: str) -> str:
    return "/" + link.split("/", 3)[3]


def is_in(client: Client) -> bool:
    return get_user(client).is_authenticated  # type: ignore[arg-type]


# --- Links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("second_factor", [False, True])
def test_a_log_in_link_opens_one_of_five_browsers(second_factor: bool) -> None:
    user = UserFactory(login="claire")
    if second_factor:
        TOTP.activate(user, SECRET)
    path = path_of(links.make_login_link(user))
    clients = [Client() for _number in range(FIVE)]
    answers = at_once(FIVE, lambda number: clients[number].post(path))
    assert Counter(answer.status_code for answer in answers) == {302: 1, 410: 4}
    assert sum(is_in(client) for client in clients) == (0 if second_factor else 1)
    winner = next(answer for answer in answers if answer.status_code == 302)
    assert winner.headers["Location"] == (reverse("mfa_authenticate") if second_factor else "/")
    assert Client().post(path).status_code == 410 and Client().get(path).status_code == 410


def test_a_log_in_link_of_somebody_who_was_in_this_very_second_opens_once(client_for: ClientFor) -> None:
    """The framework's tokens look at the last log-in without the fraction of its second."""
    user = UserFactory(login="claire")
    client = Client()
    for _number in range(3):
        path = path_of(links.make_login_link(User.objects.get(pk=user.pk)))
        assert [client.post(path).status_code, Client().post(path).status_code] == [302, 410]


def test_two_log_in_links_are_two(client_for: ClientFor) -> None:
    """A link that was used takes the other one along: whoever asks for another means the last."""
    user = UserFactory(login="claire")
    first, second = (path_of(links.make_login_link(user)) for _number in range(2))
    assert Client().post(first).status_code == 302
    assert Client().post(second).status_code == 410


def test_a_link_sets_one_of_five_passwords() -> None:
    user = UserFactory(login="claire", password=None)
    path = path_of(links.make_password_link(user))
    words = [
        "cheval-agrafe-pile",
        "lampe-ruisseau-onze",
        "violon-brique-nuage",
        "citron-echelle-vent",
        "sabot-miroir-lune",
    ]

    def choose(number: int) -> int:
        return Client().post(path, {"password": words[number], "password_again": words[number]}).status_code

    codes = at_once(FIVE, choose)
    assert Counter(codes) == {302: 1, 410: 4}
    assert User.objects.get(pk=user.pk).check_password(words[codes.index(302)])
    assert AuditEntry.objects.filter(action="user.password_changed").count() == 1


def test_a_link_of_a_reset_sets_one_of_five_passwords_and_mails_once() -> None:
    user = UserFactory(login="claire")
    path = path_of(links.make_password_link(user))
    form = {"password": "cheval-agrafe-pile", "password_again": "cheval-agrafe-pile"}
    codes = at_once(FIVE, lambda number: Client().post(path, form).status_code)
    assert Counter(codes) == {302: 1, 410: 4}
    assert Delivery.objects.filter(event__type="account.password_changed").count() == 1


def an_sftp_account() -> SftpAccount:
    return team_services.sftp_account_create(
        company=CompanyFactory(), actor=Actor.command("test"), login="compta", email="compta@x.example", notify=False
    )


def test_an_sftp_password_is_shown_to_one_of_five() -> None:
    account = an_sftp_account()
    secret, path = account.unrevealed_password, path_of(links.make_sftp_link(account))
    answers = at_once(FIVE, lambda number: Client().post(path))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 410: 4}
    assert [secret in answer.content.decode() for answer in answers].count(True) == 1
    assert AuditEntry.objects.filter(action="sftp_account.revealed").count() == 1


def test_an_old_sftp_link_never_shows_the_password_of_a_reset_at_the_same_moment() -> None:
    account = an_sftp_account()
    path = path_of(links.make_sftp_link(account))

    def work(number: int) -> Any:
        if number:
            return Client().post(path).content.decode()
        return team_services.sftp_password_reset(
            account=SftpAccount.objects.get(pk=account.pk), actor=Actor.command("test")
        )

    shown = [str(found) for found in at_once(FIVE, work)]
    waiting = SftpAccount.objects.get(pk=account.pk).unrevealed_password
    assert waiting, "the new password still waits for its own link"
    assert not any(waiting in page for page in shown)


def test_unsubscribing_five_times_is_one_change() -> None:
    company = CompanyFactory()
    assert company.manager_contact
    token = make_token(company.pk, addresses.normalise(company.manager_contact.email))
    path = f"/newsletter/unsubscribe/{token}/"
    assert [answer.status_code for answer in at_once(FIVE, lambda number: Client().post(path))] == [200] * FIVE
    assert Company.objects.get(pk=company.pk).newsletter_opt_out
    assert AuditEntry.objects.filter(action="company.updated").count() == 1


# --- Codes ----------------------------------------------------------------------------------------


def test_the_code_that_switches_a_second_factor_on_does_so_once(cache_of: str, client_for: ClientFor) -> None:
    claire = UserFactory(login="claire")
    client = client_for(claire, fresh=True)
    client.get(reverse("mfa_activate_totp"))
    secret = client.session["mfa.totp.secret"]
    code = code_of(secret)
    cookies = client.cookies

    def activate(number: int) -> Any:
        same = Client()
        same.cookies = cookies
        return same.post(reverse("mfa_activate_totp"), {"code": code})

    answers = at_once(FIVE, activate)
    assert [answer.status_code for answer in answers] == [302] * FIVE
    places = Counter(answer.headers["Location"] for answer in answers)
    assert places.pop(reverse("mfa_view_recovery_codes")) == 1
    assert set(places) <= {reverse("mfa_index"), reverse("mfa_deactivate_totp")}
    assert Counter(Authenticator.objects.values_list("type", flat=True)) == {"totp": 1, "recovery_codes": 1}
    assert AuditEntry.objects.filter(action="user.totp_activated").count() == 1
    assert Delivery.objects.filter(event__type="account.second_factor_changed").count() == 1
    door = at_the_door()
    assert door.post(reverse("mfa_authenticate"), {"code": code}).status_code == 200, "it opens nothing more"
    assert not is_in(door)


def at_the_door() -> Client:
    """Somebody who has given the right password and is asked for a code."""
    client = Client()
    answer = client.post("/accounts/login/", {"login": "claire", "password": PASSWORD})
    assert answer.headers["Location"] == reverse("mfa_authenticate")
    return client


@pytest.mark.parametrize("kind", ["one-time code", "recovery code"])
def test_a_code_opens_one_of_five_browsers(kind: str, cache_of: str) -> None:
    claire = UserFactory(login="claire")
    TOTP.activate(claire, SECRET)
    recovery = RecoveryCodes.activate(claire).get_unused_codes()[0]
    clients = [at_the_door() for _number in range(FIVE)]
    code = recovery if kind == "recovery code" else code_of(SECRET)
    answers = at_once(
        FIVE, lambda number: clients[number].post(reverse("mfa_authenticate"), {"code": code}).status_code
    )
    assert Counter(answers) == {302: 1, 200: 4}
    assert sum(is_in(client) for client in clients) == 1


def test_a_code_proves_who_one_is_in_one_of_five_windows(cache_of: str, client_for: ClientFor) -> None:
    claire = UserFactory(login="claire")
    TOTP.activate(claire, SECRET)
    clients, code = [client_for(claire) for _number in range(FIVE)], code_of(SECRET)
    answers = at_once(
        FIVE, lambda number: clients[number].post(reverse("mfa_reauthenticate"), {"code": code}).status_code
    )
    assert Counter(answers) == {302: 1, 200: 4}


@pytest.mark.parametrize("page", ["mfa_view_recovery_codes", "mfa_download_recovery_codes"])
def test_recovery_codes_are_shown_in_one_of_five_windows(page: str, client_for: ClientFor) -> None:
    claire = UserFactory(login="claire")
    TOTP.activate(claire, SECRET)
    codes = RecoveryCodes.activate(claire).get_unused_codes()
    clients = [client_for(claire, fresh=True) for _number in range(FIVE)]
    pages = [answer.content.decode() for answer in at_once(FIVE, lambda n: clients[n].get(reverse(page)))]
    assert [all(code in shown for code in codes) for shown in pages].count(True) == 1
    assert [any(code in shown for code in codes) for shown in pages].count(True) == 1


def test_looking_at_recovery_codes_brings_no_used_one_back(client_for: ClientFor) -> None:
    """Both write the same row: the mark « seen » must not be saved over the mark « used »."""
    claire = UserFactory(login="claire")
    TOTP.activate(claire, SECRET)
    codes = RecoveryCodes.activate(claire).get_unused_codes()
    client, door = client_for(claire, fresh=True), at_the_door()

    def work(number: int) -> int:
        if number:
            return door.post(reverse("mfa_authenticate"), {"code": codes[0]}).status_code
        return client.get(reverse("mfa_view_recovery_codes")).status_code

    assert at_once(2, work) == [200, 302]
    kept = Authenticator.objects.get(user=claire, type="recovery_codes").wrap()
    assert kept.did_view and codes[0] not in kept.get_unused_codes()


def test_a_second_factor_is_switched_off_once(client_for: ClientFor) -> None:
    claire = UserFactory(login="claire")
    TOTP.activate(claire, SECRET)
    client = client_for(claire, fresh=True)

    def switch_off(number: int) -> int:
        same = Client()
        same.cookies = client.cookies
        return same.post(reverse("mfa_deactivate_totp"), {FIELD: new_identity()}).status_code

    assert Counter(at_once(FIVE, switch_off)) == {302: 1, 404: 4}
    assert AuditEntry.objects.filter(action="user.totp_deactivated").count() == 1
    assert Session.objects.filter(user=claire).count() == 1


def test_a_passkey_is_taken_away_once(client_for: ClientFor) -> None:
    claire = UserFactory(login="claire")
    key = a_passkey(claire)
    client = client_for(claire, fresh=True)

    def remove(number: int) -> int:
        same = Client()
        same.cookies = client.cookies
        return same.post(reverse("mfa_remove_webauthn", args=[key.pk]), {FIELD: new_identity()}).status_code

    assert Counter(at_once(FIVE, remove)) == {302: 1, 404: 4}
    assert AuditEntry.objects.filter(action="user.webauthn_removed").count() == 1


# --- Passkeys -------------------------------------------------------------------------------------


class Device:
    """A passkey that can sign, as a telephone would."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.id = uuid.uuid4().bytes
        public = ES256.from_cryptography_key(self.private.public_key())
        self.credential = AttestedCredentialData.create(bytes(16), self.id, public)

    def _said(self, kind: str, options: Any) -> bytes:
        said = {
            "type": f"webauthn.{kind}",
            "challenge": options["publicKey"]["challenge"],
            "origin": "http://localhost:8000",
        }
        return json.dumps(said).encode()

    def _answer(self, response: dict[str, str]) -> str:
        key = websafe_encode(self.id)
        extensions = {"credProps": {"rk": True}}
        return json.dumps(
            {"id": key, "rawId": key, "type": "public-key", "response": response, "clientExtensionResults": extensions}
        )

    def registers(self, options: Any) -> str:
        data = AuthenticatorData.create(hashlib.sha256(b"localhost").digest(), 0x45, 0, self.credential)
        return self._answer(
            {
                "clientDataJSON": websafe_encode(self._said("create", options)),
                "attestationObject": websafe_encode(AttestationObject.create("none", data, {})),
            }
        )

    def signs(self, options: Any, user: User) -> str:
        said = self._said("get", options)
        data = AuthenticatorData.create(hashlib.sha256(b"localhost").digest(), 0x05, 1)
        signature = self.private.sign(bytes(data) + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
        handle = websafe_encode(user_pk_to_url_str(user).encode())
        return self._answer(
            {
                "clientDataJSON": websafe_encode(said),
                "authenticatorData": websafe_encode(bytes(data)),
                "signature": websafe_encode(signature),
                "userHandle": handle,
            }
        )


def test_a_passkey_joins_once_and_each_signature_opens_one_of_five_windows(
    cache_of: str, client_for: ClientFor
) -> None:
    claire, device = UserFactory(login="claire"), Device()
    client = client_for(claire, fresh=True)
    options = client.get(reverse("mfa_add_webauthn")).context["js_data"]["creation_options"]
    form = {"name": "Téléphone", "credential": device.registers(options)}

    def like(original: Client) -> Client:
        same = Client()
        same.cookies = original.cookies
        return same

    added = at_once(FIVE, lambda number: like(client).post(reverse("mfa_add_webauthn"), form).status_code)
    assert set(added) == {302}, added
    assert Authenticator.objects.filter(user=claire, type="webauthn").count() == 1
    assert AuditEntry.objects.filter(action="user.webauthn_added").count() == 1

    door = Client()
    page = door.get(reverse("mfa_login_webauthn"), headers={"X-Requested-With": "XMLHttpRequest"})
    signed = {"credential": device.signs(page.json()["request_options"], claire)}
    before = Session.objects.filter(user=claire).count()
    answers = at_once(FIVE, lambda number: like(door).post(reverse("mfa_login_webauthn"), signed))
    # The winner's log-in ends the session that the others share: they are refused, or find it gone.
    places = Counter(answer.headers.get("Location", answer.status_code) for answer in answers)
    assert places.pop("/") == 1
    assert set(places) <= {reverse("account_login"), 400}
    assert Session.objects.filter(user=claire).count() == before + 1
