"""Paramétrage > Société > Jetons d'API: who may, what is shown, what a token opens and when it ends."""

import csv
import io
import threading
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backoffice.site.menu import visible_menu
from companies.audit import Actor
from companies.models import AuditEntry, Company, Membership, Role, Status, User
from companies.rights.permissions import MANAGE_KEYS, PERMISSIONS, VIEW
from companies.status import Closed
from notifications import tokens
from notifications.api.auth import check_token
from notifications.checks.consistency import findings
from notifications.models import ApiToken
from notifications.settings_facts.checked import checked_facts
from notifications.tokens import token_create, token_replace, token_revoke
from tests.factories import ApiTokenFactory, CompanyFactory, ShopFactory, StaffFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
LIST, NEW = "/settings/company/api-tokens/", "/settings/company/api-tokens/new/"
ACTOR = Actor.command("test")
Scope = ApiToken.Scope
ClientFor = Callable[..., Client]


@pytest.fixture
def page(claire: User, client_for: ClientFor) -> Client:
    """Claire's browser, her identity just proved."""
    return client_for(claire, fresh=True)


def text(response: Any) -> str:
    return unescape(response.content.decode()).replace("\xa0", " ")


def made(page: Client, **changed: Any) -> tuple[ApiToken, str]:
    """A token made through the screen, and its text read from the answer."""
    data = {"name": "ERP", "scopes": ["events:write", "tables:read"], "lifetime": "365", **changed}
    answer = page.post(NEW, data)
    shown = text(answer).partition('<code class="secret">')[2].partition("</code>")[0]
    return ApiToken.objects.latest("pk"), shown


def ask(secret: str, path: str = "/api/v1/deliveries", **extra: Any) -> Any:
    return Client(**extra).get(path, headers={"authorization": f"Bearer {secret}"})


# --- Making one -----------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_opens_exactly_what_was_ticked(page: Client, company: Company) -> None:
    token, secret = made(page)
    assert check_token(secret) == token
    assert (token.company, token.allowed) == (company, ["events:write", "tables:read"])
    assert token.expires_at is not None
    assert timedelta(days=364) < token.expires_at - timezone.now() <= timedelta(days=365)
    assert ask(secret, "/api/v1/companies/lumiere/delivery-tables").status_code == 200
    for path in (LIST, f"{LIST}{token.pk}/", LIST + "?format=csv&plain=1", "/settings/company/history/"):
        answer = page.get(path)
        assert secret not in b"".join(answer).decode()
    assert not AuditEntry.objects.filter(changes__icontains=secret).exists()
    assert "ERP" in text(page.get(LIST))


def test_what_was_not_ticked_is_a_403_that_names_the_scope(page: Client) -> None:
    _token, secret = made(page)
    answer = ask(secret)
    assert answer.status_code == 403
    problem = answer.json()
    assert "Lire le journal des envois" in problem["detail"]
    assert "deliveries:read" in problem["detail"]
    assert answer.headers["WWW-Authenticate"].endswith('error="insufficient_scope", scope="deliveries:read"')
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        (Scope.EVENTS, "post", "/api/v1/events"),
        (Scope.TABLES, "get", "/api/v1/companies/lumiere/delivery-tables"),
        (Scope.DELIVERIES, "get", "/api/v1/deliveries"),
        (Scope.SETTINGS_READ, "get", "/api/v1/companies/lumiere"),
        (Scope.SETTINGS_WRITE, "put", "/api/v1/companies/lumiere?plan=true"),
    ],
)
def test_each_scope_opens_its_own_operation_only(company: Company, scope: Scope, method: str, path: str) -> None:
    _token, with_it = token_create(name="a", company=company, actor=ACTOR, scopes=[scope])
    _token, others = token_create(name="b", company=company, actor=ACTOR, scopes=set(Scope.values) - {scope})
    _token, everything = token_create(name="c", company=company, actor=ACTOR)

    def status(secret: str) -> int:
        body = {"post": "[]", "put": "{}"}.get(method)
        sent = {"data": body, "content_type": "application/json"} if body else {}
        answer = getattr(Client(), method)(path, headers={"authorization": f"Bearer {secret}"}, **sent)
        return int(answer.status_code)

    assert (status(with_it), status(others), status(everything)) == (200, 403, 200)


def test_a_form_with_mistakes_keeps_what_was_typed_and_makes_nothing(page: Client) -> None:
    answer = page.post(NEW, {"name": "", "scopes": ["tables:read"], "lifetime": "12"})
    found = text(answer)
    assert "Choisissez un choix valide" in found or "12" in found
    assert 'value="tables:read" checked' in found or "checked" in found.partition('value="tables:read"')[2][:120]
    answer = page.post(NEW, {"name": "ERP de Lyon", "lifetime": "90"})
    assert "Choisissez au moins une portée." in text(answer)
    assert 'value="ERP de Lyon"' in text(answer)
    assert not ApiToken.objects.exists()


