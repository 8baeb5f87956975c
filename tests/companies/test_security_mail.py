"""Who is told that an account is disabled or corrected, that a state changes, that a contact is replaced."""

import json
import re
from collections.abc import Callable
from email.header import decode_header, make_header
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives
from django.core.management import call_command
from django.test import Client

from companies import links, services
from companies.audit import Actor
from companies.models import Company, Contact, Membership, Role, SftpAccount, Status, User
from companies.team import services as team_services
from notifications.mail import emails
from notifications.models import Delivery
from notifications.settings_facts import company_facts
from notifications.tables.compute import delivery_tables
from shops import services as shop_services
from shops.models import Shop
from tests.factories import (
    MembershipFactory,
    SftpAccountFactory,
    ShopFactory,
    StaffFactory,
    UserFactory,
)
from tests.html_forms import form_with

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
ACTOR = Actor("Équipe")
LINK = re.compile(r"https?://[^/\s]+(/accounts/\S+)")


def told() -> set[tuple[str, str]]:
    return set(Delivery.objects.filter(status="queued").values_list("notification", "address"))


def outgoing() -> list[EmailMultiAlternatives]:
    """What leaves when all that is due is sent."""
    queued = Delivery.objects.filter(status="queued").order_by("created_at", "pk")
    return [emails.build(delivery) for delivery in queued.select_related("message", "event", "shop", "rule")]


def subject_of(mail: EmailMultiAlternatives) -> str:
    return str(make_header(decode_header(mail.subject)))


def sent_to(email: str) -> list[EmailMultiAlternatives]:
    return [mail for mail in outgoing() if mail.to == [email]]


def text(response: Any) -> str:
    return response.content.decode().replace("&#x27;", "'").replace("\xa0", " ")


def provision(tmp_path: Path, company: Company, *options: str, **parts: Any) -> None:
    file = tmp_path / "file.json"
    file.write_text(json.dumps({"companies": [{"reference": company.reference, **parts}]}))
    call_command("provision", str(file), *options, stdout=StringIO())


def in_journal(client: Client) -> set[str]:
    return {row.address for row in client.get("/notifications/journal/").context["page"]}


# --- Disabling an account -------------------------------------------------------------------------


def disable_by_service(client_for: ClientFor, tmp_path: Path, account: User | SftpAccount) -> None:
    if isinstance(account, User):
        team_services.user_update(user=account, actor=ACTOR, is_active=False)
    else:
        team_services.sftp_account_update(account=account, actor=ACTOR, is_active=False)


def disable_on_the_screen(client_for: ClientFor, tmp_path: Path, account: User | SftpAccount) -> None:
    kind = "users" if isinstance(account, User) else "sftp-accounts"
    admin = UserFactory(company=account.company)
    url = f"/settings/company/{kind}/{account.pk}/disable/"
    assert f"{account.email} en est prévenu" in text(client_for(admin, fresh=True).post(url, follow=True))


def disable_in_the_admin(client_for: ClientFor, tmp_path: Path, account: User | SftpAccount) -> None:
    url = f"/admin/companies/{'user' if isinstance(account, User) else 'sftpaccount'}/{account.pk}/change/"
    UserFactory(company=account.company)
    client = client_for(StaffFactory(), fresh=True)
    assert client.post(url, form_with(client.get(url), "is_active").sent(is_active=None)).status_code == 302


def disable_by_provisioning(client_for: ClientFor, tmp_path: Path, account: User | SftpAccount) -> None:
    key = "users" if isinstance(account, User) else "sftp_accounts"
    provision(tmp_path, account.company, "--notify", **{key: []})


