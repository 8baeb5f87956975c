"""Addresses that confirm themselves, and what tables, coverage, answers and the past say of their states."""

import json
import re
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from backoffice.provisioning.applying import provision
from companies import services
from companies.audit import Actor
from companies.models import AuditEntry, Company, Role, User
from notifications.health import recording, verification
from notifications.mail import emails
from notifications.models import AddressHealth, Delivery
from shops.models import Shop
from shops.services import shop_update
from tests.factories import DeliveryFactory, NotificationRuleFactory, UserFactory

pytestmark = pytest.mark.django_db
PARIS = "paris@lumiere.example"
ACTOR = Actor("Claire Morel")


def state(company: Company, address: str, state: str) -> AddressHealth:
    return AddressHealth.objects.update_or_create(
        company=company, normalised_address=address,
        defaults={"state": state, "since": timezone.now(), "cause": "hard", "code": "5.1.1", "words": "User unknown"},
    )[0]  # fmt: skip


def printed(name: str, *arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command(name, "lumiere", *arguments, "--format", "json", stdout=out)
    document: dict[str, Any] = json.loads(out.getvalue())
    return document


def link(mail: Delivery) -> str:
    text = str(emails.build(mail).body)
    found = re.search(r"http://localhost:8000(/verify/\S+)", text)
    assert found
    return found[1]


# --- Verification ---------------------------------------------------------------------------------


def test_a_new_address_is_asked_where_the_company_wants_it(company: Company, paris: Shop, claire: User) -> None:
    shop_update(shop=paris, actor=ACTOR, manager_email="un@lumiere.example")
    assert not Delivery.objects.exists()
    services.company_update(company=company, actor=ACTOR, verify_addresses=True)
    paris.refresh_from_db()
    shop_update(shop=paris, actor=ACTOR, manager_email="deux@lumiere.example")
    services.company_update(company=company, actor=ACTOR, incident_emails=["deux@lumiere.example", "nuit@x.example"])
    mails = Delivery.objects.order_by("address")
    assert [(mail.address, mail.notification) for mail in mails] == [
        ("deux@lumiere.example", "address_check"),
        ("nuit@x.example", "address_check"),
    ]
    # A file tells nobody unless it is asked to.
    provision({"companies": [{"reference": "lumiere", "incident_emails": ["jour@x.example"]}]})
    assert Delivery.objects.count() == 2
    provision({"companies": [{"reference": "lumiere", "incident_emails": ["soir@x.example"]}]}, notify=True)
    assert Delivery.objects.filter(address="soir@x.example").count() == 1


def test_opening_the_link_changes_nothing_and_confirming_verifies(
    company: Company, paris: Shop, client: Client
) -> None:
    state(company, PARIS, "suppressed")
    verification.verification_ask(company=company, address=PARIS, actor=ACTOR)
    mail = Delivery.objects.get()
    assert mail.status == "queued"
    assert mail.message and "/verify/" not in mail.message.text
    page = client.get(link(mail))
    assert page.status_code == 200 and "Oui, c" in page.content.decode()
    assert AddressHealth.objects.get().state == "suppressed"
    assert client.post(link(mail)).status_code == 302
    assert (AddressHealth.objects.get().state, AddressHealth.objects.get().cause) == ("verified", "link")
    assert "est confirmée" in client.get(link(mail)).content.decode()
    assert AuditEntry.objects.get(action="address.verified").actor_label == PARIS
    assert client.get(link(mail)[:-3] + "xx/").status_code == 404
    with pytest.raises(ValidationError, match="déjà vérifiée"):
        verification.verification_ask(company=company, address=PARIS, actor=ACTOR)


def test_a_second_verification_mail_waits_a_little(company: Company, paris: Shop) -> None:
    verification.verification_ask(company=company, address=PARIS, actor=ACTOR)
    with pytest.raises(ValidationError, match="Patientez"):
        verification.verification_ask(company=company, address=PARIS, actor=ACTOR)


def test_the_link_of_an_account_mail_verifies_its_address(company: Company, client: Client) -> None:
    from companies import links

    user = UserFactory(company=company, email="hugo@x.example", password=None)
    user.set_unusable_password()
    user.save()
    url = links.make_password_link(user).removeprefix("http://localhost:8000")
    new = "Une phrase assez longue 42"
    client.post(url, {"password": new, "password_again": new, "password1": new, "password2": new})
    assert AddressHealth.objects.get(normalised_address="hugo@x.example").cause == "login"


# --- Pages ----------------------------------------------------------------------------------------


def test_an_administrator_reactivates_and_verifies_from_the_page_of_an_address(
    client: Client, company: Company, paris: Shop, claire: User
) -> None:
    state(company, PARIS, "suppressed")
    client.force_login(claire)
    page = client.get("/notifications/addresses/", {"address": PARIS}).content.decode()
    assert "Neutralisée" in page and "User unknown" in page and "Réactiver" in page
    answer = client.post("/notifications/addresses/reactivate/", {"address": PARIS}, follow=True)
    assert "réactivée" in answer.content.decode()
    assert AddressHealth.objects.get().words == claire.get_full_name()
    client.post("/notifications/addresses/verify/", {"address": PARIS})
    assert Delivery.objects.get().address == PARIS
    assert client.post("/notifications/addresses/verify/", {"address": "x@y.example"}).status_code == 404
    viewer = UserFactory(company=company, role=Role.VIEWER)
    client.force_login(viewer)
    assert client.post("/notifications/addresses/verify/", {"address": PARIS}).status_code == 403


# --- What is told of states -----------------------------------------------------------------------


def test_the_tables_tell_the_state_and_those_of_the_past_tell_that_of_then(company: Company, paris: Shop) -> None:
    documents, moments = [printed("delivery_tables")], [timezone.now()]
    one = next(item for item in documents[0]["addresses"] if item["email"] == PARIS)
    assert list(one) == ["email", "roles", "state", "state_since", "state_reason", "receives"]
    assert (one["state"], one["state_since"], one["state_reason"]) == ("unverified", None, None)
    for name in ("bouncing", "suppressed", "verified"):
        state(company, PARIS, name)
        documents.append(printed("delivery_tables"))
        moments.append(timezone.now())
    gone = next(item for item in documents[2]["addresses"] if item["email"] == PARIS)
    assert gone["state"] == "suppressed" and gone["receives"] == [] and "User unknown" in gone["state_reason"]
    for document, moment in zip(documents, moments, strict=True):
        then = printed("delivery_tables", "--at", moment.isoformat())
        assert then.pop("at") and then == document


def test_what_is_critical_and_loses_its_last_address_is_a_gap(company: Company, paris: Shop) -> None:
    NotificationRuleFactory(shop=paris, ipn=True, reference="ipn", recipients=["@shop_manager"])
    services.company_update(company=company, actor=ACTOR, incident_emails=[PARIS], verify_addresses=True)
    state(company, PARIS, "suppressed")
    gaps = printed("delivery_tables")["gaps"]
    assert [(gap["notification"], gap["shop"], gap["rule"], gap["on_purpose"]) for gap in gaps] == [
        ("ipn_failure", "10000001", "ipn", False),
        ("platform_incident", None, None, False),
    ]
    state(company, "claire@lumiere.example", "suppressed")
    assert "production_key_generated" in [gap["notification"] for gap in printed("delivery_tables")["gaps"]]
    answers = printed("explain", "--address", PARIS, "--notification", "shop_created")["answers"]
    (obstacle,) = answers[0]["obstacles"]
    assert obstacle["code"] == "address_suppressed" and "address=paris" in obstacle["configured_at"]
    # An address that stands nowhere is asked about as well.
    state(company, "x@y.example", "suppressed")
    codes = printed("explain", "--address", "x@y.example", "--notification", "newsletter")["answers"][0]["obstacles"]
    assert [item["code"] for item in codes] == ["not_addressed", "address_suppressed"]
    states = {cell["notification"]: cell["state"] for cell in printed("coverage")["cells"]}
    assert (states["ipn_failure"], states["shop_created"]) == ("nobody", "nobody")


def test_an_unverified_address_is_told_where_the_company_verifies(company: Company, paris: Shop) -> None:
    def cells() -> dict[str, str]:
        return {cell["notification"]: cell["state"] for cell in printed("coverage")["cells"]}

    assert cells()["shop_created"] == "covered"
    services.company_update(company=company, actor=ACTOR, verify_addresses=True)
    assert cells()["shop_created"] == "unverified"
    state(company, "claire@lumiere.example", "verified")
    assert (cells()["shop_created"], cells()["three_d_secure_activated"]) == ("covered", "unverified")


def test_nothing_is_resent_to_a_suppressed_address(company: Company, paris: Shop) -> None:
    from notifications.outbox import services as outbox

    mail = DeliveryFactory(
        event__company=company, company=company, shop=paris, address=PARIS, normalised_address=PARIS, status="dead"
    )
    state(company, PARIS, "suppressed")
    with pytest.raises(ValidationError, match="neutralisée"):
        outbox.delivery_resend(delivery=mail, actor=ACTOR)
    assert outbox.delivery_requeue(delivery=mail, actor=ACTOR) is False


def test_reactivating_what_is_unknown_is_refused(company: Company) -> None:
    for arguments in (("nobody", PARIS), ("lumiere", "no address"), ("lumiere", PARIS)):
        with pytest.raises(CommandError):
            call_command("address_reactivate", *arguments)
    assert recording.address_reactivate(company=company, normalised=PARIS, actor=ACTOR) is False
