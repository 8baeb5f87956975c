"""The keys of a document beyond addresses and rules: states, opt-out, disabled accounts, features still to come."""

from typing import Any

import pytest

from backoffice.provisioning.applying import provision
from backoffice.provisioning.work import ProvisioningError
from companies.models import AuditEntry, Company, SftpAccount, User
from notifications.models import Event, NotificationRule
from shops.models import Shop

pytestmark = pytest.mark.django_db


def document(**company: Any) -> dict[str, Any]:
    return {"companies": [{"reference": "x", "name": "X", "manager_contact": {"email": "claire@x.example"}, **company}]}


def shop(**fields: Any) -> dict[str, Any]:
    return {"site_id": "10000001", "name": "Une", **fields}


def again(**company: Any) -> Any:
    """Provision a part of the company twice; the second time changes nothing."""
    report = provision({"companies": [{"reference": "x", **company}]})
    second = provision({"companies": [{"reference": "x", **company}]})
    assert (second.created, second.updated) == (0, 0)
    return report


@pytest.fixture(autouse=True)
def _provisioned() -> None:
    provision(document(shops=[shop(rules=[])]))


def test_states_are_set_with_their_reason_and_told_to_nobody() -> None:
    suspended = {"status": "suspended", "status_reason": "impayé"}
    assert again(**suspended, shops=[shop(status="closed", status_reason="vendue")]).updated == 2
    company, closed = Company.objects.get(), Shop.objects.get()
    assert (company.status, company.status_reason, bool(company.status_since)) == ("suspended", "impayé", True)
    assert (closed.status, closed.status_reason) == ("closed", "vendue")
    assert AuditEntry.objects.filter(action="company.status_changed").count() == 1
    assert again(status_reason="toujours impayé").updated == 1
    assert again(name="X2").updated == 1
    assert Company.objects.get().status_reason == "toujours impayé"
    assert again(status=None, shops=[shop(status="active")]).updated == 2
    assert (Company.objects.get().status, Company.objects.get().status_reason) == ("active", "")
    assert not Event.objects.exists()


def test_a_new_company_may_start_suspended() -> None:
    new = document(status="suspended", status_reason="à vérifier", newsletter_opt_out=True)
    new["companies"][0]["reference"] = "neuve"
    provision(new)
    company = Company.objects.get(reference="neuve")
    assert (company.status, company.newsletter_opt_out) == ("suspended", True)
    assert provision(new).updated == 0


def test_a_letter_is_refused_and_asked_for_again() -> None:
    again(newsletter_opt_out=True)
    assert Company.objects.get().newsletter_opt_out
    again(newsletter_opt_out=None)
    assert not Company.objects.get().newsletter_opt_out


def test_accounts_are_disabled_and_enabled_by_their_own_key() -> None:
    accounts: dict[str, Any] = {
        "users": [{"login": "claire", "email": "c@x.example", "enabled": False}],
        "sftp_accounts": [{"login": "x-sftp", "email": "s@x.example", "enabled": False}],
    }
    report = provision({"companies": [{"reference": "x", **accounts}]}, notify=True)
    assert report.created == 1
    assert not Event.objects.exists(), "nobody is invited to an account that is off"
    again(**accounts)
    assert (User.objects.get().is_active, SftpAccount.objects.get().is_active) == (False, False)
    for given in (True, None, ...):
        for account in (*accounts["users"], *accounts["sftp_accounts"]):
            account |= {"enabled": given}
            if given is ...:
                del account["enabled"]
        again(**accounts)
        assert (User.objects.get().is_active, SftpAccount.objects.get().is_active) == (True, True)
    again(users=[])
    assert not User.objects.get().is_active


def test_what_the_mails_of_a_rule_say_is_set_kept_and_restored() -> None:
    rule: dict[str, Any] = {
        "reference": "m",
        "type": "merchant_email",
        "trigger": "payment.accepted",
        "digest": "hourly",
    }
    texts = {"fr": {"subject": "Reçu", "body": "Merci."}}
    again(shops=[shop(rules=[{**rule, "email_texts": texts, "email_fields": ["date"]}])])
    again(shops=[shop(rules=[rule])])
    stored = NotificationRule.objects.get(archived_at=None)
    assert (stored.email_texts, stored.email_fields) == (texts, ["date"])
    again(shops=[shop(rules=[{**rule, "email_texts": None, "email_fields": None, "digest": None}])])
    stored.refresh_from_db()
    assert (stored.email_texts, stored.email_fields) == ({}, None)


@pytest.mark.parametrize(
    ("given", "path", "said"),
    [
        ({"status": "asleep"}, "status", "asleep"),
        ({"status": 1}, "status", "1"),
        ({"status": "suspended"}, "status_reason", "motif"),
        ({"newsletter_opt_out": "yes"}, "newsletter_opt_out", "yes"),
        ({"verify_addresses": 0}, "verify_addresses", "0"),
        ({"shops": [shop(status="closed")]}, "shops[0].status_reason", "motif"),
        ({"shops": [shop(rules=[{"reference": "a", "digest": "weekly"}])]}, "shops[0].rules[0].digest", "« each », «"),
        ({"users": [{"login": "a", "email": "a@x.example", "enabled": 1}]}, "users[0].enabled", "1"),
        ({"sftp_accounts": [{"login": "a", "enabled": "no"}]}, "sftp_accounts[0].enabled", "no"),
        ({"shops": [shop(keys={"tset": "a-secret-typed-wrong"})]}, "shops[0].keys.tset", "clé inconnue"),
        ({"shops": [shop(keys="a-secret-typed-wrong")]}, "shops[0].keys", "un objet"),
        ({"users": [{"login": "a", "password": ["a-secret-typed-wrong"]}]}, "users[0].password", "un texte"),
    ],
)
def test_a_wrong_one_is_named_and_a_secret_not_repeated(given: dict[str, Any], path: str, said: str) -> None:
    count = AuditEntry.objects.count()
    with pytest.raises(ProvisioningError) as refused:
        provision({"companies": [{"reference": "x", **given}]})
    (line,) = [line for line in refused.value.errors if line.startswith(f"companies[0].{path}: ")]
    assert said in line
    assert "a-secret-typed-wrong" not in str(refused.value)
    assert AuditEntry.objects.count() == count


def test_what_is_not_there_yet_may_say_what_holds_today() -> None:
    assert again(verify_addresses=False).updated == 0
    assert again(verify_addresses=None).updated == 0
