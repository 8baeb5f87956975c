"""Loading a provisioning file: the documented example, what a second run does, what is refused."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from companies.models import AuditEntry, Company, Contact, SftpAccount, User
from notifications.models import Event, NotificationRule
from shops.models import Contract, Shop, ShopKey

pytestmark = pytest.mark.django_db

EXAMPLE: dict[str, Any] = {
    "companies": [
        {
            "reference": "maison-lumiere",
            "name": "Maison Lumière SAS",
            "registration_number": "732829320",
            "address": "1 rue de la Paix, 75002 Paris",
            "country": "FR",
            "language": "fr",
            "time_zone": "Europe/Paris",
            "manager_contact": {
                "title": "Mme",
                "first_name": "Claire",
                "last_name": "Morel",
                "email": "claire@lumiere.example",
                "phone": "+33102030405",
            },
            "technical_contact": {
                "title": "M.",
                "first_name": "Hugo",
                "last_name": "Petit",
                "email": "hugo@agence.example",
            },
            "incident_emails": ["astreinte@lumiere.example"],
            "users": [
                {
                    "login": "claire",
                    "email": "claire@lumiere.example",
                    "first_name": "Claire",
                    "last_name": "Morel",
                    "role": "administrator",
                    "shops": "*",
                    "password": "optional",
                }
            ],
            "sftp_accounts": [{"login": "lumiere-compta", "email": "compta@lumiere.example"}],
            "shops": [
                {
                    "site_id": "10000001",
                    "name": "Lumière Paris",
                    "url": "https://paris.lumiere.example",
                    "language": "fr",
                    "manager_email": None,
                    "contracts": [{"number": "5785350", "network": "CB", "three_d_secure": False}],
                    "keys": {
                        "test": "1111111111111111",
                        "production": "2222222222222222",
                        "rest_test": "testpassword_abc",
                        "rest_production": "prodpassword_abc",
                        "algorithm_test": "HMAC-SHA-256",
                        "algorithm_production": "SHA-1",
                    },
                    "rules": [
                        {
                            "reference": "ipn-end",
                            "type": "ipn_call",
                            "triggers": ["payment.accepted"],
                            "label": "URL de notification à la fin du paiement",
                            "enabled": True,
                            "conditions": [{"variable": "amount", "operator": "gt", "value": 1000}],
                            "recipients": ["@shop_manager", "dev@agence.example"],
                            "url_test": "https://paris.lumiere.example/test",
                            "url_production": "https://paris.lumiere.example/ipn",
                            "rest_url_test": None,
                            "rest_url_production": None,
                            "auto_retry": True,
                            "profile": "standard",
                        }
                    ],
                }
            ],
        }
    ]
}


@pytest.fixture
def document() -> dict[str, Any]:
    return copy.deepcopy(EXAMPLE)


@pytest.fixture
def load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that provisions a document and returns the last line of the output."""

    def run(document: Any, *options: str) -> str:
        path = tmp_path / "file.json"
        path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        capsys.readouterr()
        call_command("provision", str(path), *options)
        return capsys.readouterr().out.splitlines()[-1]

    return run


