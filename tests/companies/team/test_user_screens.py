"""Utilisateurs, Droits par boutique and Comptes SFTP: what each screen shows, saves and refuses."""

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from companies import links, selectors
from companies.accounts import logins
from companies.audit import Actor
from companies.models import AuditEntry, Company, LoginRecord, Membership, Role, SftpAccount, User
from companies.rights import access
from companies.rights.permissions import EDIT_SETTINGS, MANAGE_RULES, MANAGE_USERS, PERMISSIONS, RESEND, VIEW
from companies.rights.readers import users_of
from companies.team import services as team_services
from notifications.models import Delivery
from shops.models import Shop
from tests.factories import (
    PASSWORD,
    MembershipFactory,
    SftpAccountFactory,
    StaffFactory,
    UserFactory,
)
from tests.html_forms import form_with

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
ClientFor = Callable[..., Client]
USERS, SFTP = "/settings/company/users/", "/settings/company/sftp-accounts/"


@pytest.fixture
def client_for(client_for: ClientFor) -> ClientFor:
    """Clients that have just proved who they are, unless `fresh=False`."""

    def log_in(user: User, *, fresh: bool = True) -> Client:
        return client_for(user, fresh=fresh)

    return log_in


def text(response: Any) -> str:
    return response.content.decode().replace("&#x27;", "'").replace("\xa0", " ")


def membership(user: User) -> Membership:
    return Membership.objects.get(user=user, company=user.company)


def data(account: User | None = None, **changed: Any) -> dict[str, Any]:
    """What the form of an account sends, changed here and there."""
    base: dict[str, Any] = {"role": "viewer", "coverage": "all", "language": "", "time_zone": ""}
    if account is None:
        base |= {"login": "bob", "email": "bob@x.example"}
    else:
        account = User.objects.get(pk=account.pk)
        base |= {name: getattr(account, name) for name in ("email", "title", "first_name", "last_name", "phone")}
        base["seen"] = team_services.fingerprint(account, account.company)
    return {**base, **changed}


def told(notification: str) -> list[str]:
    return sorted(Delivery.objects.filter(notification=notification).values_list("address", flat=True))


# --- Creating and changing ------------------------------------------------------------------------


def test_a_user_is_created_with_an_invitation(client_for: ClientFor, company: Company, claire: User) -> None:
    response = client_for(claire).post(
        f"{USERS}new/", data(phone="+33102030405", time_zone="Europe/Paris"), follow=True
    )
    assert "bob@x.example reçoit l'identifiant et un lien" in text(response)
    bob = User.objects.get(login="bob")
    assert (bob.company, bob.phone, bob.state) == (company, "+33102030405", User.State.INVITED)
    assert told("user_account") == ["bob@x.example"]
    assert AuditEntry.objects.get(action="user.created").actor == claire


def test_an_identifier_of_another_company_is_refused_and_what_was_typed_stays(
    client_for: ClientFor, claire: User
) -> None:
    UserFactory(login="Bob")
    page = text(client_for(claire).post(f"{USERS}new/", data(first_name="Robert", email="deux@x.example; x")))
    assert 'value="Robert"' in page and 'href="#id_email"' in page
    page = text(client_for(claire).post(f"{USERS}new/", data(first_name="Robert")))
    assert "L'identifiant « bob » est déjà pris" in page and 'href="#id_login"' in page and 'value="Robert"' in page
    assert not User.objects.filter(email="bob@x.example").exists()


def test_permissions_of_ones_own_and_chosen_shops(client_for: ClientFor, claire: User, paris: Shop, lyon: Shop) -> None:
    client = client_for(claire)
    page = text(client.post(f"{USERS}new/", data(role="custom", coverage="some")))
    assert "Cochez au moins un droit" in page and "Choisissez au moins une boutique" in page
    client.post(f"{USERS}new/", data(role="custom", own=[RESEND], coverage="some", shops=[lyon.site_id]))
    member = membership(User.objects.get(login="bob"))
    assert member.permissions == {VIEW, RESEND}
    assert access.can(member, RESEND, lyon) and not access.can(member, VIEW, paris)
    assert AuditEntry.objects.get(action="user.created").changes["rights"] == [None, [VIEW, RESEND]]


def test_ticking_exactly_what_a_role_grants_is_that_role(client_for: ClientFor, claire: User) -> None:
    client_for(claire).post(f"{USERS}new/", data(role="custom", own=sorted(PERMISSIONS[Role.MANAGER])))
    member = membership(User.objects.get(login="bob"))
    assert (member.role, member.permissions) == (Role.MANAGER, None)


