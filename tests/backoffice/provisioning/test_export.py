"""`export`: a company's settings as a file that changes nothing where it came from, and makes the same company elsewhere."""

import copy
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from hypothesis import HealthCheck, given, settings

from backoffice.provisioning import exporting
from backoffice.provisioning.applying import provision
from backoffice.provisioning.work import ProvisioningError
from companies.models import AuditEntry, Company, Membership, MembershipShop, User
from companies.rights import permissions
from notifications import settings_facts
from notifications.core.facts import CompanyFacts
from notifications.models import NotificationRule
from notifications.tables import compute
from shops.models import Shop
from shops.services import shop_create, shop_set_status
from tests.backoffice.provisioning.documents import company_document
from tests.backoffice.provisioning.test_provision import EXAMPLE
from tests.factories import CompanyFactory, ContractFactory, ShopFactory, ShopKeyFactory, UserFactory
from tests.notifications.core.test_resolver_properties import companies

pytestmark = pytest.mark.django_db
SECRETS = ("1111111111111111", "2222222222222222", "testpassword_abc", "prodpassword_abc")


@pytest.fixture
def document() -> dict[str, Any]:
    return copy.deepcopy(EXAMPLE)


def printed(capsys: pytest.CaptureFixture[str], reference: str, *options: str) -> str:
    capsys.readouterr()
    call_command("export", reference, *options)
    return capsys.readouterr().out


def test_it_prints_one_file_and_nothing_else(document: Any, capsys: pytest.CaptureFixture[str]) -> None:
    provision(document)
    output = printed(capsys, "maison-lumiere")
    (company,) = json.loads(output)["companies"]
    assert not any(secret in output for secret in SECRETS)
    assert "password" not in company["users"][0]
    given = document["companies"][0]
    for name in ("name", "registration_number", "address", "country", "language", "time_zone", "incident_emails"):
        assert company[name] == given[name]
    shop = company["shops"][0]
    assert shop["keys"] == {"algorithm_test": "HMAC-SHA-256", "algorithm_production": "SHA-1"}
    assert shop["rules"][0] == {**given["shops"][0]["rules"][0], "http_confirmed": False}


def test_with_secrets_it_gives_the_four_keys_and_no_password(document: Any, capsys: pytest.CaptureFixture[str]) -> None:
    provision(document)
    ShopKeyFactory(shop=Shop.objects.get(), kind="hmac_test", value="hmac-secret")
    output = printed(capsys, "maison-lumiere", "--with-secrets")
    assert json.loads(output)["companies"][0]["shops"][0]["keys"] == document["companies"][0]["shops"][0]["keys"]
    assert "hmac-secret" not in output and '"password"' not in output
    assert provision(json.loads(output)).updated == 0


def test_an_unknown_company_is_refused_by_name() -> None:
    with pytest.raises(CommandError, match="nobody"):
        call_command("export", "nobody")


