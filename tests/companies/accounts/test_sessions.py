"""Sessions: what the table gives away, when they end, and the page that lists them."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings as live_settings
from django.contrib.auth import get_user
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from backoffice.site.middleware import _ip_address
from backoffice.text import user_agents
from companies.audit import Actor
from companies.models import AuditEntry, Session, User
from companies.sessions import SessionStore, stored_key
from companies.team import services as team_services
from tests.factories import PASSWORD, StaffFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile/15E148 Safari/604.1"


def log_in(user: User, *, agent: str = FIREFOX, ip: str = "203.0.113.7") -> Client:
    client = Client(headers={"user-agent": agent}, REMOTE_ADDR=ip)
    client.post(reverse("account_login"), {"login": user.login, "password": PASSWORD})
    assert is_in(client)
    return client


def is_in(client: Client) -> bool:
    return get_user(client).is_authenticated  # type: ignore[arg-type]


def cookie(client: Client) -> str:
    return client.cookies[live_settings.SESSION_COOKIE_NAME].value


def row_of(client: Client) -> Session:
    return Session.objects.get(key=stored_key(cookie(client)))


# --- What the table gives away ---------------------------------------------------------------------


def test_the_table_holds_neither_the_cookie_nor_what_the_session_remembers() -> None:
    client = log_in(UserFactory())
    session = client.session
    session["planted"] = "un-secret-plante"
    session.save()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM companies_session")
        dump = repr(cursor.fetchall())
    assert cookie(client) not in dump
    assert "un-secret-plante" not in dump
    assert row_of(client).session_data.startswith("test:"), "the key it is encrypted under, for rotation"


def test_a_cookie_is_not_to_be_guessed() -> None:
    """32 signs of 36: 165 bits of the system's generator."""
    drawn = {SessionStore()._get_new_session_key() for _number in range(500)}
    assert len(drawn) == 500
    assert all(len(key) == 32 for key in drawn)
    assert len(set("".join(drawn))) == 36


def test_a_session_of_a_lost_key_is_no_session() -> None:
    client = log_in(UserFactory())
    Session.objects.update(session_data="verschollen:AAAA")
    assert not is_in(client)


def test_log_in_gives_a_new_cookie_and_ends_the_one_it_came_with() -> None:
    """Session fixation: the cookie an attacker planted beforehand opens nothing."""
    planted = SessionStore()
    planted["x"] = 1
    planted.create()
    client = Client()
    client.cookies[live_settings.SESSION_COOKIE_NAME] = planted.session_key
    client.post(reverse("account_login"), {"login": UserFactory().login, "password": PASSWORD})
    assert is_in(client)
    assert cookie(client) != planted.session_key
    assert not Session.objects.filter(key=stored_key(planted.session_key or "")).exists()


def test_log_out_ends_the_session_for_every_copy_of_its_cookie() -> None:
    client, thief = log_in(UserFactory()), Client()
    thief.cookies[live_settings.SESSION_COOKIE_NAME] = cookie(client)
    assert is_in(thief)
    client.post(reverse("account_logout"))
    assert not is_in(thief)


def test_a_session_ended_during_a_request_does_not_come_back() -> None:
    client = log_in(UserFactory())
    store = SessionStore(cookie(client))
    store["late"] = True
    Session.objects.all().delete()
    from django.contrib.sessions.backends.base import UpdateError

    with pytest.raises(UpdateError):
        store.save()
    assert not Session.objects.exists()


# --- Time ------------------------------------------------------------------------------------------


def test_an_idle_session_ends(settings: object) -> None:
    client = log_in(UserFactory())
    idle = live_settings.SESSION_IDLE_TIMEOUT
    start = timezone.now()
    with time_machine.travel(start + timedelta(seconds=idle - 60)):
        assert client.get("/account/").status_code == 200
    with time_machine.travel(start + timedelta(seconds=2 * idle - 180)):
        assert client.get("/account/").status_code == 200, "each page counts as activity"
    with time_machine.travel(start + timedelta(seconds=3 * idle)):
        assert client.get("/account/").status_code == 302
    assert not Session.objects.exists()


def test_a_busy_session_ends_too() -> None:
    client = log_in(UserFactory())
    start, step = timezone.now(), timedelta(minutes=50)
    moment = start
    while moment - start < timedelta(seconds=live_settings.SESSION_COOKIE_AGE) - step:
        moment += step
        with time_machine.travel(moment):
            assert client.get("/account/").status_code == 200
    with time_machine.travel(start + timedelta(seconds=live_settings.SESSION_COOKIE_AGE + 60)):
        assert client.get("/account/").status_code == 302