def test_a_new_address_is_told_to_both(client_for: ClientFor, company: Company, claire: User) -> None:
    user = UserFactory(company=company, role=Role.VIEWER, email="avant@x.example")
    response = client_for(claire).post(f"{USERS}{user.pk}/", data(user, email="apres@x.example"), follow=True)
    assert "prévenu à apres@x.example. L'ancienne adresse avant@x.example l'est aussi." in text(response)
    assert told("user_account") == ["apres@x.example"] and told("account_security") == ["avant@x.example"]


def test_saving_nothing_writes_nothing(client_for: ClientFor, company: Company, claire: User, lyon: Shop) -> None:
    user = UserFactory(company=company, role=Role.VIEWER, shops=[lyon], grants={})
    response = client_for(claire).post(
        f"{USERS}{user.pk}/", data(user, coverage="some", shops=[lyon.site_id]), follow=True
    )
    assert "Rien n'a changé" in text(response)
    assert not AuditEntry.objects.exists() and not Delivery.objects.exists()


def test_the_second_writer_is_told_and_nothing_is_overwritten(
    client_for: ClientFor, company: Company, claire: User
) -> None:
    user = UserFactory(company=company, role=Role.VIEWER)
    old = data(user, first_name="Bis")
    client = client_for(claire)
    client.post(f"{USERS}{user.pk}/", data(user, role="manager"))
    page = text(client.post(f"{USERS}{user.pk}/", old))
    assert "modifiées par quelqu'un d'autre" in page and 'value="Bis"' in page
    assert membership(user).role == Role.MANAGER
    assert User.objects.get(pk=user.pk).first_name != "Bis"


def test_the_last_active_administrator_stays(client_for: ClientFor, company: Company, claire: User) -> None:
    client = client_for(claire)
    assert "dernier administrateur actif" in text(client.post(f"{USERS}{claire.pk}/", data(claire)))
    assert "dernier administrateur actif" in text(client.post(f"{USERS}{claire.pk}/disable/", follow=True))
    assert membership(claire).role == Role.ADMINISTRATOR and User.objects.get(pk=claire.pk).is_active
    UserFactory(company=company)
    assert client.post(f"{USERS}{claire.pk}/", data(claire)).status_code == 302


def test_a_manager_of_users_is_offered_only_what_they_have(client_for: ClientFor, company: Company) -> None:
    editor = UserFactory(company=company, role=Role.VIEWER)
    Membership.objects.filter(user=editor).update(permissions=frozenset({VIEW, MANAGE_USERS, RESEND}))
    client = client_for(editor)
    form = client.get(f"{USERS}new/").context["form"]
    assert [code for code, _label in form.fields["role"].choices] == ["viewer", "custom"]
    assert [code for code, _label in form.fields["own"].choices] == [VIEW, RESEND, MANAGE_USERS]
    page = text(client.post(f"{USERS}new/", data(role="manager")))
    assert "field-error" in page and not User.objects.filter(login="bob").exists()
    client.post(f"{USERS}new/", data(role="custom", own=[EDIT_SETTINGS]))
    assert not User.objects.filter(login="bob").exists()


def test_an_account_with_more_rights_is_read_only(client_for: ClientFor, company: Company, claire: User) -> None:
    editor = UserFactory(company=company, role=Role.VIEWER)
    Membership.objects.filter(user=editor).update(permissions=frozenset({VIEW, MANAGE_USERS}))
    client = client_for(editor)
    page = text(client.get(f"{USERS}{claire.pk}/"))
    assert "des droits que vous n'avez pas vous-même" in page and "data-save-bar" not in page and "./reset/" not in page
    assert client.post(f"{USERS}{claire.pk}/", data(claire, email="moi@x.example")).status_code == 403
    for action in ("reset", "disable"):
        assert client.post(f"{USERS}{claire.pk}/{action}/").status_code == 403
    assert User.objects.get(pk=claire.pk).email == "claire@lumiere.example" and not Delivery.objects.exists()


def test_accounts_of_another_company_are_not_found(client_for: ClientFor, claire: User) -> None:
    client = client_for(claire)
    stranger, account = UserFactory(), SftpAccountFactory()
    for path in ("", "shops/", "reset/", "disable/"):
        assert client.get(f"{USERS}{stranger.pk}/{path}").status_code == 404
        assert client.post(f"{USERS}{stranger.pk}/{path}").status_code == 404
    for path in ("", "reset/", "disable/"):
        assert client.post(f"{SFTP}{account.pk}/{path}").status_code == 404