def test_provisioning_it_again_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that the screens can set, the state of things included."""
    company = CompanyFactory(reference="x", manager__email="Claire@x.example", with_technical=True)
    shop = ShopFactory(company=company, site_id="10000001", manager_email="lyon@x.example")
    UserFactory(company=company, login="seul", role="viewer", shops=[shop], language="en")
    UserFactory(company=company, login="parti", is_active=False)
    ContractFactory(shop=shop, three_d_secure=True)
    provision(
        {
            "companies": [
                {
                    "reference": "x", "status": "suspended", "status_reason": "impayé", "newsletter_opt_out": True,
                    "sftp_accounts": [{"login": "x-compta", "email": "c@x.example", "enabled": False}],
                    "shops": [
                        {"site_id": "10000002", "name": "Défauts"},
                        {
                            "site_id": "10000001", "status": "closed", "status_reason": "vendue",
                            "rules": [
                                {
                                    "reference": "m", "type": "merchant_email", "trigger": "payment.accepted",
                                    "email_texts": {"fr": {"subject": "Reçu", "body": "Merci."}},
                                    "email_fields": ["date", "amount"], "digest": "each",
                                },
                                {"reference": "p", "type": "ipn_call", "trigger": "form.invalid", "recipients": []},
                                {"reference": "b", "type": "buyer_email", "trigger": "capture.sent"},
                            ],
                        },
                    ],
                }
            ]
        }
    )  # fmt: skip
    count = AuditEntry.objects.count()
    exported = json.loads(printed(capsys, "x"))
    report = provision(exported)
    assert (report.created, report.updated) == (0, 0)
    assert AuditEntry.objects.count() == count
    assert json.loads(printed(capsys, "x")) == exported
    assert [user["enabled"] for user in exported["companies"][0]["users"]] == [False, True]


def rights_of(user: User) -> Any:
    membership = Membership.objects.get(user=user)
    return (
        membership.role,
        membership.permissions,
        membership.all_shops,
        sorted(membership.grants.values_list("shop__site_id", "permissions")),
    )


@pytest.mark.parametrize("all_shops", [True, False])
@pytest.mark.parametrize("own", [None, frozenset({permissions.VIEW, permissions.MANAGE_RULES})])
@pytest.mark.parametrize("on_one", [None, frozenset(), frozenset({permissions.VIEW, permissions.RESEND})])
def test_rights_of_ones_own_are_part_of_the_document(
    all_shops: bool, own: Any, on_one: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    company = CompanyFactory(reference="x")
    shop, other = ShopFactory(company=company), ShopFactory(company=company)
    user = UserFactory(company=company, role="manager", shops=None if all_shops else [other])
    if on_one is not None:
        MembershipShop.objects.create(membership=user.memberships.get(), shop=shop, permissions=on_one)
    user.memberships.update(permissions=own)
    before = rights_of(user)
    exported = json.loads(printed(capsys, "x"))
    assert provision(exported).updated == 0
    assert rights_of(user) == before
    # Given to an account that had other rights, it leads to the same ones.
    user.memberships.update(permissions=None, role="viewer", all_shops=not all_shops)
    MembershipShop.objects.all().delete()
    assert provision(exported).updated == 1
    assert rights_of(user) == before


def test_rights_of_ones_own_are_checked(document: Any) -> None:
    user = document["companies"][0]["users"][0]
    user["role"] = "manager"
    for wrong, path in (
        ({"permissions": ["fly"]}, "permissions"),
        ({"permissions": "view"}, "permissions"),
        ({"shop_permissions": {"10000001": ["fly"]}}, "shop_permissions"),
        ({"shop_permissions": {"99999999": ["view"]}}, "shop_permissions.99999999"),
        ({"permissions": ["view"], "role": ...}, "permissions"),
    ):
        tried = {name: value for name, value in {**user, **wrong}.items() if value is not ...}
        document["companies"][0]["users"] = [tried]
        with pytest.raises(ProvisioningError) as refused:
            provision(document)
        assert [line.partition(": ")[0] for line in refused.value.errors] == [f"companies[0].users[0].{path}"]


def test_a_rule_that_would_be_refused_today_does_not_stop_the_file(
    document: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    provision(document)
    NotificationRule.objects.update(url_production="http://intranet/")
    assert provision(json.loads(printed(capsys, "maison-lumiere"))).updated == 0


def test_the_queries_do_not_grow_with_the_shops(django_assert_num_queries: Any) -> None:
    from companies.audit import Actor

    company = CompanyFactory()
    for _shop in range(3):
        shop_create(company=company, actor=Actor.command("test"), site_id=str(10000001 + _shop), name="x")
        UserFactory(company=company)
    # Of them one for the mail server.
    with django_assert_num_queries(9):
        exporting.export(company)
    shop_set_status(shop=Shop.objects.first(), actor=Actor.command("test"), state="closed", reason="fin", notify=False)
    for number in range(4):
        shop_create(company=company, actor=Actor.command("test"), site_id=str(20000001 + number), name="x")
    with django_assert_num_queries(9):
        exporting.export(company)


def tables_of(company: Company) -> Any:
    return compute.delivery_tables_json(compute.delivery_tables(settings_facts.company_facts(company)))


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(companies())
def test_another_database_gets_equal_tables(facts: CompanyFacts) -> None:
    with transaction.atomic():
        provision({"companies": [company_document(facts)]})
        company = Company.objects.get(reference="x")
        exported = {"companies": [exporting.plain(exporting.export(company))]}
        again = provision(exported)
        assert (again.created, again.updated) == (0, 0)
        before = tables_of(company)
        transaction.set_rollback(True)
    with transaction.atomic():
        assert not User.objects.exists()
        provision(json.loads(json.dumps(exported)))
        assert tables_of(Company.objects.get(reference="x")) == before
        transaction.set_rollback(True)