def test_a_closed_identity_is_asked_for_first(claire: User, client_for: ClientFor) -> None:
    stale = client_for(claire)
    assert stale.get(NEW).headers["Location"].startswith("/accounts/reauthenticate/")
    answer = stale.post(NEW, {"name": "ERP", "scopes": ["tables:read"], "lifetime": "365"})
    assert answer.status_code == 302
    assert not ApiToken.objects.exists()


def test_what_was_typed_comes_back_when_the_proof_of_identity_ran_out(claire: User, client_for: ClientFor) -> None:
    typed = {"name": "ERP d'été", "scopes": ["tables:read", "deliveries:read"], "lifetime": "90"}
    answer = client_for(claire).post(NEW, typed)
    assert not ApiToken.objects.exists()
    form = text(client_for(claire, fresh=True).get(answer.headers["Location"]))
    assert 'value="ERP d\'été"' in form
    assert form.count(" checked") == 2
    assert '<option value="90" selected' in form


def test_what_an_address_invents_fills_in_nothing(page: Client) -> None:
    form = text(page.get(NEW, {"scopes": "all", "lifetime": "9999", "name": "x" * 500}))
    assert " checked" not in form
    assert '<option value="365" selected' in form
    assert f'value="{"x" * 100}"' in form


def test_a_company_keeps_at_most_twenty_in_service(
    page: Client, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MOST", 2)
    ended = ApiTokenFactory(company=company, expires_at=timezone.now() - timedelta(days=1))
    made(page), made(page)
    answer = page.post(NEW, {"name": "de trop", "scopes": ["tables:read"], "lifetime": "30"})
    assert "a déjà 2 jetons en service" in text(answer)
    assert 'value="de trop"' in text(answer)
    assert ApiToken.objects.exclude(pk=ended.pk).count() == 2


def test_an_end_that_is_past_and_a_scope_that_is_none_are_refused(company: Company) -> None:
    with pytest.raises(ValidationError, match="déjà passée"):
        token_create(name="x", company=company, actor=ACTOR, expires_at=timezone.now())
    for scopes in ([], ["tables:read", "everything"]):
        with pytest.raises(ValidationError, match="portée"):
            token_create(name="x", company=company, actor=ACTOR, scopes=scopes)


# --- Who may --------------------------------------------------------------------------------------


def test_only_who_holds_the_keys_of_every_shop_makes_a_token_for_the_company(
    company: Company, client_for: ClientFor
) -> None:
    paris, lyon = ShopFactory(company=company), ShopFactory(company=company)
    keys = {VIEW, MANAGE_KEYS}
    on_one = UserFactory(company=company, role=Role.VIEWER, grants={paris: keys})
    on_some = UserFactory(company=company, role=Role.ADMINISTRATOR, shops=[paris, lyon])
    less_on_one = UserFactory(company=company, role=Role.ADMINISTRATOR, grants={lyon: PERMISSIONS[Role.VIEWER]})
    whole = UserFactory(company=company, role=Role.ADMINISTRATOR)
    token = ApiTokenFactory(company=company)

    def statuses(user: User) -> set[int]:
        browser = client_for(user, fresh=True)
        paths = (LIST, NEW, f"{LIST}{token.pk}/", f"{LIST}{token.pk}/replace/", f"{LIST}{token.pk}/revoke/")
        return {browser.get(path).status_code for path in paths}

    def in_menu(user: User) -> bool:
        return "api_tokens" in str(visible_menu(Membership.objects.get(user=user)))

    assert [statuses(user) for user in (on_one, on_some, less_on_one, whole)] == [{403}, {403}, {403}, {200}]
    assert [in_menu(user) for user in (on_one, on_some, less_on_one, whole)] == [False, False, False, True]


def test_the_history_of_tokens_is_for_the_same_people(page: Client, company: Company, client_for: ClientFor) -> None:
    made(page, name="Jeton secret")
    viewer = client_for(UserFactory(company=company, role=Role.VIEWER))
    assert "Jeton d'API créé : Jeton secret" in text(page.get("/settings/company/history/"))
    assert "Transmettre des événements" in text(page.get("/settings/company/history/"))
    assert "Jeton secret" not in text(viewer.get("/settings/company/history/"))


def test_another_companys_token_is_not_there(page: Client) -> None:
    theirs = ApiTokenFactory(company=CompanyFactory(), name="le leur")
    platform = ApiTokenFactory(company=None, name="plateforme")
    for token in (theirs, platform):
        for tail in ("", "replace/", "revoke/"):
            assert page.get(f"{LIST}{token.pk}/{tail}").status_code == 404
            assert page.post(f"{LIST}{token.pk}/{tail}").status_code == (405 if not tail else 404)
    assert "le leur" not in text(page.get(LIST))
    assert not ApiToken.objects.filter(revoked_at__isnull=False).exists()


# --- Its end --------------------------------------------------------------------------------------


def test_a_replaced_token_goes_on_for_a_day_and_its_successor_opens_the_same(page: Client) -> None:
    token, first = made(page, scopes=["deliveries:read"])
    answer = page.post(f"{LIST}{token.pk}/replace/", {"lifetime": "90"})
    second = text(answer).partition('<code class="secret">')[2].partition("</code>")[0]
    successor = ApiToken.objects.latest("pk")
    assert (successor.name, successor.allowed) == ("ERP", ["deliveries:read"])
    assert (ask(first).status_code, ask(second).status_code) == (200, 200)
    token.refresh_from_db()
    assert token.state == "replaced"
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        assert (ask(first).status_code, ask(second).status_code) == (401, 200)
    again = page.post(f"{LIST}{token.pk}/replace/", {"lifetime": "90"}, follow=True)
    assert "déjà été remplacé" in text(again)
    assert ApiToken.objects.count() == 2


def test_replacing_never_makes_an_end_later() -> None:
    soon = timezone.now() + timedelta(hours=2)
    token, _text = token_create(name="x", company=CompanyFactory(), actor=ACTOR, expires_at=soon)
    token_replace(token=token, actor=ACTOR, expires_at=None)
    token.refresh_from_db()
    assert token.expires_at == soon


def test_a_revoked_token_is_refused_at_once_and_cannot_be_replaced(page: Client) -> None:
    token, secret = made(page, scopes=["deliveries:read"])
    assert "Le programme qui utilise « ERP »" in text(page.get(f"{LIST}{token.pk}/revoke/"))
    assert ask(secret).status_code == 200
    answer = page.post(f"{LIST}{token.pk}/revoke/", follow=True)
    assert "est révoqué" in text(answer)
    assert ask(secret).status_code == 401
    assert page.get(f"{LIST}{token.pk}/replace/").status_code == 302
    with pytest.raises(ValidationError):
        token_replace(token=token, actor=ACTOR, expires_at=None)
    assert "Révoqué le" in text(page.get(f"{LIST}{token.pk}/"))


def test_a_token_is_revoked_without_proving_again_who_one_is(claire: User, client_for: ClientFor) -> None:
    token = ApiTokenFactory(company=claire.company)
    client_for(claire).post(f"{LIST}{token.pk}/revoke/")
    token.refresh_from_db()
    assert token.state == "revoked"


def test_a_closed_company_still_revokes_but_makes_none(page: Client, company: Company, claire: User) -> None:
    token, _secret = made(page)
    Company.objects.filter(pk=company.pk).update(status=Status.CLOSED)
    assert page.get(LIST).status_code == 200
    assert "Créer un jeton" not in text(page.get(LIST))
    assert page.post(NEW, {"name": "x", "scopes": ["tables:read"], "lifetime": "30"}).status_code == 403
    claire_acts = Actor(claire.get_full_name(), claire)
    for write in (
        lambda: token_create(name="x", company=company, actor=claire_acts),
        lambda: token_replace(token=token, actor=claire_acts, expires_at=None),
    ):
        with pytest.raises(Closed):
            write()
    assert ApiToken.objects.count() == 1
    page.post(f"{LIST}{token.pk}/revoke/")
    token.refresh_from_db()
    assert token.state == "revoked"


def test_the_report_and_the_list_tell_of_tokens_about_to_end(page: Client, company: Company) -> None:
    ApiTokenFactory(company=company, name="ERP", expires_at=timezone.now() + timedelta(days=29))
    ApiTokenFactory(company=company, name="loin", expires_at=timezone.now() + timedelta(days=31))
    replaced = ApiTokenFactory(company=company, name="relayé", expires_at=timezone.now() + timedelta(days=3))
    token_replace(token=replaced, actor=ACTOR, expires_at=timezone.now() + timedelta(days=365))
    found = findings(checked_facts(company, timezone.now()))
    assert [item.params["token"] for item in found if item.code == "api_token_ends_soon"] == ["ERP"]
    assert "1 jeton prend fin dans moins de 30 jours." in text(page.get(LIST))


# --- The list -------------------------------------------------------------------------------------


def test_search_and_states_find_exactly_theirs(page: Client, company: Company) -> None:
    now = timezone.now()
    day = timedelta(days=1)
    wanted = {
        "active": ApiTokenFactory(company=company, name="un-actif", expires_at=now + 40 * day),
        "expiring": ApiTokenFactory(company=company, name="un-bientot", expires_at=now + 3 * day),
        "expired": ApiTokenFactory(company=company, name="un-fini", expires_at=now - day),
        "replaced": ApiTokenFactory(company=company, name="un-relaye", expires_at=now + day, replaced_at=now),
        "revoked": ApiTokenFactory(company=company, name="un-revoque", expires_at=now - day, revoked_at=now),
    }
    for state, token in wanted.items():
        assert token.state == state
        found = text(page.get(LIST, {"state": state}))
        assert [name for name in (one.name for one in wanted.values()) if f">{name}</a>" in found] == [token.name]
    assert "un-fini" in text(page.get(LIST, {"q": "FINI"}))
    assert "Aucun jeton ne correspond" in text(page.get(LIST, {"q": "rien"}))
    assert text(page.get(LIST, {"q": "un-", "sort": "-name"})).index("un-revoque") < text(
        page.get(LIST, {"q": "un-", "sort": "-name"})
    ).index("un-actif")


def test_a_pasted_token_finds_itself_and_does_not_stay_in_the_address(page: Client) -> None:
    token, secret = made(page, name="perdu")
    answer = page.get(LIST, {"q": secret})
    assert answer.headers["Location"] == f"{LIST}?q={token.prefix}"
    assert f"/settings/company/api-tokens/{token.pk}/" in text(page.get(answer.headers["Location"]))


def test_an_empty_list_leads_to_the_first_token(page: Client) -> None:
    found = text(page.get(LIST))
    assert "Aucun jeton d'API" in found
    assert f'href="{NEW}"' in found


def test_the_list_takes_as_many_queries_for_many_as_for_few(page: Client, claire: User) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert page.get(LIST).status_code == 200
        return len(captured)

    ApiTokenFactory.create_batch(3, company=claire.company, created_by=claire)
    few = queries()
    ApiTokenFactory.create_batch(20, company=claire.company, created_by=UserFactory(company=claire.company))
    assert queries() == few


def test_the_file_holds_the_list_with_harmless_cells(page: Client) -> None:
    made(page, name="=cmd|' /C calc'!A0")
    answer = page.get(LIST, {"format": "csv", "plain": "1"})
    rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode("utf-8-sig"))))
    assert [(row["name"], row["scopes"], row["created_by"]) for row in rows] == [
        ("'=cmd|' /C calc'!A0", "events:write tables:read", "claire")
    ]


