"""The settings API: the document of a company read, changed on the version that was read, created, planned."""

import copy
import importlib
import json
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from backoffice.base import limits
from backoffice.provisioning import exporting
from backoffice.provisioning.applying import provision
from companies.audit import Actor
from companies.models import AuditEntry, Company, Membership, Role, User
from notifications.models import ApiToken, Event, NotificationRule
from notifications.tokens import token_create, token_replace
from shops.models import Contract, Shop
from shops.services import shop_update
from tests.backoffice.provisioning.test_provision import EXAMPLE
from tests.factories import CompanyFactory, ContractFactory, MembershipFactory, ShopFactory, UserFactory
from tests.races import at_once

pytestmark = pytest.mark.django_db
PATH = "/api/v1/companies/maison-lumiere"
ACTOR = Actor.command("test")


class Caller:
    """A program with a token."""

    def __init__(self, company: Company | None = None, name: str = "ERP") -> None:
        self.token, text = token_create(name=name, company=company, actor=ACTOR)
        self.client = Client(headers={"authorization": f"Bearer {text}"}, raise_request_exception=False)

    def get(self, path: str = PATH, **headers: str) -> Any:
        return self.client.get(path, headers=headers)

    def put(self, document: Any, path: str = PATH, *, etag: str | None = None, **headers: str) -> Any:
        if etag is not None:
            headers["if-match"] = etag
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.client.put(path, raw, "application/json", headers={"accept-language": "fr", **headers})


@pytest.fixture
def example() -> Company:
    """The company of the example document."""
    provision(copy.deepcopy(EXAMPLE))
    return Company.objects.get()


@pytest.fixture
def caller(example: Company) -> Caller:
    return Caller(example)


@pytest.fixture
def platform() -> Caller:
    return Caller(name="Pilotage")


def read(caller: Caller) -> tuple[dict[str, Any], str]:
    response = caller.get()
    assert response.status_code == 200
    return response.json(), response["ETag"]


def errors(response: Any, status: int = 422) -> dict[str, str]:
    assert response.status_code == status, response.content[:800]
    assert response["Content-Type"] == "application/problem+json"
    return {error["field"]: error["message"] for error in response.json()["errors"]}


def test_no_more_accounts_are_opened_changed_or_left_out_than_one_request_may(
    caller: Caller, example: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_ACCOUNTS", 3)
    UserFactory.create_batch(4, company=example)
    document, etag = read(caller)
    assert caller.put({"users": document["users"]}, etag=etag).status_code == 200, "what stays as it is costs nothing"
    etag = read(caller)[1]
    changed = [{**user, "last_name": "Autre"} for user in document["users"]]
    for users in (changed, [], [*document["users"], *({**changed[0], "login": f"n{n}"} for n in range(4))]):
        refused = caller.put({"users": users}, etag=etag)
        assert refused.status_code == 413 and "3 au plus" in refused.json()["detail"]
    assert caller.put({"users": [*changed[:3], *document["users"][3:]]}, etag=etag).status_code == 200


# --- Reading --------------------------------------------------------------------------------------


def test_the_document_is_the_one_of_the_export_without_secrets(caller: Caller, example: Company) -> None:
    document, etag = read(caller)
    assert document == exporting.plain(exporting.export(example))
    assert document["reference"] == "maison-lumiere"
    text = json.dumps(document)
    assert not any(secret in text for secret in ("1111111111111111", "testpassword_abc", "password"))
    assert etag == caller.get()["ETag"]
    assert etag.startswith('"') and etag.endswith('"')


def test_the_version_is_another_after_any_change(caller: Caller, example: Company) -> None:
    seen = {read(caller)[1]}
    shop_update(shop=Shop.objects.get(), actor=ACTOR, name="Autre")
    seen.add(read(caller)[1])
    NotificationRule.objects.update(enabled=False)
    seen.add(read(caller)[1])
    assert len(seen) == 3


def test_another_companys_settings_read_exactly_like_unknown_ones(example: Company) -> None:
    other = Caller(CompanyFactory())
    for ask in (
        other.get,
        lambda path: other.put({}, path, etag='"x"'),
        lambda path: other.put({}, f"{path}?plan=true"),
    ):
        answers = [ask(path) for path in (PATH, "/api/v1/companies/nobody", "/api/v1/companies/n%00b")]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.content for answer in answers}) == 1


def test_unknown_parameters_are_named(caller: Caller) -> None:
    assert list(errors(caller.get(f"{PATH}?x=1"))) == ["x"]
    assert list(errors(caller.put({}, f"{PATH}?plan=yes&y="))) == ["plan", "y"]