def test_activity_is_written_at_most_once_a_minute(django_assert_num_queries: Callable[..., object]) -> None:
    client = log_in(UserFactory())
    start = timezone.now()
    with time_machine.travel(start + timedelta(seconds=30)):
        client.get("/account/")
    assert row_of(client).seen_at <= start
    with time_machine.travel(start + timedelta(seconds=90)):
        client.get("/account/")
    assert row_of(client).seen_at > start + timedelta(seconds=80)


# --- What ends them --------------------------------------------------------------------------------


def test_a_new_password_ends_every_other_session_and_keeps_the_one_at_hand() -> None:
    user = UserFactory()
    here, there = log_in(user), log_in(user)
    form = {
        "current_password": PASSWORD,
        "password": "cheval-agrafe-pile-juste",
        "password_again": "cheval-agrafe-pile-juste",
    }
    here.post(reverse("account_change_password"), form)
    assert is_in(here)
    assert not is_in(there)
    assert Session.objects.filter(user=user).count() == 1


def test_a_reset_by_link_ends_every_session() -> None:
    user = UserFactory()
    client = log_in(user)
    team_services.user_set_password(user=user, password="cheval-agrafe-pile-juste", actor=Actor.command("test"))
    assert not is_in(client)
    assert not Session.objects.filter(user=user).exists()


def test_disabling_an_account_ends_its_sessions_for_good() -> None:
    UserFactory()
    user = UserFactory(role="viewer")
    client = log_in(user)
    team_services.user_update(user=user, actor=Actor.command("test"), is_active=False)
    assert not is_in(client)
    team_services.user_update(user=user, actor=Actor.command("test"), is_active=True)
    assert not is_in(client)


def test_staff_end_every_session_of_the_accounts_they_choose(client_for: ClientFor) -> None:
    user, other = UserFactory(), UserFactory()
    sessions, kept = [log_in(user), log_in(user)], log_in(other)
    staff = client_for(StaffFactory(), fresh=True)
    form = {"action": "end_sessions", "_selected_action": [user.pk]}
    answer = staff.post(reverse("admin:companies_user_changelist"), form, follow=True)
    assert "2 sessions fermées" in answer.content.decode()
    assert [is_in(client) for client in (*sessions, kept)] == [False, False, True]
    entry = AuditEntry.objects.get(action="user.sessions_ended")
    assert (entry.object_id, entry.actor_label) == (str(user.pk), "Alice Durand")


# --- The page --------------------------------------------------------------------------------------


def test_the_page_lists_each_session_in_words_and_marks_the_one_at_hand() -> None:
    user = UserFactory()
    log_in(user, agent=IPHONE, ip="2001:db8::7")
    log_in(UserFactory(), ip="192.0.2.99")
    here = log_in(user)
    body = here.get(reverse("account_sessions")).content.decode()
    for shown in ("Firefox sur Windows", "203.0.113.7", "Safari sur iPhone", "2001:db8::7"):
        assert shown in body
    assert "192.0.2.99" not in body
    assert body.count("Cette session") == 1
    assert body.index("Cette session") < body.index("Safari sur iPhone"), "the one at hand stands first"


def prove(client: Client) -> None:
    """Give the password once more."""
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    assert is_in(client)


def test_one_session_ends_after_a_question_and_the_history_keeps_it() -> None:
    user = UserFactory()
    there, here = log_in(user, agent=IPHONE), log_in(user)
    url = reverse("account_session_end", args=[row_of(there).pk])
    prove(here)
    assert "Safari sur iPhone" in here.get(url).content.decode()
    assert is_in(there), "looking ends nothing"
    assert "est fermée" in here.post(url, follow=True).content.decode()
    assert not is_in(there)
    assert is_in(here)
    assert AuditEntry.objects.get(action="user.sessions_ended").changes == {"sessions": [1, 0]}


def test_all_others_end_at_once() -> None:
    user, somebody = UserFactory(), UserFactory()
    others = [log_in(user) for _ in range(3)]
    stranger, here = log_in(somebody), log_in(user)
    prove(here)
    answer = here.post(reverse("account_sessions_end_others"), follow=True)
    assert "3 sessions fermées" in answer.content.decode()
    assert [is_in(client) for client in (*others, stranger, here)] == [False, False, False, True, True]


