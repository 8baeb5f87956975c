"""Services of companies and accounts: one transaction, audited, announced."""

import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils.functional import SimpleLazyObject

from companies import links, services
from companies.audit import MASK, Actor, StaleVersion
from companies.models import AuditEntry, Company, Contact, Membership, Role, User
from companies.team import services as team_services
from notifications.mail.emails import LINK_MARK
from notifications.models import Delivery, Event
from tests.factories import CompanyFactory, SftpAccountFactory, UserFactory

pytestmark = pytest.mark.django_db
ACTOR = Actor("Claire Morel")


def make_user(company: Company, **fields: Any) -> User:
    given = {"login": "hugo", "email": "hugo@agence.example", **fields}
    rights = team_services.Rights(role=Role.ADMINISTRATOR)
    return team_services.user_create(company=company, actor=ACTOR, rights=rights, **given)


def queued(notification: str) -> list[str]:
    return sorted(Delivery.objects.filter(notification=notification).values_list("address", flat=True))


def test_a_change_is_audited_with_who_before_and_after() -> None:
    company = CompanyFactory(language="fr")
    services.company_update(company=company, actor=ACTOR, language="en")
    entry = AuditEntry.objects.get(action="company.updated")
    assert entry.actor_label == "Claire Morel" and entry.company == company
    assert entry.changes == {"language": ["fr", "en"]}


def test_saving_what_is_already_there_writes_nothing() -> None:
    company = CompanyFactory(language="fr")
    assert services.company_update(company=company, actor=ACTOR, language="fr") == {}
    assert not AuditEntry.objects.exists() and Company.objects.get().version == company.version


def test_a_writer_who_saw_an_older_version_is_told_and_nothing_is_overwritten() -> None:
    company = CompanyFactory(language="fr")
    seen = company.version
    services.company_update(company=company, actor=ACTOR, seen=seen, language="en")
    with pytest.raises(StaleVersion):
        services.company_update(company=company, actor=ACTOR, seen=seen, time_zone="Europe/Brussels")
    assert Company.objects.get().time_zone == "Europe/Paris"


def test_the_two_contacts_change_places() -> None:
    company = CompanyFactory(with_technical=True, manager__email="a@x.example", technical__email="b@x.example")
    services.contacts_swap(company=company, actor=ACTOR)
    emails = dict(Contact.objects.filter(company=company).values_list("kind", "email"))
    assert emails == {"manager": "b@x.example", "technical": "a@x.example"}
    changes = AuditEntry.objects.get(action="contacts.swapped").changes
    assert changes["manager.email"] == ["a@x.example", "b@x.example"]


def test_a_swap_without_a_technical_contact_is_refused() -> None:
    with pytest.raises(ValidationError):
        services.contacts_swap(company=CompanyFactory(), actor=ACTOR)


def test_removing_the_technical_contact_keeps_its_trace_and_moves_the_version() -> None:
    company = CompanyFactory(with_technical=True, technical__email="b@x.example")
    seen = company.version
    assert services.technical_contact_remove(company=company, actor=ACTOR)
    assert list(Contact.objects.filter(company=company).values_list("kind", flat=True)) == ["manager"]
    changes = AuditEntry.objects.get(action="contact.deleted").changes
    assert changes["technical.email"] == ["b@x.example", None]
    assert Company.objects.get().version == seen + 1
    assert not services.technical_contact_remove(company=company, actor=ACTOR)
    assert AuditEntry.objects.count() == 1


def test_a_new_user_is_mailed_an_identifier_and_a_place_for_a_link_but_no_password() -> None:
    make_user(CompanyFactory())
    delivery = Delivery.objects.select_related("message").get(notification="user_account")
    assert delivery.address == "hugo@agence.example" and delivery.message is not None
    assert "hugo" in delivery.message.text and LINK_MARK in delivery.message.text
    assert "set-password" not in delivery.message.text


def test_the_former_address_is_told_when_an_account_moves() -> None:
    user = make_user(CompanyFactory())
    team_services.user_update(user=user, actor=ACTOR, email="hugo@ailleurs.example")
    assert queued("account_security") == ["hugo@agence.example"]
    assert "hugo@ailleurs.example" in queued("user_account")


def test_another_spelling_of_the_same_address_is_no_move() -> None:
    user = make_user(CompanyFactory())
    team_services.user_update(user=user, actor=ACTOR, email="Hugo@Agence.example")
    assert queued("account_security") == []