# --- An account of another company with access here ------------------------------------------------


def test_an_agencys_account_is_listed_and_only_its_rights_are_changed(
    client_for: ClientFor, company: Company, claire: User
) -> None:
    agent = UserFactory(login="agent", email="agent@agence.example", company__name="Agence Web")
    MembershipFactory(user=agent, company=company, role=Role.VIEWER)
    client = client_for(claire)
    assert "géré par Agence Web" in text(client.get(USERS))
    sent = {**data(agent, email="pirate@x.example", role="manager"), "seen": team_services.fingerprint(agent, company)}
    client.post(f"{USERS}{agent.pk}/", sent)
    assert Membership.objects.get(user=agent, company=company).role == Role.MANAGER
    assert User.objects.get(pk=agent.pk).email == "agent@agence.example"
    assert Membership.objects.get(user=agent, company=agent.company).role == Role.ADMINISTRATOR
    for action in ("reset", "disable", "invite"):
        client.post(f"{USERS}{agent.pk}/{action}/")
    agent.refresh_from_db()
    assert agent.is_active and agent.check_password(PASSWORD)
    client.post(f"{USERS}{agent.pk}/remove/")
    assert list(Membership.objects.filter(user=agent).values_list("company", flat=True)) == [agent.company_id]


# --- States and actions ---------------------------------------------------------------------------


def in_state(company: Company, state: str) -> User:
    user = UserFactory(company=company, role=Role.VIEWER, login=f"en-{state}")
    if state == User.State.INVITED:
        user.set_unusable_password()
    user.is_active = state != User.State.DISABLED
    if state == User.State.LOCKED:
        user.locked_until = timezone.now() + timedelta(minutes=5)
    user.save()
    return user


def test_the_list_knows_the_states_that_accounts_have(client_for: ClientFor, company: Company, claire: User) -> None:
    accounts = {state: in_state(company, state) for state in User.State.values}
    for state, user in accounts.items():
        assert user.state == state
        listed = selectors.users_filtered(users_of(company), company, state=state)
        assert list(listed.exclude(pk=claire.pk)) == [user]
    page = text(client_for(claire).get(USERS, {"state": "locked"}))
    assert "en-locked" in page and "en-active" not in page and "Verrouillé" in page


def test_an_invitation_is_sent_again_with_another_link(client_for: ClientFor, company: Company, claire: User) -> None:
    user = in_state(company, User.State.INVITED)
    url = f"{USERS}{user.pk}/invite/"
    client = client_for(claire)
    assert "un lien à usage unique, valable 48 heures" in text(client.get(url))
    assert not Delivery.objects.exists()
    client.post(url)
    assert told("user_account") == [user.email]
    assert AuditEntry.objects.get().action == "user.invited"
    user.set_password(PASSWORD)
    user.save()
    assert "n'a plus lieu d'être" in text(client.post(url, follow=True))
    assert Delivery.objects.count() == 1


def test_a_reset_ends_the_password_and_the_sessions_and_mails_a_link(
    client_for: ClientFor, company: Company, claire: User
) -> None:
    user = UserFactory(company=company, role=Role.VIEWER)
    theirs = client_for(user)
    assert theirs.get("/account/").status_code == 200
    client_for(claire).post(f"{USERS}{user.pk}/reset/")
    assert theirs.get("/account/").status_code == 302
    fresh = User.objects.get(pk=user.pk)
    assert not fresh.check_password(PASSWORD) and fresh.state == User.State.INVITED
    message = Delivery.objects.select_related("message").get(notification="user_account").message
    assert message is not None and "%%LINK%%" in message.text
    assert links.user_for_password_token(links.make_password_link(fresh).rstrip("/").rpartition("/")[2]) == fresh


def test_a_disabled_user_is_out_at_once_and_comes_back_with_the_same_rights(
    client_for: ClientFor, company: Company, claire: User, lyon: Shop
) -> None:
    user = UserFactory(company=company, role=Role.VIEWER, shops=[lyon], grants={})
    theirs, client = client_for(user), client_for(claire)
    client.post(f"{USERS}{user.pk}/disable/")
    assert theirs.get("/account/").status_code == 302
    page = text(client.get("/notifications/addresses/", {"address": user.email}))
    assert "désactivé" in page
    team_services.password_reset_request(user=User.objects.get(pk=user.pk))
    assert not Delivery.objects.filter(notification="account_security").exists()
    client.post(f"{USERS}{user.pk}/enable/")
    assert client_for(User.objects.get(pk=user.pk)).get("/account/").status_code == 200
    assert access.can(membership(user), VIEW, lyon)