WAYS = [disable_by_service, disable_on_the_screen, disable_in_the_admin, disable_by_provisioning]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("make", "code"), [(UserFactory, "user_account"), (SftpAccountFactory, "sftp_account")])
def test_whoever_is_disabled_is_told_and_has_no_line_afterwards(
    client_for: ClientFor,
    tmp_path: Path,
    company: Company,
    way: Callable[..., None],
    make: Any,
    code: str,
) -> None:
    account = make(company=company, email="hors@x.example")
    way(client_for, tmp_path, account)
    account.refresh_from_db()
    assert not account.is_active
    assert told() == {(code, "hors@x.example")}
    (mail,) = sent_to("hors@x.example")
    assert mail.extra_headers["X-BOM-Notification"] == code and "désactivé" in subject_of(mail)
    tables = delivery_tables(company_facts(company)).addresses
    (table,) = [table for table in tables if table.email == "hors@x.example"]
    assert table.receives == [] and [line.reason for line in table.why_not] == ["account_disabled"]
    # What changes afterwards is nobody's message any more.
    Delivery.objects.all().delete()
    account = type(account).objects.select_related("company").get(pk=account.pk)
    if isinstance(account, User):
        team_services.user_update(user=account, actor=ACTOR, first_name="Nouveau")
    else:
        team_services.sftp_account_update(account=account, actor=ACTOR, login="autre")
    assert told() == set()


def test_provisioning_without_notify_tells_nobody(tmp_path: Path, company: Company) -> None:
    UserFactory(company=company)
    SftpAccountFactory(company=company)
    contact = {"email": "nouvelle@x.example"}
    provision(tmp_path, company, users=[], sftp_accounts=[], manager_contact=contact)
    assert told() == set()


def test_provisioning_with_notify_tells_what_the_contract_lists_and_nothing_else(
    tmp_path: Path, company: Company
) -> None:
    UserFactory(company=company, email="hors@x.example")
    provision(tmp_path, company, "--notify", users=[], manager_contact={"email": "nouvelle@x.example"})
    assert told() == {("user_account", "hors@x.example")}
    assert company.contacts.get(kind="manager").email == "nouvelle@x.example"


def test_an_account_that_is_disabled_and_moved_at_once_is_told_at_both_addresses(company: Company) -> None:
    user = UserFactory(company=company, email="avant@x.example")
    team_services.user_update(user=user, actor=ACTOR, is_active=False, email="apres@x.example")
    assert told() == {("user_account", "apres@x.example"), ("account_security", "avant@x.example")}


def test_whoever_loses_the_access_to_a_company_is_told(company: Company) -> None:
    guest = UserFactory(email="invite@x.example")
    membership = MembershipFactory(user=guest, company=company, role=Role.VIEWER)
    team_services.membership_remove(membership=Membership.objects.get(pk=membership.pk), actor=ACTOR)
    assert told() == {("user_account", "invite@x.example")}


# --- An address corrected before the first log-in ------------------------------------------------------


def invite(email: str) -> list[str]:
    """The links that the address receives."""
    return [found.group(1) for mail in sent_to(email) if (found := LINK.search(str(mail.body)))]


def test_a_corrected_address_gets_a_working_invitation_and_the_old_link_dies(
    client_for: ClientFor, company: Company, claire: User
) -> None:
    user = team_services.user_create(company=company, actor=ACTOR, login="bob", email="bob@faux.example")
    (old,) = invite("bob@faux.example")
    client = client_for(claire, fresh=True)
    url = f"/settings/company/users/{user.pk}/"
    sent = form_with(client.get(url), "email").sent(email="bob@x.example")
    page = text(client.post(url, sent, follow=True))
    assert "une nouvelle invitation part vers bob@x.example" in page
    assert "le lien envoyé à bob@faux.example ne fonctionne plus" in page
    (new,) = invite("bob@x.example")
    stranger = Client()
    dead = text(stranger.get(old, follow=True))
    assert "Ce lien ne sert plus" in dead and "corrigée" in dead
    assert "Choisir un mot de passe" in text(stranger.get(new, follow=True))
    # The former address is told, without a link of any account.
    assert invite("bob@faux.example") == []
    mail = sent_to("bob@faux.example")[-1]
    assert "ne fonctionne plus" in str(mail.body)