def test_nobody_ends_somebody_elses_session_or_the_own_one_here() -> None:
    stranger, here = log_in(UserFactory()), log_in(UserFactory())
    prove(here)
    for client in (stranger, here):
        url = reverse("account_session_end", args=[row_of(client).pk])
        assert here.post(url).status_code == 404
    assert is_in(stranger)
    assert is_in(here)


def test_ending_sessions_asks_who_one_is_first() -> None:
    user = UserFactory()
    there, here = log_in(user, agent=IPHONE), log_in(user)
    one, all_others = reverse("account_session_end", args=[row_of(there).pk]), reverse("account_sessions_end_others")
    for url in (one, all_others):
        assert here.get(url).headers["Location"].startswith("/accounts/reauthenticate/?next=")
        assert here.post(url).headers["Location"] == url, "its page opens again and asks"
    assert is_in(there)


def test_a_proof_of_identity_gives_a_new_cookie_and_ends_the_former_one() -> None:
    client, thief = log_in(UserFactory()), Client()
    former, row = cookie(client), row_of(client)
    prove(client)
    thief.cookies[live_settings.SESSION_COOKIE_NAME] = former
    assert cookie(client) != former
    assert not is_in(thief)
    now = row_of(client)
    assert (now.pk, now.created_at) == (row.pk, row.created_at), "it is no younger for that"


def test_a_wrong_proof_leaves_the_cookie() -> None:
    client = log_in(UserFactory())
    former = cookie(client)
    client.post(reverse("account_reauthenticate"), {"password": "faux"})
    assert cookie(client) == former and is_in(client)


def test_a_browser_whose_session_ends_is_told_to_forget_its_pages() -> None:
    ended = '"cache", "storage"'
    client, other = log_in(UserFactory()), log_in(UserFactory())
    assert "Clear-Site-Data" not in client.get("/account/").headers
    assert client.post(reverse("account_logout")).headers["Clear-Site-Data"] == ended
    Session.objects.all().delete()
    assert other.get("/account/").headers["Clear-Site-Data"] == ended
    assert "Clear-Site-Data" not in Client().get(reverse("account_login")).headers


def test_notices_wait_in_the_session_and_not_in_a_cookie() -> None:
    client = log_in(UserFactory(email="claire@lumiere.example"))
    client.post(reverse("account_change_password"), {
        "current_password": PASSWORD, "password": "cheval-agrafe-pile-correcte", "password_again": "cheval-agrafe-pile-correcte"
    })  # fmt: skip
    assert set(client.cookies) <= {
        live_settings.SESSION_COOKIE_NAME, live_settings.CSRF_COOKIE_NAME, live_settings.DEVICE_COOKIE_NAME
    }  # fmt: skip
    assert "Votre mot de passe est changé" in client.get("/account/").content.decode()


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox sur Windows"),
        (IPHONE, "Safari sur iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36", "Chrome sur Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/131.0 Safari/537.36 Edg/131.0", "Edge sur Windows"),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/131.0 Mobile Safari/537.36", "Chrome sur Android"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", "Appareil inconnu"),
    ],
)
def test_browsers_are_named_in_words(agent: str, words: str) -> None:
    assert user_agents.describe(agent) == words


# --- Addresses behind proxies ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "forwarded", "seen"),
    [
        (0, "198.51.100.1", "127.0.0.1"),
        (1, "10.0.0.1, 198.51.100.1", "198.51.100.1"),
        (2, "evil, 198.51.100.1, 10.0.0.9", "198.51.100.1"),
        (2, "198.51.100.1", "127.0.0.1"),
        (1, "198.51.100.1:4711", "198.51.100.1"),
        (1, "[2001:db8::1]:4711", "2001:db8::1"),
        (1, "unknown", "127.0.0.1"),
    ],
)
def test_the_address_is_the_one_that_trusted_proxies_vouch_for(
    settings: object, count: int, forwarded: str, seen: str
) -> None:
    settings.TRUSTED_PROXY_COUNT = count  # type: ignore[attr-defined]
    user = UserFactory()
    client = Client(headers={"x-forwarded-for": forwarded})
    client.post(reverse("account_login"), {"login": user.login, "password": PASSWORD})
    assert row_of(client).ip_address == seen


def test_an_address_that_is_none_is_kept_as_unknown() -> None:
    assert _ip_address("") is None
    assert _ip_address("unix:") is None
