"""Paramétrage > Règles de notifications."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from companies.audit import Actor
from companies.models import AuditEntry, Role, User
from notifications.models import NotificationRule
from notifications.selectors import company_facts, delivery_tables, delivery_tables_json
from notifications.services import rule_delete
from tests.factories import CompanyFactory, NotificationRuleFactory, ShopFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


@pytest.fixture
def ipn() -> NotificationRule:
    shop = ShopFactory(company=CompanyFactory(manager__email="claire@lumiere.example"))
    return NotificationRuleFactory(shop=shop, ipn=True, reference="ipn-own", label="Appel maison")


@pytest.fixture
def user(ipn: NotificationRule) -> User:
    return UserFactory(company=ipn.shop.company, role=Role.MANAGER)


def text(response: Any) -> str:
    return response.content.decode().replace("&#x27;", "'").replace("<wbr>", "")


def url(rule: NotificationRule, end: str = "") -> str:
    return f"/settings/notification-rules/{rule.shop.site_id}/{rule.reference}/{end}"


def form(rule: NotificationRule, **changed: str) -> dict[str, str]:
    rule.refresh_from_db()
    return {
        "label": rule.label,
        "enabled": "on",
        "to_manager": "on",
        "others": "",
        "url_test": rule.url_test,
        "url_production": rule.url_production,
        "rest_url_test": "",
        "rest_url_production": "",
        "profile": "standard",
        "version": str(rule.version),
        **changed,
    }


def test_the_list_opens_the_tab_of_the_rule_asked_for(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    mail = NotificationRuleFactory(shop=ipn.shop, label="Courriel")
    said = text(
        client_for(user).get("/settings/notification-rules/", {"shop": ipn.shop.site_id, "rule": mail.reference})
    )
    assert f'id="rule-{mail.reference}" class="table-active"' in said and 'id="rule-ipn-own"' not in said
    assert "E-mail gestionnaire (claire@lumiere.example)" in re.sub("<[^>]+>", "", said)


def test_recipients_are_saved_and_audited(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    said = text(client_for(user).post(url(ipn), form(ipn, others="dev@agence.example"), follow=True))
    assert "+1 notification vers" in said and "dev@agence.example" in said
    ipn.refresh_from_db()
    assert ipn.recipients == ["@shop_manager", "dev@agence.example"]
    assert AuditEntry.objects.get(action="rule.updated").actor == user


def test_nobody_is_confirmed_first(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    client = client_for(user)
    said = text(client.post(url(ipn), form(ipn, to_manager="")))
    assert "Personne ne sera prévenu : je confirme" in said and "confirmez-le" in said
    ipn.refresh_from_db()
    assert ipn.recipients == ["@shop_manager"]
    client.post(url(ipn), form(ipn, to_manager="", nobody="on"))
    ipn.refresh_from_db()
    assert ipn.recipients == [] and ipn.emptied_by == user.get_full_name()


def test_a_mail_to_the_merchant_needs_a_recipient(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    mail = NotificationRuleFactory(shop=ipn.shop)
    said = text(client_for(user).post(url(mail), form(mail, to_manager="")))
    assert "a au moins un destinataire" in said
    mail.refresh_from_db()
    assert mail.recipients == ["@shop_manager"]


def test_a_bad_address_or_url_is_named_and_kept(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    client = client_for(user)
    assert "« dev@ »" in text(client.post(url(ipn), form(ipn, others="dev@")))
    said = text(client.post(url(ipn), form(ipn, url_test="ftp://x.example")))
    assert "commence par https://" in said and 'value="ftp://x.example"' in said


def test_http_in_production_is_saved_once_it_is_confirmed(
    client_for: ClientFor, ipn: NotificationRule, user: User
) -> None:
    client = client_for(user)
    said = text(client.post(url(ipn), form(ipn, url_production="http://shop.example/ipn")))
    assert "confirmez « http:// accepté en mode PRODUCTION »" in said
    assert 'value="http://shop.example/ipn"' in said
    client.post(url(ipn), form(ipn, url_production="http://shop.example/ipn", http_confirmed="on"))
    ipn.refresh_from_db()
    assert (ipn.url_production, ipn.http_confirmed) == ("http://shop.example/ipn", True)


def test_a_stale_version_is_refused(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    client, old = client_for(user), form(ipn, label="Trop tard")
    client.post(url(ipn), form(ipn, label="Premier"))
    assert "modifiées par quelqu'un d'autre" in text(client.post(url(ipn), old))
    ipn.refresh_from_db()
    assert ipn.label == "Premier"


def test_a_rule_is_switched_off_and_on(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    client = client_for(user)
    assert "est désactivée" in text(client.post(url(ipn, "switch/"), {"enabled": "0"}, follow=True))
    ipn.refresh_from_db()
    assert not ipn.enabled
    client.post(url(ipn, "switch/"), {"enabled": "1"})
    ipn.refresh_from_db()
    assert ipn.enabled


def test_viewers_look_and_strangers_find_nothing(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    viewer = client_for(UserFactory(company=ipn.shop.company, role=Role.VIEWER))
    assert viewer.get(url(ipn)).status_code == 200
    assert viewer.post(url(ipn), form(ipn)).status_code == 403
    assert viewer.post(url(ipn, "switch/"), {"enabled": "0"}).status_code == 403
    stranger = client_for(UserFactory())
    assert stranger.get(url(ipn)).status_code == 404
    assert stranger.get("/settings/notification-rules/", {"shop": ipn.shop.site_id}).status_code == 404


# --- Conditions and events ------------------------------------------------------------------------

ROWS = {
    "with_conditions": "1",
    "condition-0-variable": "amount",
    "condition-0-operator": "gt",
    "condition-0-value": "1 000",
    "condition-3-variable": "instalments",
    "condition-3-operator": "eq",
    "condition-3-value": "false",
}
STORED = [
    {"variable": "amount", "operator": "gt", "value": 1000},
    {"variable": "instalments", "operator": "eq", "value": False},
]


def test_conditions_are_saved_shown_and_told_in_the_history(
    client_for: ClientFor, ipn: NotificationRule, user: User
) -> None:
    client = client_for(user)
    client.post(url(ipn), form(ipn, **ROWS))
    ipn.refresh_from_db()
    assert ipn.conditions == STORED
    said = text(client.get(url(ipn)))
    assert 'value="1000"' in said and "10,00 EUR" in said
    history = text(client.get("/settings/company/history/"))
    assert "montant est supérieur à 1000 et paiement en plusieurs fois est égal à non" in history


def test_a_row_is_added_and_removed_without_saving(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    client = client_for(user)
    typed = form(ipn, label="En cours de saisie", **ROWS)
    said = text(client.post(url(ipn), {**typed, "add_condition": "1", "new_condition": "source"}))
    assert 'name="condition-4-variable" value="source"' in said and 'value="En cours de saisie"' in said
    assert "point à corriger" not in said and "points à corriger" not in said
    said = text(client.post(url(ipn) + "?part=conditions", {**typed, "drop_condition": "0"}))
    assert "condition-0-" not in said and "condition-3-variable" in said and "<html" not in said
    ipn.refresh_from_db()
    assert (ipn.label, ipn.conditions, ipn.version) == ("Appel maison", [], 1)


def test_a_wrong_row_saves_nothing_and_keeps_all_that_was_typed(
    client_for: ClientFor, ipn: NotificationRule, user: User
) -> None:
    said = text(client_for(user).post(url(ipn), form(ipn, label="Neuf", **{**ROWS, "condition-0-value": "dix"})))
    assert "« dix » n'est pas un nombre entier" in said and 'value="dix"' in said and 'value="Neuf"' in said
    assert 'href="#id_condition-0-value"' in said, "the summary leads to the field"
    ipn.refresh_from_db()
    assert ipn.version == 1


def test_a_post_that_shows_no_conditions_keeps_the_stored_ones(
    client_for: ClientFor, ipn: NotificationRule, user: User
) -> None:
    NotificationRule.objects.filter(pk=ipn.pk).update(conditions=STORED)
    client_for(user).post(url(ipn), form(ipn, label="Renommée"))
    ipn.refresh_from_db()
    assert (ipn.label, ipn.conditions) == ("Renommée", STORED)


def test_events_of_a_custom_rule_change_and_those_of_a_default_rule_do_not(
    client_for: ClientFor, ipn: NotificationRule, user: User
) -> None:
    client = client_for(user)
    typed = {"with_triggers": "1", "triggers": "payment.refused"}
    client.post(url(ipn), form(ipn, **typed))
    ipn.refresh_from_db()
    assert ipn.triggers == ["payment.refused"]
    assert "Choisissez au moins un événement" in text(client.post(url(ipn), form(ipn, with_triggers="1")))
    default = NotificationRuleFactory(shop=ipn.shop, ipn=True, reference="ipn-end")
    assert "Une règle par défaut garde ses événements" in text(client.get(url(default)))
    client.post(url(default), form(default, **typed))
    default.refresh_from_db()
    assert default.triggers == ["payment.accepted"]


# --- URLs and preview -----------------------------------------------------------------------------


def test_http_in_production_is_confirmed_first_and_the_confirmation_goes_with_it(
    client_for: ClientFor, ipn: NotificationRule, user: User
) -> None:
    client, plain = client_for(user), "http://boutique.example/ipn"
    said = text(client.post(url(ipn), form(ipn, url_production=plain)))
    assert "http:// accepté en mode PRODUCTION" in said and f'value="{plain}"' in said
    ipn.refresh_from_db()
    assert ipn.version == 1
    client.post(url(ipn), form(ipn, url_production=plain, http_confirmed="on"))
    ipn.refresh_from_db()
    assert (ipn.url_production, ipn.http_confirmed) == (plain, True)
    client.post(url(ipn), form(ipn, url_production="https://boutique.example/ipn"))
    ipn.refresh_from_db()
    assert not ipn.http_confirmed
    assert "est enregistrée" in text(client.post(url(ipn), form(ipn, url_test=plain), follow=True))


def test_the_preview_tells_gains_and_losses_and_writes_nothing(
    client_for: ClientFor, ipn: NotificationRule, user: User
) -> None:
    asked = form(ipn, to_manager="", others="dev@agence.example", url_test=ipn.url_production)
    said = text(client_for(user).post(url(ipn) + "?part=impact", asked))
    words = " ".join(re.sub("<[^>]+>", "", said).split())
    assert "−1 notification vers claire@lumiere.example" in words
    assert "+1 notification vers dev@agence.example" in words
    assert "La même URL reçoit les appels de TEST et de PRODUCTION" in words and "<html" not in said
    ipn.refresh_from_db()
    assert ipn.version == 1
    assert not AuditEntry.objects.exists()


def test_the_page_says_who_decided_that_nobody_is_told(
    client_for: ClientFor, ipn: NotificationRule, user: User
) -> None:
    client = client_for(user)
    client.post(url(ipn), form(ipn, to_manager="", nobody="on"))
    said = text(client.get(url(ipn)))
    assert f"Décidé par {user.get_full_name()}" in said and "Personne n'est prévenu" in said


# --- Duplicate and delete -------------------------------------------------------------------------


def test_a_copy_is_off_custom_and_otherwise_the_same(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    default = NotificationRuleFactory(
        shop=ipn.shop, reference="mail-payment", label="E-mail de confirmation de paiement", conditions=STORED
    )
    response = client_for(user).post(url(default, "duplicate/"), follow=True)
    copy = NotificationRule.objects.latest("pk")
    assert response.redirect_chain[-1][0] == url(copy)
    assert (copy.label, copy.enabled, copy.is_default) == ("E-mail de confirmation de paiement (copie)", False, False)
    assert (copy.triggers, copy.conditions, copy.recipients) == (default.triggers, STORED, ["@shop_manager"])
    assert AuditEntry.objects.get().action == "rule.created"
    assert default.conditions is not copy.conditions


def test_deleting_asks_names_the_rule_and_the_consequence_then_archives(
    client_for: ClientFor, ipn: NotificationRule, user: User
) -> None:
    client = client_for(user)
    said = text(client.get(url(ipn, "delete/")))
    assert "Supprimer la règle « Appel maison » ?" in said and "Votre site ne sera plus appelé" in said
    assert "−1 notification vers" in said
    ipn.refresh_from_db()
    assert ipn.archived_at is None
    said = text(client.post(url(ipn, "delete/"), follow=True))
    assert "La règle « Appel maison » est supprimée." in said and "−1 notification vers" in said
    ipn.refresh_from_db()
    assert ipn.archived_at is not None
    assert client.get(url(ipn)).status_code == 404
    assert AuditEntry.objects.get().action == "rule.archived"


def test_a_default_rule_cannot_be_deleted(client_for: ClientFor, ipn: NotificationRule, user: User) -> None:
    default = NotificationRuleFactory(shop=ipn.shop, reference="mail-payment")
    assert client_for(user).post(url(default, "delete/")).status_code == 404
    with pytest.raises(ValidationError, match="désactivez-la"):
        rule_delete(rule=default, actor=Actor.command("test"))
    default.refresh_from_db()
    assert default.archived_at is None


def test_viewers_and_strangers_neither_copy_nor_delete(
    client_for: ClientFor, ipn: NotificationRule, user: User
) -> None:
    for who, status in ((UserFactory(company=ipn.shop.company, role=Role.VIEWER), 403), (UserFactory(), 404)):
        client = client_for(who)
        assert [client.post(url(ipn, end)).status_code for end in ("duplicate/", "delete/")] == [status, status]
    assert NotificationRule.objects.count() == 1


# --- The tables follow ----------------------------------------------------------------------------


def test_rules_are_in_the_tables_with_events_and_conditions_disabled_ones_in_why_not_buyer_ones_nowhere(
    ipn: NotificationRule,
) -> None:
    NotificationRule.objects.filter(pk=ipn.pk).update(conditions=STORED[:1], recipients=["dev@agence.example"])
    NotificationRuleFactory(shop=ipn.shop, reference="eteinte", enabled=False, recipients=["dev@agence.example"])
    NotificationRuleFactory(shop=ipn.shop, reference="acheteur", buyer=True)
    tables = delivery_tables(company_facts(ipn.shop.company))
    table = next(item for item in tables.addresses if item.email == "dev@agence.example")
    (line,) = delivery_tables_json(tables)["addresses"][tables.addresses.index(table)]["receives"]
    assert (line["notification"], line["rule"], line["triggers"]) == ("ipn_failure", "ipn-own", ["payment.accepted"])
    assert line["condition"] == "Seulement si montant est supérieur à 1000."
    assert [(item.rule, item.reason) for item in table.why_not] == [("eteinte", "rule_disabled")]
    everything = [item for entry in tables.addresses for item in (*entry.receives, *entry.why_not)]
    assert not any(item.rule == "acheteur" for item in everything)
