"""Nobody takes over an account through one of the companies it acts for.

Each address that is about an account is tried, with everything a form could hold, by somebody who manages the
users of one of its companies; afterwards the account is what it was everywhere, and only its rights in that
company may have changed.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from companies import security
from companies.audit import Actor
from companies.models import Company, Membership, Role, Session, User
from companies.rights import identity
from companies.team import services as team_services
from notifications.models import Delivery
from tests.factories import CompanyFactory, MembershipFactory, ShopFactory, StaffFactory, UserFactory
from tests.html_forms import form_with
from tests.walk import routes

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
USER_ROUTES = sorted(route for route in routes() if "users/<int:key>" in route)
FORGED = {
    "login": "pirate",
    "email": "pirate@x.example",
    "title": "M.",
    "first_name": "Pirate",
    "last_name": "Pirate",
    "phone": "+33 6 00 00 00 00",
    "language": "en",
    "time_zone": "America/Cayenne",
    "is_active": "",
    "password": "cheval-agrafe-pile-correcte",
    "role": Role.MANAGER,
    "coverage": "all",
    "own": ["view"],
}


def acting_elsewhere(company: Company) -> User:
    user = UserFactory(login="double", company=company, role=Role.VIEWER)
    MembershipFactory(user=user, company=CompanyFactory(reference="ailleurs"), role=Role.VIEWER)
    return user


def with_more_elsewhere(company: Company, editor: User) -> User:
    """The editor is there too, with less."""
    user = UserFactory(login="double", company=company, role=Role.VIEWER)
    other = CompanyFactory(reference="ailleurs")
    MembershipFactory(user=user, company=other, role=Role.MANAGER)
    MembershipFactory(user=editor, company=other, role=Role.VIEWER)
    return user


def managed_elsewhere(company: Company) -> User:
    user = UserFactory(login="double", company=CompanyFactory(reference="ailleurs"))
    MembershipFactory(user=user, company=company, role=Role.VIEWER)
    return user


def of_the_team(company: Company) -> User:
    user = StaffFactory(login="double", company=company, role=Role.VIEWER, is_superuser=False)
    assert user.memberships.exists()
    return user


def closed_elsewhere(company: Company) -> User:
    user = UserFactory(login="double", company=company, role=Role.VIEWER)
    MembershipFactory(user=user, company=CompanyFactory(status="closed", status_reason="Fin"), role=Role.VIEWER)
    return user


CASES: dict[str, Callable[[Company, User], User]] = {
    "acts elsewhere": lambda company, editor: acting_elsewhere(company),
    "has more elsewhere": with_more_elsewhere,
    "managed elsewhere": lambda company, editor: managed_elsewhere(company),
    "of the team": lambda company, editor: of_the_team(company),
    "elsewhere is closed": lambda company, editor: closed_elsewhere(company),
}
STATES: dict[str, dict[str, Any]] = {
    "active": {},
    "locked": {"locked_until": timezone.now() + timedelta(hours=1), "failed_logins": 10},
    "disabled": {"is_active": False},
    "invited": {"password": "!"},
}


def snapshot(user: User) -> Any:
    """All that is the account's own: whoever changes one of these can get into it, or keep its owner out."""
    columns = [field.attname for field in User._meta.concrete_fields]
    return (
        User.objects.filter(pk=user.pk).values(*columns).get(),
        sorted(Session.objects.filter(user=user).values_list("key", flat=True)),
        sorted(Authenticator.objects.filter(user=user).values_list("pk", "type")),
        list(Membership.objects.filter(user=user).exclude(company__reference="lumiere").values_list("company", "role")),
    )


def links_mailed() -> int:
    return Delivery.objects.filter(message__text__contains="%%LINK%%").count()