def test_the_queries_do_not_grow_with_the_shops(caller: Caller, example: Company) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            read(caller)
        return len(queries)

    read(caller)
    before = asked()
    for number in range(3):
        ContractFactory(shop=ShopFactory(company=example, site_id=f"2000000{number}"))
        UserFactory(company=example)
    assert asked() == before


# --- Changing -------------------------------------------------------------------------------------


def test_what_was_read_can_be_put_back_and_writes_nothing(caller: Caller) -> None:
    document, etag = read(caller)
    count = AuditEntry.objects.count()
    response = caller.put(document, etag=etag)
    assert (response.status_code, response["ETag"], response.json()) == (200, etag, document)
    assert AuditEntry.objects.count() == count
    assert caller.put({"companies": [document]}, etag=etag).status_code == 200


def test_a_change_answers_with_the_new_document_and_is_the_tokens_in_the_history(caller: Caller) -> None:
    document, etag = read(caller)
    document["shops"][0]["manager_email"] = "paris@lumiere.example"
    response = caller.put(document, etag=etag, **{"accept-language": "en"})
    assert response.status_code == 200
    assert response.json() == document
    assert response["ETag"] != etag
    assert response["ETag"] == read(caller)[1]
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.actor, entry.ip_address) == ("shop.updated", None, "127.0.0.1")
    assert entry.actor_label == f"API · ERP ({caller.token.prefix}…)"
    assert not Event.objects.exists(), "as `provision` without --notify"


def test_absent_keys_and_shops_stay_as_they_are(caller: Caller, example: Company) -> None:
    ShopFactory(company=example, site_id="10000002")
    _document, etag = read(caller)
    response = caller.put({"reference": "maison-lumiere", "name": "Lumière"}, etag=etag)
    assert response.json()["name"] == "Lumière"
    assert len(response.json()["shops"]) == 2
    assert len(response.json()["users"]) == 1


def test_somebody_else_was_faster(caller: Caller, example: Company) -> None:
    document, etag = read(caller)
    shop_update(shop=Shop.objects.get(), actor=ACTOR, name="Entre-temps")
    document["name"] = "Perdu"
    response = caller.put(document, etag=etag)
    assert response.status_code == 412
    assert response["Content-Type"] == "application/problem+json"
    assert Company.objects.get().name == "Maison Lumière SAS"
    assert caller.put(document, f"{PATH}?plan=true", etag=etag).status_code == 412
    assert caller.put({"name": "Oui"}, etag=f'"x", {read(caller)[1]}').status_code == 200
    assert caller.put({"name": "Aussi"}, etag="*").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_two_at_the_same_moment_one_is_told_that_the_other_was_faster(caller: Caller) -> None:
    _document, etag = read(caller)

    def put(number: int) -> int:
        return Caller.put(
            caller, {"shops": [{"site_id": "10000001", "name": f"Boutique {number}"}]}, etag=etag
        ).status_code

    assert sorted(at_once(2, put)) == [200, 412]
    assert AuditEntry.objects.filter(action="shop.updated").count() == 1


def test_without_a_condition_nothing_is_changed(caller: Caller) -> None:
    response = caller.put({"name": "x"})
    assert response.status_code == 428
    assert "If-Match" in response.json()["detail"]
    assert caller.put({"name": "x"}, **{"if-none-match": '"a"'}).status_code == 428
    assert caller.put({"name": "x"}, **{"if-none-match": "*"}).status_code == 412


REFUSED = [
    ({"colour": 1}, "colour"),
    ({"reference": "autre"}, "reference"),
    ({"companies": []}, "companies"),
    ({"companies": [{"reference": "autre"}]}, "companies[0].reference"),
    ({"companies": [{"name": 5}]}, "companies[0].name"),
    ({"country": "FRA"}, "country"),
    ({"verify_addresses": "oui"}, "verify_addresses"),
    (
        {"shops": [{"site_id": "10000001", "rules": [{"reference": "a", "digest": "weekly"}]}]},
        "shops[0].rules[0].digest",
    ),
    ({"shops": [{"site_id": "10000001", "manager_email": "bad"}]}, "shops[0].manager_email"),
    ([], "$"),
]


@pytest.mark.parametrize(("body", "field"), REFUSED)
def test_what_is_wrong_is_named_by_its_path(caller: Caller, example: Company, body: Any, field: str) -> None:
    count = AuditEntry.objects.count()
    assert list(errors(caller.put(body, etag="*"))) == [field]
    assert list(errors(caller.put(body, f"{PATH}?plan=true"))) == [field]
    assert AuditEntry.objects.count() == count


