"""Attacks on the log-in: guessing, spraying, lock-outs, enumeration, replayed codes; and who gets in all the same."""

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import structlog
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth import get_user
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import AnonymousUser
from django.core.signals import request_finished
from django.db import close_old_connections, connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from backoffice.site.middleware import SecondFactorMiddleware
from companies import links
from companies.accounts import logins
from companies.accounts import views as account_views
from companies.audit import Actor
from companies.models import AuditEntry, KnownDevice, LoginRecord, Role, Session, User
from companies.team import services as team_services
from notifications.models import Delivery, Event
from tests.caches import use_database_cache
from tests.codes import code_of
from tests.factories import PASSWORD, MembershipFactory, ShopFactory, StaffFactory, UserFactory
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
LOGIN = "/accounts/login/"
NEW = "cheval-agrafe-pile-correcte"


def guess(login: str, password: str, *, ip: str = "192.0.2.1", client: Client | None = None) -> Any:
    return (client or Client()).post(LOGIN, {"login": login, "password": password}, REMOTE_ADDR=ip)


def got_in(answer: Any) -> bool:
    return answer.status_code == 302


def path_of(link: str) -> str:
    return re.sub(r"^https?://[^/]+", "", link)


def is_in(client: Client) -> bool:
    return get_user(client).is_authenticated  # type: ignore[arg-type]


@pytest.fixture
def shared_cache(settings: Any) -> None:
    """The cache of production without Redis, whose size and sharing matter."""
    use_database_cache(settings)


def unlimited(settings: Any) -> None:
    """Without the limits of the cache, so that the lock alone is seen."""
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "100000/m/ip"}


# --- Guessing --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.one_database
def test_a_thousand_guesses_from_a_thousand_addresses_gain_nothing(shared_cache: None, claire: User) -> None:
    """Even the right password among them opens nothing."""
    opened = [
        number
        for number in range(1000)
        if got_in(
            guess("claire", PASSWORD if number == 500 else f"faux-{number}", ip=f"10.{number // 250}.{number % 250}.9")
        )
    ]
    assert opened == []
    tried = LoginRecord.objects.filter(user=claire, succeeded=False).count()
    assert tried <= 10, "all but the first few were turned away before their password was looked at"


def test_without_any_cache_the_lock_alone_holds(settings: Any, claire: User) -> None:
    unlimited(settings)
    opened = [n for n in range(60) if got_in(guess("claire", PASSWORD if n >= 10 else "faux", ip=f"198.51.100.{n}"))]
    assert opened == []
    assert User.objects.get(pk=claire.pk).failed_logins == logins.LOCK_AFTER


@pytest.mark.parametrize("spelled", ["claire@lumiere.example", "CLAIRE@Lumiere.example", "Claire", "cLAIRE"])
def test_other_spellings_give_no_further_guesses(settings: Any, claire: User, spelled: str) -> None:
    unlimited(settings)
    for number in range(logins.LOCK_AFTER):
        guess("claire", f"faux-{number}")
    assert not got_in(guess(spelled, PASSWORD))


def test_each_lock_is_twice_as_long_and_mails_once(settings: Any, claire: User) -> None:
    unlimited(settings)
    now, spans = timezone.now(), []
    for _round in range(9):
        with time_machine.travel(now, tick=False):
            for number in range(logins.LOCK_AFTER):
                guess("claire", f"faux-{number}")
            until = User.objects.get(pk=claire.pk).locked_until
            assert until is not None
            spans.append(round((until - now).total_seconds() / 60))
            now = until + timedelta(seconds=1)
    assert spans == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]
    assert Event.objects.filter(type="account.locked").count() == 1
    assert AuditEntry.objects.filter(action="user.locked").count() == 9
    with time_machine.travel(now):
        client = Client()
        assert got_in(guess("claire", PASSWORD, client=client))
    assert User.objects.get(pk=claire.pk).failed_logins == 0


def test_the_right_password_at_the_last_try_locks_nothing(settings: Any, claire: User) -> None:
    unlimited(settings)
    for number in range(logins.LOCK_AFTER - 1):
        guess("claire", f"faux-{number}")
    assert got_in(guess("claire", PASSWORD))
    user = User.objects.get(pk=claire.pk)
    assert (user.failed_logins, user.locked_until) == (0, None)
    assert not Event.objects.filter(type="account.locked").exists()