# --- Proof of identity before a change -------------------------------------------------------------


def test_a_change_asks_for_the_password_first_and_then_saves_what_was_typed(
    client_for: ClientFor, claire: User
) -> None:
    client = client_for(claire, fresh=False)
    assert client.get(f"{USERS}new/").status_code == 200
    asked = client.post(f"{USERS}new/", data())
    assert asked.status_code == 302 and asked.headers["Location"].startswith("/accounts/reauthenticate/")
    assert not User.objects.filter(login="bob").exists()
    client.post(asked.headers["Location"], {"password": "faux", "next": f"{USERS}new/"})
    assert not User.objects.filter(login="bob").exists()
    client.post(asked.headers["Location"], {"password": PASSWORD, "next": f"{USERS}new/"})
    assert User.objects.get(login="bob").email == "bob@x.example"


@pytest.mark.parametrize("path", ["users/{user}/", "users/{user}/shops/", "users/{user}/reset/", "users/{user}/disable/",
                                  "sftp-accounts/new/", "sftp-accounts/{sftp}/", "sftp-accounts/{sftp}/reset/"])  # fmt: skip
def test_every_change_of_an_account_asks_for_it(
    client_for: ClientFor, company: Company, claire: User, path: str
) -> None:
    values = {"user": UserFactory(company=company, role=Role.VIEWER).pk, "sftp": SftpAccountFactory(company=company).pk}
    answer = client_for(claire, fresh=False).post("/settings/company/" + path.format(**values))
    assert answer.headers["Location"].startswith("/accounts/reauthenticate/")
    assert not AuditEntry.objects.exists()


# --- Rights by shop -------------------------------------------------------------------------------


def choose(user: User, **choices: Any) -> dict[str, Any]:
    """What the page of rights by shop sends: `s10000001="viewer"`, or a list of permissions."""
    sent: dict[str, Any] = {"seen": team_services.fingerprint(user, user.company), "shop": []}
    for name, choice in choices.items():
        site_id = name[1:]
        sent["shop"].append(site_id)
        sent[f"choice-{site_id}"] = choice if isinstance(choice, str) else "custom"
        if not isinstance(choice, str):
            sent[f"own-{site_id}"] = choice
    return sent


def test_manager_of_one_shop_viewer_of_another(
    client_for: ClientFor, company: Company, claire: User, paris: Shop, lyon: Shop
) -> None:
    user = UserFactory(company=company, role=Role.VIEWER, shops=[], grants={})
    url = f"{USERS}{user.pk}/shops/"
    client = client_for(claire)
    response = client.post(url, choose(user, s10000001="manager", s10000002="general"), follow=True)
    assert f"{user.email} en est prévenu" in text(response)
    member = membership(user)
    assert access.can(member, EDIT_SETTINGS, paris)
    assert access.can(member, VIEW, lyon) and not access.can(member, EDIT_SETTINGS, lyon)
    rows = {row.shop.site_id: row for row in client.get(url).context["rows"]}
    assert (rows["10000001"].choice, rows["10000002"].choice) == ("manager", "general")
    client.post(url, choose(user, s10000002="none"))
    assert [shop.name for shop in access.shops_of(membership(user))] == ["Lumière Paris"]


def test_exceptions_for_an_account_that_sees_all_shops(
    client_for: ClientFor, company: Company, claire: User, paris: Shop, lyon: Shop
) -> None:
    user = UserFactory(company=company, role=Role.MANAGER)
    url = f"{USERS}{user.pk}/shops/"
    client = client_for(claire)
    client.post(url, choose(user, s10000001=[MANAGE_RULES], s10000002="none"))
    member = membership(user)
    assert access.access_of(member).on(paris.pk) == {VIEW, MANAGE_RULES}
    assert [shop.name for shop in access.shops_of(member)] == ["Lumière Paris"]
    client.post(url, choose(user, s10000001="general", s10000002="general"))
    assert not membership(user).grants.exists()


