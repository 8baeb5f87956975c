"""Which accounts, and which of their history, a user may know of who manages users of some shops only."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from companies.audit import Actor, record
from companies.history import entries as history
from companies.models import AuditEntry, Membership, Role, User
from companies.rights import readers as account_readers
from companies.rights.permissions import RESEND, VIEW
from companies.team import services as team_services
from notifications.settings_facts import visible_facts
from shops.models import Shop
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
TEAM = Actor.command("test")


def member(user: User) -> Membership:
    return Membership.objects.get(user=user)


@pytest.mark.parametrize(
    ("rights", "known"),
    [
        (lambda paris, lyon: {"shops": [paris]}, True),
        (lambda paris, lyon: {"shops": [lyon]}, False),
        (lambda paris, lyon: {"shops": [paris, lyon]}, True),
        (lambda paris, lyon: {}, True),  # all shops
        (lambda paris, lyon: {"shops": []}, True),  # none yet: somebody has to choose them
        (lambda paris, lyon: {"grants": {paris: ()}}, False),  # all but Paris
        (lambda paris, lyon: {"grants": {lyon: ()}}, True),
        (lambda paris, lyon: {"shops": [], "grants": {paris: {VIEW, RESEND}}}, True),
        (lambda paris, lyon: {"shops": [lyon], "grants": {paris: ()}}, False),
    ],
)
def test_an_account_is_known_to_whoever_manages_users_of_one_of_its_shops(
    rights: Callable[[Shop, Shop], dict[str, Any]], known: bool, emma: User, paris: Shop, lyon: Shop
) -> None:
    other = UserFactory(company=emma.company, role=Role.VIEWER, **rights(paris, lyon))
    assert account_readers.users_for(member(emma)).filter(pk=other.pk).exists() is known
    boss = UserFactory(company=emma.company)
    assert account_readers.users_for(member(boss)).filter(pk=other.pk).exists()
    viewer = UserFactory(company=emma.company, role=Role.VIEWER)
    assert list(account_readers.users_for(member(viewer))) == [viewer]


def test_accounts_of_hidden_shops_are_on_no_list_and_no_page(
    emma: User, lyon: Shop, client_for: Callable[..., Client]
) -> None:
    hidden = UserFactory(company=emma.company, login="cachee", role=Role.VIEWER, shops=[lyon])
    client = client_for(emma, fresh=True)
    for query in ("", "?format=csv", "?shop=10000002", "?q=cachee"):
        answer = client.get(f"/settings/company/users/{query}")
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]
        assert hidden.email.encode() not in body
    for part in ("", "shops/", "disable/", "reset/"):
        assert client.get(f"/settings/company/users/{hidden.pk}/{part}").status_code == 404
        assert client.post(f"/settings/company/users/{hidden.pk}/{part}").status_code == 404
    hidden.refresh_from_db()
    assert hidden.is_active


def test_the_list_names_the_shops_one_sees_and_says_that_there_are_others(
    emma: User, paris: Shop, lyon: Shop, client_for: Callable[..., Client]
) -> None:
    UserFactory(company=emma.company, login="deux", role=Role.VIEWER, shops=[paris, lyon])
    client = client_for(emma)
    page = client.get("/settings/company/users/?q=deux").content.decode()
    assert "1 boutique, et d&#x27;autres" in page and "Paris" in page and "Lyon" not in page
    rows = b"".join(client.get("/settings/company/users/?q=deux&format=csv&plain=1").streaming_content).decode()  # type: ignore[attr-defined]
    assert ",10000001," in rows and "10000002" not in rows


def test_rights_on_hidden_shops_are_one_line_of_the_history_and_are_not_found(
    emma: User, paris: Shop, lyon: Shop, client_for: Callable[..., Client]
) -> None:
    other = UserFactory(company=emma.company, login="deux", role=Role.VIEWER, shops=[paris])
    team_services.user_update(
        user=other,
        actor=TEAM,
        rights=team_services.Rights(grants={paris.pk: frozenset({VIEW, RESEND}), lyon.pk: frozenset({VIEW})}),
    )
    entry = AuditEntry.objects.get(action="user.updated")
    whole = history.changes_in_words(entry, member(UserFactory(company=emma.company)))
    assert whole == history.changes_in_words(entry) and any("10000002" in str(line) for line in whole)
    seen = history.changes_in_words(entry, member(emma))
    assert "10000002" not in str(seen)
    assert [line for line in seen if "10000001" in str(line)]
    assert seen[-1] == ("Droits sur d'autres boutiques", "…", "changés sur des boutiques que vous ne voyez pas")
    client = client_for(emma)
    assert "Compte utilisateur modifié : deux" in client.get("/settings/company/history/?q=deux").content.decode()
    assert "Compte utilisateur modifié" not in client.get("/settings/company/history/?q=10000002").content.decode()


def test_the_history_of_accounts_needs_the_right_to_manage_users(emma: User, paris: Shop, lyon: Shop) -> None:
    company = emma.company
    assert company is not None
    near = UserFactory(company=company, role=Role.VIEWER, shops=[paris])
    far = UserFactory(company=company, role=Role.VIEWER, shops=[lyon])
    for user in (near, far):
        record(actor=TEAM, action="user.locked", obj=user, company=company)
    for shop in (paris, lyon):
        record(actor=TEAM, action="shop.updated", obj=shop, company=company)
    record(actor=TEAM, action="calls.replay_stopped", obj=company, company=company)

    def labels(user: User) -> set[str]:
        return {entry.object_label for entry in history.entries(member(user))}

    assert labels(emma) == {near.login, str(paris)}
    assert labels(near) == {str(paris)}
    assert labels(UserFactory(company=company)) == {near.login, far.login, str(paris), str(lyon), str(company)}


def test_facts_hold_the_accounts_that_their_reader_may_know_of(emma: User, paris: Shop, lyon: Shop) -> None:
    company = emma.company
    assert company is not None
    viewer = UserFactory(company=company, login="viewer", role=Role.VIEWER)
    UserFactory(company=company, login="far", role=Role.VIEWER, shops=[lyon])
    boss = UserFactory(company=company, login="boss")

    def logins(user: User | None) -> list[str]:
        return [account.login for account in visible_facts(company, member(user) if user else None).users]

    assert logins(None) == logins(boss) == ["boss", "emma", "far", "viewer"]
    assert logins(emma) == ["boss", "emma", "viewer"]
    assert logins(viewer) == ["viewer"]
    assert [visible_facts(company, member(user)).is_whole for user in (boss, emma, viewer)] == [True, False, False]


@pytest.mark.parametrize(
    "url", ["/", "/settings/company/users/", "/settings/company/history/", "/notifications/journal/"]
)
def test_a_limited_reader_costs_the_same_for_few_and_for_many(
    url: str, emma: User, paris: Shop, lyon: Shop, client_for: Callable[..., Client]
) -> None:
    client = client_for(emma)

    def more() -> None:
        for shops in ([paris], [lyon], [paris, lyon]):
            user = UserFactory(company=emma.company, role=Role.VIEWER, shops=shops)
            team_services.user_update(
                user=user,
                actor=TEAM,
                rights=team_services.Rights(grants={paris.pk: frozenset({VIEW, RESEND}), lyon.pk: None}),
            )

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        return len(queries)

    more()
    cost()
    before = cost()
    for _number in range(3):
        more()
    assert cost() <= before