def addresses(user: User) -> Iterator[str]:
    for route in USER_ROUTES:
        yield "/" + route.replace("<int:key>", str(user.pk))


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("case", "state"), sorted({*(("acts elsewhere", state) for state in STATES), *((case, "active") for case in CASES)})
)
def test_no_page_changes_an_account_that_acts_elsewhere(
    case: str, state: str, company: Company, claire: User, client_for: ClientFor
) -> None:
    ShopFactory(company=company)
    account = CASES[case](company, claire)
    if state == "active":
        client_for(account).get("/account/")
        TOTP.activate(account, "JBSWY3DPEHPK3PXP")
    User.objects.filter(pk=account.pk).update(**STATES[state])
    before = snapshot(account)
    client = client_for(claire, fresh=True)
    assert len(USER_ROUTES) >= 8
    for path in addresses(account):
        if path.endswith("/remove/"):
            continue
        assert client.get(path).status_code in (200, 302, 403), path
        seen = team_services.fingerprint(User.objects.get(pk=account.pk), company)
        assert client.post(path, {**FORGED, "seen": seen}).status_code in (200, 302, 403), path
        assert snapshot(account) == before, path
    assert links_mailed() == 0
    assert client.post(f"/settings/company/users/{account.pk}/remove/").status_code == 302
    assert snapshot(account) == before
    assert not Membership.objects.filter(user=account, company=company).exists()


def test_the_page_says_who_may_and_offers_the_rights_only(
    company: Company, claire: User, client_for: ClientFor
) -> None:
    account = acting_elsewhere(company)
    client = client_for(claire, fresh=True)
    path = f"/settings/company/users/{account.pk}/"
    page = client.get(path)
    text = page.content.decode().replace("&#x27;", "'")
    assert str(identity.ACTS_ELSEWHERE) in text
    other = account.memberships.exclude(company=company).get().company
    assert other.name not in text, "which company it is, is not this editor's to read"
    form = form_with(page, "role")
    assert not {"email", "first_name", "language"} & form.values.keys(), "shown, not to be typed over"
    for action in ("reset", "disable", "unlock", "invite", "enable"):
        assert f'href="./{action}/"' not in text
        refused = client.get(f"{path}{action}/")
        assert refused.status_code == 403
        assert str(identity.ACTS_ELSEWHERE) in refused.content.decode().replace("&#x27;", "'")
    assert 'href="./remove/"' in text
    assert client.post(path, form.sent(role=Role.MANAGER)).status_code == 302
    assert Membership.objects.get(user=account, company=company).role == Role.MANAGER


def test_a_page_opened_before_the_account_came_to_act_elsewhere_saves_nothing(
    company: Company, claire: User, client_for: ClientFor
) -> None:
    account = UserFactory(company=company, role=Role.VIEWER)
    client = client_for(claire, fresh=True)
    path = f"/settings/company/users/{account.pk}/"
    form = form_with(client.get(path), "email")
    MembershipFactory(user=account, role=Role.VIEWER)
    refused = client.post(path, form.sent(email="autre@ici.example", role=Role.MANAGER))
    assert str(identity.ACTS_ELSEWHERE) in refused.content.decode().replace("&#x27;", "'")
    assert Membership.objects.get(user=account, company=company).role == Role.VIEWER
    assert client.post(path, form.sent(role=Role.MANAGER)).status_code == 302, "what is unchanged does not matter"