def test_a_choice_that_goes_beyond_the_editor_is_refused(
    client_for: ClientFor, company: Company, paris: Shop, lyon: Shop
) -> None:
    editor = UserFactory(company=company, role=Role.VIEWER, shops=[paris])
    Membership.objects.filter(user=editor).update(permissions=frozenset({VIEW, MANAGE_USERS}))
    user = UserFactory(company=company, role=Role.VIEWER, shops=[paris], grants={})
    client = client_for(editor)
    page = text(client.post(f"{USERS}{user.pk}/shops/", choose(user, s10000001="manager")))
    assert "des droits que vous n'avez pas vous-même" in page
    assert client.post(f"{USERS}{user.pk}/shops/", choose(user, s10000002="viewer")).status_code == 404
    assert [shop.name for shop in access.shops_of(membership(user))] == ["Lumière Paris"]
    assert not access.can(membership(user), EDIT_SETTINGS, paris)


def test_nothing_ticked_is_refused_by_name_of_the_shop(
    client_for: ClientFor, company: Company, claire: User, paris: Shop
) -> None:
    user = UserFactory(company=company, role=Role.VIEWER)
    page = text(client_for(claire).post(f"{USERS}{user.pk}/shops/", choose(user, s10000001=[])))
    assert "Cochez au moins un droit pour la boutique Lumière Paris" in page


def test_rights_by_shop_changed_meanwhile_are_told(
    client_for: ClientFor, company: Company, claire: User, paris: Shop
) -> None:
    user = UserFactory(company=company, role=Role.VIEWER)
    old = choose(user, s10000001="manager")
    team_services.user_update(user=user, actor=Actor("Autre"), rights=team_services.Rights(role=Role.MANAGER))
    assert "modifiées par quelqu'un d'autre" in text(client_for(claire).post(f"{USERS}{user.pk}/shops/", old))
    assert not membership(user).grants.exists()


def test_an_administrator_has_no_rights_by_shop(
    client_for: ClientFor, claire: User, company: Company, paris: Shop
) -> None:
    other = UserFactory(company=company)
    client = client_for(claire)
    assert "il n'y a rien à régler" in text(client.get(f"{USERS}{other.pk}/shops/"))
    assert client.post(f"{USERS}{other.pk}/shops/", choose(other, s10000001="viewer")).status_code == 403


def test_five_hundred_shops_are_paged_searched_and_set_at_once(
    client_for: ClientFor, company: Company, claire: User
) -> None:
    Shop.objects.bulk_create(
        Shop(company=company, site_id=f"{30000000 + n}", name=f"{'Nord' if n % 2 else 'Sud'} {n:03}")
        for n in range(500)
    )
    user = UserFactory(company=company, role=Role.VIEWER, shops=[], grants={})
    url, client = f"{USERS}{user.pk}/shops/", client_for(claire)
    with CaptureQueriesContext(connection) as captured:
        page = client.get(url)
    assert len(page.context["rows"]) == 25 and page.context["page"].paginator.count == 500 and len(captured) <= 20
    assert "shops" not in client.get(f"{USERS}{user.pk}/").context["form"].fields
    bulk = {"seen": team_services.fingerprint(user, company), "apply": "1", "all": "manager"}
    response = client.post(f"{url}?q=Nord", bulk, follow=True)
    assert "Les droits sur 250 boutiques sont enregistrés" in text(response)
    member = membership(user)
    assert access.shops_of(member).count() == access.shops_of(member, EDIT_SETTINGS).count() == 250
    assert client.get(url, {"only": "named"}).context["page"].paginator.count == 250


# --- The list -------------------------------------------------------------------------------------


def rows_of(response: Any) -> list[dict[str, str]]:
    content = b"".join(response.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(content)))


def test_search_filters_and_csv(client_for: ClientFor, company: Company, claire: User, paris: Shop, lyon: Shop) -> None:
    UserFactory(company=company, login="paul", role=Role.MANAGER, shops=[lyon], grants={})
    UserFactory(
        company=company, login="mixte", role=Role.VIEWER, shops=[lyon], grants={paris: PERMISSIONS[Role.MANAGER]}
    )
    own = UserFactory(company=company, login="perso", role=Role.VIEWER, first_name="=1+1")
    Membership.objects.filter(user=own).update(permissions=frozenset({VIEW, RESEND}))
    UserFactory(company=company, login="sans-paris", role=Role.VIEWER, grants={paris: ()})
    client = client_for(claire)

    def logins(**query: str) -> list[str]:
        return [row.account.login for row in client.get(USERS, query).context["rows"]]

    assert logins(q="mixt") == ["mixte"]
    assert logins(role="custom") == ["perso"] and logins(role="manager") == ["paul"]
    assert logins(shop="10000001") == ["claire", "mixte", "perso"]
    assert logins(shop="10000002") == ["claire", "mixte", "paul", "perso", "sans-paris"]
    assert logins(sort="-login")[0] == "sans-paris"
    rows = {row["login"]: row for row in rows_of(client.get(USERS, {"format": "csv", "plain": "1"}))}
    assert rows["mixte"]["shops"].startswith("10000001:view+edit_settings") and rows["mixte"]["all_shops"] == "false"
    assert rows["perso"]["role"] == "custom" and rows["perso"]["first_name"] == "'=1+1"
    assert rows["claire"]["status"] == "active" and rows["claire"]["managed_by"] == "lumiere"


