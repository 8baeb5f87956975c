"""Tokens of the API and the two operator commands that open a door."""

import io
import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from companies.audit import Actor
from companies.models import AuditEntry
from notifications.api.auth import check_token
from notifications.models import ApiToken
from notifications.tokens import token_create, token_hash, token_revoke
from tests.factories import CompanyFactory, UserFactory

pytestmark = pytest.mark.django_db
ACTOR = Actor.command("test")


def ask(text: str) -> Any:
    return Client().get("/api/v1/deliveries", headers={"authorization": f"Bearer {text}"})


def test_only_the_digest_of_a_token_is_stored_and_its_making_is_in_the_history() -> None:
    company = CompanyFactory()
    token, text = token_create(name="ERP", company=company, actor=ACTOR)
    stored = ApiToken.objects.filter(pk=token.pk).values().get()
    assert stored["token_hash"] == token_hash(text)
    assert all(text not in str(value) for value in stored.values())
    entry = AuditEntry.objects.get(action="api_token.created")
    assert entry.company == company
    assert text not in str(entry.changes)


def test_a_nameless_token_is_refused() -> None:
    with pytest.raises(ValidationError):
        token_create(name="  ", company=None, actor=ACTOR)


def test_a_token_opens_until_it_expires() -> None:
    _token, text = token_create(name="ERP", company=None, actor=ACTOR, expires_at=timezone.now() + timedelta(hours=1))
    assert ask(text).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert ask(text).status_code == 401


def test_a_revoked_token_no_longer_opens() -> None:
    token, text = token_create(name="ERP", company=None, actor=ACTOR)
    assert token_revoke(token=token, actor=ACTOR)
    assert not token_revoke(token=token, actor=ACTOR)
    assert ask(text).status_code == 401
    assert AuditEntry.objects.filter(action="api_token.revoked").count() == 1


def test_the_last_use_is_noted_at_most_once_a_minute() -> None:
    token, text = token_create(name="ERP", company=None, actor=ACTOR)
    start = timezone.now()
    noted = []
    for seconds in (0, 30, 61):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            assert ask(text).status_code == 200
        token.refresh_from_db()
        noted.append(token.last_used_at)
    assert noted == [start, start, start + timedelta(seconds=61)]


@pytest.mark.parametrize("text", ["", "bom_", "x" * 10_000, "bom_é\udcff"])
def test_what_is_no_token_is_nobody(text: str) -> None:
    assert check_token(text) is None


def test_the_command_prints_the_token_alone_on_the_last_line() -> None:
    company = CompanyFactory(reference="maison-lumiere")
    out = io.StringIO()
    call_command("api_token", "ERP", company="maison-lumiere", stdout=out)
    found = check_token(out.getvalue().splitlines()[-1])
    assert found is not None
    assert (found.name, found.company) == ("ERP", company)


def test_the_command_without_a_company_makes_a_platform_token() -> None:
    out = io.StringIO()
    call_command("api_token", "plateforme", stdout=out)
    found = check_token(out.getvalue().splitlines()[-1])
    assert found is not None
    assert found.company is None


def test_the_command_refuses_an_unknown_company() -> None:
    with pytest.raises(CommandError, match="inconnue-ici"):
        call_command("api_token", "ERP", company="inconnue-ici")
    assert not ApiToken.objects.exists()


def test_a_log_in_link_opens_a_session_once_and_is_in_the_history() -> None:
    user = UserFactory(login="claire")
    out = io.StringIO()
    call_command("login_link", "claire", stdout=out)
    entry = AuditEntry.objects.get(action="user.login_link")
    assert (entry.company, entry.object_id) == (user.company, str(user.pk))
    link = out.getvalue().strip()
    assert re.fullmatch(r"http://localhost:8000/accounts/login-link/\S+/", link)
    assert link not in str(entry.changes)
    assert Client().get(link.removeprefix("http://localhost:8000")).status_code == 200


def test_no_log_in_link_for_an_unknown_or_disabled_account() -> None:
    UserFactory(login="parti", is_active=False)
    for login in ("personne", "parti"):
        with pytest.raises(CommandError, match=login):
            call_command("login_link", login)
    assert not AuditEntry.objects.filter(action="user.login_link").exists()
