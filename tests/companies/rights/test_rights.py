"""What a user may do by role and by shop, and that nobody grants more than they have."""

import threading
from collections.abc import Callable

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.http import Http404
from django.test import Client, RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from companies.audit import Actor
from companies.history import entries as history
from companies.models import AuditEntry, Company, Membership, Role, User
from companies.rights import access, permissions
from companies.rights.permissions import (
    ALL,
    COMPANY_LEVEL,
    EDIT_SETTINGS,
    MANAGE_KEYS,
    MANAGE_RULES,
    MANAGE_USERS,
    PERMISSIONS,
    RESEND,
    SHOP_LEVEL,
    VIEW,
    Access,
)
from companies.team import services as team_services
from companies.team.services import Rights
from notifications.journal.selectors import deliveries
from notifications.models import Delivery, NotificationRule
from notifications.settings_facts import visible_facts
from shops.models import Shop
from shops.services import shop_update
from tests.factories import (
    CompanyFactory,
    DeliveryFactory,
    EventFactory,
    MembershipFactory,
    NotificationRuleFactory,
    ShopFactory,
    StaffFactory,
    UserFactory,
)

ClientFor = Callable[..., Client]

# --- The pure part --------------------------------------------------------------------------------


def test_every_permission_has_a_label_a_description_and_one_level() -> None:
    assert set(permissions.LABELS) == set(permissions.DESCRIPTIONS) == set(ALL)
    assert len(ALL) == len(set(ALL)) == 9
    assert set(SHOP_LEVEL) | set(COMPANY_LEVEL) == set(ALL)


@pytest.mark.parametrize(
    ("role", "granted"),
    [
        (Role.VIEWER, {VIEW}),
        (
            Role.MANAGER,
            {VIEW, EDIT_SETTINGS, MANAGE_RULES, "run_notification_url", "manage_payment_orders", RESEND},
        ),
        (Role.ADMINISTRATOR, set(ALL)),
    ],
)
def test_a_role_grants_exactly_this(role: str, granted: set[str]) -> None:
    assert PERMISSIONS[role] == granted
    assert permissions.role_of(frozenset(granted)) == role


def test_whoever_may_do_anything_may_view() -> None:
    assert permissions.complete([RESEND]) == {RESEND, VIEW}
    assert permissions.complete([]) == frozenset()
    with pytest.raises(ValueError, match="fly"):
        permissions.complete(["fly"])


MANAGER, VIEWER, EVERYTHING = PERMISSIONS[Role.MANAGER], PERMISSIONS[Role.VIEWER], PERMISSIONS[Role.ADMINISTRATOR]


@pytest.mark.parametrize(
    ("wider", "narrower", "covers"),
    [
        (Access(EVERYTHING), Access(MANAGER), True),
        (Access(MANAGER), Access(EVERYTHING), False),
        (Access(MANAGER), Access(MANAGER, all_shops=False, shops={1: None}), True),
        # All shops are more than each of today's: others may follow.
        (Access(MANAGER, all_shops=False, shops={1: None, 2: None}), Access(MANAGER), False),
        (Access(EVERYTHING, all_shops=False, shops={1: None}), Access(VIEWER, False, {2: None}), False),
        (Access(EVERYTHING, all_shops=False, shops={1: None}), Access(EVERYTHING, False, {1: None}), True),
        # Cut down on one shop, nothing more may be granted there.
        (Access(EVERYTHING, shops={1: VIEWER}), Access(MANAGER), False),
        (Access(EVERYTHING, shops={1: VIEWER}), Access(MANAGER, shops={1: VIEWER}), True),
        (Access(VIEWER, shops={1: MANAGER}), Access(VIEWER, shops={1: MANAGER}), True),
        (Access(VIEWER, shops={1: MANAGER}), Access(VIEWER, shops={2: MANAGER}), False),
        (Access(MANAGER | {MANAGE_USERS}), Access(VIEWER | {"manage_company"}), False),
    ],
)
def test_who_may_grant_what(wider: Access, narrower: Access, covers: bool) -> None:
    assert wider.covers(narrower) is covers


_sets = st.frozensets(st.sampled_from(ALL)).map(permissions.complete)
_accesses = st.builds(
    Access, _sets, st.booleans(), st.dictionaries(st.integers(1, 4), st.one_of(st.none(), _sets), max_size=4)
)


@given(_accesses, _accesses)
def test_covering_means_each_right_on_each_shop_and_on_those_to_come(one: Access, other: Access) -> None:
    shops = range(1, 6)  # 5 stands for a shop that nobody names
    missing = other.in_company - one.in_company or any(other.on(shop) - one.on(shop) for shop in shops)
    assert one.covers(other) is not bool(missing)


