"""Paramétrage > Règles de notifications."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from companies.audit import Actor
from companies.models import AuditEntry, Role, User
from notifications.models import NotificationRule
from notifications.rules.services import rule_delete
from notifications.settings_facts import company_facts
from notifications.tables.compute import delivery_tables, delivery_tables_json
from shops.models import Shop
from tests.factories import NotificationRuleFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


@pytest.fixture
def ipn(lyon: Shop) -> NotificationRule:
    return NotificationRuleFactory(shop=lyon, ipn=True, reference="ipn-own", label="Appel maison")


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


def test_the_list_opens_the_tab_of_the_rule_asked_for(client_for: ClientFor, ipn: NotificationRule, paul: User) -> None:
    mail = NotificationRuleFactory(shop=ipn.shop, label="Courriel")
    said = text(
        client_for(paul).get("/settings/notification-rules/", {"shop": ipn.shop.site_id, "rule": mail.reference})
    )
    assert f'id="rule-{mail.reference}" class="table-active"' in said and 'id="rule-ipn-own"' not in said
    assert "E-mail gestionnaire (claire@lumiere.example)" in re.sub("<[^>]+>", "", said)


def test_recipients_are_saved_and_audited(client_for: ClientFor, ipn: NotificationRule, paul: User) -> None:
    said = text(client_for(paul).post(url(ipn), form(ipn, others="dev@agence.example"), follow=True))
    assert "+1 notification vers" in said and "dev@agence.example" in said
    ipn.refresh_from_db()
    assert ipn.recipients == ["@shop_manager", "dev@agence.example"]
    assert AuditEntry.objects.get(action="rule.updated").actor == paul


def test_nobody_is_confirmed_first(client_for: ClientFor, ipn: NotificationRule, paul: User) -> None:
    client = client_for(paul)
    said = text(client.post(url(ipn), form(ipn, to_manager="")))
    assert "Personne ne sera prévenu : je confirme" in said and "confirmez-le" in said
    ipn.refresh_from_db()
    assert ipn.recipients == ["@shop_manager"]
    client.post(url(ipn), form(ipn, to_manager="", nobody="on"))
    ipn.refresh_from_db()
    assert ipn.recipients == [] and ipn.emptied_by == paul.get_full_name()


def test_a_mail_to_the_merchant_needs_a_recipient(client_for: ClientFor, ipn: NotificationRule, paul: User) -> None:
    mail = NotificationRuleFactory(shop=ipn.shop)
    said = text(client_for(paul).post(url(mail), form(mail, to_manager="")))
    assert "a au moins un destinataire" in said
    mail.refresh_from_db()
    assert mail.recipients == ["@shop_manager"]


def test_a_bad_address_or_url_is_named_and_kept(client_for: ClientFor, ipn: NotificationRule, paul: User) -> None:
    client = client_for(paul)
    assert "« dev@ »" in text(client.post(url(ipn), form(ipn, others="dev@")))
    said = text(client.post(url(ipn), form(ipn, url_test="ftp://x.example")))
    assert "commence par https://" in said and 'value="ftp://x.example"' in said


def test_http_in_production_is_saved_once_it_is_confirmed(
    client_for: ClientFor, ipn: NotificationRule, paul: User
) -> None:
    client = client_for(paul)
    said = text(client.post(url(ipn), form(ipn, url_production="http://shop.example/ipn")))
    assert "confirmez « http:// accepté en mode PRODUCTION »" in said
    assert 'value="http://shop.example/ipn"' in said
    client.post(url(ipn), form(ipn, url_production="http://shop.example/ipn", http_confirmed="on"))
    ipn.refresh_from_db()
    assert (ipn.url_production, ipn.http_confirmed) == ("http://shop.example/ipn", True)


def test_a_stale_version_is_refused(client_for: ClientFor, ipn: NotificationRule, paul: User) -> None:
    client, old = client_for(paul), form(ipn, label="Trop tard")
    client.post(url(ipn), form(ipn, label="Premier"))
    assert "modifiées par quelqu'un d'autre" in text(client.post(url(ipn), old))
    ipn.refresh_from_db()
    assert ipn.label == "Premier"


def test_a_rule_is_switched_off_and_on(client_for: ClientFor, ipn: NotificationRule, paul: User) -> None:
    client = client_for(paul)
    assert "est désactivée" in text(client.post(url(ipn, "switch/"), {"enabled": "0"}, follow=True))
    ipn.refresh_from_db()
    assert not ipn.enabled
    client.post(url(ipn, "switch/"), {"enabled": "1"})
    ipn.refresh_from_db()
    assert ipn.enabled


def test_viewers_look_and_strangers_find_nothing(client_for: ClientFor, ipn: NotificationRule, paul: User) -> None:
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
    "condition-0-value": "10",
    "condition-3-variable": "instalments",
    "condition-3-operator": "eq",
    "condition-3-value": "false",
}
STORED = [
    {"variable": "amount", "operator": "gt", "value": 1000},
    {"variable": "instalments", "operator": "eq", "value": False},
]


def test_conditions_are_saved_shown_and_told_in_the_history(
    client_for: ClientFor, ipn: NotificationRule, paul: User
) -> None:
    client = client_for(paul)
    client.post(url(ipn), form(ipn, **ROWS))
    ipn.refresh_from_db()
    assert ipn.conditions == STORED
    said = text(client.get(url(ipn)))
    assert 'value="10,00"' in said and "<strong>10,00 EUR</strong>" in said.replace("\xa0", " ")
    entry = AuditEntry.objects.latest("pk")
    assert f"/settings/company/history/{entry.pk}/" in text(client.get("/settings/company/history/"))
    history = text(client.get(f"/settings/company/history/{entry.pk}/"))
    assert "montant est supérieur à 10,00 EUR et paiement en plusieurs fois est égal à non" in history


@pytest.mark.parametrize(
    ("typed", "currency", "stored", "shown"),
    [
        ("500,00 EUR", "EUR", 50000, "500,00 EUR"),
        ("1 500", "JPY", 1500, "1 500 JPY"),
        ("1,250", "TND", 1250, "1,250 TND"),
        ("2 000,5", "USD", 200050, "2 000,50 USD"),
    ],
)
def test_an_amount_is_typed_and_shown_in_the_currency_of_the_rule(
    client_for: ClientFor, ipn: NotificationRule, paul: User, typed: str, currency: str, stored: int, shown: str
) -> None:
    rows = {
        "with_conditions": "1",
        "condition-0-variable": "amount",
        "condition-0-operator": "gt",
        "condition-0-value": typed,
        "condition-1-variable": "currency",
        "condition-1-operator": "eq",
        "condition-1-value": currency,
    }
    client = client_for(paul)
    client.post(url(ipn), form(ipn, **rows))
    ipn.refresh_from_db()
    assert ipn.conditions[0] == {"variable": "amount", "operator": "gt", "value": stored}
    said = text(client.get(url(ipn))).replace("\xa0", " ").replace("\u202f", " ")
    assert f"<strong>{shown}</strong>" in said
    assert f"montant est supérieur à {shown}" in text(client.get("/settings/company/history/")).replace("\xa0", " ")
    (line,) = [
        line
        for table in delivery_tables_json(delivery_tables(company_facts(ipn.shop.company)))["addresses"]
        for line in table["receives"]
        if line["rule"] == ipn.reference
    ]
    assert shown in line["condition"].replace("\xa0", " ")


def test_an_amount_with_two_meanings_is_asked_about_and_stays(
    client_for: ClientFor, ipn: NotificationRule, paul: User
) -> None:
    said = text(client_for(paul).post(url(ipn), form(ipn, **{**ROWS, "condition-0-value": "1,000"})))
    said = said.replace("\xa0", " ")
    assert "« 1,000 » peut se lire 1,00 EUR ou 1 000,00 EUR" in said and 'value="1,000"' in said
    ipn.refresh_from_db()
    assert ipn.conditions == []


def test_a_row_is_added_and_removed_without_saving(client_for: ClientFor, ipn: NotificationRule, paul: User) -> None:
    client = client_for(paul)
    typed = form(ipn, label="En cours de saisie", **ROWS)
    said = text(client.post(url(ipn), {**typed, "add_condition": "1", "new_condition": "source"}))
    assert 'name="condition-4-variable" value="source"' in said and 'value="En cours de saisie"' in said
    assert "point à corriger" not in said and "points à corriger" not in said
    said = text(client.post(url(ipn) + "?part=conditions", {**typed, "drop_condition": "0"}))
    assert "condition-0-" not in said and "condition-3-variable" in said and "<html" not in said
    ipn.refresh_from_db()
    assert (ipn.label, ipn.conditions, ipn.version) == ("Appel maison", [], 1)


def test_a_wrong_row_saves_nothing_and_keeps_all_that_was_typed(
    client_for: ClientFor, ipn: NotificationRule, paul: User
) -> None:
    said = text(client_for(paul).post(url(ipn), form(ipn, label="Neuf", **{**ROWS, "condition-0-value": "dix"})))
    assert "« dix » n'est pas un montant" in said and 'value="dix"' in said and 'value="Neuf"' in said
    assert 'href="#id_condition-0-value"' in said, "the summary leads to the field"
    ipn.refresh_from_db()
    assert ipn.version == 1


def test_a_post_that_shows_no_conditions_keeps_the_stored_ones(
    client_for: ClientFor, ipn: NotificationRule, paul: User
) -> None:
    NotificationRule.objects.filter(pk=ipn.pk).update(conditions=STORED)
    client_for(paul).post(url(ipn), form(ipn, label="Renommée"))
    ipn.refresh_from_db()
    assert (ipn.label, ipn.conditions) == ("Renommée", STORED)


def test_events_of_a_custom_rule_change_and_those_of_a_default_rule_do_not(
    client_for: ClientFor, ipn: NotificationRule, paul: User
) -> None:
    client = client_for(paul)
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
    client_for: ClientFor, ipn: NotificationRule, paul: User
) -> None:
    client, plain = client_for(paul), "http://boutique.example/ipn"
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
    client_for: ClientFor, ipn: NotificationRule, paul: User
) -> None:
    asked = form(ipn, to_manager="", others="dev@agence.example", url_test=ipn.url_production)
    said = text(client_for(paul).post(url(ipn) + "?part=impact", asked))
    words = " ".join(html.unescape(re.sub("<[^>]+>", "", said)).split())
    assert "− claire@lumiere.example ne recevra plus : Échec d'un appel URL de notification (Appel maison)" in words
    assert "+ dev@agence.example recevra : Échec d'un appel URL de notification (Appel maison)" in words
    assert words.index("ne recevra plus") < words.index("+ dev@")
    assert "La même URL reçoit les appels de TEST et de PRODUCTION" in words and "<html" not in said
    ipn.refresh_from_db()
    assert ipn.version == 1
    assert not AuditEntry.objects.exists()


def test_the_page_says_who_decided_that_nobody_is_told(
    client_for: ClientFor, ipn: NotificationRule, paul: User
) -> None:
    client = client_for(paul)
    client.post(url(ipn), form(ipn, to_manager="", nobody="on"))
    said = text(client.get(url(ipn)))
    assert f"Décidé par {paul.get_full_name()}" in said and "Personne n'est prévenu" in said


# --- Duplicate and delete -------------------------------------------------------------------------


def test_a_copy_is_off_custom_and_otherwise_the_same(client_for: ClientFor, ipn: NotificationRule, paul: User) -> None:
    default = NotificationRuleFactory(
        shop=ipn.shop, reference="mail-payment", label="E-mail de confirmation de paiement", conditions=STORED
    )
    response = client_for(paul).post(url(default, "duplicate/"), follow=True)
    copy = NotificationRule.objects.latest("pk")
    assert response.redirect_chain[-1][0] == url(copy)
    assert (copy.label, copy.enabled, copy.is_default) == ("E-mail de confirmation de paiement (copie)", False, False)
    assert (copy.triggers, copy.conditions, copy.recipients) == (default.triggers, STORED, ["@shop_manager"])
    assert AuditEntry.objects.get().action == "rule.created"
    assert default.conditions is not copy.conditions


def test_deleting_asks_names_the_rule_and_the_consequence_then_archives(
    client_for: ClientFor, ipn: NotificationRule, paul: User
) -> None:
    client = client_for(paul)
    said = text(client.get(url(ipn, "delete/")))
    assert "Supprimer la règle « Appel maison » ?" in said and "Votre site ne sera plus appelé" in said
    assert "ne recevra plus" in said
    ipn.refresh_from_db()
    assert ipn.archived_at is None
    said = text(client.post(url(ipn, "delete/"), follow=True))
    assert "La règle « Appel maison » est supprimée." in said and "−1 notification vers" in said
    ipn.refresh_from_db()
    assert ipn.archived_at is not None
    assert client.get(url(ipn)).status_code == 404
    assert AuditEntry.objects.get().action == "rule.archived"


def test_a_default_rule_cannot_be_deleted(client_for: ClientFor, ipn: NotificationRule, paul: User) -> None:
    default = NotificationRuleFactory(shop=ipn.shop, reference="mail-payment")
    assert client_for(paul).post(url(default, "delete/")).status_code == 404
    with pytest.raises(ValidationError, match="désactivez-la"):
        rule_delete(rule=default, actor=Actor.command("test"))
    default.refresh_from_db()
    assert default.archived_at is None


def test_viewers_and_strangers_neither_copy_nor_delete(
    client_for: ClientFor, ipn: NotificationRule, paul: User
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
    assert line["condition"] == "Seulement si montant est supérieur à 10,00 EUR."
    assert [(item.rule, item.reason) for item in table.why_not] == [("eteinte", "rule_disabled")]
    everything = [item for entry in tables.addresses for item in (*entry.receives, *entry.why_not)]
    assert not any(item.rule == "acheteur" for item in everything)
