"""« Créer une règle > Notification avancée », step by step, as posts and redirects."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from companies.models import AuditEntry, Role, User
from notifications.models import NotificationRule
from shops.models import Shop
from tests.factories import NotificationRuleFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]

EVENTS = {
    "with_triggers": "1",
    "with_conditions": "1",
    "triggers": ["payment.refused", "payment.accepted"],
    "condition-0-variable": "source",
    "condition-0-operator": "in",
    "condition-0-value": ["PAYMENT_ORDER", "DCF"],
    "condition-1-variable": "amount",
    "condition-1-operator": "gt",
    "condition-1-value": "10,00 EUR",
}
MAIL = {"label": "Notification d'un ordre de paiement", "to_manager": "on", "others": "dev@agence.example"}


@pytest.fixture
def client(paul: User, client_for: ClientFor) -> Client:
    return client_for(paul)


def text(response: Any) -> str:
    return response.content.decode().replace("&#x27;", "'").replace('<wbr><span class="domain">', "")


class Wizard:
    """One draft, driven as a browser without scripts does."""

    def __init__(self, client: Client, shop: Shop) -> None:
        self.client = client
        # The type that is chosen in the first step, beside the events.
        self.kind = ""
        self.first = client.get(f"/settings/notification-rules/create/{shop.site_id}/").headers["Location"]

    def url(self, step: str) -> str:
        return self.first.replace("/events/", f"/{step}/")

    def post(self, step: str, go: str = "next", **data: Any) -> str:
        """The path it leads to."""
        if step == "events" and self.kind:
            data = {"type": self.kind, **data}
        response = self.client.post(self.url(step), {**data, "go": go})
        assert response.status_code == 302
        return response.headers["Location"]

    def page(self, step: str, query: str = "") -> str:
        response = self.client.get(self.url(step) + query)
        assert response.status_code == 200, response.headers
        return text(response)

    def fill(self, kind: str = "merchant_email", settings: dict[str, Any] = MAIL) -> None:
        self.kind = kind
        assert self.post("events", **EVENTS) == self.url("settings")
        assert self.post("settings", **settings) == self.url("summary")


@pytest.fixture
def wizard(client: Client, lyon: Shop) -> Wizard:
    return Wizard(client, lyon)


def test_three_steps_and_the_rule_is_created_and_on(wizard: Wizard, lyon: Shop) -> None:
    wizard.fill()
    said = wizard.page("summary")
    for expected in (
        "E-mail envoyé au marchand",
        "Paiement accepté, Paiement refusé",
        "source de l'événement est dans la liste Ordre de paiement, Formulaire de collecte de données",
        "montant est supérieur à 10,00 EUR",
        "dev@agence.example",
        "claire@lumiere.example",
        "La règle sera activée aussitôt",
    ):
        assert expected in said
    assert not NotificationRule.objects.exists(), "nothing before the last press"
    assert wizard.post("summary", "create").endswith(f"?shop={lyon.site_id}&rule=notification-dun-ordre-de-paiement")
    rule = NotificationRule.objects.get()
    assert (rule.shop, rule.type, rule.label, rule.enabled) == (lyon, "merchant_email", MAIL["label"], True)
    assert rule.triggers == ["payment.accepted", "payment.refused"]
    assert rule.conditions == [
        {"variable": "source", "operator": "in", "value": ["PAYMENT_ORDER", "DCF"]},
        {"variable": "amount", "operator": "gt", "value": 1000},
    ]
    assert rule.recipients == ["@shop_manager", "dev@agence.example"]
    assert AuditEntry.objects.get().action == "rule.created"
    said = text(wizard.client.get("/settings/notification-rules/", {"shop": lyon.site_id}))
    assert "est créée et activée" in said and "+1 notification vers" in said and "Reprendre" not in said


def test_a_call_takes_its_urls_and_a_mail_to_the_buyer_no_recipient(client: Client, lyon: Shop) -> None:
    call = Wizard(client, lyon)
    urls = {"url_test": "https://b.example/t", "rest_url_production": "https://b.example/r", "auto_retry": "on"}
    call.fill("ipn_call", {"label": "Appel", "to_manager": "on", "others": "", "profile": "extended", **urls})
    call.post("summary", "create")
    rule = NotificationRule.objects.get()
    assert (rule.url_test, rule.url_production, rule.rest_url_production) == (
        urls["url_test"],
        "",
        urls["rest_url_production"],
    )
    assert (rule.auto_retry, rule.profile, rule.recipients) == (True, "extended", ["@shop_manager"])
    buyer = Wizard(client, lyon)
    buyer.fill("buyer_email", {"label": "Merci"})
    buyer.post("summary", "create")
    assert NotificationRule.objects.get(reference="merci").recipients == []


def test_what_was_typed_is_there_again_after_back_reload_and_in_a_second_tab(wizard: Wizard) -> None:
    wizard.kind = "ipn_call"
    wizard.post("events", **EVENTS)
    # Wrong and unfinished as it is, it is kept.
    assert wizard.post("settings", "previous", label="Mon appel", others="dev@", url_test="ftp://x") == wizard.url(
        "events"
    )
    assert 'value="payment.refused"' in wizard.page("events") and 'value="10,00 EUR"' in wizard.page("events")
    for _ in range(2):
        said = wizard.page("settings")
        assert 'value="Mon appel"' in said and "dev@</textarea>" in said and 'value="ftp://x"' in said
        assert "point à corriger" not in said and "points à corriger" not in said
    assert 'value="ipn_call" checked' in wizard.page("events")


def test_an_error_leads_back_to_its_step_and_reloading_shows_it_again(wizard: Wizard) -> None:
    assert wizard.post("events") == wizard.url("events") + "?check=1"
    said = wizard.page("events", "?check=1")
    assert "Choisissez un type de notification." in said
    assert "Choisissez au moins un événement déclencheur." in said
    wizard.kind = "merchant_email"
    wizard.post("events", triggers="payment.accepted")
    assert wizard.post("settings", label="", others="dev@") == wizard.url("settings") + "?check=1"
    said = wizard.page("settings", "?check=1")
    assert "« dev@ »" in said and "dev@</textarea>" in said and "points à corriger" in said


def test_no_step_can_be_skipped(wizard: Wizard, client: Client) -> None:
    assert client.get(wizard.url("summary")).headers["Location"] == wizard.url("events")
    assert wizard.post("summary", "create") == wizard.url("events")
    wizard.kind = "merchant_email"
    assert wizard.post("events") == wizard.url("events") + "?check=1"
    assert client.get(wizard.url("settings")).headers["Location"] == wizard.url("events") + "?check=1"
    assert client.get(wizard.url("nowhere")).status_code == 404
    assert not NotificationRule.objects.exists()


def test_two_wizards_at_once_do_not_mix(client: Client, lyon: Shop) -> None:
    one, two = Wizard(client, lyon), Wizard(client, lyon)
    assert one.first != two.first
    one.fill("merchant_email", {**MAIL, "label": "Un"})
    two.fill("buyer_email", {"label": "Deux"})
    assert "Un" in one.page("summary") and "Deux" in two.page("summary")
    one.post("summary", "create")
    assert "Deux" in two.page("summary")
    two.post("summary", "create")
    assert list(NotificationRule.objects.order_by("pk").values_list("label", "type")) == [
        ("Un", "merchant_email"),
        ("Deux", "buyer_email"),
    ]


def test_an_unfinished_rule_is_offered_again_and_can_be_dropped(wizard: Wizard, client: Client, lyon: Shop) -> None:
    wizard.kind = "buyer_email"
    wizard.post("events")
    said = text(client.get("/settings/notification-rules/", {"shop": lyon.site_id}))
    assert "Une règle commencée n'est pas créée : « E-mail envoyé à l'acheteur »" in said
    assert wizard.post("events", "abandon").endswith(f"?shop={lyon.site_id}")
    assert "Une règle commencée" not in text(client.get("/settings/notification-rules/", {"shop": lyon.site_id}))


def test_rows_of_conditions_come_and_go_without_scripts(wizard: Wizard) -> None:
    wizard.kind = "merchant_email"
    assert wizard.post("events", triggers="payment.accepted", add_condition="1", new_condition="mode") == wizard.url(
        "events"
    )
    said = wizard.page("events")
    assert (
        'name="condition-0-variable" value="mode"' in said
        and 'value="payment.accepted" class="form-check-input" id="id_triggers_0" checked' in said
    )
    # Only operators that fit are offered.
    assert '<option value="gt">' not in said and 'value="TEST"' in said
    assert wizard.post("events", **EVENTS, drop_condition="0") == wizard.url("events")
    said = wizard.page("events")
    assert (
        "condition-0-variable" not in said and "condition-1-variable" in said and '<option value="gt" selected>' in said
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("shoe_size", "eq", "42"), "« shoe_size » n'est pas une variable connue."),
        (("mode", "gt", "TEST"), "l'opérateur « gt » ne s'applique pas à la variable « mode »."),
        (("mode", "in", "STAGING"), "la valeur « STAGING » ne convient pas à la variable « mode »."),
        (("source", "eq", ["BO", "JS"]), "« est égal à » se compare à une seule valeur"),
        (("amount", "gt", "12 50"), "« 12 50 » n'est pas un montant"),
        (("amount", "gt", "10; 20"), "« est supérieur à » se compare à une seule valeur"),
        (("currency", "eq", "EURO"), "la valeur « EURO » ne convient pas à la variable « devise »."),
        (("network", "in", ""), "indiquez la valeur à comparer à « réseau »."),
        (
            ("instalments", "eq", "maybe"),
            "la valeur « maybe » ne convient pas à la variable « paiement en plusieurs fois ».",
        ),
    ],
)
def test_an_impossible_comparison_is_refused_by_name(wizard: Wizard, row: tuple[str, str, Any], message: str) -> None:
    wizard.kind = "merchant_email"
    typed = dict(zip(("condition-0-variable", "condition-0-operator", "condition-0-value"), row, strict=True))
    assert wizard.post("events", triggers="payment.accepted", **typed) == wizard.url("events") + "?check=1"
    assert message in wizard.page("events", "?check=1")


def test_nobody_on_purpose_and_plain_http_are_asked_for_before_the_summary(wizard: Wizard) -> None:
    wizard.kind = "ipn_call"
    wizard.post("events", triggers="payment.accepted")
    typed = {"label": "Appel", "others": "", "profile": "standard", "url_production": "http://b.example/ipn"}
    assert wizard.post("settings", **typed) == wizard.url("settings") + "?check=1"
    said = wizard.page("settings", "?check=1")
    assert "Personne ne sera prévenu : je confirme" in said and "http:// accepté en mode PRODUCTION" in said
    assert wizard.post("settings", **typed, nobody="on", http_confirmed="on") == wizard.url("summary")
    wizard.post("summary", "create")
    rule = NotificationRule.objects.get()
    assert (rule.recipients, rule.emptied_by, rule.http_confirmed) == ([], "Paul Girard", True)


def test_references_come_from_labels_and_are_never_shared(client: Client, lyon: Shop) -> None:
    for _ in range(2):
        wizard = Wizard(client, lyon)
        wizard.fill(settings={**MAIL, "label": "Été à Paris !"})
        wizard.post("summary", "create")
    wizard = Wizard(client, lyon)
    wizard.fill(settings={**MAIL, "label": "IPN end"})
    wizard.post("summary", "create")
    wizard = Wizard(client, lyon)
    wizard.fill(settings={**MAIL, "label": "→ ♥"})
    wizard.post("summary", "create")
    assert list(NotificationRule.objects.order_by("pk").values_list("reference", flat=True)) == [
        "ete-a-paris",
        "ete-a-paris-2",
        "ipn-end-2",
        "regle",
    ]


def test_the_preview_tells_what_would_change_and_who_is_told_twice(wizard: Wizard, lyon: Shop) -> None:
    NotificationRuleFactory(shop=lyon, label="Première")
    wizard.kind = "merchant_email"
    wizard.post("events", triggers="payment.accepted")
    said = text(wizard.client.post(wizard.url("settings") + "?part=impact", {**MAIL}))
    assert "+ dev@agence.example recevra : E-mail envoyé au marchand" in " ".join(re.sub("<[^>]+>", "", said).split())
    assert "claire@lumiere.example reçoit deux e-mails pour « Paiement accepté »" in said
    assert NotificationRule.objects.count() == 1
    assert MAIL["label"].replace("'", "&#x27;") in wizard.client.get(wizard.url("settings")).content.decode()


def test_only_those_who_manage_rules_begin_one(client_for: ClientFor, lyon: Shop) -> None:
    path = f"/settings/notification-rules/create/{lyon.site_id}/"
    assert client_for(UserFactory(company=lyon.company, role=Role.VIEWER)).get(path).status_code == 403
    assert client_for(UserFactory()).get(path).status_code == 404
