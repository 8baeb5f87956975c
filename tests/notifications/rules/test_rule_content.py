"""What merchants write into the mails of their rules: filled in, bounded, and never run."""

import email
import email.policy
import html as html_module
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from django.test import Client
from django.utils import translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backoffice.provisioning.applying import provision
from backoffice.provisioning.work import ProvisioningError
from companies.audit import Actor, StaleVersion
from companies.history import entries as history
from companies.models import AuditEntry, Role, User
from notifications.core import catalogue, templating
from notifications.events import publishing
from notifications.events.publishing import Particulars
from notifications.mail import default_texts, emails, samples
from notifications.models import Delivery, NotificationRule
from notifications.rules import services as rule_services
from shops.models import Shop
from tests.factories import EventFactory, NotificationRuleFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
ClientFor = Callable[..., Client]
ACTOR = Actor.command("test")
MERCHANT, BUYER = "merchant_email", "buyer_email"

HOSTILE = {
    "Django variable": "{{ 7|add:7 }}{{ settings.SECRET_KEY }}{{ event.company.name }}",
    "Django tag": "{% load static %}{% include 'base.html' %}{% debug %}",
    "Jinja": "{{ ''.__class__.__mro__[1].__subclasses__() }}{{7*7}}",
    "format string": "{0} {event} {0.__class__} %s %d %(event)s %n %5$s %x",
    "template literal": "${7*7} #{7*7} <%= 7*7 %> $(id) `id`",
    "script": "<script>alert(1)</script><img src=x onerror=alert(1)><style>*{display:none}</style>",
    "closing": "</td></tr></table></body></html><!--",
    "entities": "&lt;script&gt; &amp; &#x3c;b&#x3e;",
    "marks": "%%LINK%% %%REASON%% %%%%LINK%%%% %%%%REASON%%%% %%%%%%",
    "percents": "20 % de remise, 100 %% sûr, 5%",
    "long word": "a" * 140,
    "right to left": "שלום مرحبا \u200f(abc)",
}


@pytest.fixture
def rule(lyon: Shop) -> NotificationRule:
    lyon.url = "https://lyon.lumiere.example"
    lyon.save()
    return NotificationRuleFactory(shop=lyon, reference="mail-payment", label="Confirmation")


@pytest.fixture
def buyer_rule(rule: NotificationRule) -> NotificationRule:
    return NotificationRuleFactory(shop=rule.shop, buyer=True, reference="buyer-payment", label="Confirmation acheteur")


def update(rule: NotificationRule, **fields: Any) -> NotificationRule:
    rule_services.rule_update(rule=rule, actor=ACTOR, **fields)
    rule.refresh_from_db()
    return rule


def sent(rule: NotificationRule, **given: Any) -> Any:
    """Publish an event and parse the mail of the rule as its receiver would."""
    event = {"type": rule.triggers[0], "data": {"amount": 1990, "currency": "EUR"}, **given}
    with transaction.atomic():
        published = publishing.publish(company=rule.shop.company, shop=rule.shop, **event)
    delivery = Delivery.objects.select_related("message", "event", "shop", "rule", "company").get(
        event=published, rule=rule
    )
    raw = emails.build(delivery).message().as_bytes()
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert [defect for found in mail.walk() for defect in found.defects] == []
    return mail


def part(mail: Any, kind: str) -> str:
    return str(mail.get_body((kind,)).get_content())


def words(html: str) -> str:
    """The text of an HTML part, without its head."""
    return html_module.unescape(re.sub("<[^>]+>", "", html.partition("<body")[2].partition(">")[2]))


# --- Texts that are sent ------------------------------------------------------------------------


def test_a_personalised_text_is_filled_in_and_followed_by_the_fields_chosen(rule: NotificationRule) -> None:
    update(
        rule,
        email_texts={
            "fr": {"subject": "%amount% chez %shop_name%", "body": "Bonjour,\nun paiement.\n\nRef %order_id%, 5 %%."}
        },
        email_fields=["order_id", "mode"],
    )
    mail = sent(rule, data={"amount": 1990, "currency": "EUR", "order_id": "CMD-7", "network": "CB"})
    assert mail["Subject"] == "19,90 EUR chez Lumière Lyon"
    text = part(mail, "plain")
    assert text.startswith("Bonjour,\nun paiement.\n\nRef CMD-7, 5 %.\n\nCommande : CMD-7\nMode : PRODUCTION\n")
    assert "Réseau" not in text
    assert "Bonjour,<br>un paiement." in part(mail, "html")