@given(_accesses, st.sampled_from(ALL))
def test_everywhere_implies_each_visible_shop(held: Access, permission: str) -> None:
    if held.everywhere(permission) and permission in SHOP_LEVEL:
        assert all(permission in held.on(shop) for shop in range(1, 6) if held.on(shop))
    if permission in COMPANY_LEVEL:
        assert held.everywhere(permission) is held.somewhere(permission) is (permission in held.general)


# --- By shop --------------------------------------------------------------------------------------


def membership(user: User) -> Membership:
    return Membership.objects.get(user=user, company=user.company)


def sites(member: Membership, permission: str) -> list[str]:
    return [shop.site_id for shop in access.shops_of(member, permission)]


def test_manager_of_one_shop_and_viewer_of_another(marc: User, paris: Shop, lyon: Shop, nice: Shop) -> None:
    member = membership(marc)
    assert [access.can(member, EDIT_SETTINGS, shop) for shop in (paris, lyon, nice)] == [True, False, False]
    assert [access.can(member, VIEW, shop) for shop in (paris, lyon, nice)] == [True, True, False]
    assert not access.can(member, MANAGE_KEYS, paris)
    # Without a shop the question is about all of them.
    assert not access.can(member, EDIT_SETTINGS) and access.can_somewhere(member, EDIT_SETTINGS)
    assert not access.can_somewhere(member, MANAGE_KEYS) and not access.can_somewhere(member, MANAGE_USERS)
    assert sites(member, VIEW) == ["10000001", "10000002"]
    assert sites(member, EDIT_SETTINGS) == ["10000001"]
    assert sites(member, MANAGE_KEYS) == sites(member, MANAGE_USERS) == []


def test_all_shops_but_one_with_an_exception_and_one_hidden(
    company: Company, paris: Shop, lyon: Shop, nice: Shop
) -> None:
    user = UserFactory(company=company, role=Role.MANAGER, grants={lyon: VIEWER, nice: ()})
    member = membership(user)
    assert sites(member, VIEW) == ["10000001", "10000002"]
    assert sites(member, EDIT_SETTINGS) == ["10000001"]
    assert not access.can(member, EDIT_SETTINGS) and not access.sees_all_shops(member)
    later = ShopFactory(company=company, site_id="10000009")
    assert access.can(membership(user), EDIT_SETTINGS, later)
    assert sites(membership(user), EDIT_SETTINGS) == ["10000001", "10000009"]


def test_a_shop_of_another_company_is_never_covered(marc: User) -> None:
    stranger = ShopFactory()
    admin = UserFactory(company=marc.company)
    assert not access.can(membership(admin), VIEW, stranger)


@pytest.mark.parametrize("permission", SHOP_LEVEL)
def test_the_list_of_shops_and_the_single_answer_agree(marc: User, permission: str) -> None:
    member = membership(marc)
    company = member.company
    single = [shop.site_id for shop in company.shops.order_by("site_id") if access.can(member, permission, shop)]
    assert sites(member, permission) == single
    assert [
        site for site in ("10000001", "10000002", "10000003") if access.has_on_site(member, permission, site)
    ] == single


def test_a_shop_without_the_right_is_refused_and_without_view_not_found(marc: User) -> None:
    request = RequestFactory().get("/")
    request.user, request.membership = marc, membership(marc)  # type: ignore[attr-defined]
    request.company = marc.company  # type: ignore[attr-defined]
    assert access.shop_or_404(request, "10000001", EDIT_SETTINGS).name == "Lumière Paris"  # type: ignore[arg-type]
    with pytest.raises(PermissionDenied):
        access.shop_or_404(request, "10000002", EDIT_SETTINGS)  # type: ignore[arg-type]
    with pytest.raises(Http404):
        access.shop_or_404(request, "10000003", EDIT_SETTINGS)  # type: ignore[arg-type]


def test_tables_journal_and_history_keep_to_the_visible_shops(marc: User, paris: Shop, nice: Shop) -> None:
    member = membership(marc)
    shown = DeliveryFactory(event=EventFactory(shop=paris))
    DeliveryFactory(event=EventFactory(shop=nice))
    actor = Actor("Claire")
    for shop in (paris, nice):
        shop_update(shop=shop, actor=actor, url="https://x.example")
    assert [shop.site_id for shop in visible_facts(member.company, member).shops] == ["10000001", "10000002"]
    assert list(deliveries(member.company, member)) == [shown]
    assert [entry.object_label for entry in history.entries(member)] == ["Lumière Paris (10000001)"]


# --- On the pages ---------------------------------------------------------------------------------


def test_a_mixed_user_edits_where_they_manage_and_reads_elsewhere(
    client_for: ClientFor, marc: User, paris: Shop, lyon: Shop
) -> None:
    client = client_for(marc)
    for shop, may in ((paris, True), (lyon, False)):
        url = f"/settings/shops/{shop.site_id}/configuration/"
        assert (b"data-save-bar" in client.get(url).content) is may
        data = {"url": "https://x.example", "language": "fr", "manager_email": "", "name": shop.name, "version": "1"}
        assert client.post(url, data).status_code == (302 if may else 403)
    assert client.get("/settings/shops/10000003/configuration/").status_code == 404