@pytest.mark.parametrize("name", ["users", "sftp-accounts"])
def test_a_list_takes_as_many_queries_for_many_rows_as_for_few(
    client_for: ClientFor, company: Company, claire: User, paris: Shop, lyon: Shop, name: str
) -> None:
    client = client_for(claire)

    def add(count: int) -> None:
        for _number in range(count):
            UserFactory(company=company, role=Role.VIEWER, shops=[lyon], grants={paris: {VIEW}})
            SftpAccountFactory(company=company)

    counts = []
    for more in (3, 20):
        add(more)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(f"/settings/company/{name}/").status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 14


def test_the_panel_answers_for_the_address_being_typed(client_for: ClientFor, company: Company, claire: User) -> None:
    client = client_for(claire)
    for path in (f"{USERS}new/", f"{USERS}{claire.pk}/"):
        answer = text(client.get(path, {"preview": "account", "email": "claire@lumiere.example"}))
        assert "<html" not in answer and "Création ou modification" in answer or "ompte" in answer
        assert "n'est pas une adresse" in text(client.get(path, {"preview": "account", "email": "x"}))


# --- Log-ins and the lock -------------------------------------------------------------------------


def log_in(login: str, password: str, ip: str = "192.0.2.1") -> Client:
    client = Client(REMOTE_ADDR=ip)
    client.post("/accounts/login/", {"login": login, "password": password})
    return client


def is_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def test_wrong_passwords_from_many_addresses_lock_the_account(settings: Any, company: Company, claire: User) -> None:
    settings.MFA_REQUIRED = False
    for number in range(logins.LOCK_AFTER - 1):
        logins.login_failed(user=claire, ip_address=f"192.0.2.{number}")
    assert is_in(log_in("claire", PASSWORD))
    for number in range(logins.LOCK_AFTER + 5):
        logins.login_failed(user=claire, ip_address=f"198.51.100.{number}")
    locked = User.objects.get(pk=claire.pk)
    assert locked.state == User.State.LOCKED
    # The right password is refused like a wrong one, and nothing prolongs the lock.
    assert not is_in(log_in("claire", PASSWORD, "203.0.113.1"))
    assert User.objects.get(pk=claire.pk).locked_until == locked.locked_until
    assert told("account_security") == [claire.email]
    assert AuditEntry.objects.filter(action="user.locked").count() == 1
    User.objects.filter(pk=claire.pk).update(locked_until=timezone.now() - timedelta(seconds=1))
    assert is_in(log_in("claire", PASSWORD, "203.0.113.2"))


def test_a_locked_account_is_opened_by_an_administrator_or_by_a_new_password(
    client_for: ClientFor, settings: Any, company: Company, claire: User
) -> None:
    settings.MFA_REQUIRED = False
    user = in_state(company, User.State.LOCKED)
    client_for(claire).post(f"{USERS}{user.pk}/unlock/")
    assert is_in(log_in(user.login, PASSWORD))
    other = UserFactory(company=company, locked_until=timezone.now() + timedelta(minutes=5))
    team_services.user_set_password(user=other, password="une-autre-phrase-secrete", actor=Actor("x"))
    assert is_in(log_in(other.login, "une-autre-phrase-secrete"))


def test_the_page_shows_the_last_log_ins_and_the_wrong_passwords(
    client_for: ClientFor, settings: Any, company: Company, claire: User
) -> None:
    settings.MFA_REQUIRED = False
    user = UserFactory(company=company, role=Role.VIEWER)
    log_in(user.login, "faux", "192.0.2.7")
    assert is_in(log_in(user.login, PASSWORD, "192.0.2.8"))
    assert list(LoginRecord.objects.values_list("succeeded", "ip_address")) == [
        (True, "192.0.2.8"),
        (False, "192.0.2.7"),
    ]
    page = text(client_for(claire).get(f"{USERS}{user.pk}/"))
    assert "depuis 192.0.2.8" in page and "1 mot de passe erroné" in page
    for _number in range(logins.LOGINS_KEPT + 3):
        logins.login_succeeded(user=user, ip_address=None)
    assert LoginRecord.objects.filter(user=user).count() == logins.LOGINS_KEPT