def test_a_corrected_address_in_the_admin_and_by_provisioning_gets_an_invitation_too(
    client_for: ClientFor, tmp_path: Path, company: Company
) -> None:
    user = team_services.user_create(company=company, actor=ACTOR, login="bob", email="bob@faux.example")
    client = client_for(StaffFactory(), fresh=True)
    url = f"/admin/companies/user/{user.pk}/change/"
    assert client.post(url, form_with(client.get(url), "email").sent(email="deux@x.example")).status_code == 302
    assert len(invite("deux@x.example")) == 1
    provision(tmp_path, company, "--notify", users=[{"login": "bob", "email": "trois@x.example"}])
    (link,) = invite("trois@x.example")
    assert links.user_for_password_token(link.rstrip("/").rpartition("/")[2]) == user


def test_an_account_with_a_password_gets_no_link_for_a_new_address(company: Company) -> None:
    user = UserFactory(company=company, email="avant@x.example")
    team_services.user_update(user=user, actor=ACTOR, email="apres@x.example")
    assert invite("apres@x.example") == []


def test_a_corrected_sftp_address_gets_a_link_that_reveals_and_the_old_one_dies(
    client_for: ClientFor, company: Company, claire: User
) -> None:
    account = team_services.sftp_account_create(company=company, actor=ACTOR, login="compta", email="faux@x.example")
    (old,) = invite("faux@x.example")
    client = client_for(claire, fresh=True)
    url = f"/settings/company/sftp-accounts/{account.pk}/"
    page = text(client.post(url, form_with(client.get(url), "email").sent(email="vrai@x.example"), follow=True))
    assert "une nouvelle invitation part vers vrai@x.example" in page
    (new,) = invite("vrai@x.example")
    assert "Ce lien ne sert plus" in text(Client().get(old, follow=True))
    assert "Afficher le mot de passe" in text(Client().get(new, follow=True))
    assert SftpAccount.objects.get().state == SftpAccount.State.WAITING


# --- States of companies and shops ----------------------------------------------------------------------

STATES = [(Status.SUSPENDED, "suspendue"), (Status.CLOSED, "fermée"), (Status.ACTIVE, "de nouveau active")]


@pytest.mark.parametrize(("state", "word"), STATES)
def test_a_state_of_a_shop_tells_its_manager_and_the_company_manager(
    client_for: ClientFor, company: Company, claire: User, state: str, word: str
) -> None:
    shop = ShopFactory(company=company, name="Lyon", manager_email="lyon@x.example")
    ShopFactory(company=company, manager_email="autre@x.example")
    if state == Status.ACTIVE:
        Shop.objects.filter(pk=shop.pk).update(status=Status.CLOSED, status_reason="Fin de bail")
    by_staff(client_for, "shops/shop", shop, state)
    assert told() == {("account_security", "lyon@x.example"), ("account_security", "claire@lumiere.example")}
    for mail in outgoing():
        assert f"La boutique Lyon est {word}" in subject_of(mail)
        assert len(mail.recipients()) == 1 and mail.extra_headers["X-BOM-Shop"] == shop.site_id
        assert ("Fin de contrat" in str(mail.body)) is (state != Status.ACTIVE)
    assert in_journal(client_for(claire)) == {"lyon@x.example", "claire@lumiere.example"}


@pytest.mark.parametrize(("state", "word"), STATES)
def test_a_state_of_a_company_tells_its_manager_and_those_of_its_shops(
    client_for: ClientFor, company: Company, claire: User, state: str, word: str
) -> None:
    ShopFactory(company=company, manager_email="lyon@x.example")
    ShopFactory(company=company, manager_email="LYON@x.example")
    ShopFactory(company=company, manager_email="")
    ShopFactory(company=company, manager_email="fermee@x.example", status=Status.CLOSED)
    if state == Status.ACTIVE:
        Company.objects.filter(pk=company.pk).update(status=Status.CLOSED, status_reason="Fin")
    by_staff(client_for, "companies/company", company, state)
    assert told() == {("account_security", "lyon@x.example"), ("account_security", "claire@lumiere.example")}
    assert all(f"La société Maison Lumière est {word}" in subject_of(mail) for mail in outgoing())
    assert len(outgoing()) == 2
    assert in_journal(client_for(claire)) == {"lyon@x.example", "claire@lumiere.example"}