def test_the_other_language_keeps_its_default_text(rule: NotificationRule) -> None:
    update(rule, email_texts={"en": {"subject": "English", "body": "English body"}})
    assert sent(rule)["Subject"] == "Paiement accepté : Lumière Lyon"
    type(rule.shop).objects.filter(pk=rule.shop.pk).update(language="en")
    rule.shop.refresh_from_db()
    mail = sent(rule)
    assert mail["Subject"] == "English" and part(mail, "plain").startswith("English body\n\nCompany: Maison Lumière\n")


def test_the_list_of_fields_stands_where_the_text_puts_it(rule: NotificationRule) -> None:
    update(rule, email_texts={"fr": {"body": "Avant.\n\n%fields%\n\nAprès."}}, email_fields=["mode"])
    assert part(sent(rule), "plain").startswith("Avant.\n\nMode : PRODUCTION\n\nAprès.\n")


def test_a_value_that_is_missing_is_a_dash_in_the_body_and_nothing_in_the_subject(rule: NotificationRule) -> None:
    update(rule, email_texts={"fr": {"subject": "Commande - %order_id%", "body": "Ref : %order_id%\n%order_id%\nFin"}})
    mail = sent(rule, data={})
    assert mail["Subject"] == "Commande"
    assert part(mail, "plain").startswith("Ref : –\nFin\n")


def test_a_value_is_never_read_again_as_a_text(rule: NotificationRule) -> None:
    update(rule, email_texts={"fr": {"subject": "S %order_id%", "body": "B %order_id%"}}, email_fields=[])
    mail = sent(rule, data={"order_id": "%shop_name% %%LINK%% {{ 7 }}\r\nBcc: x@y.example"})
    assert mail["Subject"] == "S %shop_name% % %LINK% % {{ 7 }} Bcc: x@y.example" and mail["Bcc"] is None
    assert part(mail, "plain").startswith("B %shop_name% % %LINK% % {{ 7 }} Bcc: x@y.example\n")


def test_the_guarantees_of_a_mail_stay_whatever_the_text(rule: NotificationRule) -> None:
    update(rule, email_texts={"fr": {"subject": "Vu", "body": "Rien."}}, email_fields=[])
    mail = sent(rule, particulars=Particulars(mode="TEST"))
    assert mail["Subject"] == "[TEST] Vu" and mail["X-BOM-Rule"] == "mail-payment" and mail["X-BOM-Mode"] == "TEST"
    for kind in ("plain", "html"):
        assert "Vous recevez ce message parce que" in part(mail, kind) and "TEST" in part(mail, kind)
        assert "/notifications/addresses/" in part(mail, kind)


def test_a_mail_to_the_buyer_speaks_as_the_shop(buyer_rule: NotificationRule) -> None:
    mail = sent(buyer_rule, data={"amount": 1990, "currency": "EUR", "buyer_email": "jeanne@acheteur.example"})
    assert mail["Subject"] == "Votre paiement est accepté - Lumière Lyon - 19,90 EUR"
    assert mail["Reply-To"] == "claire@lumiere.example"
    text, html = part(mail, "plain"), part(mail, "html")
    assert text.startswith("Merci pour votre achat chez Lumière Lyon : votre paiement est accepté.\n")
    assert "Écrivez à la boutique : claire@lumiere.example." in text and "https://lyon.lumiere.example" in text
    assert "10000002" not in text.partition("-- \n")[0] and "Règle de notification" not in text
    assert re.search(r'<td class="row from"[^>]*>Lumière Lyon</td>', html)
    assert [urlsplit(link).path.split("/")[1] for link in re.findall(r'<a href="([^"]+)"', html)] == ["why"]


@pytest.mark.parametrize(
    ("language", "given", "shown"),
    [("fr", "2026-12-05", "5 décembre 2026"), ("en", "2026-12-05", "5 December 2026"), ("fr", "bientôt", "bientôt")],
)
def test_the_day_of_a_direct_debit_is_in_local_form(
    buyer_rule: NotificationRule, language: str, given: str, shown: str
) -> None:
    event = samples.sample_event(buyer_rule.shop, "capture.sent", "PRODUCTION")
    event.data["due_date"] = given
    assert f" {shown}\n" in samples.rehearse(buyer_rule, event, language).text


