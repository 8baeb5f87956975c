"""One limiter for every place that compares a password or a code: shared counts, IPv6 by /64, and no refusal by load."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from allauth.core.internal import ratelimit as library
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import TOTP
from allauth.mfa.webauthn.forms import AuthenticateWebAuthnForm, LoginWebAuthnForm, ReauthenticateWebAuthnForm
from django.conf import settings as django_settings
from django.contrib.auth import get_user
from django.core.cache import cache
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils.module_loading import import_string

from backoffice.base import ratelimit
from companies.accounts import guessing, logins
from companies.models import LoginRecord, User
from notifications.models import Event
from shops.dataforms import public as data_forms
from tests.caches import use_database_cache
from tests.codes import code_of
from tests.factories import PASSWORD, DataCollectionFormFactory, UserFactory
from tests.races import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_step")]
ClientFor = Callable[..., Client]
SECRET = "JBSWY3DPEHPK3PXP"
NEW = "cheval-agrafe-pile-correcte"
TOO_MANY = "Trop d'essais infructueux"


def text(answer: Any) -> str:
    return answer.content.decode().replace("&#x27;", "'")


# --- Every place ----------------------------------------------------------------------------------

Place = Callable[["World", str, str], Any]


class World:
    """Claire with every kind of secret, her open session, and somebody at the door who knows her password."""

    def __init__(self, claire: User, client_for: ClientFor) -> None:
        self.claire = claire
        self.inside = client_for(claire)
        TOTP.activate(claire, SECRET)
        self.codes = RecoveryCodes.activate(claire).get_unused_codes()
        self.door = Client()
        # An address of its own: what comes in here is no wrong try.
        self.door.post("/accounts/login/", {"login": "claire", "password": PASSWORD}, REMOTE_ADDR="203.0.113.250")

    def right(self, kind: str) -> str:
        return {"password": PASSWORD, "code": code_of, "recovery code": self.codes[0]}[kind]()  # type: ignore[operator]


def log_in(w: World, typed: str, ip: str) -> Any:
    return Client().post("/accounts/login/", {"login": "claire", "password": typed}, REMOTE_ADDR=ip)


def log_in_by_address(w: World, typed: str, ip: str) -> Any:
    return Client().post("/accounts/login/", {"login": "Claire@Lumiere.example", "password": typed}, REMOTE_ADDR=ip)


def new_address(w: World, typed: str, ip: str) -> Any:
    form = {"email": "autre@lumiere.example", "current_password": typed, "language": "fr"}
    return w.inside.post("/account/", form, REMOTE_ADDR=ip)


def new_password(w: World, typed: str, ip: str) -> Any:
    form = {"current_password": typed, "password": NEW, "password_again": NEW}
    return w.inside.post(reverse("account_change_password"), form, REMOTE_ADDR=ip)


def proof(w: World, typed: str, ip: str) -> Any:
    return w.inside.post(reverse("account_reauthenticate"), {"password": typed}, REMOTE_ADDR=ip)


def proof_by_code(w: World, typed: str, ip: str) -> Any:
    return w.inside.post(reverse("mfa_reauthenticate"), {"code": typed}, REMOTE_ADDR=ip)


def second_step(w: World, typed: str, ip: str) -> Any:
    return w.door.post(reverse("mfa_authenticate"), {"code": typed}, REMOTE_ADDR=ip)


PASSWORDS: dict[str, Place] = {
    "log-in": log_in,
    "log-in by address": log_in_by_address,
    "new address": new_address,
    "new password": new_password,
    "proof of identity": proof,
}
CODES: dict[str, Place] = {"proof by code": proof_by_code, "second step of the log-in": second_step}


def taken(answer: Any) -> bool:
    return answer.status_code == 302


@pytest.mark.parametrize("tried_at", [*PASSWORDS, *CODES])
def test_five_wrong_tries_anywhere_close_every_place(tried_at: str, claire: User, client_for: ClientFor) -> None:
    """From five addresses, so that only the count of the account speaks."""
    world = World(claire, client_for)
    place = (PASSWORDS | CODES)[tried_at]
    for number in range(5):
        answer = place(world, f"00000{number}", f"198.51.100.{number}")
        assert not taken(answer) and TOO_MANY not in text(answer)
    for name, other in (PASSWORDS | CODES).items():
        answer = other(world, PASSWORD if name in PASSWORDS else code_of(SECRET), f"203.0.113.{len(name)}")
        assert not taken(answer), name
        assert TOO_MANY in text(answer), name
    assert User.objects.get(pk=claire.pk).email == "claire@lumiere.example"
    assert User.objects.get(pk=claire.pk).check_password(PASSWORD)


def test_the_right_answer_is_taken_in_each_place(claire: User, client_for: ClientFor) -> None:
    """Else the test above would pass with places that never take anything."""
    for name, place in (PASSWORDS | CODES).items():
        cache.clear()
        User.objects.filter(pk=claire.pk).update(email="claire@lumiere.example")
        claire.authenticator_set.all().delete()
        claire.refresh_from_db()
        world = World(claire, client_for)
        assert taken(place(world, PASSWORD if name in PASSWORDS else code_of(SECRET), "198.51.100.1")), name
        if name == "new password":
            claire.set_password(PASSWORD)
            claire.save()


def test_tries_from_one_address_are_counted_over_accounts_and_places(claire: User, client_for: ClientFor) -> None:
    world, ip = World(claire, client_for), "2001:db8:1:2::"
    others = [UserFactory() for _number in range(9)]
    for number, other in enumerate(others):
        form = {"login": other.login, "password": "faux"}
        Client().post("/accounts/login/", form, REMOTE_ADDR=f"{ip}{number:x}")
    assert not taken(second_step(world, "000000", f"{ip}beef:1"))
    for name, place in PASSWORDS.items():
        assert TOO_MANY in text(place(world, PASSWORD, f"{ip}cafe:{len(name):x}")), name
    assert taken(log_in(world, PASSWORD, "2001:db8:1:3::1")), "the network next door is somebody else"


def test_the_lock_counts_wrong_codes_and_mails(settings: Any, claire: User, client_for: ClientFor) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "100000/m/ip"}
    world = World(claire, client_for)
    for number in range(logins.LOCK_AFTER):
        assert not taken(second_step(world, f"0000{number:02}", f"198.51.100.{number}"))
    assert User.objects.get(pk=claire.pk).is_locked
    assert Event.objects.filter(type="account.locked").count() == 1
    assert not taken(second_step(world, world.codes[0], "203.0.113.1")), "a locked account answers as to a wrong code"
    assert world.codes[0] in RecoveryCodes.activate(claire).get_unused_codes(), "and uses none up"


def test_a_right_answer_leaves_no_count_behind(claire: User, client_for: ClientFor) -> None:
    """Twenty right passwords from one address in a row: an office at nine o'clock."""
    for _number in range(20):
        assert taken(Client().post("/accounts/login/", {"login": "claire", "password": PASSWORD}))
    assert User.objects.get(pk=claire.pk).failed_logins == 0
    assert not LoginRecord.objects.filter(succeeded=False).exists()