# --- SFTP accounts --------------------------------------------------------------------------------


def test_an_sftp_account_is_created_changed_and_reset(client_for: ClientFor, company: Company, claire: User) -> None:
    client = client_for(claire)
    client.post(f"{SFTP}new/", {"login": "depot", "email": "compta@x.example", "language": ""})
    account = SftpAccount.objects.get(login="depot")
    assert account.state == SftpAccount.State.WAITING
    assert team_services.sftp_reveal(account=account)
    account.refresh_from_db()
    assert account.state == SftpAccount.State.ACTIVE
    client.post(
        f"{SFTP}{account.pk}/", {"email": "autre@x.example", "language": "", "seen": team_services.fingerprint(account)}
    )
    assert told("sftp_account") == ["autre@x.example", "compta@x.example"]
    assert told("account_security") == ["compta@x.example"]
    before = SftpAccount.objects.get().password_hash
    assert "les échanges de fichiers s'arrêtent" in text(client.get(f"{SFTP}{account.pk}/reset/"))
    assert SftpAccount.objects.get().password_hash == before
    client.post(f"{SFTP}{account.pk}/reset/")
    account.refresh_from_db()
    assert account.password_hash != before and account.state == SftpAccount.State.WAITING
    client.post(f"{SFTP}{account.pk}/disable/")
    account.refresh_from_db()
    assert account.state == SftpAccount.State.DISABLED
    assert links.sftp_account_for_token(links.make_sftp_link(account).rstrip("/").rpartition("/")[2]) is None


def sftp_in_state(company: Company, state: str) -> SftpAccount:
    account = SftpAccountFactory(company=company, login=f"en-{state}", is_active=state != SftpAccount.State.DISABLED)
    now = timezone.now()
    if state in (SftpAccount.State.WAITING, SftpAccount.State.LAPSED):
        account.unrevealed_password = "secret"
    ages = {
        SftpAccount.State.LAPSED: timedelta(seconds=django_settings.PASSWORD_RESET_TIMEOUT + 60),
        SftpAccount.State.EXPIRED: SftpAccount.VALID_FOR + timedelta(hours=1),
    }
    account.password_set_at = now - ages.get(SftpAccount.State(state), timedelta(hours=1))
    account.save()
    return account


def test_the_list_knows_the_states_that_sftp_accounts_have(
    client_for: ClientFor, company: Company, claire: User
) -> None:
    accounts = {state: sftp_in_state(company, state) for state in SftpAccount.State.values}
    for state, account in accounts.items():
        account = SftpAccount.objects.get(pk=account.pk)
        assert account.state == state
        assert list(selectors.sftp_filtered(SftpAccount.objects.filter(company=company), state=state)) == [account]
    client = client_for(claire)
    assert {row["status"] for row in rows_of(client.get(SFTP, {"format": "csv", "plain": "1"}))} == set(
        SftpAccount.State.values
    )


@pytest.mark.parametrize(("days", "shown"), [(690, False), (705, True)])
def test_the_end_of_two_years_is_announced_a_month_before(
    client_for: ClientFor, company: Company, claire: User, days: int, shown: bool
) -> None:
    account = SftpAccountFactory(company=company, password_set_at=timezone.now() - timedelta(days=days))
    client = client_for(claire)
    assert ("à renouveler" in text(client.get(SFTP))) is shown
    assert ("arrive au terme de ses deux ans" in text(client.get(f"{SFTP}{account.pk}/"))) is shown


# --- Choices that contradict each other -----------------------------------------------------------------


def test_a_shop_ticked_beside_all_shops_is_refused_naming_both(
    client_for: ClientFor, claire: User, paris: Shop, lyon: Shop
) -> None:
    page = text(client_for(claire).post(f"{USERS}new/", data(first_name="Robert", shops=[lyon.site_id])))
    assert f"Vous avez choisi « Toutes les boutiques » et coché {lyon.name}" in page
    assert 'value="Robert"' in page and not User.objects.filter(login="bob").exists()
    # What was ticked stays ticked.
    assert re.search(rf'value="{lyon.site_id}"[^>]*checked', page)