# --- Hostile texts --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_arrives_as_it_was_typed_and_runs_nowhere(rule: NotificationRule, name: str) -> None:
    typed = HOSTILE[name]
    update(rule, email_texts={"fr": {"subject": typed[:150], "body": f"Début\n\n{typed}\n\nFin"}}, email_fields=[])
    mail = sent(rule)
    shown = typed.replace("%%", "%")
    if "LINK" in typed:
        shown = "%LINK% %REASON% % %LINK% % % %REASON% % % % %"
    html, flat = part(mail, "html"), " ".join(part(mail, "plain").split())
    assert " ".join(shown.split()) in flat
    assert shown in words(html)
    # Times and references around the text may hold these figures.
    body = words(html).partition("Début")[2].partition("Fin")[0]
    assert typed and "49" not in re.sub(r"7\*7", "", body + mail["Subject"])
    assert not re.search(r"<(script|img|style)", html.partition("<body")[2].partition(">")[2], re.IGNORECASE)
    assert html.count("</html>") == 1 and "set-password" not in html
    assert words(html).count("Vous recevez ce message parce que") == 1
    assert mail.get_all("Subject") and len(mail.get_all("Subject")) == 1


@pytest.mark.parametrize(
    "separator", ["\n", "\r\n", "\r", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"]
)
def test_a_subject_of_several_lines_is_refused(rule: NotificationRule, separator: str) -> None:
    with pytest.raises(ValidationError) as caught:
        update(rule, email_texts={"fr": {"subject": f"Objet{separator}Bcc: pirate@x.example"}})
    assert caught.value.message_dict == {"email_texts": ["fr.subject : L'objet tient sur une seule ligne."]}


@pytest.mark.parametrize(
    ("character", "code"),
    [("\x00", "0000"), ("\x1b", "001B"), ("\x07", "0007"), ("\x7f", "007F"), ("\x9b", "009B"), ("\u202e", "202E"),
     ("\u2066", "2066"), ("\u202a", "202A"), ("\ud800", "D800"), ("\udfff", "DFFF")],
)  # fmt: skip
@pytest.mark.parametrize("name", ["subject", "body"])
def test_characters_that_deceive_or_break_are_refused_by_name(
    rule: NotificationRule, name: str, character: str, code: str
) -> None:
    with pytest.raises(ValidationError, match=rf"{name} : .*U\+{code}"):
        update(rule, email_texts={"fr": {name: f"avant{character}après"}})


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("subject", "%shop_nam%", "« %shop_nam% » n'est pas un champ disponible ici"),
        ("subject", "%Amount%", "« %Amount% »"),
        ("subject", "%fields%", "« %fields% »"),
        ("body", "%__class__%%_x% %settings%", "« %settings% »"),
        ("body", "voir %fields% ici", "Ligne 1 : « %fields% » forme un paragraphe à lui seul"),
        ("body", "a\n\nb\n%causes%", "Ligne 3 : « %causes% »"),
        ("body", "%fields%\n\n%fields%", "ne figure qu'une fois"),
        ("body", "%form%", "« %form% »"),
        ("subject", "x" * 151, "151 caractères ; 150 au plus"),
        ("body", "x" * 5001, "5001 caractères ; 5000 au plus"),
        ("body", "x\n" * 100 + "y", "plus de 100 lignes"),
        ("body", "%date%" * 61, "plus de 60 champs"),
    ],
)
def test_a_text_is_refused_with_what_is_wrong(rule: NotificationRule, name: str, text: str, problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        update(rule, email_texts={"fr": {name: text}})
    assert problem in caught.value.message_dict["email_texts"][0]
    rule.refresh_from_db()
    assert rule.email_texts == {}


@pytest.mark.parametrize("code", ["contract", "error", "rule", "source", "shop_id", "causes"])
def test_buyers_are_told_nothing_internal(buyer_rule: NotificationRule, code: str) -> None:
    with pytest.raises(ValidationError, match=f"%{code}%"):
        update(buyer_rule, email_texts={"fr": {"body": f"x\n\n%{code}%"}})


@pytest.mark.parametrize(
    "stored", [[], "x", {"fr": "x"}, {"de": {"subject": "x"}}, {"fr": {"title": "x"}}, {"fr": {"body": 3}}, {3: {}}]
)
def test_texts_of_another_shape_are_refused(rule: NotificationRule, stored: Any) -> None:
    with pytest.raises(ValidationError):
        update(rule, email_texts=stored)


@pytest.mark.parametrize("stored", ["amount", ["amonut"], [3], {"a": 1}, [None], ["shop_name"]])
def test_fields_that_are_not_listed_are_refused(rule: NotificationRule, stored: Any) -> None:
    with pytest.raises(ValidationError):
        update(rule, email_fields=stored)


def test_a_call_has_neither_texts_nor_fields(rule: NotificationRule) -> None:
    call = NotificationRuleFactory(shop=rule.shop, ipn=True)
    for fields in ({"email_texts": {"fr": {"subject": "x"}}}, {"email_fields": ["amount"]}):
        with pytest.raises(ValidationError):
            rule_services.rule_update(rule=call, actor=ACTOR, **fields)
        call.refresh_from_db()


_text = st.text(
    alphabet=st.one_of(st.sampled_from("%{}<>&\"'\r\n\t :-_abLINKREASONshop_name"), st.characters()), max_size=200
)


@given(subject=_text, body=_text, value=_text)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_any_text_is_refused_or_arrives_inert(rule: NotificationRule, subject: str, body: str, value: str) -> None:
    try:
        texts = templating.check_texts(MERCHANT, {"fr": {"subject": subject, "body": body}})
    except templating.TextError:
        return
    event = EventFactory.build(
        shop=rule.shop, company=rule.shop.company, data={"order_id": value, "reason": value, "form": {value: value}}
    )
    mail = samples.rehearse(rule, event, "fr", texts=texts, fields=None, edited=True)
    assert len(mail.subject) <= 300 and mail.subject.isprintable() and mail.subject
    assert emails.LINK_MARK not in mail.text + mail.html and emails.REASON_MARK not in mail.text + mail.html
    assert mail.html.count("Vous recevez ce message parce que") >= 1
    tags = re.findall(r"<(/?[a-zA-Z!][^\s>]*)", mail.html.partition("<body")[2].partition(">")[2])
    assert set(tags) <= {
        "table", "/table", "tr", "/tr", "td", "/td", "a", "/a", "br", "strong", "/strong", "/body", "/html",
        "div", "/div", "!--[if", "![endif]--",
    }  # fmt: skip
    mail.text.encode() and mail.html.encode()


# --- Defaults -------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("kind", [MERCHANT, BUYER])
@pytest.mark.parametrize("trigger", [trigger.code for trigger in catalogue.TRIGGERS])
def test_every_default_text_is_a_text_a_merchant_could_write(trigger: str, kind: str, language: str) -> None:
    text = default_texts.default_text(kind, trigger, language)
    with translation.override("fr"):
        assert templating.check_subject(kind, text.subject) == text.subject
        assert templating.check_body(kind, text.body) == text.body
    assert text.body.count("%fields%") == 1
    other = default_texts.default_text(kind, trigger, "en" if language == "fr" else "fr")
    assert text.body != other.body
    assert sorted(re.findall(r"%\w+%", text.body)) == sorted(re.findall(r"%\w+%", other.body))


def test_each_trigger_has_a_text_of_its_own_for_merchants() -> None:
    assert set(default_texts.TEXTS[MERCHANT]) == {"", *catalogue.TRIGGER_ORDER}
    assert set(default_texts.TEXTS[BUYER]) == {"", *catalogue.TRIGGER_ORDER} - {
        "production_key.regenerated",
        "payment.silence",
    }


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("kind", [MERCHANT, BUYER])
@pytest.mark.parametrize("trigger", [trigger.code for trigger in catalogue.TRIGGERS])
def test_every_default_mail_reads_well_in_a_terminal(
    rule: NotificationRule, trigger: str, kind: str, language: str
) -> None:
    made = NotificationRuleFactory(
        shop=rule.shop, type=kind, triggers=[trigger], recipients=["@shop_manager"] if kind == MERCHANT else []
    )
    mail = samples.rehearse(made, samples.sample_event(rule.shop, trigger, "PRODUCTION"), language)
    wide = [line for line in mail.text.splitlines() if len(line) > emails.TEXT_COLUMNS]
    assert all(line.startswith("http") for line in wide), "addresses of pages alone are longer"
    assert not re.search(r"%\w+%", mail.subject + mail.text) and "\n\n\n" not in mail.text
    assert "Lumière Lyon" in " ".join(mail.text.split()) and "–" not in mail.text
    assert 'class="row headline"' in mail.html


# --- The mail about a rejected form ------------------------------------------------------------------


def test_a_rejected_form_is_told_with_origin_causes_and_fields_but_no_secret(rule: NotificationRule) -> None:
    update(rule, triggers=["form.invalid"])
    form = {
        "vads_amount": "19,90",
        "vads_card_number": "4111111111111111",
        "vads_cvv": "987",
        "vads_order_info": "carte 4111 1111 1111 1111 merci",
        "vads_order_id": "1234567890123",
        "signature": "c0ffee",
        "vads_identifier": "alias-secret",
    }
    text = part(sent(rule, data={"error": "INVALID_SIGNATURE", "form": form}), "plain")
    assert "Erreur : INVALID_SIGNATURE\nCauses possibles :\n- la clé employée est celle de l'autre mode" in text
    assert text.count("INVALID_SIGNATURE") == 1
    assert "Champs du formulaire reçu : 7\nvads_amount : 19,90\n" in text
    for secret in ("4111111111111111", "4111 1111 1111 1111", "987", "c0ffee", "alias-secret"):
        assert secret not in text, secret
    assert "vads_order_info : carte ••••••1111 merci" in text and "vads_order_id : 1234567890123" in text
    assert "vads_cvv : ••••••" in text and "signature : ••••••" in text


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("INVALID_SIGNATURE", "clé employée"),
        ("vads_site_id unknown", "vads_site_id"),
        ("vads_ctx_mode: INVALID", "vads_ctx_mode"),
        ("vads_trans_id duplicate", "vads_trans_id a déjà servi"),
        ("vads_trans_date: EXPIRED", "heure UTC"),
        ("vads_currency refused", "accepte pas la devise"),
        ("", "champ obligatoire"),
    ],
)
def test_the_likely_causes_follow_from_the_error(rule: NotificationRule, error: str, cause: str) -> None:
    update(rule, triggers=["form.invalid"])
    text = " ".join(part(sent(rule, data={"error": error}), "plain").split())
    assert cause in text and ("Erreur :" in text) is bool(error)