def test_a_code_has_a_label_and_is_never_shown_again(claire: User, client_for: ClientFor) -> None:
    client = client_for(claire, fresh=True)
    page = client.post(reverse("mfa_activate_totp"), {"code": "735124"}).content.decode()
    assert '<label for="id_code" class="form-label">Code à 6 chiffres' in page
    assert 'autocomplete="one-time-code"' in page and 'id="id_code_error"' in page
    assert "735124" not in page


def test_wrong_codes_at_switching_on_are_limited_and_lock_nothing(claire: User, client_for: ClientFor) -> None:
    client = client_for(claire, fresh=True)
    client.get(reverse("mfa_activate_totp"))
    for _number in range(5):
        client.post(reverse("mfa_activate_totp"), {"code": "000000"})
    answer = client.post(reverse("mfa_activate_totp"), {"code": code_of(client.session["mfa.totp.secret"])})
    assert TOO_MANY in text(answer)
    assert not claire.authenticator_set.exists()
    assert User.objects.get(pk=claire.pk).failed_logins == 0


def test_passkey_answers_are_counted_by_address(client_for: ClientFor) -> None:
    for _number in range(10):
        Client().post(reverse("mfa_login_webauthn"), {"credential": '{"id": "eA"}'}, REMOTE_ADDR="2001:db8::1")
    user = UserFactory()
    answer = Client().post(
        "/accounts/login/", {"login": user.login, "password": PASSWORD}, REMOTE_ADDR="2001:db8::ffff:2"
    )
    assert TOO_MANY in text(answer)


def test_links_are_asked_for_by_network_and_by_account(claire: User) -> None:
    def ask(typed: str, ip: str) -> int:
        return Client().post(reverse("account_reset_password"), {"login": typed}, REMOTE_ADDR=ip).status_code

    assert [ask("claire", f"198.51.100.{number}") for number in range(6)] == [302] * 5 + [429]
    answers = [ask(f"autre{number}", f"2001:db8::{number:x}") for number in range(21)]
    assert answers == [302] * 20 + [429]


