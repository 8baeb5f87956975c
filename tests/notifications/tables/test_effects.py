"""The panel « Ce qui change » and the question before a gap, on every form that can change who is told."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from companies.models import AuditEntry, Company, Role, SftpAccount, User
from notifications.core import effects
from notifications.core.facts import CompanyFacts, RuleFacts, ShopFacts
from notifications.models import Delivery, NotificationRule
from shops.models import Shop
from tests.factories import NotificationRuleFactory, StaffFactory, UserFactory

pytestmark = pytest.mark.django_db


def text_of(response: Any) -> str:
    page = response.content.decode().replace('<wbr><span class="domain">', "")
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


@pytest.fixture(autouse=True)
def _settings(company: Company, paris: Shop, lyon: Shop) -> None:
    company.incident_emails = ["nuit@x.example"]
    company.save()
    NotificationRuleFactory(
        shop=paris, reference="appel", label="Appel", type="ipn_call", recipients=["dev@x.example"], enabled=True
    )


@pytest.fixture
def client(company: Company, client_for: Callable[[User], Client]) -> Client:
    """The browser of an administrator with an address of their own."""
    return client_for(UserFactory(company=company, email="admin@x.example", login="admin"))


def typed(client: Client, path: str, **given: Any) -> dict[str, Any]:
    """What the form of a page would send, with these values instead."""
    page = client.get(path).content.decode()
    form = re.search(r'<form method="post" id="(?:settings|rule)-form".*?</form>', page, re.S)
    assert form is not None
    data: dict[str, Any] = {}
    for tag in re.findall(r"<input [^>]*>", form[0]):
        attributes = dict(re.findall(r'(\w[\w-]*)="([^"]*)"', tag))
        is_box = attributes.get("type") in ("checkbox", "radio")
        if "name" in attributes and attributes["name"] != "csrfmiddlewaretoken" and (not is_box or " checked" in tag):
            data[attributes["name"]] = html.unescape(attributes.get("value", "on" if is_box else ""))
    for name, body in re.findall(r'<select [^>]*name="([^"]+)"[^>]*>(.*?)</select>', form[0], re.S):
        chosen = re.search(r'value="([^"]*)"[^>]* selected', body)
        data[name] = chosen[1] if chosen else ""
    for name, body in re.findall(r'<textarea [^>]*name="([^"]+)"[^>]*>(.*?)</textarea>', form[0], re.S):
        data[name] = html.unescape(body).strip()
    data.pop("submission", None)
    return {**data, **given}


# page, what is typed, what the panel says; each on a form as it stands.
CASES: dict[str, tuple[Callable[[], str], dict[str, Any], list[str]]] = {
    "company": (
        lambda: reverse("company_settings"),
        {"manager-email": "zoe@x.example"},
        ["claire@lumiere.example ne recevra plus", "zoe@x.example recevra", "Lettre d'information"],
    ),
    "incidents": (
        lambda: reverse("company_settings"),
        {"incident_emails": "jour@x.example"},
        ["nuit@x.example ne recevra plus : Incident", "jour@x.example recevra : Incident"],
    ),
    "opt-out": (
        lambda: reverse("company_settings"),
        {"newsletter_opt_out": "on"},
        ["claire@lumiere.example ne recevra plus : Lettre d'information"],
    ),
    "shop": (
        lambda: reverse("shop_configuration", args=["10000001"]),
        {"manager_email": "lui@x.example"},
        ["paris@lumiere.example ne recevra plus", "lui@x.example recevra", "Création de la boutique · Lumière Paris"],
    ),
    "rule": (
        lambda: reverse("rule", args=["10000001", "appel"]),
        {"others": "ops@x.example", "to_manager": ""},
        ["dev@x.example ne recevra plus : Échec", "ops@x.example recevra : Échec"],
    ),
    "user": (
        lambda: reverse("user_edit", args=[User.objects.get(login="admin").pk]),
        {"email": "chef@x.example"},
        [
            "admin@x.example ne recevra plus",
            "chef@x.example recevra : Création ou modification d'un compte utilisateur",
        ],
    ),
    "new user": (
        lambda: reverse("user_new"),
        {"login": "neuf", "email": "neuf@x.example", "last_name": "Neuf"},
        ["neuf@x.example recevra"],
    ),
    "sftp": (
        lambda: reverse("sftp_account_new"),
        {"login": "compta", "email": "compta@x.example"},
        ["compta@x.example recevra : Création ou modification d'un compte SFTP"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_panel_tells_what_a_save_would_change_and_nothing_is_saved(client: Client, name: str) -> None:
    where, given, told = CASES[name]
    path = where()
    data = typed(client, path, **given)
    before = (AuditEntry.objects.count(), Delivery.objects.count(), User.objects.count(), SftpAccount.objects.count())
    # A step of its own for those without scripts, and the panel alone for those who type.
    step = client.post(path, {**data, "show_effect": "1"})
    with CaptureQueriesContext(connection) as queries:
        part = client.post(
            f"{path}?part={'impact' if name == 'rule' else 'effect'}", data, headers={"hx-request": "true"}
        )
    locking = [query["sql"] for query in queries if re.match(r"INSERT|UPDATE|DELETE|BEGIN", query["sql"])]
    assert locking == [], "what follows one's typing waits for nobody and holds up nobody"
    for response in (step, part):
        assert response.status_code == 200
        text = text_of(response)
        assert [one for one in told if one not in text] == []
    assert "<form" not in part.content.decode()
    for value in filter(None, given.values()):
        assert str(value) in html.unescape(step.content.decode())
    assert before == (
        AuditEntry.objects.count(),
        Delivery.objects.count(),
        User.objects.count(),
        SftpAccount.objects.count(),
    )


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_saved_is_said_in_the_panel(client: Client, name: str) -> None:
    where, given, _told = CASES[name]
    path = where()
    wrong = {key: "pas une adresse" if "@" in str(value) else value for key, value in given.items()}
    if name in ("opt-out", "rule"):
        return
    part = client.post(f"{path}?part=effect", typed(client, path, **wrong), headers={"hx-request": "true"})
    assert "Une valeur est à corriger" in text_of(part)


def test_who_may_not_save_may_not_ask(company: Company) -> None:
    viewer = Client()
    viewer.force_login(UserFactory(company=company, role=Role.VIEWER))
    for path in (reverse("company_settings"), reverse("shop_configuration", args=["10000001"]), reverse("user_new")):
        assert viewer.post(f"{path}?part=effect", {}).status_code == 403


def test_a_rule_switched_on_without_anybody_asks_first(client: Client) -> None:
    rule = NotificationRule.objects.get(reference="appel")
    NotificationRule.objects.update(recipients=[], enabled=False)
    path = reverse("rule_switch", args=["10000001", "appel"])
    page = client.post(path, {"enabled": "1", "version": rule.version})
    assert "Échec d'un appel URL de notification (Appel), Lumière Paris" in text_of(page)
    rule.refresh_from_db()
    assert not rule.enabled
    stamp = re.search(r'name="confirmed_gaps" value="(\w+)"', page.content.decode())
    assert stamp is not None
    client.post(path, {"enabled": "1", "version": rule.version, "confirmed_gaps": stamp[1]})
    rule.refresh_from_db()
    assert rule.enabled
    (kept,) = AuditEntry.objects.filter(action="gap.confirmed")
    assert kept.changes == {"notification": [None, "ipn_failure"], "rule": [None, "appel"]}
    assert kept.actor is not None


def test_the_last_incident_address_is_asked_about_and_the_answer_kept(client: Client, company: Company) -> None:
    path = reverse("company_settings")
    asked = client.post(path, typed(client, path, incident_emails=""))
    assert "ne sera annoncé à personne" in text_of(asked)
    company.refresh_from_db()
    assert company.incident_emails == ["nuit@x.example"]
    client.post(path, typed(client, path, incident_emails="", incident_nobody="1"))
    company.refresh_from_db()
    assert company.incident_emails == []
    (kept,) = AuditEntry.objects.filter(action="gap.confirmed")
    assert kept.changes == {"notification": [None, "platform_incident"]}
    assert f"Confirmé par {kept.actor_label}" in text_of(client.get(reverse("addresses")))


def test_questions_that_stop_something_show_what_changes(client: Client, company: Company) -> None:
    second = UserFactory(company=company, email="second@x.example")
    text = text_of(client.get(f"{reverse('user_edit', args=[second.pk])}disable/"))
    assert "second@x.example ne recevra plus" in text
    NotificationRuleFactory(
        shop=Shop.objects.get(site_id="10000001"), reference="mienne", type="ipn_call", recipients=["dev@x.example"]
    )
    text = text_of(client.get(reverse("rule_delete", args=["10000001", "mienne"])))
    assert "dev@x.example ne recevra plus" in text
    text = text_of(client.get(reverse("contacts_swap")))
    assert "claire@lumiere.example ne recevra plus" in text and "hugo@agence.example recevra" in text


def test_staff_see_what_another_state_changes(company: Company) -> None:
    staff = Client()
    staff.force_login(StaffFactory(is_superuser=True))
    shop = Shop.objects.get(site_id="10000001")
    asked = {"action": "suspend", "_selected_action": [shop.pk]}
    text = text_of(staff.post(reverse("admin:shops_shop_changelist"), asked))
    assert "paris@lumiere.example ne recevra plus" in text and "Paris" in text
    asked = {"action": "close", "_selected_action": [company.pk]}
    text = text_of(staff.post(reverse("admin:companies_company_changelist"), asked))
    assert "nuit@x.example ne recevra plus : Incident" in text
    assert Shop.objects.get(pk=shop.pk).status == "active"


def test_only_the_shop_concerned_is_resolved(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from notifications.core import resolver

    resolved: set[str] = set()
    resolve = resolver._resolve_shop

    def noted(company: CompanyFacts, shop: ShopFacts, *arguments: Any) -> None:
        resolved.add(shop.site_id)
        resolve(company, shop, *arguments)

    path = reverse("shop_configuration", args=["10000001"])
    data = typed(client, path, manager_email="lui@x.example")
    monkeypatch.setattr(resolver, "_resolve_shop", noted)
    client.post(f"{path}?part=effect", data)
    assert resolved == {"10000001"}


def test_direct_instead_of_in_copy_is_no_loss_in_words() -> None:
    """The manager of a shop that inherits is told directly of what they had in copy before."""
    from notifications.tables.effects import compared

    def facts(email: str | None) -> CompanyFacts:
        rule = RuleFacts("r", "ipn_call", "R", True, ("payment.accepted",), recipients=("dev@x.example",))
        return CompanyFacts(
            "x", "X", "fr", "a@x.example", shops=(ShopFacts("10000001", "S", "fr", email, rules=(rule,)),)
        )

    before, after = facts("b@x.example"), facts(None)
    difference = effects.compare(before, after)
    assert {line.as_ for line in difference.lost if line.address == "a@x.example"} == {"cc"}
    shown = {item.email: item for item in compared(before, after).addresses}
    assert not shown["a@x.example"].lost and shown["a@x.example"].gained and shown["b@x.example"].lost