SERVICES: dict[str, Callable[[User, Actor], object]] = {
    **{
        name: lambda user, actor, name=name, value=value: team_services.user_update(
            user=user, actor=actor, **{name: value}
        )
        for name, value in {
            "login": "pirate",
            "email": "pirate@x.example",
            "title": "M.",
            "first_name": "Pirate",
            "last_name": "Pirate",
            "phone": "+33 6 00 00 00 00",
            "language": "en",
            "time_zone": "America/Cayenne",
            "is_active": False,
        }.items()
    },
    "reset": lambda user, actor: team_services.user_reset(user=user, actor=actor),
    "unlock": lambda user, actor: team_services.user_unlock(user=user, actor=actor),
    "invite": lambda user, actor: team_services.user_invite(user=user, actor=actor),
    "password": lambda user, actor: team_services.user_set_password(
        user=user, password="cheval-agrafe-pile-correcte", actor=actor
    ),
    "sessions": lambda user, actor: security.sessions_end(user=user, actor=actor),
    "second factor": lambda user, actor: security.second_factor_changed(
        user=user, actor=actor, change="totp_deactivated"
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_services_refuse_as_well(case: str, company: Company, claire: User) -> None:
    account = CASES[case](company, claire)
    before = snapshot(account)
    for name, service in SERVICES.items():
        with pytest.raises(ValidationError) as refused:
            service(User.objects.get(pk=account.pk), Actor("Claire", claire))
        assert refused.value.code in ("identity", "beyond"), name
        assert snapshot(account) == before, name
    with pytest.raises(ValidationError) as refused:
        team_services.user_update(
            user=account, actor=Actor("Claire", claire), company=company, email="pirate@x.example"
        )
    assert refused.value.messages[0] in (identity.ACTS_ELSEWHERE, identity.MANAGED_ELSEWHERE)


# --- Who may --------------------------------------------------------------------------------------


def test_who_has_every_right_of_the_account_everywhere_may_change_it(company: Company, client_for: ClientFor) -> None:
    other = CompanyFactory(reference="ailleurs")
    boss = UserFactory(company=company)
    MembershipFactory(user=boss, company=other, role=Role.MANAGER)
    account = UserFactory(company=company, role=Role.VIEWER)
    MembershipFactory(user=account, company=other, role=Role.VIEWER)
    client = client_for(boss, fresh=True)
    path = f"/settings/company/users/{account.pk}/"
    form = form_with(client.get(path), "email")
    assert client.post(path, form.sent(email="autre@ici.example")).status_code == 302
    assert User.objects.get(pk=account.pk).email == "autre@ici.example"
    assert client.post(f"{path}disable/").status_code == 302
    assert not User.objects.get(pk=account.pk).is_active
    Membership.objects.filter(user=boss, company=other).update(all_shops=False)
    assert not identity.may_change_identity(boss, account), "a single shop there is beyond the editor"


def test_one_right_more_on_one_shop_elsewhere_is_enough_to_refuse(company: Company) -> None:
    other = CompanyFactory()
    shop = ShopFactory(company=other)
    boss = UserFactory(company=company)
    MembershipFactory(user=boss, company=other, role=Role.VIEWER)
    account = UserFactory(company=company, role=Role.VIEWER)
    there = MembershipFactory(user=account, company=other, role=Role.VIEWER)
    assert identity.may_change_identity(boss, account)
    there.grants.create(shop=shop, permissions=frozenset({"view", "resend"}))
    assert not identity.may_change_identity(boss, account)


def test_the_person_staff_and_operators_may(company: Company) -> None:
    account = acting_elsewhere(company)
    for actor in (Actor("Soi-même", account), Actor("Équipe", StaffFactory()), Actor.command("provision")):
        assert identity.may_change_identity(actor.user, account)
        assert team_services.user_update(user=account, actor=actor, email=f"{len(actor.label)}@ici.example")


def test_staff_without_the_permission_are_nobody_here_and_the_team_is_for_superusers(company: Company) -> None:
    reader = StaffFactory(is_superuser=False)
    assert not identity.may_change_identity(reader, acting_elsewhere(company))
    member = StaffFactory(is_superuser=False)
    assert not identity.may_change_identity(reader, member)
    assert identity.may_change_identity(StaffFactory(), member)


def test_an_account_of_one_company_is_changed_as_before(company: Company, claire: User, client_for: ClientFor) -> None:
    account = UserFactory(company=company, role=Role.VIEWER)
    client = client_for(claire, fresh=True)
    path = f"/settings/company/users/{account.pk}/"
    page = client.get(path)
    assert 'href="./remove/"' not in page.content.decode()
    assert client.post(path, form_with(page, "email").sent(email="autre@ici.example")).status_code == 302
    assert User.objects.get(pk=account.pk).email == "autre@ici.example"


def test_who_manages_no_users_at_the_accounts_company_may_not(company: Company) -> None:
    manager = UserFactory(company=company, role=Role.MANAGER)
    account = UserFactory(company=company, role=Role.VIEWER)
    assert not identity.may_change_identity(manager, account)