def test_a_language_is_changed_without_a_mail() -> None:
    user = make_user(CompanyFactory(), language="fr")
    before = Event.objects.count()
    assert team_services.user_update(user=user, actor=ACTOR, language="en") == {"language": ["fr", "en"]}
    assert Event.objects.count() == before


def test_the_last_administrator_can_be_neither_disabled_nor_demoted() -> None:
    company = CompanyFactory()
    only = make_user(company)
    actor = Actor("Claire", user=only)
    for change in ({"is_active": False}, {"rights": team_services.Rights(role=Role.VIEWER)}):
        with pytest.raises(ValidationError):
            team_services.user_update(user=User.objects.get(pk=only.pk), actor=actor, **change)
    assert User.objects.get(pk=only.pk).is_active
    assert Membership.objects.get(user=only).role == Role.ADMINISTRATOR


def test_a_weak_password_is_refused_by_name_of_the_field() -> None:
    user = make_user(CompanyFactory())
    with pytest.raises(ValidationError) as caught:
        team_services.user_set_password(user=user, password="court", actor=ACTOR)
    assert "password" in caught.value.message_dict


def test_a_changed_password_is_told_and_masked_in_the_history() -> None:
    user = make_user(CompanyFactory(), password="une-longue-phrase-secrete")
    team_services.user_set_password(user=user, password="une-autre-phrase-secrete", actor=ACTOR)
    assert AuditEntry.objects.get(action="user.password_changed").changes == {"password": [MASK, MASK]}
    assert queued("account_security") == ["hugo@agence.example"]


def test_the_first_password_of_an_account_is_no_alarm() -> None:
    user = make_user(CompanyFactory())
    team_services.user_set_password(user=user, password="une-longue-phrase-secrete", actor=ACTOR)
    assert AuditEntry.objects.get(action="user.password_changed").changes == {"password": ["", MASK]}
    assert queued("account_security") == []


def test_one_of_two_administrators_can_be_disabled() -> None:
    company = CompanyFactory()
    first, second = make_user(company), make_user(company, login="lea", email="lea@agence.example")
    team_services.user_update(user=second, actor=Actor("Hugo", user=first), is_active=False)
    assert not User.objects.get(pk=second.pk).is_active


def test_a_password_link_is_worth_nothing_once_used() -> None:
    user = make_user(CompanyFactory())
    token = links.make_password_link(user).rstrip("/").rpartition("/")[2]
    assert links.user_for_password_token(token) == user
    team_services.user_set_password(user=user, password="une-longue-phrase-secrete", actor=ACTOR)
    assert links.user_for_password_token(token) is None


def test_an_sftp_password_is_revealed_once() -> None:
    account = team_services.sftp_account_create(
        company=CompanyFactory(), actor=ACTOR, login="depot", email="compta@lumiere.example"
    )
    token = links.make_sftp_link(account).rstrip("/").rpartition("/")[2]
    assert links.sftp_account_for_token(token) == account
    password = team_services.sftp_reveal(account=account)
    assert password and len(password) >= 20
    assert team_services.sftp_reveal(account=account) is None
    assert links.sftp_account_for_token(token) is None


def test_no_secret_reaches_the_history() -> None:
    user = make_user(CompanyFactory(), password="une-longue-phrase-secrete")
    team_services.user_set_password(user=user, password="une-autre-phrase-secrete", actor=ACTOR)
    account = SftpAccountFactory(company=user.company)
    team_services.sftp_password_reset(account=account, actor=ACTOR)
    password = team_services.sftp_reveal(account=account)
    history = json.dumps(list(AuditEntry.objects.values_list("changes", flat=True)), ensure_ascii=False)
    assert MASK in history
    for secret in ("une-longue-phrase-secrete", "une-autre-phrase-secrete", str(password)):
        assert secret not in history


def test_a_refused_account_leaves_nothing_behind() -> None:
    company = CompanyFactory()
    with pytest.raises(ValidationError):
        make_user(company, email="deux@x.example; trois@x.example")
    assert not User.objects.exists() and not Event.objects.exists() and not AuditEntry.objects.exists()


def test_the_account_of_a_request_can_be_changed_as_it_comes() -> None:
    """The framework hands on a lazy stand-in for the logged-in user."""
    user = UserFactory()
    lazy: Any = SimpleLazyObject(lambda: User.objects.get(pk=user.pk))
    team_services.user_update(user=lazy, actor=ACTOR, language="en")
    assert User.objects.get(pk=user.pk).language == "en"