# --- Storing ----------------------------------------------------------------------------------------


def test_the_history_shows_texts_and_fields_before_and_after(rule: NotificationRule) -> None:
    update(rule, email_texts={"fr": {"subject": "Un"}, "en": {"body": "One"}}, email_fields=["mode", "amount"])
    update(rule, email_texts={"fr": {"subject": "Deux"}})
    latest, first = AuditEntry.objects.filter(action="rule.updated").order_by("-pk")[:2]
    # PostgreSQL keeps no order of the keys of a JSON object.
    assert sorted(history.changes_in_words(first)) == [
        ("Champs à inclure", "par défaut", "Mode, Montant"),
        ("Corps de l'e-mail (EN)", "par défaut", "One"),
        ("Objet de l'e-mail (FR)", "par défaut", "Un"),
    ]
    assert sorted(history.changes_in_words(latest)) == [
        ("Corps de l'e-mail (EN)", "One", "par défaut"),
        ("Objet de l'e-mail (FR)", "Un", "Deux"),
    ]


def test_the_default_choice_of_fields_is_stored_as_none_and_twins_once(rule: NotificationRule) -> None:
    update(rule, email_fields=["mode", "mode"])
    assert rule.email_fields == ["mode"]
    update(rule, email_fields=list(templating.DEFAULT_FIELDS[MERCHANT]))
    assert rule.email_fields is None
    assert (
        rule_services.rule_update(rule=rule, actor=ACTOR, email_fields=None, email_texts={"fr": {"subject": " "}}) == {}
    )