def test_a_mixed_user_switches_rules_and_resends_only_where_they_manage(
    client_for: ClientFor, marc: User, paris: Shop, lyon: Shop, nice: Shop
) -> None:
    client = client_for(marc)
    for shop, status, enabled in ((paris, 302, False), (lyon, 403, True), (nice, 404, True)):
        rule = NotificationRuleFactory(shop=shop, reference="ma-regle")
        url = f"/settings/notification-rules/{shop.site_id}/ma-regle/switch/"
        assert client.post(url, {"enabled": "0"}).status_code == status
        assert NotificationRule.objects.get(pk=rule.pk).enabled is enabled
        sent = DeliveryFactory(event=EventFactory(shop=shop), status=Delivery.Status.SENT)
        assert client.post(f"/notifications/journal/{sent.pk}/resend/").status_code == status
        assert sent.resends.exists() is (status == 302)


def test_the_tables_offer_changes_only_where_the_user_may_make_them(
    client_for: ClientFor, marc: User, paris: Shop, lyon: Shop
) -> None:
    manager = paris.company.contacts.get(kind="manager").email
    Shop.objects.filter(pk=paris.pk).update(manager_email=manager)
    page = client_for(marc).get("/notifications/addresses/", {"address": manager}).content.decode()
    assert "/settings/shops/10000001/configuration/" in page
    assert "/settings/shops/10000002/configuration/" not in page


# --- Granting -------------------------------------------------------------------------------------


def actor_of(user: User) -> Actor:
    return Actor(user.get_full_name(), user)


def test_nobody_grants_what_they_do_not_have(company: Company, paris: Shop, lyon: Shop) -> None:
    """An administrator of Paris makes users of Paris only, and of no more than they hold there."""
    editor = UserFactory(company=company, role=Role.ADMINISTRATOR, shops=[paris])
    create = {"company": company, "actor": actor_of(editor), "email": "x@x.example"}
    team_services.user_create(**create, login="ok", rights=Rights(role=Role.MANAGER, all_shops=False, shops=[paris]))
    for number, refused in enumerate(
        (
            Rights(role=Role.VIEWER, all_shops=True),
            Rights(role=Role.VIEWER, all_shops=False, shops=[lyon]),
            Rights(role=Role.VIEWER, all_shops=False, grants={paris.pk: None, lyon.pk: frozenset({VIEW})}),
        )
    ):
        with pytest.raises(ValidationError, match="droits que vous n'avez pas"):
            team_services.user_create(**create, login=f"non{number}", rights=refused)
    assert set(User.objects.exclude(pk=editor.pk).values_list("login", flat=True)) == {"ok"}


def test_a_manager_of_users_does_not_make_administrators(company: Company) -> None:
    editor = UserFactory(company=company, role=Role.MANAGER)
    Membership.objects.filter(user=editor).update(permissions=MANAGER | {MANAGE_USERS})
    create = {"company": company, "actor": actor_of(editor), "email": "x@x.example"}
    team_services.user_create(**create, login="ok", rights=Rights(role=Role.MANAGER))
    for login, rights in (("a", Rights(role=Role.ADMINISTRATOR)), ("b", Rights(own=frozenset({MANAGE_KEYS})))):
        with pytest.raises(ValidationError):
            team_services.user_create(**create, login=login, rights=rights)


def test_nobody_acts_on_an_account_that_has_more(company: Company) -> None:
    """Whoever could change the address of an administrator could become one."""
    editor = UserFactory(company=company, role=Role.MANAGER)
    Membership.objects.filter(user=editor).update(permissions=MANAGER | {MANAGE_USERS})
    boss = UserFactory(company=company)
    UserFactory(company=company)
    for change in ({"email": "moi@x.example"}, {"is_active": False}, {"rights": Rights(role=Role.VIEWER)}):
        with pytest.raises(ValidationError, match="droits que vous n'avez pas"):
            team_services.user_update(user=User.objects.get(pk=boss.pk), actor=actor_of(editor), **change)
    assert User.objects.get(pk=boss.pk).email == boss.email


def test_nobody_raises_their_own_rights(company: Company, paris: Shop, lyon: Shop) -> None:
    user = UserFactory(company=company, role=Role.ADMINISTRATOR, shops=[paris])
    UserFactory(company=company)
    for change in (Rights(all_shops=True), Rights(grants={paris.pk: None, lyon.pk: None})):
        # As the page does: the rights wanted are judged against those held before the change.
        with pytest.raises(ValidationError):
            team_services.user_update(user=User.objects.get(pk=user.pk), actor=actor_of(user), rights=change)
    assert sites(membership(user), VIEW) == ["10000001"]