def company_of(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["companies"][0]
    return found


def shop_of(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = company_of(document)["shops"][0]
    return found


def test_the_documented_example_is_loaded_whole(load: Any, document: Any) -> None:
    assert load(document) == "companies=1 shops=1 rules=1 users=1 created=4 updated=0 unchanged=0"
    shop = Shop.objects.get(site_id="10000001")
    assert shop.manager_email == "", "inherited, not copied"
    assert (shop.algorithm_test, shop.algorithm_production) == ("HMAC-SHA-256", "SHA-1")
    assert {key.kind: key.value for key in ShopKey.objects.filter(shop=shop)} == {
        "test": "1111111111111111",
        "production": "2222222222222222",
        "rest_test": "testpassword_abc",
        "rest_production": "prodpassword_abc",
    }
    rule = NotificationRule.objects.get(shop=shop)
    assert (rule.recipients, rule.auto_retry) == (["@shop_manager", "dev@agence.example"], True)
    assert User.objects.get(login="claire").check_password("optional")
    assert SftpAccount.objects.get(login="lumiere-compta").unrevealed_password
    assert not Event.objects.exists(), "nothing is published without --notify"


def test_the_same_file_twice_writes_nothing(load: Any, document: Any) -> None:
    load(document)
    before = (
        AuditEntry.objects.count(),
        Company.objects.get().version,
        Shop.objects.get().version,
        Company.objects.get().updated_at,
    )
    assert load(document, "--notify") == "companies=1 shops=1 rules=1 users=1 created=0 updated=0 unchanged=4"
    after = (
        AuditEntry.objects.count(),
        Company.objects.get().version,
        Shop.objects.get().version,
        Company.objects.get().updated_at,
    )
    assert after == before
    assert not Event.objects.exists()


def test_secrets_never_stand_in_the_history(load: Any, document: Any) -> None:
    load(document)
    history = json.dumps([entry.changes for entry in AuditEntry.objects.all()])
    for secret in ("1111111111111111", "2222222222222222", "testpassword_abc", "optional"):
        assert secret not in history


def test_an_absent_key_changes_nothing_and_null_clears(load: Any, document: Any) -> None:
    load(document)
    partial = {"companies": [{"reference": "maison-lumiere", "registration_number": None, "technical_contact": None}]}
    assert load(partial) == "companies=1 shops=0 rules=0 users=0 created=0 updated=1 unchanged=0"
    company = Company.objects.get()
    assert (company.registration_number, company.name) == ("", "Maison Lumière SAS")
    assert company.incident_emails == ["astreinte@lumiere.example"]
    assert not Contact.objects.filter(kind="technical").exists()
    assert User.objects.get(login="claire").is_active
    load({"companies": [{"reference": "maison-lumiere", "incident_emails": None}]})
    assert Company.objects.get().incident_emails == []


def test_a_shop_without_rules_gets_the_documented_defaults(load: Any, document: Any) -> None:
    del shop_of(document)["rules"]
    load(document)
    rules = NotificationRule.objects.filter(archived_at=None)
    assert rules.count() == 20
    assert set(rules.filter(enabled=True).values_list("reference", flat=True)) == {"ipn-end", "mail-form-error"}
    assert set(rules.filter(type="buyer_email").values_list("reference", flat=True)) == {
        "buyer-payment",
        "buyer-subscription",
        "buyer-token",
        "buyer-sepa",
    }
    assert all(rule.recipients == (["@shop_manager"] if rule.type != "buyer_email" else []) for rule in rules)
    assert load(document).endswith("created=0 updated=0 unchanged=3")


@pytest.mark.parametrize("rules", [[], None])
def test_a_shop_with_an_empty_list_of_rules_has_none(load: Any, document: Any, rules: Any) -> None:
    shop_of(document)["rules"] = rules
    load(document)
    assert not NotificationRule.objects.exists()
    assert load(document).endswith("created=0 updated=0 unchanged=3")


def test_a_rule_that_left_the_list_is_archived(load: Any, document: Any) -> None:
    load(document)
    shop_of(document)["rules"] = [{"reference": "other", "type": "merchant_email", "trigger": "payment.refused"}]
    assert load(document) == "companies=1 shops=1 rules=1 users=1 created=1 updated=1 unchanged=3"
    assert NotificationRule.objects.get(reference="ipn-end").archived_at
    other = NotificationRule.objects.get(reference="other")
    assert (other.triggers, other.recipients, other.enabled) == (["payment.refused"], ["@shop_manager"], True)
    assert load(document).endswith("created=0 updated=0 unchanged=4")


def test_lists_of_accounts_are_full_lists(load: Any, document: Any) -> None:
    load(document)
    company_of(document)["users"] = [
        {"login": "paul", "email": "paul@lumiere.example", "role": "viewer", "shops": ["10000001"]}
    ]
    company_of(document)["sftp_accounts"] = []
    load(document)
    assert not User.objects.get(login="claire").is_active
    assert not SftpAccount.objects.get().is_active
    paul = User.objects.get(login="paul")
    assert not paul.has_usable_password()
    membership = paul.memberships.get()
    assert (membership.role, membership.all_shops, membership.shops.get().site_id) == ("viewer", False, "10000001")


def test_a_login_with_spaces_around_is_the_same_account(load: Any, document: Any) -> None:
    load(document)
    company_of(document)["users"][0]["login"] = " claire "
    assert load(document).endswith("unchanged=4")
    assert User.objects.get(login="claire").is_active


def test_twins_in_a_list_count_once(load: Any, document: Any) -> None:
    company_of(document)["incident_emails"] = ["a@x.example", "A@X.example", "b@x.example"]
    shop_of(document)["rules"][0]["recipients"] = ["@shop_manager", "d@x.example", "D@x.example", "@shop_manager"]
    load(document)
    assert Company.objects.get().incident_emails == ["a@x.example", "b@x.example"]
    assert NotificationRule.objects.get().recipients == ["@shop_manager", "d@x.example"]
    assert load(document).endswith("created=0 updated=0 unchanged=4")


def test_notify_publishes_what_was_created_and_nothing_else(load: Any, document: Any) -> None:
    load(document, "--notify")
    assert sorted(Event.objects.values_list("type", flat=True)) == [
        "sftp_account.created",
        "shop.created",
        "user_account.created",
    ]
    shop_of(document)["contracts"][0]["three_d_secure"] = True
    shop_of(document)["name"] = "Lumière Paris 2"
    shop_of(document)["keys"]["production"] = "3333333333333333"
    company_of(document)["users"][0]["email"] = "c.morel@lumiere.example"
    company_of(document)["manager_contact"]["email"] = "c.morel@lumiere.example"
    known = set(Event.objects.values_list("pk", flat=True))
    load(document, "--notify")
    assert sorted(Event.objects.exclude(pk__in=known).values_list("type", flat=True)) == [
        "three_d_secure.activated",
        "user_account.modified",
    ]


def test_three_d_secure_null_is_off(load: Any, document: Any) -> None:
    shop_of(document)["contracts"][0]["three_d_secure"] = True
    load(document)
    shop_of(document)["contracts"][0]["three_d_secure"] = None
    load(document)
    assert Contract.objects.get().three_d_secure is False


def change(path: str, value: Any) -> Any:
    """A mutation of the example at a dotted path below its company; `...` removes the key."""

    def apply(document: dict[str, Any]) -> None:
        target: Any = company_of(document)
        *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        for step in way:
            target = target[step]
        if value is ...:
            del target[last]
        else:
            target[last] = value

    return apply


C = "companies[0]"
REFUSED = [
    ("colour", "red", f"{C}.colour", "red"),
    ("shops.0.colour", "red", f"{C}.shops[0].colour", "red"),
    ("shops.0.rules.0.colour", 1, f"{C}.shops[0].rules[0].colour", "1"),
    ("reference", ..., f"{C}.reference", ""),
    ("reference", 5, f"{C}.reference", "5"),
    ("name", 12, f"{C}.name", "12"),
    ("name", "", f"{C}.name", ""),
    ("country", "FRA", f"{C}.country", "FRA"),
    ("language", "de", f"{C}.language", "de"),
    ("time_zone", "Mars/Olympus", f"{C}.time_zone", "Mars/Olympus"),
    ("manager_contact", ..., f"{C}.manager_contact", ""),
    ("manager_contact", None, f"{C}.manager_contact", ""),
    ("manager_contact.email", "claire", f"{C}.manager_contact.email", "claire"),
    ("manager_contact.email", "a@x.example; b@x.example", f"{C}.manager_contact.email", "une seule"),
    ("manager_contact.phone", 33102030405, f"{C}.manager_contact.phone", "33102030405"),
    ("technical_contact.email", "hé@x.example", f"{C}.technical_contact.email", "hé@x.example"),
    ("incident_emails", "astreinte@x.example", f"{C}.incident_emails", "astreinte"),
    ("incident_emails", "", f"{C}.incident_emails", ""),
    ("incident_emails", ["good@x.example", "bad@"], f"{C}.incident_emails", "bad@"),
    ("users.0.role", "boss", f"{C}.users[0].role", "boss"),
    ("users.0.login", 7, f"{C}.users[0].login", "7"),
    ("users.0.email", "x", f"{C}.users[0].email", "x"),
    ("users.0.shops", ["99999999"], f"{C}.users[0].shops[0]", "99999999"),
    ("users.0.shops", "10000001", f"{C}.users[0].shops", "10000001"),
    ("users", {}, f"{C}.users", "{}"),
    ("sftp_accounts.0.email", "", f"{C}.sftp_accounts[0].email", ""),
    ("shops.0.site_id", "1000001", f"{C}.shops[0].site_id", "1000001"),
    ("shops.0.site_id", 10000001, f"{C}.shops[0].site_id", "10000001"),
    ("shops.0.site_id", "1000000١", f"{C}.shops[0].site_id", ""),
    ("shops.0.manager_email", "a@x.example,b@x.example", f"{C}.shops[0].manager_email", "une seule"),
    ("shops.0.keys.test", 1111, f"{C}.shops[0].keys.test", ""),
    ("shops.0.keys.algorithm_test", "MD5", f"{C}.shops[0].keys.algorithm_test", "MD5"),
    ("shops.0.contracts.0.number", 5785350, f"{C}.shops[0].contracts[0].number", "5785350"),
    ("shops.0.contracts.0.three_d_secure", "yes", f"{C}.shops[0].contracts[0].three_d_secure", "yes"),
    ("shops.0.rules.0.reference", "Bad Ref", f"{C}.shops[0].rules[0].reference", "Bad Ref"),
    ("shops.0.rules.0.reference", "a" * 41, f"{C}.shops[0].rules[0].reference", "a" * 41),
    ("shops.0.rules.0.type", "sms", f"{C}.shops[0].rules[0].type", "sms"),
    ("shops.0.rules.0.type", "buyer_email", f"{C}.shops[0].rules[0].recipients", ""),
    ("shops.0.rules.0.trigger", "payment.refused", f"{C}.shops[0].rules[0].trigger", "payment.refused"),
    ("shops.0.rules.0.triggers", ["payment.exploded"], f"{C}.shops[0].rules[0].triggers", "payment.exploded"),
    ("shops.0.rules.0.triggers", [], f"{C}.shops[0].rules[0].triggers", ""),
    ("shops.0.rules.0.recipients", ["@manager"], f"{C}.shops[0].rules[0].recipients", "@manager"),
    ("shops.0.rules.0.recipients", [5], f"{C}.shops[0].rules[0].recipients", "5"),
    ("shops.0.rules.0.enabled", "true", f"{C}.shops[0].rules[0].enabled", "true"),
    ("shops.0.rules.0.profile", "fast", f"{C}.shops[0].rules[0].profile", "fast"),
    ("shops.0.rules.0.url_test", "ftp://x.example", f"{C}.shops[0].rules[0].url_test", "ftp://x.example"),
    ("shops.0.rules.0.url_test", "http://127.0.0.1/", f"{C}.shops[0].rules[0].url_test", "127.0.0.1"),
    ("shops.0.rules.0.url_production", "http://x.example", f"{C}.shops[0].rules[0].url_production", "http://x.example"),
    ("shops.0.rules.0.rest_url_production", "http://x.example", f"{C}.shops[0].rules[0].rest_url_production", "https"),
    ("shops.0.rules.0.http_confirmed", "yes", f"{C}.shops[0].rules[0].http_confirmed", "yes"),
    (
        "shops.0.rules.0.conditions",
        [{"variable": "amount", "operator": ["gt"], "value": 1}],
        f"{C}.shops[0].rules[0].conditions",
        "gt",
    ),
]


@pytest.mark.parametrize(
    ("path", "value", "where", "said"), REFUSED, ids=[f"{row[0]}={str(row[1])[:20]}" for row in REFUSED]
)
def test_a_bad_value_is_named_with_its_path_and_nothing_is_written(
    load: Any, document: Any, path: str, value: Any, where: str, said: str
) -> None:
    change(path, value)(document)
    with pytest.raises(CommandError) as refused:
        load(document)
    line = next(line for line in str(refused.value).splitlines() if line.startswith(where))
    assert said in line
    assert not Company.objects.exists()
    assert not AuditEntry.objects.exists()
    assert not User.objects.exists()


def test_http_in_production_is_provisioned_where_the_merchant_has_confirmed_it(load: Any, document: Any) -> None:
    rule = shop_of(document)["rules"][0]
    rule |= {"url_production": "http://x.example/", "http_confirmed": True, "url_test": "http://t.example/"}
    load(document)
    stored = NotificationRule.objects.get(reference=rule["reference"])
    assert (stored.url_production, stored.url_test, stored.http_confirmed) == (
        "http://x.example/", "http://t.example/", True,
    )  # fmt: skip
    # Taking the confirmation back takes the URL with it, or is refused.
    rule["http_confirmed"] = None
    with pytest.raises(CommandError, match=r"rules\[0\]\.url_production"):
        load(document)
    rule["url_production"] = "https://x.example/"
    load(document)
    stored.refresh_from_db()
    assert (stored.url_production, stored.http_confirmed) == ("https://x.example/", False)


def test_an_empty_merchant_mail_rule_is_refused(load: Any, document: Any) -> None:
    shop_of(document)["rules"][0] |= {"type": "merchant_email", "recipients": []}
    with pytest.raises(CommandError, match=r"rules\[0\]\.recipients"):
        load(document)


def test_an_empty_call_rule_is_nobody_on_purpose_and_says_who_decided(load: Any, document: Any) -> None:
    shop_of(document)["rules"][0]["recipients"] = []
    load(document)
    rule = NotificationRule.objects.get()
    assert (rule.recipients, rule.emptied_by) == ([], "provision")
    assert rule.emptied_at


def test_all_errors_are_told_at_once(load: Any, document: Any) -> None:
    shop_of(document)["manager_email"] = "bad"
    company_of(document)["users"][0]["role"] = "boss"
    with pytest.raises(CommandError) as refused:
        load(document)
    assert len(str(refused.value).splitlines()) == 2


def test_what_stands_in_a_refused_object_is_told_with_it(load: Any, document: Any) -> None:
    """Of good form or not: whoever mends a file does not meet a new error after each run."""
    for refused in ({"name": 12}, {"time_zone": "Mars"}, {"manager_contact": {"phone": "1"}}):
        wrong = copy.deepcopy(document)
        company_of(wrong).update(refused)
        company_of(wrong)["users"][0]["role"] = "boss"
        shop_of(wrong)["contracts"][0]["number"] = 5
        shop_of(wrong)["rules"][0]["type"] = "sms"
        with pytest.raises(CommandError) as told:
            load(wrong)
        assert len(str(told.value).splitlines()) == 4


@pytest.mark.parametrize(
    "double",
    [
        lambda d: d["companies"].append({"reference": "maison-lumiere"}),
        lambda d: company_of(d)["shops"].append({"site_id": "10000001", "name": "Twin"}),
        lambda d: company_of(d)["users"].append({"login": "CLAIRE", "email": "c@x.example"}),
        lambda d: shop_of(d)["rules"].append(shop_of(d)["rules"][0]),
    ],
)
def test_an_object_that_stands_twice_in_the_file_is_refused(load: Any, document: Any, double: Any) -> None:
    double(document)
    with pytest.raises(CommandError, match="déjà présente"):
        load(document)
    assert not Company.objects.exists()


def test_what_belongs_to_another_company_is_refused(load: Any, document: Any) -> None:
    load(document)
    thief = copy.deepcopy(document)
    company_of(thief)["reference"] = "voleur"
    company_of(thief)["name"] = "Voleur"
    with pytest.raises(CommandError) as refused:
        load(thief)
    said = str(refused.value)
    for path in ("shops[0].site_id", "users[0].login", "sftp_accounts[0].login"):
        assert f"companies[0].{path}" in said
    assert Company.objects.count() == 1


@pytest.mark.parametrize("second", [{"reference": "b", "name": "B"}, 5, None])
def test_a_bad_company_takes_the_good_ones_of_the_file_back(load: Any, document: Any, second: Any) -> None:
    document["companies"].append(second)
    with pytest.raises(CommandError, match=r"companies\[1\]"):
        load(document)
    assert not Company.objects.exists()


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"",
        b"[]",
        b"{}",
        b'{"companies": {}}',
        b'{"companies": [], "version": 2}',
        b'{"companies": [{"reference": "a", "shops": [5]}], "version": 2}',
        b'{"companies": [NaN]}',
        b'{"companies": [{"reference": "caf\xe9"}]}',
        b'{"companies": [{"reference": "a\\u0000"}]}',
        b'{"companies": [{"reference": "\\ud800"}]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_provisioning_file_is_refused_with_a_reason(load: Any, raw: bytes) -> None:
    with pytest.raises(CommandError) as refused:
        load(raw)
    assert str(refused.value).strip()
    assert refused.value.returncode == 1


def test_a_missing_file_is_named() -> None:
    with pytest.raises(CommandError, match=r"nowhere\.json"):
        call_command("provision", "nowhere.json")
