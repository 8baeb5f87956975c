"""Who changes the address of an account does not get the link that opens it: it goes where the owner reads."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from companies import links, security, verified
from companies.accounts import logins
from companies.audit import Actor
from companies.models import AuditEntry, Company, Role, User
from companies.team import services as team_services
from notifications.models import Delivery
from notifications.privacy import personal_data
from tests import factories
from tests.factories import PASSWORD
from tests.html_forms import form_with
from tests.notifications.outbox.test_dispatch import deliver
from tests.smtp import SmtpServer

# The worker opens connections of its own.
pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW = "claire@lumiere.example", "attaque@ailleurs.example"
LINK = "/accounts/set-password/"


@pytest.fixture
def staff(client_for: Callable[..., Client]) -> Client:
    """May change accounts, and nothing else."""
    user = factories.StaffFactory(is_superuser=False)
    user.user_permissions.set(Permission.objects.filter(codename__in=["change_user", "view_user"]))
    client: Client = client_for(user, fresh=True)
    return client


def stored(user: User) -> User:
    return User.objects.select_related("company").get(pk=user.pk)


def readdress(client: Client, user: User, email: str = NEW) -> Any:
    url = reverse("admin:companies_user_change", args=[user.pk])
    answer = client.post(url, form_with(client.get(url), "email").sent(email=email))
    assert answer.status_code == 302
    return answer


def act(client: Client, action: str, *users: User) -> str:
    data = {"action": action, "_selected_action": [user.pk for user in users]}
    return client.post(reverse("admin:companies_user_changelist"), data, follow=True).content.decode()


def addresses_of_links(server: SmtpServer, capsys: Any) -> set[str]:
    deliver(capsys=capsys)
    return {
        recipient for recipient in (OLD, NEW) for mail in server.to(recipient) if LINK in mail.text or LINK in mail.html
    }


def test_the_team_changes_an_address_and_the_link_goes_to_the_former_one_which_is_told_first(
    staff: Client, claire: User, smtp_server: SmtpServer, capsys: Any
) -> None:
    readdress(staff, claire)
    assert list(Delivery.objects.order_by("created_at").values_list("address", flat=True)) == [OLD, NEW]
    said = act(staff, "send_link", claire)
    assert f"part vers son adresse vérifiée, {OLD}" in said
    assert addresses_of_links(smtp_server, capsys) == {OLD}
    first = smtp_server.to(OLD)[0]
    assert NEW in first.text and "continuent d'arriver ici" in " ".join(first.text.split())
    assert "confirmez cette adresse dans Mon compte" in " ".join(smtp_server.to(NEW)[0].text.split())


def guesses(user: User) -> None:
    for _number in range(12):
        logins.password_was_wrong(logins.login_begun(user=stored(user), typed=user.login, request=None))


# Everything that mails a link to open an account.
WAYS: dict[str, Callable[[Client, User], Any]] = {
    "the team's action": lambda client, user: act(client, "send_link", user),
    "the public page, by identifier": lambda client, user: Client().post("/accounts/password/reset/", {"login": "claire"}),
    "the public page, by the new address": lambda client, user: Client().post("/accounts/password/reset/", {"login": NEW}),
    "the public page, by the former address": lambda client, user: Client().post(
        "/accounts/password/reset/", {"login": OLD}
    ),
    "a lock after wrong passwords": lambda client, user: guesses(user),
    "a reset by a user manager": lambda client, user: team_services.user_reset(user=stored(user), actor=Actor("Chef")),
    "a reset, then an invitation": lambda client, user: (
        team_services.user_reset(user=stored(user), actor=Actor("Chef")),
        team_services.user_invite(user=stored(user), actor=Actor("Chef")),
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_no_way_mails_a_link_to_an_address_that_its_owner_has_not_confirmed(
    staff: Client, claire: User, smtp_server: SmtpServer, capsys: Any, way: str
) -> None:
    readdress(staff, claire)
    readdress(staff, claire, "entre-deux@ailleurs.example")
    readdress(staff, claire)
    WAYS[way](staff, claire)
    assert addresses_of_links(smtp_server, capsys) == {OLD}


def test_a_reset_before_the_change_does_not_help_either(
    staff: Client, claire: User, smtp_server: SmtpServer, capsys: Any
) -> None:
    team_services.user_reset(user=stored(claire), actor=Actor("Chef"))
    readdress(staff, claire)
    team_services.user_invite(user=stored(claire), actor=Actor("Chef"))
    readdress(staff, claire, OLD)
    readdress(staff, claire)
    act(staff, "send_link", claire)
    assert addresses_of_links(smtp_server, capsys) == {OLD}


def test_links_made_before_the_change_open_nothing_any_more(staff: Client, claire: User) -> None:
    path = links.make_password_link(stored(claire)).removeprefix("http://localhost:8000")
    readdress(staff, claire)
    assert Client().get(path).status_code == 410


def test_messages_about_security_go_to_the_verified_address_too(staff: Client, claire: User) -> None:
    readdress(staff, claire)
    Delivery.objects.all().delete()
    team_services.user_set_password(user=stored(claire), password="une-longue-phrase-secrete", actor=Actor("Claire"))
    security.second_factor_changed(user=stored(claire), actor=Actor("Claire"), change="totp_activated")
    assert set(Delivery.objects.values_list("address", flat=True)) == {OLD}
    assert {row.resolution["reason"] for row in Delivery.objects.all()} == {"verified_address"}


def test_a_merchants_user_manager_cannot_either(
    company: Company, claire: User, client_for: Callable[..., Client], smtp_server: SmtpServer, capsys: Any
) -> None:
    chief = client_for(factories.UserFactory(company=company), fresh=True)
    url = f"/settings/company/users/{claire.pk}/"
    page = chief.post(url, form_with(chief.get(url), "email").sent(email=NEW), follow=True).content.decode()
    assert "n&#x27;a pas confirmé la nouvelle" in page and OLD in page
    assert f"{OLD} reçoit un lien" in chief.get(f"{url}reset/").content.decode()
    chief.post(f"{url}reset/")
    assert addresses_of_links(smtp_server, capsys) == {OLD}


def test_an_account_that_nobody_has_used_is_invited_at_its_corrected_address(
    staff: Client, company: Company, smtp_server: SmtpServer, capsys: Any
) -> None:
    user = team_services.user_create(company=company, actor=Actor("Chef"), login="claire", email=OLD)
    readdress(staff, user)
    assert not verified.is_pending(stored(user))
    team_services.user_invite(user=stored(user), actor=Actor("Chef"))
    assert addresses_of_links(smtp_server, capsys) == {NEW}


def test_the_owner_confirms_the_new_address_after_a_log_in(
    staff: Client, claire: User, client_for: Callable[..., Client], smtp_server: SmtpServer, capsys: Any
) -> None:
    readdress(staff, claire)
    client = Client()
    entered = client.post("/accounts/login/", {"login": "claire", "password": PASSWORD}, follow=True)
    assert "confirmez-la dans Mon compte" in entered.content.decode()
    page = client.get("/account/")
    assert f"continuent d'arriver à {OLD}" in page.content.decode().replace("&#x27;", "'")
    asked = client.post("/account/", form_with(page, "confirm_address").sent())
    assert asked.headers["Location"].startswith("/accounts/reauthenticate/")
    assert verified.is_pending(stored(claire))
    form = form_with(client.get(asked.headers["Location"]), "password")
    client.post(asked.headers["Location"], form.sent(password=PASSWORD))
    assert not verified.is_pending(stored(claire))
    entry = AuditEntry.objects.get(action="user.address_confirmed")
    assert (entry.actor, entry.changes) == (claire, {"verified_email": [OLD, NEW]})
    team_services.password_reset_request(user=stored(claire))
    assert addresses_of_links(smtp_server, capsys) == {NEW}
    assert "ne recevra plus ses messages" in " ".join(smtp_server.to(OLD)[-1].text.split())


def test_a_button_of_an_older_page_confirms_no_other_address(claire: User, client_for: Callable[..., Client]) -> None:
    team_services.user_update(user=stored(claire), actor=Actor("Chef"), email=NEW)
    client = client_for(claire, fresh=True)
    client.post("/account/", {"confirm_address": "entre-deux@ailleurs.example"})
    assert verified.is_pending(stored(claire))


def test_an_address_that_the_owner_types_is_verified_at_once(
    claire: User, client_for: Callable[..., Client], smtp_server: SmtpServer, capsys: Any
) -> None:
    client = client_for(claire)
    form = form_with(client.get("/account/"), "email")
    client.post("/account/", form.sent(email=NEW, current_password=PASSWORD))
    team_services.password_reset_request(user=stored(claire))
    assert addresses_of_links(smtp_server, capsys) == {NEW}
    # And is kept from then on.
    team_services.user_update(user=stored(claire), actor=Actor("Chef"), email="x@ailleurs.example")
    assert stored(claire).link_email == NEW


def test_a_superuser_confirms_for_an_owner_who_reads_the_former_mailbox_no_more(
    staff: Client, claire: User, client_for: Callable[..., Client]
) -> None:
    readdress(staff, claire)
    act(staff, "confirm_address", claire)
    assert verified.is_pending(stored(claire)), "the right to change accounts does not do"
    with pytest.raises(ValidationError):
        verified.address_confirm(user=stored(claire), actor=Actor("x", factories.StaffFactory(is_superuser=False)))
    boss = client_for(factories.StaffFactory(), fresh=True)
    assert "1 adresse confirmée" in act(boss, "confirm_address", claire, factories.UserFactory())
    assert stored(claire).link_email == NEW
    assert Delivery.objects.filter(address=OLD).count() == 2, "told of the change, and that links come no more"


def test_who_loses_a_second_factor_is_told_at_the_verified_address(staff: Client, claire: User) -> None:
    from allauth.mfa.models import Authenticator

    Authenticator.objects.create(user=claire, type="totp", data={"secret": "x"})
    readdress(staff, claire)
    act(staff, "remove_second_factor", claire)
    assert not Authenticator.objects.exists()
    told = Delivery.objects.select_related("message").get(message__subject__contains="Double authentification")
    assert told.address == OLD and told.message is not None
    assert "retirée par l'équipe de la plateforme" in told.message.text


def test_an_address_that_links_still_go_to_is_not_erased(claire: User) -> None:
    team_services.user_update(user=stored(claire), actor=Actor("Chef"), email=NEW)
    Delivery.objects.all().delete()
    assert any("claire" in reason for reason in personal_data.plan(OLD).reasons)
    verified.address_confirm(user=stored(claire), actor=Actor.command("test"))
    assert not any("claire" in reason for reason in personal_data.plan(OLD).reasons)


@pytest.mark.parametrize("trace", ["password", "last_login"])
def test_any_trace_of_use_keeps_the_address(company: Company, trace: str) -> None:
    user = team_services.user_create(
        company=company,
        actor=Actor("Chef"),
        login="claire",
        email=OLD,
        rights=team_services.Rights(role=Role.ADMINISTRATOR),
    )
    if trace == "password":
        team_services.user_set_password(user=user, password="une-longue-phrase-secrete", actor=Actor("Claire"))
    else:
        User.objects.filter(pk=user.pk).update(last_login=timezone.now())
    team_services.user_update(user=stored(user), actor=Actor("Chef"), email=NEW)
    assert stored(user).link_email == OLD