@pytest.mark.parametrize(
    ("role", "own"), [("viewer", [RESEND]), ("manager", [VIEW]), ("administrator", [VIEW, RESEND])]
)
def test_rights_ticked_under_a_fixed_role_are_refused_naming_both(
    client_for: ClientFor, claire: User, role: str, own: list[str]
) -> None:
    page = text(client_for(claire).post(f"{USERS}new/", data(role=role, own=own)))
    assert f"le rôle « {Role(role).label} » et coché des droits" in page and "Droits personnalisés" in page
    assert not User.objects.filter(login="bob").exists()


def test_the_pages_own_forms_contradict_nothing(
    client_for: ClientFor, company: Company, claire: User, lyon: Shop
) -> None:
    client = client_for(claire)
    accounts = [
        UserFactory(company=company, role=Role.MANAGER),
        UserFactory(company=company, role=Role.VIEWER, shops=[lyon]),
        UserFactory(company=company, role=Role.VIEWER, grants={lyon: {VIEW, RESEND}}),
    ]
    for account in accounts:
        page = client.get(f"{USERS}{account.pk}/")
        sent = form_with(page, "role").sent(first_name="Autre")
        assert client.post(f"{USERS}{account.pk}/", sent).status_code == 302, account
    sent = form_with(client.get(f"{USERS}new/"), "role").sent(login="zoe", email="zoe@x.example")
    assert client.post(f"{USERS}new/", sent).status_code == 302


def test_the_success_repeats_role_and_shops(client_for: ClientFor, claire: User, paris: Shop, lyon: Shop) -> None:
    client = client_for(claire)
    page = text(client.post(f"{USERS}new/", data(role="manager"), follow=True))
    assert "Rôle : Gestionnaire. Boutiques : toutes, y compris celles à venir." in page
    sent = data(login="zoe", email="zoe@x.example", role="custom", own=[RESEND], coverage="some", shops=[lyon.site_id])
    page = text(client.post(f"{USERS}new/", sent, follow=True))
    assert (
        f"Boutiques : {lyon.name} ({lyon.site_id})." in page
        and "Droits personnalisés (Voir, Renvoyer un message)" in page
    )
    zoe = User.objects.get(login="zoe")
    sent = data(zoe, role="viewer", coverage="all")
    assert "Rôle : Lecture seule. Boutiques : toutes" in text(client.post(f"{USERS}{zoe.pk}/", sent, follow=True))


def test_a_change_that_nobody_is_told_of_does_not_say_so(client_for: ClientFor, company: Company, claire: User) -> None:
    user = UserFactory(company=company, role=Role.VIEWER)
    page = text(client_for(claire).post(f"{USERS}{user.pk}/", data(user, language="en"), follow=True))
    assert "Le compte est enregistré." in page and "en est prévenu" not in page and not told("user_account")


def test_boxes_touched_beside_another_choice_on_a_shop_are_refused(
    client_for: ClientFor, company: Company, claire: User, lyon: Shop
) -> None:
    user = UserFactory(company=company, role=Role.VIEWER)
    client = client_for(claire)
    page = client.get(f"{USERS}{user.pk}/shops/")
    form = form_with(page, f"choice-{lyon.site_id}")
    sent = form.sent(**{f"own-{lyon.site_id}": [VIEW, RESEND]})
    answer = text(client.post(f"{USERS}{user.pk}/shops/", sent))
    assert f"Boutique {lyon.name} : vous avez choisi « Comme en général » et coché d'autres droits" in answer
    sent |= {f"choice-{lyon.site_id}": ["custom"]}
    assert client.post(f"{USERS}{user.pk}/shops/", sent).status_code == 302
    assert access.can(membership(user), RESEND, lyon)


def test_staff_cannot_grant_all_shops_and_some_at_once(client_for: ClientFor, company: Company, lyon: Shop) -> None:
    user = UserFactory(company=company, role=Role.VIEWER)
    UserFactory(company=company)
    client = client_for(StaffFactory(), fresh=True)
    url = f"/admin/companies/user/{user.pk}/change/"
    sent = form_with(client.get(url), "email").sent(**{"memberships-0-shops": [lyon.pk]})
    answer = client.post(url, sent)
    assert answer.status_code == 200 and f"ou seulement {lyon.name}" in text(answer)
    assert membership(user).all_shops and not membership(user).grants.exists()