def test_a_stale_version_is_refused(rule: NotificationRule) -> None:
    old = rule.version
    update(rule, email_texts={"fr": {"subject": "Un"}})
    with pytest.raises(StaleVersion):
        rule_services.rule_update(rule=rule, actor=ACTOR, seen=old, email_texts={})


def test_provisioning_carries_texts_and_fields_and_null_restores_them() -> None:
    def document(**extra: Any) -> dict[str, Any]:
        rule = {"reference": "m", "type": MERCHANT, "trigger": "payment.accepted", **extra}
        shop = {"site_id": "10000088", "name": "Paris", "rules": [rule]}
        contact = {"email": "claire@lumiere.example"}
        return {"companies": [{"reference": "m", "name": "M", "manager_contact": contact, "shops": [shop]}]}

    texts = {"fr": {"subject": "Vu %amount%"}}
    provision(document(email_texts=texts, email_fields=["mode"]))
    stored = NotificationRule.objects.get(reference="m")
    assert (stored.email_texts, stored.email_fields) == (texts, ["mode"])
    assert provision(document()).updated == 0
    with pytest.raises(ProvisioningError) as caught:
        provision(document(email_texts={"fr": {"subject": "%nope%"}}))
    assert caught.value.errors[0].startswith("companies[0].shops[0].rules[0].email_texts: fr.subject : « %nope% »")
    provision(document(email_texts=None, email_fields=None))
    stored.refresh_from_db()
    assert (stored.email_texts, stored.email_fields) == ({}, None)