# --- Whom an address stands for -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("64:ff9b::c000:201", "192.0.2.1", True),
        ("64:ff9b::c000:201", "64:ff9b::c000:202", False),
        ("2002:c000:201:1::1", "2002:c000:201:2::9", True),
        ("2002:c000:201:1::1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_an_address_stands_for_who_has_it(one: str, other: str, same: bool) -> None:
    assert (ratelimit.network_of(one) == ratelimit.network_of(other)) is same


def test_answers_of_a_form_are_limited_by_network() -> None:
    form = DataCollectionFormFactory()
    requests = [RequestFactory().get("/", REMOTE_ADDR=f"2001:db8::{n:x}") for n in range(1, 23)]
    allowed = [data_forms._allowed(request, form) for request in requests]
    assert allowed == [True] * data_forms.ANSWERS_PER_ADDRESS + [False] * (22 - data_forms.ANSWERS_PER_ADDRESS)


# --- The library's own limits ---------------------------------------------------------------------


def test_the_librarys_counters_are_never_asked(
    monkeypatch: pytest.MonkeyPatch, claire: User, client_for: ClientFor
) -> None:
    """They count what is right, and read a lock they could not get as a limit."""

    def asked(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("the log-in library counted by itself")

    monkeypatch.setattr(library, "_consume_single_rate", asked)
    monkeypatch.setattr(library, "cache_lock", asked)
    world = World(claire, client_for)
    for name, place in (PASSWORDS | CODES).items():
        place(world, "faux", f"198.51.100.{len(name)}")
    Client().post(reverse("mfa_login_webauthn"), {"credential": '{"id": "eA"}'})
    Client().post(reverse("account_reset_password"), {"login": "claire"})
    world.inside.post(reverse("mfa_reauthenticate_webauthn"), {"credential": '{"id": "eA"}'})


def test_each_form_of_the_library_that_takes_a_proof_is_ours() -> None:
    ours = {import_string(path) for path in django_settings.MFA_FORMS.values()}
    taking = [
        AuthenticateForm, ReauthenticateForm, ActivateTOTPForm,
        AuthenticateWebAuthnForm, ReauthenticateWebAuthnForm, LoginWebAuthnForm,
    ]  # fmt: skip
    for form in taking:
        replaced = [own for own in ours if issubclass(own, form) and own.__module__.startswith("companies.")]
        assert replaced, form
        field = "clean_code" if "code" in form.base_fields else "clean_credential"
        assert all(getattr(own, field).__module__.startswith("companies.") for own in replaced), form


# --- Load -----------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "database"])
def shared(request: pytest.FixtureRequest, settings: Any, transactional_db: None) -> None:
    if request.param == "database":
        use_database_cache(settings)


@pytest.mark.django_db(transaction=True)
def test_right_passwords_at_once_all_open(shared: None) -> None:
    """Twelve of one account and eight of others, from one address, slowly looked at: none reads « Trop d'essais »."""
    UserFactory(login="claire")
    for number in range(8):
        UserFactory(login=f"collegue{number}")

    def enter(number: int) -> Any:
        login = "claire" if number < 12 else f"collegue{number - 12}"
        client = Client()
        answer = client.post("/accounts/login/", {"login": login, "password": PASSWORD})
        return TOO_MANY in text(answer), get_user(client).is_authenticated  # type: ignore[arg-type]

    assert at_once(20, enter) == [(False, True)] * 20
    assert User.objects.get(login="claire").failed_logins == 0


@pytest.mark.django_db(transaction=True)
def test_a_right_password_right_before_the_lock_is_taken_however_often_it_is_sent(shared: None) -> None:
    UserFactory(login="claire", failed_logins=logins.LOCK_AFTER - 1)
    form = {"login": "claire", "password": PASSWORD}
    assert at_once(4, lambda number: Client().post("/accounts/login/", form).status_code) == [302] * 4
    assert User.objects.get(login="claire").locked_until is None


@pytest.mark.django_db(transaction=True)
def test_wrong_passwords_at_once_are_looked_at_five_times(shared: None) -> None:
    UserFactory(login="claire")

    def guess(number: int) -> str:
        form = {"login": "claire", "password": f"faux-{number}"}
        return text(Client().post("/accounts/login/", form, REMOTE_ADDR=f"198.51.100.{number}"))

    answers = at_once(15, guess)
    assert sum(TOO_MANY not in answer for answer in answers) == 5
    assert LoginRecord.objects.filter(succeeded=False).count() == 5


@pytest.mark.django_db(transaction=True)
def test_wrong_passwords_at_once_from_one_address_are_looked_at_ten_times(shared: None) -> None:
    logins_ = [UserFactory().login for _number in range(16)]

    def guess(number: int) -> str:
        return text(Client().post("/accounts/login/", {"login": logins_[number], "password": "faux"}))

    assert sum(TOO_MANY not in answer for answer in at_once(16, guess)) == 10


def test_a_turn_that_never_ends_holds_nobody_up_for_good(claire: User, monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = [1000.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(ratelimit, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    with ratelimit.turn("guess", f"user:{claire.pk}", wait=0, hold=30) as got:
        assert got
        assert taken(Client().post("/accounts/login/", {"login": "claire", "password": PASSWORD}))
    # As long as one waits for others, and not until the turn is forgotten.
    assert sum(slept) == pytest.approx(guessing.WAIT)
    assert User.objects.get(pk=claire.pk).failed_logins == 0


def test_a_cache_that_does_not_answer_limits_nobody(claire: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database cache says « taken » when it was too busy to write. The lock of the account goes on counting."""
    monkeypatch.setattr(guessing, "WAIT", 0.1)
    monkeypatch.setattr(type(cache._connections["default"]), "add", lambda *args, **kwargs: False)  # type: ignore[attr-defined]
    assert taken(Client().post("/accounts/login/", {"login": "claire", "password": PASSWORD}))
    assert ratelimit.allow("test", "x", limit=2, seconds=60)
    for _number in range(logins.LOCK_AFTER):
        Client().post("/accounts/login/", {"login": "claire", "password": "faux"})
    assert User.objects.get(pk=claire.pk).is_locked