def test_a_right_password_without_its_code_forgives_no_wrong_one(settings: Any, claire: User) -> None:
    unlimited(settings)
    TOTP.activate(claire, "JBSWY3DPEHPK3PXP")
    for _number in range(3):
        guess("claire", "faux")
    assert guess("claire", PASSWORD).headers["Location"] == reverse("mfa_authenticate")
    assert User.objects.get(pk=claire.pk).failed_logins == 3


def test_guesses_at_the_same_moment_are_counted_before_any_is_looked_at(claire: User) -> None:
    """Twenty tries begin before one ends, as in twenty processes: ten are admitted."""
    tries = [logins.login_begun(user=claire, typed="claire", request=None) for _number in range(20)]
    assert [attempt.admitted for attempt in tries] == [True] * 10 + [False] * 10
    assert [attempt.locks for attempt in tries].count(True) == 1


def test_guesses_spread_over_many_accounts_are_noticed_once(settings: Any) -> None:
    unlimited(settings)
    with structlog.testing.capture_logs() as logs:
        for number in range(logins.SPRAYED_ACCOUNTS + 20):
            if number % 2:
                UserFactory(login=f"compte{number}")
            guess(f"compte{number}", "Printemps2026!", ip=f"198.51.100.{number}")
    noticed = [entry for entry in logs if entry["event"] == "login_spraying"]
    assert [(entry["accounts"], entry["addresses"]) for entry in noticed] == [(logins.SPRAYED_ACCOUNTS,) * 2]
    assert "compte" not in str(noticed[0]), "no identifier in the logs"


# --- The rightful user gets in ---------------------------------------------------------------------


def test_who_has_logged_in_here_before_gets_in_during_an_attack(claire: User) -> None:
    """With every limit on: the attacker fills the counters of the account, the known browser has its own."""
    mine = Client()
    assert got_in(guess("claire", PASSWORD, client=mine))
    mine.post(reverse("account_logout"))
    for number in range(40):
        guess("claire", f"faux-{number}", ip=f"198.51.100.{number}")
    assert User.objects.get(pk=claire.pk).failed_logins > 0
    assert not got_in(guess("claire", PASSWORD, ip="203.0.113.5"))
    assert got_in(guess("claire", PASSWORD, ip="203.0.113.6", client=mine))


def test_a_known_browser_is_no_way_round_the_lock(settings: Any, claire: User) -> None:
    unlimited(settings)
    stolen = Client()
    guess("claire", PASSWORD, client=stolen)
    stolen.post(reverse("account_logout"))
    for number in range(2 * logins.LOCK_AFTER):
        guess("claire", f"faux-{number}", client=stolen)
    assert not got_in(guess("claire", PASSWORD, client=stolen))
    assert not got_in(guess("claire", PASSWORD))


def test_an_invented_cookie_makes_no_browser_known(settings: Any, claire: User) -> None:
    for number in range(30):
        client = Client()
        client.cookies[logins.DEVICE_COOKIE] = f"invente-{number}"
        guess("claire", "faux", ip=f"198.51.100.{number}", client=client)
    assert not KnownDevice.objects.exists()
    assert not got_in(guess("claire", PASSWORD, ip="203.0.113.5", client=client))


def test_the_link_of_a_reset_opens_a_locked_account_during_the_attack(claire: User) -> None:
    for number in range(30):
        guess("claire", f"faux-{number}", ip=f"198.51.100.{number}")
    mine = Client()
    path = links.make_password_link(claire).removeprefix("http://localhost:8000")
    mine.post(path, {"password": NEW, "password_again": NEW})
    for number in range(30, 60):
        guess("claire", f"faux-{number}", ip=f"198.51.100.{number}")
    assert not got_in(guess("claire", NEW, ip="203.0.113.5"))
    assert got_in(guess("claire", NEW, ip="203.0.113.6", client=mine))


def test_a_first_log_in_from_another_browser_is_mailed_and_later_ones_are_not(claire: User) -> None:
    first, second = Client(), Client(headers={"user-agent": "Mozilla/5.0 (Windows NT 10.0) Firefox/132.0"})
    for client in (first, first, second, second):
        assert got_in(guess("claire", PASSWORD, client=client))
        client.post(reverse("account_logout"))
    event = Event.objects.get(type="account.new_device")
    assert event.data["ip_address"] == "192.0.2.1"
    mail = Delivery.objects.get(event=event)
    assert mail.address == "claire@lumiere.example"
    assert "Firefox sur Windows" in mail.message.text and "192.0.2.1" in mail.message.text