def test_staff_and_commands_are_not_bound_by_rights_of_their_own(company: Company) -> None:
    for login, actor in (("un", actor_of(StaffFactory())), ("deux", Actor.command("provision"))):
        user = team_services.user_create(
            company=company,
            actor=actor,
            login=login,
            email="x@x.example",
            rights=Rights(role="administrator"),
        )
        assert membership(user).role == Role.ADMINISTRATOR


def test_the_administrator_of_another_company_counts_for_nothing_here(company: Company) -> None:
    stranger = UserFactory()
    with pytest.raises(ValidationError):
        team_services.user_create(company=company, actor=actor_of(stranger), login="x", email="x@x.example")


def test_rights_by_shop_are_stored_told_and_kept_in_the_history(company: Company, paris: Shop, lyon: Shop) -> None:
    admin, user = UserFactory(company=company), UserFactory(company=company, role=Role.VIEWER)
    changes = team_services.user_update(
        user=user,
        actor=actor_of(admin),
        rights=Rights(role=Role.VIEWER, all_shops=False, grants={paris.pk: frozenset({RESEND}), lyon.pk: None}),
    )
    assert changes == {"shops": ["*", "10000001, 10000002"], "rights.10000001": [None, [VIEW, RESEND]]}
    assert access.can(membership(user), RESEND, paris) and not access.can(membership(user), RESEND, lyon)
    entry = AuditEntry.objects.get(action="user.updated")
    assert (
        "Droits sur la boutique 10000001",
        "comme en général",
        "Voir, Renvoyer un message",
    ) in history.changes_in_words(entry)
    message = Delivery.objects.select_related("message").get(notification="user_account").message
    assert message is not None and "Boutiques" in message.text and "Droits sur la boutique 10000001" in message.text
    again = team_services.user_update(user=user, actor=actor_of(admin), rights=Rights(role=Role.VIEWER, all_shops=False, grants={paris.pk: frozenset({RESEND, VIEW}), lyon.pk: None}))  # fmt: skip
    assert again == {}


def test_a_role_with_a_list_of_shops_means_exactly_that(company: Company, paris: Shop, lyon: Shop) -> None:
    """As in an operator's file: refinements made on the screen give way to what the file says."""
    user = UserFactory(company=company, role=Role.VIEWER, shops=[lyon], grants={paris: MANAGER})
    team_services.user_update(user=user, actor=Actor.command("provision"), rights=Rights(role=Role.VIEWER))
    assert sites(membership(user), VIEW) == ["10000001", "10000002"] and sites(membership(user), RESEND) == []


def test_shops_of_another_company_cannot_be_granted(company: Company) -> None:
    with pytest.raises(ValidationError):
        team_services.user_create(
            company=company,
            actor=Actor.command("x"),
            login="x",
            email="x@x.example",
            rights=Rights(all_shops=False, shops=[ShopFactory()]),
        )


# --- The last administrator -----------------------------------------------------------------------


def test_access_of_the_last_administrator_cannot_be_taken_back(company: Company) -> None:
    only = UserFactory(company=company)
    with pytest.raises(ValidationError, match="dernier administrateur"):
        team_services.membership_remove(membership=membership(only), actor=actor_of(StaffFactory()))
    second = UserFactory(company=company)
    team_services.membership_remove(membership=membership(second), actor=actor_of(only))
    assert Membership.objects.filter(company=company).count() == 1


def test_disabling_an_account_counts_in_every_company_it_administers(company: Company) -> None:
    """An agency's account that alone administers a customer cannot be disabled at home either."""
    boss, agent = UserFactory(), UserFactory(company=None, login="agent")
    home = boss.company
    agent.company = home
    agent.save()
    MembershipFactory(user=agent, company=home, role=Role.VIEWER)
    MembershipFactory(user=agent, company=company, role=Role.ADMINISTRATOR)
    with pytest.raises(ValidationError, match="dernier administrateur"):
        team_services.user_update(user=agent, actor=actor_of(boss), is_active=False)


@pytest.mark.django_db(transaction=True)
def test_two_administrators_who_disable_each_other_leave_one() -> None:
    company = CompanyFactory()
    pair = [UserFactory(company=company), UserFactory(company=company)]
    start, refused = threading.Barrier(2), []

    def disable(actor: User, other: User) -> None:
        try:
            start.wait()
            team_services.user_update(user=User.objects.get(pk=other.pk), actor=actor_of(actor), is_active=False)
        except ValidationError as error:
            refused.append(error.messages)
        finally:
            connection.close()

    threads = [threading.Thread(target=disable, args=(pair[i], pair[1 - i])) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert User.objects.filter(company=company, is_active=True).count() == 1