def test_the_last_use_and_its_address_are_shown(page: Client) -> None:
    token, secret = made(page, scopes=["deliveries:read"])
    assert "Jamais" in text(page.get(f"{LIST}{token.pk}/"))
    ask(secret, REMOTE_ADDR="192.0.2.7")
    assert "depuis 192.0.2.7" in text(page.get(f"{LIST}{token.pk}/"))
    assert "créé par Claire Morel" in text(page.get(f"{LIST}{token.pk}/"))


# --- Operators ------------------------------------------------------------------------------------


def test_the_command_takes_scopes_and_an_end(company: Company) -> None:
    out = io.StringIO()
    call_command("api_token", "ERP", company="lumiere", scope=["tables:read"], days=10, stdout=out)
    token = check_token(out.getvalue().splitlines()[-1])
    assert token is not None
    assert token.expires_at is not None
    assert token.allowed == ["tables:read"]
    assert timedelta(days=9) < token.expires_at - timezone.now() <= timedelta(days=10)
    for days in (0, -1, 100_000):
        with pytest.raises(CommandError, match=str(days)):
            call_command("api_token", "ERP", days=days)


def test_staff_see_what_a_token_opens_and_revoke_it(client_for: ClientFor, company: Company) -> None:
    token, secret = token_create(name="ERP", company=company, actor=ACTOR, scopes=["deliveries:read"])
    staff = client_for(StaffFactory())
    assert "Lire le journal des envois" in text(staff.get(f"/admin/notifications/apitoken/{token.pk}/change/"))
    staff.post("/admin/notifications/apitoken/", {"action": "revoke", "_selected_action": [token.pk]})
    assert ask(secret).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_two_at_once_do_not_pass_the_limit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST", 1)
    company = CompanyFactory()
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def make(name: str) -> None:
        try:
            start.wait()
            token_create(name=name, company=company, actor=ACTOR)
            outcomes.append("made")
        except ValidationError:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=make, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made", "refused"]
    assert token_revoke(token=ApiToken.objects.get(), actor=ACTOR)