# --- The page ---------------------------------------------------------------------------------------


def url(rule: NotificationRule, end: str = "") -> str:
    return f"/settings/notification-rules/{rule.shop.site_id}/{rule.reference}/content/{end}"


def text_of(response: Any) -> str:
    return html_module.unescape(response.content.decode())


def form(rule: NotificationRule, **changed: Any) -> dict[str, Any]:
    default = default_texts.default_text(rule.type, rule.triggers[0], "fr")
    return {
        "subject": default.subject,
        "body": default.body.replace("\n", "\r\n"),
        "fields_included": list(templating.DEFAULT_FIELDS[rule.type]),
        "version": str(rule.version),
        **changed,
    }


def test_the_page_saves_what_is_typed_and_only_that(client_for: ClientFor, rule: NotificationRule, paul: User) -> None:
    client = client_for(paul)
    said = text_of(client.post(url(rule), form(rule, subject="Reçu : %amount%"), follow=True))
    assert "Le contenu de l'e-mail de la règle « Confirmation » est enregistré." in said
    rule.refresh_from_db()
    assert rule.email_texts == {"fr": {"subject": "Reçu : %amount%"}} and rule.email_fields is None
    said = text_of(client.post(url(rule, "?language=en"), form(rule, subject="Got", body=""), follow=True))
    rule.refresh_from_db()
    assert rule.email_texts == {"fr": {"subject": "Reçu : %amount%"}, "en": {"subject": "Got"}}
    assert 'value="Got"' in said and "Anglais · personnalisé" in said.replace("\n", "")


def test_a_text_left_as_it_was_changes_nothing(client_for: ClientFor, rule: NotificationRule, paul: User) -> None:
    assert "Rien n'a changé" in text_of(client_for(paul).post(url(rule), form(rule), follow=True))
    rule.refresh_from_db()
    assert rule.email_texts == {} and rule.version == 1


def test_an_error_names_the_field_and_keeps_the_text(client_for: ClientFor, rule: NotificationRule, paul: User) -> None:
    said = text_of(client_for(paul).post(url(rule), form(rule, subject="Bonjour %prenom%", body="à <b>%x%</b>")))
    assert "« %prenom% » n'est pas un champ disponible ici" in said and "« %x% »" in said
    assert 'value="Bonjour %prenom%"' in said and "à <b>%x%</b></textarea>" in said
    assert '<a href="#id_subject">' in said
    rule.refresh_from_db()
    assert rule.email_texts == {}


def test_somebody_elses_change_is_told_first(client_for: ClientFor, rule: NotificationRule, paul: User) -> None:
    old = form(rule, subject="Trop tard")
    update(rule, email_texts={"fr": {"subject": "Premier"}})
    said = text_of(client_for(paul).post(url(rule), old))
    assert "modifiées par quelqu'un d'autre" in said and 'value="Trop tard"' in said
    rule.refresh_from_db()
    assert rule.email_texts == {"fr": {"subject": "Premier"}}


def test_fields_are_moved_without_scripts(client_for: ClientFor, rule: NotificationRule, paul: User) -> None:
    client = client_for(paul)
    rows = ["date", "amount", "mode"]
    page = client.post(url(rule), form(rule, rows=rows, fields_included=["date", "amount"], move="up:amount"))
    shown = re.findall(r'name="rows" value="(\w+)"', text_of(page))
    assert shown[:3] == ["amount", "date", "mode"]
    rule.refresh_from_db()
    assert rule.email_fields is None, "moving stores nothing"
    client.post(url(rule), form(rule, rows=shown, fields_included=["amount", "date"]))
    rule.refresh_from_db()
    assert rule.email_fields == ["amount", "date"]