def test_the_first_twenty_errors_are_named_in_the_callers_language(caller: Caller) -> None:
    response = caller.put({f"k{number}": 1 for number in range(30)}, etag="*", **{"accept-language": "en"})
    named = response.json()["errors"]
    assert len(named) == 21
    assert named[0] == {"field": "k0", "message": "unknown key (1)"}
    assert "10" in named[-1]["message"]


def test_a_body_that_is_no_json_is_a_400_and_a_mark_before_it_is_none_of_our_business(caller: Caller) -> None:
    assert caller.put(b"{", etag="*").status_code == 400
    assert caller.put(b'\xef\xbb\xbf{"name": "Avec BOM"}', etag="*").status_code == 200
    assert Company.objects.get().name == "Avec BOM"


def described(value: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    """Keys of an answer that its description does not know."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        wanted = "array" if isinstance(value, list) else "object"
        known = [one for one in schema["anyOf"] if "$ref" in one or one.get("type") == wanted]
        return described(value, known[0], schemas) if known and isinstance(value, (dict, list)) else []
    if isinstance(value, list):
        return [name for item in value for name in described(item, schema.get("items", {}), schemas)]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    unknown = [name for name in value if name not in schema["properties"]]
    return unknown + [
        name
        for key, item in value.items()
        if key in schema["properties"]
        for name in described(item, schema["properties"][key], schemas)
    ]


def test_answers_hold_what_the_description_says(caller: Caller) -> None:
    description = Client().get("/api/v1/openapi.json").json()
    schemas = description["components"]["schemas"]
    document, _etag = read(caller)
    assert described(document, schemas["CompanyDocument"], schemas) == []
    assert described({**document, "shops": [{"colour": 1}]}, schemas["CompanyDocument"], schemas) == ["colour"]
    plan = caller.put({"incident_emails": []}, f"{PATH}?plan=true").json()
    assert plan["companies"][0]["lost"]
    assert described(plan, schemas["PlanOut"], schemas) == []
    put = description["paths"]["/api/v1/companies/{reference}"]["put"]
    assert {"400", "404", "412", "413", "415", "422", "428"} < set(put["responses"])
    assert {"plan", "If-Match", "If-None-Match"} < {parameter["name"] for parameter in put["parameters"]}


# --- Planning -------------------------------------------------------------------------------------


def test_a_plan_says_what_would_be_and_writes_nothing(caller: Caller, example: Company) -> None:
    count = AuditEntry.objects.count()
    body = {"incident_emails": [], "shops": [{"site_id": "10000001", "manager_email": "paris@lumiere.example"}]}
    response = caller.put(body, f"{PATH}?plan=true")
    assert response.status_code == 200
    (plan,) = response.json()["companies"]
    assert (plan["company"], plan["created"], plan["updated"]) == ("maison-lumiere", False, True)
    assert "astreinte@lumiere.example" in {line["email"] for line in plan["lost"]}
    assert "paris@lumiere.example" in {line["email"] for line in plan["gained"]}
    assert [gap["notification"] for gap in plan["gaps_opened"]] == ["platform_incident"]
    assert AuditEntry.objects.count() == count
    assert Company.objects.get().incident_emails == ["astreinte@lumiere.example"]
    assert caller.put(body, f"{PATH}?plan=false").status_code == 428


# --- Creating -------------------------------------------------------------------------------------


def test_the_platform_creates_a_company_once(platform: Caller) -> None:
    document = copy.deepcopy(EXAMPLE["companies"][0])
    assert platform.put(document).status_code == 404
    assert platform.put(document, f"{PATH}?plan=true", **{"if-none-match": "*"}).json()["companies"][0]["created"]
    assert not Company.objects.exists()
    response = platform.put(document, **{"if-none-match": "*"})
    assert response.status_code == 201
    assert response.json()["reference"] == "maison-lumiere"
    assert response["ETag"] == platform.get()["ETag"]
    assert User.objects.get(login="claire").check_password("optional")
    assert platform.put(document, **{"if-none-match": "*"}).status_code == 412
    assert "manager_contact" in errors(platform.put({}, "/api/v1/companies/b", **{"if-none-match": "*"}))
    assert list(errors(platform.put({}, "/api/v1/companies/n%00b", **{"if-none-match": "*"}))) == ["reference"]


def test_a_token_of_a_company_creates_none(caller: Caller) -> None:
    answers = [
        caller.put({}, f"/api/v1/companies/{name}", **{"if-none-match": "*"})
        for name in ("nobody", CompanyFactory().reference)
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.content for answer in answers}) == 1


# --- What is the platform's ------------------------------------------------------------------------


def test_a_merchants_program_changes_no_state_and_switches_no_3d_secure_off(
    caller: Caller, platform: Caller, example: Company
) -> None:
    Contract.objects.update(three_d_secure=True)
    suspended = {"status": "suspended", "status_reason": "impayé"}
    secure = {"contracts": [{"number": "5785350", "network": "CB", "three_d_secure": False}]}
    body = {**suspended, "shops": [{"site_id": "10000001", **suspended, **secure}]}
    assert list(errors(caller.put(body, etag="*"))) == [
        "shops[0].contracts[0].three_d_secure", "shops[0].status", "status",
    ]  # fmt: skip
    assert platform.put(body, etag="*").status_code == 200
    assert Company.objects.get().status == "suspended"
    document, etag = read(caller)
    assert caller.put(document, etag=etag).status_code == 200, "the state it has may be repeated"
    assert list(errors(caller.put({"status": "active"}, etag="*"))) == ["status"]
    new = {"shops": [{"site_id": "20000001", "name": "Neuve"}]}
    assert list(errors(caller.put(new, etag="*"))) == ["shops[0]"]


def test_a_closed_company_is_read_only_for_its_programs(caller: Caller, platform: Caller) -> None:
    assert platform.put({"status": "closed", "status_reason": "fin"}, etag="*").status_code == 200
    assert caller.get().status_code == 200
    assert "fermée" in errors(caller.put({"name": "x"}, etag="*"))["$"]
    assert platform.put({"name": "x"}, etag="*").status_code == 200


def test_a_merchants_program_sets_no_password_and_no_identity_of_who_acts_elsewhere(
    caller: Caller, example: Company
) -> None:
    document, _etag = read(caller)
    users = document["users"]
    users[0]["password"] = "guess"
    assert list(errors(caller.put({"users": users}, etag="*"))) == ["users[0].password"]
    del users[0]["password"]
    users[0]["email"] = "voleur@x.example"
    MembershipFactory(user=User.objects.get(login="claire"))
    assert list(errors(caller.put({"users": users}, etag="*"))) == ["users[0]"]
    assert User.objects.get(login="claire").email == "claire@lumiere.example"
    # Leaving the account out would disable it, everywhere.
    assert list(errors(caller.put({"users": []}, etag="*"))) == ["users"]
    assert User.objects.get(login="claire").is_active


# --- Tokens ----------------------------------------------------------------------------------------


def test_the_command_makes_tokens_of_these_scopes(example: Company, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("api_token", "x", "--company", "maison-lumiere", "--scope", "settings:read")
    text = capsys.readouterr().out.splitlines()[-1]
    client = Client(headers={"authorization": f"Bearer {text}"})
    assert client.get(PATH).status_code == 200
    refused = client.put(PATH, b"{}", "application/json", headers={"if-match": "*"})
    assert refused.status_code == 403
    assert 'scope="settings:write"' in refused["WWW-Authenticate"]


def test_only_an_administrator_of_the_whole_company_gives_the_scope_that_gives_rights(example: Company) -> None:
    everything = {"name": "x", "company": example, "scopes": ApiToken.Scope.values}
    manager = UserFactory(company=example, role=Role.MANAGER)
    administrator = UserFactory(company=example)
    made, _text = token_create(**everything, actor=Actor("a", administrator))
    for scopes in (ApiToken.Scope.values, None):
        with pytest.raises(ValidationError, match="administrateur"):
            token_create(name="y", company=example, scopes=scopes, actor=Actor("m", manager))
    with pytest.raises(ValidationError, match="administrateur"):
        token_replace(token=made, actor=Actor("m", manager), expires_at=None)
    Membership.objects.filter(user=administrator).update(all_shops=False)
    with pytest.raises(ValidationError, match="administrateur"):
        token_create(**everything, actor=Actor("a", administrator))
    token_create(name="z", company=example, scopes=["settings:read"], actor=Actor("m", manager))


def test_tokens_made_before_do_not_open_what_came_later() -> None:
    migration = importlib.import_module("notifications.migrations.0012_explicit_token_scopes")
    token, _text = token_create(name="ancien", company=None, actor=ACTOR)
    some, _text = token_create(name="choisi", company=None, actor=ACTOR, scopes=["tables:read"])
    migration.keep_what_they_opened(apps, None)
    token.refresh_from_db()
    some.refresh_from_db()
    assert (token.allowed, some.allowed) == (["events:write", "tables:read", "deliveries:read"], ["tables:read"])