def test_a_new_password_makes_every_other_browser_unknown(claire: User) -> None:
    client = Client()
    guess("claire", PASSWORD, client=client)
    team_services.user_set_password(user=claire, password=NEW, actor=Actor.command("test"))
    assert not KnownDevice.objects.exists()


# --- Answers that tell nothing ---------------------------------------------------------------------


# The nonce of scripts, the length, which follows that of the identifier typed, and the time.
OF_EACH_PAGE = ("Content-Security-Policy", "Content-Length", "Expires", "X-Request-ID")


def comparable(answer: Any) -> tuple[Any, ...]:
    body = re.sub(r'(csrfmiddlewaretoken" value|nonce|value)="[^"]*"', "", answer.content.decode())
    headers = {name: value for name, value in answer.headers.items() if name not in OF_EACH_PAGE}
    cookies = {name: {**morsel, "expires": ""} for name, morsel in answer.cookies.items()}
    return answer.status_code, body, headers, cookies


@pytest.mark.parametrize(
    "state", ["wrong password", "locked", "locked, right password", "disabled", "no password", "shared address"]
)
def test_no_answer_tells_whether_an_account_exists(settings: Any, state: str) -> None:
    unlimited(settings)
    user = UserFactory(login="existe", email="existe@x.example", is_active=state != "disabled")
    typed, password = "existe", "faux"
    if state.startswith("locked"):
        User.objects.filter(pk=user.pk).update(locked_until=timezone.now() + timedelta(hours=1))
        password = PASSWORD if "right" in state else "faux"
    if state == "no password":
        user.set_unusable_password()
        user.save()
    if state == "shared address":
        UserFactory(login="autre", email="existe@x.example")
        typed = "existe@x.example"
    unknown = "inconnu@x.example" if "@" in typed else "inconnu"
    assert comparable(guess(typed, password)) == comparable(guess(unknown, password))


def test_a_locked_and_disabled_account_does_not_tell_that_the_password_is_right(claire: User) -> None:
    User.objects.filter(pk=claire.pk).update(is_active=False, locked_until=timezone.now() + timedelta(hours=1))
    assert comparable(guess("claire", PASSWORD)) == comparable(guess("inconnue", PASSWORD))


def test_too_many_tries_read_the_same_for_nobody(claire: User) -> None:
    answers = {
        login: [guess(login, "faux", ip=f"198.51.100.{i}") for i in range(8)] for login in ("claire", "inconnue")
    }
    assert list(map(comparable, answers["claire"])) == list(map(comparable, answers["inconnue"]))
    assert "Trop d'essais" in answers["claire"][-1].content.decode().replace("&#x27;", "'")