def test_the_preview_is_what_is_sent(client_for: ClientFor, rule: NotificationRule, paul: User) -> None:
    typed = {"subject": "Vu <i>%amount%</i>", "body": "Voilà\n\n%fields%\n\n{{ event }} & %shop_name%"}
    update(rule, email_texts={"fr": typed}, email_fields=["amount", "order_id"])
    event = samples.sample_event(rule.shop, "payment.accepted", "TEST")
    seen = samples.rehearse(rule, event, "fr")
    mail = sent(rule, data=event.data, particulars=Particulars(mode="TEST", occurred_at=event.occurred_at))
    assert seen.subject == mail["Subject"] == "[TEST] Vu <i>19,90 EUR</i>"
    # The page of the reader is for the reader alone.
    text, html = (
        re.sub(r"http://localhost:8000/why/[^/]+/", emails.MASKED_LINK, part(mail, kind)).replace(
            f"?event={mail['X-BOM-Event']}", "?event=sample"
        )
        for kind in ("plain", "html")
    )
    assert seen.text == text and seen.html.rstrip("\n") == html.rstrip("\n")


def test_typed_text_is_previewed_shut_off_and_unsaved(
    client_for: ClientFor, rule: NotificationRule, paul: User
) -> None:
    client = client_for(paul)
    typed = form(rule, subject="Essai", body="<script>alert(1)</script>", action="preview", preview_mode="TEST")
    answer = client.post(url(rule), typed, headers={"HX-Request": "true"})
    fragment = text_of(answer)
    assert "<strong>[TEST] Essai</strong>" in fragment and "<html" not in fragment
    frame = re.search(r'<iframe[^>]* sandbox src="([^"]+)"', fragment)
    assert frame
    mail = client.get(frame[1])
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in mail.content.decode()
    policy = mail.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "sandbox" in policy
    assert mail.headers["X-Frame-Options"] == "SAMEORIGIN" and mail.headers["Cache-Control"] == "no-store"
    other = client_for(UserFactory(company=rule.shop.company, role=Role.MANAGER))
    assert other.get(frame[1]).status_code == 404
    rule.refresh_from_db()
    assert rule.email_texts == {}


def test_a_preview_of_a_wrong_text_names_the_problem(client_for: ClientFor, rule: NotificationRule, paul: User) -> None:
    answer = client_for(paul).post(
        url(rule), form(rule, body="%nope%", action="preview"), headers={"HX-Request": "true"}
    )
    assert "« %nope% »" in text_of(answer) and "<iframe" not in text_of(answer)


def test_restoring_asks_and_gives_back_the_default_mail_to_the_byte(
    client_for: ClientFor, rule: NotificationRule, paul: User
) -> None:
    client = client_for(paul)
    event = samples.sample_event(rule.shop, "payment.accepted", "PRODUCTION")
    before = samples.rehearse(rule, event, "fr")
    update(rule, email_texts={"fr": {"subject": "Un", "body": "Deux"}, "en": {"subject": "One"}}, email_fields=["mode"])
    assert samples.rehearse(rule, event, "fr") != before
    asked = text_of(client.get(url(rule, "restore/?language=fr")))
    assert "L'objet et le corps en français de la règle « Confirmation » redeviennent ceux par défaut" in asked
    client.post(url(rule, "restore/?language=fr"))
    rule.refresh_from_db()
    assert rule.email_texts == {"en": {"subject": "One"}} and rule.email_fields == ["mode"]
    client.post(url(rule, "restore/?language=fr&what=fields"))
    rule.refresh_from_db()
    assert rule.email_fields is None and samples.rehearse(rule, event, "fr") == before


def test_viewers_look_and_calls_have_no_content(client_for: ClientFor, rule: NotificationRule, paul: User) -> None:
    viewer = client_for(UserFactory(company=rule.shop.company, role=Role.VIEWER))
    page = viewer.get(url(rule))
    assert page.status_code == 200 and "disabled" in text_of(page) and "data-save-bar" not in text_of(page)
    assert viewer.post(url(rule), form(rule, subject="x")).status_code == 403
    assert viewer.post(url(rule, "restore/")).status_code == 403
    call = NotificationRuleFactory(shop=rule.shop, ipn=True)
    assert client_for(paul).get(url(call)).status_code == 404