def by_staff(client_for: ClientFor, model: str, obj: Any, state: str) -> None:
    """The bulk action of the staff site, question and answer."""
    action = {Status.SUSPENDED: "suspend", Status.CLOSED: "close", Status.ACTIVE: "reactivate"}[Status(state)]
    client = client_for(StaffFactory(), fresh=True)
    url = f"/admin/{model}/"
    asked = client.post(url, {"action": action, "_selected_action": [obj.pk]})
    sent = form_with(asked, "reason").sent(reason="Fin de contrat")
    assert client.post(url, sent).status_code == 302
    obj.refresh_from_db()
    assert obj.status == state


def test_another_reason_for_the_same_state_tells_nobody(company: Company) -> None:
    for reason in ("Impayé", "Impayé depuis mars"):
        services.company_set_status(company=company, actor=ACTOR, state=Status.SUSPENDED, reason=reason)
    assert Delivery.objects.count() == 1


def test_a_shop_reopened_in_a_suspended_company_does_not_promise_mail(company: Company) -> None:
    shop = ShopFactory(company=company, status=Status.SUSPENDED)
    services.company_set_status(company=company, actor=ACTOR, state=Status.SUSPENDED, reason="Impayé", notify=False)
    shop_services.shop_set_status(shop=shop, actor=ACTOR, state=Status.ACTIVE, reason="")
    (mail,) = outgoing()
    assert "société n'est pas active" in " ".join(str(mail.body).split())


# --- The address of the Contact gestionnaire ------------------------------------------------------------


def test_replacing_the_company_manager_tells_both_addresses_also_while_suspended(
    client_for: ClientFor, company: Company, claire: User
) -> None:
    Company.objects.filter(pk=company.pk).update(status=Status.SUSPENDED)
    client = client_for(claire, fresh=True)
    url = "/settings/company/"
    sent = form_with(client.get(url), "manager-email").sent(**{"manager-email": "nouvelle@x.example"})
    page = text(client.post(url, sent, follow=True))
    assert "claire@lumiere.example, et la nouvelle, nouvelle@x.example, en sont prévenues" in page
    assert told() == {("account_security", "claire@lumiere.example"), ("account_security", "nouvelle@x.example")}
    for mail in outgoing():
        assert (
            "claire@lumiere.example" in str(mail.body)
            and "nouvelle@x.example" in str(mail.body)
            and "Claire Morel" in str(mail.body)
        )


def test_another_spelling_or_name_of_the_company_manager_tells_nobody(company: Company) -> None:
    services.contact_save(
        company=company, kind="manager", actor=ACTOR, email="Claire@LUMIERE.example", last_name="Petit"
    )
    assert told() == set()


def test_swapped_contacts_are_told_and_so_is_an_address_changed_in_the_admin(
    client_for: ClientFor, company: Company
) -> None:
    services.contacts_swap(company=company, actor=ACTOR)
    assert told() == {("account_security", "claire@lumiere.example"), ("account_security", "hugo@agence.example")}
    Delivery.objects.all().delete()
    client = client_for(StaffFactory(), fresh=True)
    url = f"/admin/companies/company/{company.pk}/change/"
    sent = form_with(client.get(url), "manager_email").sent(manager_email="neuf@x.example")
    assert client.post(url, sent).status_code == 302
    assert Contact.objects.get(company=company, kind="manager").email == "neuf@x.example"
    assert told() == {("account_security", "hugo@agence.example"), ("account_security", "neuf@x.example")}