def test_an_unknown_identifier_costs_the_same_work(
    settings: Any, claire: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hasher of production, nearly all of the time of a log-in, runs as often and as long: counted, not timed."""
    unlimited(settings)
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    claire.set_password(PASSWORD)
    claire.save()
    rounds: list[int] = []
    encode = PBKDF2PasswordHasher.encode

    def counted(self: PBKDF2PasswordHasher, password: str, salt: str, iterations: int | None = None) -> str:
        rounds.append(iterations or self.iterations)
        return encode(self, password, salt, iterations)

    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", counted)
    worked = {}
    for login in ("claire", "inconnue"):
        rounds.clear()
        guess(login, "faux")
        worked[login] = sum(rounds)
    assert worked["claire"] == worked["inconnue"] > 0


def test_an_unknown_identifier_writes_as_much_and_keeps_no_text(settings: Any, claire: User) -> None:
    unlimited(settings)
    written = {}
    for login in ("claire", "inconnue"):
        with CaptureQueriesContext(connection) as queries:
            guess(login, "faux")
        verbs = [query["sql"].split()[0] for query in queries]
        written[login] = [verb for verb in verbs if verb in ("INSERT", "SAVEPOINT", "BEGIN")]
    assert written["claire"] == written["inconnue"]
    assert LoginRecord.objects.filter(user=None).exclude(typed="").count() == 1
    assert "inconnue" not in str(list(LoginRecord.objects.values_list("typed", "user_agent")))


def test_a_link_is_made_after_the_answer_has_left(claire: User) -> None:
    request = RequestFactory().post(reverse("account_reset_password"), {"login": "claire"})
    request.user = AnonymousUser()
    answer = account_views.password_reset(request)
    assert answer.status_code == 302
    assert not Event.objects.exists(), "the visitor has the answer before any work that depends on the account"
    request_finished.disconnect(close_old_connections)
    try:
        answer.close()
        answer.close()
    finally:
        request_finished.connect(close_old_connections)
    assert Event.objects.filter(type="account.password_reset_requested").count() == 1


# --- Second factors --------------------------------------------------------------------------------


CHECK_CODE = """
import sys, django
from types import SimpleNamespace
django.setup()
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth
auth.time = SimpleNamespace(time=lambda: float(sys.argv[2]))
authenticator = Authenticator.objects.get(type="totp")
print("taken" if authenticator.wrap().validate_code(sys.argv[1]) else "refused", flush=True)
"""


@pytest.mark.django_db(transaction=True)
def test_a_used_code_is_refused_by_a_second_process(
    shared_cache: None, start_process: Callable[..., Any], claire: User
) -> None:
    secret = "JBSWY3DPEHPK3PXP"
    TOTP.activate(claire, secret)
    # Both processes come in the same step of the clock, however long they take to start.
    now, answers = str(time.time()), []
    with time_machine.travel(float(now), tick=False):
        code = code_of(secret)
    for _process in range(2):
        process = start_process("-c", CHECK_CODE, code, now)
        answers.append(process.communicate(timeout=PATIENCE)[0].split()[-1])
    assert answers == ["taken", "refused"]


def test_no_link_gets_past_the_second_factor(claire: User) -> None:
    TOTP.activate(claire, "JBSWY3DPEHPK3PXP")
    by_operator, by_reset = Client(), Client()
    assert by_operator.post(path_of(links.make_login_link(claire))).headers["Location"] == reverse("mfa_authenticate")
    by_reset.post(path_of(links.make_password_link(claire)), {"password": NEW, "password_again": NEW})
    assert not is_in(by_operator) and not is_in(by_reset)
    assert guess("claire", NEW).headers["Location"] == reverse("mfa_authenticate")


def test_a_code_lives_thirty_seconds(claire: User) -> None:
    secret = "JBSWY3DPEHPK3PXP"
    TOTP.activate(claire, secret)
    factor = Authenticator.objects.get(type="totp").wrap()
    step = timezone.now().replace(second=0, microsecond=0)
    with time_machine.travel(step, tick=False):
        code = code_of(secret)
    for seconds in (-1, 30):
        with time_machine.travel(step + timedelta(seconds=seconds), tick=False):
            assert not factor.validate_code(code)
    with time_machine.travel(step + timedelta(seconds=29), tick=False):
        assert factor.validate_code(code)


def test_a_recovery_code_opens_once_and_is_not_to_be_guessed(claire: User) -> None:
    TOTP.activate(claire, "JBSWY3DPEHPK3PXP")
    codes = RecoveryCodes.activate(claire).get_unused_codes()
    assert len(set(codes)) == 10
    assert all(len(code) >= 8 and code.isdigit() for code in codes), "26 bits; 20 are asked for"
    other = RecoveryCodes.activate(UserFactory()).get_unused_codes()
    assert not set(codes) & set(other)
    factor = Authenticator.objects.get(user=claire, type="recovery_codes").wrap()
    assert [factor.validate_code(codes[0]) for _time in range(2)] == [True, False]
    again = Authenticator.objects.get(user=claire, type="recovery_codes").wrap()
    assert not again.validate_code(codes[0]), "and it is stored"


def test_secrets_of_second_factors_are_encrypted_where_they_lie(claire: User) -> None:
    secret = "JBSWY3DPEHPK3PXP"
    TOTP.activate(claire, secret)
    codes = RecoveryCodes.activate(claire)
    plain = [secret, *codes.get_unused_codes()]
    with connection.cursor() as cursor:
        cursor.execute("SELECT type, data FROM mfa_authenticator")
        dump = repr(cursor.fetchall())
    assert [text for text in plain if text in dump] == []
    assert dump.count("test:") == 2, "each under the configured key"


def test_recovery_codes_are_shown_once(
    client_for: ClientFor, claire: User, django_capture_on_commit_callbacks: Any
) -> None:
    TOTP.activate(claire, "JBSWY3DPEHPK3PXP")
    client = client_for(claire, fresh=True)
    with django_capture_on_commit_callbacks(execute=True):
        client.post(reverse("mfa_generate_recovery_codes"))
    codes = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()
    first = client.get(reverse("mfa_view_recovery_codes")).content.decode()
    assert all(code in first for code in codes)
    again = client.get(reverse("mfa_view_recovery_codes")).content.decode()
    assert not any(code in again for code in codes)
    assert client.get(reverse("mfa_download_recovery_codes")).status_code == 403
    assert AuditEntry.objects.get().action == "user.codes_generated"


@pytest.mark.usefixtures("one_step")
def test_switching_a_second_factor_on_and_off_is_kept_mailed_and_ends_other_sessions(
    client_for: ClientFor, claire: User, django_capture_on_commit_callbacks: Any
) -> None:
    here, there = client_for(claire, fresh=True), client_for(claire)
    here.get(reverse("mfa_activate_totp"))
    secret = here.session["mfa.totp.secret"]
    with django_capture_on_commit_callbacks(execute=True):
        here.post(reverse("mfa_activate_totp"), {"code": code_of(secret)})
    assert is_in(here)
    assert not is_in(there)
    there = client_for(claire)
    here.post(reverse("mfa_deactivate_totp"))
    assert not is_in(there)
    assert [entry.action for entry in AuditEntry.objects.order_by("pk")] == [
        "user.totp_activated",
        "user.totp_deactivated",
    ]
    mails = Delivery.objects.filter(event__type="account.second_factor_changed").order_by("created_at")
    assert [mail.address for mail in mails] == [claire.email] * 2
    assert "application d'authentification activée" in mails[0].message.text


def test_the_platform_asks_a_second_factor_of_those_who_manage_users_or_keys() -> None:
    shop = ShopFactory()
    plain = {
        "viewer": UserFactory(company=shop.company, role=Role.VIEWER),
        "manager": UserFactory(company=shop.company, role=Role.MANAGER),
        "nobody": UserFactory(company=None),
    }
    asked = {
        "administrator": UserFactory(company=shop.company, role=Role.ADMINISTRATOR),
        "keys of one shop": UserFactory(company=shop.company, role=Role.VIEWER, grants={shop: {"view", "manage_keys"}}),
        "administrator elsewhere": MembershipFactory(user=UserFactory(company=shop.company, role=Role.VIEWER)).user,
        "staff": StaffFactory(),
    }
    assert [name for name, user in plain.items() if SecondFactorMiddleware.concerns(user)] == []
    assert [name for name, user in asked.items() if not SecondFactorMiddleware.concerns(user)] == []


def test_recovery_codes_alone_are_no_second_factor(settings: Any, client_for: ClientFor, claire: User) -> None:
    settings.MFA_REQUIRED = True
    RecoveryCodes.activate(claire)
    assert client_for(claire).get("/account/").headers["Location"] == reverse("mfa_activate_totp")
    Authenticator.objects.create(user=claire, type="webauthn", data={})
    assert client_for(claire).get("/account/").status_code == 200


# --- Tidiness --------------------------------------------------------------------------------------


def test_the_worker_throws_away_what_is_over_once_an_hour(claire: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(logins, "_last_tick", None)
    now = timezone.now()
    Client().force_login(claire)
    Session.objects.update(expire_date=now - timedelta(minutes=1))
    LoginRecord.objects.create(user=None, typed="x", at=now - timedelta(days=31), succeeded=False)
    kept = LoginRecord.objects.create(user=None, typed="x", at=now - timedelta(days=29), succeeded=False)
    own = LoginRecord.objects.create(user=claire, at=now - timedelta(days=400), succeeded=True)
    KnownDevice.objects.create(user=claire, key="x", seen_at=now - timedelta(days=366))
    logins.tick(now)
    assert not Session.objects.exists()
    assert not KnownDevice.objects.exists()
    assert set(LoginRecord.objects.all()) == {kept, own}
    Client().force_login(claire)
    Session.objects.update(expire_date=now - timedelta(minutes=1))
    logins.tick(now + timedelta(minutes=59))
    assert Session.objects.count() == 1
    logins.tick(now + timedelta(minutes=61))
    assert not Session.objects.exists()


# --- Staff -----------------------------------------------------------------------------------------


def test_staff_come_in_by_the_same_door() -> None:
    staff = StaffFactory()
    for client in (Client(), Client()):
        answer = client.get("/admin/companies/", follow=True)
        assert answer.redirect_chain[-1][0].startswith("/accounts/login/?next=")
        answer = client.post("/admin/login/", {"username": staff.login, "password": PASSWORD})
        assert answer.status_code == 302 and answer.headers["Location"].startswith("/accounts/login/")
        assert not is_in(client)
